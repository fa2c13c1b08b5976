//! Accesses that are open: their opening line was read, their closing line was not.
//!
//! Most close within moments, and go into the index once, whole. What stays open longer goes in as open, so that it is
//! found, and is replaced when it closes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use policy::Timestamp;

use crate::story::Begun;

/// What is open for longer than this goes into the index as open.
const SHORT: Duration = Duration::from_secs(2);
/// The most accesses that are remembered as shown; the oldest of more stay open in the index for ever. A log that was
/// recovered has no such lines.
const SHOWN_MAX: usize = 1_000_000;

/// What is open.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    held: HashMap<String, Held>,
    shown: HashMap<String, u64>,
}

#[derive(Debug)]
struct Held {
    open: Begun,
    since: Instant,
}

/// What is known of an access that closes.
#[derive(Debug)]
pub(crate) enum Opened {
    /// Its opening line; the index does not have it.
    Held(Box<Begun>),
    /// The index has it as open, begun by this line.
    Shown(u64),
    /// Its opening line was not seen.
    Never,
}

impl Waiting {
    /// Remembers an access that begins; gives back one of the same id that never closed.
    pub(crate) fn open(&mut self, id: &str, open: Begun) -> Option<Begun> {
        self.held.insert(id.to_owned(), Held { open, since: Instant::now() }).map(|held| held.open)
    }

    /// Takes out an access that closes.
    pub(crate) fn close(&mut self, id: &str) -> Opened {
        if let Some(held) = self.held.remove(id) {
            return Opened::Held(Box::new(held.open));
        }
        self.shown.remove(id).map_or(Opened::Never, Opened::Shown)
    }

    /// Remembers that the index has an access as open.
    pub(crate) fn show(&mut self, id: String, begin: u64) {
        if self.shown.len() < SHOWN_MAX {
            self.shown.insert(id, begin);
        }
    }

    /// Whether the index has an access as open that began with this line.
    pub(crate) fn is_shown(&self, id: &str, begin: u64) -> bool {
        self.shown.get(id) == Some(&begin)
    }

    /// Takes out what is open for long, by the log's clock or by ours.
    pub(crate) fn long_open(&mut self, newest: Timestamp) -> Vec<(String, Begun)> {
        let is_long = |held: &Held| newest.since(held.open.at) > SHORT || held.since.elapsed() > SHORT;
        self.held.extract_if(|_, held| is_long(held)).map(|(id, held)| (id, held.open)).collect()
    }

    /// Takes out all that the index does not have.
    pub(crate) fn all(&mut self) -> Vec<(String, Begun)> {
        self.held.drain().map(|(id, held)| (id, held.open)).collect()
    }

    /// The earliest line of what the index does not have.
    pub(crate) fn earliest(&self) -> Option<u64> {
        self.held.values().map(|held| held.open.seq).min()
    }

    /// Whether something is open that the index does not have.
    pub(crate) fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }
}
