//! `sekimori policy prove`: what must never happen, proved. The proving itself is a program of its own,
//! `sekimori-prove`, so that the gateway needs neither Cedar's symbolic compiler nor a solver.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use config::{Claim, Config};
use web::Language;

use super::Lang;
use crate::cli::{ConfigArg, Format, block_on, open_store};
use crate::failure::Failure;

/// The program that proves; it lies beside this one, or on the path.
const PROGRAM: &str = "sekimori-prove";
/// Its exit code where something is missing, such as the solver.
const UNAVAILABLE: i32 = 69;

/// What to prove.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The version that must allow whatever this one allows. Without it, where a statement says
    /// `no_wider_than = "last"`, the one in force.
    #[arg(long, value_name = "FILE")]
    last: Option<PathBuf>,
    /// How to write.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    lang: Lang,
    #[command(flatten)]
    config: ConfigArg,
}

/// Proves every statement. The answer is the exit code, too: 0 where all are proved, 1 where one is not.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.read()?;
    let language = args.lang.language();
    let program = program().ok_or_else(|| Failure::unavailable(no_program(language)))?;
    let format = match args.format {
        Format::Text => "text",
        Format::Json => "json",
    };
    let mut command = proving(&program, args.config.path(), language);
    command.args(["--format", format]);
    let last = match &args.last {
        Some(file) => {
            command.arg("--last").arg(file);
            None
        }
        None => in_force(&config)?,
    };
    let ended = start(command.stdout(Stdio::inherit()).stderr(Stdio::inherit()), last)?;
    answer(&ended, language)
}

/// Proves every statement for `check`; gives what to say, or nothing where there are no statements. Where it cannot be
/// tried, that is said and stops nothing.
pub fn check(config: &Config, file: &Path, language: Language) -> Result<Option<String>, Failure> {
    if config.statements.is_empty() {
        return Ok(None);
    }
    let Some(program) = program() else { return Ok(Some(no_program(language))) };
    let ended = start(&mut proving(&program, file, language), in_force(config)?)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    let (said, complained) = (text(&ended.stdout), text(&ended.stderr));
    match ended.status.code() {
        Some(0) => Ok(said.lines().last().map(str::to_owned)),
        Some(UNAVAILABLE) => Ok(Some(complained)),
        Some(1) => Err(Failure::no(said)),
        Some(_) | None => Err(Failure::fault(complained)),
    }
}

fn proving(program: &Path, file: &Path, language: Language) -> Command {
    let mut command = Command::new(program);
    let language = match language {
        Language::Japanese => "ja",
        Language::English => "en",
    };
    command.arg("--config").arg(file).args(["--lang", language]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the program, with a version on its standard input where there is one.
fn start(command: &mut Command, last: Option<String>) -> Result<Output, Failure> {
    let unavailable = |error: std::io::Error| Failure::unavailable(format!("`{PROGRAM}` cannot be started: {error}"));
    let Some(last) = last else { return command.output().map_err(unavailable) };
    let mut child = command.args(["--last", "-"]).stdin(Stdio::piped()).spawn().map_err(unavailable)?;
    if let Some(mut input) = child.stdin.take() {
        // A program that ended without reading says itself why.
        let _written = input.write_all(last.as_bytes());
    }
    child.wait_with_output().map_err(unavailable)
}

fn answer(ended: &Output, language: Language) -> Result<(), Failure> {
    match ended.status.code() {
        Some(0) => Ok(()),
        Some(1) => Err(Failure::no(match language {
            Language::Japanese => "証明できなかったものがあります",
            Language::English => "not everything is proved",
        })),
        Some(64) => Err(Failure::input("nothing was proved")),
        Some(UNAVAILABLE) => Err(Failure::unavailable("nothing was proved")),
        Some(_) | None => Err(Failure::fault(format!("`{PROGRAM}` ended with {}", ended.status))),
    }
}

/// The files of the version in force, as `sekimori-prove` reads them; nothing where no statement asks for it or no
/// version was ever in force.
fn in_force(config: &Config) -> Result<Option<String>, Failure> {
    let asked = config.statements.iter().any(|statement| statement.claim == Claim::NoWiderThanLast);
    if !asked || !crate::assembly::store_file(&config.state_dir).exists() {
        return Ok(None);
    }
    let store = open_store(config)?;
    let version = block_on(async {
        store.last_activated_revision().await.map_err(|problem| Failure::unavailable(problem.to_string()))
    })?;
    let files = version.map(|version| version.proposal.files);
    let files = files.map(|files| files.into_iter().map(|file| (file.path, file.text)).collect::<Vec<_>>());
    Ok(files.map(|files| serde_json::json!(files).to_string()))
}

/// Where the program lies.
fn program() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(PROGRAM)));
    let path = std::env::var_os("PATH");
    let on_path = path.iter().flat_map(std::env::split_paths).map(|folder| folder.join(PROGRAM));
    beside.into_iter().chain(on_path).find(|program| program.is_file())
}

fn no_program(language: Language) -> String {
    match language {
        Language::Japanese => format!(
            "`{PROGRAM}` がないので、起こってはならないことは証明していません。`cargo build --release -p prove` で作り、\
             このプログラムと同じ場所に置いてください。ソルバー cvc5 も要ります (`apt install cvc5`)"
        ),
        Language::English => format!(
            "without `{PROGRAM}`, what must never happen is not proved: build it by `cargo build --release -p prove`, \
             put it beside this program, and install the solver cvc5 (`apt install cvc5`)"
        ),
    }
}
