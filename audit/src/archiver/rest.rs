//! Rest after a failure: what failed is tried again after a second, then after ever longer, at most an hour. Until then
//! the failure stands.

use std::time::{Duration, Instant};

use crate::LogProblem;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(3_600);

/// The last failure of one kind of work, if the last try failed.
#[derive(Debug, Default)]
pub(super) struct Rest {
    failed: Option<Failed>,
}

#[derive(Debug)]
struct Failed {
    problem: LogProblem,
    again: Instant,
    wait: Duration,
}

impl Rest {
    /// The failure, until it is time for another try.
    pub(super) fn is_over(&self, now: Instant) -> Result<(), LogProblem> {
        match &self.failed {
            Some(failed) if now < failed.again => Err(failed.problem.clone()),
            Some(_) | None => Ok(()),
        }
    }

    /// Notes how a try ended.
    pub(super) fn note(&mut self, outcome: Result<(), LogProblem>, now: Instant) -> Result<(), LogProblem> {
        self.failed = outcome.clone().err().map(|problem| {
            let wait = self.failed.as_ref().map_or(FIRST, |failed| (failed.wait * 2).min(LONGEST));
            Failed { problem, again: now + wait, wait }
        });
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_it_fails_the_longer_it_rests() {
        let (mut rest, mut now) = (Rest::default(), Instant::now());
        for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 3_600, 3_600] {
            assert!(rest.is_over(now).is_ok());
            assert!(rest.note(Err(LogProblem::Stopped), now).is_err());
            assert_eq!(rest.is_over(now + Duration::from_secs(seconds - 1)), Err(LogProblem::Stopped), "{seconds}");
            now += Duration::from_secs(seconds);
        }
        rest.note(Ok(()), now).unwrap();
        assert!(rest.note(Err(LogProblem::Stopped), now).is_err());
        assert!(rest.is_over(now + FIRST).is_ok());
    }
}
