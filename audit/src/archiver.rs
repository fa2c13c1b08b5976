//! The thread that keeps the log small: archives closed segments, deletes those that are too old where the hospital
//! wants that, and measures how large the log is. It runs at the lowest priority and stops between two blocks.
//!
//! A segment is archived whole or not at all: the archive is written beside, synced, read back, and compared line by
//! line with the tiles and with the root that was signed at its end; only then is the plain file removed. Segments are
//! archived, and deleted, oldest first, so that one number says how far. What a crash leaves half done is done again.

mod by_age;
mod doubt;
mod rest;

use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub(crate) use by_age::unsigned_records;
pub(crate) use doubt::Doubt;

use rest::Rest;

use crate::archive::{self, Archive};
use crate::checkpoint::Checkpoint;
use crate::core::Core;
use crate::data_key::DataKey;
use crate::deleted;
use crate::escrow::RecoveryKey;
use crate::keys::{KEYS, is_kept, wrapped_path, write_wrapped};
use crate::regrow::from_tiles;
use crate::segment::{self, Form, Segment};
use crate::signed_note::VerifierKey;
use crate::tree::{FullTile, TILE_WIDTH, Tree, leaf_hash};
use crate::{LogProblem, Reader, disk, history, tape, tile};

/// How often it looks for something to do.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often it measures how large the log is.
const MEASURE_INTERVAL: Duration = Duration::from_secs(10);
/// The lowest priority of a thread.
const NICE_MAX: i32 = 19;

/// The kinds of work, by their place in [`Archiver::rests`].
const CLEAN: usize = 0;
const ARCHIVE: usize = 1;
const DELETE: usize = 2;

/// The key of an archive that was written.
enum SegmentKey {
    /// It has one.
    Own(DataKey),
    /// It is not encrypted.
    None,
}

/// Archives and deletes.
#[derive(Debug)]
pub(crate) struct Archiver {
    pub(crate) core: Arc<Core>,
    pub(crate) reader: Reader,
    /// Checks the roots that were signed.
    pub(crate) verifier: VerifierKey,
    pub(crate) work: Work,
    /// The segment that cannot be archived because it is not what was signed: it stays as it is.
    given_up: Option<u64>,
    /// The checkpoint that the log was opened with.
    signed_before: Option<Checkpoint>,
    doubt: Doubt,
    oldest: by_age::Oldest,
    /// The first line that was there when recordings were last removed.
    forgotten: u64,
    /// After failures: of putting in order, archiving, deleting.
    rests: [Rest; 3],
    measured: Mutex<Option<Instant>>,
}

/// What is to be done with closed segments.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) archive: bool,
    pub(crate) is_encrypted: bool,
    pub(crate) recovery: Option<RecoveryKey>,
    pub(crate) delete_after: Option<Duration>,
}

impl Archiver {
    pub(crate) fn new(
        core: Arc<Core>,
        reader: Reader,
        verifier: VerifierKey,
        work: Work,
        signed_before: Option<Checkpoint>,
        doubt: Doubt,
    ) -> Self {
        Self {
            core,
            reader,
            verifier,
            work,
            given_up: None,
            signed_before,
            doubt,
            oldest: by_age::Oldest::default(),
            forgotten: 0,
            rests: <[Rest; 3]>::default(),
            measured: Mutex::default(),
        }
    }

    /// Runs until the log stops.
    pub(crate) fn run(mut self) {
        if let Err(error) = rustix::process::setpriority_process(None, NICE_MAX) {
            tracing::debug!(%error, "the archiver runs at the usual priority");
        }
        let mut is_clean = false;
        while !self.core.is_stopping() {
            self.measure();
            let outcome = if is_clean { Ok(()) } else { self.rested(CLEAN, |archiver| archiver.clean()) };
            is_clean = outcome.is_ok();
            let outcome = outcome.and_then(|()| {
                // Where there is no room to archive, deletion makes some.
                let archived = self.rested(ARCHIVE, Self::archive_due);
                let deleted = self.rested(DELETE, |archiver| archiver.delete_due().and_then(|()| archiver.forget()));
                deleted.and(archived)
            });
            self.core.set_archive_problem(outcome.err());
            std::thread::park_timeout(LOOK_INTERVAL);
        }
    }

    /// Does one kind of work, where its last failure is long enough ago.
    fn rested(
        &mut self,
        kind: usize,
        work: impl FnOnce(&mut Self) -> Result<(), LogProblem>,
    ) -> Result<(), LogProblem> {
        self.rests.get(kind).map_or(Ok(()), |rest| rest.is_over(Instant::now()))?;
        let outcome = work(self);
        self.rests.get_mut(kind).map_or(Ok(()), |rest| rest.note(outcome, Instant::now()))
    }

    /// Removes recordings whose lines were deleted.
    fn forget(&mut self) -> Result<(), LogProblem> {
        let first = deleted::end(self.reader.directory())?;
        if first > self.forgotten {
            let removed = tape::forget(&self.reader)?;
            if removed > 0 {
                tracing::warn!(files = removed, "recordings were deleted, as `delete_after` says");
            }
            self.forgotten = first;
        }
        Ok(())
    }

    /// Removes what a crash left: unfinished archives, segments whose deletion was recorded, tiles of archived lines.
    fn clean(&self) -> Result<(), LogProblem> {
        let directory = self.reader.directory();
        if !by_age::check_recorded(&self.reader, self.signed_before.as_ref(), &|| self.core.is_stopping())? {
            return Ok(());
        }
        let folder = segment::folder(directory);
        let problem = |error: std::io::Error| LogProblem::disk(&folder, &error);
        for entry in std::fs::read_dir(&folder).map_err(problem)? {
            let path = entry.map_err(problem)?.path();
            let ends_in = |known: &str| path.extension().is_some_and(|extension| extension == known);
            // A key without its archive opens nothing.
            if ends_in("new") || (ends_in(KEYS) && !path.with_extension("archive").exists()) {
                disk::remove(&path).map_err(problem)?;
            }
        }
        let deleted = deleted::end(directory)?;
        for segment in segment::list_all(directory)?.iter().filter(|segment| segment.first < deleted) {
            remove_archive(segment)?;
        }
        let segments = segment::list(directory)?;
        let end = segment::archived_end(&segments);
        match segments.iter().rfind(|segment| segment.form == Form::Archived) {
            Some(newest) => self.remove_tiles(newest.first, end),
            None => Ok(()),
        }
    }

    /// Archives every closed segment whose lines are signed.
    fn archive_due(&mut self) -> Result<(), LogProblem> {
        while self.work.archive && !self.core.is_stopping() {
            let segments = segment::list(self.reader.directory())?;
            let Some(at) = segments.iter().position(|segment| segment.form == Form::Plain) else { return Ok(()) };
            let (Some(segment), Some(next)) = (segments.get(at), segments.get(at + 1)) else { return Ok(()) };
            let signed = self.core.signed.load(std::sync::atomic::Ordering::Acquire);
            if next.first > signed {
                return Ok(());
            }
            if self.given_up == Some(segment.first) {
                return Err(unfit(segment));
            }
            let bytes =
                std::fs::metadata(&segment.path).map_err(|error| LogProblem::disk(&segment.path, &error))?.len();
            self.core.has_room_for(bytes)?;
            self.archive(segment, next.first).inspect_err(|problem| {
                if matches!(problem, LogProblem::Damaged { .. }) {
                    self.given_up = Some(segment.first);
                }
            })?;
        }
        Ok(())
    }

    /// Archives the lines `segment.first..end` of a plain segment.
    fn archive(&self, segment: &Segment, end: u64) -> Result<(), LogProblem> {
        let directory = self.reader.directory();
        let temporary =
            Segment { path: segment.path.with_extension("new"), form: Form::Archived, first: segment.first };
        let done = self.write_and_check(segment, &temporary, end);
        let Ok(Some(key)) = done else {
            // Another try begins anew, with another key.
            drop(disk::remove(&temporary.path));
            return done.map(|_| ());
        };
        let archived = Segment::of(directory, segment.first, Form::Archived);
        let folder = segment::folder(directory);
        let problem = |error: std::io::Error| LogProblem::disk(&archived.path, &error);
        std::fs::rename(&temporary.path, &archived.path)
            .and_then(|()| disk::sync_directory(&folder))
            .map_err(problem)?;
        // Nobody takes the key from the ring between this look at it and the end of the plain lines: whoever wants to
        // after that finds that this segment needs it.
        let held = self.reader.keys().hold()?;
        if let SegmentKey::Own(key) = &key
            && !is_kept(&archived, key, self.reader.keys())?
        {
            drop(disk::remove(&archived.path));
            let reason = "is no longer opened by the ring; it will be archived under another key".to_owned();
            return Err(LogProblem::Key { place: wrapped_path(&archived).display().to_string(), reason });
        }
        disk::remove(&segment.path).map_err(problem)?;
        drop(held);
        disk::sync_directory(&folder).map_err(problem)?;
        tracing::info!(first = segment.first, end, "a segment of the audit log was archived");
        self.remove_tiles(segment.first, end)
    }

    /// Writes the archive and reads it back; nothing where the log stops meanwhile.
    fn write_and_check(
        &self,
        segment: &Segment,
        temporary: &Segment,
        end: u64,
    ) -> Result<Option<SegmentKey>, LogProblem> {
        let key = if self.work.is_encrypted {
            SegmentKey::Own(self.new_key(temporary)?)
        } else {
            // An earlier try may have been encrypted.
            let path = wrapped_path(temporary);
            disk::remove(&path).map_err(|error| LogProblem::disk(&path, &error))?;
            SegmentKey::None
        };
        let go_on = || {
            self.measure();
            !self.core.is_stopping()
        };
        let own = match &key {
            SegmentKey::Own(key) => Some(key),
            SegmentKey::None => None,
        };
        if archive::write(&temporary.path, segment, end, own, go_on)?.is_none() {
            return Ok(None);
        }
        #[cfg(test)]
        if let Some(meanwhile) = { self.core.appender().faults.at_written_archive.take() } {
            (meanwhile.0)();
        }
        // By the key as it lies beside, not the one in memory.
        let written = Archive::open(temporary, self.reader.keys())?;
        Ok(self.check(segment, &written, end, go_on)?.then_some(key))
    }

    /// Makes a key for a segment and puts it beside, wrapped.
    fn new_key(&self, segment: &Segment) -> Result<DataKey, LogProblem> {
        let fault = |reason: &str| LogProblem::Key {
            place: wrapped_path(segment).display().to_string(),
            reason: reason.to_owned(),
        };
        let key = DataKey::random().ok_or_else(|| fault("no key could be made"))?;
        let _held = self.reader.keys().hold()?;
        let ring = self.reader.keys().read()?.ok_or_else(|| fault("no key ring is named"))?;
        write_wrapped(segment, key.secret(), &ring, self.work.recovery.as_ref(), Vec::new())?;
        Ok(key)
    }

    /// Whether an archive gives every line as it was hashed and signed.
    fn check(
        &self,
        segment: &Segment,
        written: &Archive,
        end: u64,
        go_on: impl Fn() -> bool,
    ) -> Result<bool, LogProblem> {
        let directory = self.reader.directory();
        let mut tree = self.tree_before(segment.first)?;
        let mut full = Vec::new();
        let differs = |tile: &FullTile| {
            tile::read_wide(directory, tile.level, tile.index, TILE_WIDTH).is_none_or(|known| known != tile.hashes)
        };
        for number in 0..written.blocks() {
            if !go_on() {
                return Ok(false);
            }
            let text = written.block(number)?;
            let lines = text.strip_suffix(b"\n").unwrap_or(&text);
            lines.split(|byte| *byte == b'\n').for_each(|line| tree.push(leaf_hash(line), &mut full));
            if full.drain(..).any(|tile| differs(&tile)) {
                return Err(unfit(segment));
            }
        }
        let width = tree.lowest().len();
        let edge = tile::read_wide(directory, 0, end / TILE_WIDTH as u64, width);
        let edge_fits = width == 0 || edge.is_some_and(|known| known == tree.lowest());
        let signed = history::root_at(directory, end, &self.verifier);
        if tree.size() != end || !edge_fits || signed.is_some_and(|root| root != tree.root()) {
            return Err(unfit(segment));
        }
        Ok(true)
    }

    /// The tree over the lines before a number.
    fn tree_before(&self, number: u64) -> Result<Tree, LogProblem> {
        let directory = self.reader.directory();
        let width = TILE_WIDTH as u64;
        let missing =
            || LogProblem::damaged(&directory.join("tile"), format!("tiles before line {number} are missing"));
        if let Some(deleted) = deleted::read(directory)?.filter(|deleted| deleted.tree.size() == number) {
            return Ok(deleted.tree);
        }
        let mut tree = from_tiles(directory, number, number).ok_or_else(missing)?;
        let rest = usize::try_from(number % width).unwrap_or(0);
        if rest > 0 {
            let leaves = self.reader.leaves(number / width, rest).ok_or_else(missing)?;
            leaves.into_iter().for_each(|leaf| tree.push(leaf, &mut Vec::new()));
        }
        Ok(tree)
    }

    /// Removes the lowest tiles of archived lines: the lines give them again.
    fn remove_tiles(&self, first: u64, end: u64) -> Result<(), LogProblem> {
        let directory = self.reader.directory();
        let width = TILE_WIDTH as u64;
        (first / width..end / width)
            .try_for_each(|index| tile::remove_lowest(directory, index))
            .map_err(|error| LogProblem::disk(&directory.join("tile"), &error))
    }

    /// Measures how large the log's segments are, now and then.
    fn measure(&self) {
        let Ok(mut measured) = self.measured.lock() else { return };
        if measured.is_some_and(|at| at.elapsed() < MEASURE_INTERVAL) {
            return;
        }
        *measured = Some(Instant::now());
        match segment::list_all(self.reader.directory()) {
            Ok(segments) => {
                let bytes = |segment: &Segment| std::fs::metadata(&segment.path).map_or(0, |file| file.len());
                self.core.set_size(segments.iter().map(bytes).sum());
            }
            Err(problem) => tracing::debug!(%problem, "the size of the audit log is not known"),
        }
    }
}

fn unfit(segment: &Segment) -> LogProblem {
    LogProblem::damaged(&segment.path, "does not hold the lines that were signed, so it is not archived")
}

/// Removes an archived segment; its key goes first, so that what a crash leaves cannot be opened.
fn remove_archive(segment: &Segment) -> Result<(), LogProblem> {
    disk::remove(&wrapped_path(segment))
        .and_then(|()| disk::remove(&segment.path))
        .and_then(|()| disk::sync_directory(segment.path.parent().unwrap_or(std::path::Path::new("."))))
        .map_err(|error| LogProblem::disk(&segment.path, &error))
}
