//! The thread that writes one tape: what was laid down becomes blocks, the blocks go to disk, and the log is told.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::core::Core;
use crate::data_key::DataKey;
use crate::escrow::RecoveryKey;
use crate::keys::{wrapped_path, write_wrapped};
use crate::segment::Segment;
use crate::tape::chain::{Chain, TextHash};
use crate::tape::commands::Commands;
use crate::tape::facts::{Mark, Subject};
use crate::tape::file::{self, BLOCK_BYTES, Head};
use crate::tape::queue::{Item, Queue, Taken, What};
use crate::tape::sign::Teller;
use crate::tape::{TapeHeader, TapeProblem, cast};
use crate::{Keys, LogProblem, disk};

/// How long what was shown may wait until it is in the file: who watches is so much behind.
const FLUSH_INTERVAL: Duration = Duration::from_millis(300);
/// How often the log is told, at least, while anything is shown.
const MARK_INTERVAL: Duration = Duration::from_secs(10);
/// After how many bytes of the file it is told at once.
const MARK_BYTES: u64 = 256 * 1024;
/// How long the text of a recording may be.
const TEXT_BYTES_MAX: u64 = if cfg!(test) { 32 << 20 } else { 1 << 30 };
/// How hard zstd tries: a terminal waits for nothing, but there may be many.
const ZSTD_LEVEL: i32 = 3;

/// What a tape is written with.
pub(crate) struct Pen {
    core: Arc<Core>,
    keys: Keys,
    recovery: Option<RecoveryKey>,
    subject: Subject,
    header: TapeHeader,
}

impl Pen {
    pub(crate) fn new(
        core: Arc<Core>,
        (keys, recovery): (Keys, Option<RecoveryKey>),
        subject: Subject,
        header: TapeHeader,
    ) -> Self {
        Self { core, keys, recovery, subject, header }
    }

    /// Writes the tape to its end.
    pub(crate) fn run(self, queue: &Queue, began: Instant) {
        let _end = End(queue);
        let tape = match self.begin() {
            Ok(tape) => tape,
            Err(problem) => return fail(queue, &self.subject, problem.into()),
        };
        queue.begin();
        let teller = Teller { core: &self.core, subject: &self.subject };
        let commands = Commands::new(self.header.columns, self.header.rows);
        let mut writing =
            Writing { pen: &self, teller, tape, commands, utf8: cast::Utf8::default(), last: Duration::ZERO };
        let outcome = writing.follow(queue);
        let problem = outcome.err().or_else(|| queue.problem());
        let why = problem.as_ref().map_or("closed", TapeProblem::code);
        // The session ends first.
        if let Some(problem) = problem {
            fail(queue, &self.subject, problem);
        }
        if let Err(problem) = writing.end(why, began.elapsed()) {
            tracing::error!(request = %self.subject.id, %problem, "the end of a recording could not be recorded");
        }
    }

    /// Makes the file, and tells the log that the recording begins.
    fn begin(&self) -> Result<TapeFile, LogProblem> {
        let place = file::place(&self.core.directory, &self.subject.id);
        let folder = file::folder(&self.core.directory);
        disk::make_directory(&folder).map_err(|error| LogProblem::disk(&folder, &error))?;
        let key = self.new_key(&place)?;
        let head = Head { v: 1, id: self.subject.id.clone(), sealed: key.is_some() };
        let mut tape = TapeFile::make(place.path, &head, key)?;
        tape.text(&cast::first(&self.header, self.core.clock.now()));
        tape.end_block()?;
        tape.sync()?;
        disk::sync_directory(&folder).map_err(|error| LogProblem::disk(&folder, &error))?;
        Teller { core: &self.core, subject: &self.subject }.began(&tape.mark())?;
        Ok(tape)
    }

    /// The key of this tape, kept beside it wrapped; nothing where no ring is named.
    fn new_key(&self, place: &Segment) -> Result<Option<DataKey>, LogProblem> {
        let fault = |reason: &str| LogProblem::Key {
            place: wrapped_path(place).display().to_string(),
            reason: reason.to_owned(),
        };
        let Some(_held) = self.keys.hold()? else { return Ok(None) };
        let ring = self.keys.read()?.ok_or_else(|| fault("no key ring is named"))?;
        let key = DataKey::random().ok_or_else(|| fault("no key could be made"))?;
        write_wrapped(place, key.secret(), &ring, self.recovery.as_ref(), Vec::new())?;
        Ok(Some(key))
    }
}

fn fail(queue: &Queue, subject: &Subject, problem: TapeProblem) {
    tracing::error!(request = %subject.id, %problem, "a terminal could not be recorded");
    queue.fail(problem);
}

/// Whatever ends the thread, who writes to the tape is told.
struct End<'a>(&'a Queue);

impl Drop for End<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(TapeProblem::Behind);
        }
    }
}

/// A tape under way.
struct Writing<'a> {
    pen: &'a Pen,
    teller: Teller<'a>,
    tape: TapeFile,
    commands: Commands,
    utf8: cast::Utf8,
    /// When the last thing happened.
    last: Duration,
}

impl Writing<'_> {
    /// Writes what comes until nothing more does.
    fn follow(&mut self, queue: &Queue) -> Result<(), TapeProblem> {
        loop {
            match queue.take(self.tape.due()) {
                Taken::Items(items) => self.items(items)?,
                Taken::End => return Ok(()),
            }
            self.flush_if_due()?;
        }
    }

    fn items(&mut self, items: VecDeque<Item>) -> Result<(), TapeProblem> {
        for Item { at, what } in items {
            self.last = at;
            match what {
                What::Output(bytes) => self.output(at, &bytes)?,
                What::Input(bytes) => self.commands.input(at, &bytes),
                What::Resize { columns, rows } => {
                    self.commands.resize(columns, rows);
                    self.tape.event(|out| cast::push_resize(out, at, columns, rows));
                }
            }
            if self.tape.waiting.len() >= BLOCK_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn output(&mut self, at: Duration, bytes: &[u8]) -> Result<(), TapeProblem> {
        let text = self.utf8.text(bytes);
        // A command stands before what it did.
        for command in self.commands.output(at, bytes) {
            let patients =
                self.pen.header.patients.as_ref().map(|patients| patients.find(&command)).unwrap_or_default();
            self.teller.command(&command, &patients, at)?;
            self.tape.event(|out| cast::push_marker(out, at, &command));
        }
        self.tape.event(|out| cast::push_output(out, at, &text));
        Ok(())
    }

    fn flush_if_due(&mut self) -> Result<(), TapeProblem> {
        if self.tape.flush_due().is_some_and(|due| Instant::now() >= due) {
            self.flush()?;
        }
        if self.tape.mark_due().is_some_and(|due| Instant::now() >= due) {
            self.mark()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), TapeProblem> {
        self.teller.takes_more()?;
        self.tape.end_block()?;
        if self.tape.text_bytes > TEXT_BYTES_MAX {
            return Err(TapeProblem::TooLong { bytes: TEXT_BYTES_MAX });
        }
        if self.tape.bytes - self.tape.marked_bytes >= MARK_BYTES {
            self.mark()?;
        }
        Ok(())
    }

    /// What the log is told is on disk.
    fn mark(&mut self) -> Result<(), TapeProblem> {
        self.tape.sync()?;
        self.teller.marked(&self.tape.mark())?;
        Ok(())
    }

    fn end(&mut self, why: &'static str, length: Duration) -> Result<(), LogProblem> {
        let last = self.last;
        if let Some(rest) = self.utf8.end() {
            self.tape.event(|out| cast::push_output(out, last, rest));
        }
        let written = self.tape.end();
        let why = if written.is_ok() { why } else { "failed" };
        self.teller.ended(&self.tape.mark(), why, length).and(written)
    }
}

/// The file, as far as it is written.
struct TapeFile {
    path: PathBuf,
    file: File,
    id: String,
    key: Option<DataKey>,
    compressor: zstd::bulk::Compressor<'static>,
    chain: Chain,
    /// Bytes in the file.
    bytes: u64,
    blocks: u64,
    text_bytes: u64,
    text_hash: TextHash,
    /// Text that is in no block yet, and since when.
    waiting: Vec<u8>,
    waits_since: Option<Instant>,
    marked_bytes: u64,
    marked_at: Instant,
}

impl TapeFile {
    fn make(path: PathBuf, head: &Head, key: Option<DataKey>) -> Result<Self, LogProblem> {
        let problem = |error: std::io::Error| LogProblem::disk(&path, &error);
        let begin = file::beginning(head).map_err(|error| problem(error.into()))?;
        let opened = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path);
        let mut file = opened.map_err(problem)?;
        file.write_all(&begin).map_err(problem)?;
        let compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(problem)?;
        Ok(Self {
            file,
            id: head.id.clone(),
            key,
            compressor,
            chain: Chain::new(&begin),
            bytes: begin.len() as u64,
            blocks: 0,
            text_bytes: 0,
            text_hash: TextHash::new(),
            waiting: Vec::new(),
            waits_since: None,
            marked_bytes: 0,
            marked_at: Instant::now(),
            path,
        })
    }

    fn text(&mut self, text: &[u8]) {
        self.event(|out| out.extend_from_slice(text));
    }

    fn event(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.waiting);
        self.waits_since.get_or_insert_with(Instant::now);
    }

    fn flush_due(&self) -> Option<Instant> {
        self.waits_since.map(|since| since + FLUSH_INTERVAL)
    }

    fn mark_due(&self) -> Option<Instant> {
        (self.bytes > self.marked_bytes).then(|| self.marked_at + MARK_INTERVAL)
    }

    fn due(&self) -> Option<Instant> {
        [self.flush_due(), self.mark_due()].into_iter().flatten().min()
    }

    /// Writes what waits as a block.
    fn end_block(&mut self) -> Result<(), LogProblem> {
        self.waits_since = None;
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.append().map_err(|error| {
            // Half a block is none. Whether this can be undone or not, the log says where the whole ones end.
            drop(self.file.set_len(self.bytes));
            LogProblem::disk(&self.path, &error)
        })
    }

    fn append(&mut self) -> std::io::Result<()> {
        let text = std::mem::take(&mut self.waiting);
        let mut packed = self.compressor.compress(&text)?;
        if let Some(key) = &self.key {
            let number = usize::try_from(self.blocks).unwrap_or(usize::MAX);
            let bound = file::binding(&self.id, number, text.len());
            packed = key.seal(number, &bound, packed).ok_or_else(|| std::io::Error::other("cannot be encrypted"))?;
        }
        let lengths = file::lengths(packed.len(), text.len());
        self.file.write_all(&[&lengths[..], &packed].concat())?;
        self.chain = self.chain.with(&[&lengths, &packed]);
        self.bytes += (lengths.len() + packed.len()) as u64;
        self.blocks += 1;
        self.text_bytes += text.len() as u64;
        self.text_hash.add(&text);
        if self.file.metadata()?.nlink() == 0 {
            return Err(std::io::Error::other("was taken away while it was written"));
        }
        Ok(())
    }

    /// Writes what waits, and the block that ends the tape.
    fn end(&mut self) -> Result<(), LogProblem> {
        self.end_block()?;
        let lengths = file::lengths(0, 0);
        self.file.write_all(&lengths).map_err(|error| LogProblem::disk(&self.path, &error))?;
        self.chain = self.chain.with(&[&lengths]);
        self.bytes += lengths.len() as u64;
        self.blocks += 1;
        self.sync()
    }

    fn sync(&mut self) -> Result<(), LogProblem> {
        self.file.sync_data().map_err(|error| LogProblem::disk(&self.path, &error))
    }

    /// How far it is, to be told.
    fn mark(&mut self) -> Mark {
        (self.marked_bytes, self.marked_at) = (self.bytes, Instant::now());
        Mark { chain: self.chain, bytes: self.bytes, blocks: self.blocks, text: self.text_hash.text() }
    }
}
