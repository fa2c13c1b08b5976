//! How far a feed has come, for whoever watches it: the feed writes, the watch reads.

use std::sync::{Mutex, PoisonError};

use policy::Timestamp;

/// Shared by a feed and its watch.
#[derive(Debug, Default)]
pub struct Progress(Mutex<Seen>);

/// What is seen of a feed at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// Whether there is a connection.
    pub connected: bool,
    /// The number of the next line to be sent.
    pub next: u64,
    /// Since when the oldest line that is not sent waits, where one does.
    pub waiting_since: Option<Timestamp>,
    /// When something last arrived.
    pub last_success: Option<Timestamp>,
}

impl Progress {
    /// What is seen now.
    pub fn seen(&self) -> Seen {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is seen.
    pub fn show(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
