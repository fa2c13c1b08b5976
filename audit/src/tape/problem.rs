//! Why a recording fails.

use crate::LogProblem;

/// Why a recording cannot begin or go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TapeProblem {
    /// The log, its disk or its keys do not take it.
    #[error(transparent)]
    Log(#[from] LogProblem),
    /// The disk does not keep up with what the target shows.
    #[error("the recording does not keep up with the terminal; look at the disk of the log")]
    Behind,
    /// It is as long as a recording may be.
    #[error("the recording is as long as one may be: {bytes} bytes; connect again to go on")]
    TooLong {
        /// How long one may be.
        bytes: u64,
    },
    /// As many terminals are being recorded as may be.
    #[error("{max} terminals are being recorded, as many as may be at once")]
    TooMany {
        /// How many may be.
        max: usize,
    },
}

impl TapeProblem {
    /// Its word in the log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Log(_) => "failed",
            Self::Behind => "behind",
            Self::TooLong { .. } => "too-long",
            Self::TooMany { .. } => "too-many",
        }
    }
}
