//! A full disk, a failing disk, and the emergency spool.

use std::time::{Duration, Instant};

use config::OnLogFailure::{Refuse, Spool};

use crate::testing::{Ward, clock, served};
use crate::{Event, Log, LogProblem, Note, Recovery, verify};

fn fail_writes(log: &Log, after: Option<usize>) {
    log.core().appender().faults.write_stops_after = after;
}

/// Waits for the keeper, at most five seconds.
async fn until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < Duration::from_secs(5), "waited in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_admitted_without_a_record() {
    let mut ward = Ward::new();
    ward.config.free_bytes_min = u64::MAX;
    let log = ward.open();
    let recorder = log.recorder();
    let unrecorded = recorder.admit(ward.read(), Refuse).await.unwrap_err();
    assert!(matches!(unrecorded.problem, LogProblem::Full { .. }));
    assert_eq!(unrecorded.permit.rule().as_str(), "reads");
    let unrecorded = recorder.admit(ward.read(), Spool).await.unwrap_err();
    assert!(matches!(unrecorded.problem, LogProblem::Full { .. }), "no spool is configured");
    assert!(recorder.note(Note::new(Event::Started, clock().now())).await.is_err());
    let health = log.health();
    assert!(!health.writable && health.problem.unwrap().contains("audit.free_min"));
    assert_eq!(health.open_accesses, 0);
}

#[tokio::test]
async fn on_a_full_disk_the_spool_takes_what_is_configured_so_and_nothing_else() {
    let mut ward = Ward::with_spool();
    ward.config.free_bytes_min = u64::MAX;
    let log = ward.open();
    let recorder = log.recorder();
    assert!(recorder.admit(ward.read(), Refuse).await.is_err());
    let admitted = recorder.admit(ward.write(), Spool).await.unwrap();
    recorder.refuse(&ward.refused(), 403).await.unwrap();
    assert!(log.health().spool_in_use());
    // Closing lines are written whatever is free: the reserve is kept for them.
    admitted.open().1.close(served());
    log.stop();
    assert_eq!((ward.events("open").len(), ward.events("close").len()), (0, 1));

    ward.config.free_bytes_min = 0;
    let (log, recovery) = ward.try_open().unwrap();
    log.stop();
    assert_eq!(recovery.merged, 2);
    assert!(!log.health().spool_in_use());
    assert!(ward.events("open")[0]["spool"].as_str().unwrap().ends_with("/1"));
    assert_eq!(ward.events("refused").len(), 1);
    assert!(verify(ward.directory(), None).is_ok());
}

#[tokio::test]
async fn a_write_that_fails_halfway_leaves_no_trace_and_closing_lines_wait() {
    let mut ward = Ward::new();
    let log = ward.open();
    let recorder = log.recorder();
    let (_, before) = recorder.admit(ward.read(), Refuse).await.unwrap().open();
    fail_writes(&log, Some(100));
    before.close(served());
    let unrecorded = recorder.admit(ward.read(), Refuse).await.unwrap_err();
    assert!(matches!(unrecorded.problem, LogProblem::Disk { .. }));
    assert!(!log.health().writable);
    assert_eq!(log.health().open_accesses, 1, "the closing line that waits keeps its place");
    fail_writes(&log, None);
    until(|| log.health().open_accesses == 0).await;
    assert!(log.health().writable);
    recorder.admit(ward.read(), Refuse).await.unwrap().open().1.close(served());
    log.stop();
    assert_eq!((ward.events("open").len(), ward.events("close").len()), (2, 2));
    assert!(verify(ward.directory(), None).is_ok());
}

#[tokio::test]
async fn the_spool_is_merged_when_the_log_can_be_written_again() {
    let mut ward = Ward::with_spool();
    let log = ward.open();
    let recorder = log.recorder();
    let (_, before) = recorder.admit(ward.read(), Spool).await.unwrap().open();
    fail_writes(&log, Some(0));
    let (_, during) = recorder.admit(ward.read(), Spool).await.unwrap().open();
    before.close(served());
    until(|| log.health().open_accesses == 1).await;
    fail_writes(&log, None);
    until(|| !log.health().spool_in_use()).await;
    during.close(served());
    log.stop();
    assert_eq!((ward.events("open").len(), ward.events("close").len()), (2, 2));
    assert!(ward.events("open")[1]["spool"].is_string() && ward.events("close")[0]["spool"].is_string());
    assert_eq!(ward.try_open().unwrap().1, Recovery::default());
    assert!(verify(ward.directory(), None).is_ok());
}

#[tokio::test]
async fn lines_that_were_merged_before_a_crash_are_not_merged_twice() {
    let mut ward = Ward::with_spool();
    ward.config.free_bytes_min = u64::MAX;
    let log = ward.open();
    let admitted = log.recorder().admit(ward.read(), Spool).await.unwrap();
    log.stop();
    drop(admitted);
    let spool = ward.folder.path().join("spool/spool.jsonl");
    let spooled = std::fs::read(&spool).unwrap();
    ward.config.free_bytes_min = 0;
    let (log, recovery) = ward.try_open().unwrap();
    assert_eq!(recovery, Recovery { unknown: 1, torn_bytes: 0, merged: 1 });
    log.stop();
    std::fs::write(&spool, spooled).unwrap();
    let (log, recovery) = ward.try_open().unwrap();
    log.stop();
    assert_eq!(recovery, Recovery::default());
    assert_eq!((ward.events("open").len(), ward.events("close").len()), (1, 1));
    assert_eq!(std::fs::read(&spool).unwrap(), b"");
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_recorded_until_a_restart() {
    let mut ward = Ward::new();
    let log = ward.open();
    let recorder = log.recorder();
    log.core().appender().faults.sync_fails = true;
    assert!(recorder.admit(ward.write(), Refuse).await.is_err());
    log.core().appender().faults.sync_fails = false;
    assert!(recorder.admit(ward.write(), Refuse).await.is_err(), "what the kernel dropped cannot be synced later");
    assert!(recorder.admit(ward.read(), Refuse).await.is_err());
    assert!(!log.health().writable);
    log.stop();
    drop((recorder, log));
    let (log, recovery) = ward.try_open().unwrap();
    assert_eq!(recovery.unknown, 1);
    log.recorder().admit(ward.write(), Refuse).await.unwrap().open().1.close(served());
    log.stop();
    assert!(verify(ward.directory(), None).is_ok());
}
