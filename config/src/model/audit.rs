//! The access log.

use std::path::PathBuf;
use std::time::Duration;

/// The access log.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Where its segments lie.
    pub directory: PathBuf,
    /// The log's name in its checkpoints, such as `sekimori.clinic.example.jp/gw01`.
    pub origin: String,
    /// A segment is closed when it reaches this size.
    pub segment_bytes_max: u64,
    /// How long a `Written` record may wait for the disk.
    pub sync_interval: Duration,
    /// How many accesses may be open at once; more are refused with 503.
    pub open_accesses_max: usize,
    /// Where accesses are recorded when the log cannot be written; none where absent.
    pub emergency_spool: Option<PathBuf>,
    /// The log counts as full when less than this is free on its disk.
    pub free_bytes_min: u64,
}
