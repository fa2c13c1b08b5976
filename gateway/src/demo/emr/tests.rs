//! The EMR over a real socket on loopback: what the gateway in front of it sees.

use super::caller::tests::Signer;
use super::*;
use policy::Timestamp;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

const NOW: i64 = 1_800_000_000;

/// Runs an EMR, lets a client talk to it, and stops it.
async fn with_emr(trust: Trust, client: impl FnOnce(SocketAddr) + Send + 'static) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let clock = Clock::new(|| Timestamp::from_unix_micros(NOW * 1_000_000));
    let client = tokio::task::spawn_blocking(move || client(address));
    let (done, stop) = tokio::sync::oneshot::channel::<()>();
    let served = serve(listener, Emr::new(trust, clock), async {
        let _ = stop.await; // either way it is time to stop
    });
    let ended = async {
        let ended = client.await;
        drop(done);
        ended
    };
    let (served, ended) = tokio::join!(served, ended);
    served.unwrap();
    ended.unwrap();
}

/// Sends a request as it stands and reads until the other side closes.
fn exchange(address: SocketAddr, request: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    let mut answer = Vec::new();
    // A request that is refused half-way may end in a reset: what was answered before it is what counts.
    let _ = socket.write_all(request.as_bytes());
    let _ = socket.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn get(address: SocketAddr, target: &str, headers: &str) -> String {
    exchange(address, &format!("GET {target} HTTP/1.1\r\nhost: emr\r\nconnection: close\r\n{headers}\r\n"))
}

fn assertion(signer: &Signer) -> String {
    let claims = serde_json::json!({
        "aud": "emr", "iat": NOW, "exp": NOW + 60, "name": "<看護>", "roles": ["nurse"], "device": "ward-tablet-1",
    });
    format!("sekimori-assertion: {}\r\n", signer.sign(&claims))
}

#[tokio::test]
async fn past_the_gateway_there_is_nothing_but_health() {
    with_emr(Signer::new().trust(), |address| {
        for target in ["/", "/charts/00012345", "/fhir/Patient/00012345", "/ws", "/export/large.bin", "/live"] {
            assert!(get(address, target, "").starts_with("HTTP/1.1 401 "), "{target}");
        }
        assert!(get(address, HEALTH_PATH, "").starts_with("HTTP/1.1 204 "));
    })
    .await;
}

#[tokio::test]
async fn a_nurse_reads_a_chart_and_writes_a_note() {
    let signer = Signer::new();
    let who = assertion(&signer);
    with_emr(signer.trust(), move |address| {
        let list = get(address, "/?q=%E8%A6%8B%E6%9C%AC", &who);
        assert!(list.starts_with("HTTP/1.1 200 ") && list.contains("見本 太郎") && !list.contains("架空 太郎"));
        assert!(list.contains("&lt;看護&gt;") && list.contains("署名を検証済み"), "{list}");

        let post = |patient: &str, site: &str, body: &str| {
            exchange(
                address,
                &format!(
                    "POST /charts/{patient}/notes HTTP/1.1\r\nhost: emr\r\nconnection: close\r\n{who}{site}\
                     content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                ),
            )
        };
        assert!(post("00012345", "sec-fetch-site: cross-site\r\n", "text=x").starts_with("HTTP/1.1 403 "));
        assert!(post("00012345", "", "text=+").starts_with("HTTP/1.1 400 "));
        assert!(post("nobody", "", "text=x").starts_with("HTTP/1.1 404 "));
        let saved = post("00012345", "sec-fetch-site: same-origin\r\n", "text=%3Cb%3Efine%3C%2Fb%3E");
        assert!(saved.starts_with("HTTP/1.1 303 ") && saved.contains("location: /charts/00012345"), "{saved}");
        let chart = get(address, "/charts/00012345", &who);
        assert!(chart.contains("&lt;b&gt;fine&lt;/b&gt;") && chart.contains("mmHg"), "{chart}");
    })
    .await;
}

#[tokio::test]
async fn vital_signs_arrive_as_events() {
    let signer = Signer::new();
    let who = assertion(&signer);
    with_emr(signer.trust(), move |address| {
        let mut socket = TcpStream::connect(address).unwrap();
        write!(socket, "GET /events/vitals?patient=12345 HTTP/1.1\r\nhost: emr\r\n{who}\r\n").unwrap();
        let (mut answer, mut part) = (String::new(), [0; 1024]);
        while !answer.contains("\n\n") {
            let size = socket.read(&mut part).unwrap();
            assert_ne!(size, 0, "{answer}");
            answer.push_str(std::str::from_utf8(&part[..size]).unwrap());
        }
        assert!(answer.contains("content-type: text/event-stream"), "{answer}");
        assert!(answer.contains("event: vitals\nid: 0\ndata: {"), "{answer}");
    })
    .await;
}

#[tokio::test]
async fn a_websocket_opens_echoes_and_closes() {
    let signer = Signer::new();
    let who = assertion(&signer);
    with_emr(signer.trust(), move |address| {
        let mut socket = TcpStream::connect(address).unwrap();
        write!(
            socket,
            "GET /ws HTTP/1.1\r\nhost: emr\r\n{who}upgrade: websocket\r\nconnection: Upgrade\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .unwrap();
        let hello_and_close = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x88\x80\0\0\0\0";
        socket.write_all(hello_and_close).unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with("HTTP/1.1 101 "), "{text}");
        assert!(text.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{text}");
        assert!(answer.ends_with(b"\x81\x05Hello\x88\x02\x03\xe8"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn an_upload_is_counted() {
    let signer = Signer::new();
    let who = assertion(&signer);
    with_emr(signer.trust(), move |address| {
        let body = "x".repeat(300_000);
        let answer = exchange(
            address,
            &format!(
                "POST /import/large HTTP/1.1\r\nhost: emr\r\nconnection: close\r\n{who}content-length: 300000\r\n\r\n{body}"
            ),
        );
        assert!(answer.ends_with(r#"{"bytes":300000,"pattern":false}"#), "{answer}");
        let too_much = exchange(
            address,
            &format!(
                "POST /fhir/Patient HTTP/1.1\r\nhost: emr\r\nconnection: close\r\n{who}content-length: 300000\r\n\r\n{body}"
            ),
        );
        assert!(too_much.starts_with("HTTP/1.1 413 "), "{too_much}");
    })
    .await;
}
