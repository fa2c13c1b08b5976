//! HTTP/1.1 and HTTP/2 on one client connection: hyper with our limits, and the connection's end when it is asked to.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use audit::{Event, Note};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Version, header};
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio_rustls::server::TlsStream;

use crate::body::ResponseBody;
use crate::connection::Connection;
use crate::exchange::How;
use crate::serve::serve;
use crate::vitals::Tapped;
use crate::worker::Worker;

/// Flow-control window of one HTTP/2 stream, in bytes: enough for a fast local network, bounded for memory.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// Flow-control window of one HTTP/2 connection, in bytes.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// How much of an answer may wait to be sent on one HTTP/2 stream, in bytes.
const STREAM_SEND_BYTES: usize = 256 * 1024;
/// How long a connection may take to end when asked to end gracefully, at least.
const GRACE_MIN: Duration = Duration::from_secs(30);
/// How long a connection whose answer was cut may take to close TLS.
const GOODBYE: Duration = Duration::from_millis(400);

/// Spawns on the worker's own thread.
#[derive(Clone, Copy, Debug)]
pub struct OnThisThread;

impl<F: Future + 'static> hyper::rt::Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        // Owned by the connection: hyper's tasks end with it.
        drop(spawn_local(async move {
            future.await;
        }));
    }
}

/// Serves one connection to its end.
pub async fn serve_connection(
    worker: Rc<Worker>,
    connection: Rc<Connection>,
    stream: TlsStream<TcpStream>,
    is_http2: bool,
) {
    let _in_book = worker.connections.enter(Rc::clone(&connection));
    let limits = worker.gate.snapshot.load().config.limits.clone();
    let grace = limits.drain_timeout.max(GRACE_MIN);
    let io = TokioIo::new(Tapped::new(stream, connection.vitals.clone()));
    let service = {
        let (worker, connection) = (Rc::clone(&worker), Rc::clone(&connection));
        service_fn(move |request: Request<Incoming>| answer(Rc::clone(&worker), Rc::clone(&connection), request))
    };
    let result = if is_http2 {
        let serving = http2::Builder::new(OnThisThread)
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams_max)
            .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(STREAM_SEND_BYTES)
            .enable_connect_protocol()
            .serve_connection(io, service);
        until_cut(serving, &connection, grace, |serving| serving.graceful_shutdown()).await
    } else {
        let mut serving = http1::Builder::new()
            .timer(TokioTimer::new())
            // The worker's sweeper watches slow heads and idle connections, without a timer a request.
            .header_read_timeout(None)
            .max_headers(limits.headers_max)
            .max_header_size(limits.head_bytes_max)
            .pipeline_flush(false)
            .half_close(false)
            .serve_connection(io, service)
            .with_upgrades();
        let result = until_cut(&mut serving, &connection, grace, |serving| {
            Pin::new(&mut **serving.get_mut()).graceful_shutdown();
        })
        .await;
        if result.as_ref().is_err_and(hyper::Error::is_user) && !connection.is_of_http_1_0.get() {
            // An answer was cut, as its length or its missing last chunk shows: TLS ends in good order all the same.
            say_goodbye(serving.into_parts().map(|parts| parts.io.into_inner())).await;
        }
        result
    };
    if let Err(error) = result {
        note_broken(&worker, &connection, &error).await;
    }
}

/// Runs a connection until it ends by itself or is cut.
async fn until_cut<C: Future<Output = hyper::Result<()>>>(
    serving: C,
    connection: &Connection,
    grace: Duration,
    end_gracefully: impl Fn(std::pin::Pin<&mut C>),
) -> hyper::Result<()> {
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        result = serving.as_mut() => return result,
        how = connection.cut.asked() => match how {
            How::Now => return Ok(()),
            How::Gracefully => end_gracefully(serving.as_mut()),
        },
    }
    tokio::select! {
        result = serving.as_mut() => result,
        () = cut_now(connection) => Ok(()),
        () = tokio::time::sleep(grace) => Ok(()),
    }
}

/// Closes TLS, so that what was sent is not thrown away at the other end.
async fn say_goodbye(stream: Option<impl AsyncWrite + Unpin>) {
    let Some(mut stream) = stream else { return };
    // A peer that does not listen any more needs no goodbye.
    let _sent = tokio::time::timeout(GOODBYE, stream.shutdown()).await;
}

async fn cut_now(connection: &Connection) {
    while connection.cut.asked().await != How::Now {}
}

/// Answers one request; never fails.
async fn answer(
    worker: Rc<Worker>,
    connection: Rc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, std::convert::Infallible> {
    let is_http1 = request.version() < Version::HTTP_2;
    if request.version() == Version::HTTP_10 {
        connection.is_of_http_1_0.set(true);
    }
    let is_head = request.method() == http::Method::HEAD;
    let has_body = !request.body().is_end_stream();
    let mut response = serve(&worker, &connection, request).await;
    if !response.body().is_own() {
        return Ok(response);
    }
    if is_head {
        // hyper leaves the body of an answer to HEAD out on HTTP/1 only.
        response = response.map(|_| ResponseBody::own(Bytes::new()));
    }
    if is_http1 && (has_body || response.status() == http::StatusCode::BAD_REQUEST) {
        // What was not read to its end, or could be read in two ways, leaves a connection nobody can trust.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// Records a request that hyper itself refused, having answered it: a head that cannot be parsed or is too large.
async fn note_broken(worker: &Worker, connection: &Connection, error: &hyper::Error) {
    if !error.is_parse() {
        tracing::debug!(%error, address = %connection.address, "connection ended");
        return;
    }
    worker.gate.metrics.bad.inc();
    // A flood must not fill the log.
    if worker.gate.limiter.address(connection.address).is_err() {
        return;
    }
    let at = worker.gate.clock.now();
    let code = if error.is_parse_too_large() { "head-too-large" } else { "head-unreadable" };
    let mut note = Note::new(Event::BadRequest, at).code(code);
    note.address = Some(connection.address);
    note.zone = Some(connection.zone.clone());
    note.host = Some(connection.server_name.clone());
    note.certificate = connection.certificate;
    if let Err(problem) = worker.recorder.note(note).await {
        tracing::error!(%problem, "a refused request could not be recorded");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of the future that a function returns, without calling it.
    fn future_bytes<A, B, C, F>(_function: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_future_of_an_ordinary_request_stays_small() {
        let bytes = future_bytes(answer);
        assert!(bytes <= 8 * 1024, "{bytes} bytes are moved for every request");
    }
}
