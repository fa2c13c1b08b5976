//! The line to one client: its bytes, and what the request's body, its answer and the connection's loop tell each other.
//! One of them reads at a time and one of them writes.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::BytesMut;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::tls::ClientStream;

/// What tells a client that waits to be told to send its body (RFC 9110 section 15.2.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The line to one client.
#[derive(Debug)]
pub struct Line {
    wire: RefCell<Wire>,
    /// Whether the body of the request that is served was read to its end.
    ///
    /// Invariant: a head is read only while it is set, so that no byte of a body is taken for a head, and no body that
    /// somebody still holds reads bytes of another request.
    arrived: Cell<bool>,
    /// What of [`CONTINUE`] is still to be sent, where the client waits for it.
    due: Cell<&'static [u8]>,
    /// Whether it was begun to be sent, and may not have left yet.
    is_due_begun: Cell<bool>,
    /// Who takes the stream over once the protocol is switched.
    switch: RefCell<Option<oneshot::Sender<Freed>>>,
    /// The connection's loop, to be woken when the body arrived.
    watcher: RefCell<Option<Waker>>,
    /// Whether no further request is to be taken.
    ending: Cell<bool>,
    /// Whether the next answer is the last.
    ending_soon: Cell<bool>,
}

struct Wire {
    /// Gone once the connection is closed or somebody took it over.
    io: Option<Box<dyn Stream>>,
    /// What was read and not yet taken.
    buffer: BytesMut,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({} bytes read)", self.buffer.len())
    }
}

/// A client's stream as this module needs it: TLS, or what tests put in its place.
pub trait Stream: AsyncBufRead + AsyncWrite + Unpin + 'static {
    /// The plain socket beneath, to let what still comes run out.
    fn socket(&mut self) -> Option<&mut TcpStream>;
}

impl Stream for ClientStream {
    fn socket(&mut self) -> Option<&mut TcpStream> {
        Some(self.get_mut().0.get_mut().get_mut())
    }
}

impl Line {
    /// A line that was just opened.
    pub fn new(io: impl Stream) -> Rc<Self> {
        Rc::new(Self {
            wire: RefCell::new(Wire { io: Some(Box::new(io)), buffer: BytesMut::new() }),
            arrived: Cell::new(true),
            due: Cell::new(&[]),
            is_due_begun: Cell::new(false),
            switch: RefCell::default(),
            watcher: RefCell::default(),
            ending: Cell::new(false),
            ending_soon: Cell::new(false),
        })
    }

    /// Begins a request; `has_body` whether one has to arrive, `expects` whether the client waits before it sends it.
    pub fn begin(&self, has_body: bool, expects: bool) {
        self.arrived.set(!has_body);
        self.due.set(if expects { CONTINUE } else { &[] });
        self.is_due_begun.set(false);
        self.switch.take();
    }

    /// Whether the request's body was read to its end.
    pub fn has_arrived(&self) -> bool {
        self.arrived.get()
    }

    /// Notes that it was.
    pub fn note_arrived(&self) {
        self.arrived.set(true);
        if let Some(watcher) = self.watcher.take() {
            watcher.wake();
        }
    }

    /// Asks the connection to take no further request.
    pub fn end(&self) {
        self.ending.set(true);
    }

    /// Asks the connection to say with its next answer that it is the last.
    pub fn end_soon(&self) {
        self.ending_soon.set(true);
    }

    /// Whether the answer that is begun now is the last.
    pub fn is_last(&self) -> bool {
        self.ending.get() || self.ending_soon.get()
    }

    /// Whether no further request is to be taken.
    pub fn is_ending(&self) -> bool {
        self.ending.get()
    }

    /// Hands what was read and not yet taken to `f`.
    pub fn with_buffer<R>(&self, f: impl FnOnce(&mut BytesMut) -> R) -> R {
        f(&mut self.wire.borrow_mut().buffer)
    }

    /// Gives back the room that what was read took, where all of it was taken: empty, it may be as large as what it held.
    pub fn give_back_buffer(&self) {
        self.with_buffer(|buffer| {
            if buffer.is_empty() {
                *buffer = BytesMut::new();
            }
        });
    }

    /// Reads what there is behind what was read already; 0 at the end of the stream.
    pub fn poll_fill(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Wire { io, buffer } = &mut *self.wire.borrow_mut();
        let Some(io) = io else { return Poll::Ready(Ok(0)) };
        let bytes = {
            let chunk = ready!(Pin::new(&mut *io).poll_fill_buf(cx))?;
            buffer.extend_from_slice(chunk);
            chunk.len()
        };
        Pin::new(io).consume(bytes);
        Poll::Ready(Ok(bytes))
    }

    /// Resolves when the client is gone while it waits for an answer. Reads no more than one piece ahead: behind a client
    /// that has sent one already, its going shows once something is written to it, or what it asked for takes too long.
    pub fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.arrived.get() {
            let mut watcher = self.watcher.borrow_mut();
            match &*watcher {
                Some(waker) if waker.will_wake(cx.waker()) => {}
                Some(_) | None => *watcher = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        if !self.wire.borrow().buffer.is_empty() {
            return Poll::Pending;
        }
        match self.poll_fill(cx) {
            Poll::Ready(Ok(1..)) | Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(()),
        }
    }

    /// Writes some of these bytes.
    pub fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut wire = self.wire.borrow_mut();
        let Some(io) = wire.io.as_mut() else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        let written = match slices {
            [one] => ready!(Pin::new(io).poll_write(cx, one)),
            several => ready!(Pin::new(io).poll_write_vectored(cx, several)),
        };
        match written {
            Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => Poll::Ready(written),
        }
    }

    /// Sends what was written.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.wire.borrow_mut().io.as_mut() {
            Some(io) => Pin::new(io).poll_flush(cx),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// Tells a client that waits for it to send its body.
    pub fn poll_continue(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.due.get().is_empty() && !self.is_due_begun.get() {
            return Poll::Ready(Ok(()));
        }
        self.is_due_begun.set(true);
        while !self.due.get().is_empty() {
            let sent = ready!(self.poll_write(cx, &[IoSlice::new(self.due.get())]))?;
            self.due.set(self.due.get().get(sent..).unwrap_or_default());
        }
        ready!(self.poll_flush(cx))?;
        self.is_due_begun.set(false);
        Poll::Ready(Ok(()))
    }

    /// Begins an answer: what must come before it, where that was begun, and never otherwise again.
    pub fn begin_answer(&self, out: &mut Vec<u8>) {
        let due = self.due.take();
        if self.is_due_begun.take() {
            out.extend_from_slice(due);
        }
    }

    /// Says who takes the stream over once the protocol is switched.
    pub fn expect_switch(&self) -> oneshot::Receiver<Freed> {
        let (sender, receiver) = oneshot::channel();
        *self.switch.borrow_mut() = Some(sender);
        receiver
    }

    /// Hands the stream to whoever waits for it.
    pub fn switch(&self) {
        let Wire { io, buffer } = &mut *self.wire.borrow_mut();
        if let (Some(io), Some(to)) = (io.take(), self.switch.take()) {
            // Nobody there to take it: it closes.
            drop(to.send(Freed { read: std::mem::take(buffer), io }));
        }
    }

    /// Closes the sending side in good order.
    pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.wire.borrow_mut().io.as_mut() {
            Some(io) => Pin::new(io).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Reads and throws away what still comes; how much, 0 at the end.
    pub fn poll_run_out(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut wire = self.wire.borrow_mut();
        let Some(socket) = wire.io.as_mut().and_then(|io| io.socket()) else { return Poll::Ready(Ok(0)) };
        let mut bytes = [0; 4096];
        let mut bytes = ReadBuf::new(&mut bytes);
        ready!(Pin::new(socket).poll_read(cx, &mut bytes))?;
        Poll::Ready(Ok(bytes.filled().len()))
    }

    /// Closes at once; whoever still holds a body of it reads no more.
    pub fn close(&self) {
        self.switch.take();
        drop(self.wire.borrow_mut().io.take());
    }
}

/// A client's stream after HTTP has let go of it, with what was read of it already.
pub struct Freed {
    read: BytesMut,
    io: Box<dyn Stream>,
}

impl fmt::Debug for Freed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Freed({} bytes read)", self.read.len())
    }
}

impl AsyncRead for Freed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, into);
        }
        let bytes = into.remaining().min(self.read.len());
        into.put_slice(&self.read.split_to(bytes));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Freed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
