//! Every fact of one question to the policy. Plain values, no references to the world:
//! what is not here cannot influence an answer.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::{
    Aaguid, AppId, DeviceId, Grant, Host, InfoClass, Methods, Path, PostureFact, ProviderId, RequestId, RoleId,
    SessionId, Timestamp, UserId, ZoneId,
};

/// One question: may this person, from this device, do this to that app, now?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The request that asks.
    pub request: RequestId,
    /// When it was asked.
    pub at: Timestamp,
    /// The app it is for.
    pub app: AppId,
    /// What it would do.
    pub action: Action,
    /// The class of the information it is about; `None` where the app's routes do not tell.
    pub class: Option<InfoClass>,
    /// The HTTP method as sent, such as `GET`; `CONNECT` for a tunnel or TCP app.
    pub method: Method,
    /// The host it was addressed to.
    pub host: Host,
    /// The path it is for: the very bytes that go upstream.
    pub path: Path,
    /// Who asks; nobody before sign-in.
    pub who: Option<Arc<Who>>,
    /// The device whose certificate this connection proved.
    pub device: Option<Arc<Device>>,
    /// Where it comes from.
    pub from: From,
    /// The exception that is in force for it.
    pub grant: Option<Grant>,
}

impl Access {
    /// Whether the session is used from the very device it was opened on (both without a certificate counts as
    /// the same). True when nobody is signed in.
    #[must_use]
    pub fn session_is_on_its_device(&self) -> bool {
        self.who.as_ref().is_none_or(|who| who.bound_to.as_ref() == self.device.as_ref().map(|device| &device.id))
    }
}

/// An HTTP method: an RFC 9110 token of at most 32 characters, kept as sent.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Method(Arc<str>);

impl Method {
    /// Reads a method.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        ((1..=32).contains(&text.len()) && text.bytes().all(token)).then(|| Self(Arc::from(text)))
    }

    /// The method as sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the method does by RFC 9110 section 9: `GET`, `HEAD`, `OPTIONS` read; `DELETE` deletes; all else writes.
    #[must_use]
    pub fn action(&self) -> Action {
        match self.as_str() {
            "GET" | "HEAD" | "OPTIONS" => Action::Read,
            "DELETE" => Action::Delete,
            "CONNECT" => Action::Connect,
            _ => Action::Write,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an access would do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Action {
    /// Looks and changes nothing. In rules, `read` covers [`Action::Search`] too.
    Read,
    /// Looks for something among many. Only an app's routes tell.
    Search,
    /// Creates or changes. In rules, `write` covers [`Action::Delete`] too.
    Write,
    /// Removes.
    Delete,
    /// Takes out much at once. Only an app's routes tell, and no other action covers it.
    Export,
    /// Opens a stream that stays open: WebSocket, tunnel, TCP.
    Connect,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Read, Self::Search, Self::Write, Self::Delete, Self::Export, Self::Connect];

    /// Its word in configuration, log and pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Search => "search",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Export => "export",
            Self::Connect => "connect",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == text)
    }
}

/// A person with an open session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The person.
    pub user: UserId,
    /// The name they sign in with, such as `n.sato`.
    pub login: Arc<str>,
    /// Their name as people read it.
    pub name: Arc<str>,
    /// The department they work in, as the directory has it; empty where it says nothing. No policy reads it.
    pub unit: Arc<str>,
    /// The provider that vouched for them.
    pub provider: ProviderId,
    /// `iss` of the provider; with [`Who::subject`] the person's identity.
    pub issuer: Arc<str>,
    /// `sub` at the provider.
    pub subject: Arc<str>,
    /// What they may act as, sorted, without repeats.
    pub roles: Arc<[RoleId]>,
    /// Their session.
    pub session: SessionId,
    /// How surely they were recognised.
    pub assurance: Assurance,
    /// By what they proved who they are.
    pub methods: Methods,
    /// The model of the passkey they proved it with; `None` without a passkey.
    pub key_model: Option<Aaguid>,
    /// Whether they signed in while their provider could not be reached.
    pub in_outage: bool,
    /// When the provider, or the local directory, last said that the roles are theirs.
    pub roles_confirmed_at: Timestamp,
    /// When they last proved who they are.
    pub authenticated_at: Timestamp,
    /// The device the session was opened on; `None` where no device certificate was shown.
    pub bound_to: Option<DeviceId>,
    /// When the session ends whatever happens.
    pub ends_at: Timestamp,
}

/// How surely a person was recognised (NIST SP 800-63B).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Assurance {
    /// One factor.
    Aal1,
    /// Two factors.
    Aal2,
    /// Two factors, one a key that cannot be phished.
    Aal3,
}

impl Assurance {
    /// All, weakest first.
    pub const ALL: [Self; 3] = [Self::Aal1, Self::Aal2, Self::Aal3];

    /// Its word in configuration and log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aal1 => "aal1",
            Self::Aal2 => "aal2",
            Self::Aal3 => "aal3",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }

    /// 1 to 3, for comparison in Cedar.
    #[must_use]
    pub fn level(self) -> i64 {
        match self {
            Self::Aal1 => 1,
            Self::Aal2 => 2,
            Self::Aal3 => 3,
        }
    }
}

/// A device in the ledger, proven by its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name in the ledger.
    pub id: DeviceId,
    /// What kind of device it is.
    pub class: DeviceClass,
    /// Where it stands, as the ledger has it; empty where it says nothing. No policy reads it.
    pub place: Arc<str>,
    /// SHA-256 of its certificate.
    pub certificate: Fingerprint,
    /// Its condition as last reported, fresh or not.
    pub posture: Arc<[PostureFact]>,
}

/// What kind of device: who uses it and who manages it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum DeviceClass {
    /// One person's PC at a fixed place.
    Fixed,
    /// A terminal that a ward shares.
    WardShared,
    /// A tablet or phone of the institution.
    Tablet,
    /// A terminal lent for use outside, its rights strictly managed.
    DedicatedRemote,
    /// A person's own device.
    Byod,
    /// A vendor's device.
    Vendor,
    /// A server or medical device that nobody sits at.
    Machine,
}

impl DeviceClass {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Fixed, Self::WardShared, Self::Tablet, Self::DedicatedRemote, Self::Byod, Self::Vendor, Self::Machine];

    /// Its word in configuration and log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::WardShared => "ward-shared",
            Self::Tablet => "tablet",
            Self::DedicatedRemote => "dedicated-remote",
            Self::Byod => "byod",
            Self::Vendor => "vendor",
            Self::Machine => "machine",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }
}

/// SHA-256 of a certificate's DER form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Wraps a digest.
    #[must_use]
    pub fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Reads 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !plain {
            return None;
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(digest))
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Where an access comes from. An attribute among others: no zone is trusted for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct From {
    /// The peer's address as the socket shows it.
    pub address: IpAddr,
    /// The zone of the listener it came in by.
    pub zone: ZoneId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for class in DeviceClass::ALL {
            assert_eq!(DeviceClass::parse(class.as_str()), Some(class));
        }
        for action in Action::ALL {
            assert_eq!(Action::parse(action.as_str()), Some(action));
        }
        for level in Assurance::ALL {
            assert_eq!(Assurance::parse(level.as_str()), Some(level));
        }
        let digest = Fingerprint::new([0xa5; 32]);
        assert_eq!(Fingerprint::parse(&digest.to_string()), Some(digest));
    }

    #[test]
    fn methods_do_what_rfc_9110_says() {
        assert_eq!(Method::parse("GET").unwrap().action(), Action::Read);
        assert_eq!(Method::parse("DELETE").unwrap().action(), Action::Delete);
        assert_eq!(Method::parse("PATCH").unwrap().action(), Action::Write);
        assert_eq!(Method::parse("get").unwrap().action(), Action::Write, "methods are case-sensitive");
        assert_eq!(Method::parse("G T"), None);
    }
}
