//! The leaf hashes that the lowest tiles hold, and which line each physical line of the files is by them. Finds its
//! way again after changed, added and lost lines, so that one change is one finding.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::regrow::from_tiles;
use crate::tree::{Hash, TILE_WIDTH, Tree};
use crate::verify::Finding;
use crate::{line, tile};

/// The most lines in a row that fit nowhere before counting goes on as if they stood in their places.
const STRANGE_MAX: usize = TILE_WIDTH;
/// The most findings that are listed; a log with more is changed throughout.
pub(crate) const FINDINGS_MAX: usize = 100;

/// A physical line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) file: PathBuf,
    /// From 1.
    pub(crate) line: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Place {
    pub(crate) fn finding(&self, what: impl Into<String>) -> Finding {
        Finding { file: self.file.clone(), line: Some(self.line), bytes: Some(self.start..self.end), what: what.into() }
    }
}

/// Follows the physical lines along the leaf hashes of the tiles.
#[derive(Debug)]
pub(crate) struct Leaves<'a> {
    directory: &'a Path,
    size: u64,
    /// The number of the line that should come next.
    expected: u64,
    /// Lines that fit nowhere yet, with the number each says it has.
    strange: Vec<(Place, Option<u64>)>,
    /// Leaf hashes of the tiles read so far that are still ahead.
    ahead: HashMap<Hash, u64>,
    /// Tiles read so far.
    tiles: u64,
    /// The tree that the tiles give; none when a tile cannot be read.
    tree: Option<Tree>,
    pub(crate) changed: Vec<Finding>,
}

impl<'a> Leaves<'a> {
    /// `first` is the number of the first line that lies in a plain segment: the tiles below it may be gone, and the
    /// tree over them is that of the tiles above.
    pub(crate) fn new(directory: &'a Path, first: u64, size: u64) -> Self {
        let expected = first.min(size);
        Self {
            directory,
            size,
            expected,
            strange: Vec::new(),
            ahead: HashMap::new(),
            tiles: expected / TILE_WIDTH as u64,
            tree: from_tiles(directory, expected, first),
            changed: Vec::new(),
        }
    }

    /// Whether all signed lines have come.
    pub(crate) fn is_done(&self) -> bool {
        self.expected >= self.size
    }

    /// A segment says that its first line is line `first` of the log.
    pub(crate) fn begin_segment(&mut self, first: u64, path: &Path) {
        let first = first.min(self.size);
        if first < self.expected {
            let what = format!("should begin with line {} of the log", self.expected);
            self.changed.push(Finding::in_file(path, what));
        } else if self.strange.is_empty() && first > self.expected {
            let what = format!("lines {} to {} of the log are missing before this file", self.expected, first - 1);
            self.changed.push(Finding::in_file(path, what));
            self.expected = first;
        } else if first > self.expected {
            self.settle(first, None);
        }
    }

    /// Takes the next physical line.
    pub(crate) fn line(&mut self, place: Place, hash: &Hash, text: &[u8]) {
        self.read_ahead();
        match self.ahead.get(hash).copied() {
            Some(number) if number >= self.expected => {
                self.settle(number, Some(&place));
                self.ahead.remove(hash);
                self.expected = number + 1;
            }
            _ if self.tree.is_none() => self.expected += 1,
            _ => {
                self.strange.push((place, line::whole_number(text)));
                if self.strange.len() >= STRANGE_MAX {
                    self.settle((self.expected + STRANGE_MAX as u64).min(self.size), None);
                }
            }
        }
    }

    /// Reads tiles until the one after the expected line's is known.
    fn read_ahead(&mut self) {
        let width = TILE_WIDTH as u64;
        while self.tiles * width < self.size && self.tiles <= self.expected / width + 1 {
            let wide = usize::try_from((self.size - self.tiles * width).min(width)).unwrap_or(TILE_WIDTH);
            let leaves = tile::read_at_least(self.directory, 0, self.tiles, wide);
            let first = self.tiles * width;
            self.tiles += 1;
            let Some(leaves) = leaves else {
                self.tree = None;
                continue;
            };
            self.ahead.retain(|_, number| *number >= self.expected);
            self.ahead.extend(leaves.iter().copied().zip(first..));
            if let Some(tree) = &mut self.tree {
                leaves.iter().for_each(|leaf| tree.push(*leaf, &mut Vec::new()));
            }
        }
    }

    /// The strange lines stand where the lines before `number` should be.
    fn settle(&mut self, number: u64, next: Option<&Place>) {
        let lost = number.saturating_sub(self.expected);
        let strange = std::mem::take(&mut self.strange);
        let what = match (strange.len() as u64, lost) {
            (0, 0) => return,
            (0, 1) => format!("line {} of the log is missing before this one", self.expected),
            (0, _) => format!("lines {} to {} of the log are missing before this one", self.expected, number - 1),
            (_, 0) => format!("was added before line {number} of the log"),
            (_, 1) => format!("line {} of the log was changed", self.expected),
            _ => format!("among lines {} to {} of the log, which were changed", self.expected, number - 1),
        };
        if strange.is_empty() && self.tree.is_some() {
            self.changed.extend(next.map(|place| place.finding(what.clone())));
        }
        self.changed.extend(strange.iter().map(|(place, _)| place.finding(what.clone())));
        self.changed.truncate(FINDINGS_MAX);
        self.expected = number;
    }

    /// All lines have come: what did not fit is reported, and what the tiles say is returned.
    pub(crate) fn finish(mut self) -> (Vec<Finding>, Option<Hash>) {
        // Where the last signed line is strange, lines that were written since seem so too.
        let unsigned = self.strange.iter().position(|(_, number)| *number == Some(self.size));
        self.strange.truncate(unsigned.unwrap_or(self.strange.len()).max(1));
        if !self.strange.is_empty() {
            self.settle(self.size, None);
        }
        while self.tiles * (TILE_WIDTH as u64) < self.size && self.tree.is_some() {
            self.expected = self.expected.max(self.tiles * TILE_WIDTH as u64);
            self.read_ahead();
        }
        let root = self.tree.filter(|tree| tree.size() == self.size).map(|tree| tree.root());
        (self.changed, root)
    }
}
