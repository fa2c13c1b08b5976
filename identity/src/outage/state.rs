//! The outage of one provider as a machine: what is known of its health and of the switch, and what follows.
//!
//! Pure: no store, no network, no clock. Health is what this process saw; the rest is kept in the store and is the
//! same for every process.

use std::time::Duration;

use policy::Timestamp;
use serde::{Deserialize, Serialize};
use store::OutageSwitch;

/// Failures in a row, beside the configured time, before a provider counts as gone: a machine that slept, or a clock
/// that jumped, makes one failure look old.
const FAILURES_MIN: u32 = 3;
/// Answers in a row before it counts as back.
const ANSWERS_MIN: u32 = 2;
/// Outages remembered for the report, the newest.
pub(super) const PAST_MAX: usize = 64;

/// Whether people of a provider sign in there, or by passkey because it cannot be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OutageMode {
    /// At the provider.
    Normal,
    /// By passkey, with the roles it last confirmed.
    Outage {
        /// Since when.
        since: Timestamp,
        /// What began it.
        by: OutageBy,
    },
}

/// What began an outage.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutageBy {
    /// The provider could not be reached for the configured time.
    Automatic,
    /// A person.
    Switch,
}

/// From the beginning of an outage to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutagePeriod {
    /// When it began.
    pub since: Timestamp,
    /// When the provider was back; `None` while it lasts.
    pub until: Option<Timestamp>,
    /// What began it.
    pub by: OutageBy,
}

/// What the store keeps of a provider.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Kept {
    pub(super) switch: OutageSwitch,
    /// The outage that lasts.
    pub(super) now: Option<Begun>,
    /// Those that are over, oldest first.
    pub(super) past: Vec<Over>,
}

/// An outage that lasts, as the store keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Begun {
    since: i64,
    by: OutageBy,
}

/// An outage that is over, as the store keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Over {
    #[serde(flatten)]
    begun: Begun,
    until: i64,
}

/// What this process saw of a provider.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Health {
    /// The first failure after the last answer.
    pub(super) failing_since: Option<Timestamp>,
    /// What went wrong last.
    pub(super) reason: Option<String>,
    failures: u32,
    answers: u32,
}

impl OutageBy {
    /// Its word in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Switch => "switch",
        }
    }
}

impl OutageMode {
    /// Whether it is an outage.
    #[must_use]
    pub fn is_outage(self) -> bool {
        match self {
            Self::Normal => false,
            Self::Outage { .. } => true,
        }
    }
}

impl Health {
    pub(super) fn note_answer(&mut self) {
        *self = Self { answers: self.answers.saturating_add(1), ..Self::default() };
    }

    pub(super) fn note_failure(&mut self, reason: &str, at: Timestamp) {
        self.failing_since = self.failing_since.or(Some(at));
        self.reason = Some(reason.to_owned());
        self.failures = self.failures.saturating_add(1);
        self.answers = 0;
    }

    fn is_gone(&self, after: Duration, at: Timestamp) -> bool {
        self.failures >= FAILURES_MIN && self.failing_since.is_some_and(|since| at.since(since) >= after)
    }

    fn is_back(&self) -> bool {
        self.answers >= ANSWERS_MIN
    }
}

impl Begun {
    fn at(self) -> Timestamp {
        Timestamp::from_unix_micros(self.since)
    }
}

impl Kept {
    pub(super) fn mode(&self) -> OutageMode {
        self.now.map_or(OutageMode::Normal, |begun| OutageMode::Outage { since: begun.at(), by: begun.by })
    }

    /// Every outage that is remembered, oldest first, with the one that lasts.
    pub(super) fn periods(&self) -> Vec<OutagePeriod> {
        let period = |begun: Begun, until| OutagePeriod { since: begun.at(), until, by: begun.by };
        let past = self.past.iter().map(|over| period(over.begun, Some(Timestamp::from_unix_micros(over.until))));
        past.chain(self.now.map(|begun| period(begun, None))).collect()
    }

    /// When the last outage ended, unless there is one now.
    pub(super) fn ended_at(&self) -> Option<Timestamp> {
        let last = self.past.last().map(|over| Timestamp::from_unix_micros(over.until));
        last.filter(|_| self.now.is_none())
    }

    /// With the switch elsewhere, and what follows from that at once.
    pub(super) fn switched(&self, switch: OutageSwitch, at: Timestamp) -> Self {
        let turned = Self { switch, ..self.clone() };
        match switch {
            OutageSwitch::On => turned.begun(OutageBy::Switch, at),
            OutageSwitch::Off => turned.over(at),
            OutageSwitch::Automatic => turned,
        }
    }

    /// What follows from the provider's health. The same if nothing does.
    pub(super) fn tended(&self, health: &Health, after: Duration, at: Timestamp) -> Self {
        match self.switch {
            OutageSwitch::On => self.clone().begun(OutageBy::Switch, at),
            OutageSwitch::Off => self.clone().over(at),
            OutageSwitch::Automatic if health.is_gone(after, at) => self.clone().begun(OutageBy::Automatic, at),
            OutageSwitch::Automatic if health.is_back() => self.clone().over(at),
            OutageSwitch::Automatic => self.clone(),
        }
    }

    fn begun(mut self, by: OutageBy, at: Timestamp) -> Self {
        self.now = self.now.or(Some(Begun { since: at.unix_micros(), by }));
        self
    }

    fn over(mut self, at: Timestamp) -> Self {
        if let Some(begun) = self.now.take() {
            // Whoever wrote this end down before may not have come further.
            self.past.retain(|over| over.begun != begun);
            if self.past.len() >= PAST_MAX {
                self.past.remove(0);
            }
            // A clock that was set back ends no outage before it began.
            self.past.push(Over { begun, until: at.unix_micros().max(begun.since) });
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{START, minutes};

    const AFTER: Duration = Duration::from_secs(120);
    const STEP: Duration = Duration::from_secs(20);

    fn failing(times: u32, from: Timestamp) -> (Health, Timestamp) {
        let (mut health, mut at) = (Health::default(), from);
        for _ in 0..times {
            health.note_failure("no answer in time", at);
            at = at.after(STEP);
        }
        (health, at)
    }

    #[test]
    fn an_outage_begins_when_the_provider_was_silent_for_long_enough() {
        let kept = Kept::default();
        let (health, at) = failing(5, START);
        assert_eq!(kept.tended(&health, AFTER, at).mode(), OutageMode::Normal, "100 seconds are too short");
        let (health, _) = failing(6, START);
        let begun = kept.tended(&health, AFTER, START.after(AFTER));
        assert_eq!(begun.mode(), OutageMode::Outage { since: START.after(AFTER), by: OutageBy::Automatic });
        assert_eq!(begun.tended(&health, AFTER, START.after(minutes(9))), begun, "it began once");
    }

    #[test]
    fn one_old_failure_is_no_outage() {
        let (health, _) = failing(1, START);
        assert_eq!(Kept::default().tended(&health, AFTER, START.after(minutes(600))).mode(), OutageMode::Normal);
    }

    #[test]
    fn one_answer_between_failures_starts_the_count_anew() {
        let (mut health, at) = failing(5, START);
        health.note_answer();
        health.note_failure("no answer in time", at);
        assert_eq!(health.failing_since, Some(at));
        assert_eq!(Kept::default().tended(&health, AFTER, at.after(AFTER)).mode(), OutageMode::Normal);
    }

    #[test]
    fn it_ends_with_the_second_answer_and_not_in_silence() {
        let (mut health, at) = failing(9, START);
        let kept = Kept::default().tended(&health, AFTER, at);
        assert_eq!(kept.tended(&Health::default(), AFTER, at), kept, "another process that knows nothing ends nothing");
        health.note_answer();
        assert!(kept.tended(&health, AFTER, at.after(STEP)).mode().is_outage());
        health.note_answer();
        let back = kept.tended(&health, AFTER, at.after(minutes(1)));
        assert_eq!(back.mode(), OutageMode::Normal);
        assert_eq!(back.ended_at(), Some(at.after(minutes(1))));
        let period = OutagePeriod { since: at, until: Some(at.after(minutes(1))), by: OutageBy::Automatic };
        assert_eq!(back.periods(), [period]);
    }

    #[test]
    fn the_switch_beats_what_the_provider_does() {
        let (gone, at) = failing(9, START);
        let mut well = Health::default();
        well.note_answer();
        well.note_answer();
        let on = Kept::default().switched(OutageSwitch::On, at);
        assert_eq!(on.mode(), OutageMode::Outage { since: at, by: OutageBy::Switch });
        assert_eq!(on.tended(&well, AFTER, at.after(minutes(5))), on);
        let off = on.switched(OutageSwitch::Off, at.after(minutes(6)));
        assert_eq!(off.mode(), OutageMode::Normal);
        assert_eq!(off.tended(&gone, AFTER, at.after(minutes(60))), off);
        let automatic = on.switched(OutageSwitch::Automatic, at.after(minutes(7)));
        assert!(automatic.mode().is_outage(), "it ends when the provider is seen to answer");
        assert!(!automatic.tended(&well, AFTER, at.after(minutes(7))).mode().is_outage());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_reads_back() {
        let mut kept = Kept::default();
        for minute in 0..2 * PAST_MAX as u64 {
            kept = kept.switched(OutageSwitch::On, START.after(minutes(minute)));
            kept = kept.switched(OutageSwitch::Off, START.after(minutes(minute)));
        }
        assert_eq!(kept.periods().len(), PAST_MAX);
        let text = serde_json::to_string(&kept.past).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Over>>(&text).unwrap(), kept.past);
    }

    #[test]
    fn words_read_back() {
        for switch in OutageSwitch::ALL {
            assert_eq!(OutageSwitch::parse(switch.as_str()), Some(switch));
        }
    }
}
