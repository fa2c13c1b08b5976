//! Records as far as they can be read: what is damaged is named in its place, and the rest is shown.

use std::path::Path;
use std::sync::Arc;

use audit::{Entry, Story};

/// A record of the log.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// The number of its first line that is known.
    pub(crate) seq: u64,
    /// Whose log it is of, where there are several nodes.
    pub(crate) node: Option<Arc<str>>,
    /// What it tells; nothing where its first line is damaged.
    pub(crate) story: Option<Story>,
    /// What of it is damaged.
    pub(crate) damage: Option<Damage>,
}

/// A line that is not as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Damage {
    /// Its number.
    pub(crate) seq: u64,
    /// The file that it is in, where that is known.
    pub(crate) file: Option<String>,
}

/// A line of the log.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    /// It can be read.
    Read(Box<Entry>),
    /// It is there and cannot.
    Damaged(Damage),
    /// It is not written yet, or was deleted by age.
    Gone,
}

impl Record {
    /// One that can be read.
    pub(super) fn whole(begin: Entry, end: Option<Entry>) -> Self {
        Self { seq: begin.seq, node: None, story: Some(Story { begin, end }), damage: None }
    }

    /// One of which nothing can be read.
    pub(super) fn damaged(damage: Damage) -> Self {
        Self { seq: damage.seq, node: None, story: None, damage: Some(damage) }
    }
}

impl Damage {
    /// A line in a file.
    pub(super) fn at(seq: u64, place: &str) -> Self {
        let file = Path::new(place).file_name().and_then(|name| name.to_str());
        Self { seq, file: file.map(str::to_owned) }
    }
}
