//! Whether people who were allowed are denied since a version of the policy came into force. Counted only where the
//! hospital wants the gateway to go back by itself then; in memory, of this node.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use policy::{Timestamp, UserId, Verdict};

/// For how long whoever was allowed counts as somebody who may, in seconds.
const KNOWN_FOR: i64 = 86_400;
/// The most people remembered.
const PEOPLE_MAX: usize = 65_536;
/// How many minutes before a version say what was usual.
const USUAL_MINUTES: usize = 60;
/// For how long after it came a version is on trial, in seconds.
const TRIAL: i64 = 15 * 60;
/// Fewer denials than this are nobody's alarm.
const DENIALS_MIN: u64 = 10;
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
    minutes: VecDeque<(i64, Answers)>,
    trial: Option<Trial>,
}

/// How a version is tried.
#[derive(Clone, Copy, Debug)]
struct Trial {
    since: i64,
    usual: f64,
    answers: Answers,
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
    /// The share of denials before the version came.
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
            let minute = now.div_euclid(60);
            match self.minutes.back_mut() {
                Some((at, answers)) if *at == minute => answers.add(is_allowed),
                Some(_) | None => {
                    let mut answers = Answers::default();
                    answers.add(is_allowed);
                    self.minutes.push_back((minute, answers));
                }
            }
            while self.minutes.len() > USUAL_MINUTES {
                self.minutes.pop_front();
            }
            if let Some(trial) = &mut self.trial {
                trial.answers.add(is_allowed);
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

    fn begin_trial(&mut self, now: i64) {
        let mut usual = Answers::default();
        for (_, answers) in &self.minutes {
            usual.allowed += answers.allowed;
            usual.denied += answers.denied;
        }
        self.minutes.clear();
        self.trial = Some(Trial { since: now, usual: usual.share().max(USUAL_MIN), answers: Answers::default() });
    }

    fn rise(&mut self, times: f64, now: i64) -> Option<Rise> {
        let trial = self.trial?;
        if now - trial.since > TRIAL {
            self.trial = None;
            return None;
        }
        let since = trial.answers.share();
        let is_jump = trial.answers.denied >= DENIALS_MIN && since > trial.usual * times;
        is_jump.then_some(Rise { usual: trial.usual, since })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    /// A day of one nurse whom the policy lets.
    fn usual() -> State {
        let mut state = State::default();
        (0..200).for_each(|second| state.note(&user("u-1"), true, second));
        state
    }

    #[test]
    fn many_denials_of_people_who_may_are_a_jump() {
        let mut state = usual();
        state.begin_trial(1_000);
        (0..9).for_each(|_| state.note(&user("u-1"), false, 1_001));
        assert_eq!(state.rise(3.0, 1_002), None, "a few are not");
        state.note(&user("u-1"), false, 1_003);
        assert_eq!(state.rise(3.0, 1_004), Some(Rise { usual: USUAL_MIN, since: 1.0 }));
        assert_eq!(state.rise(3.0, 1_001 + TRIAL), None, "the trial is over");
        assert_eq!(state.rise(3.0, 1_004), None);
    }

    #[test]
    fn strangers_denials_and_usual_ones_are_no_jump() {
        let mut state = usual();
        state.begin_trial(1_000);
        (0..500).for_each(|_| state.note(&user("u-2"), false, 1_001));
        assert_eq!(state.rise(3.0, 1_002), None, "whoever never was allowed is denied as before");
        let mut busy = usual();
        (0..100).for_each(|_| busy.note(&user("u-1"), false, 300));
        busy.begin_trial(1_000);
        (0..100).for_each(|number| busy.note(&user("u-1"), number % 2 == 0, 1_001));
        assert_eq!(busy.rise(3.0, 1_002), None, "half of it instead of a third is no threefold");
        assert!(busy.rise(1.4, 1_002).is_some());
    }

    #[test]
    fn who_was_last_allowed_long_ago_is_a_stranger_and_memory_is_bounded() {
        let mut state = usual();
        let later = 200 + KNOWN_FOR;
        state.begin_trial(later);
        (0..50).for_each(|_| state.note(&user("u-1"), false, later));
        assert_eq!(state.rise(1.5, later), None);
        (0..PEOPLE_MAX + 10).for_each(|number| state.note(&user(&format!("u-x{number}")), true, later));
        assert!(state.allowed.len() <= PEOPLE_MAX && state.minutes.len() <= USUAL_MINUTES);
    }
}
