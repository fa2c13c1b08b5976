//! Backups.

use std::path::PathBuf;
use std::time::Duration;

/// Backups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backup {
    /// The folder of backups where the command line names none.
    pub folder: Option<PathBuf>,
    /// Who can open them, as `sekimori audit key escrow` prints it; the log's recovery key where none is here.
    pub recovery_keys: Vec<String>,
    /// `doctor` warns when the last verified backup is older than this.
    pub verified_within: Duration,
}

impl Backup {
    /// How old the last verified backup may be unless told otherwise: each week, and a day.
    pub const VERIFIED_WITHIN: Duration = Duration::from_secs(8 * 86_400);
}
