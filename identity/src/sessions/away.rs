//! How long the store has been away, and how long sessions go on without it: what is revoked elsewhere meanwhile is not
//! in force here.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use policy::Timestamp;

/// How long asking may take before the store counts as away.
const NOT_YET: Duration = Duration::from_secs(5);

/// When the store answered last, and how long that may be ago.
#[derive(Debug)]
pub(super) struct Away {
    answered_at: AtomicI64,
    max_micros: AtomicI64,
}

impl Default for Away {
    /// Without a bound.
    fn default() -> Self {
        Self { answered_at: AtomicI64::new(i64::MIN), max_micros: AtomicI64::new(i64::MAX) }
    }
}

impl Away {
    pub(super) fn allow(&self, most: Duration) {
        self.max_micros.store(i64::try_from(most.as_micros()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    pub(super) fn note_answered(&self, at: Timestamp) {
        self.answered_at.store(at.unix_micros(), Ordering::Relaxed);
    }

    pub(super) fn is_too_long(&self, at: Timestamp) -> bool {
        self.micros(at) > self.max_micros.load(Ordering::Relaxed)
    }

    pub(super) fn since(&self, at: Timestamp) -> Option<Timestamp> {
        let away = u64::try_from(self.micros(at)).is_ok_and(|micros| Duration::from_micros(micros) > NOT_YET);
        away.then(|| Timestamp::from_unix_micros(self.answered_at.load(Ordering::Relaxed)))
    }

    /// How long ago it answered; nothing where nobody has asked it yet.
    fn micros(&self, at: Timestamp) -> i64 {
        match self.answered_at.load(Ordering::Relaxed) {
            i64::MIN => 0,
            answered => at.unix_micros().saturating_sub(answered),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_go_on_for_so_long_and_no_longer() {
        let (away, second) = (Away::default(), |number: i64| Timestamp::from_unix_micros(number * 1_000_000));
        assert!(
            !away.is_too_long(second(1_000_000)) && away.since(second(1_000_000)).is_none(),
            "nobody has asked yet"
        );
        away.allow(Duration::from_secs(60));
        away.note_answered(second(100));
        assert_eq!((away.since(second(105)), away.since(second(106))), (None, Some(second(100))));
        assert!(!away.is_too_long(second(160)) && away.is_too_long(second(161)));
        away.note_answered(second(200));
        assert!(!away.is_too_long(second(260)) && away.since(second(201)).is_none());
    }
}
