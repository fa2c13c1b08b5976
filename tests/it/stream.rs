//! What stays open, and what is more than one request and one answer.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::Frame as BodyFrame;
use http_body_util::BodyExt;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tests::{Ask, Caller, Frame, Plan, Upstream, WebSocket, accept_key, empty, fed, within};

use crate::ward::Ward;

pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const SOON: Duration = Duration::from_secs(5);

/// What a browser asks to open a WebSocket over HTTP/1.1.
pub fn handshake(ask: Ask) -> Ask {
    ask.header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", KEY)
        .header("origin", "https://emr.hospital.test:8443")
}

/// Opens a WebSocket over HTTP/1.1.
pub async fn open_socket(caller: &Caller, ask: Ask) -> WebSocket<TokioIo<Upgraded>> {
    let response = caller.http1("emr").await.send(handshake(ask)).await.unwrap();
    assert_eq!(response.status(), 101);
    WebSocket::client(TokioIo::new(hyper::upgrade::on(response).await.unwrap()))
}

/// The code of the close frame that ends a WebSocket, in time.
pub async fn close_code(mut socket: WebSocket<TokioIo<Upgraded>>, time: Duration) -> Option<u16> {
    within(time, "the end of the WebSocket", async {
        loop {
            match socket.next().await {
                Some(Frame::Close(code)) => return code,
                Some(_) => {}
                None => panic!("the WebSocket broke off without a close frame"),
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_websocket_over_http_1_echoes() {
    let ward = Ward::open().await;
    let mut connection = ward.caller.http1("emr").await;
    let response = connection.send(handshake(ward.get("/socket/ward"))).await.unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["sec-websocket-accept"], accept_key(KEY));
    assert_eq!(response.headers()["upgrade"], "websocket");
    let stream = hyper::upgrade::on(response).await.unwrap();
    echoes(WebSocket::client(TokioIo::new(stream))).await;

    let records = ward.hospital.records();
    let opening = records.opened("/socket/ward").only().clone();
    assert_eq!(opening["act"], "connect");
    let closing = ward.closing("/socket/ward").await;
    assert_eq!(closing["end"], "upgraded");
    assert_eq!(closing["st"], 101);
}

#[tokio::test]
async fn a_websocket_over_http_2_echoes() {
    let ward = Ward::open().await;
    let connection = ward.caller.http2("emr").await;
    let ask = ward
        .ask("CONNECT", "/socket/ward")
        .extension(hyper::ext::Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .header("origin", "https://emr.hospital.test:8443");
    let response = connection.send(ask).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("sec-websocket-accept"));
    let stream = hyper::upgrade::on(response).await.unwrap();
    echoes(WebSocket::client(TokioIo::new(stream))).await;
    assert_eq!(ward.hospital.records().opened("/socket/ward").only()["act"], "connect");
    assert_eq!(ward.emr.last().method, "GET", "the app speaks HTTP/1.1");
}

async fn echoes<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(mut socket: WebSocket<S>) {
    for text in ["heart rate 72", "心拍 72", &"x".repeat(40_000)] {
        socket.send(text).await.unwrap();
        assert_eq!(within(SOON, "an echo", socket.next()).await, Some(Frame::Text(text.to_owned())));
    }
    socket.close(1000).await.unwrap();
    assert_eq!(within(SOON, "a close frame", socket.next()).await, Some(Frame::Close(Some(1000))));
}

#[tokio::test]
async fn a_websocket_is_refused_to_whom_the_rule_gives_no_connection() {
    let ward = Ward::open().await;
    let clerk = ward.sign_in("clerk").await;
    let ask = handshake(Ask::get("emr", "/reception/socket").signed_in(&clerk));
    ward.caller.ask(ask).await.expect_problem(403, "action-not-allowed");
    let ask = handshake(Ask::get("emr", "/socket/ward"));
    ward.caller.ask(ask).await.expect_problem(401, "sign-in-required");
    assert!(ward.emr.seen().is_empty());
}

#[tokio::test]
async fn a_websocket_of_another_sites_page_is_refused() {
    let ward = Ward::open().await;
    let ask = |origin: &str| {
        ward.get("/socket/ward")
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", KEY)
            .header("origin", origin)
    };
    for origin in ["https://evil.test", "https://labs.hospital.test:8443", "https://emr.hospital.test", "null"] {
        let answer = ward.caller.ask(ask(origin)).await;
        assert_eq!(answer.status, 403, "cookies travel with it: {origin}");
    }
    assert!(ward.emr.seen().is_empty());
}

#[tokio::test]
async fn an_upgrade_to_anything_else_is_not_made() {
    let ward = Ward::open().await;
    for protocol in ["h2c", "TLS/1.0", "HTTP/2.0", "websocket, h2c"] {
        let ask = ward.get("/echo").header("connection", "upgrade, http2-settings").header("upgrade", protocol);
        let status = ward.caller.ask(ask.header("http2-settings", "AAMAAABkAAQAAP__")).await.status;
        assert!(matches!(status, 200 | 400), "{protocol}: {status}");
    }
    for seen in ward.emr.seen() {
        assert!(matches!(seen.header("upgrade"), "" | "websocket"), "{}", seen.header("upgrade"));
        assert!(!seen.headers.contains_key("http2-settings"));
    }
}

#[tokio::test]
async fn events_arrive_as_they_are_sent() {
    let ward = Ward::open().await;
    let mut connection = ward.caller.http1("emr").await;
    let response = connection.send(ward.get("/events/1")).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    for _ in 0..5 {
        let frame = within(SOON, "an event", body.frame()).await.unwrap().unwrap();
        assert!(frame.into_data().unwrap().starts_with(b"data: beat"));
    }
    let opening = ward.hospital.records().opened("/events/1").only().clone();
    assert!(ward.hospital.records().closing(&opening).is_none(), "it is still open");
    drop((body, connection));
    assert_eq!(ward.closing("/events/1").await["end"], "client-gone");
}

#[tokio::test]
async fn grpc_keeps_its_trailers_in_both_directions() {
    let app = Upstream::http2();
    let plan = Plan::new().app("emr", app.address(), "protocol = \"http2\"");
    let ward = Ward::around(app, plan).await;
    let (sender, body) = fed();
    sender.send(BodyFrame::data(Bytes::from_static(b"ping"))).await.unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-asked", HeaderValue::from_static("1"));
    sender.send(BodyFrame::trailers(trailers)).await.unwrap();
    drop(sender);
    let ask = ward.ask("POST", "/trailers/1").header("content-type", "application/grpc").header("te", "trailers");
    let answer = ward.caller.http2("emr").await.answer(ask.body(body)).await.expect(200);
    assert_eq!(answer.text(), "ping");
    assert_eq!(answer.trailers["grpc-status"], "0");
    assert_eq!(answer.trailers["x-asked"], "1");
    assert_eq!(ward.emr.last().version, "HTTP/2.0");
    assert_eq!(ward.emr.last().header("te"), "trailers");
}

#[tokio::test]
async fn a_handshake_gets_no_ordinary_answer() {
    // It was judged as a stream: what a rule says of reading and exporting was not asked.
    let ward = Ward::open().await;
    let mut connection = ward.caller.http1("emr").await;
    let response = connection.send(handshake(ward.get("/bytes/10"))).await.unwrap();
    tests::Answer::read(response).await.unwrap().expect_problem(502, "app-unreachable");
    assert_eq!(ward.closing("/bytes/10").await["end"], "upstream-failed");
}

#[tokio::test]
async fn an_answer_that_came_whole_was_served_however_late_its_end_is_told() {
    let app = Upstream::http2();
    let plan = Plan::new().app("emr", app.address(), "protocol = \"http2\"");
    let ward = Ward::around(app, plan).await;
    let answer = ward.caller.http1("emr").await.answer(ward.get("/late-end")).await.expect(200);
    assert_eq!(answer.text(), "abc");
    let closing = ward.closing("/late-end").await;
    assert_eq!((&closing["end"], &closing["bo"]), (&"served".into(), &3.into()), "{closing}");
}

#[tokio::test]
async fn a_part_of_a_film_is_a_part_of_a_film() {
    let ward = Ward::open().await;
    let answer = ward.caller.ask(ward.get("/film/1").header("range", "bytes=100-299")).await.expect(206);
    assert_eq!(answer.header("content-range"), "bytes 100-299/1000000");
    assert_eq!(answer.body.len(), 200);
    let whole = ward.caller.ask(ward.get("/film/1")).await.expect(200);
    assert_eq!(whole.body.len(), 1_000_000);
}

#[tokio::test]
async fn a_head_request_has_no_body_and_the_connection_goes_on() {
    let ward = Ward::open().await;
    let mut connection = ward.caller.http1("emr").await;
    let answer = connection.answer(ward.ask("HEAD", "/film/1")).await.expect(200);
    assert!(answer.body.is_empty());
    connection.answer(ward.get("/a")).await.expect(200);
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it_and_the_refused_one_does_not() {
    let ward = Ward::open().await;
    let cookie = ward.cookie();
    let head = |path: &str, cookie: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: emr.hospital.test\r\nCookie: {cookie}\r\nContent-Length: 5\r\n\
             Expect: 100-continue\r\nConnection: close\r\n\r\n"
        )
    };
    let answer = ward.caller.send_bytes("emr", format!("{}hello", head("/a", &cookie)).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 100 "), "{answer}");
    assert!(answer.contains("HTTP/1.1 200 ") && answer.contains("hello"), "{answer}");

    let refused = ward.caller.send_bytes("emr", head("/a", "a=1").as_bytes()).await;
    assert!(refused.starts_with("HTTP/1.1 401 "), "nothing is read before someone is known: {refused}");
    let unknown = format!("{}hello", head("/a", &cookie).replace("100-continue", "200-ok"));
    let answer = ward.caller.send_bytes("emr", unknown.as_bytes()).await;
    assert!(["200", "400", "417"].contains(&answer.split(' ').nth(1).unwrap()), "{answer}");
}

#[tokio::test]
async fn an_app_that_answers_before_the_body_is_read_is_heard() {
    let ward = Ward::open().await;
    let (sender, body) = fed();
    let mut connection = ward.caller.http1("emr").await;
    let answer = connection.answer(ward.ask("POST", "/refuse/1").body(body)).await.expect(409);
    assert_eq!(answer.text(), "not that");
    drop(sender);
    ward.caller.ask(ward.ask("POST", "/a").body(empty())).await.expect(200);
}
