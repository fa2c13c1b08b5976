//! What can be wrong with a cell of a table: a closed list, each with its code and a sentence in both languages that
//! says what to do.

/// The most of a cell that is repeated to whoever sent it, in characters.
const SHOWN_CHARS_MAX: usize = 64;

/// What is wrong with a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CsvFault {
    /// There is nothing in the table.
    Empty,
    /// The table is too long.
    TooLong {
        /// The most, in MiB.
        most_mib: usize,
    },
    /// The table has too many rows.
    TooManyRows {
        /// The most.
        most: usize,
    },
    /// A column is missing.
    ColumnMissing {
        /// Its name.
        name: &'static str,
        /// Its Japanese name.
        ja: &'static str,
    },
    /// There is no such column.
    ColumnUnknown {
        /// What it is called.
        name: String,
        /// Those there are.
        known: String,
    },
    /// A column is there twice.
    ColumnTwice {
        /// Its name.
        name: String,
    },
    /// A row has more or fewer cells than the first line.
    CellCount {
        /// How many it has.
        found: usize,
        /// How many the first line has.
        expected: usize,
    },
    /// There is text after the closing quote.
    AfterQuote,
    /// There is a quote within a cell that does not begin with one.
    QuoteInside,
    /// A quote is never closed.
    QuoteOpen,
    /// A line ends with CR alone.
    LoneReturn,
    /// That is no login name.
    Login,
    /// The login name is in the table twice.
    LoginTwice,
    /// That is no name of a person.
    Name,
    /// That is no unit.
    Unit,
    /// The role is not in the configuration.
    Role {
        /// Which.
        role: String,
    },
    /// That is no state of a person.
    State {
        /// What was written.
        state: String,
    },
    /// The person is disabled; a table enables nobody.
    PersonDisabled,
    /// That is no name of a device.
    DeviceName,
    /// The device is in the table twice.
    DeviceTwice,
    /// A device that is not in the ledger yet has no class.
    ClassMissing,
    /// That is no class of devices.
    Class {
        /// What was written.
        class: String,
        /// Those there are.
        known: String,
    },
    /// The text is too long, or has several lines.
    Text {
        /// The most characters.
        most: usize,
    },
    /// A line of the inventory has no vendor, or no target.
    LineEmpty,
    /// A line of the inventory is in the table twice, or could be either of two.
    LineTwice,
    /// There is no such app.
    App {
        /// What was written.
        app: String,
    },
    /// Nobody has that login name, or more than one.
    Nobody {
        /// What was written.
        login: String,
    },
    /// That is no day.
    Day {
        /// What was written.
        day: String,
    },
}

/// A code with what it says.
struct Words {
    code: &'static str,
    ja: String,
    en: String,
}

fn words(code: &'static str, ja: impl Into<String>, en: impl Into<String>) -> Words {
    Words { code, ja: ja.into(), en: en.into() }
}

impl CsvFault {
    /// Its code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.words().code
    }

    /// What it says in Japanese.
    #[must_use]
    pub fn ja(&self) -> String {
        self.words().ja
    }

    /// What it says in English.
    #[must_use]
    pub fn en(&self) -> String {
        self.words().en
    }

    fn words(&self) -> Words {
        match self {
            Self::Empty => words(
                "table-empty",
                "表が空です。1行目に列の名前を書いてください",
                "the table is empty; the first line names the columns",
            ),
            Self::TooLong { most_mib } => words(
                "table-too-long",
                format!("表が{most_mib} MiBを超えています。いくつかに分けてください"),
                format!("the table is longer than {most_mib} MiB; cut it into several"),
            ),
            Self::TooManyRows { most } => words(
                "table-too-many-rows",
                format!("表が{most}行を超えています。いくつかに分けてください"),
                format!("the table has more than {most} rows; cut it into several"),
            ),
            Self::ColumnMissing { name, ja } => words(
                "column-missing",
                format!("列「{ja}」(`{name}`)がありません。加えてください"),
                format!("the column `{name}` ({ja}) is missing; add it"),
            ),
            Self::ColumnUnknown { name, known } => words(
                "column-unknown",
                format!("「{name}」という列はありません。使える列: {known}"),
                format!("the column `{name}` is unknown; there are {known}"),
            ),
            Self::ColumnTwice { name } => words(
                "column-twice",
                format!("列「{name}」が2つあります。1つにしてください"),
                format!("the column `{name}` is there twice; keep one"),
            ),
            Self::CellCount { found, expected } => words(
                "cell-count",
                format!("この行には列が{found}個あります。1行目は{expected}個です。そろえてください"),
                format!("the row has {found} cells, the first line {expected}; make them the same"),
            ),
            Self::AfterQuote => words(
                "text-after-quote",
                "閉じる引用符のあとに文字があります。引用符そのものは `\"\"` と書いてください",
                "text after the closing quote; write `\"\"` for a quote",
            ),
            Self::QuoteInside => words(
                "quote-inside",
                "途中に引用符があります。全体を引用符で囲んでください",
                "a quote within a cell; put the whole cell in quotes",
            ),
            Self::QuoteOpen => words(
                "quote-open",
                "引用符が閉じられていません。閉じる引用符を加えてください",
                "a quote is never closed; add the closing one",
            ),
            Self::LoneReturn => words(
                "lone-return",
                "行がCRだけで終わっています。改行はLFかCRLFにしてください",
                "a line ends with CR alone; end it with LF or CRLF",
            ),
            Self::Login => words(
                "login",
                "ログイン名は、文字、数字、`.` `-` `_` `@` `+` で1文字から100文字までです",
                "a login name has 1 to 100 letters, digits, or `.`, `-`, `_`, `@`, `+`",
            ),
            Self::LoginTwice => words(
                "login-twice",
                "同じログイン名が表に2回あります。1行にまとめてください",
                "the login name is in the table twice; keep one row",
            ),
            Self::Name => {
                words("name", "氏名は、1行で1文字から100文字までです", "a name has 1 to 100 characters in one line")
            }
            Self::Unit => words("unit", "所属は、1行で100文字までです", "a unit has up to 100 characters in one line"),
            Self::Role { role } => words(
                "role",
                format!("役割「{role}」は設定の `[roles]` にありません"),
                format!("the role `{role}` is not in `[roles]`"),
            ),
            Self::State { state } => words(
                "state",
                format!("「{state}」という状態はありません。`active`(有効)か `disabled`(無効)と書いてください"),
                format!("`{state}` is no state; write `active` or `disabled`"),
            ),
            Self::PersonDisabled => words(
                "person-disabled",
                "この人は停止されています。先に手で利用を再開してから、取り込んでください",
                "the person is disabled; enable them by hand first, then take the table in",
            ),
            Self::DeviceName => words(
                "device-name",
                "端末名は、半角の英小文字と数字、`.` `_` `-` で、英小文字か数字から始めてください",
                "a device name has lower-case letters, digits, `.`, `_` and `-`, and begins with a letter or digit",
            ),
            Self::DeviceTwice => words(
                "device-twice",
                "同じ端末が表に2回あります。1行にまとめてください",
                "the device is in the table twice; keep one row",
            ),
            Self::ClassMissing => words(
                "class-missing",
                "台帳にまだない端末です。区分を書いてください",
                "the device is not in the ledger yet; say its class",
            ),
            Self::Class { class, known } => words(
                "class",
                format!("「{class}」という区分はありません。使える区分: {known}"),
                format!("`{class}` is not a class; use one of {known}"),
            ),
            Self::Text { most } => {
                words("text", format!("1行で{most}文字までです"), format!("at most {most} characters in one line"))
            }
            Self::LineEmpty => {
                words("line-empty", "ベンダーと対象の両方を書いてください", "say both vendor and target")
            }
            Self::LineTwice => words(
                "line-twice",
                "ベンダー、対象、アプリが同じ行が2つあります。1つにまとめてください",
                "there are two lines of the same vendor, target and app; make them one",
            ),
            Self::App { app } => words(
                "app",
                format!("アプリ「{app}」は設定にありません。ゲートウェイを通らないものは空にしてください"),
                format!(
                    "the app `{app}` is not in the configuration; leave it empty where no app of the gateway is meant"
                ),
            ),
            Self::Nobody { login } => words(
                "nobody",
                format!("ログイン名「{login}」の人がいないか、一人に決まりません"),
                format!("nobody has the login name `{login}`, or more than one"),
            ),
            Self::Day { day } => words(
                "day",
                format!("「{day}」は日付ではありません。`2027-03-31` のように書いてください"),
                format!("`{day}` is not a day; write it as `2027-03-31`"),
            ),
        }
    }
}

/// What somebody wrote, fit to be repeated to them.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn samples() -> Vec<CsvFault> {
        let text = String::new;
        use CsvFault as F;
        vec![
            F::Empty,
            F::TooLong { most_mib: 4 },
            F::TooManyRows { most: 9 },
            F::ColumnMissing { name: "login", ja: "ログイン名" },
            F::ColumnUnknown { name: text(), known: text() },
            F::ColumnTwice { name: text() },
            F::CellCount { found: 1, expected: 2 },
            F::AfterQuote,
            F::QuoteInside,
            F::QuoteOpen,
            F::LoneReturn,
            F::Login,
            F::LoginTwice,
            F::Name,
            F::Unit,
            F::Role { role: text() },
            F::State { state: text() },
            F::PersonDisabled,
            F::DeviceName,
            F::DeviceTwice,
            F::ClassMissing,
            F::Class { class: text(), known: text() },
            F::Text { most: 200 },
            F::LineEmpty,
            F::LineTwice,
            F::App { app: text() },
            F::Nobody { login: text() },
            F::Day { day: text() },
        ]
    }

    #[test]
    fn every_fault_has_a_code_of_its_own_and_says_what_to_do_in_both_languages() {
        let samples = samples();
        let codes: BTreeSet<&str> = samples.iter().map(CsvFault::code).collect();
        assert_eq!(codes.len(), samples.len());
        for fault in samples {
            assert!(fault.code().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{fault:?}");
            assert!(fault.ja().chars().any(|c| ('ぁ'..='ん').contains(&c)), "{}", fault.ja());
            let named = matches!(fault, CsvFault::ColumnMissing { .. });
            assert!(named || fault.en().is_ascii(), "{}", fault.en());
        }
    }

    #[test]
    fn what_is_repeated_is_short_and_moves_no_cursor() {
        assert_eq!(shown("a\u{1b}[2Jb\n"), "a[2Jb");
        assert_eq!(shown(&"長".repeat(500)).chars().count(), SHOWN_CHARS_MAX);
    }
}
