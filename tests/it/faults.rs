//! What can go wrong around the gateway, made to happen: each row of docs/operate/faults.md that no other test makes. The
//! gateway does what the page says, raises its alarm, and is well again when the cause is gone.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tests::{Ask, Device, Hospital, Plan, Session, Surroundings, Upstream, eventually, eventually_in};

use crate::console::Desk;
use crate::crash::ask_until_the_end;
use crate::operations::operations;
use crate::ward::Ward;

const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until an alarm is raised or lowered, in the metrics and by `doctor`.
async fn alarm(hospital: &Hospital, code: &str, is_raised: bool) {
    let line = format!("sekimori_alarm{{alarm=\"{code}\"}} {}", u8::from(is_raised));
    eventually_in(PATIENCE, &line, async || {
        operations(hospital, "/metrics").await.text().contains(&line).then_some(())
    })
    .await;
    let doctor = hospital.run(&["doctor", "--format", "json"]);
    let what = format!("running gateway: {code}");
    let told = doctor.lines().into_iter().find(|one| one["what"] == what.as_str()).unwrap();
    assert_eq!(told["grade"], if is_raised { "bad" } else { "good" }, "{told}");
    if is_raised {
        assert!(hospital.log().iter().any(|line| line["alarm"] == code), "{}", hospital.log_text());
    }
}

fn sql(hospital: &Hospital, statements: &str) {
    let store = rusqlite::Connection::open(hospital.folder().join("state/store.sqlite")).unwrap();
    store.execute_batch(statements).unwrap();
}

/// Bounds something of a running gateway from outside.
fn bound(hospital: &Hospital, resource: Resource, most: Option<u64>) {
    let pid = i32::try_from(hospital.pid()).ok().and_then(Pid::from_raw);
    // The hard bound stays: not everybody may raise it again.
    prlimit(pid, resource, Rlimit { current: most, maximum: getrlimit(resource).maximum }).unwrap();
}

#[tokio::test]
async fn a_store_that_does_not_answer_raises_its_alarm_until_it_does() {
    let ward = Ward::open().await;
    ward.caller.ask(ward.get("/before")).await.expect(200);
    sql(&ward.hospital, "ALTER TABLE events RENAME TO gone");
    alarm(&ward.hospital, "store-away", true).await;
    ward.caller.ask(ward.get("/who-is-signed-in-goes-on")).await.expect(200);
    sql(&ward.hospital, "ALTER TABLE gone RENAME TO events");
    alarm(&ward.hospital, "store-away", false).await;
}

#[tokio::test]
async fn a_store_that_is_damaged_or_of_a_later_version_is_not_gone_on_with() {
    let mut ward = Ward::open().await;
    ward.hospital.stop();
    let file = ward.hospital.folder().join("state/store.sqlite");
    sql(&ward.hospital, "PRAGMA wal_checkpoint(TRUNCATE); UPDATE schema_version SET version = 999");
    let told = ward.hospital.run(&["serve"]);
    assert_eq!(told.code, Some(69), "{} {}", told.out, told.err);
    assert!(told.err.contains("version 999") && told.err.contains("a later one"), "{}", told.err);

    for wal in ["-wal", "-shm"] {
        std::fs::remove_file(ward.hospital.folder().join(&format!("state/store.sqlite{wal}"))).ok();
    }
    std::fs::write(&file, [0xa5; 8_192]).unwrap();
    let told = ward.hospital.run(&["serve"]);
    assert_eq!(told.code, Some(69), "{} {}", told.out, told.err);
    assert!(told.err.contains("store.sqlite") || told.err.contains("database"), "{}", told.err);
    let doctor = ward.hospital.run(&["doctor", "--format", "json"]);
    assert!(doctor.lines().iter().any(|one| one["what"] == "store" && one["grade"] == "bad"), "{}", doctor.out);
}

#[tokio::test]
async fn without_descriptors_who_is_there_goes_on_and_who_comes_waits() {
    let ward = Ward::open().await;
    let mut there = ward.caller.http1("emr").await;
    there.answer(ward.get("/before")).await.expect(200);
    bound(&ward.hospital, Resource::Nofile, Some(24));
    // It waits in the socket, is let in when there are descriptors again, and was never refused.
    let (caller, ask) = (ward.caller.clone(), ward.get("/waited"));
    let waiting = tokio::spawn(async move { caller.ask(ask).await });
    eventually_in(PATIENCE, "accepting pauses", async || {
        ward.hospital.log_text().contains("accepting paused").then_some(())
    })
    .await;
    assert!(!waiting.is_finished());
    there.answer(ward.ask("POST", "/still-recorded")).await.expect(200);
    bound(&ward.hospital, Resource::Nofile, Some(4_096));
    waiting.await.unwrap().expect(200);
    alarm(&ward.hospital, "descriptors-short", true).await;
    assert_eq!(ward.hospital.records().opened("/still-recorded").len(), 1);
}

#[tokio::test]
async fn a_gateway_that_gets_no_more_memory_ends_and_begins_again_with_every_record() {
    // Else what it was given at its start would be enough for all connections that one address may have.
    let mut ward = Ward::surrounded(Surroundings::with_small_pieces()).await;
    let (sent, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (caller, doctor) = (ward.caller.clone(), ward.doctor.clone());
            tokio::spawn(ask_until_the_end(caller, doctor, Arc::clone(&sent), Arc::clone(&stop)))
        })
        .collect();
    eventually_in(PATIENCE, "the clients work", async || (sent.load(Ordering::Relaxed) > 200).then_some(())).await;
    // What it has is all it gets; then it is asked for more, by many connections at once.
    bound(&ward.hospital, Resource::As, Some(1 << 20));
    let begun = Instant::now();
    let mut lines = Vec::new();
    while ward.hospital.is_ready() && begun.elapsed() < PATIENCE {
        for _ in 0..20 {
            if let Ok(line) = ward.caller.connect("emr", &[b"h2"]).await {
                lines.push(line);
            }
        }
    }
    assert!(!ward.hospital.is_ready(), "it goes on with {} connections", lines.len());
    let status = ward.hospital.wait();
    assert!(!status.success(), "it does not pretend to have stopped in order: {status}");
    drop(lines);
    stop.store(true, Ordering::Relaxed);
    let mut answered = Vec::new();
    for client in clients {
        answered.extend(client.await.unwrap());
    }
    ward.hospital.start();
    ward.caller.ask(ward.get("/after")).await.expect(200);
    ward.hospital.stop();
    ward.hospital.run(&["audit", "verify"]).ok();
    let records = ward.hospital.records();
    let lost: Vec<&String> = answered.iter().filter(|path| records.opened(path).len() != 1).collect();
    assert!(lost.is_empty(), "{} of {} answered requests have no line: {lost:?}", lost.len(), answered.len());
    assert_eq!((records.with("ev", "started").len(), records.with("ev", "stopped").len()), (2, 1));
}

#[tokio::test]
async fn a_resolver_that_does_not_answer_costs_the_apps_behind_names_and_no_others() {
    let emr = Upstream::http1();
    let plan = Plan::with_emr(emr.address())
        .app_at("labs", &["http://labs.hospital.internal:80".to_owned()], "")
        .set("limits", "connect_timeout = \"1s\"");
    let mut hospital = Hospital::build_in(plan, |_| Surroundings::with_mounts());
    // It takes questions and never answers, where this user may open such a port; else it refuses them.
    let silent = UdpSocket::bind("127.0.0.99:53");
    if let Err(error) = &silent {
        eprintln!("a resolver that refuses is tried instead of one that is silent: {error}");
    }
    hospital.folder().write("resolv.conf", "nameserver 127.0.0.99\noptions timeout:5 attempts:2\n");
    let own = hospital.folder().join("resolv.conf");
    hospital.surroundings().put_over(&own, std::path::Path::new("/etc/resolv.conf"));
    let terminal = Device::add(&hospital, "ward-pc-1", "fixed").await;
    let doctor = Session::open(&hospital, "doctor", Some(&terminal), &["emr", "labs"]).await;
    hospital.start();
    let caller = hospital.caller(&terminal);
    let asking: Vec<_> = (0..20)
        .map(|number| {
            let (caller, ask) = (caller.clone(), Ask::get("labs", &format!("/{number}")).signed_in(&doctor));
            tokio::spawn(async move { caller.ask(ask).await })
        })
        .collect();
    let begun = Instant::now();
    caller.ask(Ask::get("emr", "/meanwhile").signed_in(&doctor)).await.expect(200);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    for asked in asking {
        asked.await.unwrap().expect_problem(502, "app-unreachable");
    }
    if let Ok(silent) = silent {
        silent.set_nonblocking(true).unwrap();
        assert!(silent.recv(&mut [0; 512]).is_ok(), "it was asked, and is what was waited for");
    }
    let records = hospital.records();
    assert_eq!(records.closing(records.opened("/0").only()).unwrap()["end"], "upstream-failed");
    alarm(&hospital, "upstream-down", true).await;
}

#[tokio::test]
async fn a_certificate_that_ended_is_told_and_still_shown_and_no_gateway_begins_with_it() {
    let emr = Upstream::http1();
    let surroundings = |folder: &tests::Folder| Surroundings::with_clock(&folder.join("clock"));
    let mut hospital = Hospital::build_in(Plan::with_emr(emr.address()), surroundings);
    hospital.start();
    alarm(&hospital, "certificate-ends", false).await;
    hospital.surroundings().set_clock(10 * 366 * 86_400);
    alarm(&hospital, "certificate-ends", true).await;
    // Who believes it still is served: a browser decides that, not the gateway.
    hospital.stranger().ask(Ask::get("emr", "/a")).await.expect(401);
    hospital.stop();
    let told = hospital.run(&["serve"]);
    assert_eq!(told.code, Some(64), "{} {}", told.out, told.err);
    assert!(told.err.contains("wild.pem") && told.err.contains("expired"), "{}", told.err);
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_stands_in_the_log_and_ends_nobody_within_their_span() {
    let emr = Upstream::http1();
    let surroundings = |folder: &tests::Folder| Surroundings::with_clock(&folder.join("clock"));
    let mut hospital = Hospital::build_in(Plan::with_emr(emr.address()), surroundings);
    let terminal = Device::add(&hospital, "ward-pc-1", "fixed").await;
    let doctor = Session::open(&hospital, "doctor", Some(&terminal), &["emr"]).await;
    hospital.start();
    let caller = hospital.caller(&terminal);
    let get = |path: &str| Ask::get("emr", path).signed_in(&doctor);
    caller.ask(get("/before")).await.expect(200);
    tokio::time::sleep(Duration::from_secs(2)).await;
    hospital.surroundings().set_clock(300);
    let stepped =
        eventually("the log says so", async || hospital.records().with("ev", "clock-stepped").all().first().cloned())
            .await;
    assert!(stepped["off"].as_f64().unwrap() > 290_000.0, "{stepped}");
    caller.ask(get("/after")).await.expect(200);
    // Beyond the span of any session nobody is signed in, and nothing else is broken.
    hospital.surroundings().set_clock(30 * 86_400);
    eventually("the session is over", async || (caller.ask(get("/later")).await.status == 401).then_some(())).await;
    assert!(hospital.stop().success());
    hospital.run(&["audit", "verify"]).ok();
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_at_a_start_is_replaced_by_the_last_good_one_and_everybody_is_told() {
    let mut desk = Desk::open().await;
    let (mut chief, _) = desk.person("kanri", "administrator").await;
    let good = desk.hospital.plan().text();
    desk.hospital.stop();
    desk.hospital.folder().write("sekimori.toml", format!("{good}\n[gateway\nnonsense"));
    let checked = desk.hospital.run(&["check"]);
    assert_eq!(checked.code, Some(64));
    desk.hospital.start();
    let home = chief.open(&desk.hospital.url("console", "/")).await.expect(200).text();
    assert!(home.contains("最後に正しかった設定") || home.contains("last good one"), "{home}");
    let line = "sekimori_alarm{alarm=\"last-good-config\"} 1";
    eventually(line, async || operations(&desk.hospital, "/metrics").await.text().contains(line).then_some(())).await;
    let doctor = desk.hospital.run(&["doctor", "--format", "json"]);
    let told = doctor.lines();
    assert!(told.iter().any(|one| one["what"] == "configuration" && one["grade"] == "bad"), "{}", doctor.out);
    assert!(!desk.hospital.records().with("ev", "config-refused").is_empty());

    // Mended, it comes into force without a start.
    desk.hospital.folder().write("sekimori.toml", &good);
    alarm(&desk.hospital, "last-good-config", false).await;
    // Without what it needs, nothing begins with it.
    desk.hospital.stop();
    desk.hospital.folder().write("sekimori.toml", format!("{good}\n[gateway\nnonsense"));
    std::fs::remove_file(desk.hospital.folder().join("wild.key")).unwrap();
    let refused = desk.hospital.run(&["serve"]);
    assert_eq!(refused.code, Some(64), "{} {}", refused.out, refused.err);
    assert!(refused.err.contains("wild.key"), "{}", refused.err);
}
