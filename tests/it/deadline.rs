//! Every phase has a deadline and every size a bound; whoever passes them is told and let go.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use tests::{Ask, Plan, Upstream, fed, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::ward::Ward;

const SOON: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_head_that_takes_too_long_is_given_up() {
    let ward = Ward::open_with(|plan| plan.set("limits", "head_timeout = \"1s\"")).await;
    let mut stream = ward.caller.connect("emr", &[b"http/1.1"]).await.unwrap();
    let begin = Instant::now();
    let mut answer = String::new();
    let drip = async {
        for byte in "GET /a HTTP/1.1\r\nHost: emr.hospital.test\r\nX-Slow: ".bytes().chain(std::iter::repeat(b'a')) {
            if stream.write_all(&[byte]).await.is_err() || begin.elapsed() > Duration::from_secs(3) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stream.read_to_string(&mut answer).await.ok();
    };
    within(SOON, "the end of the connection", drip).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(ward.emr.seen().is_empty());
}

#[tokio::test]
async fn an_http_2_connection_that_is_busy_for_long_is_not_taken_for_a_slow_head() {
    let ward = Ward::open_with(|plan| plan.set("limits", "head_timeout = \"1s\"")).await;
    let connection = ward.caller.http2("emr").await;
    let mut body = connection.send(ward.get("/trickle/1")).await.unwrap().into_body();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(3) {
        within(SOON, "the next piece", body.frame()).await.unwrap().unwrap();
    }
    connection.answer(ward.ask("POST", "/a").body(tests::full("hello"))).await.expect(200);
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_given_up() {
    let ward = Ward::open_with(|plan| plan.set("limits", "handshake_timeout = \"1s\"")).await;
    for first in [&b""[..], &[0x16, 0x03, 0x01][..]] {
        let mut stream = TcpStream::connect(ward.hospital.address()).await.unwrap();
        stream.write_all(first).await.unwrap();
        let mut rest = Vec::new();
        within(SOON, "the end of the connection", stream.read_to_end(&mut rest)).await.ok();
    }
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let ward = Ward::open_with(|plan| plan.set("limits", "keep_alive_timeout = \"1s\"")).await;
    let mut connection = ward.caller.http1("emr").await;
    connection.answer(ward.get("/a")).await.expect(200);
    tests::eventually("the gateway hangs up", async || connection.is_closed().then_some(())).await;
}

#[tokio::test]
async fn a_body_that_stands_still_is_cut() {
    let ward = Ward::open_with(|plan| plan.set("limits", "body_idle_timeout = \"1s\"")).await;
    let (sender, body) = fed();
    sender.send(http_body::Frame::data("half".into())).await.unwrap();
    let mut connection = ward.caller.http1("emr").await;
    let answer = within(SOON, "an answer or an end", connection.upload(ward.ask("POST", "/sink/1").body(body))).await;
    if let Ok(answer) = answer {
        tests::Answer::read(answer).await.unwrap().expect_problem(408, "request-timeout");
    }
    drop(sender);
}

#[tokio::test]
async fn an_upload_may_take_longer_than_an_answer_may() {
    let emr = Upstream::http1();
    let plan = Plan::new().app("emr", emr.address(), "response_timeout = \"1s\"");
    let ward = Ward::around(emr, plan).await;
    let (sender, body) = fed();
    let feed = async {
        for _ in 0..15 {
            sender.send(http_body::Frame::data("0123456789".into())).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        drop(sender);
    };
    let mut connection = ward.caller.http1("emr").await;
    let upload = connection.upload(ward.ask("POST", "/sink/slow").body(body));
    let (answer, ()) = tokio::join!(within(SOON, "an answer", upload), feed);
    let answer = tests::Answer::read(answer.unwrap()).await.unwrap().expect(200);
    assert_eq!(answer.text(), "150");
}

#[tokio::test]
async fn an_upload_to_an_app_that_takes_no_more_of_it_is_given_up() {
    let emr = Upstream::http1();
    let plan = Plan::new().app("emr", emr.address(), "response_timeout = \"1s\"");
    let ward = Ward::around(emr, plan).await;
    let mut connection = ward.caller.http1("emr").await;
    // More than every buffer on the way holds, and the app reads none of it.
    let upload = connection.upload(ward.ask("POST", "/hold/1").body(tests::filled(256 << 20)));
    let answer = within(SOON, "an answer or an end", upload).await;
    if let Ok(answer) = answer {
        tests::Answer::read(answer).await.unwrap().expect_problem(504, "app-timeout");
    }
    assert_eq!(ward.closing("/hold/1").await["end"], "upstream-timeout");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let ward = Ward::open().await;
    let large = "a".repeat(40 << 10);
    ward.caller.ask(ward.get("/a").header("x-large", &large)).await.expect(431);
    let recorded = async || (!ward.hospital.records().with("why", "head-too-large").is_empty()).then_some(());
    tests::eventually("the record of the refusal", recorded).await;
    let many = (0..150).fold(ward.get("/a"), |ask, at| ask.header(&format!("x-{at}"), "1"));
    assert_eq!(ward.caller.ask(many).await.status, 431);
    let long = format!("/{}", "a".repeat(40 << 10));
    let answer = ward.caller.ask(ward.get(&long)).await;
    assert!(matches!(answer.status, 400 | 414 | 431), "{}", answer.status);
    assert!(ward.emr.seen().is_empty());
    let over_2 = ward.caller.http2("emr").await.send(ward.get("/a").header("x-large", &large)).await;
    assert!(over_2.is_err() || over_2.is_ok_and(|answer| answer.status() == 431));
}

#[tokio::test]
async fn one_address_cannot_take_more_than_its_share() {
    let ward = Ward::open_with(|plan| plan.set("limits", "requests_per_second_address = 2")).await;
    let mut connection = ward.caller.http1("emr").await;
    let mut refused = None;
    for _ in 0..60 {
        let answer = connection.answer(ward.get("/a")).await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("sixty requests at once are too many").expect_problem(429, "too-many-requests");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
}

#[tokio::test]
async fn one_account_cannot_take_more_than_its_share() {
    let ward = Ward::open_with(|plan| plan.set("limits", "requests_per_second_account = 2")).await;
    let nurse = ward.sign_in("nurse").await;
    let mut connection = ward.caller.http1("emr").await;
    let mut statuses = Vec::new();
    for _ in 0..60 {
        statuses.push(connection.answer(ward.get("/a")).await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    connection.answer(Ask::get("emr", "/a").signed_in(&nurse)).await.expect(200);
}

#[tokio::test]
async fn one_address_cannot_hold_every_connection() {
    let ward = Ward::open_with(|plan| plan.set("limits", "connections_per_address_max = 3")).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(ward.caller.connect("emr", &[]).await.unwrap());
    }
    assert!(ward.caller.connect("emr", &[]).await.is_err());
    held.clear();
    let is_let_in = async || ward.caller.connect("emr", &[]).await.is_ok().then_some(());
    tests::eventually("there is room again", is_let_in).await;
}

#[tokio::test]
async fn one_http_2_connection_cannot_open_streams_without_end() {
    let ward = Ward::open_with(|plan| plan.set("limits", "streams_max = 4")).await;
    let connection = ward.caller.http2("emr").await;
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(connection.send(ward.get("/events/1")).await.unwrap());
    }
    let fifth = connection.send(ward.get("/a"));
    assert!(tokio::time::timeout(Duration::from_millis(300), fifth).await.is_err(), "it waits for its turn");
    open.clear();
    within(SOON, "an answer", connection.answer(ward.get("/a"))).await.expect(200);
}
