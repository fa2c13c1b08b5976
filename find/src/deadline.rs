//! How long an answer may take, and whether it is still wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::FindProblem;

/// Until when an answer is worth waiting for. Clones share the cancelling.
#[derive(Clone, Debug)]
pub struct Deadline {
    until: Instant,
    cancelled: Arc<AtomicBool>,
}

impl Deadline {
    /// From now on, so long.
    #[must_use]
    pub fn within(span: Duration) -> Self {
        Self { until: Instant::now() + span, cancelled: Arc::default() }
    }

    /// Ends every question that is being answered under it.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Says so where it is over.
    pub(crate) fn check(&self) -> Result<(), FindProblem> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(FindProblem::Cancelled);
        }
        if Instant::now() >= self.until { Err(FindProblem::TooLong) } else { Ok(()) }
    }
}
