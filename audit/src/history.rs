//! Reading the signed checkpoints of a log for checking: the newest, and the history of them.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::checkpoint::{self, Checkpoint};
use crate::signed_note::VerifierKey;
use crate::tree::Hash;
use crate::verify::Finding;

/// A checkpoint whose signature was checked, and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SignedNote {
    pub(crate) checkpoint: Checkpoint,
    /// Its file and bytes, ready to be reported.
    pub(crate) place: Finding,
}

/// Every checkpoint of a log by size; what is not a checkpoint signed by the key is reported.
pub(crate) fn read(directory: &Path, key: &VerifierKey, findings: &mut Vec<Finding>) -> Vec<SignedNote> {
    let mut notes = Vec::new();
    let history = checkpoint::history_path(directory);
    read_file(&history, findings, |text, place, findings| {
        for (note, bytes) in split_history(text) {
            let place = Finding { bytes: Some(bytes), ..place.clone() };
            add(note.strip_suffix('\n'), key, place, &mut notes, findings);
        }
    });
    for pair in notes.windows(2) {
        if let [earlier, later] = pair
            && later.checkpoint.size < earlier.checkpoint.size
        {
            findings.push(Finding { what: "is smaller than the checkpoint before it".into(), ..later.place.clone() });
        }
    }
    let newest = checkpoint::newest_path(directory);
    read_file(&newest, findings, |text, place, findings| {
        let place = Finding { bytes: Some(0..text.len() as u64), ..place };
        add(Some(text), key, place, &mut notes, findings);
    });
    if history.exists() && !newest.exists() {
        findings.push(Finding::in_file(&newest, "is missing"));
    }
    notes.sort_by_key(|note| note.checkpoint.size);
    notes
}

/// The most of the history that is searched for a checkpoint, from its end: months of them.
const SEARCH_BYTES_MAX: u64 = 64 * 1024 * 1024;
const SEARCH_STEP_BYTES: u64 = 256 * 1024;

/// The root that was signed for a tree of a size, where the history has that checkpoint.
pub(crate) fn root_at(directory: &Path, size: u64, key: &VerifierKey) -> Option<Hash> {
    let file = File::open(checkpoint::history_path(directory)).ok()?;
    let end = file.metadata().ok()?.len();
    let wanted = format!("{}\n{size}\n", key.name());
    let mut to = end;
    while to > end.saturating_sub(SEARCH_BYTES_MAX) {
        let from = to.saturating_sub(SEARCH_STEP_BYTES);
        // A note that begins before this step ends in it or in the next.
        let mut bytes = vec![0; usize::try_from((to - from + SEARCH_STEP_BYTES).min(end - from)).ok()?];
        file.read_exact_at(&mut bytes, from).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        for (at, _) in text.match_indices(&wanted) {
            let rest = text.get(at..).unwrap_or_default();
            let whole = rest.split_once("\n\n").and_then(|(above, signatures)| {
                let end = signatures.find("\n\n").map_or(signatures.len(), |end| end + 1);
                Some(format!("{above}\n\n{}", signatures.get(..end)?))
            });
            let opened = whole.and_then(|note| Checkpoint::open(&note, key));
            if let Some(found) = opened.filter(|found| found.size == size) {
                return Some(found.root);
            }
        }
        to = from;
    }
    None
}

fn read_file(path: &Path, findings: &mut Vec<Finding>, read: impl FnOnce(&str, Finding, &mut Vec<Finding>)) {
    match std::fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => read(&text, Finding::in_file(path, ""), findings),
            Err(error) => {
                let at = error.utf8_error().valid_up_to() as u64;
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                read(&text, Finding::in_file(path, ""), findings);
                findings.push(Finding { bytes: Some(at..at + 1), ..Finding::in_file(path, "is not UTF-8 here") });
            }
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => findings.push(Finding::in_file(path, error.to_string())),
    }
}

fn add(
    note: Option<&str>,
    key: &VerifierKey,
    place: Finding,
    notes: &mut Vec<SignedNote>,
    findings: &mut Vec<Finding>,
) {
    match note.and_then(|note| Checkpoint::open(note, key)) {
        Some(checkpoint) => notes.push(SignedNote { checkpoint, place }),
        None => findings.push(Finding { what: "is not a checkpoint that the log's key signed".into(), ..place }),
    }
}

/// Cuts the history into notes, each with the empty line that ends it: an entry ends where an empty line follows a
/// signature line.
fn split_history(text: &str) -> Vec<(&str, std::ops::Range<u64>)> {
    let mut notes = Vec::new();
    let (mut start, mut at, mut signed) = (0, 0, false);
    for line in text.split_inclusive('\n') {
        at += line.len();
        let ends = signed && line == "\n";
        signed = line.starts_with('\u{2014}');
        if ends {
            notes.extend(text.get(start..at).map(|note| (note, start as u64..at as u64)));
            start = at;
        }
    }
    if start < text.len() {
        notes.extend(text.get(start..).map(|note| (note, start as u64..text.len() as u64)));
    }
    notes
}
