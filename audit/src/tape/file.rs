//! The file of a tape: [`MAGIC`], a head in JSON, then blocks. A block is its length in the file and the length of its
//! text, each four bytes, and what holds the text: compressed (zstd), and encrypted (AES-256-GCM) where the head says so.
//! An empty block ends the tape. The head is not secret: it has the request's id and nothing of what was done.

use std::fs::File;
use std::io::{self, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use policy::RequestId;
use serde::{Deserialize, Serialize};

use crate::LogProblem;
use crate::keys::KEYS;
use crate::segment::{Form, Segment};

/// How a file begins.
pub(crate) const MAGIC: &[u8; 16] = b"sekimori-tape-01";
/// How much text a block holds before it is written; one event more may be in it.
pub(crate) const BLOCK_BYTES: usize = 64 * 1024;
/// The most that a block may hold, whatever a file says.
const BLOCK_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest head that is read.
const HEAD_BYTES_MAX: usize = 4 * 1024;
/// How the name of a tape ends.
const EXTENSION: &str = "tape";

/// What stands at the beginning.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The version of the form: 1.
    pub(crate) v: u32,
    pub(crate) id: String,
    /// Whether blocks are encrypted; the key is in the `.keys` file beside.
    pub(crate) sealed: bool,
}

/// A block as it lies in the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RawBlock {
    /// Both lengths.
    pub(crate) lengths: [u8; 8],
    /// How long its text is.
    pub(crate) text_bytes: usize,
    pub(crate) packed: Vec<u8>,
    /// The byte after it.
    pub(crate) end: u64,
}

impl RawBlock {
    /// Whether it is the one that ends a tape: an empty one.
    pub(crate) fn is_end(&self) -> bool {
        self.packed.is_empty() && self.text_bytes == 0
    }
}

/// Where the tapes of a log lie.
pub(crate) fn folder(directory: &Path) -> PathBuf {
    directory.join("recordings")
}

/// The file of a recording, named as keys name what they are for.
pub(crate) fn place(directory: &Path, id: &str) -> Segment {
    let path = folder(directory).join(format!("{id}.{EXTENSION}"));
    Segment { first: number(id), form: Form::Archived, path }
}

/// The number that the keys of a recording are bound to. It is no line's: those do not come so far.
fn number(id: &str) -> u64 {
    let hash = digest(&SHA256, id.as_bytes());
    let first = hash.as_ref().first_chunk::<8>().copied().unwrap_or_default();
    u64::from_be_bytes(first) | 1 << 63
}

/// The id of a recording, from the name of its file.
pub(crate) fn id_of(path: &Path) -> Option<RequestId> {
    RequestId::parse(path.file_stem()?.to_str()?)
}

/// The tapes of a log, or the files beside them, whose name ends so.
pub(crate) fn list(directory: &Path, extension: &str) -> Result<Vec<PathBuf>, LogProblem> {
    let folder = folder(directory);
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(|error| LogProblem::disk(&folder, &error))?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| LogProblem::disk(&folder, &error))?.path();
        if path.extension().is_some_and(|its| its == extension) && id_of(&path).is_some() {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// All tapes of a log.
pub(crate) fn tapes(directory: &Path) -> Result<Vec<PathBuf>, LogProblem> {
    list(directory, EXTENSION)
}

/// The tapes that have a key beside them.
pub(crate) fn wrapped(directory: &Path) -> Result<Vec<Segment>, LogProblem> {
    let ids = list(directory, KEYS)?.into_iter().filter_map(|path| id_of(&path));
    Ok(ids.map(|id| place(directory, &id.to_string())).collect())
}

/// What a file of this recording begins with.
pub(crate) fn beginning(head: &Head) -> Result<Vec<u8>, serde_json::Error> {
    let text = serde_json::to_vec(head)?;
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let mut begin = MAGIC.to_vec();
    begin.extend_from_slice(&length.to_be_bytes());
    begin.extend_from_slice(&text);
    Ok(begin)
}

/// What a block is bound to: another recording's, or another place's, does not open.
pub(crate) fn binding(id: &str, number: usize, text_bytes: usize) -> Vec<u8> {
    let mut bound = MAGIC.to_vec();
    bound.extend_from_slice(id.as_bytes());
    for part in [number as u64, text_bytes as u64] {
        bound.extend_from_slice(&part.to_be_bytes());
    }
    bound
}

/// Both lengths of a block.
pub(crate) fn lengths(packed: usize, text: usize) -> [u8; 8] {
    let [packed, text] = [packed, text].map(|length| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    let mut lengths = [0; 8];
    for (place, byte) in lengths.iter_mut().zip(packed.into_iter().chain(text)) {
        *place = byte;
    }
    lengths
}

/// Reads a file block by block, as far as whole ones are there, and on from there when asked again later.
#[derive(Debug)]
pub(crate) struct RawBlocks {
    file: BufReader<File>,
    /// The beginning, as it lies in the file.
    pub(crate) begin: Vec<u8>,
    pub(crate) head: Head,
    /// The byte after the last block that was given.
    pub(crate) at: u64,
}

impl RawBlocks {
    /// Opens a tape; nothing where its beginning is none of ours.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        let mut file = BufReader::new(File::open(path)?);
        let mut begin = vec![0; MAGIC.len() + 4];
        if !read_whole(&mut file, &mut begin)? || !begin.starts_with(MAGIC) {
            return Ok(None);
        }
        let length = begin.last_chunk::<4>().map_or(0, |length| u32::from_be_bytes(*length) as usize);
        if length > HEAD_BYTES_MAX {
            return Ok(None);
        }
        let mut text = vec![0; length];
        if !read_whole(&mut file, &mut text)? {
            return Ok(None);
        }
        let head: Option<Head> = serde_json::from_slice(&text).ok().filter(|head: &Head| head.v == 1);
        begin.extend_from_slice(&text);
        let at = begin.len() as u64;
        Ok(head.map(|head| Self { file, begin, head, at }))
    }

    /// The next block; `Ok(None)` where none is whole yet, an error of [`io::ErrorKind::InvalidData`] where its lengths
    /// are those of no block of ours.
    pub(crate) fn next(&mut self) -> io::Result<Option<RawBlock>> {
        self.file.seek(SeekFrom::Start(self.at))?;
        let mut lengths = [0; 8];
        if !read_whole(&mut self.file, &mut lengths)? {
            return Ok(None);
        }
        let part = |part: Option<&[u8; 4]>| part.map_or(usize::MAX, |part| u32::from_be_bytes(*part) as usize);
        let (length, text_bytes) = (part(lengths.first_chunk()), part(lengths.last_chunk()));
        if length > BLOCK_BYTES_MAX || text_bytes > BLOCK_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut packed = vec![0; length];
        if !read_whole(&mut self.file, &mut packed)? {
            return Ok(None);
        }
        self.at += (lengths.len() + length) as u64;
        Ok(Some(RawBlock { lengths, text_bytes, packed, end: self.at }))
    }
}

/// Fills a buffer; `false` where the file ends before.
fn read_whole(file: &mut impl io::Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
