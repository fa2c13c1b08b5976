//! What the policy promises whatever is written in it: default deny, a forbid never allows more, order does not matter,
//! an error denies, and what is remembered is what would be found again. Tried on random policies and accesses.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;

use super::{CEDAR, any_access, any_rule, files, fits, hospital, table};
use crate::facts::signed_in;
use crate::{Access, Caps, Decision, Device, Effect, Judge, Judged, Policy, Reason, Reasons, Rule, Timestamp, Verdict};

/// Everything a verdict says, but for the act and what it was asked.
#[derive(PartialEq, Debug)]
enum Said {
    Allowed { by: String, caps: Option<Arc<Caps>>, until: Timestamp },
    NotYet(crate::Challenge, Reasons),
    Denied(Reasons),
}

fn loaded(rules: &[Rule], cedar: &str) -> Arc<Policy> {
    Arc::new(Policy::load(&hospital(rules.to_vec(), cedar)).unwrap())
}

fn said(judge: &mut Judge, access: &Access) -> Said {
    match judge.judge(access.clone(), ()) {
        Verdict::Allow(authorized) => {
            let permit = authorized.permit();
            Said::Allowed { by: permit.rule().to_string(), caps: permit.caps().cloned(), until: permit.until() }
        }
        Verdict::Challenge(refused, challenge) => Said::NotYet(challenge, refused.reasons),
        Verdict::Deny(refused) => Said::Denied(refused.reasons),
    }
}

fn judged(policy: &Arc<Policy>, access: &Access) -> Judged {
    Judge::new(Arc::clone(policy)).ask(access)
}

fn allows(policy: &Arc<Policy>, access: &Access) -> bool {
    judged(policy, access).decision == Decision::Allow
}

/// A row that forbids, with the columns such a row may have.
fn forbidding(rule: Rule) -> Rule {
    Rule {
        id: "added".parse().unwrap(),
        effect: Effect::Forbid,
        assurance: None,
        authenticated_within: None,
        posture: vec![],
        in_outage: false,
        grant: false,
        break_glass: false,
        caps: None,
        ..rule
    }
}

fn shuffled() -> impl Strategy<Value = (Vec<Rule>, Vec<Rule>, Vec<String>, Vec<String>)> {
    (table(), files()).prop_flat_map(|(rules, cedar)| {
        let lines: Vec<String> = cedar.lines().map(str::to_owned).collect();
        (Just(rules.clone()), Just(rules).prop_shuffle(), Just(lines.clone()), Just(lines).prop_shuffle())
    })
}

/// One fact after the other becomes that of another access, as days go by at a worker.
fn history() -> impl Strategy<Value = Vec<Access>> {
    let step = (any_access(), 0..9u8, select(vec![0, 1, 60, 3_600, 40_000]));
    (any_access(), prop::collection::vec(step, 1..40)).prop_map(|(first, steps)| {
        let mut history = vec![first];
        for (other, fact, seconds) in steps {
            let mut now = history.last().unwrap().clone();
            match fact {
                0 => now.who = other.who,
                1 => now.device = other.device,
                2 => now.from = other.from,
                3 => now.action = other.action,
                4 => now.path = other.path,
                5 => now.class = other.class,
                6 => now.grant = other.grant,
                7 => now.app = other.app,
                _ => {
                    let posture = other.device.map(|device| Arc::clone(&device.posture)).unwrap_or_default();
                    now.device = now.device.map(|device| Arc::new(Device { posture, ..(*device).clone() }));
                }
            }
            now.at = Timestamp::from_unix_micros(now.at.unix_micros() + seconds * 1_000_000);
            history.push(now);
        }
        history
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn without_a_rule_that_permits_nothing_is_allowed(
        mut rules in table(),
        cedar in files(),
        access in any_access(),
    ) {
        rules.retain(|rule| rule.effect == Effect::Forbid);
        let forbids: Vec<_> = cedar.lines().filter(|line| line.contains(") forbid")).collect();
        prop_assert!(!allows(&loaded(&rules, &forbids.join("\n")), &access));
    }

    #[test]
    fn one_more_forbid_never_allows_more(
        rules in table(),
        cedar in files(),
        added in any_rule(),
        written in select(CEDAR.to_vec()),
        accesses in prop::collection::vec(any_access(), 1..16),
    ) {
        let before = loaded(&rules, &cedar);
        let with_a_row = [&rules[..], &[forbidding(added)]].concat();
        let more = format!("{cedar}@id(\"written\") {written}\n");
        let cedar_after = if written.starts_with("forbid") { &more } else { &cedar };
        for after in [loaded(&with_a_row, &cedar), loaded(&rules, cedar_after)] {
            for access in &accesses {
                prop_assert!(!allows(&after, access) || allows(&before, access));
            }
        }
    }

    #[test]
    fn the_order_of_rules_does_not_matter(
        (rules, other_rules, lines, other_lines) in shuffled(),
        accesses in prop::collection::vec(any_access(), 1..16),
    ) {
        let one = loaded(&rules, &lines.join("\n"));
        let other = loaded(&other_rules, &other_lines.join("\n"));
        for access in &accesses {
            let (one, other) = (said(&mut Judge::new(Arc::clone(&one)), access), said(&mut Judge::new(Arc::clone(&other)), access));
            match (&one, &other) {
                (Said::Allowed { caps: one, until: one_until, .. }, Said::Allowed { caps: other, until: other_until, .. }) => {
                    prop_assert_eq!(one.is_some(), other.is_some(), "bounds bind whom no other rule permits without");
                    prop_assert_eq!(one_until, other_until);
                }
                (Said::NotYet(..), Said::NotYet(..)) | (Said::Denied(_), Said::Denied(_)) => {}
                (Said::Allowed { .. } | Said::NotYet(..) | Said::Denied(_), _) => prop_assert!(false, "{one:?} {other:?}"),
            }
        }
    }

    #[test]
    fn caps_bind_only_whom_no_rule_permits_without(
        rules in table(),
        accesses in prop::collection::vec(any_access(), 1..16),
    ) {
        let policy = loaded(&rules, "");
        for access in &accesses {
            if let Said::Allowed { by, caps, .. } = said(&mut Judge::new(Arc::clone(&policy)), access) {
                let permits = || rules.iter().filter(|rule| rule.effect == Effect::Permit && fits(&policy, rule, access));
                prop_assert_eq!(caps.is_none(), permits().any(|rule| rule.caps.is_none()));
                let deciding = permits().find(|rule| rule.id.as_str() == by);
                prop_assert_eq!(caps, deciding.and_then(|rule| rule.caps.clone()));
            }
        }
    }

    #[test]
    fn an_error_while_judging_denies(
        rules in table(),
        cedar in files(),
        effect in select(vec!["permit", "forbid"]),
        accesses in prop::collection::vec(any_access(), 1..16),
    ) {
        let failing = format!(
            "{cedar}@id(\"failing\") {effect} (principal, action, resource) \
             when {{ (context.in_outage || true) && 9223372036854775807 + context.minute + 1 > 0 }};\n"
        );
        let policy = loaded(&rules, &failing);
        for access in &accesses {
            let refused = judged(&policy, access);
            let elsewhere = signed_in(access).is_some() && !access.session_is_on_its_device();
            let reason = if elsewhere { Reason::OtherDevice } else { Reason::PolicyError };
            prop_assert_eq!((refused.decision, refused.reason), (Decision::Deny, Some(reason)));
        }
    }

    #[test]
    fn what_is_remembered_is_what_would_be_found_again(
        rules in table(),
        cedar in files(),
        history in history(),
    ) {
        let policy = loaded(&rules, &cedar);
        let mut remembering = Judge::new(Arc::clone(&policy));
        for access in history.iter().chain(&history) {
            let fresh = said(&mut Judge::new(Arc::clone(&policy)), access);
            prop_assert_eq!(said(&mut remembering, access), fresh);
        }
    }
}
