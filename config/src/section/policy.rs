//! `[policy]`: files of Cedar policies, and the loading of all rules.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use policy::{AppFacts, AppId, CedarFile, Durability, Policy, PolicyPlace, PolicyProblem, PolicySource, RuleId};

use super::app::BUILT_IN;
use super::hours::{self, ReadHolidays};
use super::rule::Place;
use crate::files::Files;
use crate::walk::{Report, Seen, Table, Value};
use crate::{Activation, App, Problem};

/// What `[policy]` names.
pub(crate) struct ReadPolicy {
    pub(crate) cedar: Vec<CedarFile>,
    pub(crate) holidays: ReadHolidays,
    /// Files of expectations: their names and texts.
    pub(crate) tests: Vec<(String, String)>,
    /// Files of statements: their names and texts.
    pub(crate) statements: Vec<(String, String)>,
    pub(crate) shadow: Option<PathBuf>,
    pub(crate) activation: Activation,
    pub(crate) return_when_denials_rise: Option<f64>,
}

const ACTIVATIONS: [(&str, Activation); 2] =
    [("one-person", Activation::OnePerson), ("two-people", Activation::TwoPeople)];

pub(crate) fn read(table: &Table<'_>, files: &Files<'_>) -> Option<ReadPolicy> {
    let mut seen = Seen::default();
    let cedar = table.list("files", |value| {
        let (path, text) = files.text(&value)?;
        let name = path.display().to_string();
        seen.claim(&value, &name, "name each file once")?;
        Some(CedarFile { name, text })
    });
    let holidays = hours::read_holidays(table, files);
    let mut seen = Seen::default();
    let mut text_of = |value: Value<'_>| {
        let (path, text) = files.text(&value)?;
        let name = path.display().to_string();
        seen.claim(&value, &name, "name each file once")?;
        Some((name, text))
    };
    let tests = table.list("tests", &mut text_of);
    let statements = table.list("statements", text_of);
    // Not read here: a shadow that cannot be read must stop nothing.
    let shadow = table.optional("shadow", |value| files.path(&value));
    let activation = table.or("activation", Activation::OnePerson, |value| value.word(&ACTIVATIONS));
    let rise = table.optional("return_when_denials_rise", |value| value.times(1.5..=100.0));
    table.finish();
    Some(ReadPolicy {
        cedar: cedar?,
        holidays: holidays?,
        tests: tests?,
        statements: statements?,
        shadow: shadow?,
        activation: activation?,
        return_when_denials_rise: rise?,
    })
}

/// What the policy must know of every app: the hospital's, and the gateway's own.
pub(crate) fn facts(apps: &[App], declared: impl Iterator<Item = impl AsRef<str>>) -> Vec<AppFacts> {
    let facts = |id, built_in| AppFacts {
        id,
        routes: Vec::new(),
        reads_by_post: Vec::new(),
        reads: Durability::Written,
        writes: Durability::Synced,
        built_in,
    };
    let of_app = |app: &App| AppFacts {
        routes: app.routes.clone(),
        reads_by_post: app.reads_by_post.clone(),
        reads: app.reads,
        writes: app.writes,
        ..facts(app.id.clone(), false)
    };
    let mut all: Vec<AppFacts> = apps.iter().map(of_app).collect();
    // Where an app has a problem of its own, rules about it are checked all the same.
    for id in declared.filter_map(|id| AppId::parse(id.as_ref()).ok()) {
        if !all.iter().any(|known| known.id == id) {
            all.push(facts(id, false));
        }
    }
    let built_in = BUILT_IN.into_iter().filter_map(|id| AppId::parse(id).ok());
    all.retain(|app| !BUILT_IN.contains(&app.id.as_str()));
    all.extend(built_in.map(|id| facts(id, true)));
    all
}

/// A problem of a rule, at its line.
pub(crate) fn problem_of(
    id: &RuleId,
    places: &BTreeMap<RuleId, Place>,
    report: &Report<'_>,
    reason: String,
    remedy: impl Into<String>,
) -> Problem {
    let (line, column, key) =
        places.get(id).map_or((0, 0, String::new()), |place| (place.line, place.column, place.key.clone()));
    Problem { file: report.file().to_owned(), line, column, key, reason, remedy: remedy.into() }
}

/// Loads the policy, or adds what it refuses, each problem at the line of its rule.
pub(crate) fn load(
    source: &PolicySource,
    places: &BTreeMap<RuleId, Place>,
    report: &Report<'_>,
) -> Option<Arc<Policy>> {
    let problems = match Policy::load(source) {
        Ok(policy) => return Some(Arc::new(policy)),
        Err(problems) => problems,
    };
    for PolicyProblem { place, reason, remedy } in problems {
        report.push(match place {
            PolicyPlace::Rule(id) => problem_of(&id, places, report, reason, remedy),
            PolicyPlace::File { name, line, column } => {
                Problem { file: name, line, column, key: String::new(), reason, remedy }
            }
        });
    }
    None
}
