//! Opening a log: finding its end, cutting what a crash tore, closing what never closed, checking it against the last
//! signed checkpoint. A log that does not fit its checkpoint is not gone on with.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use policy::{Clock, Timestamp};

use crate::append::{Appender, Shape};
use crate::archiver::{Archiver, Doubt, Work, unsigned_records};
use crate::bundle::{Bundle, Kind};
use crate::checkpoint::{self, Checkpoint};
use crate::core::Core;
use crate::held::Count;
use crate::line::{self, Gist};
use crate::open_count::OpenCount;
use crate::reader::SegmentLines;
use crate::sealer::Sealer;
use crate::segment::{self, Form, Segment};
use crate::signed_note::{Signer, name_fits};
use crate::spool::Spool;
use crate::{KeyRing, LogProblem, Reader, Recovery, RecoveryKey, deleted, disk, keys, regrow, search, tile, upkeep};

/// Opens the log up to the point where its threads can start.
pub(crate) fn open(
    config: &config::Audit,
    facility: &config::Facility,
    node_key_dir: &Path,
    clock: Clock,
) -> Result<(Arc<Core>, Sealer, Archiver, Recovery), LogProblem> {
    let directory = &config.directory;
    if !name_fits(&config.origin) {
        return Err(LogProblem::Origin { origin: config.origin.clone() });
    }
    disk::make_directory(&segment::folder(directory)).map_err(|error| LogProblem::disk(directory, &error))?;
    let process_lock = take_process_lock(directory)?;
    let reader: Reader = config.into();
    let work = work(config, clock.now())?;
    let signer = Signer::open_or_create(node_key_dir, &config.origin)?;
    let signed = last_checkpoint(directory, &signer, node_key_dir)?;
    publish_key(directory, &signer)?;

    let segments = reader.look_again()?;
    let mut end = find_end(&reader, &segments)?;
    let signed_size = signed.as_ref().map_or(0, |checkpoint| checkpoint.size);
    if end.next < signed_size {
        let reason = format!("{signed_size} lines were signed, but only {} are there", end.next);
        return Err(LogProblem::damaged(directory, reason));
    }
    let torn_bytes = cut_torn(directory, &end)?;
    let disk = File::open(directory).map_err(|error| LogProblem::disk(directory, &error))?;
    let grown = regrow::regrow(&reader, &disk, &segments, &end, signed.as_ref())?;
    tile::remove_partial_after(directory, signed_size, end.next)
        .map_err(|error| LogProblem::disk(&directory.join("tile"), &error))?;

    let void = Void { lines: signed_size..end.next, count: unsigned_records(&reader, signed_size)? };
    let doubt = Doubt::open(directory, end.last.as_deref().and_then(moment), clock.now())?;

    let spooled = Count::default();
    let shape = Shape {
        directory: directory.clone(),
        origin: config.origin.clone(),
        facility: facility.clone(),
        segment_bytes_max: config.segment_bytes_max,
        clock: clock.clone(),
    };
    let age = end.began.map_or(Duration::ZERO, |began| clock.now().since(began));
    let open = OpenCount::new(spooled.clone());
    let appender = Appender::new(shape, end.segment.clone(), end.bytes, end.next, open, age)?;
    let core = Arc::new(Core::new(config, clock, appender, spooled, process_lock)?);
    void.record(&core)?;
    let recovery = put_in_order(&core, &mut end, torn_bytes)?;
    core.look_at_disk();
    let archiver = Archiver::new(Arc::clone(&core), reader, signer.verifier().clone(), work, signed, doubt);
    let sealer = Sealer::new(Arc::clone(&core), signer, config.origin.clone(), disk, grown, signed_size);
    Ok((core, sealer, archiver, recovery))
}

/// What is to be done with closed segments. Makes the key ring at the first start.
fn work(config: &config::Audit, at: Timestamp) -> Result<Work, LogProblem> {
    let mut recovery = None;
    if let Some(encryption) = &config.encryption {
        let ring = &encryption.ring;
        // A ring that is gone while segments need it is not replaced: that would hide the loss.
        if !ring.exists() && keys::key_use(&config.directory)?.is_empty() {
            KeyRing::make(ring, at)?;
        }
        KeyRing::read(ring)?;
        let parse = |text: &String| {
            RecoveryKey::parse(text).ok_or_else(|| LogProblem::Key {
                place: "audit.encryption.recovery_key".to_owned(),
                reason: "is not a recovery key".to_owned(),
            })
        };
        recovery = encryption.recovery_key.as_ref().map(parse).transpose()?;
    }
    Ok(Work {
        archive: config.archive,
        is_encrypted: config.encryption.is_some(),
        recovery,
        delete_after: config.delete_after,
    })
}

/// One process writes one log.
fn take_process_lock(directory: &Path) -> Result<File, LogProblem> {
    let path = directory.join("lock");
    let file = disk::open_append(&path).map_err(|error| LogProblem::disk(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LogProblem::InUse { directory: directory.display().to_string() }),
        Err(TryLockError::Error(error)) => Err(LogProblem::disk(&path, &error)),
    }
}

/// The newest checkpoint, which must be this node's own.
fn last_checkpoint(directory: &Path, signer: &Signer, key_dir: &Path) -> Result<Option<Checkpoint>, LogProblem> {
    let path = checkpoint::newest_path(directory);
    let Some(note) = checkpoint::read_newest(directory).map_err(|error| LogProblem::disk(&path, &error))? else {
        if checkpoint::history_path(directory).exists() {
            return Err(LogProblem::damaged(&path, "is missing, though the history has checkpoints"));
        }
        return Ok(None);
    };
    Checkpoint::open(&note, signer.verifier()).map(Some).ok_or_else(|| LogProblem::Key {
        place: path.display().to_string(),
        reason: format!(
            "the last checkpoint was not signed by the key in `{}` for the origin `{}`; restore that key, \
             or begin a new log in another `audit.directory`",
            key_dir.display(),
            signer.verifier().name()
        ),
    })
}

/// Puts the key that checks signatures beside the log, for those who copy it.
fn publish_key(directory: &Path, signer: &Signer) -> Result<(), LogProblem> {
    let path = directory.join("verifier-key");
    let text = format!("{}\n", signer.verifier().to_text());
    if std::fs::read_to_string(&path).is_ok_and(|known| known == text) {
        return Ok(());
    }
    disk::replace(&path, text.as_bytes()).map_err(|error| LogProblem::disk(&path, &error))
}

/// The end of a log as found on disk.
#[derive(Debug)]
pub(crate) struct End {
    /// The newest segment.
    pub(crate) segment: Segment,
    /// How long its whole lines are.
    pub(crate) bytes: u64,
    /// The number of the next line.
    pub(crate) next: u64,
    /// When the newest segment was begun, as its first line says.
    began: Option<Timestamp>,
    /// The moment of the last line.
    last: Option<String>,
    /// Accesses that are open.
    open: HashSet<String>,
    /// The emergency spool that was merged last, and the last line of it.
    merged: Option<(String, u64)>,
}

impl End {
    fn note(&mut self, line: &str) {
        match line::gist(line) {
            Gist::Open(id) => drop(self.open.insert(id.to_owned())),
            Gist::Close(id) => drop(self.open.remove(id)),
            Gist::Segment(_) | Gist::Other => {}
        }
        if let Some((name, place)) = line::spool_mark(line) {
            self.merged = Some((name.to_owned(), place));
        }
    }
}

/// Reads the newest segment, and the older ones from which accesses may be open.
fn find_end(reader: &Reader, segments: &[Segment]) -> Result<End, LogProblem> {
    let begins = deleted::end(reader.directory())?;
    let newest = segments.last().cloned().unwrap_or_else(|| Segment::new(reader.directory(), begins));
    let mut end =
        End { segment: newest, bytes: 0, next: begins, began: None, last: None, open: HashSet::new(), merged: None };
    let since = segments.iter().rev().take(2).find_map(|segment| since(reader, segment)).unwrap_or(0);
    for segment in segments.iter().filter(|segment| segment.first >= since) {
        if end.bytes > 0 && segment.first != end.next {
            let reason = format!("begins with line {}, but line {} comes next", segment.first, end.next);
            return Err(LogProblem::damaged(&segment.path, reason));
        }
        (end.next, end.bytes) = (segment.first, 0);
        let (mut lines, _) = SegmentLines::open(reader, segment, segment.first)?;
        while let Some(raw) = lines.next()? {
            if !raw.ended || line::whole_number(raw.text) != Some(end.next) {
                break;
            }
            let text = String::from_utf8_lossy(raw.text);
            let at = search::moment(&text);
            if end.bytes == 0 {
                end.began = at.and_then(moment);
            }
            if let Some(at) = at {
                let last = end.last.get_or_insert_default();
                last.clear();
                last.push_str(at);
            }
            end.note(&text);
            end.bytes += raw.bytes();
            end.next += 1;
        }
    }
    if end.segment.form == Form::Archived {
        // Only where somebody removed the newest file: the log goes on in a new one.
        (end.segment, end.bytes) = (Segment::new(reader.directory(), end.next), 0);
    }
    Ok(end)
}

fn moment(text: &str) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(&format!("{text}Z"))
}

/// From which segment on accesses may be open, by the header of a segment.
fn since(reader: &Reader, segment: &Segment) -> Option<u64> {
    let (mut lines, _) = SegmentLines::open(reader, segment, segment.first).ok()?;
    let header = lines.next().ok()??;
    match line::gist(std::str::from_utf8(header.text).ok()?) {
        Gist::Segment(since) => Some(since),
        Gist::Open(_) | Gist::Close(_) | Gist::Other => None,
    }
}

/// Cuts off what is no whole line at the end of the newest segment, and keeps it in `torn/`.
fn cut_torn(directory: &Path, end: &End) -> Result<u64, LogProblem> {
    let path = &end.segment.path;
    let problem = |error| LogProblem::disk(path, &error);
    let bytes = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(problem(error)),
    };
    let torn = bytes.saturating_sub(end.bytes);
    if torn == 0 {
        return Ok(0);
    }
    let folder = directory.join("torn");
    disk::make_directory(&folder).map_err(problem)?;
    let mut kept = disk::open_append(&folder.join(format!("{:020}", end.next))).map_err(problem)?;
    let mut file = File::options().read(true).write(true).open(path).map_err(problem)?;
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(end.bytes)).map_err(problem)?;
    std::io::copy(&mut file, &mut kept).and_then(|_| kept.flush()).and_then(|()| kept.sync_data()).map_err(problem)?;
    file.set_len(end.bytes).and_then(|()| file.sync_data()).map_err(problem)?;
    Ok(torn)
}

/// Lines that were found unsigned, and how many of them speak of deletions that anybody may have written. A crash within a second of
/// such a line leaves one; somebody else may have written it as well.
struct Void {
    lines: Range<u64>,
    count: u64,
}

impl Void {
    /// Records that they count for nothing, before anything signs them. What is due is recorded anew by the archiver.
    fn record(&self, core: &Core) -> Result<(), LogProblem> {
        if self.count == 0 {
            return Ok(());
        }
        let mut bundle = Bundle::default();
        bundle.push(Kind::Fact, |out, _| upkeep::void(out, core.clock.now(), &self.lines, self.count))?;
        core.append(&bundle)?;
        core.sync()?;
        let (first, end, count) = (self.lines.start, self.lines.end, self.count);
        tracing::error!(
            first,
            end,
            count,
            "lines that nothing signs speak of segments of the audit log that go; they do not count"
        );
        Ok(())
    }
}

/// Merges the spool, closes what never closed, and records that this was done.
fn put_in_order(core: &Core, end: &mut End, torn_bytes: u64) -> Result<Recovery, LogProblem> {
    let mut recovery = Recovery { unknown: 0, torn_bytes, merged: 0 };
    let merged_before = end.merged.take();
    let waiting = || core.spool.as_ref().map_or(0, Spool::bytes);
    let mut before = u64::MAX;
    while (1..before).contains(&waiting()) {
        before = waiting();
        // A crash between merging and emptying the spool left lines in both.
        let is_new = |name: &str, place| merged_before.as_ref().is_none_or(|(old, last)| old != name || place > *last);
        recovery.merged += core.merge_spool(|name, place, body| {
            let new = is_new(name, place);
            if new {
                end.note(body);
            }
            new
        })?;
    }
    recovery.unknown = end.open.len() as u64;
    let mut bundle = Bundle::default();
    let mut open: Vec<&String> = end.open.iter().collect();
    open.sort_unstable();
    for id in open {
        bundle.push(Kind::Fact, |out, _| line::unknown(out, core.clock.now(), id))?;
    }
    if recovery != Recovery::default() {
        bundle.push(Kind::Fact, |out, _| line::recovered(out, core.clock.now(), &recovery))?;
        core.append(&bundle)?;
        core.sync()?;
        tracing::warn!(recovery.unknown, recovery.torn_bytes, recovery.merged, "the audit log was put in order");
    }
    Ok(recovery)
}
