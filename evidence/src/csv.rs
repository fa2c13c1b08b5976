//! CSV for spreadsheets, by RFC 4180, in which nothing is a formula; and the log's stories as such rows.

use audit::Story;
use policy::Timestamp;

use crate::Source;

/// A byte order mark, without which a spreadsheet takes Japanese for something else.
pub const BEGIN: &str = "\u{feff}";

/// Adds a row, with its line end. What a spreadsheet would take for a formula gets an apostrophe before it.
pub fn push_row<T: AsRef<str>>(out: &mut String, cells: impl IntoIterator<Item = T>) {
    for (place, cell) in cells.into_iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        push_cell(out, cell.as_ref());
    }
    out.push_str("\r\n");
}

fn push_cell(out: &mut String, text: &str) {
    // A spreadsheet passes over blanks before a formula, and reads the full-width signs as the others.
    let first = text.trim_start().chars().next().filter(|c| "=+-@＝＋－＠".contains(*c));
    let guard = if first.is_some() || text.starts_with(['\t', '\r']) { "'" } else { "" };
    // Semicolons and tabs, too: what a spreadsheet takes for the end of a cell depends on where it was bought.
    if text.contains(['"', ',', ';', '\t', '\n', '\r']) {
        out.push('"');
        out.push_str(guard);
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(guard);
        out.push_str(text);
    }
}

/// The headings of [`row`], in both languages.
pub const HEADINGS: [&str; 27] = [
    "記録番号 line",
    "日時 time",
    "種類 event",
    "結果 outcome",
    "利用者 login",
    "氏名 name",
    "利用者番号 person",
    "職種 roles",
    "端末 device",
    "端末種別 device class",
    "接続元 address",
    "区域 zone",
    "アプリ app",
    "操作 action",
    "情報区分 information class",
    "方法 method",
    "ホスト host",
    "パス path",
    "患者番号 patients",
    "患者数 number of patients",
    "検査 studies",
    "理由 reason",
    "規則 rule",
    "設定の版 revision",
    "状態 status",
    "送信バイト数 bytes sent",
    "要求 request",
];

/// A story as the cells of a row.
#[must_use]
pub fn row(story: &Story, source: &Source) -> [String; HEADINGS.len()] {
    let (begin, end) = (&story.begin, story.end.as_ref());
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let joined = |list: Vec<&str>| list.join(" ");
    let reasons = begin.why.iter().chain(&begin.also).chain(&begin.reason).map(String::as_str);
    [
        begin.seq.to_string(),
        clock(begin.at, source),
        begin.kind.code().to_owned(),
        story.outcome().code().to_owned(),
        text(&begin.login),
        text(&begin.name),
        begin.user.clone().or_else(|| begin.actor.clone()).unwrap_or_default(),
        joined(begin.roles.iter().map(|role| source.role(role)).collect()),
        text(&begin.device),
        text(&begin.device_class),
        begin.address.map(|address| address.to_string()).unwrap_or_default(),
        text(&begin.zone),
        text(&begin.app),
        text(&begin.action),
        text(&begin.class),
        text(&begin.method),
        text(&begin.host),
        text(&begin.path),
        joined(story.patients().collect()),
        number(Some(story.patients_count()).filter(|count| *count > 0)),
        joined(story.studies().collect()),
        joined(reasons.chain(end.and_then(|end| end.why.as_deref())).collect()),
        text(&begin.rule),
        text(&begin.revision),
        number(story.status().map(u64::from)),
        number(end.and_then(|end| end.bytes_out)),
        text(&begin.request),
    ]
}

/// A moment as spreadsheets read one: `2026-11-22 10:05:00.000`, by the hospital's clock.
fn clock(at: Timestamp, source: &Source) -> String {
    source.moment(at).chars().take(23).map(|c| if c == 'T' { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{house, story};

    #[test]
    fn nothing_in_a_cell_is_a_formula_or_ends_it() {
        let mut out = String::new();
        push_row(&mut out, ["=1+1", "a,b", "say \"x\"", "plain", " =2", "＝3", "\tx", "@a\nb", "1-2", "a;=b"]);
        assert_eq!(out, "'=1+1,\"a,b\",\"say \"\"x\"\"\",plain,' =2,'＝3,\"'\tx\",\"'@a\nb\",1-2,\"a;=b\"\r\n");
    }

    #[test]
    fn a_story_is_a_row_under_its_headings() {
        let open = r#""ev":"open","login":"n.sato","role":["nurse"],"act":"read","path":"/a,b","pt":["00012345"]"#;
        let cells = row(&story(open, Some(r#""end":"served","st":200,"bo":17,"pt":["2"]"#)), &house());
        let of = |head: &str| cells[HEADINGS.iter().position(|one| one.ends_with(head)).unwrap()].as_str();
        assert_eq!((of("time"), of("outcome"), of("roles")), ("2025-04-01 09:15:30.123", "allowed", "看護師"));
        assert_eq!((of("patients"), of("number of patients")), ("00012345 2", "2"));
        assert_eq!((of("status"), of("bytes sent"), of("path")), ("200", "17", "/a,b"));
    }
}
