//! The walk over a log that `verify` judges: hashes every line, compares with every tile, notes roots on the way.

use std::path::Path;

use crate::history::SignedNote;
use crate::leaves::{FINDINGS_MAX, Leaves, Place};
use crate::segment::RawLine;
use crate::tree::{Hash, TILE_WIDTH, Tree, leaf_hash};
use crate::verify::Finding;
use crate::{LogProblem, line, segment, tile};

/// What the walk saw.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) lines: u64,
    pub(crate) segments: u64,
    /// Lines that differ from the leaf hashes in the tiles.
    pub(crate) changed_lines: Vec<Finding>,
    /// Tiles that differ from the lines.
    pub(crate) changed_tiles: Vec<Finding>,
    /// What is wrong whatever the roots say.
    pub(crate) broken: Vec<Finding>,
    /// The root at the signed size, from the lines.
    pub(crate) root_of_lines: Option<Hash>,
    /// The same, from the leaf hashes that the tiles hold.
    pub(crate) root_of_tiles: Option<Hash>,
    /// For each note the root at its size, from the lines.
    pub(crate) roots_at_notes: Vec<Option<Hash>>,
}

/// Walks over the log. `notes` are sorted by size; the tree is judged at `signed_size`.
pub(crate) fn walk(directory: &Path, notes: &[SignedNote], signed_size: u64) -> Result<Walk, LogProblem> {
    let mut walker = Walker {
        directory,
        notes,
        signed_size,
        walk: Walk::default(),
        tree: Tree::default(),
        leaves: Leaves::new(directory, signed_size),
        unsigned: 0,
    };
    walker.note_roots();
    let segments = segment::list(directory)?;
    walker.walk.segments = segments.len() as u64;
    for (place, segment) in segments.iter().enumerate() {
        walker.leaves.begin_segment(segment.first, &segment.path);
        walker.segment(segment, place + 1 == segments.len())?;
    }
    Ok(walker.finish())
}

struct Walker<'a> {
    directory: &'a Path,
    notes: &'a [SignedNote],
    signed_size: u64,
    walk: Walk,
    /// The tree that the lines give.
    tree: Tree,
    leaves: Leaves<'a>,
    /// Lines after the signed ones.
    unsigned: u64,
}

impl Walker<'_> {
    fn segment(&mut self, segment: &segment::Segment, is_newest: bool) -> Result<(), LogProblem> {
        let (mut start, mut in_file) = (0, 0);
        let mut lines = segment.lines(0)?;
        while let Some(raw) = lines.next()? {
            in_file += 1;
            let end = start + raw.bytes();
            let place = Place { file: segment.path.clone(), line: in_file, start, end };
            start = end;
            if self.leaves.is_done() {
                self.unsigned_line(raw, &place, is_newest);
            } else {
                self.signed_line(raw, place);
            }
        }
        Ok(())
    }

    fn signed_line(&mut self, raw: RawLine<'_>, place: Place) {
        let hash = leaf_hash(raw.text);
        if !raw.ended {
            push(&mut self.walk.broken, place.finding("does not end in a newline"));
        }
        self.walk.lines += 1;
        self.leaves.line(place, &hash, raw.text);
        if self.tree.size() < self.signed_size {
            let mut full = Vec::new();
            self.tree.push(hash, &mut full);
            full.iter().for_each(|tile| self.compare(tile.level, tile.index, &tile.hashes));
            self.note_roots();
        }
    }

    /// A line that no signature stands for must at least be one that the log could have written here.
    fn unsigned_line(&mut self, raw: RawLine<'_>, place: &Place, is_newest: bool) {
        let is_being_written = is_newest && !raw.ended;
        if is_being_written {
            return;
        }
        if line::whole_number(raw.text) != Some(self.signed_size + self.unsigned) {
            push(&mut self.walk.broken, place.finding("is not a line that the log wrote here"));
        }
        self.unsigned += 1;
        self.walk.lines += 1;
    }

    /// Notes the root for every checkpoint of the size just reached.
    fn note_roots(&mut self) {
        let size = self.tree.size();
        while let Some(note) = self.notes.get(self.walk.roots_at_notes.len())
            && note.checkpoint.size <= size
        {
            self.walk.roots_at_notes.push((note.checkpoint.size == size).then(|| self.tree.root()));
        }
        if size == self.signed_size {
            self.walk.root_of_lines = Some(self.tree.root());
        }
    }

    /// Compares a tile, full or partial, and narrower versions of it, with what is on disk.
    fn compare(&mut self, level: u8, index: u64, hashes: &[Hash]) {
        let path = self.directory.join(tile::path(level, index, hashes.len()));
        match tile::read_at_least(self.directory, level, index, hashes.len()) {
            Some(stored) => self.compare_hashes(&path, &stored, hashes),
            None => push(&mut self.walk.changed_tiles, Finding::in_file(&path, "is missing or of the wrong length")),
        }
        let full = self.directory.join(tile::path(level, index, TILE_WIDTH));
        let Ok(entries) = std::fs::read_dir(full.with_extension("p")) else { return };
        for entry in entries.flatten() {
            let width = entry.file_name().to_str().and_then(|name| name.parse::<usize>().ok());
            let narrower = width.filter(|width| *width < hashes.len()).and_then(|width| hashes.get(..width));
            let Some(expected) = narrower else { continue };
            match tile::read(self.directory, level, index, expected.len()) {
                Some(stored) => self.compare_hashes(&entry.path(), &stored, expected),
                None => push(&mut self.walk.changed_tiles, Finding::in_file(&entry.path(), "is of the wrong length")),
            }
        }
    }

    fn compare_hashes(&mut self, path: &Path, stored: &[Hash], hashes: &[Hash]) {
        for ((stored, hash), byte) in stored.iter().zip(hashes).zip((0..).step_by(32)) {
            if stored != hash {
                let what = "this hash is not the one that the lines have";
                let finding = Finding { bytes: Some(byte..byte + 32), ..Finding::in_file(path, what) };
                push(&mut self.walk.changed_tiles, finding);
            }
        }
    }

    /// Compares the right edge of the tree and gives what was seen.
    fn finish(mut self) -> Walk {
        if self.tree.size() == self.signed_size {
            let tree = std::mem::take(&mut self.tree);
            tree.partial_tiles().for_each(|(level, index, row)| self.compare(level, index, row));
        }
        (self.walk.changed_lines, self.walk.root_of_tiles) = self.leaves.finish();
        self.walk
    }
}

fn push(findings: &mut Vec<Finding>, finding: Finding) {
    if findings.len() < FINDINGS_MAX {
        findings.push(finding);
    }
}
