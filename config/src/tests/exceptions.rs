//! `[maintenance]` and `[break_glass]`: what is read, and which rules they have a say in.

use std::time::Duration;

use super::{Folder, SHORT};
use crate::{BreakGlass, Maintenance};

/// The short configuration with a console, vendors and reviewers.
fn with(more: &str, rule: &str) -> String {
    let whole = SHORT
        .replace("portal_host = \"portal.sakura.example\"", "portal_host = \"portal.sakura.example\", console_host = \"console.sakura.example\"")
        .replace("roles = { nurse = \"看護師\" }", "roles = { nurse = \"看護師\", vendor = \"業者\", chief = \"責任者\", duty = \"当直\" }\nconsole.administrators = [\"chief\"]");
    format!("{whole}{rule}\n{more}\n")
}

#[test]
fn nothing_said_lets_nobody_in() {
    let config = Folder::new().parse(SHORT).unwrap();
    assert_eq!((&config.maintenance, &config.break_glass), (&Maintenance::default(), &BreakGlass::default()));
    assert!(config.maintenance.approvers.is_empty() && config.break_glass.reviewers.is_empty());
    assert!(config.console.approvers.is_empty() && config.console.reviewers.is_empty());
}

#[test]
fn what_is_said_is_read_and_whoever_decides_may_come_to_the_console() {
    let text = with(
        "[maintenance]\nvendor_roles = [\"vendor\"]\napprovers = [\"chief\"]\nemergency_approvers = [\"duty\", \"chief\"]\n\
         people = 2\nhours = \"08:00-18:00\"\nmax_length = \"4h\"\nblock_when_overdue = false\n\
         [break_glass]\nreviewers = [\"chief\"]\nlength = \"30m\"\nreasons = { ward = \"病棟\", other = { ja = \"他\", en = \"Other\" } }",
        "break_glass = true",
    );
    let config = Folder::new().parse(&text).unwrap();
    let maintenance = &config.maintenance;
    assert_eq!((maintenance.people, maintenance.max_length), (2, Duration::from_secs(4 * 3_600)));
    assert!(maintenance.hours.is_some() && !maintenance.block_when_overdue);
    assert_eq!(config.console.approvers.iter().map(|role| role.as_str()).collect::<Vec<_>>(), ["chief", "duty"]);
    assert_eq!(config.console.reviewers.iter().map(|role| role.as_str()).collect::<Vec<_>>(), ["chief"]);
    let glass = &config.break_glass;
    assert_eq!(glass.length, Duration::from_secs(1_800));
    assert_eq!(glass.reason("other").map(|names| names.en.as_str()), Some("Other"));
    assert_eq!((glass.reason("emergency"), glass.reasons.len()), (None, 2), "the hospital's own instead of the usual");
    assert!(config.policy.rules[0].break_glass);
}

#[test]
fn no_role_is_a_vendors_and_the_hospitals() {
    let said = Folder::new().said(&with("[maintenance]\nvendor_roles = [\"vendor\"]\napprovers = [\"vendor\"]", ""));
    assert!(said.len() == 1 && said[0].contains("`vendor` is a vendor's role and an approver's"), "{said:?}");
}

#[test]
fn recordings_are_for_roles_of_the_hospital_that_are_declared() {
    let text = with("[maintenance]\nrecording_readers = [\"chief\"]", "");
    let config = Folder::new().parse(&text).unwrap();
    assert_eq!(config.console.recording_readers.iter().map(|role| role.as_str()).collect::<Vec<_>>(), ["chief"]);
    for (mistake, expected) in [
        (
            "vendor_roles = [\"vendor\"]\nrecording_readers = [\"vendor\"]",
            "`vendor` is a vendor's role and looks at recordings",
        ),
        ("recording_readers = [\"nobody\"]", "`nobody`"),
    ] {
        let said = Folder::new().said(&with(&format!("[maintenance]\n{mistake}"), ""));
        assert!(said.len() == 1 && said[0].contains(expected), "{said:?}");
    }
}

#[test]
fn a_rule_that_would_let_a_vendor_break_the_glass_is_told_at_its_line() {
    let text =
        with("[maintenance]\nvendor_roles = [\"nurse\"]\n[break_glass]\nreviewers = [\"chief\"]", "break_glass = true");
    let said = Folder::new().said(&text);
    assert!(
        said.len() == 1 && said[0].contains("rule[nurses-use-emr]: lets `nurse`, a vendor's role, break the glass"),
        "{said:?}"
    );
}
