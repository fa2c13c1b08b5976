use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http_body_util::BodyExt;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::exchange::{Cut, Exchange};
use crate::headers::Introduction;
use crate::upstream::dial::Dialer;

fn request(method: &str) -> Option<Request<RequestBody>> {
    let exchange = Rc::new(Exchange::new(Instant::now(), Rc::new(Cut::default())));
    let request = Request::builder().method(method).uri("/a?b").header("host", "emr.example.jp");
    Some(request.body(RequestBody::empty(exchange)).unwrap())
}

/// The least a gateway tells.
fn told() -> Told {
    let host = policy::Host::parse("emr.example.jp").unwrap();
    Told {
        id: policy::RequestId::new(policy::Timestamp::from_unix_micros(0), 1),
        introduction: Rc::new(Introduction::new([192, 0, 2, 1].into(), &host, 443).unwrap()),
        assertion: None,
        identity: Vec::new(),
        trailers: false,
        traceparent: None,
    }
}

/// A connection to a server that is this test.
async fn pair() -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = Dialer::new(Duration::from_secs(5), &[]).tcp("127.0.0.1", listener.local_addr().unwrap().port()).await;
    let near = near.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    far.set_nodelay(true).unwrap();
    (Connection::new(Transport::Plain(near)), far)
}

async fn read_head(far: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(far.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Sends these pieces as the answer, then closes.
async fn answered(pieces: &[&[u8]]) -> Result<Response<AnswerBody>, Problem> {
    let told = told();
    let (near, mut far) = pair().await;
    let mut asked = request("GET");
    let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
    let server = async move {
        read_head(&mut far).await;
        for piece in pieces {
            far.write_all(&piece).await.ok();
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(near.exchange(&mut asked, &told), server).0
}

/// The whole answer: its body, and whether another exchange may follow on its connection.
async fn read(answer: Response<AnswerBody>) -> Result<(Bytes, bool), io::Error> {
    let mut body = answer.into_body();
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            all.extend_from_slice(&data);
        }
    }
    Ok((all.into(), body.into_connection().is_some()))
}

async fn whole(bytes: &str) -> Result<(Bytes, bool), String> {
    let answer = answered(&[bytes.as_bytes()]).await.map_err(|problem| format!("{problem:?}"))?;
    read(answer).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn the_end_of_an_answer_is_known_in_every_framing() {
    for (bytes, body, again) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc", "abc", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true),
        ("HTTP/1.1 200 OK\r\nX-Empty:\r\nContent-Length: 1\r\n\r\na", "a", true),
        ("HTTP/1.1 204 No Content\r\n\r\n", "", true),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 30\r\n\r\n", "", true),
        ("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "a", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", "abcde", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n", "a", true),
        ("HTTP/1.1 200 OK\r\nConnection: keep-alive, Close\r\nContent-Length: 1\r\n\r\na", "a", false),
        ("HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM\r\nContent-Length: 1\r\n\r\na", "a", false),
        ("HTTP/1.1 401 No\r\nWWW-Authenticate: negotiate YII=\r\nContent-Length: 1\r\n\r\na", "a", false),
        ("HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 1\r\n\r\na", "a", true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", "a", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", "a", false),
        ("HTTP/1.1 200 OK\r\n\r\nto the end", "to the end", false),
    ] {
        assert_eq!(whole(bytes).await, Ok((Bytes::from(body), again)), "{bytes:?}");
    }
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_or_not_at_all_is_refused() {
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(HEAD_BYTES_MAX));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: 1\r\n".repeat(200));
    for bytes in [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nX-A: b\0\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "220 smtp.example.jp ESMTP\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\na\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nodd\r\n\r\n",
        &"HTTP/1.1 100 Continue\r\n\r\n".repeat(20),
        &endless,
        &many,
    ] {
        let read = whole(bytes).await;
        assert!(read.is_err(), "{:?}: {read:?}", bytes.get(..80).unwrap_or(bytes));
    }
}

#[tokio::test]
async fn trailers_arrive() {
    let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\ngrpc-status: 0\r\n\r\n";
    let whole = answered(&[bytes]).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(whole.trailers().unwrap().get("grpc-status").unwrap(), "0");
}

#[tokio::test]
async fn a_request_is_written_as_it_was_judged() {
    let told = told();
    let (near, mut far) = pair().await;
    let server = async {
        let head = read_head(&mut far).await;
        far.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        head
    };
    let mut asked = request("POST");
    let (answer, head) = tokio::join!(near.exchange(&mut asked, &told), server);
    answer.unwrap();
    let told = "x-forwarded-for: 192.0.2.1\r\nx-forwarded-host: emr.example.jp\r\nx-forwarded-proto: https\r\n\
                forwarded: for=192.0.2.1;host=emr.example.jp;proto=https\r\n\
                x-request-id: 00000000-0000-7000-8000-000000000001\r\n";
    assert_eq!(head, format!("POST /a?b HTTP/1.1\r\nhost: emr.example.jp\r\n{told}content-length: 0\r\n\r\n"));
}

#[tokio::test]
async fn a_connection_that_somebody_signed_in_on_serves_nobody_else() {
    for (scheme, again) in [("NTLM TlRM", false), ("Negotiate YII=", false), ("Basic YTpi", true)] {
        let told = told();
        let (near, mut far) = pair().await;
        let server = async {
            read_head(&mut far).await;
            far.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        };
        let mut asked = request("GET");
        asked.as_mut().unwrap().headers_mut().insert(AUTHORIZATION, scheme.parse().unwrap());
        let (answer, ()) = tokio::join!(near.exchange(&mut asked, &told), server);
        assert_eq!(answer.unwrap().into_body().into_connection().is_some(), again, "{scheme}");
    }
}

#[tokio::test]
async fn a_head_of_a_request_to_look_is_not_waited_for_a_body() {
    let told = told();
    let (near, mut far) = pair().await;
    let server = async {
        read_head(&mut far).await;
        far.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n").await.unwrap();
    };
    let mut asked = request("HEAD");
    let (answer, ()) = tokio::join!(near.exchange(&mut asked, &told), server);
    let answer = answer.unwrap();
    assert_eq!(answer.headers().get("content-length").unwrap(), "500");
    assert_eq!(read(answer).await.unwrap(), (Bytes::new(), true));
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_waited_gives_a_reading_request_back_and_no_other() {
    for (method, back) in [("GET", true), ("OPTIONS", true), ("POST", false), ("DELETE", false)] {
        let told = told();
        let (near, mut far) = pair().await;
        let server = async {
            read_head(&mut far).await;
            far.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        };
        let mut first = request("GET");
        let (answer, ()) = tokio::join!(near.exchange(&mut first, &told), server);
        let again = answer.unwrap().into_body().into_connection().unwrap();
        let mut asked = request(method);
        // The server hangs up as the next request arrives.
        let hang_up = async move {
            read_head(&mut far).await;
            drop(far);
        };
        let (answer, ()) = tokio::join!(again.exchange(&mut asked, &told), hang_up);
        assert_eq!(matches!(&answer, Err(Problem::NotSent(_))), back, "{method} {answer:?}");
        assert!(!back || asked.is_some());
    }
}

#[tokio::test]
async fn a_waiting_connection_is_looked_at_before_it_is_used() {
    let (mut near, mut far) = pair().await;
    assert!(near.is_quiet());
    far.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!near.is_quiet(), "an answer that nobody asked for");
    let (mut near, far) = pair().await;
    drop(far);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!near.is_quiet(), "closed");
}

#[tokio::test]
async fn an_answer_may_arrive_byte_by_byte() {
    let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\na\r\n0123456789\r\n0\r\nX: y\r\n\r\n";
    let pieces: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    let answer = answered(&pieces).await.unwrap();
    assert_eq!(answer.headers().get("x-a").unwrap(), "b");
    assert_eq!(read(answer).await.unwrap(), (Bytes::from("0123456789"), true));
}

proptest! {
    #[test]
    fn no_head_makes_it_stumble(bytes in proptest::collection::vec(any::<u8>(), 0..400), cut in 0usize..60) {
        let mut plain = BytesMut::from(bytes.as_slice());
        drop(head::parse(&mut plain));
        let mut near = BytesMut::from("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n");
        near.truncate(cut);
        near.extend_from_slice(&bytes);
        drop(head::parse(&mut near));
    }
}
