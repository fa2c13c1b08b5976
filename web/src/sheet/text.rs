//! A sheet for a terminal: aligned, also where characters take two columns.

use super::{Sheet, SheetCell, SheetGroup, SheetRow, SheetTable, SheetTone};

impl Sheet {
    /// The sheet as lines of text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("{}\n", self.title);
        for (label, value) in &self.facts {
            out.push_str(&format!("{label}: {value}\n"));
        }
        out.extend(self.nothing.iter().map(|nothing| format!("\n{nothing}\n")));
        for table in &self.tables {
            out.push_str(&format!("\n{}\n{}\n", table.app, aligned(&self.lines_of(table))));
        }
        if !self.notes.is_empty() {
            let note = |note: &super::SheetNote| {
                vec![format!("{:>3}", note.number), note.rule.clone(), note.effect.clone(), note.conditions.join("; ")]
            };
            let lines: Vec<Vec<String>> = self.notes.iter().map(note).collect();
            out.push_str(&format!("\n{}\n{}\n", self.look.notes, aligned(&lines)));
        }
        out.push_str(&format!("\n{}\n", self.look.legend));
        for line in &self.legend {
            out.push_str(&format!("  {line}\n"));
        }
        out.truncate(out.trim_end().len());
        out
    }

    fn lines_of(&self, table: &SheetTable) -> Vec<Vec<String>> {
        let head = [&self.look.information, &self.look.actions].into_iter().chain(&table.columns).cloned().collect();
        let row = |(number, row): (usize, &SheetRow), class: &str| {
            // On a narrow page, what is not allowed stands back.
            let text = |cell: &SheetCell| {
                if cell.tone == SheetTone::No && cell.rules.is_empty() { "-".to_owned() } else { cell.text() }
            };
            let class = if number == 0 { class.to_owned() } else { String::new() };
            [class, row.actions.clone()].into_iter().chain(row.cells.iter().map(text)).collect()
        };
        let of_group = |group: &SheetGroup| -> Vec<Vec<String>> {
            group.rows.iter().enumerate().map(|one| row(one, &group.class)).collect()
        };
        [head].into_iter().chain(table.groups.iter().flat_map(of_group)).collect()
    }
}

/// Lines whose cells stand below each other.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| width(cell)).max();
    let widths: Vec<usize> = (0..columns).map(|column| widest(column).unwrap_or(0)).collect();
    let line = |cells: &Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(cell, wide)| {
            let missing = wide.saturating_sub(width(cell));
            format!("{cell}{}", " ".repeat(missing))
        });
        format!("  {}", padded.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// How many columns of a terminal a text takes: two for what East Asian fonts draw square (UAX 11, W and F).
fn width(text: &str) -> usize {
    let is_wide = |c: char| {
        matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0x303e | 0x3041..=0xa4cf | 0xac00..=0xd7a3
            | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff
            | 0x20000..=0x3fffd)
    };
    text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_below_each_other_in_both_languages() {
        let lines = [["情報", "看護師"], ["a", "可"], ["abcdef", "x"]].map(|line| line.map(str::to_owned).to_vec());
        assert_eq!(aligned(&lines), "  情報    看護師\n  a       可\n  abcdef  x");
    }
}
