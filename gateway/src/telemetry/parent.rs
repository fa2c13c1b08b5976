//! `traceparent` (W3C Trace Context): whose trace a request belongs to.

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// The field that says to which trace a request belongs.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What vendors of traces say beside it.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A trace, as 32 digits.
pub type TraceDigits = [u8; 32];
/// A span, as 16 digits.
pub type SpanDigits = [u8; 16];

/// What a client says of the trace it began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parent {
    /// The trace.
    pub trace: TraceDigits,
    /// The client's span.
    pub span: SpanDigits,
    /// Whether the client records it.
    pub is_sampled: bool,
}

impl Parent {
    /// Reads the one field of version 00; whatever deviates is no parent (section 3.2).
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let mut fields = headers.get_all(TRACEPARENT).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else { return None };
        let mut parts = field.as_bytes().split(|byte| *byte == b'-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let flags: [u8; 2] = hex(flags)?;
        if version != b"00" || parts.next().is_some() {
            return None;
        }
        let is_sampled = matches!(flags.last(), Some(digit) if char::from(*digit).to_digit(16)? & 1 == 1);
        Some(Self { trace: not_zero(hex(trace)?)?, span: not_zero(hex(span)?)?, is_sampled })
    }
}

/// The field for an app.
pub fn field(trace: &TraceDigits, span: &SpanDigits) -> Option<HeaderValue> {
    let text = [b"00-".as_slice(), trace, b"-", span, b"-01"].concat();
    HeaderValue::from_bytes(&text).ok()
}

fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let known = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    digits.iter().all(known).then(|| digits.try_into().ok()).flatten()
}

fn not_zero<const N: usize>(digits: [u8; N]) -> Option<[u8; N]> {
    digits.iter().any(|digit| *digit != b'0').then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn read(fields: &[&str]) -> Option<Parent> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(TRACEPARENT, HeaderValue::from_str(field).unwrap());
        }
        Parent::read(&headers)
    }

    #[test]
    fn a_parent_is_read_and_written_as_the_standard_has_it() {
        let text = format!("00-{TRACE}-{SPAN}-01");
        let parent = read(&[&text]).unwrap();
        assert!(parent.is_sampled && parent.trace == *TRACE.as_bytes() && parent.span == *SPAN.as_bytes());
        assert_eq!(field(&parent.trace, &parent.span).unwrap(), text.as_str());
        assert!(!read(&[&format!("00-{TRACE}-{SPAN}-00")]).unwrap().is_sampled);
    }

    #[test]
    fn whatever_deviates_is_no_parent() {
        let zeros = "0".repeat(32);
        for text in [
            String::new(),
            format!("00-{TRACE}-{SPAN}"),
            format!("01-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{TRACE}x-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-0g"),
        ] {
            assert_eq!(read(&[&text]), None, "{text}");
        }
        let text = format!("00-{TRACE}-{SPAN}-01");
        assert_eq!(read(&[&text, &text]), None, "two are none");
    }
}
