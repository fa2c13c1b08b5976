//! The hashes that stand for a tape so far: of its blocks, each taken over the one before, and of its text.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

use crate::tree::Hash;

/// The running hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Chain(Hash);

impl Chain {
    /// Begins with what a file begins with.
    pub(crate) fn new(begin: &[u8]) -> Self {
        Self([0; 32]).with(&[begin])
    }

    /// With one block more, given in pieces.
    pub(crate) fn with(self, block: &[&[u8]]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&self.0);
        block.iter().for_each(|piece| context.update(piece));
        Self(context.finish().as_ref().try_into().unwrap_or([0; 32]))
    }

    /// As the log has it.
    pub(crate) fn text(self) -> String {
        hex(&self.0)
    }
}

/// The SHA-256 of the text so far.
pub(crate) struct TextHash(Context);

impl fmt::Debug for TextHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TextHash({})", self.text())
    }
}

impl TextHash {
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub(crate) fn add(&mut self, text: &[u8]) {
        self.0.update(text);
    }

    /// As the log has it.
    pub(crate) fn text(&self) -> String {
        hex(self.0.clone().finish().as_ref())
    }
}

/// Bytes in hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
