//! What a back end is to the promises that all of them keep: a lane that writes and one that reads.

use std::fmt;

use tokio::sync::watch;

use crate::sql::Connection;
use crate::{Answer, CEREMONIES_MAX, INVITATIONS_MAX, REMEMBERED_MAX, StoreProblem};

/// A back end that speaks SQL.
pub(crate) trait Relational: Send + Sync + fmt::Debug {
    /// Runs a change in a transaction of its own, or of a group.
    fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, StoreProblem> + Send + 'static,
    ) -> Answer<'_, T>;

    /// Runs a question, as of the last commit.
    fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, StoreProblem> + Send + 'static,
    ) -> Answer<'_, T>;

    /// How many of a kind there may be.
    fn bounds(&self) -> Bounds;

    /// What rings when something may have been told.
    fn rung(&self) -> Option<watch::Receiver<u64>>;
}

/// Who else may work with the store while it is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Company {
    Others,
    Nobody,
}

/// How many of a kind there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) ceremonies: usize,
    pub(crate) remembered: usize,
    pub(crate) invitations: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { ceremonies: CEREMONIES_MAX, remembered: REMEMBERED_MAX, invitations: INVITATIONS_MAX }
    }
}
