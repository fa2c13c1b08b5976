//! The policy as Cedar text, for tools that reason about all questions at once, with what is true of every question.
//!
//! What is told here must be true, or something would count as proved that is not: a property test holds every access
//! to it. It may say too little; then a tool finds cases that no request can make.

use std::collections::BTreeSet;

use crate::facts::AGE_OF_NOBODY;
use crate::index::Scope;
use crate::route_pattern::Segment;
use crate::{
    Action, AppFacts, AppId, Assurance, ClassRoute, Day, DeviceClass, InfoClass, Method, Policy, RoutePattern, RuleId,
    SignInMethod, Weekday, compile, schema,
};

/// One rule in Cedar.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleInCedar {
    /// Its name.
    pub rule: RuleId,
    /// Whether it permits; else it forbids.
    pub permits: bool,
    /// Whether it can be about somebody who is signed in.
    pub admits_somebody: bool,
    /// Whether it can be about nobody signed in.
    pub admits_nobody: bool,
    /// The rule as one policy.
    pub text: String,
}

/// The schema of the policy's words for these apps.
#[must_use]
pub fn cedar_schema(apps: &[AppFacts]) -> String {
    schema::text(apps)
}

impl Policy {
    /// The rules that can apply to one app and action: all others are silent there.
    #[must_use]
    pub fn in_cedar(&self, app: &AppId, action: Action) -> Vec<RuleInCedar> {
        let positions = self.app(app).map_or(&[][..], |entry| &entry.on(action).all);
        self.at(positions)
            .map(|statement| {
                let text = statement.cedar.to_string();
                // One written in Cedar that permits and says nothing of outages is not for them.
                let silent = statement.row.is_none() && statement.permits() && !statement.mentions_outage;
                let text = if silent { and(&text, "!context.in_outage") } else { text };
                RuleInCedar {
                    rule: statement.rule.clone(),
                    permits: statement.permits(),
                    admits_somebody: Scope::admits_somebody(&statement.scope),
                    admits_nobody: Scope::admits_nobody(&statement.scope),
                    text,
                }
            })
            .collect()
    }

    /// What is true of every question about an app and an action by somebody, or by nobody, who is signed in: each a
    /// condition.
    #[must_use]
    pub fn always_in_cedar(&self, app: &AppId, action: Action, signed_in: bool) -> Vec<String> {
        let days = compile::list(self.calendar.days().map(Day::as_str), "");
        let device_classes = compile::list(DeviceClass::ALL.iter().map(|class| class.as_str()), "");
        let methods = compile::list(SignInMethod::ALL.iter().map(|method| method.as_str()), "");
        let mut always = vec![
            "context.minute >= 0 && context.minute < 1440".to_owned(),
            format!("{days}.contains(context.weekday) && {days}.contains(context.weekday_before)"),
            format!("{methods}.containsAll(context.methods)"),
            // The gateway's own rule refuses every other session before these are asked.
            "context.same_device".to_owned(),
            // An access has one exception at most.
            "context.grant == \"\" || context.break_glass == \"\"".to_owned(),
            format!(
                "if context.device.known \
                 then {device_classes}.contains(context.device.class) && context.device.id != \"\" \
                 else context.device.class == \"\" && context.device.id == \"\" && context.device.posture.isEmpty()"
            ),
        ];
        always.extend(Weekday::ALL.into_iter().zip(Weekday::ALL.into_iter().cycle().skip(6)).map(|(day, before)| {
            let (day, before, holiday) = (day.as_str(), before.as_str(), Day::Holiday.as_str());
            let before = format!("context.weekday_before == \"{before}\" || context.weekday_before == \"{holiday}\"");
            format!("context.weekday != \"{day}\" || {before}")
        }));
        let (least, most) = (Assurance::Aal1.level(), Assurance::Aal3.level());
        always.push(if signed_in {
            format!(
                "context.signed_in && context.assurance >= {least} && context.assurance <= {most} \
                 && context.auth_age_seconds >= 0 && context.auth_age_seconds <= {AGE_OF_NOBODY} \
                 && context.roles_age_seconds >= 0 && context.roles_age_seconds <= {AGE_OF_NOBODY}"
            )
        } else {
            format!(
                "!context.signed_in && context.assurance == 0 && context.auth_age_seconds == {AGE_OF_NOBODY} \
                 && context.roles_age_seconds == {AGE_OF_NOBODY} && context.methods.isEmpty() \
                 && context.key_model == \"\" && !context.in_outage"
            )
        });
        let mut classes: Vec<_> = self.routes_to(app, action).map(|route| route.class.as_str()).collect();
        classes.extend(self.may_be_unclassified(app, action).then_some(""));
        classes.sort_unstable();
        classes.dedup();
        // Where no class can be, nothing can: Cedar has no type for an empty list.
        let none = classes.is_empty().then(|| "false".to_owned());
        always.push(none.unwrap_or_else(|| format!("{}.contains(context.class)", compile::list(classes, ""))));
        always
    }

    /// What the paths of an app and some of the classes they stand for have to do with each other.
    #[must_use]
    pub fn paths_in_cedar(&self, app: &AppId, action: Action, classes: &[InfoClass]) -> Vec<String> {
        let of_class = |class: &InfoClass| {
            let routes = self.routes_to(app, action).filter(|route| route.class == *class);
            let like: BTreeSet<_> = routes.map(|route| at_most(&route.pattern)).collect();
            let like: Vec<_> = like.into_iter().collect();
            (!like.is_empty()).then(|| format!("context.class != \"{class}\" || {}", like.join(" || ")))
        };
        let mut told: Vec<_> = classes.iter().filter_map(of_class).collect();
        let classified: Vec<_> = self
            .routes(app)
            .iter()
            .filter(|route| route.methods.is_empty())
            .filter_map(|route| exactly(&route.pattern))
            .collect();
        if !classified.is_empty() {
            told.push(format!("context.class != \"\" || !({})", classified.join(" || ")));
        }
        told
    }

    fn routes(&self, app: &AppId) -> &[ClassRoute] {
        self.app(app).map_or(&[], |entry| &entry.facts.routes)
    }

    /// The routes by which something with this action may come.
    fn routes_to(&self, app: &AppId, action: Action) -> impl Iterator<Item = &ClassRoute> {
        let routes = self.routes(app);
        let alive = move |at: usize, route: &ClassRoute| {
            let before = routes.iter().take(at);
            !before.filter(|one| one.methods.is_empty()).any(|one| one.pattern.covers(&route.pattern))
        };
        let does = move |route: &ClassRoute| match (action, route.action) {
            // Whatever opens a stream connects, at every route.
            (Action::Connect, _) => true,
            (_, Some(told)) => told == action,
            (Action::Search | Action::Export, None) => false,
            (Action::Read | Action::Write | Action::Delete, None) => {
                let by = |method: &Method| {
                    method.action() == action || (action == Action::Read && method.as_str() == "POST")
                };
                route.methods.is_empty() || route.methods.iter().any(by)
            }
        };
        routes.iter().enumerate().filter(move |(at, route)| alive(*at, route) && does(route)).map(|(_, route)| route)
    }

    fn may_be_unclassified(&self, app: &AppId, action: Action) -> bool {
        let fits_all = |route: &ClassRoute| route.methods.is_empty() && *route.pattern.segments() == [Segment::Rest];
        !matches!(action, Action::Search | Action::Export) && !self.routes(app).iter().any(fits_all)
    }
}

/// A policy with one more condition.
fn and(policy: &str, condition: &str) -> String {
    format!("{} when {{ {condition} }};", policy.trim_end().trim_end_matches(';'))
}

/// A condition that holds of all paths of a pattern, and of some others: Cedar's `*` knows no segments.
fn at_most(pattern: &RoutePattern) -> String {
    let mut like = String::new();
    for segment in pattern.segments() {
        match segment {
            Segment::Literal(text) => like = format!("{like}/{}", escaped(text)),
            Segment::Any | Segment::Patient | Segment::Study | Segment::Ward => like.push_str("/*"),
            // What follows may be nothing at all.
            Segment::Rest => like.push('*'),
        }
    }
    // A slash at the end leads around nothing.
    let slash = if like.ends_with('*') { String::new() } else { format!(" || context.path like \"{like}/\"") };
    format!("context.path like \"{like}\"{slash}")
}

/// A condition that holds of the paths of a pattern and of no others, where Cedar can say it.
fn exactly(pattern: &RoutePattern) -> Option<String> {
    let (last, first) = pattern.segments().split_last()?;
    let literal = |segment: &Segment| match segment {
        Segment::Literal(text) => Some(format!("/{text}")),
        Segment::Any | Segment::Patient | Segment::Study | Segment::Ward | Segment::Rest => None,
    };
    let before: String = first.iter().map(literal).collect::<Option<_>>()?;
    match last {
        Segment::Literal(text) => {
            Some(format!("context.path == \"{before}/{text}\" || context.path == \"{before}/{text}/\""))
        }
        Segment::Rest if before.is_empty() => Some("true".to_owned()),
        Segment::Rest => Some(format!("context.path == \"{before}\" || context.path like \"{}/*\"", escaped(&before))),
        Segment::Any | Segment::Patient | Segment::Study | Segment::Ward => None,
    }
}

/// A text in a pattern of Cedar, where `*` has a meaning.
fn escaped(text: &str) -> String {
    text.replace('*', "\\*")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cedar_policy::{Authorizer, Decision, PolicySet, Request};
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::facts::{Facts, Reads};
    use crate::properties::any_access;
    use crate::{Access, Date, Path, PathPattern, PolicySource, Template, Timestamp, fixtures};

    const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "PROPFIND"];
    const PATHS: [&str; 11] =
        ["/", "/x", "/1", "/own/", "/own", "/own/2/x", "/twice/a", "/twice/", "/read/by/post", "/fhir", "/fhir/"];

    fn route(methods: &[&str], pattern: &str, action: Option<Action>, class: &str) -> ClassRoute {
        ClassRoute {
            methods: methods.iter().map(|method| Method::parse(method).unwrap()).collect(),
            pattern: RoutePattern::parse(pattern).unwrap(),
            action,
            class: class.parse().unwrap(),
            patients: None,
            folds: false,
            ward_field: None,
        }
    }

    /// The EMR has routes of its own before a template's, and the archive knows every path.
    fn policy() -> Policy {
        let mut source: PolicySource = fixtures::source(vec![fixtures::rule("r", "nurse", "emr")], "");
        for app in source.apps.iter_mut().filter(|app| !app.built_in) {
            app.reads_by_post = vec![PathPattern::parse("/read/*").unwrap()];
            app.routes = vec![
                route(&[], "/own/**", None, "meals"),
                route(&["GET"], "/own/2/x", Some(Action::Export), "never-reached"),
                route(&["GET"], "/twice/*", Some(Action::Search), "notices"),
                route(&["POST"], "/twice/{patient}", None, "billing"),
                route(&["POST"], "/read/**", None, "billing"),
                route(&[], "/1", None, "chart"),
            ];
            app.routes.extend(Template::FhirR4.routes(&Path::parse("/fhir").unwrap()));
            if app.id.as_str() == "pacs" {
                app.routes.push(route(&[], "/**", None, "images"));
            }
        }
        source.holidays = ["2026-11-23"].into_iter().filter_map(Date::parse).collect();
        Policy::load(&source).unwrap()
    }

    fn holds(policy: &Policy, access: &Access, condition: &str) -> bool {
        let facts = Facts::of(access, &policy.calendar);
        let principal = policy.words.principal(facts.who);
        let context = schema::context(&facts, Reads::all()).unwrap();
        let (action, app) = (policy.words.action(access.action).clone(), schema::app(&access.app));
        let request = Request::new(principal.uid, action, app, context, None).unwrap();
        let set: PolicySet = format!("permit (principal, action, resource) when {{ {condition} }};").parse().unwrap();
        Authorizer::new().is_authorized(&request, &set, &principal.entities).decision() == Decision::Allow
    }

    fn paths() -> Vec<String> {
        let emr = "emr".parse().unwrap();
        let examples: Vec<_> = policy().routes(&emr).iter().map(|route| route.pattern.example()).collect();
        [examples, PATHS.map(str::to_owned).to_vec()].concat()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn what_is_said_of_every_question_is_true_of_each(
            asked in prop::collection::vec(
                (any_access(), select(METHODS.to_vec()), select(paths()), prop::bool::weighted(0.2)),
                1..12,
            ),
        ) {
            let policy = policy();
            for (mut access, method, path, connects) in asked {
                access.method = Method::parse(method).unwrap();
                access.path = Path::parse(&path).unwrap();
                let classified = policy.classifier(&access.app).classify(&access.method, &access.path);
                let (action, class) = (classified.action, classified.class);
                (access.action, access.class) = (if connects { Action::Connect } else { action }, class);
                access.who = access.who.map(|who| {
                    let bound_to = access.device.as_ref().map(|device| device.id.clone());
                    Arc::new(crate::Who { bound_to, ends_at: Timestamp::MAX, ..(*who).clone() })
                });
                let classes: Vec<_> = access.class.iter().cloned().collect();
                let mut always = policy.always_in_cedar(&access.app, access.action, access.who.is_some());
                always.extend(policy.paths_in_cedar(&access.app, access.action, &classes));
                for condition in always {
                    prop_assert!(holds(&policy, &access, &condition), "{condition} of {access:?}");
                }
            }
        }
    }

    #[test]
    fn a_route_that_another_hides_gives_nothing() {
        const UNCLASSIFIED: &str = "[\"\", ";
        let policy = policy();
        let told = |app: &str, action| policy.always_in_cedar(&app.parse().unwrap(), action, true).join(" ");
        let exports = told("emr", Action::Export);
        assert!(exports.contains("\"chart\"") && !exports.contains("never-reached"));
        assert!(!exports.contains(UNCLASSIFIED), "an export has a route, so a class");
        assert!(told("emr", Action::Read).contains(UNCLASSIFIED));
        assert!(!told("pacs", Action::Read).contains(UNCLASSIFIED), "every path of the archive has a class");
    }

    #[test]
    fn a_permit_written_in_cedar_that_says_nothing_of_outages_is_not_for_them() {
        let written =
            r#"@id("w") permit (principal is Sekimori::User, action, resource) when { context.minute < 60 };"#;
        let policy = Policy::load(&fixtures::source(vec![fixtures::rule("r", "nurse", "emr")], written)).unwrap();
        let rules = policy.in_cedar(&"emr".parse().unwrap(), Action::Read);
        assert_eq!(rules.iter().map(|rule| rule.rule.as_str()).collect::<Vec<_>>(), ["r", "w"]);
        for rule in rules {
            assert!(rule.permits && !rule.admits_nobody && rule.text.contains("in_outage"), "{}", rule.text);
            assert!(rule.text.parse::<PolicySet>().is_ok(), "{}", rule.text);
        }
        let writes = policy.in_cedar(&"emr".parse().unwrap(), Action::Write);
        assert_eq!(writes.iter().map(|rule| rule.rule.as_str()).collect::<Vec<_>>(), ["w"]);
    }

    #[test]
    fn patterns_cover_patterns() {
        let check =
            |one: &str, other: &str| RoutePattern::parse(one).unwrap().covers(&RoutePattern::parse(other).unwrap());
        for (one, other) in
            [("/**", "/"), ("/**", "/a/**"), ("/a/**", "/a"), ("/a/*", "/a/{patient}"), ("/*/c", "/b/c")]
        {
            assert!(check(one, other), "{one} {other}");
        }
        for (one, other) in [("/a", "/a/b"), ("/a/*", "/a"), ("/a/*", "/a/**"), ("/a/b", "/a/*"), ("/a/b/**", "/a/**")]
        {
            assert!(!check(one, other), "{one} {other}");
        }
    }
}
