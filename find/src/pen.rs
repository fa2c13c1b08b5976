//! Writing the index: lines in, stories out, and the cursor with every file.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use audit::{EntryKind, Glance, Lines, LogProblem, Reader, Text};
use policy::Timestamp;

use crate::FindProblem;
use crate::cursor::{Cursor, mark};
use crate::derived::Derived;
use crate::draft::Draft;
use crate::index::Core;
use crate::shelf::Shelf;
use crate::story::{Begun, Told};
use crate::waiting::{Opened, Waiting};

/// What is in the draft for so long goes into a file, however little it is: so much of the log has to be read again after
/// a crash, and by who asks the index from outside.
const DRAFT_AGE_MAX: Duration = Duration::from_secs(3_600);

/// The one writer of an index, or a reader who looks further than the writer's files.
pub(crate) struct Pen<'a> {
    core: &'a Core,
    /// Held while it writes; a reader has none, and puts nothing on the disk.
    lock: Option<File>,
    waiting: Waiting,
    derived: Derived,
    cursor: Cursor,
    /// The last line that was looked at and its number; empty where that was before this was taken up.
    last: Vec<u8>,
    last_seq: u64,
    newest: Timestamp,
    /// Lines below this number are no longer in the log, nor in the index.
    first: u64,
    /// Whether something was looked at that the disk does not know of.
    is_changed: bool,
}

impl<'a> Pen<'a> {
    /// Takes up writing where the last file left it. An index of another log is emptied.
    pub(crate) fn take_up(core: &'a Core, log: &Reader) -> Result<Self, FindProblem> {
        let (mut pen, shelf) = Self::to_write(core)?;
        // Until this is done, what was found before can be found.
        if pen.fits(log)? {
            pen.recall(&shelf, log)?;
            pen.put_up(shelf);
        } else {
            tracing::warn!(dir = %core.dir.display(), "the index is of another log and is built anew");
            pen.put_up(shelf);
            pen.begin_anew()?;
        }
        Ok(pen)
    }

    /// The same, without a look at the log.
    pub(crate) fn take_up_unseen(core: &'a Core) -> Result<Self, FindProblem> {
        let (pen, shelf) = Self::to_write(core)?;
        pen.put_up(shelf);
        Ok(pen)
    }

    /// Becomes the one writer.
    fn to_write(core: &'a Core) -> Result<(Self, Shelf), FindProblem> {
        let lock = core.lock()?;
        // Another may have written since this was opened, or something may be damaged since.
        let shelf = match Shelf::open(&core.dir) {
            Err(problem @ (FindProblem::Damaged { .. } | FindProblem::Missing { .. })) => {
                tracing::warn!(%problem, "the index cannot be used and is built anew");
                let emptied = core.shelf().emptied();
                emptied.keep(&core.dir)?;
                core.note_damage(None);
                emptied
            }
            shelf => shelf?,
        };
        shelf.tidy(&core.dir, &core.shelf());
        Ok((Self::at(core, Some(lock), shelf.cursor), shelf))
    }

    /// Takes up reading where the last file left it.
    pub(crate) fn take_up_reading(core: &'a Core, log: &Reader) -> Result<Self, FindProblem> {
        let shelf = core.shelf();
        let mut pen = Self::at(core, None, shelf.cursor);
        if !pen.fits(log)? {
            return Err(core.damaged("it is of another log"));
        }
        pen.recall(&shelf, log)?;
        pen.put_up(Shelf::clone(&shelf));
        Ok(pen)
    }

    /// Goes on from what is on the disk, with an empty draft.
    fn put_up(&self, shelf: Shelf) {
        if self.lock.is_some() {
            self.core.tell_place(shelf.cursor.next, 0);
        }
        self.core.change(|draft, known| (*draft, *known) = (Draft::default(), Arc::new(shelf)));
    }

    fn at(core: &'a Core, lock: Option<File>, cursor: Cursor) -> Self {
        Self {
            core,
            lock,
            waiting: Waiting::default(),
            derived: Derived::default(),
            cursor,
            last: Vec::new(),
            last_seq: 0,
            newest: Timestamp::from_unix_micros(0),
            first: 0,
            is_changed: false,
        }
    }

    /// The number of the first line that was not looked at.
    pub(crate) fn next(&self) -> u64 {
        self.cursor.next
    }

    /// Empties the index.
    pub(crate) fn begin_anew(&mut self) -> Result<(), FindProblem> {
        let emptied = self.core.shelf().emptied();
        emptied.keep(&self.core.dir)?;
        emptied.tidy(&self.core.dir, &self.core.shelf());
        self.core.note_damage(None);
        self.waiting = Waiting::default();
        self.cursor = emptied.cursor;
        self.last.clear();
        self.is_changed = false;
        self.core.tell_place(self.cursor.next, 0);
        self.core.change(|draft, shelf| (*draft, *shelf) = (Draft::default(), Arc::new(emptied)));
        Ok(())
    }

    /// Whether the last line that was looked at is the log's.
    fn fits(&self, log: &Reader) -> Result<bool, FindProblem> {
        let marked = self.cursor.marked.filter(|(line, _)| log.first().is_ok_and(|first| *line >= first));
        let Some((line, known)) = marked else {
            // It was deleted with its segment since, or none could be read; the log goes on after it.
            return Ok(self.cursor.next <= log.size()?);
        };
        match log.line(line) {
            // Damaged since.
            Err(LogProblem::Damaged { .. }) => Ok(self.cursor.next <= log.size()?),
            line => Ok(line?.is_some_and(|line| mark(trimmed(&line)) == known) && self.cursor.next <= log.size()?),
        }
    }

    /// Remembers what is open.
    fn recall(&mut self, shelf: &Shelf, log: &Reader) -> Result<(), FindProblem> {
        for (begin, _, id) in shelf.sheets.iter().flat_map(|shelved| shelved.open_alive()) {
            self.waiting.show(id.clone(), *begin);
        }
        let mut lines = log.from(self.cursor.from.max(log.first()?));
        let mut passes = Passes::default();
        while lines.place() < self.cursor.next {
            let place = lines.place();
            let line = match lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(problem) => {
                    passes.over(problem, place, lines.place())?;
                    continue;
                }
            };
            let Some(glance) = Glance::at(line.text).filter(|_| line.seq < self.cursor.next) else { continue };
            let Some(id) = glance.request.as_ref().map(Text::as_str) else { continue };
            let kind = EntryKind::parse(glance.kind.as_str());
            if kind == EntryKind::Open && !self.waiting.is_shown(id, line.seq) {
                self.waiting.open(id, Begun::by(kind, &glance));
            } else if kind == EntryKind::Close {
                self.waiting.close(id);
            }
        }
        Ok(())
    }

    /// Looks at the next line there is, or passes over what cannot be read; false at the end.
    pub(crate) fn take_next(
        &mut self,
        lines: &mut Lines,
        passes: &mut Passes,
        log: &Reader,
    ) -> Result<bool, FindProblem> {
        let place = lines.place();
        match lines.next() {
            Ok(Some(line)) => self.take(line.seq, line.text, log)?,
            Ok(None) => return Ok(false),
            Err(problem) => {
                passes.over(problem, place, lines.place())?;
                self.skip_to(lines.place());
            }
        }
        Ok(true)
    }

    /// Looks at the next line.
    pub(crate) fn take(&mut self, seq: u64, line: &[u8], log: &Reader) -> Result<(), FindProblem> {
        self.cursor.next = seq + 1;
        self.last.clear();
        self.last.extend_from_slice(line);
        self.last_seq = seq;
        self.is_changed = true;
        let Some(glance) = Glance::at(line) else { return Ok(()) };
        self.newest = self.newest.max(glance.at);
        let kind = EntryKind::parse(glance.kind.as_str());
        match (kind, glance.request.as_ref().map(Text::as_str)) {
            (EntryKind::Segment, _) => Ok(()),
            (kind @ EntryKind::Open, Some(id)) => match self.waiting.open(id, Begun::by(kind, &glance)) {
                Some(never_closed) => self.add(&never_closed.ended(None)),
                None => Ok(()),
            },
            (EntryKind::Close, Some(id)) => self.close(id, &glance, log),
            (
                kind @ (EntryKind::Open
                | EntryKind::Close
                | EntryKind::Refused
                | EntryKind::Fact(_)
                | EntryKind::Unknown(_)),
                _,
            ) => self.add(&Begun::whole(kind, &glance)),
        }
    }

    /// Passes over lines that cannot be read.
    fn skip_to(&mut self, seq: u64) {
        self.cursor.next = self.cursor.next.max(seq);
        self.is_changed = true;
    }

    fn close(&mut self, id: &str, end: &Glance<'_>, log: &Reader) -> Result<(), FindProblem> {
        match self.waiting.close(id) {
            Opened::Held(open) => self.add(&open.ended(Some(end))),
            Opened::Shown(begin) => {
                let line = readable(log.line(begin))?;
                let told = match line.as_deref().and_then(Glance::at) {
                    Some(open) => Begun::by(EntryKind::parse(open.kind.as_str()), &open).ended(Some(end)),
                    None => Begun::whole(EntryKind::Close, end),
                };
                self.replace(begin, &told)
            }
            // It may still name patients.
            Opened::Never => self.add(&Begun::whole(EntryKind::Close, end)),
        }
    }

    fn add(&mut self, told: &Told) -> Result<(), FindProblem> {
        self.core.change(|draft, _| draft.add(told, &mut self.derived));
        self.seal_if(Draft::is_full)
    }

    /// Adds a story in the place of one that was shown as open.
    fn replace(&mut self, begin: u64, told: &Told) -> Result<(), FindProblem> {
        self.core.change(|draft, shelf| {
            if !draft.take_out(begin) && Arc::make_mut(shelf).take_out(begin) {
                draft.note_replaced(begin);
            }
            draft.add(told, &mut self.derived);
        });
        self.seal_if(Draft::is_full)
    }

    /// Shows all that is open, however short.
    pub(crate) fn show_all(&mut self) -> Result<(), FindProblem> {
        let open = self.waiting.all();
        self.show(open)
    }

    /// Shows accesses as open.
    fn show(&mut self, open: Vec<(String, Begun)>) -> Result<(), FindProblem> {
        for (id, open) in open {
            let told = open.ended(None);
            self.core.change(|draft, _| draft.add_open(&told, &id, &mut self.derived));
            self.waiting.show(id, told.begin);
            self.is_changed = true;
        }
        self.seal_if(Draft::is_full)
    }

    /// Forgets what the log no longer has.
    pub(crate) fn forget_before(&mut self, first: u64) -> Result<(), FindProblem> {
        if first > self.first {
            // What the draft stands for is taken out of files below, so it must not be lost.
            self.seal_if(|draft| !draft.is_empty())?;
            let mut shelf = Shelf::clone(&self.core.shelf());
            shelf.forget_before(first)?;
            shelf.write_pruned_again(&self.core.dir)?;
            shelf.keep(&self.core.dir)?;
            shelf.tidy(&self.core.dir, &self.core.shelf());
            self.core.change(|draft, known| {
                draft.forget_before(first);
                *known = Arc::new(shelf);
            });
            self.first = first;
        }
        Ok(())
    }

    /// Shows what is open for long, and puts what is in the draft for long into a file.
    pub(crate) fn commit(&mut self) -> Result<(), FindProblem> {
        if self.waiting.holds_any() {
            let long_open = self.waiting.long_open(self.newest);
            self.show(long_open)?;
        }
        self.seal_if(|draft| draft.since().is_some_and(|since| since.elapsed() > DRAFT_AGE_MAX))
    }

    /// Puts the draft into a file where this holds, and this one writes.
    fn seal_if(&mut self, is_due: impl FnOnce(&Draft) -> bool) -> Result<(), FindProblem> {
        if self.lock.is_some() && self.core.draft(is_due) { self.seal() } else { Ok(()) }
    }

    /// Puts what is in the draft on the disk, with the cursor, whole or not at all.
    pub(crate) fn seal(&mut self) -> Result<(), FindProblem> {
        self.cursor.from = self.waiting.earliest().unwrap_or(self.cursor.next);
        if !self.last.is_empty() {
            self.cursor.marked = Some((self.last_seq, mark(trimmed(&self.last))));
        }
        let sealed = self.core.draft(|draft| self.core.shelf().with(draft, self.cursor, &self.core.dir))?;
        self.core.change(|draft, shelf| (*draft, *shelf) = (Draft::default(), Arc::new(sealed)));
        self.is_changed = false;
        Ok(())
    }

    /// Puts everything on the disk, and lets go of the index.
    pub(crate) fn put_down(mut self) -> Result<(), FindProblem> {
        if self.is_changed { self.seal() } else { Ok(()) }
    }
}

/// How often a damaged place may be met in a row without getting on.
const STANDSTILLS_MAX: u32 = 64;

/// Passing over what is damaged, as long as that gets on.
#[derive(Debug, Default)]
pub(crate) struct Passes {
    standstills: u32,
}

impl Passes {
    /// Passes over damage that was met at a line, after which reading goes on at another.
    ///
    /// # Errors
    /// Any other problem, and damage behind which reading does not go on.
    pub(crate) fn over(&mut self, problem: LogProblem, met: u64, goes_on: u64) -> Result<(), FindProblem> {
        self.standstills = if goes_on > met { 0 } else { self.standstills + 1 };
        if !matches!(problem, LogProblem::Damaged { .. }) || self.standstills > STANDSTILLS_MAX {
            return Err(problem.into());
        }
        tracing::warn!(%problem, "part of the log cannot be read and is left out of the index");
        Ok(())
    }
}

/// A line, where it is there and not damaged.
fn readable(line: Result<Option<Vec<u8>>, LogProblem>) -> Result<Option<Vec<u8>>, LogProblem> {
    match line {
        Err(problem @ LogProblem::Damaged { .. }) => {
            tracing::warn!(%problem, "a line of the log that the index looks back at cannot be read");
            Ok(None)
        }
        other => other,
    }
}

/// A line without its newline.
fn trimmed(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}
