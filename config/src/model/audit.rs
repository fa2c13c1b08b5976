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
    /// A segment is closed when it is this old, however small it is.
    pub segment_age_max: Duration,
    /// Whether closed segments are archived: compressed, and encrypted where [`Audit::encryption`] says so.
    pub archive: bool,
    /// The log counts as full when its segments are this large; only the disk bounds it where absent.
    pub size_bytes_max: Option<u64>,
    /// How long every line is kept at least.
    pub keep: Duration,
    /// Archived segments whose lines are all older than this are deleted; never where absent. Not less than
    /// [`Audit::keep`].
    pub delete_after: Option<Duration>,
    /// Under which keys archived segments are encrypted; they are not where absent.
    pub encryption: Option<AuditEncryption>,
}

/// Under which keys archived segments of the log are encrypted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditEncryption {
    /// The file of the key ring; made at the first start where there is none.
    pub ring: PathBuf,
    /// The recovery key as `sekimori audit key escrow` prints it: `x25519:` and base64.
    pub recovery_key: Option<String>,
}
