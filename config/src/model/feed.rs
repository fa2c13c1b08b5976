//! Receivers of the access log: the hospital's own audit repository or SIEM.

use std::collections::BTreeSet;
use std::time::Duration;

use policy::FeedId;

use crate::UpstreamTls;

/// One receiver that the access log is told to, as syslog over mutual TLS (RFC 5425).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Feed {
    /// Its name; where it has come to is kept under it.
    pub id: FeedId,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The CA of its certificate, the certificate the gateway shows (never absent), and the name it must hold.
    pub tls: UpstreamTls,
    /// What a message holds.
    pub format: FeedFormat,
    /// What it is told; never empty.
    pub events: BTreeSet<FeedEvents>,
    /// Where it begins when it is new.
    pub begin: FeedBegin,
    /// The longest message it takes, in bytes; a longer one is left out and counted, never cut.
    pub message_bytes_max: usize,
    /// How long a connection must live on before what was sent on it counts as arrived.
    pub settle: Duration,
    /// What waits longer than this is an alarm.
    pub alarm_after: Duration,
}

/// What a message of a feed holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FeedFormat {
    /// The line of the log as it is.
    Json,
    /// A DICOM audit message (PS3.15 A.5) for each access and fact that the standard has a word for (IHE ITI-20).
    DicomXml,
    /// A FHIR R4 AuditEvent for each of them, by IHE BALP where that has a profile.
    Fhir,
}

/// Where a feed begins of which nothing is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FeedBegin {
    /// At the first line of the log.
    Oldest,
    /// At what is recorded from then on.
    Now,
}

/// A kind of what is recorded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FeedEvents {
    /// Accesses that were allowed.
    Accesses,
    /// Whatever was refused: accesses, connections, requests, proofs.
    Refusals,
    /// Sign-ins, sign-outs and sessions.
    SignIns,
    /// Changes of people, keys, devices, and of the policy.
    Changes,
    /// The gateway itself: start and stop, outages, the log and who read it.
    Gateway,
}

impl FeedEvents {
    /// All of them, with their words in the configuration.
    pub const ALL: [(&'static str, Self); 5] = [
        ("accesses", Self::Accesses),
        ("refusals", Self::Refusals),
        ("sign-ins", Self::SignIns),
        ("changes", Self::Changes),
        ("gateway", Self::Gateway),
    ];
}
