//! What an operator looks at: health, metrics, the diagnostic log, `doctor`.

use http::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tests::{Answer, Ask, Hospital, Plan, Upstream, empty};
use tokio::net::TcpStream;

use crate::ward::Ward;

/// Asks the operations listener.
pub async fn operations(hospital: &Hospital, target: &str) -> Answer {
    let stream = TcpStream::connect(hospital.operations()).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(target).header("host", hospital.operations().to_string()).body(empty()).unwrap();
    Answer::read(sender.send_request(request).await.unwrap()).await.unwrap()
}

#[tokio::test]
async fn health_and_metrics_have_a_listener_of_their_own() {
    let ward = Ward::open().await;
    ward.caller.ask(ward.get("/a")).await.expect(200);
    ward.caller.ask(Ask::get("emr", "/a")).await.expect(401);
    assert_eq!(operations(&ward.hospital, "/health/live").await.status, 200);
    assert_eq!(operations(&ward.hospital, "/health/ready").await.status, 200);
    let metrics = operations(&ward.hospital, "/metrics").await.expect(200).text();
    assert!(metrics.contains("sekimori_"), "{metrics}");
    for secret in ["doctor", "ward-pc-1", "hospital.test", ward.doctor.token("emr")] {
        assert!(!metrics.contains(secret), "{secret} is in the metrics");
    }
    for path in ["/metrics", "/health/live", "/health/ready"] {
        ward.caller.ask(Ask::get("login", path)).await.expect(404);
    }
}

#[tokio::test]
async fn the_log_is_json_and_names_the_request_that_went_wrong() {
    let ward = Ward::around(Upstream::http1(), Plan::new().app_at("emr", &["http://127.0.0.1:9".to_owned()], "")).await;
    ward.caller.ask(ward.get("/a")).await.expect(502);
    let id = ward.hospital.records().opened("/a").only()["id"].as_str().unwrap().to_owned();
    assert!(ward.hospital.log().iter().any(|line| line["request"] == id.as_str()), "{}", ward.hospital.log_text());
}

#[tokio::test]
async fn doctor_says_what_a_careful_engineer_would_see() {
    let ward = Ward::open().await;
    let told = ward.hospital.run(&["doctor", "--format", "json"]);
    assert!(matches!(told.code, Some(0 | 1)), "{} {}", told.out, told.err);
    let looked_at: Vec<String> = told.lines().iter().map(|one| one["what"].as_str().unwrap().to_lowercase()).collect();
    for word in ["certificate", "state", "access log", "emr", "listener"] {
        assert!(looked_at.iter().any(|what| what.contains(word)), "{word}: {looked_at:?}");
    }
}

#[tokio::test]
async fn a_second_gateway_on_the_same_log_does_not_start() {
    let ward = Ward::open().await;
    let plan = ward.hospital.plan().text().replace(":8443\"", ":8543\"").replace(":9464\"", ":9564\"");
    ward.hospital.folder().write("second.toml", plan);
    let told = tests::run(ward.hospital.folder().path(), &["serve", "--config", "second.toml"]);
    assert_eq!(told.code, Some(69), "{} {}", told.out, told.err);
    ward.caller.ask(ward.get("/a")).await.expect(200);
}

#[tokio::test]
async fn commands_say_no_with_one_and_wrong_words_with_sixty_four() {
    let ward = Ward::open().await;
    let run = |words: &[&str]| ward.hospital.run(words).code;
    assert_eq!(run(&["device", "revoke", "no-such-device"]), Some(1));
    assert_eq!(run(&["session", "revoke", "0000000000000000"]), Some(1));
    assert_eq!(run(&["session", "revoke", "not-a-session"]), Some(64));
    assert_eq!(run(&["device", "add", "ward-pc-1", "--class", "toaster"]), Some(64));
    assert_eq!(run(&["frobnicate"]), Some(64));
    let sessions = ward.hospital.run(&["session", "list", "--format", "json"]).ok().out;
    assert_eq!(sessions.lines().count(), 1, "{sessions}");
    assert!(!sessions.contains(ward.doctor.token("emr")));
}
