//! The store in a real PostgreSQL: served from, stopped and started, moved into and out of.

use std::time::{Duration, Instant};

use policy::Timestamp;
use serde_json::Value;
use tests::{Ask, Caller, Database, Device, Hospital, Plan, Session, Upstream, eventually, run};

use crate::operations::operations;

/// How long the database is away: seconds here; `SEKIMORI_AWAY_SECONDS=600` for the ten minutes that are promised.
fn away() -> Duration {
    let seconds = std::env::var("SEKIMORI_AWAY_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(5))
}

/// A hospital whose store is a database, and a doctor who is signed in.
struct House {
    database: Database,
    hospital: Hospital,
    terminal: Device,
    caller: Caller,
    doctor: Session,
    _emr: Upstream,
}

impl House {
    async fn open() -> Self {
        let (emr, mut database) = (Upstream::http1(), Database::build());
        let mut hospital = Hospital::build(database.in_plan(Plan::with_emr(emr.address()).with_directory()));
        database.start_for(&hospital);
        let terminal = Device::add(&hospital, "ward-pc-1", "fixed").await;
        let doctor = Session::open(&hospital, "doctor", Some(&terminal), &["emr"]).await;
        hospital.start();
        let caller = hospital.caller(&terminal);
        let house = Self { database, hospital, terminal, caller, doctor, _emr: emr };
        house.status(&house.doctor, 200).await;
        house
    }

    async fn ask(&self, who: &Session) -> u16 {
        self.caller.ask(Ask::get("emr", "/chart").signed_in(who)).await.status
    }

    #[track_caller]
    fn status(&self, who: &Session, expected: u16) -> impl Future<Output = ()> {
        let asked = self.caller.ask(Ask::get("emr", "/chart").signed_in(who));
        async move { assert_eq!(asked.await.status, expected) }
    }

    async fn metric(&self, name: &str) -> String {
        let metrics = operations(&self.hospital, "/metrics").await.expect(200).text();
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().to_owned()
    }
}

#[tokio::test]
async fn signed_in_people_go_on_while_the_database_is_away_and_a_revocation_is_not_lost() {
    let mut house = House::open().await;
    let other = Session::open(&house.hospital, "nurse", Some(&house.terminal), &["emr"]).await;
    house.status(&other, 200).await;

    house.database.stop();
    let begin = Instant::now();
    while begin.elapsed() < away() {
        assert_eq!(house.ask(&house.doctor).await, 200, "after {:?}", begin.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    eventually("the alarm", async || (house.metric("sekimori_alarm{alarm=\"store-away\"}").await == "1").then_some(()))
        .await;
    let unknown = Ask::get("emr", "/chart").header("cookie", &format!("__Host-sekimori={}", "A".repeat(43)));
    let refused = house.caller.ask(unknown.as_browser().header("accept-language", "en")).await;
    assert_eq!(refused.status, 503, "nobody is told that they are signed out");
    assert!(refused.text().contains("We cannot check your sign-in"), "{}", refused.text());
    let command = house.hospital.run(&["session", "revoke", &other.id]);
    assert_eq!(command.code, Some(69), "a revocation that cannot be kept is refused: {}", command.err);

    house.database.start();
    house.hospital.run(&["session", "revoke", &other.id]).ok();
    let revoked = Instant::now();
    eventually("the revocation", async || (house.ask(&other).await != 200).then_some(())).await;
    assert!(revoked.elapsed() < Duration::from_secs(5), "{:?}", revoked.elapsed());
    house.status(&house.doctor, 200).await;
    eventually("the end of the alarm", async || {
        (house.metric("sekimori_alarm{alarm=\"store-away\"}").await == "0").then_some(())
    })
    .await;
    let recorded = async || {
        let ended = house.hospital.records().with("ev", "session-ended").all().len();
        (ended > 0).then_some(ended)
    };
    assert_eq!(eventually("the record", recorded).await, 1, "the end is on record, once");
}

#[tokio::test]
async fn no_revocation_is_missed_when_every_connection_is_cut_at_that_moment() {
    let house = House::open().await;
    for round in 0..5 {
        let nurse = Session::open(&house.hospital, "nurse", Some(&house.terminal), &["emr"]).await;
        house.status(&nurse, 200).await;
        house.database.cut_all();
        house.hospital.run(&["session", "revoke", &nurse.id]).ok();
        let revoked = Instant::now();
        if round % 2 == 0 {
            house.database.cut_all();
        }
        eventually("the revocation", async || (house.ask(&nurse).await != 200).then_some(())).await;
        assert!(revoked.elapsed() < Duration::from_secs(3), "{:?}", revoked.elapsed());
    }
    house.status(&house.doctor, 200).await;
}

#[tokio::test]
async fn a_revocation_rings_in_well_under_a_second() {
    let house = House::open().await;
    let mut took = Vec::new();
    for _ in 0..20 {
        let nurse = Session::open(&house.hospital, "nurse", Some(&house.terminal), &["emr"]).await;
        house.status(&nurse, 200).await;
        house.hospital.run(&["session", "revoke", &nurse.id]).ok();
        let told = std::time::Instant::now();
        while house.ask(&nurse).await == 200 {
            assert!(told.elapsed() < Duration::from_secs(10), "in force at last");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        took.push(told.elapsed());
    }
    took.sort_unstable();
    // Without the bell, which is asked for once a second, it would be half a second.
    assert!(took[took.len() / 2] < Duration::from_millis(300), "{took:?}");
}

#[tokio::test]
async fn a_database_that_is_not_the_one_that_was_meant_is_refused_by_its_reason() {
    let mut database = Database::build();
    let hospital = Hospital::build(database.in_plan(Plan::new()));
    database.start_for(&hospital);
    let list = || hospital.run(&["session", "list"]);
    list().ok();

    let ca = std::fs::read(hospital.folder().join("ca.pem")).unwrap();
    tests::Authority::new().save(&hospital.folder().join("ca.pem"));
    let refused = list();
    assert_eq!(refused.code, Some(69), "{}", refused.err);
    assert!(refused.err.contains("TLS handshake") && refused.err.contains("UnknownIssuer"), "{}", refused.err);
    hospital.folder().write("ca.pem", ca);

    hospital.folder().write("database-password", "somebody else's");
    let refused = list();
    assert_eq!(refused.code, Some(69), "{}", refused.err);
    assert!(refused.err.contains("28P01") && !refused.err.contains("somebody else's"), "{}", refused.err);
    hospital.folder().write("database-password", "a test's own");
    list().ok();

    assert!(database.ask("update schema_version set version = 99, oldest = 99").0);
    let refused = list();
    assert_eq!(refused.code, Some(69), "{}", refused.err);
    assert!(refused.err.contains("version 99") && refused.err.contains("install"), "{}", refused.err);
    let doctor = hospital.run(&["doctor"]);
    assert!(doctor.out.contains("version 99"), "{}", doctor.out);
    assert!(database.ask("update schema_version set version = 1, oldest = 1").0);

    assert!(database.ask("alter system set ssl = off").0 && database.ask("select pg_reload_conf()").0);
    // What was given on the command line stands above what was altered.
    list().ok();
    database.stop();
    let refused = list();
    assert_eq!(refused.code, Some(69), "{}", refused.err);
}

/// What `store move` says of each table.
fn sums(said: &tests::Run) -> Value {
    said.json()
}

#[tokio::test]
async fn a_store_is_moved_into_a_database_and_out_again_and_everybody_goes_on() {
    let (emr, mut database) = (Upstream::http1(), Database::build());
    let mut hospital = Hospital::build(Plan::with_emr(emr.address()).with_directory());
    let terminal = Device::add(&hospital, "ward-pc-1", "fixed").await;
    let doctor = Session::open(&hospital, "doctor", Some(&terminal), &["emr"]).await;
    hospital.start();
    let status = async |hospital: &Hospital| {
        hospital.caller(&terminal).ask(Ask::get("emr", "/chart").signed_in(&doctor)).await.status
    };
    assert_eq!(status(&hospital).await, 200);

    let into = ["store", "move", "--from", "state/store.sqlite", "--format", "json"];
    database.start_for(&hospital);
    let on_file = hospital.plan().clone();
    let on_database = database.in_plan(on_file.clone());
    hospital.folder().write("database.toml", on_database.text());
    let move_in =
        |hospital: &Hospital| run(hospital.folder().path(), &[&into[..], &["--config", "database.toml"]].concat());
    let refused = move_in(&hospital);
    assert_eq!(refused.code, Some(69), "a gateway runs on it: {}", refused.err);
    assert!(refused.err.contains("stop the gateway"), "{}", refused.err);

    assert!(hospital.stop().success());
    hospital.settle(on_database);
    let moved = hospital.run(&into).ok();
    assert!(sums(&moved).as_array().unwrap().len() > 20, "{}", moved.out);
    hospital.start();
    assert_eq!(status(&hospital).await, 200, "signed in before, and still");
    let out = ["store", "move", "--to", "state/again.sqlite", "--format", "json"];
    let refused = hospital.run(&out);
    assert_eq!(refused.code, Some(69), "a gateway runs on it: {}", refused.err);
    assert!(refused.err.contains("stop every gateway"), "{}", refused.err);
    let refused = hospital.run(&into);
    assert_eq!(refused.code, Some(69), "it was moved already: {}", refused.err);

    assert!(hospital.stop().success());
    let left = hospital.run(&out).ok();
    assert_eq!(sums(&left).as_array().unwrap().len(), sums(&moved).as_array().unwrap().len());
    let rows = |said: &tests::Run, table: &str| {
        sums(said).as_array().unwrap().iter().find(|one| one["table"] == table).unwrap()["sha256"].clone()
    };
    for table in ["people", "devices", "device_certificates", "credentials", "tokens"] {
        assert_eq!(rows(&left, table), rows(&moved, table), "{table}");
    }
    let folder = hospital.folder().path().join("state");
    std::fs::rename(folder.join("again.sqlite"), folder.join("store.sqlite")).unwrap();
    hospital.settle(on_file);
    hospital.start();
    assert_eq!(status(&hospital).await, 200, "signed in before, and still");
}

#[tokio::test]
async fn a_dump_of_another_day_or_a_cut_one_makes_no_backup() {
    let mut house = House::open().await;
    let folder = house.hospital.folder().path().to_owned();
    let out = run(&folder, &["audit", "key", "escrow", "--out", "safe/recovery", "--elsewhere"]).ok().out;
    let key = out.trim().trim_start_matches("recovery_key = ").to_owned();
    let plan = house.hospital.plan().clone().set("backup", &format!("recovery_keys = [{key}]"));
    house.hospital.reload(plan);
    let back_up = |dump: &str| house.hospital.run(&["backup", "--to", "backups", "--format", "json", "--dump", dump]);
    let file = |name: &str| folder.join(name);

    house.database.dump(&file("store.dump"));
    let whole = std::fs::read(file("store.dump")).unwrap();
    let made = back_up("store.dump").ok().json();
    let moment = |name: &str| Timestamp::parse_rfc3339(made[name].as_str().unwrap()).unwrap();
    let (begun, written) = (moment("dump_begun_at"), moment("dumped_at"));
    // It states whole seconds.
    assert!(begun <= written && written.since(begun) < Duration::from_secs(60), "{made}");

    let yesterday = std::time::SystemTime::now() - Duration::from_secs(86_400);
    std::fs::write(file("old.dump"), &whole).unwrap();
    std::fs::File::options().write(true).open(file("old.dump")).unwrap().set_modified(yesterday).unwrap();
    std::fs::write(file("cut.dump"), &whole[..whole.len() * 3 / 4]).unwrap();
    std::fs::write(file("plain.dump"), "-- PostgreSQL database dump\n").unwrap();
    let tomorrow = std::time::SystemTime::now() + Duration::from_secs(86_400);
    std::fs::write(file("next.dump"), &whole).unwrap();
    std::fs::File::options().write(true).open(file("next.dump")).unwrap().set_modified(tomorrow).unwrap();
    // Its file is new, and what is in it is not: it says so itself, as `pg_restore --list` shows.
    let mut copied = whole.clone();
    let year = &mut copied[if whole[6] < 15 { 42 } else { 38 }];
    *year = year.strict_sub(1);
    std::fs::write(file("copied.dump"), &copied).unwrap();
    for (dump, code, said) in [
        ("copied.dump", 1, "says itself that it was begun at 20"),
        ("old.dump", 1, "do not belong together"),
        ("next.dump", 1, "still to come"),
        ("cut.dump", 1, "cannot be read to its end"),
        ("plain.dump", 64, "no dump in the database's own form"),
        ("nowhere.dump", 69, "nowhere.dump"),
    ] {
        let refused = back_up(dump);
        assert_eq!(refused.code, Some(code), "{dump}: {}", refused.err);
        assert!(refused.err.contains(said), "{dump}: {}", refused.err);
    }
    let list = run(&folder, &["backup", "list", "--from", "backups", "--format", "json"]).ok().out;
    assert_eq!(list.lines().count(), 1, "{list}");
    let words = ["restore", "--from", "backups", "--into", "again", "--recovery-key", "safe/recovery"];
    let restored = run(&folder, &words).ok().out;
    assert!(
        restored.contains("pg_restore")
            && restored.contains(&format!("begun at {}", made["dump_begun_at"].as_str().unwrap())),
        "{restored}"
    );
}
