//! Days, hours and months by the hospital's clock.

use std::time::Duration;

use policy::{Timestamp, UtcOffset};

/// A day.
pub(super) const DAY: Duration = Duration::from_secs(86_400);
/// An hour.
pub(super) const HOUR: Duration = Duration::from_secs(3_600);

/// From a moment on, and before another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Period {
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

impl Period {
    /// How long it is.
    pub(super) fn span(self) -> Duration {
        self.until.since(self.since)
    }
}

/// The hour that `2026-11-22T09` names.
pub(super) fn hour(text: &str, offset: UtcOffset) -> Option<Period> {
    let (day, hour) = text.split_once('T')?;
    let is_written_so = hour.len() == 2 && hour.bytes().all(|byte| byte.is_ascii_digit());
    let number = hour.parse::<u32>().ok().filter(|number| *number < 24 && is_written_so)?;
    let since = Timestamp::parse_date(day, offset)?.after(HOUR * number);
    Some(Period { since, until: since.after(HOUR) })
}

/// A month: `2026-11`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Month {
    year: i64,
    /// 1 to 12.
    number: u8,
}

impl Month {
    /// The month of a moment.
    pub(super) fn of(at: Timestamp, offset: UtcOffset) -> Self {
        let local = at.local(offset);
        Self { year: local.year, number: local.month }
    }

    /// Reads `2026-11`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (year, number) = text.split_once('-')?;
        let is_written_so = year.len() == 4 && number.len() == 2 && !text.contains('+');
        let (year, number) = (year.parse().ok()?, number.parse().ok()?);
        (is_written_so && (1..=12).contains(&number)).then_some(Self { year, number })
    }

    /// The month before.
    pub(super) fn before(self) -> Self {
        match self.number {
            1 => Self { year: self.year - 1, number: 12 },
            number => Self { number: number - 1, ..self },
        }
    }

    fn after(self) -> Self {
        match self.number {
            12 => Self { year: self.year + 1, number: 1 },
            number => Self { number: number + 1, ..self },
        }
    }

    /// As it is written.
    pub(super) fn text(self) -> String {
        format!("{:04}-{:02}", self.year, self.number)
    }

    /// Its first day, as it is written.
    pub(super) fn first_day(self) -> String {
        format!("{}-01", self.text())
    }

    /// The whole of it.
    pub(super) fn period(self, offset: UtcOffset) -> Option<Period> {
        let first = |month: Self| Timestamp::parse_date(&month.first_day(), offset);
        Some(Period { since: first(self)?, until: first(self.after())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_the_hospitals_own() {
        let nine = hour("2026-11-22T09", UtcOffset::JAPAN).unwrap();
        assert_eq!(nine.since.to_string(), "2026-11-22T00:00:00.000Z");
        assert_eq!(nine.span(), HOUR);
        for wrong in ["", "2026-11-22", "2026-11-22T24", "2026-11-22T9", "2026-02-30T01", "T", "2026-11-22T+1"] {
            assert_eq!(hour(wrong, UtcOffset::UTC), None, "{wrong}");
        }
    }

    #[test]
    fn months_follow_each_other_across_the_year() {
        let january = Month::parse("2027-01").unwrap();
        assert_eq!((january.before().text(), january.before().after()), ("2026-12".to_owned(), january));
        let february = Month::parse("2028-02").unwrap().period(UtcOffset::JAPAN).unwrap();
        assert_eq!(february.span(), DAY * 29);
        for wrong in ["", "2027", "2027-13", "2027-0", "27-01", "2027-1", "+027-01", "2027-+1"] {
            assert_eq!(Month::parse(wrong), None, "{wrong}");
        }
    }
}
