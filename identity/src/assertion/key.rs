//! The key that signs assertions: P-256, in one PEM file that only the gateway may read.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::hkdf;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, Signature};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::secret::{random_name, sha256};

const FILE: &str = "assertion-key.pem";
const SEED_SALT: &[u8] = b"sekimori keys that nodes share v1";
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// Why there is no signing key.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}; {remedy}", file.display())]
pub struct KeyProblem {
    /// The file.
    pub file: PathBuf,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub remedy: &'static str,
}

pub(super) struct SigningKey {
    pair: EcdsaKeyPair,
    id: String,
    x: String,
    y: String,
    /// What keys for other purposes are made from.
    seed: hkdf::Prk,
}

impl SigningKey {
    pub(super) fn open_or_create(state_dir: &Path) -> Result<Self, KeyProblem> {
        let file = state_dir.join(FILE);
        match fs::metadata(&file) {
            Err(problem) if problem.kind() == ErrorKind::NotFound => create(&file).map_err(|problem| {
                let remedy = "let the gateway's user write in this directory";
                KeyProblem { file: file.clone(), reason: problem.to_string(), remedy }
            })?,
            Err(_) | Ok(_) => {}
        }
        Self::open(&file)
    }

    fn open(file: &Path) -> Result<Self, KeyProblem> {
        let problem = |reason: String, remedy| KeyProblem { file: file.to_owned(), reason, remedy };
        let readable = "make it readable for the gateway's user";
        let replace = "restore it from backup, or remove it and restart: apps then have to read the keys again";
        let metadata = fs::metadata(file).map_err(|error| problem(error.to_string(), readable))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(problem("others than its owner may use it".to_owned(), "run `chmod 600` on it"));
        }
        let pem = Zeroizing::new(fs::read_to_string(file).map_err(|error| problem(error.to_string(), readable))?);
        Self::parse(&pem).ok_or_else(|| problem("is not a P-256 private key in PKCS#8 PEM form".to_owned(), replace))
    }

    fn parse(pem: &str) -> Option<Self> {
        let body = pem.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
        let body = Zeroizing::new(body.split_ascii_whitespace().collect::<String>());
        let der = Zeroizing::new(STANDARD.decode(body.as_bytes()).ok()?);
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).ok()?;
        let (x, y) = coordinates(&pair)?;
        // RFC 7638: the required members in alphabetical order, without spaces.
        let thumbprint = sha256(&[r#"{"crv":"P-256","kty":"EC","x":""#, &x, r#"","y":""#, &y, r#""}"#]);
        let seed = hkdf::Salt::new(hkdf::HKDF_SHA256, SEED_SALT).extract(&der);
        Some(Self { pair, id: URL_SAFE_NO_PAD.encode(thumbprint), x, y, seed })
    }

    pub(super) fn key_for(&self, purpose: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let mut key = Zeroizing::new([0; 32]);
        self.seed.expand(&[purpose], hkdf::HKDF_SHA256).ok()?.fill(key.as_mut()).ok()?;
        Some(key)
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn public_jwk(&self) -> serde_json::Value {
        serde_json::json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id, "x": self.x, "y": self.y,
        })
    }

    pub(super) fn sign(&self, random: &SystemRandom, message: &[u8]) -> Option<Signature> {
        self.pair.sign(random, message).ok()
    }
}

/// The public point, from its uncompressed form: 0x04, then both coordinates.
fn coordinates(pair: &EcdsaKeyPair) -> Option<(String, String)> {
    let (x, y) = pair.public_key().as_ref().strip_prefix(&[4])?.split_at_checked(32)?;
    (y.len() == 32).then(|| (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y)))
}

/// Writes a new key under a name of its own and links it into place, so that the file is whole or not there, and of
/// two processes that start together one wins and both use its key.
fn create(file: &Path) -> std::io::Result<()> {
    let unmade = |_| std::io::Error::other("no key could be generated");
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(unmade)?;
    let der = pair.to_pkcs8v1().map_err(unmade)?;
    let body = Zeroizing::new(STANDARD.encode(der.as_ref()));
    let draft = file.with_extension(format!("{}.new", random_name()));
    let written = write_draft(&draft, &body).and_then(|()| match fs::hard_link(&draft, file) {
        Err(problem) if problem.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let removed = fs::remove_file(&draft);
    written.and(removed)?;
    file.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

fn write_draft(draft: &Path, body: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    writeln!(file, "{BEGIN}")?;
    for line in body.as_bytes().chunks(64) {
        file.write_all(line)?;
        file.write_all(b"\n")?;
    }
    writeln!(file, "{END}")?;
    file.sync_all()
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}
