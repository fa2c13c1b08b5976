//! A private key encrypted at rest: AES-256-GCM under a key that lies elsewhere, so that a copy of the file alone is
//! worth nothing.
//!
//! What opens it is either a passphrase that the hospital keeps, or a key file that the gateway makes once
//! (`secrets/device-ca.kek`). The sealed key is bound to its certificate: beside another one it does not open.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, pbkdf2, rand};
use config::Secret;
use zeroize::Zeroizing;

use crate::{CertProblem, files, pem};

/// What stands in the first and last line of the block.
pub(crate) const LABEL: &str = "SEKIMORI SEALED KEY";

/// The only layout: version, opener, rounds (4), salt (16), nonce (12), then what AES-256-GCM made.
const VERSION: u8 = 1;
const BY_KEY_FILE: u8 = 1;
const BY_PASSPHRASE: u8 = 2;
const SALT_BYTES: usize = 16;
const HEAD_BYTES: usize = 2 + 4 + SALT_BYTES;
/// A PKCS#8 key with RSA of 8192 bits has less than 5 KiB.
const SEALED_BYTES_MAX: usize = 16 << 10;
/// Rounds of PBKDF2-HMAC-SHA256 (OWASP's figure of 2023); a third of a second, once at start.
const ROUNDS: u32 = 600_000;
/// What a block may ask for: not so few that guessing is cheap, not so many that the start hangs.
const ROUNDS_ALLOWED: std::ops::RangeInclusive<u32> = 100_000..=10_000_000;
const INFO: &[u8] = b"sekimori device-ca key v1";

/// Where the secret comes from that opens a sealed key.
#[derive(Debug)]
pub(crate) struct Openers<'a> {
    /// The key file; made when something is first sealed with it.
    pub(crate) key_file: PathBuf,
    /// What the hospital keeps instead.
    pub(crate) passphrase: Option<&'a Secret>,
}

/// A key as it lies in its file.
pub(crate) struct Sealed {
    head: [u8; HEAD_BYTES],
    nonce: [u8; NONCE_LEN],
    content: Vec<u8>,
}

/// Why bytes are no sealed key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealProblem {
    /// Not the layout that this program writes.
    #[error("is not a sealed key of this program")]
    Malformed,
    /// Written by a later version.
    #[error("was sealed by a later version of this program")]
    Unknown,
}

impl Openers<'_> {
    /// Seals a key (PKCS#8 in DER) for the certificate it belongs to; gives the PEM block.
    pub(crate) fn seal(&self, key_der: &[u8], certificate: &[u8]) -> Result<String, CertProblem> {
        let no_random = |_| CertProblem::new("device CA", "the system yields no random numbers", "look at its log");
        let mut random = [0; SALT_BYTES + NONCE_LEN];
        rand::fill(&mut random).map_err(no_random)?;
        let (salt, nonce) = random.split_at(SALT_BYTES);
        let (opener, rounds) = match self.passphrase {
            Some(_) => (BY_PASSPHRASE, ROUNDS),
            None => (BY_KEY_FILE, 0),
        };
        let head = [&[VERSION, opener][..], &rounds.to_be_bytes(), salt].concat();
        let (Some(head), Some(nonce)) = (head.first_chunk().copied(), nonce.first_chunk().copied()) else {
            return Err(no_random(aws_lc_rs::error::Unspecified));
        };
        let mut sealed = Sealed { head, nonce, content: key_der.to_vec() };
        // Only a key file that is not there is made; one that cannot be read must not be replaced.
        if opener == BY_KEY_FILE {
            make_key_file(&self.key_file)?;
        }
        let key = self.key_for(&sealed)?;
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(sealed.nonce),
            Aad::from(sealed.bound_to(certificate)),
            &mut sealed.content,
        )
        .map_err(|_| CertProblem::new("device CA", "its key cannot be encrypted", "look at the system's log"))?;
        Ok(pem::block(LABEL, &[&sealed.head[..], &sealed.nonce, &sealed.content].concat()))
    }

    /// Opens a sealed key that lies in a file.
    pub(crate) fn open(
        &self,
        sealed: &Sealed,
        certificate: &[u8],
        file: &Path,
    ) -> Result<Zeroizing<Vec<u8>>, CertProblem> {
        let key = self.key_for(sealed)?;
        let mut content = Zeroizing::new(sealed.content.clone());
        let nonce = Nonce::assume_unique_for_key(sealed.nonce);
        let opened = key
            .open_in_place(nonce, Aad::from(sealed.bound_to(certificate)), &mut content)
            .map(|opened| Zeroizing::new(opened.to_vec()));
        opened.map_err(|_| {
            let remedy = if sealed.is_by_passphrase() {
                "check the passphrase; if it is right, restore the file from a backup"
            } else {
                "restore the file and the key file from the same backup"
            };
            CertProblem::at(file, "holds a key that its passphrase or key file does not open", remedy)
        })
    }

    /// Whether a key sealed like this should be sealed anew: the hospital has taken a passphrase since.
    pub(crate) fn would_seal_otherwise(&self, sealed: &Sealed) -> bool {
        self.passphrase.is_some() && !sealed.is_by_passphrase()
    }

    fn key_for(&self, sealed: &Sealed) -> Result<LessSafeKey, CertProblem> {
        let mut key = Zeroizing::new([0; 32]);
        let salt = sealed.head.get(2 + 4..).unwrap_or_default();
        if sealed.is_by_passphrase() {
            let Some(passphrase) = self.passphrase else {
                return Err(CertProblem::new(
                    "device CA",
                    "its key is sealed with a passphrase, and none is given",
                    "name the file of the passphrase with `ca_passphrase_file` in [devices]",
                ));
            };
            let rounds = NonZeroU32::new(sealed.rounds()).unwrap_or(NonZeroU32::MIN);
            let passphrase = passphrase.expose().as_bytes();
            pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, passphrase, key.as_mut());
        } else {
            let secret = read_key_file(&self.key_file)?;
            hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
                .extract(&secret)
                .expand(&[INFO], hkdf::HKDF_SHA256)
                .and_then(|made| made.fill(key.as_mut()))
                .map_err(|_| CertProblem::at(&self.key_file, "cannot be used", "restore it from a backup"))?;
        }
        UnboundKey::new(&AES_256_GCM, key.as_ref())
            .map(LessSafeKey::new)
            .map_err(|_| CertProblem::new("device CA", "its key cannot be opened", "look at the system's log"))
    }
}

impl Sealed {
    /// Finds the sealed key among the PEM blocks of a file; `None` if there is no such block.
    pub(crate) fn find(text: &[u8]) -> Option<Result<Self, SealProblem>> {
        let begin = format!("-----BEGIN {LABEL}-----");
        let end = format!("-----END {LABEL}-----");
        let text = String::from_utf8_lossy(text);
        let (_, rest) = text.split_once(&begin)?;
        let Some((body, _)) = rest.split_once(&end) else { return Some(Err(SealProblem::Malformed)) };
        let characters: String = body.split_ascii_whitespace().collect();
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, characters);
        Some(bytes.map_err(|_| SealProblem::Malformed).and_then(|bytes| Self::read(&bytes)))
    }

    /// Reads the bytes of a block.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, SealProblem> {
        if bytes.len() > SEALED_BYTES_MAX {
            return Err(SealProblem::Malformed);
        }
        let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or(SealProblem::Malformed)?;
        let (nonce, content) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealProblem::Malformed)?;
        let sealed = Self { head: *head, nonce: *nonce, content: content.to_vec() };
        let [version, opener, ..] = sealed.head;
        match (version, opener) {
            (VERSION, BY_KEY_FILE) => Ok(sealed),
            (VERSION, BY_PASSPHRASE) if ROUNDS_ALLOWED.contains(&sealed.rounds()) => Ok(sealed),
            (VERSION, BY_PASSPHRASE) => Err(SealProblem::Malformed),
            _ => Err(SealProblem::Unknown),
        }
    }

    fn is_by_passphrase(&self) -> bool {
        self.head.get(1) == Some(&BY_PASSPHRASE)
    }

    fn rounds(&self) -> u32 {
        self.head.get(2..).and_then(|rest| rest.first_chunk()).map_or(0, |digits| u32::from_be_bytes(*digits))
    }

    /// What a key is bound to: how it is sealed, and its certificate.
    fn bound_to(&self, certificate: &[u8]) -> Vec<u8> {
        [&self.head[..], certificate].concat()
    }
}

/// Whether a file holds a sealed key that this program wrote; `None` if it holds none.
#[must_use]
pub fn read_sealed_key(text: &[u8]) -> Option<Result<(), SealProblem>> {
    Sealed::find(text).map(|found| found.map(|_| ()))
}

/// Makes the key file and its folder, if it is not there.
fn make_key_file(file: &Path) -> Result<(), CertProblem> {
    if file.try_exists().unwrap_or(true) {
        return Ok(());
    }
    if let Some(folder) = file.parent() {
        files::private_folder(folder)?;
    }
    let mut key = Zeroizing::new([0; 32]);
    rand::fill(key.as_mut())
        .map_err(|_| CertProblem::at(file, "cannot be made: no random numbers", "look at the system's log"))?;
    let digits: Zeroizing<String> = Zeroizing::new(key.iter().map(|byte| format!("{byte:02x}")).collect());
    // False if another program was faster; then its key counts.
    files::write_private_once(file, digits.as_bytes()).map(|_| ())
}

fn read_key_file(file: &Path) -> Result<Zeroizing<Vec<u8>>, CertProblem> {
    let bytes = files::read(file)?;
    if files::is_open_to_others(file) {
        return Err(CertProblem::at(
            file,
            "opens the key of the device CA and may be read by others",
            "run `chmod 600` on it, and consider whether somebody may have copied it",
        ));
    }
    let digits = bytes.trim_ascii();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(CertProblem::at(file, "is not the key file of a device CA", "restore it from a backup"));
    }
    Ok(Zeroizing::new(digits.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests;
