//! Reading the log, whatever form its segments have: one line by its number, or line after line to the end and on.
//!
//! Everything that reads the log goes through here, or through the blocks below it (`segment`, `archive`). What is whole
//! is read even where something beside it is damaged; the damage is said, with its place, and passed over.

mod lines;
mod plain;
mod whole;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use lines::{Line, Lines};
pub(crate) use whole::SegmentLines;

use crate::archive::Archive;
use crate::segment::{self, Form, Segment};
use crate::tree::{Hash, TILE_WIDTH, leaf_hash};
use crate::{Keys, LogProblem, deleted, tile};

/// How many blocks of lines are kept in memory for whoever asks for single lines: some 16 MiB.
const BLOCKS_KEPT: usize = 32;
/// How many archives are kept open.
const ARCHIVES_KEPT: usize = 16;

/// A log to read: its directory, and the keys that open it. Clones share what is kept in memory.
#[derive(Clone, Debug)]
pub struct Reader {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    keys: Keys,
    kept: Mutex<Kept>,
}

/// What was read lately.
#[derive(Debug, Default)]
struct Kept {
    segments: Vec<Segment>,
    blocks: VecDeque<Arc<Block>>,
    archives: VecDeque<Arc<Archive>>,
}

/// Whole lines that follow each other, with where each begins.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) first: u64,
    text: Vec<u8>,
    /// Where each line begins.
    starts: Vec<u32>,
}

impl Block {
    /// Lines, each with its newline, of which the first has this number.
    pub(crate) fn new(first: u64, text: Vec<u8>) -> Self {
        let ends = memchr::memchr_iter(b'\n', &text).map(|at| u32::try_from(at + 1).unwrap_or(u32::MAX));
        let mut starts = vec![0];
        starts.extend(ends);
        starts.pop();
        Self { first, text, starts }
    }

    /// The number after its last line.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.starts.len() as u64
    }

    /// A line by its number, without the newline.
    pub(crate) fn line(&self, number: u64) -> Option<&[u8]> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let start = *self.starts.get(at)? as usize;
        let end = self.starts.get(at + 1).map_or(self.text.len(), |next| *next as usize);
        self.text.get(start..end)?.strip_suffix(b"\n")
    }
}

impl Reader {
    /// Opens a log, or a copy of one, for reading.
    ///
    /// # Errors
    /// [`LogProblem`] where there is none.
    pub fn open(dir: &Path, keys: Keys) -> Result<Self, LogProblem> {
        segment::list(dir)?;
        Ok(Self::at(dir, keys))
    }

    fn at(dir: &Path, keys: Keys) -> Self {
        let inner = Inner { directory: dir.to_owned(), keys, kept: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// The log's directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.inner.keys
    }

    /// The number after the last whole line.
    ///
    /// # Errors
    /// [`LogProblem`] where the log cannot be read.
    pub fn size(&self) -> Result<u64, LogProblem> {
        let segments = self.look_again()?;
        let Some(newest) = segments.last() else { return deleted::end(self.directory()) };
        match newest.form {
            Form::Plain => plain::end(newest),
            Form::Archived => Ok(self.archive(newest)?.index.end),
        }
    }

    /// The number of the first line that is still there: those before it were deleted by age.
    ///
    /// # Errors
    /// [`LogProblem`] where the log cannot be read.
    pub fn first(&self) -> Result<u64, LogProblem> {
        Ok(self.look_again()?.first().map_or(0, |segment| segment.first))
    }

    /// One line by its number, without the newline; `None` where it is not written yet or was deleted by age.
    ///
    /// # Errors
    /// [`LogProblem`] where the log cannot be read, or the line is damaged.
    pub fn line(&self, seq: u64) -> Result<Option<Vec<u8>>, LogProblem> {
        Ok(self.block_with(seq)?.and_then(|block| block.line(seq).map(<[u8]>::to_vec)))
    }

    /// The lines from a number on, to the end and, when asked again later, on from there.
    #[must_use]
    pub fn from(&self, seq: u64) -> Lines {
        Lines::new(self.clone(), seq)
    }

    /// The hashes of the lines under one tile of the lowest level: from the tile, or, where that is gone because its
    /// lines are archived, from those. `None` where neither is there.
    pub(crate) fn leaves(&self, index: u64, width: usize) -> Option<Vec<Hash>> {
        if let Some(hashes) = tile::read_wide(self.directory(), 0, index, width) {
            return Some(hashes);
        }
        let first = index * TILE_WIDTH as u64;
        let end = first + width as u64;
        let mut hashes = Vec::with_capacity(width);
        if let Some(deleted) = deleted::read(self.directory()).ok()? {
            if end <= deleted.tree.size() {
                return None;
            }
            let edge = deleted.tree.partial_tiles().find(|(level, at, _)| *level == 0 && *at == index);
            hashes.extend(edge.into_iter().flat_map(|(_, _, row)| row.iter().copied()));
        }
        while (hashes.len()) < width {
            let number = first + hashes.len() as u64;
            let block = self.block_with(number).ok()??;
            for number in number..end.min(block.end()) {
                hashes.push(leaf_hash(block.line(number)?));
            }
        }
        Some(hashes)
    }

    /// The block that holds a line, from memory or the files.
    fn block_with(&self, seq: u64) -> Result<Option<Arc<Block>>, LogProblem> {
        if let Some(block) = self.kept().block(seq) {
            return Ok(Some(block));
        }
        let known = segment_with(&self.kept().segments, seq);
        // What is known of the files may be old: lines move to new segments, segments to archives.
        let read = match &known {
            Some(segment) => self.read_block(segment, seq),
            None => Ok(None),
        };
        let read = match read {
            Ok(Some(block)) => Ok(Some(block)),
            first @ (Ok(None) | Err(_)) => match segment_with(&self.look_again()?, seq) {
                Some(segment) if Some(&segment) != known.as_ref() => self.read_block(&segment, seq),
                Some(_) => first,
                None => Ok(None),
            },
        };
        if let Ok(Some(block)) = &read {
            self.kept().keep_block(block);
        }
        read
    }

    fn read_block(&self, segment: &Segment, seq: u64) -> Result<Option<Arc<Block>>, LogProblem> {
        let block = match segment.form {
            Form::Plain => plain::block_with(segment, seq)?,
            Form::Archived => {
                let archive = self.archive(segment)?;
                let number = archive.block_of(seq);
                Some(Block::new(archive.range(number).0, archive.block(number)?))
            }
        };
        Ok(block.filter(|block| block.line(seq).is_some()).map(Arc::new))
    }

    /// An archived segment, open.
    pub(crate) fn archive(&self, segment: &Segment) -> Result<Arc<Archive>, LogProblem> {
        if let Some(archive) = self.kept().archives.iter().find(|archive| archive.segment == *segment) {
            return Ok(Arc::clone(archive));
        }
        let archive = Arc::new(Archive::open(segment, &self.inner.keys)?);
        let mut kept = self.kept();
        kept.archives.push_front(Arc::clone(&archive));
        kept.archives.truncate(ARCHIVES_KEPT);
        Ok(archive)
    }

    /// The segments as they are now.
    pub(crate) fn look_again(&self) -> Result<Vec<Segment>, LogProblem> {
        let segments = segment::list(self.directory())?;
        let mut kept = self.kept();
        kept.segments.clone_from(&segments);
        Ok(segments)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.inner.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// A block that holds a line; it moves to the front.
    fn block(&mut self, seq: u64) -> Option<Arc<Block>> {
        let at = self.blocks.iter().position(|block| block.line(seq).is_some())?;
        let block = self.blocks.remove(at)?;
        self.blocks.push_front(Arc::clone(&block));
        Some(block)
    }

    fn keep_block(&mut self, block: &Arc<Block>) {
        self.blocks.push_front(Arc::clone(block));
        self.blocks.truncate(BLOCKS_KEPT);
    }
}

/// The segment that a line is in, if it is in any of these.
fn segment_with(segments: &[Segment], seq: u64) -> Option<Segment> {
    let after = segments.partition_point(|segment| segment.first <= seq);
    after.checked_sub(1).and_then(|at| segments.get(at)).cloned()
}

impl From<&Self> for Reader {
    fn from(reader: &Self) -> Self {
        reader.clone()
    }
}

impl From<&Path> for Reader {
    /// Without keys.
    fn from(dir: &Path) -> Self {
        Self::at(dir, Keys::none())
    }
}

impl From<&PathBuf> for Reader {
    /// Without keys.
    fn from(dir: &PathBuf) -> Self {
        Self::at(dir, Keys::none())
    }
}

impl From<&config::Audit> for Reader {
    /// With the keys of the ring that the configuration names.
    fn from(config: &config::Audit) -> Self {
        Self::at(&config.directory, Keys::from(config))
    }
}

impl From<&config::Audit> for Keys {
    fn from(config: &config::Audit) -> Self {
        config.encryption.as_ref().map_or_else(Self::none, |encryption| Self::ring(&encryption.ring))
    }
}
