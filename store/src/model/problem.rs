//! Why the store did not do it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// Why the store did not do it. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreProblem {
    /// The store is locked, gone or overloaded; the same call may succeed later.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// What is kept cannot be read.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
    /// There is one with this name already.
    #[error("`{0}` exists already")]
    Exists(String),
    /// A bound is reached: on started ceremonies, invitations, keys of a person and their kind.
    #[error("there are too many already")]
    Full,
    /// What the change rests on is unknown, or was disabled, revoked or removed.
    #[error("{0}")]
    NotInForce(Lapsed),
}

impl StoreProblem {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::Corrupt(_) | Self::Exists(_) | Self::Full | Self::NotInForce(_) => false,
        }
    }
}

/// What is not, or no longer, in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lapsed {
    /// The person is unknown or disabled.
    Person,
    /// The device is unknown or revoked.
    Device,
    /// The credential is unknown or was removed, or is another person's.
    Credential,
    /// The roles are no longer those that were read.
    Roles,
    /// The session is over or parked, is another person's, or shows too little.
    Session,
    /// The sessions of the person were ended while they were signing in.
    SignIn,
    /// The temporary code is out of time or was revoked.
    Code,
    /// The line of the inventory was removed, or the inventory was changed.
    Line,
}

impl fmt::Display for Lapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Person => "the person is unknown or disabled",
            Self::Device => "the device is unknown or revoked",
            Self::Credential => "the key is unknown or was removed",
            Self::Roles => "the roles were changed meanwhile",
            Self::Session => "the session is over, or shows too little",
            Self::SignIn => "the sessions of the person were ended meanwhile",
            Self::Code => "the temporary code is out of time or was revoked",
            Self::Line => "the line is unknown or was removed, or the inventory was changed meanwhile",
        })
    }
}

/// An answer that the store will give.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreProblem>> + Send + 'a>>;
