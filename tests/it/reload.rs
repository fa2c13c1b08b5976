//! New settings come into force whole or not at all, by SIGHUP and by themselves, and nobody is thrown out.

use rustix::process::Signal;
use tests::{Ask, Frame, WebSocket, eventually};

use crate::stream::handshake;
use crate::ward::Ward;

/// Nurses may delete now, and there is a second app.
fn wider(ward: &Ward) -> tests::Plan {
    let text = "[[rule]]\nid = \"nurses-tidy\"\neffect = \"permit\"\nroles = [\"nurse\"]\napps = \"all\"\n\
                actions = [\"write\"]\ndevices = \"known\"";
    ward.hospital.plan().clone().app("labs", ward.emr.address(), "").block(text)
}

#[tokio::test]
async fn a_hangup_brings_new_rules_and_apps_into_force() {
    let mut ward = Ward::open().await;
    let nurse = ward.sign_in("nurse").await;
    let delete = || Ask::new("DELETE", "emr", "/notes/1").signed_in(&nurse);
    ward.caller.ask(delete()).await.expect(403);
    let plan = wider(&ward);
    ward.hospital.reload(plan);
    eventually("the new rule", async || (ward.caller.ask(delete()).await.status == 200).then_some(())).await;
    ward.caller.ask(Ask::get("labs", "/")).await.expect(401);

    let records = ward.hospital.records();
    assert!(records.with("ev", "config-activated").len() >= 2, "at the start, and now");
    let revisions: Vec<_> = records.with("m", "DELETE").all().iter().map(|one| one["pol"].clone()).collect();
    assert_ne!(revisions.first(), revisions.last(), "every record names the version that judged");
}

#[tokio::test]
async fn settings_with_a_mistake_change_nothing_and_raise_an_alarm() {
    let mut ward = Ward::open().await;
    let nurse = ward.sign_in("nurse").await;
    let plan = wider(&ward).block(
        "[[rule]]\nid = \"typo\"\neffect = \"permitt\"\nroles = [\"nurse\"]\napps = \"all\"\nactions = [\"read\"]",
    );
    ward.hospital.reload(plan);
    eventually("the refusal", async || ward.hospital.records().with("ev", "config-refused").all().first().cloned())
        .await;
    ward.caller.ask(Ask::new("DELETE", "emr", "/notes/1").signed_in(&nurse)).await.expect(403);
    ward.caller.ask(Ask::get("emr", "/notes/1").signed_in(&nurse)).await.expect(200);
    ward.caller.ask(Ask::get("labs", "/")).await.expect(421);
    let log = ward.hospital.log();
    let mut alarms = log.iter().filter(|line| line["level"] == "ERROR");
    assert!(alarms.any(|line| line.to_string().contains("permitt")), "{}", ward.hospital.log_text());
}

#[tokio::test]
async fn what_needs_a_restart_is_refused_and_said_so() {
    let mut ward = Ward::open().await;
    let plan = ward.hospital.plan().clone().set("gateway", "state_dir = \"elsewhere\"");
    ward.hospital.reload(plan);
    eventually("the refusal", async || ward.hospital.records().with("ev", "config-refused").all().first().cloned())
        .await;
    ward.caller.ask(ward.get("/a")).await.expect(200);
}

#[tokio::test]
async fn a_changed_file_is_noticed_without_a_signal() {
    let ward = Ward::open().await;
    ward.hospital.folder().write("sekimori.toml", wider(&ward).text());
    let labs_is_there = async || (ward.caller.ask(Ask::get("labs", "/")).await.status == 401).then_some(());
    eventually("the new app", labs_is_there).await;
}

#[tokio::test]
async fn an_open_websocket_survives_a_reload_that_still_allows_it_and_ends_with_one_that_does_not() {
    let mut ward = Ward::open().await;
    let mut connection = ward.caller.http1("emr").await;
    let response = connection.send(handshake(ward.get("/socket/ward"))).await.unwrap();
    let stream = hyper::upgrade::on(response).await.unwrap();
    let mut socket = WebSocket::client(hyper_util::rt::TokioIo::new(stream));
    let plan = wider(&ward);
    ward.hospital.reload(plan);
    let labs_is_there = async || (ward.caller.ask(Ask::get("labs", "/")).await.status == 401).then_some(());
    eventually("the new app", labs_is_there).await;
    socket.send("still here").await.unwrap();
    assert_eq!(socket.next().await, Some(Frame::Text("still here".to_owned())));

    let forbid = "[[rule]]\nid = \"closed\"\neffect = \"forbid\"\nroles = [\"doctor\"]\napps = \"all\"\nactions = [\"connect\"]\ndevices = \"any\"";
    let plan = ward.hospital.plan().clone().block(forbid);
    ward.hospital.reload(plan);
    let end = tests::within(std::time::Duration::from_secs(5), "the end of the WebSocket", socket.next()).await;
    assert_eq!(end, Some(Frame::Close(Some(1008))));
    let opening = ward.hospital.records().opened("/socket/ward").only().clone();
    let closing = eventually("the closing line", async || ward.hospital.records().closing(&opening).cloned()).await;
    assert_eq!(closing["end"], "revoked");
    assert_eq!(closing["why"], "forbidden");
}

#[tokio::test]
async fn a_gentle_stop_lets_open_requests_end_and_takes_no_new_ones() {
    let mut ward = Ward::open().await;
    let mut connection = ward.caller.http1("emr").await;
    let response = connection.send(ward.get("/bytes/50000000")).await.unwrap();
    ward.hospital.signal(Signal::TERM);
    let refuses = async || ward.caller.connect("emr", &[]).await.is_err().then_some(());
    eventually("new connections are refused", refuses).await;
    let answer = tests::Answer::read(response).await.expect("the download comes to its end");
    assert_eq!(answer.body.len(), 50_000_000);
    assert_eq!(ward.hospital.wait().code(), Some(0));
    let records = ward.hospital.records();
    assert_eq!(records.last()["ev"], "stopped");
    let opening = records.opened("/bytes/50000000").only().clone();
    assert_eq!(records.closing(&opening).unwrap()["end"], "served");
}
