//! Collects the problems of one file, and knows which line a byte stands on.

use std::cell::RefCell;
use std::collections::BTreeSet;

use toml::de::DeTable;

use crate::Problem;

/// The problems found so far in one text.
pub(crate) struct Report<'t> {
    file: &'t str,
    text: &'t str,
    /// Where each line begins: every rule asks where it stands, and there may be thousands.
    lines: Vec<usize>,
    /// Lines that are not TOML. What the parser made of them is a guess, and so is what then seems to be absent.
    broken_lines: BTreeSet<usize>,
    found: RefCell<Vec<Problem>>,
    nothing: DeTable<'t>,
    /// Every key that was asked for, and whether it was there: lets a test see that the reference is complete.
    #[cfg(test)]
    pub(crate) asked: RefCell<std::collections::BTreeMap<String, bool>>,
}

impl<'t> Report<'t> {
    pub(crate) fn new(file: &'t str, text: &'t str) -> Self {
        Self {
            file,
            text,
            lines: std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect(),
            broken_lines: BTreeSet::new(),
            found: RefCell::default(),
            nothing: DeTable::new(),
            #[cfg(test)]
            asked: RefCell::default(),
        }
    }

    /// An empty table, for sections that are left out.
    pub(crate) fn nothing(&self) -> &DeTable<'t> {
        &self.nothing
    }

    /// The file's name, for messages.
    pub(crate) fn file(&self) -> &str {
        self.file
    }

    /// Whether nothing was found so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// Where a byte stands: line and column, both counted from 1, the column in characters.
    pub(crate) fn place(&self, byte: usize) -> (usize, usize) {
        let whole = (0..=byte.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
        let line = self.lines.partition_point(|start| *start <= whole).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let column = self.text.get(start..whole).unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    /// Adds what the TOML parser refused.
    pub(crate) fn broken(&mut self, error: &toml::de::Error) {
        let (line, column) = self.place(error.span().map_or(0, |span| span.start));
        self.broken_lines.insert(line);
        let message = error.message();
        let remedy = if message.starts_with("duplicate key") {
            "keep one of the two; several of a kind are written as `[[name]]`"
        } else {
            "write one `key = value` a line, with texts in quotes and lists in brackets"
        };
        let reason = format!("is not TOML: {message}");
        self.push(Problem { line, column, ..self.of_the_file("", reason, remedy) });
    }

    /// Adds a problem at a place.
    pub(crate) fn problem(&self, byte: usize, key: &str, reason: impl Into<String>, remedy: impl Into<String>) {
        let (line, column) = self.place(byte);
        if !self.broken_lines.contains(&line) {
            self.push(Problem { line, column, ..self.of_the_file(key, reason, remedy) });
        }
    }

    /// Adds a problem that lies in something not being there. In a file with broken lines it may well be there.
    pub(crate) fn absence(&self, byte: usize, key: &str, reason: impl Into<String>, remedy: impl Into<String>) {
        if self.broken_lines.is_empty() {
            self.problem(byte, key, reason, remedy);
        }
    }

    /// Adds a problem of another file.
    pub(crate) fn push(&self, problem: Problem) {
        self.found.borrow_mut().push(problem);
    }

    fn of_the_file(&self, key: &str, reason: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem {
            file: self.file.to_owned(),
            line: 0,
            column: 0,
            key: key.to_owned(),
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }

    /// Notes that a key was asked for. `[..]` in a path names one of several tables and is left out.
    #[cfg(test)]
    pub(crate) fn note_asked(&self, key: &str, present: bool) {
        let mut plain = key.to_owned();
        while let (Some(from), Some(to)) = (plain.find('['), plain.find(']')) {
            plain.replace_range(from..=to, "");
        }
        *self.asked.borrow_mut().entry(plain).or_default() |= present;
    }

    /// Everything found, in the order of the file; other files last.
    pub(crate) fn finish(self) -> Vec<Problem> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|problem| (problem.file != self.file, problem.file.clone(), problem.line, problem.column));
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let report = Report::new("f", "a\n病院 = 1\n");
        assert_eq!(report.place(0), (1, 1));
        assert_eq!(report.place(2), (2, 1));
        assert_eq!(report.place(2 + "病院 ".len()), (2, 4));
        assert_eq!(report.place(3), (2, 1), "inside a character");
        assert_eq!(report.place(999), (3, 1));
    }
}
