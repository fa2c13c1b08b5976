//! The disk of the log fills up while the gateway runs: what is not recorded is not done, or goes to the spool where the
//! hospital chose that.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock, statvfs};
use tests::{Ask, Device, Folder, Hospital, Person, Plan, Session, Upstream, eventually};
use url::Url;

use crate::console::Desk;
use crate::ward::Ward;

/// How far the disk is from being full when a test begins, at most.
const MARGIN_BYTES_MAX: u64 = 32 << 20;

/// A disk that this test alone fills: in memory where the system has one, so that nobody else's files come and go.
struct Disk {
    folder: Folder,
    margin: u64,
    free_min: String,
    /// Two tests that fill the same disk would see each other's files.
    _turn: File,
}

impl Disk {
    fn take() -> Self {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let turn = File::create(std::env::temp_dir().join("sekimori-test-full-disk.lock")).unwrap();
        flock(&turn, FlockOperation::LockExclusive).unwrap();
        let here = statvfs(place.as_path()).unwrap();
        let free = here.f_bavail * here.f_frsize;
        let margin = (free / 8).min(MARGIN_BYTES_MAX);
        let free_min = format!("free_min = \"{}MiB\"", (free - margin) >> 20);
        Self { folder: Folder::new_on(&place), margin, free_min, _turn: turn }
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }

    fn fill(&self) {
        let file = File::create(self.ballast()).unwrap();
        fallocate(&file, FallocateFlags::empty(), 0, self.margin * 2).unwrap();
    }

    fn make_room(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

/// A hospital whose log lies on the disk, and counts as full when a little more of it is used.
fn on(disk: &Disk, plan: Plan) -> Hospital {
    let hospital = Hospital::build(plan.set("audit", &disk.free_min));
    std::fs::create_dir(hospital.folder().join("state")).unwrap();
    std::fs::create_dir(disk.folder.join("audit")).unwrap();
    symlink(disk.folder.join("audit"), hospital.folder().join("state/audit")).unwrap();
    hospital
}

/// A ward in such a hospital.
async fn ward(disk: &Disk, plan: Plan, emr: Upstream, hosts: &[&str]) -> Ward {
    let mut hospital = on(disk, plan);
    let terminal = Device::add(&hospital, "ward-pc-1", "fixed").await;
    let doctor = Session::open(&hospital, "doctor", Some(&terminal), hosts).await;
    hospital.start();
    let caller = hospital.caller(&terminal);
    Ward { hospital, emr, terminal, caller, doctor }
}

#[tokio::test]
async fn an_access_that_cannot_be_recorded_is_not_made_until_it_can_be() {
    let (disk, emr) = (Disk::take(), Upstream::http1());
    let ward = ward(&disk, Plan::with_emr(emr.address()), emr, &["emr"]).await;
    ward.caller.ask(ward.get("/before")).await.expect(200);
    disk.fill();
    let refused = async || (ward.caller.ask(ward.get("/full")).await.status == 503).then_some(());
    eventually("the log counts as full", refused).await;
    let reached = ward.emr.seen().len();
    ward.caller.ask(ward.get("/full")).await.expect_problem(503, "not-recorded");
    ward.caller.ask(ward.ask("POST", "/full")).await.expect_problem(503, "not-recorded");
    assert_eq!(ward.emr.seen().len(), reached);
    let alarm = ward.hospital.log().into_iter().find(|line| line["level"] == "ERROR");
    assert!(alarm.is_some(), "{}", ward.hospital.log_text());

    disk.make_room();
    let allowed = async || (ward.caller.ask(ward.get("/after")).await.status == 200).then_some(());
    eventually("there is room again", allowed).await;
}

#[tokio::test]
async fn an_app_that_must_go_on_goes_on_in_the_emergency_spool_and_is_merged_afterwards() {
    let (disk, emr) = (Disk::take(), Upstream::http1());
    let plan = Plan::new()
        .app("emr", emr.address(), "on_log_failure = \"spool\"")
        .app("office", emr.address(), "")
        .set("audit", "emergency_spool = \"spool\"");
    let ward = ward(&disk, plan, emr, &["emr", "office"]).await;
    disk.fill();
    let office_is_refused = async || {
        let ask = Ask::get("office", "/a").signed_in(&ward.doctor);
        (ward.caller.ask(ask).await.status == 503).then_some(())
    };
    eventually("an app that may not is refused", office_is_refused).await;
    ward.caller.ask(ward.get("/urgent")).await.expect(200);

    disk.make_room();
    let merged = async || ward.hospital.records().opened("/urgent").all().first().cloned();
    let merged = eventually("the merged line", merged).await;
    assert!(!merged["spool"].is_null(), "it says where it came from: {merged}");
}

#[tokio::test]
async fn people_and_devices_are_not_changed_before_it_is_recorded_who_changes_them() {
    let (disk, emr) = (Disk::take(), Upstream::http1());
    let mut hospital = on(&disk, Plan::with_emr(emr.address()).with_console());
    let terminal = Device::add(&hospital, "desk-1", "fixed").await;
    hospital.start();
    let desk = Desk { hospital, terminal, emr };
    Device::add(&desk.hospital, "tablet-1", "tablet").await;
    let (_, _) = desk.person("sato", "nurse").await;
    let (mut chief, _) = desk.person("kanri", "administrator").await;
    chief.open(&desk.hospital.url("console", "/")).await.expect(200);
    let (sato, kanri) = (desk.id_of("sato"), desk.id_of("kanri"));
    let code = desk.hospital.run(&["device", "invite", "tablet-1", "--reason", "x", "--format", "json"]).ok().json();
    let known = || {
        let list = |what: &str| desk.hospital.run(&[what, "list", "--format", "json"]).ok().out;
        (list("user"), list("device"), list("session"))
    };
    let post = async |chief: &mut Person, host: &str, path: &str, fields: &[(&str, &str)]| {
        let place = Url::parse(&desk.hospital.url(host, path)).unwrap();
        chief.post(&place, &desk.hospital.url(host, ""), fields).await
    };

    disk.fill();
    let people = Url::parse(&desk.hospital.url("console", "/people")).unwrap();
    let refused = async || (chief.step_as_program(&people).await.status == 503).then_some(());
    eventually("the log counts as full", refused).await;
    let before = known();
    let code = code["code"].as_str().unwrap().to_owned();
    let person = |deed: &str| format!("/people/{sato}/{deed}");
    for (host, path, fields) in [
        (
            "console",
            "/new-person".to_owned(),
            vec![("login", "abe"), ("name", "阿部"), ("unit", ""), ("role", "nurse")],
        ),
        ("console", person("change"), vec![("login", "sato"), ("name", "佐藤"), ("unit", ""), ("role", "doctor")]),
        ("console", person("disable"), vec![("why", "退職")]),
        ("console", person("invite"), vec![("proofing", "職員証"), ("hours", "24")]),
        ("console", person("temporary"), vec![("reason", "忘れた"), ("hours", "8")]),
        ("console", "/devices/tablet-1/revoke".to_owned(), vec![]),
        ("console", "/devices/tablet-1/lost".to_owned(), vec![("reason", "紛失"), ("hours", "24")]),
        ("login", "/device".to_owned(), vec![("code", code.as_str()), ("form", "pkcs12")]),
    ] {
        assert_eq!(post(&mut chief, host, &path, &fields).await.status, 503, "{path}");
    }
    assert!(before == known(), "nothing of it was done");

    disk.make_room();
    let allowed = async || (chief.step_as_program(&people).await.status == 200).then_some(());
    eventually("there is room again", allowed).await;
    let revoke = "/devices/tablet-1/revoke";
    assert_eq!(post(&mut chief, "console", revoke, &[]).await.status, 303);
    let told = eventually("the record of what was done", async || {
        desk.hospital.records().with("ev", "device-revoked").all().first().cloned()
    })
    .await;
    let asked = desk.hospital.records().opened(revoke).only().clone();
    assert_eq!((asked["sub"].as_str(), told["actor"].as_str()), (Some(kanri.as_str()), Some(kanri.as_str())));
    assert!(asked["seq"].as_u64() < told["seq"].as_u64(), "who does it is written first: {asked} {told}");
}

#[test]
fn a_gateway_whose_log_is_full_does_not_start() {
    let hospital = Hospital::build(Plan::new().set("audit", "free_min = \"16TiB\""));
    let told = hospital.run(&["serve"]);
    assert_eq!(told.code, Some(69), "{} {}", told.out, told.err);
    assert!(told.err.contains("free_min"), "{}", told.err);
}
