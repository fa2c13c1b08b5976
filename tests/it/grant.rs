//! Exceptions: what a vendor's window lets in, from its first moment to its last, and what ends it; and that every step is
//! in the record before it takes effect.

use std::process::{Command, Stdio};
use std::time::Duration;

use policy::{AppId, GrantId, RoleId, Timestamp, UserId};
use store::{
    AskTerms, GlassTerms, GlassVerdict, GrantConfirmation, GrantReach, GrantReport, MaintenanceLine, MaintenanceWrite,
    NewGlass, NewMaintenance, PersonChange, Ruler, Sqlite, Store,
};
use tests::{Answer, Ask, Plan, Run, Session, Upstream, eventually, now, sekimori, within};

use crate::revocation::end_of;
use crate::stream::{close_code, open_socket};
use crate::ward::Ward;

const ROLES: &str = "[roles]\ndoctor = \"医師\"\nvendor = \"業者\"\nchief = \"責任者\"\nadministrator = \"管理者\"\n\
                     help-desk = \"窓口\"\nauditor = \"監査\"\n";
const RULES: &str = "[[rule]]\nid = \"vendors\"\nroles = [\"vendor\"]\napps = \"all\"\n\
                     actions = [\"read\", \"write\", \"connect\"]\ngrant = true\n\n\
                     [[rule]]\nid = \"doctors\"\nroles = [\"doctor\"]\napps = \"all\"\nactions = [\"read\"]\nbreak_glass = true\n";

async fn ward() -> Ward {
    let emr = Upstream::http1();
    let plan = Plan::new()
        .app("emr", emr.address(), "")
        .with_console()
        .set("maintenance", "vendor_roles = [\"vendor\"]")
        .set("maintenance", "approvers = [\"chief\"]")
        .set("break_glass", "reviewers = [\"chief\"]")
        .rules(&format!("{ROLES}\n{RULES}"));
    Ward::around(emr, plan).await
}

/// Runs `sekimori grant` as somebody.
fn grant(ward: &Ward, person: &str, words: &[&str]) -> Run {
    let output = Command::new(sekimori())
        .arg("grant")
        .args(words)
        .args(["--config", "sekimori.toml"])
        .current_dir(ward.hospital.folder().path())
        .env_remove("SUDO_USER")
        .env("USER", person)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Run { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Asks for a window from now on for the vendor.
fn asked(ward: &Ward, length: &str, more: &[&str]) -> String {
    let words = ["ask", "vendor", "--app", "emr", "--length", length, "--purpose", "月次点検"];
    grant(ward, "tanaka", &[&words[..], more].concat()).ok().out.trim().to_owned()
}

async fn look(ward: &Ward, session: &Session, path: &str) -> Answer {
    ward.caller.ask(Ask::get("emr", path).signed_in(session)).await
}

async fn until_let_in(ward: &Ward, session: &Session) {
    eventually("the window is in force", async || (look(ward, session, "/a").await.status == 200).then_some(())).await;
}

fn store(ward: &Ward) -> Sqlite {
    Sqlite::open(ward.hospital.folder().join("state/store.sqlite")).unwrap()
}

#[tokio::test]
async fn a_window_lets_in_what_it_reaches_and_ends_what_is_open_when_it_is_ended() {
    let ward = ward().await;
    let vendor = ward.sign_in("vendor").await;
    look(&ward, &vendor, "/a").await.expect_problem(403, "grant-required");
    let id = asked(&ward, "1h", &["--path", "/a", "--path", "/socket/*"]);
    look(&ward, &vendor, "/a").await.expect_problem(403, "grant-required");
    let own = grant(&ward, "tanaka", &["approve", &id]);
    assert_eq!(own.code, Some(1), "never one's own: {}", own.err);
    grant(&ward, "ito", &["approve", &id, "--words", "可"]).ok();
    until_let_in(&ward, &vendor).await;
    look(&ward, &vendor, "/b").await.expect_problem(403, "grant-reach");
    look(&ward, &ward.doctor, "/a").await.expect_problem(403, "break-glass-required");

    let socket = open_socket(&ward.caller, Ask::get("emr", "/socket/ward").signed_in(&vendor)).await;
    grant(&ward, "ito", &["end", &id, "--words", "済"]).ok();
    assert_eq!(end_of(socket).await, Some(1008));
    look(&ward, &vendor, "/a").await.expect_problem(403, "grant-required");

    let closing = ward.closing("/socket/ward").await;
    assert_eq!((&closing["end"], &closing["why"]), (&"revoked".into(), &"grant-required".into()), "{closing}");
    let records = ward.hospital.records();
    assert_eq!(records.opened("/socket/ward").only()["vs"], id.as_str());
    let approved = records.with("ev", "grant-approved").only().clone();
    assert_eq!((&approved["actor"], &approved["vs"]), (&"cli:ito".into(), &id.as_str().into()), "{approved}");
    assert_eq!((&approved["login"], &approved["reason"]), (&"vendor".into(), &"可".into()), "{approved}");
    let number = |line: &serde_json::Value| line["seq"].as_u64().unwrap();
    let first = records.opened("/a").all().first().map(number).unwrap();
    assert!(number(&approved) < first, "what lets in is recorded before it does");
}

#[tokio::test]
async fn a_window_ends_by_itself_to_the_second_with_all_that_is_open() {
    let ward = ward().await;
    let vendor = ward.sign_in("vendor").await;
    let id = asked(&ward, "8s", &[]);
    grant(&ward, "ito", &["approve", &id]).ok();
    until_let_in(&ward, &vendor).await;
    let ask = Ask::get("emr", "/socket/ward").signed_in(&vendor);
    let ended = close_code(open_socket(&ward.caller, ask).await, Duration::from_secs(20));
    assert_eq!(ended.await, Some(1008));
    look(&ward, &vendor, "/a").await.expect_problem(403, "grant-required");
    let kept = grant(&ward, "ito", &["show", &id, "--format", "json"]).ok().lines().remove(0);
    assert_eq!(kept["state"], "ended", "{kept}");
    let moment = |value: &serde_json::Value| Timestamp::parse_rfc3339(value.as_str().unwrap()).unwrap();
    let (over, closed) = (moment(&kept["end"]), moment(&ward.closing("/socket/ward").await["ts"]));
    assert!(closed >= over && closed.since(over) < Duration::from_secs(1), "{closed} after {over}");
}

#[tokio::test]
async fn a_window_stops_when_its_approver_loses_the_role() {
    let ward = ward().await;
    let vendor = ward.sign_in("vendor").await;
    ward.sign_in("chief").await;
    let id = asked(&ward, "1h", &[]);
    let store = store(&ward);
    let chief = person(&store, "chief").await;
    let by = Ruler { actor: chief.to_string(), roles: vec![RoleId::parse("chief").unwrap()] };
    let name = GrantId::parse(&id).unwrap();
    store.approve_grant(&name, by, String::new(), now()).await.unwrap().unwrap();
    until_let_in(&ward, &vendor).await;
    let change = PersonChange { roles: Some(vec![RoleId::parse("doctor").unwrap()]), ..PersonChange::default() };
    assert!(store.change_person(&chief, change, now(), "cli:root".to_owned()).await.unwrap());
    let is_out = async || (look(&ward, &vendor, "/a").await.status == 403).then_some(());
    within(Duration::from_secs(1), "the window stops", eventually("the window stops", is_out)).await;
}

async fn person(store: &Sqlite, login: &str) -> UserId {
    let people = store.people(store::PeopleFilter::default(), None, 100).await.unwrap();
    people.into_iter().find(|person| person.login == login).unwrap().id
}

#[tokio::test]
async fn every_step_of_an_exception_is_recorded() {
    let ward = ward().await;
    for login in ["vendor", "chief"] {
        ward.sign_in(login).await;
    }
    let store = store(&ward);
    let (vendor, doctor) = (person(&store, "vendor").await, person(&store, "doctor").await);
    let chief = || Ruler { actor: "cli:ito".to_owned(), roles: Vec::new() };
    let (at, app) = (now(), AppId::parse("emr").unwrap());
    let terms = || AskTerms {
        vendor_roles: vec![RoleId::parse("vendor").unwrap()],
        approvals_needed: 1,
        length_max: Duration::from_secs(3_600),
        ahead_max: Duration::from_secs(86_400),
        report_within: Duration::from_secs(3_600),
        blocks_when_overdue: true,
    };
    let (mut ids, words) = (Vec::new(), || "点検".to_owned());
    for hour in 0..3 {
        let id = GrantId::parse(&format!("g-{hour}")).unwrap();
        let begin = at.after(Duration::from_secs(hour * 3_600));
        let new = NewMaintenance {
            id: id.clone(),
            person: vendor.clone(),
            app: app.clone(),
            begin,
            end: begin.after(Duration::from_secs(60)),
            asked_at: at,
            asked_by: vendor.to_string(),
            purpose: words(),
            ticket: String::new(),
            plan: String::new(),
            file: None,
            reach: GrantReach::default(),
            is_urgent: false,
        };
        store.ask_grant(new, terms()).await.unwrap().unwrap();
        ids.push(id);
    }
    store.refuse_grant(&ids[1], chief(), words(), at).await.unwrap().unwrap();
    store.withdraw_grant(&ids[2], vendor.to_string(), words(), at).await.unwrap().unwrap();
    let later = |seconds| at.after(Duration::from_secs(seconds));
    store.admit_grant(&ids[0], chief(), words(), later(60), at).await.unwrap().unwrap();
    store.approve_grant(&ids[0], chief(), words(), later(1)).await.unwrap().unwrap();
    store.end_grant(&ids[0], chief(), words(), later(2)).await.unwrap().unwrap();
    let report = GrantReport { draft: words(), text: words(), at: later(3), by: vendor.to_string() };
    store.report_grant(&ids[0], report).await.unwrap().unwrap();
    store
        .confirm_grant(&ids[0], chief(), GrantConfirmation { words: words(), ..GrantConfirmation::default() }, later(4))
        .await
        .unwrap()
        .unwrap();
    let glass = GrantId::parse("glass-1").unwrap();
    let new = NewGlass {
        id: glass.clone(),
        person: doctor,
        app,
        at,
        end: later(60),
        reason: "emergency".to_owned(),
        words: words(),
        patient: Some("0000123".to_owned()),
        ward: None,
        review_due_at: later(60),
    };
    let terms = GlassTerms { vendor_roles: Vec::new(), blocks_unreviewed: false };
    store.break_glass(new, terms).await.unwrap().unwrap();
    store.review_glass(&glass, chief(), GlassVerdict::Ask, words(), at).await.unwrap().unwrap();
    let line = MaintenanceLine {
        number: 0,
        vendor: words(),
        contract: String::new(),
        target: words(),
        app: None,
        path: "sekimori".to_owned(),
        owner: String::new(),
        people: Vec::new(),
        note: String::new(),
        changed_at: at,
    };
    store.write_maintenance(vec![MaintenanceWrite::Add(line)], at, "cli:ito".to_owned()).await.unwrap();
    eventually("the last of them", async || {
        (!ward.hospital.records().with("ev", "inventory-changed").all().is_empty()).then_some(())
    })
    .await;
    let records = ward.hospital.records();
    for (event, who, code) in [
        ("grant-requested", "vendor", None),
        ("grant-refused", "vendor", None),
        ("grant-withdrawn", "vendor", None),
        ("grant-admitted", "vendor", None),
        ("grant-approved", "vendor", None),
        ("grant-ended", "vendor", None),
        ("grant-reported", "vendor", None),
        ("grant-confirmed", "vendor", None),
        ("glass-broken", "doctor", Some("emergency")),
        ("glass-reviewed", "doctor", Some("ask")),
    ] {
        let line = records.with("ev", event).all().last().cloned().unwrap_or_else(|| panic!("{event} is not recorded"));
        assert_eq!((line["login"].as_str(), line["app"].as_str()), (Some(who), Some("emr")), "{line}");
        assert_eq!((line["reason"].as_str(), line["why"].as_str()), (Some("点検"), code), "{line}");
        assert!(line["vs"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn the_inventory_comes_in_as_a_table_whole_or_not_at_all() {
    let ward = ward().await;
    ward.sign_in("vendor").await;
    let folder = ward.hospital.folder();
    let import = |table: &str, more: &[&str]| {
        folder.write("ledger.csv", table);
        grant(&ward, "tanaka", &[&["inventory", "import", "ledger.csv"][..], more].concat())
    };
    let refused = import("vendor,target,app,people\nA,x,emr,vendor\nB,,,\nC,y,gone,nobody\n", &[]);
    assert_eq!(refused.code, Some(64), "{}", refused.err);
    for place in ["ledger.csv:3:2: line-empty", "ledger.csv:4:3: app", "nothing was imported"] {
        assert!(refused.err.contains(place), "{place}: {}", refused.err);
    }
    let table = "ベンダー,対象,アプリ,作業者\n北星,CT,emr,vendor\n東都,電話回線,,\n";
    let would = import(table, &["--dry-run"]).ok().out;
    assert!(would.contains("2 would be added") && would.contains("北星, CT"), "{would}");
    assert!(ward.hospital.records().with("ev", "inventory-changed").is_empty());
    assert!(import(table, &[]).ok().out.starts_with("2 added, 0 changed"));
    let out = grant(&ward, "tanaka", &["inventory", "export"]).ok().out;
    assert!(out.contains("北星,,CT,emr,,,vendor,,"), "{out}");
    assert!(import(&out, &[]).ok().out.starts_with("0 added, 0 changed, 2 as they were"), "what goes out comes in");
    let told = async || (ward.hospital.records().with("ev", "inventory-changed").len() == 2).then_some(());
    eventually("each line is on record", told).await;
}
