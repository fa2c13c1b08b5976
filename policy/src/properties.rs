//! Two promises, tried on random policies and accesses: the index gives the same answer as the full scan, and the
//! table as it is explained is the table as Cedar judges it.

mod promises;
mod reading;
mod trying;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use cedar_policy::{Authorizer, Decision, PolicyId, PolicySet, Request};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::facts::{Facts, Reads, signed_in};
use crate::fit;
use crate::fixtures::{moment, nurse, nurse_reads_emr, rule, source, ward_terminal};
use crate::{
    Aaguid, Access, Action, AppId, Apps, Assurance, Beyond, Caps, Date, Day, Device, DeviceClass, Devices, Effect,
    Grant, Hours, InfoClass, Judge, Methods, Path, PathPattern, Policy, PolicySource, PostureDemand, PostureFact,
    Reason, RoleId, Rule, SignInMethod, Subjects, Timestamp, Verdict, Who, ZoneId, compile, schema,
};

const ROLES: [&str; 3] = ["nurse", "doctor", "vendor"];
const APPS: [&str; 2] = ["emr", "pacs"];
const ZONES: [&str; 2] = ["ward", "internet"];
const PATHS: [&str; 4] = ["/", "/fhir/Patient/1", "/fhir/Observation", "/admin/x"];
const PATTERNS: [&str; 4] = ["/*", "/fhir/*", "/*/x", "/fhir/Observation"];
const KEYS: [Aaguid; 2] = [Aaguid::new([1; 16]), Aaguid::new([2; 16])];
const DEMANDS: [&str; 3] = ["edr=running", "edr=stopped", "os_patched"];
const CLASSES: [&str; 2] = ["chart", "images"];
const CEDAR: [&str; 26] = [
    r#"permit (principal in Sekimori::Role::"nurse", action, resource == Sekimori::App::"emr");"#,
    r#"permit (principal is Sekimori::User in Sekimori::Role::"vendor", action == Sekimori::Action::"connect", resource);"#,
    r#"permit (principal == Sekimori::User::"u-1", action in Sekimori::Action::"write", resource in Sekimori::App::"pacs");"#,
    r#"permit (principal is Sekimori::User, action in [Sekimori::Action::"read", Sekimori::Action::"connect"], resource is Sekimori::App);"#,
    r#"permit (principal == Sekimori::Visitor::"anonymous", action == Sekimori::Action::"write", resource == Sekimori::App::"emr");"#,
    r#"permit (principal is Sekimori::Visitor, action, resource) when { context.zone == "ward" };"#,
    r#"permit (principal in Sekimori::User::"u-1", action, resource is Sekimori::App in Sekimori::App::"emr") when { context.path like "/fhir/*" };"#,
    r#"permit (principal, action, resource) when { principal in Sekimori::Role::"doctor" && context.assurance >= 2 };"#,
    r#"forbid (principal, action == Sekimori::Action::"delete", resource) unless { context.same_device && context.signed_in };"#,
    r#"forbid (principal in Sekimori::Role::"vendor", action, resource) when { context.minute + context.auth_age_seconds > 900 };"#,
    r#"forbid (principal, action, resource) when { context.device.class == "byod" || context.host like "*.evil" };"#,
    r#"forbid (principal, action in Sekimori::Action::"write", resource == Sekimori::App::"pacs") unless { context.address.isInRange(ip("10.0.0.0/8")) };"#,
    r#"permit (principal, action, resource) when { context.minute + 9223372036854775000 > 0 };"#,
    r#"forbid (principal in Sekimori::Role::"doctor", action, resource) when { context.auth_age_seconds * 9223372036854775807 > 0 };"#,
    r#"permit (principal, action, resource == Sekimori::App::"pacs") when { {"c": context.weekday} == {"c": "fri"} };"#,
    r#"forbid (principal, action, resource) when { context.method == "TRACE" };"#,
    r#"permit (principal, action, resource) when { context.methods.contains("passkey") || context.key_model == "" };"#,
    r#"permit (principal is Sekimori::User, action, resource) when { context.in_outage && context.roles_age_seconds < 4000 };"#,
    r#"permit (principal, action, resource) when { context.device.posture.contains("edr=running") };"#,
    r#"forbid (principal, action, resource) unless { context.device.posture.containsAny(["os_patched=true", "edr=running"]) };"#,
    r#"forbid (principal, action in Sekimori::Action::"write", resource) unless { context.methods.contains("passkey") };"#,
    r#"forbid (principal, action, resource) when { context.in_outage && context.zone == "internet" };"#,
    r#"permit (principal is Sekimori::User, action in Sekimori::Action::"read", resource) when { context.class == "chart" };"#,
    r#"permit (principal, action == Sekimori::Action::"export", resource) when { context.grant != "" };"#,
    r#"forbid (principal, action, resource) when { context.weekday == "hol" || context.weekday_before == "hol" };"#,
    r#"forbid (principal, action == Sekimori::Action::"read", resource) when { context.class like "im*" };"#,
];

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(names: &[&str]) -> Vec<T> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn some_of<T: Clone + std::fmt::Debug + 'static>(all: Vec<T>) -> impl Strategy<Value = Vec<T>> {
    let count = all.len();
    subsequence(all, 1..=count)
}

fn hours() -> impl Strategy<Value = Hours> {
    let days = some_of(Day::ALL.to_vec());
    (days, 0..1_440u16, 1..=1_440u16).prop_map(|(days, from_minute, to_minute)| Hours { days, from_minute, to_minute })
}

/// Classes, whether it takes an exception, and bounds.
fn exceptions() -> impl Strategy<Value = (Vec<InfoClass>, bool, Option<Arc<Caps>>)> {
    let classes = prop_oneof![2 => Just(vec![]), 1 => subsequence(parsed::<InfoClass>(&CLASSES), 0..=2)];
    let caps = Caps { requests: NonZeroU32::new(9), patients: None, beyond: Beyond::Alarm };
    (classes, prop::bool::weighted(0.2), prop::option::weighted(0.3, Just(Arc::new(caps))))
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let subjects = prop_oneof![
        Just(Subjects::Anyone),
        Just(Subjects::SignedIn),
        some_of(parsed::<RoleId>(&ROLES)).prop_map(Subjects::Roles),
    ];
    let apps = prop_oneof![Just(Apps::All), some_of(parsed::<AppId>(&APPS)).prop_map(Apps::Only)];
    let devices = prop_oneof![
        3 => Just(Devices::Any),
        1 => Just(Devices::Known),
        1 => some_of(DeviceClass::ALL.to_vec()).prop_map(Devices::Classes),
    ];
    let paths = subsequence(PATTERNS.map(|text| PathPattern::parse(text).unwrap()).to_vec(), 0..=2);
    let zones = subsequence(parsed::<ZoneId>(&ZONES), 0..=1);
    let hours = prop::option::of(hours());
    let sure = prop::option::of(select(Assurance::ALL.to_vec()));
    let fresh = prop::option::of((1..7_200u64).prop_map(Duration::from_secs));
    let forbids = prop::bool::weighted(0.2);
    let methods = subsequence(SignInMethod::ALL.to_vec(), 0..=3).prop_map(Methods::of);
    let keys = prop_oneof![4 => Just(vec![]), 1 => subsequence(KEYS.to_vec(), 0..=2)];
    let demands = DEMANDS.map(|text| PostureDemand::parse(text).unwrap());
    let posture = prop_oneof![4 => Just(vec![]), 1 => select(demands.to_vec()).prop_map(|demand| vec![demand])];
    let glass = prop::bool::weighted(0.2);
    let of_people = (prop::option::weighted(0.3, methods), keys, posture, prop::bool::ANY, exceptions(), glass);
    let scope = (subjects, apps, some_of(Action::ALL.to_vec()), paths);
    (scope, devices, zones, hours, sure, fresh, forbids, of_people).prop_map(
        |(
            (subjects, apps, actions, paths),
            devices,
            zones,
            hours,
            assurance,
            authenticated_within,
            forbids,
            (methods, keys, posture, in_outage, (classes, grant, caps), glass),
        )| {
            let for_anyone = subjects == Subjects::Anyone;
            let mut rule = Rule {
                effect: if forbids { Effect::Forbid } else { Effect::Permit },
                subjects,
                apps,
                actions,
                paths,
                devices,
                zones,
                hours,
                assurance: assurance.filter(|_| !forbids),
                authenticated_within: authenticated_within.filter(|_| !forbids),
                methods: methods.unwrap_or_default(),
                keys,
                posture: if forbids { vec![] } else { posture },
                in_outage: in_outage && !forbids,
                classes,
                grant: grant && !forbids,
                caps: caps.filter(|_| !forbids && !for_anyone),
                ..rule("unnamed", "nurse", "emr")
            };
            rule.break_glass = !rule.grant && glass && may_take_glass(&rule);
            rule
        },
    )
}

/// Whether `break_glass` may stand in a row.
fn may_take_glass(rule: &Rule) -> bool {
    let at_vendors = matches!(&rule.devices, Devices::Classes(classes) if classes.contains(&DeviceClass::Vendor));
    rule.effect == Effect::Permit && matches!(rule.subjects, Subjects::Roles(_)) && !rule.grant && !at_vendors
}

fn table() -> impl Strategy<Value = Vec<Rule>> {
    prop::collection::vec(any_rule(), 0..12).prop_map(|mut rules| {
        for (number, rule) in rules.iter_mut().enumerate() {
            rule.id = format!("row-{number}").parse().unwrap();
        }
        rules
    })
}

fn files() -> impl Strategy<Value = String> {
    subsequence(CEDAR.to_vec(), 0..=4).prop_map(|policies| {
        let named = |(number, text): (usize, &&str)| format!("@id(\"file-{number}\") {text}\n");
        policies.iter().enumerate().map(named).collect()
    })
}

/// So many seconds after the accesses begin.
fn at_second(seconds: i64) -> Timestamp {
    Timestamp::from_unix_micros(moment("2026-11-20T10:00:00").unix_micros() + seconds * 1_000_000)
}

fn reports() -> impl Strategy<Value = Arc<[PostureFact]>> {
    let report = (select(vec!["edr", "os_patched"]), select(vec!["running", "stopped", "true"]), 0..700_000i64);
    prop::collection::vec(report, 0..3).prop_map(|reports| {
        let fact = |(name, value, fresh): (&str, &str, i64)| PostureFact {
            name: name.parse().unwrap(),
            value: value.into(),
            fresh_until: at_second(fresh),
        };
        reports.into_iter().map(fact).collect()
    })
}

fn person() -> impl Strategy<Value = Who> {
    let device = prop::option::weighted(0.8, Just("ward-3".parse().unwrap()));
    let roles = subsequence(parsed::<RoleId>(&ROLES), 0..=2);
    let (users, sure) = (select(vec!["u-1", "u-2"]), select(Assurance::ALL.to_vec()));
    let methods = subsequence(SignInMethod::ALL.to_vec(), 0..=2).prop_map(Methods::of);
    let proof = (sure, methods, prop::option::of(select(KEYS.to_vec())), prop::bool::weighted(0.3));
    (users, roles, proof, 0..8_000i64, device).prop_map(|(user, roles, proof, age, bound_to)| Who {
        user: user.parse().unwrap(),
        roles: Arc::from(roles),
        assurance: proof.0,
        methods: proof.1,
        key_model: proof.2,
        in_outage: proof.3,
        roles_confirmed_at: at_second(-age),
        authenticated_at: at_second(-age),
        bound_to,
        ends_at: Timestamp::MAX,
        ..nurse()
    })
}

/// Now and then an exception of one kind or the other, which now and then does not reach what is asked.
pub(crate) fn any_grant() -> impl Strategy<Value = Option<Grant>> {
    let named = select(vec!["g-1", "glass-1"]).prop_map(|id| Grant::named(id.parse().unwrap()));
    let grant = (named, prop::bool::weighted(0.7)).prop_map(|(grant, reaches)| Grant { reaches, ..grant });
    prop::option::weighted(0.3, grant)
}

pub(crate) fn any_access() -> impl Strategy<Value = Access> {
    let device = prop::option::weighted(
        0.8,
        (select(DeviceClass::ALL.to_vec()), reports())
            .prop_map(|(class, posture)| Arc::new(Device { class, posture, ..ward_terminal() })),
    );
    let place = (select(parsed::<ZoneId>(&ZONES)), select(vec!["10.1.2.3", "192.0.2.1", "2001:db8::1"]));
    let what = (select(parsed::<AppId>(&APPS)), select(Action::ALL.to_vec()), select(PATHS.to_vec()));
    let class = prop::option::of(select(parsed::<InfoClass>(&CLASSES)));
    let what = (what, class, any_grant());
    let seconds = 0..7 * 86_400i64;
    (prop::option::weighted(0.8, person()), device, place, what, seconds).prop_map(
        |(who, device, (zone, address), ((app, action, path), class, grant), seconds)| Access {
            at: at_second(seconds),
            app,
            action,
            class,
            grant,
            path: Path::parse(path).unwrap(),
            who: who.map(Arc::new),
            device,
            from: crate::From { address: address.parse().unwrap(), zone },
            ..nurse_reads_emr()
        },
    )
}

/// What Cedar says of all policies with the whole context, by Cedar's own schema-checked way.
#[derive(Debug, PartialEq)]
enum Scanned {
    Failed,
    Allowed,
    Forbidden,
    Silent,
}

fn full_scan(policy: &Policy, rules: &[Rule], files: &str, access: &Access) -> Scanned {
    let facts = Facts::of(access, &policy.calendar);
    let principal = policy.words.principal(facts.who);
    let context = schema::context(&facts, Reads::all()).unwrap();
    let (action, app) = (policy.words.action(access.action).clone(), schema::app(&access.app));
    let schema = schema::schema(&crate::fixtures::apps());
    let request = Request::new(principal.uid, action, app, context, Some(&schema)).unwrap();
    // What was written in Cedar and says nothing of outages permits nothing in them.
    let holds = |text: &&str| !(facts.in_outage && text.contains(") permit") && !text.contains("in_outage"));
    let rows: String = rules.iter().map(compile::cedar_text).collect();
    let written: String = files.lines().filter(holds).collect();
    let set: PolicySet = (rows + &written).parse().unwrap();
    let response = Authorizer::new().is_authorized(&request, &set, &principal.entities);
    let decided = response.diagnostics().reason().next().is_some();
    match response.decision() {
        _ if response.diagnostics().errors().next().is_some() => Scanned::Failed,
        Decision::Allow => Scanned::Allowed,
        Decision::Deny if decided => Scanned::Forbidden,
        Decision::Deny => Scanned::Silent,
    }
}

/// The verdict in the same words. A challenge can stand for a forbid that would not apply after it.
fn agrees(scanned: &Scanned, verdict: &Verdict<()>) -> bool {
    match verdict {
        Verdict::Allow(_) => *scanned == Scanned::Allowed,
        Verdict::Challenge(..) => matches!(scanned, Scanned::Forbidden | Scanned::Silent),
        Verdict::Deny(refused) => match refused.reasons.main {
            Reason::PolicyError => *scanned == Scanned::Failed,
            Reason::Forbidden => *scanned == Scanned::Forbidden,
            Reason::OtherDevice => true,
            Reason::CapReached => false,
            Reason::SignInRequired
            | Reason::StepUpRequired
            | Reason::RoleNotAllowed
            | Reason::ActionNotAllowed
            | Reason::PathNotAllowed
            | Reason::ClassNotAllowed
            | Reason::GrantRequired
            | Reason::GrantReach
            | Reason::BreakGlassRequired
            | Reason::DeviceRequired
            | Reason::DeviceClassNotAllowed
            | Reason::ZoneNotAllowed
            | Reason::OutsideHours
            | Reason::MethodNotAllowed
            | Reason::KeyNotAllowed
            | Reason::PostureNotMet
            | Reason::PostureStale
            | Reason::OutageReduced => *scanned == Scanned::Silent,
        },
    }
}

/// A small hospital with a holiday among the days that are tried.
fn hospital(rules: Vec<Rule>, cedar: &str) -> PolicySource {
    let holidays = Date::parse("2026-11-23").into_iter().collect();
    PolicySource { holidays, ..source(rules, cedar) }
}

fn is_about(rule: &Rule, who: Option<&Who>) -> bool {
    match &rule.subjects {
        Subjects::Anyone => true,
        Subjects::SignedIn => who.is_some(),
        Subjects::Roles(roles) => who.is_some_and(|who| who.roles.iter().any(|role| roles.contains(role))),
    }
}

fn fits(policy: &Policy, rule: &Rule, access: &Access) -> bool {
    let facts = Facts::of(access, &policy.calendar);
    let app_named = match &rule.apps {
        Apps::All => true,
        Apps::Only(apps) => apps.contains(&access.app),
    };
    app_named && is_about(rule, facts.who) && rule.covers(access.action) && fit::fits(rule, &facts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn index_and_memory_answer_as_the_full_scan(
        rules in table(),
        cedar in files(),
        accesses in prop::collection::vec(any_access(), 1..16),
    ) {
        let policy = Arc::new(Policy::load(&hospital(rules.clone(), &cedar)).unwrap());
        let mut judge = Judge::new(Arc::clone(&policy));
        for access in accesses.iter().chain(&accesses) {
            let verdict = judge.judge(access.clone(), ());
            let same_device = signed_in(access).is_none() || access.session_is_on_its_device();
            if same_device {
                let scanned = full_scan(&policy, &rules, &cedar, access);
                prop_assert!(agrees(&scanned, &verdict), "{scanned:?} {verdict:?}");
            } else {
                prop_assert!(matches!(&verdict, Verdict::Deny(refused) if refused.reasons.main == Reason::OtherDevice));
            }
        }
    }

    #[test]
    fn every_row_is_what_cedar_reads_in_its_text(rules in table()) {
        let policy = Policy::load(&hospital(rules, "")).unwrap();
        for statement in &policy.statements {
            let row = statement.row().unwrap();
            let read = cedar_policy::Policy::parse(Some(PolicyId::new(row.id.as_str())), compile::statement(row));
            prop_assert_eq!(&statement.cedar, &read.unwrap());
        }
    }

    #[test]
    fn the_table_as_explained_is_the_table_as_judged(
        rules in table(),
        accesses in prop::collection::vec(any_access(), 1..16),
    ) {
        let policy = Policy::load(&hospital(rules.clone(), "")).unwrap();
        for access in &accesses {
            let fitting = |effect| rules.iter().any(|rule| rule.effect == effect && fits(&policy, rule, access));
            let native = match (fitting(Effect::Forbid), fitting(Effect::Permit)) {
                (true, _) => Scanned::Forbidden,
                (false, true) => Scanned::Allowed,
                (false, false) => Scanned::Silent,
            };
            prop_assert_eq!(native, full_scan(&policy, &rules, "", access));
        }
    }

    #[test]
    fn nothing_changes_before_a_permit_ends(
        rules in table(),
        access in any_access(),
        later in 0.0..1.0f64,
    ) {
        let policy = Arc::new(Policy::load(&hospital(rules, "")).unwrap());
        let Verdict::Allow(allowed) = Judge::new(Arc::clone(&policy)).judge(access.clone(), ()) else { return Ok(()) };
        let (from, until) = (access.at.unix_micros(), allowed.permit().until().unix_micros());
        prop_assert!(until > from);
        let span = (until - from).min(8 * 86_400_000_000);
        let at = Timestamp::from_unix_micros(from + (((span - 1) as f64) * later) as i64);
        let verdict = Judge::new(policy).judge(Access { at, ..access }, ());
        prop_assert!(matches!(verdict, Verdict::Allow(_)), "{verdict:?}");
    }
}
