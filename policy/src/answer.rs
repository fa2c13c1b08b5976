//! What judging comes to, before the act is sealed with it, and how long it holds.

use std::sync::Arc;

use crate::{Caps, Challenge, Reason, Reasons, RuleId, Timestamp};

/// The answer to a question, and the span in which time does not change it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    /// When it was found.
    pub(crate) since: Timestamp,
    /// The next moment at which time alone may change it.
    pub(crate) until: Timestamp,
    /// Whether the same question may get it again meanwhile.
    pub(crate) lasts: bool,
}

/// Yes, not yet, or no.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The rule that permits, and its bounds.
    Allow(RuleId, Option<Arc<Caps>>),
    Challenge(Challenge, Reasons),
    Deny(Reasons),
}

impl Answer {
    /// An answer that time does not change.
    pub(crate) fn always(outcome: Outcome) -> Self {
        Self { outcome, since: Timestamp::from_unix_micros(i64::MIN), until: Timestamp::MAX, lasts: true }
    }

    /// Whether it still stands; a clock that was set back makes it doubtful too.
    pub(crate) fn holds(&self, at: Timestamp) -> bool {
        self.since <= at && at < self.until
    }
}

impl Outcome {
    pub(crate) fn allow(rule: RuleId) -> Self {
        Self::Allow(rule, None)
    }

    pub(crate) fn deny(main: Reason, rule: RuleId) -> Self {
        Self::Deny(Reasons { main, rule, others: Vec::new() })
    }

    pub(crate) fn challenge(challenge: Challenge, rule: RuleId, others: Vec<Reason>) -> Self {
        let main = match challenge {
            Challenge::SignIn => Reason::SignInRequired,
            Challenge::StepUp(_) => Reason::StepUpRequired,
        };
        Self::Challenge(challenge, Reasons { main, rule, others })
    }
}
