//! Recordings of terminals: what a target showed, as it was shown, and the commands that stood there. Keystrokes are not
//! kept: passwords are among them.
//!
//! A tape is one file of blocks, compressed and, where the hospital names a key ring, encrypted as the archive's are.
//! Each block's hash is chained to the one before; the log says at the beginning, every few seconds and at the end how
//! long the tape is and what its hash is, so that a tape that was changed, cut or taken away is found, and where. Each
//! tape is written by a thread of its own: a worker only lays bytes into a bounded queue. Deliberately not here: the
//! terminal itself (gateway), and who may see a recording (web).

mod cast;
mod chain;
mod check;
mod commands;
mod facts;
mod file;
mod forget;
mod open;
mod pen;
mod play;
mod problem;
mod queue;
mod read;
mod screen;
mod sign;
mod thrift;
#[cfg(test)]
mod trials;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use policy::Access;

pub(crate) use check::{Told, check};
pub(crate) use file::wrapped as wrapped_tapes;
pub(crate) use forget::forget;
pub(crate) use open::OpenTapes;
pub use play::{Frame, Part, Player};
pub use problem::TapeProblem;
pub use read::{Command, Recording, Recordings, Stand};
pub use screen::{Colour, Run};

use crate::core::Core;
use crate::escrow::RecoveryKey;
use crate::log::Running;
use crate::{Keys, LogProblem};
use facts::Subject;
use pen::Pen;
use queue::Queue;

/// The most columns and rows that a terminal is followed with.
pub(crate) const SIDE_MAX: u16 = 500;
/// The longest title that is kept, in characters.
const TITLE_CHARS_MAX: usize = 200;

/// Makes recordings that belong to one log. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Tapes {
    core: Arc<Core>,
    _running: Arc<Running>,
    keys: Keys,
    recovery: Option<RecoveryKey>,
}

/// What is known when a recording begins.
#[derive(Clone, Debug)]
pub struct TapeHeader {
    /// How wide the terminal is.
    pub columns: u16,
    /// How high it is.
    pub rows: u16,
    /// What it is of, for who looks at it: the app's name.
    pub title: String,
    /// Finds the patients that a command names, where the app's configuration says how.
    pub patients: Option<PatientsIn>,
}

/// Finds the patients that a text names.
#[derive(Clone)]
#[expect(clippy::type_complexity, reason = "it is this type that gives the function a name")]
pub struct PatientsIn(Arc<dyn Fn(&str) -> Vec<String> + Send + Sync>);

impl PatientsIn {
    /// Wraps a function that gives ids as the log has them.
    #[must_use]
    #[expect(clippy::type_complexity, reason = "it is this type that gives the function a name")]
    pub fn new(find: Arc<dyn Fn(&str) -> Vec<String> + Send + Sync>) -> Self {
        Self(find)
    }

    fn find(&self, text: &str) -> Vec<String> {
        (self.0)(text)
    }
}

impl fmt::Debug for PatientsIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PatientsIn(..)")
    }
}

/// One recording under way. Dropping it ends it.
#[derive(Debug)]
pub struct Tape {
    queue: Arc<Queue>,
    began: Instant,
}

impl Tapes {
    pub(crate) fn new(core: Arc<Core>, running: Arc<Running>, keys: Keys, recovery: Option<RecoveryKey>) -> Self {
        Self { core, _running: running, keys, recovery }
    }

    /// Begins the recording of an access, which is named by its request, and returns once the log says so on disk.
    ///
    /// # Errors
    /// [`TapeProblem`] where it cannot be recorded: nothing of the target may be shown.
    pub async fn begin(&self, access: &Access, header: TapeHeader) -> Result<Tape, TapeProblem> {
        self.core.accepting()?;
        let began = Instant::now();
        let title = header.title.chars().take(TITLE_CHARS_MAX).collect();
        let header = TapeHeader { columns: side(header.columns), rows: side(header.rows), title, ..header };
        let (queue, keys) = (Arc::new(Queue::default()), self.keys.clone());
        let pen = Pen::new(Arc::clone(&self.core), (keys, self.recovery.clone()), Subject::of(access), header);
        let shared = Arc::clone(&queue);
        self.core.tapes.enter(&queue, || {
            let name = format!("tape-{}", access.request.to_string().chars().take(8).collect::<String>());
            let run = move || pen.run(&shared, began);
            std::thread::Builder::new()
                .name(name)
                .spawn(run)
                .map_err(|error| LogProblem::disk(&self.core.directory, &error))
        })?;
        // Dropped before it began, it ends at once.
        let tape = Tape { queue, began };
        tape.queue.begun().await?;
        Ok(tape)
    }
}

impl Tape {
    /// Lays down what the target shows; to be called before it is shown. Never waits.
    pub fn output(&self, bytes: &[u8]) {
        self.queue.output(self.began, bytes);
    }

    /// Says what the person typed. It is not kept: it only tells where commands begin and end.
    pub fn input_seen(&self, bytes: &[u8]) {
        self.queue.input(self.began, bytes);
    }

    /// Says that the terminal has another size from now on.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.queue.resize(self.began, side(columns), side(rows));
    }

    /// Waits until the queue has room. Who does not wait for it before reading on from the target may fill the queue,
    /// which ends the recording.
    pub async fn room(&self) {
        self.queue.room().await;
    }

    /// Waits until the recording fails: then the session must end.
    pub async fn failed(&self) -> TapeProblem {
        self.queue.failed().await
    }

    /// Why it failed, where it did.
    #[must_use]
    pub fn problem(&self) -> Option<TapeProblem> {
        self.queue.problem()
    }

    /// Ends the recording. What waits is written by its own thread.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// A side of a terminal, within bounds.
fn side(given: u16) -> u16 {
    given.clamp(1, SIDE_MAX)
}
