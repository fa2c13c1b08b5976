//! How far the index has followed the log. It stands in the same commit as the stories, so the two always agree.

use serde::{Deserialize, Serialize};

/// The place in the log, as it is kept with a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// The number of the first line that was not looked at.
    pub(crate) next: u64,
    /// Lines from here on may open accesses that the index does not have yet, because they had only just begun.
    pub(crate) from: u64,
    /// The mark of the last line that was looked at: another log has another line there.
    pub(crate) mark: u64,
}

impl Cursor {
    /// Reads it; a log that was never looked at begins at its beginning.
    pub(crate) fn read(text: Option<&str>) -> Self {
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// As it is kept.
    pub(crate) fn text(&self) -> String {
        format!(r#"{{"next":{},"from":{},"mark":{}}}"#, self.next, self.from, self.mark)
    }
}

/// A number by which a line is known again (FNV-1a). It guards against mistakes, not against people: those the log's
/// own signatures find.
pub(crate) fn mark(line: &[u8]) -> u64 {
    line.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_anything_else_begins_anew() {
        let cursor = Cursor { next: 7, from: 3, mark: u64::MAX };
        assert_eq!(Cursor::read(Some(&cursor.text())), cursor);
        assert_eq!(Cursor::read(Some("{}")), Cursor::default());
        assert_eq!(Cursor::read(None), Cursor::default());
    }
}
