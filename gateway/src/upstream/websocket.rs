//! WebSocket: the handshake with the upstream (RFC 6455), from HTTP/1.1 or from HTTP/2 extended CONNECT (RFC 8441), and
//! the tunnel after it. The tunnel opens only after the upstream's 101 with the right answer; it is ended between two
//! frames when a fact changes.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use audit::End;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use config::Shield;
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, TRAILER, UPGRADE,
};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::spawn_local;
use web::Fault;

use crate::body::{RequestBody, ResponseBody, UpstreamBody};
use crate::client_body::ClientBody;
use crate::clock;
use crate::connection::Connection;
use crate::exchange::{Ended, Exchange, InBook};
use crate::headers;
use crate::inbound::Switch;
use crate::patients::Watched;
use crate::shield;
use crate::snapshot::Server;
use crate::switch::{Switched, Switching};
use crate::upstream::Forward;
use crate::upstream::frames::{Frames, close_frame};

/// What a server appends to the key before hashing (RFC 6455 section 1.3).
const ACCEPT_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Close code for "you may not go on".
const POLICY_VIOLATION: u16 = 1008;
/// Close code for "this end goes away".
const GOING_AWAY: u16 = 1001;
/// Close code for "this end begins anew; come again" (IANA, WebSocket close codes).
const SERVICE_RESTART: u16 = 1012;
/// How long an ended tunnel may take to reach a frame boundary and say goodbye.
const GOODBYE: Duration = Duration::from_millis(400);
/// Bytes that one direction of a tunnel reads at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// Opens a WebSocket to the app.
pub async fn open(
    forward: Forward<'_>,
    mut request: Request<ClientBody>,
    target: &PathAndQuery,
    host: &HeaderValue,
    switch: Switch,
    connection: Rc<Connection>,
) -> Response<ResponseBody> {
    let client = Switching::of(&mut request);
    let (key, request) = match upstream_request(&forward, request, target, host, switch) {
        Ok(made) => made,
        Err(fault) => return forward.fail(fault, End::Refused),
    };
    forward.exchange.request_done.set(true);
    forward.exchange.answered.set(true);
    forward.exchange.endless.set(true);
    // In the book before the upstream is asked: what changes meanwhile ends it too.
    let in_book = forward.enter().enter(&forward.exchange, &forward.receipt);
    let response = tokio::select! {
        response = ask(&forward, request) => response,
        _ended = forward.exchange.until_ended() => return forward.ended(),
        () = tokio::time::sleep(forward.route.app.response_timeout) => {
            return forward.fail(Fault::AppTimeout, End::UpstreamTimeout);
        }
    };
    let mut response = match response {
        Ok(response) => response,
        Err(reason) => {
            tracing::warn!(request = %forward.asked.id, reason, "no WebSocket to the upstream");
            return forward.fail(Fault::AppUnreachable, End::UpstreamFailed);
        }
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        // What was judged is a stream: the answer to an ordinary request, which an app gives that knows no WebSocket
        // there, was not. Over HTTP/2 it would even look open.
        return if response.status().is_success() {
            tracing::warn!(request = %forward.asked.id, "the upstream answers a WebSocket handshake with something else");
            forward.fail(Fault::AppUnreachable, End::UpstreamFailed)
        } else {
            forward.stream_back(response.map(UpstreamBody::Hyper), Some(in_book))
        };
    }
    if !agrees(response.headers(), &key) {
        tracing::warn!(request = %forward.asked.id, "the upstream's WebSocket answer does not fit the question");
        return forward.fail(Fault::AppUnreachable, End::UpstreamFailed);
    }
    let upstream = hyper::upgrade::on(&mut response);
    let mut fields = response.headers().clone();
    if let Some(lookout) = forward.receipt.lookout() {
        lookout.see_head(&mut fields);
    }
    let answer = client_answer(fields, &key, switch, forward.route.app.shield.as_ref());
    let tunnel = Tunnel { exchange: forward.exchange, receipt: forward.receipt, in_book, _connection: connection };
    // The tunnel owns its record and ends when either side does, when it is revoked, or with the worker.
    drop(spawn_local(tunnel.run(client, upstream)));
    answer
}

/// The handshake as the upstream gets it, and the key it must answer.
fn upstream_request(
    forward: &Forward<'_>,
    request: Request<ClientBody>,
    target: &PathAndQuery,
    host: &HeaderValue,
    switch: Switch,
) -> Result<(HeaderValue, Request<RequestBody>), Fault> {
    let (mut parts, _body) = request.into_parts();
    let key = match switch {
        Switch::WebSocket | Switch::No | Switch::Tunnel => {
            parts.headers.get(SEC_WEBSOCKET_KEY).cloned().ok_or(Fault::BadRequest)?
        }
        Switch::WebSocketOverHttp2 => fresh_key()?,
    };
    parts.method = Method::GET;
    parts.version = Version::HTTP_11;
    parts.uri = Uri::from(target.clone());
    parts.extensions.clear();
    for name in [CONTENT_LENGTH, TRAILER, EXPECT] {
        parts.headers.remove(name);
    }
    parts.headers.insert(SEC_WEBSOCKET_KEY, key.clone());
    parts.headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    parts.headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    parts.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    parts.headers.insert(HOST, host.clone());
    forward.told.insert(&mut parts.headers);
    Ok((key, Request::from_parts(parts, RequestBody::empty(Rc::clone(&forward.exchange)))))
}

fn fresh_key() -> Result<HeaderValue, Fault> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Fault::Internal)?;
    HeaderValue::from_str(&STANDARD.encode(bytes)).map_err(|_| Fault::Internal)
}

/// Asks the first server that can be reached, over a connection of its own.
async fn ask(forward: &Forward<'_>, request: Request<RequestBody>) -> Result<Response<Incoming>, String> {
    let mut last = "no server".to_owned();
    for server in forward.route.candidates() {
        match connect(forward, server).await {
            Ok(mut sender) => {
                let mut request = request;
                if let Some(host) = &server.host_header {
                    request.headers_mut().insert(HOST, host.clone());
                }
                return sender.send_request(request).await.map_err(|error| error.to_string());
            }
            Err(reason) => {
                server.answers.note(false);
                last = reason;
            }
        }
    }
    Err(last)
}

async fn connect(forward: &Forward<'_>, server: &Server) -> Result<http1::SendRequest<RequestBody>, String> {
    let stream = forward
        .snapshot
        .dialer
        .stream(&server.host, server.port, server.tls_http1.as_ref())
        .await
        .map_err(|problem| problem.to_string())?;
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error: hyper::Error| error.to_string())?;
    // Ends when the upgraded stream does.
    drop(spawn_local(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "upstream connection ended");
        }
    }));
    Ok(sender)
}

/// Whether the upstream's 101 answers this very key.
fn agrees(headers: &HeaderMap, key: &HeaderValue) -> bool {
    let upgrades = headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let accepts = headers.get(SEC_WEBSOCKET_ACCEPT).is_some_and(|value| value.as_bytes() == accept_of(key).as_bytes());
    upgrades && accepts
}

fn accept_of(key: &HeaderValue) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key.as_bytes());
    context.update(ACCEPT_SUFFIX.as_bytes());
    STANDARD.encode(context.finish())
}

/// Agrees to a WebSocket.
pub fn client_answer(
    mut fields: HeaderMap,
    key: &HeaderValue,
    switch: Switch,
    shield: Option<&Shield>,
) -> Response<ResponseBody> {
    headers::towards_client(&mut fields);
    if let Some(shield) = shield {
        shield::fields_towards_client(shield, &mut fields);
    }
    fields.remove(SEC_WEBSOCKET_ACCEPT);
    let status = match switch {
        Switch::WebSocketOverHttp2 => StatusCode::OK,
        Switch::WebSocket | Switch::No | Switch::Tunnel => {
            fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
            if let Ok(accept) = HeaderValue::from_str(&accept_of(key)) {
                fields.insert(SEC_WEBSOCKET_ACCEPT, accept);
            }
            StatusCode::SWITCHING_PROTOCOLS
        }
    };
    let mut response = Response::new(ResponseBody::own(bytes::Bytes::new()));
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    response
}

/// An open tunnel and its record.
struct Tunnel {
    exchange: Rc<Exchange>,
    receipt: Watched,
    in_book: InBook,
    /// Keeps the connection's slot: HTTP/1 has let go of it.
    _connection: Rc<Connection>,
}

impl Tunnel {
    async fn run(self, client: Switching, upstream: OnUpgrade) {
        let end = match tokio::join!(client, upstream) {
            (Ok(client), Ok(upstream)) => self.relay(client, upstream).await,
            (Err(_), _) | (_, Err(_)) => End::ClientGone,
        };
        let Self { exchange, receipt, in_book, _connection } = self;
        drop(in_book);
        let outcome = exchange.outcome(StatusCode::SWITCHING_PROTOCOLS, end);
        receipt.close(outcome, &exchange);
    }

    async fn relay(&self, client: Switched, upstream: Upgraded) -> End {
        let (mut client_reads, mut client_writes) = tokio::io::split(client);
        let (mut upstream_reads, mut upstream_writes) = tokio::io::split(TokioIo::new(upstream));
        let (up, down) = (RefCell::new(Frames::default()), RefCell::new(Frames::default()));
        let exchange = &*self.exchange;
        let in_count = |bytes| {
            exchange.bytes_in.set(exchange.bytes_in.get().saturating_add(bytes));
            if up.borrow_mut().take_saw_data() {
                exchange.client_acted.set(true);
            }
        };
        let out_count = |bytes| exchange.bytes_out.set(exchange.bytes_out.get().saturating_add(bytes));
        let stopped = {
            let upwards = pump(&mut client_reads, &mut upstream_writes, &up, exchange, in_count);
            let downwards = pump(&mut upstream_reads, &mut client_writes, &down, exchange, out_count);
            let (mut upwards, mut downwards) = (std::pin::pin!(upwards), std::pin::pin!(downwards));
            let first = tokio::select! {
                stopped = upwards.as_mut() => (stopped, true),
                stopped = downwards.as_mut() => (stopped, false),
                () = overdue(exchange) => (Stopped::Stuck, false),
            };
            if let (Stopped::Ended, up_stopped) = first {
                // The other direction may still be inside a frame: give it a moment to finish it.
                let other = async { if up_stopped { downwards.await } else { upwards.await } };
                let _in_time = tokio::time::timeout(GOODBYE, other).await;
            }
            first.0
        };
        if stopped == Stopped::Ended {
            let goodbye = Goodbye::of(exchange);
            if down.borrow().at_boundary() {
                say(&mut client_writes, &close_frame(goodbye.code, goodbye.words, None)).await;
            }
            if up.borrow().at_boundary() {
                let [a, b, c, d, ..] = clock::random_u64().unwrap_or_default().to_le_bytes();
                say(&mut upstream_writes, &close_frame(goodbye.code, goodbye.words, Some([a, b, c, d]))).await;
            }
            return goodbye.end;
        }
        // What goes wrong while both sides are let go of changes nothing.
        let both = async { tokio::join!(client_writes.shutdown(), upstream_writes.shutdown()) };
        let _in_time = tokio::time::timeout(GOODBYE, both).await;
        if exchange.ended().is_some() { Goodbye::of(exchange).end } else { End::Upgraded }
    }
}

/// How an ended tunnel is closed, and how that is recorded.
struct Goodbye {
    code: u16,
    words: &'static str,
    end: End,
}

impl Goodbye {
    /// Close codes are those of RFC 6455 section 7.4.1.
    fn of(exchange: &Exchange) -> Self {
        match exchange.ended() {
            Some(Ended::Judged(reason) | Ended::Gone(reason)) => {
                Self { code: POLICY_VIOLATION, words: reason.code(), end: End::Revoked(reason) }
            }
            Some(Ended::Stopped) => Self { code: SERVICE_RESTART, words: "stopping", end: End::Stopped },
            Some(Ended::Stalled) | None => Self { code: GOING_AWAY, words: "", end: End::ClientGone },
        }
    }
}

async fn say(to: &mut (impl AsyncWrite + Unpin), frame: &[u8]) {
    let goodbye = async {
        to.write_all(frame).await?;
        to.flush().await?;
        to.shutdown().await
    };
    // A peer that does not listen any more needs no goodbye.
    let _sent: Result<io::Result<()>, _> = tokio::time::timeout(GOODBYE, goodbye).await;
}

/// Why one direction stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stopped {
    /// One side closed or broke off.
    Closed,
    /// The access was ended, and the direction stands between two frames.
    Ended,
    /// The access was ended, but neither direction came to the end of a frame in time.
    Stuck,
}

/// Resolves when an ended access should have come to its end.
async fn overdue(exchange: &Exchange) {
    exchange.until_ended().await;
    tokio::time::sleep(GOODBYE).await;
}

/// Copies one direction until a side closes or the access is ended; then up to the next frame boundary.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    frames: &RefCell<Frames>,
    exchange: &Exchange,
    count: impl Fn(u64),
) -> Stopped {
    let mut chunk = vec![0; CHUNK_BYTES];
    // One for all frames: each that waits anew would enter its name anew.
    let mut ending = std::pin::pin!(exchange.until_ended());
    loop {
        let ended = exchange.ended().is_some();
        if ended && frames.borrow().at_boundary() {
            return Stopped::Ended;
        }
        let read = tokio::select! {
            biased;
            read = from.read(&mut chunk) => read,
            _why = &mut ending, if !ended => continue,
        };
        let Ok(length @ 1..) = read else { return Stopped::Closed };
        let bytes = chunk.get(..length).unwrap_or_default();
        let boundary = frames.borrow_mut().advance(bytes);
        let (bytes, stops_here) = match (exchange.ended(), boundary) {
            (Some(_), Some(boundary)) => (bytes.get(..boundary).unwrap_or_default(), true),
            (Some(_), None) | (None, _) => (bytes, false),
        };
        if to.write_all(bytes).await.is_err() || to.flush().await.is_err() {
            return Stopped::Closed;
        }
        count(bytes.len() as u64);
        if stops_here {
            *frames.borrow_mut() = Frames::default();
            return Stopped::Ended;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_value_is_that_of_rfc_6455() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept_of(&key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn the_answer_of_a_strictly_shielded_app_tells_nothing_of_its_makers_when_a_tunnel_opens_either() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        let mut fields = HeaderMap::new();
        for (name, value) in
            [("server", "Apache/1.3"), ("access-control-allow-origin", "*"), ("sec-websocket-protocol", "chat")]
        {
            fields.insert(name, HeaderValue::from_static(value));
        }
        let strict = Shield { strict_headers: true, ..Shield::default() };
        for switch in [Switch::WebSocket, Switch::WebSocketOverHttp2] {
            let answer = client_answer(fields.clone(), &key, switch, Some(&strict));
            for gone in ["server", "access-control-allow-origin"] {
                assert!(!answer.headers().contains_key(gone), "{gone}");
            }
            assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
            let as_before = client_answer(fields.clone(), &key, switch, None);
            assert_eq!(as_before.headers()["server"], "Apache/1.3");
        }
        let answer = client_answer(fields, &key, Switch::WebSocket, Some(&strict));
        assert_eq!(answer.headers()[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
