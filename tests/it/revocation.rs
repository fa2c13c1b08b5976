//! A revocation ends what is already open, within one second, in good order.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tests::{Ask, Frame, WebSocket, eventually, within};

use crate::stream::{close_code, open_socket};
use crate::ward::Ward;

const ONE_SECOND: Duration = Duration::from_secs(1);
/// What the command itself may take to start and write, which is not the gateway's delay.
const COMMAND: Duration = Duration::from_millis(500);

/// An open WebSocket of the doctor.
pub async fn socket(ward: &Ward) -> WebSocket<TokioIo<Upgraded>> {
    let mut socket = open_socket(&ward.caller, ward.get("/socket/ward")).await;
    socket.send("still here").await.unwrap();
    assert_eq!(socket.next().await, Some(Frame::Text("still here".to_owned())));
    socket
}

async fn socket_over_http_2(ward: &Ward) -> WebSocket<TokioIo<Upgraded>> {
    let ask = ward
        .ask("CONNECT", "/socket/other")
        .extension(hyper::ext::Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13");
    let response = ward.caller.http2("emr").await.send(ask).await.unwrap();
    assert_eq!(response.status(), 200);
    WebSocket::client(TokioIo::new(hyper::upgrade::on(response).await.unwrap()))
}

/// The code of the close frame that ends a WebSocket, in time.
pub async fn end_of(socket: WebSocket<TokioIo<Upgraded>>) -> Option<u16> {
    close_code(socket, ONE_SECOND + COMMAND).await
}

/// Opens WebSockets and a download, revokes, and sees all of them end in time.
async fn ends_what_is_open(revoke: impl AsyncFnOnce(&Ward), why: &str) {
    let ward = Ward::open().await;
    let sockets = [socket(&ward).await, socket_over_http_2(&ward).await];
    let mut connection = ward.caller.http1("emr").await;
    let mut download = connection.send(ward.get("/trickle/film")).await.unwrap().into_body();
    download.frame().await.unwrap().unwrap();

    let begin = Instant::now();
    revoke(&ward).await;
    for socket in sockets {
        assert_eq!(end_of(socket).await, Some(1008), "1008 says: policy (RFC 6455 section 7.4.1)");
    }
    let cut = within(ONE_SECOND + COMMAND, "the end of the download", async {
        loop {
            match download.frame().await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return true,
                None => return false,
            }
        }
    });
    assert!(cut.await, "a download that was cut must not look whole");
    assert!(begin.elapsed() < ONE_SECOND + COMMAND, "{:?}", begin.elapsed());

    for path in ["/socket/ward", "/socket/other", "/trickle/film"] {
        let opening = ward.hospital.records().opened(path).only().clone();
        let closing = closing(&ward, &opening).await;
        assert_eq!((&closing["end"], &closing["why"]), (&"revoked".into(), &why.into()), "{closing}");
    }
}

async fn closing(ward: &Ward, opening: &Value) -> Value {
    eventually("the closing line", async || ward.hospital.records().closing(opening).cloned()).await
}

#[tokio::test]
async fn revoking_a_session_ends_its_websocket_and_its_download() {
    let revoke = async |ward: &Ward| {
        ward.hospital.run(&["session", "revoke", &ward.doctor.id]).ok();
    };
    ends_what_is_open(revoke, "sign-in-required").await;
}

#[tokio::test]
async fn revoking_a_device_ends_what_is_open_on_it() {
    let revoke = async |ward: &Ward| {
        ward.hospital.run(&["device", "revoke", "ward-pc-1"]).ok();
    };
    ends_what_is_open(revoke, "sign-in-required").await;
}

#[tokio::test]
async fn a_revoked_session_is_no_session_and_its_end_is_recorded() {
    let ward = Ward::open().await;
    ward.caller.ask(ward.get("/a")).await.expect(200);
    ward.hospital.run(&["session", "revoke", &ward.doctor.id]).ok();
    eventually("the session is over", async || (ward.caller.ask(ward.get("/a")).await.status == 401).then_some(()))
        .await;
    let record =
        eventually("the record", async || ward.hospital.records().with("ev", "session-ended").all().last().cloned());
    assert_eq!(record.await["sid"], ward.doctor.id.as_str());
    let again = ward.hospital.run(&["session", "revoke", &ward.doctor.id]);
    assert_eq!(again.code, Some(1), "the answer is no: {} {}", again.out, again.err);
}

#[tokio::test]
async fn a_revoked_device_is_unknown_on_a_new_connection_and_on_a_resumed_one() {
    let ward = Ward::open().await;
    let nurse = ward.sign_in("nurse").await;
    let ask = || Ask::get("emr", "/a").signed_in(&nurse);
    let mut open = ward.caller.http1("emr").await;
    open.answer(ask()).await.expect(200);
    ward.hospital.run(&["device", "revoke", "ward-pc-1"]).ok();
    // A connection that is new at this very moment may also be closed before it is asked anything.
    let is_out = async || match ward.caller.http1("emr").await.send(ask()).await {
        Ok(response) => response.status() != 200,
        Err(_) => true,
    };
    eventually("the device is out", async || is_out().await.then_some(())).await;
    ward.caller.ask(ask()).await.expect(401);
    if let Ok(response) = open.send(ask()).await {
        assert_ne!(response.status(), 200, "a connection from before");
    }
    let record =
        eventually("the record", async || ward.hospital.records().with("ev", "device-revoked").all().last().cloned());
    assert_eq!(record.await["dev"], "ward-pc-1");
    let list = ward.hospital.run(&["device", "list", "--format", "json"]).ok().lines();
    let device = list.into_iter().find(|one| one["id"] == "ward-pc-1").unwrap();
    assert!(!device["revoked_at"].is_null(), "{device}");
}

#[tokio::test]
async fn a_revocation_right_after_a_request_began_ends_it_too() {
    let ward = Ward::open().await;
    let mut connection = ward.caller.http1("emr").await;
    let waits = tokio::spawn({
        let ask = ward.get("/hold/1");
        async move { connection.send(ask).await.map(|response| response.status().as_u16()) }
    });
    // The app has it: it was judged, and nothing is known yet of how long it will take.
    eventually("the app has the request", async || (!ward.emr.seen().is_empty()).then_some(())).await;
    ward.hospital.run(&["session", "revoke", &ward.doctor.id]).ok();
    let status = within(ONE_SECOND + COMMAND, "the end of the request", waits).await.unwrap().unwrap();
    assert!(matches!(status, 401 | 403), "{status}");
    let closing = ward.closing("/hold/1").await;
    assert_eq!((&closing["end"], &closing["why"]), (&"revoked".into(), &"sign-in-required".into()), "{closing}");
}

#[tokio::test]
async fn an_answer_that_an_http_2_client_does_not_take_ends_too() {
    let ward = Ward::open().await;
    let stream = ward.caller.connect("emr", &[b"h2"]).await.unwrap();
    // A window of nothing: the app answers with more than one piece, and the client lets none of it through.
    let mut shut = hyper::client::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
    let (mut sender, connection) =
        shut.initial_stream_window_size(0).handshake(TokioIo::new(stream)).await.expect("HTTP/2 begins");
    tokio::spawn(connection);
    let response = sender.send_request(ward.get("/bytes/1000000").into_http2()).await.unwrap();
    assert_eq!(response.status(), 200);
    ward.hospital.run(&["session", "revoke", &ward.doctor.id]).ok();
    let begin = Instant::now();
    let closing = ward.closing("/bytes/1000000").await;
    assert_eq!(closing["end"], "revoked", "{closing}");
    assert!(begin.elapsed() < ONE_SECOND + COMMAND, "{:?}", begin.elapsed());
    drop(response);
}

#[tokio::test]
async fn a_tunnel_whose_client_does_not_read_ends_too() {
    let ward = Ward::open().await;
    let mut socket = socket(&ward).await;
    // The echoes fill every buffer on the way, because nobody takes them.
    let large = "x".repeat(60_000);
    let fill = async {
        for _ in 0..1_000 {
            if socket.send(&large).await.is_err() {
                break;
            }
        }
    };
    assert!(tokio::time::timeout(ONE_SECOND, fill).await.is_err(), "sixty megabytes fitted into the buffers");
    ward.hospital.run(&["session", "revoke", &ward.doctor.id]).ok();
    let begin = Instant::now();
    let closing = ward.closing("/socket/ward").await;
    assert_eq!(closing["end"], "revoked", "{closing}");
    assert!(begin.elapsed() < ONE_SECOND * 2, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn what_another_person_has_open_goes_on() {
    let ward = Ward::open().await;
    let mut socket = socket(&ward).await;
    let nurse = ward.sign_in("nurse").await;
    ward.hospital.run(&["session", "revoke", &nurse.id]).ok();
    let nurse_is_out = async || {
        let ask = Ask::get("emr", "/a").signed_in(&nurse);
        (ward.caller.ask(ask).await.status == 401).then_some(())
    };
    eventually("the nurse is out", nurse_is_out).await;
    socket.send("and on").await.unwrap();
    assert_eq!(within(ONE_SECOND, "an echo", socket.next()).await, Some(Frame::Text("and on".to_owned())));
}
