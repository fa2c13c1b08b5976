//! `[maintenance]`: what the hospital asks of vendors' windows.

use std::time::Duration;

use policy::RoleId;

use super::hours;
use super::names::NAME_REMEDY;
use crate::Maintenance;
use crate::declared::Declared;
use crate::walk::{Table, Value};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

pub(crate) fn read(table: &Table<'_>, declared: &Declared, has_console: Option<bool>) -> Option<Maintenance> {
    let usual = Maintenance::default();
    let role = |value: Value<'_>| role(&value, declared);
    let vendor_roles = table.list("vendor_roles", role);
    let vendor_administrators = table.list("vendor_administrators", role);
    let approvers = table.list("approvers", role);
    let people = table.or("people", usual.people, |value| value.count(1..=2));
    let hours = hours::read(table);
    let emergency_approvers = table.list("emergency_approvers", role);
    let approve_within = table.or("approve_within", usual.approve_within, |value| value.time(HOUR..=7 * DAY));
    let max_length = table.or("max_length", usual.max_length, |value| value.time(MINUTE..=7 * DAY));
    let max_ahead = table.or("max_ahead", usual.max_ahead, |value| value.time(HOUR..=366 * DAY));
    let report_within = table.or("report_within", usual.report_within, |value| value.time(HOUR..=90 * DAY));
    let recording_readers = table.list("recording_readers", role);
    let block = table.or("block_when_overdue", usual.block_when_overdue, |value| value.yes_or_no());
    table.finish();
    let read = Maintenance {
        vendor_roles: vendor_roles?,
        vendor_administrators: vendor_administrators?,
        approvers: approvers?,
        people: people?,
        hours: hours?,
        emergency_approvers: emergency_approvers?,
        approve_within: approve_within?,
        max_length: max_length?,
        max_ahead: max_ahead?,
        report_within: report_within?,
        block_when_overdue: block?,
        recording_readers: recording_readers?,
    };
    if has_console == Some(false) && !read.recording_readers.is_empty() {
        return table.wrong(
            "names roles that look at recordings, but there is no console where they could",
            "add `console_host = \"console.hospital.example.jp\"` to `[gateway]`",
        );
    }
    if has_console == Some(false) && !(read.approvers.is_empty() && read.emergency_approvers.is_empty()) {
        return table.wrong(
            "names approvers, but there is no console where they could approve",
            "add `console_host = \"console.hospital.example.jp\"` to `[gateway]`",
        );
    }
    both(&read).map_or(Some(()), |role| {
        table.wrong(
            format!("`{role}` is a vendor's role and an approver's"),
            "give the people of vendors a role of their own",
        )
    })?;
    if let Some(role) = read.recording_readers.iter().find(|role| read.is_vendors(role)) {
        return table.wrong(
            format!("`{role}` is a vendor's role and looks at recordings"),
            "give whoever looks at recordings a role of their own",
        );
    }
    Some(read)
}

/// A role that asks and decides.
fn both(read: &Maintenance) -> Option<&RoleId> {
    read.approvers.iter().chain(&read.emergency_approvers).find(|role| read.is_vendors(role))
}

/// A role that is declared.
pub(crate) fn role(value: &Value<'_>, declared: &Declared) -> Option<RoleId> {
    let role = value.parse(RoleId::parse, NAME_REMEDY)?;
    declared.role(value, role.as_str())?;
    Some(role)
}
