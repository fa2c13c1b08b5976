use super::*;
use crate::fixtures::{rule_with, source};
use crate::{ClassRoute, Hours, Method, RoutePattern, Weekday};

fn around() -> Around {
    Around { has_forbidden_upstreams: true, ..Around::default() }
}

fn found(source: &PolicySource, around: &Around) -> Vec<String> {
    let policy = Policy::load(source).unwrap();
    let told = |finding: Finding| {
        let about = match finding.about {
            About::Rule(rule) => rule.to_string(),
            About::Role(role) => role.to_string(),
            About::DeviceClass(class) => class.as_str().to_owned(),
            About::App(app) => app.to_string(),
            About::RuleSet(set) => set,
            About::Configuration => "configuration".to_owned(),
        };
        format!("{about} {}", finding.flaw.code())
    };
    lint(source, &policy, around).into_iter().map(told).collect()
}

/// What is found of rules, in a hospital where every app has a rule.
fn check(rules: Vec<Rule>, around: &Around) -> Vec<String> {
    let everyone = rule_with("everyone", |rule| (rule.apps, rule.subjects) = (Apps::All, Subjects::SignedIn));
    let mut source = source(rules.into_iter().chain([everyone]).collect(), "");
    source.cedar.clear();
    found(&source, around)
}

#[test]
fn rules_that_stand_apart_have_no_finding() {
    let rules = vec![
        rule_with("nurses", |_| {}),
        rule_with("doctors", |rule| rule.subjects = Subjects::Roles(vec!["doctor".parse().unwrap()])),
    ];
    assert_eq!(check(rules, &around()), Vec::<String>::new());
}

#[test]
fn a_row_within_an_earlier_one_adds_nothing_and_one_column_that_is_wider_saves_it() {
    type Column = fn(&mut Rule);
    let hours = |from: u16, to: u16, days: &[Weekday]| {
        let days = days.iter().map(|day| Day::Week(*day)).collect();
        Some(Hours { days, from_minute: from, to_minute: to })
    };
    let narrower: [Column; 9] = [
        |_| {},
        |rule| rule.actions = vec![Action::Search],
        |rule| rule.devices = Devices::Known,
        |rule| rule.zones = vec!["ward".parse().unwrap()],
        |rule| rule.assurance = Some(crate::Assurance::Aal2),
        |rule| rule.paths = vec![crate::PathPattern::parse("/fhir/*").unwrap()],
        |rule| rule.posture = vec![crate::PostureDemand::parse("edr=running").unwrap()],
        |rule| rule.classes = vec!["chart".parse().unwrap()],
        |rule| rule.grant = true,
    ];
    for narrow in narrower {
        let rules = |one: Rule, two: Rule| {
            let mut source = source(vec![one, two], "");
            source.cedar.clear();
            wider::findings(&source.rules).len()
        };
        let (wide, narrow) = (rule_with("wide", |_| {}), rule_with("narrow", narrow));
        assert_eq!(rules(wide.clone(), narrow.clone()), 1, "{narrow:?}");
        let is_same = Rule { id: wide.id.clone(), ..narrow.clone() } == wide;
        assert_eq!(rules(narrow.clone(), wide), usize::from(is_same), "{narrow:?}");
    }
    let with_hours = |id, hours| rule_with(id, |rule| rule.hours = hours);
    let day = with_hours("day", hours(8 * 60, 18 * 60, &[Weekday::Monday, Weekday::Friday]));
    let covered = |rule: Rule| wider::findings(&[day.clone(), rule]).len() == 1;
    assert!(covered(with_hours("r", hours(9 * 60, 18 * 60, &[Weekday::Friday]))));
    assert!(!covered(with_hours("r", hours(7 * 60, 18 * 60, &[Weekday::Friday]))));
    assert!(!covered(with_hours("r", hours(9 * 60, 18 * 60, &[Weekday::Sunday]))));
    assert!(!covered(with_hours("r", hours(17 * 60, 9 * 60, &[Weekday::Friday]))), "it runs past midnight");
    assert!(!covered(with_hours("r", None)));
}

#[test]
fn a_permit_under_a_forbid_is_told_wherever_it_stands() {
    let forbid = rule_with("no-vendors", |rule| {
        rule.effect = Effect::Forbid;
        rule.subjects = Subjects::Roles(vec!["vendor".parse().unwrap()]);
    });
    let vendors = |id, change: fn(&mut Rule)| {
        rule_with(id, |rule| {
            rule.subjects = Subjects::Roles(vec!["vendor".parse().unwrap()]);
            change(rule);
        })
    };
    let rules = vec![
        vendors("under", |rule| rule.devices = Devices::Known),
        forbid,
        vendors("beside", |rule| rule.actions = vec![Action::Write]),
        vendors("export", |rule| rule.actions = vec![Action::Export]),
    ];
    let told: Vec<_> = wider::findings(&rules).into_iter().map(|finding| finding.about).collect();
    let about = |rule: &str| About::Rule(rule.parse().unwrap());
    assert_eq!(told, [about("under"), about("export")], "what forbids reading forbids taking away");
}

#[test]
fn rules_that_can_never_fit_are_told() {
    let holidays = rule_with("holidays", |rule| {
        rule.hours = Some(Hours { days: vec![Day::Holiday], from_minute: 0, to_minute: 1_440 });
        rule.actions = vec![Action::Write];
    });
    let exports = rule_with("exports", |rule| rule.actions = vec![Action::Export]);
    let images = rule_with("images", |rule| {
        rule.classes = vec!["images".parse().unwrap()];
        rule.actions = vec![Action::Write];
    });
    let outside = rule_with("outside", |rule| {
        rule.paths = vec![crate::PathPattern::parse("/other/*").unwrap()];
        rule.actions = vec![Action::Write];
    });
    let devices = rule_with("devices", |rule| {
        rule.devices = Devices::Known;
        rule.zones = vec!["guest".parse().unwrap()];
        rule.actions = vec![Action::Write];
    });
    let around = Around {
        prefixes: [("emr".parse().unwrap(), Path::parse("/emr").unwrap())].into(),
        zones_without_devices: ["guest".parse().unwrap()].into(),
        ..around()
    };
    assert_eq!(
        check(vec![holidays, exports, images, outside, devices], &around),
        [
            "holidays no-holidays",
            "exports no-such-route",
            "images no-such-route",
            "outside paths-outside",
            "devices no-devices-there"
        ]
    );
}

#[test]
fn roles_and_devices_that_nobody_has_or_names_are_told() {
    let nurses = rule_with("nurses", |rule| {
        rule.devices = Devices::Classes(vec![DeviceClass::WardShared]);
        rule.actions = vec![Action::Write];
    });
    let mut source =
        source(vec![nurses, rule_with("pacs", |rule| rule.apps = Apps::Only(vec!["pacs".parse().unwrap()]))], "");
    source.cedar.clear();
    source.rules[1].devices = Devices::Classes(vec![DeviceClass::WardShared]);
    source.console.auditors = vec!["auditor".parse().unwrap()];
    let around = Around {
        roles: ["nurse", "clerk", "auditor"].map(|role| role.parse().unwrap()).to_vec(),
        roles_given: Some(["clerk".parse().unwrap(), "auditor".parse().unwrap()].into()),
        device_classes: Some([DeviceClass::Tablet].into()),
        rule_sets_unused: vec!["night".to_owned()],
        has_forbidden_upstreams: false,
        ..Around::default()
    };
    assert_eq!(
        found(&source, &around),
        [
            "clerk role-not-named",
            "nurse role-not-given",
            "ward-shared no-such-devices",
            "tablet devices-not-named",
            "night rule-set-not-named",
            "configuration no-forbidden-upstreams"
        ]
    );
    let unasked = Around { roles_given: None, device_classes: None, ..around };
    assert!(!found(&source, &unasked).iter().any(|told| told.contains("given") || told.contains("devices")));
}

#[test]
fn apps_and_routes_that_no_rule_reaches_are_told_but_not_where_cedar_may_reach_them() {
    let route = |pattern: &str, class: &str, action| ClassRoute {
        methods: vec![Method::parse("GET").unwrap()],
        pattern: RoutePattern::parse(pattern).unwrap(),
        action,
        class: class.parse().unwrap(),
        patients: None,
        folds: false,
        ward_field: None,
    };
    let rows = || vec![rule_with("charts", |rule| rule.classes = vec!["chart".parse().unwrap()])];
    let mut source = source(rows(), "");
    source.cedar.clear();
    source.apps[0].routes = vec![
        route("/charts/{patient}", "chart", None),
        route("/charts/{patient}/all", "chart", Some(Action::Export)),
        route("/bills/*", "billing", None),
        route("/bills/*/lines", "billing", None),
    ];
    let policy = Policy::load(&source).unwrap();
    let told: Vec<_> = lint(&source, &policy, &around()).into_iter().map(|finding| finding.flaw).collect();
    assert_eq!(
        told,
        [
            Flaw::RouteNotReached { class: "chart".parse().unwrap(), action: Some(Action::Export) },
            Flaw::RouteNotReached { class: "billing".parse().unwrap(), action: None },
            Flaw::AppNotReached,
        ]
    );
    let written = crate::fixtures::source(rows(), "@id(\"all\") permit (principal, action, resource);");
    assert_eq!(found(&PolicySource { apps: source.apps, ..written }, &around()), Vec::<String>::new());
}
