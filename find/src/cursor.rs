//! How far the index has followed the log. It is kept with the stories, so the two always agree.

use serde::{Deserialize, Serialize};

/// The place in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// The number of the first line that was not looked at.
    pub(crate) next: u64,
    /// Lines from here on may open accesses that the index does not have yet, because they had only just begun.
    pub(crate) from: u64,
    /// A line that was looked at, where any could be read, and its mark: another log has another line there.
    pub(crate) marked: Option<(u64, u64)>,
}

/// A number by which a line is known again (FNV-1a). It guards against mistakes, not against people: those the log's
/// own signatures find.
pub(crate) fn mark(line: &[u8]) -> u64 {
    line.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
