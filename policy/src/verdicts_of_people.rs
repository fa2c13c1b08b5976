//! Verdicts about how people proved who they are, what their device is like, and outages; and on the console.

use std::sync::Arc;
use std::time::Duration;

use crate::fixtures::{access_with, judge, moment, nurse_reads_emr, rule_with, source, ward_terminal, who_with};
use crate::verdicts::{changed, check, nobody, nurse_reads, told, until};
use crate::{
    Aaguid, Access, Action, Assurance, ConsoleRoles, Effect, Judge, Methods, Path, Policy, PostureDemand, PostureFact,
    Readers, Reads, Rule, SignInMethod, Subjects, Timestamp, Who,
};

const ISSUED: Aaguid = Aaguid::new([1; 16]);
const OTHER: Aaguid = Aaguid::new([2; 16]);

/// The nurse, having used these methods and this key.
fn by(methods: &[SignInMethod], key_model: Option<Aaguid>) -> Access {
    access_with(|access| {
        access.who = who_with(|who| (who.methods, who.key_model) = (Methods::of(methods.iter().copied()), key_model));
    })
}

fn wants(methods: &[SignInMethod]) -> Vec<Rule> {
    changed(|rule| rule.methods = Methods::of(methods.iter().copied()))
}

fn in_outage(change: impl FnOnce(&mut Who)) -> Access {
    access_with(|access| {
        access.who = who_with(|who| {
            who.in_outage = true;
            change(who);
        });
    })
}

/// The nurse at a terminal of which this was reported, fresh until half past ten.
fn reported(facts: &[(&str, &str)]) -> Access {
    access_with(|access| {
        let fact = |(name, value): &(&str, &str)| PostureFact {
            name: name.parse().unwrap(),
            value: (*value).into(),
            fresh_until: moment("2026-11-20T10:30:00"),
        };
        let posture = facts.iter().map(fact).collect();
        access.device = Some(Arc::new(crate::Device { posture, ..ward_terminal() }));
    })
}

fn demands(texts: &[&str]) -> Vec<Rule> {
    changed(|rule| rule.posture = texts.iter().map(|text| PostureDemand::parse(text).unwrap()).collect())
}

#[test]
fn a_temporary_code_is_not_the_providers_word() {
    let rules = || wants(&[SignInMethod::Provider, SignInMethod::ProviderMfa]);
    let by_code = by(&[SignInMethod::Temporary], None);
    check(rules(), "", by_code, "deny nurse-reads method-not-allowed");
    check(rules(), "", by(&[SignInMethod::Provider], None), "allow nurse-reads");
    check(rules(), "", nobody(), "SignIn nurse-reads sign-in-required");
}

#[test]
fn a_passkey_that_is_missing_is_asked_for() {
    let rules = || wants(&[SignInMethod::Passkey]);
    let by_provider = by(&[SignInMethod::ProviderMfa], None);
    check(rules(), "", by_provider, "StepUp(Aal2) nurse-reads step-up-required +method-not-allowed");
    let with_both = by(&[SignInMethod::Provider, SignInMethod::Passkey], Some(OTHER));
    check(rules(), "", with_both, "allow nurse-reads");
    let far = changed(|rule| {
        rule.methods = Methods::of([SignInMethod::Passkey]);
        rule.zones = vec!["office".parse().unwrap()];
    });
    check(far, "", nurse_reads_emr(), "deny nurse-reads zone-not-allowed +step-up-required");
}

#[test]
fn only_the_keys_the_rule_names_are_taken() {
    let rules = || changed(|rule| rule.keys = vec![ISSUED]);
    check(rules(), "", by(&[SignInMethod::Passkey], Some(OTHER)), "deny nurse-reads key-not-allowed");
    check(rules(), "", by(&[SignInMethod::Passkey], Some(ISSUED)), "allow nurse-reads");
    let without = by(&[SignInMethod::Provider], None);
    check(rules(), "", without, "StepUp(Aal2) nurse-reads step-up-required +method-not-allowed");
    check(rules(), "", nobody(), "SignIn nurse-reads sign-in-required");
}

#[test]
fn people_with_a_forbidden_method_or_key_are_shut_out() {
    let forbid = |change: fn(&mut Rule)| {
        let forbid = rule_with("no", |rule| {
            (rule.effect, rule.subjects) = (Effect::Forbid, Subjects::SignedIn);
            change(rule);
        });
        vec![nurse_reads(), forbid]
    };
    let temporary = || forbid(|rule| rule.methods = Methods::of([SignInMethod::Temporary]));
    check(temporary(), "", by(&[SignInMethod::Temporary], None), "deny no forbidden");
    check(temporary(), "", nurse_reads_emr(), "allow nurse-reads");
    let flawed = || forbid(|rule| rule.keys = vec![OTHER]);
    check(flawed(), "", by(&[SignInMethod::Passkey], Some(OTHER)), "deny no forbidden");
    check(flawed(), "", by(&[SignInMethod::Passkey], Some(ISSUED)), "allow nurse-reads");
}

#[test]
fn a_device_must_be_reported_to_be_as_the_rule_demands() {
    let rules = || demands(&["os_patched", "edr=running"]);
    check(rules(), "", nurse_reads_emr(), "deny nurse-reads posture-not-met");
    check(rules(), "", reported(&[("os_patched", "true")]), "deny nurse-reads posture-not-met");
    let off = reported(&[("os_patched", "true"), ("edr", "stopped")]);
    check(rules(), "", off, "deny nurse-reads posture-not-met");
    let disputed = reported(&[("os_patched", "true"), ("edr", "running"), ("edr", "stopped")]);
    check(rules(), "", disputed, "deny nurse-reads posture-not-met");
    let well = reported(&[("os_patched", "true"), ("edr", "running"), ("unheard", "of")]);
    check(rules(), "", well, "allow nurse-reads");
    let unknown = access_with(|access| {
        access.device = None;
        access.who = who_with(|who| who.bound_to = None);
    });
    check(rules(), "", unknown, "deny nurse-reads device-required");
}

#[test]
fn a_stale_report_is_never_silently_good() {
    let mut judge = judge(demands(&["edr=running"]), "");
    let mut at = |time: &str| {
        let access = Access { at: moment(time), ..reported(&[("edr", "running")]) };
        told(&mut judge, access)
    };
    assert_eq!(at("2026-11-20T10:29:59"), "allow nurse-reads");
    assert_eq!(at("2026-11-20T10:30:00"), "deny nurse-reads posture-stale");
    assert_eq!(at("2026-11-20T10:00:00"), "allow nurse-reads");
    let access = reported(&[("edr", "running")]);
    assert_eq!(until(&mut judge, access), moment("2026-11-20T10:30:00"), "an open stream is judged again then");
}

#[test]
fn a_new_report_is_another_question() {
    let mut judge = judge(demands(&["edr=running"]), "");
    assert_eq!(told(&mut judge, reported(&[("edr", "running")])), "allow nurse-reads");
    assert_eq!(told(&mut judge, reported(&[("edr", "stopped")])), "deny nurse-reads posture-not-met");
    assert_eq!(told(&mut judge, reported(&[])), "deny nurse-reads posture-not-met");
    assert_eq!(told(&mut judge, reported(&[("edr", "running")])), "allow nurse-reads");
}

#[test]
fn posture_is_read_in_cedar_too() {
    let cedar =
        r#"@id("well") permit (principal, action, resource) when { context.device.posture.contains("edr=running") };"#;
    check(vec![], cedar, reported(&[("edr", "running")]), "allow well");
    check(vec![], cedar, reported(&[("edr", "stopped")]), "deny well role-not-allowed");
    let mut judge = judge(vec![], cedar);
    assert_eq!(until(&mut judge, reported(&[("edr", "running")])), moment("2026-11-20T10:30:00"));
    let later = Access { at: moment("2026-11-20T10:30:00"), ..reported(&[("edr", "running")]) };
    assert_eq!(told(&mut judge, later), "deny well role-not-allowed");
}

#[test]
fn an_outage_leaves_what_rules_say_it_leaves() {
    check(vec![nurse_reads()], "", in_outage(|_| {}), "deny nurse-reads outage-reduced");
    let reaching = || changed(|rule| rule.in_outage = true);
    check(reaching(), "", in_outage(|_| {}), "allow nurse-reads");
    check(reaching(), "", nurse_reads_emr(), "allow nurse-reads");
    let forbid = rule_with("no", |rule| rule.effect = Effect::Forbid);
    check([reaching(), vec![forbid]].concat(), "", in_outage(|_| {}), "deny no forbidden");
    let other = rule_with("other", |rule| rule.devices = crate::Devices::Classes(vec![crate::DeviceClass::Tablet]));
    check(vec![other], "", in_outage(|_| {}), "deny other device-class-not-allowed +outage-reduced");
}

#[test]
fn what_is_written_in_cedar_reaches_into_an_outage_only_by_naming_it() {
    let plain = r#"@id("plain") permit (principal, action, resource);"#;
    check(vec![], plain, in_outage(|_| {}), "deny plain outage-reduced");
    check(vec![], plain, nurse_reads_emr(), "allow plain");
    let naming = r#"@id("naming") permit (principal, action, resource)
        when { !context.in_outage || context.roles_age_seconds < 86400 };"#;
    let confirmed = |time: &'static str| in_outage(|who| who.roles_confirmed_at = moment(time));
    check(vec![], naming, confirmed("2026-11-19T11:00:00"), "allow naming");
    check(vec![], naming, confirmed("2026-11-19T10:00:00"), "deny naming role-not-allowed");
    let forbid = r#"@id("no") forbid (principal, action, resource) when { context.zone == "ward" };"#;
    let rules = changed(|rule| rule.in_outage = true);
    check(rules, forbid, in_outage(|_| {}), "deny no forbidden");
}

#[test]
fn cedar_files_can_ask_for_a_passkey() {
    let unless = r#"@id("key") forbid (principal, action, resource) unless { context.methods.contains("passkey") };"#;
    let told = "StepUp(Aal2) key step-up-required +method-not-allowed";
    check(vec![nurse_reads()], unless, nurse_reads_emr(), told);
    check(vec![nurse_reads()], unless, by(&[SignInMethod::Passkey], Some(OTHER)), "allow nurse-reads");
    check(vec![], unless, nurse_reads_emr(), "deny key forbidden");
    let model =
        format!(r#"@id("model") permit (principal, action, resource) when {{ context.key_model == "{ISSUED}" }};"#);
    check(vec![], &model, by(&[SignInMethod::Passkey], Some(ISSUED)), "allow model");
    check(vec![], &model, by(&[SignInMethod::Passkey], Some(OTHER)), "deny model role-not-allowed");
}

#[test]
fn what_is_remembered_is_told_apart_by_proofs_and_outage() {
    let rules = changed(|rule| {
        rule.methods = Methods::of([SignInMethod::Provider, SignInMethod::Passkey]);
        rule.keys = vec![ISSUED];
    });
    let mut judge = judge(rules, "");
    let issued = by(&[SignInMethod::Passkey], Some(ISSUED));
    let mut check = |access: Access, expected: &str| {
        assert_eq!(told(&mut judge, issued.clone()), "allow nurse-reads");
        assert_eq!(told(&mut judge, access), expected);
    };
    check(by(&[SignInMethod::Passkey], Some(OTHER)), "deny nurse-reads key-not-allowed");
    check(
        by(&[SignInMethod::Temporary], Some(ISSUED)),
        "StepUp(Aal2) nurse-reads step-up-required +method-not-allowed",
    );
    let outage = in_outage(|who| (who.methods, who.key_model) = (Methods::of([SignInMethod::Passkey]), Some(ISSUED)));
    check(outage, "deny nurse-reads outage-reduced");
}

/// The same by the same person, with something about them changed.
fn as_if(access: &mut Access, change: fn(&mut Who)) {
    if let Some(who) = &mut access.who {
        change(Arc::make_mut(who));
    }
}

fn console_judge() -> Judge {
    let roles = |name: &str| vec![name.parse().unwrap()];
    let mut source = source(vec![], r#"@id("no") forbid (principal, action, resource);"#);
    source.console = ConsoleRoles {
        administrators: roles("admin"),
        help_desk: roles("desk"),
        auditors: roles("auditor"),
        approvers: roles("approver"),
        reviewers: roles("reviewer"),
        readers: vec![Readers { role: "ward-auditor".parse().unwrap(), units: vec!["本院/3F".parse().unwrap()] }],
        recording_readers: Vec::new(),
    };
    Judge::new(Arc::new(Policy::load(&source).unwrap()))
}

/// Somebody with these roles and two factors, at the console.
fn at_console(roles: &[&str], action: Action, path: &str) -> Access {
    access_with(|access| {
        (access.app, access.action) = ("console".parse().unwrap(), action);
        access.path = Path::parse(path).unwrap();
        access.who = who_with(|who| {
            who.roles = roles.iter().map(|role| role.parse().unwrap()).collect();
            who.assurance = Assurance::Aal2;
        });
    })
}

#[test]
fn an_auditor_of_some_departments_asks_the_log_and_posts_nowhere_else() {
    let mut judge = console_judge();
    let mut check = |roles: &[&str], action, path: &str, expected: &str| {
        assert_eq!(told(&mut judge, at_console(roles, action, path)), expected, "{roles:?} {action:?} {path}");
    };
    check(&["ward-auditor"], Action::Read, "/log", "allow builtin-console");
    check(&["ward-auditor"], Action::Write, "/log/find", "allow builtin-console");
    for path in ["/explain", "/people/u-1/disable", "/logs", "/maintenance/g-1/approve"] {
        check(&["ward-auditor"], Action::Write, path, "deny builtin-console action-not-allowed");
    }
    check(&["ward-auditor", "desk"], Action::Write, "/people/u-1/invite", "allow builtin-console");
}

#[test]
fn who_sees_the_whole_log_is_not_kept_to_a_part_by_another_role() {
    let roles = |name: &str| vec![name.parse().unwrap()];
    let readers = |role: &str, unit: &str| Readers { role: role.parse().unwrap(), units: vec![unit.parse().unwrap()] };
    let console = ConsoleRoles {
        auditors: roles("auditor"),
        help_desk: roles("desk"),
        readers: vec![readers("ward", "3F"), readers("er", "ER"), readers("ward", "4F")],
        ..ConsoleRoles::default()
    };
    let reads = |roles: &[&str]| {
        let who = who_with(|who| who.roles = roles.iter().map(|role| role.parse().unwrap()).collect()).unwrap();
        match console.reads(&who) {
            Reads::Everything => "everything".to_owned(),
            Reads::Nothing => "nothing".to_owned(),
            Reads::Units(units) => units.iter().map(crate::Unit::as_str).collect::<Vec<_>>().join(" "),
        }
    };
    assert_eq!(reads(&["ward"]), "3F 4F");
    assert_eq!(reads(&["ward", "er", "desk"]), "3F 4F ER");
    assert_eq!((reads(&["auditor", "ward"]), reads(&["desk"])), ("everything".to_owned(), "nothing".to_owned()));
}

#[test]
fn the_console_is_for_its_roles_and_each_has_its_right() {
    let mut judge = console_judge();
    let mut check = |roles: &[&str], action, path: &str, expected: &str| {
        assert_eq!(told(&mut judge, at_console(roles, action, path)), expected, "{roles:?} {action:?} {path}");
    };
    check(&["nurse"], Action::Read, "/", "deny builtin-console role-not-allowed");
    check(&[], Action::Read, "/", "deny builtin-console role-not-allowed");
    for role in ["admin", "desk", "auditor"] {
        check(&[role], Action::Read, "/people", "allow builtin-console");
        check(&[role], Action::Connect, "/", "deny builtin-console action-not-allowed");
    }
    check(&["admin"], Action::Write, "/outage", "allow builtin-console");
    check(&["auditor"], Action::Write, "/people/u-1/disable", "deny builtin-console action-not-allowed");
    check(&["desk"], Action::Write, "/invitations", "allow builtin-console");
    check(&["desk"], Action::Write, "/outage", "deny builtin-console action-not-allowed");
    check(&["desk"], Action::Write, "/peoples", "deny builtin-console action-not-allowed");
    check(&["auditor", "desk"], Action::Write, "/sessions/1/end", "allow builtin-console");
    for asked in ["/explain", "/log", "/log/reviews/1/sign"] {
        check(&["auditor"], Action::Write, asked, "allow builtin-console");
        check(&["auditor"], Action::Delete, asked, "deny builtin-console action-not-allowed");
        check(&["desk"], Action::Write, asked, "deny builtin-console action-not-allowed");
    }
    check(&["auditor"], Action::Write, "/versions/1/approve", "deny builtin-console action-not-allowed");
    check(&["auditor"], Action::Write, "/logs", "deny builtin-console action-not-allowed");
}

#[test]
fn approvers_and_reviewers_decide_where_they_decide_and_nowhere_else() {
    let mut judge = console_judge();
    let mut check = |roles: &[&str], path: &str, expected: &str| {
        let told = told(&mut judge, at_console(roles, Action::Write, path));
        assert_eq!(told, format!("{expected} builtin-console"), "{roles:?} {path}");
    };
    let refused = |told: &str| format!("{told} builtin-console action-not-allowed");
    for (role, own, others) in [
        ("approver", "/maintenance/g-1/refuse", "/glass/g-1/note"),
        ("reviewer", "/glass/g-1/note", "/maintenance/g-1/end"),
    ] {
        check(&[role], own, "allow");
        assert_eq!(told(&mut console_judge(), at_console(&[role], Action::Write, others)), refused("deny"));
        for path in ["/people/u-1/disable", "/sessions/1/end", "/log", "/versions/1/approve", "/"] {
            assert_eq!(told(&mut console_judge(), at_console(&[role], Action::Write, path)), refused("deny"), "{path}");
        }
    }
    check(&["desk"], "/maintenance/g-1/end", "allow");
    for path in ["/maintenance/g-1/approve", "/maintenance", "/glass/g-1/end"] {
        assert_eq!(told(&mut console_judge(), at_console(&["desk"], Action::Write, path)), refused("deny"), "{path}");
    }
    check(&["desk", "approver"], "/maintenance/g-1/refuse", "allow");
}

#[test]
fn who_approves_or_judges_has_just_proved_who_they_are() {
    let mut judge = console_judge();
    let mut check = |role: &str, path: &str, minutes: u64, expected: &str| {
        for action in [Action::Read, Action::Write] {
            let mut access = at_console(&[role], action, path);
            access.at = moment("2026-11-20T09:00:00").after(Duration::from_secs(minutes * 60));
            assert_eq!(told(&mut judge, access), expected, "{path} after {minutes} min");
        }
    };
    for (role, path) in [
        ("admin", "/versions/12/approve"),
        ("admin", "/versions/12/approve/"),
        ("approver", "/maintenance/g-1/approve"),
        ("approver", "/maintenance/g-1/admit"),
        ("reviewer", "/glass/g-1/review"),
    ] {
        check(role, path, 9, "allow builtin-console");
        check(role, path, 10, "StepUp(Aal2) builtin-console step-up-required");
    }
    check("admin", "/versions/12", 60, "allow builtin-console");
    check("approver", "/maintenance/g-1/end", 60, "allow builtin-console");
}

#[test]
fn the_console_wants_two_fresh_factors_on_a_known_device() {
    let mut judge = console_judge();
    let mut check = |change: fn(&mut Access), expected: &str| {
        let mut access = at_console(&["admin"], Action::Read, "/");
        change(&mut access);
        assert_eq!(told(&mut judge, access), expected);
    };
    check(|access| access.who = None, "SignIn builtin-console sign-in-required");
    check(|access| access.device = None, "deny builtin-other-device other-device");
    check(
        |access| {
            access.device = None;
            as_if(access, |who| who.bound_to = None);
        },
        "deny builtin-console device-required",
    );
    let step_up = "StepUp(Aal2) builtin-console step-up-required";
    check(|access| as_if(access, |who| who.assurance = Assurance::Aal1), step_up);
    check(|access| as_if(access, |who| who.authenticated_at = moment("2026-11-19T22:00:00")), step_up);
    check(|access| as_if(access, |who| who.in_outage = true), "deny builtin-console outage-reduced");
    let mut long = at_console(&["admin"], Action::Read, "/");
    as_if(&mut long, |who| who.ends_at = Timestamp::MAX);
    let proven_at = moment("2026-11-20T09:00:00");
    assert_eq!(until(&mut judge, long), proven_at.after(Duration::from_secs(12 * 3_600)));
}
