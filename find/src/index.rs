//! The index as a whole: opening it, asking it, counting in it.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use audit::Reader;

use crate::ask::Page;
use crate::clauses::Beginning;
use crate::count::{bars, count};
use crate::draft::Draft;
use crate::follow::Follower;
use crate::leaf::Leaf;
use crate::pen::{Passes, Pen};
use crate::sheet::FILE_MODE;
use crate::shelf::{Shelf, clear};
use crate::sieve::Sieve;
use crate::{Answer, Bar, By, Deadline, FindProblem, Lag, Question};

/// An index of more stories than this is asked by two threads.
const MANY_STORIES: u64 = 500_000;
/// While it is built anew, how far that has come is told after so many lines.
const LINES_PER_WORD: u64 = 1_000_000;
/// Lines that are taken in before the clock is looked at.
const LINES_PER_LOOK: u64 = 256;
/// What is open for long is shown as open about so often.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// A file of this name in its directory asks for the index to be built anew.
pub(crate) const ANEW: &str = "build-anew";
/// The file by whose lock there is one writer.
const LOCK: &str = "writer.lock";
/// The file in which the writer says how far it has followed the log, draft and all.
pub(crate) const FOLLOWED: &str = "followed";

/// The search index; clones are the same index. Many may read it, one [`Follower`] in one process writes it.
#[derive(Clone)]
pub struct Index {
    core: Arc<Core>,
}

/// What the index consists of.
pub(crate) struct Core {
    pub(crate) dir: PathBuf,
    shelf: RwLock<Arc<Shelf>>,
    /// Whoever takes both locks takes this one first.
    draft: RwLock<Draft>,
    seq: AtomicU64,
    behind: AtomicU64,
    trouble: Mutex<Option<String>>,
    /// What a question could not be answered from, until the index is built anew.
    damage: Mutex<Option<String>>,
}

impl Index {
    /// Opens the index of a directory, or begins it. One that was made by another version is thrown away: it holds
    /// nothing that the log does not.
    ///
    /// # Errors
    /// [`FindProblem`] where it cannot be read or made; [`FindProblem::InUse`] where it is to be thrown away and another
    /// process writes it.
    pub fn open(dir: &Path) -> Result<Self, FindProblem> {
        match Shelf::open(dir) {
            Ok(shelf) => return Ok(Self::of(dir, shelf)),
            Err(FindProblem::Damaged { reason, .. }) => {
                tracing::warn!(dir = %dir.display(), reason, "the index cannot be used and is built anew");
            }
            Err(FindProblem::Missing { .. }) => {}
            Err(problem) => return Err(problem),
        }
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|error| FindProblem::disk(dir, &error))?;
        let _lock = lock(dir)?;
        // Whoever had it before may have made it.
        if let Ok(shelf) = Shelf::open(dir) {
            return Ok(Self::of(dir, shelf));
        }
        clear(dir)?;
        let shelf = Shelf::default();
        shelf.keep(dir)?;
        Ok(Self::of(dir, shelf))
    }

    /// Opens an index that is there. What its writer holds in memory only is not seen before [`Index::look_ahead`].
    ///
    /// # Errors
    /// [`FindProblem`] where there is none, or it cannot be read.
    pub fn open_existing(dir: &Path) -> Result<Self, FindProblem> {
        let shelf = Shelf::open(dir)?;
        shelf.hold_last();
        let index = Self::of(dir, shelf);
        let followed = std::fs::read_to_string(dir.join(FOLLOWED)).ok().and_then(|text| text.trim().parse().ok());
        index.core.seq.fetch_max(followed.unwrap_or(0), Ordering::Relaxed);
        Ok(index)
    }

    fn of(dir: &Path, shelf: Shelf) -> Self {
        let seq = shelf.cursor.next;
        let core = Core {
            dir: dir.to_owned(),
            shelf: RwLock::new(Arc::new(shelf)),
            draft: RwLock::default(),
            seq: AtomicU64::new(seq),
            behind: AtomicU64::default(),
            trouble: Mutex::default(),
            damage: Mutex::default(),
        };
        Self { core: Arc::new(core) }
    }

    /// Follows the log from where the index left it, in a thread of its own, until the follower is dropped.
    ///
    /// # Errors
    /// [`FindProblem`] where the system gives no thread. What goes wrong later is tried again, and told by
    /// [`Index::trouble`].
    pub fn follow(&self, log: Reader) -> Result<Follower, FindProblem> {
        Follower::start(Arc::clone(&self.core), log)
    }

    /// Reads in the log what the index does not have yet, without writing it: for who asks an index that another process
    /// writes. Of very much, it reads a part; [`Index::lag`] tells.
    ///
    /// # Errors
    /// [`FindProblem`] where index or log cannot be read.
    pub fn look_ahead(&self, log: &Reader) -> Result<(), FindProblem> {
        self.look_ahead_to(log.size()?, log)
    }

    /// The same, up to a line.
    ///
    /// # Errors
    /// As [`Index::look_ahead`].
    pub fn look_ahead_to(&self, size: u64, log: &Reader) -> Result<(), FindProblem> {
        let mut pen = Pen::take_up_reading(&self.core, log)?;
        let mut lines = log.from(pen.next().max(log.first()?));
        let mut passes = Passes::default();
        while lines.place() < size && !self.core.draft(Draft::is_far) {
            if !pen.take_next(&mut lines, &mut passes, log)? {
                break;
            }
        }
        pen.show_all()?;
        self.core.note_place(pen.next(), size.saturating_sub(pen.next()));
        Ok(())
    }

    /// Builds the index anew from the whole log; `progress` is told how many lines are done, of how many. Blocks.
    ///
    /// # Errors
    /// [`FindProblem`]; [`FindProblem::InUse`] where a gateway follows the log with it: see
    /// [`ask_to_build_anew`](Self::ask_to_build_anew).
    pub fn rebuild(&self, log: &Reader, mut progress: impl FnMut(u64, u64)) -> Result<(), FindProblem> {
        // What was looked at before does not matter, and may be damaged.
        let mut pen = Pen::take_up_unseen(&self.core)?;
        pen.begin_anew()?;
        let mut lines = log.from(log.first()?);
        let (mut told, mut passes) = (lines.place(), Passes::default());
        while pen.take_next(&mut lines, &mut passes, log)? {
            if lines.place().saturating_sub(told) >= LINES_PER_WORD {
                told = lines.place();
                progress(told, log.size()?);
            }
        }
        pen.show_all()?;
        self.core.note_place(pen.next(), 0);
        pen.put_down()?;
        progress(lines.place(), lines.place());
        Ok(())
    }

    /// Takes in lines that stand in no log, for measuring, until they end or `goes_on`, which is told about every second how
    /// many were taken in, says so.
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
        pen.put_down()
    }

    /// Asks the gateway that follows the log with the index of this directory to build it anew, whatever state it is in.
    ///
    /// # Errors
    /// [`FindProblem`] where the wish cannot be left in the index's directory.
    pub fn ask_to_build_anew(dir: &Path) -> Result<(), FindProblem> {
        let place = dir.join(ANEW);
        std::fs::write(&place, "").map_err(|error| FindProblem::disk(&place, &error))
    }

    /// The stories that a question fits: one page of them, and how many there are in all.
    ///
    /// # Errors
    /// [`FindProblem`] where it cannot be answered, not in time, or was withdrawn.
    pub fn ask(&self, question: &Question, deadline: &Deadline) -> Result<Answer, FindProblem> {
        let pages = self.prepare(question, deadline).and_then(|sieve| {
            self.core.each(|leaf| {
                let mut page = Page::new(question);
                page.look(leaf, &sieve, deadline).map(|()| page)
            })
        });
        let mut whole = Page::new(question);
        self.core.answered(pages)?.into_iter().for_each(|page| whole.join(page));
        Ok(whole.answer())
    }

    /// How many of the stories that a question fits have what, for the `top` most frequent; for hours, days and months
    /// the newest, in their order.
    ///
    /// # Errors
    /// [`FindProblem`] where it cannot be answered, not in time, or was withdrawn.
    pub fn count(&self, question: &Question, by: By, top: usize, deadline: &Deadline) -> Result<Vec<Bar>, FindProblem> {
        let counted = self.prepare(question, deadline).and_then(|sieve| {
            let counted = self.core.each(|leaf| count(leaf, &sieve, question, by, deadline))?;
            bars(counted, by, top, deadline)
        });
        self.core.answered(counted)
    }

    /// How far the index has followed the log.
    #[must_use]
    pub fn lag(&self) -> Lag {
        Lag { seq: self.core.seq.load(Ordering::Relaxed), behind: self.core.behind.load(Ordering::Relaxed) }
    }

    /// What keeps the index from following the log or from answering, if anything does.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let told = |of: &Mutex<Option<String>>| of.lock().unwrap_or_else(PoisonError::into_inner).clone();
        told(&self.core.trouble).or_else(|| told(&self.core.damage))
    }

    /// How many stories it holds.
    #[must_use]
    pub fn stories(&self) -> u64 {
        let (draft, shelf) = self.core.with_draft(|draft| (draft.stories() - draft.dead().len()) as u64);
        draft + shelf.stories()
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

    fn prepare<'q>(&self, question: &'q Question, deadline: &Deadline) -> Result<Sieve<'q>, FindProblem> {
        let sieve = Sieve::new(question)?;
        for start in sieve.clauses.beginnings() {
            let mut beginning = Beginning::new(start);
            let (looked, shelf) =
                self.core.with_draft(|draft| if sieve.reaches(draft) { beginning.look(draft) } else { Ok(()) });
            looked?;
            for shelved in shelf.sheets.iter().filter(|shelved| sieve.reaches(*shelved)) {
                deadline.check()?;
                beginning.look(shelved)?;
            }
        }
        Ok(sieve)
    }
}

impl Core {
    /// What is on the disk.
    pub(crate) fn shelf(&self) -> Arc<Shelf> {
        Arc::clone(&self.shelf.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the draft.
    pub(crate) fn draft<T>(&self, look: impl FnOnce(&Draft) -> T) -> T {
        look(&self.draft.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the draft; what is on the disk is of the same moment.
    fn with_draft<T>(&self, look: impl FnOnce(&Draft) -> T) -> (T, Arc<Shelf>) {
        self.draft(|draft| (look(draft), self.shelf()))
    }

    /// Changes the draft, and what belongs to the index beside it.
    pub(crate) fn change<T>(&self, work: impl FnOnce(&mut Draft, &mut Arc<Shelf>) -> T) -> T {
        let mut draft = self.draft.write().unwrap_or_else(PoisonError::into_inner);
        work(&mut draft, &mut self.shelf.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Does the same to every leaf; two threads share the files where there is much.
    fn each<T: Send>(&self, work: impl Fn(&dyn Leaf) -> Result<T, FindProblem> + Sync) -> Result<Vec<T>, FindProblem> {
        let (of_draft, shelf) = self.with_draft(|draft| work(draft));
        let next = AtomicUsize::new(0);
        let share = || {
            let mut done = Vec::new();
            while let Some(shelved) = shelf.sheets.get(next.fetch_add(1, Ordering::Relaxed)) {
                done.push(work(shelved)?);
            }
            Ok::<_, FindProblem>(done)
        };
        let mut done = vec![of_draft?];
        if shelf.stories() < MANY_STORIES {
            done.extend(share()?);
            return Ok(done);
        }
        std::thread::scope(|scope| {
            let other = scope.spawn(share);
            let own = share();
            done.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic))?);
            done.extend(own?);
            Ok(done)
        })
    }

    /// Becomes the one writer, for as long as the file lives.
    pub(crate) fn lock(&self) -> Result<File, FindProblem> {
        lock(&self.dir)
    }

    /// Passes on what a question came to. That something is damaged stays known: others would ask in vain, and nothing
    /// heals it but to build the index anew.
    fn answered<T>(&self, answer: Result<T, FindProblem>) -> Result<T, FindProblem> {
        if let Err(problem @ FindProblem::Damaged { .. }) = &answer {
            self.note_damage(Some(problem.to_string()));
        }
        answer
    }

    pub(crate) fn note_damage(&self, damage: Option<String>) {
        *self.damage.lock().unwrap_or_else(PoisonError::into_inner) = damage;
    }

    pub(crate) fn damaged(&self, reason: &str) -> FindProblem {
        FindProblem::damaged(&self.dir, reason)
    }

    pub(crate) fn note_place(&self, seq: u64, behind: u64) {
        self.seq.store(seq, Ordering::Relaxed);
        self.behind.store(behind, Ordering::Relaxed);
    }

    /// The same, also for other processes that look at the index.
    pub(crate) fn tell_place(&self, seq: u64, behind: u64) {
        self.note_place(seq, behind);
        let path = self.dir.join(FOLLOWED);
        // Always as long: whoever reads it meanwhile reads one or the other.
        let told = File::options().write(true).create(true).truncate(false).mode(FILE_MODE).open(path);
        if let Err(error) = told.and_then(|file| file.write_all_at(format!("{seq:020}").as_bytes(), 0)) {
            tracing::debug!(%error, "how far the index has followed the log cannot be told to others");
        }
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

/// Becomes the one writer of an index.
fn lock(dir: &Path) -> Result<File, FindProblem> {
    let path = dir.join(LOCK);
    let file = File::options().write(true).create(true).truncate(false).mode(FILE_MODE).open(&path);
    let file = file.map_err(|error| FindProblem::disk(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(FindProblem::InUse { place: dir.display().to_string() }),
        Err(std::fs::TryLockError::Error(error)) => Err(FindProblem::disk(&path, &error)),
    }
}
