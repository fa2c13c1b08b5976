//! HTTP/1.1 towards upstreams (RFC 9112): one connection, one exchange at a time, driven by whoever waits for it.
//!
//! Why not hyper's client: it runs a task of its own for each connection, and handing every request and answer to and
//! from it cost a seventh of what a small request takes (docs/decisions/0025). Heads are parsed by `httparse`, as hyper
//! does. Whatever an answer could be read as in two ways is refused here, before any of it is passed on.
//! Deliberately not here: protocol switches (`upstream/websocket.rs`), HTTP/2, choosing a server.

mod answer;
mod head;
mod transport;
mod upload;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::BytesMut;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;

pub use answer::AnswerBody;
pub use transport::Transport;
use upload::Upload;

use crate::body::RequestBody;
use crate::headers::Told;
use head::Parsed;

/// Room for a head that is to be read.
const HEAD_ROOM: usize = 8 * 1024;
/// The largest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How many informational answers (RFC 9110 section 15.2) may come before the answer.
const INFORMATIONAL_MAX: usize = 16;

/// A connection to an upstream, between two exchanges.
#[derive(Debug)]
pub struct Connection {
    io: Rc<RefCell<Transport>>,
    /// What was read and not yet taken.
    buffer: BytesMut,
    /// Where heads are written before they are sent.
    scratch: Vec<u8>,
    /// Whether an exchange was done on it before.
    used: bool,
}

/// Why an exchange did not come about.
#[derive(Debug)]
pub enum Problem {
    /// The server saw nothing of the request, or closed the connection before it could have looked at it: the request
    /// is in its place, and may be sent again.
    NotSent(String),
    /// The request was on its way; nobody knows what became of it.
    Broken(String),
    /// The request's body ended before its end.
    Upload(crate::body::BodyProblem),
}

impl Connection {
    /// A connection that was just opened.
    pub fn new(io: Transport) -> Self {
        Self { io: Rc::new(RefCell::new(io)), buffer: BytesMut::new(), scratch: Vec::with_capacity(1024), used: false }
    }

    /// Whether it can be used: open, and with nothing to read that nobody asked for.
    pub fn is_quiet(&mut self) -> bool {
        if !self.buffer.is_empty() {
            return false;
        }
        let mut byte = [0];
        let mut byte = tokio::io::ReadBuf::new(&mut byte);
        // A task that used up its share of a turn would be told "nothing yet" whatever there is.
        let look = poll_fn(|cx| self.io.borrow_mut().poll_read(cx, &mut byte));
        let look = std::pin::pin!(tokio::task::coop::unconstrained(look));
        look.poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// Sends a request and reads the head of its answer. Without a body the request stays in its place, so that it can
    /// be sent elsewhere. Dropping the future closes the connection.
    ///
    /// # Errors
    /// [`Problem`]; the connection is closed then.
    pub async fn exchange(
        mut self,
        request: &mut Option<Request<RequestBody>>,
        told: &Told,
    ) -> Result<Response<AnswerBody>, Problem> {
        let Some(asked) = request.as_ref() else { return Err(Problem::NotSent("nothing to send".to_owned())) };
        let method = asked.method().clone();
        let has_body = !asked.body().is_end_stream();
        let written =
            head::write(&mut self.scratch, asked, told).map_err(|reason| Problem::NotSent(reason.to_owned()))?;
        self.write_head().await?;
        let upload = match request.take_if(|_| has_body) {
            Some(request) => Some(Upload::start(Rc::clone(&self.io), request.into_body(), written.length)),
            None => None,
        };
        let may_repeat = self.used && upload.is_none() && is_idempotent(&method);
        let parsed = self.read_answer(upload.as_ref(), may_repeat).await?;
        self.used = true;
        // The request's map is not needed any more: its memory serves the answer.
        let map = request.take().map_or_else(HeaderMap::new, |request| request.into_parts().0.headers);
        parsed
            .into_response(map, &method, written.used_once, self, upload)
            .map_err(|reason| Problem::Broken(reason.to_owned()))
    }

    async fn write_head(&self) -> Result<(), Problem> {
        let mut rest = self.scratch.as_slice();
        let written = poll_fn(|cx| {
            while !rest.is_empty() {
                match ready!(self.io.borrow_mut().poll_write(cx, rest)) {
                    Ok(0) => return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero))),
                    Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            Poll::Ready(Ok(()))
        });
        // Part of it may be with the server, but no whole request is.
        written.await.map_err(|error| Problem::NotSent(error.to_string()))?;
        let flushed = poll_fn(|cx| self.io.borrow_mut().poll_flush(cx)).await;
        flushed.map_err(|error| Problem::Broken(error.to_string()))
    }

    /// Reads until the head of the answer proper.
    async fn read_answer(&mut self, upload: Option<&Upload>, may_repeat: bool) -> Result<Parsed, Problem> {
        let mut seen_any = false;
        for _ in 0..INFORMATIONAL_MAX {
            let parsed = loop {
                match head::parse(&mut self.buffer) {
                    Ok(Some(parsed)) => break parsed,
                    Ok(None) if self.buffer.len() > HEAD_BYTES_MAX => {
                        return Err(Problem::Broken("the head of its answer is too large".to_owned()));
                    }
                    Ok(None) => {}
                    Err(reason) => return Err(Problem::Broken(reason.to_owned())),
                }
                self.buffer.reserve(HEAD_ROOM);
                let read = poll_fn(|cx| {
                    if let Some(problem) = upload.and_then(|upload| upload.problem(cx)) {
                        return Poll::Ready(Err(Problem::Upload(problem)));
                    }
                    poll_fill(&self.io, &mut self.buffer, cx).map_err(|error| Problem::Broken(error.to_string()))
                });
                match read.await {
                    Ok(0) | Err(Problem::Broken(_)) if may_repeat && !seen_any && self.buffer.is_empty() => {
                        return Err(Problem::NotSent("the waiting connection was closed".to_owned()));
                    }
                    Ok(0) => return Err(Problem::Broken("it closed the connection without an answer".to_owned())),
                    Ok(_) => seen_any = true,
                    Err(problem) => return Err(problem),
                }
            };
            let informational = parsed.status.is_informational() && parsed.status != StatusCode::SWITCHING_PROTOCOLS;
            if !informational {
                return Ok(parsed);
            }
        }
        Err(Problem::Broken("it never comes to its answer".to_owned()))
    }
}

/// Reads once into a buffer with room. `Ok(0)` at the end of the stream.
fn poll_fill(io: &RefCell<Transport>, buffer: &mut BytesMut, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    use tokio::io::AsyncReadExt as _;
    let mut io = io.borrow_mut();
    let mut read = std::pin::pin!(io.read_buf(buffer));
    Pin::new(&mut read).poll(cx)
}

/// Methods that may be repeated when a waiting connection was closed under the request (RFC 9110 section 9.2.2), and
/// that change nothing.
fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests;
