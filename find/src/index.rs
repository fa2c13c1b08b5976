//! The index as a whole: opening it, asking it, counting in it.

use std::fmt;
use std::os::unix::fs::DirBuilderExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use audit::Reader;
use tantivy::query::{EnableScoring, Weight};
use tantivy::{IndexReader, ReloadPolicy, Searcher, SegmentReader, TantivyError};

use crate::ask::Page;
use crate::clauses;
use crate::count::{bars, count};
use crate::cursor::Cursor;
use crate::fields::Fields;
use crate::follow::Follower;
use crate::pen::{Passes, Pen};
use crate::sieve::{Sieve, Stopped};
use crate::{Answer, Bar, By, Deadline, FindProblem, Lag, Question};

/// An index of more stories than this is asked by two threads.
const MANY_STORIES: u64 = 500_000;
/// While it is built anew, what was read is made findable after so many lines.
const LINES_PER_COMMIT: u64 = 2_000_000;
/// Lines that are taken in before the clock is looked at.
const LINES_PER_LOOK: u64 = 256;
/// What was taken in is made findable after this.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// A file of this name in its directory asks for the index to be built anew.
const ANEW: &str = "build-anew";

/// The search index; clones are the same index. Many may read it, one [`Follower`] in one process writes it.
#[derive(Clone)]
pub struct Index {
    core: Arc<Core>,
}

/// What the index consists of.
pub(crate) struct Core {
    pub(crate) dir: PathBuf,
    pub(crate) engine: tantivy::Index,
    pub(crate) reader: IndexReader,
    pub(crate) fields: Fields,
    seq: AtomicU64,
    behind: AtomicU64,
    trouble: Mutex<Option<String>>,
}

impl Index {
    /// Opens the index of a directory, or begins it. One that was made by another version is thrown away: it holds
    /// nothing that the log does not.
    ///
    /// # Errors
    /// [`FindProblem`] where it cannot be read or made.
    pub fn open(dir: &Path) -> Result<Self, FindProblem> {
        let (fields, schema) = Fields::new();
        match engine(dir) {
            Ok(engine) if engine.schema() == schema => return Self::of(dir, engine, fields),
            Ok(_) | Err(FindProblem::Damaged { .. }) => {
                tracing::warn!(dir = %dir.display(), "the index is of another version or damaged, and is built anew");
                std::fs::remove_dir_all(dir).map_err(|error| FindProblem::disk(dir, &error))?;
            }
            Err(FindProblem::Missing { .. }) => {}
            Err(problem) => return Err(problem),
        }
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|error| FindProblem::disk(dir, &error))?;
        let engine = tantivy::Index::create_in_dir(dir, schema).map_err(|error| FindProblem::engine(dir, &error))?;
        Self::of(dir, engine, fields)
    }

    /// Opens an index that is there.
    ///
    /// # Errors
    /// [`FindProblem`] where there is none, or it cannot be read.
    pub fn open_existing(dir: &Path) -> Result<Self, FindProblem> {
        let (fields, schema) = Fields::new();
        let engine = engine(dir)?;
        if engine.schema() != schema {
            let place = dir.display().to_string();
            return Err(FindProblem::Damaged { place, reason: "it was made by another version".to_owned() });
        }
        Self::of(dir, engine, fields)
    }

    fn of(dir: &Path, engine: tantivy::Index, fields: Fields) -> Result<Self, FindProblem> {
        let problem = |error: TantivyError| FindProblem::engine(dir, &error);
        let reader = engine.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().map_err(problem)?;
        let (seq, behind, trouble) = Default::default();
        let core = Core { dir: dir.to_owned(), engine, reader, fields, seq, behind, trouble };
        core.seq.store(core.cursor()?.next, Ordering::Relaxed);
        Ok(Self { core: Arc::new(core) })
    }

    /// Follows the log from where the index left it, in a thread of its own, until the follower is dropped.
    ///
    /// # Errors
    /// [`FindProblem`] where the system gives no thread. What goes wrong later is tried again, and told by
    /// [`Index::trouble`].
    pub fn follow(&self, log: Reader) -> Result<Follower, FindProblem> {
        Follower::start(Arc::clone(&self.core), log)
    }

    /// Builds the index anew from the whole log; `progress` is told how many lines are done, of how many. Blocks.
    ///
    /// # Errors
    /// [`FindProblem`]; [`FindProblem::InUse`] where a gateway follows the log with it: see
    /// [`Index::ask_to_build_anew`].
    pub fn rebuild(&self, log: &Reader, mut progress: impl FnMut(u64, u64)) -> Result<(), FindProblem> {
        // What was looked at before does not matter, and may be damaged.
        let mut pen = Pen::take_up_unseen(&self.core)?;
        pen.begin_anew()?;
        let mut lines = log.from(log.first()?);
        let (mut since_commit, mut passes) = (0, Passes::default());
        loop {
            let place = lines.place();
            match lines.next() {
                Ok(Some(line)) => pen.take(line.seq, line.text, log)?,
                Ok(None) => break,
                Err(problem) => {
                    passes.over(problem, place, lines.place())?;
                    pen.skip_to(lines.place());
                }
            }
            since_commit += lines.place().saturating_sub(place);
            if since_commit >= LINES_PER_COMMIT {
                pen.commit()?;
                progress(lines.place(), log.size()?);
                since_commit = 0;
            }
        }
        pen.show_all()?;
        self.core.note_place(pen.next(), 0);
        pen.put_down()?;
        progress(lines.place(), lines.place());
        Ok(())
    }

    /// Takes in lines that stand in no log, for measuring: makes them findable about every second, until they end or
    /// `goes_on`, which is told how many were taken in, says so.
    ///
    /// # Errors
    /// [`FindProblem`] where the index cannot be written.
    #[doc(hidden)]
    pub fn fill(
        &self,
        lines: impl Iterator<Item = Vec<u8>>,
        mut goes_on: impl FnMut(u64) -> bool,
    ) -> Result<(), FindProblem> {
        let nowhere: Reader = self.core.dir.as_path().into();
        let mut pen = Pen::take_up_unseen(&self.core)?;
        let mut committed = Instant::now();
        for (count, line) in (1..).zip(lines) {
            pen.take(pen.next(), &line, &nowhere)?;
            if count % LINES_PER_LOOK == 0 && committed.elapsed() > COMMIT_INTERVAL {
                pen.commit()?;
                committed = Instant::now();
                if !goes_on(count) {
                    break;
                }
            }
        }
        pen.commit()?;
        pen.put_down()?;
        self.core.reader.reload().map_err(|error| self.core.problem(&error))
    }

    /// Asks the gateway that follows the log with this index to build it anew.
    ///
    /// # Errors
    /// [`FindProblem`] where the wish cannot be left in the index's directory.
    pub fn ask_to_build_anew(&self) -> Result<(), FindProblem> {
        let place = self.core.dir.join(ANEW);
        std::fs::write(&place, "").map_err(|error| FindProblem::disk(&place, &error))
    }

    /// The stories that a question fits: one page of them, and how many there are in all.
    ///
    /// # Errors
    /// [`FindProblem`] where it cannot be answered, not in time, or was withdrawn.
    pub fn ask(&self, question: &Question, deadline: &Deadline) -> Result<Answer, FindProblem> {
        self.guarded(|| {
            let (searcher, sieve, weight) = self.prepare(question)?;
            let pages = each_segment(&searcher, |segment| {
                let mut page = Page::new(question);
                page.look(segment, &*weight, &sieve, deadline).map(|()| page)
            })?;
            let mut whole = Page::new(question);
            pages.into_iter().for_each(|page| whole.join(page));
            Ok(whole.answer())
        })
    }

    /// How many of the stories that a question fits have what, for the `top` most frequent; for hours, days and months
    /// the newest, in their order.
    ///
    /// # Errors
    /// [`FindProblem`] where it cannot be answered, not in time, or was withdrawn.
    pub fn count(&self, question: &Question, by: By, top: usize, deadline: &Deadline) -> Result<Vec<Bar>, FindProblem> {
        self.guarded(|| {
            let (searcher, sieve, weight) = self.prepare(question)?;
            let counted = each_segment(&searcher, |segment| count(segment, &*weight, &sieve, question, by, deadline))?;
            bars(counted, by, top, deadline)
        })
    }

    /// How far the index has followed the log.
    #[must_use]
    pub fn lag(&self) -> Lag {
        Lag { seq: self.core.seq.load(Ordering::Relaxed), behind: self.core.behind.load(Ordering::Relaxed) }
    }

    /// What keeps the index from following the log, if anything does.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.core.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many stories it holds.
    #[must_use]
    pub fn stories(&self) -> u64 {
        self.core.reader.searcher().num_docs()
    }

    /// Its size on disk, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let entries = std::fs::read_dir(&self.core.dir).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.metadata().ok()).map(|file| file.len()).sum()
    }

    #[cfg(test)]
    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    fn prepare<'q>(&self, question: &'q Question) -> Result<(Searcher, Sieve<'q>, Box<dyn Weight>), Stopped> {
        let searcher = self.core.reader.searcher();
        let sieve = Sieve::new(question)?;
        let query = clauses::query(question, &self.core.fields, &searcher, &self.core.dir)?;
        let weight = query.weight(EnableScoring::disabled_from_searcher(&searcher))?;
        Ok((searcher, sieve, weight))
    }

    /// The engine panics on files that were damaged under it; that is a problem of the index, not of who asks.
    fn guarded<T>(&self, work: impl FnOnce() -> Result<T, Stopped>) -> Result<T, FindProblem> {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(done) => done.map_err(|stopped| match stopped {
                Stopped::Engine(error) => self.core.problem(&error),
                Stopped::Found(problem) => problem,
            }),
            Err(_) => Err(self.core.damaged("the engine gave up on it")),
        }
    }
}

impl Core {
    /// Where the last commit left the log.
    pub(crate) fn cursor(&self) -> Result<Cursor, FindProblem> {
        let metas = self.engine.load_metas().map_err(|error| self.problem(&error))?;
        Ok(Cursor::read(metas.payload.as_deref()))
    }

    pub(crate) fn problem(&self, error: &TantivyError) -> FindProblem {
        FindProblem::engine(&self.dir, error)
    }

    pub(crate) fn damaged(&self, reason: &str) -> FindProblem {
        FindProblem::Damaged { place: self.dir.display().to_string(), reason: reason.to_owned() }
    }

    pub(crate) fn note_place(&self, seq: u64, behind: u64) {
        self.seq.store(seq, Ordering::Relaxed);
        self.behind.store(behind, Ordering::Relaxed);
    }

    pub(crate) fn note_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Whether somebody asked for the index to be built anew.
    pub(crate) fn is_asked_to_begin_anew(&self) -> bool {
        self.dir.join(ANEW).exists()
    }

    /// Notes that it was.
    pub(crate) fn has_begun_anew(&self) -> Result<(), FindProblem> {
        let place = self.dir.join(ANEW);
        std::fs::remove_file(&place).map_err(|error| FindProblem::disk(&place, &error))
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Index({})", self.core.dir.display())
    }
}

/// Opens what is there.
fn engine(dir: &Path) -> Result<tantivy::Index, FindProblem> {
    if !dir.join("meta.json").is_file() {
        return Err(FindProblem::Missing { place: dir.display().to_string() });
    }
    tantivy::Index::open_in_dir(dir).map_err(|error| FindProblem::engine(dir, &error))
}

/// Does the same to every segment; two threads share the work where there is much.
fn each_segment<T: Send>(
    searcher: &Searcher,
    work: impl Fn(&SegmentReader) -> Result<T, Stopped> + Sync,
) -> Result<Vec<T>, Stopped> {
    let segments = searcher.segment_readers();
    let next = AtomicUsize::new(0);
    let share = || {
        let mut done = Vec::new();
        while let Some(segment) = segments.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push(work(segment)?);
        }
        Ok(done)
    };
    if searcher.num_docs() < MANY_STORIES {
        return share();
    }
    std::thread::scope(|scope| {
        let other = scope.spawn(share);
        let own = share();
        let mut done = other.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        done.extend(own?);
        Ok(done)
    })
}
