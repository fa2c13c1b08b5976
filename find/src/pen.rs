//! Writing the index: lines in, stories out, and the cursor with every commit.

use std::ops::Bound;

use audit::{EntryKind, Glance, LogProblem, Reader, Text};
use policy::Timestamp;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::query::RangeQuery;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet as _, IndexWriter, TERMINATED, TantivyDocument, TantivyError, Term};

use crate::FindProblem;
use crate::cursor::{Cursor, mark};
use crate::derived::Derived;
use crate::document::Begun;
use crate::index::Core;
use crate::waiting::{Opened, Waiting};

/// What the engine may use to gather stories before it writes them.
const GATHER_BYTES: usize = 64 * 1024 * 1024;
/// Stories of one file of the index beyond which it is merged with others no more. It bounds how long a merge takes.
const MERGED_STORIES_MAX: usize = 4_000_000;
/// Files of the index of like size are merged when there are so many.
const MERGED_FILES_MIN: usize = 8;
/// Of a file of which more than this is deleted, what is left is written anew.
const DELETED_SHARE_MAX: f32 = 0.3;

/// The one writer of an index.
pub(crate) struct Pen<'a> {
    core: &'a Core,
    writer: IndexWriter,
    waiting: Waiting,
    derived: Derived,
    cursor: Cursor,
    /// The last line that was looked at; empty where that was before this was taken up.
    last: Vec<u8>,
    newest: Timestamp,
    /// Lines below this number are no longer in the log, nor in the index.
    first: u64,
    is_changed: bool,
}

impl<'a> Pen<'a> {
    /// Takes up writing where the last commit left it. An index of another log is emptied.
    pub(crate) fn take_up(core: &'a Core, log: &Reader) -> Result<Self, FindProblem> {
        let mut pen = Self::take_up_unseen(core)?;
        if pen.fits(log)? {
            pen.recall(log)?;
        } else {
            tracing::warn!(dir = %core.dir.display(), "the index is of another log and is built anew");
            pen.begin_anew()?;
        }
        Ok(pen)
    }

    /// The same, without a look at the log.
    pub(crate) fn take_up_unseen(core: &'a Core) -> Result<Self, FindProblem> {
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(GATHER_BYTES)
            .num_worker_threads(1)
            .num_merge_threads(1)
            .build();
        let writer = core.engine.writer_with_options(options).map_err(|error| core.problem(&error))?;
        let mut policy = LogMergePolicy::default();
        policy.set_min_num_segments(MERGED_FILES_MIN);
        policy.set_max_docs_before_merge(MERGED_STORIES_MAX);
        policy.set_del_docs_ratio_before_merge(DELETED_SHARE_MAX);
        writer.set_merge_policy(Box::new(policy));
        let newest = Timestamp::from_unix_micros(0);
        Ok(Self {
            core,
            writer,
            waiting: Waiting::default(),
            derived: Derived::default(),
            cursor: core.cursor()?,
            last: Vec::new(),
            newest,
            first: 0,
            is_changed: false,
        })
    }

    /// The number of the first line that was not looked at.
    pub(crate) fn next(&self) -> u64 {
        self.cursor.next
    }

    /// Empties the index.
    pub(crate) fn begin_anew(&mut self) -> Result<(), FindProblem> {
        let core = self.core;
        let problem = |error: TantivyError| core.problem(&error);
        self.writer.rollback().map_err(problem)?;
        self.writer.delete_all_documents().map_err(problem)?;
        self.waiting = Waiting::default();
        self.cursor = Cursor::default();
        self.last.clear();
        self.is_changed = true;
        self.commit()
    }

    /// Whether the last line that was looked at is the log's.
    fn fits(&self, log: &Reader) -> Result<bool, FindProblem> {
        let Some(last) = self.cursor.next.checked_sub(1) else { return Ok(true) };
        if last < log.first()? {
            // It was deleted with its segment since; what was kept of the log goes on after it.
            return Ok(self.cursor.next <= log.size()?);
        }
        // A line that is damaged is not the one that was looked at.
        Ok(readable(log.line(last))?.is_some_and(|line| mark(trimmed(&line)) == self.cursor.mark))
    }

    /// Remembers what is open.
    fn recall(&mut self, log: &Reader) -> Result<(), FindProblem> {
        for (begin, id) in self.shown()? {
            self.waiting.show(id, begin);
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
            if kind == EntryKind::Open && !self.waiting.is_shown(id) {
                self.waiting.open(id, Begun::by(&self.core.fields, kind, &glance, &mut self.derived));
            } else if kind == EntryKind::Close {
                self.waiting.close(id);
            }
        }
        Ok(())
    }

    /// The accesses that the index has as open: first line and id.
    fn shown(&self) -> Result<Vec<(u64, String)>, FindProblem> {
        let read = || -> Result<_, TantivyError> {
            let mut shown = Vec::new();
            for segment in self.core.reader.searcher().segment_readers() {
                let terms = segment.inverted_index(self.core.fields.open)?;
                let mut stream = terms.terms().stream()?;
                while stream.advance() {
                    let mut docs = terms.read_postings_from_terminfo(stream.value(), IndexRecordOption::Basic)?;
                    while docs.doc() != TERMINATED && segment.is_deleted(docs.doc()) {
                        docs.advance();
                    }
                    let text = std::str::from_utf8(stream.key()).unwrap_or_default();
                    if let Some((begin, id)) = text.split_once(' ').filter(|_| docs.doc() != TERMINATED) {
                        shown.extend(begin.parse().ok().map(|begin| (begin, id.to_owned())));
                    }
                }
            }
            Ok(shown)
        };
        read().map_err(|error| self.core.problem(&error))
    }

    /// Looks at the next line.
    pub(crate) fn take(&mut self, seq: u64, line: &[u8], log: &Reader) -> Result<(), FindProblem> {
        self.cursor.next = seq + 1;
        self.last.clear();
        self.last.extend_from_slice(line);
        self.is_changed = true;
        let Some(glance) = Glance::at(line) else { return Ok(()) };
        self.newest = self.newest.max(glance.at);
        let kind = EntryKind::parse(glance.kind.as_str());
        match (kind, glance.request.as_ref().map(Text::as_str)) {
            (EntryKind::Segment, _) => Ok(()),
            (kind @ EntryKind::Open, Some(id)) => {
                let begun = Begun::by(&self.core.fields, kind, &glance, &mut self.derived);
                match self.waiting.open(id, begun) {
                    Some(never_closed) => self.add(never_closed.ended(&self.core.fields, None)),
                    None => Ok(()),
                }
            }
            (EntryKind::Close, Some(id)) => self.close(id, &glance, log),
            (
                kind @ (EntryKind::Open
                | EntryKind::Close
                | EntryKind::Refused
                | EntryKind::Fact(_)
                | EntryKind::Unknown(_)),
                _,
            ) => self.add_alone(kind, &glance),
        }
    }

    /// Passes over lines that cannot be read.
    pub(crate) fn skip_to(&mut self, seq: u64) {
        self.cursor.next = self.cursor.next.max(seq);
        self.is_changed = true;
    }

    fn close(&mut self, id: &str, end: &Glance<'_>, log: &Reader) -> Result<(), FindProblem> {
        match self.waiting.close(id) {
            Opened::Held(open) => self.add(open.ended(&self.core.fields, Some(end))),
            Opened::Shown(begin) => {
                let line = readable(log.line(begin))?;
                self.writer.delete_term(self.open_term(begin, id));
                match line.as_deref().and_then(Glance::at) {
                    Some(open) => {
                        let kind = EntryKind::parse(open.kind.as_str());
                        let begun = Begun::by(&self.core.fields, kind, &open, &mut self.derived);
                        self.add(begun.ended(&self.core.fields, Some(end)))
                    }
                    None => self.add_alone(EntryKind::Close, end),
                }
            }
            // It may still name patients.
            Opened::Never => self.add_alone(EntryKind::Close, end),
        }
    }

    /// Adds a story of one line.
    fn add_alone(&mut self, kind: EntryKind, line: &Glance<'_>) -> Result<(), FindProblem> {
        let document = Begun::whole(&self.core.fields, kind, line, &mut self.derived);
        self.add(document)
    }

    fn add(&self, document: TantivyDocument) -> Result<(), FindProblem> {
        self.writer.add_document(document).map(drop).map_err(|error| self.core.problem(&error))
    }

    fn open_term(&self, begin: u64, id: &str) -> Term {
        Term::from_field_text(self.core.fields.open, &format!("{begin} {id}"))
    }

    /// Shows all that is open, however short, and commits.
    pub(crate) fn show_all(&mut self) -> Result<(), FindProblem> {
        let open = self.waiting.all();
        self.show(open)?;
        self.commit()
    }

    /// Shows accesses as open.
    fn show(&mut self, open: Vec<(String, Begun)>) -> Result<(), FindProblem> {
        for (id, open) in open {
            let begin = open.seq;
            let mut shown = open.ended(&self.core.fields, None);
            shown.add_text(self.core.fields.open, format!("{begin} {id}"));
            self.add(shown)?;
            self.waiting.show(id, begin);
            self.is_changed = true;
        }
        Ok(())
    }

    /// Forgets what the log no longer has.
    pub(crate) fn forget_before(&mut self, first: u64) -> Result<(), FindProblem> {
        if first > self.first {
            let end = Term::from_field_u64(self.core.fields.begin, first);
            let older = RangeQuery::new(Bound::Unbounded, Bound::Excluded(end));
            self.writer.delete_query(Box::new(older)).map_err(|error| self.core.problem(&error))?;
            self.first = first;
            self.is_changed = true;
        }
        Ok(())
    }

    /// Makes what was written findable, with the cursor, whole or not at all.
    pub(crate) fn commit(&mut self) -> Result<(), FindProblem> {
        if self.waiting.holds_any() {
            let long_open = self.waiting.long_open(self.newest);
            self.show(long_open)?;
        }
        if !self.is_changed {
            return Ok(());
        }
        self.cursor.from = self.waiting.earliest().unwrap_or(self.cursor.next);
        if !self.last.is_empty() {
            self.cursor.mark = mark(&self.last);
        }
        let core = self.core;
        let problem = |error: TantivyError| core.problem(&error);
        let mut prepared = self.writer.prepare_commit().map_err(problem)?;
        prepared.set_payload(&self.cursor.text());
        prepared.commit().map_err(problem)?;
        core.reader.reload().map_err(problem)?;
        self.is_changed = false;
        Ok(())
    }

    /// Lets merges that are under way end, and lets go of the index.
    pub(crate) fn put_down(self) -> Result<(), FindProblem> {
        let core = self.core;
        self.writer.wait_merging_threads().map_err(|error| core.problem(&error))
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
