//! What recorders, keeper and sealer share: the end of the log, the gate to the disk, the spool, the counts.
//!
//! Locks are taken in this order: a batch, then the spool or the appender; the spool, then the appender. None is held
//! across an `.await`.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use policy::Clock;

use crate::append::Appender;
use crate::batch::Batch;
use crate::bundle::{Bundle, Kind};
use crate::fold::Folds;
use crate::gate::Gate;
use crate::held::Count;
use crate::round::Place;
use crate::spool::Spool;
use crate::tape::OpenTapes;
use crate::watch::{Sight, Watch};
use crate::{ClockReading, LogHealth, LogProblem, disk, kernel_clock};

/// The inside of an open log.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) directory: PathBuf,
    pub(crate) clock: Clock,
    pub(crate) gate: Gate,
    pub(crate) spool: Option<Spool>,
    /// Open accesses.
    pub(crate) open: Count,
    pub(crate) open_max: usize,
    /// Open accesses whose opening went to the spool.
    pub(crate) spooled: Count,
    /// Records that take others in.
    pub(crate) folds: Folds,
    /// Recordings under way.
    pub(crate) tapes: OpenTapes,
    /// Lines that a signed checkpoint covers.
    pub(crate) signed: AtomicU64,
    appender: Mutex<Appender>,
    batches: Mutex<Vec<Weak<Batch>>>,
    free_bytes_min: u64,
    free_bytes: AtomicU64,
    /// How full the disk is, in percent.
    disk_percent: AtomicU8,
    size_bytes_max: Option<u64>,
    /// How large the segments are, as they were last measured.
    size_bytes: AtomicU64,
    segment_age_max: Duration,
    full: AtomicBool,
    watch: Mutex<Watch>,
    /// How the kernel's clock was when it was last looked at.
    clock_reading: Mutex<ClockReading>,
    stopping: AtomicBool,
    /// Why the last write failed; none after one that did not.
    write_problem: Mutex<Option<LogProblem>>,
    /// Why checkpoints are late.
    seal_problem: Mutex<Option<LogProblem>>,
    /// Why closed segments are not archived or deleted.
    archive_problem: Mutex<Option<LogProblem>>,
    /// The lock that keeps other processes away; given up when the log stops.
    process_lock: Mutex<Option<File>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    pub(crate) fn new(
        config: &config::Audit,
        clock: Clock,
        appender: Appender,
        spooled: Count,
        process_lock: File,
    ) -> Result<Self, LogProblem> {
        Ok(Self {
            directory: config.directory.clone(),
            clock,
            gate: Gate::default(),
            spool: config.emergency_spool.as_deref().map(Spool::open).transpose()?,
            open: Count::default(),
            open_max: config.open_accesses_max,
            spooled,
            folds: Folds::default(),
            tapes: OpenTapes::default(),
            signed: AtomicU64::new(0),
            appender: Mutex::new(appender),
            batches: Mutex::default(),
            free_bytes_min: config.free_bytes_min,
            free_bytes: AtomicU64::new(0),
            disk_percent: AtomicU8::new(0),
            size_bytes_max: config.size_bytes_max,
            size_bytes: AtomicU64::new(0),
            segment_age_max: config.segment_age_max,
            watch: Mutex::default(),
            clock_reading: Mutex::new(kernel_clock()),
            full: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            write_problem: Mutex::default(),
            seal_problem: Mutex::default(),
            archive_problem: Mutex::default(),
            process_lock: Mutex::new(Some(process_lock)),
        })
    }

    pub(crate) fn appender(&self) -> MutexGuard<'_, Appender> {
        lock(&self.appender)
    }

    /// Whether new accesses and facts may be written; closing lines always may.
    pub(crate) fn accepting(&self) -> Result<(), LogProblem> {
        if self.is_stopping() {
            return Err(LogProblem::Stopped);
        }
        if let Some(max_bytes) = self.size_bytes_max.filter(|max| self.size() >= *max) {
            let directory = self.directory.display().to_string();
            return Err(LogProblem::TooLarge { directory, size_bytes: self.size(), max_bytes });
        }
        if self.full.load(Ordering::Acquire) {
            return Err(LogProblem::Full {
                directory: self.directory.display().to_string(),
                free_bytes: self.free_bytes.load(Ordering::Acquire),
                needed_bytes: self.free_bytes_min,
            });
        }
        Ok(())
    }

    /// Writes a bundle to the log, all or nothing.
    pub(crate) fn append(&self, bundle: &Bundle) -> Result<Place, LogProblem> {
        let outcome = self.appender().append(bundle);
        let mut problem = lock(&self.write_problem);
        match (&outcome, problem.is_some()) {
            (Ok(_), false) => {}
            (Ok(_), true) => {
                tracing::info!("the audit log can be written again");
                *problem = None;
            }
            (Err(new), known) => {
                if !known && *new != LogProblem::Stopped {
                    tracing::error!(problem = %new, "the audit log cannot be written");
                }
                *problem = Some(new.clone());
            }
        }
        outcome
    }

    /// Syncs what is written and lets through who waits for it.
    pub(crate) fn sync(&self) -> Result<(), LogProblem> {
        let (file, end) = self.appender().written();
        if let Some(known) = self.gate.outcome(end) {
            return known;
        }
        #[cfg(test)]
        let synced = self.appender().faults.before_sync().and_then(|()| file.sync_data());
        #[cfg(not(test))]
        let synced = file.sync_data();
        if let Err(error) = synced {
            let problem = LogProblem::disk(&self.directory, &error);
            tracing::error!(%problem, "the audit log cannot be synced; nothing is recorded in it until a restart");
            self.appender().fail(problem.clone());
            self.fail_gate(problem.clone());
            return Err(problem);
        }
        self.gate.advance(end);
        Ok(())
    }

    /// Whether the last write failed.
    pub(crate) fn is_failing(&self) -> bool {
        lock(&self.write_problem).is_some()
    }

    /// Looks how much is free on the disk.
    pub(crate) fn look_at_disk(&self) {
        let free = match disk::room(&self.directory) {
            Ok(room) => {
                self.disk_percent.store(room.percent, Ordering::Release);
                room.free_bytes
            }
            Err(error) => {
                tracing::warn!(%error, "cannot tell how much is free on the audit log's disk");
                return;
            }
        };
        self.free_bytes.store(free, Ordering::Release);
        let full = free < self.free_bytes_min;
        if full != self.full.swap(full, Ordering::AcqRel) {
            if full {
                tracing::error!(free_bytes = free, "the audit log's disk is full");
            } else {
                tracing::info!(free_bytes = free, "the audit log's disk has room again");
            }
        }
    }

    /// Whether so much can be written besides the lines, and the log still has the room that it must have.
    pub(crate) fn has_room_for(&self, bytes: u64) -> Result<(), LogProblem> {
        let room = disk::room(&self.directory).map_err(|error| LogProblem::disk(&self.directory, &error))?;
        let needed_bytes = self.free_bytes_min.saturating_add(bytes);
        if room.free_bytes >= needed_bytes {
            return Ok(());
        }
        let directory = self.directory.display().to_string();
        Err(LogProblem::Full { directory, free_bytes: room.free_bytes, needed_bytes })
    }

    /// Looks at the rest of the world: room, clock, and the age of the segment. What changed is written to the log.
    pub(crate) fn look_around(&self) {
        #[cfg(test)]
        let (percent, clock, tick) = self.appender().faults.sight();
        #[cfg(not(test))]
        let (percent, clock, tick) = (self.percent(), kernel_clock(), Some(Instant::now()));
        *lock(&self.clock_reading) = clock;
        let seen = Sight { at: self.clock.now(), tick, percent, clock };
        let mut watch = lock(&self.watch);
        let mut looked = *watch;
        let mut bundle = Bundle::default();
        let mut told = looked.look(&seen).into_iter();
        let pushed = told.try_for_each(|body| bundle.push(Kind::Fact, |out, _| out.extend_from_slice(&body)));
        // What could not be written is told again.
        if bundle.is_empty() || pushed.and_then(|()| self.append(&bundle).map(|_| ())).is_ok() {
            *watch = looked;
        }
        if let Err(problem) = self.appender().rotate_if_old(self.segment_age_max) {
            tracing::debug!(%problem, "the segment of the audit log is closed later");
        }
    }

    /// How full the log or its disk is, in percent.
    fn percent(&self) -> u8 {
        let of_max = self.size_bytes_max.map_or(0, |max| disk::percent(self.size(), max));
        of_max.max(self.disk_percent.load(Ordering::Acquire))
    }

    pub(crate) fn set_size(&self, bytes: u64) {
        self.size_bytes.store(bytes, Ordering::Release);
    }

    fn size(&self) -> u64 {
        self.size_bytes.load(Ordering::Acquire)
    }

    /// How the kernel's clock was when it was last looked at.
    pub(crate) fn clock_reading(&self) -> ClockReading {
        *lock(&self.clock_reading)
    }

    /// Adds a worker's batch to those that are flushed when they lie.
    pub(crate) fn register(&self, batch: &Arc<Batch>) {
        lock(&self.batches).push(Arc::downgrade(batch));
    }

    /// Writes whatever lies in batches, and lets those look who wait there.
    pub(crate) fn look_after_batches(&self) {
        let now = Instant::now();
        self.batches().iter().for_each(|batch| batch.look_after(now));
    }

    /// Nothing will be synced any more: tells everybody who waits for it.
    pub(crate) fn fail_gate(&self, problem: LogProblem) {
        self.gate.fail(problem);
        self.batches().iter().for_each(|batch| batch.wake());
    }

    fn batches(&self) -> Vec<Arc<Batch>> {
        let mut batches = lock(&self.batches);
        batches.retain(|batch| batch.strong_count() > 0);
        batches.iter().filter_map(Weak::upgrade).collect()
    }

    /// Merges waiting lines of the emergency spool, up to one megabyte, and says how many. `wanted` may leave out lines
    /// by the spool's name, their place in it and body.
    pub(crate) fn merge_spool(&self, mut wanted: impl FnMut(&str, u64, &str) -> bool) -> Result<u64, LogProblem> {
        let Some(spool) = self.spool.as_ref().filter(|spool| spool.bytes() > 0) else { return Ok(0) };
        let Some(due) = spool.due()? else { return Ok(0) };
        let mut bundle = Bundle::default();
        let mut merged = 0;
        for (name, place, body) in due.lines().filter(|(name, place, body)| wanted(name, *place, body)) {
            bundle.push(Kind::Fact, |out, _| {
                out.extend_from_slice(format!("\"spool\":\"{name}/{place}\",").as_bytes());
                out.extend_from_slice(body.as_bytes());
            })?;
            merged += 1;
        }
        if merged > 0 {
            self.appender().merging();
            self.append(&bundle)?;
            self.sync()?;
        }
        spool.settle(due)?;
        Ok(merged)
    }

    /// Whether lines go to the spool, or none is configured.
    pub(crate) fn spool_line(&self, body: &[u8]) -> Option<Result<(), LogProblem>> {
        self.spool.as_ref().map(|spool| spool.append(self.clock.now(), body))
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(crate) fn begin_stop(&self) -> bool {
        !self.stopping.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn let_go(&self) {
        drop(lock(&self.process_lock).take());
    }

    pub(crate) fn set_seal_problem(&self, problem: Option<LogProblem>) {
        let mut known = lock(&self.seal_problem);
        if let (None, Some(problem)) = (&*known, &problem) {
            tracing::warn!(%problem, "checkpoints of the audit log are late");
        }
        *known = problem;
    }

    pub(crate) fn set_archive_problem(&self, problem: Option<LogProblem>) {
        let mut known = lock(&self.archive_problem);
        if let (None, Some(problem)) = (&*known, &problem) {
            tracing::error!(%problem, "closed segments of the audit log stay as they are");
        }
        *known = problem;
    }

    pub(crate) fn health(&self) -> LogHealth {
        let refused = self.accepting().err().or_else(|| lock(&self.write_problem).clone());
        let lines = self.appender().next();
        let failed = self.gate.outcome(lines).and_then(Result::err);
        let stops = refused.or(failed);
        LogHealth {
            writable: stops.is_none(),
            problem: stops.or_else(|| lock(&self.seal_problem).clone()).map(|problem| problem.to_string()),
            free_bytes: self.free_bytes.load(Ordering::Acquire),
            full_percent: self.percent(),
            size_bytes: self.size(),
            clock: self.clock_reading(),
            archive_problem: lock(&self.archive_problem).as_ref().map(ToString::to_string),
            open_accesses: self.open.held(),
            open_accesses_max: self.open_max,
            spool_bytes: self.spool.as_ref().map_or(0, Spool::bytes),
            lines,
            lines_synced: self.gate.synced(),
            lines_signed: self.signed.load(Ordering::Acquire),
        }
    }
}
