//! HTTP/1.1 towards clients (RFC 9112): one connection, one request after the other, in the order they came. The bytes
//! are read once into one buffer and written from one; a small answer is one write.
//!
//! Why not hyper's server: its state machine, its channels for bodies and its copies of heads cost more than all our own
//! steps of a request, and it reads more leniently than a checkpoint may (docs/decisions/0040). What apps speak to us is
//! read with the same words for bodies ([`framing`]). Deliberately not here: what a request means (`inbound.rs`), HTTP/2,
//! deadlines of heads and idle connections (the worker's sweeper).

mod answer;
mod arrival;
mod date;
pub mod framing;
mod line;
mod request;

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body::Body;

use answer::{Asked, Sending, Sent};
pub use arrival::Arrival;
pub use date::{Dates, LINE_BYTES};
pub use framing::Framing;
pub use line::{Freed, Line};
use request::Head;
pub use request::{Bounds, take};

use crate::client_body::ClientBody;
use crate::head::HeadProblem;
use crate::vitals::Vitals;

/// How long a connection whose answer was cut may take to close.
const GOODBYE: Duration = Duration::from_millis(400);
/// For how long, and up to how many bytes, what a client still sends is read and thrown away once it was answered:
/// closed under it, the connection would be reset, and the answer might never be read (RFC 9112 section 9.6).
const RUN_OUT: Duration = Duration::from_secs(2);
const RUN_OUT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What is kept of the buffer that answers are written from, between two of them.
const KEPT_BYTES_MAX: usize = 4 * 1024;

/// Who answers requests.
pub trait Answers {
    /// The body of an answer.
    type Body: Body<Data = Bytes> + Unpin;

    /// Answers a request.
    fn answer(&self, request: Request<ClientBody>) -> impl Future<Output = (Response<Self::Body>, Source)>;

    /// Answers what is no request.
    fn refuse(&self, problem: HeadProblem) -> impl Future<Output = Response<Self::Body>>;

    /// The line of a head that says when it was written.
    fn date(&self) -> [u8; LINE_BYTES];
}

/// Where an answer comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// It was made here.
    Here,
    /// From an app.
    App,
}

/// What comes next on a connection.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and nearly always a request")]
enum Next {
    Request(Head),
    Refused(HeadProblem),
    Rest,
    Over,
}

/// How serving a connection came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ended {
    /// In good order; `unread` whether the client may still be sending.
    Done { unread: bool },
    /// An answer was cut, and it shows.
    Cut,
    /// The client is gone, or must be let go of without a word.
    Gone,
    /// Another protocol took over.
    Switched,
    /// It did not: it is asked nothing.
    Resting,
}

/// Whether anything is asked on a connection that rests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asks {
    Something,
    Nothing,
}

/// Serves a connection to its end. While it rests, it holds nothing of what serving needs.
pub async fn serve(line: &Rc<Line>, vitals: &Vitals, bounds: Bounds, answers: &impl Answers) {
    let ended = loop {
        if poll_fn(|cx| poll_asked(line, cx)).await == Asks::Nothing {
            break Ended::Done { unread: false };
        }
        vitals.wakes();
        match Box::pin(exchanges(line, vitals, bounds, answers)).await {
            Ended::Resting => line.give_back_buffer(),
            ended @ (Ended::Done { .. } | Ended::Cut | Ended::Gone | Ended::Switched) => break ended,
        }
    };
    match ended {
        Ended::Done { unread } => {
            // Whoever does not take the end is swept.
            let ended = poll_fn(|cx| line.poll_shutdown(cx)).await;
            if unread && ended.is_ok() {
                run_out(line).await;
            }
        }
        Ended::Cut => drop(tokio::time::timeout(GOODBYE, poll_fn(|cx| line.poll_shutdown(cx))).await),
        Ended::Gone | Ended::Switched | Ended::Resting => {}
    }
}

async fn exchanges(line: &Rc<Line>, vitals: &Vitals, bounds: Bounds, answers: &impl Answers) -> Ended {
    let (mut fields, mut out) = (HeaderMap::new(), Vec::new());
    loop {
        let head = match poll_fn(|cx| poll_next(line, vitals, bounds, &mut fields, cx)).await {
            Next::Request(head) => head,
            Next::Refused(problem) => return refuse(line, answers, problem, &mut out).await,
            Next::Rest => return Ended::Resting,
            Next::Over => return Ended::Done { unread: false },
        };
        let Head { request, framing, hop } = head;
        let mut asked = Asked {
            method: request.method().clone(),
            version: request.version(),
            takes_trailers: hop.takes_trailers,
            keeps_alive: hop.keeps_alive,
        };
        line.begin(!framing.is_over(), hop.expects);
        let body = match framing.is_over() && !hop.switches {
            true => ClientBody::None,
            false => ClientBody::Http1(Arrival::new(Rc::clone(line), framing)),
        };
        let answered = {
            let mut answering = pin!(answers.answer(request.map(|()| body)));
            poll_fn(|cx| match answering.as_mut().poll(cx) {
                Poll::Ready(answered) => Poll::Ready(Some(answered)),
                Poll::Pending => line.poll_gone(cx).map(|()| None),
            })
            .await
        };
        let Some((response, source)) = answered else { return Ended::Gone };
        // Behind a request that could be read in two ways, or was not read to its end, nobody knows what comes.
        let is_trusted = line.has_arrived() && response.status() != StatusCode::BAD_REQUEST;
        asked.keeps_alive &= !line.is_last() && (is_trusted || source == Source::App);
        match send(line, answers, &asked, response, &mut fields, &mut out).await {
            After::Next if line.has_arrived() && !line.is_ending() => {}
            // Of the request, or of those that were sent behind it.
            After::Next => return Ended::Done { unread: true },
            After::End(ended) => return ended,
        }
        if out.capacity() > KEPT_BYTES_MAX {
            out = Vec::new();
        }
    }
}

/// What is done behind an answer.
enum After {
    Next,
    End(Ended),
}

async fn send<A: Answers>(
    line: &Line,
    answers: &A,
    asked: &Asked,
    response: Response<A::Body>,
    fields: &mut HeaderMap,
    out: &mut Vec<u8>,
) -> After {
    let (head, body) = response.into_parts();
    line.begin_answer(out);
    let mut sending = Sending::begin(asked, &head, body, &answers.date(), out);
    let switches = head.status == StatusCode::SWITCHING_PROTOCOLS;
    // Its memory serves the next request.
    *fields = head.headers;
    fields.clear();
    let sent = poll_fn(|cx| match sending.poll(line, cx) {
        Poll::Ready(sent) => Poll::Ready(sent),
        Poll::Pending => line.poll_gone(cx).map(|()| Sent::Gone(io::ErrorKind::UnexpectedEof.into())),
    })
    .await;
    match sent {
        Sent::Whole { .. } if switches => {
            line.switch();
            After::End(Ended::Switched)
        }
        Sent::Whole { keeps_alive: true } => After::Next,
        Sent::Whole { keeps_alive: false } => After::End(Ended::Done { unread: true }),
        Sent::Cut { shows: true } => After::End(Ended::Cut),
        // Only a connection that breaks off shows that something is missing.
        Sent::Cut { shows: false } => After::End(Ended::Gone),
        Sent::Gone(error) => {
            tracing::debug!(%error, "connection ended");
            After::End(Ended::Gone)
        }
    }
}

async fn refuse(line: &Line, answers: &impl Answers, problem: HeadProblem, out: &mut Vec<u8>) -> Ended {
    let response = answers.refuse(problem).await;
    let asked = Asked { method: Method::GET, version: Version::HTTP_11, takes_trailers: false, keeps_alive: false };
    match send(line, answers, &asked, response, &mut HeaderMap::new(), out).await {
        After::Next | After::End(Ended::Done { .. }) => Ended::Done { unread: true },
        After::End(ended) => ended,
    }
}

fn poll_next(line: &Line, vitals: &Vitals, bounds: Bounds, fields: &mut HeaderMap, cx: &mut Context<'_>) -> Poll<Next> {
    loop {
        let (taken, is_begun) = line.with_buffer(|buffer| match buffer.is_empty() {
            true => (Ok(None), false),
            false => (request::take(buffer, bounds, fields), true),
        });
        if let Some(next) = taken.map(|head| head.map(Next::Request)).unwrap_or_else(|why| Some(Next::Refused(why))) {
            vitals.head_ended();
            return Poll::Ready(next);
        }
        if is_begun {
            vitals.head_begun();
        } else if line.is_ending() {
            return Poll::Ready(Next::Over);
        } else if vitals.rests() {
            return Poll::Ready(Next::Rest);
        }
        match ready!(line.poll_fill(cx)) {
            Ok(1..) => {}
            Ok(0) | Err(_) => return Poll::Ready(Next::Over),
        }
    }
}

/// Waits until something is asked, or nothing will be.
fn poll_asked(line: &Line, cx: &mut Context<'_>) -> Poll<Asks> {
    if line.with_buffer(|buffer| !buffer.is_empty()) {
        return Poll::Ready(Asks::Something);
    }
    if line.is_ending() {
        return Poll::Ready(Asks::Nothing);
    }
    Poll::Ready(match ready!(line.poll_fill(cx)) {
        Ok(1..) => Asks::Something,
        Ok(0) | Err(_) => Asks::Nothing,
    })
}

/// Reads and throws away what a client still sends, for a while.
async fn run_out(line: &Line) {
    let running = async {
        let mut bytes = 0;
        while bytes < RUN_OUT_BYTES_MAX {
            match poll_fn(|cx| line.poll_run_out(cx)).await {
                Ok(more @ 1..) => bytes += more,
                Ok(0) | Err(_) => return,
            }
        }
    };
    // Whoever sends on for longer is not waited for.
    drop(tokio::time::timeout(RUN_OUT, running).await);
}

#[cfg(test)]
mod tests;
