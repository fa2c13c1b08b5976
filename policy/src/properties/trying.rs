//! What trying a policy promises: lint is certain, and a replay answers each access as if it were the only one.

use std::sync::Arc;

use proptest::prelude::*;

use super::{any_access, any_rule, files, fits, hospital, may_take_glass, table};
use crate::lint::{is_wider, needless};
use crate::{Comparison, Decision, Effect, Judge, Known, Policy, Rule};

fn loaded(rules: &[Rule], cedar: &str) -> Arc<Policy> {
    Arc::new(Policy::load(&hospital(rules.to_vec(), cedar)).unwrap())
}

/// A row and another that has some of its columns from a third.
fn alike() -> impl Strategy<Value = (Rule, Rule)> {
    (any_rule(), any_rule(), any::<[bool; 8]>()).prop_map(|(one, other, takes)| {
        let mut two = one.clone();
        two.id = "alike".parse().unwrap();
        let [devices, zones, hours, paths, classes, sure, methods, posture] = takes;
        if devices {
            two.devices = other.devices;
        }
        if zones {
            two.zones = other.zones;
        }
        if hours {
            two.hours = other.hours;
        }
        if paths {
            two.paths = other.paths;
        }
        if classes {
            two.classes = other.classes;
        }
        if methods {
            (two.methods, two.keys) = (other.methods, other.keys);
        }
        let permit = two.effect == Effect::Permit && other.effect == Effect::Permit;
        if sure && permit {
            (two.assurance, two.authenticated_within) = (other.assurance, other.authenticated_within);
        }
        if posture && permit {
            (two.posture, two.in_outage, two.grant) = (other.posture, other.in_outage, other.grant);
            two.break_glass = other.break_glass;
        }
        two.break_glass &= may_take_glass(&two);
        (one, two)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_wider_row_fits_whatever_the_narrower_fits(
        (one, two) in alike(),
        accesses in prop::collection::vec(any_access(), 1..32),
    ) {
        let policy = loaded(&[], "");
        for (wide, narrow) in [(&one, &two), (&two, &one)] {
            if is_wider(wide, narrow) {
                for access in &accesses {
                    prop_assert!(!fits(&policy, narrow, access) || fits(&policy, wide, access), "{wide:?}\n{narrow:?}");
                }
            }
        }
    }

    #[test]
    fn a_row_that_is_told_to_be_needless_can_go_and_nothing_more_or_less_is_allowed(
        rules in table(),
        (one, two) in alike(),
        cedar in files(),
        accesses in prop::collection::vec(any_access(), 1..16),
    ) {
        let mut rules = rules;
        rules.extend([Rule { id: "one".parse().unwrap(), ..one }, two]);
        let whole = loaded(&rules, &cedar);
        for needless in needless(&rules) {
            let fewer: Vec<_> = rules.iter().filter(|rule| rule.id != needless).cloned().collect();
            let fewer = loaded(&fewer, &cedar);
            for access in &accesses {
                let allows = |policy: &Arc<Policy>| {
                    Judge::new(Arc::clone(policy)).ask(access).decision == Decision::Allow
                };
                prop_assert_eq!(allows(&whole), allows(&fewer), "{}", needless);
            }
        }
    }

    #[test]
    fn a_replayed_access_is_answered_as_if_it_were_the_only_one(
        active in table(),
        proposed in table(),
        cedar in files(),
        accesses in prop::collection::vec(any_access(), 1..16),
    ) {
        let (active, proposed) = (loaded(&active, ""), loaded(&proposed, &cedar));
        let mut comparison = Comparison::new(Arc::clone(&active), Arc::clone(&proposed));
        for access in accesses.iter().chain(&accesses).chain(accesses.iter().rev()) {
            let alone = |policy: &Arc<Policy>| Judge::new(Arc::clone(policy)).ask(access);
            let compared = comparison.judge(access, access, Known::ALL).unwrap();
            prop_assert_eq!((compared.active, compared.proposed), (alone(&active), alone(&proposed)));
        }
    }
}
