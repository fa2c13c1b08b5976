//! A request's body while it arrives: read only as it is asked for, so that whoever takes it slowly slows its sender.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;
use tokio::task::coop;

use super::framing::{Framing, Step};
use super::line::{Freed, Line};

/// How much of a body is handed on at once, where so much came.
const GATHER_BYTES_MAX: usize = 64 * 1024;

/// The body of the request that is served.
#[derive(Debug)]
pub struct Arrival {
    line: Rc<Line>,
    framing: Framing,
    /// Whether the last time much came at once: then room is taken for as much again, and not bit by bit.
    comes_much: bool,
}

impl Arrival {
    /// What arrives by this line, up to the end that `framing` tells.
    pub fn new(line: Rc<Line>, framing: Framing) -> Self {
        Self { line, framing, comes_much: false }
    }

    /// Asks for the stream itself, once the protocol is switched.
    pub fn expect_switch(&self) -> oneshot::Receiver<Freed> {
        self.line.expect_switch()
    }

    fn step(&mut self) -> io::Result<Step> {
        let step = self.line.with_buffer(|buffer| self.framing.step(buffer));
        let step = step.map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))?;
        if self.framing.is_over() {
            self.line.note_arrived();
        }
        Ok(step)
    }

    /// Reads what came, up to a bound; 0 at the end of the stream.
    fn poll_gather(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.comes_much {
            self.line.with_buffer(|buffer| buffer.reserve(GATHER_BYTES_MAX));
        }
        let Poll::Ready(first) = self.line.poll_fill(cx) else {
            // Where the task's turn is over, that says nothing of what comes.
            if coop::has_budget_remaining() {
                self.comes_much = false;
                self.line.give_back_buffer();
            }
            return Poll::Pending;
        };
        let mut gathered = first?;
        while gathered > 0 && gathered < GATHER_BYTES_MAX {
            match self.line.poll_fill(cx) {
                Poll::Ready(Ok(more @ 1..)) => gathered += more,
                // Seen again by whoever reads next.
                Poll::Ready(Ok(0) | Err(_)) | Poll::Pending => break,
            }
        }
        self.comes_much = gathered >= GATHER_BYTES_MAX / 2;
        Poll::Ready(Ok(gathered))
    }
}

impl Body for Arrival {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if this.framing.is_over() {
            return Poll::Ready(None);
        }
        ready!(this.line.poll_continue(cx))?;
        loop {
            match this.step()? {
                Step::Data(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Step::Trailers(trailers) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                Step::Over => return Poll::Ready(None),
                Step::More => {
                    if ready!(this.poll_gather(cx))? == 0 {
                        return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.framing.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        self.framing.size_hint()
    }
}
