//! The disk of the log fills up while the gateway runs: what is not recorded is not done, or goes to the spool where the
//! hospital chose that.

use std::fs::File;

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use tests::{Hospital, Plan, Upstream, eventually};

use crate::ward::Ward;

/// How far the disk is from being full when a test begins, at most.
const MARGIN_BYTES_MAX: u64 = 1 << 30;

/// A ward whose log counts as full when a little more of the disk is used.
async fn ward(change: impl FnOnce(Plan) -> Plan, app: &str) -> (Ward, u64) {
    let here = statvfs(std::env::temp_dir().as_path()).unwrap();
    let free = here.f_bavail * here.f_frsize;
    let margin = (free / 8).min(MARGIN_BYTES_MAX);
    let emr = Upstream::http1();
    let free_min = format!("free_min = \"{}MiB\"", (free - margin) >> 20);
    let plan = change(Plan::new().app("emr", emr.address(), app).set("audit", &free_min));
    (Ward::around(emr, plan).await, margin)
}

fn fill(hospital: &Hospital, bytes: u64) {
    let file = File::create(hospital.folder().join("ballast")).unwrap();
    fallocate(&file, FallocateFlags::empty(), 0, bytes).unwrap();
}

#[tokio::test]
async fn an_access_that_cannot_be_recorded_is_not_made_until_it_can_be() {
    let (ward, margin) = ward(|plan| plan, "").await;
    ward.caller.ask(ward.get("/before")).await.expect(200);
    fill(&ward.hospital, margin * 2);
    let refused = async || (ward.caller.ask(ward.get("/full")).await.status == 503).then_some(());
    eventually("the log counts as full", refused).await;
    let reached = ward.emr.seen().len();
    ward.caller.ask(ward.get("/full")).await.expect_problem(503, "not-recorded");
    ward.caller.ask(ward.ask("POST", "/full")).await.expect_problem(503, "not-recorded");
    assert_eq!(ward.emr.seen().len(), reached);
    let alarm = ward.hospital.log().into_iter().find(|line| line["level"] == "ERROR");
    assert!(alarm.is_some(), "{}", ward.hospital.log_text());

    std::fs::remove_file(ward.hospital.folder().join("ballast")).unwrap();
    let allowed = async || (ward.caller.ask(ward.get("/after")).await.status == 200).then_some(());
    eventually("there is room again", allowed).await;
}

#[tokio::test]
async fn an_app_that_must_go_on_goes_on_in_the_emergency_spool_and_is_merged_afterwards() {
    let change =
        |plan: Plan| plan.set("audit", "emergency_spool = \"spool\"").app("office", Upstream::http1().address(), "");
    let (ward, margin) = ward(change, "on_log_failure = \"spool\"").await;
    let clerk = tests::Session::open(&ward.hospital, "doctor", Some(&ward.terminal), &["office"]).await;
    fill(&ward.hospital, margin * 2);
    let office_is_refused = async || {
        let ask = tests::Ask::get("office", "/a").signed_in(&clerk);
        (ward.caller.ask(ask).await.status == 503).then_some(())
    };
    eventually("an app that may not is refused", office_is_refused).await;
    ward.caller.ask(ward.get("/urgent")).await.expect(200);

    std::fs::remove_file(ward.hospital.folder().join("ballast")).unwrap();
    let merged = async || ward.hospital.records().opened("/urgent").all().first().cloned();
    let merged = eventually("the merged line", merged).await;
    assert!(!merged["spool"].is_null(), "it says where it came from: {merged}");
}

#[test]
fn a_gateway_whose_log_is_full_does_not_start() {
    let hospital = Hospital::build(Plan::new().set("audit", "free_min = \"16TiB\""));
    let told = hospital.run(&["serve"]);
    assert_eq!(told.code, Some(69), "{} {}", told.out, told.err);
    assert!(told.err.contains("free_min"), "{}", told.err);
}
