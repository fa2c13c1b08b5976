//! How long to wait before a receiver is tried again: longer each time, and never just as long as others wait.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The waits between attempts.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Backoff {
    /// Nothing has failed yet.
    pub fn new() -> Self {
        Self { next: FIRST }
    }

    /// The next wait: from half of what it has come to, to all of it. `dice` is any number.
    pub fn wait(&mut self, dice: u64) -> Duration {
        let most = self.next;
        self.next = (self.next * 2).min(LONGEST);
        let half = most / 2;
        let part = u32::try_from(dice % 1_024).unwrap_or(0);
        half + half * part / 1_023
    }

    /// The receiver received: the next failure is a first one.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_differ() {
        let mut backoff = Backoff::new();
        let shortest: Vec<u64> = (0..9).map(|_| backoff.wait(0).as_millis() as u64).collect();
        assert_eq!(shortest, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
        assert_eq!(backoff.wait(1_023), LONGEST);
        backoff.reset();
        assert_eq!(backoff.wait(u64::MAX), FIRST);
    }
}
