//! Whether the head of an HTTP/1 request can be read in one way only. RFC 9112 lets a recipient be lenient; a checkpoint
//! is not: what another server in the chain could read differently is refused with 400 (RFC 9112 sections 2.2, 5.2, 6.3
//! and 11.2).

use std::fmt;

use memchr::{memchr, memchr2_iter};

use crate::http1::Framing;

/// Why a head is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeadProblem {
    /// It is not HTTP/1.
    Unreadable,
    /// It is larger than heads may be, or has more fields.
    TooLarge,
    /// A line ends without carriage return, or has a stray one.
    BareLineEnd,
    /// A field goes on in a second line.
    FoldedField,
    /// More than one `Content-Length`, `Transfer-Encoding` or `Host`.
    RepeatedField,
    /// Both `Content-Length` and `Transfer-Encoding`.
    TwoLengths,
    /// A `Content-Length` that is no number.
    OddLength,
    /// A transfer coding other than `chunked`, or one over HTTP/1.0.
    OddCoding,
    /// A `#` in the request target (RFC 9112 section 3.2 allows none).
    OddTarget,
}

impl HeadProblem {
    /// Its code in the log.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "head-unreadable",
            Self::TooLarge => "head-too-large",
            Self::BareLineEnd => "head-bare-line-end",
            Self::FoldedField => "head-folded-field",
            Self::RepeatedField => "head-repeated-field",
            Self::TwoLengths => "head-two-lengths",
            Self::OddLength => "head-odd-length",
            Self::OddCoding => "head-odd-coding",
            Self::OddTarget => "head-odd-target",
        }
    }
}

impl fmt::Display for HeadProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A head that can be read in one way only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checked {
    /// Where it ends.
    pub end: usize,
    /// Where the body behind it ends.
    pub body: Framing,
}

/// Checks the head at the start of `bytes`, of at most so many fields; what follows it is not looked at. `None` until it is
/// whole.
///
/// # Errors
/// [`HeadProblem`], as soon as it is seen; answer 400 and close.
pub fn check(bytes: &[u8], fields_max: usize) -> Result<Option<Checked>, HeadProblem> {
    // One empty line before the request line is let pass, as RFC 9112 section 2.2 asks.
    let before = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    let bytes = bytes.get(before..).unwrap_or_default();
    let mut counted = Counted::default();
    let mut start = 0;
    for (number, end) in line_ends(bytes).enumerate() {
        let end = end.map_err(|()| HeadProblem::BareLineEnd)?;
        let line = bytes.get(start..end).unwrap_or_default();
        match line.first() {
            None if start == 0 => return Err(HeadProblem::BareLineEnd),
            None => return counted.verdict().map(|body| Some(Checked { end: before + end + 2, body })),
            Some(_) if start == 0 => {
                if memchr(b'#', line).is_some() {
                    return Err(HeadProblem::OddTarget);
                }
            }
            Some(b' ' | b'\t') => return Err(HeadProblem::FoldedField),
            // The head may come in drops, and is looked at anew with each.
            Some(_) if number > fields_max => return Err(HeadProblem::TooLarge),
            // No other letter begins a field that matters here.
            Some(b'c' | b'C' | b't' | b'T' | b'h' | b'H') => counted.count(line)?,
            Some(_) => {}
        }
        start = end + 2;
    }
    Ok(None)
}

/// Where the empty line that ends a list of fields ends; `None` until it is there.
///
/// # Errors
/// Where a line could be read in two ways.
pub fn end(bytes: &[u8]) -> Result<Option<usize>, HeadProblem> {
    let mut start = 0;
    for end in line_ends(bytes) {
        let end = end.map_err(|()| HeadProblem::BareLineEnd)?;
        match bytes.get(start) {
            _ if start == end => return Ok(Some(end + 2)),
            Some(b' ' | b'\t') => return Err(HeadProblem::FoldedField),
            Some(_) | None => start = end + 2,
        }
    }
    Ok(None)
}

/// Where the lines end: at a CR that a LF follows. An error where either stands alone. A CR at the end of the bytes ends
/// nothing yet.
fn line_ends(bytes: &[u8]) -> impl Iterator<Item = Result<usize, ()>> {
    let mut ends = memchr2_iter(b'\r', b'\n', bytes);
    std::iter::from_fn(move || {
        let end = ends.next()?;
        match bytes.get(end..) {
            Some([b'\r', b'\n', ..]) => {
                ends.next();
                Some(Ok(end))
            }
            Some([b'\r']) => None,
            Some(_) | None => Some(Err(())),
        }
    })
}

/// The fields that say where a message ends and whom it is for.
#[derive(Default)]
struct Counted {
    lengths: usize,
    length: u64,
    codings: usize,
    hosts: usize,
}

impl Counted {
    fn count(&mut self, line: &[u8]) -> Result<(), HeadProblem> {
        let Some(colon) = memchr(b':', line) else { return Ok(()) };
        let (name, value) = line.split_at(colon);
        if name.eq_ignore_ascii_case(b"content-length") {
            self.lengths += 1;
            let digits = value.get(1..).unwrap_or_default().trim_ascii();
            let is_plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
            let digits = std::str::from_utf8(digits).ok().filter(|_| is_plain);
            self.length = digits.and_then(|digits| digits.parse().ok()).ok_or(HeadProblem::OddLength)?;
        } else if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.codings += 1;
            let coding = value.get(1..).unwrap_or_default().trim_ascii();
            if !coding.eq_ignore_ascii_case(b"chunked") {
                return Err(HeadProblem::OddCoding);
            }
        }
        Ok(())
    }

    fn verdict(&self) -> Result<Framing, HeadProblem> {
        match (self.lengths, self.codings, self.hosts) {
            (0 | 1, 0, 0 | 1) => Ok(Framing::Length(self.length)),
            (0, 1, 0 | 1) => Ok(Framing::chunked()),
            (1.., 1.., _) => Err(HeadProblem::TwoLengths),
            _ => Err(HeadProblem::RepeatedField),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_heads_pass_once_they_are_whole() {
        for (head, behind, body) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", Framing::Length(0)),
            ("GET / HTTP/1.0\r\n\r\n", "GET /b", Framing::Length(0)),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", "a\nb", Framing::Length(3)),
            ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n", "0\r\n\r\n", Framing::chunked()),
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "", Framing::Length(0)),
        ] {
            let whole = format!("{head}{behind}");
            assert_eq!(check(whole.as_bytes(), 100), Ok(Some(Checked { end: head.len(), body })), "{head:?}");
            for end in 0..head.len() {
                assert_eq!(check(&whole.as_bytes()[..end], 100), Ok(None), "{end} of {head:?}");
            }
        }
    }

    #[test]
    fn heads_that_could_be_read_twice_are_refused() {
        use HeadProblem::{BareLineEnd, FoldedField, OddCoding, OddLength, OddTarget, RepeatedField, TwoLengths};
        for (head, problem) in [
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", TwoLengths),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", TwoLengths),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", RepeatedField),
            ("POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\n", OddLength),
            ("POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\n", OddLength),
            ("POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", OddLength),
            ("POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n", OddLength),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", RepeatedField),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", RepeatedField),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", OddCoding),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", OddCoding),
            ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", OddTarget),
            ("\r\nGET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", OddTarget),
            ("\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", TwoLengths),
            ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BareLineEnd),
            ("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", BareLineEnd),
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", BareLineEnd),
            ("GET / HTTP/1.1\r\nHost: a\n\n", BareLineEnd),
            ("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", BareLineEnd),
            ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", BareLineEnd),
            ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", FoldedField),
        ] {
            assert_eq!(check(head.as_bytes(), 100), Err(problem), "{head:?}");
        }
    }

    #[test]
    fn more_fields_than_may_be_are_not_waited_for() {
        let head = |fields: usize| format!("GET / HTTP/1.1\r\n{}", "X: a\r\n".repeat(fields));
        assert_eq!(check(head(100).as_bytes(), 100), Ok(None));
        assert_eq!(check(head(101).as_bytes(), 100), Err(HeadProblem::TooLarge));
        assert!(matches!(check(format!("{}\r\n", head(100)).as_bytes(), 100), Ok(Some(_))));
    }
}
