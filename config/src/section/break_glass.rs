//! `[break_glass]`: what the hospital asks of whoever breaks the glass, and whether anybody ever should.

use std::time::Duration;

use policy::{RoleId, Rule, Subjects};

use super::maintenance::role;
use super::names;
use crate::declared::Declared;
use crate::walk::{Table, Value};
use crate::{BreakGlass, Maintenance, Names};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// The most reasons: more than a person reads in an emergency.
const REASONS_MAX: usize = 12;
/// The longest code of a reason, in bytes.
const CODE_BYTES_MAX: usize = 40;

pub(crate) fn read(table: &Table<'_>, declared: &Declared, has_console: Option<bool>) -> Option<BreakGlass> {
    let usual = BreakGlass::default();
    let reasons = table.or("reasons", usual.reasons, |value| reasons(&value));
    let length = table.or("length", usual.length, |value| value.time(MINUTE..=12 * HOUR));
    let review_within = table.or("review_within", usual.review_within, |value| value.time(HOUR..=30 * DAY));
    let reviewers = table.list("reviewers", |value| role(&value, declared));
    let block = table.or("block_unreviewed", usual.block_unreviewed, |value| value.yes_or_no());
    table.finish();
    let read = BreakGlass {
        reasons: reasons?,
        length: length?,
        review_within: review_within?,
        reviewers: reviewers?,
        block_unreviewed: block?,
    };
    if has_console == Some(false) && !read.reviewers.is_empty() {
        return table.wrong(
            "names reviewers, but there is no console where they could review",
            "add `console_host = \"console.hospital.example.jp\"` to `[gateway]`",
        );
    }
    Some(read)
}

fn reasons(value: &Value<'_>) -> Option<Vec<(String, Names)>> {
    let read_one = |(code, value): (&str, Value<'_>)| {
        let is_code = (1..=CODE_BYTES_MAX).contains(&code.len())
            && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !is_code {
            return value.wrong("is not a code", "write a-z, 0-9 and `-`, such as `emergency`");
        }
        Some((code.to_owned(), names::read(&value)?))
    };
    let read: Vec<_> =
        value.table()?.entries().into_iter().map(read_one).collect::<Vec<_>>().into_iter().collect::<Option<_>>()?;
    match read.len() {
        0 => value.wrong("names no reason", "name at least one, such as `emergency = \"救急・急変\"`"),
        1..=REASONS_MAX => Some(read),
        _ => value.wrong(format!("names more than {REASONS_MAX} reasons"), "name those that people tell apart"),
    }
}

/// Tells of rules that let people break glass that nobody reviews, or that a vendor's person could break.
pub(crate) fn look_at(
    rules: &[Rule],
    maintenance: &Maintenance,
    glass: &BreakGlass,
    mut tell: impl FnMut(&Rule, String, &'static str),
) {
    for rule in rules.iter().filter(|rule| rule.break_glass) {
        if glass.reviewers.is_empty() {
            tell(
                rule,
                "asks for `break_glass`, but nobody reviews what is done then".to_owned(),
                "name `reviewers` in `[break_glass]`",
            );
        }
        let Subjects::Roles(roles) = &rule.subjects else { continue };
        let is_vendors = |role: &&RoleId| {
            maintenance.vendor_roles.contains(role) || maintenance.vendor_administrators.contains(role)
        };
        for role in roles.iter().filter(is_vendors) {
            tell(
                rule,
                format!("lets `{role}`, a vendor's role, break the glass"),
                "write a rule of its own for vendors, with `grant = true`",
            );
        }
    }
}
