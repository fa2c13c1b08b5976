//! The digest of a file while it is written or read.

use std::io::{self, Write};

use aws_lc_rs::digest::{Context, SHA256};

/// SHA-256 of everything that went by.
pub(crate) struct Digest(Context);

impl Digest {
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest so far.
    pub(crate) fn so_far(&self) -> [u8; 32] {
        self.0.clone().finish().as_ref().try_into().unwrap_or([0; 32])
    }
}

/// Writes on, and takes the digest of what was written.
pub(crate) struct Digested<W> {
    pub(crate) out: W,
    pub(crate) digest: Digest,
}

impl<W: Write> Write for Digested<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.digest.add(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
