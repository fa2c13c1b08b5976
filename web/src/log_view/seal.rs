//! What may name a patient in addresses of ours: sealed, so that neither a browser's history nor a link that is passed on names one.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policy::UserId;

/// How long a nonce is.
const NONCE_BYTES: usize = 12;
/// The longest text that is sealed, in bytes: a hundred characters.
const TEXT_BYTES_MAX: usize = 400;

/// Seals what stands in an address. The key lives as long as the program: what was sealed before a restart, or for
/// somebody else, does not open.
pub(crate) struct Seal(RandomizedNonceKey);

impl Seal {
    /// With a key of its own; `None` where the system gives no randomness.
    pub(super) fn new() -> Option<Self> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).ok()?;
        RandomizedNonceKey::new(&AES_256_GCM, &key).ok().map(Self)
    }

    /// Seals a text for one person.
    pub(crate) fn close(&self, whose: &UserId, text: &str) -> Option<String> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let mut sealed = text.as_bytes().to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(whose.as_str()), &mut sealed).ok()?;
        Some(URL_SAFE_NO_PAD.encode([nonce.as_ref().as_slice(), &sealed].concat()))
    }

    /// Opens what was sealed for this person.
    pub(crate) fn open(&self, whose: &UserId, sealed: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let text = self.0.open_in_place(nonce, Aad::from(whose.as_str()), &mut sealed).ok()?;
        String::from_utf8(text.to_vec()).ok()
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> UserId {
        UserId::parse(id).unwrap()
    }

    #[test]
    fn what_is_sealed_says_nothing_and_opens_for_its_person_alone() {
        let (seal, other) = (Seal::new().unwrap(), Seal::new().unwrap());
        let sealed = seal.close(&user("u-1"), "00012345").unwrap();
        assert!(!sealed.contains("00012345"));
        assert_ne!(sealed, seal.close(&user("u-1"), "00012345").unwrap(), "two of one patient are not alike");
        assert_eq!(seal.open(&user("u-1"), &sealed).as_deref(), Some("00012345"));
        assert_eq!(seal.open(&user("u-2"), &sealed), None, "passed on");
        assert_eq!(other.open(&user("u-1"), &sealed), None, "after a restart");
    }

    #[test]
    fn what_is_not_ours_does_not_open() {
        let seal = Seal::new().unwrap();
        let sealed = seal.close(&user("u-1"), "7").unwrap();
        let changed = format!("{}A", &sealed[..sealed.len() - 1]);
        for text in ["", "AAAA", "!", "00012345", &sealed[..10], &format!("{sealed}A"), "あ"] {
            assert_eq!(seal.open(&user("u-1"), text), None, "{text}");
        }
        assert!(changed == sealed || seal.open(&user("u-1"), &changed).is_none());
        assert_eq!(seal.close(&user("u-1"), &"1".repeat(TEXT_BYTES_MAX + 1)), None);
    }
}
