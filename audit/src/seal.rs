//! The log's key for those who hand lines over and those who check what they were handed: checkpoints and other notes,
//! signed and opened. The form is C2SP's signed note.

use std::path::Path;

use crate::LogProblem;
use crate::checkpoint::{self, Checkpoint};
use crate::signed_note::{Signer, VerifierKey};

/// The key that checks what a log signed, as `verifier-key` beside it says: `name+id+key`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogKey(VerifierKey);

/// The size and root of a log at one moment, as its key signed them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignedRoot {
    /// How many lines it had.
    pub size: u64,
    /// The root over them.
    pub root: [u8; 32],
}

impl LogKey {
    /// Reads `name+id+key`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        VerifierKey::parse(text.trim()).map(Self)
    }

    /// The name of the log.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.0.name()
    }

    pub(crate) fn public(&self) -> &[u8] {
        self.0.public()
    }

    /// The text of a note that this key signed; nothing where it did not.
    #[must_use]
    pub fn open<'a>(&self, note: &'a str) -> Option<&'a str> {
        self.0.open(note)
    }

    /// What a checkpoint says; nothing where this key did not sign it.
    #[must_use]
    pub fn checkpoint(&self, note: &str) -> Option<SignedRoot> {
        Checkpoint::open(note, &self.0).map(|checkpoint| SignedRoot { size: checkpoint.size, root: checkpoint.root })
    }
}

impl std::fmt::Display for LogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.to_text())
    }
}

/// The newest checkpoint of a log: a signed note. Nothing where it has none yet.
///
/// # Errors
/// [`LogProblem`] where it cannot be read.
pub fn newest_checkpoint(directory: &Path) -> Result<Option<String>, LogProblem> {
    checkpoint::read_newest(directory).map_err(|error| LogProblem::disk(&checkpoint::newest_path(directory), &error))
}

/// The key that signs for a log. It is never printed.
#[derive(Debug)]
pub struct LogSigner(Signer);

impl LogSigner {
    /// Opens the key of a node.
    ///
    /// # Errors
    /// [`LogProblem`] where there is none or it cannot be read.
    pub fn open(key_dir: &Path, origin: &str) -> Result<Self, LogProblem> {
        let file = key_dir.join(Signer::FILE);
        if !file.try_exists().map_err(|error| LogProblem::disk(&file, &error))? {
            return Err(LogProblem::Key {
                place: file.display().to_string(),
                reason: "is not there; only the node that writes the log can sign for it".to_owned(),
            });
        }
        Signer::open_or_create(key_dir, origin).map(Self)
    }

    /// The key that checks what it signs.
    #[must_use]
    pub fn key(&self) -> LogKey {
        LogKey(self.0.verifier().clone())
    }

    pub(crate) fn sign_bytes(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign_bytes(message)
    }

    /// Signs a text that ends in a newline and does not begin as a checkpoint of this log does, so that no note can be
    /// taken for one; nothing where it does.
    #[must_use]
    pub fn sign(&self, text: &str) -> Option<String> {
        let begins_as_checkpoint = text.split('\n').next() == Some(self.0.verifier().name());
        (!begins_as_checkpoint && text.ends_with('\n')).then(|| self.0.sign(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Folder, Ward};

    #[test]
    fn what_a_log_signs_opens_with_its_key_alone() {
        let ward = Ward::new();
        let log = ward.open();
        let note = crate::Note::new(crate::Event::Started, crate::testing::clock().now());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(log.recorder().note(note)).unwrap();
        log.stop();
        let key = LogKey::parse(log.public_key()).unwrap();
        assert_eq!((key.origin(), key.to_string().as_str()), (ward.config.origin.as_str(), log.public_key()));
        let note = newest_checkpoint(ward.directory()).unwrap().unwrap();
        assert_eq!(key.checkpoint(&note).map(|signed| signed.size), Some(ward.lines().len() as u64));
        let signer = LogSigner::open(ward.folder.path(), &ward.config.origin).unwrap();
        assert_eq!(signer.key(), key);
        let sealed = signer.sign("an export\n").unwrap();
        assert_eq!(key.open(&sealed), Some("an export\n"));
        assert_eq!(key.checkpoint(&sealed), None);
        assert_eq!(LogKey::parse("x+y+z"), None);
    }

    #[test]
    fn nothing_is_signed_that_reads_as_a_checkpoint() {
        let ward = Ward::new();
        ward.open().stop();
        let signer = LogSigner::open(ward.folder.path(), &ward.config.origin).unwrap();
        let root = "A".repeat(43);
        assert_eq!(signer.sign(&format!("{}\n1\n{root}=\n", ward.config.origin)), None);
        assert_eq!(signer.sign("no newline"), None);
    }

    #[test]
    fn no_key_is_made_where_there_is_none() {
        let folder = Folder::new();
        assert!(LogSigner::open(folder.path(), "log.example/a").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
