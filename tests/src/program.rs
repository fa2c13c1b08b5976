//! The program under test, run as an operator runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// What one run of a command gave.
#[derive(Debug)]
pub struct Run {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Run {
    /// The same, when it went well.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "out: {}\nerr: {}", self.out, self.err);
        self
    }

    /// Standard output as one JSON value a line.
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|problem| panic!("{problem}: {line}"));
        self.out.lines().map(line).collect()
    }

    /// Standard output as one JSON value.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|problem| panic!("{problem}: {}", self.out))
    }
}

/// Names another program file than the one beside the test: one that was built for handing out, say.
const PROGRAM_VARIABLE: &str = "SEKIMORI_PROGRAM";

/// Names the program file of the version before, from which it is upgraded and to which it goes back.
const BEFORE_VARIABLE: &str = "SEKIMORI_PROGRAM_BEFORE";

/// The program that a variable of the environment names.
fn named(variable: &str) -> Option<PathBuf> {
    let program = PathBuf::from(std::env::var_os(variable)?);
    assert!(program.is_absolute() && program.is_file(), "{variable} names no file by its whole path");
    Some(program)
}

/// The program of the version before, where somebody named one; the tests themselves have none.
#[must_use]
pub fn sekimori_before() -> Option<PathBuf> {
    named(BEFORE_VARIABLE)
}

/// Where the program lies: beside the folder of the test's own executable, unless [`PROGRAM_VARIABLE`] says otherwise.
#[must_use]
pub fn sekimori() -> PathBuf {
    if let Some(program) = named(PROGRAM_VARIABLE) {
        return program;
    }
    let own = std::env::current_exe().expect("a test knows its own file");
    let folder = own.ancestors().find(|one| one.join("deps").is_dir()).expect("tests lie in target/PROFILE/deps");
    let program = folder.join("sekimori");
    assert!(program.is_file(), "{} is missing: run `cargo build -p gateway` first", program.display());
    program
}

/// Runs the program with these words and waits for its end.
pub fn run(folder: &Path, words: &[&str]) -> Run {
    let mut command = Command::new(sekimori());
    command.current_dir(folder);
    finish(command, words)
}

/// Runs a command with these words and waits for its end.
pub(crate) fn finish(mut command: Command, words: &[&str]) -> Run {
    let output = command.args(words).env("NO_COLOR", "1").stdin(Stdio::null()).output().expect("the program starts");
    Run {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
