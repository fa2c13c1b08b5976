//! What a backup says of one file, and how the list of files is cut into pages that stay the same from one backup to the
//! next where nothing changed, so that a list of a hundred thousand files costs a few pages an hour.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// The most files on one page.
pub(crate) const PAGE_ENTRIES_MAX: usize = 2_048;
/// The longest page that is read.
pub(crate) const PAGE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Bytes in a pack: which pack, where, how many, and their SHA-256.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) pack: String,
    pub(crate) at: u64,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

/// A sealed piece of a file, by which it is known again where it did not change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Piece {
    #[serde(flatten)]
    pub(crate) span: Span,
    /// A keyed digest of what is in it: tells nothing to others.
    pub(crate) print: String,
}

/// One file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Where it lies below the backup's root.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// Its permission bits.
    pub(crate) mode: u32,
    /// By which it is known that it did not change; empty where that cannot be told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) stamp: String,
    pub(crate) pieces: Vec<Piece>,
}

/// Whether a page ends after this path. Where pages end depends on names alone, so that a file that comes or goes changes
/// its own page and no other.
fn ends_page(path: &str) -> bool {
    digest(&SHA256, path.as_bytes()).as_ref().first() == Some(&0)
}

/// Entries, sorted by path, in pages.
pub(crate) fn pages(entries: &[Entry]) -> Vec<&[Entry]> {
    let mut pages = Vec::new();
    for group in entries.chunk_by(|before, _| !ends_page(&before.path)) {
        pages.extend(group.chunks(PAGE_ENTRIES_MAX));
    }
    pages
}

/// A page as it is written: a line of JSON a file.
pub(crate) fn to_page(entries: &[Entry]) -> Result<Vec<u8>, serde_json::Error> {
    let mut page = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut page, entry)?;
        page.push(b'\n');
    }
    Ok(page)
}

/// What [`to_page`] wrote; `None` where it is none.
pub(crate) fn from_page(page: &[u8]) -> Option<Vec<Entry>> {
    let lines = page.strip_suffix(b"\n")?.split(|byte| *byte == b'\n');
    lines.map(|line| serde_json::from_slice(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u32) -> Entry {
        let span = Span { pack: "p".into(), at: 7, bytes: 9, sha256: "00".into() };
        let pieces = vec![Piece { span, print: "11".into() }];
        Entry { path: format!("log/segments/{number:020}.archive"), bytes: 5, mode: 0o600, stamp: "s".into(), pieces }
    }

    #[test]
    fn a_file_that_comes_or_goes_changes_its_own_page_alone() {
        let entries: Vec<Entry> = (0..5_000).map(entry).collect();
        let written = |entries: &[Entry]| -> Vec<Vec<u8>> {
            pages(entries).into_iter().map(|page| to_page(page).unwrap()).collect()
        };
        let before = written(&entries);
        assert!(before.len() > 5, "{}", before.len());
        let read: Vec<Entry> = before.iter().flat_map(|page| from_page(page).unwrap()).collect();
        assert_eq!(read, entries);
        for gone in [0, 1_234, 4_999] {
            let mut fewer = entries.clone();
            fewer.remove(gone);
            let after = written(&fewer);
            let changed = after.iter().filter(|page| !before.contains(page)).count();
            assert!(changed <= 1, "{changed} pages");
        }
    }

    #[test]
    fn a_page_holds_no_more_than_it_may() {
        let same = vec![entry(1); PAGE_ENTRIES_MAX * 2 + 1];
        assert!(pages(&same).iter().all(|page| page.len() <= PAGE_ENTRIES_MAX));
        assert_eq!(pages(&[]).len(), 0);
        assert_eq!(from_page(b"{}\n"), None);
        assert_eq!(from_page(b"no newline"), None);
    }
}
