//! Why there is no backup, or why one is not believed, in words an operator can act on.

use std::path::Path;

use audit::LogProblem;

/// Why a backup was not made, is not whole, or was not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupProblem {
    /// The operating system refused to read or write.
    #[error("`{place}`: {reason}")]
    Disk {
        /// The file or folder.
        place: String,
        /// What the operating system said.
        reason: String,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogProblem),
    /// Something of a backup is missing, cut short or changed.
    #[error("`{place}`: {reason}")]
    Damaged {
        /// The file of the backup, or the file that was backed up.
        place: String,
        /// What does not fit.
        reason: String,
    },
    /// A later program wrote it.
    #[error("backup {number}: {what}; use sekimori {program} or later")]
    Newer {
        /// The number of the backup.
        number: u64,
        /// What this program does not know.
        what: String,
        /// The program that wrote it.
        program: String,
    },
    /// It cannot be done as asked.
    #[error("{0}")]
    Refused(String),
}

impl BackupProblem {
    pub(crate) fn disk(place: &Path, error: &std::io::Error) -> Self {
        Self::Disk { place: place.display().to_string(), reason: error.to_string() }
    }

    pub(crate) fn damaged(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Damaged { place: place.into(), reason: reason.into() }
    }

    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused(reason.into())
    }
}
