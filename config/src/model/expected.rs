//! What the policy is held to: expectations and statements.

use policy::{Expectation, StatementId};

use crate::Names;

/// An expectation of the policy, and where it is written.
#[derive(Clone, Debug)]
pub struct PolicyTest {
    /// What it is about.
    pub name: Names,
    /// The file it stands in.
    pub file: String,
    /// Its line there.
    pub line: usize,
    /// The question and the answer expected.
    pub expectation: Expectation,
}

/// What must never happen, and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its name.
    pub id: StatementId,
    /// What it says, as people read it.
    pub says: Names,
    /// What it says, as it is proved.
    pub claim: Claim,
    /// The file it stands in.
    pub file: String,
    /// Its line there.
    pub line: usize,
}

/// What a statement says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing is allowed that meets this condition of Cedar.
    Never(String),
    /// Nothing is allowed that the last version did not allow.
    NoWiderThanLast,
}
