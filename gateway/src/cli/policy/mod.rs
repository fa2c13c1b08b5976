//! `sekimori policy`: reading, trying and changing the rules. Nothing here is needed to serve.

mod show;

use std::sync::Arc;

use policy::Policy;
use web::Language;

use crate::failure::Failure;

/// What can be done with the policy.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Shows who may do what as a sheet: to read, to filter, to print and sign.
    Show(show::Args),
}

/// Runs the command.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Show(args) => show::run(args),
    }
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

/// Loads the policy of a configuration.
pub fn load(config: &config::Config) -> Result<Arc<Policy>, Failure> {
    let in_words = |problems: Vec<policy::PolicyProblem>| {
        Failure::input(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    };
    Policy::load(&config.policy).map(Arc::new).map_err(in_words)
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
}
