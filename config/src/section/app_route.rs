//! `template` and `[[app.route]]`: what the requests of an app do, to which information, and of which patients.

use std::sync::Arc;

use policy::{
    Action, ClassRoute, Method, Path, PatientIds, PatientSources, RoutePattern, RoutePatternProblem, Template,
};

use super::{class, patients};
use crate::declared::Declared;
use crate::walk::{Table, Value};

/// What a route may say that a request does; a stream that stays open is known by itself.
const ACTIONS: [Action; 5] = [Action::Read, Action::Search, Action::Write, Action::Delete, Action::Export];

/// The longest name of a field of the query, in bytes.
const FIELD_BYTES_MAX: usize = 200;

/// The app's own routes, then those of its template. `prefix` is where the app lives, `ids` how the hospital writes the
/// ids of patients.
pub(crate) fn read(
    table: &Table<'_>,
    prefix: Option<&Path>,
    declared: &Declared,
    ids: &PatientIds,
) -> Option<Vec<ClassRoute>> {
    let ids = table.section("patients").and_then(|of_app| {
        let ids = patients::read_ids(&of_app, ids);
        of_app.finish();
        ids
    });
    let no_ids = PatientIds::default();
    let template = table.optional("template", |value| value.word(&Template::ALL.map(|one| (one.as_str(), one))));
    let base = table.optional("template_base", |value| {
        if let Some(None) = template {
            return value.wrong("is the base of no template", "add `template = \"fhir-r4\"`, or leave it out");
        }
        let base = super::app::path(&value)?;
        match prefix {
            Some(prefix) if !base.is_below(prefix) => {
                value.wrong(format!("`{base}` is not below the app's prefix"), format!("begin it with `{prefix}`"))
            }
            Some(_) | None => Some(base),
        }
    });
    let own: Option<Vec<_>> = table
        .tables("route")
        .iter()
        .map(|route| read_one(route, prefix, declared, ids.as_ref().unwrap_or(&no_ids)))
        .collect::<Vec<_>>()
        .into_iter()
        .collect();
    let (template, base, ids) = (template?, base?, ids?);
    let mut routes: Vec<_> = own?.into_iter().flatten().collect();
    if let Some(template) = template {
        let base = base.or_else(|| usual_base(template, prefix))?;
        routes.extend(template.routes_with(&base, &ids));
    }
    Some(routes)
}

/// Where the interface of an app begins that lives under a prefix.
fn usual_base(template: Template, prefix: Option<&Path>) -> Option<Path> {
    let usual = Path::parse(template.usual_base()).ok()?;
    match prefix {
        Some(prefix) if !usual.is_below(prefix) => {
            let below = format!("{prefix}{}", template.usual_base());
            Path::parse(if below.len() > 1 { below.trim_end_matches('/') } else { &below }).ok()
        }
        Some(_) | None => Some(usual),
    }
}

fn read_one(
    table: &Table<'_>,
    prefix: Option<&Path>,
    declared: &Declared,
    ids: &PatientIds,
) -> Option<Vec<ClassRoute>> {
    let methods = table.or("methods", Vec::new(), |value| value.some(|item| method(&item)));
    let patterns = table.needed("paths", "`paths = [\"/patients/{patient}/labs/*\"]`", |value| {
        value.some(|item| pattern(&item, prefix))
    });
    let class = table.needed("class", "`class = \"lab-results\"`", |value| class::name(&value, declared));
    let action = table.optional("action", |value| value.word(&ACTIONS.map(|action| (action.as_str(), action))));
    let sources = patients::sources(table);
    let ids = patients::read_ids(table, ids);
    let ward_field = table.optional("ward", |value| field_of_ward(&value, patterns.as_deref()));
    let folds = table.or("folds", false, |value| {
        let folds = value.yes_or_no()?;
        let names_study = patterns.as_deref().is_none_or(|all| all.iter().all(RoutePattern::names_study));
        if folds && !names_study {
            return value.wrong(
                "folds requests for parts of one study, and the path names none",
                "write the segment that is the Study Instance UID as `{study}`",
            );
        }
        Some(folds)
    });
    table.finish();
    let (methods, class, action, folds, ward_field) = (methods?, class?, action?, folds?, ward_field?);
    let patients = Arc::new(PatientSources { sources: sources?, ids: ids? });
    let route = |pattern: RoutePattern| {
        let names_some = !patients.sources.is_empty() || pattern.names_patient() || pattern.names_study();
        let patients = names_some.then(|| Arc::clone(&patients));
        let (methods, class, ward_field) = (methods.clone(), class.clone(), ward_field.clone());
        ClassRoute { methods, pattern, action, class, patients, folds, ward_field }
    };
    Some(patterns?.into_iter().map(route).collect())
}

/// The name of the query's field that names the ward, where the path does not.
fn field_of_ward(value: &Value<'_>, patterns: Option<&[RoutePattern]>) -> Option<Box<str>> {
    let name = value.text()?;
    if name.len() > FIELD_BYTES_MAX || name.chars().any(char::is_control) {
        return value.wrong("is not the name of a field", "write the name as the address has it, such as `ward`");
    }
    if patterns.is_some_and(|all| all.iter().any(RoutePattern::names_ward)) {
        return value.wrong("names the ward a second time", "leave it out: the path names it already, by `{ward}`");
    }
    Some(name.into())
}

/// A method in capitals, as requests send them.
pub(crate) fn method(value: &Value<'_>) -> Option<Method> {
    let text = value.text()?;
    match Method::parse(text) {
        Some(method) if text.bytes().all(|byte| !byte.is_ascii_lowercase()) => Some(method),
        Some(_) => value.wrong(
            format!("`{text}` is not a method that is sent: they are in capitals"),
            format!("write `{}`", text.to_ascii_uppercase()),
        ),
        None => value.wrong(format!("`{}` is not a method", text.escape_debug()), "write it like `GET` or `POST`"),
    }
}

fn pattern(value: &Value<'_>, prefix: Option<&Path>) -> Option<RoutePattern> {
    let text = value.text()?;
    let pattern = match RoutePattern::parse(text) {
        Ok(pattern) => pattern,
        Err(problem) => return value.wrong(problem.to_string(), remedy(&problem)),
    };
    match prefix {
        Some(prefix) if !begins_with(text, prefix) => {
            value.wrong(format!("`{text}` is not below the app's prefix"), format!("begin it with `{prefix}`"))
        }
        Some(_) | None => Some(pattern),
    }
}

fn begins_with(pattern: &str, prefix: &Path) -> bool {
    let rest = pattern.strip_prefix(prefix.as_str().trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn remedy(problem: &RoutePatternProblem) -> &'static str {
    match problem {
        RoutePatternProblem::Path(_) => "write it like `/patients/{patient}/labs/*`",
        RoutePatternProblem::Spelling(_) => {
            "write what the address bar shows, escapes in capitals and only where needed"
        }
        RoutePatternProblem::Mixed(_) => {
            "give `*`, `{name}` and `**` a segment of their own; a part of a segment cannot be left open"
        }
        RoutePatternProblem::RestBeforeEnd => "write `*` or `{name}` for one segment in the middle",
        RoutePatternProblem::TwoPatients => "name the other segment otherwise, such as `{order}`",
        RoutePatternProblem::TwoStudies => "name the other segment otherwise, such as `{prior}`",
        RoutePatternProblem::TwoWards => "name the other segment otherwise, such as `{from}`",
        RoutePatternProblem::SlashAtEnd => "leave the last `/` out: it is fitted with and without one",
    }
}
