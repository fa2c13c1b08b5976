//! An explanation in words.

use policy::{
    Access, Answered, Challenge, Effect, Explanation, Missing, Part, Reason, Revision, RuleId, Timestamp, Turn,
};

use super::PolicyWords;

/// An explanation, every word chosen.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The answer in a few words.
    pub answer: String,
    /// The rule that decided or came nearest.
    pub rule: String,
    /// Until when it stands, or what stands in the way.
    pub why: Vec<String>,
    /// Above the rules.
    pub rules_head: String,
    /// The rules that decided, or nearly did.
    pub rules: Vec<ExplainedRule>,
    /// Said before the turns, or instead of them.
    pub turns_lead: String,
    /// What would turn the answer, smallest first.
    pub turns: Vec<String>,
}

/// One rule of an explanation.
#[derive(Clone, Debug)]
pub struct ExplainedRule {
    /// Its id.
    pub rule: String,
    /// What it has to do with the answer.
    pub part: String,
    /// Allows or forbids.
    pub effect: String,
    /// What of it is not met.
    pub missing: Vec<String>,
    /// Before what is not met, or instead of it.
    pub missing_lead: String,
}

impl Explained {
    /// The explanation as lines of text.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{} ({})", self.answer, self.rule)];
        lines.extend(self.why.iter().map(|why| format!("  {why}")));
        if !self.rules.is_empty() {
            lines.extend([String::new(), self.rules_head.clone()]);
            lines.extend(self.rules.iter().map(ExplainedRule::line));
        }
        lines.extend([String::new(), self.turns_lead.clone()]);
        lines.extend(self.turns.iter().map(|turn| format!("  - {turn}")));
        lines
    }
}

impl ExplainedRule {
    fn line(&self) -> String {
        let missing = self.missing.join("; ");
        let colon = if missing.is_empty() { "" } else { ": " };
        format!("  {}, {} ({}): {}{colon}{missing}", self.rule, self.effect, self.part, self.missing_lead)
    }
}

impl PolicyWords<'_> {
    /// An explanation in words.
    #[must_use]
    pub fn explained(&self, explanation: &Explanation) -> Explained {
        let (answer, why) = self.answered(&explanation.answer);
        let lead = match (explanation.answer.is_allowed(), explanation.turns.is_empty()) {
            (true, false) => "policy-explain-turns-no",
            (false, false) => "policy-explain-turns-yes",
            (true, true) => "policy-explain-turns-none-no",
            (false, true) => "policy-explain-turns-none-yes",
        };
        let rule = |rule: &policy::Weighed| ExplainedRule {
            rule: rule.rule.to_string(),
            part: self.say(match rule.part {
                Part::Decided => "policy-explain-decided",
                Part::Fits => "policy-explain-fits",
                Part::Near => "policy-explain-near",
            }),
            effect: self.say(match rule.effect {
                Effect::Permit => "policy-permits",
                Effect::Forbid => "policy-forbids",
            }),
            missing: rule.missing.iter().map(|missing| self.missing(missing)).collect(),
            missing_lead: self.say(if rule.missing.is_empty() {
                "policy-explain-nothing-missing"
            } else {
                "policy-explain-missing"
            }),
        };
        Explained {
            answer,
            rule: explanation.answer.rule().to_string(),
            why,
            rules_head: self.say("policy-explain-rules"),
            rules: explanation.rules.iter().map(rule).collect(),
            turns_lead: self.say(lead),
            turns: explanation.turns.iter().map(|turn| self.turn(turn)).collect(),
        }
    }

    fn answered(&self, answer: &Answered) -> (String, Vec<String>) {
        let reasons = |reasons: &policy::Reasons| {
            [reasons.main].iter().chain(&reasons.others).map(|reason| self.reason(*reason)).collect()
        };
        match answer {
            Answered::Allowed { until, .. } => {
                let until = (*until < Timestamp::MAX)
                    .then(|| self.say_with("policy-explain-until", "what", &self.moment(*until)));
                (self.say("policy-explain-allowed"), until.into_iter().collect())
            }
            Answered::Challenged(Challenge::SignIn, why) => (self.say("policy-explain-sign-in"), reasons(why)),
            Answered::Challenged(Challenge::StepUp(_), why) => (self.say("policy-explain-step-up"), reasons(why)),
            Answered::Denied(why) => (self.say("policy-explain-denied"), reasons(why)),
        }
    }

    /// What is asked, in a few lines: who, from where, what, when.
    #[must_use]
    pub fn asked(&self, access: &Access) -> Vec<String> {
        let who = match &access.who {
            None => self.say("policy-subject-nobody"),
            Some(who) => {
                let roles = self.row_of(who.roles.iter().map(|role| self.role(role)));
                let who_it_is = if who.name.is_empty() { roles } else { format!("{} ({roles})", who.name) };
                format!("{who_it_is}, {}", self.assurance(who.assurance))
            }
        };
        let device = access.device.as_ref().map_or_else(
            || self.say("portal-device-none"),
            |device| format!("{} ({})", device.id, self.device_class(device.class)),
        );
        let what = format!(
            "{} {} ({}, {}, {})",
            access.method,
            access.path.as_str(),
            self.app(&access.app),
            self.class_or_none(access.class.as_ref()),
            self.action(access.action)
        );
        let line = |key: &str, value: &str| format!("{}: {value}", self.say(key));
        vec![
            line("policy-explain-who", &who),
            line("policy-explain-device", &device),
            line("policy-explain-zone", &format!("{} ({})", access.from.zone, access.from.address)),
            line("policy-explain-what", &what),
            line("policy-explain-when", &self.moment(access.at)),
        ]
    }

    /// What was answered when it was recorded.
    #[must_use]
    pub fn answered_then(&self, reason: Option<Reason>, rule: &RuleId, revision: &Revision) -> String {
        let answer = reason.map_or_else(|| self.say("policy-explain-allowed"), |reason| self.reason(reason));
        let values = [("answer", answer.as_str()), ("rule", rule.as_str()), ("revision", revision.as_str())];
        self.voice.say_all("policy-explain-then", &values)
    }

    /// That a record does not hold everything that was judged on.
    #[must_use]
    pub fn not_all_recorded(&self) -> String {
        self.say("policy-explain-not-all")
    }

    fn missing(&self, missing: &Missing) -> String {
        let condition = self.condition(&missing.condition);
        if missing.reason == Reason::PostureStale {
            return format!("{condition} ({})", self.say("policy-explain-stale"));
        }
        condition
    }

    /// What somebody who was refused can do by themselves, for the page that tells them.
    pub(crate) fn ways(&self, turns: &[Turn]) -> Vec<String> {
        turns.iter().map(|turn| self.turn(turn)).collect()
    }
}
