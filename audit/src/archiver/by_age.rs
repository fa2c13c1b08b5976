//! Deletion by age, oldest first, slowly: what goes is gone for good. A segment goes only when every line of it is old,
//! when it is shown to be what was signed, and when a signed line says that it is to go.

use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use policy::Timestamp;

use super::{Archiver, remove_archive};
use crate::archive::Archive;
use crate::bundle::{Bundle, Kind};
use crate::checkpoint::{self, Checkpoint};
use crate::deleted::{self, Deleted, DeletedSegment};
use crate::proof::{Prover, verify_consistency, verify_inclusion};
use crate::segment::{self, Form, Segment};
use crate::tree::{Tree, leaf_hash};
use crate::upkeep::{OfDeletion, Voids};
use crate::{ClockState, LogProblem, Reader, search, upkeep};

/// At most one segment goes in this time.
const INTERVAL: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_secs(3_600) };
/// How long a deletion that was recorded is waited for, until its line is signed.
const SIGNED_WAIT: Duration = Duration::from_secs(2);

/// What is known of the oldest segment.
#[derive(Debug, Default)]
pub(super) struct Oldest {
    /// A deletion that was recorded and not done yet: what is kept of it.
    recorded: Option<Deleted>,
    /// A segment by its first line, and the moment of its newest line.
    newest: Option<(u64, Timestamp)>,
}

impl Archiver {
    /// Deletes archived segments of which every line is old enough. Only while the clock is kept at true time and not
    /// in doubt: a clock that was set wrong would make everything old.
    pub(super) fn delete_due(&mut self) -> Result<(), LogProblem> {
        let is_over = self.doubt.is_over(self.core.clock.now(), Instant::now())?;
        let Some(after) = self.work.delete_after.filter(|_| is_over) else { return Ok(()) };
        while !self.core.is_stopping() {
            let segments = segment::list(self.reader.directory())?;
            let [oldest, next, ..] = segments.as_slice() else { return Ok(()) };
            if oldest.form != Form::Archived || self.core.clock_reading().state != ClockState::Synchronised {
                return Ok(());
            }
            if self.oldest.recorded.is_none() {
                let last = last_deletion(self.reader.directory());
                if is_too_soon(last, self.core.clock.now(), INTERVAL) || !self.record(oldest, next, after)? {
                    return Ok(());
                }
            }
            if !self.delete(oldest)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Records that the oldest segment is about to be deleted, where all its lines are old, and are those that were
    /// signed. `false` where it is not time.
    fn record(&mut self, oldest: &Segment, next: &Segment, after: Duration) -> Result<bool, LogProblem> {
        let is_old = |at: Timestamp| self.core.clock.now().since(at) > after;
        let Some(signed) = self.signed()?.filter(|signed| next.first < signed.size) else { return Ok(false) };
        // Nearly always no line is younger than the first of the next segment. What the archive says of itself proves
        // nothing: the line does.
        let line = self.reader.line(next.first)?.ok_or_else(|| unproved(next))?;
        let began = moment(&line).ok_or_else(|| unproved(next))?;
        if !is_old(began) || self.oldest.newest.is_some_and(|(first, at)| first == oldest.first && !is_old(at)) {
            return Ok(false);
        }
        prove(&self.reader, next.first, &line, &signed)?;
        let Some((tree, newest)) = self.read_whole(oldest)? else { return Ok(false) };
        let directory = self.reader.directory();
        let path = prover(&self.reader).consistency(next.first, signed.size)?;
        let is_signed = verify_consistency((next.first, tree.root()), (signed.size, signed.root), &path);
        if tree.size() != next.first || !is_signed {
            return Err(unproved(oldest));
        }
        // Where the clock was set back meanwhile, the next segment began earlier than lines before it.
        self.oldest.newest = Some((oldest.first, newest));
        if !is_old(newest) {
            return Ok(false);
        }
        let mut segments = deleted::read(directory)?.map(|deleted| deleted.segments).unwrap_or_default();
        let gone = DeletedSegment { first: oldest.first, end: next.first, root: BASE64.encode(tree.root()) };
        let mut bundle = Bundle::default();
        bundle.push(Kind::Fact, |out, _| upkeep::deleted(out, self.core.clock.now(), &gone))?;
        segments.push(gone);
        let end = self.core.append(&bundle)?.end;
        self.oldest.recorded = Some(Deleted { tree, segments, record: end.checked_sub(1) });
        self.core.sync().map(|()| true)
    }

    /// Deletes the oldest segment, once the line that records it is signed: what its proof needs is kept, then it is
    /// removed. `false` where that is still to come.
    fn delete(&mut self, oldest: &Segment) -> Result<bool, LogProblem> {
        let Some(deleted) = &self.oldest.recorded else { return Ok(false) };
        if deleted.segments.last().is_none_or(|gone| gone.first != oldest.first) {
            self.oldest.recorded = None;
            return Ok(false);
        }
        let start = Instant::now();
        while deleted.record.is_none_or(|record| record >= self.signed_size()) {
            if self.core.is_stopping() || start.elapsed() > SIGNED_WAIT {
                return Ok(false);
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        deleted::write(self.reader.directory(), deleted)?;
        remove_archive(oldest)?;
        let (first, end) = (oldest.first, deleted.tree.size());
        tracing::warn!(first, end, "a segment of the audit log was deleted, as `delete_after` says");
        self.oldest = Oldest::default();
        Ok(true)
    }

    fn signed_size(&self) -> u64 {
        self.core.signed.load(std::sync::atomic::Ordering::Acquire)
    }

    /// The newest checkpoint.
    fn signed(&self) -> Result<Option<Checkpoint>, LogProblem> {
        let directory = self.reader.directory();
        let note = checkpoint::read_newest(directory)
            .map_err(|error| LogProblem::disk(&checkpoint::newest_path(directory), &error))?;
        Ok(note.and_then(|note| Checkpoint::open(&note, &self.verifier)))
    }

    /// Reads an archived segment whole: the tree at its end, and the moment of its newest line. Nothing where the log
    /// stops meanwhile.
    fn read_whole(&self, segment: &Segment) -> Result<Option<(Tree, Timestamp)>, LogProblem> {
        // Not one that is open already: what is on disk now is meant.
        let archive = Archive::open(segment, self.reader.keys())?;
        let mut tree = self.tree_before(segment.first)?;
        let mut full = Vec::new();
        let mut newest: Option<String> = None;
        for number in 0..archive.blocks() {
            if self.core.is_stopping() {
                return Ok(None);
            }
            let text = archive.block(number)?;
            let lines = text.strip_suffix(b"\n").unwrap_or(&text);
            for line in lines.split(|byte| *byte == b'\n') {
                tree.push(leaf_hash(line), &mut full);
                let at = std::str::from_utf8(line).ok().and_then(search::moment);
                if let Some(at) = at.filter(|at| newest.as_deref().is_none_or(|newest| *at > newest)) {
                    newest = Some(at.to_owned());
                }
            }
            full.clear();
        }
        let newest = newest.and_then(|at| parse_moment(&at)).ok_or_else(|| unproved(segment))?;
        Ok(Some((tree, newest)))
    }
}

/// Whether a signed line says that what was deleted was to be deleted. `signed` is the checkpoint that the log was opened
/// with: what came after it could have been written by anybody. `false` where the log stops meanwhile.
pub(super) fn check_recorded(
    reader: &Reader,
    signed: Option<&Checkpoint>,
    is_stopping: &dyn Fn() -> bool,
) -> Result<bool, LogProblem> {
    let directory = reader.directory();
    let Some(deleted) = deleted::read(directory)? else { return Ok(true) };
    let unrecorded = || unrecorded(directory, deleted.tree.size());
    let signed = signed.ok_or_else(unrecorded)?;
    let wanted = (deleted.tree.size(), BASE64.encode(deleted.tree.root()));
    let Some(told) = told(reader, deleted.record.unwrap_or(0)..signed.size, is_stopping)? else { return Ok(false) };
    let record = told.last(&wanted).filter(|found| deleted.record.is_none_or(|record| record == *found));
    let record = record.ok_or_else(unrecorded)?;
    let line = reader.line(record)?.ok_or_else(unrecorded)?;
    prove(reader, record, &line, signed).map(|()| true)
}

/// How many of the lines after what was signed say that a segment is to be deleted, or that what earlier lines say of it
/// counts for nothing. Anybody may have written them, and nothing was done on their word: that waits for the signature.
/// Refuses a log of which lines are gone and only such a line says so: to go on would sign it.
pub(crate) fn unsigned_records(reader: &Reader, signed_size: u64) -> Result<u64, LogProblem> {
    let directory = reader.directory();
    let deleted = deleted::read(directory)?;
    let wanted = deleted.map(|deleted| (deleted.tree.size(), BASE64.encode(deleted.tree.root())));
    let (mut count, mut is_wanted) = (0, false);
    let mut lines = reader.from(signed_size);
    loop {
        match lines.next() {
            Ok(None) => break,
            Ok(Some(line)) => match upkeep::of_deletion(line.text) {
                Some(OfDeletion::Recorded(end, root)) => {
                    count += 1;
                    is_wanted |= wanted == Some((end, root));
                }
                Some(OfDeletion::Void(void)) => {
                    count += u64::from(upkeep::reaches_out(line.seq, &void, signed_size));
                }
                None => {}
            },
            Err(LogProblem::Damaged { .. }) => {}
            Err(problem) => return Err(problem),
        }
    }
    let Some(wanted) = wanted.filter(|_| is_wanted) else { return Ok(count) };
    match told(reader, 0..signed_size, &|| false)?.and_then(|told| told.last(&wanted)) {
        Some(_) => Ok(count),
        None => Err(unrecorded(directory, wanted.0)),
    }
}

/// What lines of the log say of deletions.
#[derive(Default)]
struct Told {
    /// The number of each line that records one, with the number after the last deleted line and the root there.
    recorded: Vec<(u64, (u64, String))>,
    voids: Voids,
}

impl Told {
    /// The number of the last line that records this deletion and was not found void.
    fn last(&self, wanted: &(u64, String)) -> Option<u64> {
        let void = self.voids.in_force();
        let is_good = |number: u64| !void.iter().any(|lines| lines.contains(&number));
        self.recorded.iter().rev().find(|(number, said)| said == wanted && is_good(*number)).map(|(number, _)| *number)
    }
}

/// Reads what these lines say of deletions. Nothing where the log stops meanwhile.
fn told(reader: &Reader, range: Range<u64>, is_stopping: &dyn Fn() -> bool) -> Result<Option<Told>, LogProblem> {
    let mut lines = reader.from(range.start);
    let mut told = Told::default();
    while lines.place() < range.end {
        if is_stopping() {
            return Ok(None);
        }
        match lines.next() {
            Ok(None) => break,
            Ok(Some(line)) if line.seq < range.end => match upkeep::of_deletion(line.text) {
                Some(OfDeletion::Recorded(end, root)) => told.recorded.push((line.seq, (end, root))),
                Some(OfDeletion::Void(void)) => told.voids.note(line.seq, void),
                None => {}
            },
            Ok(Some(_)) | Err(LogProblem::Damaged { .. }) => {}
            Err(problem) => return Err(problem),
        }
    }
    Ok(Some(told))
}

/// Shows that a line is the one that was signed.
fn prove(reader: &Reader, seq: u64, line: &[u8], signed: &Checkpoint) -> Result<(), LogProblem> {
    let path = prover(reader).inclusion(seq, signed.size)?;
    if verify_inclusion(leaf_hash(line), seq, signed.size, &path, signed.root) {
        return Ok(());
    }
    let reason = format!("line {seq} is not the one that was signed, so nothing is deleted");
    Err(LogProblem::damaged(reader.directory(), reason))
}

fn prover(reader: &Reader) -> Prover<impl FnMut(u64) -> Result<Option<Vec<u8>>, LogProblem>> {
    Prover::new(reader.directory(), |seq| reader.line(seq))
}

/// When the last segment went: then what is kept of it was written.
fn last_deletion(directory: &Path) -> Option<Timestamp> {
    let written = std::fs::metadata(deleted::path(directory)).and_then(|file| file.modified()).ok()?;
    let micros = written.duration_since(UNIX_EPOCH).ok()?.as_micros();
    i64::try_from(micros).ok().map(Timestamp::from_unix_micros)
}

/// Whether the last deletion was a moment ago. A moment that is still to come is of another clock.
fn is_too_soon(last: Option<Timestamp>, now: Timestamp, interval: Duration) -> bool {
    last.is_some_and(|last| last <= now && now.since(last) < interval)
}

fn moment(line: &[u8]) -> Option<Timestamp> {
    parse_moment(std::str::from_utf8(line).ok().and_then(search::moment)?)
}

fn parse_moment(text: &str) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(&format!("{text}Z"))
}

fn unproved(segment: &Segment) -> LogProblem {
    LogProblem::damaged(&segment.path, "does not hold the lines that were signed, so nothing is deleted")
}

fn unrecorded(directory: &Path, end: u64) -> LogProblem {
    let reason =
        format!("no signed line of the log says that lines before {end} were to be deleted; run `audit verify`");
    LogProblem::damaged(&deleted::path(directory), reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_segment_goes_in_an_hour() {
        let at = |seconds: i64| Timestamp::from_unix_micros(1_795_215_600_000_000 + seconds * 1_000_000);
        let is_too_soon = |last, now| is_too_soon(last, now, Duration::from_secs(3_600));
        assert!(is_too_soon(Some(at(0)), at(0)) && is_too_soon(Some(at(0)), at(3_599)));
        assert!(!is_too_soon(Some(at(0)), at(3_600)) && !is_too_soon(None, at(0)));
        assert!(!is_too_soon(Some(at(9_000)), at(0)), "of a clock that was set back since");
    }
}
