//! The walk over a log that `verify` judges: hashes every line, compares with every tile, notes roots on the way.
//!
//! It begins with what is kept of deleted segments, goes through the archived ones block by block, where damage is
//! located by block and by tile, and then through the plain ones, where it is located by line.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::archive::Archive;
use crate::history::SignedNote;
use crate::leaves::{FINDINGS_MAX, Leaves, Place};
use crate::regrow::from_tiles;
use crate::segment::{Form, RawLine, Segment};
use crate::tape::Told;
use crate::tree::{Hash, TILE_WIDTH, Tree, leaf_hash, perfect_root};
use crate::upkeep::{OfDeletion, Voids};
use crate::verify::Finding;
use crate::{LogProblem, Reader, deleted, line, segment, tile, upkeep};

/// What the walk saw.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) lines: u64,
    pub(crate) segments: u64,
    /// Those of them that are archived.
    pub(crate) archived: u64,
    /// Lines at the beginning that were deleted by age.
    pub(crate) deleted: u64,
    /// Lines that say that a segment was to be deleted, or that such a line counts for nothing, and count for nothing
    /// themselves.
    pub(crate) void: u64,
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
    /// What the lines say of recordings.
    pub(crate) told: Told,
}

/// Walks over the log. `notes` are sorted by size; the tree is judged at `signed_size`.
pub(crate) fn walk(reader: &Reader, notes: &[SignedNote], signed_size: u64) -> Result<Walk, LogProblem> {
    let directory = reader.directory();
    let segments = reader.look_again()?;
    let kept = deleted::read(directory)?.map(|deleted| deleted.tree).unwrap_or_default();
    let archived_end = segment::archived_end(&segments);
    let mut walker = Walker {
        reader,
        directory,
        notes,
        signed_size,
        archived_end,
        walk: Walk { lines: kept.size(), deleted: kept.size(), ..Walk::default() },
        tree: kept,
        leaves: Leaves::new(directory, archived_end, signed_size),
        unsigned: 0,
        recorded: BTreeMap::new(),
        voids: Voids::default(),
    };
    walker.begin();
    walker.walk.segments = segments.len() as u64;
    for (place, segment) in segments.iter().enumerate() {
        let next = segments.get(place + 1);
        match segment.form {
            Form::Plain => {
                walker.leaves.begin_segment(segment.first, &segment.path);
                walker.plain(segment, next.is_none())?;
            }
            Form::Archived => walker.archived(segment, next.map(|next| next.first)),
        }
    }
    Ok(walker.finish())
}

struct Walker<'a> {
    reader: &'a Reader,
    directory: &'a Path,
    notes: &'a [SignedNote],
    signed_size: u64,
    archived_end: u64,
    walk: Walk,
    /// The tree that the lines give.
    tree: Tree,
    leaves: Leaves<'a>,
    /// Lines after the signed ones.
    unsigned: u64,
    /// Deletions that signed lines record, by the number of the line: the number after the last deleted line, and the
    /// root there.
    recorded: BTreeMap<u64, (u64, String)>,
    /// Signed lines that say that such lines count for nothing.
    voids: Voids,
}

impl Walker<'_> {
    /// Where lines were deleted, the newest checkpoint must be of later ones.
    fn begin(&mut self) {
        if self.walk.deleted > self.signed_size {
            let what = format!("lines before {} were deleted, and no checkpoint is of later ones", self.walk.deleted);
            push(&mut self.walk.broken, Finding::in_file(&deleted::path(self.directory), what));
        }
        self.note_roots();
    }

    fn plain(&mut self, segment: &Segment, is_newest: bool) -> Result<(), LogProblem> {
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

    /// An archived segment, up to the one that begins with line `next`.
    fn archived(&mut self, segment: &Segment, next: Option<u64>) {
        self.walk.archived += 1;
        if segment.first != self.walk.lines {
            let what = format!("begins with line {}, but line {} comes next", segment.first, self.walk.lines);
            push(&mut self.walk.broken, Finding::in_file(&segment.path, what));
            self.bridge(segment.first);
        }
        match self.reader.archive(segment) {
            Ok(archive) => self.blocks(&archive),
            Err(problem) => {
                let what = match problem {
                    LogProblem::Damaged { reason, .. } | LogProblem::Key { reason, .. } => reason,
                    other @ (LogProblem::InUse { .. }
                    | LogProblem::Disk { .. }
                    | LogProblem::Full { .. }
                    | LogProblem::TooLarge { .. }
                    | LogProblem::TooManyOpen { .. }
                    | LogProblem::LineTooLong { .. }
                    | LogProblem::Stopped
                    | LogProblem::Origin { .. }) => other.to_string(),
                };
                push(&mut self.walk.broken, Finding::in_file(&segment.path, what));
                self.bridge(next.unwrap_or(segment.first));
            }
        }
    }

    fn blocks(&mut self, archive: &Arc<Archive>) {
        for number in 0..archive.blocks() {
            let (_, end) = archive.range(number);
            let bytes = archive.place(number);
            let in_block = Finding { bytes, ..Finding::in_file(&archive.segment.path, "") };
            match archive.block(number) {
                Ok(text) => {
                    let lines = text.strip_suffix(b"\n").unwrap_or(&text);
                    lines.split(|byte| *byte == b'\n').for_each(|line| self.archived_line(line, &in_block));
                }
                Err(_) => {
                    let what = format!("lines {} to {} of the log are not as they were", self.walk.lines, end - 1);
                    push(&mut self.walk.broken, Finding { what, ..in_block });
                    self.bridge(end);
                }
            }
        }
    }

    fn archived_line(&mut self, text: &[u8], in_block: &Finding) {
        let number = self.walk.lines;
        self.note_deletion(text);
        self.walk.told.note(text);
        self.walk.lines += 1;
        if self.tree.size() < self.signed_size {
            // After damage the tree waits for the next whole tile.
            if self.tree.size() == number {
                self.grow(leaf_hash(text), Some(in_block));
            }
        } else if line::whole_number(text) != Some(number) {
            let what = format!("line {number} of the log is not one that the log wrote here");
            push(&mut self.walk.broken, Finding { what, ..in_block.clone() });
        }
    }

    /// Lines before `end` cannot be hashed: the tree goes on from the tiles, with the next whole one.
    fn bridge(&mut self, end: u64) {
        self.walk.lines = self.walk.lines.max(end);
        let width = TILE_WIDTH as u64;
        let from = end.div_ceil(width) * width;
        if self.tree.size() < end && from <= self.signed_size {
            self.tree = from_tiles(self.directory, from, self.archived_end).unwrap_or_default();
            self.note_roots();
        }
    }

    /// Adds a line to the tree, and compares the tiles that become full. Where the line's own place is not to be found
    /// line by line, `place` is where it lies.
    fn grow(&mut self, hash: Hash, place: Option<&Finding>) {
        let mut full = Vec::new();
        self.tree.push(hash, &mut full);
        for tile in &full {
            self.compare(tile.level, tile.index, &tile.hashes);
            if let (0, Some(place)) = (tile.level, place) {
                self.compare_with_above(tile.index, &tile.hashes, place);
            }
        }
        self.note_roots();
    }

    /// Compares the hash of a lowest tile with the one that the tile above it holds.
    fn compare_with_above(&mut self, index: u64, hashes: &[Hash], place: &Finding) {
        let width = TILE_WIDTH as u64;
        let at = usize::try_from(index % width).unwrap_or(0);
        let above = tile::read_wide(self.directory, 1, index / width, at + 1);
        if above.is_some_and(|above| above.last() != Some(&perfect_root(hashes))) {
            let what =
                format!("among lines {} to {} of the log, which were changed", index * width, (index + 1) * width - 1);
            push(&mut self.walk.changed_lines, Finding { what, ..place.clone() });
        }
    }

    /// Notes what the line that comes next says of a deletion. Before its signature anybody may have written it.
    fn note_deletion(&mut self, text: &[u8]) {
        let number = self.walk.lines;
        if number >= self.signed_size {
            return;
        }
        match upkeep::of_deletion(text) {
            Some(OfDeletion::Recorded(end, root)) => {
                self.recorded.insert(number, (end, root));
            }
            Some(OfDeletion::Void(lines)) => self.voids.note(number, lines),
            None => {}
        }
    }

    fn signed_line(&mut self, raw: RawLine<'_>, place: Place) {
        let hash = leaf_hash(raw.text);
        if !raw.ended {
            push(&mut self.walk.broken, place.finding("does not end in a newline"));
        }
        self.note_deletion(raw.text);
        self.walk.told.note(raw.text);
        self.walk.lines += 1;
        self.leaves.line(place, &hash, raw.text);
        if self.tree.size() < self.signed_size {
            self.grow(hash, None);
        }
    }

    /// A line that no signature stands for must at least be one that the log could have written here.
    fn unsigned_line(&mut self, raw: RawLine<'_>, place: &Place, is_newest: bool) {
        let is_being_written = is_newest && !raw.ended;
        if is_being_written {
            return;
        }
        if line::whole_number(raw.text) != Some(self.signed_size.max(self.archived_end) + self.unsigned) {
            push(&mut self.walk.broken, place.finding("is not a line that the log wrote here"));
        }
        self.walk.told.note(raw.text);
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
            // Archived lines give their lowest tiles again.
            None if level == 0 && (index + 1) * TILE_WIDTH as u64 <= self.archived_end => {}
            None => push(&mut self.walk.changed_tiles, Finding::in_file(&path, "is missing or of the wrong length")),
        }
        let full = self.directory.join(tile::path(level, index, TILE_WIDTH));
        let Ok(entries) = std::fs::read_dir(full.with_extension("p")) else { return };
        for entry in entries.flatten() {
            let width = tile::width_of(&entry.file_name());
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
        self.leave_out_void();
        self.check_deletion();
        if self.tree.size() == self.signed_size {
            let tree = std::mem::take(&mut self.tree);
            tree.partial_tiles().for_each(|(level, index, row)| self.compare(level, index, row));
        }
        let (changed, root_of_tiles) = self.leaves.finish();
        self.walk.changed_lines.extend(changed);
        self.walk.root_of_tiles = root_of_tiles;
        self.walk
    }

    /// Leaves out what counts for nothing, and counts it.
    fn leave_out_void(&mut self) {
        let (void, all) = (self.voids.in_force(), self.recorded.len());
        self.recorded.retain(|number, _| !void.iter().any(|lines| lines.contains(number)));
        self.walk.void = (all - self.recorded.len()) as u64 + self.voids.forged();
    }

    /// What was deleted must have been recorded before, with the root that is kept.
    fn check_deletion(&mut self) {
        let Ok(Some(kept)) = deleted::read(self.directory) else { return };
        let path = deleted::path(self.directory);
        let recorded = |wanted: u64| self.recorded.values().filter(move |(end, _)| *end == wanted);
        let root = BASE64.encode(kept.tree.root());
        if !recorded(kept.tree.size()).any(|(_, recorded)| *recorded == root) {
            let what =
                format!("no signed line of the log says that lines before {} were to be deleted", kept.tree.size());
            push(&mut self.walk.broken, Finding::in_file(&path, what));
        }
        let mut next = 0;
        for segment in &kept.segments {
            // Lines that told of older deletions may be deleted themselves.
            let is_told = recorded(segment.end).next().is_some();
            let differs = is_told && !recorded(segment.end).any(|(_, root)| *root == segment.root);
            if differs || segment.first != next {
                let what =
                    format!("what it says of lines {} to {} is not what was deleted", segment.first, segment.end);
                push(&mut self.walk.broken, Finding::in_file(&path, what));
            }
            next = segment.end;
        }
    }
}

fn push(findings: &mut Vec<Finding>, finding: Finding) {
    if findings.len() < FINDINGS_MAX {
        findings.push(finding);
    }
}
