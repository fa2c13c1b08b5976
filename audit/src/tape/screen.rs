//! The screen of a recorded terminal. Whatever a target sends only moves text and colours on it: titles, links, clipboard
//! and what else a terminal could be asked to do are passed over.

use std::num::NonZeroU16;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use vt100::{Cell, Color, Parser};

use crate::tape::thrift::Thrift;

/// A piece of a row in one look.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Run {
    /// What stands there.
    pub text: String,
    /// The colour of the letters.
    pub ink: Colour,
    /// The colour behind them.
    pub ground: Colour,
    /// Whether it is heavier than the rest.
    pub is_bold: bool,
    /// Whether it is fainter than the rest.
    pub is_dim: bool,
    /// Whether it is slanted.
    pub is_italic: bool,
    /// Whether it is underlined.
    pub is_underlined: bool,
    /// Whether both colours change places.
    pub is_inverse: bool,
}

/// A colour of a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Colour {
    /// Whatever the viewer has.
    #[default]
    Usual,
    /// One of the 256 of a palette.
    Palette(u8),
    /// Red, green, blue.
    Exact(u8, u8, u8),
}

impl From<Color> for Colour {
    fn from(colour: Color) -> Self {
        match colour {
            Color::Default => Self::Usual,
            Color::Idx(number) => Self::Palette(number),
            Color::Rgb(red, green, blue) => Self::Exact(red, green, blue),
        }
    }
}

/// A screen that follows what a target sends.
pub(crate) struct Screen {
    parser: Parser,
    thrift: Thrift,
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Screen(..)")
    }
}

impl Screen {
    pub(crate) fn new(columns: u16, rows: u16) -> Self {
        let side = |side| NonZeroU16::new(side).unwrap_or(NonZeroU16::MIN);
        Self { parser: Parser::new(side(rows), side(columns), 0), thrift: Thrift::default() }
    }

    /// Says when what comes now happened. The screen may work so much for each second of that time.
    pub(crate) fn now(&mut self, at: Duration) {
        self.thrift.now(at);
    }

    /// Follows what was sent, but for what would take too much work. A defect in following it must not end the
    /// recording: the screen is then empty again.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let (columns, rows) = self.size();
        let bytes: Vec<u8> = bytes.iter().map(|byte| self.thrift.pass(*byte, columns, rows)).collect();
        let fed = catch_unwind(AssertUnwindSafe(|| self.parser.process(&bytes)));
        if fed.is_err() {
            self.begin_anew();
        }
    }

    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        let side = |side| NonZeroU16::new(side).unwrap_or(NonZeroU16::MIN);
        let resized = catch_unwind(AssertUnwindSafe(|| self.parser.set_size(side(rows), side(columns))));
        if resized.is_err() {
            self.parser = Parser::new(side(rows), side(columns), 0);
        }
    }

    fn begin_anew(&mut self) {
        tracing::warn!("what a terminal was sent could not be followed; its screen is taken as empty");
        let (rows, columns) = self.parser.screen().size();
        self.parser = Parser::new(rows, columns, 0);
    }

    /// Columns and rows.
    pub(crate) fn size(&self) -> (u16, u16) {
        let (rows, columns) = self.parser.screen().size();
        (columns.get(), rows.get())
    }

    /// Whether a program has the whole screen, as editors do.
    pub(crate) fn is_alternate(&self) -> bool {
        self.parser.screen().alternate_screen()
    }

    /// Row and column of the cursor, where it is shown.
    pub(crate) fn cursor(&self) -> Option<(u16, u16)> {
        let screen = self.parser.screen();
        (!screen.hide_cursor()).then(|| screen.cursor_position())
    }

    /// What stands in the line of the cursor, over all rows that it was wrapped to: before the cursor, and in all.
    /// Nothing where that would take too much work.
    pub(crate) fn line(&mut self) -> (String, String) {
        if self.thrift.is_spent() {
            return (String::new(), String::new());
        }
        let screen = self.parser.screen();
        let (row, column) = screen.cursor_position();
        let mut first = row;
        while first > 0 && self.goes_on(first - 1) {
            first -= 1;
        }
        let (columns, rows) = self.size();
        let mut last = row;
        while last + 1 < rows && self.goes_on(last) {
            last += 1;
        }
        let above: String = (first..row).map(|row| self.wrapped_text(row, columns)).collect();
        let below: String = (row..last).map(|row| self.wrapped_text(row, columns)).collect();
        let all = format!("{above}{below}{}", self.text(last, columns));
        let line = (above + &self.text(row, column), all.trim_end().to_owned());
        self.thrift.spend(u64::from(columns) * (u64::from(last - first) + 1));
        line
    }

    /// Whether the line in a row goes on in the next one: it was wrapped, or a wide letter had no room in its last cell.
    fn goes_on(&self, row: u16) -> bool {
        let screen = self.parser.screen();
        let (columns, _) = self.size();
        let is_filled = |row: u16, column: Option<u16>| {
            let cell = column.and_then(|column| screen.cell(row, column));
            cell.is_some_and(|cell| cell.has_contents() || cell.is_wide_continuation())
        };
        let is_next_wide = screen.cell(row + 1, 0).is_some_and(Cell::is_wide);
        let has_room_for_one = is_filled(row, columns.checked_sub(2)) && !is_filled(row, columns.checked_sub(1));
        screen.row_wrapped(row) || (is_next_wide && has_room_for_one)
    }

    /// The text of a row that goes on in the next one: a wide letter that had no room leaves its last cell empty.
    fn wrapped_text(&self, row: u16, columns: u16) -> String {
        let last = columns.saturating_sub(1);
        let is_left_empty = self
            .parser
            .screen()
            .cell(row, last)
            .is_some_and(|cell| !cell.has_contents() && !cell.is_wide_continuation());
        self.text(row, if is_left_empty { last } else { columns })
    }

    /// The text of a row before a column.
    fn text(&self, row: u16, end: u16) -> String {
        let cells = (0..end).filter_map(|column| self.parser.screen().cell(row, column));
        cells.filter(|cell| !cell.is_wide_continuation()).map(letters).collect()
    }

    /// A row as it looks; blanks at its end that look like any other are left out.
    pub(crate) fn row(&self, row: u16) -> Vec<Run> {
        let (columns, _) = self.size();
        let mut runs: Vec<Run> = Vec::new();
        let cells = (0..columns).filter_map(|column| self.parser.screen().cell(row, column));
        for cell in cells.filter(|cell| !cell.is_wide_continuation()) {
            let look = look(cell);
            match runs.last_mut() {
                Some(run) if (Run { text: String::new(), ..run.clone() }) == look => run.text.push_str(letters(cell)),
                Some(_) | None => runs.push(Run { text: letters(cell).to_owned(), ..look }),
            }
        }
        if let Some(last) = runs.last_mut()
            && (Run { text: String::new(), ..last.clone() }) == Run::default()
        {
            last.text.truncate(last.text.trim_end_matches(' ').len());
        }
        if runs.last().is_some_and(|last| last.text.is_empty()) {
            runs.pop();
        }
        runs
    }
}

/// What stands in a cell.
fn letters(cell: &Cell) -> &str {
    if cell.has_contents() { cell.contents() } else { " " }
}

fn look(cell: &Cell) -> Run {
    Run {
        text: String::new(),
        ink: cell.fgcolor().into(),
        ground: cell.bgcolor().into(),
        is_bold: cell.bold(),
        is_dim: cell.dim(),
        is_italic: cell.italic(),
        is_underlined: cell.underline(),
        is_inverse: cell.inverse(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_cursor_is_read_over_its_rows() {
        let mut screen = Screen::new(10, 4);
        screen.feed("$ echo 山田太郎さん".as_bytes());
        assert_eq!(screen.line(), ("$ echo 山田太郎さん".to_owned(), "$ echo 山田太郎さん".to_owned()));
        screen.feed(b"\x1b[3D");
        assert_eq!(screen.line().1, "$ echo 山田太郎さん");
    }

    #[test]
    fn rows_are_told_by_their_looks_and_without_blanks() {
        let mut screen = Screen::new(20, 2);
        screen.feed("a\x1b[1;31mb\x1b[0mc".as_bytes());
        let row = screen.row(0);
        let texts: Vec<&str> = row.iter().map(|run| run.text.as_str()).collect();
        assert_eq!(texts, ["a", "b", "c"]);
        assert_eq!((row[1].is_bold, row[1].ink), (true, Colour::Palette(1)));
        assert_eq!(screen.row(1), []);
    }

    #[test]
    fn a_flood_of_what_is_heavy_is_followed_as_far_as_it_is_worth_and_then_again() {
        for heavy in ["\x1bc", "\x1b[2J", "\x1b[200S", "\x1b[65535b", "\x1b[?1049;1049;1049h\x1b[?1049l"] {
            let (mut screen, began) = (Screen::new(500, 200), std::time::Instant::now());
            screen.feed(heavy.repeat(128 * 1024 / heavy.len()).as_bytes());
            assert!(began.elapsed() < Duration::from_secs(4), "{heavy:?} {:?}", began.elapsed());
            screen.now(Duration::from_secs(2));
            screen.feed(b"\x1b[?1049l\x1bc$ id");
            assert_eq!(screen.line(), ("$ id".to_owned(), "$ id".to_owned()), "{heavy:?}");
        }
    }

    #[test]
    fn whatever_is_sent_only_moves_text() {
        let mut screen = Screen::new(40, 5);
        screen.feed(b"\x1b]52;c;cm0gLXJm\x07\x1b]0;title\x07\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\");
        assert_eq!(screen.line().1, "link");
        screen.feed(b"\x1b[999999999;999999999H\x1b[99999999L\x1b[9999999@\x1b[?1049h\xff\xfe\x1b[3");
        assert!(screen.is_alternate());
        for seed in 0..2_000_u32 {
            let noise: Vec<u8> = (0..64_u32)
                .map(|at| {
                    let mixed = (seed.wrapping_mul(2_654_435_761) ^ at.wrapping_mul(40_503)).rotate_left(at % 31);
                    b"\x1b[;0123456789ABCDHJKLMPSTXbcdhlmr?\r\n\x08\t xyz\xe5\xb1\xb1\xff"[mixed as usize % 46]
                })
                .collect();
            screen.feed(&noise);
            if seed % 50 == 0 {
                screen.resize((seed % 190 + 1) as u16, (seed % 60 + 1) as u16);
            }
        }
        assert!(screen.row(0).len() <= 200);
    }
}
