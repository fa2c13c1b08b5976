//! Asking the policy: default deny, a forbid wins, and any error while judging denies.
//!
//! Cedar skips a policy that fails while it is evaluated, forbids included; here a failure is a refusal.

use std::sync::Arc;
use std::time::Duration;

use cedar_policy::{Authorizer, PolicySet, Request, Response};

use crate::answer::{Answer, Outcome};
use crate::facts::{Facts, Reads, signed_in};
use crate::index::{AppEntry, Candidates};
use crate::memo::{Answers, Asked, PEOPLE_MAX, Parts, SLICES_MAX};
use crate::policy::{Policy, Statement};
use crate::schema::{self, Principal};
use crate::{
    Access, Action, AppId, Assurance, Authorized, Challenge, Durability, Permit, Reason, Reasons, Refused, RoleId,
    RuleId, Timestamp, UserId, Verdict, Who, built_in, explain, fit,
};

/// How long a permit holds whose rule reads the time in Cedar, where its next edge is not known.
const TIME_READ_IN_CEDAR: Duration = Duration::from_secs(1);

/// One worker's way to ask the policy. It remembers answers, so it is not shared; what it remembers is bounded.
#[derive(Debug)]
pub struct Judge {
    policy: Arc<Policy>,
    memory: Memory,
}

/// What a judge works with and remembers.
#[derive(Debug)]
struct Memory {
    authorizer: Authorizer,
    answers: Answers,
    slices: Parts<SliceKey, Slice>,
    people: Parts<Option<PersonKey>, Principal>,
}

/// What chooses the candidates.
#[derive(PartialEq, Eq, Hash, Debug)]
struct SliceKey {
    app: AppId,
    action: Action,
    /// `None` where nobody is signed in.
    roles: Option<Arc<[RoleId]>>,
}

/// What Cedar knows of a person.
#[derive(PartialEq, Eq, Hash, Debug)]
struct PersonKey {
    user: UserId,
    roles: Arc<[RoleId]>,
}

/// The policies that could apply to one app, one action and one set of roles.
#[derive(Debug)]
struct Slice {
    /// Positions in the policy, in order.
    positions: Vec<usize>,
    /// `None` if they cannot stand together, which denies.
    set: Option<PolicySet>,
    reads: Reads,
    /// What those read that were written in Cedar, not in the table.
    read_in_cedar: Reads,
}

/// What Cedar says, in our words; statements are meant by position.
enum Ruling<'a> {
    Permitted(&'a Statement),
    Forbidden(Vec<&'a Statement>),
    Silent,
    Failed(RuleId),
}

impl Judge {
    /// A judge over one version of the policy; make another when the policy is replaced.
    #[must_use]
    pub fn new(policy: Arc<Policy>) -> Self {
        let memory = Memory {
            authorizer: Authorizer::new(),
            answers: Answers::default(),
            slices: Parts::at_most(SLICES_MAX),
            people: Parts::at_most(PEOPLE_MAX),
        };
        Self { policy, memory }
    }

    /// The version it judges by.
    #[must_use]
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Answers one question and seals the act accordingly. Never fails: an error inside is a denial.
    pub fn judge<T>(&mut self, access: Access, act: T) -> Verdict<T> {
        let revision = self.policy.revision().clone();
        let Some(app) = self.policy.app(&access.app) else {
            let reasons = Reasons {
                main: Reason::RoleNotAllowed,
                rule: built_in::id(built_in::DEFAULT_DENY),
                others: Vec::new(),
            };
            return Verdict::Deny(Refused { access, reasons, revision, act });
        };
        let answer = self.memory.answer(&self.policy, app, &access);
        match answer.outcome {
            Outcome::Allow(rule) => {
                let until = signed_in(&access).map_or(answer.until, |who| answer.until.min(who.ends_at));
                let durability = durability(app, access.action);
                Verdict::Allow(Authorized::new(Permit::new(access, rule, revision, until, durability), act))
            }
            Outcome::Challenge(challenge, reasons) => {
                Verdict::Challenge(Refused { access, reasons, revision, act }, challenge)
            }
            Outcome::Deny(reasons) => Verdict::Deny(Refused { access, reasons, revision, act }),
        }
    }

    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.memory.answers.len()
    }
}

impl Memory {
    fn answer(&mut self, policy: &Policy, app: &AppEntry, access: &Access) -> Answer {
        if app.facts.built_in {
            return built_in::judge(access);
        }
        let asked = Asked::of(access, app.on(access.action).reads);
        if let Some(answer) = self.answers.find(&asked, access.at) {
            return answer.clone();
        }
        let answer = built_in::other_device(access).unwrap_or_else(|| self.find_answer(policy, app, access));
        self.answers.keep(&asked, &answer);
        answer
    }

    fn find_answer(&mut self, policy: &Policy, app: &AppEntry, access: &Access) -> Answer {
        let facts = Facts::of(access, policy.offset);
        let candidates = app.on(access.action);
        let roles = facts.who.map(|who| Arc::clone(&who.roles));
        let key = SliceKey { app: access.app.clone(), action: access.action, roles };
        let slice = self.slices.find_or_make(key, || Slice::of(policy, candidates, facts.who));
        let key = facts.who.map(|who| PersonKey { user: who.user.clone(), roles: Arc::clone(&who.roles) });
        let principal = self.people.find_or_make(key, || policy.words.principal(facts.who));
        let case = Case { policy, app, slice: &slice, principal: &principal, authorizer: &self.authorizer };
        Answer {
            outcome: case.outcome(&facts),
            since: access.at,
            until: case.until(&facts),
            lasts: !slice.read_in_cedar.time(),
        }
    }
}

fn durability(app: &AppEntry, action: Action) -> Durability {
    match action {
        Action::Read => app.facts.reads,
        Action::Write | Action::Delete | Action::Connect => app.facts.writes,
    }
}

impl Slice {
    fn of(policy: &Policy, candidates: &Candidates, who: Option<&Who>) -> Self {
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
struct Case<'a> {
    policy: &'a Policy,
    app: &'a AppEntry,
    slice: &'a Slice,
    principal: &'a Principal,
    authorizer: &'a Authorizer,
}

impl<'a> Case<'a> {
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
        let first_error = response.diagnostics().errors().next();
        let failed =
            first_error.map(|cedar_policy::AuthorizationError::PolicyEvaluationError(error)| error.policy_id());
        let statements = || self.policy.at(&self.slice.positions);
        if let Some(failed) = failed {
            let rule = statements().find(|statement| statement.cedar.id() == failed).map(|found| found.rule.clone());
            return Ruling::Failed(rule.unwrap_or_else(|| built_in::id(built_in::DEFAULT_DENY)));
        }
        let decided = |statement: &&Statement| response.diagnostics().reason().any(|id| id == statement.cedar.id());
        let mut deciding = statements().filter(decided);
        match (response.decision(), deciding.next()) {
            (cedar_policy::Decision::Allow, Some(first)) => Ruling::Permitted(first),
            (cedar_policy::Decision::Deny, Some(first)) => {
                Ruling::Forbidden(std::iter::once(first).chain(deciding).collect())
            }
            (cedar_policy::Decision::Deny, None) => Ruling::Silent,
            (cedar_policy::Decision::Allow, None) => Ruling::Failed(built_in::id(built_in::DEFAULT_DENY)),
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
