//! Why a command could not do what it was asked, and the exit code that says so.

use std::fmt;
use std::process::ExitCode;

/// Why a command ends without success.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    message: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    No,
    Input,
    Unavailable,
    Fault,
}

impl Failure {
    /// The question was answered, and the answer is no (exit code 1).
    pub fn no(message: impl Into<String>) -> Self {
        Self { kind: Kind::No, message: message.into() }
    }

    /// The input is wrong (exit code 64).
    pub fn input(message: impl Into<String>) -> Self {
        Self { kind: Kind::Input, message: message.into() }
    }

    /// Something needed is unavailable (exit code 69).
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { kind: Kind::Unavailable, message: message.into() }
    }

    /// Our own fault (exit code 70).
    pub fn fault(message: impl Into<String>) -> Self {
        Self { kind: Kind::Fault, message: message.into() }
    }

    /// The exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self.kind {
            Kind::No => 1,
            Kind::Input => 64,
            Kind::Unavailable => 69,
            Kind::Fault => 70,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
