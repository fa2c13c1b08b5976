//! The key of one archived segment: made for it, used for it alone, kept beside it wrapped.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 32;
/// Bytes that sealing adds: the tag.
pub(crate) const TAG_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;

/// Secret bytes, overwritten when they are let go.
pub(crate) type Secret = Zeroizing<[u8; KEY_BYTES]>;

/// Random secret bytes; `None` where the machine has none.
pub(crate) fn random_secret() -> Option<Secret> {
    let mut secret = Secret::default();
    aws_lc_rs::rand::fill(secret.as_mut_slice()).ok()?;
    Some(secret)
}

/// A key that seals blocks by their number.
///
/// Invariant: a number is sealed once under a key. A segment is written once under a key: each try makes a new one.
pub(crate) struct DataKey {
    secret: Secret,
    aead: LessSafeKey,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

impl DataKey {
    /// A key that nobody has yet.
    pub(crate) fn random() -> Option<Self> {
        Self::from_secret(random_secret()?)
    }

    pub(crate) fn from_secret(secret: Secret) -> Option<Self> {
        let aead = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, secret.as_slice()).ok()?);
        Some(Self { secret, aead })
    }

    /// Its bytes, to be wrapped.
    pub(crate) fn secret(&self) -> &[u8] {
        self.secret.as_slice()
    }

    /// Encrypts block `number`, bound to what it must stand with.
    pub(crate) fn seal(&self, number: usize, bound: &[u8], mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        self.aead.seal_in_place_append_tag(nonce(number), Aad::from(bound), &mut bytes).ok()?;
        Some(bytes)
    }

    /// Decrypts block `number`; `None` where it is not what was sealed.
    pub(crate) fn open(&self, number: usize, bound: &[u8], mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        let length = self.aead.open_in_place(nonce(number), Aad::from(bound), &mut bytes).ok()?.len();
        bytes.truncate(length);
        Some(bytes)
    }
}

fn nonce(number: usize) -> Nonce {
    let mut bytes = [0; NONCE_BYTES];
    if let Some(place) = bytes.last_chunk_mut::<8>() {
        *place = (number as u64).to_be_bytes();
    }
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_opens_in_its_place_alone() {
        let (key, other) = (DataKey::random().unwrap(), DataKey::random().unwrap());
        let sealed = key.seal(3, b"segment", b"lines".to_vec()).unwrap();
        assert_eq!(sealed.len(), 5 + TAG_BYTES);
        assert_eq!(key.open(3, b"segment", sealed.clone()).as_deref(), Some(&b"lines"[..]));
        assert!(key.open(4, b"segment", sealed.clone()).is_none(), "another place");
        assert!(key.open(3, b"another", sealed.clone()).is_none(), "another segment");
        assert!(other.open(3, b"segment", sealed.clone()).is_none(), "another key");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open(3, b"segment", changed).is_none(), "byte {at}");
        }
        assert_eq!(format!("{key:?}"), "DataKey(..)");
    }
}
