//! What is kept, and the one trait that every back end implements.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use policy::{Assurance, DeviceClass, DeviceId, Fingerprint, Host, ProviderId, RoleId, SessionId, Timestamp, UserId};

/// A person as the last sign-in showed them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Stable id, derived from issuer and subject.
    pub id: UserId,
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// The provider's name in configuration.
    pub provider: ProviderId,
    /// The name they sign in with.
    pub login: String,
    /// Their name as people read it.
    pub name: String,
    /// Their roles at the last sign-in, sorted.
    pub roles: Vec<RoleId>,
    /// The last sign-in.
    pub seen_at: Timestamp,
}

/// A device in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRecord {
    /// Its name, unique for ever.
    pub id: DeviceId,
    /// What kind of device.
    pub class: DeviceClass,
    /// Asset number (資産番号), free text.
    pub asset: String,
    /// Who answers for it, free text.
    pub owner: String,
    /// Where it is, free text.
    pub place: String,
    /// SHA-256 of its certificate.
    pub certificate: Fingerprint,
    /// When the certificate ends.
    pub certificate_ends_at: Timestamp,
    /// When it was added.
    pub added_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// An open session: one sign-in of one person on one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its id, safe to log.
    pub id: SessionId,
    /// Who signed in.
    pub user: UserId,
    /// The roles as of the sign-in.
    pub roles: Vec<RoleId>,
    /// How surely.
    pub assurance: Assurance,
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
    /// The provider's session id (`sid`), for sign-out there.
    pub provider_session: Option<String>,
    /// The ID token, as a hint for sign-out at the provider.
    pub id_token: Option<Secret>,
}

/// A text that prints as `(..)`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(..)")
    }
}

/// SHA-256 of a secret token; all that is kept of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash(pub [u8; 32]);

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
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

/// A started ceremony (sign-in, hand-off): taken once, then gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceremony {
    /// Which kind, such as `oidc` or `hand-off`; taking asks for the same kind.
    pub kind: &'static str,
    /// Its state, serialized by whoever started it.
    pub state: String,
    /// When it is void.
    pub expires_at: Timestamp,
}

/// Something every node must hear of, and the log must record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the order of all events, from 1.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Who did it: a user id, or `cli:NAME` for someone at the machine.
    pub actor: String,
    /// What.
    pub change: Change,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A device was added.
    DeviceAdded(DeviceId),
    /// A device was revoked.
    DeviceRevoked(DeviceId),
    /// A session was ended before its time.
    SessionEnded(SessionId),
}

/// Why the store did not do it.
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
    /// The bound on started ceremonies is reached.
    #[error("too many sign-ins are under way")]
    Full,
}

/// An answer that the store will give.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreProblem>> + Send + 'a>>;

/// What every back end does. A change and the event that tells of it are one transaction.
pub trait Store: Send + Sync + fmt::Debug {
    /// Writes down a person, replacing what was known of the same id.
    fn remember_person(&self, person: Person) -> Answer<'_, ()>;
    /// Reads a person.
    fn person<'a>(&'a self, id: &'a UserId) -> Answer<'a, Option<Person>>;

    /// Adds a device and tells ([`Change::DeviceAdded`]). [`StoreProblem::Exists`] if id or certificate is known.
    fn add_device(&self, device: DeviceRecord, actor: String) -> Answer<'_, ()>;
    /// Revokes a device and tells; ends its sessions and tells of each. False if there is no such device in force.
    fn revoke_device<'a>(&'a self, id: &'a DeviceId, at: Timestamp, actor: String) -> Answer<'a, bool>;
    /// The whole ledger, revoked devices too, by id.
    fn devices(&self) -> Answer<'_, Vec<DeviceRecord>>;

    /// Opens a session with its first token, good for one host.
    fn open_session(&self, session: SessionRecord, token: TokenHash, host: Host) -> Answer<'_, ()>;
    /// Adds a token for another host to an open session. False if the session is not open.
    fn add_token(&self, session: SessionId, token: TokenHash, host: Host) -> Answer<'_, bool>;
    /// Finds an open session by one of its tokens; whether it is out of time is the caller's question.
    fn session_by_token(&self, token: TokenHash) -> Answer<'_, Option<FoundSession>>;
    /// Notes when sessions were last used.
    fn touch_sessions(&self, seen: Vec<(SessionId, Timestamp)>) -> Answer<'_, ()>;
    /// Ends a session, removes its tokens and tells. `None` if it is not open.
    fn end_session(&self, id: SessionId, at: Timestamp, actor: String) -> Answer<'_, Option<SessionRecord>>;
    /// All open sessions with their people, newest first.
    fn sessions(&self) -> Answer<'_, Vec<(SessionRecord, Person)>>;

    /// Starts a ceremony under the hash of its secret. [`StoreProblem::Full`] past [`CEREMONIES_MAX`].
    fn start_ceremony(&self, secret: TokenHash, ceremony: Ceremony) -> Answer<'_, ()>;
    /// Takes a ceremony of this kind and deletes it, in one step. `None` if there is none or it is void.
    fn take_ceremony(&self, secret: TokenHash, kind: &'static str, at: Timestamp) -> Answer<'_, Option<String>>;

    /// Events after a sequence number, oldest first, at most `most`.
    fn events_after(&self, sequence: u64, most: usize) -> Answer<'_, Vec<Event>>;
    /// Reads a small value that the gateway keeps for itself, such as how far events were recorded.
    fn note<'a>(&'a self, key: &'a str) -> Answer<'a, Option<String>>;
    /// Writes such a value.
    fn set_note<'a>(&'a self, key: &'a str, value: String) -> Answer<'a, ()>;
    /// Removes what is out of time: ended sessions, void ceremonies.
    fn prune(&self, at: Timestamp) -> Answer<'_, ()>;
}

/// How many ceremonies may be under way at once.
pub const CEREMONIES_MAX: usize = 100_000;
