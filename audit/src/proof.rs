//! Proofs that a line stands in the log, and that a later log holds an earlier one (RFC 6962 section 2.1, RFC 9162
//! section 2.1): made from the tiles, and from the lines where tiles are not there; checked with nothing but hashes.
//!
//! [`Frontier`] puts a root together from parts that follow one another, so that many lines share the hashes of what
//! lies between them. Deliberately not here: signatures (see [`crate::LogKey`]) and the file that carries proofs.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::tree::{Hash, TILE_WIDTH, leaf_hash, node_hash, perfect_root};
use crate::{LogProblem, deleted, tile};

/// Levels of the tree in one tile.
const TILE_LEVELS: u8 = 8;
/// The most tiles that are kept; 8 KiB each.
const TILES_MAX: usize = 512;

/// The hash of a line of the log, as its tree holds it.
#[must_use]
pub fn line_hash(line: &[u8]) -> [u8; 32] {
    leaf_hash(line)
}

/// A perfect subtree: `2^level` lines, the first of them a multiple of as many.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Subtree {
    /// How many levels lie below its top; a line alone has none.
    pub level: u8,
    /// The number of its first line.
    pub first: u64,
}

impl Subtree {
    /// The subtree of one line.
    #[must_use]
    pub fn line(seq: u64) -> Self {
        Self { level: 0, first: seq }
    }

    /// How many lines it holds.
    #[must_use]
    pub fn lines(self) -> u64 {
        1_u64.checked_shl(self.level.into()).unwrap_or(u64::MAX)
    }

    /// The fewest perfect subtrees that make up a range of lines, from left to right.
    pub fn of(range: Range<u64>) -> impl Iterator<Item = Self> {
        let mut next = range.start;
        std::iter::from_fn(move || {
            let left = range.end.checked_sub(next).filter(|left| *left > 0)?;
            let level = next.trailing_zeros().min(left.ilog2());
            let part = Self { level: u8::try_from(level).unwrap_or(0), first: next };
            next = next.saturating_add(part.lines());
            Some(part)
        })
    }
}

/// Puts a tree's root together from perfect subtrees that follow one another from the first line on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Frontier {
    size: u64,
    /// Tops of perfect subtrees, the largest first.
    tops: Vec<(u8, Hash)>,
}

impl Frontier {
    /// How many lines there are so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds the next subtree; `false`, and nothing is added, where it does not follow the last.
    #[must_use]
    pub fn push(&mut self, part: Subtree, hash: [u8; 32]) -> bool {
        let follows = part.level < 64 && part.first == self.size && self.size.is_multiple_of(part.lines());
        let Some(size) = self.size.checked_add(part.lines()).filter(|_| follows) else { return false };
        self.size = size;
        let (mut level, mut hash) = (part.level, hash);
        while let Some((_, left)) = self.tops.pop_if(|(other, _)| *other == level) {
            hash = node_hash(&left, &hash);
            level += 1;
        }
        self.tops.push((level, hash));
        true
    }

    /// The root of what was added; of nothing, the hash of nothing.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        let mut tops = self.tops.iter().rev().map(|(_, hash)| *hash);
        let Some(last) = tops.next() else { return crate::tree::Tree::default().root() };
        tops.fold(last, |right, left| node_hash(&left, &right))
    }
}

/// Checks that a line with this hash stands at its number in the log of this size and root.
#[must_use]
pub fn verify_inclusion(line_hash: [u8; 32], seq: u64, size: u64, path: &[[u8; 32]], root: [u8; 32]) -> bool {
    if seq >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (seq, size - 1, line_hash);
    for other in path {
        if last == 0 {
            return false;
        }
        if node % 2 == 1 || node == last {
            hash = node_hash(other, &hash);
            while node % 2 == 0 && node != 0 {
                (node, last) = (node / 2, last / 2);
            }
        } else {
            hash = node_hash(&hash, other);
        }
        (node, last) = (node / 2, last / 2);
    }
    last == 0 && hash == root
}

/// Checks that the log of the later size and root begins with the log of the earlier.
#[must_use]
pub fn verify_consistency(earlier: (u64, [u8; 32]), later: (u64, [u8; 32]), path: &[[u8; 32]]) -> bool {
    let ((from, old_root), (size, root)) = (earlier, later);
    if from == 0 || from == size {
        return path.is_empty() && from <= size && (from == 0 || old_root == root);
    }
    if from > size {
        return false;
    }
    let (mut node, mut last) = (from - 1, size - 1);
    while node % 2 == 1 {
        (node, last) = (node / 2, last / 2);
    }
    let mut path = path.iter().copied();
    let begin = if from.is_power_of_two() { Some(old_root) } else { path.next() };
    let Some(begin) = begin else { return false };
    let (mut old, mut new) = (begin, begin);
    for other in path {
        if last == 0 {
            return false;
        }
        if node % 2 == 1 || node == last {
            (old, new) = (node_hash(&other, &old), node_hash(&other, &new));
            while node % 2 == 0 && node != 0 {
                (node, last) = (node / 2, last / 2);
            }
        } else {
            new = node_hash(&new, &other);
        }
        (node, last) = (node / 2, last / 2);
    }
    last == 0 && old == old_root && new == root
}

/// Makes proofs out of a log's directory. `lines` gives a line by its number, without its newline, where the tile that
/// holds its hash is not there.
pub struct Prover<L> {
    directory: PathBuf,
    lines: L,
    /// Rows of tiles by level and index, as far as they were needed.
    tiles: HashMap<(u8, u64), Vec<Hash>>,
}

impl<L> std::fmt::Debug for Prover<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Prover({}, ..)", self.directory.display())
    }
}

impl<L: FnMut(u64) -> Result<Option<Vec<u8>>, LogProblem>> Prover<L> {
    /// Makes proofs out of this directory.
    #[must_use]
    pub fn new(directory: &Path, lines: L) -> Self {
        Self { directory: directory.to_owned(), lines, tiles: HashMap::new() }
    }

    /// The path that proves a line in the log of this size, from the line upwards.
    ///
    /// # Errors
    /// [`LogProblem`] where the log cannot be read or does not hold so many lines.
    pub fn inclusion(&mut self, seq: u64, size: u64) -> Result<Vec<[u8; 32]>, LogProblem> {
        if seq >= size {
            return Err(self.too_short(size));
        }
        let mut path = Vec::new();
        let mut range = 0..size;
        while range.end - range.start > 1 {
            let (left, right) = halves(&range);
            let (inside, beside) = if seq < left.end { (left, right) } else { (right, left) };
            path.push(self.root_of(beside)?);
            range = inside;
        }
        path.reverse();
        Ok(path)
    }

    /// The path that proves that the log of this size begins with the one of an earlier size.
    ///
    /// # Errors
    /// [`LogProblem`] where the log cannot be read or does not hold so many lines.
    pub fn consistency(&mut self, from: u64, size: u64) -> Result<Vec<[u8; 32]>, LogProblem> {
        if from > size {
            return Err(self.too_short(from));
        }
        if from == 0 || from == size {
            return Ok(Vec::new());
        }
        let mut path = Vec::new();
        let mut range = 0..size;
        // Whether the part that both share is still the whole of the earlier log.
        let mut is_whole = true;
        while range.end != from {
            let (left, right) = halves(&range);
            if from <= left.end {
                path.push(self.root_of(right)?);
                range = left;
            } else {
                path.push(self.root_of(left)?);
                range = right;
                is_whole = false;
            }
        }
        if !is_whole {
            path.push(self.root_of(range)?);
        }
        path.reverse();
        Ok(path)
    }

    /// The root of the log at a size.
    ///
    /// # Errors
    /// [`LogProblem`] where the log cannot be read or does not hold so many lines.
    pub fn root(&mut self, size: u64) -> Result<[u8; 32], LogProblem> {
        self.root_of(0..size)
    }

    /// The hash at the top of a perfect subtree.
    ///
    /// # Errors
    /// [`LogProblem`] where the log cannot be read or does not hold so many lines.
    pub fn subtree(&mut self, part: Subtree) -> Result<[u8; 32], LogProblem> {
        let level = part.level / TILE_LEVELS;
        let width = 1_u64 << (part.level % TILE_LEVELS);
        let first = part.first.checked_shr(u32::from(level) * u32::from(TILE_LEVELS)).unwrap_or(0);
        let full = TILE_WIDTH as u64;
        let start = usize::try_from(first % full).unwrap_or(0);
        let end = start + usize::try_from(width).unwrap_or(TILE_WIDTH);
        let row = self.row(level, first / full, end)?;
        let part = row.get(start..end).map(perfect_root);
        part.ok_or_else(|| self.too_short(first.saturating_add(width)))
    }

    /// The root of a range as the tree has it: whole on its left, whatever is left on its right.
    fn root_of(&mut self, range: Range<u64>) -> Result<Hash, LogProblem> {
        let offset = range.start;
        let mut frontier = Frontier::default();
        for part in Subtree::of(0..range.end - range.start) {
            let hash = self.subtree(Subtree { first: part.first + offset, ..part })?;
            // The parts follow one another.
            let _added = frontier.push(part, hash);
        }
        Ok(frontier.root())
    }

    /// At least the first so many hashes of a tile.
    fn row(&mut self, level: u8, index: u64, width: usize) -> Result<&[Hash], LogProblem> {
        let known = self.tiles.get(&(level, index)).is_some_and(|row| row.len() >= width);
        if !known {
            let row = match tile::read_wide(&self.directory, level, index, width) {
                Some(row) => row,
                None => self.computed(level, index, width)?,
            };
            if self.tiles.len() >= TILES_MAX {
                self.tiles.clear();
            }
            self.tiles.insert((level, index), row);
        }
        Ok(self.tiles.get(&(level, index)).map_or(&[], Vec::as_slice))
    }

    /// The hashes of a tile that is not there, from the level below it; the lowest from what is kept of lines that were
    /// deleted, and from the lines.
    fn computed(&mut self, level: u8, index: u64, width: usize) -> Result<Vec<Hash>, LogProblem> {
        let first = index * TILE_WIDTH as u64;
        let mut row = Vec::with_capacity(width);
        if let Some(below) = level.checked_sub(1) {
            for place in first..first + width as u64 {
                row.push(perfect_root(self.row(below, place, TILE_WIDTH)?));
            }
            return Ok(row);
        }
        if let Some(deleted) = deleted::read(&self.directory)? {
            let kept = deleted.tree.partial_tiles().find(|(level, at, _)| *level == 0 && *at == index);
            row.extend(kept.into_iter().flat_map(|(_, _, hashes)| hashes.iter().copied()).take(width));
        }
        for place in first + row.len() as u64..first + width as u64 {
            let line = (self.lines)(place)?.ok_or_else(|| self.too_short(place + 1))?;
            row.push(leaf_hash(&line));
        }
        Ok(row)
    }

    fn too_short(&self, size: u64) -> LogProblem {
        LogProblem::damaged(&self.directory, format!("does not hold {size} lines"))
    }
}

/// The two parts into which the tree cuts a range of more than one line.
fn halves(range: &Range<u64>) -> (Range<u64>, Range<u64>) {
    let lines = range.end - range.start;
    let middle = range.start + lines.next_power_of_two() / 2;
    (range.start..middle, middle..range.end)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use proptest::prelude::*;

    use super::*;
    use crate::testing::Folder;
    use crate::tree::{FullTile, Tree};

    fn line(seq: u64) -> Vec<u8> {
        format!("line {seq}").into_bytes()
    }

    /// A log of so many lines as tiles, and its roots at every size.
    fn grow(folder: &Folder, size: u64) -> Vec<Hash> {
        let (mut tree, mut full) = (Tree::default(), Vec::<FullTile>::new());
        let mut roots = vec![tree.root()];
        for seq in 0..size {
            tree.push(leaf_hash(&line(seq)), &mut full);
            roots.push(tree.root());
        }
        for tile in full {
            tile::write_full(folder.path(), tile.level, tile.index, &tile.hashes).unwrap();
        }
        for (level, index, row) in tree.partial_tiles() {
            tile::write_partial(folder.path(), level, index, row).unwrap();
        }
        roots
    }

    fn no_lines(_: u64) -> Result<Option<Vec<u8>>, LogProblem> {
        Ok(None)
    }

    fn all_lines(seq: u64) -> Result<Option<Vec<u8>>, LogProblem> {
        Ok(Some(line(seq)))
    }

    #[test]
    fn every_line_is_proved_at_every_size_and_at_no_other_place() {
        let folder = Folder::new();
        let roots = grow(&folder, 40);
        let mut prover = Prover::new(folder.path(), all_lines);
        for size in 1..=40_u64 {
            for seq in 0..size {
                let path = prover.inclusion(seq, size).unwrap();
                let holds = |seq, hash| verify_inclusion(hash, seq, size, &path, roots[size as usize]);
                assert!(holds(seq, leaf_hash(&line(seq))), "{seq} of {size}");
                assert!(!holds(seq, leaf_hash(&line(seq + 1))));
                assert!((0..size + 2).filter(|other| *other != seq).all(|other| !holds(other, leaf_hash(&line(seq)))));
            }
        }
    }

    #[test]
    fn a_log_begins_with_its_earlier_self_and_with_no_other() {
        let folder = Folder::new();
        let roots = grow(&folder, 40);
        let mut prover = Prover::new(folder.path(), all_lines);
        for size in 0..=40_u64 {
            for from in 0..=size {
                let path = prover.consistency(from, size).unwrap();
                let now = (size, roots[size as usize]);
                assert!(verify_consistency((from, roots[from as usize]), now, &path), "{from} of {size}");
                if from > 0 {
                    assert!(!verify_consistency((from, [7; 32]), now, &path), "{from} of {size}");
                    assert!(!verify_consistency((from, roots[from as usize]), (size, [7; 32]), &path));
                }
            }
        }
        assert!(prover.consistency(41, 40).is_err());
    }

    #[test]
    fn lines_stand_in_for_tiles_that_are_gone() {
        let folder = Folder::new();
        let roots = grow(&folder, 70_000);
        let path = Prover::new(folder.path(), no_lines).inclusion(300, 70_000).unwrap();
        assert!(verify_inclusion(leaf_hash(&line(300)), 300, 70_000, &path, roots[70_000]));
        std::fs::remove_dir_all(folder.path().join("tile/0")).unwrap();
        let asked = AtomicBool::new(false);
        let lines = |seq| {
            asked.store(true, Ordering::Relaxed);
            all_lines(seq)
        };
        assert_eq!(Prover::new(folder.path(), lines).inclusion(300, 70_000).unwrap(), path);
        assert!(asked.load(Ordering::Relaxed));
        std::fs::remove_dir_all(folder.path().join("tile")).unwrap();
        assert_eq!(Prover::new(folder.path(), all_lines).inclusion(300, 70_000).unwrap(), path);
        assert!(Prover::new(folder.path(), no_lines).inclusion(300, 70_000).is_err());
    }

    #[test]
    fn parts_that_do_not_follow_one_another_are_not_put_together() {
        let mut frontier = Frontier::default();
        assert!(!frontier.push(Subtree::line(1), [0; 32]));
        assert!(frontier.push(Subtree::line(0), [0; 32]));
        assert!(!frontier.push(Subtree { level: 1, first: 1 }, [0; 32]), "not at its place");
        assert!(!frontier.push(Subtree { level: 64, first: 1 }, [0; 32]));
        assert!(!frontier.push(Subtree { level: 255, first: 1 }, [0; 32]));
        assert_eq!(frontier.size(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn some_lines_and_what_lies_between_them_give_the_root(size in 1_u64..700, chosen in prop::collection::btree_set(0_u64..700, 0..40)) {
            let folder = Folder::new();
            let roots = grow(&folder, size);
            let mut prover = Prover::new(folder.path(), no_lines);
            let mut frontier = Frontier::default();
            let chosen: Vec<u64> = chosen.into_iter().filter(|seq| *seq < size).collect();
            for end in chosen.iter().copied().chain([size]) {
                for part in Subtree::of(frontier.size()..end) {
                    let hash = prover.subtree(part).unwrap();
                    prop_assert!(frontier.push(part, hash));
                }
                if end < size {
                    prop_assert!(frontier.push(Subtree::line(end), leaf_hash(&line(end))));
                }
            }
            prop_assert_eq!(frontier.root(), roots[usize::try_from(size).unwrap()]);
        }
    }
}
