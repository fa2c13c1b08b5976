//! Requests that two servers could read differently: 400, recorded, the connection closed, nothing forwarded.

use tests::{RawUpstream, Records};

use crate::ward::Ward;

const END: &str = "\r\n\r\n";

/// Header lines that no honest client sends, each after an honest request line and `Host`.
const HEADS: [(&str, &str); 24] = [
    ("two framings", "Content-Length: 5\r\nTransfer-Encoding: chunked"),
    ("two framings, the other way", "Transfer-Encoding: chunked\r\nContent-Length: 5"),
    ("two lengths", "Content-Length: 5\r\nContent-Length: 6"),
    ("the same length twice", "Content-Length: 5\r\nContent-Length: 5"),
    ("a list of lengths", "Content-Length: 5, 5"),
    ("a signed length", "Content-Length: +5"),
    ("a negative length", "Content-Length: -1"),
    ("a hexadecimal length", "Content-Length: 0x5"),
    ("an empty length", "Content-Length:"),
    ("a length beyond numbers", "Content-Length: 99999999999999999999999"),
    ("an unknown coding", "Transfer-Encoding: xchunked"),
    ("chunked that is not last", "Transfer-Encoding: chunked, identity"),
    ("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    ("chunked with a vertical tab", "Transfer-Encoding: \x0bchunked"),
    ("identity", "Transfer-Encoding: identity"),
    ("a folded field", "X-One: a\r\n b"),
    ("a folded framing", "Transfer-Encoding:\r\n chunked"),
    ("a space before the colon", "Content-Length : 5"),
    ("a field without a name", ": a"),
    ("a bare line feed in a value", "X-One: a\nContent-Length: 5"),
    ("a bare carriage return in a value", "X-One: a\rContent-Length: 5"),
    ("a null in a value", "X-One: a\0b"),
    ("two hosts", "Host: emr.hospital.test"),
    ("a second host", "Host: annex.test"),
];

/// Whole heads.
const REQUESTS: [(&str, &str); 22] = [
    ("no host", "GET /a HTTP/1.1"),
    ("an empty host", "GET /a HTTP/1.1\r\nHost:"),
    ("a host with a user", "GET /a HTTP/1.1\r\nHost: a@emr.hospital.test"),
    ("a host with a path", "GET /a HTTP/1.1\r\nHost: emr.hospital.test/x"),
    ("a host with an odd port", "GET /a HTTP/1.1\r\nHost: emr.hospital.test:x"),
    ("an address", "GET /a HTTP/1.1\r\nHost: 127.0.0.1"),
    ("an absolute form of another host", "GET https://annex.test/a HTTP/1.1\r\nHost: emr.hospital.test"),
    ("an absolute form of another scheme", "GET http://emr.hospital.test/a HTTP/1.1\r\nHost: emr.hospital.test"),
    ("a tunnel", "CONNECT emr.hospital.test:443 HTTP/1.1\r\nHost: emr.hospital.test"),
    ("a star", "OPTIONS * HTTP/1.1\r\nHost: emr.hospital.test"),
    ("two spaces", "GET  /a HTTP/1.1\r\nHost: emr.hospital.test"),
    ("a space in the target", "GET /a b HTTP/1.1\r\nHost: emr.hospital.test"),
    ("a tab", "GET\t/a HTTP/1.1\r\nHost: emr.hospital.test"),
    ("an unknown version", "GET /a HTTP/1.2\r\nHost: emr.hospital.test"),
    ("HTTP/1.0 with chunks", "POST /a HTTP/1.0\r\nHost: emr.hospital.test\r\nTransfer-Encoding: chunked"),
    ("no version", "GET /a\r\nHost: emr.hospital.test"),
    ("bare line feeds", "GET /a HTTP/1.1\nHost: emr.hospital.test\nX-One: a"),
    ("a bare carriage return", "GET /a HTTP/1.1\r\nHost: emr.hospital.test\rX-One: a"),
    ("a first line that is a field", "Host: emr.hospital.test"),
    ("a relative target", "GET a HTTP/1.1\r\nHost: emr.hospital.test"),
    ("a fragment", "GET /a#b HTTP/1.1\r\nHost: emr.hospital.test"),
    ("bytes above ASCII in the method", "G\u{c9}T /a HTTP/1.1\r\nHost: emr.hospital.test"),
];

/// Paths that could be read in two ways.
const PATHS: [&str; 20] = [
    "//a",
    "/a//b",
    "/a/../b",
    "/..",
    "/./a",
    "/a/.",
    "/%2e%2e/a",
    "/a/%2E%2e/b",
    "/a%2fb",
    "/a%5cb",
    "/a\\b",
    "/a%252e",
    "/a;b",
    "/a;/../b",
    "/a%00",
    "/a%0a",
    "/a%",
    "/a%zz",
    "/%ff",
    "/a%3bb",
];

#[tokio::test]
async fn fields_that_could_be_read_twice_are_refused_and_nothing_is_forwarded() {
    let ward = Ward::open().await;
    for (what, lines) in HEADS {
        let cookie = ward.cookie();
        let request = format!("POST /a HTTP/1.1\r\nHost: emr.hospital.test\r\nCookie: {cookie}\r\n{lines}{END}hello");
        check(&ward, what, &request).await;
    }
}

#[tokio::test]
async fn request_lines_and_hosts_that_could_be_read_twice_are_refused_and_nothing_is_forwarded() {
    let ward = Ward::open().await;
    for (what, head) in REQUESTS {
        let request = format!("{head}\r\nCookie: {}{END}", ward.cookie());
        check(&ward, what, &request).await;
    }
}

#[tokio::test]
async fn paths_that_could_be_read_twice_are_refused_and_nothing_is_forwarded() {
    let ward = Ward::open().await;
    for path in PATHS {
        let cookie = ward.cookie();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: emr.hospital.test\r\nCookie: {cookie}\r\nConnection: close{END}");
        check(&ward, path, &request).await;
    }
    assert!(!ward.hospital.records().is_empty());
}

/// Sends it with an honest request behind it: only one answer may come, and nothing may reach the app.
async fn check(ward: &Ward, what: &str, request: &str) {
    let smuggled = format!("GET /smuggled HTTP/1.1\r\nHost: emr.hospital.test\r\nCookie: {}{END}", ward.cookie());
    let answer = ward.caller.send_bytes("emr", format!("{request}{smuggled}").as_bytes()).await;
    let status = answer.split(' ').nth(1).unwrap_or("closed");
    // A length beyond numbers may be called too large; a version that does not exist may be called unsupported.
    assert!(matches!(status, "400" | "413" | "501" | "505" | "closed"), "{what}: {answer}");
    assert_eq!(answer.matches("HTTP/1.").count(), usize::from(status != "closed"), "{what}: {answer}");
    assert!(ward.emr.seen().is_empty(), "{what}: {:?}", ward.emr.seen());
}

#[tokio::test]
async fn a_refused_reading_is_recorded() {
    let ward = Ward::open().await;
    let before = ward.hospital.records().with("ev", "bad-request").len();
    let request = "GET /a//b HTTP/1.1\r\nHost: emr.hospital.test\r\nConnection: close\r\n\r\n";
    ward.caller.send_bytes("emr", request.as_bytes()).await;
    let records: Records = ward.hospital.records().with("ev", "bad-request");
    assert_eq!(records.len(), before + 1, "{:#?}", ward.hospital.records());
}

#[tokio::test]
async fn a_host_that_this_connection_did_not_prove_is_misdirected() {
    let ward = Ward::open().await;
    let cookie = ward.cookie();
    let request = format!("GET /a HTTP/1.1\r\nHost: emr.hospital.test\r\nCookie: {cookie}\r\nConnection: close{END}");
    let answer = ward.caller.send_bytes("annex.test", request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    assert!(ward.emr.seen().is_empty());
}

#[tokio::test]
async fn over_http_2_two_hosts_odd_paths_and_tunnels_are_refused() {
    let ward = Ward::open().await;
    let connection = ward.caller.http2("emr").await;
    connection.answer(ward.get("/a").header("host", "annex.test")).await.expect(400);
    for path in PATHS.iter().filter(|path| !path.contains('\\')) {
        connection.answer(ward.get(path)).await.expect(400);
    }
    let tunnel =
        connection.send(ward.ask("CONNECT", "/tunnel").extension(hyper::ext::Protocol::from_static("tcp"))).await;
    assert!(tunnel.is_err() || tunnel.is_ok_and(|answer| answer.status().is_client_error() || answer.status() == 501));
    assert!(ward.emr.seen().is_empty(), "{:?}", ward.emr.seen());
}

#[tokio::test]
async fn over_http_2_a_body_must_be_as_long_as_it_says_and_the_next_request_is_not_poisoned() {
    let ward = Ward::open().await;
    for said in ["4", "6", "0"] {
        let connection = ward.caller.http2("emr").await;
        let ask = ward.ask("POST", "/a").header("content-length", said).body(tests::full("hello"));
        if let Ok(answer) = connection.send(ask).await {
            assert!(!answer.status().is_success(), "{said} of 5 bytes");
        }
        let next = ward.caller.http2("emr").await.answer(ward.get("/next")).await.expect(200);
        assert_eq!(next.json()["target"], "/next");
        assert_eq!(next.json()["method"], "GET");
    }
}

#[tokio::test]
async fn the_path_that_was_judged_is_the_path_that_is_sent() {
    let app = RawUpstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let plan = tests::Plan::with_emr(app.address());
    let ward = Ward::around(tests::Upstream::http1(), plan).await;
    for (asked, sent) in [
        ("/a?b=/../c#", "/a?b=/../c"),
        ("/%61%7e/%e6%82%a3", "/a~/%E6%82%A3"),
        ("/a?x=1&y=%2e%2e%2f", "/a?x=1&y=%2e%2e%2f"),
        ("/a?", "/a?"),
        ("/a/", "/a/"),
    ] {
        let asked = asked.trim_end_matches('#');
        let cookie = ward.cookie();
        let request =
            format!("GET {asked} HTTP/1.1\r\nHost: emr.hospital.test\r\nCookie: {cookie}\r\nConnection: close{END}");
        let answer = ward.caller.send_bytes("emr", request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{asked}: {answer}");
        let head = app.heads().pop().unwrap();
        assert!(head.starts_with(&format!("GET {sent} HTTP/1.1\r\n")), "{head}");
    }
}

#[tokio::test]
async fn requests_that_come_at_once_are_answered_in_their_order_and_each_is_judged() {
    let ward = Ward::open().await;
    let cookie = ward.cookie();
    let ask =
        |line: &str, rest: &str| format!("{line} HTTP/1.1\r\nHost: emr.hospital.test\r\nCookie: {cookie}\r\n{rest}");
    let all = [
        ask("GET /first", "\r\n"),
        ask("POST /second", "Content-Length: 5\r\n\r\nhello"),
        ask("DELETE /archive/1", "\r\n"),
        ask("POST /third", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        ask("GET /last", "Connection: close\r\n\r\n"),
    ];
    let answers = ward.caller.send_bytes("emr", all.concat().as_bytes()).await;
    let statuses: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)).collect();
    assert_eq!(statuses, ["200", "200", "403", "200", "200"], "{answers}");
    let seen: Vec<String> = ward.emr.seen().iter().map(|seen| seen.target.clone()).collect();
    assert_eq!(seen, ["/first", "/second", "/third", "/last"]);
    let opened = ward.hospital.records();
    assert!(seen.iter().all(|path| opened.opened(path).len() == 1), "each has its record");
    assert_eq!(opened.with("ev", "refused").with("path", "/archive/1").len(), 1);
}

#[tokio::test]
async fn the_body_of_a_request_that_was_refused_is_never_taken_for_a_request() {
    let ward = Ward::open().await;
    let smuggled = format!("GET /smuggled HTTP/1.1\r\nHost: emr.hospital.test\r\nCookie: {}{END}", ward.cookie());
    for framing in [format!("Content-Length: {}", smuggled.len()), "Transfer-Encoding: chunked".to_owned()] {
        let head = "DELETE /archive/1 HTTP/1.1\r\nHost: emr.hospital.test";
        let request = format!("{head}\r\nCookie: {}\r\n{framing}{END}{smuggled}{smuggled}", ward.cookie());
        let answer = ward.caller.send_bytes("emr", request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("connection: close"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
        assert!(ward.emr.seen().is_empty(), "{:?}", ward.emr.seen());
    }
}

#[tokio::test]
async fn behind_chunks_and_trailers_that_could_be_read_twice_nothing_is_read() {
    let ward = Ward::open().await;
    for body in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: y\n\r\n\r\n",
    ] {
        let head = "POST /a HTTP/1.1\r\nHost: emr.hospital.test\r\nTransfer-Encoding: chunked";
        let smuggled = format!("GET /smuggled HTTP/1.1\r\nHost: emr.hospital.test\r\nCookie: {}{END}", ward.cookie());
        let request = format!("{head}\r\nCookie: {}{END}{body}{smuggled}", ward.cookie());
        let answer = ward.caller.send_bytes("emr", request.as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or("closed");
        assert!(matches!(status, "400" | "408" | "closed"), "{body:?}: {answer}");
        assert!(answer.matches("HTTP/1.1").count() <= 1, "{body:?}: {answer}");
        assert!(ward.emr.seen().iter().all(|seen| seen.target == "/a"), "{body:?}: {:?}", ward.emr.seen());
    }
}
