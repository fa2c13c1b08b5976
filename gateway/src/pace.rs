//! A client's stream whose task gives way. The runtime lets a task go on for so many reads and writes, however large they
//! are; here each also counts by its bytes. So a study of two gigabytes moves 64 kibibytes, then whoever else is
//! ready has their turn, and it is asked who is ready by now. Beneath TLS, so that all that clients are sent counts: answers,
//! uploads, WebSockets, tunnels.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop;

/// So many bytes count as one of the 128 steps that a task does in one turn.
const STEP_BYTES: usize = 512;

/// A stream whose bytes count against the turn of its task.
#[derive(Debug)]
pub struct Paced<S>(S);

impl<S> Paced<S> {
    /// Counts what goes over a stream.
    pub fn new(stream: S) -> Self {
        Self(stream)
    }

    /// The stream itself.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.0
    }
}

/// Counts bytes that moved. What is beyond the turn is not owed: it ends with the turn.
fn pay(cx: &mut Context<'_>, bytes: usize) {
    for _ in 0..bytes / STEP_BYTES {
        if !coop::has_budget_remaining() {
            return;
        }
        if let Poll::Ready(step) = coop::poll_proceed(cx) {
            step.made_progress();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !coop::has_budget_remaining() {
            // What was read ahead counts too: it waits for the next turn, and so does this.
            ready!(coop::poll_proceed(cx)).made_progress();
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(cx, into))?;
        pay(cx, into.filled().len().saturating_sub(before));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = ready!(Pin::new(&mut self.0).poll_write(cx, bytes))?;
        pay(cx, sent);
        Poll::Ready(Ok(sent))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = ready!(Pin::new(&mut self.0).poll_write_vectored(cx, slices))?;
        pay(cx, sent);
        Poll::Ready(Ok(sent))
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::{spawn_local, yield_now};

    use super::*;

    /// The most that goes over a stream in one turn: what one piece has beyond it comes on top.
    const TURN_BYTES: usize = 128 * STEP_BYTES;
    const PIECE: usize = 64 * 1024;

    /// A stream that always takes and always has more.
    struct Endless {
        moved: Rc<Cell<usize>>,
        /// Whether it counts as a socket does, and not as what was read ahead.
        counts: bool,
    }

    impl Endless {
        fn move_on(&self, cx: &mut Context<'_>, bytes: usize) -> Poll<()> {
            if self.counts {
                ready!(coop::poll_proceed(cx)).made_progress();
            }
            self.moved.set(self.moved.get() + bytes);
            Poll::Ready(())
        }
    }

    impl AsyncRead for Endless {
        fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let bytes = into.remaining();
            ready!(self.move_on(cx, bytes));
            into.initialize_unfilled();
            into.advance(bytes);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Endless {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            ready!(self.move_on(cx, bytes.len()));
            Poll::Ready(Ok(bytes.len()))
        }
        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// The most that a task moved between two turns of another.
    fn most_in_a_turn<B: Future<Output = ()> + 'static>(counts: bool, bulk: impl FnOnce(Paced<Endless>) -> B) -> usize {
        let options = tokio::runtime::LocalOptions::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build_local(options).unwrap();
        runtime.block_on(async {
            let moved = Rc::new(Cell::new(0));
            spawn_local(bulk(Paced::new(Endless { moved: Rc::clone(&moved), counts })));
            let mut most = 0;
            for _ in 0..50 {
                let before = moved.get();
                yield_now().await;
                most = most.max(moved.get() - before);
            }
            assert!(moved.get() > 10 * most, "it goes on: {}", moved.get());
            most
        })
    }

    #[test]
    fn a_download_gives_way_after_its_share() {
        let most = most_in_a_turn(true, |mut stream| async move {
            let piece = vec![0; PIECE];
            while stream.write_all(&piece).await.is_ok() {}
        });
        assert!(most <= TURN_BYTES + PIECE, "{most} bytes before anybody else had their turn");
    }

    #[test]
    fn an_upload_gives_way_after_its_share_and_so_does_what_of_it_was_read_ahead() {
        for counts in [true, false] {
            let most = most_in_a_turn(counts, |mut stream| async move {
                let mut piece = vec![0; PIECE];
                while stream.read_exact(&mut piece).await.is_ok() {}
            });
            assert!(most <= TURN_BYTES + PIECE, "{most} bytes before anybody else had their turn");
        }
    }

    #[test]
    fn small_messages_cost_no_more_than_without() {
        let most = most_in_a_turn(true, |mut stream| async move {
            let piece = [0; 200];
            while stream.write_all(&piece).await.is_ok() {}
        });
        assert!((100 * 200..=128 * 200).contains(&most), "{most}");
    }
}
