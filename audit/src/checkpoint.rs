//! Checkpoints: the size and root of the tree at one moment (C2SP tlog-checkpoint), and the history of them.
//! The newest stands in `checkpoint`; `checkpoints` keeps one of every minute, and those at rotation and stop.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::disk;
use crate::signed_note::{Signer, VerifierKey};
use crate::tree::Hash;

/// A signed note of ours is far shorter; a longer file is not read.
const NOTE_BYTES_MAX: u64 = 64 * 1024;

/// The size and root of the tree at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Checkpoint {
    pub(crate) origin: String,
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

/// Where the newest checkpoint stands.
pub(crate) fn newest_path(directory: &Path) -> PathBuf {
    directory.join("checkpoint")
}

/// Where the history stands.
pub(crate) fn history_path(directory: &Path) -> PathBuf {
    directory.join("checkpoints")
}

impl Checkpoint {
    /// The signed note.
    pub(crate) fn sign(&self, signer: &Signer) -> String {
        signer.sign(&format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root)))
    }

    /// Opens a signed note; `None` where the signature or the form does not fit.
    pub(crate) fn open(note: &str, key: &VerifierKey) -> Option<Self> {
        let mut lines = key.open(note)?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let parsed: u64 = size.parse().ok()?;
        let checkpoint =
            Self { origin: origin.to_owned(), size: parsed, root: BASE64.decode(root).ok()?.try_into().ok()? };
        (checkpoint.origin == key.name() && parsed.to_string() == size).then_some(checkpoint)
    }
}

/// Reads the newest checkpoint's note; `None` where the log has none yet.
pub(crate) fn read_newest(directory: &Path) -> io::Result<Option<String>> {
    let path = newest_path(directory);
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.len() > NOTE_BYTES_MAX => Err(io::Error::other("is too long for a checkpoint")),
        Ok(_) => std::fs::read(&path).map(|bytes| Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts a note in place as the newest.
pub(crate) fn write_newest(directory: &Path, note: &str) -> io::Result<()> {
    disk::replace(&newest_path(directory), note.as_bytes())
}

/// Adds a note to the history: the note, then an empty line.
pub(crate) fn add_to_history(directory: &Path, note: &str) -> io::Result<()> {
    let mut file = disk::open_append(&history_path(directory))?;
    file.write_all(format!("{note}\n").as_bytes())?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_open_with_their_key_alone() {
        let (one, two) = (crate::testing::Folder::new(), crate::testing::Folder::new());
        let signer = Signer::open_or_create(one.path(), "log.example/a").unwrap();
        let stranger = Signer::open_or_create(two.path(), "log.example/a").unwrap();
        let checkpoint = Checkpoint { origin: "log.example/a".into(), size: 7, root: [9; 32] };
        let note = checkpoint.sign(&signer);
        assert_eq!(Checkpoint::open(&note, signer.verifier()), Some(checkpoint.clone()));
        assert_eq!(Checkpoint::open(&note, stranger.verifier()), None);
        let elsewhere = Checkpoint { origin: "log.example/b".into(), ..checkpoint };
        assert_eq!(Checkpoint::open(&elsewhere.sign(&signer), signer.verifier()), None, "another log's checkpoint");
    }

    #[test]
    fn sizes_have_one_spelling() {
        let folder = crate::testing::Folder::new();
        let signer = Signer::open_or_create(folder.path(), "a").unwrap();
        for size in ["07", "+7", " 7", "-1", ""] {
            let note = signer.sign(&format!("a\n{size}\n{}\n", BASE64.encode([0; 32])));
            assert_eq!(Checkpoint::open(&note, signer.verifier()), None, "{size:?}");
        }
    }
}
