//! How an access ended: what its closing line says.

use std::time::Duration;

use policy::{Patients, Reason};

/// How an access ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The HTTP status that was answered; none where no answer began.
    pub status: Option<u16>,
    /// Why it ended.
    pub end: End,
    /// Body bytes from the client.
    pub bytes_in: u64,
    /// Body bytes to the client.
    pub bytes_out: u64,
    /// From the request to the end.
    pub duration: Duration,
    /// The patients it was about that its opening did not name.
    pub patients: Option<Box<Patients>>,
    /// The names that a protocol said in the clear: both sides of a DICOM association.
    pub said: Option<Box<str>>,
}

/// What is known at its start of whom an access is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The patients and studies that the request names.
    pub patients: &'a Patients,
    /// The study whose parts are folded into one record, where the route folds.
    pub folded: Option<&'a str>,
}

/// Why an access ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The answer was sent to its last byte.
    Served,
    /// The protocol was switched, and the stream ended in order.
    Upgraded,
    /// The client hung up.
    ClientGone,
    /// The upstream could not be reached or broke off.
    UpstreamFailed,
    /// The upstream took longer than it may.
    UpstreamTimeout,
    /// The gateway would not take or pass on what came: a body too large, an answer it cannot read.
    Refused,
    /// The policy's answer changed while the access was open.
    Revoked(Reason),
    /// The gateway stopped.
    Stopped,
    /// The receipt was dropped without a word: a cancelled task or a panic.
    Abandoned,
}

impl End {
    /// Its code in the log.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Upgraded => "upgraded",
            Self::ClientGone => "client-gone",
            Self::UpstreamFailed => "upstream-failed",
            Self::UpstreamTimeout => "upstream-timeout",
            Self::Refused => "refused",
            Self::Revoked(_) => "revoked",
            Self::Stopped => "stopped",
            Self::Abandoned => "abandoned",
        }
    }
}
