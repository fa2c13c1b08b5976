//! Why the index cannot answer, in words an operator can act on.

use std::path::Path;

use audit::LogProblem;

/// Why the index cannot be opened, written or asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindProblem {
    /// There is no index yet.
    #[error(
        "`{place}`: there is no index yet; the gateway makes it when it starts, or run `sekimori audit index rebuild`"
    )]
    Missing {
        /// Where it would be.
        place: String,
    },
    /// Another process writes it.
    #[error("`{place}`: another process writes this index")]
    InUse {
        /// The index's directory.
        place: String,
    },
    /// The operating system refused to read or write.
    #[error("`{place}`: {reason}")]
    Disk {
        /// The file or directory.
        place: String,
        /// What the operating system said.
        reason: String,
    },
    /// What is on disk cannot be read as an index.
    #[error("`{place}`: the index cannot be read: {reason}; nothing is lost, run `sekimori audit index rebuild`")]
    Damaged {
        /// The index's directory, or the file.
        place: String,
        /// What does not fit.
        reason: String,
    },
    /// A file of the index was taken away while it was read.
    #[error("`{place}`: it was taken away meanwhile, as whoever writes the index puts files together; ask again")]
    Gone {
        /// The file.
        place: String,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogProblem),
    /// What was asked cannot be read.
    #[error("`{value}` is no {what}; {remedy}")]
    Question {
        /// What it should be.
        what: &'static str,
        /// What was given.
        value: String,
        /// How it is written.
        remedy: &'static str,
    },
    /// What was asked fits too much to be looked at one by one.
    #[error("`{value}` fits more than {max} different {what}; ask for something narrower")]
    TooBroad {
        /// Of what there is too much.
        what: &'static str,
        /// What was asked.
        value: String,
        /// How many there may be.
        max: usize,
    },
    /// The answer took longer than it may.
    #[error("the answer took longer than it may; ask for a shorter time, or for something narrower")]
    TooLong,
    /// Whoever asked no longer wants to know.
    #[error("the question was withdrawn")]
    Cancelled,
}

impl FindProblem {
    /// Says what the operating system refused, and where.
    pub(crate) fn disk(place: &Path, error: &std::io::Error) -> Self {
        Self::Disk { place: place.display().to_string(), reason: error.to_string() }
    }

    /// Says what cannot be read, and why.
    pub(crate) fn damaged(place: &Path, reason: &str) -> Self {
        Self::Damaged { place: place.display().to_string(), reason: reason.to_owned() }
    }
}
