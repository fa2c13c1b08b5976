//! What the index answers: places in the log, and counts.

use std::fmt;

/// Where a story stands in the log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FoundAt {
    /// The number of the line that begins it.
    pub begin: u64,
    /// The number of the line that closes it, where it is an access that is closed.
    pub end: Option<u64>,
}

/// A page of what was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answer {
    /// The stories of this page, in the order asked for.
    pub seqs: Vec<FoundAt>,
    /// How many stories there are on all pages together.
    pub total: u64,
    /// Where the next page begins, where there is one.
    pub next: Option<Place>,
}

/// Where a page of an answer begins. Writes and reads as a number, so that a link can carry it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Place(pub(crate) u64);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Place {
    /// Reads what it was written as.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

/// One count.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bar {
    /// What was counted: a name, a code, or an hour, day or month of the calendar (`2026-11-22T01`).
    pub key: String,
    /// How many stories.
    pub count: u64,
}

/// How far the index has followed the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lag {
    /// The number of the first line that was not looked at yet.
    pub seq: u64,
    /// How many lines of the log were not looked at yet, when this was last known.
    pub behind: u64,
}
