//! Making a backup. What did not change since the one before is named where it lies already; the rest is sealed into the
//! packs of this run. The manifest is written last, when all of it is on the disk.
//!
//! The order is the meaning: the caller took the store before, the log comes last. So the log says more than the store
//! knows, never less, and no record is missing of what a restored store holds.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use audit::{CopiedBytes, LogCopy, LogKey, LogSigner, PIECE_BYTES_MAX, PieceKey, Reader, RecoveryKey};
use aws_lc_rs::hmac;
use policy::{Timestamp, UtcOffset};

use crate::entry::{Entry, PAGE_BYTES_MAX, Piece, Span, from_page, pages, to_page};
use crate::pack::{PackReader, PackWriter, hex, sha256};
use crate::sources::below;
use crate::{BackupProblem, FORMAT, Kind, Manifest, Place, Source, Sources};

/// How much of a file is sealed at once.
const PIECE_BYTES: usize = 1024 * 1024;
/// The same of a file of which some pages change.
const PAGES_BYTES: usize = 64 * 1024;
/// How often a log is looked at that is archived meanwhile.
const LOG_TRIES: usize = 5;
/// How often a file is read that goes meanwhile.
const FILE_TRIES: usize = 3;
/// A file that was written within this time may be written again within the same tick of the clock.
const SETTLED_MICROS: i64 = 2_000_000;
/// Half an HMAC-SHA-256.
const PRINT_BYTES: usize = 16;

/// Into which folder, for whom, and by whom it is signed.
#[derive(Debug)]
pub struct Order<'a> {
    /// The folder of backups.
    pub place: &'a Place,
    /// Who can open it; at least one.
    pub recovery: &'a [RecoveryKey],
    /// The log's own key.
    pub signer: &'a LogSigner,
    /// The log, with the keys that open it.
    pub log: &'a Reader,
    /// Now.
    pub at: Timestamp,
    /// The version of this program.
    pub program: &'a str,
}

/// A backup that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// What it says of itself.
    pub manifest: Manifest,
    /// How many bytes were written for it.
    pub written: u64,
    /// How many files were taken over from the backup before without being read.
    pub unread: u64,
}

/// Makes a backup.
///
/// # Errors
/// [`BackupProblem`]; there is no new backup then, and those before are as they were.
pub fn make(sources: &Sources, order: &Order<'_>) -> Result<Made, BackupProblem> {
    let (place, key) = (order.place, order.signer.key());
    let root = sources.root()?;
    refuse_inside(sources, place)?;
    place.begin(&key)?;
    let _lock = place.lock()?;
    let before = match place.numbers()?.last() {
        Some(number) => Some(place.manifest(*number, &key)?),
        None => None,
    };
    place.clear(&key)?;
    if let Some(before) = &before {
        refuse_behind(order, &key, before)?;
    }
    let nobody = || BackupProblem::refused("no recovery key is named, so nobody could open the backup");
    let (piece_key, wrapped) = PieceKey::make(order.recovery).ok_or_else(nobody)?;
    let packs = PackWriter::new(place.packs(), &wrapped);
    let mut run = Run {
        root,
        at: order.at,
        prints: prints(order.signer)?,
        piece_key,
        packs,
        there: PackReader::new(place.packs()),
        pages: HashMap::new(),
        known: HashMap::new(),
        pieces: HashMap::new(),
        entries: BTreeMap::new(),
        unread: 0,
    };
    place.mark(run.packs.id())?;
    let made = run.make(sources, order, before.as_ref());
    match made {
        Ok(made) => {
            place.unmark(run.packs.id());
            Ok(made)
        }
        Err(problem) => {
            place.give_up(run.packs.id(), before.as_ref().map_or(0, |before| before.number) + 1);
            Err(problem)
        }
    }
}

/// A backup within what it is made of would hold itself.
fn refuse_inside(sources: &Sources, place: &Place) -> Result<(), BackupProblem> {
    let folder = std::path::absolute(place.folder()).map_err(|error| BackupProblem::disk(place.folder(), &error))?;
    let folder = crate::sources::plain(&folder)?;
    let inside = [&sources.state, &sources.log].into_iter().chain(&sources.spool).find(|one| folder.starts_with(one));
    match inside {
        Some(one) => Err(BackupProblem::refused(format!(
            "`{}` lies in `{}`, which is backed up; name a folder elsewhere, on another disk",
            folder.display(),
            one.display()
        ))),
        None => Ok(()),
    }
}

/// A log that does not go on from the last backup lacks lines, and the backups have them.
fn refuse_behind(order: &Order<'_>, key: &LogKey, before: &Manifest) -> Result<(), BackupProblem> {
    let standing = audit::stands(order.log, key, &before.checkpoint)?;
    if standing.is_good() {
        return Ok(());
    }
    Err(BackupProblem::refused(format!(
        "the log does not go on from backup {} in `{}`: {standing}. Nothing was backed up. Keep that folder, it has what is \
         missing; where the log was put back from a backup, begin another folder",
        before.number,
        order.place.folder().display()
    )))
}

/// The key of the prints: the node's own, so that they tell nothing to others.
fn prints(signer: &LogSigner) -> Result<hmac::Key, BackupProblem> {
    // Ed25519 gives the same signature each time, and nobody else can.
    let secret = signer.sign("sekimori backup: the key of its prints\n");
    let secret = secret.ok_or_else(|| BackupProblem::refused("the log's key does not sign"))?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
}

/// One run.
#[derive(Debug)]
struct Run {
    root: PathBuf,
    at: Timestamp,
    prints: hmac::Key,
    piece_key: PieceKey,
    packs: PackWriter,
    /// What lies there from earlier runs.
    there: PackReader,
    /// Pages of the list before, by their SHA-256.
    pages: HashMap<String, Span>,
    /// Files of the backup before and of this one, by path.
    known: HashMap<String, Entry>,
    /// Their pieces by print.
    pieces: HashMap<String, Span>,
    entries: BTreeMap<String, Entry>,
    unread: u64,
}

impl Run {
    fn make(&mut self, sources: &Sources, order: &Order<'_>, before: Option<&Manifest>) -> Result<Made, BackupProblem> {
        let recovery: Vec<String> = order.recovery.iter().map(ToString::to_string).collect();
        // What other keys open is sealed anew: each backup is opened by the keys of its day.
        if let Some(before) = before.filter(|before| before.recovery == recovery) {
            self.learn(before);
        }
        let mut settled = Vec::new();
        for (name, source) in &sources.files {
            let stamp = self.source(name, source)?;
            // Another view of the store in its place would be half of two moments.
            if matches!(source.kind, Kind::Settled | Kind::Pages) {
                settled.push((&source.from, stamp));
            }
        }
        for path in sources.in_state()?.into_iter().chain(sources.in_spool()?) {
            if !sources.files.contains_key(&path) {
                self.if_there(&path)?;
            }
        }
        let copy = self.log(&sources.log, &order.signer.key())?;
        for (path, stamp) in settled {
            if stamp_of(&metadata(path)?) != stamp {
                let reason = format!("`{}` was changed while it was backed up; run it again", path.display());
                return Err(BackupProblem::refused(reason));
            }
        }
        self.finish(sources, order, before, copy)
    }

    /// Learns what the backup before has. A page of it that is damaged is no reason for less than a whole one now.
    fn learn(&mut self, before: &Manifest) {
        for span in &before.pages {
            let Ok(page) = self.there.read(span, PAGE_BYTES_MAX) else { continue };
            self.pages.insert(span.sha256.clone(), span.clone());
            for entry in from_page(&page).unwrap_or_default() {
                self.remember(&entry);
                self.known.insert(entry.path.clone(), entry);
            }
        }
    }

    fn remember(&mut self, entry: &Entry) {
        for piece in &entry.pieces {
            self.pieces.insert(piece.print.clone(), piece.span.clone());
        }
    }

    fn add(&mut self, entry: Entry) {
        self.remember(&entry);
        self.known.insert(entry.path.clone(), entry.clone());
        self.entries.insert(entry.path.clone(), entry);
    }

    /// Takes a file that must be there; gives its stamp.
    fn source(&mut self, name: &Path, source: &Source) -> Result<String, BackupProblem> {
        let piece_bytes = match source.kind {
            Kind::Settled | Kind::Alone => PIECE_BYTES,
            Kind::Pages => PAGES_BYTES,
        };
        let name = below(&self.root, name)?;
        let (entry, stamp) = self.file(name, &source.from, None, piece_bytes)?;
        self.add(entry);
        Ok(stamp)
    }

    /// Takes a file that may go at any time.
    fn if_there(&mut self, path: &Path) -> Result<(), BackupProblem> {
        let name = below(&self.root, path)?;
        match self.file(name, path, None, PIECE_BYTES) {
            Ok((entry, _)) => self.add(entry),
            Err(_) if !path.exists() => {}
            Err(problem) => return Err(problem),
        }
        Ok(())
    }

    /// Takes the log as it was signed at one moment.
    fn log(&mut self, directory: &Path, key: &LogKey) -> Result<LogCopy, BackupProblem> {
        let mut last = BackupProblem::refused("the log is archived faster than it can be copied; run it again");
        for _ in 0..LOG_TRIES {
            match self.log_once(directory, key) {
                Ok(Some((copy, entries))) => {
                    entries.into_iter().for_each(|entry| self.add(entry));
                    return Ok(copy);
                }
                Ok(None) => {}
                Err(problem) => last = problem,
            }
        }
        Err(last)
    }

    fn log_once(&mut self, directory: &Path, key: &LogKey) -> Result<Option<(LogCopy, Vec<Entry>)>, BackupProblem> {
        let unsigned = || BackupProblem::refused("the log has no signed line yet; start the gateway once");
        let copy = LogCopy::of(directory, key)?.ok_or_else(unsigned)?;
        let mut entries = Vec::new();
        for (name, bytes) in &copy.files {
            let name = below(&self.root, &directory.join(name))?;
            let entry = match bytes {
                CopiedBytes::Whole(path) => self.file(name, path, None, PIECE_BYTES)?.0,
                CopiedBytes::Begin(path, end) => self.file(name, path, Some(*end), PIECE_BYTES)?.0,
                CopiedBytes::These(bytes) => self.these(name, bytes)?,
            };
            // For another try: what was read is not read again.
            self.remember(&entry);
            self.known.insert(entry.path.clone(), entry.clone());
            entries.push(entry);
        }
        Ok(copy.still_holds()?.then_some((copy, entries)))
    }

    /// Takes a file, or its first `end` bytes; gives it with its stamp.
    fn file(
        &mut self,
        name: String,
        path: &Path,
        end: Option<u64>,
        piece_bytes: usize,
    ) -> Result<(Entry, String), BackupProblem> {
        for _ in 1..FILE_TRIES {
            if let Some(taken) = self.file_once(&name, path, end, piece_bytes)? {
                return Ok(taken);
            }
        }
        let taken = self.file_once(&name, path, end, piece_bytes)?;
        taken.ok_or_else(|| BackupProblem::refused(format!("`{}` becomes shorter while it is read", path.display())))
    }

    fn file_once(
        &mut self,
        name: &str,
        path: &Path,
        end: Option<u64>,
        piece_bytes: usize,
    ) -> Result<Option<(Entry, String)>, BackupProblem> {
        let problem = |error: std::io::Error| BackupProblem::disk(path, &error);
        let mut file = File::open(path).map_err(problem)?;
        let found = file.metadata().map_err(problem)?;
        let stamp = stamp_of(&found);
        if end.is_none()
            && let Some(known) = self.known.get(name).filter(|known| known.stamp == stamp).cloned()
            && known.pieces.iter().all(|piece| self.has(&piece.span))
        {
            self.unread += 1;
            return Ok(Some((known, stamp)));
        }
        let bytes = end.unwrap_or(found.len());
        let mut pieces = Vec::new();
        let (mut left, mut buffer) = (bytes, vec![0; piece_bytes.min(PIECE_BYTES_MAX)]);
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let Some(part) = buffer.get_mut(..wanted) else { return Ok(None) };
            match file.read_exact(part) {
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
                read => read.map_err(problem)?,
            }
            pieces.push(self.piece(part)?);
            left -= wanted as u64;
        }
        let is_settled = end.is_none() && self.is_settled(&found);
        let kept = if is_settled { stamp.clone() } else { String::new() };
        let entry = Entry { path: name.to_owned(), bytes, mode: found.mode() & 0o777, stamp: kept, pieces };
        Ok(Some((entry, stamp)))
    }

    /// Whether a file that is written again from now on will have another stamp.
    fn is_settled(&self, found: &Metadata) -> bool {
        let changed = found.mtime().max(found.ctime()).saturating_mul(1_000_000);
        changed < self.at.unix_micros().saturating_sub(SETTLED_MICROS)
    }

    fn these(&mut self, name: String, bytes: &[u8]) -> Result<Entry, BackupProblem> {
        let pieces: Result<Vec<Piece>, BackupProblem> =
            bytes.chunks(PIECE_BYTES).map(|part| self.piece(part)).collect();
        Ok(Entry { path: name, bytes: bytes.len() as u64, mode: 0o600, stamp: String::new(), pieces: pieces? })
    }

    /// Seals bytes, or finds them where they lie already.
    fn piece(&mut self, bytes: &[u8]) -> Result<Piece, BackupProblem> {
        let print = hmac::sign(&self.prints, bytes);
        let print = hex(print.as_ref().get(..PRINT_BYTES).unwrap_or_default());
        if let Some(span) = self.pieces.get(&print).cloned()
            && self.has(&span)
        {
            return Ok(Piece { span, print });
        }
        let sealed = self.piece_key.seal(bytes);
        let sealed = sealed.ok_or_else(|| BackupProblem::refused("a piece could not be sealed"))?;
        let span = self.packs.add(&sealed)?;
        self.pieces.insert(print.clone(), span.clone());
        Ok(Piece { span, print })
    }

    /// Whether a span lies in a pack of this run, or still where an earlier one put it.
    fn has(&mut self, span: &Span) -> bool {
        crate::pack::run_of(&span.pack) == Some(self.packs.id()) || self.there.has(span)
    }

    fn finish(
        &mut self,
        sources: &Sources,
        order: &Order<'_>,
        before: Option<&Manifest>,
        copy: LogCopy,
    ) -> Result<Made, BackupProblem> {
        let entries: Vec<Entry> = std::mem::take(&mut self.entries).into_values().collect();
        let mut list = Vec::new();
        for page in pages(&entries) {
            let page = to_page(page).map_err(|error| BackupProblem::refused(error.to_string()))?;
            let known = self.pages.get(&sha256(&page)).cloned();
            list.push(match known.filter(|span| self.has(span)) {
                Some(span) => span,
                None => self.packs.add(&page)?,
            });
        }
        self.packs.finish()?;
        let number = before.map_or(0, |before| before.number) + 1;
        let previous = before.map(|before| order.place.note(before.number)).transpose()?;
        let named = |path: &Path| below(&self.root, path);
        let manifest = Manifest {
            format: FORMAT,
            number,
            program: order.program.to_owned(),
            store_schema: sources.store_schema,
            origin: order.signer.key().origin().to_owned(),
            facility: sources.facility.0.clone(),
            facility_code: sources.facility.1.clone(),
            at: order.at.rfc3339(UtcOffset::UTC),
            lines: copy.signed.size,
            checkpoint: copy.note,
            files: entries.len() as u64,
            bytes: entries.iter().map(|entry| entry.bytes).sum(),
            root: self.root.display().to_string(),
            config: named(&sources.config)?,
            state: named(&sources.state)?,
            log: named(&sources.log)?,
            store: named(&sources.store)?,
            dumped_at: sources.dumped_at.map(|at| at.rfc3339(UtcOffset::UTC)),
            dump_begun_at: sources.dump_begun_at.map(|at| at.rfc3339(UtcOffset::UTC)),
            ring: sources.ring.as_deref().map(named).transpose()?,
            recovery: order.recovery.iter().map(ToString::to_string).collect(),
            previous: previous.map(|note| sha256(note.as_bytes())),
            run: self.packs.id().to_owned(),
            pages: list,
        };
        let unsigned = || BackupProblem::refused("the log's key does not sign the manifest");
        let note = manifest.sign(order.signer).ok_or_else(unsigned)?;
        order.place.keep(number, &note)?;
        Ok(Made { manifest, written: self.packs.written() + note.len() as u64, unread: self.unread })
    }
}

fn metadata(path: &Path) -> Result<Metadata, BackupProblem> {
    std::fs::metadata(path).map_err(|error| BackupProblem::disk(path, &error))
}

/// By which a file that changed is told.
fn stamp_of(found: &Metadata) -> String {
    let (written, changed) = ((found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec()));
    format!("{} {} {}.{:09} {}.{:09}", found.len(), found.ino(), written.0, written.1, changed.0, changed.1)
}
