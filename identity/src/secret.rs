//! Random secrets that a browser holds, and their digests, which are all that is stored.

use std::fmt;

use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policy::SessionId;
use store::TokenHash;
use zeroize::Zeroize;

/// Length of a secret as text: 32 bytes in base64url.
const SECRET_TEXT_BYTES: usize = 43;
/// Length of a random name as text: 16 bytes in base64url.
const NAME_TEXT_BYTES: usize = 22;

/// A session's secret for one host, as its cookie carries it: 256 random bits in base64url.
///
/// Prints as `(..)` and is wiped when dropped; the store keeps only its digest.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken(String);

impl SessionToken {
    pub(crate) fn random() -> Self {
        Self(random_text())
    }

    /// The cookie's value; hand it to nothing that prints.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A secret that ties a started ceremony to the browser that started it: 256 random bits in base64url.
///
/// Prints as `(..)` and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct BrowserSecret(String);

impl BrowserSecret {
    pub(crate) fn random() -> Self {
        Self(random_text())
    }

    /// The cookie's value; hand it to nothing that prints.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

macro_rules! hide {
    ($($name:ident)+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("(..)")
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                self.0.zeroize();
            }
        }
    )+};
}

hide! { SessionToken BrowserSecret }

/// Whether a text could be one of our secrets at all; what is not costs no look-up.
pub(crate) fn could_be_secret(text: &str) -> bool {
    text.len() == SECRET_TEXT_BYTES && is_base64url(text)
}

/// Whether a text could be one of our random names.
pub(crate) fn could_be_name(text: &str) -> bool {
    text.len() == NAME_TEXT_BYTES && is_base64url(text)
}

fn is_base64url(text: &str) -> bool {
    // Looked at whole, without stopping early, so that many bytes are looked at together.
    text.bytes().fold(true, |plain, b| plain & (b.is_ascii_alphanumeric() | (b == b'-') | (b == b'_')))
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads 64 lower-case hexadecimal digits.
pub(crate) fn from_hex(text: &str) -> Option<[u8; 32]> {
    policy::Fingerprint::parse(text).map(|digest| *digest.as_bytes())
}

/// Bytes in base64url, without padding.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The digest of a session token.
pub(crate) fn hash(text: &str) -> TokenHash {
    TokenHash(sha256(&[text]))
}

/// The digest of a secret as text, for a state that the store keeps.
pub(crate) fn digest(secret: &str) -> String {
    hex(&hash(secret).0)
}

/// The digest of a ceremony's secrets, each ended by a zero byte so that no two lists read the same.
pub(crate) fn hash_all(kind: &str, parts: &[&str]) -> TokenHash {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [kind].iter().chain(parts) {
        context.update(part.as_bytes());
        context.update(&[0]);
    }
    TokenHash(bytes_of(&context.finish()))
}

/// SHA-256 of texts, one after the other.
pub(crate) fn sha256(parts: &[&str]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part.as_bytes());
    }
    bytes_of(&context.finish())
}

fn bytes_of(digest: &digest::Digest) -> [u8; 32] {
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Random bytes from the system's generator. Without random numbers nothing safe can be done, so that panics and
/// ends the connection that asked.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system gives random numbers");
    bytes
}

pub(crate) fn random_session_id() -> SessionId {
    SessionId::new(u64::from_le_bytes(random()))
}

/// 128 random bits as text, for names that must not be guessed but are no secret.
pub(crate) fn random_name() -> String {
    URL_SAFE_NO_PAD.encode(random::<16>())
}

fn random_text() -> String {
    let mut bytes = random::<32>();
    let text = URL_SAFE_NO_PAD.encode(bytes);
    bytes.zeroize();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_different_and_never_printed() {
        let (one, other) = (SessionToken::random(), SessionToken::random());
        assert!(could_be_secret(one.expose()) && one != other);
        assert_eq!(format!("{one:?} {:?}", BrowserSecret::random()), "(..) (..)");
    }

    #[test]
    fn what_cannot_be_a_secret_is_seen_without_looking_it_up() {
        for text in ["", "x", &"a".repeat(42), &"a".repeat(44), &"=".repeat(43), &format!("{}é", "a".repeat(41))] {
            assert!(!could_be_secret(text), "{text:?}");
        }
    }

    #[test]
    fn lists_of_secrets_do_not_run_together() {
        assert_ne!(hash_all("k", &["ab", "c"]), hash_all("k", &["a", "bc"]));
        assert_ne!(hash_all("k", &["a"]), hash_all("ka", &[]));
    }

    #[test]
    fn digests_are_sha_256() {
        assert_eq!(hash("abc").0[..4], [0xba, 0x78, 0x16, 0xbf]);
    }
}
