//! HTTP on one client connection: HTTP/1.1 by [`crate::http1`], HTTP/2 by hyper with our limits; and the connection's end
//! when it is asked to.

use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use config::Limits;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::spawn_local;
use tokio::time::Instant;

use crate::body::ResponseBody;
use crate::client_body::ClientBody;
use crate::connection::Connection;
use crate::exchange::How;
use crate::head::HeadProblem;
use crate::http1::{self, Answers, Bounds, LINE_BYTES, Line, Source};
use crate::serve::{serve, unreadable};
use crate::tls::ClientStream;
use crate::worker::Worker;

/// Flow-control window of one HTTP/2 stream, in bytes: enough for a fast local network, bounded for memory.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// Flow-control window of one HTTP/2 connection, in bytes.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// How much of an answer may wait to be sent on one HTTP/2 stream, in bytes.
const STREAM_SEND_BYTES: usize = 256 * 1024;
/// How long a connection may take to end when asked to end gracefully, at least.
const GRACE_MIN: Duration = Duration::from_secs(30);

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

/// Serves one connection to its end. The stream stands once in memory, and so does whatever drives it: a future that is
/// handed on by value is kept in both hands.
pub fn serve_connection(
    worker: Rc<Worker>,
    connection: Rc<Connection>,
    stream: ClientStream,
    is_http2: bool,
) -> Pin<Box<dyn Future<Output = ()>>> {
    match is_http2 {
        true => Box::pin(serve_http2(worker, connection, stream)),
        false => Box::pin(serve_http1(worker, connection, Line::new(stream))),
    }
}

async fn serve_http1(worker: Rc<Worker>, connection: Rc<Connection>, line: Rc<Line>) {
    let _in_book = worker.connections.enter(Rc::clone(&connection));
    let (bounds, end_within) = {
        let limits = &worker.gate.snapshot.load().config.limits;
        (Bounds { bytes_max: limits.head_bytes_max, fields_max: limits.headers_max }, end_within(limits))
    };
    let answers = Door { worker, connection: Rc::clone(&connection) };
    let serving = pin!(http1::serve(&line, &connection.vitals, bounds, &answers));
    let end = |_: Pin<&mut _>, how| match how {
        How::Soon => line.end_soon(),
        How::Gracefully | How::Now => line.end(),
    };
    until_cut(serving, &connection, end_within, end).await;
    line.close();
}

/// How long a connection may take to end when asked to end gracefully.
fn end_within(limits: &Limits) -> Duration {
    limits.drain_timeout.max(GRACE_MIN)
}

/// Answers what comes over HTTP/1.
struct Door {
    worker: Rc<Worker>,
    connection: Rc<Connection>,
}

impl Answers for Door {
    type Body = ResponseBody;

    async fn answer(&self, request: Request<ClientBody>) -> (Response<ResponseBody>, Source) {
        let response = serve(&self.worker, &self.connection, request).await;
        let source = if response.body().is_own() { Source::Here } else { Source::App };
        (response, source)
    }

    async fn refuse(&self, problem: HeadProblem) -> Response<ResponseBody> {
        unreadable(&self.worker, &self.connection, problem).await
    }

    fn date(&self) -> [u8; LINE_BYTES] {
        self.worker.dates.line(self.worker.gate.clock.now())
    }
}

fn serve_http2(worker: Rc<Worker>, connection: Rc<Connection>, stream: ClientStream) -> impl Future<Output = ()> {
    let in_book = worker.connections.enter(Rc::clone(&connection));
    let snapshot = worker.gate.snapshot.load_full();
    let limits = &snapshot.config.limits;
    let service = {
        let connection = Rc::clone(&connection);
        service_fn(move |request: Request<Incoming>| {
            answer(Rc::clone(&worker), Rc::clone(&connection), request.map(ClientBody::Hyper))
        })
    };
    let serving = http2::Builder::new(OnThisThread)
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(STREAM_SEND_BYTES)
        .enable_connect_protocol()
        .serve_connection(TokioIo::new(stream), service);
    let (mut serving, end_within) = (Box::pin(serving), end_within(limits));
    async move {
        let _in_book = in_book;
        let end = |serving: Pin<&mut http2::Connection<_, _, _>>, _| serving.graceful_shutdown();
        if let Some(Err(error)) = until_cut(serving.as_mut(), &connection, end_within, end).await {
            tracing::debug!(%error, address = %connection.address, "connection ended");
        }
    }
}

/// Runs a connection until it ends by itself or is cut.
async fn until_cut<C: Future>(
    mut serving: Pin<&mut C>,
    connection: &Connection,
    end_within: Duration,
    end_gracefully: impl Fn(Pin<&mut C>, How),
) -> Option<C::Output> {
    let mut deadline = None;
    loop {
        let overdue = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            ended = serving.as_mut() => return Some(ended),
            how = connection.cut.asked() => match how {
                How::Now => return None,
                How::Soon | How::Gracefully => {
                    end_gracefully(serving.as_mut(), how);
                    deadline.get_or_insert_with(|| Instant::now() + end_within);
                }
            },
            () = overdue => return None,
        }
    }
}

/// Answers one request over HTTP/2; never fails.
async fn answer(
    worker: Rc<Worker>,
    connection: Rc<Connection>,
    request: Request<ClientBody>,
) -> Result<Response<ResponseBody>, std::convert::Infallible> {
    let is_head = request.method() == http::Method::HEAD;
    let response = serve(&worker, &connection, request).await;
    if is_head && response.body().is_own() {
        // hyper leaves the body of an answer to HEAD out on HTTP/1 only.
        return Ok(response.map(|_| ResponseBody::own(Bytes::new())));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of the future that a function returns, without calling it.
    fn future_bytes<A, B, C, F>(_function: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_that_is_asked_nothing_takes_little() {
        let bytes = future_bytes(serve_http1);
        assert!(bytes <= 1024, "{bytes} bytes are held for every connection");
    }

    #[test]
    fn the_future_of_an_ordinary_request_stays_small() {
        let bytes = future_bytes(answer);
        assert!(bytes <= 8 * 1024, "{bytes} bytes are moved for every request");
    }
}
