//! Why an access is answered as it is, in full, and what would turn the answer: for people who ask, not for the way of
//! a request. The answer is the judge's own; every change that is told was tried on it.

mod change;
mod search;
#[cfg(test)]
mod tests;

pub use change::Alteration;

use std::sync::Arc;

use crate::answer::Outcome;
use crate::built_in;
use crate::facts::{Facts, signed_in};
use crate::grant;
use crate::policy::{Policy, Statement};
use crate::{Access, Apps, Challenge, Condition, Effect, Judge, Missing, Reason, Reasons, RuleId, Timestamp};
use search::Search;

/// How many rules of each kind are told.
const RULES_MAX: usize = 6;
/// How many accesses are tried for an explanation.
const TRIALS_MAX: usize = 3_000;
/// How many are tried while somebody waits for the page of a refusal.
const TRIALS_MAX_FOR_A_PAGE: usize = 20;

/// Why an access is answered as it is, and what would turn the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The answer.
    pub answer: Answered,
    /// The rules that decided, then those that nearly did, nearest first.
    pub rules: Vec<Weighed>,
    /// What would turn the answer, smallest first; nothing where only other rules would.
    pub turns: Vec<Turn>,
}

/// What the policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Yes, until this moment at least.
    Allowed {
        /// By this rule.
        rule: RuleId,
        /// The next moment at which time alone may change it.
        until: Timestamp,
    },
    /// Not yet.
    Challenged(Challenge, Reasons),
    /// No.
    Denied(Reasons),
}

/// A rule, held against the access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed {
    /// The rule.
    pub rule: RuleId,
    /// Allows or forbids.
    pub effect: Effect,
    /// What it has to do with the answer.
    pub part: Part,
    /// What of it is not met; of a rule written in Cedar only what its first line says is known.
    pub missing: Vec<Missing>,
    /// Whether it is written in Cedar.
    pub in_cedar: bool,
}

/// What a rule has to do with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The answer is its.
    Decided,
    /// It fits, and another decided.
    Fits,
    /// It would have decided, were something else.
    Near,
}

/// Changes that turn the answer when they come together. For each, one of the alternatives is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// What would have to be otherwise; alternatives are of one kind.
    pub changes: Vec<Vec<Alteration>>,
}

impl Answered {
    /// Whether it is yes.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        match self {
            Self::Allowed { .. } => true,
            Self::Challenged(..) | Self::Denied(_) => false,
        }
    }

    /// The rule that decided, or came nearest.
    #[must_use]
    pub fn rule(&self) -> &RuleId {
        match self {
            Self::Allowed { rule, .. } => rule,
            Self::Challenged(_, reasons) | Self::Denied(reasons) => &reasons.rule,
        }
    }
}

/// Explains the answer to an access.
#[must_use]
pub fn what_if(policy: &Arc<Policy>, access: &Access) -> Explanation {
    let mut judge = Judge::new(Arc::clone(policy));
    let answer = answered(&mut judge, access);
    let rules = weigh(policy, access, &answer);
    let turns = Search::new(policy, judge, TRIALS_MAX).turns(access, answer.is_allowed());
    Explanation { answer, rules, turns }
}

/// What a person who was refused can do about it by themselves, smallest first: nothing about roles, grants and
/// other rules, which are not theirs to change, and nothing for strangers.
#[must_use]
pub fn ways_for_them(policy: &Arc<Policy>, access: &Access) -> Vec<Turn> {
    let mut judge = Judge::new(Arc::clone(policy));
    // What is not the policy's refusal (a cap, a fault) is turned by none of this.
    if signed_in(access).is_none() || answered(&mut judge, access).is_allowed() {
        return Vec::new();
    }
    let mut turns = Search::new(policy, judge, TRIALS_MAX_FOR_A_PAGE).turns(access, false);
    turns.retain(|turn| turn.changes.iter().flatten().all(Alteration::is_theirs));
    turns
}

fn answered(judge: &mut Judge, access: &Access) -> Answered {
    let answer = judge.answer(access);
    match answer.outcome {
        Outcome::Allow(rule, _) => {
            let until = signed_in(access).map_or(answer.until, |who| answer.until.min(who.ends_at));
            let until = grant::ends(access).map_or(until, |end| until.min(end));
            Answered::Allowed { rule, until }
        }
        Outcome::Challenge(challenge, reasons) => Answered::Challenged(challenge, reasons),
        Outcome::Deny(reasons) => Answered::Denied(reasons),
    }
}

/// Holds the rules of the app against the access.
fn weigh(policy: &Policy, access: &Access, answer: &Answered) -> Vec<Weighed> {
    let decided = answer.rule();
    let own = |rule: &RuleId| Weighed {
        rule: rule.clone(),
        effect: if answer.is_allowed() { Effect::Permit } else { Effect::Forbid },
        part: Part::Decided,
        missing: Vec::new(),
        in_cedar: false,
    };
    let is_forbidden = matches!(answer, Answered::Denied(reasons) if reasons.main == Reason::Forbidden);
    let Some(app) = policy.app(&access.app).filter(|app| !app.facts.built_in) else {
        return Some(decided).filter(|rule| built_in::is_reserved(rule)).map(own).into_iter().collect();
    };
    let facts = Facts::of(access, &policy.calendar);
    let of_app = |statement: &&Statement| {
        statement.row().is_none_or(|row| match &row.apps {
            Apps::All => true,
            Apps::Only(apps) => apps.contains(&app.facts.id),
        })
    };
    let mut weighed: Vec<Weighed> = policy
        .statements
        .iter()
        .filter(of_app)
        .filter_map(|statement| weigh_one(statement, &facts, access, decided))
        .collect();
    // Decided first, then what fits, then what is nearest; what forbids before what permits where it decided.
    weighed.sort_by_key(|one| (one.part, one.missing.len(), (one.effect == Effect::Permit) == is_forbidden));
    let mut near = [0_usize; 2];
    weighed.retain(|one| {
        if one.part == Part::Decided {
            return true;
        }
        let count = match one.effect {
            Effect::Permit => near.first_mut(),
            Effect::Forbid => near.last_mut(),
        };
        count.is_some_and(|count| {
            *count += 1;
            *count <= RULES_MAX
        })
    });
    let is_told = weighed.iter().any(|one| one.rule == *decided);
    if !is_told && decided.as_str() != built_in::DEFAULT_DENY {
        weighed.insert(0, own(decided));
    }
    weighed
}

/// A rule held against the access; `None` where it is far from having a say.
fn weigh_one(statement: &Statement, facts: &Facts<'_>, access: &Access, decided: &RuleId) -> Option<Weighed> {
    let effect = if statement.permits() { Effect::Permit } else { Effect::Forbid };
    let is_decisive = statement.rule == *decided;
    let missing = match statement.row() {
        Some(row) => Condition::missing(row, facts),
        None => {
            let fits = statement.scope.can_be_about(facts.who, &access.app, access.action);
            if !fits {
                return None;
            }
            vec![Missing { condition: Condition::InCedar, reason: Reason::Forbidden }]
        }
    };
    let part = match (is_decisive, missing.is_empty()) {
        (true, _) => Part::Decided,
        (false, true) => Part::Fits,
        (false, false) => Part::Near,
    };
    // A rule that forbids was near only if one thing kept it away; one that permits also where more is missing.
    let is_far = part == Part::Near
        && match effect {
            Effect::Forbid => missing.len() > 1,
            Effect::Permit => missing.len() > MISSING_MAX,
        };
    let in_cedar = statement.row().is_none();
    let missing = if in_cedar && is_decisive { Vec::new() } else { missing };
    (!is_far).then(|| Weighed { rule: statement.rule.clone(), effect, part, missing, in_cedar })
}

/// A rule that permits and lacks more than this was not near.
const MISSING_MAX: usize = 4;
