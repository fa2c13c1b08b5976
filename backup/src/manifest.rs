//! The manifest of a backup: what makes it one. It names every page of the list with its SHA-256, every page names every
//! piece with its own; the log's key signs it. So nothing can be changed, cut, left out or mixed that it would not show.

use audit::{LogKey, LogSigner};
use serde::{Deserialize, Serialize};

use crate::BackupProblem;
use crate::entry::Span;

/// The form of backups that this program writes, and the newest that it reads.
pub const FORMAT: u32 = 1;
const HEAD: &str = "sekimori backup";

/// What a backup says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of the backup.
    pub format: u32,
    /// Its number in its folder, from 1.
    pub number: u64,
    /// The version of the program that wrote it.
    pub program: String,
    /// The version of the store's tables.
    pub store_schema: u32,
    /// The name of the log, and so of the node.
    pub origin: String,
    /// The institution.
    pub facility: String,
    /// Its code, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facility_code: Option<String>,
    /// When, in UTC.
    pub at: String,
    /// How many lines of the log it holds.
    pub lines: u64,
    /// The checkpoint over them: a signed note.
    pub checkpoint: String,
    /// How many files.
    pub files: u64,
    /// How long they are together.
    pub bytes: u64,
    /// The folder above all of them, where they were.
    pub root: String,
    /// The configuration, below the root.
    pub config: String,
    /// The state folder, below the root.
    pub state: String,
    /// The log's folder, below the root.
    pub log: String,
    /// The store, below the root.
    pub store: String,
    /// When the store's dump was written to its end, in UTC, where it is a database's own dump.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dumped_at: Option<String>,
    /// When that dump was begun, in UTC, as far as it says so itself: what is in it is of that moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dump_begun_at: Option<String>,
    /// The key ring of the log, below the root, where it is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<String>,
    /// The recovery keys that open it.
    pub recovery: Vec<String>,
    /// The SHA-256 of the manifest before it in its folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// The run that made it, by which its packs are named.
    pub(crate) run: String,
    /// The pages of the list of files, in order.
    pub(crate) pages: Vec<Span>,
}

/// What every form of a manifest says.
#[derive(Deserialize)]
struct AnyForm {
    format: u32,
    program: String,
}

impl Manifest {
    /// The run that made it.
    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    /// The signed note; `None` where it cannot be signed.
    pub(crate) fn sign(&self, signer: &LogSigner) -> Option<String> {
        let json = serde_json::to_string(self).ok()?;
        signer.sign(&format!("{HEAD} {}\n{json}\n", self.number))
    }

    /// Reads a manifest that lies where number `number` does.
    ///
    /// # Errors
    /// [`BackupProblem`] where it is not one that this key signed for this place, or of a later form.
    pub(crate) fn open(note: &str, number: u64, key: &LogKey) -> Result<Self, BackupProblem> {
        let place = format!("backup {number}");
        let text = key.open(note).ok_or_else(|| {
            BackupProblem::damaged(
                &place,
                "its manifest is not one that the log's key signed: cut, changed or another's",
            )
        })?;
        let (head, json) = text.split_once('\n').unwrap_or_default();
        if head != format!("{HEAD} {number}") {
            let reason = format!("its manifest says `{head}`: it was put here from elsewhere");
            return Err(BackupProblem::damaged(place, reason));
        }
        let unreadable = |_| BackupProblem::damaged(&place, "its manifest cannot be read");
        let form: AnyForm = serde_json::from_str(json).map_err(unreadable)?;
        if form.format > FORMAT {
            let what = format!("is of form {}, this program knows up to {FORMAT}", form.format);
            return Err(BackupProblem::Newer { number, what, program: form.program });
        }
        let manifest: Self = serde_json::from_str(json).map_err(unreadable)?;
        let fits = manifest.number == number
            && manifest.origin == key.origin()
            && key.checkpoint(&manifest.checkpoint).is_some_and(|signed| signed.size == manifest.lines);
        if !fits {
            return Err(BackupProblem::damaged(place, "its manifest does not fit the checkpoint in it"));
        }
        Ok(manifest)
    }
}
