//! A row of the table as Cedar text. Nothing is permitted but by what is written here: `fit` only chooses the rows worth
//! asking, and explains refusals.
//!
//! Where Cedar's scope can say it (one role, one app), the scope says it; lists become conditions. No text needs
//! escaping: names, canonical paths and demands on posture hold neither quotes nor backslashes. A short list is written
//! as alternatives, since Cedar builds a set anew each time it meets one.

use std::fmt::Display;
use std::fmt::Write as _;

use crate::facts::{Fact, Reads};
use crate::{Action, Apps, Day, Devices, Effect, Hours, Rule, SignInMethod, Subjects};

/// A longer list is written as a set, so that no expression nests deep.
const ALTERNATIVES_MAX: usize = 8;

/// The rule as one Cedar policy, under its name.
#[cfg(test)]
pub(crate) fn cedar_text(rule: &Rule) -> String {
    format!("@id(\"{}\")\n{}", rule.id, statement(rule))
}

/// The rule as one Cedar policy.
pub(crate) fn statement(rule: &Rule) -> String {
    let mut conditions = Vec::new();
    let principal = match &rule.subjects {
        Subjects::Anyone => "principal".to_owned(),
        Subjects::SignedIn => "principal is Sekimori::User".to_owned(),
        Subjects::Roles(roles) => match roles.as_slice() {
            [role] => format!(r#"principal in Sekimori::Role::"{role}""#),
            roles => {
                conditions.push(if roles.len() > ALTERNATIVES_MAX {
                    format!("principal in {}", list(roles, "Sekimori::Role::"))
                } else {
                    alternatives("principal in", roles, "Sekimori::Role::")
                });
                "principal is Sekimori::User".to_owned()
            }
        },
    };
    let resource = match &rule.apps {
        Apps::All => "resource".to_owned(),
        Apps::Only(apps) => match apps.as_slice() {
            [app] => format!(r#"resource == Sekimori::App::"{app}""#),
            apps => {
                conditions.push(one_of("resource", apps, "Sekimori::App::"));
                "resource is Sekimori::App".to_owned()
            }
        },
    };
    let named = |action: &Action| format!(r#"Sekimori::Action::"{}""#, action.as_str());
    let actions = if rule.covers(Action::Export) && !rule.actions.contains(&Action::Export) {
        [&rule.actions[..], &[Action::Export]].concat()
    } else {
        rule.actions.clone()
    };
    let action = match actions.as_slice() {
        [action] => format!("action in {}", named(action)),
        _ if Action::ALL.into_iter().all(|action| rule.covers(action)) => "action".to_owned(),
        actions => {
            conditions.insert(
                0,
                actions.iter().map(|one| format!("action in {}", named(one))).collect::<Vec<_>>().join(" || "),
            );
            "action".to_owned()
        }
    };
    conditions.extend(situation(rule));

    let effect = match rule.effect {
        Effect::Permit => "permit",
        Effect::Forbid => "forbid",
    };
    let mut text = format!("{effect} ({principal}, {action}, {resource})");
    for condition in conditions {
        write!(text, "\nwhen {{ {condition} }}").expect("writing to a string does not fail");
    }
    text.push(';');
    text
}

/// The columns about how, from where and when, each as a condition.
pub(crate) fn situation(rule: &Rule) -> impl Iterator<Item = String> {
    let paths = (!rule.paths.is_empty()).then(|| {
        let like: Vec<_> =
            rule.paths.iter().map(|pattern| format!(r#"context.path like "{}""#, pattern.as_str())).collect();
        like.join(" || ")
    });
    let classes = (!rule.classes.is_empty()).then(|| one_of("context.class", &rule.classes, ""));
    let device = match &rule.devices {
        Devices::Any => None,
        Devices::Known => Some("context.device.known".to_owned()),
        Devices::Classes(classes) => {
            let classes: Vec<_> = classes.iter().map(|class| class.as_str()).collect();
            // No class is empty, which is that of a device that is not known.
            Some(one_of("context.device.class", &classes, ""))
        }
    };
    let zone = (!rule.zones.is_empty()).then(|| one_of("context.zone", &rule.zones, ""));
    let assurance = rule.assurance.map(|level| format!("context.assurance >= {}", level.level()));
    let fresh = rule.authenticated_within.map(|span| format!("context.auth_age_seconds < {}", span.as_secs()));
    let methods = (!rule.methods.is_empty()).then(|| {
        let used = |method: SignInMethod| format!(r#"context.methods.contains("{}")"#, method.as_str());
        rule.methods.iter().map(used).collect::<Vec<_>>().join(" || ")
    });
    let keys = (!rule.keys.is_empty()).then(|| one_of("context.key_model", &rule.keys, ""));
    let posture =
        (!rule.posture.is_empty()).then(|| format!("context.device.posture.containsAll({})", list(&rule.posture, "")));
    let outage = (!reaches_outages(rule)).then(|| "!context.in_outage".to_owned());
    let grant = rule.grant.then(|| "context.grant != \"\"".to_owned());
    let glass = rule.break_glass.then(|| "context.break_glass != \"\"".to_owned());
    let hours = rule.hours.as_ref().map(hours);
    [paths, classes, device, posture, zone, hours, outage, grant, glass, methods, keys, assurance, fresh]
        .into_iter()
        .flatten()
}

/// Whether the rule is about people, too, who signed in while their provider could not be reached: rules that forbid
/// always are.
pub(crate) fn reaches_outages(rule: &Rule) -> bool {
    rule.in_outage || rule.effect == Effect::Forbid
}

fn hours(hours: &Hours) -> String {
    let (from, to) = (hours.from_minute, hours.to_minute);
    let on = |fact: Fact| {
        if daily(hours) {
            return String::new();
        }
        let days: Vec<_> = hours.days.iter().map(|day| day.as_str()).collect();
        format!("({}) && ", one_of(&format!("context.{}", fact.key()), &days, ""))
    };
    let days = on(Fact::Weekday);
    if from < to {
        return format!("{days}context.minute >= {from} && context.minute < {to}");
    }
    let days_before = on(Fact::WeekdayBefore);
    format!("({days}context.minute >= {from}) || ({days_before}context.minute < {to})")
}

/// Whether the hours are those of every day.
fn daily(hours: &Hours) -> bool {
    Day::ALL.iter().all(|day| hours.days.contains(day))
}

/// That an expression is one of these.
fn one_of(expression: &str, items: &[impl Display], kind: &str) -> String {
    if items.len() > ALTERNATIVES_MAX {
        return format!("{}.contains({expression})", list(items, kind));
    }
    alternatives(&format!("{expression} =="), items, kind)
}

pub(crate) fn alternatives(relation: &str, items: &[impl Display], kind: &str) -> String {
    items.iter().map(|item| format!(r#"{relation} {kind}"{item}""#)).collect::<Vec<_>>().join(" || ")
}

/// A set in Cedar: each item in quotes, after its type.
pub(crate) fn list(items: impl IntoIterator<Item = impl Display>, kind: &str) -> String {
    let items: Vec<_> = items.into_iter().map(|item| format!(r#"{kind}"{item}""#)).collect();
    format!("[{}]", items.join(", "))
}

/// Which facts the conditions of the rule read.
pub(crate) fn reads(rule: &Rule) -> Reads {
    let when = |reads: Reads, condition: bool, fact: Fact| if condition { reads.with(fact) } else { reads };
    let mut reads = Reads::none();
    reads = when(reads, !rule.paths.is_empty(), Fact::Path);
    reads = when(reads, !rule.classes.is_empty(), Fact::InfoClass);
    reads = when(reads, rule.grant, Fact::Grant);
    reads = when(reads, rule.break_glass, Fact::BreakGlass);
    reads = when(reads, rule.devices == Devices::Known, Fact::Known);
    reads = when(reads, matches!(rule.devices, Devices::Classes(_)), Fact::Class);
    reads = when(reads, !rule.zones.is_empty(), Fact::Zone);
    reads = when(reads, rule.hours.is_some(), Fact::Minute);
    reads = when(reads, rule.hours.as_ref().is_some_and(|hours| !daily(hours)), Fact::Weekday);
    let past_midnight = |hours: &Hours| !daily(hours) && hours.from_minute >= hours.to_minute;
    reads = when(reads, rule.hours.as_ref().is_some_and(past_midnight), Fact::WeekdayBefore);
    reads = when(reads, rule.assurance.is_some(), Fact::Assurance);
    reads = when(reads, !rule.methods.is_empty(), Fact::Methods);
    reads = when(reads, !rule.keys.is_empty(), Fact::KeyModel);
    reads = when(reads, !rule.posture.is_empty(), Fact::Posture);
    reads = when(reads, !reaches_outages(rule), Fact::InOutage);
    when(reads, rule.authenticated_within.is_some(), Fact::AuthAge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{rule, rule_with};

    #[test]
    fn a_simple_row_is_all_scope() {
        assert_eq!(
            cedar_text(&rule_with("nurse-reads", |rule| rule.in_outage = true)),
            "@id(\"nurse-reads\")\npermit (principal in Sekimori::Role::\"nurse\", \
             action in Sekimori::Action::\"read\", resource == Sekimori::App::\"emr\");"
        );
    }

    #[test]
    fn every_column_becomes_a_condition() {
        let full = rule_with("full", |rule| {
            rule.effect = Effect::Forbid;
            rule.subjects = Subjects::Roles(vec!["nurse".parse().unwrap(), "doctor".parse().unwrap()]);
            rule.apps = Apps::Only(vec!["emr".parse().unwrap(), "pacs".parse().unwrap()]);
            rule.paths = vec![crate::PathPattern::parse("/fhir/*").unwrap()];
            rule.classes = vec!["lab-results".parse().unwrap()];
            rule.grant = true;
            rule.break_glass = true;
            rule.devices = Devices::Classes(vec![crate::DeviceClass::Tablet]);
            rule.zones = vec!["ward".parse().unwrap()];
            rule.hours = Some(Hours {
                days: vec![Day::Week(crate::Weekday::Sunday), Day::Holiday],
                from_minute: 22 * 60,
                to_minute: 6 * 60,
            });
            rule.assurance = Some(crate::Assurance::Aal2);
            rule.authenticated_within = Some(std::time::Duration::from_secs(900));
            rule.methods = crate::Methods::of([SignInMethod::Passkey, SignInMethod::ProviderMfa]);
            rule.keys = vec![crate::Aaguid::new([0xab; 16])];
            rule.posture = vec![crate::PostureDemand::parse("os_patched").unwrap()];
        });
        let expected = r#"@id("full")
forbid (principal is Sekimori::User, action, resource is Sekimori::App)
when { action in Sekimori::Action::"read" || action in Sekimori::Action::"export" }
when { principal in Sekimori::Role::"nurse" || principal in Sekimori::Role::"doctor" }
when { resource == Sekimori::App::"emr" || resource == Sekimori::App::"pacs" }
when { context.path like "/fhir/*" }
when { context.class == "lab-results" }
when { context.device.class == "tablet" }
when { context.device.posture.containsAll(["os_patched=true"]) }
when { context.zone == "ward" }
when { ((context.weekday == "sun" || context.weekday == "hol") && context.minute >= 1320) || ((context.weekday_before == "sun" || context.weekday_before == "hol") && context.minute < 360) }
when { context.grant != "" }
when { context.break_glass != "" }
when { context.methods.contains("provider-mfa") || context.methods.contains("passkey") }
when { context.key_model == "abababab-abab-abab-abab-abababababab" }
when { context.assurance >= 2 }
when { context.auth_age_seconds < 900 };"#;
        assert_eq!(cedar_text(&full), expected);
        for fact in [
            Fact::Path,
            Fact::Class,
            Fact::Zone,
            Fact::Minute,
            Fact::Weekday,
            Fact::WeekdayBefore,
            Fact::InfoClass,
            Fact::Grant,
            Fact::BreakGlass,
            Fact::Assurance,
            Fact::AuthAge,
            Fact::Methods,
            Fact::KeyModel,
            Fact::Posture,
        ] {
            assert!(reads(&full).has(fact), "{fact:?}");
        }
    }

    #[test]
    fn short_lists_are_alternatives_and_long_ones_sets() {
        let text = |actions: &[Action], zones: usize| {
            let rule = rule_with("r", |rule| {
                rule.actions = actions.to_vec();
                rule.zones = (0..zones).map(|number| format!("z{number}").parse().unwrap()).collect();
                rule.hours = Some(Hours { days: Day::ALL.to_vec(), from_minute: 60, to_minute: 120 });
            });
            assert!(!reads(&rule).has(Fact::Weekday));
            cedar_text(&rule)
        };
        let few = text(&[Action::Read, Action::Write], 2);
        assert!(few.contains("when { action in Sekimori::Action::\"read\" || action in Sekimori::Action::\"write\" }"));
        assert!(few.contains("when { context.zone == \"z0\" || context.zone == \"z1\" }"));
        assert!(few.contains("when { context.minute >= 60 && context.minute < 120 }"));
        let many = text(&Action::ALL, 9);
        assert!(many.contains("\"nurse\", action, resource") && !many.contains("weekday"));
        assert!(many.contains("when { [\"z0\", \"z1\", "));
    }

    #[test]
    fn only_a_row_that_says_so_permits_in_an_outage() {
        let plain = rule("plain", "nurse", "emr");
        assert!(cedar_text(&plain).ends_with("when { !context.in_outage };"));
        assert_eq!(reads(&plain), Reads::none().with(Fact::InOutage));
        for change in [|rule: &mut Rule| rule.in_outage = true, |rule: &mut Rule| rule.effect = Effect::Forbid] {
            let reaching = rule_with("reaching", change);
            assert!(!cedar_text(&reaching).contains("in_outage"));
            assert_eq!(reads(&reaching), Reads::none());
        }
    }
}
