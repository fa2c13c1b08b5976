//! Notices by mail and webhook: who is to be told is told, in their language and signed, also after they were away; nobody
//! else is, and no patient stands in it.

use std::time::Duration;

use policy::{AppId, GrantId};
use serde_json::Value;
use store::{GlassTerms, NewGlass, PeopleFilter, Sqlite, Store};
use tests::{Device, Hospital, Inbox, Plan, Upstream, eventually, eventually_in, now};

use crate::operations::operations;

/// Longer than the first waits between two attempts on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn plan(inbox: &Inbox) -> Plan {
    let desk = "[[notice]]\nid = \"desk\"\nevents = [\"device-revoked\", \"person-disabled\"]\n\
                mail_to = [\"jimu@hospital.test\", \"toban@hospital.test\"]\n";
    let chat = format!("[[notice]]\nid = \"chat\"\nevents = \"all\"\nlanguage = \"en\"\n{}", inbox.hook_lines());
    Plan::with_emr(Upstream::http1().address()).with_directory().block(&inbox.mail_table()).block(desk).block(&chat)
}

async fn hospital(inbox: &Inbox) -> Hospital {
    let hospital = Hospital::open(plan(inbox));
    eventually("both are followed", async || {
        let told = hospital.run(&["notice", "list", "--format", "json"]).ok().lines();
        let is_there = |one: &Value| one["results"].is_array();
        let metrics = operations(&hospital, "/metrics").await.expect(200).text();
        (told.len() == 2
            && told.iter().all(is_there)
            && metrics.contains("sekimori_notices_waiting{notice=\"chat\"} 0"))
        .then_some(())
    })
    .await;
    hospital
}

fn standing(hospital: &Hospital, id: &str) -> Value {
    let told = hospital.run(&["notice", "list", "--format", "json"]).ok().lines();
    told.into_iter().find(|one| one["notice"] == id).unwrap()
}

#[tokio::test]
async fn people_are_told_by_mail_and_programs_by_signed_requests_each_of_what_they_asked_for() {
    let inbox = Inbox::open();
    let hospital = hospital(&inbox).await;
    let device = Device::add(&hospital, "tablet-7", "tablet").await;
    assert!(inbox.mails().is_empty(), "an added device is nothing that anybody is told of");
    hospital.run(&["device", "revoke", "tablet-7"]).ok();
    let mail = eventually("the mail", async || inbox.mails().into_iter().next()).await;
    assert_eq!(mail.to, ["jimu@hospital.test", "toban@hospital.test"]);
    assert!(mail.subject.starts_with("【関守】端末を失効しました: tablet-7 - "), "{}", mail.subject);
    assert!(mail.text.contains("端末: tablet-7\r\n") && mail.text.contains("患者番号も"), "{}", mail.text);
    assert!(mail.head.contains("From: =?utf-8?B?") && mail.head.contains("<sekimori@hospital.test>"), "{}", mail.head);
    let call = eventually("the request", async || inbox.calls().into_iter().next()).await;
    assert!(call.is_signed(), "{:?}", call.headers);
    let told = call.json();
    assert_eq!((&told["type"], &told["data"]["device"]), (&"device-revoked".into(), &device.id.as_str().into()));
    assert!(
        told["data"]["by"]["machine"].is_string() && told["title"].as_str().unwrap().contains("A device was revoked")
    );
    let _ = hospital.add_person("sato", "佐藤 恵子", "nurse");
    hospital.run(&["user", "disable", "sato", "--reason", "患者 4711 の件"]).ok();
    let mail = eventually("the second mail", async || inbox.mails().into_iter().nth(1)).await;
    assert!(mail.subject.contains("佐藤 恵子 (sato)"), "{}", mail.subject);
    let call = eventually("the second request", async || inbox.calls().into_iter().nth(1)).await;
    for text in [&mail.text, &mail.subject, &mail.head, &String::from_utf8(call.body.clone()).unwrap()] {
        assert!(!text.contains("4711"), "what somebody wrote stays in the house: {text}");
    }
    let shown = standing(&hospital, "desk");
    assert_eq!((&shown["sent"], &shown["problem"]), (&2.into(), &Value::Null), "{shown}");
    assert_eq!(
        (&shown["results"][0]["event"], &shown["results"][0]["result"]),
        (&"person-disabled".into(), &"sent".into())
    );
    let metrics = operations(&hospital, "/metrics").await.expect(200).text();
    assert!(metrics.contains("sekimori_notices_sent_total{notice=\"desk\"} 2"), "{metrics}");
    assert_eq!((inbox.mails().len(), inbox.calls().len()), (2, 2), "each once");
}

#[tokio::test]
async fn who_was_away_is_told_later_and_what_waits_is_seen() {
    let inbox = Inbox::open();
    let mut hospital = hospital(&inbox).await;
    inbox.answer_mails(451);
    inbox.answer_calls(503);
    Device::add(&hospital, "tablet-7", "tablet").await;
    hospital.run(&["device", "revoke", "tablet-7"]).ok();
    let waiting = eventually("it is seen that both wait", async || {
        let (desk, chat) = (standing(&hospital, "desk"), standing(&hospital, "chat"));
        (desk["problem"].is_string() && chat["problem"].is_string()).then_some([desk, chat])
    })
    .await;
    assert!(waiting[0]["problem"].as_str().unwrap().contains("451 not now"), "{}", waiting[0]);
    assert!(waiting[1]["problem"].as_str().unwrap().contains("503"), "{}", waiting[1]);
    assert!(!waiting[1].to_string().contains("of-ours"), "an address may open what it leads to: {}", waiting[1]);
    // Killed while they wait, the gateway goes on where it stood.
    hospital.kill();
    hospital.start();
    inbox.answer_mails(0);
    inbox.answer_calls(0);
    eventually_in(PATIENCE, "both are told", async || {
        let all_well = ["desk", "chat"].iter().all(|id| {
            let shown = standing(&hospital, id);
            shown["sent"] == 1 && shown["problem"].is_null() && shown["failures"].as_u64() >= Some(1)
        });
        all_well.then_some(())
    })
    .await;
    assert_eq!(inbox.mails().len(), 1);
    let ids: Vec<_> = inbox.calls().iter().map(|call| call.headers["webhook-id"].clone()).collect();
    assert!(ids.len() >= 2 && ids.iter().all(|id| *id == ids[0]), "sent again, it is the same: {ids:?}");
}

#[tokio::test]
async fn a_trial_says_at_once_what_the_receiver_answers() {
    let inbox = Inbox::open();
    let hospital = hospital(&inbox).await;
    hospital.run(&["notice", "test", "desk"]).ok();
    hospital.run(&["notice", "test", "chat"]).ok();
    assert!(inbox.mails()[0].subject.contains("通知の試験です"));
    assert_eq!(inbox.calls()[0].json()["type"], "trial");
    inbox.answer_calls(403);
    let run = hospital.run(&["notice", "test", "chat"]);
    assert!(run.code == Some(69) && run.err.contains("403"), "{run:?}");
    assert_eq!(hospital.run(&["notice", "test", "nobody"]).code, Some(1));
    let right = std::fs::read_to_string(hospital.folder().join("sekimori.toml")).unwrap();
    let wrong = right.replace("server_name = \"inbox.test\"", "server_name = \"another.test\"");
    let file = hospital.folder().write("wrong.toml", wrong);
    let run = tests::run(hospital.folder().path(), &["notice", "test", "desk", "--config", file.to_str().unwrap()]);
    assert!(run.code == Some(69) && run.err.contains("TLS handshake"), "{run:?}");
    assert_eq!(inbox.mails().len(), 1, "nothing is said to a server that is another");
}

#[tokio::test]
async fn what_becomes_overdue_is_told_once_also_after_a_restart() {
    let inbox = Inbox::open();
    let late = "[[notice]]\nid = \"late\"\nevents = [\"grant-overdue\"]\nmail_to = [\"anzen@hospital.test\"]\n";
    let plan = Plan::with_emr(Upstream::http1().address()).with_directory().block(&inbox.mail_table()).block(late);
    let mut hospital = Hospital::open(plan);
    eventually("it is followed", async || {
        let told = hospital.run(&["notice", "list", "--format", "json"]).ok().lines();
        told.iter().any(|one| one["results"].is_array()).then_some(())
    })
    .await;
    let doctor = hospital.add_person("mori", "森 一郎", "doctor");
    assert!(!doctor.is_empty());
    let file = hospital.folder().join("state/store.sqlite");
    let break_glass = async |name: &str| {
        let store = Sqlite::open(&file).unwrap();
        let people = store.people(PeopleFilter::default(), None, 10).await.unwrap();
        let at = now();
        let glass = NewGlass {
            id: GrantId::parse(name).unwrap(),
            person: people.into_iter().find(|person| person.login == "mori").unwrap().id,
            app: AppId::parse("emr").unwrap(),
            at,
            end: at.after(Duration::from_secs(1)),
            reason: "emergency".to_owned(),
            words: "担当医不在".to_owned(),
            patient: Some("4711".to_owned()),
            ward: None,
            review_due_at: at.after(Duration::from_secs(1)),
        };
        let terms = GlassTerms { vendor_roles: Vec::new(), blocks_unreviewed: false };
        store.break_glass(glass, terms).await.unwrap().unwrap();
    };
    break_glass("glass-1").await;
    let mail = eventually_in(PATIENCE, "the mail", async || inbox.mails().into_iter().next()).await;
    assert!(mail.subject.contains("期限を過ぎています: 森 一郎 (mori)"), "{}", mail.subject);
    assert!(mail.subject.contains("緊急アクセスの確認") && mail.text.contains("glass-1"), "{}", mail.text);
    assert!(!mail.text.contains("4711") && !mail.text.contains("担当医不在"), "{}", mail.text);
    assert!(hospital.stop().success());
    break_glass("glass-2").await;
    hospital.start();
    let mail = eventually_in(PATIENCE, "the next", async || inbox.mails().into_iter().nth(1)).await;
    assert!(mail.text.contains("glass-2"), "{}", mail.text);
    let records = hospital.records();
    let told = records.with("ev", "grant-overdue");
    let said: Vec<_> = told.all().iter().map(|line| (line["vs"].clone(), line["why"].clone())).collect();
    assert_eq!(said, [("glass-1".into(), "review".into()), ("glass-2".into(), "review".into())]);
    assert_eq!(inbox.mails().len(), 2, "each once");
}
