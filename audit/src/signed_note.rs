//! Signed notes (C2SP signed-note) with Ed25519: the form in which checkpoints are signed, readable by other tools.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::{LogProblem, disk};

/// The signature type byte of Ed25519.
const ALGORITHM: u8 = 1;

/// The id of a key under a name, for one type of signature (C2SP signed-note).
pub(crate) fn key_id(name: &str, algorithm: u8, public: &[u8]) -> [u8; 4] {
    let mut hashed = Vec::with_capacity(name.len() + 34);
    hashed.extend_from_slice(name.as_bytes());
    hashed.extend_from_slice(&[b'\n', algorithm]);
    hashed.extend_from_slice(public);
    digest(&SHA256, &hashed).as_ref().first_chunk().copied().unwrap_or_default()
}

/// The key that checks notes: name, key id and 32 bytes of public key, written `name+id+base64`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct VerifierKey {
    name: String,
    id: [u8; 4],
    public: Vec<u8>,
}

impl VerifierKey {
    fn new(name: &str, public: &[u8]) -> Self {
        Self { name: name.to_owned(), id: key_id(name, ALGORITHM, public), public: public.to_owned() }
    }

    /// Reads `name+id+base64`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.trim_end_matches('\n').split_once('+')?;
        let (id, encoded) = rest.split_once('+')?;
        let bytes = BASE64.decode(encoded).ok()?;
        let (algorithm, public) = bytes.split_first()?;
        let key = Self::new(name, public);
        (*algorithm == ALGORITHM && public.len() == 32 && id == key.id_text()).then_some(key)
    }

    /// The name signatures carry: the log's origin.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The 32 bytes of the public key.
    pub(crate) fn public(&self) -> &[u8] {
        &self.public
    }

    fn id_text(&self) -> String {
        self.id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Writes `name+id+base64`.
    pub(crate) fn to_text(&self) -> String {
        let mut bytes = vec![ALGORITHM];
        bytes.extend_from_slice(&self.public);
        format!("{}+{}+{}", self.name, self.id_text(), BASE64.encode(bytes))
    }

    /// Checks a note and gives its text; `None` where no signature of this key fits. Signatures of other keys,
    /// such as witnesses', may stand beside it.
    pub(crate) fn open<'a>(&self, note: &'a str) -> Option<&'a str> {
        let (above, signatures) = note.rsplit_once("\n\n")?;
        let text = note.get(..above.len() + 1)?;
        let mut found = false;
        for line in signatures.strip_suffix('\n')?.split('\n') {
            let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
            let bytes = BASE64.decode(encoded).ok()?;
            let (id, signature) = bytes.split_at_checked(4)?;
            if name != self.name || id != self.id {
                continue;
            }
            UnparsedPublicKey::new(&ED25519, &self.public).verify(text.as_bytes(), signature).ok()?;
            found = true;
        }
        found.then_some(text)
    }
}

/// The key that signs the log's checkpoints. It is never printed.
pub(crate) struct Signer {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({}, ..)", self.verifier.to_text())
    }
}

impl Signer {
    /// Its file among the keys of the node.
    pub(crate) const FILE: &str = "audit-signing.key";

    /// Reads the key of this node, or makes one where there is none.
    pub(crate) fn open_or_create(key_dir: &Path, name: &str) -> Result<Self, LogProblem> {
        let file = key_dir.join(Self::FILE);
        let problem = |reason: &str| LogProblem::Key { place: file.display().to_string(), reason: reason.to_owned() };
        let document = match std::fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let made = Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1());
                let made = made.map_err(|_| problem("no key could be made; try again"))?;
                disk::replace(&file, made.as_ref()).map_err(|error| LogProblem::disk(&file, &error))?;
                made.as_ref().to_vec()
            }
            Err(error) => return Err(LogProblem::disk(&file, &error)),
        };
        let pair = Ed25519KeyPair::from_pkcs8(&document)
            .map_err(|_| problem("is not an Ed25519 key in PKCS #8; restore it from the backup"))?;
        let verifier = VerifierKey::new(name, pair.public_key().as_ref());
        Ok(Self { pair, verifier })
    }

    pub(crate) fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The bare signature of a message.
    pub(crate) fn sign_bytes(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }

    /// Signs a text that ends in a newline.
    pub(crate) fn sign(&self, text: &str) -> String {
        let mut bytes = self.verifier.id.to_vec();
        bytes.extend_from_slice(&self.sign_bytes(text.as_bytes()));
        format!("{text}\n\u{2014} {} {}\n", self.verifier.name, BASE64.encode(bytes))
    }
}

/// Whether a name can stand in a signature line and a verifier key.
pub(crate) fn name_fits(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const TEXT: &str =
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const SIGNATURE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn a_note_that_the_go_tools_signed_is_accepted() {
        let key = VerifierKey::parse(KEY).unwrap();
        assert_eq!(key.to_text(), KEY);
        assert_eq!(key.open(&format!("{TEXT}\n{SIGNATURE}")), Some(TEXT));
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_note_is_refused() {
        let key = VerifierKey::parse(KEY).unwrap();
        let note = format!("{TEXT}\n{SIGNATURE}").into_bytes();
        for at in 0..note.len() {
            let mut flipped = note.clone();
            flipped[at] ^= 1;
            let opened = std::str::from_utf8(&flipped).ok().and_then(|note| key.open(note));
            assert_eq!(opened, None, "byte {at}");
        }
    }

    #[test]
    fn what_one_key_signs_another_does_not_accept() {
        let folder = crate::testing::Folder::new();
        let ours = Signer::open_or_create(folder.path(), "log.example/a").unwrap();
        let again = Signer::open_or_create(folder.path(), "log.example/a").unwrap();
        let renamed = Signer::open_or_create(folder.path(), "log.example/b").unwrap();
        let note = ours.sign("hello\n");
        assert_eq!(again.verifier().open(&note), Some("hello\n"));
        assert_eq!(renamed.verifier().open(&note), None);
        assert_eq!(VerifierKey::parse(KEY).unwrap().open(&note), None);
        assert_eq!(VerifierKey::parse(&ours.verifier().to_text()).as_ref(), Some(ours.verifier()));
    }

    #[test]
    fn a_key_file_that_is_no_key_is_named() {
        let folder = crate::testing::Folder::new();
        std::fs::write(folder.path().join("audit-signing.key"), "nonsense").unwrap();
        let problem = Signer::open_or_create(folder.path(), "log.example/a").unwrap_err();
        assert!(problem.to_string().contains("audit-signing.key"), "{problem}");
    }

    #[test]
    fn names_that_would_break_a_line_do_not_fit() {
        assert!(name_fits("sekimori.clinic.example.jp/gw01"));
        for bad in ["", "a b", "a+b", "a\nb", "a\u{3000}b"] {
            assert!(!name_fits(bad), "{bad:?}");
        }
    }
}
