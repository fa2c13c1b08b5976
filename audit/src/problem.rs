//! Why the log cannot do what was asked, in words an operator can act on.

use std::path::Path;

/// Why the log cannot record, open or be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogProblem {
    /// Another process has the log open.
    #[error("`{directory}`: another process has this log open; stop it first, one process writes one log")]
    InUse {
        /// The log's directory.
        directory: String,
    },
    /// The operating system refused to read or write.
    #[error("`{place}`: {reason}")]
    Disk {
        /// The file or directory.
        place: String,
        /// What the operating system said.
        reason: String,
    },
    /// Less is free on the disk than the configuration keeps back.
    #[error(
        "`{directory}`: {free_bytes} bytes are free and `audit.free_min` keeps {needed_bytes}; make room on the disk"
    )]
    Full {
        /// The log's directory.
        directory: String,
        /// What is free.
        free_bytes: u64,
        /// What must be free.
        needed_bytes: u64,
    },
    /// The log is as large as the configuration allows.
    #[error(
        "`{directory}`: the log's segments have {size_bytes} bytes and `audit.size_max` allows {max_bytes}; allow more"
    )]
    TooLarge {
        /// The log's directory.
        directory: String,
        /// How large its segments are.
        size_bytes: u64,
        /// How large they may be.
        max_bytes: u64,
    },
    /// As many accesses are open as the configuration allows.
    #[error("{max} accesses are open, as many as `audit.open_accesses_max` allows")]
    TooManyOpen {
        /// How many may be open.
        max: usize,
    },
    /// A record would be longer than a line of the log may be.
    #[error("a record of {bytes} bytes is longer than a line of the log may be")]
    LineTooLong {
        /// How long it would be.
        bytes: usize,
    },
    /// The log was stopped.
    #[error("the log was stopped")]
    Stopped,
    /// What is on disk is not what was signed.
    #[error("`{place}`: {reason}; keep the directory as it is and run `sekimori audit verify`")]
    Damaged {
        /// The file or directory.
        place: String,
        /// What does not fit.
        reason: String,
    },
    /// The signing key cannot be used for this log.
    #[error("`{place}`: {reason}")]
    Key {
        /// The key's file.
        place: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// `audit.origin` cannot stand in a checkpoint.
    #[error("`{origin}` cannot be the log's origin: it may not be empty nor hold spaces, `+` or control characters")]
    Origin {
        /// The origin as configured.
        origin: String,
    },
}

impl LogProblem {
    /// Says what the operating system refused, and where.
    pub(crate) fn disk(place: &Path, error: &std::io::Error) -> Self {
        Self::Disk { place: place.display().to_string(), reason: error.to_string() }
    }

    /// Says what does not fit, and where.
    pub(crate) fn damaged(place: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { place: place.display().to_string(), reason: reason.into() }
    }
}
