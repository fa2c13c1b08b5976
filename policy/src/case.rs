//! One question before its candidates: Cedar rules, and what it rules is told in our words.
//!
//! Cedar is asked about rows that fit by our own reading of the table, and about everything written in Cedar. Nothing
//! is permitted that Cedar does not permit. Cedar skips a policy that fails while it is evaluated, forbids included;
//! here a failure is a refusal.

use std::time::Duration;

use cedar_policy::{AuthorizationError, Authorizer, Decision, PolicySet, Request, Response};

use crate::answer::{Answer, Outcome};
use crate::contexts::Contexts;
use crate::facts::{Fact, Facts, Reads};
use crate::fit::StepUp;
use crate::index::AppEntry;
use crate::memo::{Parts, SETS_MAX};
use crate::policy::{Policy, Statement};
use crate::schema::Principal;
use crate::slice::Slice;
use crate::{Assurance, Challenge, Reason, RuleId, Timestamp, built_in, explain};

/// How long a permit holds whose rule reads the time in Cedar, where its next edge is not known.
const TIME_READ_IN_CEDAR: Duration = Duration::from_secs(1);

/// What asks Cedar, with what it is asked about; kept from one question to the next.
#[derive(Debug)]
pub(crate) struct Bench {
    authorizer: Authorizer,
    /// By the positions of the policies in them.
    sets: Parts<Box<[usize]>, Asking>,
    contexts: Contexts,
    /// The positions chosen for the question at hand.
    chosen: Vec<usize>,
}

/// Some policies that are asked together.
#[derive(Debug)]
struct Asking {
    /// `None` if they cannot stand together, which denies.
    set: Option<PolicySet>,
    reads: Reads,
}

/// One question before the candidates that could answer it.
pub(crate) struct Case<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) app: &'a AppEntry,
    pub(crate) slice: &'a Slice,
    pub(crate) principal: &'a Principal,
    pub(crate) bench: &'a mut Bench,
}

/// What Cedar says, in our words.
enum Ruling<'a> {
    Permitted(&'a Statement),
    Forbidden(Vec<&'a Statement>),
    Silent,
    Failed(RuleId),
}

impl Bench {
    pub(crate) fn new() -> Self {
        let (sets, contexts) = (Parts::at_most(SETS_MAX), Contexts::default());
        Self { authorizer: Authorizer::new(), sets, contexts, chosen: Vec::new() }
    }
}

impl Asking {
    fn about(policy: &Policy, positions: &[usize]) -> Self {
        Self {
            set: PolicySet::from_policies(policy.at(positions).map(|statement| statement.cedar.clone())).ok(),
            reads: policy.at(positions).map(|statement| statement.reads).fold(Reads::none(), Reads::and),
        }
    }
}

impl<'a> Case<'a> {
    pub(crate) fn answer(&mut self, facts: &Facts<'_>) -> Answer {
        Answer {
            outcome: self.outcome(facts),
            since: facts.access.at,
            until: self.until(facts),
            lasts: !self.slice.read_in_cedar.time(),
        }
    }

    fn outcome(&mut self, facts: &Facts<'_>) -> Outcome {
        match self.ruling(facts) {
            Ruling::Permitted(statement) => Outcome::Allow(statement.rule.clone(), statement.caps().cloned()),
            Ruling::Failed(rule) => Outcome::deny(Reason::PolicyError, rule),
            Ruling::Forbidden(forbids) => self.forbidden(&forbids, facts),
            Ruling::Silent => self.silent(facts),
        }
    }

    fn forbidden(&mut self, forbids: &[&Statement], facts: &Facts<'_>) -> Outcome {
        let Some(first) = forbids.first() else { return self.silent(facts) };
        let could_change = forbids.iter().all(|forbid| match facts.who {
            Some(_) => forbid.reads.step_up(),
            None => forbid.reads.person() || !forbid.scope.admits_somebody(),
        });
        let challenge = match facts.who {
            _ if !could_change => None,
            Some(_) => self.step_up(facts).map(|(step_up, _)| explain::to_step_up(step_up, first.rule.clone())),
            None => explain::sign_in(self.policy, self.app, facts)
                .map(|_| Outcome::challenge(Challenge::SignIn, first.rule.clone(), Vec::new())),
        };
        challenge.unwrap_or_else(|| Outcome::deny(Reason::Forbidden, first.rule.clone()))
    }

    fn silent(&mut self, facts: &Facts<'_>) -> Outcome {
        if facts.who.is_none() {
            return explain::to_nobody(self.policy, self.app, self.slice, facts);
        }
        let explained = explain::to_somebody(self.policy, self.slice, facts);
        match (&explained, self.step_up(facts)) {
            (Outcome::Deny(_), Some((step_up, rule))) => explain::to_step_up(step_up, rule),
            (Outcome::Allow(..) | Outcome::Challenge(..) | Outcome::Deny(_), _) => explained,
        }
    }

    /// The least that the person would have to prove for a rule written in Cedar to permit it, and that rule.
    fn step_up(&mut self, facts: &Facts<'_>) -> Option<(StepUp, RuleId)> {
        let reads = self.slice.read_in_cedar;
        if !reads.step_up() {
            return None;
        }
        let more = |by_passkey| {
            let least = if by_passkey { Assurance::Aal2 } else { Assurance::Aal1 };
            let enough = move |level: &Assurance| *level >= least && Some(*level) >= facts.assurance;
            Assurance::ALL.into_iter().filter(enough).map(move |level| StepUp { level, by_passkey })
        };
        let by_passkey = reads.has(Fact::Methods).then(|| more(true)).into_iter().flatten();
        more(false).chain(by_passkey).find_map(|step_up| {
            let stepped_up = facts.had_they_stepped_up(step_up.level);
            let proven = if step_up.by_passkey { stepped_up.had_they_a_passkey() } else { stepped_up };
            match self.ruling(&proven) {
                Ruling::Permitted(statement) => Some((step_up, statement.rule.clone())),
                Ruling::Forbidden(_) | Ruling::Silent | Ruling::Failed(_) => None,
            }
        })
    }

    fn ruling(&mut self, facts: &Facts<'_>) -> Ruling<'a> {
        let Bench { authorizer, sets, contexts, chosen } = &mut *self.bench;
        self.slice.choose(self.policy, facts, chosen);
        if chosen.is_empty() {
            return Ruling::Silent;
        }
        let asking = sets.find_or_make_by(chosen.as_slice(), || Asking::about(self.policy, chosen));
        let failed = || Ruling::Failed(built_in::id(built_in::DEFAULT_DENY));
        let Some(set) = &asking.set else { return failed() };
        let Some(context) = contexts.of(facts, asking.reads) else { return failed() };
        let action = self.policy.words.action(facts.access.action).clone();
        let Ok(request) = Request::new(self.principal.uid.clone(), action, self.app.uid.clone(), context, None) else {
            return failed();
        };
        ruling_of(self.policy, chosen, &authorizer.is_authorized(&request, set, &self.principal.entities))
    }

    /// The next moment at which time alone may change the answer.
    fn until(&self, facts: &Facts<'_>) -> Timestamp {
        let edge = self.slice.next_edge(facts);
        if self.slice.read_in_cedar.time() { edge.min(facts.access.at.after(TIME_READ_IN_CEDAR)) } else { edge }
    }
}

fn ruling_of<'a>(policy: &'a Policy, chosen: &[usize], response: &Response) -> Ruling<'a> {
    let statements = || chosen.iter().filter_map(|position| policy.statements.get(*position));
    let errors = || response.diagnostics().errors().map(|AuthorizationError::PolicyEvaluationError(error)| error);
    if errors().next().is_some() {
        let failed = |statement: &&Statement| errors().any(|error| error.policy_id() == statement.cedar.id());
        let rule = statements().find(failed).map(|statement| statement.rule.clone());
        return Ruling::Failed(rule.unwrap_or_else(|| built_in::id(built_in::DEFAULT_DENY)));
    }
    let decided = |statement: &&Statement| response.diagnostics().reason().any(|id| id == statement.cedar.id());
    let mut deciding = statements().filter(decided);
    match (response.decision(), deciding.next()) {
        // Whoever is permitted without bounds is permitted without bounds, whatever else permits it.
        (Decision::Allow, Some(first)) => {
            let unbounded = std::iter::once(first).chain(deciding).find(|statement| statement.caps().is_none());
            Ruling::Permitted(unbounded.unwrap_or(first))
        }
        (Decision::Deny, Some(first)) => Ruling::Forbidden(std::iter::once(first).chain(deciding).collect()),
        (Decision::Deny, None) => Ruling::Silent,
        (Decision::Allow, None) => Ruling::Failed(built_in::id(built_in::DEFAULT_DENY)),
    }
}
