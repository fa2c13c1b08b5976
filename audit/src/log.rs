//! The log as a whole: opening, stopping, its threads.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use policy::Clock;

use crate::archiver::Archiver;
use crate::core::Core;
use crate::sealer::Sealer;
use crate::{LogHealth, LogProblem, Recorder, Tapes, keeper, recover};

/// The access log of one node; clones are the same log. It stops when the last clone and the last recorder are gone.
#[derive(Clone, Debug)]
pub struct Log {
    core: Arc<Core>,
    running: Arc<Running>,
    public_key: Arc<str>,
    tapes: Tapes,
}

/// What opening the log put in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Recovery {
    /// Accesses that had never been closed, closed now as `unknown`.
    pub unknown: u64,
    /// Bytes that had not been written to the end of a line, cut off and kept in `torn/`.
    pub torn_bytes: u64,
    /// Lines merged from the emergency spool.
    pub merged: u64,
}

impl Log {
    /// Opens the log, or begins it, and puts in order what a crash left behind: a torn line is cut off and kept aside,
    /// the emergency spool is merged, accesses that were never closed are closed as `unknown`. Blocks while it reads.
    ///
    /// `node_key_dir` holds the key that signs; it is made where there is none and the log is empty.
    ///
    /// # Errors
    /// [`LogProblem`] where another process has it, it cannot be written, or what is there is not what was signed.
    pub fn open(
        config: &config::Audit,
        facility: &config::Facility,
        node_key_dir: &Path,
        clock: Clock,
    ) -> Result<(Self, Recovery), LogProblem> {
        let (core, sealer, archiver, recovery) = recover::open(config, facility, node_key_dir, clock)?;
        let public_key = Arc::from(sealer.public_key());
        let (keys, recovery_key) = (archiver.reader.keys().clone(), archiver.work.recovery.clone());
        let running = Arc::new(Running::start(Arc::clone(&core), sealer, archiver, config.sync_interval)?);
        let tapes = Tapes::new(Arc::clone(&core), Arc::clone(&running), keys, recovery_key);
        Ok((Self { core, running, public_key, tapes }, recovery))
    }

    /// A recorder for one worker thread.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        Recorder::new(Arc::clone(&self.core), Arc::clone(&self.running))
    }

    /// Makes recordings of terminals, which the log vouches for.
    #[must_use]
    pub fn tapes(&self) -> Tapes {
        self.tapes.clone()
    }

    /// How the log is doing.
    #[must_use]
    pub fn health(&self) -> LogHealth {
        self.core.health()
    }

    /// The key that checks the log's signatures, as a signed-note verifier key: give it to auditors.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// Writes what waits, syncs, signs a last checkpoint and lets go of the log. Records after this are refused; call
    /// it when the last access is closed. Blocks.
    pub fn stop(&self) {
        self.running.stop();
    }

    #[cfg(test)]
    pub(crate) fn core(&self) -> &Core {
        &self.core
    }
}

/// The threads of an open log; dropping it stops them.
#[derive(Debug)]
pub(crate) struct Running {
    core: Arc<Core>,
    sealing_is_over: Arc<AtomicBool>,
    keeper: Mutex<Option<JoinHandle<()>>>,
    sealer: Mutex<Option<JoinHandle<()>>>,
    archiver: Mutex<Option<JoinHandle<()>>>,
}

impl Running {
    fn start(core: Arc<Core>, sealer: Sealer, archiver: Archiver, sync_interval: Duration) -> Result<Self, LogProblem> {
        let problem = |error: std::io::Error| LogProblem::disk(&core.directory, &error);
        let sealing_is_over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&sealing_is_over);
        let sealer = std::thread::Builder::new()
            .name("audit-sealer".to_owned())
            .spawn(move || sealer.run(|| is_over.load(Ordering::Acquire)))
            .map_err(problem)?;
        let kept = Arc::clone(&core);
        let keeper = std::thread::Builder::new()
            .name("audit-keeper".to_owned())
            .spawn(move || keeper::run(&kept, sync_interval))
            .map_err(problem)?;
        core.gate.set_keeper(keeper.thread().clone());
        let archiver = std::thread::Builder::new()
            .name("audit-archiver".to_owned())
            .spawn(move || archiver.run())
            .map_err(problem)?;
        let [keeper, sealer, archiver] = [keeper, sealer, archiver].map(|thread| Mutex::new(Some(thread)));
        Ok(Self { core, sealing_is_over, keeper, sealer, archiver })
    }

    fn stop(&self) {
        if !self.core.begin_stop() {
            return;
        }
        join(&self.keeper);
        join(&self.archiver);
        self.core.folds.end_all();
        self.core.tapes.end_all();
        self.core.look_after_batches();
        self.core.appender().fail(LogProblem::Stopped);
        // A failure is with the gate, and the sealer will not sign over it.
        drop(self.core.sync());
        self.core.fail_gate(LogProblem::Stopped);
        self.sealing_is_over.store(true, Ordering::Release);
        join(&self.sealer);
        self.core.let_go();
    }
}

fn join(thread: &Mutex<Option<JoinHandle<()>>>) {
    let handle = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(handle) = handle {
        handle.thread().unpark();
        if handle.join().is_err() {
            tracing::error!("a thread of the audit log ended in a panic");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}
