//! Addresses that the mail server put off while it took others of the same notice: what is kept until they have it, too.

use std::time::Duration;

use policy::Timestamp;
use serde::{Deserialize, Serialize};

/// How many notices wait for some addresses. Beyond them the oldest is given up.
pub(super) const LATE_MAX: usize = 100;
/// The first wait; each is twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_secs(60);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 60);
/// How long they are tried.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A notice that some addresses do not have yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NoticeLate {
    /// The number of its event.
    pub sequence: u64,
    /// The addresses.
    pub to: Vec<String>,
    /// When the others got it, in microseconds since the epoch.
    since: i64,
    /// When it was tried last, likewise.
    tried_at: i64,
    /// How often these were tried.
    attempts: u64,
}

impl NoticeLate {
    /// One that was just taken for others.
    #[must_use]
    pub fn new(sequence: u64, to: Vec<String>, at: Timestamp) -> Self {
        Self { sequence, to, since: at.unix_micros(), tried_at: at.unix_micros(), attempts: 1 }
    }

    /// Whether to try again.
    #[must_use]
    pub fn is_due(&self, at: Timestamp) -> bool {
        let doublings = u32::try_from(self.attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(10);
        let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_WAIT);
        let tried = Timestamp::from_unix_micros(self.tried_at);
        at < tried || tried.after(wait) <= at
    }

    /// The same after another attempt that these put off again; nothing once they were tried long enough.
    #[must_use]
    pub fn tried(self, to: Vec<String>, at: Timestamp) -> Option<Self> {
        let is_over = Timestamp::from_unix_micros(self.since).after(GIVE_UP_AFTER) <= at;
        let attempts = self.attempts.saturating_add(1);
        (!is_over && !to.is_empty()).then(|| Self { to, tried_at: at.unix_micros(), attempts, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: u64) -> Timestamp {
        Timestamp::from_unix_micros(0).after(Duration::from_secs(60 * minute))
    }

    #[test]
    fn waits_grow_to_half_an_hour_and_end_after_a_day() {
        let to = vec!["a@x".to_owned()];
        let mut late = NoticeLate::new(7, to.clone(), at(0));
        let (mut now, mut tried) = (0, Vec::new());
        let ended = loop {
            now = (now..).find(|minute| late.is_due(at(*minute))).unwrap();
            tried.push(now);
            match late.clone().tried(to.clone(), at(now)) {
                Some(next) => late = next,
                None => break now,
            }
        };
        assert_eq!(tried.get(..8), Some(&[1, 3, 7, 15, 31, 61, 91, 121][..]));
        assert!((24 * 60..24 * 60 + 30).contains(&ended), "{ended}");
        assert_eq!(late.clone().tried(Vec::new(), at(5)), None, "nobody is left");
        assert!(late.is_due(at(0)), "a clock that was set back keeps nobody waiting");
    }
}
