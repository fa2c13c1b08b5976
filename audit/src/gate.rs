//! Waiting for the disk: which lines are synced, who waits for more, and the bell that wakes the keeper.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::Thread;

use crate::LogProblem;

/// How far the log is on disk for sure.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    synced: AtomicU64,
    wanted: AtomicBool,
    keeper: OnceLock<Thread>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<(u64, Waker)>,
    failed: Option<LogProblem>,
}

impl Gate {
    /// Names the thread that syncs.
    pub(crate) fn set_keeper(&self, keeper: Thread) {
        drop(self.keeper.set(keeper));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number after the last line that is on disk for sure.
    pub(crate) fn synced(&self) -> u64 {
        self.synced.load(Ordering::Acquire)
    }

    /// Whether somebody asked for a sync since the last call.
    pub(crate) fn take_wish(&self) -> bool {
        self.wanted.swap(false, Ordering::AcqRel)
    }

    /// Asks the keeper to sync now.
    pub(crate) fn wish(&self) {
        self.wanted.store(true, Ordering::Release);
        if let Some(keeper) = self.keeper.get() {
            keeper.unpark();
        }
    }

    /// Says that all lines before `end` are on disk.
    pub(crate) fn advance(&self, end: u64) {
        self.synced.fetch_max(end, Ordering::AcqRel);
        let mut due = Vec::new();
        self.lock().waiting.retain(|(wanted, waker)| {
            let waits_on = *wanted > end;
            if !waits_on {
                due.push(waker.clone());
            }
            waits_on
        });
        due.into_iter().for_each(Waker::wake);
    }

    /// Says that nothing will be synced any more: what the kernel could not write once it may have dropped.
    pub(crate) fn fail(&self, problem: LogProblem) {
        let waiting = {
            let mut state = self.lock();
            state.failed.get_or_insert(problem);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Whether lines before `end` are synced, or never will be.
    pub(crate) fn outcome(&self, end: u64) -> Option<Result<(), LogProblem>> {
        if self.synced() >= end {
            return Some(Ok(()));
        }
        self.lock().failed.clone().map(Err)
    }

    /// Whether all lines before `end` are on disk; else it asks for a sync, and wakes whoever asks when they are.
    pub(crate) fn poll_wait(&self, end: u64, context: &Context<'_>) -> Poll<Result<(), LogProblem>> {
        if self.synced() >= end {
            return Poll::Ready(Ok(()));
        }
        {
            let mut state = self.lock();
            if let Some(problem) = &state.failed {
                return Poll::Ready(Err(problem.clone()));
            }
            // Checked again under the lock: `advance` may have come between.
            if self.synced() >= end {
                return Poll::Ready(Ok(()));
            }
            let waker = context.waker();
            match state.waiting.iter_mut().find(|(_, waiting)| waiting.will_wake(waker)) {
                Some((wanted, _)) => *wanted = end.min(*wanted),
                None => state.waiting.push((end, waker.clone())),
            }
        }
        self.wish();
        Poll::Pending
    }
}
