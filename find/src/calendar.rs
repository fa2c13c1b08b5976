//! What a facility's calendar makes of a moment: its hour, day and month, and whether the house is at work.

use policy::{Date, Holidays, Timestamp, UtcOffset, Weekday};

const MILLIS_PER_MINUTE: i64 = 60_000;
const MINUTES_PER_HOUR: i64 = 60;
const MINUTES_PER_DAY: i64 = 24 * MINUTES_PER_HOUR;
const SECONDS_PER_HOUR: i64 = 3_600;

/// The facility's zone, and when it is at work: these minutes of Monday to Friday that are no holidays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Calendar {
    /// The zone of its clock.
    pub offset: UtcOffset,
    /// The minute of the day at which work begins.
    pub opens_at_minute: u16,
    /// The minute of the day from which on work is over.
    pub closes_at_minute: u16,
    /// Days without work.
    pub holidays: Holidays,
}

impl Default for Calendar {
    /// Japan, from eight to six.
    fn default() -> Self {
        Self { offset: UtcOffset::JAPAN, opens_at_minute: 8 * 60, closes_at_minute: 18 * 60, holidays: Holidays::NONE }
    }
}

impl Calendar {
    /// The hour of a moment, counted in the facility's zone since the epoch.
    pub(crate) fn hour(&self, millis: u64) -> i64 {
        self.minute(millis).div_euclid(MINUTES_PER_HOUR)
    }

    /// The day of a moment, likewise.
    pub(crate) fn day(&self, millis: u64) -> i64 {
        self.minute(millis).div_euclid(MINUTES_PER_DAY)
    }

    fn minute(&self, millis: u64) -> i64 {
        let minutes = i64::try_from(millis).unwrap_or(i64::MAX) / MILLIS_PER_MINUTE;
        minutes.saturating_add(i64::from(self.offset.minutes()))
    }
}

/// An hour as it is written: `2026-11-22T01`.
pub(crate) fn hour_text(hour: i64) -> String {
    written(hour, 13)
}

/// A day as it is written: `2026-11-22`.
pub(crate) fn day_text(day: i64) -> String {
    written(day.saturating_mul(24), 10)
}

/// The month of a day as it is written: `2026-11`.
pub(crate) fn month_text(day: i64) -> String {
    written(day.saturating_mul(24), 7)
}

fn written(hour: i64, chars: usize) -> String {
    let at = Timestamp::from_unix_micros(hour.saturating_mul(SECONDS_PER_HOUR).saturating_mul(1_000_000));
    at.rfc3339(UtcOffset::UTC).chars().take(chars).collect()
}

/// Asks a calendar about many moments, most of them on the same day.
#[derive(Debug)]
pub(crate) struct AtWork<'a> {
    calendar: &'a Calendar,
    last: Option<(i64, bool)>,
}

impl<'a> AtWork<'a> {
    pub(crate) fn new(calendar: &'a Calendar) -> Self {
        Self { calendar, last: None }
    }

    /// Whether the house is at work.
    pub(crate) fn at(&mut self, millis: u64) -> bool {
        let minute = self.calendar.minute(millis);
        let minute_of_day = minute.rem_euclid(MINUTES_PER_DAY);
        let (opens, closes) = (self.calendar.opens_at_minute, self.calendar.closes_at_minute);
        (i64::from(opens)..i64::from(closes)).contains(&minute_of_day) && self.is_working_day(minute)
    }

    fn is_working_day(&mut self, minute: i64) -> bool {
        let day = minute.div_euclid(MINUTES_PER_DAY);
        if let Some((last, works)) = self.last.filter(|(last, _)| *last == day) {
            debug_assert_eq!(last, day);
            return works;
        }
        let noon = Timestamp::from_unix_micros((day * 24 + 12) * SECONDS_PER_HOUR * 1_000_000);
        let date = Date::of(noon, UtcOffset::UTC);
        let is_weekend = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
        let works = !is_weekend && !self.calendar.holidays.has(date);
        self.last = Some((day, works));
        works
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(text: &str) -> u64 {
        (Timestamp::parse_rfc3339(text).unwrap().unix_micros() / 1_000).unsigned_abs()
    }

    #[test]
    fn work_is_by_the_facilitys_own_clock_and_calendar() {
        let holidays = [Date::parse("2026-11-23").unwrap()].into_iter().collect();
        let calendar = Calendar { holidays, ..Calendar::default() };
        let mut work = AtWork::new(&calendar);
        let mut at = |text: &str| work.at(millis(text));
        assert!(at("2026-11-24T08:00:00+09:00"), "a Tuesday");
        assert!(at("2026-11-24T17:59:59+09:00"));
        assert!(!at("2026-11-24T18:00:00+09:00"));
        assert!(!at("2026-11-24T07:59:59+09:00"));
        assert!(!at("2026-11-22T12:00:00+09:00"), "a Sunday");
        assert!(!at("2026-11-23T12:00:00+09:00"), "a holiday");
        assert!(at("2026-11-24T12:00:00+09:00"), "the day after");
    }

    #[test]
    fn hours_days_and_months_are_named_in_the_facilitys_zone() {
        let calendar = Calendar::default();
        let late = millis("2026-11-30T15:30:00Z");
        assert_eq!(hour_text(calendar.hour(late)), "2026-12-01T00");
        assert_eq!(day_text(calendar.day(late)), "2026-12-01");
        assert_eq!(month_text(calendar.day(late)), "2026-12");
    }
}
