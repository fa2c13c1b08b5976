//! Spans of time as they are typed: `90m`, `8h`, `7d`.

use std::time::Duration;

use policy::{Timestamp, UtcOffset};

use crate::cli::policy as moments;
use crate::failure::Failure;

/// Reads a span; for clap.
///
/// # Errors
/// What was typed and how it is written.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a span of time; write `90m`, `8h` or `7d`");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: u64 = text.strip_suffix(unit).and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
    count.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

/// Reads a moment: a date, a moment, or a span back from now.
///
/// # Errors
/// What was typed and how it is written.
pub fn moment(text: &str, now: Timestamp, offset: UtcOffset) -> Result<Timestamp, Failure> {
    match parse(text) {
        Ok(span) => {
            let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
            Ok(Timestamp::from_unix_micros(now.unix_micros().saturating_sub(micros)))
        }
        Err(_) => moments::moment(text, offset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit_is_a_span_and_nothing_else_is() {
        assert_eq!(parse("90m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(parse("7d"), Ok(Duration::from_secs(604_800)));
        for wrong in ["", "h", "8", "8 h", "-1h", "1.5h", "8H", "99999999999999999999d", "9999999999999999d", "８h"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
