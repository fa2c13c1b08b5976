//! Deletion by age: recorded before it is done, only of whole segments, and `verify` passes over what is gone.

use std::time::{Duration, Instant};

use config::OnLogFailure::Refuse;
use policy::{Clock, Timestamp};

use crate::testing::{Ward, clock, served};
use crate::{Log, LogProblem, deleted, segment, upkeep, verify};

const DAY: Duration = Duration::from_secs(86_400);

/// Waits for the log's threads, at most twenty seconds.
async fn until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn accesses(ward: &mut Ward, log: &Log, count: usize) {
    let recorder = log.recorder();
    for _ in 0..count {
        recorder.admit(ward.read(), Refuse).await.unwrap().open().1.close(served());
    }
}

fn days_later(days: u32) -> Clock {
    let micros = i64::try_from((DAY * days).as_micros()).unwrap();
    let at = Timestamp::from_unix_micros(clock().now().unix_micros() + micros);
    Clock::new(move || at)
}

/// A log of several archived segments.
async fn archived() -> Ward {
    let mut ward = Ward::new();
    ward.config.segment_bytes_max = 60_000;
    ward.config.segment_age_max = DAY * 100_000;
    ward.config.archive = true;
    let log = ward.open();
    accesses(&mut ward, &log, 400).await;
    let plain = || segment::list(ward.directory()).unwrap().iter().filter(|s| s.form == segment::Form::Plain).count();
    until(|| plain() == 1).await;
    log.stop();
    ward
}

#[tokio::test]
async fn whole_segments_go_when_all_their_lines_are_old_and_the_log_says_so_first() {
    let mut ward = archived().await;
    let closed = segment::list(ward.directory()).unwrap().len() as u64 - 1;
    ward.config.delete_after = Some(10 * DAY);
    let log = ward.open_at(days_later(5));
    accesses(&mut ward, &log, 1).await;
    log.stop();
    let log = ward.open_at(days_later(10));
    accesses(&mut ward, &log, 5).await;
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    assert_eq!(deleted::end(ward.directory()).unwrap(), 0, "not a day too early");
    log.stop();

    let log = ward.open_at(days_later(11));
    until(|| ward.events("segment-deleted").len() as u64 == closed).await;
    until(|| segment::list_all(ward.directory()).unwrap().len() == 1).await;
    accesses(&mut ward, &log, 5).await;
    log.stop();
    let verified = verify(ward.directory(), Some(log.public_key())).unwrap();
    assert_eq!(verified.lines, verified.lines_signed);
    assert_eq!(verified.lines_deleted, ward.reader().first().unwrap());
    assert_eq!(ward.reader().line(3).unwrap(), None);
    assert_eq!(ward.lines()[0]["seq"], verified.lines_deleted);

    // The log goes on from what is kept, also where its tiles are lost.
    for lost in ["tile/0", "tile"] {
        std::fs::remove_dir_all(ward.directory().join(lost)).unwrap();
        let log = ward.open_at(days_later(11));
        accesses(&mut ward, &log, 300).await;
        log.stop();
        let verified = verify(ward.directory(), Some(log.public_key())).unwrap();
        assert_eq!(verified.lines, verified.lines_signed, "{lost}");
    }
}

#[tokio::test]
async fn nothing_is_deleted_by_a_clock_that_nothing_keeps() {
    let mut ward = archived().await;
    ward.config.delete_after = Some(DAY);
    let before = segment::list(ward.directory()).unwrap();
    let log = ward.open_with(days_later(9_000), |log| log.core().appender().faults.clock_is_free = true);
    until(|| !ward.events("clock-unsynchronised").is_empty()).await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    log.stop();
    assert_eq!(segment::list(ward.directory()).unwrap()[..before.len()], before[..]);
    assert_eq!(deleted::end(ward.directory()).unwrap(), 0);
}

#[tokio::test]
async fn segments_that_go_without_a_record_are_missed() {
    let mut ward = archived().await;
    let key = ward.open();
    key.stop();
    // Somebody removes the oldest segment, and puts there what the gateway would have kept of it.
    let segments = segment::list(ward.directory()).unwrap();
    let mut tree = crate::tree::Tree::default();
    let mut lines = ward.reader().from(0);
    while let Some(line) = lines.next().unwrap().filter(|line| line.seq < segments[1].first) {
        tree.push(crate::tree::leaf_hash(line.text), &mut Vec::new());
    }
    std::fs::remove_file(&segments[0].path).unwrap();
    assert!(verify(ward.directory(), Some(key.public_key())).is_err());
    use base64::Engine as _;
    let root = base64::engine::general_purpose::STANDARD.encode(tree.root());
    let gone = deleted::DeletedSegment { first: 0, end: segments[1].first, root };
    let kept = deleted::Deleted { tree, segments: vec![gone.clone()], record: None };
    deleted::write(ward.directory(), &kept).unwrap();
    let missed = |ward: &Ward| {
        let findings = verify(ward.directory(), Some(key.public_key())).unwrap_err();
        assert!(findings[0].what.contains("no signed line of the log says"), "{findings:?}");
    };
    missed(&ward);
    // The log can still be opened, with an alarm; it is the auditor's to judge.
    let log = ward.open();
    accesses(&mut ward, &log, 3).await;
    until(|| log.health().archive_problem.is_some_and(|problem| problem.contains("no signed line"))).await;
    log.stop();
    missed(&ward);

    // Somebody also writes the line that the gateway would have written. Nothing signs it.
    let newest = segment::list(ward.directory()).unwrap().pop().unwrap().path;
    let (mut body, mut line) = (Vec::new(), Vec::new());
    upkeep::deleted(&mut body, clock().now(), &gone);
    crate::line::push_line(&mut line, ward.reader().size().unwrap(), &body);
    let mut text = std::fs::read(&newest).unwrap();
    text.extend_from_slice(&line);
    std::fs::write(&newest, text).unwrap();
    missed(&ward);
    let refused = ward.try_open().unwrap_err();
    assert!(refused.to_string().contains("no signed line"), "to go on would sign it: {refused}");
    missed(&ward);
}

/// What the gateway would have kept of the oldest segment, had it deleted it.
fn of_oldest(ward: &Ward) -> (crate::tree::Tree, deleted::DeletedSegment) {
    use base64::Engine as _;
    let end = segment::list(ward.directory()).unwrap()[1].first;
    let mut tree = crate::tree::Tree::default();
    let mut lines = ward.reader().from(0);
    while let Some(line) = lines.next().unwrap().filter(|line| line.seq < end) {
        tree.push(crate::tree::leaf_hash(line.text), &mut Vec::new());
    }
    let root = base64::engine::general_purpose::STANDARD.encode(tree.root());
    (tree, deleted::DeletedSegment { first: 0, end, root })
}

/// Appends the line that the gateway would have written before, to the file that it wrote last. Gives its number.
fn append_record(ward: &Ward, gone: &deleted::DeletedSegment) -> u64 {
    append(ward, |body| upkeep::deleted(body, clock().now(), gone))
}

fn append(ward: &Ward, write: impl FnOnce(&mut Vec<u8>)) -> u64 {
    let newest = segment::list(ward.directory()).unwrap().pop().unwrap().path;
    let (mut body, mut text) = (Vec::new(), std::fs::read(&newest).unwrap());
    write(&mut body);
    let number = ward.reader().size().unwrap();
    crate::line::push_line(&mut text, number, &body);
    std::fs::write(&newest, text).unwrap();
    number
}

#[tokio::test]
async fn a_deletion_that_somebody_wrote_into_a_log_at_rest_is_signed_as_void_and_allows_nothing() {
    let ward = archived().await;
    let (tree, gone) = of_oldest(&ward);
    let signed = ward.reader().size().unwrap();
    let forged = append_record(&ward, &gone);
    let log = ward.open();
    log.stop();
    let void = ward.events("deletion-void");
    assert_eq!(void.len(), 1, "{void:?}");
    assert_eq!((&void[0]["first"], &void[0]["end"], &void[0]["n"]), (&signed.into(), &(forged + 1).into(), &1.into()));
    let verified = verify(ward.directory(), Some(log.public_key())).unwrap();
    assert_eq!((verified.deletions_void, verified.lines), (1, verified.lines_signed), "signed, and said to be void");

    // With that line signed, the segment goes, and what is kept of it names the line.
    let oldest = segment::list(ward.directory()).unwrap().remove(0);
    std::fs::remove_file(&oldest.path).unwrap();
    let kept = deleted::Deleted { tree, segments: vec![gone], record: Some(forged) };
    for record in [Some(forged), None] {
        deleted::write(ward.directory(), &deleted::Deleted { record, ..kept.clone() }).unwrap();
        let findings = verify(ward.directory(), Some(log.public_key())).unwrap_err();
        assert!(findings[0].what.contains("no signed line of the log says"), "{findings:?}");
        let log = ward.open();
        until(|| log.health().archive_problem.is_some_and(|problem| problem.contains("no signed line"))).await;
        log.stop();
    }
    assert_eq!(ward.events("deletion-void").len(), 1, "told once");
}

#[tokio::test]
async fn a_deletion_that_a_crash_left_unsigned_is_recorded_anew_and_then_done() {
    let mut ward = archived().await;
    let (_, gone) = of_oldest(&ward);
    let closed = segment::list(ward.directory()).unwrap().len() as u64 - 1;
    append_record(&ward, &gone);
    ward.config.delete_after = Some(DAY);
    let log = ward.open_at(days_later(3));
    until(|| deleted::read(ward.directory()).unwrap().is_some_and(|kept| kept.segments.len() as u64 == closed)).await;
    log.stop();
    assert_eq!(ward.events("segment-deleted").len() as u64, closed + 1);
    let verified = verify(ward.directory(), Some(log.public_key())).unwrap();
    assert_eq!((verified.deletions_void, verified.lines), (1, verified.lines_signed));
    assert!(verified.lines_deleted >= gone.end);
}

#[tokio::test]
async fn nobody_takes_a_true_deletion_back_by_a_line_in_a_log_at_rest() {
    let mut ward = archived().await;
    let closed = segment::list(ward.directory()).unwrap().len() as u64 - 1;
    ward.config.delete_after = Some(DAY);
    let log = ward.open_at(days_later(3));
    until(|| deleted::read(ward.directory()).unwrap().is_some_and(|kept| kept.segments.len() as u64 == closed)).await;
    log.stop();
    let verified = verify(ward.directory(), Some(log.public_key())).unwrap();
    assert_eq!(verified.deletions_void, 0);
    for end in [u64::MAX, ward.reader().size().unwrap()] {
        append(&ward, |body| upkeep::void(body, clock().now(), &(0..end), 1));
        let log = ward.open_at(days_later(3));
        log.stop();
        assert_eq!(log.health().archive_problem, None);
    }
    let verified = verify(ward.directory(), Some(log.public_key())).unwrap();
    assert_eq!((verified.deletions_void, verified.lines), (2, verified.lines_signed));
    let log = ward.open_at(days_later(3));
    log.stop();
    assert_eq!(log.health().archive_problem, None, "what was deleted is still recorded");
    assert_eq!(ward.events("deletion-void").len(), 4, "two that were forged, and what was said of each");
}

/// Writes an archive anew, with lines and an index that are not what they were.
fn forge(segment: &segment::Segment, change: impl Fn(&str) -> String, began: Option<&str>) {
    let archive = crate::archive::Archive::open(segment, &crate::Keys::none()).unwrap();
    let text: Vec<u8> = (0..archive.blocks()).flat_map(|number| archive.block(number).unwrap()).collect();
    let plain = segment.path.with_extension("forged");
    std::fs::write(&plain, change(std::str::from_utf8(&text).unwrap())).unwrap();
    let source = segment::Segment { path: plain.clone(), form: segment::Form::Plain, first: segment.first };
    crate::archive::write(&segment.path, &source, archive.index.end, None, || true).unwrap().unwrap();
    std::fs::remove_file(plain).unwrap();
    if let Some(began) = began {
        let bytes = std::fs::read(&segment.path).unwrap();
        let (rest, trailer) = bytes.split_at(bytes.len() - 64);
        let at = usize::try_from(u64::from_be_bytes(trailer[..8].try_into().unwrap())).unwrap();
        let index = std::str::from_utf8(&rest[at..]).unwrap().replace(&archive.index.began, began);
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, index.as_bytes());
        let parts = [&rest[..at], index.as_bytes(), &trailer[..16], hash.as_ref(), &trailer[48..]];
        std::fs::write(&segment.path, parts.concat()).unwrap();
    }
}

#[tokio::test]
async fn what_an_archive_says_of_its_own_age_makes_nothing_old() {
    let mut ward = archived().await;
    let segments = segment::list(ward.directory()).unwrap();
    let began = crate::archive::Archive::open(&segments[1], &crate::Keys::none()).unwrap().index.began;
    forge(&segments[1], str::to_owned, Some(&began.replace("2026-", "1999-")));
    let forged = crate::archive::Archive::open(&segments[1], &crate::Keys::none()).unwrap().index.began;
    assert!(forged.starts_with("1999-"), "{forged}");
    ward.config.delete_after = Some(10 * DAY);
    let log = ward.open_at(days_later(1));
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    log.stop();
    assert_eq!(deleted::end(ward.directory()).unwrap(), 0);
    assert!(ward.events("segment-deleted").is_empty());
}

#[tokio::test]
async fn a_segment_that_is_not_what_was_signed_is_kept_for_the_auditor() {
    let mut ward = archived().await;
    let segments = segment::list(ward.directory()).unwrap();
    forge(&segments[0], |text| text.replace("n.sato", "n.kato"), None);
    ward.config.delete_after = Some(DAY);
    let log = ward.open_at(days_later(3));
    until(|| log.health().archive_problem.is_some_and(|problem| problem.contains("nothing is deleted"))).await;
    log.stop();
    assert_eq!(deleted::end(ward.directory()).unwrap(), 0);
    assert!(ward.events("segment-deleted").is_empty() && segments[0].path.exists());
    assert!(verify(ward.directory(), None).is_err());
}

#[tokio::test]
async fn a_segment_goes_by_its_own_newest_line_not_by_when_the_next_one_began() {
    let mut ward = Ward::new();
    ward.config.segment_bytes_max = 60_000;
    ward.config.segment_age_max = DAY * 100_000;
    ward.config.archive = true;
    // The clock was twenty days ahead for a while; then somebody set it right.
    let log = ward.open_at(days_later(20));
    accesses(&mut ward, &log, 50).await;
    log.stop();
    let log = ward.open();
    accesses(&mut ward, &log, 400).await;
    let plain = || segment::list(ward.directory()).unwrap().iter().filter(|s| s.form == segment::Form::Plain).count();
    until(|| plain() == 1).await;
    log.stop();
    ward.config.delete_after = Some(10 * DAY);
    // A log that stood still for long would be doubted.
    for (day, looks) in [(5, 0), (11, 2), (17, 0), (23, 0), (29, 2)] {
        let log = ward.open_at(days_later(day));
        accesses(&mut ward, &log, 1).await;
        tokio::time::sleep(Duration::from_millis(1_100) * looks).await;
        assert_eq!(log.health().archive_problem, None);
        log.stop();
        assert_eq!(deleted::end(ward.directory()).unwrap(), 0, "a line of day 20 is not old on day {day}");
    }
    assert!(ward.events("segment-deleted").is_empty());
    let log = ward.open_at(days_later(31));
    until(|| deleted::end(ward.directory()).unwrap() > 0).await;
    log.stop();
    verify(ward.directory(), None).unwrap();
}

#[tokio::test]
async fn a_clock_that_is_set_years_ahead_deletes_nothing_for_days() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    let mut ward = archived().await;
    ward.config.delete_after = Some(30 * DAY);
    let day = Arc::new(AtomicU32::new(0));
    let moving = || {
        let (day, began) = (Arc::clone(&day), Instant::now());
        Clock::new(move || {
            let passed = i64::try_from(began.elapsed().as_micros()).unwrap();
            let at = days_later(day.load(Ordering::Acquire)).now();
            Timestamp::from_unix_micros(at.unix_micros() + passed)
        })
    };
    let log = ward.open_with(moving(), |log| log.core().appender().faults.clock_moves = true);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    day.store(3_000, Ordering::Release);
    until(|| !ward.events("clock-stepped").is_empty()).await;
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    log.stop();
    // A restart forgets nothing.
    let log = ward.open_with(moving(), |_| {});
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    log.stop();
    assert_eq!(deleted::end(ward.directory()).unwrap(), 0);
    assert!(ward.events("segment-deleted").is_empty());
    // Where it is right, and nobody says otherwise for days, it is believed.
    day.store(3_004, Ordering::Release);
    let log = ward.open_with(moving(), |_| {});
    until(|| deleted::end(ward.directory()).unwrap() > 0).await;
    log.stop();
    verify(ward.directory(), None).unwrap();
}

#[tokio::test]
async fn a_kept_edge_that_was_changed_is_found() {
    let mut ward = archived().await;
    ward.config.delete_after = Some(DAY);
    let log = ward.open_at(days_later(3));
    until(|| !ward.events("segment-deleted").is_empty()).await;
    until(|| segment::list_all(ward.directory()).unwrap().len() == 1).await;
    log.stop();
    verify(ward.directory(), Some(log.public_key())).unwrap();
    let path = deleted::path(ward.directory());
    let original = std::fs::read(&path).unwrap();
    for at in (0..original.len()).step_by(97) {
        let mut changed = original.clone();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        std::fs::write(&path, &changed).unwrap();
        if deleted::read(ward.directory()).is_ok_and(|read| read == deleted_of(&original, ward.directory(), &changed)) {
            continue;
        }
        assert!(verify(ward.directory(), Some(log.public_key())).is_err(), "byte {at}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(verify(ward.directory(), Some(log.public_key())).is_err(), "what is kept is gone");
}

/// What the file says unchanged: a change that means nothing, such as of what older segments' roots were, is no finding.
fn deleted_of(original: &[u8], directory: &std::path::Path, changed: &[u8]) -> Option<deleted::Deleted> {
    let path = deleted::path(directory);
    std::fs::write(&path, original).unwrap();
    let read = deleted::read(directory).unwrap();
    std::fs::write(&path, changed).unwrap();
    read
}

#[tokio::test]
async fn a_log_as_large_as_it_may_be_counts_as_full() {
    let mut ward = Ward::new();
    ward.config.size_bytes_max = Some(10_000);
    let log = ward.open();
    accesses(&mut ward, &log, 20).await;
    log.stop();
    let log = ward.open();
    until(|| log.health().size_bytes >= 10_000).await;
    let refused = log.recorder().admit(ward.read(), Refuse).await.unwrap_err();
    assert!(matches!(refused.problem, LogProblem::TooLarge { .. }), "{}", refused.problem);
    assert!(!log.health().writable && log.health().full_percent == 100);
    log.stop();
    verify(ward.directory(), None).unwrap();
}

#[tokio::test]
async fn how_full_the_disk_is_stands_in_the_log() {
    let ward = Ward::new();
    let log = ward.open();
    for (percent, told) in [(72, 70), (99, 95), (10, 0)] {
        log.core().appender().faults.percent = percent;
        until(|| ward.events("log-capacity").last().is_some_and(|line| line["n"] == told)).await;
    }
    assert_eq!(ward.events("log-capacity").len(), 3);
    log.stop();
    verify(ward.directory(), None).unwrap();
}

#[tokio::test]
async fn a_clock_that_is_set_back_an_hour_stops_nothing_and_stands_in_the_log() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};
    let mut ward = Ward::new();
    ward.config.segment_bytes_max = 30_000;
    ward.config.archive = true;
    let start = clock().now().unix_micros();
    let (shift, began) = (Arc::new(AtomicI64::new(0)), Instant::now());
    let shifted = Arc::clone(&shift);
    let moving = Clock::new(move || {
        let passed = i64::try_from(began.elapsed().as_micros()).unwrap();
        Timestamp::from_unix_micros(start + passed + shifted.load(Ordering::Acquire))
    });
    let log = ward.open_with(moving, |log| log.core().appender().faults.clock_moves = true);
    accesses(&mut ward, &log, 100).await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    shift.store(-3_600_000_000, Ordering::Release);
    until(|| !ward.events("clock-stepped").is_empty()).await;
    accesses(&mut ward, &log, 100).await;
    let stepped = ward.events("clock-stepped");
    assert!(stepped[0]["off"].as_f64().is_some_and(|by| (by + 3_600_000.0).abs() < 50.0), "{stepped:?}");
    let plain = || segment::list(ward.directory()).unwrap().iter().filter(|s| s.form == segment::Form::Plain).count();
    until(|| plain() == 1).await;
    log.stop();
    let lines = ward.lines();
    assert!(lines.iter().zip(0_u64..).all(|(line, seq)| line["seq"] == seq), "numbers do not know of clocks");
    let last = lines[lines.len() - 1]["ts"].as_str().unwrap().to_owned();
    assert!(last.as_str() < lines[0]["ts"].as_str().unwrap(), "moments are what the clock said");
    let verified = verify(ward.directory(), None).unwrap();
    assert_eq!(verified.lines, verified.lines_signed);
    let (_, recovery) = ward.try_open().unwrap();
    assert_eq!(recovery, crate::Recovery::default());
}
