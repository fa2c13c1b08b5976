//! The body of an answer on its way down: by length, in chunks, or until the connection closes (RFC 9112 section 6).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use super::upload::Upload;
use super::{Connection, poll_fill};
use crate::body::BodyProblem;
use crate::http1::framing::{Framing, Step};

/// The least and the most that is read at once. With more a download is faster, and a click beside it waits longer for each
/// of its pieces (docs/decisions/0062).
const READ_BYTES_MIN: usize = 16 * 1024;
const READ_BYTES_MAX: usize = 32 * 1024;

/// The body of an answer.
#[derive(Debug)]
pub struct AnswerBody {
    framing: Framing,
    keeps_alive: bool,
    read_bytes: usize,
    connection: Connection,
    upload: Option<Upload>,
}

impl AnswerBody {
    pub(super) fn new(framing: Framing, keeps_alive: bool, connection: Connection, upload: Option<Upload>) -> Self {
        Self { framing, keeps_alive, read_bytes: READ_BYTES_MIN, connection, upload }
    }

    /// The connection, where the exchange came to its end on both sides and another may follow.
    pub fn into_connection(mut self) -> Option<Connection> {
        if self.read_bytes > READ_BYTES_MIN && self.connection.buffer.is_empty() {
            // What a large answer needed is not kept for the small ones that may follow.
            self.connection.buffer = BytesMut::new();
        }
        let is_over = self.framing.is_over();
        let is_sent = self.upload.as_ref().is_none_or(Upload::is_done);
        // Bytes that nobody asked for would be read as the next answer.
        (is_over && is_sent && self.keeps_alive && self.connection.buffer.is_empty()).then_some(self.connection)
    }

    /// Reads more; false at the end of the stream.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Connection { io, buffer, .. } = &mut self.connection;
        buffer.reserve(self.read_bytes);
        let read = ready!(poll_fill(io, buffer, cx))?;
        if read >= self.read_bytes {
            self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
        }
        Poll::Ready(Ok(read > 0))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        // A server may stop reading and go on answering; but half a request is never left standing.
        match this.upload.as_ref().and_then(|upload| upload.problem(cx)) {
            None | Some(BodyProblem::BrokenAnswer(_)) => {}
            Some(problem) => return Poll::Ready(Some(Err(io::Error::other(problem)))),
        }
        loop {
            let step = this.framing.step(&mut this.connection.buffer);
            match step.map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))? {
                Step::Data(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Step::Trailers(trailers) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                Step::Over => return Poll::Ready(None),
                Step::More => {
                    if !ready!(this.poll_more(cx))? {
                        let is_end = this.framing == Framing::UntilClosed;
                        return Poll::Ready((!is_end).then(|| Err(io::ErrorKind::UnexpectedEof.into())));
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
