//! Doubt about the clock: a clock that runs years ahead would make every line old. Where it was set, or where the log
//! goes on long after or before its last line, nothing is deleted for some days, in which somebody may see to it. The
//! moment is kept in a file, so that a restart does not forget it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use policy::{Timestamp, UtcOffset};

use crate::watch::STEP_MIN;
use crate::{LogProblem, disk};

/// How long nothing is deleted.
pub(super) const HOLD: Duration = Duration::from_secs(3 * 86_400);
/// A log that stood still for longer may go on by a wrong clock.
const GAP_MAX: Duration = Duration::from_secs(7 * 86_400);
/// Lines may be out of order by so much.
const DISORDER_MAX: Duration = Duration::from_secs(60);

/// Whether the clock is doubted.
#[derive(Debug)]
pub(crate) struct Doubt {
    path: PathBuf,
    since: Option<Timestamp>,
    /// The clock, and one that is never set, when they were last looked at.
    last: Option<(Timestamp, Instant)>,
}

impl Doubt {
    /// What is known of a log whose last line is of `last`.
    pub(crate) fn open(directory: &Path, last: Option<Timestamp>, now: Timestamp) -> Result<Self, LogProblem> {
        let path = directory.join("clock-doubted");
        let since = match std::fs::read_to_string(&path) {
            // What cannot be read was written all the same.
            Ok(text) => Some(Timestamp::parse_rfc3339(text.trim()).unwrap_or(now)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(LogProblem::disk(&path, &error)),
        };
        let mut doubt = Self { path, since, last: None };
        if last.is_some_and(|last| now.since(last) > GAP_MAX || last.since(now) > DISORDER_MAX) {
            tracing::warn!("the clock is far from the last line of the audit log; nothing is deleted for some days");
            doubt.arises(now)?;
        }
        Ok(doubt)
    }

    /// Whether lines may be deleted by what the clock says. To be asked every few seconds.
    pub(crate) fn is_over(&mut self, now: Timestamp, tick: Instant) -> Result<bool, LogProblem> {
        let was_set = self.last.replace((now, tick)).is_some_and(|(at, before)| {
            let passed = i64::try_from(tick.saturating_duration_since(before).as_micros()).unwrap_or(i64::MAX);
            let by = now.unix_micros().saturating_sub(at.unix_micros()).saturating_sub(passed);
            u128::from(by.unsigned_abs()) > STEP_MIN.as_micros()
        });
        // A doubt that is still to come is of a clock that was set back since.
        if was_set || self.since.is_some_and(|since| since > now) {
            self.arises(now)?;
        }
        let Some(since) = self.since else { return Ok(true) };
        if now.since(since) < HOLD {
            return Ok(false);
        }
        disk::remove(&self.path).map_err(|error| LogProblem::disk(&self.path, &error))?;
        self.since = None;
        Ok(true)
    }

    fn arises(&mut self, now: Timestamp) -> Result<(), LogProblem> {
        self.since = Some(now);
        let text = format!("{}\n", now.rfc3339(UtcOffset::UTC));
        disk::replace(&self.path, text.as_bytes()).map_err(|error| LogProblem::disk(&self.path, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Folder, clock};

    const DAY: u64 = 86_400;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_micros(clock().now().unix_micros() + seconds * 1_000_000)
    }

    fn days(days: i64) -> Timestamp {
        at(days * 86_400)
    }

    #[test]
    fn a_clock_that_was_set_is_doubted_for_days_whatever_is_restarted() {
        let folder = Folder::new();
        let start = Instant::now();
        let after = |days: u64| start + Duration::from_secs(days * DAY);
        let mut doubt = Doubt::open(folder.path(), Some(at(-30)), at(0)).unwrap();
        assert!(doubt.is_over(at(0), start).unwrap());
        assert!(doubt.is_over(days(1), after(1)).unwrap());
        assert!(!doubt.is_over(days(1_000), after(1)).unwrap(), "set ahead");
        assert!(!doubt.is_over(days(1_002), after(3)).unwrap());
        let mut again = Doubt::open(folder.path(), Some(days(1_002)), days(1_002)).unwrap();
        assert!(!again.is_over(days(1_002), after(3)).unwrap());
        assert!(again.is_over(days(1_003), after(4)).unwrap());
        let mut later = Doubt::open(folder.path(), Some(days(1_003)), days(1_003)).unwrap();
        assert!(later.is_over(days(1_003), after(4)).unwrap());
    }

    #[test]
    fn a_clock_that_is_set_right_again_is_doubted_for_days_and_not_for_years() {
        let folder = Folder::new();
        let tick = Instant::now();
        let mut doubt = Doubt::open(folder.path(), Some(at(0)), days(1_000)).unwrap();
        assert!(!doubt.is_over(days(1_000), tick).unwrap());
        let mut doubt = Doubt::open(folder.path(), None, days(2)).unwrap();
        assert!(!doubt.is_over(days(2), tick).unwrap());
        assert!(doubt.is_over(days(5), tick + Duration::from_secs(3 * DAY)).unwrap());
    }

    #[test]
    fn a_log_that_goes_on_long_after_or_before_its_last_line_is_in_doubt() {
        for (last, now, is_over) in [(0, 6, true), (0, 8, false), (1, 0, false)] {
            let folder = Folder::new();
            let mut doubt = Doubt::open(folder.path(), Some(days(last)), days(now)).unwrap();
            assert_eq!(doubt.is_over(days(now), Instant::now()).unwrap(), is_over, "{last} {now}");
        }
    }
}
