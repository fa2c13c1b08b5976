//! The kinds of facts that are recorded beside accesses, each with its code in the log.

use Origin::{Node, Store};

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Event {
    /// A person signed in.
    SignedIn,
    /// A sign-in failed.
    SignInFailed,
    /// A person proved again, or more surely, who they are.
    SteppedUp,
    /// A person signed out.
    SignedOut,
    /// A proof by key was refused: the wrong origin, no user verification, a counter that went back and their kind.
    CeremonyRefused,
    /// A session was ended by someone else, or by its limits.
    SessionEnded,
    /// The roles of an open session changed, as its provider said.
    SessionChanged,
    /// A session was parked: another person took over the shared terminal.
    SessionParked,
    /// A parked or locked session was taken up again by its person.
    SessionResumed,
    /// A session on a shared terminal was locked: nobody had used it for a while.
    SessionLocked,
    /// A provider said that a person signed out there, and their sessions were ended.
    LogoutAccepted,
    /// A message that pretended to be a provider's sign-out was refused.
    LogoutRefused,
    /// A person was added.
    PersonAdded,
    /// A person was changed: name, roles, unit.
    PersonChanged,
    /// A person was disabled: sessions and invitations ended, keys unusable.
    PersonDisabled,
    /// A disabled person was enabled again.
    PersonEnabled,
    /// A person got a key (passkey).
    KeyAdded,
    /// A key was given another name.
    KeyRenamed,
    /// A key was removed; the sessions opened with it ended.
    KeyRemoved,
    /// An invitation was made: a one-time code for a person or a device.
    InvitationMade,
    /// An invitation was used.
    InvitationUsed,
    /// An invitation was revoked before it was used.
    InvitationRevoked,
    /// A supervisor issued a temporary code to a person whose key is lost or broken.
    TemporaryCodeIssued,
    /// A temporary code was used to sign in.
    TemporaryCodeUsed,
    /// A device was added to the ledger.
    DeviceAdded,
    /// What the ledger says of a device was changed.
    DeviceChanged,
    /// A device got another certificate.
    CertificateAdded,
    /// One certificate of a device was revoked.
    CertificateRevoked,
    /// A device was revoked.
    DeviceRevoked,
    /// A source told of the posture of devices.
    PostureReceived,
    /// What pretended to be a source of posture, or could not be read, was refused.
    PostureRefused,
    /// A provider is taken as out: people sign in by key, under the reduced policy.
    OutageBegan,
    /// A provider is back.
    OutageEnded,
    /// Somebody put the switch for outages of a provider elsewhere.
    OutageSwitched,
    /// The gateway started.
    Started,
    /// The gateway stopped.
    Stopped,
    /// A version of configuration and policy came into force.
    ConfigActivated,
    /// A version of configuration and policy was refused; the one before stays in force.
    ConfigRefused,
    /// A person went beyond the hourly bound of a rule that then only raises an alarm; told once an hour.
    CapExceeded,
    /// A version of configuration and policy was proposed.
    PolicyProposed,
    /// Another person approved a version that was proposed.
    PolicyApproved,
    /// The gateway went back to the version before, because people who had been allowed were denied.
    PolicyReturned,
    /// A vendor's window was asked for.
    GrantRequested,
    /// Somebody of the hospital approved a vendor's window.
    GrantApproved,
    /// Somebody on duty let a vendor's person in before it was approved.
    GrantAdmitted,
    /// Somebody of the hospital refused a vendor's window.
    GrantRefused,
    /// Whoever asked for a vendor's window took it back.
    GrantWithdrawn,
    /// An exception was ended before its time: a vendor's window or broken glass.
    GrantEnded,
    /// What was done in a vendor's window was reported.
    GrantReported,
    /// Somebody of the hospital confirmed the report of a vendor's window.
    GrantConfirmed,
    /// Somebody broke the glass.
    GlassBroken,
    /// Somebody judged how the glass was broken.
    GlassReviewed,
    /// Something that was due of an exception is overdue; the code says what: `approval`, `report`, `review`.
    GrantOverdue,
    /// Glass that was broken is whole again: its time is over, or it was ended.
    EmergencyEnded,
    /// A vendor's window began.
    VendorSessionBegan,
    /// A vendor's window is over: its time is, or it was ended.
    VendorSessionEnded,
    /// A line of the inventory of remote maintenance was added, changed or removed.
    InventoryChanged,
    /// The recording of a terminal began.
    RecordingBegan,
    /// How far the recording of a terminal is.
    RecordingMarked,
    /// The recording of a terminal is over.
    RecordingEnded,
    /// Somebody looked at the recording of a terminal, or took it away.
    RecordingViewed,
    /// A command was sent off in a terminal.
    CommandEntered,
    /// A file was carried to or from the target of a terminal.
    FileCarried,
    /// A TLS handshake was refused.
    TlsRefused,
    /// A request was refused before it could be judged.
    BadRequest,
    /// The log was read or exported.
    LogRead,
    /// A review of the log was opened: its sample was drawn.
    ReviewOpened,
    /// Somebody said what they found of a record under review.
    ReviewJudged,
    /// A review of the log was signed.
    ReviewSigned,
    /// The log was put in order after the gateway had died.
    Recovered,
    /// The log was put back from a backup, or is gone on with though lines are missing.
    Restored,
    /// A segment of the log is about to be deleted, because all its lines are older than they are to be kept.
    SegmentDeleted,
    /// Lines that say that a segment is to be deleted were found when the log was opened, and nothing signs them: they
    /// count for nothing.
    DeletionVoid,
    /// Somebody did something with the keys that encrypt the log.
    LogKeyChanged,
    /// This node checked another node's log up to a checkpoint, and vouches for it.
    PeerCheckpoint,
    /// Something is wrong with the nodes: one is silent, its log was set back or rewritten, settings differ.
    NodeAlarm,
    /// That is over.
    NodeAlarmOver,
    /// A server certificate came that the gateway ordered, and is shown from now on.
    CertificateOrdered,
    /// A later version of the program changed something in the store of which this one knows only the word: the code.
    UnknownChange,
    /// The log, or its disk, came to 70, 85 or 95 percent, or back below.
    LogCapacity,
    /// The kernel says that its clock is kept at true time again.
    ClockSynchronised,
    /// The kernel says that nothing keeps its clock at true time.
    ClockUnsynchronised,
    /// The clock was set: moments before and after cannot be compared.
    ClockStepped,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 83] = [
        Self::SignedIn,
        Self::SignInFailed,
        Self::SteppedUp,
        Self::SignedOut,
        Self::CeremonyRefused,
        Self::SessionEnded,
        Self::SessionChanged,
        Self::SessionParked,
        Self::SessionResumed,
        Self::SessionLocked,
        Self::LogoutAccepted,
        Self::LogoutRefused,
        Self::PersonAdded,
        Self::PersonChanged,
        Self::PersonDisabled,
        Self::PersonEnabled,
        Self::KeyAdded,
        Self::KeyRenamed,
        Self::KeyRemoved,
        Self::InvitationMade,
        Self::InvitationUsed,
        Self::InvitationRevoked,
        Self::TemporaryCodeIssued,
        Self::TemporaryCodeUsed,
        Self::DeviceAdded,
        Self::DeviceChanged,
        Self::CertificateAdded,
        Self::CertificateRevoked,
        Self::DeviceRevoked,
        Self::PostureReceived,
        Self::PostureRefused,
        Self::OutageBegan,
        Self::OutageEnded,
        Self::OutageSwitched,
        Self::Started,
        Self::Stopped,
        Self::ConfigActivated,
        Self::ConfigRefused,
        Self::CapExceeded,
        Self::PolicyProposed,
        Self::PolicyApproved,
        Self::PolicyReturned,
        Self::GrantRequested,
        Self::GrantApproved,
        Self::GrantAdmitted,
        Self::GrantRefused,
        Self::GrantWithdrawn,
        Self::GrantEnded,
        Self::GrantReported,
        Self::GrantConfirmed,
        Self::GlassBroken,
        Self::GlassReviewed,
        Self::GrantOverdue,
        Self::EmergencyEnded,
        Self::VendorSessionBegan,
        Self::VendorSessionEnded,
        Self::InventoryChanged,
        Self::RecordingBegan,
        Self::RecordingMarked,
        Self::RecordingEnded,
        Self::RecordingViewed,
        Self::CommandEntered,
        Self::FileCarried,
        Self::TlsRefused,
        Self::BadRequest,
        Self::LogRead,
        Self::ReviewOpened,
        Self::ReviewJudged,
        Self::ReviewSigned,
        Self::Recovered,
        Self::Restored,
        Self::SegmentDeleted,
        Self::DeletionVoid,
        Self::LogKeyChanged,
        Self::PeerCheckpoint,
        Self::NodeAlarm,
        Self::NodeAlarmOver,
        Self::CertificateOrdered,
        Self::UnknownChange,
        Self::LogCapacity,
        Self::ClockSynchronised,
        Self::ClockUnsynchronised,
        Self::ClockStepped,
    ];

    /// The one with this code.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.code() == code)
    }

    /// Its code in the log.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.row().0
    }

    /// Whether it tells of an event of the store: where several nodes serve, each records it.
    #[must_use]
    pub fn is_of_the_store(self) -> bool {
        self.row().1 == Store
    }

    /// Its code, and who knew of it first.
    fn row(self) -> (&'static str, Origin) {
        match self {
            Self::SignedIn => ("signed-in", Node),
            Self::SignInFailed => ("sign-in-failed", Node),
            Self::SteppedUp => ("stepped-up", Node),
            Self::SignedOut => ("signed-out", Node),
            Self::CeremonyRefused => ("ceremony-refused", Node),
            Self::SessionEnded => ("session-ended", Store),
            Self::SessionChanged => ("session-changed", Store),
            Self::SessionParked => ("session-parked", Store),
            Self::SessionResumed => ("session-resumed", Store),
            Self::SessionLocked => ("session-locked", Node),
            Self::LogoutAccepted => ("logout-accepted", Node),
            Self::LogoutRefused => ("logout-refused", Node),
            Self::PersonAdded => ("person-added", Store),
            Self::PersonChanged => ("person-changed", Store),
            Self::PersonDisabled => ("person-disabled", Store),
            Self::PersonEnabled => ("person-enabled", Store),
            Self::KeyAdded => ("key-added", Store),
            Self::KeyRenamed => ("key-renamed", Store),
            Self::KeyRemoved => ("key-removed", Store),
            Self::InvitationMade => ("invitation-made", Store),
            Self::InvitationUsed => ("invitation-used", Store),
            Self::InvitationRevoked => ("invitation-revoked", Store),
            Self::TemporaryCodeIssued => ("temporary-code-issued", Store),
            Self::TemporaryCodeUsed => ("temporary-code-used", Store),
            Self::DeviceAdded => ("device-added", Store),
            Self::DeviceChanged => ("device-changed", Store),
            Self::CertificateAdded => ("certificate-added", Store),
            Self::CertificateRevoked => ("certificate-revoked", Store),
            Self::DeviceRevoked => ("device-revoked", Store),
            Self::PostureReceived => ("posture-received", Node),
            Self::PostureRefused => ("posture-refused", Node),
            Self::OutageBegan => ("outage-began", Store),
            Self::OutageEnded => ("outage-ended", Store),
            Self::OutageSwitched => ("outage-switched", Store),
            Self::Started => ("started", Node),
            Self::Stopped => ("stopped", Node),
            Self::ConfigActivated => ("config-activated", Node),
            Self::ConfigRefused => ("config-refused", Node),
            Self::CapExceeded => ("cap-exceeded", Node),
            Self::PolicyProposed => ("policy-proposed", Store),
            Self::PolicyApproved => ("policy-approved", Store),
            Self::PolicyReturned => ("policy-returned", Node),
            Self::GrantRequested => ("grant-requested", Store),
            Self::GrantApproved => ("grant-approved", Store),
            Self::GrantAdmitted => ("grant-admitted", Store),
            Self::GrantRefused => ("grant-refused", Store),
            Self::GrantWithdrawn => ("grant-withdrawn", Store),
            Self::GrantEnded => ("grant-ended", Store),
            Self::GrantReported => ("grant-reported", Store),
            Self::GrantConfirmed => ("grant-confirmed", Store),
            Self::GlassBroken => ("glass-broken", Store),
            Self::GlassReviewed => ("glass-reviewed", Store),
            Self::GrantOverdue => ("grant-overdue", Store),
            Self::EmergencyEnded => ("emergency-ended", Node),
            Self::VendorSessionBegan => ("vendor-session-began", Node),
            Self::VendorSessionEnded => ("vendor-session-ended", Node),
            Self::InventoryChanged => ("inventory-changed", Store),
            Self::RecordingBegan => ("recording-began", Node),
            Self::RecordingMarked => ("recording-marked", Node),
            Self::RecordingEnded => ("recording-ended", Node),
            Self::RecordingViewed => ("recording-viewed", Node),
            Self::CommandEntered => ("command-entered", Node),
            Self::FileCarried => ("file-carried", Node),
            Self::TlsRefused => ("tls-refused", Node),
            Self::BadRequest => ("bad-request", Node),
            Self::LogRead => ("log-read", Node),
            Self::ReviewOpened => ("review-opened", Node),
            Self::ReviewJudged => ("review-judged", Node),
            Self::ReviewSigned => ("review-signed", Node),
            Self::Recovered => ("recovered", Node),
            Self::Restored => ("restored", Node),
            Self::SegmentDeleted => ("segment-deleted", Node),
            Self::DeletionVoid => ("deletion-void", Node),
            Self::LogKeyChanged => ("log-key-changed", Store),
            Self::PeerCheckpoint => ("peer-checkpoint", Node),
            Self::NodeAlarm => ("node-alarm", Node),
            Self::NodeAlarmOver => ("node-alarm-over", Node),
            Self::CertificateOrdered => ("certificate-ordered", Node),
            Self::UnknownChange => ("unknown-change", Store),
            Self::LogCapacity => ("log-capacity", Node),
            Self::ClockSynchronised => ("clock-synchronised", Node),
            Self::ClockUnsynchronised => ("clock-unsynchronised", Node),
            Self::ClockStepped => ("clock-stepped", Node),
        }
    }
}

/// Who knew of an event first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Origin {
    /// The store, which tells every node.
    Store,
    /// This node alone.
    Node,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_event_has_a_code_of_its_own_in_the_form_of_codes() {
        let codes: BTreeSet<&str> = Event::ALL.iter().map(|event| event.code()).collect();
        assert_eq!(codes.len(), Event::ALL.len());
        assert!(
            codes.iter().all(|code| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')),
            "{codes:?}"
        );
        assert!(Event::ALL.iter().all(|event| Event::parse(event.code()) == Some(*event)));
        assert_eq!(Event::parse("open"), None, "that is no event");
    }

    #[test]
    fn what_every_node_hears_of_the_store_is_told_apart_from_what_one_node_saw() {
        assert!(Event::PersonDisabled.is_of_the_store() && Event::GlassBroken.is_of_the_store());
        assert!(!Event::SignedIn.is_of_the_store() && !Event::Started.is_of_the_store());
        assert_eq!(Event::ALL.iter().filter(|event| event.is_of_the_store()).count(), 40);
    }
}
