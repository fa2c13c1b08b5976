//! One question before its candidates: Cedar rules, and what it rules is told in our words.
//!
//! Cedar skips a policy that fails while it is evaluated, forbids included; here a failure is a refusal.

use std::time::Duration;

use cedar_policy::{AuthorizationError, Authorizer, Decision, PolicySet, Request, Response};

use crate::answer::{Answer, Outcome};
use crate::facts::{Facts, Reads};
use crate::index::{AppEntry, Candidates};
use crate::policy::{Policy, Statement};
use crate::schema::{self, Principal};
use crate::{Assurance, Challenge, Reason, RuleId, Timestamp, Who, built_in, explain, fit};

/// How long a permit holds whose rule reads the time in Cedar, where its next edge is not known.
const TIME_READ_IN_CEDAR: Duration = Duration::from_secs(1);

/// The policies that could apply to one app, one action and one set of roles.
#[derive(Debug)]
pub(crate) struct Slice {
    /// Positions in the policy, in order.
    positions: Vec<usize>,
    /// `None` if they cannot stand together, which denies.
    set: Option<PolicySet>,
    reads: Reads,
    /// What those read that were written in Cedar, not in the table.
    read_in_cedar: Reads,
}

/// What Cedar says, in our words.
enum Ruling<'a> {
    Permitted(&'a Statement),
    Forbidden(Vec<&'a Statement>),
    Silent,
    Failed(RuleId),
}

impl Slice {
    pub(crate) fn of(policy: &Policy, candidates: &Candidates, who: Option<&Who>) -> Self {
        let position_admits =
            |position: &&usize| policy.statements.get(**position).is_some_and(|statement| statement.scope.admits(who));
        let positions: Vec<_> = candidates.policies.iter().filter(position_admits).copied().collect();
        let union = |reads: Reads, statement: &Statement| reads.and(statement.reads);
        let in_cedar = policy.at(&positions).filter(|statement| statement.row.is_none());
        let read_in_cedar = in_cedar.fold(Reads::none(), union);
        Self {
            set: PolicySet::from_policies(policy.at(&positions).map(|statement| statement.cedar.clone())).ok(),
            reads: policy.at(&positions).fold(Reads::none(), union),
            read_in_cedar,
            positions,
        }
    }
}

/// One question before the candidates that could answer it.
pub(crate) struct Case<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) app: &'a AppEntry,
    pub(crate) slice: &'a Slice,
    pub(crate) principal: &'a Principal,
    pub(crate) authorizer: &'a Authorizer,
}

impl<'a> Case<'a> {
    pub(crate) fn answer(&self, facts: &Facts<'_>) -> Answer {
        Answer {
            outcome: self.outcome(facts),
            since: facts.access.at,
            until: self.until(facts),
            lasts: !self.slice.read_in_cedar.time(),
        }
    }

    fn outcome(&self, facts: &Facts<'_>) -> Outcome {
        match self.ruling(facts) {
            Ruling::Permitted(statement) => Outcome::Allow(statement.rule.clone()),
            Ruling::Failed(rule) => Outcome::deny(Reason::PolicyError, rule),
            Ruling::Forbidden(forbids) => self.forbidden(&forbids, facts),
            Ruling::Silent => self.silent(facts),
        }
    }

    fn forbidden(&self, forbids: &[&Statement], facts: &Facts<'_>) -> Outcome {
        let Some(first) = forbids.first() else { return self.silent(facts) };
        let could_change = forbids.iter().all(|forbid| match facts.who {
            Some(_) => forbid.reads.step_up(),
            None => forbid.reads.person() || !forbid.scope.admits_somebody(),
        });
        let challenge = match facts.who {
            _ if !could_change => None,
            Some(_) => self.step_up(facts).map(|(level, _)| Challenge::StepUp(level)),
            None => explain::sign_in(self.policy, self.app, facts).map(|_| Challenge::SignIn),
        };
        match challenge {
            Some(challenge) => Outcome::challenge(challenge, first.rule.clone(), Vec::new()),
            None => Outcome::deny(Reason::Forbidden, first.rule.clone()),
        }
    }

    fn silent(&self, facts: &Facts<'_>) -> Outcome {
        if facts.who.is_none() {
            return explain::to_nobody(self.policy, self.app, facts);
        }
        let explained = explain::to_somebody(self.policy, self.app, &self.slice.positions, facts);
        match (&explained, self.step_up(facts)) {
            (Outcome::Deny(_), Some((level, rule))) => Outcome::challenge(Challenge::StepUp(level), rule, Vec::new()),
            (Outcome::Allow(_) | Outcome::Challenge(..) | Outcome::Deny(_), _) => explained,
        }
    }

    /// The least that the person would have to prove for a rule written in Cedar to permit it, and that rule.
    fn step_up(&self, facts: &Facts<'_>) -> Option<(Assurance, RuleId)> {
        if !self.slice.read_in_cedar.step_up() {
            return None;
        }
        let levels = Assurance::ALL.into_iter().filter(|level| Some(*level) >= facts.assurance);
        levels.into_iter().find_map(|level| match self.ruling(&facts.had_they_stepped_up(level)) {
            Ruling::Permitted(statement) => Some((level, statement.rule.clone())),
            Ruling::Forbidden(_) | Ruling::Silent | Ruling::Failed(_) => None,
        })
    }

    fn ruling(&self, facts: &Facts<'_>) -> Ruling<'a> {
        let failed = || Ruling::Failed(built_in::id(built_in::DEFAULT_DENY));
        let Some(set) = &self.slice.set else { return failed() };
        if set.is_empty() {
            return Ruling::Silent;
        }
        let Some(context) = schema::context(facts, self.slice.reads) else { return failed() };
        let words = &self.policy.words;
        let (action, app) = (words.action(facts.access.action).clone(), words.app(&facts.access.app));
        let Ok(request) = Request::new(self.principal.uid.clone(), action, app, context, None) else {
            return failed();
        };
        self.ruling_of(&self.authorizer.is_authorized(&request, set, &self.principal.entities))
    }

    fn ruling_of(&self, response: &Response) -> Ruling<'a> {
        let statements = || self.policy.at(&self.slice.positions);
        let errors = || response.diagnostics().errors().map(|AuthorizationError::PolicyEvaluationError(error)| error);
        if errors().next().is_some() {
            let failed = |statement: &&Statement| errors().any(|error| error.policy_id() == statement.cedar.id());
            let rule = statements().find(failed).map(|statement| statement.rule.clone());
            return Ruling::Failed(rule.unwrap_or_else(|| built_in::id(built_in::DEFAULT_DENY)));
        }
        let decided = |statement: &&Statement| response.diagnostics().reason().any(|id| id == statement.cedar.id());
        let mut deciding = statements().filter(decided);
        match (response.decision(), deciding.next()) {
            (Decision::Allow, Some(first)) => Ruling::Permitted(first),
            (Decision::Deny, Some(first)) => Ruling::Forbidden(std::iter::once(first).chain(deciding).collect()),
            (Decision::Deny, None) => Ruling::Silent,
            (Decision::Allow, None) => Ruling::Failed(built_in::id(built_in::DEFAULT_DENY)),
        }
    }

    /// The next moment at which time alone may change the answer. To nobody, other people's rows are explained too.
    fn until(&self, facts: &Facts<'_>) -> Timestamp {
        let at_most =
            if self.slice.read_in_cedar.time() { facts.access.at.after(TIME_READ_IN_CEDAR) } else { Timestamp::MAX };
        let weighed = match facts.who {
            Some(_) => &self.slice.positions,
            None => &self.app.on(facts.access.action).policies,
        };
        let rows = self.policy.at(weighed).filter_map(|statement| statement.row.as_ref());
        rows.map(|row| fit::next_edge(row, facts)).fold(at_most, Timestamp::min)
    }
}
