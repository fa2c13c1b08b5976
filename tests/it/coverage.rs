//! Nothing is forgotten: every page of the route table is reached and refused here, every reason is one that a test
//! of this suite provokes, and every kind of event has a test that looks for it.

use std::collections::BTreeSet;

use policy::Reason;
use tests::{Ask, Session};
use url::Url;
use web::{CONSOLE_TABLE, ConsolePage, HostKind, Page, Row, TABLE};

use crate::console::Desk;
use crate::ward::Ward;

/// Where a test of this suite provokes each reason.
const REASONS: [(Reason, &str); 22] = [
    (Reason::SignInRequired, "admission.rs"),
    (Reason::StepUpRequired, "coverage.rs"),
    (Reason::OtherDevice, "admission.rs"),
    (Reason::RoleNotAllowed, "admission.rs"),
    (Reason::ActionNotAllowed, "admission.rs"),
    (Reason::PathNotAllowed, "coverage.rs"),
    (Reason::ClassNotAllowed, "coverage.rs"),
    (Reason::DeviceRequired, "admission.rs"),
    (Reason::DeviceClassNotAllowed, "coverage.rs"),
    (Reason::ZoneNotAllowed, "coverage.rs"),
    (Reason::OutsideHours, "coverage.rs"),
    (Reason::MethodNotAllowed, "coverage.rs"),
    (Reason::KeyNotAllowed, "passkey.rs"),
    (Reason::PostureNotMet, "posture.rs"),
    (Reason::PostureStale, "posture.rs"),
    (Reason::OutageReduced, "outage.rs"),
    (Reason::GrantRequired, "coverage.rs"),
    (Reason::GrantReach, "grant.rs"),
    (Reason::BreakGlassRequired, "grant.rs"),
    (Reason::CapReached, "caps.rs"),
    (Reason::Forbidden, "admission.rs"),
    (Reason::PolicyError, "coverage.rs"),
];

/// Where a test of this suite provokes each fault.
const FAULTS: [(&str, &str); 26] = [
    ("bad-request", "fault.rs"),
    ("foreign-form", "fault.rs"),
    ("not-found", "fault.rs"),
    ("request-timeout", "deadline.rs"),
    ("body-too-large", "bulk.rs"),
    ("head-too-large", "deadline.rs"),
    ("misdirected", "admission.rs"),
    ("too-many-requests", "deadline.rs"),
    ("app-unreachable", "upstream.rs"),
    ("not-recorded", "full_disk.rs"),
    ("store-unavailable", "fault.rs"),
    ("overloaded", "fault.rs"),
    ("stopping", "fault.rs"),
    ("app-timeout", "upstream.rs"),
    ("sign-in-expired", "fault.rs"),
    ("sign-in-refused", "fault.rs"),
    ("provider-unreachable", "fault.rs"),
    ("not-json", "passkey.rs"),
    ("passkey-refused", "passkey.rs"),
    ("key-not-allowed", "passkey.rs"),
    ("provider-first", "passkey.rs"),
    ("no-key", "passkey.rs"),
    ("code-void", "people.rs"),
    ("method-not-served", "shield.rs"),
    ("content-not-served", "shield.rs"),
    ("download-forbidden", "shield.rs"),
];
/// What only a fault of ours brings about.
const NEVER: [&str; 1] = ["internal"];

fn mentions(file: &str, code: &str) -> bool {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("it");
    std::fs::read_to_string(here.join(file)).unwrap().contains(&format!("\"{code}\""))
}

#[test]
fn every_reason_has_a_test_that_provokes_it() {
    let named: BTreeSet<Reason> = REASONS.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(named, Reason::ALL.into_iter().collect());
    for (reason, file) in REASONS {
        assert!(mentions(file, reason.code()), "{file} does not mention {reason}");
    }
}

#[test]
fn every_fault_has_a_test_that_provokes_it() {
    let named: BTreeSet<&str> = FAULTS.iter().map(|(code, _)| *code).chain(NEVER).collect();
    assert_eq!(named, web::Fault::ALL.iter().map(|fault| fault.code()).collect());
    for (code, file) in FAULTS {
        assert!(mentions(file, code), "{file} does not mention {code}");
    }
}

/// One rule for doctors, with one more condition.
fn only(condition: &str) -> String {
    format!(
        "[roles]\ndoctor = {{ ja = \"医師\", en = \"Doctor\" }}\n[[rule]]\nid = \"only\"\neffect = \"permit\"\n\
         roles = [\"doctor\"]\napps = \"all\"\nactions = [\"read\"]\n{condition}\n"
    )
}

#[tokio::test]
async fn each_condition_of_a_rule_refuses_with_its_own_reason() {
    for (condition, status, code) in [
        ("devices = \"known\"\nassurance = \"aal2\"", 401, "step-up-required"),
        ("devices = \"any\"\npaths = [\"/b/*\"]", 403, "path-not-allowed"),
        ("devices = \"known\"\nclasses = [\"chart\"]", 403, "class-not-allowed"),
        ("devices = \"known\"\ngrant = true", 403, "grant-required"),
        ("devices = [\"tablet\"]", 403, "device-class-not-allowed"),
        ("devices = \"known\"\nmethods = [\"provider-mfa\"]", 403, "method-not-allowed"),
        ("devices = \"known\"\nzones = [\"remote\"]", 403, "zone-not-allowed"),
        ("devices = \"known\"\ndays = [\"mon\"]\nhours = \"00:00-00:01\"", 403, "outside-hours"),
    ] {
        // The zone must exist somewhere; nobody connects there.
        let far = "[[listener]]\nname = \"far\"\naddress = \"127.0.0.1:0\"\nzone = \"remote\"";
        let far = if condition.contains("remote") { far } else { "" };
        let ward = Ward::open_with(|plan| plan.rules(&only(condition)).block(far)).await;
        let answer = ward.caller.ask(ward.get("/a")).await.expect_problem(status, code);
        assert_eq!(answer.json()["rule"], "only");
        assert!(ward.emr.seen().is_empty());
        let record = ward.hospital.records().with("ev", "refused").with("path", "/a").only().clone();
        assert_eq!((&record["why"], &record["rule"]), (&code.into(), &"only".into()));
    }
}

#[tokio::test]
async fn a_policy_that_errors_denies() {
    let cedar =
        "@id(\"overflows\")\nforbid (principal, action, resource) when { context.minute * 9223372036854775807 > 0 };\n";
    let emr = tests::Upstream::http1();
    let mut hospital =
        tests::Hospital::build(tests::Plan::with_emr(emr.address()).block("[policy]\nfiles = [\"extra.cedar\"]"));
    hospital.folder().write("extra.cedar", cedar);
    hospital.start();
    let terminal = tests::Device::add(&hospital, "ward-pc-1", "fixed").await;
    let doctor = Session::open(&hospital, "doctor", Some(&terminal), &["emr"]).await;
    let answer = hospital.caller(&terminal).ask(Ask::get("emr", "/a").signed_in(&doctor)).await;
    answer.expect_problem(403, "policy-error");
    assert!(emr.seen().is_empty());
}

/// Every page of ours, the console's too.
fn rows() -> impl Iterator<Item = &'static Row> {
    TABLE.iter().chain(CONSOLE_TABLE)
}

/// The path of a row, with the provider there is, and else names that nothing has.
fn path_of(row: &Row) -> String {
    let named = |part: &'static str| match part {
        "{provider}" => "staff",
        part if part.starts_with('{') => "nothing",
        part => part,
    };
    row.path.split('/').map(named).collect::<Vec<_>>().join("/")
}

/// What our own pages may load: nothing but their own, and nobody shows them in a frame.
fn is_fenced(answer: &tests::Answer, path: &str) {
    if !answer.header("content-type").starts_with("text/html") {
        return;
    }
    let fence = answer.header("content-security-policy");
    assert!(fence.contains("default-src 'none'") && !fence.contains("unsafe-inline"), "{path}: {fence}");
    assert!(fence.contains("frame-ancestors 'none'"), "{path}: {fence}");
}

#[tokio::test]
async fn every_page_of_ours_answers_on_its_host_and_nowhere_else_and_none_reaches_an_app() {
    let nobody = "127.0.0.1:9".parse().unwrap();
    let ward = Ward::open_with(|plan| plan.with_console().tcp("shell", nobody, "ssh")).await;
    let host = |kind: HostKind| match kind {
        HostKind::Login => "login",
        HostKind::Portal => "portal",
        HostKind::Console => "console",
        HostKind::App => "emr",
        HostKind::Tunnel => "shell",
    };
    for row in rows() {
        let path = path_of(row);
        for kind in HostKind::ALL {
            let answer = ward.caller.ask(Ask::new(row.method, host(kind), &path).as_browser()).await;
            let exists = row.hosts.contains(&kind);
            let is_gone = answer.status == 404;
            // On an app's host, what is not ours is the app's business: a stranger is asked to sign in.
            let is_apps = kind == HostKind::App && !row.path.starts_with(web::RESERVED_PREFIX);
            let shared = rows().any(|other| other.path == row.path && other.hosts.contains(&kind));
            assert!(exists != is_gone || is_apps || shared, "{} {path} on {kind:?}: {}", row.method, answer.status);
            assert!(answer.status < 500, "{} {path} on {kind:?}: {}", row.method, answer.status);
            is_fenced(&answer, &path);
        }
    }
    assert!(ward.emr.seen().is_empty());
}

#[tokio::test]
async fn every_page_of_the_console_is_for_whom_it_is_and_changes_nothing_for_another_sites_form() {
    let desk = Desk::open().await;
    let (mut chief, _) = desk.person("kanri", "administrator").await;
    chief.open(&desk.hospital.url("console", "/")).await.expect(200);
    let (mut nurse, _) = desk.person("sato", "nurse").await;
    nurse.open(&desk.hospital.url("emr", "/patients/1")).await.expect(200);
    let stranger = desk.hospital.stranger();
    for row in CONSOLE_TABLE {
        let path = path_of(row);
        let url = Url::parse(&desk.hospital.url("console", &path)).unwrap();
        let named = format!("{} {path}", row.method);
        let unknown = stranger.ask(Ask::new(row.method, "console", &path).header("accept", "application/json")).await;
        assert!(matches!(unknown.status, 401 | 403), "{named}: a stranger is answered {}", unknown.status);
        if row.method == "POST" {
            chief.post(&url, "https://evil.test", &[]).await.expect(403);
            continue;
        }
        let page = chief.step(&url).await;
        // Nothing has the name that stands in the path; the report of outages wants to know which.
        let wants_one = row.path.contains('{')
            || [Page::Console(ConsolePage::OutageReport), Page::Console(ConsolePage::LogExportFile)]
                .contains(&row.page);
        // Whoever administers decides nothing of maintenance without the role for it.
        let decides = matches!(row.page, Page::Console(page) if page.duty() == web::Duty::Approve);
        let expected = if decides {
            403
        } else if wants_one {
            404
        } else {
            200
        };
        assert_eq!(page.status, expected, "{named}: {}", page.text());
        is_fenced(&page, &path);
        let refused = nurse.step(&url).await;
        assert!(matches!(refused.status, 302 | 403), "{named}: a nurse is answered {}", refused.status);
    }
    assert!(desk.emr.seen().iter().all(|seen| seen.target == "/patients/1"));
}

#[tokio::test]
async fn what_is_reserved_never_reaches_an_app_whoever_asks() {
    let ward = Ward::open().await;
    for path in ["/.sekimori", "/.sekimori/", "/.sekimori/nothing", "/%2Esekimori/x", "/.%73ekimori/x"] {
        let answer = ward.caller.ask(ward.get(path)).await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
    }
    assert!(ward.emr.seen().is_empty());
}

#[tokio::test]
async fn the_portal_is_for_who_has_signed_in_and_shows_what_they_may_open() {
    let emr = tests::Upstream::http1();
    let plan = tests::Plan::with_emr(emr.address()).app("labs", emr.address(), "");
    let ward = Ward::around(emr, plan).await;
    ward.caller.ask(Ask::get("portal", "/").as_browser()).await.expect(302);
    let nurse = Session::open(&ward.hospital, "nurse", Some(&ward.terminal), &["portal"]).await;
    let page = ward.caller.ask(Ask::get("portal", "/").as_browser().signed_in(&nurse)).await.expect(200).text();
    assert!(page.contains("emr.hospital.test") && page.contains("labs.hospital.test"), "{page}");
    let vendor = Session::open(&ward.hospital, "vendor", Some(&ward.terminal), &["portal"]).await;
    let page = ward.caller.ask(Ask::get("portal", "/").as_browser().signed_in(&vendor)).await.expect(200).text();
    assert!(!page.contains("emr.hospital.test"), "{page}");
}
