//! The tapes that are being written: watched, bounded, and ended when the log stops.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::LogProblem;
use crate::tape::TapeProblem;
use crate::tape::queue::Queue;

/// How many terminals may be recorded at once.
const OPEN_MAX: usize = 256;
/// How often they are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// The tapes that are being written.
#[derive(Debug, Default)]
pub(crate) struct OpenTapes {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    open: Vec<(Weak<Queue>, JoinHandle<()>)>,
    is_watched: bool,
}

impl OpenTapes {
    /// Enters a tape and starts the thread that writes it.
    pub(crate) fn enter(
        &self,
        queue: &Arc<Queue>,
        start: impl FnOnce() -> Result<JoinHandle<()>, LogProblem>,
    ) -> Result<(), TapeProblem> {
        let mut inner = lock(&self.inner);
        inner.open.retain(|(_, thread)| !thread.is_finished());
        if inner.open.len() >= OPEN_MAX {
            return Err(TapeProblem::TooMany { max: OPEN_MAX });
        }
        if !inner.is_watched {
            let watched = Arc::clone(&self.inner);
            std::thread::Builder::new()
                .name("audit-tapes".to_owned())
                .spawn(move || watch(&watched))
                .map_err(|error| LogProblem::Disk { place: "the recordings".to_owned(), reason: error.to_string() })?;
            inner.is_watched = true;
        }
        let thread = start()?;
        inner.open.push((Arc::downgrade(queue), thread));
        Ok(())
    }

    /// Ends all of them, and waits until they are written.
    pub(crate) fn end_all(&self) {
        let open = std::mem::take(&mut lock(&self.inner).open);
        open.iter().filter_map(|(queue, _)| queue.upgrade()).for_each(|queue| queue.close());
        for (_, thread) in open {
            if thread.join().is_err() {
                tracing::error!("the thread of a recording ended in a panic");
            }
        }
    }
}

/// Looks at them as long as there are any.
fn watch(inner: &Mutex<Inner>) {
    loop {
        std::thread::sleep(LOOK_INTERVAL);
        let queues: Vec<Arc<Queue>> = {
            let mut inner = lock(inner);
            inner.open.retain(|(_, thread)| !thread.is_finished());
            if inner.open.is_empty() {
                inner.is_watched = false;
                return;
            }
            inner.open.iter().filter_map(|(queue, _)| queue.upgrade()).collect()
        };
        let now = Instant::now();
        queues.iter().for_each(|queue| queue.watch(now));
    }
}

fn lock(inner: &Mutex<Inner>) -> std::sync::MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}
