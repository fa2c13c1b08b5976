//! What can be wrong with certificates and keys, in words for whoever must repair it.

use std::path::Path;

/// What is wrong with a certificate or key, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}; {remedy}")]
pub struct CertProblem {
    /// The file, or the name of what has no file.
    pub place: String,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

impl CertProblem {
    pub(crate) fn new(place: impl Into<String>, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { place: place.into(), reason: reason.into(), remedy: remedy.into() }
    }

    pub(crate) fn at(file: &Path, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(file.display().to_string(), reason, remedy)
    }
}
