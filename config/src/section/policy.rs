//! `[policy]`: files of Cedar policies, and the loading of all rules.

use std::collections::BTreeMap;

use policy::{AppFacts, AppId, CedarFile, Durability, Policy, PolicyPlace, PolicyProblem, PolicySource, RuleId};

use super::app::BUILT_IN;
use super::rule::Place;
use crate::files::Files;
use crate::walk::{Report, Seen, Table};
use crate::{App, Problem};

pub(crate) fn read(table: &Table<'_>, files: &Files<'_>) -> Option<Vec<CedarFile>> {
    let mut seen = Seen::default();
    let cedar = table.list("files", |value| {
        let (path, text) = files.text(&value)?;
        let name = path.display().to_string();
        seen.claim(&value, &name, "name each file once")?;
        Some(CedarFile { name, text })
    });
    table.finish();
    cedar
}

/// What the policy must know of every app: the hospital's, and the gateway's own.
pub(crate) fn facts(apps: &[App], declared: impl Iterator<Item = impl AsRef<str>>) -> Vec<AppFacts> {
    let facts = |id, reads, writes, built_in| AppFacts { id, reads, writes, built_in };
    let mut all: Vec<AppFacts> = apps.iter().map(|app| facts(app.id.clone(), app.reads, app.writes, false)).collect();
    // Where an app has a problem of its own, rules about it are checked all the same.
    for id in declared.filter_map(|id| AppId::parse(id.as_ref()).ok()) {
        if !all.iter().any(|known| known.id == id) {
            all.push(facts(id, Durability::Written, Durability::Synced, false));
        }
    }
    let built_in = BUILT_IN.into_iter().filter_map(|id| AppId::parse(id).ok());
    all.retain(|app| !BUILT_IN.contains(&app.id.as_str()));
    all.extend(built_in.map(|id| facts(id, Durability::Written, Durability::Synced, true)));
    all
}

/// Adds what the policy refuses, each problem at the line of its rule.
pub(crate) fn check(source: &PolicySource, lines: &BTreeMap<RuleId, Place>, report: &Report<'_>) {
    for PolicyProblem { place, reason, remedy } in Policy::load(source).err().unwrap_or_default() {
        report.push(match place {
            PolicyPlace::Rule(id) => {
                let (line, column) = lines.get(&id).map_or((0, 0), |place| (place.line, place.column));
                Problem { file: report.file().to_owned(), line, column, key: format!("rule[{id}]"), reason, remedy }
            }
            PolicyPlace::File { name, line, column } => {
                Problem { file: name, line, column, key: String::new(), reason, remedy }
            }
        });
    }
}
