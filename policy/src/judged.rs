//! What a policy says to an access, without an act: for shadows, replays and expectations, never for serving.

use crate::answer::Outcome;
use crate::{Access, Challenge, Judge, Reason, Reasons, RuleId, Verdict};

/// Yes, what is missing, or no.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Decision {
    /// It is allowed.
    Allow,
    /// Somebody must sign in first.
    SignIn,
    /// The person must prove again, or more surely, who they are.
    StepUp,
    /// It is denied.
    Deny,
}

impl Decision {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Allow, Self::SignIn, Self::StepUp, Self::Deny];

    /// Its word in expectations, log and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::SignIn => "sign-in",
            Self::StepUp => "step-up",
            Self::Deny => "deny",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.as_str() == text)
    }

    /// What a refusal for this main reason comes to.
    #[must_use]
    pub fn of_refusal(reason: Reason) -> Self {
        if reason == Reason::SignInRequired {
            Self::SignIn
        } else if reason == Reason::StepUpRequired {
            Self::StepUp
        } else {
            Self::Deny
        }
    }
}

/// What a policy says to an access.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Judged {
    /// Yes, not yet, or no.
    pub decision: Decision,
    /// The rule that decided, or came nearest to allowing.
    pub rule: RuleId,
    /// Why not; `None` where it is allowed.
    pub reason: Option<Reason>,
}

impl Judged {
    pub(crate) fn of(outcome: Outcome) -> Self {
        let refused = |decision, Reasons { main, rule, .. }| Self { decision, rule, reason: Some(main) };
        match outcome {
            Outcome::Allow(rule, _) => Self { decision: Decision::Allow, rule, reason: None },
            Outcome::Challenge(Challenge::SignIn, reasons) => refused(Decision::SignIn, reasons),
            Outcome::Challenge(Challenge::StepUp(_), reasons) => refused(Decision::StepUp, reasons),
            Outcome::Deny(reasons) => refused(Decision::Deny, reasons),
        }
    }
}

impl Judge {
    /// What the policy says to an access, without an act: for trying and comparing, never for serving.
    pub fn ask(&mut self, access: &Access) -> Judged {
        Judged::of(self.answer(access).outcome)
    }
}

impl<T> Verdict<T> {
    /// The facts it was judged on.
    #[must_use]
    pub fn access(&self) -> &Access {
        match self {
            Self::Allow(authorized) => authorized.permit().access(),
            Self::Challenge(refused, _) | Self::Deny(refused) => &refused.access,
        }
    }

    /// What it comes to.
    #[must_use]
    pub fn decision(&self) -> Decision {
        match self {
            Self::Allow(_) => Decision::Allow,
            Self::Challenge(_, Challenge::SignIn) => Decision::SignIn,
            Self::Challenge(_, Challenge::StepUp(_)) => Decision::StepUp,
            Self::Deny(_) => Decision::Deny,
        }
    }

    /// Notes what a shadow policy says, for the record. It changes nothing.
    pub fn note_shadow(&mut self, judged: Judged) {
        let noted = Some(Box::new(judged));
        match self {
            Self::Allow(authorized) => authorized.note_shadow(noted),
            Self::Challenge(refused, _) | Self::Deny(refused) => refused.shadow = noted,
        }
    }
}
