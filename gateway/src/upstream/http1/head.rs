//! Heads: how a request is written, and how an answer is read, in one way only (RFC 9112 sections 3 to 7).

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use httparse::{Header, ParserConfig, Status};

use super::Connection;
use super::answer::AnswerBody;
use super::upload::Upload;
use crate::body::RequestBody;
use crate::headers::{Told, push_field};
use crate::http1::Framing;

/// How many fields an answer may have.
const FIELDS_MAX: usize = 128;

/// How long a request's body is said to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Length {
    /// So many bytes.
    Bytes(u64),
    /// In chunks, until the last.
    Chunked,
}

/// What a written head comes to.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// How its body is framed.
    pub length: Length,
    /// Whether its credentials count for the connection, which then serves nobody else.
    pub used_once: bool,
}

/// Writes a request's head as it goes to the upstream, with what the gateway tells of it.
///
/// # Errors
/// What contradicts itself; nothing was sent then.
pub fn write(out: &mut Vec<u8>, request: &Request<RequestBody>, told: &Told) -> Result<Written, &'static str> {
    out.clear();
    out.extend_from_slice(request.method().as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(request.uri().path_and_query().map_or("/", |target| target.as_str()).as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let (mut announced, mut is_chunked, mut used_once) = (None, false, false);
    for (name, value) in request.headers() {
        // The first letter decides nearly always.
        match name.as_str().as_bytes().first() {
            Some(b'a') if *name == AUTHORIZATION => used_once |= authenticates_connection(value.as_bytes()),
            Some(b'c') if *name == CONTENT_LENGTH => announced = announced.or(Some(digits(value.as_bytes()))),
            Some(b't') => is_chunked |= *name == TRANSFER_ENCODING,
            Some(_) | None => {}
        }
        push_field(out, name, value);
    }
    let length = match (announced, is_chunked) {
        (Some(Some(bytes)), false) => Length::Bytes(bytes),
        (None, true) => Length::Chunked,
        (None, false) => Length::Bytes(0),
        (Some(None), false) | (Some(_), true) => return Err("the request contradicts itself about its length"),
    };
    let is_empty = request.body().is_end_stream();
    let is_announced = announced.is_some() || is_chunked;
    if (is_empty && length != Length::Bytes(0)) || (!is_empty && !is_announced) {
        return Err("the request's body is not as long as the request says");
    }
    told.write(out);
    // Servers expect a length with methods that usually have a body (RFC 9110 section 8.6).
    if announced.is_none() && !is_chunked && matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH) {
        out.extend_from_slice(b"content-length: 0\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Ok(Written { length, used_once })
}

/// The head of an answer.
#[derive(Debug)]
pub struct Parsed {
    /// Its status.
    pub status: StatusCode,
    /// Its bytes.
    head: Bytes,
    /// Its fields: the name, and where the value lies in the head.
    fields: Vec<(HeaderName, usize, usize)>,
    ends: Ends,
}

/// What the fields say of where the answer ends, and whether the connection goes on.
#[derive(Clone, Copy, Debug)]
struct Ends {
    length: Option<u64>,
    chunked: bool,
    keeps_alive: bool,
}

/// Takes the head of an answer off the buffer, once it is whole.
///
/// # Errors
/// What cannot be read, or could be read in two ways.
pub fn parse(buffer: &mut BytesMut) -> Result<Option<Parsed>, &'static str> {
    if buffer.is_empty() {
        return Ok(None);
    }
    let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, buffer, &mut fields);
    let head_bytes = match parsed {
        Ok(Status::Complete(bytes)) => bytes,
        Ok(Status::Partial) => return Ok(None),
        Err(_) => return Err("its answer is not HTTP"),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or("its answer has no status")?;
    let mut ends = Ends { length: None, chunked: false, keeps_alive: response.version == Some(1) };
    let start = buffer.as_ptr().addr();
    let mut fields = Vec::with_capacity(response.headers.len());
    for field in &*response.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| "its answer has an odd field")?;
        ends.note(&name, field.value)?;
        fields.push((name, field.value.as_ptr().addr().wrapping_sub(start), field.value.len()));
    }
    if ends.chunked && ends.length.is_some() {
        return Err("its answer states its length twice");
    }
    Ok(Some(Parsed { status, head: buffer.split_to(head_bytes).freeze(), fields, ends }))
}

/// A value, sharing the head's memory.
fn value_at(head: &Bytes, at: usize, bytes: usize) -> Option<HeaderValue> {
    // An empty value may be said to lie anywhere.
    let end = at.checked_add(bytes).filter(|end| *end <= head.len());
    let value = end.map(|end| head.slice(at..end)).or_else(|| (bytes == 0).then(Bytes::new))?;
    HeaderValue::from_maybe_shared(value).ok()
}

impl Ends {
    fn note(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), &'static str> {
        if *name == CONTENT_LENGTH {
            let length = digits(value).ok_or("the length of its answer cannot be read")?;
            if self.length.replace(length).is_some_and(|other| other != length) {
                return Err("its answer states two lengths");
            }
        } else if *name == TRANSFER_ENCODING {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err("its answer is in a transfer coding that is not `chunked`");
            }
            self.chunked = true;
        } else if *name == CONNECTION {
            let mut tokens = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            self.keeps_alive &= !tokens.any(|token| token.eq_ignore_ascii_case(b"close"));
        } else if *name == WWW_AUTHENTICATE {
            self.keeps_alive &= !authenticates_connection(value);
        }
        Ok(())
    }
}

impl Parsed {
    /// The answer, with the connection its body comes by; `used_once` if that may serve nobody else.
    ///
    /// # Errors
    /// Where the answer makes no sense to this method.
    pub fn into_response(
        self,
        mut map: HeaderMap,
        method: &Method,
        used_once: bool,
        connection: Connection,
        upload: Option<Upload>,
    ) -> Result<Response<AnswerBody>, &'static str> {
        let bodyless = *method == Method::HEAD
            || matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || self.status.is_informational();
        let framing = match (bodyless, self.ends.chunked, self.ends.length) {
            (true, ..) => Framing::Length(0),
            (false, true, _) => Framing::chunked(),
            (false, false, Some(bytes)) => Framing::Length(bytes),
            (false, false, None) => Framing::UntilClosed,
        };
        map.clear();
        for (name, at, bytes) in self.fields {
            let value = value_at(&self.head, at, bytes).ok_or("its answer has an odd field")?;
            map.try_append(name, value).map_err(|_| "its answer has too many fields")?;
        }
        let body = AnswerBody::new(framing, self.ends.keeps_alive && !used_once, connection, upload);
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = map;
        Ok(response)
    }
}

/// Whether credentials of this scheme count for the connection and not for the request: another person's request must
/// never travel on it (docs/threats.md T-06).
pub fn authenticates_connection(value: &[u8]) -> bool {
    let scheme = value.split(|byte| *byte == b' ' || *byte == b',').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"ntlm") || scheme.eq_ignore_ascii_case(b"negotiate")
}

/// A length in plain digits.
fn digits(text: &[u8]) -> Option<u64> {
    let plain = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| plain)?.parse().ok()
}
