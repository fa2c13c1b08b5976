//! Following the log: a thread that reads what was written and makes it findable within about a second.
//!
//! It is a follower like any other: never in the way of a request, and whatever befalls it, it goes on from its last
//! file. Lines are looked at one round after they were written, when they are on the disk: what a power cut takes
//! from the log was never in the index.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use audit::Reader;

use crate::FindProblem;
use crate::index::Core;
use crate::pen::{Passes, Pen};

/// How long to rest when there is nothing to read.
const ROUND: Duration = Duration::from_millis(250);
/// What is open for long is shown as open about so often, and told how far this has come.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// Lines that are read before the clock is looked at, and how long to rest then while it is not far behind: what is read at
/// once is a time for which requests wait where there is one processor.
const LINES_PER_LOOK: usize = 64;
const BREATH: Duration = Duration::from_millis(1);
/// More lines than this behind, it reads on without a rest.
const FAR_BEHIND: u64 = 10_000;
/// How often it is looked whether the log's beginning was deleted.
const TIDY_INTERVAL: Duration = Duration::from_secs(600);
/// Rests after problems, shortest and longest.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// How much less the thread matters than those that serve.
const NICE: i32 = 10;

/// Follows the log until it is dropped.
#[derive(Debug)]
pub struct Follower {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Stops following without putting on the disk what is in memory: whoever follows next reads it in the log again.
    pub fn leave(self) {
        self.stop.leaves.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct Stop {
    is_asked: AtomicBool,
    /// Whether what is in memory is left for whoever follows next.
    leaves: AtomicBool,
}

impl Stop {
    fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Relaxed)
    }

    /// Rests, unless it is to stop.
    fn rest(&self, span: Duration) {
        if !self.is_asked() {
            std::thread::park_timeout(span);
        }
    }
}

impl Follower {
    pub(crate) fn start(core: Arc<Core>, log: Reader) -> Result<Self, FindProblem> {
        let stop = Arc::new(Stop::default());
        let asked = Arc::clone(&stop);
        let place = core.dir.clone();
        let thread = std::thread::Builder::new()
            .name("log-index".to_owned())
            .spawn(move || run(&core, &log, &asked))
            .map_err(|error| FindProblem::disk(&place, &error))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.is_asked.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the thread of the log's index ended in a panic");
            }
        }
    }
}

fn run(core: &Core, log: &Reader, stop: &Stop) {
    // Where it is refused, it goes on as it is.
    let _nice = rustix::process::nice(NICE);
    let mut pause = RETRY_MIN;
    while !stop.is_asked() {
        let began = Instant::now();
        // Whatever is wrong with it, searching must not end for it without a word.
        let followed = catch_unwind(AssertUnwindSafe(|| follow(core, log, stop)))
            .unwrap_or_else(|_| Err(core.damaged("what follows the log gave up on it")));
        let Err(problem) = followed else { return };
        if began.elapsed() > RETRY_MAX {
            pause = RETRY_MIN;
        }
        tracing::error!(%problem, retry_in = ?pause, "the index cannot follow the log; searching shows what it has");
        core.note_trouble(Some(problem.to_string()));
        stop.rest(pause);
        pause = (pause * 2).min(RETRY_MAX);
    }
}

/// Follows until it is to stop or something goes wrong.
fn follow(core: &Core, log: &Reader, stop: &Stop) -> Result<(), FindProblem> {
    // Where it is built anew, what was looked at before does not matter, and may be damaged.
    let is_asked = core.is_asked_to_begin_anew();
    let mut pen = if is_asked { Pen::take_up_unseen(core)? } else { Pen::take_up(core, log)? };
    let mut lines = log.from(pen.next().max(log.first()?));
    // What is there at the start was written before.
    let mut safe = log.size()?;
    let mut committed = Instant::now();
    let mut tidied: Option<Instant> = None;
    let mut passes = Passes::default();
    let mut told = 0;
    core.note_trouble(None);
    loop {
        if core.is_asked_to_begin_anew() {
            tracing::info!("the index of the log is built anew, as asked");
            pen.begin_anew()?;
            core.has_begun_anew()?;
            lines = log.from(log.first()?);
        }
        if tidied.is_none_or(|last| last.elapsed() > TIDY_INTERVAL) {
            pen.forget_before(log.first()?)?;
            tidied = Some(Instant::now());
        }
        let read = read_some(&mut pen, &mut lines, &mut passes, log, safe)?;
        let (next, behind) = (pen.next(), safe.saturating_sub(pen.next()));
        core.note_place(next, behind);
        if committed.elapsed() >= COMMIT_INTERVAL {
            pen.commit()?;
            if told != next {
                core.tell_place(next, behind);
                told = next;
            }
            committed = Instant::now();
        }
        if stop.is_asked() {
            if !stop.leaves.load(Ordering::Relaxed) {
                pen.put_down()?;
            }
            core.tell_place(next, behind);
            return Ok(());
        }
        if read < LINES_PER_LOOK {
            // Taken before the rest: what is there now is on the disk after it.
            let size = log.size()?;
            stop.rest(ROUND);
            safe = size;
        } else if behind < FAR_BEHIND {
            stop.rest(BREATH);
        }
    }
}

/// Reads up to a number of lines, none of them from `safe` on.
fn read_some(
    pen: &mut Pen<'_>,
    lines: &mut audit::Lines,
    passes: &mut Passes,
    log: &Reader,
    safe: u64,
) -> Result<usize, FindProblem> {
    for count in 0..LINES_PER_LOOK {
        if lines.place() >= safe {
            return Ok(count);
        }
        if !pen.take_next(lines, passes, log)? {
            return Ok(count);
        }
    }
    Ok(LINES_PER_LOOK)
}
