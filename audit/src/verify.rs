//! Checking a log offline: every line, tile, root and signature.
//!
//! The lines are hashed once, from the first to the last. Beside the tree that they give stands the tree that the
//! tiles give; the signed root says which of the two is right where they differ, and so whether a line or a tile was
//! changed. Works on a copied directory and on a log that is being written.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::history::{self, SignedNote};
use crate::signed_note::VerifierKey;
use crate::walk::{Walk, walk};
use crate::{Reader, tape};

/// How often a log that changes its form meanwhile is checked again.
const RETRIES_MAX: usize = 3;

/// What was checked, all of it in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    /// The log's name in its checkpoints.
    pub origin: String,
    /// Lines in the log.
    pub lines: u64,
    /// Lines that a signed checkpoint covers. Later ones were written in the second before the copy or a crash: no
    /// signature stands for them yet.
    pub lines_signed: u64,
    /// Checkpoints whose signature and root were checked.
    pub checkpoints: u64,
    /// Segments read.
    pub segments: u64,
    /// Those of them that are archived.
    pub segments_archived: u64,
    /// Lines at the beginning that were deleted by age, as the log records; passed over by the hashes that were kept.
    pub lines_deleted: u64,
    /// Lines that say that a segment was to be deleted, or that such a line counts for nothing, found unsigned when the
    /// log was opened: somebody else may have written them, so they count for nothing, as the log says itself.
    pub deletions_void: u64,
    /// Recordings of terminals that the log tells of, each as it tells.
    pub recordings: u64,
    /// Root hash at [`Verified::lines_signed`], base64.
    pub root: String,
    /// The verifier key the signatures were checked with.
    pub public_key: String,
    /// Whether that key was given by the caller; else it came from the log's own directory and proves less.
    pub key_was_given: bool,
}

/// Something that is not as it was signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// The line in the file, from 1; none in files without lines.
    pub line: Option<u64>,
    /// The bytes of the file among which the change lies.
    pub bytes: Option<Range<u64>>,
    /// What does not fit.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(bytes) = &self.bytes {
            write!(f, " (bytes {}..{})", bytes.start, bytes.end)?;
        }
        write!(f, ": {}", self.what)
    }
}

impl Finding {
    pub(crate) fn in_file(file: &Path, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, bytes: None, what: what.into() }
    }
}

/// Checks a log or a copy of one: recomputes leaves, tiles and roots, and checks signatures. `public_key` is the
/// verifier key that was noted when the log was set up; without it, the one beside the log is used.
///
/// # Errors
/// Every [`Finding`]: what was changed, and where.
pub fn verify(log: impl Into<Reader>, public_key: Option<&str>) -> Result<Verified, Vec<Finding>> {
    let reader = log.into();
    let mut before = reader.look_again();
    for _ in 0..RETRIES_MAX {
        let outcome = verify_once(&reader, public_key);
        let now = reader.look_again();
        // A gateway that runs archives and deletes meanwhile: what was there a moment ago lies elsewhere.
        if outcome.is_ok() || now == before {
            return outcome;
        }
        before = now;
    }
    verify_once(&reader, public_key)
}

fn verify_once(reader: &Reader, public_key: Option<&str>) -> Result<Verified, Vec<Finding>> {
    let dir = reader.directory();
    let key = read_key(dir, public_key).map_err(|finding| vec![finding])?;
    let mut findings = Vec::new();
    let notes = history::read(dir, &key, &mut findings);
    let newest = notes.iter().max_by_key(|note| note.checkpoint.size);
    let walked = walk(reader, &notes, newest.map_or(0, |note| note.checkpoint.size)).map_err(|problem| {
        findings.push(Finding::in_file(dir, problem.to_string()));
        std::mem::take(&mut findings)
    })?;
    judge(dir, &walked, &notes, newest, &mut findings);
    let recordings = tape::check(dir, &walked.told, &mut findings);
    if !findings.is_empty() {
        return Err(findings);
    }
    Ok(Verified {
        origin: key.name().to_owned(),
        lines: walked.lines,
        lines_signed: newest.map_or(0, |note| note.checkpoint.size),
        checkpoints: notes.len() as u64,
        segments: walked.segments,
        segments_archived: walked.archived,
        lines_deleted: walked.deleted,
        deletions_void: walked.void,
        recordings,
        root: newest.map(|note| BASE64.encode(note.checkpoint.root)).unwrap_or_default(),
        public_key: key.to_text(),
        key_was_given: public_key.is_some(),
    })
}

/// The key to check with. The one beside the log must be readable and, where another is given, the same.
fn read_key(dir: &Path, given: Option<&str>) -> Result<VerifierKey, Finding> {
    let path = dir.join("verifier-key");
    let beside = std::fs::read_to_string(&path)
        .map_err(|error| error.to_string())
        .and_then(|text| {
            let key = VerifierKey::parse(&text).filter(|key| format!("{}\n", key.to_text()) == text);
            key.ok_or_else(|| "is not a verifier key of a signed note".to_owned())
        })
        .map_err(|what| Finding::in_file(&path, what));
    let Some(given) = given else { return beside };
    let given = VerifierKey::parse(given)
        .ok_or_else(|| Finding::in_file(Path::new("public key"), "is not written as `name+id+key`"))?;
    match beside {
        Ok(beside) if beside != given => Err(Finding::in_file(&path, "is not the key that was given")),
        Ok(_) => Ok(given),
        Err(finding) if path.exists() => Err(finding),
        Err(_) => Ok(given),
    }
}

/// Decides from the roots what was changed: lines, tiles, or a checkpoint.
fn judge(dir: &Path, walked: &Walk, notes: &[SignedNote], newest: Option<&SignedNote>, findings: &mut Vec<Finding>) {
    let Some(newest) = newest else {
        if walked.lines > 0 {
            findings.push(Finding::in_file(dir, "no signed checkpoint stands for any line"));
        }
        return;
    };
    findings.extend(walked.broken.iter().cloned());
    if walked.lines < newest.checkpoint.size && walked.changed_lines.is_empty() {
        let what = format!("{} lines were signed, but {} are there", newest.checkpoint.size, walked.lines);
        findings.push(Finding::in_file(dir, what));
    }
    let lines_fit = walked.root_of_lines == Some(newest.checkpoint.root);
    let tiles_fit = walked.root_of_tiles == Some(newest.checkpoint.root);
    let located = match (lines_fit, tiles_fit) {
        (true, _) => &walked.changed_tiles,
        (false, true) => &walked.changed_lines,
        (false, false) => {
            findings.extend(walked.changed_tiles.iter().cloned());
            &walked.changed_lines
        }
    };
    findings.extend(located.iter().cloned());
    let unexplained = findings.is_empty();
    for (note, root) in notes.iter().zip(&walked.roots_at_notes) {
        if unexplained && root.is_some_and(|root| root != note.checkpoint.root) {
            let what = format!("the first {} lines do not have the root it signs", note.checkpoint.size);
            findings.push(Finding { what, ..note.place.clone() });
        }
    }
    if findings.is_empty() && !lines_fit {
        findings.push(Finding::in_file(dir, "the lines are not those that were signed"));
    }
}
