//! One value of the document, read as what a key asks for.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::units::{parse_size, parse_time, show_size, show_time};
use super::{Report, Table, nearest};

/// A value, with where it stands and the key it belongs to.
pub(crate) struct Value<'t> {
    report: &'t Report<'t>,
    key: String,
    span: Range<usize>,
    inner: &'t DeValue<'t>,
}

impl<'t> Value<'t> {
    pub(crate) fn new(report: &'t Report<'t>, key: String, value: &'t Spanned<DeValue<'t>>) -> Self {
        Self { report, key, span: value.span(), inner: value.get_ref() }
    }

    /// The line it begins on.
    pub(crate) fn line(&self) -> usize {
        self.report.place(self.span.start).0
    }

    /// Adds a problem of this value. `None`, for `return`.
    pub(crate) fn wrong<T>(&self, reason: impl Into<String>, remedy: impl Into<String>) -> Option<T> {
        self.report.problem(self.span.start, &self.key, reason, remedy);
        None
    }

    /// Adds a problem that lies in what the value refers to not being there.
    pub(crate) fn dangling<T>(&self, reason: impl Into<String>, remedy: impl Into<String>) -> Option<T> {
        self.report.absence(self.span.start, &self.key, reason, remedy);
        None
    }

    fn wrong_kind<T>(&self, wanted: &str, remedy: &str) -> Option<T> {
        let actual = match self.inner {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.wrong(format!("holds {actual} where {wanted} belongs"), remedy)
    }

    /// The text, if it is one.
    pub(crate) fn as_text(&self) -> Option<&'t str> {
        if let DeValue::String(text) = self.inner { Some(text) } else { None }
    }

    /// A text that is not empty and holds no control character.
    pub(crate) fn text(&self) -> Option<&'t str> {
        let Some(text) = self.as_text() else {
            return self.wrong_kind("a text", "write it in quotes, such as `\"text\"`");
        };
        if text.trim().is_empty() {
            return self.wrong("is empty", "write a text, or leave the key out");
        }
        if text.chars().any(char::is_control) {
            return self.wrong("holds a line break or control character", "write plain text on one line");
        }
        Some(text)
    }

    /// A text in a form of its own.
    pub(crate) fn parse<T, E: Display>(&self, parse: impl FnOnce(&str) -> Result<T, E>, remedy: &str) -> Option<T> {
        match parse(self.text()?) {
            Ok(parsed) => Some(parsed),
            Err(problem) => self.wrong(problem.to_string(), remedy),
        }
    }

    /// An address with its port.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        let parse = |text: &str| text.parse().map_err(|_| format!("`{text}` is not an address and port"));
        self.parse(parse, "write it like `0.0.0.0:443`, `127.0.0.1:9464` or `[::]:443`")
    }

    /// One of a few words.
    pub(crate) fn word<T: Clone>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Some(meaning.clone());
        }
        let all: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let remedy = match nearest(text, words.iter().map(|(word, _)| *word)) {
            Some(word) => format!("write `{word}`"),
            None => "write one of these".to_owned(),
        };
        self.wrong(format!("`{text}` is not one of {}", all.join(", ")), remedy)
    }

    /// `true` or `false`.
    pub(crate) fn yes_or_no(&self) -> Option<bool> {
        if let DeValue::Boolean(answer) = self.inner {
            return Some(*answer);
        }
        self.wrong_kind("true or false", "write `true` or `false`, without quotes")
    }

    /// A whole number within bounds.
    pub(crate) fn count<T: TryFrom<u64> + PartialOrd + Display>(&self, bounds: RangeInclusive<T>) -> Option<T> {
        let DeValue::Integer(number) = self.inner else {
            return self.wrong_kind("a whole number", "write digits without quotes");
        };
        let read = u64::from_str_radix(number.as_str(), number.radix()).ok().and_then(|n| T::try_from(n).ok());
        match read {
            Some(count) if bounds.contains(&count) => Some(count),
            Some(_) | None => {
                let between = format!("write a number from {} to {}", bounds.start(), bounds.end());
                self.wrong(format!("`{}` is out of bounds", number.as_str()), between)
            }
        }
    }

    /// How many times over, within bounds: a whole number or a fraction.
    pub(crate) fn times(&self, bounds: RangeInclusive<f64>) -> Option<f64> {
        let number = match self.inner {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(_)
            | DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => return self.wrong_kind("a number", "write a number without quotes, such as `3.0`"),
        };
        match number.parse::<f64>() {
            Ok(times) if bounds.contains(&times) => Some(times),
            Ok(_) | Err(_) => {
                let between = format!("write a number from {} to {}", bounds.start(), bounds.end());
                self.wrong(format!("`{number}` is out of bounds"), between)
            }
        }
    }

    /// A span of time within bounds.
    pub(crate) fn time(&self, bounds: RangeInclusive<Duration>) -> Option<Duration> {
        let form = "write a number and a unit, such as `\"50ms\"`, `\"30s\"`, `\"5m\"`, `\"12h\"` or `\"30d\"`";
        let Some(text) = self.as_text() else { return self.wrong_kind("a span of time", form) };
        let Some(time) = parse_time(text) else {
            return self.wrong(format!("`{}` is not a span of time", text.escape_debug()), form);
        };
        if bounds.contains(&time) {
            return Some(time);
        }
        let between = format!("write a span from {} to {}", show_time(*bounds.start()), show_time(*bounds.end()));
        self.wrong(format!("`{text}` is out of bounds"), between)
    }

    /// A size in bytes within bounds.
    pub(crate) fn size(&self, bounds: RangeInclusive<u64>) -> Option<u64> {
        let form = "write a number and a unit, such as `\"512B\"`, `\"32KiB\"`, `\"16MiB\"` or `\"1GiB\"`";
        let Some(text) = self.as_text() else { return self.wrong_kind("a size", form) };
        let Some(size) = parse_size(text) else {
            return self.wrong(format!("`{}` is not a size", text.escape_debug()), form);
        };
        if bounds.contains(&size) {
            return Some(size);
        }
        let between = format!("write a size from {} to {}", show_size(*bounds.start()), show_size(*bounds.end()));
        self.wrong(format!("`{text}` is out of bounds"), between)
    }

    /// The members of a list.
    pub(crate) fn items(&self) -> Option<Vec<Value<'t>>> {
        let DeValue::Array(items) = self.inner else {
            return self.wrong_kind("a list", "put it in brackets, such as `[\"one\", \"two\"]`");
        };
        Some(items.iter().map(|item| Self::new(self.report, self.key.clone(), item)).collect())
    }

    /// The members of a list, each read; `None` where one could not be, after all were tried.
    pub(crate) fn each<T>(&self, read: impl FnMut(Value<'t>) -> Option<T>) -> Option<Vec<T>> {
        self.items()?.into_iter().map(read).collect::<Vec<_>>().into_iter().collect()
    }

    /// As [`Value::each`], of a list that may not be empty.
    pub(crate) fn some<T>(&self, read: impl FnMut(Value<'t>) -> Option<T>) -> Option<Vec<T>> {
        let read = self.each(read)?;
        if read.is_empty() { self.wrong("is an empty list", "name at least one") } else { Some(read) }
    }

    /// The table it is.
    pub(crate) fn table(&self) -> Option<Table<'t>> {
        let DeValue::Table(entries) = self.inner else {
            return self.wrong_kind("a table", "write it as `[name]` with a key a line, or as `{ key = value }`");
        };
        Some(Table::new(self.report, self.key.clone(), self.span.start, entries))
    }

    /// The tables of a list of tables, each with its id or name, or else its number, in the key.
    pub(crate) fn tables(&self) -> Option<Vec<Table<'t>>> {
        let DeValue::Array(items) = self.inner else {
            return self.wrong_kind("a list of tables", &format!("write `[[{}]]` with double brackets", self.key));
        };
        let labelled = |(index, item): (usize, &'t Spanned<DeValue<'t>>)| {
            let of = |key: &str| item.get_ref().get(key).and_then(|value| value.get_ref().as_str());
            let label = match of("id").or_else(|| of("name")) {
                Some(name) if name.len() <= 64 && !name.contains(['[', ']', '\n']) => name.to_owned(),
                Some(_) | None => format!("#{}", index + 1),
            };
            Self::new(self.report, format!("{}[{label}]", self.key), item).table()
        };
        items.iter().enumerate().map(labelled).collect::<Vec<_>>().into_iter().collect()
    }
}
