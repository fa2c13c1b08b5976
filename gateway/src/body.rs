//! Bodies on their way: counted, streamed with back-pressure, never held. The answer's body carries the receipt of its
//! record, so that the last byte, a hang-up or a revocation closes the record.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use audit::End;
use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use identity::Session;
use policy::Side;
use tokio::sync::mpsc;

use crate::client_body::ClientBody;
use crate::exchange::{Ended, Exchange, Half, InBook, OpenBook};
use crate::headers;
use crate::patients::{Lookout, Watched};
use crate::snapshot::AppRoute;
use crate::telemetry::Trace;
use crate::upstream::http1::AnswerBody;
use crate::upstream::pool::Home;
use crate::vitals::OpenExchange;

/// How much of a body made here is given at once: an answer is over when its client took it, not when it was made.
const PIECE_BYTES: usize = 64 * 1024;

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyProblem {
    /// The peer or the upstream broke off.
    #[error("the body broke off: {0}")]
    Broken(hyper::Error),
    /// The client broke off its request, or sent what cannot be read.
    #[error("the request broke off: {0}")]
    BrokenRequest(std::io::Error),
    /// The upstream's answer broke off, or could not be read.
    #[error("the answer broke off: {0}")]
    BrokenAnswer(std::io::Error),
    /// The body has fewer bytes than its head announced.
    #[error("the body is shorter than announced")]
    TooShort,
    /// The body has more bytes than its head announced.
    #[error("the body is longer than announced")]
    TooLong,
    /// The access was ended.
    #[error("the access was ended")]
    Ended,
    /// The body is larger than the app takes.
    #[error("the body is larger than {0} bytes")]
    TooLarge(u64),
}

/// A request body on its way to an upstream.
#[derive(Debug)]
pub struct RequestBody {
    inner: Option<ClientBody>,
    exchange: Rc<Exchange>,
    /// The app it goes to: its bound, and the fields that only the gateway may send it.
    route: Option<Arc<AppRoute>>,
    /// Who looks at what passes.
    lookout: Option<Rc<Lookout>>,
}

impl RequestBody {
    /// Wraps a client's body; more than the app takes breaks it off.
    pub fn new(inner: ClientBody, exchange: Rc<Exchange>, route: Arc<AppRoute>, lookout: Option<Rc<Lookout>>) -> Self {
        if inner.is_end_stream() {
            exchange.request_done.set(true);
        }
        Self { inner: Some(inner), exchange, route: Some(route), lookout }
    }

    /// Whether only well-known fields reach the app.
    fn is_strict(&self) -> bool {
        self.route.as_ref().and_then(|route| route.app.shield.as_ref()).is_some_and(|shield| shield.strict_headers)
    }

    /// No body at all.
    pub fn empty(exchange: Rc<Exchange>) -> Self {
        exchange.request_done.set(true);
        Self { inner: None, exchange, route: None, lookout: None }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyProblem;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyProblem>>> {
        if self.exchange.ended().is_some() || self.exchange.over.get() {
            return Poll::Ready(Some(Err(BodyProblem::Ended)));
        }
        let Some(inner) = self.inner.as_mut() else { return Poll::Ready(None) };
        let polled = Pin::new(inner).poll_frame(cx);
        if polled.is_pending() {
            self.exchange.waits(Half::Request, cx);
            return Poll::Pending;
        }
        self.exchange.request_moved();
        match ready!(polled) {
            Some(Ok(mut frame)) => {
                if frame.is_trailers() && self.is_strict() {
                    // Well-known fields stand in heads: a strictly shielded app is sent no others.
                    return self.poll_frame(cx);
                }
                if let Some(trailers) = frame.trailers_mut() {
                    let declared = self.route.iter().flat_map(|route| &route.identity_headers);
                    headers::trailers_towards_upstream(trailers, declared.map(|(name, _)| name));
                }
                self.exchange.client_acted.set(true);
                if let (Some(lookout), Some(data)) = (&self.lookout, frame.data_ref()) {
                    lookout.see(Side::Request, data);
                }
                let arrived = frame.data_ref().map_or(0, |data| data.len() as u64);
                let total = self.exchange.bytes_in.get().saturating_add(arrived);
                self.exchange.bytes_in.set(total);
                match self.route.as_ref().and_then(|route| route.app.body_bytes_max) {
                    Some(most) if total > most => Poll::Ready(Some(Err(BodyProblem::TooLarge(most)))),
                    Some(_) | None => Poll::Ready(Some(Ok(frame))),
                }
            }
            Some(Err(problem)) => Poll::Ready(Some(Err(problem))),
            None => {
                self.exchange.request_done.set(true);
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(|inner| {
            let ended = inner.is_end_stream();
            if ended {
                self.exchange.request_done.set(true);
            }
            ended
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// An answer's body on its way to the client.
#[derive(Debug)]
pub struct ResponseBody {
    source: Source,
    record: Option<Record>,
    /// The exchange, where the request's body may still be on its way.
    exchange: Option<Rc<Exchange>>,
    /// Counts the exchange on its connection until the body is gone. Dropped after the record is closed.
    open: Option<OpenExchange>,
    /// The trace that ends with it. Last field: dropped after all else.
    trace: Option<Rc<Trace>>,
}

#[derive(Debug)]
enum Source {
    /// Made here.
    Own(Option<Bytes>),
    /// From an upstream.
    Upstream { body: UpstreamBody, ends_cleanly: bool },
}

/// The body of an upstream's answer.
#[derive(Debug)]
pub enum UpstreamBody {
    /// From an HTTP/1.1 upstream, and where its connection may wait afterwards.
    Http1(AnswerBody, Home),
    /// By way of hyper: from an HTTP/2 upstream, or to a WebSocket handshake that was declined.
    Hyper(Incoming),
    /// A file of a server, on its way from there.
    File(FileBody),
    /// Read to its end, or broken off.
    Gone,
}

/// A file of a server, piece by piece.
#[derive(Debug)]
pub struct FileBody {
    pieces: mpsc::Receiver<Bytes>,
    left: u64,
}

impl FileBody {
    /// A file of so many bytes.
    pub fn new(pieces: mpsc::Receiver<Bytes>, bytes: u64) -> Self {
        Self { pieces, left: bytes }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyProblem>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let Some(piece) = ready!(self.pieces.poll_recv(cx)) else {
            return Poll::Ready(Some(Err(BodyProblem::TooShort)));
        };
        self.left = self.left.saturating_sub(piece.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl UpstreamBody {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyProblem>>> {
        match self {
            Self::Http1(body, _) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(BodyProblem::BrokenAnswer)))
            }
            Self::Hyper(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(BodyProblem::Broken)))
            }
            Self::File(body) => body.poll(cx),
            Self::Gone => Poll::Ready(None),
        }
    }

    /// Whether nothing of it is to come.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Http1(body, _) => body.is_end_stream(),
            Self::Hyper(body) => body.is_end_stream(),
            Self::File(body) => body.left == 0,
            Self::Gone => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body, _) => body.size_hint(),
            Self::Hyper(body) => body.size_hint(),
            Self::File(body) => SizeHint::with_exact(body.left),
            Self::Gone => SizeHint::with_exact(0),
        }
    }

    /// Lets the connection wait for another exchange, where this one came to its end on both sides.
    fn give_back(&mut self) {
        if let Self::Http1(body, home) = std::mem::replace(self, Self::Gone)
            && let Some(connection) = body.into_connection()
        {
            home.take_back(connection);
        }
    }
}

/// What closes the record when the body ends.
#[derive(Debug)]
pub struct Record {
    /// The proof that the access was recorded, and who looks at it.
    pub receipt: Watched,
    /// The exchange.
    pub exchange: Rc<Exchange>,
    /// The status that was answered.
    pub status: StatusCode,
    /// Its place in the book of long exchanges.
    pub in_book: Option<InBook>,
    /// Enters it in the book when it turns out to take long.
    pub enter: Option<Enter>,
}

/// Enters an exchange in the worker's book, on first need.
#[derive(Debug)]
pub struct Enter {
    /// The worker's book.
    pub book: Rc<OpenBook>,
    /// The session it runs in.
    pub session: Option<Arc<Session>>,
}

impl Enter {
    /// Enters it.
    pub fn enter(self, exchange: &Rc<Exchange>, receipt: &Watched) -> InBook {
        let permit = receipt.permit();
        self.book.enter(Rc::clone(exchange), self.session, permit.access().clone())
    }
}

impl Record {
    fn close(self, end: End) {
        let end = match self.exchange.ended() {
            Some(Ended::Judged(reason) | Ended::Gone(reason)) => End::Revoked(reason),
            Some(Ended::Stalled) => End::ClientGone,
            Some(Ended::Stopped) => End::Stopped,
            None => end,
        };
        let outcome = self.exchange.outcome(self.status, end);
        self.receipt.close(outcome, &self.exchange);
    }
}

impl ResponseBody {
    /// A body made here, without a record of its own.
    pub fn own(bytes: Bytes) -> Self {
        Self {
            source: Source::Own((!bytes.is_empty()).then_some(bytes)),
            record: None,
            exchange: None,
            open: None,
            trace: None,
        }
    }

    /// A body made here whose end closes a record.
    pub fn own_recorded(bytes: Bytes, record: Record) -> Self {
        let mut body = Self::own(bytes);
        body.record = Some(record);
        body.close_if_over();
        body
    }

    /// An upstream's body. `ends_cleanly` says that ending it early is an orderly end (event streams).
    pub fn upstream(body: UpstreamBody, ends_cleanly: bool, record: Record) -> Self {
        let exchange = Some(Rc::clone(&record.exchange));
        let source = Source::Upstream { body, ends_cleanly };
        let mut body = Self { source, record: Some(record), exchange, open: None, trace: None };
        body.close_if_over();
        body
    }

    /// Counts the body as an open exchange of its connection.
    pub fn counted(mut self, open: OpenExchange) -> Self {
        self.open = Some(open);
        self
    }

    /// Lets a trace end with it.
    pub fn traced(mut self, trace: Rc<Trace>) -> Self {
        self.trace = Some(trace);
        self
    }

    /// The bytes of a body made here, without a record.
    pub fn into_own(mut self) -> Option<Bytes> {
        match &mut self.source {
            Source::Own(bytes) => bytes.take(),
            Source::Upstream { .. } => None,
        }
    }

    /// Whether it was made here.
    pub fn is_own(&self) -> bool {
        matches!(self.source, Source::Own(_))
    }

    fn close_if_over(&mut self) {
        if self.is_end_stream() || self.is_all_there() {
            self.finish();
        }
    }

    /// Whether every announced byte came, though an HTTP/2 upstream may say only later that this was the end: a client
    /// over HTTP/1 is not made to wait for that.
    fn is_all_there(&self) -> bool {
        matches!(&self.source, Source::Upstream { body: UpstreamBody::Hyper(body), .. } if body.size_hint().exact() == Some(0))
    }

    fn finish(&mut self) {
        let Some(record) = self.record.take() else { return };
        if let Source::Upstream { body, .. } = &mut self.source
            && record.exchange.request_done.get()
        {
            body.give_back();
        }
        record.close(End::Served);
    }

    fn break_off(&mut self, end: End) {
        if let Source::Upstream { body, .. } = &mut self.source {
            // Dropped, so that its connection closes.
            *body = UpstreamBody::Gone;
        }
        if let Some(record) = self.record.take() {
            record.close(end);
        }
    }

    /// Enters the exchange in the book of those that take long, once.
    fn takes_long(&mut self) {
        if let Some(record) = &mut self.record
            && let Some(enter) = record.enter.take()
        {
            record.in_book = Some(enter.enter(&record.exchange, &record.receipt));
        }
    }

    fn wait(&mut self, cx: &Context<'_>) {
        self.takes_long();
        if let Some(record) = &self.record {
            record.exchange.waits(Half::Response, cx);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyProblem;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyProblem>>> {
        let this = &mut *self;
        let ended = this.record.as_ref().is_some_and(|record| record.exchange.ended().is_some());
        let (body, ends_cleanly) = match &mut this.source {
            Source::Own(bytes) => {
                let Some(mut rest) = bytes.take() else { return Poll::Ready(None) };
                let piece = rest.split_to(rest.len().min(PIECE_BYTES));
                *bytes = (!rest.is_empty()).then_some(rest);
                if let Some(record) = &this.record {
                    let sent = &record.exchange.bytes_out;
                    sent.set(sent.get().saturating_add(piece.len() as u64));
                }
                if this.is_end_stream() {
                    this.finish();
                }
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            Source::Upstream { body, ends_cleanly, .. } => (body, *ends_cleanly),
        };
        if ended {
            this.break_off(End::Served);
            return Poll::Ready((!ends_cleanly).then_some(Err(BodyProblem::Ended)));
        }
        let polled = body.poll(cx);
        if polled.is_pending() {
            this.wait(cx);
            return Poll::Pending;
        }
        match ready!(polled) {
            Some(Ok(mut frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    headers::trailers_towards_client(trailers);
                    if let Some(lookout) = this.record.as_ref().and_then(|record| record.receipt.lookout()) {
                        lookout.see_fields(trailers);
                    }
                }
                if let (Some(record), Some(data)) = (&this.record, frame.data_ref()) {
                    // A download that moves is in use; what an endless stream sends by itself is not.
                    if !record.exchange.endless.get() {
                        record.exchange.client_acted.set(true);
                    }
                    if let Some(lookout) = record.receipt.lookout() {
                        lookout.see(Side::Answer, data);
                    }
                    let sent = &record.exchange.bytes_out;
                    sent.set(sent.get().saturating_add(data.len() as u64));
                }
                if this.is_end_stream() || this.is_all_there() {
                    this.finish();
                } else {
                    this.takes_long();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(problem)) => {
                this.break_off(End::UpstreamFailed);
                Poll::Ready(Some(Err(problem)))
            }
            None => {
                this.finish();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own(bytes) => bytes.is_none(),
            Source::Upstream { body, .. } => body.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Source::Upstream { body, .. } => body.size_hint(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.break_off(End::ClientGone);
        if let Some(exchange) = &self.exchange
            && !exchange.request_done.get()
        {
            // Nobody is judged or counted for what would still be sent.
            exchange.let_go();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use http_body_util::BodyExt as _;

    use super::*;
    use crate::vitals::{Health, Vitals};

    #[tokio::test]
    async fn a_large_page_holds_its_connection_until_its_last_piece_was_taken() {
        const SECOND: Duration = Duration::from_secs(1);
        let vitals = Vitals::new(Instant::now());
        let health = || vitals.health(Instant::now() + 5 * SECOND, SECOND, SECOND);
        let page = Bytes::from(vec![b'x'; 2 * PIECE_BYTES + 1]);
        let mut body = ResponseBody::own(page.clone()).counted(vitals.begin_exchange());
        let mut taken = Vec::new();
        while !body.is_end_stream() {
            assert_eq!(health(), Health::Fine);
            assert_eq!(body.size_hint().exact(), Some((page.len() - taken.len()) as u64));
            let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(piece.len() <= PIECE_BYTES);
            taken.extend_from_slice(&piece);
        }
        assert!(body.frame().await.is_none());
        assert_eq!(taken, page);
        drop(body);
        assert_eq!(health(), Health::Idle);
    }
}
