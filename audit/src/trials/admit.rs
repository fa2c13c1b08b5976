//! Admitting, closing, refusing.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use config::OnLogFailure::Refuse;

use crate::testing::{Ward, clock, served};
use crate::{Event, LogProblem, Note, tail, verify};

#[tokio::test]
async fn an_access_leaves_two_lines_joined_by_its_id() {
    let mut ward = Ward::new();
    let log = ward.open();
    let admitted = log.recorder().admit(ward.read(), Refuse).await.unwrap();
    assert_eq!(ward.events("open").len(), 1, "the line is in the file before the act");
    assert_eq!(admitted.permit().rule().as_str(), "reads");
    let (act, receipt) = admitted.open();
    assert_eq!(act, 1);
    receipt.close(served());
    log.stop();
    let (open, close) = (&ward.events("open")[0], &ward.events("close")[0]);
    assert_eq!(open["id"], close["id"]);
    assert_eq!((open["login"].as_str(), open["rule"].as_str()), (Some("n.sato"), Some("reads")));
    assert_eq!((open["path"].as_str(), open["role"][0].as_str()), (Some("/Patient/00012345"), Some("nurse")));
    assert_eq!((close["end"].as_str(), close["st"].as_u64()), (Some("served"), Some(200)));
    let numbers: Vec<_> = ward.lines().iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [0, 1, 2]);
}

#[tokio::test]
async fn a_dropped_receipt_is_recorded_as_abandoned() {
    let mut ward = Ward::new();
    let log = ward.open();
    drop(log.recorder().admit(ward.read(), Refuse).await.unwrap());
    log.stop();
    assert_eq!(ward.events("close")[0]["end"], "abandoned");
}

#[tokio::test]
async fn an_admission_that_is_cancelled_midway_is_recorded_and_abandoned() {
    let mut ward = Ward::new();
    let log = ward.open();
    let recorder = log.recorder();
    {
        let mut leader = Box::pin(recorder.admit(ward.read(), Refuse));
        let mut follower = Box::pin(recorder.admit(ward.read(), Refuse));
        let mut context = Context::from_waker(Waker::noop());
        assert!(leader.as_mut().poll(&mut context).is_pending());
        assert!(follower.as_mut().poll(&mut context).is_pending());
        drop(leader);
        assert!(follower.await.is_ok(), "a leader that is dropped still writes for the others");
    }
    log.stop();
    assert_eq!(ward.events("open").len(), 2);
    assert!(ward.events("close").iter().all(|line| line["end"] == "abandoned"));
    assert_eq!(log.health().open_accesses, 0);
}

#[tokio::test]
async fn as_many_accesses_as_are_allowed_start_together_again_and_again() {
    let mut ward = Ward::new();
    ward.config.open_accesses_max = 8;
    let log = ward.open();
    let recorder = log.recorder();
    for _ in 0..20 {
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (recorder, read) = (recorder.clone(), ward.read());
            waiting.spawn(async move { recorder.admit(read, Refuse).await.unwrap() });
        }
        let admitted = waiting.join_all().await;
        let ninth = recorder.admit(ward.read(), Refuse).await.unwrap_err();
        assert_eq!(ninth.problem, LogProblem::TooManyOpen { max: 8 });
        assert_eq!(ninth.act % 9, 0);
        admitted.into_iter().for_each(|admitted| admitted.open().1.close(served()));
        log.core().look_after_batches();
        assert_eq!(log.health().open_accesses, 0);
    }
    log.stop();
    assert_eq!((ward.events("open").len(), ward.events("close").len()), (160, 160));
}

#[tokio::test]
async fn requests_that_are_ready_together_are_written_together() {
    let mut ward = Ward::new();
    let log = ward.open();
    let recorder = log.recorder();
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (recorder, read) = (recorder.clone(), ward.read());
        waiting.spawn(async move { recorder.admit(read, Refuse).await.unwrap() });
    }
    tokio::task::yield_now().await;
    assert_eq!(ward.events("open").len() % 16, 0, "none before the leader's turn, then all");
    waiting.join_all().await;
    assert_eq!(ward.events("open").len(), 16);
}

#[tokio::test]
async fn a_synced_record_is_on_disk_before_the_act() {
    let mut ward = Ward::new();
    let log = ward.open();
    let admitted = log.recorder().admit(ward.write(), Refuse).await.unwrap();
    assert!(log.health().lines_synced >= 2);
    drop(admitted);
}

#[tokio::test]
async fn refusals_and_facts_are_one_line_each_and_synced() {
    let mut ward = Ward::new();
    let log = ward.open();
    let recorder = log.recorder();
    let refused = ward.refused();
    recorder.refuse(&refused, 403).await.unwrap();
    assert!(log.health().lines_synced >= 2);
    let note = Note::new(Event::DeviceRevoked, clock().now()).from(&refused.access.from).code("lost");
    recorder.note(note).await.unwrap();
    let line = &ward.events("refused")[0];
    assert_eq!((line["why"].as_str(), line["rule"].as_str()), (Some("forbidden"), Some("no-deletes")));
    assert_eq!((line["st"].as_u64(), line["login"].as_str()), (Some(403), Some("n.sato")));
    assert_eq!(ward.events("device-revoked")[0]["ip"], "10.1.2.3");
}

#[tokio::test]
async fn a_record_that_no_line_can_hold_is_refused_and_breaks_nothing() {
    let mut ward = Ward::new();
    let log = ward.open();
    let recorder = log.recorder();
    let unrecorded = recorder.admit(ward.read_by(&"長".repeat(30_000)), Refuse).await.unwrap_err();
    assert!(matches!(unrecorded.problem, LogProblem::LineTooLong { .. }));
    assert!(recorder.admit(ward.read(), Refuse).await.is_ok());
    log.stop();
    assert_eq!(log.health().open_accesses, 0);
    assert!(verify(ward.directory(), None).is_ok());
}

#[tokio::test]
async fn after_stop_nothing_is_admitted() {
    let mut ward = Ward::new();
    let log = ward.open();
    let recorder = log.recorder();
    log.stop();
    let unrecorded = recorder.admit(ward.read(), Refuse).await.unwrap_err();
    assert_eq!(unrecorded.problem, LogProblem::Stopped);
    assert!(recorder.note(Note::new(Event::Stopped, clock().now())).await.is_err());
    assert!(!log.health().writable);
}

#[tokio::test]
async fn a_log_is_one_process_s_until_it_stops() {
    let ward = Ward::new();
    let log = ward.open();
    assert!(matches!(ward.try_open(), Err(LogProblem::InUse { .. })));
    log.stop();
    assert!(ward.try_open().is_ok());
}

#[tokio::test]
async fn dropping_the_last_handle_stops_the_log_in_order() {
    let mut ward = Ward::new();
    let log = ward.open();
    let recorder = log.recorder();
    drop(log);
    let (_, receipt) = recorder.admit(ward.read(), Refuse).await.unwrap().open();
    drop(recorder);
    receipt.close(served());
    let verified = verify(ward.directory(), None).unwrap();
    assert_eq!((verified.lines, verified.lines_signed), (3, 3));
}

#[tokio::test]
async fn segments_rotate_and_numbers_go_on_after_reopening() {
    let mut ward = Ward::new();
    ward.config.segment_bytes_max = 4_000;
    let mut public_keys = Vec::new();
    for _ in 0..3 {
        let (log, recovery) = ward.try_open().unwrap();
        assert_eq!(recovery, crate::Recovery::default());
        public_keys.push(log.public_key().to_owned());
        for _ in 0..20 {
            log.recorder().admit(ward.read(), Refuse).await.unwrap().open().1.close(served());
        }
        log.stop();
    }
    assert!(public_keys.iter().all(|key| key == &public_keys[0]));
    let verified = verify(ward.directory(), Some(&public_keys[0])).unwrap();
    assert!(verified.segments > 5, "{verified:?}");
    assert_eq!(verified.lines, 120 + verified.segments);
    assert_eq!(verified.lines, verified.lines_signed);
    assert!(verified.checkpoints >= verified.segments, "each segment ends with a checkpoint: {verified:?}");
    assert!(verified.key_was_given);
    let numbers: Vec<_> = ward.lines().iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..verified.lines).collect::<Vec<_>>());
    let last = tail(ward.directory(), 50).unwrap();
    assert_eq!(last.len(), 50);
    assert!(last[49].contains(&format!("\"seq\":{},", verified.lines - 1)));
}

#[tokio::test]
async fn a_log_of_many_tiles_is_sealed_and_verifies_while_it_is_written() {
    let mut ward = Ward::new();
    ward.config.open_accesses_max = 10_000;
    let log = ward.open();
    let recorder = log.recorder();
    let mut checked = 0;
    for n in 0..1_500 {
        let mut admission = pin!(recorder.admit(ward.read(), Refuse));
        admission.as_mut().await.unwrap().open().1.close(served());
        if n % 300 == 299 {
            match verify(ward.directory(), Some(log.public_key())) {
                Ok(_) => checked += 1,
                Err(findings) => assert!(findings[0].what.contains("no signed checkpoint"), "{findings:?}"),
            }
        }
    }
    log.stop();
    let verified = verify(ward.directory(), Some(log.public_key())).unwrap();
    assert_eq!((verified.lines, verified.lines_signed), (3_001, 3_001));
    assert!(ward.directory().join("tile/0/010").exists() && ward.directory().join("tile/1/000.p/11").exists());
    assert!(checked <= 5);
}
