//! The forms of a report: text for a terminal, a page to read, sign and keep, and CSV for whoever counts on.

use std::fmt::Write as _;

use web::{Language, ReplayTable as Table, ReplayText};

/// How many rows of a table a terminal shows.
const TERMINAL_ROWS_MAX: usize = 30;

const STYLE: &str = "\
:root{color-scheme:light}body{font:15px/1.6 system-ui,sans-serif;color:#1b2733;margin:2rem auto;max-width:72rem;\
padding:0 1rem}h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}\
th,td{border:1px solid #b8c4ce;padding:.3rem .6rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
th{background:#eef3f6}dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.2rem}dt{font-weight:600}\
dd{margin:0}.sign{display:flex;gap:2rem;margin-top:3rem}.sign div{border-top:1px solid #1b2733;padding-top:.3rem;\
min-width:12rem}@media print{body{margin:0}h2{break-after:avoid}tr{break-inside:avoid}}";

/// For a terminal.
pub fn text(report: &ReplayText, language: Language) -> String {
    let mut out = format!("{}\n\n", report.title);
    for (name, value) in &report.facts {
        push(&mut out, format_args!("{name}: {value}\n"));
    }
    for remark in &report.remarks {
        push(&mut out, format_args!("* {remark}\n"));
    }
    for table in report.tables.iter().filter(|table| !table.rows.is_empty()) {
        let headings: Vec<&str> = table.headings.iter().map(String::as_str).collect();
        let shown = table.rows.get(..TERMINAL_ROWS_MAX).unwrap_or(&table.rows);
        push(&mut out, format_args!("\n{}\n{}\n", table.title, crate::cli::table(&headings, shown)));
        let left = table.rows.len() - shown.len() + table.left;
        if left > 0 {
            out.push_str(&left_out(left, table.left == 0, language));
        }
    }
    out.trim_end().to_owned()
}

/// How many rows there are that are not shown, and where they are.
fn left_out(left: usize, are_elsewhere: bool, language: Language) -> String {
    match (language, are_elsewhere) {
        (Language::Japanese, true) => format!("ほか{left}行 (--format html または csv で全部)\n"),
        (Language::Japanese, false) => format!("ほか{left}行\n"),
        (Language::English, true) => format!("and {left} more (all of them with --format html or csv)\n"),
        (Language::English, false) => format!("and {left} more\n"),
    }
}

/// A whole page that needs nothing else.
pub fn html(report: &ReplayText, language: Language) -> String {
    let title = escaped(&report.title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n<main>\n<h1>{title}</h1>\n<dl>\n",
        language.tag()
    );
    for (name, value) in &report.facts {
        push(&mut out, format_args!("<dt>{}</dt><dd>{}</dd>\n", escaped(name), escaped(value)));
    }
    out.push_str("</dl>\n<ul>\n");
    for remark in &report.remarks {
        push(&mut out, format_args!("<li>{}</li>\n", escaped(remark)));
    }
    out.push_str("</ul>\n");
    report.tables.iter().filter(|table| !table.rows.is_empty()).for_each(|table| html_table(&mut out, table));
    let (checked, approved, date) = match language {
        Language::Japanese => ("確認者", "承認者 印", "日付"),
        Language::English => ("Checked by", "Approved by, seal", "Date"),
    };
    push(
        &mut out,
        format_args!(
            "<div class=\"sign\"><div>{checked}</div><div>{approved}</div><div>{date}</div></div>\n</main>\n</body>\n</html>\n"
        ),
    );
    out
}

fn html_table(out: &mut String, table: &Table) {
    push(out, format_args!("<h2>{}</h2>\n<table>\n<thead><tr>", escaped(&table.title)));
    for heading in &table.headings {
        push(out, format_args!("<th scope=\"col\">{}</th>", escaped(heading)));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        row.iter().for_each(|cell| push(out, format_args!("<td>{}</td>", escaped(cell))));
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
}

/// One file with all tables, each row led by its table's title.
pub fn csv(report: &ReplayText) -> String {
    // The mark lets spreadsheets read Japanese.
    let mut out = String::from("\u{feff}");
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<_> = cells.map(quoted).collect();
        push(&mut out, format_args!("{}\r\n", cells.join(",")));
    };
    for (name, value) in &report.facts {
        line(&mut [report.title.as_str(), name, value].into_iter());
    }
    for table in &report.tables {
        let title = || std::iter::once(table.title.as_str());
        line(&mut title().chain(table.headings.iter().map(String::as_str)));
        table.rows.iter().for_each(|row| line(&mut title().chain(row.iter().map(String::as_str))));
    }
    out
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _written = out.write_fmt(text);
}

/// Safe as text and in attributes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// A cell that no spreadsheet takes for a formula (names come from directories).
fn quoted(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.len() > 1;
    let guard = if is_formula { "'" } else { "" };
    format!("\"{guard}{}\"", cell.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> ReplayText {
        let table = Table {
            title: "職員ごと".into(),
            headings: vec!["職員".into(), "件数".into()],
            rows: vec![vec!["<b>佐藤\"&\"</b>".into(), "1".into()], vec!["=cmd|x".into(), "2".into()]],
            left: 0,
        };
        ReplayText {
            title: "結果".into(),
            facts: vec![("施設".into(), "関守病院".into())],
            remarks: vec!["注意".into()],
            tables: vec![table, Table { title: "空".into(), ..Table::default() }],
        }
    }

    #[test]
    fn names_stay_text_in_every_form() {
        let html = html(&report(), Language::Japanese);
        assert!(html.contains("&lt;b&gt;佐藤&quot;&amp;&quot;&lt;/b&gt;") && !html.contains("<b>"), "{html}");
        assert!(html.contains("<html lang=\"ja\">") && !html.contains("<h2>空</h2>"));
        let csv = csv(&report());
        assert!(csv.contains("\"職員ごと\",\"'=cmd|x\",\"2\"\r\n"), "{csv}");
        assert!(csv.contains("\"<b>佐藤\"\"&\"\"</b>\""), "{csv}");
    }

    #[test]
    fn a_terminal_shows_the_first_rows_and_says_how_many_are_left() {
        let mut report = report();
        report.tables[0].left = 5;
        report.tables[0].rows = (0..40).map(|number| vec![format!("person {number}"), "1".into()]).collect();
        let text = text(&report, Language::Japanese);
        assert!(text.contains("person 29") && !text.contains("person 30") && text.contains("ほか15行"), "{text}");
    }
}
