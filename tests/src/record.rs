//! The access log as `sekimori audit export --format jsonl` gives it.

use serde_json::Value;

/// The records of one log, oldest first.
#[derive(Clone, Debug)]
pub struct Records(Vec<Value>);

impl Records {
    /// Reads an export: one JSON object a line.
    #[must_use]
    pub fn read(lines: &str) -> Self {
        let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|problem| panic!("{problem}: {line}"));
        Self(lines.lines().map(line).collect())
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Value] {
        &self.0
    }

    /// Those where a field has this text.
    #[must_use]
    pub fn with(&self, field: &str, value: &str) -> Self {
        Self(self.0.iter().filter(|record| record[field] == value).cloned().collect())
    }

    /// The opening lines of accesses to a path.
    #[must_use]
    pub fn opened(&self, path: &str) -> Self {
        self.with("ev", "open").with("path", path)
    }

    /// The closing line of the access that this line opened.
    #[must_use]
    pub fn closing(&self, opening: &Value) -> Option<&Value> {
        self.0.iter().find(|record| record["ev"] == "close" && record["id"] == opening["id"])
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one there is.
    #[must_use]
    pub fn only(&self) -> &Value {
        assert_eq!(self.0.len(), 1, "{:#?}", self.0);
        &self.0[0]
    }

    /// The last one.
    #[must_use]
    pub fn last(&self) -> &Value {
        self.0.last().expect("there is a record")
    }
}
