//! Bodies: whole, endless, or fed from a test while it looks on.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use tokio::sync::mpsc;

/// Any body that cannot fail.
pub type Payload = UnsyncBoxBody<Bytes, Infallible>;

/// A body of nothing.
#[must_use]
pub fn empty() -> Payload {
    Empty::new().boxed_unsync()
}

/// A body that is there as a whole.
pub fn full(bytes: impl Into<Bytes>) -> Payload {
    Full::new(bytes.into()).boxed_unsync()
}

/// A body of so many zero bytes that takes no memory.
#[must_use]
pub fn filled(bytes: u64) -> Payload {
    Filled { left: bytes, piece: Bytes::from(vec![0; 64 * 1024]) }.boxed_unsync()
}

/// A body that holds what is sent to it, until the sender is dropped. Frames may be data or trailers.
#[must_use]
pub fn fed() -> (mpsc::Sender<Frame<Bytes>>, Payload) {
    let (sender, receiver) = mpsc::channel(16);
    (sender, Fed(receiver).boxed_unsync())
}

struct Filled {
    left: u64,
    piece: Bytes,
}

impl Body for Filled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let bytes = usize::try_from(self.left).map_or(self.piece.len(), |left| left.min(self.piece.len()));
        self.left -= bytes as u64;
        Poll::Ready(Some(Ok(Frame::data(self.piece.slice(..bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

struct Fed(mpsc::Receiver<Frame<Bytes>>);

impl Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}
