//! What was written and not yet hashed: handed from whoever writes to the sealer without another copy.

/// The most that is kept for the sealer; when it lags further it reads the files again.
const TAIL_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The newest lines, as written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tail {
    /// The number of the first line in `text`.
    pub(crate) first: u64,
    /// Whole lines, with newlines.
    pub(crate) text: Vec<u8>,
    /// The first lines of segments begun since the tail was last taken.
    pub(crate) rotations: Vec<u64>,
}

impl Tail {
    /// Makes room for `bytes` more before line `next`: forgets the text where it would grow too long.
    pub(crate) fn make_room(&mut self, bytes: usize, next: u64) {
        if self.text.len().saturating_add(bytes) > TAIL_BYTES_MAX {
            self.text.clear();
        }
        if self.text.is_empty() {
            self.first = next;
        }
    }

    /// Hands everything over in exchange for an empty tail, so that two of them take turns and ask for no memory.
    pub(crate) fn swap(&mut self, other: &mut Self, next: u64) {
        other.first = next;
        other.text.clear();
        other.rotations.clear();
        std::mem::swap(self, other);
    }
}
