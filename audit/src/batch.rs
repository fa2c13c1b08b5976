//! One worker's lines on their way to the log. The first who joins an empty batch leads it: it lets the worker's other
//! ready requests add their lines, then writes them all with one write and wakes them. No other thread is asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::LogProblem;
use crate::bundle::{Bundle, Closing, Kind, Opened};
use crate::core::Core;
use crate::people::People;
use crate::round::{Place, Round, one_turn};
use crate::together::Together;

/// One worker's lines on their way to the log.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) core: Arc<Core>,
    pending: Mutex<Pending>,
    together: Together,
}

#[derive(Debug, Default)]
struct Pending {
    bundle: Bundle,
    round: Arc<Round>,
    /// Whether somebody waits for the round.
    awaited: bool,
}

/// A place in a batch: waiting for it may mean to write it.
#[derive(Debug)]
pub(crate) struct Ticket<'a> {
    batch: &'a Batch,
    round: Arc<Round>,
    leads: bool,
}

impl Batch {
    pub(crate) fn new(core: Arc<Core>) -> Arc<Self> {
        let batch =
            Arc::new(Self { core: Arc::clone(&core), pending: Mutex::default(), together: Together::default() });
        core.register(&batch);
        batch
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line that somebody waits for.
    pub(crate) fn join(
        &self,
        kind: Kind,
        encode: impl FnOnce(&mut Vec<u8>, &mut People),
    ) -> Result<Ticket<'_>, LogProblem> {
        self.core.accepting()?;
        let mut pending = self.lock();
        pending.bundle.push(kind, encode)?;
        let leads = !std::mem::replace(&mut pending.awaited, true);
        Ok(Ticket { batch: self, round: Arc::clone(&pending.round), leads })
    }

    /// Adds a closing line; nobody waits for it, but it keeps its place among the open accesses until it is written.
    /// Invariant: so at most `open_accesses_max` of them wait.
    pub(crate) fn close(&self, closing: Closing, encode: impl FnOnce(&mut Vec<u8>)) {
        let added = self.lock().bundle.push(Kind::Closing(closing), |out, _| encode(out));
        if let Err(problem) = added {
            tracing::error!(%problem, "a closing line could not be written");
        }
    }

    /// Writes all lines that wait, and wakes who waits for them.
    pub(crate) fn flush(&self) {
        let mut pending = self.lock();
        if pending.bundle.is_empty() {
            return;
        }
        // The batch stays locked while it is written: lines of one worker keep their order.
        let outcome = self.core.append(&pending.bundle);
        let awaited = std::mem::take(&mut pending.awaited);
        let round = if awaited { std::mem::take(&mut pending.round) } else { Arc::clone(&pending.round) };
        match &outcome {
            Ok(_) => pending.bundle.clear(),
            Err(_) => self.rescue_closings(&mut pending.bundle, &round),
        }
        drop(pending);
        if awaited {
            round.finish(outcome);
        }
    }

    /// Waits until all lines before `end` are on disk.
    pub(crate) async fn synced(&self, end: u64) -> Result<(), LogProblem> {
        self.together.wait(&self.core.gate, end).await
    }

    /// Writes what lies here, and lets those look who have waited for the disk for long.
    pub(crate) fn look_after(&self, now: Instant) {
        self.flush();
        self.together.nudge(now);
    }

    /// Lets all look who wait for the disk.
    pub(crate) fn wake(&self) {
        self.together.wake();
    }

    /// After a failed write: closing lines go to the spool, or wait for the next try. One whose opening failed with it
    /// closes nothing.
    fn rescue_closings(&self, bundle: &mut Bundle, failed: &Arc<Round>) {
        // After a stop the spool may be another process's.
        let mut spooling = !self.core.is_stopping();
        bundle.keep_closings(|body, closing| {
            if matches!(&closing.opened, Opened::In(round) if Arc::ptr_eq(round, failed)) {
                return false;
            }
            spooling = spooling && matches!(self.core.spool_line(body), Some(Ok(())));
            !spooling
        });
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Ticket<'_> {
    /// The round that writes the line.
    pub(crate) fn round(&self) -> Arc<Round> {
        Arc::clone(&self.round)
    }

    /// Waits until the line is written; who leads writes.
    pub(crate) async fn written(mut self) -> Result<Place, LogProblem> {
        if self.leads {
            one_turn().await;
            self.leads = false;
            self.batch.flush();
        }
        self.round.wait().await
    }
}

impl Drop for Ticket<'_> {
    /// A leader that is cancelled still writes what others wait for.
    fn drop(&mut self) {
        if self.leads {
            self.batch.flush();
        }
    }
}
