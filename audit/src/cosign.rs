//! Cosignatures (C2SP tlog-cosignature, `cosignature/v1` with Ed25519): what one node of the gateway says of another's
//! checkpoint. It says that the cosigner saw this log with this size and root at that second, and saw it hold everything
//! that it had seen of it before. The node's own key signs; the beginning of what is signed and the type of the key keep
//! it apart from checkpoints and seals.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use policy::Timestamp;

use crate::seal::{LogKey, LogSigner};
use crate::signed_note::key_id;

/// The signature type byte of a cosignature with Ed25519.
const ALGORITHM: u8 = 4;
/// Key id, second, signature.
const ID_BYTES: usize = 4;
const SECOND_BYTES: usize = 8;

/// The text of a note: everything before its signatures.
fn text_of(note: &str) -> Option<&str> {
    let (above, _) = note.rsplit_once("\n\n")?;
    note.get(..above.len() + 1)
}

/// What is signed: the second, and the checkpoint without its signatures.
fn message(text: &str, second: u64) -> String {
    format!("cosignature/v1\ntime {second}\n{text}")
}

impl LogSigner {
    /// The cosignature of a checkpoint at a moment: a line that may stand below it. Whoever cosigns has checked the
    /// checkpoint's own signature, and that it goes on from what was cosigned before. Nothing where it is no note.
    #[must_use]
    pub fn cosign(&self, note: &str, at: Timestamp) -> Option<String> {
        let (text, second) = (text_of(note)?, u64::try_from(at.unix_seconds()).ok()?);
        let key = self.key();
        let mut bytes = key_id(key.origin(), ALGORITHM, key.public()).to_vec();
        bytes.extend_from_slice(&second.to_be_bytes());
        bytes.extend_from_slice(&self.sign_bytes(message(text, second).as_bytes()));
        Some(format!("\u{2014} {} {}\n", key.origin(), BASE64.encode(bytes)))
    }
}

impl LogKey {
    /// When the node of this key cosigned a checkpoint; nothing where the line is no cosignature of it by this key.
    #[must_use]
    pub fn cosigned(&self, note: &str, line: &str) -> Option<Timestamp> {
        let (name, encoded) = line.strip_prefix("\u{2014} ")?.strip_suffix('\n')?.split_once(' ')?;
        let bytes = BASE64.decode(encoded).ok()?;
        let (id, rest) = bytes.split_at_checked(ID_BYTES)?;
        let (second, signature) = rest.split_at_checked(SECOND_BYTES)?;
        if name != self.origin() || id != key_id(name, ALGORITHM, self.public()) {
            return None;
        }
        let second = u64::from_be_bytes(second.try_into().ok()?);
        let message = message(text_of(note)?, second);
        UnparsedPublicKey::new(&ED25519, self.public()).verify(message.as_bytes(), signature).ok()?;
        Some(Timestamp::from_unix_micros(i64::try_from(second).ok()?.checked_mul(1_000_000)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signed_note::Signer;
    use crate::testing::Folder;

    const NOTE: &str =
        "log.example/a\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\u{2014} log.example/a AAAAAAAA\n";
    const AT: Timestamp = Timestamp::from_unix_micros(1_795_248_000_000_000);

    fn signer(folder: &Folder, origin: &str) -> LogSigner {
        Signer::open_or_create(folder.path(), origin).unwrap();
        LogSigner::open(folder.path(), origin).unwrap()
    }

    #[test]
    fn a_cosignature_stands_for_one_checkpoint_one_moment_and_one_node() {
        let (one, two) = (Folder::new(), Folder::new());
        let (ours, stranger) = (signer(&one, "log.example/b"), signer(&two, "log.example/b"));
        let line = ours.cosign(NOTE, AT).unwrap();
        assert_eq!(ours.key().cosigned(NOTE, &line), Some(AT));
        assert_eq!(stranger.key().cosigned(NOTE, &line), None, "another key under the same name");
        assert_eq!(ours.key().cosigned(&NOTE.replace("\n7\n", "\n8\n"), &line), None, "another checkpoint");
        let more = NOTE.replace("AAAAAAAA\n", "BBBBBBBB\n");
        assert_eq!(ours.key().cosigned(&more, &line), Some(AT), "whatever else is signed below");
        let bytes = line.clone().into_bytes();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            let opened = std::str::from_utf8(&flipped).ok().and_then(|line| ours.key().cosigned(NOTE, line));
            assert_eq!(opened, None, "byte {at}");
        }
    }

    #[test]
    fn a_cosignature_passes_for_no_checkpoint_and_no_seal() {
        let folder = Folder::new();
        let ours = signer(&folder, "log.example/b");
        let line = ours.cosign(NOTE, AT).unwrap();
        let text = message(text_of(NOTE).unwrap(), u64::try_from(AT.unix_seconds()).unwrap());
        assert_eq!(ours.key().open(&format!("{text}\n{line}")), None);
        assert_eq!(ours.cosign("no note", AT), None);
        // The log's own signature is no cosignature either.
        let own = ours.sign("an export\n").unwrap();
        let signature = own.rsplit_once("\n\n").unwrap().1;
        assert_eq!(ours.key().cosigned(&own, signature), None);
    }
}
