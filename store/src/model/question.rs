//! Questions about the log that people keep, to ask them again.

use policy::{Timestamp, UserId};

/// The most questions that one person keeps.
pub const QUESTIONS_MAX: usize = 50;

/// A question that somebody keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedQuestion {
    /// Its number.
    pub id: u64,
    /// Whose it is; nobody else sees it.
    pub owner: UserId,
    /// What they call it; one name stands for one question of theirs.
    pub name: String,
    /// The question as the page that asks it writes it; never a patient.
    pub query: String,
    /// When it was kept.
    pub saved_at: Timestamp,
}
