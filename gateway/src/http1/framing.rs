//! Where a body ends, and its chunks (RFC 9112 sections 6 and 7): read in one way only, and written. The same for what
//! clients send and for what apps answer. No bytes are waited for here: whoever reads them calls again when more came.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use http_body::SizeHint;
use memchr::memchr2;

use crate::head;
use crate::headers::push_field;

/// The longest line that begins a chunk, and the most that trailers may take.
const CHUNK_LINE_BYTES_MAX: usize = 1024;
const TRAILERS_BYTES_MAX: usize = 16 * 1024;
const TRAILERS_MAX: usize = 64;

/// How the end of a body is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// After so many bytes more.
    Length(u64),
    /// After the last chunk.
    Chunked(Chunks),
    /// When the connection closes.
    UntilClosed,
}

/// Where in a chunked body reading is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
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
    /// At something that cannot be read: nothing behind it is.
    Lost,
}

/// What stands next in a body.
#[derive(PartialEq, Eq, Debug)]
pub enum Step {
    /// Some of it.
    Data(Bytes),
    /// Its end, with trailers.
    Trailers(HeaderMap),
    /// Its end.
    Over,
    /// Nothing that can be taken yet: more bytes have to come.
    More,
}

impl Framing {
    /// In chunks, from the first.
    pub const fn chunked() -> Self {
        Self::Chunked(Chunks::Size)
    }

    /// Whether nothing of the body is to come.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunks::Over))
    }

    /// How much of the body is to come, as far as that is known.
    pub fn size_hint(self) -> SizeHint {
        match self {
            Self::Length(left) => SizeHint::with_exact(left),
            Self::Chunked(Chunks::Over) => SizeHint::with_exact(0),
            Self::Chunked(_) | Self::UntilClosed => SizeHint::default(),
        }
    }

    /// Takes what stands next in the body off the buffer.
    ///
    /// # Errors
    /// What cannot be read, or could be read in two ways; nothing behind it can be trusted.
    pub fn step(&mut self, buffer: &mut BytesMut) -> Result<Step, &'static str> {
        match self {
            Self::Length(0) => Ok(Step::Over),
            Self::Length(left) => Ok(take(buffer, left)),
            Self::Chunked(at) => {
                let step = at.step(buffer);
                if step.is_err() {
                    *at = Chunks::Lost;
                }
                step
            }
            Self::UntilClosed => {
                let mut endless = u64::MAX;
                Ok(take(buffer, &mut endless))
            }
        }
    }
}

/// What was read, at most so much.
fn take(buffer: &mut BytesMut, left: &mut u64) -> Step {
    if buffer.is_empty() {
        return Step::More;
    }
    let bytes = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
    *left = left.saturating_sub(bytes as u64);
    if bytes == buffer.len() {
        return Step::Data(std::mem::take(buffer).freeze());
    }
    Step::Data(buffer.split_to(bytes).freeze())
}

impl Chunks {
    fn step(&mut self, buffer: &mut BytesMut) -> Result<Step, &'static str> {
        loop {
            match self {
                Self::Size => {
                    let Some(end) = line_end(buffer)? else { return Ok(Step::More) };
                    let line = buffer.get(..end).unwrap_or_default();
                    let size = chunk_size(line).ok_or("a chunk's size cannot be read")?;
                    buffer.advance(end + 2);
                    *self = if size == 0 { Self::Trailers } else { Self::Data(size) };
                }
                Self::Data(left) => {
                    let step = take(buffer, left);
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    return Ok(step);
                }
                Self::DataEnd => match &**buffer {
                    [] | [b'\r'] => return Ok(Step::More),
                    [b'\r', b'\n', ..] => {
                        buffer.advance(2);
                        *self = Self::Size;
                    }
                    _ => return Err("a chunk is longer than its size"),
                },
                Self::Trailers => {
                    let Some(trailers) = take_trailers(buffer)? else { return Ok(Step::More) };
                    *self = Self::Over;
                    return Ok(if trailers.is_empty() { Step::Over } else { Step::Trailers(trailers) });
                }
                Self::Over => return Ok(Step::Over),
                Self::Lost => return Err("its chunks cannot be read"),
            }
        }
    }
}

/// Where the first line ends; `None` until it does. No byte of it may be taken for a line end by anybody.
fn line_end(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    let window = bytes.get(..CHUNK_LINE_BYTES_MAX).unwrap_or(bytes);
    match memchr2(b'\r', b'\n', window) {
        None if window.len() == CHUNK_LINE_BYTES_MAX => Err("a line is too long"),
        None => Ok(None),
        Some(end) => match bytes.get(end..) {
            Some([b'\r', b'\n', ..]) => Ok(Some(end)),
            Some([b'\r']) => Ok(None),
            Some(_) | None => Err("a line does not end as it must"),
        },
    }
}

/// The size that the line before a chunk states; extensions are passed over (RFC 9112 section 7.1.1).
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (size, rest) = line.split_at_checked(digits)?;
    let extension = rest.trim_ascii_start();
    let is_plain = rest.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control());
    if !(1..=16).contains(&digits) || !is_plain || !matches!(extension.first(), None | Some(b';')) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()
}

/// The trailers at the start of the buffer, taken off it once they are whole.
fn take_trailers(buffer: &mut BytesMut) -> Result<Option<HeaderMap>, &'static str> {
    let window = buffer.get(..TRAILERS_BYTES_MAX).unwrap_or(buffer);
    let end = match head::end(window) {
        Err(_) => return Err("its trailers cannot be read"),
        Ok(None) if window.len() == TRAILERS_BYTES_MAX => return Err("its trailers are too large"),
        Ok(None) => return Ok(None),
        Ok(Some(end)) => end,
    };
    let bytes = buffer.split_to(end);
    if bytes.len() == b"\r\n".len() {
        return Ok(Some(HeaderMap::new()));
    }
    let mut fields = [httparse::EMPTY_HEADER; TRAILERS_MAX];
    let (taken, fields) = match httparse::parse_headers(&bytes, &mut fields) {
        Ok(httparse::Status::Complete(read)) => read,
        Ok(httparse::Status::Partial) | Err(_) => return Err("its trailers cannot be read"),
    };
    if taken != end {
        return Err("its trailers cannot be read");
    }
    let mut trailers = HeaderMap::new();
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| "an odd trailer")?;
        trailers.append(name, HeaderValue::from_bytes(field.value).map_err(|_| "an odd trailer")?);
    }
    Ok(Some(trailers))
}

/// Writes the line before a chunk of so many bytes.
pub fn push_size(out: &mut Vec<u8>, bytes: usize) {
    let mut digits = [0; 16];
    let mut first = digits.len();
    let mut left = bytes;
    loop {
        first -= 1;
        if let Some(place) = digits.get_mut(first) {
            *place = b"0123456789abcdef".get(left & 0xf).copied().unwrap_or_default();
        }
        left >>= 4;
        if left == 0 || first == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
    out.extend_from_slice(b"\r\n");
}

/// What stands behind the last chunk where there are no trailers.
pub const LAST: &[u8] = b"0\r\n\r\n";

/// Writes the last chunk, and trailers.
pub fn push_last(out: &mut Vec<u8>, trailers: Option<&HeaderMap>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        push_field(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A body's data, its trailers, and what is left behind it.
    type Read = (Vec<u8>, Option<HeaderMap>, Vec<u8>);

    /// Reads a body that arrives in pieces.
    fn read(mut framing: Framing, pieces: &[&[u8]]) -> Result<Read, &'static str> {
        let (mut buffer, mut data, mut trailers) = (BytesMut::new(), Vec::new(), None);
        let mut pieces = pieces.iter();
        loop {
            match framing.step(&mut buffer)? {
                Step::Data(more) => data.extend_from_slice(&more),
                Step::Trailers(fields) => trailers = Some(fields),
                Step::Over => {
                    pieces.for_each(|piece| buffer.extend_from_slice(piece));
                    return Ok((data, trailers, buffer.to_vec()));
                }
                Step::More => match pieces.next() {
                    Some(piece) => buffer.extend_from_slice(piece),
                    None => return Err("it breaks off"),
                },
            }
        }
    }

    fn chunked(text: &str) -> Result<Read, &'static str> {
        read(Framing::chunked(), &[text.as_bytes()])
    }

    #[test]
    fn a_body_ends_where_it_says_and_what_follows_is_left_alone() {
        let rest = b"GET /".to_vec();
        assert_eq!(read(Framing::Length(3), &[b"abcGET /"]), Ok((b"abc".to_vec(), None, rest.clone())));
        assert_eq!(read(Framing::Length(0), &[b"GET /"]), Ok((Vec::new(), None, rest.clone())));
        for text in [
            "3\r\nabc\r\n0\r\n\r\nGET /",
            "1\r\na\r\n2\r\nbc\r\n0\r\n\r\nGET /",
            "003\r\nabc\r\n000\r\n\r\nGET /",
            "3 \r\nabc\r\n0\r\n\r\nGET /",
            "3;name=\"value\"\r\nabc\r\n0;last\r\n\r\nGET /",
            "3 ; name\r\nabc\r\n0\r\n\r\nGET /",
        ] {
            assert_eq!(chunked(text), Ok((b"abc".to_vec(), None, rest.clone())), "{text:?}");
        }
        let (_, trailers, left) = chunked("0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\nGET /").unwrap();
        let trailers = trailers.unwrap();
        assert_eq!(trailers.get_all("x-sum").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(left, rest);
    }

    #[test]
    fn chunks_that_could_be_read_twice_are_refused() {
        let long = format!("3;{}\r\nabc\r\n0\r\n\r\n", "a".repeat(2000));
        let endless = format!("3;{}", "a".repeat(2000));
        let large = format!("0\r\nX: {}\r\n\r\n", "a".repeat(20_000));
        let many = format!("0\r\n{}\r\n", "X: 1\r\n".repeat(100));
        for text in [
            "3\nabc\r\n0\r\n\r\n",
            "3\r\nabc\n0\r\n\r\n",
            "3\r\nabcd\r\n0\r\n\r\n",
            "3\r\nab\r\n0\r\n\r\n",
            "\r\n",
            "-3\r\nabc\r\n0\r\n\r\n",
            "+3\r\nabc\r\n0\r\n\r\n",
            "0x3\r\nabc\r\n0\r\n\r\n",
            " 3\r\nabc\r\n0\r\n\r\n",
            "3 3\r\nabc\r\n0\r\n\r\n",
            "3,\r\nabc\r\n0\r\n\r\n",
            "3;a\rb\r\nabc\r\n0\r\n\r\n",
            "3;a\nb\r\nabc\r\n0\r\n\r\n",
            "3;a\0\r\nabc\r\n0\r\n\r\n",
            "3\x0b\r\nabc\r\n0\r\n\r\n",
            "3\r\r\nabc\r\n0\r\n\r\n",
            "11111111111111111\r\na\r\n0\r\n\r\n",
            "3\r\nabc\r\n0\r\n\n",
            "3\r\nabc\r\n0\r\nX: a\n\r\n\r\n",
            "3\r\nabc\r\n0\r\nX: a\n\nGET / HTTP/1.1\r\n\r\n",
            "3\r\nabc\r\n0\r\nX: a\r\n b\r\n\r\n",
            "3\r\nabc\r\n0\r\nX : a\r\n\r\n",
            "3\r\nabc\r\n0\r\nodd\r\n\r\n",
            "3\r\nabc\r\n0\r\nX: a\rb\r\n\r\n",
            &long,
            &endless,
            &large,
            &many,
        ] {
            let read = chunked(text);
            assert!(read.is_err_and(|why| why != "it breaks off"), "{:?}", text.get(..60).unwrap_or(text));
        }
    }

    #[test]
    fn behind_what_cannot_be_read_nothing_is() {
        for text in ["0\r\nodd\r\n\r\n", "x\r\n", "1\r\nab"] {
            let (mut framing, mut buffer) = (Framing::chunked(), BytesMut::from(text));
            let stumbles = (0..3).any(|_| framing.step(&mut buffer).is_err());
            buffer.extend_from_slice(b"\r\n0\r\n\r\n");
            assert!(stumbles && framing.step(&mut buffer).is_err() && !framing.is_over(), "{text:?}");
        }
    }

    #[test]
    fn what_breaks_off_is_not_taken_for_whole() {
        let text = "3\r\nabc\r\n0\r\nX: a\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(chunked(text.get(..end).unwrap()), Err("it breaks off"), "{end}");
        }
        assert_eq!(read(Framing::Length(4), &[b"abc"]), Err("it breaks off"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8), cut in 1usize..50) {
            let mut out = Vec::new();
            for chunk in &chunks {
                push_size(&mut out, chunk.len());
                out.extend_from_slice(chunk);
                out.extend_from_slice(b"\r\n");
            }
            let mut fields = HeaderMap::new();
            fields.insert("x-sum", HeaderValue::from_static("7"));
            push_last(&mut out, Some(&fields));
            let pieces: Vec<&[u8]> = out.chunks(cut).collect();
            prop_assert_eq!(read(Framing::chunked(), &pieces), Ok((chunks.concat(), Some(fields), Vec::new())));
        }

        #[test]
        fn however_the_bytes_are_cut_they_are_read_alike(bytes in "[0-9a-f;x \\t\\r\\n:a-]{0,60}", cut in 1usize..7) {
            // Where a piece ends decides how data is handed on, and when something odd is seen: never what is read.
            let whole = read(Framing::chunked(), &[bytes.as_bytes()]);
            let pieces: Vec<&[u8]> = bytes.as_bytes().chunks(cut).collect();
            prop_assert_eq!(read(Framing::chunked(), &pieces), whole);
        }
    }
}
