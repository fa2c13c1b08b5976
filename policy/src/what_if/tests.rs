//! What people are told, on cases that a hospital knows.

use std::sync::Arc;

use super::*;
use crate::fixtures::{access_with, moment, rule, rule_with, source, ward_terminal, who_with};
use crate::{Action, Assurance, ConsoleRoles, Day, DeviceClass, Devices, Hours, Rule, Subjects, Weekday, ZoneId};

fn policy(rules: Vec<Rule>, cedar: &str) -> Arc<Policy> {
    let mut source = source(rules, cedar);
    source.console = ConsoleRoles { administrators: vec!["administrator".parse().unwrap()], ..ConsoleRoles::default() };
    Arc::new(Policy::load(&source).unwrap())
}

fn turns(policy: &Arc<Policy>, access: &Access) -> Vec<String> {
    let plain = |one: &Alteration| format!("{one:?}").replace("RoleId(", "").replace("ZoneId(", "").replace("))", ")");
    let either = |changes: &Vec<Alteration>| changes.iter().map(plain).collect::<Vec<_>>().join(" | ");
    let turn = |turn: &Turn| turn.changes.iter().map(either).collect::<Vec<_>>().join(" + ");
    what_if(policy, access).turns.iter().map(turn).collect()
}

#[test]
fn a_refusal_is_turned_by_the_least_that_is_missing() {
    let policy = policy(
        vec![
            rule_with("near", |rule| {
                rule.devices = Devices::Classes(vec![DeviceClass::Tablet, DeviceClass::Fixed]);
            }),
            rule_with("far", |rule| {
                rule.subjects = Subjects::Roles(vec!["doctor".parse().unwrap()]);
                rule.devices = Devices::Classes(vec![DeviceClass::Tablet]);
            }),
        ],
        "",
    );
    let told = what_if(&policy, &access_with(|_| {}));
    assert_eq!(told.answer.rule().as_str(), "near");
    assert_eq!(turns(&policy, &access_with(|_| {})), ["Device(Tablet) | Device(Fixed)"]);
    let near: Vec<_> = told.rules.iter().map(|one| (one.rule.as_str(), one.part, one.missing.len())).collect();
    assert_eq!(near, [("near", Part::Decided, 1), ("far", Part::Near, 2)]);
}

#[test]
fn strangers_sign_in_first_and_then_have_a_role() {
    let policy = policy(vec![rule("nurses", "nurse", "emr"), rule("doctors", "doctor", "emr")], "");
    let stranger = access_with(|access| access.who = None);
    assert_eq!(turns(&policy, &stranger), ["SignIn + Role(nurse) | Role(doctor)"]);
    assert!(ways_for_them(&policy, &stranger).is_empty(), "a stranger is told nothing of it");
}

#[test]
fn hours_are_told_by_the_moment_at_which_they_begin() {
    let policy = policy(
        vec![rule_with("office", |rule| {
            let days = vec![Day::Week(Weekday::Monday)];
            rule.hours = Some(Hours { days, from_minute: 8 * 60 + 30, to_minute: 17 * 60 });
        })],
        "",
    );
    // Friday.
    let monday = moment("2026-11-23T08:30:00");
    let told = what_if(&policy, &access_with(|_| {}));
    assert_eq!(told.turns, [Turn { changes: vec![vec![Alteration::At(monday)]] }]);
}

#[test]
fn a_forbid_is_dodged_only_by_what_keeps_it_away() {
    let policy = policy(
        vec![
            rule("nurses", "nurse", "emr"),
            rule_with("not-from-wards", |rule| {
                rule.effect = Effect::Forbid;
                rule.subjects = Subjects::Anyone;
                rule.devices = Devices::Classes(vec![DeviceClass::WardShared, DeviceClass::Byod]);
                rule.zones = vec!["ward".parse::<ZoneId>().unwrap()];
            }),
            rule_with("office", |rule| rule.zones = vec!["office".parse().unwrap()]),
        ],
        "",
    );
    let told = turns(&policy, &access_with(|_| {}));
    assert!(told.contains(&"Zone(office)".to_owned()), "{told:?}");
    assert!(told.iter().any(|turn| turn.starts_with("Device(") && !turn.contains("Byod")), "{told:?}");
}

#[test]
fn what_no_rule_gives_is_turned_by_nothing() {
    let policy = policy(vec![rule("nurses", "nurse", "emr")], "");
    let told = what_if(&policy, &access_with(|access| access.action = Action::Delete));
    assert!(!told.answer.is_allowed() && told.turns.is_empty());
}

#[test]
fn a_permit_is_turned_by_what_it_rests_on() {
    let policy = policy(
        vec![
            rule_with("nurses", |rule| {
                rule.devices = Devices::Known;
                rule.zones = vec!["ward".parse().unwrap()];
            }),
            rule("elsewhere", "nurse", "pacs"),
        ],
        "",
    );
    let told = what_if(&policy, &access_with(|_| {}));
    let Answered::Allowed { until, .. } = &told.answer else { panic!("{told:?}") };
    assert_eq!(*until, moment("2026-11-20T18:00:00"), "the session's end");
    let told = turns(&policy, &access_with(|_| {}));
    for expected in ["SignOut", "WithoutRole(nurse)", "WithoutDevice", "ProviderOut"] {
        assert!(told.iter().any(|turn| turn == expected), "{expected} in {told:?}");
    }
}

#[test]
fn what_cedar_asks_is_found_by_trial() {
    let policy = policy(
        vec![rule_with("wards", |rule| rule.zones = vec!["office".parse().unwrap()])],
        r#"@id("sure") permit (principal, action, resource == Sekimori::App::"pacs")
            when { context.assurance >= 3 && context.zone == "office" };"#,
    );
    let access = access_with(|access| access.app = "pacs".parse().unwrap());
    let told = turns(&policy, &access);
    assert_eq!(told, ["Assurance(Aal3) + Zone(office)"]);
    let rules = what_if(&policy, &access).rules;
    assert!(rules.iter().any(|one| one.rule.as_str() == "sure" && one.in_cedar), "{rules:?}");
}

#[test]
fn the_gateways_own_rules_are_explained_too() {
    let policy = policy(vec![], "");
    let access = access_with(|access| {
        access.app = "console".parse().unwrap();
        access.device = None;
        access.who = who_with(|who| who.bound_to = None);
    });
    let told = what_if(&policy, &access);
    assert_eq!(told.rules.first().map(|one| one.rule.as_str()), Some("builtin-console"));
    assert_eq!(turns(&policy, &access), ["Role(administrator) + KnownDevice + Assurance(Aal2)"]);
}

#[test]
fn a_session_of_another_device_is_opened_anew_here() {
    let policy = policy(vec![rule("nurses", "nurse", "emr")], "");
    let access = access_with(|access| {
        let tablet = crate::Device { id: "tablet-9".parse().unwrap(), ..ward_terminal() };
        access.device = Some(Arc::new(tablet));
    });
    assert_eq!(turns(&policy, &access), ["SignInHere"]);
    assert_eq!(ways_for_them(&policy, &access).len(), 1);
}

#[test]
fn people_are_told_what_they_can_do_and_nothing_else() {
    let policy = policy(
        vec![
            rule("doctors", "doctor", "emr"),
            rule_with("sure", |rule| rule.assurance = Some(Assurance::Aal2)),
            rule_with("granted", |rule| rule.grant = true),
        ],
        "",
    );
    let ways = ways_for_them(&policy, &access_with(|_| {}));
    assert_eq!(ways, [Turn { changes: vec![vec![Alteration::Assurance(Assurance::Aal2)]] }]);
}

#[test]
fn a_page_waits_for_few_tries_and_an_explanation_for_all() {
    let in_zone = |number: usize| {
        rule_with(&format!("zone-{number}"), |rule| rule.zones = vec![format!("zone-{number}").parse().unwrap()])
    };
    let policy = policy((0..50).map(in_zone).collect(), "");
    let zones = |turns: &[Turn]| turns.iter().flat_map(|turn| &turn.changes).flatten().count();
    let access = access_with(|_| {});
    assert_eq!(zones(&what_if(&policy, &access).turns), 50);
    // Two tries a row: what it lacks, and whether that is all.
    assert_eq!(zones(&ways_for_them(&policy, &access)), TRIALS_MAX_FOR_A_PAGE / 2);
}
