//! What a node keeps of the other nodes' logs: the key that signs each, and the newest checkpoint that was found to go on
//! from the one before. A log that shrank, changed or signs with another key is told as a [`PeerFault`], and what is kept
//! stays as it was. Deliberately not here: how checkpoints come from one node to the other.

use std::path::{Path, PathBuf};

use crate::proof::verify_consistency;
use crate::seal::{LogKey, SignedRoot};
use crate::{LogProblem, disk};

/// A key and a note of ours are far shorter; a longer file is not read.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// How far another node's log was checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerSeen {
    /// The key that signs it.
    pub key: LogKey,
    /// The checkpoint, as it was signed.
    pub note: String,
    /// What it says.
    pub signed: SignedRoot,
}

/// What a checkpoint of another node is, beside the one that was checked before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PeerStep {
    /// The first that was ever seen of it, or the log goes on from the one before.
    On(PeerSeen),
    /// The same size and root: nothing was written.
    Same,
    /// It is larger, and no proof was given that it goes on from the one before.
    Unproved,
}

/// Why a checkpoint of another node is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PeerFault {
    /// Another key signs it than before.
    #[error("another key signs its log")]
    OtherKey,
    /// Its own key did not sign it.
    #[error("its checkpoint is not signed by its key")]
    NotSigned,
    /// It has fewer lines than were seen.
    #[error("its log has fewer lines than it had")]
    SetBack,
    /// The lines that were seen are not those that are there.
    #[error("its log is not the one that was seen")]
    Rewritten,
}

/// Compares a checkpoint of another node with the one that was checked before. `proof` is the proof that the log goes on
/// from that one, where the node gave it.
///
/// # Errors
/// [`PeerFault`]: keep what was seen before, and raise an alarm.
pub fn follow_peer(
    before: Option<&PeerSeen>,
    key: &LogKey,
    note: &str,
    proof: Option<&[[u8; 32]]>,
) -> Result<PeerStep, PeerFault> {
    if before.is_some_and(|before| before.key != *key) {
        return Err(PeerFault::OtherKey);
    }
    let signed = key.checkpoint(note).ok_or(PeerFault::NotSigned)?;
    let seen = || PeerStep::On(PeerSeen { key: key.clone(), note: note.to_owned(), signed });
    let Some(before) = before.map(|before| before.signed) else { return Ok(seen()) };
    if signed.size < before.size {
        return Err(PeerFault::SetBack);
    }
    if signed.size == before.size {
        return if signed.root == before.root { Ok(PeerStep::Same) } else { Err(PeerFault::Rewritten) };
    }
    let Some(proof) = proof else { return Ok(PeerStep::Unproved) };
    if verify_consistency((before.size, before.root), (signed.size, signed.root), proof) {
        Ok(seen())
    } else {
        Err(PeerFault::Rewritten)
    }
}

fn seen_path(directory: &Path, name: &str) -> PathBuf {
    directory.join("peers").join(name)
}

/// How far the log of another node was checked, as it is kept beside this node's log. `name` is a plain file name.
///
/// # Errors
/// [`LogProblem`] where the file cannot be read, or does not hold what was kept.
pub fn peer_seen(directory: &Path, name: &str) -> Result<Option<PeerSeen>, LogProblem> {
    let path = seen_path(directory, name);
    let text = match std::fs::metadata(&path) {
        Ok(file) if file.len() <= FILE_BYTES_MAX => std::fs::read_to_string(&path),
        Ok(_) => Err(std::io::Error::other("is too long for a checkpoint")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => Err(error),
    };
    let text = text.map_err(|error| LogProblem::disk(&path, &error))?;
    let read = || {
        let (key, note) = text.split_once('\n')?;
        let key = LogKey::parse(key)?;
        let signed = key.checkpoint(note)?;
        Some(PeerSeen { key, note: note.to_owned(), signed })
    };
    read().map(Some).ok_or_else(|| LogProblem::damaged(&path, "does not hold a key and a checkpoint that it signed"))
}

/// Keeps how far the log of another node was checked.
///
/// # Errors
/// [`LogProblem`] where it cannot be written.
pub fn keep_peer(directory: &Path, name: &str, seen: &PeerSeen) -> Result<(), LogProblem> {
    let path = seen_path(directory, name);
    let text = format!("{}\n{}", seen.key, seen.note);
    disk::replace(&path, text.as_bytes()).map_err(|error| LogProblem::disk(&path, &error))
}

/// Keeps a checkpoint of this log together with another node's cosignature of it.
///
/// # Errors
/// [`LogProblem`] where it cannot be written.
pub fn keep_cosigned(directory: &Path, name: &str, note: &str, line: &str) -> Result<(), LogProblem> {
    let path = directory.join("cosigned").join(name);
    disk::replace(&path, format!("{note}{line}").as_bytes()).map_err(|error| LogProblem::disk(&path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::proof::Prover;
    use crate::signed_note::Signer;
    use crate::testing::Folder;
    use crate::tree::{Hash, Tree, leaf_hash};

    struct Node {
        folder: Folder,
        signer: Signer,
    }

    impl Node {
        fn new() -> Self {
            let folder = Folder::new();
            let signer = Signer::open_or_create(folder.path(), "log.example/a").unwrap();
            Self { folder, signer }
        }

        fn key(&self) -> LogKey {
            LogKey::parse(&self.signer.verifier().to_text()).unwrap()
        }

        fn note(&self, size: u64) -> String {
            self.note_of(size, "line")
        }

        fn note_of(&self, size: u64, word: &str) -> String {
            let mut tree = Tree::default();
            (0..size).for_each(|seq| tree.push(leaf_hash(&line(word, seq)), &mut Vec::new()));
            Checkpoint { origin: "log.example/a".into(), size, root: tree.root() }.sign(&self.signer)
        }

        fn proof(&self, from: u64, size: u64) -> Vec<Hash> {
            Prover::new(self.folder.path(), |seq| Ok(Some(line("line", seq)))).consistency(from, size).unwrap()
        }

        fn seen(&self, size: u64) -> PeerSeen {
            match follow_peer(None, &self.key(), &self.note(size), None) {
                Ok(PeerStep::On(seen)) => seen,
                other => panic!("{other:?}"),
            }
        }
    }

    fn line(word: &str, seq: u64) -> Vec<u8> {
        format!("{word} {seq}").into_bytes()
    }

    #[test]
    fn a_log_is_followed_by_proof_alone() {
        let node = Node::new();
        let before = node.seen(7);
        let follow = |note: &str, proof: Option<&[Hash]>| follow_peer(Some(&before), &node.key(), note, proof);
        assert_eq!(follow(&node.note(7), None), Ok(PeerStep::Same));
        assert_eq!(follow(&node.note(19), None), Ok(PeerStep::Unproved));
        let on = follow(&node.note(19), Some(&node.proof(7, 19))).unwrap();
        assert_eq!(on, PeerStep::On(node.seen(19)));
    }

    #[test]
    fn a_log_that_is_not_what_it_was_is_refused() {
        let (node, stranger) = (Node::new(), Node::new());
        let before = node.seen(7);
        let follow = |key: &LogKey, note: &str, proof: &[Hash]| follow_peer(Some(&before), key, note, Some(proof));
        let proof = node.proof(7, 19);
        assert_eq!(follow(&stranger.key(), &stranger.note(19), &proof), Err(PeerFault::OtherKey));
        assert_eq!(follow(&node.key(), &stranger.note(19), &proof), Err(PeerFault::NotSigned));
        assert_eq!(follow(&node.key(), &node.note(6), &[]), Err(PeerFault::SetBack));
        assert_eq!(follow(&node.key(), &node.note_of(7, "other"), &[]), Err(PeerFault::Rewritten));
        assert_eq!(follow(&node.key(), &node.note_of(19, "other"), &proof), Err(PeerFault::Rewritten));
        assert_eq!(follow(&node.key(), &node.note(19), &[]), Err(PeerFault::Rewritten), "an empty proof");
        assert_eq!(
            follow(&node.key(), &node.note(19), &node.proof(8, 19)),
            Err(PeerFault::Rewritten),
            "another's proof"
        );
    }

    #[test]
    fn what_was_seen_is_kept_and_what_was_changed_is_told() {
        let (node, here) = (Node::new(), Folder::new());
        assert_eq!(peer_seen(here.path(), "gw02").unwrap(), None);
        keep_peer(here.path(), "gw02", &node.seen(7)).unwrap();
        assert_eq!(peer_seen(here.path(), "gw02").unwrap(), Some(node.seen(7)));
        let file = here.path().join("peers/gw02");
        std::fs::write(&file, std::fs::read_to_string(&file).unwrap().replace("\n7\n", "\n5\n")).unwrap();
        assert!(peer_seen(here.path(), "gw02").is_err());
    }
}
