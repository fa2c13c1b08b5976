//! A request's head, from the bytes to the fields: checked first ([`crate::head`]), then parsed, and both must agree
//! where it ends.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, EXPECT, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};
use http::{Method, Request, Uri, Version};
use httparse::{Error, Header, ParserConfig, Status};

use super::Framing;
use crate::head::{self, HeadProblem};

/// How many fields are read without memory of their own.
const FIELDS_USUAL: usize = 100;

/// How large a head may be.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// In bytes.
    pub bytes_max: usize,
    /// In fields.
    pub fields_max: usize,
}

/// A head that was read.
#[derive(Debug)]
pub struct Head {
    /// The request, without its body.
    pub request: Request<()>,
    /// Where its body ends.
    pub framing: Framing,
    /// What it says of this connection.
    pub hop: Hop,
}

/// What a head says to its next hop.
#[derive(Clone, Copy, Debug)]
pub struct Hop {
    /// Whether the connection may go on behind this request.
    pub keeps_alive: bool,
    /// Whether the client waits to be told to send the body.
    pub expects: bool,
    /// Whether it asks to switch to another protocol.
    pub switches: bool,
    /// Whether the client takes trailers.
    pub takes_trailers: bool,
}

/// Takes the head at the start of the buffer off it, into `map`; `None` until it is whole. After an error nothing in
/// the buffer can be trusted.
///
/// # Errors
/// [`HeadProblem`]; answer and close.
pub fn take(buffer: &mut BytesMut, bounds: Bounds, map: &mut HeaderMap) -> Result<Option<Head>, HeadProblem> {
    let Some(checked) = head::check(buffer, bounds.fields_max)? else {
        return if buffer.len() >= bounds.bytes_max { Err(HeadProblem::TooLarge) } else { Ok(None) };
    };
    if checked.end > bounds.bytes_max {
        return Err(HeadProblem::TooLarge);
    }
    // Nearly always it came by itself; then the buffer is the head.
    let head = if checked.end == buffer.len() { std::mem::take(buffer) } else { buffer.split_to(checked.end) };
    parse(&head.freeze(), checked.body, bounds.fields_max, std::mem::take(map)).map(Some)
}

fn parse(head: &Bytes, framing: Framing, fields_max: usize, mut map: HeaderMap) -> Result<Head, HeadProblem> {
    let mut usual = [const { MaybeUninit::<Header<'_>>::uninit() }; FIELDS_USUAL];
    let mut many = Vec::new();
    let fields = match usual.get_mut(..fields_max) {
        Some(fields) => fields,
        None => {
            many.resize_with(fields_max, MaybeUninit::uninit);
            many.as_mut_slice()
        }
    };
    let mut parsed = httparse::Request::new(&mut []);
    match ParserConfig::default().parse_request_with_uninit_headers(&mut parsed, head, fields) {
        // Two readers, one end.
        Ok(Status::Complete(end)) if end == head.len() => {}
        Err(Error::TooManyHeaders) => return Err(HeadProblem::TooLarge),
        Ok(Status::Complete(_) | Status::Partial) | Err(_) => return Err(HeadProblem::Unreadable),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(HeadProblem::Unreadable);
    };
    let version = if minor == 1 { Version::HTTP_11 } else { Version::HTTP_10 };
    let mut hop =
        Hop { keeps_alive: version == Version::HTTP_11, expects: false, switches: false, takes_trailers: false };
    let mut closes = false;
    map.clear();
    map.reserve(parsed.headers.len());
    for field in &*parsed.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| HeadProblem::Unreadable)?;
        // The first letter decides nearly always.
        match name.as_str().as_bytes().first() {
            Some(b'c') if name == CONNECTION => {
                closes |= has_token(field.value, b"close");
                hop.keeps_alive |= has_token(field.value, b"keep-alive");
            }
            Some(b'e') if name == EXPECT => hop.expects = field.value.eq_ignore_ascii_case(b"100-continue"),
            Some(b't') if name == TE => hop.takes_trailers |= has_token(field.value, b"trailers"),
            // What an HTTP/1.0 server makes of it nobody knows (RFC 9112 section 6.1).
            Some(b't') if name == TRANSFER_ENCODING && version == Version::HTTP_10 => {
                return Err(HeadProblem::OddCoding);
            }
            Some(b'u') if name == UPGRADE => hop.switches = version == Version::HTTP_11,
            Some(_) | None => {}
        }
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value)).map_err(|_| HeadProblem::Unreadable)?;
        map.try_append(name, value).map_err(|_| HeadProblem::TooLarge)?;
    }
    hop.keeps_alive &= !closes;
    hop.expects &= version == Version::HTTP_11 && !framing.is_over();
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(method.as_bytes()).map_err(|_| HeadProblem::Unreadable)?;
    *request.uri_mut() =
        Uri::from_maybe_shared(head.slice_ref(target.as_bytes())).map_err(|_| HeadProblem::Unreadable)?;
    *request.version_mut() = version;
    *request.headers_mut() = map;
    Ok(Head { request, framing, hop })
}

/// Whether a list in a field has a word.
fn has_token(list: &[u8], token: &[u8]) -> bool {
    list.split(|byte| *byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { bytes_max: 8 << 10, fields_max: 100 };

    fn read(text: &str) -> Result<Option<Head>, HeadProblem> {
        take(&mut BytesMut::from(text), BOUNDS, &mut HeaderMap::new())
    }

    fn hop(fields: &str) -> Hop {
        read(&format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n{fields}\r\n")).unwrap().unwrap().hop
    }

    #[test]
    fn a_head_is_read_and_what_follows_it_is_left_alone() {
        let mut buffer = BytesMut::from(
            "\r\nPOST /a%20b?c=d HTTP/1.1\r\nHost: emr.example.jp\r\nX-A:  b \r\nx-a:\r\nContent-Length: 2\r\n\r\nhiGET /",
        );
        let head = take(&mut buffer, BOUNDS, &mut HeaderMap::new()).unwrap().unwrap();
        assert_eq!(&*buffer, b"hiGET /");
        let request = head.request;
        assert_eq!((request.method().as_str(), request.version()), ("POST", Version::HTTP_11));
        assert_eq!(request.uri(), "/a%20b?c=d");
        assert_eq!(request.headers().get_all("x-a").iter().collect::<Vec<_>>(), ["b", ""]);
        assert_eq!(head.framing, Framing::Length(2));
    }

    #[test]
    fn what_the_connection_is_told_is_heard() {
        assert!(hop("").keeps_alive && !hop("").expects && !hop("").switches && !hop("").takes_trailers);
        assert!(!hop("Connection: x, Close\r\n").keeps_alive);
        assert!(!hop("Connection: close\r\nConnection: keep-alive\r\n").keeps_alive);
        assert!(!hop("Connection: keep-alive\r\nConnection: close\r\n").keeps_alive);
        assert!(hop("Expect: 100-Continue\r\n").expects);
        assert!(!hop("Expect: 200-ok\r\n").expects);
        assert!(hop("Upgrade: websocket\r\n").switches);
        assert!(hop("TE: deflate, trailers\r\n").takes_trailers);
        let old =
            |fields: &str| read(&format!("POST / HTTP/1.0\r\nContent-Length: 1\r\n{fields}\r\n")).unwrap().unwrap().hop;
        assert!(!old("").keeps_alive && old("Connection: Keep-Alive\r\n").keeps_alive);
        assert!(!old("Expect: 100-continue\r\n").expects && !old("Upgrade: websocket\r\n").switches);
        let empty = read("POST / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n").unwrap().unwrap();
        assert!(!empty.hop.expects, "there is no body to wait for");
    }

    #[test]
    fn what_is_not_http_1_or_could_be_read_twice_is_refused() {
        use HeadProblem::{BareLineEnd, OddCoding, TooLarge, Unreadable};
        let large = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(9 << 10));
        let large_and_whole = format!("{large}\r\n\r\n");
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: 1\r\n".repeat(101));
        for (text, problem) in [
            ("GET /a\r\n\r\n", Unreadable),
            ("GET  /a HTTP/1.1\r\n\r\n", Unreadable),
            ("GET /a b HTTP/1.1\r\n\r\n", Unreadable),
            ("GET /a HTTP/1.1 \r\n\r\n", Unreadable),
            ("GET /a HTTP/1.2\r\n\r\n", Unreadable),
            ("GET /a HTTP/2.0\r\n\r\n", Unreadable),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Unreadable),
            ("GE\u{e9}T / HTTP/1.1\r\n\r\n", Unreadable),
            ("GET / HTTP/1.1\r\nX : a\r\n\r\n", Unreadable),
            ("GET / HTTP/1.1\r\n: a\r\n\r\n", Unreadable),
            ("GET / HTTP/1.1\r\nX\r\n\r\n", Unreadable),
            ("GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", Unreadable),
            ("GET / HTTP/1.1\r\nX: a\x0cb\r\n\r\n", Unreadable),
            ("GET / HTTP/1.1\r\nContent-Length : 5\r\n\r\n", Unreadable),
            ("GET / HTTP/1.1\r\nContent-Length: \x0c5\r\n\r\n", Unreadable),
            ("GET / HTTP/1.1\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", OddCoding),
            ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", OddCoding),
            ("GET / HTTP/1.1\nHost", BareLineEnd),
            (&large, TooLarge),
            (&large_and_whole, TooLarge),
            (&many, TooLarge),
        ] {
            let read = read(text);
            assert_eq!(read.as_ref().err(), Some(&problem), "{:?}: {read:?}", text.get(..60).unwrap_or(text));
        }
    }

    /// Bytes that look like heads, and like what others would read as two.
    fn odd_head() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "GET / HTTP/1.1",
            "POST /a HTTP/1.1",
            "\r\n",
            "\r\n",
            "\r\n",
            "\n",
            "\r",
            " ",
            "\t",
            "Host: a",
            "Content-Length: 3",
            "content-length:3",
            "Transfer-Encoding: chunked",
            "X: y",
            ":",
            "\0",
            "a",
            "\x0b",
        ]);
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn a_head_reads_alike_whole_and_byte_by_byte(bytes in odd_head()) {
            let whole = take(&mut BytesMut::from(bytes.as_slice()), BOUNDS, &mut HeaderMap::new());
            let (mut buffer, mut read) = (BytesMut::new(), Ok(None));
            for byte in &bytes {
                buffer.extend_from_slice(&[*byte]);
                read = take(&mut buffer, BOUNDS, &mut HeaderMap::new());
                if !matches!(read, Ok(None)) {
                    break;
                }
            }
            let told = |read: &Result<Option<Head>, HeadProblem>| {
                read.as_ref().map_err(|problem| *problem).map(|head| {
                    head.as_ref().map(|head| (head.framing, head.request.headers().clone(), head.request.uri().clone()))
                })
            };
            prop_assert_eq!(told(&read), told(&whole));
        }

        #[test]
        fn what_passes_is_read_alike_by_a_reader_that_knows_no_lenience(bytes in odd_head()) {
            let mut buffer = BytesMut::from(bytes.as_slice());
            if let Ok(Some(head)) = take(&mut buffer, BOUNDS, &mut HeaderMap::new()) {
                let taken = bytes.len() - buffer.len();
                let text = std::str::from_utf8(&bytes[..taken]).unwrap();
                let text = text.strip_prefix("\r\n").unwrap_or(text);
                prop_assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\0', '\x0b']));
                let lines: Vec<&str> = text.strip_suffix("\r\n\r\n").unwrap().split("\r\n").skip(1).collect();
                prop_assert!(lines.iter().all(|line| !line.is_empty() && !line.starts_with([' ', '\t'])));
                prop_assert_eq!(lines.len(), head.request.headers().len());
                let named = |name: &str| lines.iter().filter(|line| line.to_lowercase().starts_with(name)).count();
                let framing = match (named("content-length:"), named("transfer-encoding:")) {
                    (0, 0) => Framing::Length(0),
                    (1, 0) => Framing::Length(3),
                    (0, 1) => Framing::chunked(),
                    _ => return Err(TestCaseError::fail("two framings passed")),
                };
                prop_assert_eq!(head.framing, framing);
                prop_assert!(named("host:") <= 1);
            }
        }

        #[test]
        fn no_bytes_make_it_stumble(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0usize..60) {
            let mut near = BytesMut::from("GET /a HTTP/1.1\r\nHost: emr.example.jp\r\nCookie: a=b\r\n\r\n");
            near.truncate(cut);
            near.extend_from_slice(&bytes);
            drop(take(&mut near, BOUNDS, &mut HeaderMap::new()));
            drop(take(&mut BytesMut::from(bytes.as_slice()), BOUNDS, &mut HeaderMap::new()));
        }
    }
}
