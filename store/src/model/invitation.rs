//! Invitations: one-time codes that bring a person a key, or a device a certificate.

use std::fmt;

use policy::{DeviceId, SessionId, Timestamp, UserId};

use super::{CertificateRecord, Credential, Person, TokenHash};

/// One invitation, safe to log: sixteen hexadecimal digits. The code is another thing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InvitationId(u64);

impl InvitationId {
    /// Makes an id from 64 random bits.
    #[must_use]
    pub fn new(random: u64) -> Self {
        Self(random)
    }

    /// Reads the sixteen digits back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // The same form as a session's id.
        SessionId::parse(text).map(|id| Self(id.bits()))
    }
}

impl fmt::Display for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvitationId({self})")
    }
}

/// An invitation. At most one of the same purpose and the same person or device is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// The hash of its code.
    pub secret: TokenHash,
    /// Who or what is invited to which.
    pub invited: Invited,
    /// Who made it.
    pub made_by: String,
    /// When.
    pub made_at: Timestamp,
    /// When it is void.
    pub expires_at: Timestamp,
    /// How the person was proofed.
    pub proofing: String,
    /// Why it was made; required where the law of the house says so (temporary codes).
    pub reason: String,
    /// When it was used.
    pub used_at: Option<Timestamp>,
    /// When it was revoked, by a person or because its subject was disabled or invited again.
    pub revoked_at: Option<Timestamp>,
}

impl Invitation {
    /// Whether its code still opens something.
    #[must_use]
    pub fn is_in_force(&self, at: Timestamp) -> bool {
        self.used_at.is_none() && self.revoked_at.is_none() && at < self.expires_at
    }
}

/// Who or what is invited to which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invited {
    /// A person, to add a key.
    Passkey(UserId),
    /// A device of the ledger, to get its certificate.
    Device(DeviceId),
    /// A person whose key is lost or broken, to sign in with the code itself.
    Temporary(UserId),
    /// Whoever holds the code, to become the first administrator.
    FirstAdministrator,
}

impl Invited {
    /// What for.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        match self {
            Self::Passkey(_) => Purpose::Passkey,
            Self::Device(_) => Purpose::Device,
            Self::Temporary(_) => Purpose::Temporary,
            Self::FirstAdministrator => Purpose::FirstAdministrator,
        }
    }

    /// The person, where one is invited by name.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::Passkey(user) | Self::Temporary(user) => Some(user),
            Self::Device(_) | Self::FirstAdministrator => None,
        }
    }

    /// The device, where one is invited.
    #[must_use]
    pub fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::Device(device) => Some(device),
            Self::Passkey(_) | Self::Temporary(_) | Self::FirstAdministrator => None,
        }
    }
}

/// What an invitation is good for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Purpose {
    /// A key for a person.
    Passkey,
    /// A certificate for a device.
    Device,
    /// A sign-in without a key.
    Temporary,
    /// The first administrator.
    FirstAdministrator,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Passkey, Self::Device, Self::Temporary, Self::FirstAdministrator];

    /// Its word in store, log and pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passkey => "passkey",
            Self::Device => "device",
            Self::Temporary => "temporary",
            Self::FirstAdministrator => "first-administrator",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == text)
    }
}

/// What is brought about by an invitation, in the same step that uses it up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "made once a minute at most, and moved twice")]
pub enum Redemption {
    /// The key of the person that was invited.
    Passkey(Credential),
    /// The certificate of the device that was invited.
    Certificate(CertificateRecord),
    /// The first administrator and their key.
    FirstAdministrator(Person, Credential),
}

/// How many invitations may be in force at once.
pub const INVITATIONS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_words_read_back() {
        let id = InvitationId::new(0xab);
        assert_eq!(id.to_string(), "00000000000000ab");
        assert_eq!(InvitationId::parse("00000000000000ab"), Some(id));
        assert_eq!(InvitationId::parse("ab"), None);
        for purpose in Purpose::ALL {
            assert_eq!(Purpose::parse(purpose.as_str()), Some(purpose));
        }
        for issuer in crate::CertificateIssuer::ALL {
            assert_eq!(crate::CertificateIssuer::parse(issuer.as_str()), Some(issuer));
        }
    }

    #[test]
    fn a_code_is_good_until_it_is_used_revoked_or_void() {
        let open = crate::conformance::cast::invitation(1, Invited::FirstAdministrator);
        let before = Timestamp::from_unix_micros(open.expires_at.unix_micros() - 1);
        assert!(open.is_in_force(before));
        assert!(!open.is_in_force(open.expires_at));
        assert!(!Invitation { used_at: Some(before), ..open.clone() }.is_in_force(before));
        assert!(!Invitation { revoked_at: Some(before), ..open }.is_in_force(before));
    }
}
