//! Whatever byte is changed after it was signed, `verify` finds it and says where.

use std::path::{Path, PathBuf};

use config::OnLogFailure::Refuse;

use crate::testing::{Folder, Ward, served};
use crate::{Finding, Log, verify};

/// A log of `accesses`, stopped in order.
async fn written(accesses: usize, segment_bytes_max: u64) -> (Ward, Log) {
    let mut ward = Ward::new();
    ward.config.segment_bytes_max = segment_bytes_max;
    let log = ward.open();
    let recorder = log.recorder();
    for _ in 0..accesses {
        recorder.admit(ward.read(), Refuse).await.unwrap().open().1.close(served());
    }
    log.stop();
    (ward, log)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn check_flip(directory: &Path, file: &Path, at: usize, bit: u8, key: &str) -> Vec<Finding> {
    let original = std::fs::read(file).unwrap();
    let mut flipped = original.clone();
    flipped[at] ^= bit;
    std::fs::write(file, &flipped).unwrap();
    let outcome = verify(directory, Some(key));
    std::fs::write(file, &original).unwrap();
    let Err(findings) = outcome else { panic!("{} byte {at} bit {bit}: not found", file.display()) };
    let located = findings
        .iter()
        .any(|finding| finding.file == file && finding.bytes.as_ref().is_none_or(|bytes| bytes.contains(&(at as u64))));
    assert!(located, "{} byte {at} bit {bit}: {findings:?}", file.display());
    findings
}

#[tokio::test]
async fn every_byte_of_every_file_is_covered() {
    let (ward, log) = written(2, 1_500).await;
    let directory = ward.directory();
    assert!(verify(directory, Some(log.public_key())).unwrap().segments > 1);
    for file in files(directory) {
        for at in 0..std::fs::metadata(&file).unwrap().len() as usize {
            check_flip(directory, &file, at, 1 << (at % 8), log.public_key());
        }
    }
}

#[tokio::test]
async fn a_flipped_byte_is_one_finding_even_where_it_joins_or_splits_lines() {
    let (ward, log) = written(400, 100_000).await;
    let directory = ward.directory();
    for segment in files(&directory.join("segments")) {
        let bytes = std::fs::read(&segment).unwrap();
        let newlines: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').collect();
        for at in [newlines[0], newlines[1] + 9, newlines[newlines.len() / 2], newlines[newlines.len() - 1]] {
            let findings = check_flip(directory, &segment, at, 0x20, log.public_key());
            assert!(findings.len() <= 2, "{findings:?}");
        }
        // A byte that becomes a newline: two lines stand where one was.
        let at = bytes.iter().rposition(|byte| *byte == b'*' || *byte == b':').unwrap();
        let findings = check_flip(directory, &segment, at, b':' ^ b'\n', log.public_key());
        assert!(findings.len() <= 2, "{findings:?}");
    }
}

#[tokio::test]
async fn a_changed_tile_is_told_from_a_changed_line() {
    let (ward, log) = written(400, u64::MAX).await;
    let directory = ward.directory();
    let findings = check_flip(directory, &directory.join("tile/0/001"), 100, 1, log.public_key());
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].bytes, Some(96..128));
    let segment = directory.join("segments/00000000000000000000.jsonl");
    let findings = check_flip(directory, &segment, 50_000, 1, log.public_key());
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].to_string().contains("of the log was changed"), "{}", findings[0]);
    assert!(findings[0].line.is_some());
}

#[tokio::test]
async fn lines_that_were_removed_added_or_swapped_are_found() {
    let (ward, log) = written(200, u64::MAX).await;
    let directory = ward.directory();
    let segment = directory.join("segments/00000000000000000000.jsonl");
    let original = std::fs::read_to_string(&segment).unwrap();
    let lines: Vec<&str> = original.split_inclusive('\n').collect();
    let check = |changed: Vec<&str>, expected: &str| {
        std::fs::write(&segment, changed.concat()).unwrap();
        let findings = verify(directory, Some(log.public_key())).unwrap_err();
        let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(texts.iter().any(|text| text.contains(expected)), "{expected}: {texts:?}");
        assert!(findings.len() <= 3, "{texts:?}");
    };
    check([&lines[..100], &lines[101..]].concat(), "line 100 of the log is missing before this one");
    check([&lines[..100], &["{\"v\":1}\n"], &lines[100..]].concat(), "was added before line 100");
    check([&lines[..100], &[lines[101], lines[100]], &lines[102..]].concat(), "was added before line 102");
    check(lines[..300].to_vec(), "401 lines were signed, but 300 are there");
    check([&lines[..], &["{\"v\":1,\"seq\":9,\"forged\":true}\n"]].concat(), "is not a line that the log wrote here");
}

#[tokio::test]
async fn a_lost_segment_a_lost_checkpoint_and_a_strange_key_are_found() {
    let (ward, log) = written(60, 4_000).await;
    let directory = ward.directory();
    let stranger = Ward::new();
    let other = stranger.open();
    assert!(verify(directory, Some(other.public_key())).is_err());
    assert!(verify(directory, Some("nonsense")).is_err());
    let check = |file: PathBuf, expected: &str| {
        let aside = ward.folder.path().join("aside");
        std::fs::rename(&file, &aside).unwrap();
        let findings = verify(directory, Some(log.public_key())).unwrap_err();
        std::fs::rename(&aside, &file).unwrap();
        assert!(findings.iter().any(|finding| finding.what.contains(expected)), "{expected}: {findings:?}");
    };
    let segments = files(&directory.join("segments"));
    check(segments[1].clone(), "are missing before this file");
    check(segments[segments.len() - 1].clone(), "lines were signed");
    check(directory.join("checkpoint"), "is missing");
    assert!(verify(directory, Some(log.public_key())).is_ok());
}

#[test]
fn a_directory_that_is_no_log_is_said_to_be_none() {
    let folder = Folder::new();
    assert!(verify(folder.path(), None).is_err());
}
