//! `[roles]`: what people may act as.

use std::collections::BTreeMap;

use policy::RoleId;

use super::names::{self, NAME_REMEDY};
use crate::Names;
use crate::walk::Table;

pub(crate) fn read(table: &Table<'_>) -> Option<BTreeMap<RoleId, Names>> {
    let read_one = |(key, value): (&str, crate::walk::Value<'_>)| {
        let id = match RoleId::parse(key) {
            Ok(id) => Some(id),
            Err(problem) => value.wrong(problem.to_string(), NAME_REMEDY),
        };
        let names = names::read(&value);
        Some((id?, names?))
    };
    table.entries().into_iter().map(read_one).collect::<Vec<_>>().into_iter().collect()
}
