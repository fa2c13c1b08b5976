//! Moments and civil time. Nothing here asks a clock: time is an argument everywhere.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

const MICROS_PER_SECOND: i64 = 1_000_000;
pub(crate) const SECONDS_PER_DAY: i64 = 86_400;

/// A moment: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Later than anything that happens.
    pub const MAX: Self = Self(i64::MAX);

    /// The moment so many microseconds after the epoch.
    #[must_use]
    pub const fn from_unix_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn unix_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// The moment so much later; stops at [`Timestamp::MAX`].
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long ago `earlier` was; zero if it is still to come.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The wall clock at this moment in a zone without daylight saving.
    #[must_use]
    pub fn local(self, offset: UtcOffset) -> LocalTime {
        let seconds = self.unix_seconds().saturating_add(offset.seconds());
        let (day, second) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
        let (year, month, day_of_month) = civil_from_days(day);
        LocalTime {
            year,
            month,
            day: day_of_month,
            weekday: Weekday::from_days_since_epoch(day),
            minute_of_day: u16::try_from(second / 60).unwrap_or(0),
            second: u8::try_from(second % 60).unwrap_or(0),
        }
    }

    /// Writes the moment as RFC 3339 in a zone, with milliseconds.
    #[must_use]
    pub fn rfc3339(self, offset: UtcOffset) -> String {
        let t = self.local(offset);
        let millis = self.0.rem_euclid(MICROS_PER_SECOND) / 1_000;
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{millis:03}{offset}",
            t.year,
            t.month,
            t.day,
            t.minute_of_day / 60,
            t.minute_of_day % 60,
            t.second,
        )
    }

    /// Reads RFC 3339, as [`Timestamp::rfc3339`] writes it: date, `T`, time with any fraction, `Z` or an offset. A leap
    /// second counts as the second after it.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let (date, rest) = text.split_once('T')?;
        let (time, offset) = match rest.strip_suffix('Z') {
            Some(time) => (time, UtcOffset::UTC),
            None => {
                let at = rest.len().checked_sub(6)?;
                (rest.get(..at)?, UtcOffset::parse(rest.get(at..)?)?)
            }
        };
        let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
        if hour > 23 || minute > 59 || second > 60 || !is_digits(fraction) {
            return None;
        }
        let micros: String = fraction.chars().chain("000000".chars()).take(6).collect();
        let midnight = Self::parse_date(date, offset)?;
        let seconds = hour * 3_600 + minute * 60 + second;
        Some(Self(midnight.0.checked_add(seconds * MICROS_PER_SECOND + micros.parse::<i64>().ok()?)?))
    }

    /// Reads a date such as `2027-03-31`: the moment it begins in a zone.
    #[must_use]
    pub fn parse_date(text: &str, offset: UtcOffset) -> Option<Self> {
        let days = date_of(text)?;
        let seconds = days.checked_mul(SECONDS_PER_DAY)?.checked_sub(offset.seconds())?;
        Some(Self(seconds.checked_mul(MICROS_PER_SECOND)?))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339(UtcOffset::UTC))
    }
}

/// A clock that is handed in: the gateway's real one, or a test's.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// Wraps a function that tells the time.
    #[must_use]
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The moment it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock(..)")
    }
}

/// Minutes east of UTC. Japan is `+09:00` all year.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct UtcOffset(i16);

impl UtcOffset {
    /// Coordinated universal time.
    pub const UTC: Self = Self(0);
    /// Japan.
    pub const JAPAN: Self = Self(9 * 60);

    /// Reads `Z` or `+hh:mm` / `-hh:mm`, up to fourteen hours either way.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "Z" {
            return Some(Self::UTC);
        }
        let (sign, rest) = match text.split_at_checked(1)? {
            ("+", rest) => (1, rest),
            ("-", rest) => (-1, rest),
            _ => return None,
        };
        let (hours, minutes) = rest.split_once(':')?;
        let digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(hours) || !digits(minutes) {
            return None;
        }
        let (hours, minutes) = (hours.parse::<i16>().ok()?, minutes.parse::<i16>().ok()?);
        let total = hours * 60 + minutes;
        (minutes < 60 && total <= 14 * 60).then_some(Self(sign * total))
    }

    /// Minutes east of UTC.
    #[must_use]
    pub fn minutes(self) -> i16 {
        self.0
    }

    pub(crate) fn seconds(self) -> i64 {
        i64::from(self.0) * 60
    }
}

impl fmt::Display for UtcOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("Z");
        }
        let sign = if self.0 < 0 { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", self.0.abs() / 60, self.0.abs() % 60)
    }
}

/// What a wall clock and a calendar show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalTime {
    /// The year.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// The day of the week.
    pub weekday: Weekday,
    /// Minutes since midnight, 0 to 1,439.
    pub minute_of_day: u16,
    /// 0 to 59.
    pub second: u8,
}

/// A day of the week.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Weekday {
    /// 月
    Monday,
    /// 火
    Tuesday,
    /// 水
    Wednesday,
    /// 木
    Thursday,
    /// 金
    Friday,
    /// 土
    Saturday,
    /// 日
    Sunday,
}

impl Weekday {
    /// All seven, Monday first.
    pub const ALL: [Self; 7] =
        [Self::Monday, Self::Tuesday, Self::Wednesday, Self::Thursday, Self::Friday, Self::Saturday, Self::Sunday];

    /// Its three letters in configuration: `mon` to `sun`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monday => "mon",
            Self::Tuesday => "tue",
            Self::Wednesday => "wed",
            Self::Thursday => "thu",
            Self::Friday => "fri",
            Self::Saturday => "sat",
            Self::Sunday => "sun",
        }
    }

    /// Reads the three letters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|day| day.as_str() == text)
    }

    pub(crate) fn from_days_since_epoch(days: i64) -> Self {
        // 1970-01-01 was a Thursday.
        let index = usize::try_from((days + 3).rem_euclid(7)).unwrap_or(0);
        Self::ALL.get(index).copied().unwrap_or(Self::Monday)
    }
}

/// Year, month and day of a count of days since the epoch, in the proleptic Gregorian calendar:
/// years are counted from March so that the leap day comes last, in cycles of 400 years.
pub(crate) fn civil_from_days(days: i64) -> (i64, u8, u8) {
    const DAYS_PER_CYCLE: i64 = 146_097;
    const MARCH_YEAR_0: i64 = 719_468;
    let shifted = days + MARCH_YEAR_0;
    let cycle = shifted.div_euclid(DAYS_PER_CYCLE);
    let day_of_cycle = shifted.rem_euclid(DAYS_PER_CYCLE);
    let year_of_cycle = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_cycle + cycle * 400 + i64::from(month <= 2);
    (year, u8::try_from(month).unwrap_or(1), u8::try_from(day).unwrap_or(1))
}

/// The days since the epoch of a date that exists; the other way around than [`civil_from_days`].
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let march_year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let (cycle, year_of_cycle) = (march_year.div_euclid(400), march_year.rem_euclid(400));
    let day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    let days = cycle * 146_097 + day_of_cycle - 719_468;
    let (y, m, d) = civil_from_days(days);
    // 30 February, month 13 and their kind are other dates.
    ((y, i64::from(m), i64::from(d)) == (year, month, day)).then_some(days)
}

/// The days since the epoch of a date such as `2027-03-31`.
pub(crate) fn date_of(text: &str) -> Option<i64> {
    let [year, month, day] = numbers(text, '-', [4, 2, 2])?;
    days_from_civil(year, month, day)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Three numbers of so many digits, with a separator between.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut read = [0; 3];
    for (number, digits) in read.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits && is_digits(part))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_back_as_they_were_written_and_nothing_else_is_one() {
        for micros in
            [0, -1_000, 951_782_400_000_000, 1_743_466_530_123_000, 4_102_444_799_999_000, -2_208_988_800_000_000]
        {
            let moment = Timestamp::from_unix_micros(micros);
            assert_eq!(Timestamp::parse_rfc3339(&moment.to_string()), Some(moment), "{moment}");
            assert_eq!(Timestamp::parse_rfc3339(&moment.rfc3339(UtcOffset::JAPAN)), Some(moment), "{moment}");
        }
        let exactly = |text| Timestamp::parse_rfc3339(text).map(Timestamp::unix_micros);
        assert_eq!(exactly("2025-04-01T00:15:30.123456Z"), Some(1_743_466_530_123_456));
        assert_eq!(exactly("2025-04-01T00:15:30Z"), Some(1_743_466_530_000_000));
        assert_eq!(exactly("2025-04-01T00:15:30.123456789Z"), Some(1_743_466_530_123_456), "cut, not rounded");
        for wrong in [
            "",
            "T",
            "Z",
            "2025-04-01",
            "2025-04-01T00:15:30",
            "2025-04-01 00:15:30Z",
            "2025-02-29T00:00:00Z",
            "2025-13-01T00:00:00Z",
            "2025-00-01T00:00:00Z",
            "2025-04-00T00:00:00Z",
            "2025-04-31T00:00:00Z",
            "2025-04-01T24:00:00Z",
            "2025-04-01T00:60:00Z",
            "2025-04-01T00:00:61Z",
            "2025-04-01T00:00:00.Z",
            "2025-04-01T00:00:00.1xZ",
            "2025-4-1T00:00:00Z",
            "+025-04-01T00:00:00Z",
            "2025-04-01T00:00:00+9:00",
            "２025-04-01T00:00:00Z",
            "2025-04-01T00:00:00あ",
            "2025-04-01-T00:00:00Z",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_date_begins_at_midnight_of_its_zone() {
        let day = Timestamp::parse_date("2026-11-21", UtcOffset::JAPAN).unwrap();
        assert_eq!(day.to_string(), "2026-11-20T15:00:00.000Z");
        assert_eq!(Timestamp::parse_date("2026-02-30", UtcOffset::UTC), None);
    }

    #[test]
    fn moments_are_written_as_rfc_3339() {
        let moment = Timestamp::from_unix_micros(1_743_466_530_123_456);
        assert_eq!(moment.to_string(), "2025-04-01T00:15:30.123Z");
        assert_eq!(moment.rfc3339(UtcOffset::JAPAN), "2025-04-01T09:15:30.123+09:00");
        assert_eq!(Timestamp::from_unix_micros(951_782_400_000_000).to_string(), "2000-02-29T00:00:00.000Z");
        assert_eq!(Timestamp::from_unix_micros(-1).to_string(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn weekdays_follow_the_local_calendar() {
        let friday_evening_utc = Timestamp::from_unix_micros(1_795_215_600_000_000); // 2026-11-20T23:00Z
        assert_eq!(friday_evening_utc.local(UtcOffset::UTC).weekday, Weekday::Friday);
        let saturday = friday_evening_utc.local(UtcOffset::JAPAN);
        assert_eq!((saturday.weekday, saturday.minute_of_day), (Weekday::Saturday, 8 * 60));
    }

    #[test]
    fn offsets_read_and_write() {
        assert_eq!(UtcOffset::parse("+09:00"), Some(UtcOffset::JAPAN));
        assert_eq!(UtcOffset::parse("-03:30").map(|o| o.to_string()).as_deref(), Some("-03:30"));
        for bad in ["", "9", "+9:00", "+15:00", "+09:60", "+0９:00", "JST"] {
            assert_eq!(UtcOffset::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn arithmetic_never_wraps() {
        assert_eq!(Timestamp::MAX.after(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_unix_micros(5).since(Timestamp::MAX), Duration::ZERO);
    }
}
