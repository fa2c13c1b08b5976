//! Requests that share a record, and requests that do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use config::OnLogFailure::{self, Refuse};
use policy::{Clock, PatientFlag, RequestId};
use serde_json::Value;

use super::*;
use crate::testing::{Ward, clock, served};
use crate::{Event, Log, Receipt};

const STUDY: &str = "1.2.3";

fn patients(ids: &[&str]) -> Patients {
    Patients { ids: ids.iter().map(|id| (*id).into()).collect(), studies: vec![STUDY.into()], ..Patients::default() }
}

/// A person who looks at a study.
struct Viewer {
    ward: Ward,
    first: Access,
    asked: u64,
    /// What the log's clock shows: when they asked last.
    now: Arc<AtomicI64>,
}

impl Viewer {
    fn new() -> Self {
        let mut ward = Ward::new();
        let first = ward.access("GET", "n.sato");
        let now = Arc::new(AtomicI64::new(first.at.unix_micros()));
        Self { ward, first, asked: 100, now }
    }

    fn open(&self) -> Log {
        let shown = Arc::clone(&self.now);
        self.ward.open_at(Clock::new(move || Timestamp::from_unix_micros(shown.load(Ordering::Relaxed))))
    }

    /// The same person asks again, `seconds` after the first time.
    fn access(&mut self, seconds: u64) -> Access {
        self.asked += 1;
        let at = self.first.at.after(Duration::from_secs(seconds));
        self.now.store(at.unix_micros(), Ordering::Relaxed);
        Access { request: RequestId::new(at, self.asked.into()), at, ..self.first.clone() }
    }

    async fn look(&mut self, log: &Log, seconds: u64, study: &str) -> Receipt {
        let access = self.access(seconds);
        self.look_as(log, access, study).await
    }

    async fn look_as(&mut self, log: &Log, access: Access, study: &str) -> Receipt {
        let authorized = self.ward.allowed(access);
        let patients = patients(&["00012345"]);
        let about = About { patients: &patients, folded: Some(study) };
        log.recorder().admit_about(authorized, OnLogFailure::Refuse, Some(about)).await.unwrap().open().1
    }

    /// The closing lines.
    fn closed(&self, log: &Log) -> Vec<Value> {
        log.core().folds.end_all();
        log.core().look_after_batches();
        self.ward.events("close")
    }
}

#[tokio::test]
async fn the_pictures_of_a_study_are_one_record_with_their_number_and_bytes() {
    let mut viewer = Viewer::new();
    let log = viewer.open();
    for second in 0..50 {
        viewer.look(&log, second, STUDY).await.close(served());
    }
    let opened = viewer.ward.events("open");
    assert_eq!(opened.len(), 1);
    assert_eq!((opened[0]["pt"][0].as_str(), opened[0]["study"][0].as_str()), (Some("00012345"), Some(STUDY)));
    let closed = viewer.closed(&log);
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0]["id"], opened[0]["id"]);
    assert_eq!((closed[0]["n"].as_u64(), closed[0]["bo"].as_u64()), (Some(50), Some(50 * 512)));
    assert_eq!((closed[0]["end"].as_str(), closed[0]["st"].as_u64()), (Some("served"), Some(200)));
    assert!(closed[0].get("pt").is_none(), "the opening said so");
    assert_eq!((log.health().open_accesses, log.core().folds.count()), (0, 0));
}

#[tokio::test]
async fn a_picture_that_was_not_there_does_not_make_a_failure_of_those_that_were() {
    let mut viewer = Viewer::new();
    let log = viewer.open();
    let failed = |status, end| Outcome { status, end, ..served() };
    viewer.look(&log, 0, STUDY).await.close(failed(Some(404), End::Served));
    viewer.look(&log, 0, STUDY).await.close(served());
    viewer.look(&log, 0, STUDY).await.close(failed(Some(500), End::Served));
    viewer.look(&log, 0, STUDY).await.close(failed(Some(502), End::UpstreamFailed));
    viewer.look(&log, 0, "1.2.4").await.close(failed(None, End::UpstreamFailed));
    viewer.look(&log, 0, "1.2.4").await.close(failed(Some(404), End::Served));
    let told = |line: &Value| (line["n"].clone(), line["st"].clone(), line["end"].clone());
    let mut closed: Vec<_> = viewer.closed(&log).iter().map(told).collect();
    closed.sort_by_key(|line| line.0.as_u64());
    let expected = [(2, 404, "served"), (4, 200, "served")].map(|(n, st, end)| (n.into(), st.into(), end.into()));
    assert_eq!(closed, expected);
}

#[tokio::test]
async fn a_record_takes_others_in_for_five_minutes() {
    let mut viewer = Viewer::new();
    let log = viewer.open();
    for second in [0, 299, 300, 301, 599, 601] {
        viewer.look(&log, second, STUDY).await.close(served());
    }
    let mut count: Vec<_> = viewer.closed(&log).iter().map(|line| line["n"].as_u64().unwrap()).collect();
    count.sort_unstable();
    assert_eq!(count, [1, 2, 3]);
}

#[tokio::test]
async fn what_differs_has_a_record_of_its_own() {
    let mut viewer = Viewer::new();
    let log = viewer.open();
    viewer.look(&log, 0, STUDY).await.close(served());
    viewer.look(&log, 0, "1.2.4").await.close(served());
    let address = Access {
        from: policy::From { address: "10.1.2.4".parse().unwrap(), ..viewer.first.from.clone() },
        ..viewer.access(0)
    };
    viewer.look_as(&log, address, STUDY).await.close(served());
    let class = Access { class: Some("images".parse().unwrap()), ..viewer.access(0) };
    viewer.look_as(&log, class, STUDY).await.close(served());
    let mut stepped_up = viewer.access(0);
    stepped_up.who = stepped_up.who.map(|who| Arc::new((*who).clone()));
    viewer.look_as(&log, stepped_up, STUDY).await.close(served());
    let head = Access { method: policy::Method::parse("HEAD").unwrap(), ..viewer.access(0) };
    viewer.look_as(&log, head, STUDY).await.close(served());
    assert_eq!(viewer.ward.events("open").len(), 6);
    assert_eq!(viewer.closed(&log).len(), 6);
}

#[tokio::test]
async fn those_who_come_at_once_wait_for_the_line_of_the_first() {
    let mut viewer = Viewer::new();
    let log = viewer.open();
    let recorder = log.recorder();
    let patients = patients(&[]);
    let about = Some(About { patients: &patients, folded: Some(STUDY) });
    let (first, second) = (viewer.access(0), viewer.access(0));
    let first = recorder.admit_about(viewer.ward.allowed(first), Refuse, about);
    let second = recorder.admit_about(viewer.ward.allowed(second), Refuse, about);
    let (first, second) = tokio::join!(first, second);
    assert_eq!(viewer.ward.events("open").len(), 1);
    drop((first.unwrap(), second.unwrap()));
    let closed = viewer.closed(&log);
    assert_eq!((closed[0]["n"].as_u64(), closed[0]["end"].as_str()), (Some(2), Some("abandoned")));
}

#[tokio::test]
async fn whoever_waited_for_a_line_that_was_never_written_writes_its_own() {
    let mut viewer = Viewer::new();
    let log = viewer.open();
    let recorder = log.recorder();
    let patients = patients(&[]);
    let about = Some(About { patients: &patients, folded: Some(STUDY) });
    let (first, second) = (viewer.access(0), viewer.access(0));
    let mut first = Box::pin(recorder.admit_about(viewer.ward.allowed(first), Refuse, about));
    let mut second = Box::pin(recorder.admit_about(viewer.ward.allowed(second), Refuse, about));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(first.as_mut().poll(&mut context).is_pending());
    assert!(second.as_mut().poll(&mut context).is_pending());
    drop(first);
    assert!(second.await.is_ok());
    assert_eq!(viewer.ward.events("open").len(), 2, "the one that was cancelled is recorded and abandoned");
    log.stop();
    assert_eq!(viewer.ward.events("close").len(), 2);
}

#[tokio::test]
async fn a_refusal_a_fact_or_a_revocation_ends_it_and_the_line_waits_for_the_last_request() {
    let mut viewer = Viewer::new();
    let log = viewer.open();
    let under_way = viewer.look(&log, 0, STUDY).await;
    viewer.look(&log, 1, STUDY).await.close(served());
    log.recorder().refuse(&viewer.ward.refused(), 403).await.unwrap();
    assert!(viewer.ward.events("close").is_empty(), "one is still under way");
    viewer.look(&log, 2, STUDY).await.close(served());
    under_way.close(served());
    log.recorder()
        .note(Note::new(Event::SessionEnded, clock().now()).session(policy::SessionId::new(0xab)))
        .await
        .unwrap();
    let revoked = viewer.look(&log, 3, STUDY).await;
    revoked.close(Outcome { end: End::Revoked(policy::Reason::Forbidden), ..served() });
    viewer.look(&log, 4, STUDY).await.close(served());
    let line = |line: &Value| (line["n"].as_u64().unwrap(), line["end"].as_str().unwrap().to_owned());
    let mut told: Vec<_> = viewer.closed(&log).iter().map(line).collect();
    // Each was written by a recorder of its own, so their order is chance.
    told.sort();
    let expected = [(1, "revoked"), (1, "served"), (1, "served"), (2, "served")];
    assert_eq!(told, expected.map(|(count, end)| (count, end.to_owned())));
}

#[tokio::test]
async fn patients_that_later_answers_name_stand_in_the_closing_line() {
    let mut viewer = Viewer::new();
    let log = viewer.open();
    let mut more = patients(&["00012345", "7"]);
    more.flags = more.flags.with(PatientFlag::Cut);
    viewer.look(&log, 0, STUDY).await.close(Outcome { patients: Some(Box::new(more)), ..served() });
    viewer.look(&log, 0, STUDY).await.close(Outcome { patients: Some(Box::new(patients(&["8"]))), ..served() });
    let closed = viewer.closed(&log);
    assert_eq!(closed[0]["pt"], serde_json::json!(["7", "8"]));
    assert_eq!((closed[0]["ptf"][0].as_str(), closed[0].get("study")), (Some("cut"), None));
}

#[tokio::test]
async fn the_keeper_closes_what_took_others_in_for_long_enough() {
    let mut viewer = Viewer::new();
    let log = viewer.open();
    viewer.look(&log, 0, STUDY).await.close(served());
    log.core().folds.expire(clock().now().after(Duration::from_secs(299)));
    assert_eq!(log.core().folds.count(), 1);
    let later = viewer.now.fetch_add(300_000_000, Ordering::Relaxed) + 300_000_000;
    log.core().folds.expire(Timestamp::from_unix_micros(later));
    assert_eq!(log.core().folds.count(), 0);
    viewer.look(&log, 0, STUDY).await.close(served());
    log.core().folds.expire(Timestamp::from_unix_micros(0));
    assert_eq!(log.core().folds.count(), 0, "a clock that was set back");
}

#[tokio::test]
async fn a_stop_writes_the_closing_line_and_a_crash_leaves_it_unknown() {
    let mut viewer = Viewer::new();
    let log = viewer.open();
    viewer.look(&log, 0, STUDY).await.close(served());
    log.stop();
    assert_eq!(viewer.ward.events("close")[0]["n"].as_u64(), Some(1));
    let log = viewer.open();
    let receipt = viewer.look(&log, 1, STUDY).await;
    log.stop();
    // What ends after the stop is written by nobody, as after a crash.
    drop(receipt);
    drop(log);
    let (_log, recovery) = viewer.ward.try_open().unwrap();
    assert_eq!(recovery.unknown, 1);
    assert_eq!(
        viewer.ward.events("close").last().map(|line| line["end"].as_str().unwrap().to_owned()).as_deref(),
        Some("unknown")
    );
}

#[tokio::test]
async fn a_log_that_is_full_takes_nobody_in() {
    let mut viewer = Viewer::new();
    let log = viewer.open();
    viewer.look(&log, 0, STUDY).await.close(served());
    log.core().begin_stop();
    let access = viewer.access(1);
    let authorized = viewer.ward.allowed(access);
    let patients = patients(&[]);
    let about = About { patients: &patients, folded: Some(STUDY) };
    assert!(log.recorder().admit_about(authorized, Refuse, Some(about)).await.is_err());
}

#[tokio::test]
async fn records_that_wait_for_others_leave_room_for_everybody_else() {
    let mut viewer = Viewer::new();
    let log = viewer.open();
    for study in 0..40 {
        viewer.look(&log, 0, &format!("1.{study}")).await.close(served());
    }
    assert_eq!(log.core().folds.count(), viewer.ward.config.open_accesses_max / FOLDS_SHARE);
    log.core().look_after_batches();
    assert_eq!(log.health().open_accesses, viewer.ward.config.open_accesses_max / FOLDS_SHARE);
    assert_eq!(viewer.ward.events("close").len(), 24, "the rest have records of their own");
}
