//! A matrix for spreadsheets: a line for each app, class, action and subject, so that it can be filtered.

use evidence::csv::{BEGIN, push_row};
use policy::{Matrix, Reading};

use super::{PolicyWords, SheetTone};

impl PolicyWords<'_> {
    /// A matrix as CSV: headings, then a line for each cell.
    #[must_use]
    pub fn csv(&self, matrix: &Matrix) -> String {
        let heads = ["detail-app", "policy-information", "policy-do", "policy-who", "policy-answer", "policy-rules"];
        let heads = heads.into_iter().chain(["policy-conditions", "policy-except"]).map(|key| self.say(key));
        let mut out = BEGIN.to_owned();
        push_row(&mut out, heads);
        for table in &matrix.apps {
            for line in table.lines.iter().filter(|line| line.is_asked) {
                for (subject, cell) in matrix.subjects.iter().zip(&line.cells) {
                    let (tone, permits) = match matrix.reading(cell) {
                        Reading::Always(place) => (SheetTone::Yes, vec![place]),
                        Reading::When(places) => (SheetTone::If, places),
                        Reading::Never(_) => (SheetTone::No, Vec::new()),
                    };
                    let answer = match tone {
                        SheetTone::Yes if cell.forbids.is_empty() => "policy-allowed",
                        SheetTone::Yes | SheetTone::If => "policy-on-condition",
                        SheetTone::No => "policy-not-allowed",
                    };
                    let cells = [
                        self.app(&table.app),
                        self.class_or_none(line.class.as_ref()),
                        self.action(line.action),
                        self.subject(subject),
                        self.say(answer),
                        self.rules(matrix, &permits),
                        self.conditions(matrix, &permits),
                        self.conditions_and_rules(matrix, &cell.forbids),
                    ];
                    push_row(&mut out, cells);
                }
            }
        }
        out
    }

    fn rules(&self, matrix: &Matrix, places: &[usize]) -> String {
        let rules = places.iter().filter_map(|place| matrix.entries.get(*place)).map(|entry| entry.rule.to_string());
        rules.collect::<Vec<_>>().join(" / ")
    }

    fn conditions(&self, matrix: &Matrix, places: &[usize]) -> String {
        let entries = places.iter().filter_map(|place| matrix.entries.get(*place));
        let conditions = entries.map(|entry| {
            let caps = entry.caps.as_deref().map(|caps| self.caps(caps)).unwrap_or_default();
            self.row_of(entry.conditions.iter().map(|condition| self.condition(condition)).chain(caps))
        });
        conditions.collect::<Vec<_>>().join(" / ")
    }

    fn conditions_and_rules(&self, matrix: &Matrix, places: &[usize]) -> String {
        let one = |place: &usize| {
            let (rule, conditions) = (self.rules(matrix, &[*place]), self.conditions(matrix, &[*place]));
            if conditions.is_empty() { rule } else { format!("{rule}: {conditions}") }
        };
        places.iter().map(one).collect::<Vec<_>>().join(" / ")
    }
}
