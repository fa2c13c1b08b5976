//! What is kept of segments that were deleted by age: which lines they held, and the right edge of the tree at their
//! end (at most 255 hashes a level). From that, the tree over the lines that are left grows to the signed root, so
//! `verify` passes over what is gone. Each deletion is also a line of the log (`segment-deleted`), written before.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::tree::{Hash, TILE_WIDTH, Tree};
use crate::{LogProblem, disk};

/// The kept edge is at most 70 KiB; the list of segments grows by some 150 bytes a segment.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What was deleted: always the oldest segments, so one number says where the log begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Deleted {
    /// The tree over every line that was deleted.
    pub(crate) tree: Tree,
    pub(crate) segments: Vec<DeletedSegment>,
    /// The number of the line that records the last deletion.
    pub(crate) record: Option<u64>,
}

/// A segment that was deleted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct DeletedSegment {
    /// The number of its first line.
    pub(crate) first: u64,
    /// The number after its last line.
    pub(crate) end: u64,
    /// The root of the tree over all lines before `end`, base64.
    pub(crate) root: String,
}

#[derive(Serialize, Deserialize)]
struct File {
    v: u32,
    end: u64,
    /// For each level the hashes of its partial tile, base64, one after the other.
    edge: Vec<String>,
    segments: Vec<DeletedSegment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<u64>,
}

/// Where it is kept.
pub(crate) fn path(directory: &Path) -> PathBuf {
    directory.join("deleted")
}

/// The number of the first line that was not deleted.
pub(crate) fn end(directory: &Path) -> Result<u64, LogProblem> {
    if !path(directory).exists() {
        return Ok(0);
    }
    Ok(read(directory)?.map_or(0, |deleted| deleted.tree.size()))
}

/// What was deleted; `None` where nothing was.
pub(crate) fn read(directory: &Path) -> Result<Option<Deleted>, LogProblem> {
    let path = path(directory);
    let bytes = match std::fs::metadata(&path) {
        Ok(file) if file.len() <= FILE_BYTES_MAX => std::fs::read(&path),
        Ok(_) => Err(io::Error::other("is too long")),
        Err(error) => Err(error),
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LogProblem::disk(&path, &error)),
    };
    let damaged = || LogProblem::damaged(&path, "does not hold what is kept of deleted segments");
    let file: File = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
    let edge: Option<Vec<Vec<Hash>>> = file.edge.iter().map(|level| hashes(level)).collect();
    let edge = edge.ok_or_else(damaged)?;
    let fits = (0_u32..).zip(&edge).all(|(level, row)| row.len() as u64 == width(file.end, level))
        && width(file.end, u32::try_from(edge.len()).unwrap_or(u32::MAX)) == 0;
    let deleted = Deleted { tree: Tree::from_edge(file.end, edge), segments: file.segments, record: file.record };
    let is_last = deleted
        .segments
        .last()
        .is_some_and(|last| last.end == deleted.tree.size() && last.root == BASE64.encode(deleted.tree.root()));
    if file.v == 1 && fits && is_last { Ok(Some(deleted)) } else { Err(damaged()) }
}

/// Keeps it, whole or not at all.
pub(crate) fn write(directory: &Path, deleted: &Deleted) -> Result<(), LogProblem> {
    let path = path(directory);
    let mut edge: Vec<String> = Vec::new();
    for (level, _, row) in deleted.tree.partial_tiles() {
        edge.resize(usize::from(level), String::new());
        edge.push(BASE64.encode(row.as_flattened()));
    }
    let (segments, record) = (deleted.segments.clone(), deleted.record);
    let file = File { v: 1, end: deleted.tree.size(), edge, segments, record };
    serde_json::to_vec(&file)
        .map_err(io::Error::other)
        .and_then(|text| disk::replace(&path, &text))
        .map_err(|error| LogProblem::disk(&path, &error))
}

/// How many hashes the partial tile of a level has in a tree of that size.
fn width(size: u64, level: u32) -> u64 {
    let full = TILE_WIDTH as u64;
    full.checked_pow(level).map_or(0, |leaves| size / leaves % full)
}

fn hashes(text: &str) -> Option<Vec<Hash>> {
    let bytes = BASE64.decode(text).ok()?;
    let whole = bytes.len().is_multiple_of(32);
    whole.then(|| bytes.chunks_exact(32).filter_map(|chunk| chunk.try_into().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;
    use crate::tree::leaf_hash;

    #[test]
    fn what_is_kept_reads_back_and_grows_to_the_same_root() {
        for size in [1_u64, 255, 256, 300, 65_536, 65_537, 70_000] {
            let folder = Folder::new();
            let mut tree = Tree::default();
            (0..size).for_each(|n| tree.push(leaf_hash(&n.to_be_bytes()), &mut Vec::new()));
            let root = BASE64.encode(tree.root());
            let segments = vec![DeletedSegment { first: 0, end: size, root }];
            write(folder.path(), &Deleted { tree: tree.clone(), segments, record: Some(size + 9) }).unwrap();
            let mut again = read(folder.path()).unwrap().unwrap().tree;
            assert_eq!(end(folder.path()).unwrap(), size);
            for n in size..size + 400 {
                again.push(leaf_hash(&n.to_be_bytes()), &mut Vec::new());
                tree.push(leaf_hash(&n.to_be_bytes()), &mut Vec::new());
            }
            assert_eq!(again.root(), tree.root(), "{size}");
        }
    }

    #[test]
    fn what_was_changed_is_not_believed() {
        let folder = Folder::new();
        assert_eq!(read(folder.path()).unwrap(), None);
        let mut tree = Tree::default();
        (0..300_u64).for_each(|n| tree.push(leaf_hash(&n.to_be_bytes()), &mut Vec::new()));
        let segments = vec![DeletedSegment { first: 0, end: 300, root: BASE64.encode(tree.root()) }];
        write(folder.path(), &Deleted { tree, segments, record: None }).unwrap();
        let text = std::fs::read_to_string(path(folder.path())).unwrap();
        for (from, to) in [("\"end\":300", "\"end\":301"), ("\"v\":1", "\"v\":2")] {
            std::fs::write(path(folder.path()), text.replace(from, to)).unwrap();
            assert!(read(folder.path()).is_err(), "{from}");
        }
        std::fs::write(path(folder.path()), "{}").unwrap();
        assert!(end(folder.path()).is_err());
    }
}
