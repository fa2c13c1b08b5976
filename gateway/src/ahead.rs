//! A socket that is read ahead of TLS while much comes by it. The TLS library asks for four kibibytes at a time: right for
//! heads, and for a record of a large body four calls to the system and more. Whoever fills what was asked for is read in
//! large pieces from then on, until less comes; a connection that is asked nothing holds none of them.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// How much is read at once, while much comes.
const PIECE_BYTES: usize = 64 * 1024;

/// A stream that is read ahead.
#[derive(Debug)]
pub struct Ahead<S> {
    stream: S,
    /// What was read and not yet taken.
    read: BytesMut,
    /// Whether the last reading brought all that was asked for.
    comes_much: bool,
}

impl<S> Ahead<S> {
    /// Reads ahead of a stream.
    pub fn new(stream: S) -> Self {
        Self { stream, read: BytesMut::new(), comes_much: false }
    }

    /// The stream itself, behind what was read ahead of it.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Ahead<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, read, comes_much } = &mut *self;
        let room = into.remaining();
        if read.is_empty() && !*comes_much {
            ready!(Pin::new(stream).poll_read(cx, into))?;
            *comes_much = room > 0 && into.remaining() == 0;
            return Poll::Ready(Ok(()));
        }
        if read.is_empty() {
            read.reserve(PIECE_BYTES);
            let brought = pin!(stream.read_buf(read)).poll(cx);
            *comes_much = matches!(brought, Poll::Ready(Ok(bytes)) if bytes > room);
            if !matches!(brought, Poll::Ready(Ok(1..))) {
                // Nothing is held while nothing comes.
                *read = BytesMut::new();
                return brought.map_ok(|_end| ());
            }
        }
        let taken = room.min(read.len());
        into.put_slice(read.get(..taken).unwrap_or_default());
        read.advance(taken);
        if read.is_empty() && !*comes_much {
            *read = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Ahead<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// A stream with what is to come, that notes how often it was read, and how much was asked for.
    struct Source {
        left: Vec<usize>,
        asked: Vec<usize>,
    }

    impl AsyncRead for Source {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            self.asked.push(into.remaining());
            let Some(next) = self.left.last_mut() else { return Poll::Ready(Ok(())) };
            if *next == 0 {
                self.left.pop();
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let bytes = into.remaining().min(*next);
            *next -= bytes;
            into.put_slice(&vec![b'x'; bytes]);
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn only_while_much_comes_it_is_read_in_large_pieces_and_nothing_is_held_after() {
        // From the last: a head, a large body with a pause in it, a head.
        let mut stream = Ahead::new(Source { left: vec![300, 200_000, 100_000, 300], asked: Vec::new() });
        let (mut piece, mut got) = ([0; 4096], 0);
        loop {
            match stream.read(&mut piece).await.unwrap() {
                0 => break,
                bytes => got += bytes,
            }
        }
        assert_eq!(got, 300_600);
        assert!(stream.read.is_empty() && stream.read.capacity() == 0, "nothing is held at the end");
        let asked = &stream.stream.asked;
        // The head alone as it was asked for, then one piece of the body so; all else in large ones.
        assert_eq!(asked.get(..3), Some(&[4096, 4096, 4096][..]));
        assert!(asked.get(3).is_some_and(|asked| *asked >= PIECE_BYTES));
        assert!(asked.len() < 20, "{} readings", asked.len());
    }

    #[tokio::test]
    async fn what_is_sent_over_it_arrives_however_it_is_cut() {
        let (mut here, there) = tokio::io::duplex(10_000);
        let sent: Vec<u8> = (0..500_000_u32).map(|place| (place % 251) as u8).collect();
        let sending = async {
            for piece in sent.chunks(7_777) {
                here.write_all(piece).await.unwrap();
            }
            here.shutdown().await.unwrap();
        };
        let reading = async {
            let mut there = Ahead::new(there);
            let (mut got, mut room) = (Vec::new(), 1);
            loop {
                let mut piece = vec![0; room % 5_000 + 1];
                match there.read(&mut piece).await.unwrap() {
                    0 => return got,
                    bytes => got.extend_from_slice(piece.get(..bytes).unwrap()),
                }
                room = room * 7 + 3;
                room %= 100_003;
            }
        };
        let ((), got) = tokio::join!(sending, reading);
        assert!(got == sent);
    }
}
