//! Texts that may stand only once.

use std::collections::BTreeMap;

use super::Value;

/// What was already used, and on which line.
#[derive(Default)]
pub(crate) struct Seen {
    lines: BTreeMap<String, usize>,
}

impl Seen {
    /// Takes a text for a value. Where it is taken already, adds a problem and says `None`.
    pub(crate) fn claim(&mut self, value: &Value<'_>, text: &str, remedy: &str) -> Option<()> {
        if let Some(line) = self.lines.get(text) {
            return value.wrong(format!("`{text}` is already used on line {line}"), remedy);
        }
        self.lines.insert(text.to_owned(), value.line());
        Some(())
    }
}
