//! `[console]`: who may use the console, by role.

use policy::{ConsoleRoles, Host, RoleId};

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
    table.finish();
    let roles = ConsoleRoles {
        administrators: administrators?,
        help_desk: help_desk?,
        auditors: auditors?,
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
