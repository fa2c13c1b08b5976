//! The log on bad days, with real parts: a disk that is full to the last byte, a folder that became read-only, a clock that
//! was set back an hour, and a kill while load and archiver are at work. Each time what the documentation says happens, and
//! `verify` passes afterwards.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tests::{Device, Folder, Hospital, Plan, Session, Surroundings, Upstream, eventually, eventually_in};

use crate::crash::{Random, ask_until_the_end, judge};
use crate::operations::operations;
use crate::ward::Ward;

/// A path that fills segments fast.
fn long(what: &str, number: usize) -> String {
    format!("/{what}/{number}/{}", "a".repeat(2_000))
}

/// A hospital in surroundings of its own, with small segments and a folder for its log.
fn hospital(surroundings: impl FnOnce(&Folder) -> Surroundings) -> (Hospital, Upstream) {
    let emr = Upstream::http1();
    let plan = Plan::with_emr(emr.address()).set("audit", "segment_max = \"1MiB\"");
    let hospital = Hospital::build_in(plan, surroundings);
    std::fs::create_dir_all(log_of(&hospital)).unwrap();
    (hospital, emr)
}

/// Opens it, with a doctor at this terminal.
async fn opened((mut hospital, emr): (Hospital, Upstream), terminal: Device) -> Ward {
    let doctor = Session::open(&hospital, "doctor", Some(&terminal), &["emr"]).await;
    hospital.start();
    let caller = hospital.caller(&terminal);
    Ward { hospital, emr, terminal, caller, doctor }
}

/// A ward in surroundings of its own.
async fn ward(surroundings: impl FnOnce(&Folder) -> Surroundings) -> Ward {
    let built = hospital(surroundings);
    let terminal = Device::add(&built.0, "ward-pc-1", "fixed").await;
    opened(built, terminal).await
}

fn log_of(hospital: &Hospital) -> PathBuf {
    hospital.folder().join("state/audit")
}

/// Asks on one connection until an answer is a refusal, at most this often; gives the paths that were answered.
async fn ask_until_refused(ward: &Ward, what: &str, most: usize) -> Vec<String> {
    let mut connection = ward.caller.http1("emr").await;
    let mut answered = Vec::new();
    for number in 0..most {
        let path = long(what, number);
        let answer = connection.answer(ward.get(&path)).await;
        if answer.status == 503 {
            answer.expect_problem(503, "not-recorded");
            return answered;
        }
        answer.expect(200);
        answered.push(path);
    }
    panic!("{what}: never refused");
}

/// Every answered path stands in the log, nothing reached the app that does not, and the log is as it was signed.
fn is_whole(ward: &Ward, answered: &[String]) {
    let verified = ward.hospital.run(&["audit", "verify", "--format", "json"]).ok().json();
    let records = ward.hospital.records();
    assert_eq!((&verified["lines"], &verified["lines_signed"]), (&records.len().into(), &records.len().into()));
    let openings = records.with("ev", "open");
    let mut opened: BTreeMap<&str, usize> = BTreeMap::new();
    openings
        .all()
        .iter()
        .filter_map(|line| line["path"].as_str())
        .for_each(|path| *opened.entry(path).or_default() += 1);
    for path in answered {
        assert_eq!(opened.get(path.as_str()), Some(&1), "{path}");
    }
    for seen in ward.emr.seen() {
        assert!(opened.contains_key(seen.target.as_str()), "{} reached the app without a record", seen.target);
    }
    let numbers: Vec<u64> = records.all().iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert_eq!(numbers, (0..records.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_disk_that_is_full_to_the_last_byte_costs_answers_and_no_record() {
    let built = hospital(|_| Surroundings::with_mounts());
    built.0.surroundings().mount_disk(&log_of(&built.0), 16);
    let terminal = Device::add(&built.0, "ward-pc-1", "fixed").await;
    let mut ward = opened(built, terminal).await;
    let log = log_of(&ward.hospital);
    ward.caller.ask(ward.get("/before")).await.expect(200);
    ward.hospital.surroundings().fill(&log);
    let mut answered = ask_until_refused(&ward, "filling", 2_000).await;
    let reached = ward.emr.seen().len();
    ward.caller.ask(ward.get("/full")).await.expect_problem(503, "not-recorded");
    ward.caller.ask(ward.ask("POST", "/full")).await.expect_problem(503, "not-recorded");
    assert_eq!(ward.emr.seen().len(), reached, "what cannot be recorded is not done");
    assert_eq!(operations(&ward.hospital, "/health/ready").await.status, 503);
    assert!(ward.hospital.log().iter().any(|line| line["level"] == "ERROR"), "{}", ward.hospital.log_text());

    // It goes on by itself when there is room.
    ward.hospital.surroundings().make_room(&log);
    eventually("there is room again", async || (ward.caller.ask(ward.get("/again")).await.status == 200).then_some(()))
        .await;
    // Killed while the disk is full, it does not start before there is room.
    ward.hospital.surroundings().fill(&log);
    answered.extend(ask_until_refused(&ward, "once-more", 2_000).await);
    ward.hospital.kill();
    let told = ward.hospital.run(&["serve"]);
    assert_eq!(told.code, Some(69), "{} {}", told.out, told.err);
    ward.hospital.surroundings().make_room(&log);
    ward.hospital.start();
    ward.caller.ask(ward.get("/after")).await.expect(200);
    ward.hospital.stop();
    answered.extend(["/before".to_owned(), "/after".to_owned()]);
    is_whole(&ward, &answered);
}

#[tokio::test]
async fn a_log_whose_folder_became_read_only_is_no_longer_written_and_goes_on_when_it_may() {
    let mut ward = ward(|_| Surroundings::with_mounts()).await;
    let log = log_of(&ward.hospital);
    ward.caller.ask(ward.get("/before")).await.expect(200);
    ward.hospital.surroundings().make_read_only(&log);
    // The file that is open already takes lines until it is full; checkpoints are late from the first second on.
    let mut answered = ask_until_refused(&ward, "read-only", 2_000).await;
    assert!(answered.len() < 600, "a segment of 1 MiB takes no more: {}", answered.len());
    let reached = ward.emr.seen().len();
    // Shorter lines would still find room in the open file; a file that was full once takes no more.
    ward.caller.ask(ward.get("/read-only-still")).await.expect_problem(503, "not-recorded");
    assert_eq!(ward.emr.seen().len(), reached);
    assert_eq!(operations(&ward.hospital, "/health/ready").await.status, 503);
    let said = ward.hospital.log_text();
    assert!(said.contains("Read-only file system") && said.contains("ERROR"), "{said}");

    ward.hospital.surroundings().make_writable(&log);
    eventually("it may be written again", async || {
        (ward.caller.ask(ward.get("/again")).await.status == 200).then_some(())
    })
    .await;
    // Killed while it is read-only, it does not start before it may be written.
    ward.hospital.surroundings().make_read_only(&log);
    ward.hospital.kill();
    let told = ward.hospital.run(&["serve"]);
    assert_eq!(told.code, Some(69), "{} {}", told.out, told.err);
    assert!(told.err.contains("Read-only file system"), "{}", told.err);
    ward.hospital.surroundings().make_writable(&log);
    ward.hospital.start();
    ward.caller.ask(ward.get("/after")).await.expect(200);
    ward.hospital.stop();
    answered.extend(["/before".to_owned(), "/after".to_owned()]);
    is_whole(&ward, &answered);
}

/// Somebody works until the gateway has looked at its clock, which it does every second.
async fn work_for_a_while(ward: &Ward) {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(3) {
        ward.caller.ask(ward.get("/meanwhile")).await.expect(200);
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_an_hour_stops_nothing_and_stands_in_the_log() {
    let built = hospital(|folder| Surroundings::with_clock(&folder.join("clock")));
    // The terminal's certificate is older than the hour: one that is not valid yet is refused, and rightly.
    built.0.surroundings().set_clock(-7_200);
    let terminal = Device::add(&built.0, "ward-pc-1", "fixed").await;
    built.0.surroundings().set_clock(0);
    let mut ward = opened(built, terminal).await;
    work_for_a_while(&ward).await;
    ward.caller.ask(ward.get("/before")).await.expect(200);
    ward.hospital.surroundings().set_clock(-3_600);
    let stepped = eventually("the log says so", async || {
        ward.hospital.records().with("ev", "clock-stepped").all().first().cloned()
    })
    .await;
    let off = stepped["off"].as_f64().unwrap();
    assert!((off + 3_600_000.0).abs() < 2_000.0, "{stepped}");
    ward.caller.ask(ward.get("/within")).await.expect(200);
    work_for_a_while(&ward).await;
    ward.hospital.surroundings().set_clock(0);
    eventually("the log says so again", async || {
        (ward.hospital.records().with("ev", "clock-stepped").len() == 2).then_some(())
    })
    .await;
    ward.caller.ask(ward.get("/right-again")).await.expect(200);
    assert!(ward.hospital.stop().success());
    let records = ward.hospital.records();
    let at = |path: &str| records.opened(path).only()["ts"].as_str().unwrap().to_owned();
    assert!(at("/within") < at("/before"), "moments are what the clock said");
    assert!(at("/before") < at("/right-again"));
    is_whole(&ward, &["/before", "/within", "/right-again"].map(str::to_owned));
}

#[tokio::test]
async fn killed_under_load_while_segments_are_archived_it_has_a_line_for_all_it_answered() {
    const KILLS: usize = 6;
    let mut ward = ward(|_| Surroundings::default()).await;
    let mut random = Random::new();
    eprintln!("seed {}", random.seed());
    let segments = log_of(&ward.hospital).join("segments");
    // What ends so is being written, or was.
    let count = |end: &str| {
        let entries = std::fs::read_dir(&segments).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|extension| extension == end)).count()
    };
    let (sent, mut answered, mut caught) = (Arc::new(AtomicUsize::new(0)), Vec::new(), 0);
    for _ in 0..KILLS {
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let (caller, doctor) = (ward.caller.clone(), ward.doctor.clone());
                tokio::spawn(ask_until_the_end(caller, doctor, Arc::clone(&sent), Arc::clone(&stop)))
            })
            .collect();
        let before = sent.load(Ordering::Relaxed);
        eventually_in(Duration::from_secs(120), "load and archiver are at work", async || {
            (sent.load(Ordering::Relaxed) > before + 500 && count("new") > 0).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_micros(random.below(50_000))).await;
        ward.hospital.kill();
        caught += count("new").min(1);
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            answered.extend(client.await.unwrap());
        }
        ward.hospital.run(&["audit", "verify"]).ok();
        ward.hospital.start();
    }
    eventually_in(Duration::from_secs(120), "all but the newest is archived", async || {
        (count("jsonl") == 1).then_some(())
    })
    .await;
    ward.hospital.stop();
    eprintln!("{caught} of {KILLS} kills met a half-written archive; {} archived at last", count("archive"));
    assert!(count("archive") >= 2 && count("new") == 0, "what was half done was done again");
    judge(&ward, &answered, KILLS);
}
