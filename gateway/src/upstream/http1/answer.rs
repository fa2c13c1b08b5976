//! The body of an answer on its way down: by length, in chunks, or until the connection closes (RFC 9112 section 6).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};

use super::upload::Upload;
use super::{Connection, poll_fill};
use crate::body::BodyProblem;

/// The least and the most that is read at once.
const READ_BYTES_MIN: usize = 16 * 1024;
const READ_BYTES_MAX: usize = 256 * 1024;
/// The longest line that begins a chunk, and the most that trailers may take.
const CHUNK_LINE_BYTES_MAX: usize = 1024;
const TRAILERS_BYTES_MAX: usize = 16 * 1024;
const TRAILERS_MAX: usize = 64;

/// How the end of a body is known.
#[derive(Clone, Copy, Debug)]
pub enum Framing {
    /// After so many bytes more.
    Length(u64),
    /// After the last chunk.
    Chunked(Chunks),
    /// When the connection closes.
    UntilClosed,
}

/// Where in a chunked body reading is.
#[derive(Clone, Copy, Default, Debug)]
pub enum Chunks {
    /// Before the line that says how large a chunk is.
    #[default]
    Size,
    /// In a chunk, with so many bytes to come.
    Data(u64),
    /// Behind a chunk's data.
    DataEnd,
    /// Behind the last chunk.
    Trailers,
    /// At the end.
    Over,
}

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
        let is_over = matches!(self.framing, Framing::Length(0) | Framing::Chunked(Chunks::Over));
        let is_sent = self.upload.as_ref().is_none_or(Upload::is_done);
        // Bytes that nobody asked for would be read as the next answer.
        (is_over && is_sent && self.keeps_alive && self.connection.buffer.is_empty()).then_some(self.connection)
    }

    /// What was read, at most so much; reads where there is nothing. `None` at the end of the stream.
    fn poll_data(&mut self, most: u64, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if self.connection.buffer.is_empty() && !ready!(self.poll_more(cx))? {
            return Poll::Ready(Ok(None));
        }
        let buffer = &mut self.connection.buffer;
        let bytes = usize::try_from(most).map_or(buffer.len(), |most| most.min(buffer.len()));
        Poll::Ready(Ok(Some(buffer.split_to(bytes).freeze())))
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

    fn poll_chunked(&mut self, mut at: Chunks, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            let next = match at {
                Chunks::Size => match ready!(self.poll_line(CHUNK_LINE_BYTES_MAX, cx)) {
                    Err(error) => return Poll::Ready(Some(Err(error))),
                    Ok(line) => match chunk_size(&line) {
                        None => return Poll::Ready(Some(Err(odd("a chunk's size cannot be read")))),
                        Some(0) => Chunks::Trailers,
                        Some(bytes) => Chunks::Data(bytes),
                    },
                },
                Chunks::Data(left) => {
                    let data = match ready!(self.poll_data(left, cx)) {
                        Ok(Some(data)) => data,
                        Ok(None) => return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
                        Err(error) => return Poll::Ready(Some(Err(error))),
                    };
                    let left = left.saturating_sub(data.len() as u64);
                    self.framing = Framing::Chunked(if left == 0 { Chunks::DataEnd } else { Chunks::Data(left) });
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Chunks::DataEnd => match ready!(self.poll_line(CHUNK_LINE_BYTES_MAX, cx)) {
                    Ok(line) if line.is_empty() => Chunks::Size,
                    Ok(_) => return Poll::Ready(Some(Err(odd("a chunk is longer than its size")))),
                    Err(error) => return Poll::Ready(Some(Err(error))),
                },
                Chunks::Trailers => match ready!(self.poll_trailers(cx)) {
                    Err(error) => return Poll::Ready(Some(Err(error))),
                    Ok(trailers) => {
                        self.framing = Framing::Chunked(Chunks::Over);
                        return Poll::Ready((!trailers.is_empty()).then(|| Ok(Frame::trailers(trailers))));
                    }
                },
                Chunks::Over => return Poll::Ready(None),
            };
            at = next;
            self.framing = Framing::Chunked(at);
        }
    }

    /// A whole line, without its end.
    fn poll_line(&mut self, bytes_max: usize, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        loop {
            let buffer = &mut self.connection.buffer;
            if let Some(end) = memchr::memchr(b'\n', buffer) {
                let line = buffer.split_to(end + 1).freeze();
                let line = line.strip_suffix(b"\r\n").map(|line| line.len()).map(|bytes| line.slice(..bytes));
                return Poll::Ready(line.ok_or_else(|| odd("a line does not end as it must")));
            }
            if buffer.len() > bytes_max {
                return Poll::Ready(Err(odd("a line is too long")));
            }
            if !ready!(self.poll_more(cx))? {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<HeaderMap>> {
        loop {
            if let Some((trailers, bytes)) = read_trailers(&self.connection.buffer)? {
                drop(self.connection.buffer.split_to(bytes));
                return Poll::Ready(Ok(trailers));
            }
            if self.connection.buffer.len() > TRAILERS_BYTES_MAX {
                return Poll::Ready(Err(odd("its trailers are too large")));
            }
            if !ready!(self.poll_more(cx))? {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

/// The size that the line before a chunk states; extensions are passed over (RFC 9112 section 7.1.1).
fn chunk_size(line: &[u8]) -> Option<u64> {
    let size = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    let plain = (1..=16).contains(&size.len()) && size.iter().all(u8::is_ascii_hexdigit);
    u64::from_str_radix(std::str::from_utf8(size).ok().filter(|_| plain)?, 16).ok()
}

/// The trailers at the start of the bytes, once they are whole, and how many bytes they take.
fn read_trailers(bytes: &[u8]) -> io::Result<Option<(HeaderMap, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; TRAILERS_MAX];
    match httparse::parse_headers(bytes, &mut fields) {
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(odd("its trailers cannot be read")),
        Ok(httparse::Status::Complete((taken, fields))) => {
            let mut trailers = HeaderMap::new();
            for field in fields {
                let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| odd("an odd trailer"))?;
                trailers.append(name, HeaderValue::from_bytes(field.value).map_err(|_| odd("an odd trailer"))?);
            }
            Ok(Some((trailers, taken)))
        }
    }
}

fn odd(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
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
        match this.framing {
            Framing::Length(0) => Poll::Ready(None),
            Framing::Length(left) => match ready!(this.poll_data(left, cx)) {
                Ok(Some(data)) => {
                    this.framing = Framing::Length(left.saturating_sub(data.len() as u64));
                    Poll::Ready(Some(Ok(Frame::data(data))))
                }
                Ok(None) => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
                Err(error) => Poll::Ready(Some(Err(error))),
            },
            Framing::Chunked(at) => this.poll_chunked(at, cx),
            Framing::UntilClosed => {
                let data = ready!(this.poll_data(u64::MAX, cx));
                Poll::Ready(data.map(|data| data.map(Frame::data)).transpose())
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.framing, Framing::Length(0) | Framing::Chunked(Chunks::Over))
    }

    fn size_hint(&self) -> SizeHint {
        match self.framing {
            Framing::Length(left) => SizeHint::with_exact(left),
            Framing::Chunked(Chunks::Over) => SizeHint::with_exact(0),
            Framing::Chunked(_) | Framing::UntilClosed => SizeHint::default(),
        }
    }
}
