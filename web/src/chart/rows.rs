//! Rows below each other, for something by kind.

use super::{Bar, share};

/// How long the longest row is, in hundredths of its room.
const LENGTH: u64 = 100;

/// Rows below each other.
#[derive(Debug)]
pub(crate) struct Rows {
    bars: Vec<Bar>,
    longest: u64,
}

/// A row with its length.
pub(crate) struct Placed<'a> {
    pub(crate) bar: &'a Bar,
    pub(crate) length: u64,
}

impl Rows {
    pub(crate) fn new(bars: Vec<Bar>) -> Self {
        let longest = bars.iter().map(|bar| bar.count).max().unwrap_or(0);
        Self { bars, longest }
    }

    pub(super) fn bars(&self) -> &[Bar] {
        &self.bars
    }

    /// Every bar with its length.
    pub(crate) fn placed(&self) -> impl Iterator<Item = Placed<'_>> {
        self.bars.iter().map(|bar| Placed { bar, length: share(bar.count, self.longest, LENGTH) })
    }
}
