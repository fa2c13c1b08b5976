//! Spans of time and sizes as people write them: a number and a unit.

use std::fmt::Write;
use std::time::Duration;

/// A year has 366 days, so that nothing that is to be kept for years goes too early.
const TIMES: [(&str, u64); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("y", 366 * 86_400_000)];
const SIZES: [(&str, u64); 5] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// Reads `30s`, `5m`, `12h`, `30d`, `5y`, `50ms`.
pub(crate) fn parse_time(text: &str) -> Option<Duration> {
    parse(text, &TIMES).map(Duration::from_millis)
}

/// Reads `512B`, `32KiB`, `16MiB`, `1GiB`.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    parse(text, &SIZES)
}

/// Writes a span as it is read.
pub(crate) fn show_time(time: Duration) -> String {
    show(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), &TIMES)
}

/// Writes a size as it is read.
pub(crate) fn show_size(bytes: u64) -> String {
    show(bytes, &SIZES)
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    let (_, size) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*size)
}

fn show(amount: u64, units: &[(&str, u64)]) -> String {
    let mut shown = String::new();
    let fitting = units.iter().rev().find(|(_, size)| amount >= *size && amount.is_multiple_of(*size));
    let (unit, size) = fitting.or(units.first()).copied().unwrap_or(("", 1));
    // Writing into a `String` cannot fail.
    let _ = write!(shown, "{}{unit}", amount / size);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_read_and_write() {
        for text in ["50ms", "10s", "5m", "12h", "30d", "90s", "5y"] {
            assert_eq!(show_time(parse_time(text).unwrap()), text);
        }
        for text in ["0B", "512B", "32KiB", "1GiB", "1537B"] {
            assert_eq!(show_size(parse_size(text).unwrap()), text);
        }
        assert_eq!(parse_time("2m"), Some(Duration::from_secs(120)));
    }

    #[test]
    fn a_number_without_a_unit_is_not_guessed() {
        for bad in [
            "",
            "10",
            "s",
            "10 s",
            "-1s",
            "1.5h",
            "1h30m",
            "10S",
            "10sec",
            "１s",
            "99999999999999999999s",
            "999999999999999999d",
        ] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
        for bad in ["", "10", "1KB", "1kib", "1 GiB", "99999999999TiB"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }
}
