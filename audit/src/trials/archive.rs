//! Closed segments become archives, whole or not at all; every line stays what it was, wherever it lies.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use config::AuditEncryption;
use config::OnLogFailure::Refuse;
use policy::Timestamp;

use crate::data_key::DataKey;
use crate::keys::write_wrapped;
use crate::ring::RingHold;
use crate::segment::{self, Form, Segment};
use crate::testing::{Meanwhile, Ward, served};
use crate::{
    Blocks, KeyRing, Keys, Log, LogProblem, Reader, RecoveryKey, RecoverySecret, Search, key_use, recover, rewrap,
    search, tail, verify,
};

const SEGMENT_BYTES: u64 = 60_000;
/// Longer than the archiver rests between two looks.
const A_LOOK: Duration = Duration::from_millis(1_500);

fn ward() -> Ward {
    let mut ward = Ward::new();
    ward.config.segment_bytes_max = SEGMENT_BYTES;
    ward.config.archive = true;
    ward
}

fn sealed_ward() -> Ward {
    let mut ward = ward();
    let ring = ward.folder.path().join("keys/ring");
    ward.config.encryption = Some(AuditEncryption { ring, recovery_key: None });
    ward
}

async fn accesses(ward: &mut Ward, log: &Log, count: usize) {
    let recorder = log.recorder();
    for _ in 0..count {
        recorder.admit(ward.read(), Refuse).await.unwrap().open().1.close(served());
    }
}

/// Waits for the archiver, at most twenty seconds.
async fn until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn forms(ward: &Ward) -> Vec<Form> {
    segment::list(ward.directory()).unwrap().iter().map(|segment| segment.form).collect()
}

/// Whether all segments but the newest are archived.
fn all_archived(ward: &Ward) -> bool {
    let forms = forms(ward);
    let plain = forms.iter().filter(|form| **form == Form::Plain).count();
    forms.len() > 2 && plain == 1 && !segment::list_all(ward.directory()).unwrap().windows(2).any(same)
}

fn same(pair: &[Segment]) -> bool {
    pair[0].first == pair[1].first
}

/// A log of several archived segments, stopped; its lines as they were before they were archived.
async fn archived(ward: &mut Ward) -> Vec<String> {
    ward.config.archive = false;
    let log = ward.open();
    accesses(ward, &log, 400).await;
    log.stop();
    let lines = lines(&ward.reader());
    assert!(forms(ward).len() > 4);
    ward.config.archive = true;
    archive_all(ward).await;
    lines
}

async fn archive_all(ward: &Ward) {
    let log = ward.open();
    until(|| all_archived(ward)).await;
    log.stop();
    assert_eq!(log.health().archive_problem, None);
}

fn lines(reader: &Reader) -> Vec<String> {
    let mut lines = reader.from(0);
    let mut all = Vec::new();
    while let Some(line) = lines.next().unwrap() {
        all.push(String::from_utf8(line.text.to_vec()).unwrap());
    }
    all
}

fn archives(ward: &Ward) -> Vec<PathBuf> {
    let segments = segment::list(ward.directory()).unwrap();
    segments.into_iter().filter(|segment| segment.form == Form::Archived).map(|segment| segment.path).collect()
}

#[tokio::test]
async fn closed_segments_are_archived_and_read_like_the_others() {
    let mut ward = ward();
    let before = archived(&mut ward).await;
    let verified = verify(ward.directory(), None).unwrap();
    assert_eq!(verified.segments_archived + 1, verified.segments);
    assert_eq!(verified.lines, verified.lines_signed);
    let plain: u64 = before.iter().map(|line| line.len() as u64 + 1).sum();
    let packed: u64 = archives(&ward).iter().map(|path| std::fs::metadata(path).unwrap().len()).sum();
    assert!(packed * 4 < plain, "{packed} of {plain}");

    let reader = ward.reader();
    assert_eq!(lines(&reader), before);
    for (number, line) in before.iter().enumerate().rev() {
        assert_eq!(reader.line(number as u64).unwrap().as_deref(), Some(line.as_bytes()), "{number}");
    }
    assert_eq!(reader.line(before.len() as u64).unwrap(), None);
    assert_eq!((reader.first().unwrap(), reader.size().unwrap()), (0, before.len() as u64));
    let mut exported = Vec::new();
    crate::export_jsonl(ward.directory(), &mut exported).unwrap();
    assert_eq!(String::from_utf8(exported).unwrap().lines().collect::<Vec<_>>(), before);
    assert_eq!(tail(ward.directory(), 500).unwrap(), before[before.len() - 500..]);
    let all = Search { since: Timestamp::from_unix_micros(0), bytes_max: u64::MAX, lines_max: usize::MAX };
    let found = search(ward.directory(), all, |line| line.contains(r#""ev":"close""#)).unwrap();
    assert_eq!((found.lines.len(), found.is_whole), (400, true));
    let mut blocks = Blocks::since(ward.directory(), Timestamp::from_unix_micros(0)).unwrap();
    let mut text = Vec::new();
    while let Some(block) = blocks.next_block().unwrap() {
        text.extend(block);
    }
    assert_eq!(String::from_utf8(text).unwrap().lines().collect::<Vec<_>>(), before);
}

#[tokio::test]
async fn lowest_tiles_of_archived_lines_go_and_are_given_again_by_the_lines() {
    let mut ward = ward();
    ward.config.archive = false;
    let log = ward.open();
    accesses(&mut ward, &log, 400).await;
    log.stop();
    let tiles: Vec<_> = (0..3).map(|index| crate::tile::read(ward.directory(), 0, index, 256).unwrap()).collect();
    ward.config.archive = true;
    archive_all(&ward).await;
    let end = segment::archived_end(&segment::list(ward.directory()).unwrap());
    for (index, hashes) in (0_u64..).zip(&tiles) {
        let is_there = ward.directory().join(crate::tile::path(0, index, 256)).exists();
        assert_eq!(is_there, (index + 1) * 256 > end, "tile {index}");
        assert_eq!(ward.reader().leaves(index, 256).as_ref(), Some(hashes));
        assert_eq!(ward.reader().leaves(index, 10).unwrap(), hashes[..10]);
    }
    // The tree is grown again without them, in whichever way.
    ward.open().stop();
    std::fs::remove_dir_all(ward.directory().join("tile/1")).unwrap();
    let log = ward.open();
    accesses(&mut ward, &log, 10).await;
    log.stop();
    let verified = verify(ward.directory(), None).unwrap();
    assert_eq!(verified.lines, verified.lines_signed);
}

#[tokio::test]
async fn nothing_is_archived_where_there_is_no_room_for_it_beside_the_segment() {
    let mut ward = ward();
    ward.config.archive = false;
    let log = ward.open();
    accesses(&mut ward, &log, 400).await;
    log.stop();
    let before = segment::list(ward.directory()).unwrap();
    ward.config.archive = true;
    ward.config.free_bytes_min = u64::MAX;
    let log = ward.open();
    let is_full = |problem: &String| problem.contains("make room on the disk");
    until(|| log.health().archive_problem.as_ref().is_some_and(is_full)).await;
    tokio::time::sleep(A_LOOK).await;
    log.stop();
    assert_eq!(segment::list(ward.directory()).unwrap()[..before.len()], before[..]);
    assert_eq!(archives(&ward).len(), 0);
    ward.config.free_bytes_min = 0;
    let log = ward.open();
    until(|| all_archived(&ward)).await;
    log.stop();
    verify(ward.directory(), None).unwrap();
}

#[tokio::test]
async fn room_counts_with_what_is_to_be_written() {
    let ward = Ward::new();
    let log = ward.open();
    log.core().has_room_for(0).unwrap();
    let problem = log.core().has_room_for(u64::MAX).unwrap_err();
    assert!(matches!(problem, LogProblem::Full { needed_bytes: u64::MAX, .. }), "{problem}");
    log.stop();
}

#[tokio::test]
async fn a_log_is_archived_while_it_grows_and_its_readers_go_on() {
    let mut ward = ward();
    let log = ward.open();
    let mut following = ward.reader().from(0);
    let mut seen = 0;
    for _ in 0..12 {
        accesses(&mut ward, &log, 60).await;
        while let Some(line) = following.next().unwrap() {
            assert_eq!(line.seq, seen);
            seen += 1;
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    until(|| all_archived(&ward)).await;
    log.stop();
    while let Some(line) = following.next().unwrap() {
        assert_eq!(line.seq, seen);
        seen += 1;
    }
    assert_eq!(seen, verify(ward.directory(), None).unwrap().lines);
    assert_eq!(following.place(), seen);
}

#[tokio::test]
async fn encrypted_segments_open_with_the_key_ring_alone() {
    let mut ward = sealed_ward();
    let before = archived(&mut ward).await;
    for path in archives(&ward) {
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|six| six == b"n.sato"), "{}", path.display());
    }
    assert_eq!(lines(&ward.reader()), before);
    let without: Reader = ward.directory().into();
    let problem = without.from(0).next().unwrap_err();
    assert!(matches!(&problem, LogProblem::Key { reason, .. } if reason.contains("name the key ring")), "{problem}");
    assert!(matches!(without.line(3), Err(LogProblem::Key { .. })));
    assert!(verify(ward.directory(), None).unwrap_err()[0].what.contains("encrypted under the key"));
    assert!(verify(ward.reader(), None).is_ok());
    let stranger = ward.folder.path().join("other-ring");
    KeyRing::make(&stranger, crate::testing::clock().now()).unwrap();
    let other = Reader::open(ward.directory(), Keys::ring(&stranger)).unwrap();
    assert!(matches!(other.line(3), Err(LogProblem::Key { .. })));
    assert_eq!(other.line(before.len() as u64 - 1).unwrap().unwrap(), before[before.len() - 1].as_bytes(), "plain");
}

#[tokio::test]
async fn keys_are_rotated_without_touching_the_segments() {
    let mut ward = sealed_ward();
    let before = archived(&mut ward).await;
    let path = ward.config.encryption.as_ref().unwrap().ring.clone();
    let segments: Vec<Vec<u8>> = archives(&ward).iter().map(|path| std::fs::read(path).unwrap()).collect();
    let mut ring = KeyRing::read(&path).unwrap();
    let old = ring.keys().next().unwrap().0.to_owned();
    let new = ring.add(crate::testing::clock().now()).unwrap();
    assert_eq!(lines(&ward.reader()), before, "the old key still opens");
    let keys = Keys::ring(&path);
    assert_eq!(rewrap(ward.directory(), &keys, None).unwrap(), segments.len() as u64);
    assert_eq!(rewrap(ward.directory(), &keys, None).unwrap(), 0, "done already");
    assert_eq!(key_use(ward.directory()).unwrap().into_iter().collect::<Vec<_>>(), [(new, segments.len() as u64)]);
    KeyRing::read(&path).unwrap().remove(&old, ward.directory()).unwrap();
    assert_eq!(lines(&ward.reader()), before);
    let after: Vec<Vec<u8>> = archives(&ward).iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert_eq!(segments, after);
    verify(ward.reader(), None).unwrap();
}

#[tokio::test]
async fn a_key_that_is_dropped_while_a_segment_is_archived_under_it_loses_no_line() {
    let mut ward = sealed_ward();
    let path = ward.config.encryption.as_ref().unwrap().ring.clone();
    let ring = path.clone();
    // Somebody counted before the segment's key lay there, and takes the key out of the file now.
    let meanwhile = move || {
        let mut file: serde_json::Value = serde_json::from_slice(&std::fs::read(&ring).unwrap()).unwrap();
        KeyRing::read(&ring).unwrap().add(crate::testing::clock().now()).unwrap();
        let newer: serde_json::Value = serde_json::from_slice(&std::fs::read(&ring).unwrap()).unwrap();
        file["keys"] = serde_json::json!([newer["keys"][1]]);
        std::fs::write(&ring, file.to_string()).unwrap();
    };
    let log = ward.open_with(crate::testing::clock(), |log| {
        let meanwhile = crate::testing::Meanwhile(Box::new(meanwhile));
        log.core().appender().faults.at_written_archive = Some(meanwhile);
    });
    accesses(&mut ward, &log, 300).await;
    until(|| all_archived(&ward)).await;
    log.stop();
    assert_eq!(KeyRing::read(&path).unwrap().keys().count(), 1);
    let read = lines(&ward.reader());
    assert!(read.len() > 600, "{}", read.len());
    verify(ward.reader(), None).unwrap();
}

#[tokio::test]
async fn the_archiver_wraps_no_key_and_removes_no_line_while_somebody_looks_after_the_ring() {
    let mut ward = sealed_ward();
    let ring = ward.config.encryption.as_ref().unwrap().ring.clone();
    let (sender, taken) = channel();
    let at_ring = ring.clone();
    let log = ward.open_with(crate::testing::clock(), |log| {
        let take = move || sender.send(RingHold::take(&at_ring).unwrap()).unwrap();
        log.core().appender().faults.at_written_archive = Some(Meanwhile(Box::new(take)));
    });
    let held = RingHold::take(&ring).unwrap();
    accesses(&mut ward, &log, 300).await;
    let keys = |ward: &Ward| {
        let entries = std::fs::read_dir(segment::folder(ward.directory())).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "keys")).count()
    };
    tokio::time::sleep(A_LOOK).await;
    assert_eq!((archives(&ward).len(), keys(&ward)), (0, 0), "no key is wrapped meanwhile");
    assert_eq!(taken.recv_timeout(Duration::ZERO).unwrap_err(), RecvTimeoutError::Timeout);
    drop(held);
    let held = taken.recv_timeout(Duration::from_secs(20)).unwrap();
    let first = Segment::new(ward.directory(), 0);
    tokio::time::sleep(A_LOOK).await;
    assert!(first.path.exists(), "its lines stay as long as its key may go");
    drop(held);
    until(|| all_archived(&ward)).await;
    assert!(!first.path.exists());
    log.stop();
    verify(ward.reader(), None).unwrap();
}

#[tokio::test]
async fn wrapping_anew_waits_for_the_archiver_and_takes_the_key_that_lies_there_then() {
    let mut ward = sealed_ward();
    let ring = ward.config.encryption.as_ref().unwrap().ring.clone();
    let log = ward.open();
    accesses(&mut ward, &log, 300).await;
    until(|| all_archived(&ward)).await;
    log.stop();
    KeyRing::read(&ring).unwrap().add(crate::testing::clock().now()).unwrap();
    let held = RingHold::take(&ring).unwrap();
    let (directory, keys) = (ward.directory().to_owned(), Keys::ring(&ring));
    let wrapping = std::thread::spawn(move || rewrap(&directory, &keys, None));
    std::thread::sleep(Duration::from_millis(400));
    assert!(!wrapping.is_finished(), "it waits");
    // As the archiver does that begins a segment anew.
    let archived = Segment::of(ward.directory(), 0, Form::Archived);
    let (key, newest) = (DataKey::random().unwrap(), KeyRing::read(&ring).unwrap());
    write_wrapped(&archived, key.secret(), &newest, None, Vec::new()).unwrap();
    drop(held);
    let others = archives(&ward).len() as u64 - 1;
    assert_eq!(wrapping.join().unwrap().unwrap(), others, "what is wrapped under the newest key stays as it is");
    assert_eq!(Keys::ring(&ring).data_key(&archived).unwrap().secret(), key.secret());
}

#[tokio::test]
async fn a_key_counts_as_needed_from_before_its_archive_is_there() {
    let mut ward = sealed_ward();
    archived(&mut ward).await;
    let path = ward.config.encryption.as_ref().unwrap().ring.clone();
    let archive = archives(&ward)[0].clone();
    let all = archives(&ward).len() as u64;
    std::fs::rename(&archive, archive.with_extension("new")).unwrap();
    let old = KeyRing::read(&path).unwrap().keys().next().unwrap().0.to_owned();
    assert_eq!(key_use(ward.directory()).unwrap()[&old], all);
    let mut ring = KeyRing::read(&path).unwrap();
    ring.add(crate::testing::clock().now()).unwrap();
    let problem = ring.remove(&old, ward.directory()).unwrap_err();
    assert!(problem.to_string().contains("segments or recordings need"), "{problem}");
    assert_eq!(rewrap(ward.directory(), &Keys::ring(&path), None).unwrap(), all);
    ring.remove(&old, ward.directory()).unwrap();
}

#[tokio::test]
async fn what_is_encrypted_to_a_recovery_key_stays_so_where_none_is_configured() {
    let mut ward = sealed_ward();
    archived(&mut ward).await;
    let path = ward.config.encryption.as_ref().unwrap().ring.clone();
    let secret = RecoverySecret::make(&ward.folder.path().join("recovery.key")).unwrap();
    rewrap(ward.directory(), &Keys::ring(&path), Some(secret.public())).unwrap();
    KeyRing::read(&path).unwrap().add(crate::testing::clock().now()).unwrap();
    assert!(rewrap(ward.directory(), &Keys::ring(&path), None).unwrap() > 0);
    std::fs::remove_file(&path).unwrap();
    KeyRing::make(&path, crate::testing::clock().now()).unwrap();
    assert_eq!(recover(ward.directory(), &secret, &Keys::ring(&path)).unwrap().closed, Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_lost_ring_is_not_replaced_in_silence_and_is_recovered_with_the_recovery_key() {
    let mut ward = sealed_ward();
    let secret_path = ward.folder.path().join("recovery.key");
    let secret = RecoverySecret::make(&secret_path).unwrap();
    ward.config.encryption.as_mut().unwrap().recovery_key = Some(secret.public().to_string());
    let before = archived(&mut ward).await;
    let path = ward.config.encryption.as_ref().unwrap().ring.clone();
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(ward.try_open(), Err(LogProblem::Key { .. })));
    assert!(!path.exists());
    KeyRing::make(&path, crate::testing::clock().now()).unwrap();
    let keys = Keys::ring(&path);
    let stranger = RecoverySecret::make(&ward.folder.path().join("other.key")).unwrap();
    let nothing = recover(ward.directory(), &stranger, &keys).unwrap();
    assert_eq!((nothing.segments, nothing.closed.len()), (0, archives(&ward).len()));
    let recovered = recover(ward.directory(), &RecoverySecret::read(&secret_path).unwrap(), &keys).unwrap();
    assert_eq!((recovered.segments, recovered.closed.len()), (archives(&ward).len() as u64, 0));
    assert_eq!(lines(&ward.reader()), before);
    ward.open().stop();
    verify(ward.reader(), None).unwrap();
}

#[tokio::test]
async fn a_recovery_key_that_came_later_is_given_to_older_segments_too() {
    let mut ward = sealed_ward();
    let before = archived(&mut ward).await;
    let path = ward.config.encryption.as_ref().unwrap().ring.clone();
    let secret = RecoverySecret::make(&ward.folder.path().join("recovery.key")).unwrap();
    let public = RecoveryKey::parse(&secret.public().to_string()).unwrap();
    assert_eq!(rewrap(ward.directory(), &Keys::ring(&path), Some(&public)).unwrap(), archives(&ward).len() as u64);
    std::fs::remove_file(&path).unwrap();
    KeyRing::make(&path, crate::testing::clock().now()).unwrap();
    assert_eq!(recover(ward.directory(), &secret, &Keys::ring(&path)).unwrap().closed, Vec::<PathBuf>::new());
    assert_eq!(lines(&ward.reader()), before);
}

#[tokio::test]
async fn whatever_byte_of_an_archive_is_changed_verify_says_where() {
    for mut ward in [ward(), sealed_ward()] {
        archived(&mut ward).await;
        let path = archives(&ward)[1].clone();
        let original = std::fs::read(&path).unwrap();
        for at in (0..original.len()).step_by(original.len() / 60).chain(original.len() - 70..original.len()) {
            let mut changed = original.clone();
            changed[at] ^= 1 << (at % 8);
            std::fs::write(&path, &changed).unwrap();
            match verify(ward.reader(), None) {
                // zstd does not read every bit of a frame's head; what it gives is compared with the tree.
                Ok(_) => assert!(at < 40 && ward.config.encryption.is_none(), "byte {at}"),
                Err(findings) => {
                    let located = findings.iter().any(|finding| finding.file == path);
                    assert!(located && findings.len() <= 3, "byte {at}: {findings:?}");
                }
            }
        }
        std::fs::write(&path, &original[..original.len() - 1]).unwrap();
        assert!(verify(ward.reader(), None).unwrap_err().iter().any(|finding| finding.file == path));
        std::fs::remove_file(&path).unwrap();
        let findings = verify(ward.reader(), None).unwrap_err();
        assert!(findings[0].what.contains("comes next"), "{findings:?}");
        std::fs::copy(&archives(&ward)[0], &path).unwrap();
        assert!(verify(ward.reader(), None).is_err(), "another segment's archive");
        std::fs::write(&path, &original).unwrap();
        verify(ward.reader(), None).unwrap();
    }
}

#[tokio::test]
async fn an_archive_of_other_lines_is_found_by_the_tree() {
    let mut ward = ward();
    archived(&mut ward).await;
    let segment = segment::list(ward.directory()).unwrap()[1].clone();
    let archive = ward.reader().archive(&segment).unwrap();
    let text = String::from_utf8(archive.block(0).unwrap()).unwrap();
    // Written by the same code, so that nothing but the lines is wrong.
    let forged = Segment::new(ward.folder.path(), segment.first);
    std::fs::create_dir_all(segment::folder(ward.folder.path())).unwrap();
    std::fs::write(&forged.path, text.replacen("n.sato", "n.kato", 1)).unwrap();
    crate::archive::write(&segment.path, &forged, archive.index.end, None, || true).unwrap().unwrap();
    let findings = verify(ward.directory(), None).unwrap_err();
    assert!(findings.iter().any(|one| one.file == segment.path && one.what.contains("were changed")), "{findings:?}");
}

#[tokio::test]
async fn what_is_whole_is_read_where_something_beside_it_is_damaged() {
    let mut ward = ward();
    let before = archived(&mut ward).await;
    let segment = segment::list(ward.directory()).unwrap()[1].clone();
    let end = segment::list(ward.directory()).unwrap()[2].first;
    let mut bytes = std::fs::read(&segment.path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&segment.path, &bytes).unwrap();
    let reader = ward.reader();
    assert!(matches!(reader.line(segment.first), Err(LogProblem::Damaged { .. })));
    let (mut lines, mut read, mut problems) = (reader.from(0), Vec::new(), Vec::new());
    loop {
        match lines.next() {
            Ok(Some(line)) => read.push(line.seq),
            Ok(None) => break,
            Err(problem) => problems.push(problem.to_string()),
        }
    }
    let whole: Vec<u64> = (0..before.len() as u64).filter(|seq| !(segment.first..end).contains(seq)).collect();
    assert_eq!(read, whole);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("are not as they were"), "{problems:?}");
}

#[tokio::test]
async fn what_a_crash_left_half_done_is_done_again() {
    let mut ward = ward();
    ward.config.archive = false;
    let log = ward.open();
    accesses(&mut ward, &log, 400).await;
    log.stop();
    let before = lines(&ward.reader());
    let tiles: Vec<_> = (0..3).map(|index| crate::tile::read(ward.directory(), 0, index, 256).unwrap()).collect();
    ward.config.archive = true;
    archive_all(&ward).await;
    // Killed after the archive was in place, and before the plain file and the tiles were removed.
    for (index, hashes) in (0_u64..).zip(&tiles) {
        crate::tile::write_full(ward.directory(), 0, index, hashes).unwrap();
    }
    let segments = segment::list(ward.directory()).unwrap();
    let newest = &segments[segments.len() - 2];
    let plain = Segment::new(ward.directory(), newest.first);
    let count = segments[segments.len() - 1].first - newest.first;
    let text: String =
        before.iter().skip(newest.first as usize).take(count as usize).map(|l| format!("{l}\n")).collect();
    std::fs::write(&plain.path, text).unwrap();
    // Killed while one was written.
    std::fs::write(plain.path.with_extension("new"), "half").unwrap();
    assert_eq!(lines(&ward.reader()), before);
    verify(ward.directory(), None).unwrap();
    archive_all(&ward).await;
    assert!(!plain.path.exists() && !plain.path.with_extension("new").exists());
    assert_eq!(lines(&ward.reader()), before);
    verify(ward.directory(), None).unwrap();
}

#[tokio::test]
async fn a_segment_that_is_not_what_was_signed_is_not_archived() {
    let mut ward = ward();
    ward.config.archive = false;
    let log = ward.open();
    accesses(&mut ward, &log, 300).await;
    log.stop();
    let path = segment::list(ward.directory()).unwrap()[1].path.clone();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("n.sato", "n.kato", 1)).unwrap();
    ward.config.archive = true;
    let log = ward.open();
    until(|| log.health().archive_problem.is_some()).await;
    assert!(log.health().archive_problem.unwrap().contains("not archived"));
    assert!(log.health().writable, "recording goes on");
    accesses(&mut ward, &log, 10).await;
    log.stop();
    assert_eq!(forms(&ward)[..2], [Form::Archived, Form::Plain]);
    assert!(std::fs::read_to_string(&path).unwrap().contains("n.kato"), "kept as it is");
    assert!(!path.with_extension("new").exists());
    assert!(verify(ward.directory(), None).unwrap_err().iter().any(|finding| finding.file == path));
}

#[tokio::test]
async fn where_no_archive_can_be_written_the_log_goes_on_and_it_is_tried_again() {
    let mut ward = ward();
    ward.config.archive = false;
    let log = ward.open();
    accesses(&mut ward, &log, 200).await;
    log.stop();
    // As on a full disk, or in a folder that became read-only: the first write of the archive fails.
    let in_the_way = segment::list(ward.directory()).unwrap()[0].path.with_extension("archive");
    std::fs::create_dir_all(in_the_way.join("x")).unwrap();
    ward.config.archive = true;
    let log = ward.open();
    until(|| log.health().archive_problem.is_some()).await;
    accesses(&mut ward, &log, 10).await;
    assert!(log.health().writable);
    std::fs::remove_dir_all(&in_the_way).unwrap();
    until(|| all_archived(&ward)).await;
    until(|| log.health().archive_problem.is_none()).await;
    log.stop();
    verify(ward.directory(), None).unwrap();
}

#[tokio::test]
async fn segments_are_closed_by_age_and_not_while_they_hold_nothing() {
    let mut ward = ward();
    ward.config.segment_age_max = Duration::ZERO;
    let log = ward.open();
    accesses(&mut ward, &log, 3).await;
    until(|| forms(&ward) == [Form::Archived, Form::Plain]).await;
    accesses(&mut ward, &log, 3).await;
    until(|| forms(&ward) == [Form::Archived, Form::Archived, Form::Plain]).await;
    let count = forms(&ward).len();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(forms(&ward).len(), count, "an empty segment is not closed");
    log.stop();
    verify(ward.directory(), None).unwrap();
}

#[test]
fn a_folder_of_another_program_is_no_log() {
    assert!(Reader::open(Path::new("/nonexistent"), Keys::none()).is_err());
}
