//! Changing the policy: every version is kept with who, when and why, one command goes back, and where the hospital
//! wants two people, one alone changes nothing.

use std::process::{Command, Stdio};

use serde_json::Value;
use store::{NewRevision, Sqlite, Store as _};
use tests::{Ask, Device, Hospital, Plan, Run, Session, Upstream, eventually, sekimori};
use url::Url;

use crate::console::Desk;
use crate::operations::operations;
use crate::ward::Ward;

/// Nurses may delete now.
fn wider(plan: &Plan) -> Plan {
    plan.clone().block(
        "[[rule]]\nid = \"nurses-tidy\"\nroles = [\"nurse\"]\napps = \"all\"\nactions = [\"write\"]\ndevices = \"known\"",
    )
}

/// Runs `sekimori policy` as somebody.
fn policy(ward: &Ward, person: &str, words: &[&str]) -> Run {
    policy_of(&ward.hospital, person, words)
}

fn policy_of(hospital: &Hospital, person: &str, words: &[&str]) -> Run {
    let output = Command::new(sekimori())
        .arg("policy")
        .args(words)
        .args(["--config", "sekimori.toml"])
        .current_dir(hospital.folder().path())
        .env_remove("SUDO_USER")
        .env("USER", person)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Run { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

fn history(ward: &Ward) -> Vec<Value> {
    policy(ward, "anyone", &["history", "--format", "json"]).ok().lines()
}

fn file(ward: &Ward) -> String {
    std::fs::read_to_string(ward.hospital.folder().join("sekimori.toml")).unwrap()
}

async fn delete_gives(ward: &Ward, status: u16) {
    let nurse = ward.sign_in("nurse").await;
    let ask = || Ask::new("DELETE", "emr", "/notes/1").signed_in(&nurse);
    eventually("the other answer", async || (ward.caller.ask(ask()).await.status == status).then_some(())).await;
}

#[tokio::test]
async fn what_somebody_writes_into_the_file_is_a_version_too() {
    let ward = Ward::open().await;
    assert_eq!(history(&ward).len(), 1, "the first start");
    ward.hospital.folder().write("sekimori.toml", wider(ward.hospital.plan()).text());
    delete_gives(&ward, 200).await;
    let history = eventually("the second version", async || Some(history(&ward)).filter(|all| all.len() == 2)).await;
    assert_eq!((&history[0]["state"], &history[1]["state"]), (&"in-force".into(), &"was-in-force".into()));
    assert_eq!(history[0]["proposed_by"], "file");
    let told = history[0]["difference"][0]["en"].as_str().unwrap();
    assert_eq!(told, "rule `nurses-tidy` was added, which permits: nurse / all / write / known");
    assert!(history[0]["difference"][0]["ja"].as_str().unwrap().contains("加わった"));
}

#[tokio::test]
async fn a_version_is_activated_with_its_reason_and_one_command_goes_back() {
    let ward = Ward::open().await;
    let before = file(&ward);
    ward.hospital.folder().write("proposed.toml", wider(ward.hospital.plan()).text());
    let told = policy(&ward, "sato", &["activate", "proposed.toml", "--why", "夜勤の片付け", "--by", "病棟会議"]).ok();
    assert!(told.out.contains("nurses-tidy") && told.out.contains("version 2 is in force"), "{}", told.out);
    delete_gives(&ward, 200).await;
    let newest = &history(&ward)[0];
    assert_eq!((&newest["proposed_by"], &newest["why"]), (&"cli:sato".into(), &"夜勤の片付け (病棟会議)".into()));
    let activated = ward.hospital.records().with("ev", "config-activated").last().clone();
    assert_eq!((&activated["actor"], &activated["n"]), (&"cli:sato".into(), &2.into()), "{activated}");
    assert_eq!(activated["reason"], "夜勤の片付け (病棟会議)");
    let again = policy(&ward, "sato", &["activate", "proposed.toml", "--why", "もう一度"]);
    assert_eq!(again.code, Some(1), "it is in force: {}", again.err);

    let back = policy(&ward, "ito", &["back", "--lang", "ja"]).ok();
    assert!(back.out.contains("版 1 に戻す") && back.out.contains("なくなった"), "{}", back.out);
    delete_gives(&ward, 403).await;
    assert_eq!(file(&ward), before, "the file is as it was");
    assert_eq!(policy(&ward, "ito", &["back", "2"]).ok().code, Some(0));
    delete_gives(&ward, 200).await;
    let states: Vec<_> = history(&ward).iter().map(|one| one["number"].as_u64().unwrap()).collect();
    assert_eq!(states, [4, 3, 2, 1], "nothing of it is lost");
    let text = policy(&ward, "ito", &["history", "1", "--text"]).ok().out;
    assert!(text.contains("archive-is-kept") && !text.contains("nurses-tidy"), "{text}");
}

#[tokio::test]
async fn what_a_gateway_would_refuse_is_not_even_proposed() {
    let ward = Ward::open().await;
    let broken =
        wider(ward.hospital.plan()).text().replace("actions = [\"write\"]\ndevices", "actions = [\"wriite\"]\ndevices");
    ward.hospital.folder().write("proposed.toml", broken);
    let told = policy(&ward, "sato", &["activate", "proposed.toml", "--why", "x"]);
    assert_eq!(told.code, Some(64), "{}", told.err);
    assert!(told.err.contains("wriite"), "{}", told.err);
    let told = policy(&ward, "sato", &["activate", "sekimori.toml", "--why", " "]);
    assert_eq!(told.code, Some(64), "a change has a reason: {}", told.err);
    assert_eq!(policy(&ward, "sato", &["back"]).code, Some(1), "there is nothing before the first");
    assert_eq!(policy(&ward, "sato", &["back", "7"]).code, Some(1));
    // A file that cannot be read is mended by the same command.
    let good = file(&ward);
    ward.hospital.folder().write("sekimori.toml", "not = a [configuration");
    assert_eq!(policy(&ward, "sato", &["back"]).code, Some(64));
    policy(&ward, "sato", &["back", "--state-dir", "state"]).ok();
    assert_eq!(file(&ward), good);
    assert_eq!(history(&ward).len(), 1);
}

#[tokio::test]
async fn where_two_people_are_wanted_one_alone_changes_nothing() {
    let mut ward = Ward::open_with(|plan| plan.set("policy", "activation = \"two-people\"")).await;
    // Not by editing the file, and not by editing the demand away.
    let plan = wider(ward.hospital.plan());
    let sneaky = plan.clone().set("policy", "activation = \"one-person\"");
    for edited in [&plan, &sneaky] {
        let refused = ward.hospital.records().with("ev", "config-refused").len();
        ward.hospital.folder().write("sekimori.toml", edited.text());
        ward.hospital.signal(rustix::process::Signal::HUP);
        let heard = async || (ward.hospital.records().with("ev", "config-refused").len() > refused).then_some(());
        eventually("the refusal", heard).await;
    }
    delete_gives(&ward, 403).await;
    let alarm = ward.hospital.log().into_iter().rfind(|line| line["level"] == "ERROR").unwrap().to_string();
    assert!(alarm.contains("policy approve"), "it says what to do: {alarm}");

    // Not by a restart: the last good version serves.
    ward.hospital.stop();
    ward.hospital.start();
    delete_gives(&ward, 403).await;

    ward.hospital.folder().write("proposed.toml", plan.text());
    let told = policy(&ward, "sato", &["activate", "proposed.toml", "--why", "夜勤"]).ok();
    assert!(told.out.contains("policy approve 2"), "{}", told.out);
    delete_gives(&ward, 403).await;
    let own = policy(&ward, "sato", &["approve", "2"]);
    assert_eq!(own.code, Some(1), "that is one person: {}", own.err);
    assert_eq!(policy(&ward, "Sato", &["approve", "2"]).code, Some(1), "however it is written");
    for nobody in ["root", "1001"] {
        let refused = policy(&ward, nobody, &["approve", "2"]);
        assert!(refused.code == Some(1) && refused.err.contains("own name"), "{nobody}: {}", refused.err);
    }
    assert_eq!(policy(&ward, "ito", &["approve", "9"]).code, Some(1));
    let approved = policy(&ward, "ito", &["approve", "2"]).ok();
    assert!(approved.out.contains("version 2 is in force"), "{}", approved.out);
    delete_gives(&ward, 200).await;
    assert_eq!(policy(&ward, "kato", &["approve", "2"]).code, Some(1), "once");
    let records = ward.hospital.records();
    assert_eq!(records.with("ev", "policy-proposed").with("actor", "cli:sato").only()["n"], 2);
    assert_eq!(records.with("ev", "policy-approved").only()["actor"], "cli:ito");

    let back = policy(&ward, "sato", &["back"]).ok();
    assert!(back.out.contains("policy approve 3"), "going back takes two as well: {}", back.out);
    delete_gives(&ward, 200).await;
    policy(&ward, "ito", &["approve", "3"]).ok();
    delete_gives(&ward, 403).await;
}

#[tokio::test]
async fn whoever_approves_is_told_the_step_from_what_is_in_force_now() {
    let ward = Ward::open_with(|plan| plan.set("policy", "activation = \"two-people\"")).await;
    let sneaky = wider(ward.hospital.plan()).set("policy", "activation = \"one-person\"");
    let other = ward.hospital.plan().clone().set("facility", "name = \"別の病院\"");
    for (plan, why) in [(&sneaky, "夜勤"), (&other, "改名")] {
        ward.hospital.folder().write("proposed.toml", plan.text());
        policy(&ward, "sato", &["activate", "proposed.toml", "--why", why]).ok();
    }
    let told = policy(&ward, "ito", &["approve", "3"]).ok().out;
    assert!(told.contains("other settings changed: `[facility]`") && !told.contains("came into force since"), "{told}");
    let told = policy(&ward, "ito", &["approve", "2"]).ok().out;
    for words in ["version 3 came into force since", "nurses-tidy", "`activation` changed", "`[facility]`"] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[tokio::test]
async fn the_report_of_a_replay_is_kept_with_its_version_and_with_no_other() {
    let ward = Ward::open().await;
    let nurse = ward.sign_in("nurse").await;
    ward.caller.ask(Ask::new("DELETE", "emr", "/notes/1").signed_in(&nurse)).await.expect(403);
    ward.caller.ask(Ask::new("GET", "emr", "/notes/1").signed_in(&nurse)).await.expect(200);
    ward.hospital.folder().write("proposed.toml", wider(ward.hospital.plan()).text());
    let report = &["replay", "proposed.toml", "--format", "json", "-o", "replay.json"];
    policy(&ward, "sato", report).ok();
    let kept = &["activate", "proposed.toml", "--why", "片付け", "--replay-report", "replay.json"];
    let told = policy(&ward, "sato", kept).ok().out;
    assert!(told.contains("1 of ") && told.contains("would be answered otherwise"), "{told}");
    let version = policy(&ward, "ito", &["history", "2", "--lang", "ja"]).ok().out;
    assert!(version.contains("結果が変わるもの: 1") && version.contains("nurses-tidy"), "{version}");
    let read = policy(&ward, "ito", &["history", "2", "--format", "json"]).ok().lines();
    assert_eq!(read[0]["replay"]["changed"], 1, "{read:?}");
    assert!(policy(&ward, "ito", &["history", "1", "--format", "json"]).ok().lines()[0]["replay"].is_null());

    // What was tried is the step from 1 to 2; this is another.
    policy(&ward, "sato", &["back"]).ok();
    ward.hospital.folder().write("proposed.toml", wider(ward.hospital.plan()).text() + "\n");
    for (file, code) in [("replay.json", 1), ("proposed.toml", 64), ("nothing.json", 64)] {
        let refused = policy(&ward, "sato", &["activate", "proposed.toml", "--why", "x", "--replay-report", file]);
        assert_eq!(refused.code, Some(code), "{file}: {}", refused.err);
    }
    assert_eq!(history(&ward).len(), 3);
    let told = policy(&ward, "sato", &["activate", "proposed.toml", "--why", "x", "--replay", "1d"]).ok().out;
    assert!(told.contains("would be answered otherwise"), "{told}");
    assert_eq!(policy(&ward, "ito", &["history", "4", "--format", "json"]).ok().lines()[0]["replay"]["changed"], 1);
}

#[tokio::test]
async fn what_another_version_overtook_is_told_as_such() {
    let ward = Ward::open().await;
    let states =
        || -> Vec<String> { history(&ward).iter().map(|one| one["state"].as_str().unwrap().to_owned()).collect() };
    let two = ward.hospital.plan().clone().set("policy", "activation = \"two-people\"");
    ward.hospital.folder().write("proposed.toml", two.text());
    policy(&ward, "sato", &["activate", "proposed.toml", "--why", "二人で"]).ok();
    for (name, why) in [("\"一\"", "一"), ("\"二\"", "二")] {
        ward.hospital.folder().write("proposed.toml", two.clone().set("facility", &format!("name = {name}")).text());
        policy(&ward, "sato", &["activate", "proposed.toml", "--why", why]).ok();
    }
    assert_eq!(states(), ["waits", "waits", "in-force", "was-in-force"]);
    policy(&ward, "ito", &["approve", "4"]).ok();
    assert_eq!(states(), ["in-force", "waits-behind", "was-in-force", "was-in-force"]);
    let told = policy(&ward, "ito", &["history", "--lang", "ja"]).ok().out;
    assert!(told.contains("別の版が先に有効"), "{told}");
    assert_eq!(policy(&ward, "ito", &["put", "3"]).code, Some(1), "nobody approved it");
}

#[tokio::test]
async fn an_administrator_approves_in_the_console_what_somebody_else_proposed() {
    let emr = Upstream::http1();
    let plan = Plan::with_emr(emr.address()).with_console().set("policy", "activation = \"two-people\"");
    let mut hospital = Hospital::build(plan);
    let terminal = Device::add(&hospital, "desk-1", "fixed").await;
    hospital.start();
    let desk = Desk { hospital, terminal, emr };
    let (mut chief, _) = desk.person("kanri", "administrator").await;
    desk.person("sato", "nurse").await;
    desk.hospital.folder().write("proposed.toml", wider(desk.hospital.plan()).text());
    let console = |path: &str| Url::parse(&desk.hospital.url("console", path)).unwrap();
    let origin = console("/").origin().ascii_serialization();
    let store = Sqlite::open(desk.hospital.folder().join("state/store.sqlite")).unwrap();
    policy_of(&desk.hospital, "sato", &["activate", "proposed.toml", "--why", "夜勤"]).ok();
    let proposed = store.revision(2).await.unwrap().unwrap().proposal;
    // Where the tests run nobody may be logged in: then a proposal is as the command keeps it after a login.
    let cases =
        [("kanri", "kanri", 422), ("nobody-known", "nobody-known", 422), ("sato", "kanri", 422), ("sato", "sato", 303)];
    for (number, (name, account, status)) in std::iter::once((2, ("sato", "", 422))).chain((3..).zip(cases)) {
        if number > 2 {
            let proposal = NewRevision { proposed_by: format!("cli:{name}#1001={account}"), ..proposed.clone() };
            assert_eq!(store.propose_revision(proposal, None).await.unwrap(), number);
        }
        let page = chief.open(console(&format!("/versions/{number}")).as_str()).await.expect(200).text();
        assert!(page.contains("nurses-tidy") && page.contains("夜勤"), "{page}");
        let approval = console(&format!("/versions/{number}/approve"));
        chief.open(approval.as_str()).await.expect(200);
        chief.post(&approval, &origin, &[]).await.expect(status);
    }
    // It is approved and not in force: the gateway writes no configuration.
    let told = policy_of(&desk.hospital, "sato", &["put", "2"]);
    assert_eq!(told.code, Some(1), "{}", told.err);
    let told = policy_of(&desk.hospital, "sato", &["put", "6"]).ok().out;
    assert!(told.contains("version 6 is in force"), "{told}");
    let approved = desk.hospital.records().with("ev", "policy-approved").only().clone();
    assert_eq!(approved["actor"].as_str().unwrap(), desk.id_of("kanri"));
    assert_eq!(policy_of(&desk.hospital, "sato", &["put", "6"]).code, Some(1), "once");
}

#[tokio::test]
async fn a_proposed_version_cannot_name_a_history_of_its_own() {
    let ward = Ward::open_with(|plan| plan.set("policy", "activation = \"two-people\"")).await;
    let elsewhere = wider(ward.hospital.plan()).set("gateway", "state_dir = \"elsewhere\"");
    ward.hospital.folder().write("proposed.toml", elsewhere.text());
    let before = file(&ward);
    let told = policy(&ward, "sato", &["activate", "proposed.toml", "--why", "x"]);
    assert!(told.code == Some(64) && told.err.contains("state_dir"), "{}", told.err);
    assert_eq!(file(&ward), before);
    assert!(!ward.hospital.folder().join("elsewhere").exists());
}

/// Five doctors: denials of fewer people are nobody's alarm.
async fn doctors(ward: &Ward) -> Vec<Session> {
    let mut doctors = Vec::new();
    for number in 0..5 {
        let login = format!("doctor-{number}");
        let hosts = &["emr"];
        doctors.push(Session::open_with(&ward.hospital, &login, &["doctor"], Some(&ward.terminal), hosts).await);
    }
    doctors
}

/// All of them ask for the same.
async fn all_ask(ward: &Ward, doctors: &[Session], status: Option<u16>) {
    for _ in 0..3 {
        for doctor in doctors {
            let answer = ward.caller.ask(Ask::new("GET", "emr", "/a").signed_in(doctor)).await;
            if let Some(status) = status {
                answer.expect(status);
            }
        }
    }
}

const CLOSED: &str =
    "[[rule]]\nid = \"closed\"\neffect = \"forbid\"\nroles = [\"doctor\"]\napps = \"all\"\nactions = \"all\"";

async fn gives(ward: &Ward, status: u16) {
    let ask = async || (ward.caller.ask(ward.get("/a")).await.status == status).then_some(());
    eventually("the other answer", ask).await;
}

#[tokio::test]
async fn a_return_that_fails_is_an_alarm_and_is_tried_again() {
    let ward = Ward::open_with(|plan| plan.set("policy", "return_when_denials_rise = 3.0")).await;
    let doctors = doctors(&ward).await;
    all_ask(&ward, &doctors, Some(200)).await;
    let folder = ward.hospital.folder();
    std::fs::copy(folder.join("wild.pem"), folder.join("newer.pem")).unwrap();
    assert!(file(&ward).contains("\"wild.pem\""));
    folder.write("sekimori.toml", file(&ward).replace("\"wild.pem\"", "\"newer.pem\"") + "\n" + CLOSED + "\n");
    gives(&ward, 403).await;
    // The version before names what is gone.
    std::fs::rename(folder.join("wild.pem"), folder.join("away.pem")).unwrap();
    all_ask(&ward, &doctors, Some(403)).await;
    let alarm = async || {
        let metrics = operations(&ward.hospital, "/metrics").await.expect(200).text();
        metrics.contains("sekimori_config_alarm 1").then_some(())
    };
    eventually("the alarm", alarm).await;
    ward.caller.ask(ward.get("/a")).await.expect(403);
    std::fs::rename(folder.join("away.pem"), folder.join("wild.pem")).unwrap();
    gives(&ward, 200).await;
}

#[tokio::test]
async fn where_denials_jump_the_gateway_goes_back_by_itself_and_stays_there() {
    let mut ward = Ward::open_with(|plan| plan.set("policy", "return_when_denials_rise = 3.0")).await;
    let doctors = doctors(&ward).await;
    for _ in 0..20 {
        ward.caller.ask(ward.get("/a")).await.expect(200);
    }
    all_ask(&ward, &doctors, Some(200)).await;
    ward.hospital.folder().write("sekimori.toml", ward.hospital.plan().clone().block(CLOSED).text());
    gives(&ward, 403).await;
    // One person alone undoes nothing, however often they ask.
    for _ in 0..40 {
        ward.caller.ask(ward.get("/a")).await.expect(403);
    }
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    ward.caller.ask(ward.get("/a")).await.expect(403);
    all_ask(&ward, &doctors, None).await;
    gives(&ward, 200).await;
    let returned = async || ward.hospital.records().with("ev", "policy-returned").all().first().cloned();
    let returned = eventually("the record", returned).await;
    assert!(returned["reason"].as_str().unwrap().starts_with("denials rose from "), "{returned}");
    assert_eq!(history(&ward)[0]["proposed_by"], "gateway:denials");

    // The file still holds the other version: neither a signal nor a restart brings it back.
    ward.hospital.signal(rustix::process::Signal::HUP);
    let refused = async || ward.hospital.records().with("ev", "config-refused").all().first().cloned();
    eventually("the refusal", refused).await;
    ward.hospital.stop();
    ward.hospital.start();
    ward.caller.ask(ward.get("/a")).await.expect(200);

    // Whoever insists has it.
    policy(&ward, "sato", &["activate", "sekimori.toml", "--why", "閉鎖"]).ok();
    gives(&ward, 403).await;
    all_ask(&ward, &doctors, Some(403)).await;
}
