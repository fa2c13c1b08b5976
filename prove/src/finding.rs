//! What became of a statement.

use std::time::Duration;

use policy::{Access, RuleId};

/// What became of one statement.
#[derive(Debug)]
pub struct Finding {
    /// What was found.
    pub outcome: Outcome,
    /// How many questions the solver was asked; the rest was plain without it.
    pub questions: usize,
    /// How long it took.
    pub took: Duration,
}

impl Finding {
    /// Whether nothing is known to be against it: proved, or nothing there to compare with.
    #[must_use]
    pub fn stands(&self) -> bool {
        match &self.outcome {
            Outcome::Proved | Outcome::Undecided(Undecided::NothingToCompare) => true,
            Outcome::Broken(_)
            | Outcome::Undecided(Undecided::Unanswered(_) | Undecided::NoRequest(_) | Undecided::RoutesChanged(_)) => {
                false
            }
        }
    }
}

/// What was found of a statement.
#[derive(Debug)]
pub enum Outcome {
    /// It holds for all requests.
    Proved,
    /// It does not: this request breaks it.
    Broken(Box<Witness>),
    /// Neither was found; why.
    Undecided(Undecided),
}

/// Why neither a proof nor a request was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// The solver gave no answer; what it said.
    Unanswered(String),
    /// The solver named cases, and no request that one could send was found for them.
    NoRequest(String),
    /// There is no last version to compare with.
    NothingToCompare,
    /// The routes of an app changed, and a rule of the last version reads its context as a whole.
    RoutesChanged(policy::AppId),
}

/// A request that breaks a statement and that the judge allows.
#[derive(Clone, Debug)]
pub struct Witness {
    /// The request.
    pub access: Access,
    /// The rule that allows it.
    pub rule: RuleId,
}
