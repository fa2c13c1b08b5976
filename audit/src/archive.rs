//! Archived segments: the lines of a closed segment in blocks, each compressed by itself (zstd) and, where the hospital
//! names a key ring, encrypted by itself (AES-256-GCM). Any block can be read without the others.
//!
//! A file is [`MAGIC`], the blocks, the index (JSON), and a trailer of fixed length that says where the index stands and
//! what its SHA-256 is. The index is not secret: it has numbers of lines and moments. What a block says is bound to the
//! segment and to its place in it. That the lines are those that were signed is the Merkle tree's to say, not this file's.

mod read;
mod write;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

pub(crate) use read::Archive;
pub(crate) use write::write;

use crate::tree::Hash;

/// How a file of ours begins and ends.
const MAGIC: &[u8; 16] = b"sekimori-archive";
/// Where the index stands, how long it is, its hash, and [`MAGIC`].
const TRAILER_BYTES: usize = 8 + 8 + 32 + 16;
/// How much of a segment is compressed at once: measured, see decision 0033.
const BLOCK_BYTES: usize = 512 * 1024;
/// The most that a block may hold, whatever an index says: a block ends after the line that fills it.
const BLOCK_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The longest index that is read: a segment of 16 GiB has one of 3 MiB.
const INDEX_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How hard zstd tries: measured, see decision 0033.
const ZSTD_LEVEL: i32 = 9;

/// What is in an archived segment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Index {
    /// The version of the form: 1.
    pub(crate) v: u32,
    /// The number of its first line.
    pub(crate) first: u64,
    /// The number after its last line.
    pub(crate) end: u64,
    /// Bytes of all lines.
    pub(crate) bytes: u64,
    /// Whether blocks are encrypted; the key is in the `.keys` file beside.
    pub(crate) sealed: bool,
    /// When the first line was written, as it says.
    pub(crate) began: String,
    /// The blocks, in order.
    pub(crate) blocks: Vec<BlockEntry>,
}

/// Where a block stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct BlockEntry {
    /// The byte at which it begins.
    pub(crate) at: u64,
    /// How long it is in the file.
    pub(crate) length: u64,
    /// The number of its first line.
    pub(crate) first: u64,
    /// How long its lines are.
    pub(crate) bytes: u64,
}

/// What a block is bound to: another segment's, or another place's, does not open.
fn binding(segment: u64, number: usize, block: &BlockEntry) -> Vec<u8> {
    let mut bound = MAGIC.to_vec();
    for part in [segment, number as u64, block.first, block.bytes] {
        bound.extend_from_slice(&part.to_be_bytes());
    }
    bound
}

fn hash(bytes: &[u8]) -> Hash {
    digest(&SHA256, bytes).as_ref().try_into().unwrap_or([0; 32])
}
