//! Expectations: what the policy is to say to a question that a hospital wrote down beside it.

use crate::{Decision, Judge, Judged, Question, Reason, RuleId};

/// A question and the answer that is expected.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The question.
    pub given: Question,
    /// Yes, not yet, or no.
    pub then: Decision,
    /// The rule that is to decide, or to come nearest; any where absent.
    pub rule: Option<RuleId>,
    /// The reason that is to be told first; any where absent.
    pub reason: Option<Reason>,
}

impl Expectation {
    /// Asks.
    ///
    /// # Errors
    /// What came instead.
    pub fn check(&self, judge: &mut Judge) -> Result<(), Judged> {
        let access = self.given.access(judge.policy());
        let judged = judge.ask(&access);
        let is_met = judged.decision == self.then
            && self.rule.as_ref().is_none_or(|rule| *rule == judged.rule)
            && self.reason.is_none_or(|reason| Some(reason) == judged.reason);
        if is_met { Ok(()) } else { Err(judged) }
    }
}
