//! Tables as people exchange them with spreadsheets: CSV by RFC 4180, in UTF-8, with a first line that names the
//! columns. Every problem names its line and its column; nothing is taken over from a table with problems.
//! What the cells mean is the business of whoever asked.

mod fault;

pub use fault::CsvFault;
pub(crate) use fault::shown;

/// The longest table, in bytes.
pub(crate) const TABLE_BYTES_MAX: usize = 4 << 20;
/// The most rows of a table.
pub(crate) const ROWS_MAX: usize = 20_000;
/// The most problems that are told at once.
const PROBLEMS_MAX: usize = 100;
/// A cell that begins with one of these is a formula to a spreadsheet.
const FORMULA_SIGNS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// What is wrong with one cell of a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {}", .fault.en())]
pub struct CsvProblem {
    /// The line, from 1.
    pub line: usize,
    /// The cell in its row, from 1.
    pub column: usize,
    /// What is wrong and what to do.
    pub fault: CsvFault,
}

/// A column that a table may have: its name, and how Japanese spreadsheets call it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) ja: &'static str,
    pub(crate) required: bool,
}

/// A table that was read.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
    /// For each column asked for: which cell of a row is its.
    places: Vec<(&'static str, Option<usize>)>,
}

/// One row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The line it begins in.
    pub(crate) line: usize,
    cells: Vec<String>,
}

/// A cell, with what names it in a problem.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell<'a> {
    pub(crate) text: &'a str,
    line: usize,
    column: usize,
}

impl Cell<'_> {
    pub(crate) fn problem(&self, fault: CsvFault) -> CsvProblem {
        CsvProblem { line: self.line, column: self.column, fault }
    }
}

impl Table {
    /// Reads a table that has these columns, in any order. Rows without any text are left out.
    pub(crate) fn read(text: &str, columns: &[Column]) -> Result<Self, Vec<CsvProblem>> {
        let mut rows = rows(text).map_err(|problem| vec![problem])?.into_iter();
        let empty = || vec![CsvProblem { line: 1, column: 1, fault: CsvFault::Empty }];
        let head = rows.next().ok_or_else(empty)?;
        let mut problems = unknown_columns(&head, columns);
        let places: Vec<_> = columns.iter().map(|column| (column.name, place(&head, column))).collect();
        for column in columns.iter().filter(|column| column.required && place(&head, column).is_none()) {
            let fault = CsvFault::ColumnMissing { name: column.name, ja: column.ja };
            problems.push(CsvProblem { line: head.line, column: 1, fault });
        }
        let rows: Vec<Row> = rows.filter(|row| row.cells.iter().any(|cell| !cell.is_empty())).collect();
        for row in rows.iter().filter(|row| row.cells.len() != head.cells.len()) {
            let fault = CsvFault::CellCount { found: row.cells.len(), expected: head.cells.len() };
            problems.push(CsvProblem { line: row.line, column: row.cells.len(), fault });
        }
        problems.truncate(PROBLEMS_MAX);
        if problems.is_empty() { Ok(Self { rows, places }) } else { Err(problems) }
    }

    /// A cell by its column's name; `None` where the table has no such column.
    pub(crate) fn cell<'a>(&self, row: &'a Row, name: &str) -> Option<Cell<'a>> {
        let place = self.places.iter().find(|(column, _)| *column == name)?.1?;
        let text = row.cells.get(place)?.as_str();
        Some(Cell { text, line: row.line, column: place + 1 })
    }
}

fn place(head: &Row, column: &Column) -> Option<usize> {
    head.cells.iter().position(|cell| is_named(cell, column))
}

fn is_named(cell: &str, column: &Column) -> bool {
    cell.eq_ignore_ascii_case(column.name) || cell == column.ja
}

fn unknown_columns(head: &Row, columns: &[Column]) -> Vec<CsvProblem> {
    let mut problems = Vec::new();
    for (index, cell) in head.cells.iter().enumerate() {
        let twice = || head.cells.iter().take(index).any(|earlier| earlier == cell);
        let fault = match columns.iter().find(|column| is_named(cell, column)) {
            None => {
                let known: Vec<_> = columns.iter().map(|column| column.name).collect();
                CsvFault::ColumnUnknown { name: shown(cell), known: known.join(", ") }
            }
            Some(_) if twice() => CsvFault::ColumnTwice { name: shown(cell) },
            Some(_) => continue,
        };
        problems.push(CsvProblem { line: head.line, column: index + 1, fault });
    }
    problems
}

/// Reads rows of cells (RFC 4180): commas, double quotes, CRLF or LF. A byte order mark is passed over.
fn rows(text: &str) -> Result<Vec<Row>, CsvProblem> {
    if text.len() > TABLE_BYTES_MAX {
        let fault = CsvFault::TooLong { most_mib: TABLE_BYTES_MAX >> 20 };
        return Err(CsvProblem { line: 1, column: 1, fault });
    }
    let mut reader = Reader { chars: text.trim_start_matches('\u{feff}').chars().peekable(), line: 1 };
    let mut rows = Vec::new();
    while reader.chars.peek().is_some() {
        if rows.len() > ROWS_MAX {
            let fault = CsvFault::TooManyRows { most: ROWS_MAX };
            return Err(CsvProblem { line: reader.line, column: 1, fault });
        }
        rows.push(reader.row()?);
    }
    Ok(rows)
}

struct Reader<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
}

impl Reader<'_> {
    fn row(&mut self) -> Result<Row, CsvProblem> {
        let mut row = Row { line: self.line, cells: Vec::new() };
        loop {
            let column = row.cells.len() + 1;
            let cell = if self.chars.next_if_eq(&'"').is_some() { self.quoted(column)? } else { self.plain(column)? };
            row.cells.push(unguarded(cell));
            let after = self.chars.next();
            let ends_line = after == Some('\n') || (after == Some('\r') && self.chars.next_if_eq(&'\n').is_some());
            if ends_line {
                self.line += 1;
            }
            match after {
                Some(',') => {}
                Some(_) if ends_line => return Ok(row),
                None => return Ok(row),
                Some(_) => return Err(self.problem(column, CsvFault::AfterQuote)),
            }
        }
    }

    fn plain(&mut self, column: usize) -> Result<String, CsvProblem> {
        let mut cell = String::new();
        while let Some(c) = self.chars.next_if(|c| !matches!(c, ',' | '\n' | '\r')) {
            if c == '"' {
                return Err(self.problem(column, CsvFault::QuoteInside));
            }
            cell.push(c);
        }
        if self.chars.peek() == Some(&'\r') {
            let mut ahead = self.chars.clone();
            ahead.next();
            if ahead.peek() != Some(&'\n') {
                return Err(self.problem(column, CsvFault::LoneReturn));
            }
        }
        Ok(cell.trim().to_owned())
    }

    fn quoted(&mut self, column: usize) -> Result<String, CsvProblem> {
        let began = self.line;
        let mut cell = String::new();
        loop {
            match self.chars.next() {
                Some('"') if self.chars.next_if_eq(&'"').is_some() => cell.push('"'),
                Some('"') => return Ok(cell.trim().to_owned()),
                Some(c) => {
                    self.line += usize::from(c == '\n');
                    cell.push(c);
                }
                None => return Err(CsvProblem { line: began, column, fault: CsvFault::QuoteOpen }),
            }
        }
    }

    fn problem(&self, column: usize, fault: CsvFault) -> CsvProblem {
        CsvProblem { line: self.line, column, fault }
    }
}

/// Takes the sign off that [`write_row`] put before a formula.
fn unguarded(cell: String) -> String {
    match cell.strip_prefix('\'') {
        Some(rest) if needs_guard(rest) => rest.to_owned(),
        Some(_) | None => cell,
    }
}

fn needs_guard(cell: &str) -> bool {
    cell.starts_with(FORMULA_SIGNS) || cell.starts_with('\'')
}

/// What a table begins with: a byte order mark, without which spreadsheets take Japanese for something else.
pub(crate) const BEGIN: &str = "\u{feff}";

/// Writes a row. A cell that a spreadsheet would run as a formula gets an apostrophe before it, and loses it when it
/// is read again. Blanks around a cell are left out.
pub(crate) fn write_row<'a>(out: &mut String, cells: impl IntoIterator<Item = &'a str>) {
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        // Blanks around a cell are not read; behind the guard they would be.
        let cell = cell.trim();
        let guard = if needs_guard(cell) { "'" } else { "" };
        if cell.contains(['"', ',', '\n', '\r']) {
            out.push('"');
            out.push_str(guard);
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(guard);
            out.push_str(cell);
        }
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 2] = [
        Column { name: "login", ja: "ログイン名", required: true },
        Column { name: "unit", ja: "所属", required: false },
    ];

    fn problems(text: &str) -> Vec<(usize, usize)> {
        let problems = Table::read(text, &COLUMNS).unwrap_err();
        problems.into_iter().map(|problem| (problem.line, problem.column)).collect()
    }

    #[test]
    fn columns_come_in_any_order_and_either_language() {
        for text in
            ["login,unit\nsato,3F\n", "\u{feff}所属,ログイン名\r\n3F,sato\r\n", "\"UNIT\",\"Login\"\n\"3F\",\" sato \""]
        {
            let table = Table::read(text, &COLUMNS).unwrap();
            let [row] = table.rows.as_slice() else { panic!("{text:?}: {:?}", table.rows) };
            assert_eq!((table.cell(row, "login").unwrap().text, table.cell(row, "unit").unwrap().text), ("sato", "3F"));
        }
        let table = Table::read("login,unit\nsato,\n\n,\nsuzuki,", &COLUMNS).unwrap();
        assert_eq!(table.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 5], "empty rows are passed over");
    }

    #[test]
    fn every_problem_names_its_place() {
        assert_eq!(problems(""), [(1, 1)]);
        assert_eq!(problems("unit\nx\n"), [(1, 1)], "a required column is missing");
        assert_eq!(problems("login,who\nx,y\n"), [(1, 2)]);
        assert_eq!(problems("login,login\nx,y\n"), [(1, 2)]);
        assert_eq!(problems("login,unit\nx,y\nz\n"), [(3, 1)]);
        assert_eq!(problems("login,unit\nx,a\"b\n"), [(2, 2)]);
        assert_eq!(problems("login,unit\nx,\"a\"b\n"), [(2, 2)]);
        assert_eq!(problems("login,unit\n\"x\ny\",a\nz,\"open"), [(4, 2)]);
        assert_eq!(problems("login\rx"), [(1, 1)]);
        assert_eq!(problems(&format!("login\n{}", "x\n".repeat(ROWS_MAX + 1))), [(ROWS_MAX + 2, 1)]);
        assert_eq!(problems(&"x".repeat(TABLE_BYTES_MAX + 1)), [(1, 1)]);
    }

    #[test]
    fn what_is_written_reads_back_and_no_spreadsheet_runs_it() {
        for cell in ["plain", "a,b", "say \"no\"", "two\nlines", "=1+1", "-5", "@x", "'quoted", "'=x", "佐藤"] {
            let mut text = String::new();
            write_row(&mut text, ["login", "unit"]);
            write_row(&mut text, [cell, "3F"]);
            let second = text.lines().nth(1).unwrap();
            assert!(!second.trim_start_matches('"').starts_with(FORMULA_SIGNS), "{second}");
            let table = Table::read(&text, &COLUMNS).unwrap();
            let read = table.cell(&table.rows[0], "login").unwrap().text.to_owned();
            assert_eq!(read, cell);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_reader_and_every_problem_has_a_place(
            text in "(login|unit|,|\"|\n|\r\n|=|\u{feff}|[a-z]{0,3}|.{0,2}){0,40}",
        ) {
            match Table::read(&text, &COLUMNS) {
                Ok(table) => {
                    for row in &table.rows {
                        let login = table.cell(row, "login").expect("a column that must be there is");
                        proptest::prop_assert!(login.line <= text.lines().count() && row.cells.len() <= text.len());
                    }
                }
                Err(problems) => {
                    proptest::prop_assert!((1..=PROBLEMS_MAX).contains(&problems.len()));
                    proptest::prop_assert!(problems.iter().all(|problem| problem.line >= 1 && problem.column >= 1));
                    // Each can be said.
                    proptest::prop_assert!(problems.iter().all(|problem| !problem.to_string().is_empty()));
                }
            }
        }

        #[test]
        fn whatever_is_written_reads_back(cell in "[^\r]{0,30}", sign in "[=+@\t'\"-]?") {
            let unit = format!("{sign}{cell}");
            let mut text = String::new();
            write_row(&mut text, ["login", "unit"]);
            write_row(&mut text, ["sato", &unit]);
            let table = Table::read(&text, &COLUMNS).expect("what was written is a table");
            let [row] = table.rows.as_slice() else { panic!("{text:?}") };
            proptest::prop_assert_eq!(table.cell(row, "unit").expect("it has the column").text, unit.trim());
        }
    }
}
