//! What a connection is doing, seen from its bytes: whether a head is being read, how many exchanges are open, since
//! when it stands idle. The worker's sweeper reads it; so no request pays for timers of its own.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::head::{self, HeadProblem};

/// Shared between the byte stream, the exchanges on it and the sweeper.
#[derive(Clone, Debug)]
pub struct Vitals(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Open exchanges.
    open: usize,
    /// Since when none is open.
    idle_since: Instant,
    /// Whether heads are watched: on HTTP/1 only.
    is_http1: bool,
    /// Whether the next byte from the peer begins a head.
    expecting: bool,
    /// Whether a request was answered before its body was read, so that nobody can tell where the next head begins.
    lost_its_place: bool,
    /// The head as it arrived, while it is being read.
    head: Vec<u8>,
    head_bytes_max: usize,
    head_begun: Option<Instant>,
}

/// What the sweeper thinks of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// Let it be.
    Fine,
    /// A head takes too long.
    SlowHead,
    /// Nothing has been asked for too long.
    Idle,
}

impl Vitals {
    /// A connection that just finished its handshake.
    pub fn new(is_http1: bool, head_bytes_max: usize, now: Instant) -> Self {
        Self(Arc::new(Mutex::new(State {
            open: 0,
            idle_since: now,
            is_http1,
            expecting: is_http1,
            lost_its_place: false,
            head: Vec::new(),
            head_bytes_max,
            head_begun: None,
        })))
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes an exchange that begins. It ends when the returned guard is dropped.
    pub fn begin_exchange(&self) -> OpenExchange {
        self.with(|state| state.open += 1);
        OpenExchange(self.clone())
    }

    /// Takes the head that was just read on an HTTP/1 connection and checks that it can be read in one way only.
    ///
    /// # Errors
    /// [`HeadProblem`], also when the head did not arrive by itself (pipelined behind another request).
    pub fn take_head(&self) -> Result<(), HeadProblem> {
        self.with(|state| {
            state.head_begun = None;
            let checked = if state.lost_its_place { Err(HeadProblem::Pipelined) } else { head::check(&state.head) };
            state.head.clear();
            state.expecting = false;
            checked
        })
    }

    /// Passes over the head that was just read, of a request that is turned away unread.
    pub fn pass_over_head(&self) {
        self.with(|state| {
            state.head_begun = None;
            state.head.clear();
            state.expecting = state.is_http1;
            state.idle_since = Instant::now();
        });
    }

    /// Judges the connection.
    pub fn health(&self, now: Instant, head_timeout: Duration, keep_alive_timeout: Duration) -> Health {
        self.with(|state| {
            if state.head_begun.is_some_and(|begun| now.saturating_duration_since(begun) > head_timeout) {
                return Health::SlowHead;
            }
            let idle = state.open == 0 && now.saturating_duration_since(state.idle_since) > keep_alive_timeout;
            if idle { Health::Idle } else { Health::Fine }
        })
    }
}

/// Counts one open exchange of a connection until it is dropped.
#[derive(Debug)]
pub struct OpenExchange(Vitals);

impl Drop for OpenExchange {
    fn drop(&mut self) {
        self.0.with(|state| {
            state.open = state.open.saturating_sub(1);
            state.idle_since = Instant::now();
            state.expecting = state.is_http1;
        });
    }
}

impl OpenExchange {
    /// Notes that the request's body was not read to its end: no further head on this connection can be trusted.
    pub fn body_left_unread(&self) {
        self.0.with(|state| state.lost_its_place = true);
    }
}

impl State {
    fn see(&mut self, bytes: &[u8]) {
        if !self.expecting || bytes.is_empty() {
            return;
        }
        if self.head.is_empty() {
            self.head_begun = Some(Instant::now());
        }
        let room = self.head_bytes_max.saturating_sub(self.head.len());
        self.head.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        // The end may lie across two pieces: the last three bytes of the former are looked at again.
        let fresh = self.head.len().saturating_sub(bytes.len() + 3);
        if room <= bytes.len() || head::is_complete(self.head.get(fresh..).unwrap_or_default()) {
            self.expecting = false;
        }
    }
}

/// A byte stream that shows what it reads to [`Vitals`].
#[derive(Debug)]
pub struct Tapped<S> {
    stream: S,
    vitals: Vitals,
}

impl<S> Tapped<S> {
    /// Wraps a stream.
    pub fn new(stream: S, vitals: Vitals) -> Self {
        Self { stream, vitals }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if matches!(polled, Poll::Ready(Ok(()))) {
            let arrived = buf.filled().get(before..).unwrap_or_default();
            self.vitals.with(|state| state.see(arrived));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Vitals {
        Vitals::new(true, 1024, Instant::now())
    }

    #[test]
    fn a_head_that_arrives_in_pieces_is_seen_whole() {
        let vitals = fresh();
        for piece in ["GET / HTTP/1.1\r\nHo", "st: a\r\n\r", "\nbody"] {
            vitals.with(|state| state.see(piece.as_bytes()));
        }
        assert_eq!(vitals.take_head(), Ok(()));
    }

    #[test]
    fn a_pipelined_head_is_refused() {
        let vitals = fresh();
        vitals.with(|state| state.see(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(vitals.take_head(), Ok(()));
        assert_eq!(vitals.take_head(), Err(HeadProblem::Pipelined));
    }

    #[test]
    fn http2_has_no_heads_to_be_slow() {
        let vitals = Vitals::new(false, 1024, Instant::now());
        vitals.with(|state| state.see(b"PRI * HTTP/2.0\r\n\r\n"));
        drop(vitals.begin_exchange());
        vitals.with(|state| state.see(b"frames"));
        let (second, later) = (Duration::from_secs(1), Instant::now() + Duration::from_secs(5));
        assert_eq!(vitals.health(later, second, second * 10), Health::Fine);
    }

    #[test]
    fn after_an_unread_body_no_head_is_trusted() {
        let vitals = fresh();
        let open = vitals.begin_exchange();
        open.body_left_unread();
        drop(open);
        vitals.with(|state| state.see(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(vitals.take_head(), Err(HeadProblem::Pipelined));
    }

    #[test]
    fn slow_heads_and_idle_connections_are_told_apart() {
        let vitals = fresh();
        let (second, later) = (Duration::from_secs(1), Instant::now() + Duration::from_secs(5));
        assert_eq!(vitals.health(later, second * 10, second), Health::Idle);
        let open = vitals.begin_exchange();
        assert_eq!(vitals.health(later, second * 10, second), Health::Fine);
        drop(open);
        vitals.with(|state| state.see(b"GET"));
        assert_eq!(vitals.health(later, second, second * 10), Health::SlowHead);
    }
}
