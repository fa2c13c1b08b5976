//! The hospital's calendar: dates, holidays, and what kind of day a rule's hours may name.

use std::fmt;

use crate::time::{SECONDS_PER_DAY, civil_from_days, date_of};
use crate::{LocalTime, Timestamp, UtcOffset, Weekday};

/// A date, wherever it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date(i64);

impl Date {
    /// The date of a moment in a zone.
    #[must_use]
    pub fn of(at: Timestamp, offset: UtcOffset) -> Self {
        Self(at.unix_seconds().saturating_add(offset.seconds()).div_euclid(SECONDS_PER_DAY))
    }

    /// Reads a date such as `2026-11-23`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        date_of(text).map(Self)
    }

    /// Which day of the week it is.
    #[must_use]
    pub fn weekday(self) -> Weekday {
        Weekday::from_days_since_epoch(self.0)
    }

    /// The date before.
    #[must_use]
    pub fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The dates that are holidays, whatever day of the week they fall on.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Holidays(Vec<Date>);

impl Holidays {
    /// None.
    pub const NONE: Self = Self(Vec::new());

    /// Whether a date is one.
    #[must_use]
    pub fn has(&self, date: Date) -> bool {
        self.0.binary_search(&date).is_ok()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them, the earliest first.
    pub fn iter(&self) -> impl Iterator<Item = Date> {
        self.0.iter().copied()
    }
}

impl FromIterator<Date> for Holidays {
    fn from_iter<I: IntoIterator<Item = Date>>(dates: I) -> Self {
        let mut dates: Vec<_> = dates.into_iter().collect();
        dates.sort_unstable();
        dates.dedup();
        Self(dates)
    }
}

/// A kind of day that a rule's hours may name: a day of the week that is no holiday, or a holiday.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Day {
    /// A day of the week.
    Week(Weekday),
    /// A holiday (祝日・休診日), whatever day of the week it falls on.
    Holiday,
}

impl Day {
    /// All eight: Monday to Sunday, then holidays.
    pub const ALL: [Self; 8] = [
        Self::Week(Weekday::Monday),
        Self::Week(Weekday::Tuesday),
        Self::Week(Weekday::Wednesday),
        Self::Week(Weekday::Thursday),
        Self::Week(Weekday::Friday),
        Self::Week(Weekday::Saturday),
        Self::Week(Weekday::Sunday),
        Self::Holiday,
    ];

    /// Its three letters in configuration and Cedar: `mon` to `sun`, and `hol`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Week(weekday) => weekday.as_str(),
            Self::Holiday => "hol",
        }
    }

    /// Reads the three letters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|day| day.as_str() == text)
    }
}

/// What the hospital's clock and calendar show at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Today {
    pub(crate) local: LocalTime,
    pub(crate) day: Day,
    /// The day before: a span past midnight belongs to the day it starts on.
    pub(crate) day_before: Day,
}

/// The hospital's clock and its holidays.
#[derive(Clone, Debug)]
pub(crate) struct Calendar {
    offset: UtcOffset,
    holidays: Holidays,
}

impl Calendar {
    pub(crate) const fn new(offset: UtcOffset, holidays: Holidays) -> Self {
        Self { offset, holidays }
    }

    pub(crate) fn at(&self, at: Timestamp) -> Today {
        let date = Date::of(at, self.offset);
        Today { local: at.local(self.offset), day: self.day(date), day_before: self.day(date.before()) }
    }

    /// The kinds of days there are.
    pub(crate) fn days(&self) -> impl Iterator<Item = Day> {
        Day::ALL.into_iter().filter(|day| *day != Day::Holiday || !self.holidays.is_empty())
    }

    fn day(&self, date: Date) -> Day {
        if self.holidays.has(date) { Day::Holiday } else { Day::Week(date.weekday()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::moment;

    #[test]
    fn dates_read_back_and_only_those_that_exist_are_dates() {
        for text in ["2026-11-23", "2028-02-29", "1970-01-01", "1899-12-31"] {
            assert_eq!(Date::parse(text).unwrap().to_string(), text);
        }
        for wrong in ["", "2026-11-31", "2027-02-29", "2026-1-1", "26-11-23", "2026/11/23", "2026-11-23 ", "祝日"] {
            assert_eq!(Date::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_holiday_is_no_day_of_the_week_and_begins_at_the_hospitals_midnight() {
        // 2026-11-23 is a Monday, 勤労感謝の日.
        let holidays = ["2026-11-23", "2026-11-03", "2026-11-23"].map(|text| Date::parse(text).unwrap());
        let calendar = Calendar::new(UtcOffset::JAPAN, holidays.into_iter().collect());
        let check = |at: &str| {
            let today = calendar.at(moment(at));
            (today.day.as_str(), today.day_before.as_str())
        };
        assert_eq!(check("2026-11-22T23:59:59"), ("sun", "sat"));
        assert_eq!(check("2026-11-23T00:00:00"), ("hol", "sun"));
        assert_eq!(check("2026-11-23T23:59:59"), ("hol", "sun"));
        assert_eq!(check("2026-11-24T00:00:00"), ("tue", "hol"));
        assert_eq!(calendar.holidays.iter().count(), 2);
    }

    #[test]
    fn words_of_days_read_back() {
        for day in Day::ALL {
            assert_eq!(Day::parse(day.as_str()), Some(day));
        }
        assert_eq!(Day::parse("holiday"), None);
    }
}
