//! Sessions: opened, parked, resumed, ended.

use std::time::Duration;

use policy::{Aaguid, Assurance, DeviceId, Host, Methods, ProviderId, RoleId, SessionId, Timestamp, UserId};

use super::{CredentialId, InvitationId, Person, Secret, TokenHash};

/// An open session: one sign-in of one person on one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its id, safe to log.
    pub id: SessionId,
    /// Who signed in.
    pub user: UserId,
    /// The roles as last confirmed.
    pub roles: Vec<RoleId>,
    /// When the roles were confirmed.
    pub roles_confirmed_at: Timestamp,
    /// How surely.
    pub assurance: Assurance,
    /// By what.
    pub methods: Methods,
    /// The key it was opened, or last resumed, with. The session ends with it.
    pub credential: Option<CredentialId>,
    /// The model of that key.
    pub key_model: Option<Aaguid>,
    /// When they proved who they are.
    pub authenticated_at: Timestamp,
    /// The device it was opened on.
    pub device: Option<DeviceId>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The last request, as far as it was written down (at most a minute behind).
    pub seen_at: Timestamp,
    /// When it ends whatever happens.
    pub ends_at: Timestamp,
    /// Since when it is parked: no token opens it.
    pub parked_at: Option<Timestamp>,
    /// Whether it was opened while the provider was out.
    pub in_outage: bool,
    /// The provider's session id (`sid`), for sign-out there.
    pub provider_session: Option<String>,
    /// The ID token, as a hint for sign-out at the provider.
    pub id_token: Option<Secret>,
    /// What asks the provider whether the person is still in force.
    pub refresh_token: Option<Secret>,
    /// When the provider was last asked.
    pub checked_at: Timestamp,
}

/// A session found by one of its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSession {
    /// The session.
    pub session: SessionRecord,
    /// Its person.
    pub person: Person,
    /// The one host the token is good for.
    pub host: Host,
}

/// A session to open, with its first token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// The session.
    pub session: SessionRecord,
    /// Its first token.
    pub token: TokenHash,
    /// The host the token is good for.
    pub host: Host,
    /// What becomes of the others on its device.
    pub others: Others,
    /// When the first of the proofs that it rests on was given. Whatever ended the person's sessions since, or that one
    /// at their provider, ended this one before it began.
    pub vouched_at: Timestamp,
    /// The session whose place it takes, after a step-up: it must be open, and ends in the same step.
    pub replaces: Option<SessionId>,
    /// The temporary code that opens it: it must be in force.
    pub code: Option<InvitationId>,
}

impl NewSession {
    /// A session that rests on a proof of the moment in which it is opened.
    #[must_use]
    pub fn new(session: SessionRecord, token: TokenHash, host: Host, others: Others) -> Self {
        let vouched_at = session.opened_at;
        Self { session, token, host, others, vouched_at, replaces: None, code: None }
    }
}

/// What becomes of the other sessions of a device when one is opened or resumed on it. Nothing without a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Others {
    /// They go on: the device belongs to one person.
    Keep,
    /// Those of other people are parked; earlier ones of the same person end.
    Park,
    /// They end.
    End,
}

/// What became of the other sessions of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Displaced {
    /// Those that were parked just now.
    pub parked: Vec<SessionId>,
    /// Those that were ended just now.
    pub ended: Vec<SessionId>,
}

/// A session to take up again after its person proved who they are, on its own device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumption {
    /// The session: parked, or open and locked.
    pub session: SessionId,
    /// Who proved who they are; the session must be theirs.
    pub user: UserId,
    /// Where; the session must have been opened there.
    pub device: DeviceId,
    /// The key that proved it.
    pub credential: CredentialId,
    /// The model of that key.
    pub key_model: Option<Aaguid>,
    /// How surely they are recognised from now on.
    pub assurance: Assurance,
    /// By what, in all.
    pub methods: Methods,
    /// Sessions parked before this moment stay parked.
    pub parked_since: Timestamp,
    /// The new token; every earlier one is void.
    pub token: TokenHash,
    /// The host the new token is good for.
    pub host: Host,
    /// What becomes of the others on the device.
    pub others: Others,
    /// When.
    pub at: Timestamp,
}

/// A session that was resumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The session with its new token's host.
    pub found: FoundSession,
    /// What became of the others.
    pub displaced: Displaced,
}

/// Which sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionsOf {
    /// Those of a person.
    User(UserId),
    /// Those of a person on a device, parked ones too.
    UserOn(UserId, DeviceId),
    /// Those of a person on no known device that were opened about a moment.
    UserOnNoDevice {
        /// The person.
        user: UserId,
        /// The moment.
        opened_at: Timestamp,
        /// How long before or after it at most.
        within: Duration,
    },
    /// Those of a person at a provider, by `sub`.
    Subject {
        /// The provider.
        provider: ProviderId,
        /// `sub` there.
        subject: String,
    },
    /// Those of a person at a provider, by `sub`, of which it never said a `sid`.
    SubjectUnnamed {
        /// The provider.
        provider: ProviderId,
        /// `sub` there.
        subject: String,
    },
    /// Those of one session at a provider, by `sid`; of that person only, where `sub` was told too.
    ProviderSession {
        /// The provider.
        provider: ProviderId,
        /// `sid` there.
        sid: String,
        /// `sub` there.
        subject: Option<String>,
    },
    /// Those on a device, parked ones too.
    Device(DeviceId),
    /// Those opened or resumed with a credential.
    Credential(CredentialId),
    /// Those of a provider's people that were opened while it was out.
    Outage(ProviderId),
}
