//! Charts as pictures inside a page: vectors that need no script, no style and no second request, where every bar is a
//! link to what it counts. Deliberately not here: what is counted (the console's pages).

mod columns;
mod rows;

pub(crate) use columns::Columns;
pub(crate) use rows::Rows;

/// One bar of a chart.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    /// What it stands for, in full.
    pub(crate) label: String,
    /// The same in the few letters that stand below a column; empty for none.
    pub(crate) short: String,
    /// How many.
    pub(crate) count: u64,
    /// What it counts; a bar without one leads nowhere.
    pub(crate) href: Option<String>,
}

impl Bar {
    /// A bar that leads to what it counts.
    pub(crate) fn new(label: impl Into<String>, count: u64, href: impl Into<String>) -> Self {
        Self { label: label.into(), short: String::new(), count, href: Some(href.into()) }
    }

    /// With a few letters of its own below it.
    pub(crate) fn marked(self, short: impl Into<String>) -> Self {
        Self { short: short.into(), ..self }
    }

    /// A count as people read it: `12,345`.
    pub(crate) fn number(&self) -> String {
        grouped(self.count)
    }
}

/// A chart with its heading.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) id: &'static str,
    pub(crate) heading: String,
    /// Said below the heading.
    pub(crate) lead: Option<String>,
    /// Said where there is nothing to show.
    pub(crate) empty: String,
    pub(crate) shape: Shape,
}

/// How a chart looks.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Columns side by side: something over time.
    Columns(Columns),
    /// Rows below each other: something by kind.
    Rows(Rows),
}

impl Chart {
    /// Whether there is anything to show.
    pub(crate) fn is_empty(&self) -> bool {
        let bars = match &self.shape {
            Shape::Columns(columns) => columns.bars(),
            Shape::Rows(rows) => rows.bars(),
        };
        bars.iter().all(|bar| bar.count == 0)
    }
}

/// A number with a comma at every third digit.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// So much of `span` as `part` is of `whole`; something that is there is always to be seen.
fn share(part: u64, whole: u64, span: u64) -> u64 {
    let share = u128::from(part) * u128::from(span) / u128::from(whole.max(1));
    let share = u64::try_from(share).unwrap_or(span).min(span);
    if part > 0 { share.max(1) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_threes() {
        for (number, read) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(number), read);
        }
    }

    #[test]
    fn what_is_there_is_seen_and_nothing_is_higher_than_the_highest() {
        assert_eq!(share(0, 1_000_000, 100), 0);
        assert_eq!(share(1, 1_000_000, 100), 1);
        assert_eq!(share(1_000_000, 1_000_000, 100), 100);
        assert_eq!(share(7, 0, 100), 100);
        assert_eq!(share(u64::MAX, u64::MAX, 100), 100);
    }
}
