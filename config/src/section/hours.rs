//! Days, hours and holidays.

use policy::{Date, Day, Holidays, Hours};

use crate::files::Files;
use crate::walk::{Table, Value};

const MINUTES_PER_DAY: u16 = 1_440;

/// `days` and `hours` of a rule: days alone mean whole days, hours alone mean every day.
pub(crate) fn read(table: &Table<'_>) -> Option<Option<Hours>> {
    read_as(table, ["days", "hours"])
}

/// The same under these keys.
pub(crate) fn read_as(table: &Table<'_>, [days, hours]: [&'static str; 2]) -> Option<Option<Hours>> {
    let words = Day::ALL.map(|day| (day.as_str(), day));
    let days = table.optional(days, |value| value.some(|item| item.word(&words)));
    let span = table.optional(hours, |value| span(&value));
    Some(match (days?, span?) {
        (None, None) => None,
        (days, span) => {
            let (from_minute, to_minute) = span.unwrap_or((0, MINUTES_PER_DAY));
            Some(Hours { days: days.unwrap_or_else(|| Day::ALL.to_vec()), from_minute, to_minute })
        }
    })
}

/// `08:00-18:00`; `22:00-06:00` runs past midnight.
fn span(value: &Value<'_>) -> Option<(u16, u16)> {
    let text = value.text()?;
    let span = text.split_once('-').and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
    match span {
        Some((from, _)) if from == MINUTES_PER_DAY => value.wrong("begins at `24:00`", "begin at `00:00`"),
        Some((from, to)) if from == to => {
            value.wrong(format!("`{text}` begins and ends at the same minute"), "leave it out for the whole day")
        }
        Some((from, 0)) => Some((from, MINUTES_PER_DAY)),
        Some(span) => Some(span),
        None => value.wrong(format!("`{text}` is not a span of hours"), "write it like `08:00-18:00`"),
    }
}

/// `00:00` to `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !two_digits(hours) || !two_digits(minutes) {
        return None;
    }
    let (hours, minutes) = (hours.parse::<u16>().ok()?, minutes.parse::<u16>().ok()?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= MINUTES_PER_DAY).then_some(minute)
}

/// The hospital's holidays, and the text of their file.
#[derive(Default)]
pub(crate) struct ReadHolidays {
    pub(crate) holidays: Holidays,
    pub(crate) text: Option<String>,
}

/// `holidays` and `holidays_file`, together.
pub(crate) fn read_holidays(table: &Table<'_>, files: &Files<'_>) -> Option<ReadHolidays> {
    let listed = table.list("holidays", |value| {
        let text = value.text()?;
        match Date::parse(text) {
            Some(date) => Some(date),
            None => value.wrong(format!("`{text}` is not a date"), "write it like `2026-11-23`"),
        }
    });
    let file = table.optional("holidays_file", |value| {
        let (path, text) = files.text(&value)?;
        match dates(&text) {
            Ok(dates) => Some((dates, text)),
            Err((line, wrong)) => value.wrong(
                format!("`{}` line {line}: `{}` is not a date", path.display(), wrong.escape_debug()),
                "write one date a line, like `2026-11-23`; what follows `#` is not read",
            ),
        }
    });
    let (mut dates, file) = (listed?, file?);
    let text = file.map(|(more, text)| {
        dates.extend(more);
        text
    });
    Some(ReadHolidays { holidays: dates.into_iter().collect(), text })
}

/// One date a line; else the line that is none.
fn dates(text: &str) -> Result<Vec<Date>, (usize, &str)> {
    let mut dates = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let told = line.split('#').next().unwrap_or_default().trim();
        if !told.is_empty() {
            dates.push(Date::parse(told).ok_or((index + 1, told))?);
        }
    }
    Ok(dates)
}
