//! A request's body as it comes from the client, whichever HTTP it came by.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::body::BodyProblem;
use crate::http1::Arrival;

/// A request's body, while it is on its way in.
#[derive(Debug)]
pub enum ClientBody {
    /// There is none.
    None,
    /// Over HTTP/1.
    Http1(Arrival),
    /// By way of hyper, over HTTP/2.
    Hyper(Incoming),
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BodyProblem;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyProblem>>> {
        match &mut *self {
            Self::None => Poll::Ready(None),
            Self::Http1(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(BodyProblem::BrokenRequest)))
            }
            Self::Hyper(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(BodyProblem::Broken)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::None => true,
            Self::Http1(body) => body.is_end_stream(),
            Self::Hyper(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::None => SizeHint::with_exact(0),
            Self::Http1(body) => body.size_hint(),
            Self::Hyper(body) => body.size_hint(),
        }
    }
}
