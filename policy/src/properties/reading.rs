//! The policy as people read it is the policy as it judges: sheet, explanation and judgment agree on random tables and
//! accesses, and whatever is told to turn an answer turns it.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::{ROLES, any_access, files, may_take_glass, parsed, table};
use crate::condition::Condition;
use crate::facts::{Facts, signed_in};
use crate::fit::Unmet;
use crate::fixtures::source;
use crate::{
    Access, Alteration, Apps, ClassRoute, Effect, Entry, InfoClass, Judge, Matrix, Part, Policy, PolicySource, Reason,
    RoutePattern, Rule, Subject, Verdict, what_if,
};

const CLASSES: [&str; 2] = ["chart", "images"];

fn classes() -> Vec<InfoClass> {
    parsed(&CLASSES)
}

/// A hospital whose apps know both classes.
fn hospital(rules: Vec<Rule>, cedar: &str) -> PolicySource {
    let mut source = source(rules, cedar);
    for app in source.apps.iter_mut().filter(|app| !app.built_in) {
        let route = |class: InfoClass| ClassRoute {
            methods: vec![],
            pattern: RoutePattern::parse(&format!("/{class}/**")).unwrap(),
            action: None,
            class,
            patients: None,
            folds: false,
            ward_field: None,
        };
        app.routes = classes().into_iter().map(route).collect();
    }
    source
}

/// A rule, now and then of some classes only, or for approved exceptions.
fn tables() -> impl Strategy<Value = Vec<Rule>> {
    let exception = prop::sample::select(vec![(false, false), (false, false), (true, false), (false, true)]);
    let more = prop::collection::vec((prop::sample::subsequence(classes(), 0..=2), exception), 12);
    (table(), more).prop_map(|(mut rules, more)| {
        for (rule, (classes, (grant, glass))) in rules.iter_mut().zip(more) {
            rule.classes = classes;
            rule.grant = grant && rule.effect == Effect::Permit;
            rule.break_glass = glass && may_take_glass(rule);
        }
        rules
    })
}

fn accesses() -> impl Strategy<Value = Vec<Access>> {
    let one = (any_access(), prop::option::of(prop::sample::select(classes())));
    let one = one.prop_map(|(access, class)| Access { class, ..access });
    prop::collection::vec(one, 1..12)
}

fn is_allowed(policy: &Arc<Policy>, access: &Access) -> bool {
    matches!(Judge::new(Arc::clone(policy)).judge(access.clone(), ()), Verdict::Allow(_))
}

/// What the sheet says of an access, read as its legend tells to.
fn read_off(matrix: &Matrix, policy: &Policy, access: &Access) -> bool {
    let facts = Facts::of(access, &policy.calendar);
    let theirs: Vec<Subject> = match facts.who {
        None => vec![Subject::Nobody],
        Some(who) => who.roles.iter().cloned().map(Subject::Role).chain([Subject::SignedIn]).collect(),
    };
    let fits = |place: &usize| {
        let Entry { conditions, in_outage, .. } = &matrix.entries[*place];
        let met = |condition: &Condition| condition.clone().unmet(&facts).is_none();
        conditions.iter().all(met) && (*in_outage || !facts.in_outage)
    };
    let table = matrix.apps.iter().find(|table| table.app == access.app).unwrap();
    let line = table.lines.iter().find(|line| line.class == access.class && line.action == access.action).unwrap();
    let columns = matrix.subjects.iter().zip(&line.cells).filter(|(subject, _)| theirs.contains(subject));
    let cells: Vec<_> = columns.map(|(_, cell)| cell).collect();
    let any = |places: fn(&crate::Cell) -> &Vec<usize>| cells.iter().any(|cell| places(cell).iter().any(fits));
    let own_device = signed_in(access).is_none() || access.session_is_on_its_device();
    own_device && any(|cell| &cell.permits) && !any(|cell| &cell.forbids)
}

fn after(access: &Access, changes: &[&Alteration]) -> Access {
    changes.iter().fold(access.clone(), |access, change| change.applied(&access))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn sheet_explanation_and_judgment_agree(rules in tables(), accesses in accesses()) {
        let policy = Arc::new(Policy::load(&hospital(rules, "")).unwrap());
        let matrix = Matrix::of(&policy, parsed(&ROLES));
        for access in &accesses {
            let judged = is_allowed(&policy, access);
            prop_assert_eq!(read_off(&matrix, &policy, access), judged, "{:?}", access);
            let explanation = what_if(&policy, access);
            prop_assert_eq!(explanation.answer.is_allowed(), judged);
            let on_its_device = signed_in(access).is_none() || access.session_is_on_its_device();
            if on_its_device {
                let fits = |effect| explanation.rules.iter().any(|one| {
                    one.effect == effect && one.missing.is_empty() && one.part != Part::Near
                });
                prop_assert_eq!(fits(Effect::Permit) && !fits(Effect::Forbid), judged, "{:?}", explanation);
            }
        }
    }

    #[test]
    fn conditions_say_what_the_fast_reading_says(rules in tables(), accesses in accesses()) {
        for access in &accesses {
            let facts = Facts::of(access, &crate::fixtures::JAPAN);
            for rule in &rules {
                let fast: BTreeSet<Reason> = Unmet::of(rule, &facts).reasons().collect();
                let slow: BTreeSet<Reason> =
                    Condition::of_situation(rule).chain(class_of(rule)).filter_map(|one| one.unmet(&facts)).map(|one| one.reason).collect();
                prop_assert_eq!(fast, slow, "{:?}", rule);
            }
        }
    }

    #[test]
    fn what_is_told_to_turn_an_answer_turns_it(rules in tables(), cedar in files(), accesses in accesses()) {
        let policy = Arc::new(Policy::load(&hospital(rules, &cedar)).unwrap());
        for access in &accesses {
            let explanation = what_if(&policy, access);
            let before = explanation.answer.is_allowed();
            prop_assert_eq!(before, is_allowed(&policy, access));
            for turn in &explanation.turns {
                let first: Vec<_> = turn.changes.iter().filter_map(|either| either.first()).collect();
                for (place, either) in turn.changes.iter().enumerate() {
                    for change in either {
                        let mut changes = first.clone();
                        changes[place] = change;
                        prop_assert_eq!(is_allowed(&policy, &after(access, &changes)), !before, "{:?}", changes);
                    }
                }
            }
        }
    }

    #[test]
    fn whoever_lacks_one_thing_is_told_which(rules in tables(), access in accesses()) {
        let policy = Arc::new(Policy::load(&hospital(rules.clone(), "")).unwrap());
        let access = &access[0];
        let forbids = rules.iter().any(|rule| rule.effect == Effect::Forbid);
        let facts = Facts::of(access, &policy.calendar);
        let of_app = |rule: &&Rule| match &rule.apps { Apps::All => true, Apps::Only(apps) => apps.contains(&access.app) };
        let lacks_their_own = |rule: &Rule| {
            let missing = Condition::missing(rule, &facts);
            missing.len() == 1 && !matches!(
                missing[0].condition,
                Condition::Actions(_) | Condition::Classes(_) | Condition::Paths(_)
            )
        };
        let on_its_device = signed_in(access).is_some() && access.session_is_on_its_device();
        if on_its_device && !forbids && !is_allowed(&policy, access) && rules.iter().filter(of_app).any(lacks_their_own) {
            let explanation = what_if(&policy, access);
            // A device that is known at last may still have to report, and hours may come with other conditions.
            prop_assert!(!explanation.turns.is_empty(), "{:?}", explanation);
        }
    }
}

/// The class is a part of the scope as people read a row, and of the situation as the judge does.
fn class_of(rule: &Rule) -> Option<Condition> {
    Condition::of_scope(rule).find(|condition| matches!(condition, Condition::Classes(_)))
}
