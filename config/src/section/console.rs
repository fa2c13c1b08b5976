//! `[console]`: who may use the console, by role; `[[console.auditor]]`: who looks at a part of the log.

use policy::{ConsoleRoles, Host, Readers, RoleId, Unit};

use super::names::NAME_REMEDY;
use crate::declared::Declared;
use crate::walk::{Table, Value};
use crate::{BreakGlass, Maintenance};

pub(crate) fn read(table: &Table<'_>, declared: &Declared, host: Option<Option<&Host>>) -> Option<ConsoleRoles> {
    let role = |value: Value<'_>| {
        let role = value.parse(RoleId::parse, NAME_REMEDY)?;
        declared.role(&value, role.as_str())?;
        Some(role)
    };
    let administrators = match host {
        Some(Some(_)) => {
            table.needed("administrators", "`administrators = [\"administrator\"]`", |value| value.some(role))
        }
        Some(None) | None => table.list("administrators", role),
    };
    let help_desk = table.list("help_desk", role);
    let auditors = table.list("auditors", role);
    let readers = table.tables("auditor");
    let readers = readers.iter().map(|table| read_auditor(table, declared)).collect::<Vec<_>>();
    let readers: Option<Vec<Vec<Readers>>> = readers.into_iter().collect();
    table.finish();
    let roles = ConsoleRoles {
        administrators: administrators?,
        help_desk: help_desk?,
        auditors: auditors?,
        readers: readers?.into_iter().flatten().collect(),
        ..ConsoleRoles::default()
    };
    if host == Some(None) && roles != ConsoleRoles::default() {
        return table.wrong(
            "names roles, but there is no console",
            "add `console_host = \"console.hospital.example.jp\"` to `[gateway]`",
        );
    }
    Some(roles)
}

/// The same with those who decide on exceptions, whom other sections name.
pub(crate) fn with_deciders(
    roles: ConsoleRoles,
    maintenance: Option<&Maintenance>,
    glass: Option<&BreakGlass>,
) -> ConsoleRoles {
    let mut approvers: Vec<RoleId> =
        maintenance.iter().flat_map(|one| one.approvers.iter().chain(&one.emergency_approvers)).cloned().collect();
    approvers.sort();
    approvers.dedup();
    let reviewers = glass.map(|one| one.reviewers.clone()).unwrap_or_default();
    let recording_readers = maintenance.map(|one| one.recording_readers.clone()).unwrap_or_default();
    ConsoleRoles { approvers, reviewers, recording_readers, ..roles }
}

/// Roles that look at what was done in some departments.
fn read_auditor(table: &Table<'_>, declared: &Declared) -> Option<Vec<Readers>> {
    let roles = table.needed("roles", "`roles = [\"ward-auditor\"]`", |value| {
        value.some(|value| {
            let role = value.parse(RoleId::parse, NAME_REMEDY)?;
            declared.role(&value, role.as_str())?;
            Some(role)
        })
    });
    let units = table.needed("departments", "`departments = [\"3階東病棟\"]`", |value| {
        value.some(|value| {
            value.parse(str::parse::<Unit>, "write it as people and devices have it, such as `3階東病棟`")
        })
    });
    table.finish();
    let (roles, units) = (roles?, units?);
    Some(roles.into_iter().map(|role| Readers { role, units: units.clone() }).collect())
}
