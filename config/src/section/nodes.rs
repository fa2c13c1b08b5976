//! `[nodes]`: the machines that serve together. The section is the same on each of them; which one a machine is stands in
//! a file of its own, so that one configuration has one revision everywhere.

use std::time::Duration;

use crate::files::Files;
use crate::walk::{Table, Value};
use crate::{NodeName, Nodes};

/// More nodes than any house has; each reads what all others say, every second.
const NODES_MAX: usize = 16;
const DEFAULT_SILENT_AFTER: Duration = Duration::from_secs(15);
const HOUR: Duration = Duration::from_secs(3_600);
const NAME_FORM: &str = "write small letters, digits and hyphens, 32 at most, such as `gw01`";

/// Nothing where there is only one machine.
pub(crate) fn read(table: &Table<'_>, files: &Files<'_>) -> Option<Option<Nodes>> {
    let names = table.optional("names", |value| names(&value));
    let named = names.as_ref().and_then(Option::as_deref).unwrap_or_default();
    let own = table.optional("name_file", |value| own(&value, files, named));
    let silent_after =
        table.or("silent_after", DEFAULT_SILENT_AFTER, |value| value.time(Duration::from_secs(5)..=HOUR));
    let own_is_missing = matches!((&names, &own), (Some(Some(_)), Some(None)));
    if matches!((&names, &own), (Some(None), Some(Some(_)))) {
        table.needed("names", "`names = [\"gw01\", \"gw02\"]`, all nodes and this one too", |_| Some(()));
    }
    if own_is_missing {
        table.needed("name_file", "`name_file = \"node\"`, a file that holds the name of this machine", |_| Some(()));
    }
    table.finish();
    match (names?, own?) {
        (Some(names), Some(own)) => Some(Some(Nodes { own, names, silent_after: silent_after? })),
        (Some(_), None) => None,
        (None, Some(_) | None) => Some(None),
    }
}

fn names(value: &Value<'_>) -> Option<Vec<NodeName>> {
    let mut named: Vec<NodeName> = Vec::new();
    for name in value.some(|value| value.parse(NodeName::parse, NAME_FORM))? {
        if named.contains(&name) {
            return value.wrong(format!("names `{name}` twice"), "give each node a name of its own");
        }
        named.push(name);
    }
    if !(2..=NODES_MAX).contains(&named.len()) {
        let remedy = "name all nodes, this one too, or leave `[nodes]` out where there is one machine";
        return value.wrong(format!("names {} nodes; it takes 2 to {NODES_MAX}", named.len()), remedy);
    }
    Some(named)
}

/// The name in the file.
fn own(value: &Value<'_>, files: &Files<'_>, named: &[NodeName]) -> Option<NodeName> {
    let (path, text) = files.of_machine(value)?;
    let path = path.display();
    let name = match NodeName::parse(text.trim()) {
        Ok(name) => name,
        Err(problem) => return value.wrong(format!("`{path}`: {problem}"), NAME_FORM),
    };
    if !named.is_empty() && !named.contains(&name) {
        return value.wrong(
            format!("`{path}` says that this machine is `{name}`, which is not in `names`"),
            "write one of `names` into the file, or add the node to `names` on every machine",
        );
    }
    Some(name)
}
