//! How much a rule that permits lets one person do within an hour.

use std::num::NonZeroU32;

/// Bounds on what one person may do by one rule within any hour. Counted by the gateway, after the judgment.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Caps {
    /// How many requests; any number where absent.
    pub requests: Option<NonZeroU32>,
    /// How many different patients; any number where absent.
    pub patients: Option<NonZeroU32>,
    /// What happens beyond them.
    pub beyond: Beyond,
}

/// What happens to an access beyond a cap.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Beyond {
    /// It is refused.
    Deny,
    /// The person must prove again who they are; then the hour begins anew.
    StepUp,
    /// It goes on, and the operator is told.
    Alarm,
}

impl Beyond {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Deny, Self::StepUp, Self::Alarm];

    /// Its word in configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::StepUp => "step-up",
            Self::Alarm => "alarm",
        }
    }
}
