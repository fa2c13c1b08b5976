//! Verdicts on the small hospital, the refusals first.

use std::sync::Arc;
use std::time::Duration;

use crate::fixtures::{access_with, judge, moment, nurse_reads_emr, rule, rule_with, source, ward_terminal, who_with};
use crate::memo::{ANSWERS_MAX, PATH_REMEMBERED_BYTES_MAX};
use crate::{
    Access, Action, Apps, Assurance, Day, Device, DeviceClass, Devices, Durability, Effect, Hours, Judge, Path,
    PathPattern, Policy, PolicySource, Rule, Subjects, Timestamp, Verdict, Weekday,
};

/// The verdict in one line: the word, the rule, the reasons.
pub(crate) fn told(judge: &mut Judge, access: Access) -> String {
    match judge.judge(access, ()) {
        Verdict::Allow(authorized) => format!("allow {}", authorized.permit().rule()),
        Verdict::Challenge(refused, challenge) => format!("{challenge:?} {}", reasons(&refused.reasons)),
        Verdict::Deny(refused) => format!("deny {}", reasons(&refused.reasons)),
    }
}

fn reasons(reasons: &crate::Reasons) -> String {
    let others: String = reasons.others.iter().map(|other| format!(" +{other}")).collect();
    format!("{} {}{others}", reasons.rule, reasons.main)
}

pub(crate) fn until(judge: &mut Judge, access: Access) -> Timestamp {
    match judge.judge(access, ()) {
        Verdict::Allow(authorized) => authorized.permit().until(),
        refused @ (Verdict::Challenge(..) | Verdict::Deny(_)) => panic!("{refused:?}"),
    }
}

#[track_caller]
pub(crate) fn check(rules: Vec<Rule>, cedar: &str, access: Access, expected: &str) {
    let mut judge = judge(rules, cedar);
    assert_eq!(told(&mut judge, access.clone()), expected);
    assert_eq!(told(&mut judge, access), expected, "when remembered");
}

pub(crate) fn nurse_reads() -> Rule {
    rule("nurse-reads", "nurse", "emr")
}

pub(crate) fn changed(change: impl FnOnce(&mut Rule)) -> Vec<Rule> {
    vec![rule_with("nurse-reads", change)]
}

pub(crate) fn nobody() -> Access {
    access_with(|access| access.who = None)
}

fn app(name: &str) -> impl Fn(&mut Access) {
    let name = name.parse().unwrap();
    move |access| access.app = Clone::clone(&name)
}

#[test]
fn nothing_is_allowed_by_default() {
    check(vec![], "", nurse_reads_emr(), "deny default-deny role-not-allowed");
    check(vec![], "", nobody(), "deny default-deny role-not-allowed");
}

#[test]
fn an_app_that_is_not_configured_is_refused() {
    let everyone = rule_with("all", |rule| (rule.subjects, rule.apps) = (Subjects::Anyone, Apps::All));
    check(vec![everyone.clone()], "", nurse_reads_emr(), "allow all");
    check(vec![everyone], "", access_with(app("ghost")), "deny default-deny role-not-allowed");
}

#[test]
fn a_role_without_a_rule_is_refused() {
    check(vec![rule("doctors", "doctor", "emr")], "", nurse_reads_emr(), "deny default-deny role-not-allowed");
    check(vec![rule("pacs", "nurse", "pacs")], "", nurse_reads_emr(), "deny default-deny role-not-allowed");
}

#[test]
fn a_nurse_who_may_read_may_not_delete() {
    let deletes = access_with(|access| access.action = Action::Delete);
    check(vec![nurse_reads()], "", nurse_reads_emr(), "allow nurse-reads");
    check(vec![nurse_reads()], "", deletes.clone(), "deny nurse-reads action-not-allowed");
    check(changed(|rule| rule.actions = vec![Action::Write]), "", deletes, "allow nurse-reads");
}

#[test]
fn a_doctor_without_a_known_device_is_told_so() {
    let without = access_with(|access| {
        access.device = None;
        access.who = who_with(|who| who.bound_to = None);
    });
    check(changed(|rule| rule.devices = Devices::Known), "", without.clone(), "deny nurse-reads device-required");
    let tablets = |rule: &mut Rule| rule.devices = Devices::Classes(vec![DeviceClass::Tablet]);
    check(changed(tablets), "", without, "deny nurse-reads device-required");
    check(changed(tablets), "", nurse_reads_emr(), "deny nurse-reads device-class-not-allowed");
}

#[test]
fn path_zone_and_hours_each_have_their_reason() {
    let paths = |rule: &mut Rule| rule.paths = vec![PathPattern::parse("/fhir/Observation/*").unwrap()];
    check(changed(paths), "", nurse_reads_emr(), "deny nurse-reads path-not-allowed");
    let zones = |rule: &mut Rule| rule.zones = vec!["office".parse().unwrap()];
    check(changed(zones), "", nurse_reads_emr(), "deny nurse-reads zone-not-allowed");
    let hours = |rule: &mut Rule| {
        rule.hours = Some(Hours { days: vec![Day::Week(Weekday::Friday)], from_minute: 11 * 60, to_minute: 12 * 60 });
    };
    check(changed(hours), "", nurse_reads_emr(), "deny nurse-reads outside-hours");
    let both = rule_with("far", |rule| {
        zones(rule);
        hours(rule);
    });
    check(vec![both], "", nurse_reads_emr(), "deny far zone-not-allowed +outside-hours");
}

#[test]
fn the_nearest_rule_is_told() {
    let far = rule_with("far", |rule| {
        rule.zones = vec!["office".parse().unwrap()];
        rule.devices = Devices::Classes(vec![DeviceClass::Tablet]);
    });
    let near = rule_with("near", |rule| rule.devices = Devices::Classes(vec![DeviceClass::Tablet]));
    let other_path = rule_with("other-path", |rule| rule.paths = vec![PathPattern::parse("/x").unwrap()]);
    let other_action = rule_with("other-action", |rule| rule.actions = vec![Action::Connect]);
    let other_role = rule("other-role", "doctor", "emr");
    let rules = vec![other_role, other_action, other_path, far, near];
    check(rules, "", nurse_reads_emr(), "deny near device-class-not-allowed");
}

#[test]
fn step_up_is_asked_for_when_nothing_else_is_missing() {
    let sure = |rule: &mut Rule| rule.assurance = Some(Assurance::Aal2);
    check(changed(sure), "", nurse_reads_emr(), "StepUp(Aal2) nurse-reads step-up-required");
    let fresh = |rule: &mut Rule| rule.authenticated_within = Some(Duration::from_secs(900));
    check(changed(fresh), "", nurse_reads_emr(), "StepUp(Aal1) nurse-reads step-up-required");
    let in_vain = |rule: &mut Rule| {
        (rule.assurance, rule.devices) = (Some(Assurance::Aal2), Devices::Classes(vec![DeviceClass::Tablet]))
    };
    check(changed(in_vain), "", nurse_reads_emr(), "deny nurse-reads device-class-not-allowed +step-up-required");
}

#[test]
fn a_stranger_is_asked_to_sign_in_where_somebody_could_be_allowed() {
    check(vec![nurse_reads()], "", nobody(), "SignIn nurse-reads sign-in-required");
    let known = changed(|rule| rule.devices = Devices::Known);
    let stranger = access_with(|access| (access.who, access.device) = (None, None));
    check(known, "", stranger, "SignIn nurse-reads sign-in-required +device-required");
    let deletes = access_with(|access| (access.who, access.action) = (None, Action::Delete));
    check(vec![nurse_reads()], "", deletes, "deny default-deny role-not-allowed");
    let zoned = changed(|rule| {
        rule.subjects = Subjects::Anyone;
        rule.zones = vec!["office".parse().unwrap()];
    });
    check(zoned, "", nobody(), "deny nurse-reads zone-not-allowed");
}

#[test]
fn a_session_that_is_over_is_nobody() {
    let over = access_with(|access| access.who = who_with(|who| who.ends_at = moment("2026-11-20T10:00:00")));
    check(vec![nurse_reads()], "", over, "SignIn nurse-reads sign-in-required");
}

#[test]
fn a_session_on_another_device_is_refused_whatever_is_allowed() {
    let elsewhere = access_with(|access| {
        access.device = Some(Arc::new(Device { id: "stolen".parse().unwrap(), ..ward_terminal() }));
    });
    check(vec![nurse_reads()], "", elsewhere.clone(), "deny builtin-other-device other-device");
    let without = access_with(|access| access.device = None);
    check(vec![nurse_reads()], "", without, "deny builtin-other-device other-device");
    let unbound = access_with(|access| access.who = who_with(|who| who.bound_to = None));
    check(vec![nurse_reads()], "", unbound, "deny builtin-other-device other-device");
    let portal = Access { app: "portal".parse().unwrap(), ..elsewhere };
    check(vec![], "", portal, "deny builtin-other-device other-device");
}

#[test]
fn a_forbid_wins() {
    let forbid = rule_with("no-ward-terminals", |rule| {
        rule.effect = Effect::Forbid;
        rule.subjects = Subjects::Anyone;
        rule.devices = Devices::Classes(vec![DeviceClass::WardShared]);
    });
    check(vec![nurse_reads(), forbid.clone()], "", nurse_reads_emr(), "deny no-ward-terminals forbidden");
    check(vec![nurse_reads(), forbid], "", nobody(), "deny no-ward-terminals forbidden");
    let cedar = r#"@id("no-ward") forbid (principal, action, resource) when { context.zone == "ward" };"#;
    check(vec![nurse_reads()], cedar, nurse_reads_emr(), "deny no-ward forbidden");
}

#[test]
fn a_rule_that_fails_denies_even_where_cedar_would_skip_it() {
    let overflow = "when { context.minute + 9223372036854775807 > 0 };";
    for effect in ["forbid", "permit"] {
        let cedar = format!(r#"@id("broken") {effect} (principal, action, resource) {overflow}"#);
        check(vec![nurse_reads()], &cedar, nurse_reads_emr(), "deny broken policy-error");
        let twice = format!("{cedar} {}", cedar.replace("broken", "also-broken"));
        check(vec![nurse_reads()], &twice, nurse_reads_emr(), "deny broken policy-error");
    }
}

#[test]
fn sign_in_can_never_be_shut_and_the_portal_is_for_everyone_signed_in() {
    let cedar = r#"@id("nothing") forbid (principal, action, resource);"#;
    let forbid_all = rule_with("forbid", |rule| {
        (rule.effect, rule.subjects, rule.apps) = (Effect::Forbid, Subjects::Anyone, Apps::All);
    });
    let rules = || vec![forbid_all.clone()];
    let at = |app_name: &str, action: Action, who: bool| {
        access_with(|access| {
            app(app_name)(access);
            access.action = action;
            access.who = access.who.take().filter(|_| who);
        })
    };
    check(rules(), cedar, at("login", Action::Write, false), "allow builtin-login");
    check(rules(), cedar, at("login", Action::Read, true), "allow builtin-login");
    check(rules(), cedar, at("login", Action::Connect, true), "deny builtin-login action-not-allowed");
    check(rules(), cedar, at("portal", Action::Read, true), "allow builtin-portal");
    check(rules(), cedar, at("portal", Action::Read, false), "SignIn builtin-portal sign-in-required");
    check(rules(), cedar, at("console", Action::Read, true), "deny builtin-console role-not-allowed");
    let open = rule_with("open", |rule| (rule.subjects, rule.apps) = (Subjects::Anyone, Apps::All));
    check(vec![open], "", at("console", Action::Read, true), "deny builtin-console role-not-allowed");
}

#[test]
fn cedar_files_permit_and_their_near_misses_are_challenges_too() {
    let sure = r#"@id("sure") permit (principal in Sekimori::Role::"nurse", action, resource) when { context.assurance >= 2 };"#;
    check(vec![], sure, nurse_reads_emr(), "StepUp(Aal2) sure step-up-required");
    check(vec![], sure, nobody(), "SignIn sure sign-in-required");
    let as_two = access_with(|access| access.who = who_with(|who| who.assurance = Assurance::Aal2));
    check(vec![], sure, as_two.clone(), "allow sure");

    let unless = r#"@id("mfa") forbid (principal, action, resource) unless { context.assurance >= 2 };"#;
    check(vec![nurse_reads()], unless, nurse_reads_emr(), "StepUp(Aal2) mfa step-up-required");
    check(vec![nurse_reads()], unless, nobody(), "SignIn mfa sign-in-required");
    check(vec![nurse_reads()], unless, as_two, "allow nurse-reads");
    check(vec![], unless, nurse_reads_emr(), "deny mfa forbidden");

    let zoned = r#"@id("office") permit (principal in Sekimori::Role::"nurse", action, resource) when { context.zone == "office" };"#;
    check(vec![], zoned, nurse_reads_emr(), "deny office role-not-allowed");
}

#[test]
fn addresses_are_matched_in_cedar_also_when_mapped() {
    let inside =
        r#"@id("inside") permit (principal, action, resource) when { context.address.isInRange(ip("10.0.0.0/8")) };"#;
    check(vec![], inside, nurse_reads_emr(), "allow inside");
    let mapped = access_with(|access| access.from.address = "::ffff:10.1.2.3".parse().unwrap());
    check(vec![], inside, mapped, "allow inside");
    let outside = access_with(|access| access.from.address = "192.0.2.1".parse().unwrap());
    check(vec![], inside, outside, "deny inside role-not-allowed");
}

#[test]
fn a_permit_ends_with_the_first_edge() {
    let ends_at = moment("2026-11-20T18:00:00");
    assert_eq!(until(&mut judge(vec![nurse_reads()], ""), nurse_reads_emr()), ends_at);

    let span = |from_minute, to_minute| Some(Hours { days: Day::ALL.to_vec(), from_minute, to_minute });
    let by_hours = changed(|rule| rule.hours = span(8 * 60, 17 * 60));
    assert_eq!(until(&mut judge(by_hours, ""), nurse_reads_emr()), moment("2026-11-20T17:00:00"));

    let fresh = changed(|rule| rule.authenticated_within = Some(Duration::from_secs(2 * 3_600)));
    assert_eq!(until(&mut judge(fresh, ""), nurse_reads_emr()), moment("2026-11-20T11:00:00"));

    let forbid = rule_with("lunch", |rule| (rule.effect, rule.hours) = (Effect::Forbid, span(12 * 60, 13 * 60)));
    let rules = vec![nurse_reads(), forbid];
    assert_eq!(until(&mut judge(rules, ""), nurse_reads_emr()), moment("2026-11-20T12:00:00"));

    let cedar = r#"@id("day") permit (principal, action, resource) when { context.minute < 1000 };"#;
    assert_eq!(until(&mut judge(vec![], cedar), nurse_reads_emr()), moment("2026-11-20T10:00:01"));

    let just_before = access_with(|access| access.at = Timestamp::from_unix_micros(ends_at.unix_micros() - 5));
    let both = changed(|rule| rule.hours = span(8 * 60, 18 * 60));
    let mut judge = judge(both, &cedar.replace("1000", "1300"));
    let longer = Access { who: who_with(|who| who.ends_at = Timestamp::MAX), ..just_before };
    assert_eq!(until(&mut judge, longer), ends_at, "an edge within the second is not overlooked");
}

#[test]
fn a_remembered_answer_is_given_up_at_its_edge_and_when_the_clock_goes_back() {
    let by_hours = changed(|rule| {
        rule.hours = Some(Hours { days: Day::ALL.to_vec(), from_minute: 8 * 60, to_minute: 17 * 60 });
    });
    let mut judge = judge(by_hours, "");
    let mut at = |time: &str| told(&mut judge, access_with(|access| access.at = moment(time)));
    assert_eq!(at("2026-11-20T16:59:59"), "allow nurse-reads");
    assert_eq!(at("2026-11-20T17:00:00"), "deny nurse-reads outside-hours");
    assert_eq!(at("2026-11-20T16:59:58"), "allow nurse-reads");
    assert_eq!(at("2026-11-20T07:59:59"), "deny nurse-reads outside-hours");
    assert_eq!(at("2026-11-20T08:00:00"), "allow nurse-reads");
}

#[test]
fn what_is_remembered_is_told_apart_by_every_input() {
    let rules = changed(|rule| {
        rule.paths = vec![PathPattern::parse("/fhir/*").unwrap()];
        rule.zones = vec!["ward".parse().unwrap()];
        rule.devices = Devices::Known;
        rule.assurance = Some(Assurance::Aal1);
        rule.authenticated_within = Some(Duration::from_secs(2 * 3_600));
    });
    let mut judge = judge(rules, "");
    let mut check = |change: fn(&mut Access), expected: &str| {
        assert_eq!(told(&mut judge, nurse_reads_emr()), "allow nurse-reads");
        assert_eq!(told(&mut judge, access_with(change)), expected);
    };
    check(|access| access.path = Path::parse("/admin").unwrap(), "deny nurse-reads path-not-allowed");
    check(|access| access.from.zone = "internet".parse().unwrap(), "deny nurse-reads zone-not-allowed");
    check(|access| access.who = None, "SignIn nurse-reads sign-in-required");
    check(|access| access.action = Action::Write, "deny nurse-reads action-not-allowed");
    check(|access| access.device = None, "deny builtin-other-device other-device");
    check(
        |access| (access.device, access.who) = (None, who_with(|who| who.bound_to = None)),
        "deny nurse-reads device-required",
    );
    check(
        |access| access.who = who_with(|who| who.roles = Arc::from(["doctor".parse().unwrap()])),
        "deny default-deny role-not-allowed",
    );
    check(
        |access| access.who = who_with(|who| who.authenticated_at = moment("2026-11-20T07:00:00")),
        "StepUp(Aal1) nurse-reads step-up-required",
    );
}

#[test]
fn the_memory_is_bounded() {
    let rules = || changed(|rule| rule.paths = vec![PathPattern::parse("/*").unwrap()]);
    let path = |path: String| access_with(|access| access.path = Path::parse(&path).unwrap());
    let mut judge = judge(rules(), "");
    for number in 0..ANSWERS_MAX + 10 {
        told(&mut judge, path(format!("/{number}")));
    }
    assert!((1..=ANSWERS_MAX).contains(&judge.remembered()), "{}", judge.remembered());

    let mut judge = crate::fixtures::judge(rules(), "");
    told(&mut judge, path(format!("/{}", "a".repeat(PATH_REMEMBERED_BYTES_MAX))));
    assert_eq!(judge.remembered(), 0, "long paths are not kept");
    told(&mut judge, path("/a".to_owned()));
    assert_eq!(judge.remembered(), 1);
}

#[test]
fn answers_that_read_the_time_in_cedar_are_not_remembered() {
    let cedar = r#"@id("day") permit (principal, action, resource) when { context.auth_age_seconds < 7200 };"#;
    let mut judge = judge(vec![], cedar);
    assert_eq!(told(&mut judge, nurse_reads_emr()), "allow day");
    assert_eq!(judge.remembered(), 0);
}

#[test]
fn records_are_kept_as_the_app_asks() {
    let rules = changed(|rule| rule.actions = vec![Action::Read, Action::Write]);
    let mut judge = judge(rules, "");
    let mut durability = |action| match judge.judge(access_with(|access| access.action = action), ()) {
        Verdict::Allow(authorized) => authorized.permit().durability(),
        refused @ (Verdict::Challenge(..) | Verdict::Deny(_)) => panic!("{refused:?}"),
    };
    assert_eq!(durability(Action::Read), Durability::Written);
    assert_eq!(durability(Action::Write), Durability::Synced);
    assert_eq!(durability(Action::Delete), Durability::Synced);
}

#[test]
fn every_problem_of_table_and_files_is_told_at_once() {
    let mut broken: PolicySource = source(
        vec![nurse_reads(), nurse_reads(), rule("ghost", "nurse", "erm")],
        r#"@id("nurse-reads") permit (principal, action, resource); permit (principal, action, resource);"#,
    );
    let told = |source: &PolicySource| -> Vec<String> {
        Policy::load(source).unwrap_err().iter().map(ToString::to_string).collect()
    };
    let problems = told(&broken);
    assert_eq!(problems.len(), 3, "{problems:?}");
    broken.cedar.push(broken.cedar[0].clone());
    broken.cedar[0].text = "@id(\"nurse-reads\") permit (principal, action, resource);".to_owned();
    let problems = told(&broken);
    assert!(problems.iter().any(|problem| problem.starts_with("extra.cedar:1:1: `nurse-reads`")), "{problems:?}");
    assert_eq!(problems.len(), 4, "{problems:?}");
}

#[test]
fn a_policy_is_shared_and_a_judge_is_sent() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<Policy>();
    sent::<Judge>();
}
