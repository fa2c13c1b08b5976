//! How the log is doing, for metrics and alarms.

use crate::ClockReading;

/// How the log is doing at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogHealth {
    /// Whether accesses can be recorded in the log itself.
    pub writable: bool,
    /// What is wrong, where something is; also what only delays checkpoints.
    pub problem: Option<String>,
    /// Bytes free on the log's disk, as of the last second.
    pub free_bytes: u64,
    /// How full the log or its disk is, in percent: the fuller of the two counts.
    pub full_percent: u8,
    /// Bytes of the log's segments, as of the last seconds.
    pub size_bytes: u64,
    /// How the machine's clock is, as its kernel says.
    pub clock: ClockReading,
    /// Why closed segments are not archived or deleted, where they should be.
    pub archive_problem: Option<String>,
    /// Accesses that are open.
    pub open_accesses: usize,
    /// Accesses that may be open.
    pub open_accesses_max: usize,
    /// Bytes in the emergency spool that wait to be merged; more than zero is an alarm.
    pub spool_bytes: u64,
    /// Lines in the log.
    pub lines: u64,
    /// Lines that are on disk for sure.
    pub lines_synced: u64,
    /// Lines that a signed checkpoint covers.
    pub lines_signed: u64,
}

impl LogHealth {
    /// Whether records go to the emergency spool, or wait there.
    #[must_use]
    pub fn spool_in_use(&self) -> bool {
        self.spool_bytes > 0
    }
}
