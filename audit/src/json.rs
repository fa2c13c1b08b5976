//! Writing one JSON object into a buffer, field by field, without building anything in between.

use std::fmt::Display;
use std::io::Write as _;
use std::net::IpAddr;

use policy::{Timestamp, UtcOffset};

/// Writes the fields of one object; the caller writes the braces' other side by [`Object::end`].
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Object<'a> {
    /// Goes on with an object whose opening brace and first fields, up to a comma, are written elsewhere.
    pub(crate) fn continued(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Inlined where the key is known, so that it is copied in one step and not by a call.
    #[inline(always)]
    fn key(&mut self, key: &'static str) {
        // Room for the key and most values at once.
        self.out.reserve(key.len() + 64);
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A text; whatever could end the line, move a terminal or turn the reading direction is escaped.
    #[inline(always)]
    pub(crate) fn text(&mut self, key: &'static str, value: &str) -> &mut Self {
        self.key(key);
        push_string(self.out, value);
        self.out.push(b',');
        self
    }

    /// A word of ours, in plain ASCII without quotes.
    #[inline(always)]
    pub(crate) fn word(&mut self, key: &'static str, value: &'static str) -> &mut Self {
        self.key(key);
        self.out.push(b'"');
        self.out.extend_from_slice(value.as_bytes());
        self.out.extend_from_slice(b"\",");
        self
    }

    /// Digits and dashes, such as an id's.
    #[inline(always)]
    pub(crate) fn ascii(&mut self, key: &'static str, value: &[u8]) -> &mut Self {
        self.key(key);
        self.out.push(b'"');
        self.out.extend_from_slice(value);
        self.out.extend_from_slice(b"\",");
        self
    }

    /// Whole fields, each with its comma, that were written by another object.
    pub(crate) fn encoded(&mut self, fields: &[u8]) {
        self.out.extend_from_slice(fields);
    }

    /// An address.
    pub(crate) fn address(&mut self, key: &'static str, value: IpAddr) -> &mut Self {
        let IpAddr::V4(v4) = value else { return self.plain(key, value) };
        self.key(key);
        let mut before = b'"';
        for octet in v4.octets() {
            self.out.push(before);
            push_number(self.out, octet.into());
            before = b'.';
        }
        self.out.extend_from_slice(b"\",");
        self
    }

    /// A text that displays as plain ASCII without quotes: an id.
    pub(crate) fn plain(&mut self, key: &'static str, value: impl Display) -> &mut Self {
        self.key(key);
        self.out.push(b'"');
        // Writing to a Vec cannot fail.
        drop(write!(self.out, "{value}"));
        self.out.extend_from_slice(b"\",");
        self
    }

    /// A number.
    #[inline(always)]
    pub(crate) fn number(&mut self, key: &'static str, value: u64) -> &mut Self {
        self.key(key);
        push_number(self.out, value);
        self.out.push(b',');
        self
    }

    /// A mark: true.
    pub(crate) fn yes(&mut self, key: &'static str) -> &mut Self {
        self.key(key);
        self.out.extend_from_slice(b"true,");
        self
    }

    /// Milliseconds with three decimals, from microseconds.
    pub(crate) fn millis(&mut self, key: &'static str, micros: u64) -> &mut Self {
        self.key(key);
        push_number(self.out, micros / 1_000);
        self.out.push(b'.');
        push_digits(self.out, micros % 1_000, 3);
        self.out.push(b',');
        self
    }

    /// A moment as RFC 3339 in UTC with microseconds.
    pub(crate) fn moment(&mut self, key: &'static str, at: Timestamp) -> &mut Self {
        self.key(key);
        let t = at.local(UtcOffset::UTC);
        let micros = at.unix_micros().rem_euclid(1_000_000).unsigned_abs();
        let [c, d, e] = [micros / 10_000, micros / 100 % 100, micros % 100].map(two_digits);
        let year = t.year.clamp(0, 9_999).unsigned_abs();
        let [y, z] = [year / 100, year % 100].map(two_digits);
        let [mo, da] = [t.month, t.day].map(|value| two_digits(value.into()));
        let [h, m] = [t.minute_of_day / 60, t.minute_of_day % 60].map(|value| two_digits(value.into()));
        let s = two_digits(t.second.into());
        self.out.extend_from_slice(&[
            b'"', y[0], y[1], z[0], z[1], b'-', mo[0], mo[1], b'-', da[0], da[1], b'T', h[0], h[1], b':', m[0], m[1],
            b':', s[0], s[1], b'.', c[0], c[1], d[0], d[1], e[0], e[1], b'Z', b'"', b',',
        ]);
        self
    }

    /// A list of texts.
    pub(crate) fn texts<'b>(&mut self, key: &'static str, values: impl Iterator<Item = &'b str>) -> &mut Self {
        self.key(key);
        self.out.push(b'[');
        let mut first = true;
        for value in values {
            if !first {
                self.out.push(b',');
            }
            first = false;
            push_string(self.out, value);
        }
        self.out.extend_from_slice(b"],");
        self
    }

    /// A list of texts, each a name and a value as `name=value`.
    pub(crate) fn pairs<'b>(
        &mut self,
        key: &'static str,
        pairs: impl Iterator<Item = (&'b str, &'b str)>,
    ) -> &mut Self {
        self.key(key);
        self.out.push(b'[');
        for (place, (name, value)) in pairs.enumerate() {
            self.out.extend_from_slice(if place == 0 { b"\"" } else { b",\"" });
            name.chars().for_each(|c| push_char(self.out, c));
            self.out.push(b'=');
            value.chars().for_each(|c| push_char(self.out, c));
            self.out.push(b'"');
        }
        self.out.extend_from_slice(b"],");
        self
    }

    /// Closes the object.
    pub(crate) fn end(self) {
        if self.out.last() == Some(&b',') {
            self.out.pop();
        }
        self.out.push(b'}');
    }
}

/// The last two decimal digits.
fn two_digits(value: u64) -> [u8; 2] {
    let value = (value % 100) as u8;
    [b'0' + value / 10, b'0' + value % 10]
}

/// Writes a number in decimal.
pub(crate) fn push_number(out: &mut Vec<u8>, value: u64) {
    let digits = value.checked_ilog10().unwrap_or(0) as usize + 1;
    push_digits(out, value, digits);
}

/// Writes the last so many decimal digits, twenty at most.
fn push_digits(out: &mut Vec<u8>, value: u64, digits: usize) {
    let mut text = [b'0'; 20];
    let start = text.len().saturating_sub(digits);
    let mut rest = value;
    for place in text.iter_mut().skip(start).rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(text.get(start..).unwrap_or_default());
}

fn push_string(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    // Looked at whole, without stopping early, so that many bytes are looked at together.
    let is_plain = value.bytes().fold(true, |plain, b| plain & matches!(b, 0x20..=0x7e) & (b != b'"') & (b != b'\\'));
    if is_plain {
        out.extend_from_slice(value.as_bytes());
    } else {
        value.chars().for_each(|c| push_char(out, c));
    }
    out.push(b'"');
}

fn push_char(out: &mut Vec<u8>, c: char) {
    let mut utf8 = [0; 4];
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        c if c.is_control() || changes_reading(c) => drop(write!(out, "\\u{:04x}", u32::from(c))),
        c => out.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes()),
    }
}

/// Line and paragraph separators, and marks that turn the direction of what follows.
fn changes_reading(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write(fill: impl FnOnce(&mut Object<'_>)) -> String {
        let mut out = vec![b'{'];
        let mut object = Object::continued(&mut out);
        fill(&mut object);
        object.end();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_are_written_in_one_way() {
        let text = write(|o| {
            o.text("a", "看護師 \"x\"\n\u{9b}\u{202e}").number("n", 0).number("m", u64::MAX).millis("ms", 12_034);
            o.moment("ts", Timestamp::from_unix_micros(1_743_466_530_123_456));
            o.texts("r", ["a", "b"].into_iter()).texts("e", [].into_iter()).plain("i", "::1");
            o.address("v4", [10, 0, 255, 1].into()).address("v6", std::net::Ipv6Addr::LOCALHOST.into());
            o.word("w", "served").ascii("h", b"0123456789abcdef");
        });
        assert_eq!(
            text,
            r#"{"a":"看護師 \"x\"\u000a\u009b\u202e","n":0,"m":18446744073709551615,"ms":12.034,"ts":"2025-04-01T00:15:30.123456Z","r":["a","b"],"e":[],"i":"::1","v4":"10.0.255.1","v6":"::1","w":"served","h":"0123456789abcdef"}"#
        );
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_one_line_and_reads_back(value in any::<String>()) {
            let text = write(|o| { o.text("k", &value); });
            prop_assert!(!text.contains(|c: char| c.is_control()));
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read["k"].as_str(), Some(value.as_str()));
        }
    }
}
