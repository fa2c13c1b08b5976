//! A matrix as a sheet: every word chosen, every rule numbered, ready for a page, a terminal or a file.

use std::collections::BTreeMap;

use policy::{Cell, Effect, Lines, Matrix, NeverBecause, Reading, Subject, Timestamp};

use super::PolicyWords;

/// A matrix in words.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// What it is.
    pub title: String,
    /// What it says, in a sentence.
    pub lead: String,
    /// Facility, version of the policy, and when the sheet was made: label and value.
    pub facts: Vec<(String, String)>,
    /// One for each app.
    pub tables: Vec<SheetTable>,
    /// Said where there is no app.
    pub nothing: Option<String>,
    /// The rules that cells name by number.
    pub notes: Vec<SheetNote>,
    /// How to read it.
    pub legend: Vec<String>,
    /// The words around it.
    pub look: SheetLook,
}

/// The words around a sheet.
#[derive(Clone, Debug)]
pub struct SheetLook {
    /// Above the class of information.
    pub information: String,
    /// Above the actions.
    pub actions: String,
    /// Above the rules by number.
    pub notes: String,
    /// Above number, rule, effect and conditions.
    pub note_heads: [String; 4],
    /// Above how to read it.
    pub legend: String,
    /// Above where it is signed.
    pub sign: String,
    /// Who signs: prepared, checked, approved.
    pub signers: [String; 3],
    /// Name, date, seal.
    pub sign_heads: [String; 3],
}

/// One app.
#[derive(Clone, Debug)]
pub struct SheetTable {
    /// Unique in the sheet.
    pub id: String,
    /// The app.
    pub app: String,
    /// Whom each column is about.
    pub columns: Vec<String>,
    /// What is in it, by class of information.
    pub groups: Vec<SheetGroup>,
}

/// The lines of one class of information.
#[derive(Clone, Debug)]
pub struct SheetGroup {
    /// The class.
    pub class: String,
    /// Its lines; never empty.
    pub rows: Vec<SheetRow>,
}

/// One line.
#[derive(Clone, Debug)]
pub struct SheetRow {
    /// The actions.
    pub actions: String,
    /// For each column.
    pub cells: Vec<SheetCell>,
}

/// One cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetCell {
    /// How it looks.
    pub tone: SheetTone,
    /// Yes, if or no.
    pub word: String,
    /// The rules that say so, by number.
    pub rules: Vec<usize>,
    /// The word for exceptions, and the rules that make them, by number.
    pub except: Option<(String, Vec<usize>)>,
    /// Whether it reaches into outages.
    pub in_outage: bool,
}

/// How a cell looks. Never colour alone: the word says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SheetTone {
    /// Allowed.
    Yes,
    /// Allowed on conditions.
    If,
    /// Not allowed.
    No,
}

impl SheetTone {
    /// Its name in the style sheet.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::If => "if",
            Self::No => "no",
        }
    }
}

/// A rule that cells name.
#[derive(Clone, Debug)]
pub struct SheetNote {
    /// Its number.
    pub number: usize,
    /// Its id.
    pub rule: String,
    /// Allows or forbids.
    pub effect: String,
    /// Whether it forbids.
    pub is_forbid: bool,
    /// Its conditions.
    pub conditions: Vec<String>,
}

impl SheetCell {
    /// The cell as one text.
    #[must_use]
    pub fn text(&self) -> String {
        let numbers = |numbers: &[usize]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let mut text = self.word.clone();
        if !self.rules.is_empty() {
            text = format!("{text} {}", numbers(&self.rules));
        }
        if let Some((word, rules)) = &self.except {
            text = format!("{text} ({word} {})", numbers(rules));
        }
        if self.in_outage { text + "†" } else { text }
    }
}

/// Makes the sheet of a matrix.
pub(super) fn sheet(words: &PolicyWords<'_>, matrix: &Matrix, at: Timestamp) -> Sheet {
    let say = |key: &str| words.say(key);
    let mut numbers = Numbers::default();
    let tables: Vec<SheetTable> = matrix
        .apps
        .iter()
        .map(|table| SheetTable {
            id: format!("app-{}", table.app),
            app: words.app(&table.app),
            columns: matrix.subjects.iter().map(|subject: &Subject| words.subject(subject)).collect(),
            groups: groups(words, matrix, matrix.together(table), &mut numbers),
        })
        .collect();
    let facts = [
        ("policy-facility", words.config.facility.name.clone()),
        ("policy-revision", matrix.revision.to_string()),
        ("policy-made-at", words.moment(at)),
    ];
    let legend = ["cells", "roles", "outage", "device"];
    Sheet {
        title: say("policy-title"),
        lead: say("policy-lead"),
        facts: facts.map(|(key, value)| (say(key), value)).into(),
        nothing: tables.is_empty().then(|| say("policy-nothing")),
        tables,
        notes: numbers.notes(words, matrix),
        legend: legend.map(|line| say(&format!("policy-legend-{line}"))).into(),
        look: SheetLook {
            information: say("policy-information"),
            actions: say("policy-do"),
            notes: say("policy-notes"),
            note_heads: ["policy-number", "policy-rule", "policy-effect", "policy-conditions"].map(say),
            legend: say("policy-legend"),
            sign: say("policy-sign"),
            signers: ["policy-sign-prepared", "policy-sign-checked", "policy-sign-approved"].map(say),
            sign_heads: ["policy-sign-name", "policy-sign-date", "policy-sign-seal"].map(say),
        },
    }
}

/// Lines by their class, which follow one another.
fn groups(words: &PolicyWords<'_>, matrix: &Matrix, lines: Vec<Lines<'_>>, numbers: &mut Numbers) -> Vec<SheetGroup> {
    let mut groups: Vec<SheetGroup> = Vec::new();
    for lines in lines {
        let class = words.class_or_none(lines.class);
        let row = SheetRow {
            actions: words.row_of(lines.actions.iter().map(|action| words.action(*action))),
            cells: lines.cells.iter().map(|cell| numbers.cell(words, matrix, cell)).collect(),
        };
        match groups.last_mut().filter(|group| group.class == class) {
            Some(group) => group.rows.push(row),
            None => groups.push(SheetGroup { class, rows: vec![row] }),
        }
    }
    groups
}

/// The numbers of the rules that cells name, in the order in which they are met.
#[derive(Default)]
struct Numbers(BTreeMap<usize, usize>);

impl Numbers {
    fn of(&mut self, place: usize) -> usize {
        let next = self.0.len() + 1;
        *self.0.entry(place).or_insert(next)
    }

    fn all_of(&mut self, places: &[usize]) -> Vec<usize> {
        let mut numbers: Vec<usize> = places.iter().map(|place| self.of(*place)).collect();
        numbers.sort_unstable();
        numbers
    }

    fn cell(&mut self, words: &PolicyWords<'_>, matrix: &Matrix, cell: &Cell) -> SheetCell {
        let say = |key: &str| words.say(key);
        let is_capped = |place: usize| matrix.entries.get(place).is_some_and(|entry| entry.caps.is_some());
        let (tone, word, rules) = match matrix.reading(cell) {
            Reading::Always(place) if is_capped(place) => (SheetTone::Yes, say("policy-yes"), vec![self.of(place)]),
            Reading::Always(_) => (SheetTone::Yes, say("policy-yes"), Vec::new()),
            Reading::When(places) => (SheetTone::If, say("policy-if"), self.all_of(&places)),
            Reading::Never(NeverBecause::NoRule) => (SheetTone::No, say("policy-no"), Vec::new()),
            Reading::Never(NeverBecause::Forbidden(place)) => (SheetTone::No, say("policy-no"), vec![self.of(place)]),
        };
        if tone == SheetTone::No {
            return SheetCell { tone, word, rules, except: None, in_outage: false };
        }
        let except = (!cell.forbids.is_empty()).then(|| (say("policy-except"), self.all_of(&cell.forbids)));
        SheetCell { tone, word, rules, except, in_outage: matrix.reaches_outages(cell) }
    }

    fn notes(self, words: &PolicyWords<'_>, matrix: &Matrix) -> Vec<SheetNote> {
        let mut notes: Vec<SheetNote> = self
            .0
            .into_iter()
            .filter_map(|(place, number)| {
                let entry = matrix.entries.get(place)?;
                let is_forbid = entry.effect == Effect::Forbid;
                let caps = entry.caps.as_deref().map(|caps| words.caps(caps)).unwrap_or_default();
                let mut conditions: Vec<String> =
                    entry.conditions.iter().map(|condition| words.condition(condition)).chain(caps).collect();
                if conditions.is_empty() {
                    conditions.push(words.say("policy-without-condition"));
                }
                let effect = words.say(if is_forbid { "policy-forbids" } else { "policy-permits" });
                Some(SheetNote { number, rule: entry.rule.to_string(), effect, is_forbid, conditions })
            })
            .collect();
        notes.sort_by_key(|note| note.number);
        notes
    }
}
