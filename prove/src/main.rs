//! `sekimori-prove`: proves the statements of a configuration, or shows requests that break them.
//!
//! Exit codes: 0 all proved, 1 something is broken or undecided, 64 the input is wrong, 69 there is no solver, 70 our
//! fault.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Parser, ValueEnum};
use config::{Claim, Config, Names, Statement};
use policy::{StatementId, Timestamp};
use prove::{Around, Finding, Language, Outcome, Problem, Solver};

/// Proves the statements of a configuration, or shows requests that break them.
#[derive(Parser, Debug)]
#[command(name = "sekimori-prove", version)]
struct Args {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "sekimori.toml")]
    config: PathBuf,
    /// The version that must allow whatever this one allows; `-` for one on standard input, as `sekimori policy prove`
    /// hands it over.
    #[arg(long, value_name = "FILE")]
    last: Option<PathBuf>,
    /// For people, or for programs.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// The language.
    #[arg(long, value_enum)]
    lang: Option<Lang>,
    /// How many seconds the solver may take for one question.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    time_max: u64,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    /// For people.
    Text,
    /// For programs: one JSON object a statement and line.
    Json,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Lang {
    /// Japanese.
    Ja,
    /// English.
    En,
}

/// Why nothing could be proved: what to say, and the exit code.
struct Failure(String, u8);

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are answers; anything else is wrong input. A closed terminal changes neither.
            let _printed = error.print();
            return if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Failure(reason, code)) => {
            // The only thing that can go wrong is a reader that is gone.
            let _written = writeln!(std::io::stderr().lock(), "{reason}");
            ExitCode::from(code)
        }
    }
}

/// Whether everything is proved.
fn run(args: &Args) -> Result<bool, Failure> {
    let wrong = |problems: config::Problems| Failure(problems.to_string(), 64);
    let mut config = config::read(&args.config).map_err(wrong)?;
    let language = language(args.lang);
    let compares = config.statements.iter().any(|statement| statement.claim == Claim::NoWiderThanLast);
    if args.last.is_some() && !compares {
        config.statements.extend(no_wider());
    }
    if config.statements.is_empty() {
        say(language, "起こってはならないこと (statements) が書かれていません", "there are no statements to prove");
        return Ok(true);
    }
    let last = args.last.as_deref().map(last_config).transpose()?;
    let program = prove::solver().ok_or_else(|| Failure(no_solver(language).to_owned(), 69))?;
    let around = Around::new(&config, last.as_ref().map(|last| &last.policy), now())
        .map_err(|problem| Failure(problem.to_string(), 70))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure(format!("the system gives no event queue: {error}"), 70))?;
    let findings = runtime
        .block_on(async {
            let mut solver = Solver::start(program, Duration::from_secs(args.time_max.max(1)))?;
            prove::prove(&around, &mut solver, |statement, finding| match args.format {
                Format::Text => print(&prove::text(&around, statement, finding, language)),
                Format::Json => print(&prove::json(&around, statement, finding).to_string()),
            })
            .await
        })
        .map_err(|problem: Problem| Failure(problem.to_string(), 69))?;
    if args.format == Format::Text {
        print(&sum(&findings, language));
    }
    Ok(findings.iter().all(Finding::stands))
}

/// What is asked where a version to compare with is named, and no statement asks it.
fn no_wider() -> Option<Statement> {
    let says = Names {
        ja: "前の版が許していないことは許さない".to_owned(),
        en: "nothing is allowed that the last version did not allow".to_owned(),
    };
    let id = StatementId::parse("no-wider-than-last").ok()?;
    Some(Statement { id, says, claim: Claim::NoWiderThanLast, file: String::new(), line: 0 })
}

fn sum(findings: &[Finding], language: Language) -> String {
    let proved = findings.iter().filter(|finding| matches!(finding.outcome, Outcome::Proved)).count();
    let (all, questions) = (findings.len(), findings.iter().map(|finding| finding.questions).sum::<usize>());
    let seconds = findings.iter().map(|finding| finding.took.as_secs_f64()).sum::<f64>();
    match language {
        Language::Japanese => format!("{all} 件のうち {proved} 件を証明 (質問 {questions}、{seconds:.1} 秒)"),
        Language::English => format!("{proved} of {all} proved ({questions} questions, {seconds:.1} s)"),
    }
}

fn no_solver(language: Language) -> &'static str {
    match language {
        Language::Japanese => {
            "ソルバー cvc5 がありません。`apt install cvc5` で入れるか、環境変数 CVC5 で場所を示してください\n\
             (https://github.com/cvc5/cvc5/releases)。ほかの機能はすべて、なくても動きます"
        }
        Language::English => {
            "there is no solver: install cvc5 (`apt install cvc5`), or name its file in the variable CVC5\n\
             (https://github.com/cvc5/cvc5/releases); everything else works without it"
        }
    }
}

/// The last version: a configuration, or on standard input the files it was made of.
fn last_config(last: &Path) -> Result<Config, Failure> {
    let wrong = |problems: config::Problems| Failure(format!("the last version: {problems}"), 64);
    if last != Path::new("-") {
        return config::read(last).map_err(wrong);
    }
    let not_kept = |reason: String| Failure(format!("standard input does not hold a version: {reason}"), 64);
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text).map_err(|error| not_kept(error.to_string()))?;
    let files: Vec<(PathBuf, String)> = serde_json::from_str(&text).map_err(|error| not_kept(error.to_string()))?;
    let (own, text) = files.first().ok_or_else(|| not_kept("it has no file".to_owned()))?;
    let base = own.parent().unwrap_or(Path::new("/"));
    let kept: BTreeMap<PathBuf, String> = files.iter().skip(1).cloned().collect();
    config::parse_with(text, &own.display().to_string(), base, &kept).map_err(wrong)
}

fn language(asked: Option<Lang>) -> Language {
    let of_system = || {
        let set =
            ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|key| std::env::var(key).ok().filter(|v| !v.is_empty()));
        set.is_some_and(|value| value.starts_with("ja"))
    };
    match asked {
        Some(Lang::Ja) => Language::Japanese,
        Some(Lang::En) => Language::English,
        None if of_system() => Language::Japanese,
        None => Language::English,
    }
}

fn say(language: Language, japanese: &str, english: &str) {
    print(match language {
        Language::Japanese => japanese,
        Language::English => english,
    });
}

fn print(text: &str) {
    // The only thing that can go wrong is a reader that is gone.
    let _written = writeln!(std::io::stdout().lock(), "{text}");
}

#[expect(clippy::disallowed_methods, reason = "this is the one place here that asks the clock")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_micros(i64::try_from(since.as_micros()).unwrap_or(0))
}
