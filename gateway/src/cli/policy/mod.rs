//! `sekimori policy`: reading, trying and changing the rules. Nothing here is needed to serve.

mod activate;
mod approve;
mod back;
mod change;
mod explain;
mod history;
pub mod lint;
pub mod person;
pub mod prove;
mod put;
mod replay;
mod sample;
mod show;
pub mod test;

use policy::{Timestamp, UtcOffset};
use web::Language;

use super::ConfigArg;
use crate::failure::Failure;

/// What can be done with the policy.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Shows who may do what as a sheet: to read, to filter, to print and sign.
    Show(show::Args),
    /// Says how an access is answered, by which rules, and what would turn the answer.
    Explain(Box<explain::Args>),
    /// Asks the policy the questions that are written down beside it.
    Test(test::Args),
    /// Tries a proposed policy on the accesses that were recorded: who and what would be answered otherwise.
    Replay(replay::Args),
    /// Makes a log of accesses that nobody made, to replay a proposal over before anything was recorded.
    Sample(sample::Args),
    /// Looks for rows that add nothing, contradict each other or never fit, and for names that nobody uses.
    Lint(lint::Args),
    /// Proves what must never happen, or shows a request that breaks it.
    Prove(prove::Args),
    /// Brings a configuration into force as a version of its own: who, when, why, and what it changes.
    Activate(activate::Args),
    /// Approves a version that another person proposed.
    Approve(Version),
    /// Puts a version in its place that was approved in the console.
    Put(Version),
    /// Goes back to the version before, or to an earlier one.
    Back(back::Args),
    /// Shows which version was in force when, by whom and why.
    History(history::Args),
}

/// Runs the command.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Show(args) => show::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Test(args) => test::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Sample(args) => sample::run(args),
        Command::Lint(args) => lint::run(args),
        Command::Prove(args) => prove::run(args),
        Command::Activate(args) => activate::run(args),
        Command::Approve(args) => approve::run(args),
        Command::Put(args) => put::run(args),
        Command::Back(args) => back::run(args),
        Command::History(args) => history::run(args),
    }
}

/// Which version is meant.
#[derive(clap::Args, Debug)]
pub struct Version {
    /// The number of the version, as `sekimori policy history` shows it.
    number: u64,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    lang: Lang,
}

/// Which language to write.
#[derive(clap::Args, Debug, Clone, Copy)]
pub struct Lang {
    /// The language; by default that of the terminal (`LANG`).
    #[arg(long, value_enum)]
    lang: Option<Tongue>,
}

#[derive(clap::ValueEnum, Debug, Clone, Copy)]
enum Tongue {
    /// 日本語
    Ja,
    /// English
    En,
}

impl Lang {
    /// The language asked for, else that of the terminal, else English.
    pub fn language(self) -> Language {
        match self.lang {
            Some(Tongue::Ja) => Language::Japanese,
            Some(Tongue::En) => Language::English,
            None => terminal_language(),
        }
    }
}

/// The language of the terminal, for commands without a choice.
pub fn terminal_language() -> Language {
    of_terminal(|key| std::env::var(key).ok())
}

/// The language of a terminal, by the first of POSIX's variables that is set.
fn of_terminal(variable: impl Fn(&str) -> Option<String>) -> Language {
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty());
    let named = locale.and_then(|locale| Language::parse(locale.split(['_', '.']).next().unwrap_or_default()));
    named.unwrap_or(Language::English)
}

/// Reads a moment: RFC 3339, or a date and a time on the hospital's clock such as `2026-11-23 08:30`.
pub fn moment(text: &str, offset: UtcOffset) -> Result<Timestamp, Failure> {
    let on_the_clock = || {
        let (date, time) = text.split_once([' ', 'T'])?;
        let seconds = if time.len() == 5 { ":00" } else { "" };
        Timestamp::parse_rfc3339(&format!("{date}T{time}{seconds}{offset}"))
    };
    let read = Timestamp::parse_rfc3339(text).or_else(on_the_clock).or_else(|| Timestamp::parse_date(text, offset));
    read.ok_or_else(|| Failure::input(format!("`{text}` is not a moment; write it like `2026-11-23 08:30`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_chooses_the_language() {
        let check = |set: &[(&str, &str)]| {
            of_terminal(|key| set.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(check(&[("LANG", "ja_JP.UTF-8")]), Language::Japanese);
        assert_eq!(check(&[("LC_ALL", ""), ("LANG", "ja")]), Language::Japanese);
        assert_eq!(check(&[("LC_ALL", "en_GB.UTF-8"), ("LANG", "ja_JP.UTF-8")]), Language::English);
        assert_eq!(check(&[("LANG", "C.UTF-8")]), Language::English);
        assert_eq!(check(&[]), Language::English);
    }

    #[test]
    fn moments_are_typed_on_the_hospitals_clock() {
        let check = |text: &str| moment(text, UtcOffset::JAPAN).ok().map(|at| at.to_string());
        let expected = Some("2026-11-22T23:30:00.000Z".to_owned());
        for text in [
            "2026-11-23 08:30",
            "2026-11-23T08:30",
            "2026-11-23 08:30:00",
            "2026-11-22T23:30:00Z",
            "2026-11-23T08:30:00+09:00",
        ] {
            assert_eq!(check(text), expected, "{text}");
        }
        assert_eq!(check("2026-11-23").as_deref(), Some("2026-11-22T15:00:00.000Z"));
        for wrong in ["", "tomorrow", "2026-11-31 08:30", "2026-11-23 8:30", "08:30"] {
            assert_eq!(check(wrong), None, "{wrong}");
        }
    }
}
