//! The client's byte stream once its connection, or one stream of it, was switched to another protocol.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Request;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use crate::client_body::ClientBody;
use crate::http1::Freed;

/// The switch did not come about: the client went away, or the answer was another.
#[derive(Debug, thiserror::Error)]
#[error("the protocol was not switched")]
pub struct NotSwitched;

/// Waits for the stream: it is there once the answer that agrees to the switch was sent.
#[derive(Debug)]
pub enum Switching {
    /// Of a connection of HTTP/1; nothing where none was asked for.
    Http1(Option<oneshot::Receiver<Freed>>),
    /// Of a stream of HTTP/2.
    Hyper(OnUpgrade),
}

impl Switching {
    /// What becomes of this request's connection, or stream, when its switch is agreed to.
    pub fn of(request: &mut Request<ClientBody>) -> Self {
        match request.body() {
            ClientBody::None => Self::Http1(None),
            ClientBody::Http1(body) => Self::Http1(Some(body.expect_switch())),
            ClientBody::Hyper(_) => Self::Hyper(hyper::upgrade::on(request)),
        }
    }
}

impl Future for Switching {
    type Output = Result<Switched, NotSwitched>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Http1(None) => Poll::Ready(Err(NotSwitched)),
            Self::Http1(Some(freed)) => {
                Pin::new(freed).poll(cx).map(|freed| freed.map(Switched::Http1).map_err(|_| NotSwitched))
            }
            Self::Hyper(upgrade) => Pin::new(upgrade)
                .poll(cx)
                .map(|upgraded| upgraded.map(|stream| Switched::Hyper(TokioIo::new(stream))).map_err(|_| NotSwitched)),
        }
    }
}

/// The stream after the switch.
#[derive(Debug)]
pub enum Switched {
    /// A connection of HTTP/1.
    Http1(Freed),
    /// A stream of HTTP/2.
    Hyper(TokioIo<Upgraded>),
}

impl AsyncRead for Switched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Http1(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Hyper(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Switched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Http1(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Hyper(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Http1(stream) => Pin::new(stream).poll_flush(cx),
            Self::Hyper(stream) => Pin::new(stream).poll_flush(cx),
        }
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Http1(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Hyper(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
