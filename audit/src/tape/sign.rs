//! Telling the log how a tape stands.

use std::time::Duration;

use crate::LogProblem;
use crate::bundle::{Bundle, Kind};
use crate::core::Core;
use crate::tape::facts::{self, Mark, Subject};

/// Writes the facts of one tape.
#[derive(Debug)]
pub(crate) struct Teller<'a> {
    pub(crate) core: &'a Core,
    pub(crate) subject: &'a Subject,
}

impl Teller<'_> {
    /// The tape begins; returns once that is on disk.
    pub(crate) fn began(&self, mark: &Mark) -> Result<(), LogProblem> {
        self.tell(|out| facts::began(out, self.core.clock.now(), self.subject, mark))?;
        self.core.sync()
    }

    /// The tape is so far, on disk.
    pub(crate) fn marked(&self, mark: &Mark) -> Result<(), LogProblem> {
        self.tell(|out| facts::marked(out, self.core.clock.now(), self.subject, mark))
    }

    /// The tape is over; returns once that is on disk.
    pub(crate) fn ended(&self, mark: &Mark, why: &'static str, length: Duration) -> Result<(), LogProblem> {
        self.tell(|out| facts::ended(out, self.core.clock.now(), self.subject, mark, (why, length)))?;
        self.core.sync()
    }

    /// A command was sent off.
    pub(crate) fn command(&self, command: &str, patients: &[String], at: Duration) -> Result<(), LogProblem> {
        self.tell(|out| facts::command(out, self.core.clock.now(), self.subject, (command, patients), at))
    }

    fn tell(&self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), LogProblem> {
        let mut bundle = Bundle::default();
        bundle.push(Kind::Fact, |out, _| write(out))?;
        self.core.append(&bundle).map(|_| ())
    }

    /// Whether the log takes more. What ends because the log stops is written to its end.
    pub(crate) fn takes_more(&self) -> Result<(), LogProblem> {
        match self.core.accepting() {
            Err(LogProblem::Stopped) | Ok(()) => Ok(()),
            Err(problem) => Err(problem),
        }
    }
}
