//! The solver: cvc5, a program of its own that reads questions in SMT-LIB and answers them.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicySet, Env};
use tokio::process::Command;

/// The variable that names the solver where it is not on the path.
const VARIABLE: &str = "CVC5";
const PROGRAM: &str = "cvc5";

/// Why there is no answer.
#[derive(Debug)]
pub enum Problem {
    /// The solver cannot be started.
    Start(PathBuf, std::io::Error),
    /// It did not find an answer in its time, or stumbled over the question.
    Unanswered(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(program, error) => write!(f, "`{}` cannot be started: {error}", program.display()),
            Self::Unanswered(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Problem {}

/// Where the solver lies: where `CVC5` says, else the first `cvc5` on the path; `None` where there is none.
#[must_use]
pub fn solver() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE).filter(|named| !named.is_empty()) {
        return Some(PathBuf::from(named)).filter(|program| program.is_file());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(PROGRAM)).find(|program| program.is_file())
}

/// A running solver. One that stumbled is started anew for the next question.
#[derive(Debug)]
pub struct Solver {
    program: PathBuf,
    time_max: Duration,
    compiler: CedarSymCompiler<LocalSolver>,
}

impl Solver {
    /// Starts it; each question may take so long.
    ///
    /// # Errors
    /// [`Problem::Start`].
    pub fn start(program: PathBuf, time_max: Duration) -> Result<Self, Problem> {
        let compiler = compiler(&program, time_max)?;
        Ok(Self { program, time_max, compiler })
    }

    /// Something that both sets allow; `None` if there is nothing such.
    pub(crate) async fn both(
        &mut self,
        one: &CompiledPolicySet,
        other: &CompiledPolicySet,
    ) -> Result<Option<Env>, Problem> {
        let answer = self.compiler.check_disjoint_with_counterexample_opt(one, other).await;
        self.answer(answer)
    }

    /// Something that the first set allows and the second does not; `None` if there is nothing such.
    pub(crate) async fn first_alone(
        &mut self,
        first: &CompiledPolicySet,
        second: &CompiledPolicySet,
    ) -> Result<Option<Env>, Problem> {
        let answer = self.compiler.check_implies_with_counterexample_opt(first, second).await;
        self.answer(answer)
    }

    fn answer(&mut self, answer: Result<Option<Env>, cedar_policy_symcc::err::Error>) -> Result<Option<Env>, Problem> {
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.compiler = compiler(&self.program, self.time_max)?;
                Err(Problem::Unanswered(error.to_string()))
            }
        }
    }
}

fn compiler(program: &PathBuf, time_max: Duration) -> Result<CedarSymCompiler<LocalSolver>, Problem> {
    let mut command = Command::new(program);
    command.args(["--lang", "smt"]).arg(format!("--tlimit-per={}", time_max.as_millis())).kill_on_drop(true);
    let failed = |error: std::io::Error| Problem::Start(program.clone(), error);
    let solver = LocalSolver::from_command(&mut command).map_err(|error| failed(std::io::Error::other(error)))?;
    CedarSymCompiler::new(solver).map_err(|error| failed(std::io::Error::other(error)))
}
