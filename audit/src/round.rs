//! One turn of group commit: all who joined a batch before it was written wait for the same round.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use crate::LogProblem;

/// Where a batch came to lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// The segment, by its first line.
    pub(crate) segment: u64,
    /// The number after the batch's last line.
    pub(crate) end: u64,
}

/// The outcome of writing one batch, once it is known.
#[derive(Debug, Default)]
pub(crate) struct Round {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    outcome: Option<Result<Place, LogProblem>>,
    waiting: Vec<Waker>,
}

impl Round {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everyone who waits.
    pub(crate) fn finish(&self, outcome: Result<Place, LogProblem>) {
        let waiting = {
            let mut state = self.lock();
            state.outcome = Some(outcome);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Where the batch lies, if it is written.
    pub(crate) fn place(&self) -> Option<Place> {
        self.lock().outcome.as_ref().and_then(|outcome| outcome.as_ref().ok().copied())
    }

    /// Whether the batch is known not to be written.
    pub(crate) fn failed(&self) -> bool {
        self.lock().outcome.as_ref().is_some_and(Result::is_err)
    }

    /// Waits for the outcome.
    pub(crate) async fn wait(&self) -> Result<Place, LogProblem> {
        poll_fn(|context| {
            let mut state = self.lock();
            if let Some(outcome) = &state.outcome {
                return Poll::Ready(outcome.clone());
            }
            if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                state.waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}

/// Lets everything else that is ready run once before going on.
pub(crate) async fn one_turn() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
