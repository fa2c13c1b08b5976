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
    /// Whether a request was answered before its body was read, or bytes came behind it before it was answered, so that
    /// nobody can tell where the next head begins.
    lost_its_place: bool,
    /// How many bytes came behind the last head.
    behind: u64,
    /// How many of them are its body, where the head said so.
    body: Option<u64>,
    /// The last bytes that came: where the body comes in chunks, the end of it.
    last: [u8; 4],
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
            behind: 0,
            body: None,
            last: [0; 4],
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
            state.body = checked.unwrap_or_default();
            checked.map(|_| ())
        })
    }

    /// Passes over the head that was just read, of a request that is turned away unread.
    pub fn pass_over_head(&self) {
        self.with(|state| {
            state.head_begun = None;
            state.head.clear();
            state.expecting = state.is_http1;
            state.idle_since = Instant::now();
            // Nobody read whether a body belongs there.
            state.lost_its_place |= state.is_http1 && state.behind > 0;
            state.behind = 0;
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
            // The beginning of the next request came along with this one, and was not seen as a head.
            let more_came = match state.body {
                Some(body) => state.behind > body,
                None => state.behind > 0 && state.last != *head::END,
            };
            state.lost_its_place |= state.is_http1 && more_came;
            state.behind = 0;
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
        match bytes.last_chunk() {
            Some(last) => self.last = *last,
            None => bytes.iter().for_each(|byte| {
                self.last.rotate_left(1);
                if let Some(place) = self.last.last_mut() {
                    *place = *byte;
                }
            }),
        }
        if !self.expecting || bytes.is_empty() {
            self.behind = self.behind.saturating_add(bytes.len() as u64);
            return;
        }
        if self.head.is_empty() {
            self.head_begun = Some(Instant::now());
        }
        let before = self.head.len();
        let room = self.head_bytes_max.saturating_sub(before);
        self.head.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        // The end may lie across two pieces: the last three bytes of the former are looked at again.
        let fresh = before.saturating_sub(3);
        let end = head::end(self.head.get(fresh..).unwrap_or_default()).map(|end| fresh + end);
        if room <= bytes.len() || end.is_some() {
            self.expecting = false;
            self.behind = end.map_or(0, |end| (before + bytes.len()).saturating_sub(end) as u64);
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
    fn a_head_that_begins_behind_another_request_is_refused() {
        for (first, body) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", ""),
            ("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n", "ab"),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\n\r\n"),
        ] {
            for pieces in [vec![format!("{first}{body}GET /b HT")], vec![format!("{first}{body}"), "G".to_owned()]] {
                let vitals = fresh();
                let open = vitals.begin_exchange();
                pieces.iter().for_each(|piece| vitals.with(|state| state.see(piece.as_bytes())));
                assert_eq!(vitals.take_head(), Ok(()));
                drop(open);
                vitals.with(|state| state.see(b"TP/1.1\r\nHost: a\r\n\r\n"));
                assert_eq!(vitals.take_head(), Err(HeadProblem::Pipelined), "{pieces:?}");
            }
            let vitals = fresh();
            let open = vitals.begin_exchange();
            vitals.with(|state| state.see(format!("{first}{body}").as_bytes()));
            assert_eq!(vitals.take_head(), Ok(()));
            drop(open);
            vitals.with(|state| state.see(b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert_eq!(vitals.take_head(), Ok(()));
        }
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
