//! The kinds of facts that are recorded beside accesses, each with its code in the log.

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

    /// Those that tell of an event of the store: where several nodes serve, each records them.
    pub const OF_THE_STORE: [Self; 40] = [
        Self::SessionEnded,
        Self::SessionChanged,
        Self::SessionParked,
        Self::SessionResumed,
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
        Self::OutageBegan,
        Self::OutageEnded,
        Self::OutageSwitched,
        Self::PolicyProposed,
        Self::PolicyApproved,
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
        Self::InventoryChanged,
        Self::LogKeyChanged,
        Self::UnknownChange,
    ];

    /// Its code in the log.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::SignedIn => "signed-in",
            Self::SignInFailed => "sign-in-failed",
            Self::SteppedUp => "stepped-up",
            Self::SignedOut => "signed-out",
            Self::CeremonyRefused => "ceremony-refused",
            Self::SessionEnded => "session-ended",
            Self::SessionChanged => "session-changed",
            Self::SessionParked => "session-parked",
            Self::SessionResumed => "session-resumed",
            Self::SessionLocked => "session-locked",
            Self::LogoutAccepted => "logout-accepted",
            Self::LogoutRefused => "logout-refused",
            Self::PersonAdded => "person-added",
            Self::PersonChanged => "person-changed",
            Self::PersonDisabled => "person-disabled",
            Self::PersonEnabled => "person-enabled",
            Self::KeyAdded => "key-added",
            Self::KeyRenamed => "key-renamed",
            Self::KeyRemoved => "key-removed",
            Self::InvitationMade => "invitation-made",
            Self::InvitationUsed => "invitation-used",
            Self::InvitationRevoked => "invitation-revoked",
            Self::TemporaryCodeIssued => "temporary-code-issued",
            Self::TemporaryCodeUsed => "temporary-code-used",
            Self::DeviceAdded => "device-added",
            Self::DeviceChanged => "device-changed",
            Self::CertificateAdded => "certificate-added",
            Self::CertificateRevoked => "certificate-revoked",
            Self::DeviceRevoked => "device-revoked",
            Self::PostureReceived => "posture-received",
            Self::PostureRefused => "posture-refused",
            Self::OutageBegan => "outage-began",
            Self::OutageEnded => "outage-ended",
            Self::OutageSwitched => "outage-switched",
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::ConfigActivated => "config-activated",
            Self::ConfigRefused => "config-refused",
            Self::CapExceeded => "cap-exceeded",
            Self::PolicyProposed => "policy-proposed",
            Self::PolicyApproved => "policy-approved",
            Self::PolicyReturned => "policy-returned",
            Self::GrantRequested => "grant-requested",
            Self::GrantApproved => "grant-approved",
            Self::GrantAdmitted => "grant-admitted",
            Self::GrantRefused => "grant-refused",
            Self::GrantWithdrawn => "grant-withdrawn",
            Self::GrantEnded => "grant-ended",
            Self::GrantReported => "grant-reported",
            Self::GrantConfirmed => "grant-confirmed",
            Self::GlassBroken => "glass-broken",
            Self::GlassReviewed => "glass-reviewed",
            Self::GrantOverdue => "grant-overdue",
            Self::EmergencyEnded => "emergency-ended",
            Self::VendorSessionBegan => "vendor-session-began",
            Self::VendorSessionEnded => "vendor-session-ended",
            Self::InventoryChanged => "inventory-changed",
            Self::RecordingBegan => "recording-began",
            Self::RecordingMarked => "recording-marked",
            Self::RecordingEnded => "recording-ended",
            Self::RecordingViewed => "recording-viewed",
            Self::CommandEntered => "command-entered",
            Self::FileCarried => "file-carried",
            Self::TlsRefused => "tls-refused",
            Self::BadRequest => "bad-request",
            Self::LogRead => "log-read",
            Self::ReviewOpened => "review-opened",
            Self::ReviewJudged => "review-judged",
            Self::ReviewSigned => "review-signed",
            Self::Recovered => "recovered",
            Self::Restored => "restored",
            Self::SegmentDeleted => "segment-deleted",
            Self::DeletionVoid => "deletion-void",
            Self::LogKeyChanged => "log-key-changed",
            Self::PeerCheckpoint => "peer-checkpoint",
            Self::NodeAlarm => "node-alarm",
            Self::NodeAlarmOver => "node-alarm-over",
            Self::CertificateOrdered => "certificate-ordered",
            Self::UnknownChange => "unknown-change",
            Self::LogCapacity => "log-capacity",
            Self::ClockSynchronised => "clock-synchronised",
            Self::ClockUnsynchronised => "clock-unsynchronised",
            Self::ClockStepped => "clock-stepped",
        }
    }
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
    }
}
