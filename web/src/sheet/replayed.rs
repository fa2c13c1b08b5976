//! The report of a replay as it is kept with a version, in both languages: what `policy replay --format json` writes,
//! the store keeps, and the console shows.

use serde::{Deserialize, Serialize};

use crate::Language;

/// The version of this form.
const FORM: u32 = 1;
/// The largest report that is kept, in bytes.
pub const REPLAY_BYTES_MAX: usize = 1 << 20;

/// What a proposed policy would have answered to what was recorded, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// The version of this form.
    v: u32,
    /// The version in force that it was held against.
    pub active: String,
    /// The version that was tried.
    pub proposed: String,
    /// How many accesses were judged.
    pub judged: u64,
    /// How many of them would be answered otherwise.
    pub changed: u64,
    /// In Japanese.
    ja: ReplayText,
    /// In English.
    en: ReplayText,
}

/// The report in one language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayText {
    /// What it is.
    pub title: String,
    /// What was compared, when, and how much of it there was.
    pub facts: Vec<(String, String)>,
    /// What the reader must know to judge it.
    pub remarks: Vec<String>,
    /// The tables, the one that matters most first.
    pub tables: Vec<ReplayTable>,
}

/// One table of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayTable {
    /// What it shows.
    pub title: String,
    /// The headings.
    pub headings: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
    /// How many more rows there were than are kept.
    #[serde(default)]
    pub left: usize,
}

impl Replayed {
    /// A report of how many accesses, between which versions, in Japanese and English.
    #[must_use]
    pub fn new(
        (active, proposed): (String, String),
        (judged, changed): (u64, u64),
        ja: ReplayText,
        en: ReplayText,
    ) -> Self {
        Self { v: FORM, active, proposed, judged, changed, ja, en }
    }

    /// Reads what was kept; nothing where it is none of ours, or of another form.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let read: Self = (text.len() <= REPLAY_BYTES_MAX).then(|| serde_json::from_str(text).ok())??;
        (read.v == FORM).then_some(read)
    }

    /// As it is kept.
    #[must_use]
    pub fn text(&self) -> String {
        // Texts and numbers can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The report in a language.
    #[must_use]
    pub fn told(&self, language: Language) -> &ReplayText {
        match language {
            Language::Japanese => &self.ja,
            Language::English => &self.en,
        }
    }
}

impl ReplayTable {
    /// The table with its first rows alone.
    #[must_use]
    pub fn cut(mut self, rows_max: usize) -> Self {
        self.left += self.rows.len().saturating_sub(rows_max);
        self.rows.truncate(rows_max);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_kept_word_for_word_and_nothing_else_is_taken_for_one() {
        let table = ReplayTable {
            title: "職種ごと".to_owned(),
            headings: vec!["役割".to_owned()],
            rows: vec![vec!["nurse".to_owned()], vec!["clerk".to_owned()]],
            left: 3,
        };
        let text = ReplayText { title: "結果".to_owned(), tables: vec![table.cut(1)], ..ReplayText::default() };
        let versions = ("aa".to_owned(), "bb".to_owned());
        let report = Replayed::new(versions, (10, 2), text.clone(), ReplayText::default());
        assert_eq!(text.tables[0].left, 4);
        let kept = report.text();
        let golden = "{\"v\":1,\"active\":\"aa\",\"proposed\":\"bb\",\"judged\":10,\"changed\":2,\"ja\":{\"title\":\"結果\",\
                      \"facts\":[],\"remarks\":[],\"tables\":[{\"title\":\"職種ごと\",\"headings\":[\"役割\"],\
                      \"rows\":[[\"nurse\"]],\"left\":4}]},\"en\":{\"title\":\"\",\"facts\":[],\"remarks\":[],\"tables\":[]}}";
        assert_eq!(kept, golden);
        let read = Replayed::read(&kept).unwrap();
        assert_eq!((&read, read.told(Language::Japanese)), (&report, &text));
        for other in ["", "{}", "[1]", &kept.replace("\"v\":1", "\"v\":2"), &" ".repeat(REPLAY_BYTES_MAX + 1)] {
            assert_eq!(Replayed::read(other), None);
        }
    }
}
