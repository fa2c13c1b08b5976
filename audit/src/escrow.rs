//! The recovery key: each segment's key is also encrypted to it (HPKE, RFC 9180, with X25519), and its other half lies
//! offline. Whoever loses the key ring opens the log with it; the gateway cannot.

use std::fmt;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as SUITE;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke as _, HpkePrivateKey, HpkePublicKey};
use serde::{Deserialize, Serialize};

use crate::data_key::Secret;
use crate::ring::secret_of;
use crate::{LogProblem, disk};

const PUBLIC: &str = "x25519:";
const SECRET: &str = "x25519-secret:";
const INFO: &[u8] = b"sekimori-recovery-1";
const POINT_BYTES: usize = 32;
const FILE_BYTES_MAX: u64 = 4 * 1024;

/// The half of the recovery key that stands in the configuration: encrypts, and cannot decrypt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecoveryKey {
    point: Vec<u8>,
}

/// The half of the recovery key that lies offline. It is never printed.
pub struct RecoverySecret {
    public: RecoveryKey,
    private: HpkePrivateKey,
}

impl fmt::Debug for RecoverySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecoverySecret({}, ..)", self.public)
    }
}

/// A segment's key, encrypted to a recovery key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct RecoverySlot {
    /// The beginning of the recovery key's hash.
    pub(crate) key: String,
    enc: String,
    sealed: String,
}

impl fmt::Display for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", BASE64.encode(&self.point))
    }
}

impl RecoveryKey {
    /// Reads `x25519:BASE64`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let point = BASE64.decode(text.trim().strip_prefix(PUBLIC)?).ok()?;
        (point.len() == POINT_BYTES).then_some(Self { point })
    }

    pub(crate) fn id(&self) -> String {
        digest(&SHA256, &self.point).as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn wrap(&self, secret: &[u8], segment: u64) -> Option<RecoverySlot> {
        self.wrap_for(secret, &bound(segment))
    }

    /// Encrypts a secret, bound to what it is for.
    pub(crate) fn wrap_for(&self, secret: &[u8], purpose: &[u8]) -> Option<RecoverySlot> {
        let public = HpkePublicKey(self.point.clone());
        let (enc, sealed) = SUITE.seal(INFO, purpose, secret, &public).ok()?;
        Some(RecoverySlot { key: self.id(), enc: BASE64.encode(enc.0), sealed: BASE64.encode(sealed) })
    }
}

impl RecoverySecret {
    /// Makes a pair and writes the secret half to a file that is not there yet.
    ///
    /// # Errors
    /// [`LogProblem`] where the file is there or cannot be written.
    pub fn make(path: &Path) -> Result<Self, LogProblem> {
        let problem = |reason: &str| LogProblem::Key { place: path.display().to_string(), reason: reason.to_owned() };
        if path.exists() {
            return Err(problem("is there already; it is not written over"));
        }
        let (public, private) = SUITE.generate_key_pair().map_err(|_| problem("no key could be made; try again"))?;
        let made = Self { public: RecoveryKey { point: public.0 }, private };
        let secret = zeroize::Zeroizing::new(BASE64.encode(made.private.secret_bytes()));
        let text = zeroize::Zeroizing::new(format!("{}\n{SECRET}{}\n", made.public, secret.as_str()));
        disk::replace(path, text.as_bytes()).map_err(|error| LogProblem::disk(path, &error))?;
        Ok(made)
    }

    /// Reads what [`RecoverySecret::make`] wrote.
    ///
    /// # Errors
    /// [`LogProblem`] where the file is none of ours.
    pub fn read(path: &Path) -> Result<Self, LogProblem> {
        let text = match std::fs::metadata(path) {
            Ok(file) if file.len() <= FILE_BYTES_MAX => std::fs::read_to_string(path),
            Ok(_) => Err(std::io::Error::other("is too long for a recovery key")),
            Err(error) => Err(error),
        };
        let text = text.map(zeroize::Zeroizing::new).map_err(|error| LogProblem::disk(path, &error))?;
        Self::parse(&text).ok_or_else(|| LogProblem::Key {
            place: path.display().to_string(),
            reason: "is not a recovery key as `sekimori audit key escrow` writes it".to_owned(),
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let public = RecoveryKey::parse(lines.next()?)?;
        let secret = BASE64.decode(lines.next()?.strip_prefix(SECRET)?).ok()?;
        (secret.len() == POINT_BYTES).then_some(Self { public, private: HpkePrivateKey::from(secret) })
    }

    /// The half for the configuration.
    #[must_use]
    pub fn public(&self) -> &RecoveryKey {
        &self.public
    }

    pub(crate) fn unwrap(&self, slot: &RecoverySlot, segment: u64) -> Option<Secret> {
        self.unwrap_for(slot, &bound(segment))
    }

    pub(crate) fn unwrap_for(&self, slot: &RecoverySlot, purpose: &[u8]) -> Option<Secret> {
        let enc = EncapsulatedSecret(BASE64.decode(&slot.enc).ok()?);
        let sealed = BASE64.decode(&slot.sealed).ok()?;
        let opened = SUITE.open(&enc, INFO, purpose, &sealed, &self.private).ok()?;
        secret_of(&zeroize::Zeroizing::new(opened))
    }
}

fn bound(segment: u64) -> Vec<u8> {
    format!("sekimori-segment-key {segment}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    #[test]
    fn what_is_encrypted_to_a_recovery_key_its_secret_opens_for_that_segment_alone() {
        let folder = Folder::new();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        let made = RecoverySecret::make(&path).unwrap();
        let stranger = RecoverySecret::make(&other).unwrap();
        let public = RecoveryKey::parse(&made.public().to_string()).unwrap();
        let slot = public.wrap(&[5; 32], 9).unwrap();
        let read = RecoverySecret::read(&path).unwrap();
        assert_eq!(read.unwrap(&slot, 9).unwrap().as_slice(), [5; 32]);
        assert!(read.unwrap(&slot, 10).is_none());
        assert!(stranger.unwrap(&slot, 9).is_none());
        assert!(RecoverySecret::make(&path).is_err(), "never written over");
        assert!(!format!("{read:?}").contains("secret"));
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        for bad in ["", "x25519:", "x25519:AAAA", "AAAA", "x25519-secret:AAAA"] {
            assert_eq!(RecoveryKey::parse(bad), None, "{bad}");
        }
    }
}
