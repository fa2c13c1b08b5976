//! Reading an archived segment, block by block.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use crate::archive::{BLOCK_BYTES_MAX, BlockEntry, INDEX_BYTES_MAX, Index, MAGIC, TRAILER_BYTES, binding, hash};
use crate::data_key::DataKey;
use crate::segment::Segment;
use crate::{Keys, LogProblem};

/// An archived segment that is open.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) segment: Segment,
    pub(crate) index: Index,
    file: File,
    key: Option<DataKey>,
}

impl Archive {
    /// Opens an archived segment; a sealed one needs a key.
    pub(crate) fn open(segment: &Segment, keys: &Keys) -> Result<Self, LogProblem> {
        let file = File::open(&segment.path).map_err(|error| LogProblem::disk(&segment.path, &error))?;
        let index = read_index(segment, &file)?;
        let key = if index.sealed { Some(keys.data_key(segment)?) } else { None };
        Ok(Self { segment: segment.clone(), index, file, key })
    }

    /// How many blocks it has.
    pub(crate) fn blocks(&self) -> usize {
        self.index.blocks.len()
    }

    /// The block that holds a line.
    pub(crate) fn block_of(&self, line: u64) -> usize {
        self.index.blocks.partition_point(|block| block.first <= line).saturating_sub(1)
    }

    /// The first line of a block, and the number after its last one.
    pub(crate) fn range(&self, number: usize) -> (u64, u64) {
        let first = self.index.blocks.get(number).map_or(self.index.end, |block| block.first);
        let end = self.index.blocks.get(number + 1).map_or(self.index.end, |block| block.first);
        (first, end)
    }

    /// The bytes of a block in the file.
    pub(crate) fn place(&self, number: usize) -> Option<std::ops::Range<u64>> {
        self.index.blocks.get(number).map(|block| block.at..block.at + block.length)
    }

    /// The lines of a block, each with its newline.
    pub(crate) fn block(&self, number: usize) -> Result<Vec<u8>, LogProblem> {
        let Some(block) = self.index.blocks.get(number) else { return Ok(Vec::new()) };
        let mut bytes = vec![0; usize::try_from(block.length).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, block.at).map_err(|error| LogProblem::disk(&self.segment.path, &error))?;
        self.lines_of(number, block, bytes).ok_or_else(|| {
            let (first, end) = self.range(number);
            let last = end.saturating_sub(1);
            let bytes = block.at..block.at + block.length;
            let reason =
                format!("bytes {}..{} with lines {first} to {last} are not as they were", bytes.start, bytes.end);
            LogProblem::damaged(&self.segment.path, reason)
        })
    }

    fn lines_of(&self, number: usize, block: &BlockEntry, bytes: Vec<u8>) -> Option<Vec<u8>> {
        let packed = match &self.key {
            Some(key) => key.open(number, &binding(self.segment.first, number, block), bytes)?,
            None => bytes,
        };
        let length = usize::try_from(block.bytes).ok()?;
        let lines = zstd::bulk::decompress(&packed, length).ok()?;
        let (first, end) = self.range(number);
        let count = memchr::memchr_iter(b'\n', &lines).count() as u64;
        (lines.len() == length && lines.last() == Some(&b'\n') && count == end - first).then_some(lines)
    }
}

fn read_index(segment: &Segment, file: &File) -> Result<Index, LogProblem> {
    let disk = |error: std::io::Error| LogProblem::disk(&segment.path, &error);
    let damaged = || LogProblem::damaged(&segment.path, "its index is not as it was");
    let bytes = file.metadata().map_err(disk)?.len();
    let trailer_at = bytes.checked_sub(TRAILER_BYTES as u64).ok_or_else(damaged)?;
    let mut trailer = [0; TRAILER_BYTES];
    file.read_exact_at(&mut trailer, trailer_at).map_err(disk)?;
    let (index_at, length, expected) = parse_trailer(&trailer).ok_or_else(damaged)?;
    let mut begins = [0; MAGIC.len()];
    file.read_exact_at(&mut begins, 0).map_err(disk)?;
    if begins != *MAGIC {
        return Err(damaged());
    }
    if length > INDEX_BYTES_MAX || index_at.checked_add(length) != Some(trailer_at) {
        return Err(damaged());
    }
    let mut text = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut text, index_at).map_err(disk)?;
    if hash(&text) != expected {
        return Err(damaged());
    }
    let index: Index = serde_json::from_slice(&text).map_err(|_| damaged())?;
    if is_sound(&index, segment.first, index_at) { Ok(index) } else { Err(damaged()) }
}

fn parse_trailer(trailer: &[u8; TRAILER_BYTES]) -> Option<(u64, u64, [u8; 32])> {
    let (at, rest) = trailer.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let (hash, magic) = rest.split_first_chunk::<32>()?;
    (magic == MAGIC).then_some((u64::from_be_bytes(*at), u64::from_be_bytes(*length), *hash))
}

/// Whether blocks follow each other without gaps, in the file and in the log, and none is larger than one of ours.
fn is_sound(index: &Index, first: u64, index_at: u64) -> bool {
    let (mut at, mut line, mut bytes) = (MAGIC.len() as u64, first, 0);
    for (number, block) in index.blocks.iter().enumerate() {
        let follows = block.at == at && if number == 0 { block.first == line } else { block.first > line };
        if !follows || block.length > 2 * BLOCK_BYTES_MAX as u64 || block.bytes > BLOCK_BYTES_MAX as u64 {
            return false;
        }
        (at, line, bytes) = (at + block.length, block.first, bytes + block.bytes);
    }
    let is_whole = at == index_at && bytes == index.bytes && (line < index.end || index.blocks.is_empty());
    index.v == 1 && index.first == first && is_whole
}
