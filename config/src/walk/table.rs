//! One table of the document. Keys become known by being asked for, so that no list of them can go out of date.

use std::cell::RefCell;

use toml::de::DeTable;

use super::{Report, Value, nearest};

/// A table, with where it stands.
pub(crate) struct Table<'t> {
    report: &'t Report<'t>,
    /// Its own key, such as `app[emr]`; empty for the document.
    key: String,
    at: usize,
    entries: &'t DeTable<'t>,
    asked: RefCell<Vec<&'static str>>,
    /// Keys that must be there and are not, with how to write them.
    missing: RefCell<Vec<(&'static str, &'static str)>>,
}

impl<'t> Table<'t> {
    pub(crate) fn new(report: &'t Report<'t>, key: String, at: usize, entries: &'t DeTable<'t>) -> Self {
        Self { report, key, at, entries, asked: RefCell::default(), missing: RefCell::default() }
    }

    fn key_of(&self, key: &str) -> String {
        if self.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.key) }
    }

    /// The value of a key, where there is one.
    pub(crate) fn value(&self, key: &'static str) -> Option<Value<'t>> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        drop(asked);
        let found = self.entries.get(key);
        #[cfg(test)]
        self.report.note_asked(&self.key_of(key), found.is_some());
        found.map(|value| Value::new(self.report, self.key_of(key), value))
    }

    /// A key that must be there; `example` is how to write it.
    pub(crate) fn needed<T>(
        &self,
        key: &'static str,
        example: &'static str,
        read: impl FnOnce(Value<'t>) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(key);
        if value.is_none() {
            self.missing.borrow_mut().push((key, example));
        }
        value.and_then(read)
    }

    /// A key with a default.
    pub(crate) fn or<T>(&self, key: &'static str, default: T, read: impl FnOnce(Value<'t>) -> Option<T>) -> Option<T> {
        self.value(key).map_or(Some(default), read)
    }

    /// A key that may be left out: `Some(None)` where it is, `None` where it could not be read.
    pub(crate) fn optional<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(Value<'t>) -> Option<T>,
    ) -> Option<Option<T>> {
        self.value(key).map_or(Some(None), |value| read(value).map(Some))
    }

    /// A list that may be left out.
    pub(crate) fn list<T>(&self, key: &'static str, read: impl FnMut(Value<'t>) -> Option<T>) -> Option<Vec<T>> {
        self.value(key).map_or(Some(Vec::new()), |value| value.each(read))
    }

    /// The tables written as `[[key]]`; none where there are none.
    pub(crate) fn tables(&self, key: &'static str) -> Vec<Table<'t>> {
        self.value(key).and_then(|value| value.tables()).unwrap_or_default()
    }

    /// A table below this one; an empty one where it is left out.
    pub(crate) fn section(&self, key: &'static str) -> Option<Table<'t>> {
        match self.value(key) {
            Some(value) => value.table(),
            None => Some(Self::new(self.report, self.key_of(key), self.at, self.report.nothing())),
        }
    }

    /// The keys a hospital chooses itself, each with its value, in the order written.
    pub(crate) fn entries(&self) -> Vec<(&'t str, Value<'t>)> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let with_place = |(key, value): (&'t toml::Spanned<_>, _)| {
            let key: &'t std::borrow::Cow<'t, str> = key.get_ref();
            (key.as_ref(), Value::new(self.report, self.key_of(key), value))
        };
        entries.into_iter().map(with_place).collect()
    }

    /// Its key, such as `rule[nurses]`.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Adds a problem of the table as a whole. `None`, for `return`.
    pub(crate) fn wrong<T>(&self, reason: impl Into<String>, remedy: impl Into<String>) -> Option<T> {
        self.report.problem(self.at, &self.key, reason, remedy);
        None
    }

    /// The line and column it begins at.
    pub(crate) fn place(&self) -> (usize, usize) {
        self.report.place(self.at)
    }

    /// Adds what was not asked for and what was asked for in vain. To be called once every key was asked for.
    pub(crate) fn finish(&self) {
        let asked = self.asked.borrow();
        let mut missing = self.missing.borrow().clone();
        for (key, _) in self.entries.iter().filter(|(key, _)| !asked.contains(&key.get_ref().as_ref())) {
            let meant = nearest(key.get_ref(), asked.iter().copied());
            missing.retain(|(needed, _)| Some(*needed) != meant);
            let remedy = match meant {
                Some(known) => format!("write `{known}`"),
                None => format!("remove it; the keys here are {}", asked.join(", ")),
            };
            let shown = self.key_of(&key.get_ref().escape_debug().to_string());
            self.report.problem(key.span().start, &shown, "is not a key we know", remedy);
        }
        for (key, example) in missing {
            self.report.absence(self.at, &self.key_of(key), "is missing", format!("add {example}"));
        }
    }
}
