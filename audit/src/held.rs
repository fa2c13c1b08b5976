//! Counting what is held: open accesses, spooled openings. Dropping gives the place back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many are held.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

/// One place of a [`Count`].
#[derive(Debug)]
pub(crate) struct Held(Count);

impl Count {
    pub(crate) fn held(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    /// Takes a place; `None` where `max` are held. It never waits: a full house is refused, not queued.
    pub(crate) fn take(&self, max: usize) -> Option<Held> {
        let more = |held: usize| (held < max).then_some(held + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok().map(|_| Held(self.clone()))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}
