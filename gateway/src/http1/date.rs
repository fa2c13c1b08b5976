//! The `Date` of answers (RFC 9110 section 6.6.1), written once a second.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use policy::Timestamp;

/// How long the line is, in bytes: every date of HTTP is as long as any other.
pub const LINE_BYTES: usize = 37;

/// A worker's line of this second.
#[derive(Debug)]
pub struct Dates(Cell<(i64, [u8; LINE_BYTES])>);

impl Default for Dates {
    fn default() -> Self {
        Self(Cell::new((i64::MIN, [0; LINE_BYTES])))
    }
}

impl Dates {
    /// The whole line of a head, at this moment.
    pub fn line(&self, now: Timestamp) -> [u8; LINE_BYTES] {
        let seconds = now.unix_seconds();
        let (second, line) = self.0.get();
        if second == seconds {
            return line;
        }
        let since = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        let text = format!("date: {}\r\n", httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since));
        let line = <[u8; LINE_BYTES]>::try_from(text.as_bytes()).unwrap_or([b' '; LINE_BYTES]);
        self.0.set((seconds, line));
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_that_of_the_moment() {
        let dates = Dates::default();
        for (seconds, text) in [
            (0, "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"),
            (0, "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"),
            (784_111_777, "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
            (253_402_300_799, "date: Fri, 31 Dec 9999 23:59:59 GMT\r\n"),
        ] {
            let at = Timestamp::from_unix_micros(seconds * 1_000_000 + 999_999);
            assert_eq!(std::str::from_utf8(&dates.line(at)), Ok(text));
        }
    }
}
