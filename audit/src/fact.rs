//! What is recorded beside accesses: sign-ins, changes of people, devices and configuration, connections that were
//! refused before anything could be judged.

use std::net::IpAddr;

use policy::{
    Aaguid, AppId, DeviceId, Fingerprint, GrantId, Host, Methods, ProviderId, RequestId, Revision, RoleId, SessionId,
    Timestamp, UserId, Who, ZoneId,
};

use crate::Event;

/// The most of a reason given by a person that is recorded, in characters.
const REASON_CHARS_MAX: usize = 200;

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
    /// The department that person works in.
    pub unit: Option<String>,
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
    /// By what the person proved who they are.
    pub methods: Methods,
    /// The model of the key they proved it with.
    pub key_model: Option<Aaguid>,
    /// The key (credential): the first half of the SHA-256 of its id, in hexadecimal digits.
    pub key: Option<String>,
    /// The id of the invitation; never its code.
    pub invitation: Option<String>,
    /// How the person was proofed, in the words of whoever did it; see [`Note::proofing`].
    pub proofing: Option<String>,
    /// The reason that whoever did it gave; see [`Note::reason`].
    pub reason: Option<String>,
    /// The source of posture facts.
    pub source: Option<String>,
    /// How many: of rows, of sessions.
    pub count: Option<u64>,
    /// The patients of whom the log was asked (`pta`).
    pub patients: Vec<String>,
    /// A file of an app's target (`file`).
    pub file: Option<String>,
    /// The SHA-256 of what was carried, in hexadecimal digits (`sha`).
    pub sha256: Option<String>,
    /// The ward that broken glass opens, where it is held to one (`ward`).
    pub ward: Option<String>,
    /// The exception it is about (`vs`).
    pub grant: Option<GrantId>,
    /// The roles of the person from then on, where they changed.
    pub roles: Option<Vec<RoleId>>,
    /// The roles of the person until then.
    pub roles_before: Option<Vec<RoleId>>,
    /// When what was given ends: an invitation, a temporary code.
    pub until: Option<Timestamp>,
    /// Whether it happened while the person's provider was out.
    pub in_outage: bool,
    /// The number of the store's event that it tells of, where several nodes tell of it (`sn`).
    pub store_event: Option<u64>,
    /// Another node's checkpoint, as it was signed (`cp`).
    pub checkpoint: Option<String>,
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
            unit: None,
            actor: None,
            provider: None,
            session: None,
            device: None,
            certificate: None,
            revision: None,
            status: None,
            code: None,
            methods: Methods::NONE,
            key_model: None,
            key: None,
            invitation: None,
            proofing: None,
            reason: None,
            source: None,
            count: None,
            patients: Vec::new(),
            ward: None,
            file: None,
            sha256: None,
            grant: None,
            roles: None,
            roles_before: None,
            until: None,
            in_outage: false,
            store_event: None,
            checkpoint: None,
        }
    }

    /// Adds where it came from.
    #[must_use]
    pub fn from(mut self, from: &policy::From) -> Self {
        self.address = Some(from.address);
        self.zone = Some(from.zone.clone());
        self
    }

    /// Adds the person, with provider, session, and how they signed in.
    #[must_use]
    pub fn who(mut self, who: &Who) -> Self {
        self.user = Some(who.user.clone());
        self.login = Some(who.login.to_string());
        self.unit = (!who.unit.is_empty()).then(|| who.unit.to_string());
        self.provider = Some(who.provider.clone());
        self.session = Some(who.session);
        self.methods = who.methods;
        self.key_model = who.key_model;
        self.in_outage = who.in_outage;
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

    /// Adds who did it, where that is someone else than the person it is about.
    #[must_use]
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// Adds the person it is about.
    #[must_use]
    pub fn user(mut self, user: &UserId) -> Self {
        self.user = Some(user.clone());
        self
    }

    /// Adds the reason that a signed-in person gave, cut where it is longer than a sentence.
    #[must_use]
    pub fn reason(mut self, reason: &str) -> Self {
        self.reason = sentence(reason);
        self
    }

    /// Adds how the person was proofed, cut where it is longer than a sentence.
    #[must_use]
    pub fn proofing(mut self, proofing: &str) -> Self {
        self.proofing = sentence(proofing);
        self
    }

    /// Adds the invitation.
    #[must_use]
    pub fn invitation(mut self, invitation: impl Into<String>) -> Self {
        self.invitation = Some(invitation.into());
        self
    }

    /// Adds the key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// Words of a person, bounded; nothing where they are empty.
fn sentence(words: &str) -> Option<String> {
    let words = words.trim();
    (!words.is_empty()).then(|| words.chars().take(REASON_CHARS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_people_are_bounded_and_may_be_missing() {
        let note = Note::new(Event::TemporaryCodeIssued, Timestamp::from_unix_micros(0));
        assert_eq!(note.clone().reason("  ").reason, None);
        assert_eq!(note.clone().reason(" 鍵を忘れた ").reason.as_deref(), Some("鍵を忘れた"));
        assert_eq!(
            note.proofing(&"顔".repeat(1_000)).proofing.map(|words| words.chars().count()),
            Some(REASON_CHARS_MAX)
        );
    }
}
