//! An answer on its way to the client: its head written flat, a small body with it in one write, a large one as the
//! client takes it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue, TRAILER, TRANSFER_ENCODING};
use http::response::Parts;
use http::{Method, StatusCode, Version};
use http_body::{Body, Frame};

use super::framing::{LAST, push_last, push_size};
use super::line::Line;
use crate::headers::push_field;

/// Pieces up to this are copied behind what waits to be written; larger ones are written from where they are.
const COPY_BYTES_MAX: usize = 8 * 1024;
/// No more is gathered before it is written.
const GATHER_BYTES_MAX: usize = 16 * 1024;

/// What must be known of a request to answer it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its method: the answer to `HEAD` has no body.
    pub method: Method,
    /// Which HTTP/1 the client speaks.
    pub version: Version,
    /// Whether the client takes trailers.
    pub takes_trailers: bool,
    /// Whether the connection is to go on behind the answer.
    pub keeps_alive: bool,
}

/// How the end of the answer is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Delimiter {
    /// After so many bytes more.
    Length(u64),
    /// By the last chunk.
    Chunks,
    /// When the connection closes.
    Close,
}

/// How an answer came to its end.
#[derive(Debug)]
pub enum Sent {
    /// Whole.
    Whole {
        /// Whether another request may follow on this connection.
        keeps_alive: bool,
    },
    /// Cut: its source broke off, or was ended. `shows` whether the client can tell.
    Cut {
        /// Whether a missing end shows in what was sent.
        shows: bool,
    },
    /// The client takes no more.
    Gone(io::Error),
}

/// An answer that is being sent.
#[derive(Debug)]
pub struct Sending<'a, B> {
    out: &'a mut Vec<u8>,
    /// How much of `out` was written.
    written: usize,
    /// A piece that is written from where it is, behind `out`.
    large: Bytes,
    /// What stands behind it.
    tail: &'static [u8],
    body: Option<B>,
    delimiter: Delimiter,
    /// The fields that may come behind the body.
    trailers: Vec<HeaderName>,
    keeps_alive: bool,
    is_cut: bool,
}

impl<'a, B: Body<Data = Bytes> + Unpin> Sending<'a, B> {
    /// Begins an answer: its head is written to `out` behind what is there. `date` is a whole line of the head.
    pub fn begin(asked: &Asked, head: &Parts, body: B, date: &[u8], out: &'a mut Vec<u8>) -> Self {
        let has_body = may_have_body(&asked.method, head.status) && !body.is_end_stream();
        let delimiter = match (has_body, body.size_hint().exact(), asked.version) {
            (false, ..) => Delimiter::Length(0),
            (true, Some(bytes), _) => Delimiter::Length(bytes),
            (true, None, Version::HTTP_10) => Delimiter::Close,
            (true, None, _) => Delimiter::Chunks,
        };
        let trailers = match delimiter {
            Delimiter::Chunks if asked.takes_trailers => declared_trailers(&head.headers),
            Delimiter::Chunks | Delimiter::Length(_) | Delimiter::Close => Vec::new(),
        };
        let keeps_alive = asked.keeps_alive && delimiter != Delimiter::Close;
        write_head(out, asked, head, delimiter, keeps_alive, date);
        // A body without end to be told is dropped at once: its record closes.
        let body = Some(body).filter(|_| has_body && delimiter != Delimiter::Length(0));
        Self { out, written: 0, large: Bytes::new(), tail: &[], body, delimiter, trailers, keeps_alive, is_cut: false }
    }

    /// Sends what the body has and the client takes.
    pub fn poll(&mut self, line: &Line, cx: &mut Context<'_>) -> Poll<Sent> {
        loop {
            let waits = self.gather(cx);
            if let Err(error) = ready!(self.poll_write(line, cx)) {
                return Poll::Ready(Sent::Gone(error));
            }
            if self.body.is_some() && !waits {
                continue;
            }
            if let Err(error) = ready!(line.poll_flush(cx)) {
                return Poll::Ready(Sent::Gone(error));
            }
            return match (&self.body, self.is_cut) {
                (Some(_), _) => Poll::Pending,
                (None, true) => Poll::Ready(Sent::Cut { shows: self.delimiter != Delimiter::Close }),
                (None, false) => Poll::Ready(Sent::Whole { keeps_alive: self.keeps_alive }),
            };
        }
    }

    /// Gathers what the body has, while it is little; true if it has nothing yet.
    fn gather(&mut self, cx: &mut Context<'_>) -> bool {
        while self.large.is_empty() && self.tail.is_empty() && self.out.len() < GATHER_BYTES_MAX {
            let Some(body) = self.body.as_mut() else { return false };
            match Pin::new(body).poll_frame(cx) {
                Poll::Pending => return true,
                Poll::Ready(Some(Ok(frame))) => self.take(frame),
                Poll::Ready(Some(Err(_))) => self.cut(),
                Poll::Ready(None) => self.end(None),
            }
        }
        false
    }

    fn take(&mut self, frame: Frame<Bytes>) {
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => return self.end(frame.into_trailers().ok().as_ref()),
        };
        if data.is_empty() {
            return;
        }
        let is_last = self.body.as_ref().is_none_or(Body::is_end_stream);
        let tail: &[u8] = match &mut self.delimiter {
            Delimiter::Length(left) => match left.checked_sub(data.len() as u64) {
                Some(now_left) => {
                    *left = now_left;
                    &[]
                }
                // More than was announced would be read as the next answer.
                None => return self.cut(),
            },
            Delimiter::Chunks => {
                push_size(self.out, data.len());
                if is_last { b"\r\n0\r\n\r\n" } else { b"\r\n" }
            }
            Delimiter::Close => &[],
        };
        if data.len() > COPY_BYTES_MAX {
            self.large = data;
            self.tail = tail;
        } else {
            self.out.extend_from_slice(&data);
            self.out.extend_from_slice(tail);
        }
        match self.delimiter {
            Delimiter::Length(0) => self.body = None,
            Delimiter::Length(_) if is_last => self.cut(),
            Delimiter::Length(_) => {}
            Delimiter::Chunks | Delimiter::Close => {
                if is_last {
                    self.body = None;
                }
            }
        }
    }

    /// The body came to its end.
    fn end(&mut self, trailers: Option<&HeaderMap>) {
        match self.delimiter {
            Delimiter::Length(0) | Delimiter::Close => {}
            // Fewer bytes than announced: nobody may take it for whole.
            Delimiter::Length(_) => return self.cut(),
            Delimiter::Chunks => {
                match trailers.map(|fields| self.allowed(fields)).filter(|fields| !fields.is_empty()) {
                    Some(fields) => push_last(self.out, Some(&fields)),
                    None => self.out.extend_from_slice(LAST),
                }
            }
        }
        self.body = None;
    }

    fn cut(&mut self) {
        self.is_cut = true;
        self.body = None;
    }

    /// The trailers that were declared in the head.
    fn allowed(&self, fields: &HeaderMap) -> HeaderMap {
        let declared = |name: &HeaderName| self.trailers.contains(name);
        fields.iter().filter(|(name, _)| declared(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn poll_write(&mut self, line: &Line, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let rest = self.out.get(self.written..).unwrap_or_default();
            let slices = [IoSlice::new(rest), IoSlice::new(&self.large), IoSlice::new(self.tail)];
            let slices =
                if self.large.is_empty() && self.tail.is_empty() { slices.get(..1) } else { Some(&slices[..]) };
            if rest.is_empty() && self.large.is_empty() && self.tail.is_empty() {
                self.out.clear();
                self.written = 0;
                return Poll::Ready(Ok(()));
            }
            let sent = ready!(line.poll_write(cx, slices.unwrap_or_default()))?;
            self.advance(sent);
        }
    }

    fn advance(&mut self, mut sent: usize) {
        let from_out = sent.min(self.out.len().saturating_sub(self.written));
        self.written += from_out;
        sent -= from_out;
        let from_large = sent.min(self.large.len());
        self.large.advance(from_large);
        self.tail = self.tail.get(sent - from_large..).unwrap_or_default();
    }
}

/// Whether an answer has a body at all (RFC 9112 section 6.3).
fn may_have_body(method: &Method, status: StatusCode) -> bool {
    let has_none = status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    *method != Method::HEAD && !has_none
}

/// Writes the head. What says where the answer ends and whether the connection goes on is ours to say, and said once.
fn write_head(out: &mut Vec<u8>, asked: &Asked, head: &Parts, ends: Delimiter, keeps_alive: bool, date: &[u8]) {
    let is_old = asked.version == Version::HTTP_10;
    if head.status == StatusCode::OK && !is_old {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    } else {
        out.extend_from_slice(if is_old { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
        out.extend_from_slice(head.status.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(head.status.canonical_reason().unwrap_or_default().as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    let switches = head.status == StatusCode::SWITCHING_PROTOCOLS;
    let mut is_dated = false;
    for (name, value) in &head.headers {
        // The first letter decides nearly always.
        match name.as_str().as_bytes().first() {
            Some(b'c') if *name == CONTENT_LENGTH || (*name == CONNECTION && !switches) => continue,
            Some(b't') if *name == TRANSFER_ENCODING || (*name == TRAILER && ends != Delimiter::Chunks) => continue,
            Some(b'd') => is_dated |= *name == DATE,
            Some(_) | None => {}
        }
        push_field(out, name, value);
    }
    match ends {
        Delimiter::Chunks => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Delimiter::Close => {}
        Delimiter::Length(bytes) if may_have_body(&asked.method, head.status) => push_length(out, bytes),
        Delimiter::Length(_) if asked.method == Method::HEAD => {
            // What the answer to GET would have.
            let mut lengths = head.headers.get_all(CONTENT_LENGTH).iter().map(HeaderValue::as_bytes);
            if let (Some(one), None) = (lengths.next(), lengths.next())
                && one.iter().all(u8::is_ascii_digit)
            {
                out.extend_from_slice(b"content-length: ");
                out.extend_from_slice(one);
                out.extend_from_slice(b"\r\n");
            }
        }
        Delimiter::Length(_) => {}
    }
    match (keeps_alive, is_old) {
        _ if switches => {}
        (true, false) => {}
        (true, true) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        (false, _) => out.extend_from_slice(b"connection: close\r\n"),
    }
    if !is_dated {
        out.extend_from_slice(date);
    }
    out.extend_from_slice(b"\r\n");
}

fn push_length(out: &mut Vec<u8>, bytes: u64) {
    out.extend_from_slice(b"content-length: ");
    let mut digits = [0; 20];
    let mut first = digits.len();
    let mut left = bytes;
    loop {
        first -= 1;
        if let Some(place) = digits.get_mut(first) {
            *place = b'0' + u8::try_from(left % 10).unwrap_or_default();
        }
        left /= 10;
        if left == 0 || first == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
    out.extend_from_slice(b"\r\n");
}

/// The fields that an answer says will come behind its body.
fn declared_trailers(fields: &HeaderMap) -> Vec<HeaderName> {
    let lists = fields.get_all(TRAILER).iter().filter_map(|value| value.to_str().ok());
    lists
        .flat_map(|list| list.split(','))
        .filter_map(|one| HeaderName::from_bytes(one.trim().as_bytes()).ok())
        .collect()
}
