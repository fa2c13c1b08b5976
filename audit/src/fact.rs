//! What is recorded beside accesses: sign-ins, changes of devices and configuration, connections that were refused
//! before anything could be judged.

use std::net::IpAddr;

use policy::{
    AppId, DeviceId, Fingerprint, Host, ProviderId, RequestId, Revision, SessionId, Timestamp, UserId, Who, ZoneId,
};

/// One fact for the log. Made with [`Note::new`]; what is known is filled in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// What happened.
    pub event: Event,
    /// When.
    pub at: Timestamp,
    /// The request in which it happened.
    pub request: Option<RequestId>,
    /// The address it came from.
    pub address: Option<IpAddr>,
    /// The zone it came in by.
    pub zone: Option<ZoneId>,
    /// The host that was addressed.
    pub host: Option<Host>,
    /// The app it was for.
    pub app: Option<AppId>,
    /// The person it is about.
    pub user: Option<UserId>,
    /// The name that person signs in with.
    pub login: Option<String>,
    /// Who did it, where that is someone else: an administrator's login, or the command line.
    pub actor: Option<String>,
    /// The provider that vouched, or did not.
    pub provider: Option<ProviderId>,
    /// The session.
    pub session: Option<SessionId>,
    /// The device.
    pub device: Option<DeviceId>,
    /// The certificate that was shown.
    pub certificate: Option<Fingerprint>,
    /// The version of configuration and policy.
    pub revision: Option<Revision>,
    /// The HTTP status that was answered.
    pub status: Option<u16>,
    /// A code from a closed vocabulary: why, or which kind. Never free text from a stranger, never a secret.
    pub code: Option<String>,
}

impl Note {
    /// A fact of which nothing is known yet but what and when.
    #[must_use]
    pub fn new(event: Event, at: Timestamp) -> Self {
        Self {
            event,
            at,
            request: None,
            address: None,
            zone: None,
            host: None,
            app: None,
            user: None,
            login: None,
            actor: None,
            provider: None,
            session: None,
            device: None,
            certificate: None,
            revision: None,
            status: None,
            code: None,
        }
    }

    /// Adds where it came from.
    #[must_use]
    pub fn from(mut self, from: &policy::From) -> Self {
        self.address = Some(from.address);
        self.zone = Some(from.zone.clone());
        self
    }

    /// Adds the person, with provider and session.
    #[must_use]
    pub fn who(mut self, who: &Who) -> Self {
        self.user = Some(who.user.clone());
        self.login = Some(who.login.to_string());
        self.provider = Some(who.provider.clone());
        self.session = Some(who.session);
        self
    }

    /// Adds the device.
    #[must_use]
    pub fn device(mut self, device: &DeviceId) -> Self {
        self.device = Some(device.clone());
        self
    }

    /// Adds the request in which it happened.
    #[must_use]
    pub fn request(mut self, request: RequestId) -> Self {
        self.request = Some(request);
        self
    }

    /// Adds the session.
    #[must_use]
    pub fn session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Adds a code from a closed vocabulary.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }
}

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
    /// A session was ended by someone else, or by its limits.
    SessionEnded,
    /// A device was added to the ledger.
    DeviceAdded,
    /// A device was revoked.
    DeviceRevoked,
    /// A person was changed: blocked, unblocked, renamed.
    PersonChanged,
    /// The gateway started.
    Started,
    /// The gateway stopped.
    Stopped,
    /// A version of configuration and policy came into force.
    ConfigActivated,
    /// A version of configuration and policy was refused; the one before stays in force.
    ConfigRefused,
    /// A TLS handshake was refused.
    TlsRefused,
    /// A request was refused before it could be judged.
    BadRequest,
    /// The log was read or exported.
    LogRead,
    /// The log was put in order after the gateway had died.
    Recovered,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::SignedIn,
        Self::SignInFailed,
        Self::SteppedUp,
        Self::SignedOut,
        Self::SessionEnded,
        Self::DeviceAdded,
        Self::DeviceRevoked,
        Self::PersonChanged,
        Self::Started,
        Self::Stopped,
        Self::ConfigActivated,
        Self::ConfigRefused,
        Self::TlsRefused,
        Self::BadRequest,
        Self::LogRead,
        Self::Recovered,
    ];

    /// Its code in the log.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::SignedIn => "signed-in",
            Self::SignInFailed => "sign-in-failed",
            Self::SteppedUp => "stepped-up",
            Self::SignedOut => "signed-out",
            Self::SessionEnded => "session-ended",
            Self::DeviceAdded => "device-added",
            Self::DeviceRevoked => "device-revoked",
            Self::PersonChanged => "person-changed",
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::ConfigActivated => "config-activated",
            Self::ConfigRefused => "config-refused",
            Self::TlsRefused => "tls-refused",
            Self::BadRequest => "bad-request",
            Self::LogRead => "log-read",
            Self::Recovered => "recovered",
        }
    }
}
