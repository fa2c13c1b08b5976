//! Whole connections, with a client that is written out byte by byte.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::pin::Pin;
use std::time::Instant;

use http::HeaderValue;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::line::Stream;
use super::*;
use crate::switch::Switching;

const BOUNDS: Bounds = Bounds { bytes_max: 8 << 10, fields_max: 100 };

/// A client that sends these pieces, and then hangs up or waits; and what it was sent.
#[derive(Default)]
struct Client {
    pieces: VecDeque<Vec<u8>>,
    /// What it sends when it has waited.
    later: Rc<RefCell<VecDeque<Vec<u8>>>>,
    waits: bool,
    /// The most it takes at once.
    takes: usize,
    sent: Rc<Sent>,
}

#[derive(Default)]
struct Sent {
    writes: RefCell<Vec<Vec<u8>>>,
    was_closed: Cell<bool>,
}

impl Sent {
    fn text(&self) -> String {
        // Every answer has the same date here.
        String::from_utf8(self.writes.borrow().concat()).unwrap().replace("date: today                        \r\n", "")
    }
}

impl Stream for Client {
    fn socket(&mut self) -> Option<&mut TcpStream> {
        None
    }
}

impl AsyncBufRead for Client {
    fn poll_fill_buf(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        this.pieces.append(&mut this.later.borrow_mut());
        match this.pieces.front() {
            Some(piece) => Poll::Ready(Ok(piece)),
            None if this.waits => Poll::Pending,
            None => Poll::Ready(Ok(&[])),
        }
    }
    fn consume(mut self: Pin<&mut Self>, bytes: usize) {
        assert!(self.pieces.pop_front().is_none_or(|piece| piece.len() == bytes));
    }
}

impl AsyncRead for Client {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let piece = ready!(self.as_mut().poll_fill_buf(cx))?.to_vec();
        into.put_slice(&piece);
        self.consume(piece.len());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Client {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = if self.takes == 0 { bytes.len() } else { bytes.len().min(self.takes) };
        self.sent.writes.borrow_mut().push(bytes[..taken].to_vec());
        Poll::Ready(Ok(taken))
    }
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        self.poll_write(cx, &all)
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.sent.was_closed.set(true);
        Poll::Ready(Ok(()))
    }
}

/// What an answer is made of.
struct Pieces {
    frames: VecDeque<Result<Frame<Bytes>, io::Error>>,
    length: Option<u64>,
}

impl Pieces {
    fn of(pieces: &[&str]) -> Self {
        let frames = pieces.iter().map(|piece| Ok(Frame::data(Bytes::from((*piece).to_owned()))));
        Self { frames: frames.collect(), length: None }
    }
    fn whole(text: impl Into<String>) -> Self {
        let text = text.into();
        let length = Some(text.len() as u64);
        Self { length, ..Self::of(&[&text]) }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(self.frames.pop_front())
    }
    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.length.is_none_or(|length| length == 0)
    }
    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Says what it was asked; some paths do something else.
#[derive(Default)]
struct Echo {
    asked: RefCell<Vec<String>>,
    kept: RefCell<Vec<ClientBody>>,
    switched: RefCell<Option<Switching>>,
    line: RefCell<Option<Rc<Line>>>,
}

impl Answers for Echo {
    type Body = Pieces;

    async fn answer(&self, mut request: Request<ClientBody>) -> (Response<Pieces>, Source) {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        self.asked.borrow_mut().push(format!("{method} {path}"));
        let mut response = Response::new(Pieces::whole("ok"));
        let source = if path.starts_with("/here") { Source::Here } else { Source::App };
        match path.as_str() {
            "/unread" | "/here/unread" => {}
            "/kept" => self.kept.borrow_mut().push(request.into_body()),
            "/400" | "/here/400" => *response.status_mut() = StatusCode::BAD_REQUEST,
            "/204" => *response.status_mut() = StatusCode::NO_CONTENT,
            "/304" => *response.status_mut() = StatusCode::NOT_MODIFIED,
            "/pieces" => *response.body_mut() = Pieces::of(&["ab", "", "c"]),
            "/empty" => *response.body_mut() = Pieces::of(&[]),
            "/large" => *response.body_mut() = Pieces::whole("x".repeat(100_000)),
            "/large/pieces" => *response.body_mut() = Pieces::of(&["y".repeat(20_000).as_str(), "z"]),
            "/cut" => {
                *response.body_mut() = Pieces::of(&["ab"]);
                response.body_mut().frames.push_back(Err(io::ErrorKind::BrokenPipe.into()));
            }
            "/short" => response.body_mut().length = Some(3),
            "/long" => response.body_mut().length = Some(1),
            "/trailers" => {
                *response.body_mut() = Pieces::of(&["ab"]);
                let fields = [("x-sum", "1"), ("x-other", "2")];
                let fields =
                    fields.map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
                response.body_mut().frames.push_back(Ok(Frame::trailers(fields.into_iter().collect())));
                response.headers_mut().insert("trailer", HeaderValue::from_static("x-sum"));
            }
            "/fields" => {
                for (name, value) in [
                    ("content-length", "77"),
                    ("transfer-encoding", "chunked"),
                    ("connection", "keep-alive"),
                    ("trailer", "x"),
                    ("etag", "1"),
                ] {
                    response.headers_mut().append(name, HeaderValue::from_static(value));
                }
            }
            "/switch" => {
                *self.switched.borrow_mut() = Some(Switching::of(&mut request));
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                response.headers_mut().insert("connection", HeaderValue::from_static("Upgrade"));
                *response.body_mut() = Pieces::of(&[]);
            }
            "/end" => self.line.borrow().as_ref().unwrap().end(),
            "/never" => std::future::pending().await,
            _ => match request.into_body().collect().await {
                Ok(body) => {
                    let trailers = body.trailers().map(|trailers| trailers.len()).unwrap_or_default();
                    let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
                    *response.body_mut() = Pieces::whole(format!("{method} {path} {body}{}", "+".repeat(trailers)));
                }
                Err(problem) => *response.body_mut() = Pieces::whole(problem.to_string()),
            },
        }
        (response, source)
    }

    async fn refuse(&self, problem: HeadProblem) -> Response<Pieces> {
        let mut response = Response::new(Pieces::whole(problem.code()));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response
    }

    fn date(&self) -> [u8; LINE_BYTES] {
        *b"date: today                        \r\n"
    }
}

struct Served {
    /// The whole of what was sent.
    text: String,
    /// In how many writes.
    writes: usize,
    asked: Vec<String>,
    was_closed: bool,
    echo: Echo,
}

async fn served_by(client: Client) -> Served {
    let (sent, echo) = (Rc::clone(&client.sent), Echo::default());
    let line = Line::new(client);
    *echo.line.borrow_mut() = Some(Rc::clone(&line));
    tokio::time::timeout(Duration::from_secs(5), serve(&line, &Vitals::new(Instant::now()), BOUNDS, &echo))
        .await
        .expect("the connection comes to its end");
    let asked = echo.asked.take();
    let writes = sent.writes.borrow().len();
    Served { text: sent.text(), writes, asked, was_closed: sent.was_closed.get(), echo }
}

async fn served(text: &str) -> Served {
    served_by(Client { pieces: [text.as_bytes().to_vec()].into(), ..Client::default() }).await
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

const MANY: &str = "GET /a HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello\
    PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nX: y\r\n\r\n\r\nGET /d HTTP/1.1\r\n\r\n";

#[tokio::test]
async fn requests_are_answered_one_after_the_other_in_their_order() {
    let served = served(MANY).await;
    let expected = [ok("GET /a "), ok("POST /b hello"), ok("PUT /c abcdefg+"), ok("GET /d ")].concat();
    assert_eq!((served.text, served.was_closed), (expected, true));
}

#[tokio::test]
async fn however_the_bytes_are_cut_the_answers_are_the_same() {
    let whole = served(MANY).await.text;
    for cut in 1..40 {
        for takes in [0, 1, 7] {
            let pieces = MANY.as_bytes().chunks(cut).map(<[u8]>::to_vec).collect();
            let served = served_by(Client { pieces, takes, ..Client::default() }).await;
            assert_eq!(served.text, whole, "{cut}, {takes}");
        }
    }
}

#[tokio::test]
async fn a_small_answer_is_one_write() {
    for (path, body) in [
        ("/a", "content-length: 7\r\n\r\nGET /a "),
        ("/pieces", "transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
        ("/empty", "content-length: 0\r\n\r\n"),
    ] {
        let served = served(&get(path)).await;
        assert_eq!((served.text, served.writes), (format!("HTTP/1.1 200 OK\r\n{body}"), 1));
    }
}

#[tokio::test]
async fn a_large_answer_arrives_whole_however_little_is_taken_at_once() {
    let chunk = "y".repeat(20_000);
    for takes in [0, 1_000, 16_384] {
        for (path, expected) in [
            ("/large", ok(&"x".repeat(100_000))),
            (
                "/large/pieces",
                format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4e20\r\n{chunk}\r\n1\r\nz\r\n0\r\n\r\n"),
            ),
        ] {
            let pieces = [get(path).repeat(2).into_bytes()].into();
            let served = served_by(Client { pieces, takes, ..Client::default() }).await;
            assert!(served.text == expected.repeat(2), "{path} {takes}");
        }
    }
}

#[tokio::test]
async fn behind_what_is_refused_nothing_is_read() {
    for head in [
        "GET /a HTTP/1.1\nHost: a\r\n\r\n",
        "GET /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "odd\r\n\r\n",
    ] {
        let served = served(&format!("{head}{}", get("/smuggled"))).await;
        assert!(served.text.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{}", served.text);
        assert!(served.text.contains("\r\nconnection: close\r\n"), "{}", served.text);
        assert_eq!((served.text.matches("HTTP/1.1").count(), served.asked.len(), served.was_closed), (1, 0, true));
    }
}

#[tokio::test]
async fn a_body_that_nobody_read_is_never_taken_for_a_request() {
    let smuggled = get("/smuggled");
    for (path, says) in [("/unread", false), ("/here/unread", true), ("/kept", false)] {
        for framing in
            [format!("Content-Length: {}\r\n\r\n", smuggled.len()), "Transfer-Encoding: chunked\r\n\r\n".to_owned()]
        {
            let served = served(&format!("POST {path} HTTP/1.1\r\n{framing}{smuggled}{smuggled}")).await;
            assert_eq!(served.asked, [format!("POST {path}")]);
            assert_eq!(served.text.contains("connection: close"), says, "{}", served.text);
            for body in served.echo.kept.take() {
                // The line is closed behind the answer by whoever serves it.
                served.echo.line.borrow().as_ref().unwrap().close();
                let read = body.collect().await;
                assert!(
                    read.is_err() || !framing.starts_with('T'),
                    "what somebody held on to reads no more of the line"
                );
            }
        }
    }
}

#[tokio::test]
async fn chunks_that_break_off_or_cannot_be_read_end_the_connection() {
    for body in ["3\r\nabcd\r\n0\r\n\r\n", "x\r\n", "3\r\nab", "3\r\nabc\r\n0\r\nX: y\n\r\n\r\n"] {
        let text = format!("POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let served =
            served(&format!("{text}{}", if body.ends_with("\r\n") { get("/smuggled") } else { String::new() })).await;
        assert_eq!(served.asked, ["POST /b"], "{body:?}");
        assert!(served.text.contains("the request broke off"), "{}", served.text);
    }
}

#[tokio::test]
async fn a_client_that_waits_is_told_to_send_its_body_once_somebody_wants_it() {
    let head =
        |path: &str| format!("POST {path} HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n").into_bytes();
    for takes in [0, 1] {
        let pieces = [head("/b"), b"hi".to_vec(), get("/c").into_bytes()].into();
        let served = served_by(Client { pieces, takes, ..Client::default() }).await;
        let expected = format!("HTTP/1.1 100 Continue\r\n\r\n{}{}", ok("POST /b hi"), ok("GET /c "));
        assert_eq!(served.text, expected);
    }
    let served = served_by(Client { pieces: [head("/here/unread")].into(), ..Client::default() }).await;
    assert_eq!(served.text, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
}

#[tokio::test]
async fn the_connection_goes_on_or_ends_as_was_said() {
    for (head, body, goes_on) in [
        (
            "GET /a HTTP/1.1\r\nConnection: close",
            "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nGET /a ",
            false,
        ),
        ("GET /a HTTP/1.0", "HTTP/1.0 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nGET /a ", false),
        (
            "GET /a HTTP/1.0\r\nConnection: keep-alive",
            "HTTP/1.0 200 OK\r\ncontent-length: 7\r\nconnection: keep-alive\r\n\r\nGET /a ",
            true,
        ),
        ("GET /pieces HTTP/1.0\r\nConnection: keep-alive", "HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nabc", false),
        (
            "GET /here/400 HTTP/1.1",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
            false,
        ),
        ("GET /400 HTTP/1.1", "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\nok", true),
        ("GET /end HTTP/1.1", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", false),
    ] {
        let served = served(&format!("{head}\r\n\r\n{}", get("/next"))).await;
        let next = if goes_on { ok("GET /next ") } else { String::new() };
        assert_eq!(served.text, format!("{body}{next}"), "{head}");
        assert!(served.was_closed);
    }
}

#[tokio::test]
async fn answers_without_a_body_have_none() {
    for (head, expected) in [
        ("HEAD /a HTTP/1.1", "HTTP/1.1 200 OK\r\n\r\n"),
        ("HEAD /pieces HTTP/1.1", "HTTP/1.1 200 OK\r\n\r\n"),
        ("HEAD /fields HTTP/1.1", "HTTP/1.1 200 OK\r\netag: 1\r\ncontent-length: 77\r\n\r\n"),
        ("GET /204 HTTP/1.1", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET /304 HTTP/1.1", "HTTP/1.1 304 Not Modified\r\n\r\n"),
        ("GET /empty HTTP/1.1", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    ] {
        let served = served(&format!("{head}\r\n\r\n{}", get("/next"))).await;
        assert_eq!(served.text, format!("{expected}{}", ok("GET /next ")), "{head}");
    }
}

#[tokio::test]
async fn where_an_answer_ends_is_said_once_and_by_us() {
    let served = served(&get("/fields")).await;
    assert_eq!(served.text, "HTTP/1.1 200 OK\r\netag: 1\r\ncontent-length: 2\r\n\r\nok");
}

#[tokio::test]
async fn an_answer_that_is_cut_shows_it_and_nothing_follows() {
    for (request, expected, was_closed) in [
        ("GET /cut HTTP/1.1", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n", true),
        ("GET /cut HTTP/1.0", "HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nab", false),
        ("GET /short HTTP/1.1", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", true),
        ("GET /long HTTP/1.1", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n", true),
    ] {
        let served = served(&format!("{request}\r\n\r\n{}", get("/next"))).await;
        assert_eq!((served.text.as_str(), served.was_closed), (expected, was_closed), "{request}");
        assert_eq!(served.asked.len(), 1);
    }
}

#[tokio::test]
async fn declared_trailers_reach_a_client_that_takes_them() {
    let with = served("GET /trailers HTTP/1.1\r\nTE: trailers\r\n\r\n").await.text;
    assert!(with.contains("\r\ntrailer: x-sum\r\n"), "{with}");
    assert!(with.ends_with("2\r\nab\r\n0\r\nx-sum: 1\r\n\r\n"), "{with}");
    let without = served(&get("/trailers")).await.text;
    assert!(without.ends_with("2\r\nab\r\n0\r\n\r\n"), "{without}");
}

#[tokio::test]
async fn a_switched_connection_is_handed_over_with_what_came_behind_the_head() {
    let text = "GET /switch HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst";
    let pieces = [text.as_bytes().to_vec(), b" and second".to_vec()].into();
    let served = served_by(Client { pieces, ..Client::default() }).await;
    assert_eq!(served.text, "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n\r\n");
    assert!(!served.was_closed);
    let mut stream = served.echo.switched.take().unwrap().await.unwrap();
    let mut came = String::new();
    stream.read_to_string(&mut came).await.unwrap();
    assert_eq!(came, "first and second");
    // Nothing is switched for whom it was not agreed to.
    let served = self::served("GET /a HTTP/1.1\r\nUpgrade: websocket\r\n\r\n").await;
    assert_eq!(served.text, ok("GET /a "));
}

#[tokio::test]
async fn a_client_that_hangs_up_is_not_worked_for() {
    let served = served(&get("/never")).await;
    assert_eq!((served.text.as_str(), served.was_closed), ("", false));
    assert_eq!(served.asked, ["GET /never"]);
}

#[tokio::test]
async fn a_connection_that_is_to_end_ends_between_two_requests() {
    let client = Client { pieces: [get("/a").into_bytes()].into(), waits: true, ..Client::default() };
    let sent = Rc::clone(&client.sent);
    let (line, echo, vitals) = (Line::new(client), Echo::default(), Vitals::new(Instant::now()));
    let mut serving = pin!(serve(&line, &vitals, BOUNDS, &echo));
    let mut polled = |cx: &mut Context<'_>| Poll::Ready(serving.as_mut().poll(cx).is_ready());
    assert!(!poll_fn(&mut polled).await, "it waits for the next");
    line.end();
    assert!(poll_fn(&mut polled).await);
    assert_eq!((sent.text(), sent.was_closed.get()), (ok("GET /a "), true));
}

#[tokio::test]
async fn a_connection_that_is_asked_nothing_rests_and_is_served_when_it_asks_again() {
    let client = Client { pieces: [get("/a").into_bytes()].into(), waits: true, ..Client::default() };
    let (sent, later) = (Rc::clone(&client.sent), Rc::clone(&client.later));
    let (line, echo, vitals) = (Line::new(client), Echo::default(), Vitals::new(Instant::now()));
    let mut serving = pin!(serve(&line, &vitals, BOUNDS, &echo));
    let mut polled = |cx: &mut Context<'_>| Poll::Ready(serving.as_mut().poll(cx).is_ready());
    let idle = Instant::now() + Duration::from_secs(5);
    assert!(!vitals.tires(idle), "it was asked nothing yet");
    assert!(!poll_fn(&mut polled).await);
    assert!(!vitals.tires(Instant::now()), "it was served just now");
    assert!(vitals.tires(idle));
    assert!(!poll_fn(&mut polled).await);
    assert!(!vitals.tires(idle), "it rests");
    later.borrow_mut().push_back(b"GET /b HTTP/1.1\r\nHo".to_vec());
    assert!(!poll_fn(&mut polled).await);
    assert!(!vitals.tires(idle), "it is asked something");
    later.borrow_mut().push_back(b"st: a\r\n\r\n".to_vec());
    assert!(!poll_fn(&mut polled).await);
    assert_eq!(sent.text(), [ok("GET /a "), ok("GET /b ")].concat());
    assert!(vitals.tires(idle));
    assert!(!poll_fn(&mut polled).await);
    line.end();
    assert!(poll_fn(&mut polled).await, "it ends while it rests");
    assert!(sent.was_closed.get());
}

#[tokio::test]
async fn a_connection_that_rests_keeps_no_room_of_what_it_read() {
    let chunked = format!(
        "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n{}\r\n0\r\n\r\n",
        "x".repeat(1_000)
    );
    let client = Client { pieces: [chunked.into_bytes()].into(), waits: true, ..Client::default() };
    let (line, echo, vitals) = (Line::new(client), Echo::default(), Vitals::new(Instant::now()));
    let mut serving = pin!(serve(&line, &vitals, BOUNDS, &echo));
    let mut polled = |cx: &mut Context<'_>| Poll::Ready(serving.as_mut().poll(cx).is_ready());
    assert!(!poll_fn(&mut polled).await);
    assert!(vitals.tires(Instant::now() + Duration::from_secs(5)));
    assert!(!poll_fn(&mut polled).await);
    assert_eq!(line.with_buffer(|buffer| buffer.capacity()), 0);
}

#[tokio::test]
async fn a_client_that_hangs_up_while_its_connection_rests_is_let_go_of() {
    let client = Client { pieces: [get("/a").into_bytes()].into(), waits: true, ..Client::default() };
    let later = Rc::clone(&client.later);
    let (line, echo, vitals) = (Line::new(client), Echo::default(), Vitals::new(Instant::now()));
    let mut serving = pin!(serve(&line, &vitals, BOUNDS, &echo));
    let mut polled = |cx: &mut Context<'_>| Poll::Ready(serving.as_mut().poll(cx).is_ready());
    assert!(!poll_fn(&mut polled).await);
    assert!(vitals.tires(Instant::now() + Duration::from_secs(5)));
    assert!(!poll_fn(&mut polled).await);
    // Nothing came, and no more will.
    later.borrow_mut().push_back(Vec::new());
    assert!(poll_fn(&mut polled).await);
}

#[tokio::test]
async fn what_is_not_http_never_makes_it_stumble() {
    let mut text = String::new();
    for number in 0..200_u32 {
        write!(text, "{}\r\n", number.wrapping_mul(2_654_435_761) % 977).unwrap();
        let bytes: Vec<u8> = text.bytes().map(|byte| byte.wrapping_mul((number % 7 + 1) as u8)).collect();
        served_by(Client { pieces: [bytes].into(), ..Client::default() }).await;
    }
}
