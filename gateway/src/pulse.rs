//! Whether every worker still turns: each notes the moment now and then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// In place of a moment: the worker ended.
const LEFT: u64 = u64::MAX;

/// When each worker turned last.
#[derive(Debug)]
pub struct Pulse {
    begun: Instant,
    beats: Vec<AtomicU64>,
}

impl Pulse {
    /// For so many workers, which all turned just now.
    pub fn new(workers: usize) -> Self {
        Self { begun: Instant::now(), beats: (0..workers.max(1)).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Notes that a worker turns.
    pub fn beat(&self, worker: usize) {
        if let Some(beat) = self.beats.get(worker) {
            beat.store(self.since_begin(), Ordering::Relaxed);
        }
    }

    /// Notes that a worker ended: nobody waits for it to turn.
    pub fn leave(&self, worker: usize) {
        if let Some(beat) = self.beats.get(worker) {
            beat.store(LEFT, Ordering::Relaxed);
        }
    }

    /// How long ago the worker turned that turned longest ago, of those that have not ended.
    pub fn oldest(&self) -> Duration {
        let oldest = self.beats.iter().map(|beat| beat.load(Ordering::Relaxed)).min().unwrap_or_default();
        Duration::from_millis(self.since_begin().saturating_sub(oldest))
    }

    fn since_begin(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worker_that_stands_still_is_seen_however_the_others_turn() {
        let mut pulse = Pulse::new(2);
        pulse.begun -= Duration::from_secs(30);
        pulse.beat(0);
        assert!(pulse.oldest() >= Duration::from_secs(30));
        pulse.beat(1);
        assert!(pulse.oldest() < Duration::from_secs(5));
        pulse.beat(7);
    }

    #[test]
    fn a_worker_that_ended_is_not_waited_for_while_the_others_are() {
        let mut pulse = Pulse::new(2);
        pulse.begun -= Duration::from_secs(30);
        pulse.beat(1);
        pulse.leave(0);
        assert!(pulse.oldest() < Duration::from_secs(5), "what the other carries may take its time");
        pulse.begun -= Duration::from_secs(30);
        assert!(pulse.oldest() >= Duration::from_secs(30), "the other is still looked at");
        pulse.leave(1);
        assert_eq!(pulse.oldest(), Duration::ZERO);
        pulse.leave(7);
    }
}
