//! Whether the head of an HTTP/1 request can be read in one way only. hyper is lenient where RFC 9112 lets a recipient
//! be; a checkpoint is not: what another server in the chain could read differently is refused with 400
//! (RFC 9112 sections 2.2, 5.2, 6.3 and 11.2).

use std::fmt;

use memchr::{memchr, memchr2_iter, memmem};

/// Why a head is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeadProblem {
    /// The head came behind another request before that was answered, or was not seen from its first byte.
    Pipelined,
    /// A line ends without carriage return, or has a stray one.
    BareLineEnd,
    /// A field goes on in a second line.
    FoldedField,
    /// More than one `Content-Length`, `Transfer-Encoding` or `Host`.
    RepeatedField,
    /// Both `Content-Length` and `Transfer-Encoding`.
    TwoLengths,
    /// A transfer coding other than `chunked`.
    OddCoding,
    /// A `#` in the request target (RFC 9112 section 3.2 allows none).
    OddTarget,
}

impl HeadProblem {
    /// Its code in the log.
    pub fn code(self) -> &'static str {
        match self {
            Self::Pipelined => "head-pipelined",
            Self::BareLineEnd => "head-bare-line-end",
            Self::FoldedField => "head-folded-field",
            Self::RepeatedField => "head-repeated-field",
            Self::TwoLengths => "head-two-lengths",
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

/// The empty line that ends a head, and a body in chunks.
pub const END: &[u8; 4] = b"\r\n\r\n";

/// Where the first whole head in the bytes ends.
pub fn end(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, END).map(|at| at + END.len())
}

/// Checks the head at the start of `bytes`; what follows it is not looked at. Says how many bytes of body come behind
/// it, where the head says so: not where the body comes in chunks.
///
/// # Errors
/// [`HeadProblem`]; answer 400 and close.
pub fn check(bytes: &[u8]) -> Result<Option<u64>, HeadProblem> {
    if bytes.is_empty() {
        return Err(HeadProblem::Pipelined);
    }
    // One empty line before the request line is let pass, as RFC 9112 section 2.2 asks.
    let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let mut counted = Counted::default();
    let mut start = 0;
    let mut ends = memchr2_iter(b'\r', b'\n', bytes);
    // Every line ends in CR LF, no CR or LF stands anywhere else, and an empty line ends the head.
    while let Some(end) = ends.next() {
        if ends.next() != Some(end + 1) || bytes.get(end..end + 2) != Some(b"\r\n") {
            return Err(HeadProblem::BareLineEnd);
        }
        let line = bytes.get(start..end).unwrap_or_default();
        match line.first() {
            None if start == 0 => return Err(HeadProblem::BareLineEnd),
            None => return counted.verdict(),
            Some(_) if start == 0 => {
                if memchr(b'#', line).is_some() {
                    return Err(HeadProblem::OddTarget);
                }
            }
            Some(b' ' | b'\t') => return Err(HeadProblem::FoldedField),
            // No other letter begins a field that matters here.
            Some(b'c' | b'C' | b't' | b'T' | b'h' | b'H') => counted.count(line)?,
            Some(_) => {}
        }
        start = end + 2;
    }
    Err(HeadProblem::BareLineEnd)
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
            // What is no number is refused later, with a reason of its own.
            self.length = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0);
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

    fn verdict(&self) -> Result<Option<u64>, HeadProblem> {
        match (self.lengths, self.codings, self.hosts) {
            (0 | 1, 0, 0 | 1) => Ok(Some(self.length)),
            (0, 1, 0 | 1) => Ok(None),
            (1.., 1.., _) => Err(HeadProblem::TwoLengths),
            _ => Err(HeadProblem::RepeatedField),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_heads_pass() {
        for (head, body) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Some(0)),
            ("GET / HTTP/1.0\r\n\r\n", Some(0)),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na\nb", Some(3)),
            ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n", None),
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Some(0)),
        ] {
            assert_eq!(check(head.as_bytes()), Ok(body), "{head:?}");
        }
    }

    #[test]
    fn heads_that_could_be_read_twice_are_refused() {
        use HeadProblem::{BareLineEnd, FoldedField, OddCoding, OddTarget, RepeatedField, TwoLengths};
        for (head, problem) in [
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", TwoLengths),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", TwoLengths),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", RepeatedField),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", RepeatedField),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", RepeatedField),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", OddCoding),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", OddCoding),
            ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", OddTarget),
            ("\r\nGET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", OddTarget),
            ("\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", TwoLengths),
            ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BareLineEnd),
            ("GET / HTTP/1.1\r\nHost: a\r\n", BareLineEnd),
            ("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", BareLineEnd),
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", BareLineEnd),
            ("GET / HTTP/1.1\r\nHost: a\n\n", BareLineEnd),
            ("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", BareLineEnd),
            ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", BareLineEnd),
            ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", FoldedField),
        ] {
            assert_eq!(check(head.as_bytes()), Err(problem), "{head:?}");
        }
    }
}
