//! What information classes, routes, rule sets, caps, grants and holidays mean, and what is said where they are wrong.

use policy::{Action, Beyond, Classifier, Date, Day, Method, Path};

use super::golden::said_about;
use super::{Folder, short_and, short_with};
use crate::{App, Config};

fn config(text: &str) -> Config {
    match Folder::new().parse(text) {
        Ok(config) => config,
        Err(problems) => panic!("{problems}"),
    }
}

/// The short configuration with lines in its app.
fn with_app(lines: &str) -> String {
    short_with("id = \"emr\"\n", &format!("id = \"emr\"\n{lines}\n"))
}

/// Action and class of a request.
fn told(app: &App, method: &str, path: &str) -> String {
    let path = Path::parse(path).unwrap();
    let found = Classifier::of(&app.routes).classify(&Method::parse(method).unwrap(), &path);
    format!("{} {}", found.action.as_str(), found.class.map_or_else(|| "-".to_owned(), |class| class.to_string()))
}

#[test]
fn the_classes_that_ship_have_names_and_a_hospital_adds_its_own() {
    let config =
        config(&short_and("[classes]\nrehabilitation = \"リハビリ\"\nchart = { ja = \"カルテ\", en = \"Record\" }"));
    let name = |class: &str| &config.classes[&class.parse().unwrap()];
    assert_eq!(name("lab-results").ja, "検査結果");
    assert_eq!(name("rehabilitation").en, "リハビリ");
    assert_eq!((name("chart").ja.as_str(), name("chart").en.as_str()), ("カルテ", "Record"));
    assert_eq!(config.classes.len(), 10);
}

#[test]
fn an_apps_own_routes_come_before_its_templates() {
    let text = with_app("template = \"fhir-r4\"").replace(
        "[[rule]]",
        "[[app.route]]\nmethods = [\"GET\"]\npaths = [\"/fhir/Patient/{patient}\", \"/labs/*\"]\nclass = \"lab-results\"\n\
         action = \"export\"\n[[rule]]",
    );
    let config = config(&text);
    let app = &config.apps[0];
    assert_eq!(told(app, "GET", "/fhir/Patient/1"), "export lab-results");
    assert_eq!(told(app, "PUT", "/fhir/Patient/1"), "write patient-identity");
    assert_eq!(told(app, "GET", "/fhir/Patient"), "search patient-identity");
    assert_eq!(told(app, "GET", "/labs/7"), "export lab-results");
    assert_eq!(told(app, "GET", "/elsewhere"), "read -");
    assert_eq!(config.policy.apps[0].routes, app.routes, "the policy classifies as the app does");
}

#[test]
fn a_template_begins_where_the_interface_usually_does_below_the_apps_prefix() {
    let base = |lines: &str, path: &str| told(&config(&with_app(lines)).apps[0], "GET", path);
    assert_eq!(base("template = \"dicomweb\"", "/dicom-web/studies"), "search patient-identity");
    assert_eq!(base("template = \"orca\"", "/api01rv2/patientgetv2"), "read patient-identity");
    assert_eq!(
        base("template = \"orca\"\nprefix = \"/receipt\"", "/receipt/api01rv2/patientgetv2"),
        "read patient-identity"
    );
    assert_eq!(base("template = \"fhir-r4\"\nprefix = \"/fhir\"", "/fhir/Patient"), "search patient-identity");
    assert_eq!(base("template = \"fhir-r4\"\nprefix = \"/a\"", "/a/fhir/Patient"), "search patient-identity");
    assert_eq!(base("template = \"fhir-r4\"\ntemplate_base = \"/r4\"", "/r4/Patient"), "search patient-identity");
    assert_eq!(base("template = \"fhir-r4\"\ntemplate_base = \"/\"", "/Patient"), "search patient-identity");
}

#[test]
fn the_rules_of_a_set_are_about_the_apps_that_name_it() {
    let set = "[[rule_set]]\nid = \"wards\"\nname = { ja = \"病棟\", en = \"Wards\" }\n[[rule_set.rule]]\nid = \"set-reads\"\n\
               roles = [\"nurse\"]\nactions = [\"read\"]\n[[rule_set.rule]]\nid = \"set-forbids\"\neffect = \"forbid\"\n\
               roles = \"anyone\"\nactions = [\"delete\"]\n[[rule_set]]\nid = \"nobodys\"\n[[rule_set.rule]]\n\
               id = \"of-nobody\"\nroles = [\"nurse\"]\nactions = [\"read\"]";
    let config = config(&format!("{}{set}\n", with_app("rules = [\"wards\"]")));
    let rules: Vec<_> = config.policy.rules.iter().map(|rule| (rule.id.as_str(), &rule.apps)).collect();
    let emr = policy::Apps::Only(vec!["emr".parse().unwrap()]);
    assert_eq!(rules, [("nurses-use-emr", &emr), ("set-reads", &emr), ("set-forbids", &emr)]);
    let [wards, nobodys] = &config.rule_sets[..] else { panic!("two sets") };
    assert_eq!((wards.name.en.as_str(), wards.rules.len(), wards.apps.len()), ("Wards", 2, 1));
    assert!(nobodys.apps.is_empty() && nobodys.rules[0].as_str() == "of-nobody");
}

#[test]
fn classes_grants_and_caps_are_columns() {
    let config = config(&short_and(
        "classes = [\"lab-results\", \"chart\"]\ngrant = true\nrequests_per_hour = 500\npatients_per_hour = 40\nbeyond = \"step-up\"",
    ));
    let rule = &config.policy.rules[0];
    assert_eq!(rule.classes.iter().map(policy::InfoClass::as_str).collect::<Vec<_>>(), ["lab-results", "chart"]);
    let caps = rule.caps.as_ref().unwrap();
    assert_eq!((caps.requests.unwrap().get(), caps.patients.unwrap().get(), caps.beyond), (500, 40, Beyond::StepUp));
    assert!(rule.grant);
    let plain = &self::config(&short_and("patients_per_hour = 40")).policy.rules[0];
    assert_eq!(plain.caps.as_ref().unwrap().beyond, Beyond::Deny);
    assert!(plain.caps.as_ref().unwrap().requests.is_none() && !plain.grant);
}

#[test]
fn all_actions_are_all_and_words_of_routes_are_among_them() {
    let all = config(&short_with("[\"read\", \"write\"]", "\"all\""));
    assert_eq!(all.policy.rules[0].actions, Action::ALL);
    let some = config(&short_with("[\"read\", \"write\"]", "[\"export\", \"search\"]"));
    assert_eq!(some.policy.rules[0].actions, [Action::Search, Action::Export]);
}

#[test]
fn holidays_are_listed_here_and_in_a_file() {
    let folder = Folder::new();
    folder.file("holidays.txt", "\u{feff}# 2026\n2026-11-23 # 勤労感謝の日\r\n\n  2026-12-29\n", 0o644);
    let text = short_and("days = [\"hol\"]\n[policy]\nholidays = [\"2027-01-02\"]\nholidays_file = \"holidays.txt\"");
    let config = folder.parse(&text).unwrap();
    let dates: Vec<_> = config.policy.holidays.iter().map(|date| date.to_string()).collect();
    assert_eq!(dates, ["2026-11-23", "2026-12-29", "2027-01-02"]);
    assert_eq!(config.policy.rules[0].hours.as_ref().unwrap().days, [Day::Holiday]);
    assert!(config.policy.holidays.has(Date::parse("2026-12-29").unwrap()));
    let before = config.revision;
    folder.file("holidays.txt", "2026-11-23\n", 0o644);
    assert_ne!(folder.parse(&text).unwrap().revision, before, "other holidays are another version");
    folder.file("holidays.txt", "2026-11-23\n11/24\n", 0o644);
    let said = folder.said(&text);
    assert_eq!(
        said,
        [
            "sekimori.toml:24: policy.holidays_file: `holidays.txt` line 2: `11/24` is not a date; write one date a line, like \
          `2026-11-23`; what follows `#` is not read"
        ]
    );
}

/// What is added to the short configuration's app, and what is said.
const SAID_OF_APPS: &[(&str, &str)] = &[
    (
        "template = \"fhir\"",
        "app[emr].template: `fhir` is not one of `fhir-r4`, `dicomweb`, `orca`; write one of these",
    ),
    (
        "template_base = \"/fhir\"",
        "app[emr].template_base: is the base of no template; add `template = \"fhir-r4\"`, or leave it out",
    ),
    (
        "prefix = \"/a\"\ntemplate = \"fhir-r4\"\ntemplate_base = \"/fhir\"",
        "app[emr].template_base: `/fhir` is not below the app's prefix; begin it with `/a`",
    ),
    ("rules = [\"ward\"]", "app[emr].rules: rule set `ward` is not defined; define it with `[[rule_set]]`"),
    (
        "route = [{ class = \"chart\" }]",
        "app[emr].route[#1].paths: is missing; add `paths = [\"/patients/{patient}/labs/*\"]`",
    ),
    ("route = [{ paths = [\"/x\"] }]", "app[emr].route[#1].class: is missing; add `class = \"lab-results\"`"),
    (
        "route = [{ paths = [\"/x\"], class = \"lab-result\" }]",
        "app[emr].route[#1].class: information class `lab-result` is not defined; write `lab-results`, or add it to `[classes]`",
    ),
    (
        "route = [{ paths = [\"/x\"], class = \"chart\", action = \"connect\" }]",
        "app[emr].route[#1].action: `connect` is not one of `read`, `search`, `write`, `delete`, `export`; write one of these",
    ),
    (
        "route = [{ paths = [\"/x\"], class = \"chart\", methods = [\"get\"] }]",
        "app[emr].route[#1].methods: `get` is not a method that is sent: they are in capitals; write `GET`",
    ),
    (
        "route = [{ paths = [\"/x\"], class = \"chart\", methods = [\"G T\"] }]",
        "app[emr].route[#1].methods: `G T` is not a method; write it like `GET` or `POST`",
    ),
    (
        "route = [{ paths = [\"x\"], class = \"chart\" }]",
        "app[emr].route[#1].paths: the path does not begin with `/`; write it like `/patients/{patient}/labs/*`",
    ),
    (
        "route = [{ paths = [\"/x*\"], class = \"chart\" }]",
        "app[emr].route[#1].paths: `x*` is neither a whole segment nor `*`, `**` or `{name}`; give `*`, `{name}` and `**` a segment of their own; a part of a segment cannot be left open",
    ),
    (
        "route = [{ paths = [\"/**/x\"], class = \"chart\" }]",
        "app[emr].route[#1].paths: `**` may stand at the end alone; write `*` or `{name}` for one segment in the middle",
    ),
    (
        "route = [{ paths = [\"/{patient}/{patient}\"], class = \"chart\" }]",
        "app[emr].route[#1].paths: `{patient}` stands twice; name the other segment otherwise, such as `{order}`",
    ),
    (
        "route = [{ paths = [\"/x/\"], class = \"chart\" }]",
        "app[emr].route[#1].paths: ends with `/`; leave the last `/` out: it is fitted with and without one",
    ),
    (
        "route = [{ paths = [\"/%78\"], class = \"chart\" }]",
        "app[emr].route[#1].paths: `%78` is not written as requests will have it; write what the address bar shows, escapes in capitals and only where needed",
    ),
    (
        "prefix = \"/a\"\nroute = [{ paths = [\"/ab/c\"], class = \"chart\" }]",
        "app[emr].route[#1].paths: `/ab/c` is not below the app's prefix; begin it with `/a`",
    ),
];

#[test]
fn each_mistake_of_an_apps_routes_is_told_in_words_one_can_act_on() {
    for (lines, said) in SAID_OF_APPS {
        assert_eq!(said_about(&with_app(lines)), *said);
    }
}

/// What is added at the end of the short configuration, and what is said.
const SAID_AT_THE_END: &[(&str, &str)] = &[
    (
        "classes = [\"labs\"]",
        "rule[nurses-use-emr].classes: information class `labs` is not defined; add it to `[classes]`",
    ),
    ("classes = []", "rule[nurses-use-emr].classes: is an empty list; name at least one"),
    (
        "[classes]\n\"Lab Results\" = \"検査\"",
        "classes.Lab Results: `Lab Results` may only hold a-z, 0-9, `.`, `_` and `-`, and begins with a letter or digit; write a short name such as `emr` or `ward-shared-1`",
    ),
    (
        "effect = \"forbid\"\ngrant = true",
        "rule[nurses-use-emr]: a rule that forbids would forbid only those who have an approved exception; ask for a `grant` in the rules that permit",
    ),
    (
        "break_glass = true",
        "rule[nurses-use-emr]: asks for `break_glass`, but nobody reviews what is done then; name `reviewers` in `[break_glass]`",
    ),
    ("[maintenance]\npeople = 3", "maintenance.people: `3` is out of bounds; write a number from 1 to 2"),
    (
        "[maintenance]\nvendor_roles = [\"vendor\"]",
        "maintenance.vendor_roles: role `vendor` is not defined; add it to `[roles]`",
    ),
    (
        "[maintenance]\napprovers = [\"nurse\"]",
        "maintenance: names approvers, but there is no console where they could approve; add `console_host = \"console.hospital.example.jp\"` to `[gateway]`",
    ),
    (
        "[maintenance]\nmax_length = \"30d\"",
        "maintenance.max_length: `30d` is out of bounds; write a span from 1m to 7d",
    ),
    (
        "[break_glass]\nreviewers = [\"nurse\"]",
        "break_glass: names reviewers, but there is no console where they could review; add `console_host = \"console.hospital.example.jp\"` to `[gateway]`",
    ),
    (
        "[break_glass]\nreasons = {}",
        "break_glass.reasons: names no reason; name at least one, such as `emergency = \"救急・急変\"`",
    ),
    (
        "[break_glass.reasons]\n\"Not One\" = \"x\"",
        "break_glass.reasons.Not One: is not a code; write a-z, 0-9 and `-`, such as `emergency`",
    ),
    (
        "effect = \"forbid\"\nrequests_per_hour = 5",
        "rule[nurses-use-emr]: a rule that forbids lets nobody do anything that could be counted; set `requests_per_hour` and `patients_per_hour` in the rules that permit",
    ),
    (
        "patients_per_hour = 0",
        "rule[nurses-use-emr].patients_per_hour: `0` is out of bounds; write a number from 1 to 1000000",
    ),
    (
        "beyond = \"alarm\"",
        "rule[nurses-use-emr].beyond: is beyond nothing; add `requests_per_hour` or `patients_per_hour`",
    ),
    (
        "patients_per_hour = 9\nbeyond = \"stepup\"",
        "rule[nurses-use-emr].beyond: `stepup` is not one of `deny`, `step-up`, `alarm`; write `step-up`",
    ),
    (
        "days = [\"holiday\"]",
        "rule[nurses-use-emr].days: `holiday` is not one of `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`, `hol`; write one of these",
    ),
    (
        "[policy]\nholidays = [\"2026-11-31\"]",
        "policy.holidays: `2026-11-31` is not a date; write it like `2026-11-23`",
    ),
    (
        "[policy]\nholidays = [2026-11-23]",
        "policy.holidays: holds a date or time where a text belongs; write it in quotes, such as `\"text\"`",
    ),
    ("[[rule_set]]\nname = \"x\"", "rule_set[x].id: is missing; add `id = \"images\"`"),
    (
        "[[rule_set]]\nid = \"a\"\n[[rule_set]]\nid = \"a\"",
        "rule_set[a].id: `a` is already used on line 22; give each rule set its own id",
    ),
    (
        "[[rule_set]]\nid = \"a\"\n[[rule_set.rule]]\nid = \"nurses-use-emr\"\nroles = \"anyone\"\nactions = \"all\"",
        "rule_set[a].rule[nurses-use-emr].id: `nurses-use-emr` is already used on line 17; give each rule its own id",
    ),
    (
        "[[rule_set]]\nid = \"a\"\n[[rule_set.rule]]\nid = \"b\"\nroles = \"anyone\"\nactions = \"all\"\napps = \"all\"",
        "rule_set[a].rule[b].apps: is for rules outside of sets; name the set in `rules` of each `[[app]]` it is for",
    ),
    ("[[rule_sets]]\nid = \"a\"", "rule_sets: is not a key we know; write `rule_set`"),
];

#[test]
fn each_mistake_of_rules_and_sets_is_told_in_words_one_can_act_on() {
    for (lines, said) in SAID_AT_THE_END {
        assert_eq!(said_about(&short_and(lines)), *said);
    }
}

#[test]
fn a_rule_of_a_set_that_the_policy_refuses_is_told_at_its_line() {
    let set = "[[rule_set]]\nid = \"a\"\n[[rule_set.rule]]\nid = \"no\"\neffect = \"forbid\"\nroles = \"anyone\"\nactions = \"all\"\nassurance = \"aal2\"\n";
    let problem = super::only_problem(&format!("{}{set}", with_app("rules = [\"a\"]")));
    assert_eq!((problem.line, problem.key.as_str()), (24, "rule_set[a].rule[no]"));
}
