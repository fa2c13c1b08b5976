//! Bodies of any size: a download made of a repeating pattern, in whole or in part (RFC 9110 section 14), and an
//! upload that is counted and forgotten. Neither is ever in memory as a whole.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::StatusCode;
use http::header::{ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::json;

use super::super::answer::{self, Answer};
use super::super::asked::Asked;

/// The largest download, in MiB.
const MIB_MAX: u64 = 16 * 1024;
const MIB_DEFAULT: u64 = 64;
const MIB: u64 = 1024 * 1024;
/// The pattern: 0 to 250 over and over. Byte `n` of every export is `n % 251`, so that a test can check any part.
const PERIOD: u8 = 251;
const CHUNK_BYTES: u64 = 251 * 256;

/// Answers `GET /export/large.bin?mib=N`.
pub(super) fn answer(asked: &Asked) -> Answer {
    let mib = match asked.query.one("mib").map_or(Ok(MIB_DEFAULT), str::parse::<u64>) {
        Ok(mib) if (1..=MIB_MAX).contains(&mib) => mib,
        _ => return answer::problem(StatusCode::BAD_REQUEST, "`mib` is a number from 1 to 16384"),
    };
    let size = mib * MIB;
    let answer = match parse_range(asked.header("range"), size) {
        Wanted::All => body(StatusCode::OK, 0, size),
        Wanted::Part { first, last } => {
            let part = body(StatusCode::PARTIAL_CONTENT, first, last + 1 - first);
            content_range(part, &format!("bytes {first}-{last}/{size}"))
        }
        Wanted::Nothing => content_range(answer::empty(StatusCode::RANGE_NOT_SATISFIABLE), &format!("bytes */{size}")),
    };
    answer::with_header(answer, ACCEPT_RANGES, HeaderValue::from_static("bytes"))
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wanted {
    All,
    Part { first: u64, last: u64 },
    Nothing,
}

/// One range of bytes. Several ranges, other units and nonsense mean the whole, as RFC 9110 allows.
fn parse_range(header: &str, size: u64) -> Wanted {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
        return Wanted::All;
    };
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    let end = size.saturating_sub(1);
    match (first, number(first), last, number(last)) {
        ("", _, _, Some(0)) => Wanted::Nothing,
        ("", _, _, Some(count)) => Wanted::Part { first: size.saturating_sub(count), last: end },
        (_, Some(first), "", _) if first <= end => Wanted::Part { first, last: end },
        (_, Some(first), _, Some(last)) if first <= last && first <= end => Wanted::Part { first, last: last.min(end) },
        (_, Some(first), "", _) if first > end => Wanted::Nothing,
        (_, Some(first), _, Some(last)) if first <= last => Wanted::Nothing,
        _ => Wanted::All,
    }
}

fn content_range(answer: Answer, text: &str) -> Answer {
    match HeaderValue::from_str(text) {
        Ok(value) => answer::with_header(answer, CONTENT_RANGE, value),
        Err(_) => answer,
    }
}

fn body(status: StatusCode, first: u64, size: u64) -> Answer {
    let pattern = Pattern { chunk: chunk(), offset: first, left: size };
    let answer = answer::with_body(status, Some("application/octet-stream"), pattern.boxed_unsync());
    answer::with_header(answer, CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"large.bin\""))
}

fn chunk() -> Bytes {
    let period: Vec<u8> = (0..PERIOD).collect();
    Bytes::from(period.repeat(256))
}

struct Pattern {
    chunk: Bytes,
    offset: u64,
    left: u64,
}

impl Body for Pattern {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let from = self.offset % CHUNK_BYTES;
        let size = self.left.min(CHUNK_BYTES - from);
        let (Ok(start), Ok(end)) = (usize::try_from(from), usize::try_from(from + size)) else {
            return Poll::Ready(None);
        };
        self.offset += size;
        self.left -= size;
        Poll::Ready(Some(Ok(Frame::data(self.chunk.slice(start..end)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Answers an upload of any size: how many bytes it had, and whether they were the pattern.
pub(super) async fn count(mut body: Incoming) -> Answer {
    let (mut size, mut is_pattern) = (0_u64, true);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return answer::problem(StatusCode::BAD_REQUEST, "the body broke off");
        };
        let Ok(data) = frame.into_data() else { continue };
        is_pattern = is_pattern && fits(&data, size);
        size = size.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
    }
    answer::json(StatusCode::OK, "application/json", &json!({ "bytes": size, "pattern": is_pattern }))
}

fn fits(data: &[u8], offset: u64) -> bool {
    let begin = u8::try_from(offset % u64::from(PERIOD)).unwrap_or(0);
    let expected = (0..PERIOD).cycle().skip(usize::from(begin));
    data.iter().zip(expected).all(|(byte, expected)| *byte == expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    fn ask(target: &str, range: &str) -> Answer {
        answer(&Asked::of(Method::GET, target, "").with("range", range))
    }

    #[test]
    fn a_size_out_of_bounds_is_refused() {
        for mib in ["0", "16385", "-1", "x", ""] {
            assert_eq!(ask(&format!("/export/large.bin?mib={mib}"), "").status(), StatusCode::BAD_REQUEST, "{mib}");
        }
    }

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        let check = |header: &str, wanted: Wanted| assert_eq!(parse_range(header, 1000), wanted, "{header}");
        check("", Wanted::All);
        check("bytes=0-9,20-29", Wanted::All);
        check("bytes=9-5", Wanted::All);
        check("bytes=+1-5", Wanted::All);
        check("lines=1-2", Wanted::All);
        check("bytes=-", Wanted::All);
        check("bytes=0-0", Wanted::Part { first: 0, last: 0 });
        check("bytes=990-2000", Wanted::Part { first: 990, last: 999 });
        check("bytes=500-", Wanted::Part { first: 500, last: 999 });
        check("bytes=-10", Wanted::Part { first: 990, last: 999 });
        check("bytes=-5000", Wanted::Part { first: 0, last: 999 });
        check("bytes=1000-", Wanted::Nothing);
        check("bytes=1000-1001", Wanted::Nothing);
        check("bytes=-0", Wanted::Nothing);
    }

    #[tokio::test]
    async fn the_whole_is_the_pattern_and_a_part_is_its_part() {
        let answer = ask("/export/large.bin?mib=1", "");
        assert_eq!(answer.body().size_hint().exact(), Some(MIB));
        let whole = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(whole.len(), 1024 * 1024);
        assert!(fits(&whole, 0));

        let answer = ask("/export/large.bin?mib=1", "bytes=64000-130000");
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(answer.headers()[CONTENT_RANGE], "bytes 64000-130000/1048576");
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), whole[64000..=130000]);
    }
}
