//! Credentials: the keys (passkeys) of people.

use std::fmt;

use policy::{Aaguid, SessionId, Timestamp, UserId};

use super::{Person, Secret};

/// The id that an authenticator gave a credential. In text: hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialId(pub Vec<u8>);

impl CredentialId {
    /// Reads lower-case hexadecimal digits, two for each byte and at least one byte.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !plain || text.is_empty() || !text.len().is_multiple_of(2) {
            return None;
        }
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        text.as_bytes().chunks(2).map(pair).collect::<Option<Vec<u8>>>().map(Self)
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialId({self})")
    }
}

/// A key of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its id, unique.
    pub id: CredentialId,
    /// Whose it is.
    pub user: UserId,
    /// What its owner calls it.
    pub name: String,
    /// The authenticator's model.
    pub model: Aaguid,
    /// What checks its signatures, serialized by whoever registered it.
    pub passkey: Secret,
    /// The highest signature counter that was seen; 0 where the authenticator does not count.
    pub counter: u32,
    /// Whether it cannot leave its authenticator (backup-eligible flag off).
    pub device_bound: bool,
    /// When it was added.
    pub added_at: Timestamp,
    /// When it was last used.
    pub used_at: Option<Timestamp>,
    /// Who added it: its owner, or whoever made the invitation.
    pub added_by: String,
    /// How its owner was proofed.
    pub proofing: String,
}

/// A credential with its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialFound {
    /// The credential.
    pub credential: Credential,
    /// Its owner; look at [`Person::disabled`] before it is taken for anything.
    pub person: Person,
}

/// A use of a credential that was proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialUse {
    /// The signature counter of this use.
    pub counter: u32,
    /// The serialized key after this use.
    pub passkey: Secret,
    /// When.
    pub at: Timestamp,
}

/// What became of a use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CredentialUsed {
    /// It counts and was written down.
    Noted,
    /// Its counter is not above what was seen already: perhaps a clone. Do not accept it.
    CounterBehind,
    /// The credential was removed or its owner disabled meanwhile. Do not accept it.
    Gone,
}

/// Under which condition a credential is added.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WhichCredential {
    /// Only if its owner never had one, on the word of their provider: void if their sessions, or that one at the
    /// provider, were ended since.
    First {
        /// When the provider gave its word.
        vouched_at: Timestamp,
        /// The provider's session id (`sid`), where it told one.
        provider_session: Option<String>,
    },
    /// Beside those there are, out of a session of its owner that is open, and in which they proved by two factors,
    /// no earlier than that, who they are.
    Own {
        /// The session.
        session: SessionId,
        /// The earliest proof that is enough.
        proven_since: Timestamp,
    },
    /// Beside those there are; whoever calls knows why.
    Any,
}

/// The most credentials of one person.
pub const CREDENTIALS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written_and_nothing_else_is() {
        let id = CredentialId(vec![0, 0x0a, 0xff]);
        assert_eq!(id.to_string(), "000aff");
        assert_eq!(CredentialId::parse("000aff"), Some(id));
        for bad in ["", "0", "000AFF", "0x0a", "+1", " 00", "00 ", "0é"] {
            assert_eq!(CredentialId::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_key_prints_no_secret() {
        let person = crate::conformance::cast::person("u-printed");
        let printed = format!("{:?}", crate::conformance::cast::credential("key", &person));
        assert!(!printed.contains("counter\\\":5") && printed.contains("(..)"), "{printed}");
    }
}
