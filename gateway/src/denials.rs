//! Whether people who were allowed are denied since a version of the policy came into force. Counted only where the
//! hospital wants the gateway to go back by itself then; in memory, of this node. Everybody weighs the same, however
//! often they ask: one person moves nobody's rules.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use policy::{Timestamp, UserId, Verdict};

/// For how long whoever was allowed counts as somebody who may, in seconds.
const KNOWN_FOR: i64 = 86_400;
/// The most people remembered.
const PEOPLE_MAX: usize = 65_536;
/// What was usual is kept in spans of so many seconds; the present one and the one before say it.
const SPAN: i64 = 30 * 60;
/// For how long after it came a version is on trial, in seconds.
const TRIAL: i64 = 15 * 60;
/// Fewer denials than this are nobody's alarm.
const DENIALS_MIN: u64 = 10;
/// Denials of fewer different people than this are no alarm either.
const PEOPLE_MIN: usize = 5;
/// What is usual is taken as at least this, so that a quiet hour does not make one denial a jump.
const USUAL_MIN: f64 = 0.01;
/// Rules of the gateway's own, which no version of the policy changes.
const BUILT_IN: &str = "builtin-";

/// How often people who may were denied.
#[derive(Debug, Default)]
pub struct Denials(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Who was allowed, and the second of the last time.
    allowed: HashMap<UserId, i64>,
    /// The number of the present span.
    span: i64,
    now: People,
    before: People,
    trial: Option<Trial>,
}

/// How a version is tried.
#[derive(Debug)]
struct Trial {
    since: i64,
    usual: f64,
    people: People,
}

/// What each person was answered.
#[derive(Debug, Default)]
struct People(HashMap<UserId, Answers>);

impl People {
    fn add(&mut self, user: &UserId, is_allowed: bool) {
        if let Some(answers) = self.0.get_mut(user) {
            answers.add(is_allowed);
        } else if self.0.len() < PEOPLE_MAX {
            let mut answers = Answers::default();
            answers.add(is_allowed);
            self.0.insert(user.clone(), answers);
        }
    }

    /// The share of denials of a person, over all people.
    #[expect(clippy::cast_precision_loss, reason = "a share of people needs no last digit")]
    fn share(&self) -> f64 {
        if self.0.is_empty() { 0.0 } else { self.0.values().map(|one| one.share()).sum::<f64>() / self.0.len() as f64 }
    }

    /// How many people were denied, and how often in all.
    fn denied(&self) -> (usize, u64) {
        let denied = self.0.values().map(|one| one.denied).filter(|denied| *denied > 0);
        denied.fold((0, 0), |(people, all), denied| (people + 1, all + denied))
    }
}

#[derive(Clone, Copy, Default, Debug)]
struct Answers {
    allowed: u64,
    denied: u64,
}

impl Answers {
    fn add(&mut self, is_allowed: bool) {
        if is_allowed {
            self.allowed += 1;
        } else {
            self.denied += 1;
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a share of requests needs no last digit")]
    fn share(self) -> f64 {
        let all = self.allowed + self.denied;
        if all == 0 { 0.0 } else { self.denied as f64 / all as f64 }
    }
}

/// A jump of denials.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rise {
    /// The share of a person's accesses that were denied before the version came.
    pub usual: f64,
    /// The share since.
    pub since: f64,
}

impl Denials {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the policy's answer to somebody who is signed in.
    pub fn note<T>(&self, verdict: &Verdict<T>) {
        let (access, rule, is_allowed) = match verdict {
            Verdict::Allow(authorized) => (authorized.permit().access(), authorized.permit().rule(), true),
            Verdict::Deny(refused) => (&refused.access, &refused.reasons.rule, false),
            // Who can do something about it was not denied.
            Verdict::Challenge(..) => return,
        };
        let Some(who) = &access.who else { return };
        if !rule.as_str().starts_with(BUILT_IN) {
            self.state().note(&who.user, is_allowed, access.at.unix_seconds());
        }
    }

    /// Begins the trial of a version that came into force.
    pub fn begin_trial(&self, at: Timestamp) {
        self.state().begin_trial(at.unix_seconds());
    }

    /// Ends the trial.
    pub fn end_trial(&self) {
        self.state().trial = None;
    }

    /// Whether denials rose above so many times the usual.
    pub fn rise(&self, times: f64, at: Timestamp) -> Option<Rise> {
        self.state().rise(times, at.unix_seconds())
    }
}

impl State {
    fn note(&mut self, user: &UserId, is_allowed: bool, now: i64) {
        let may = self.allowed.get(user).is_some_and(|last| now - last <= KNOWN_FOR);
        if may {
            self.turn(now);
            self.now.add(user, is_allowed);
            if let Some(trial) = &mut self.trial {
                trial.people.add(user, is_allowed);
            }
        }
        if is_allowed {
            if self.allowed.len() >= PEOPLE_MAX && !self.allowed.contains_key(user) {
                self.allowed.retain(|_, last| now - *last <= KNOWN_FOR);
            }
            if self.allowed.len() < PEOPLE_MAX || self.allowed.contains_key(user) {
                self.allowed.insert(user.clone(), now);
            }
        }
    }

    /// Goes on to the span of this moment.
    fn turn(&mut self, now: i64) {
        let span = now.div_euclid(SPAN);
        if span == self.span {
            return;
        }
        let last = std::mem::take(&mut self.now);
        self.before = if span == self.span + 1 { last } else { People::default() };
        self.span = span;
    }

    fn begin_trial(&mut self, now: i64) {
        self.turn(now);
        let mut usual = std::mem::take(&mut self.before);
        for (user, answers) in std::mem::take(&mut self.now).0 {
            let all = usual.0.entry(user).or_default();
            all.allowed += answers.allowed;
            all.denied += answers.denied;
        }
        self.trial = Some(Trial { since: now, usual: usual.share().max(USUAL_MIN), people: People::default() });
    }

    fn rise(&mut self, times: f64, now: i64) -> Option<Rise> {
        let trial = self.trial.as_ref()?;
        if now - trial.since > TRIAL {
            self.trial = None;
            return None;
        }
        let since = trial.people.share();
        let (people, denials) = trial.people.denied();
        let is_jump = people >= PEOPLE_MIN && denials >= DENIALS_MIN && since > trial.usual * times;
        is_jump.then_some(Rise { usual: trial.usual, since })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    /// Ten nurses whom the policy lets.
    fn usual() -> State {
        let mut state = State::default();
        (0..200).for_each(|second| state.note(&nurse(second), true, second));
        state
    }

    fn nurse(number: i64) -> UserId {
        user(&format!("u-{}", number % 10))
    }

    #[test]
    fn many_denials_of_people_who_may_are_a_jump() {
        let mut state = usual();
        state.begin_trial(1_000);
        (0..9).for_each(|number| state.note(&nurse(number), false, 1_001));
        assert_eq!(state.rise(3.0, 1_002), None, "a few are not");
        state.note(&nurse(9), false, 1_003);
        assert_eq!(state.rise(3.0, 1_004), Some(Rise { usual: USUAL_MIN, since: 1.0 }));
        assert!(state.rise(3.0, 1_005).is_some(), "it is said until somebody did something about it");
        assert_eq!(state.rise(3.0, 1_001 + TRIAL), None, "the trial is over");
        assert_eq!(state.rise(3.0, 1_004), None);
    }

    #[test]
    fn a_person_counts_once_however_often_they_are_denied() {
        let mut state = usual();
        state.begin_trial(1_000);
        (0..4).for_each(|person| (0..500).for_each(|_| state.note(&nurse(person), false, 1_001)));
        assert_eq!(state.rise(1.1, 1_002), None, "four people do not undo a version");
        state.note(&nurse(4), false, 1_003);
        assert!(state.rise(1.1, 1_004).is_some(), "five do");
        // Many who are allowed, and five who ask for ever.
        let mut state = State::default();
        (0..1_000).for_each(|number| state.note(&user(&format!("u-x{number}")), true, 1));
        state.begin_trial(1_000);
        (0..1_000).for_each(|number| state.note(&user(&format!("u-x{number}")), true, 1_001));
        for person in 0..5 {
            (0..10_000).for_each(|_| state.note(&user(&format!("u-x{person}")), false, 1_002));
        }
        assert_eq!(state.rise(1.1, 1_003), None, "five of a thousand are no jump");
    }

    #[test]
    fn strangers_denials_and_usual_ones_are_no_jump() {
        let mut state = usual();
        state.begin_trial(1_000);
        (0..500).for_each(|number| state.note(&user(&format!("u-s{number}")), false, 1_001));
        assert_eq!(state.rise(3.0, 1_002), None, "whoever never was allowed is denied as before");
        let mut busy = usual();
        (0..100).for_each(|number| busy.note(&nurse(number), false, 300));
        busy.begin_trial(1_000);
        (0..100).for_each(|number| busy.note(&nurse(number), number < 50, 1_001));
        assert_eq!(busy.rise(3.0, 1_002), None, "half of it instead of a third is no threefold");
        assert!(busy.rise(1.4, 1_002).is_some());
    }

    #[test]
    fn who_was_last_allowed_long_ago_is_a_stranger_and_memory_is_bounded() {
        let mut state = usual();
        let later = 200 + KNOWN_FOR;
        state.begin_trial(later);
        (0..50).for_each(|number| state.note(&nurse(number), false, later));
        assert_eq!(state.rise(1.5, later), None);
        for round in 0..2 {
            let person = |number| user(&format!("u-x{number}"));
            (0..PEOPLE_MAX + 10).for_each(|number| state.note(&person(number), true, later + round));
        }
        assert!(state.allowed.len() <= PEOPLE_MAX && state.now.0.len() <= PEOPLE_MAX);
    }

    #[test]
    fn what_was_usual_long_ago_is_not_usual() {
        let mut state = usual();
        (0..100).for_each(|number| state.note(&nurse(number), false, 300));
        state.begin_trial(300 + 3 * SPAN);
        assert_eq!(state.trial.map(|trial| trial.usual), Some(USUAL_MIN));
        let mut state = usual();
        (0..100).for_each(|number| state.note(&nurse(number), false, 300));
        state.begin_trial(300 + SPAN);
        assert!(state.trial.is_some_and(|trial| trial.usual > 0.3), "half an hour ago is");
    }
}
