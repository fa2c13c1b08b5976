//! `[[rule_set]]`: rules that several apps share. A rule of a set is about the apps that name the set.

use policy::{Apps, RuleSetId};

use super::names::{self, NAME_REMEDY};
use super::rule::{Around, Rules, read_shared};
use crate::walk::{Seen, Table};
use crate::{App, Names, RuleSet};

/// Reads the sets, and adds the rules of those that some app names.
pub(crate) fn read(
    root: &Table<'_>,
    apps: &[App],
    around: &Around<'_>,
    seen: &mut Seen,
    rules: &mut Rules,
) -> Option<Vec<RuleSet>> {
    let mut ids = Seen::default();
    let tables = root.tables("rule_set");
    let sets = tables.iter().map(|table| read_one(table, apps, around, &mut ids, seen, rules));
    sets.collect::<Vec<_>>().into_iter().collect()
}

fn read_one(
    table: &Table<'_>,
    apps: &[App],
    around: &Around<'_>,
    ids: &mut Seen,
    seen: &mut Seen,
    rules: &mut Rules,
) -> Option<RuleSet> {
    let id = table.needed("id", "`id = \"images\"`", |value| {
        let id = value.parse(RuleSetId::parse, NAME_REMEDY)?;
        ids.claim(&value, id.as_str(), "give each rule set its own id")?;
        Some(id)
    });
    let default_name = id.as_ref().map(ToString::to_string).unwrap_or_default();
    let default_name = Names { ja: default_name.clone(), en: default_name };
    let name = table.or("name", default_name, |value| names::read(&value));
    let naming = apps.iter().filter(|app| id.as_ref().is_some_and(|id| app.rule_sets.contains(id)));
    let naming: Vec<_> = naming.map(|app| app.id.clone()).collect();
    let of_set: Option<Vec<_>> = table
        .tables("rule")
        .iter()
        .map(|row| {
            let rule = read_shared(row, Apps::Only(naming.clone()), around, seen)?;
            let id = rule.id.clone();
            if !naming.is_empty() {
                rules.add(rule, row);
            }
            Some(id)
        })
        .collect::<Vec<_>>()
        .into_iter()
        .collect();
    table.finish();
    Some(RuleSet { id: id?, name: name?, rules: of_set?, apps: naming })
}
