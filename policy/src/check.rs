//! What is looked for in the table before it is compiled, told in the words of the table.

use std::collections::{HashMap, HashSet};

use crate::built_in;
use crate::{
    AppFacts, AppId, Apps, DeviceClass, Devices, Effect, Hours, PolicyPlace, PolicyProblem, PostureDemand, PostureName,
    Rule, RuleId, Subjects,
};

/// Every problem of the table, rule by rule.
pub(crate) fn check(rules: &[Rule], apps: &[AppFacts]) -> Vec<PolicyProblem> {
    let built_in: HashMap<_, _> = apps.iter().map(|app| (&app.id, app.built_in)).collect();
    let mut seen = HashSet::new();
    let mut problems = Vec::new();
    for rule in rules {
        let mut tell = |reason: String, remedy: &str| {
            let place = PolicyPlace::Rule(rule.id.clone());
            problems.push(PolicyProblem { place, reason, remedy: remedy.to_owned() });
        };
        if !seen.insert(&rule.id) {
            tell(format!("`{}` is the name of an earlier rule", rule.id), "give each rule its own name");
        }
        if let Some(reason) = reserved(&rule.id) {
            tell(reason, "choose another name");
        }
        for (column, reason) in empty_columns(rule) {
            tell(reason, column);
        }
        for (reason, remedy) in app_problems(rule, &built_in) {
            tell(reason, remedy);
        }
        if rule.hours.as_ref().is_some_and(|hours| !hours_stand_on_a_clock(hours)) {
            tell("`hours` are not on a clock".to_owned(), "write hours from `00:00` to `24:00`");
        }
        if rule.effect == Effect::Forbid && (rule.assurance.is_some() || rule.authenticated_within.is_some()) {
            tell(
                "a rule that forbids would forbid only those who were surely recognised".to_owned(),
                "ask for `assurance` and `authenticated_within` in the rules that permit",
            );
        }
        if rule.effect == Effect::Forbid && !rule.posture.is_empty() {
            tell(
                "a rule that forbids would forbid nothing once reports of `posture` are too old".to_owned(),
                "demand `posture` in the rules that permit",
            );
        }
        if rule.effect == Effect::Forbid && rule.in_outage {
            tell(
                "a rule that forbids always reaches into outages".to_owned(),
                "remove `in_outage`; set it in the rules that permit",
            );
        }
        if rule.effect == Effect::Forbid && rule.grant {
            tell(
                "a rule that forbids would forbid only those who have an approved exception".to_owned(),
                "ask for a `grant` in the rules that permit",
            );
        }
        for (reason, remedy) in glass_problems(rule) {
            tell(reason.to_owned(), remedy);
        }
        for (reason, remedy) in caps_problems(rule) {
            tell(reason.to_owned(), remedy);
        }
        if let Some(name) = demanded_twice(rule) {
            tell(format!("no device can have two values of `{name}` in `posture`"), "demand one of them");
        }
        if rule.authenticated_within.is_some_and(|span| span.as_secs() == 0) {
            tell("nobody can meet `authenticated_within` of less than a second".to_owned(), "write a longer time");
        }
    }
    problems
}

/// Why a name may not be given to a rule, if so.
pub(crate) fn reserved(id: &RuleId) -> Option<String> {
    built_in::is_reserved(id).then(|| format!("`{id}` is a name of the gateway's own rules"))
}

fn empty_columns(rule: &Rule) -> impl Iterator<Item = (&'static str, String)> {
    let no_roles = matches!(&rule.subjects, Subjects::Roles(roles) if roles.is_empty());
    let no_apps = matches!(&rule.apps, Apps::Only(apps) if apps.is_empty());
    let no_classes = matches!(&rule.devices, Devices::Classes(classes) if classes.is_empty());
    let no_days = rule.hours.as_ref().is_some_and(|hours| hours.days.is_empty());
    [
        (no_roles, "roles", "name a role, or write `\"signed-in\"` or `\"anyone\"`"),
        (no_apps, "apps", "name an app, or write `\"all\"`"),
        (rule.actions.is_empty(), "actions", "name one of `read`, `search`, `write`, `delete`, `export`, `connect`"),
        (no_classes, "devices", "name a class of devices, or write `\"known\"` or `\"any\"`"),
        (no_days, "days", "name a day, or leave `days` out for every day"),
    ]
    .into_iter()
    .filter(|(empty, ..)| *empty)
    .map(|(_, column, remedy)| (remedy, format!("`{column}` is empty, so the rule fits nothing")))
}

fn app_problems<'a>(
    rule: &'a Rule,
    built_in: &HashMap<&AppId, bool>,
) -> impl Iterator<Item = (String, &'static str)> + use<'a> {
    let named = match &rule.apps {
        Apps::All => &[][..],
        Apps::Only(apps) => apps.as_slice(),
    };
    let known: Vec<_> = named.iter().map(|app| (app, built_in.get(app).copied())).collect();
    known.into_iter().filter_map(|(app, built_in)| match built_in {
        None => Some((format!("there is no app `{app}`"), "add the app, or correct its name in the rule")),
        Some(true) => Some((
            format!("`{app}` is a part of the gateway, which judges it by rules of its own"),
            "leave it out of the rule",
        )),
        Some(false) => None,
    })
}

/// Glass is broken by people whom the hospital knows, never by vendors.
fn glass_problems(rule: &Rule) -> impl Iterator<Item = (&'static str, &'static str)> {
    let named = matches!(rule.subjects, Subjects::Roles(_));
    let at_vendors = matches!(&rule.devices, Devices::Classes(classes) if classes.contains(&DeviceClass::Vendor));
    [
        (
            rule.effect == Effect::Forbid,
            "a rule that forbids would forbid only those who broke the glass",
            "ask for `break_glass` in the rules that permit",
        ),
        (!named, "glass is broken by certain people, and vendors are never among them", "name their `roles`"),
        (at_vendors, "glass is never broken from a vendor's device", "take `vendor` out of `devices`"),
        (
            rule.grant,
            "an access rests on one exception: an approved one, or broken glass",
            "write a rule for each of `grant` and `break_glass`",
        ),
    ]
    .into_iter()
    .filter(|(is_wrong, ..)| rule.break_glass && *is_wrong)
    .map(|(_, reason, remedy)| (reason, remedy))
}

fn caps_problems(rule: &Rule) -> impl Iterator<Item = (&'static str, &'static str)> {
    let bounds_nothing = rule.caps.as_ref().is_some_and(|caps| caps.requests.is_none() && caps.patients.is_none());
    [
        (
            rule.caps.is_some() && rule.effect == Effect::Forbid,
            "a rule that forbids lets nobody do anything that could be counted",
            "set `requests_per_hour` and `patients_per_hour` in the rules that permit",
        ),
        (
            rule.caps.is_some() && rule.subjects == Subjects::Anyone,
            "what people do in an hour is counted by person, and `\"anyone\"` need not be one",
            "write `roles = \"signed-in\"`, or name the roles",
        ),
        (bounds_nothing, "`beyond` has nothing to be beyond", "add `requests_per_hour` or `patients_per_hour`"),
    ]
    .into_iter()
    .filter(|(is_wrong, ..)| *is_wrong)
    .map(|(_, reason, remedy)| (reason, remedy))
}

fn demanded_twice(rule: &Rule) -> Option<&PostureName> {
    let other = |one: &PostureDemand| rule.posture.iter().any(|two| two.name() == one.name() && two != one);
    rule.posture.iter().find(|one| other(one)).map(PostureDemand::name)
}

fn hours_stand_on_a_clock(hours: &Hours) -> bool {
    const MINUTES_PER_DAY: u16 = 24 * 60;
    hours.from_minute < MINUTES_PER_DAY && (1..=MINUTES_PER_DAY).contains(&hours.to_minute)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fixtures::{apps, rule_with};
    use std::sync::Arc;

    use crate::{Assurance, Beyond, Caps, Day};

    fn demands(texts: &[&str]) -> Vec<PostureDemand> {
        texts.iter().map(|text| PostureDemand::parse(text).unwrap()).collect()
    }

    fn caps(patients: Option<u32>) -> Option<Arc<Caps>> {
        let patients = patients.and_then(std::num::NonZeroU32::new);
        Some(Arc::new(Caps { requests: None, patients, beyond: Beyond::Deny }))
    }

    fn check_one(change: impl FnOnce(&mut Rule)) -> Vec<String> {
        check(&[rule_with("r", change)], &apps()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_sound_rule_has_no_problem() {
        assert_eq!(check_one(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn each_mistake_is_named_with_its_remedy() {
        type Mistake = fn(&mut Rule);
        let mistakes: [(Mistake, &str); 22] = [
            (|rule| rule.id = "default-deny".parse().unwrap(), "own rules"),
            (|rule| rule.id = "builtin-x".parse().unwrap(), "own rules"),
            (|rule| rule.subjects = Subjects::Roles(vec![]), "`roles` is empty"),
            (|rule| rule.apps = Apps::Only(vec![]), "`apps` is empty"),
            (|rule| rule.actions = vec![], "`actions` is empty"),
            (|rule| rule.devices = Devices::Classes(vec![]), "`devices` is empty"),
            (|rule| rule.apps = Apps::Only(vec!["erm".parse().unwrap()]), "there is no app `erm`"),
            (|rule| rule.apps = Apps::Only(vec!["portal".parse().unwrap()]), "part of the gateway"),
            (
                |rule| rule.hours = Some(Hours { days: vec![Day::Holiday], from_minute: 0, to_minute: 1_441 }),
                "not on a clock",
            ),
            (
                |rule| (rule.effect, rule.assurance) = (Effect::Forbid, Some(Assurance::Aal2)),
                "would forbid only those who were surely recognised",
            ),
            (|rule| rule.authenticated_within = Some(Duration::from_millis(900)), "less than a second"),
            (
                |rule| (rule.effect, rule.posture) = (Effect::Forbid, demands(&["edr=running"])),
                "once reports of `posture` are too old",
            ),
            (|rule| (rule.effect, rule.in_outage) = (Effect::Forbid, true), "always reaches into outages"),
            (|rule| rule.posture = demands(&["edr=running", "edr=idle"]), "two values of `edr`"),
            (|rule| (rule.effect, rule.grant) = (Effect::Forbid, true), "who have an approved exception"),
            (|rule| (rule.effect, rule.break_glass) = (Effect::Forbid, true), "who broke the glass"),
            (|rule| (rule.subjects, rule.break_glass) = (Subjects::SignedIn, true), "vendors are never among them"),
            (|rule| (rule.grant, rule.break_glass) = (true, true), "rests on one exception"),
            (
                |rule| {
                    rule.break_glass = true;
                    rule.devices = Devices::Classes(vec![DeviceClass::Tablet, DeviceClass::Vendor]);
                },
                "from a vendor's device",
            ),
            (|rule| (rule.effect, rule.caps) = (Effect::Forbid, caps(Some(5))), "that could be counted"),
            (|rule| (rule.subjects, rule.caps) = (Subjects::Anyone, caps(Some(5))), "is counted by person"),
            (|rule| rule.caps = caps(None), "nothing to be beyond"),
        ];
        for (mistake, told) in mistakes {
            let problems = check_one(mistake);
            assert!(problems.len() == 1 && problems[0].contains(told), "{told}: {problems:?}");
        }
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let broken = rule_with("r", |rule| {
            rule.actions = vec![];
            rule.apps = Apps::Only(vec!["erm".parse().unwrap(), "pasc".parse().unwrap()]);
        });
        assert_eq!(check(&[broken.clone(), broken], &apps()).len(), 7);
    }
}
