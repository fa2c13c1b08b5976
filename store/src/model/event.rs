//! What every node must hear of, and the log must record.

use policy::{DeviceId, GrantId, ProviderId, RoleId, SessionId, Timestamp, UserId};

use super::{CredentialId, GrantDuty, InvitationId, OutageSwitch};

/// Something every node must hear of, and the log must record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the order of all events, from 1.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Who did it: a user id, `cli:NAME` for someone at the machine, `gateway:WHAT` for the gateway by itself.
    pub actor: String,
    /// What.
    pub change: Change,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A person was added to the directory.
    PersonAdded(UserId),
    /// What is kept of a person was changed.
    PersonChanged {
        /// Who.
        user: UserId,
        /// Their roles, where these changed.
        roles: Option<RolesChanged>,
    },
    /// A person was disabled; what it ended is told by events of its own.
    PersonDisabled(UserId),
    /// A person was enabled again.
    PersonEnabled(UserId),
    /// A person got a key.
    CredentialAdded {
        /// Whose.
        user: UserId,
        /// Which.
        credential: CredentialId,
    },
    /// A key was given another name.
    CredentialRenamed {
        /// Whose.
        user: UserId,
        /// Which.
        credential: CredentialId,
    },
    /// A key was removed.
    CredentialRemoved {
        /// Whose.
        user: UserId,
        /// Which.
        credential: CredentialId,
    },
    /// An invitation was made.
    InvitationMade(InvitationId),
    /// An invitation was used.
    InvitationUsed(InvitationId),
    /// An invitation was revoked, by someone, or because its subject was disabled, revoked or invited again.
    InvitationRevoked(InvitationId),
    /// A device was added.
    DeviceAdded(DeviceId),
    /// What the ledger says of a device was changed.
    DeviceChanged(DeviceId),
    /// A device was revoked with all its certificates.
    DeviceRevoked(DeviceId),
    /// A device got another certificate.
    CertificateAdded(DeviceId),
    /// One certificate of a device was revoked.
    CertificateRevoked(DeviceId),
    /// What a source says of the posture of devices has changed.
    PostureChanged,
    /// A session was ended before its time.
    SessionEnded(SessionId),
    /// A session was parked: none of its tokens opens anything.
    SessionParked(SessionId),
    /// A session was taken up again with a new token.
    SessionResumed(SessionId),
    /// The roles of an open session were changed.
    SessionChanged(SessionId),
    /// A provider is taken as out.
    OutageBegan(ProviderId),
    /// A provider is back.
    OutageEnded(ProviderId),
    /// Somebody put the switch for outages of a provider elsewhere.
    OutageSwitched {
        /// Which provider.
        provider: ProviderId,
        /// Where it stands now.
        position: OutageSwitch,
    },
    /// A version of configuration and policy was proposed: its number.
    PolicyProposed(u64),
    /// Another person approved a version: its number.
    PolicyApproved(u64),
    /// The log was handed over by the command line.
    LogRead(LogUse),
    /// A vendor's window was asked for.
    GrantRequested(GrantId),
    /// Somebody of the hospital approved it; it is given once as many did as must.
    GrantApproved(GrantId),
    /// Somebody on duty let the person in before it was approved.
    GrantAdmitted(GrantId),
    /// Somebody of the hospital refused it.
    GrantRefused(GrantId),
    /// Whoever asked took it back.
    GrantWithdrawn(GrantId),
    /// An exception was ended before its time: a window or broken glass.
    GrantEnded(GrantId),
    /// What was done in a window was reported.
    GrantReported(GrantId),
    /// Somebody of the hospital confirmed the report.
    GrantConfirmed(GrantId),
    /// Somebody broke the glass.
    GlassBroken(GrantId),
    /// Somebody judged how the glass was broken.
    GlassReviewed(GrantId),
    /// Something that was due of an exception is overdue; told once.
    GrantOverdue {
        /// Which exception.
        grant: GrantId,
        /// What people did not do in time.
        duty: GrantDuty,
    },
    /// A line of the inventory of remote maintenance was added, changed or removed: its number.
    InventoryChanged(u64),
    /// Something of which this version of the program knows only the word: a later one beside it told it. Anything may
    /// have changed by it.
    Unknown(String),
}

/// How the log was read or handed over. No patient is named here: that stands in the log alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogUse {
    /// What was done: a code.
    pub what: String,
    /// What was asked for, in the words of the command line, without a patient's number.
    pub question: String,
    /// How many accesses and facts there were.
    pub count: u64,
}

/// Which roles a person had, and which they have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolesChanged {
    /// Before, sorted.
    pub before: Vec<RoleId>,
    /// After, sorted.
    pub after: Vec<RoleId>,
}
