//! Numbers that tell one request and one session from another. Both are safe to log;
//! the secret that opens a session is another type, kept in `identity`.

use std::fmt;

use crate::Timestamp;

/// One request: a UUID version 7 (RFC 9562), so that ids sort by time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(u128);

impl RequestId {
    /// Makes an id from the moment and 80 random bits (the higher bits of `random` are ignored).
    #[must_use]
    pub fn new(at: Timestamp, random: u128) -> Self {
        let millis = (at.unix_micros().max(0) / 1_000).unsigned_abs() as u128;
        let random_a = (random >> 64) & 0xfff;
        let random_b = random & 0x3fff_ffff_ffff_ffff;
        Self((millis & 0xffff_ffff_ffff) << 80 | 0x7 << 76 | random_a << 64 | 0b10 << 62 | random_b)
    }

    /// Reads the 36-character form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let dashes_fit = bytes.len() == 36 && [8, 13, 18, 23].iter().all(|at| bytes.get(*at) == Some(&b'-'));
        let hex: String = text.chars().filter(|c| *c != '-').collect();
        if !dashes_fit || hex.len() != 32 || hex.bytes().any(|b| !b.is_ascii_hexdigit() || b.is_ascii_uppercase()) {
            return None;
        }
        u128::from_str_radix(&hex, 16).ok().map(Self)
    }
}

impl RequestId {
    /// The 36-character form, in ASCII.
    #[must_use]
    pub fn digits(self) -> [u8; 36] {
        let [high, low] = [(self.0 >> 64) as u64, self.0 as u64].map(hex_digits);
        let mut text = [b'-'; 36];
        let (places, digits) = ([(0, 8), (9, 4), (14, 4), (19, 4), (24, 12)], [high, low]);
        let mut digits = digits.as_flattened();
        for (at, count) in places {
            if let (Some(place), Some((these, rest))) = (text.get_mut(at..at + count), digits.split_at_checked(count)) {
                place.copy_from_slice(these);
                digits = rest;
            }
        }
        text
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

/// One signed-in session, as the log names it: sixteen hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u64);

impl SessionId {
    /// Makes an id from 64 random bits.
    #[must_use]
    pub fn new(random: u64) -> Self {
        Self(random)
    }

    /// Reads the sixteen digits back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !plain {
            return None;
        }
        u64::from_str_radix(text, 16).ok().map(Self)
    }

    /// The 64 bits.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The sixteen digits, in ASCII.
    #[must_use]
    pub fn digits(self) -> [u8; 16] {
        hex_digits(self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

/// Sixteen hexadecimal digits, all of them at once: this is on the way of every request.
fn hex_digits(bits: u64) -> [u8; 16] {
    // Every four bits go to a byte of their own.
    let mut spread = u128::from(bits);
    for (shift, mask) in [
        (32, 0x0000_0000_ffff_ffff_0000_0000_ffff_ffff),
        (16, 0x0000_ffff_0000_ffff_0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff_00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f_0f0f_0f0f_0f0f_0f0f),
    ] {
        spread = (spread | spread << shift) & mask;
    }
    const EVERY: u128 = u128::from_ne_bytes([1; 16]);
    let letters = ((spread + EVERY * 6) >> 4) & EVERY;
    (spread + EVERY * 0x30 + letters * 0x27).to_be_bytes()
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_version_7_sort_by_time_and_read_back() {
        let early = RequestId::new(Timestamp::from_unix_micros(1_700_000_000_000_000), u128::MAX);
        let late = RequestId::new(Timestamp::from_unix_micros(1_700_000_000_001_000), 0);
        assert!(early < late);
        let text = early.to_string();
        assert_eq!(text.as_bytes()[14], b'7');
        assert!(matches!(text.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
        assert_eq!(RequestId::parse(&text), Some(early));
        assert_eq!(RequestId::parse(&text.to_uppercase()), None);
        assert_eq!(RequestId::parse("x"), None);
    }

    #[test]
    fn session_ids_are_sixteen_digits() {
        let id = SessionId::new(0xab);
        assert_eq!(id.to_string(), "00000000000000ab");
        assert_eq!(SessionId::parse("00000000000000ab"), Some(id));
        assert_eq!(SessionId::parse("ab"), None);
        assert_eq!(SessionId::parse("+0000000000000ab"), None);
    }
}
