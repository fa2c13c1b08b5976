//! Asking the policy: default deny, a forbid wins, and any error while judging denies.

use std::sync::Arc;

use crate::answer::{Answer, Outcome};
use crate::case::{Bench, Case};
use crate::facts::{Facts, signed_in};
use crate::index::AppEntry;
use crate::memo::{Answers, Asked, PEOPLE_MAX, Parts, SLICES_MAX};
use crate::policy::Policy;
use crate::schema::Principal;
use crate::slice::Slice;
use crate::{
    Access, Action, Authorized, Durability, Permit, Reason, Refused, RoleId, UserId, Verdict, built_in, grant,
};

/// One worker's way to ask the policy. It remembers answers, so it is not shared; what it remembers is bounded.
#[derive(Debug)]
pub struct Judge {
    policy: Arc<Policy>,
    memory: Memory,
}

/// What a judge works with and remembers.
#[derive(Debug)]
struct Memory {
    answers: Answers,
    bench: Bench,
    slices: Parts<SliceKey, Slice>,
    people: Parts<Option<PersonKey>, Person>,
    roles: Parts<Arc<[RoleId]>, RolesNumber>,
    /// The number of the next set of roles.
    roles_next: RolesNumber,
}

/// Stands for a set of roles, as a number is found faster. None is given twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct RolesNumber(u64);

/// What chooses the candidates.
#[derive(PartialEq, Eq, Hash, Debug)]
struct SliceKey {
    app: usize,
    action: Action,
    roles: RolesNumber,
    in_outage: bool,
}

/// What tells one person from another.
#[derive(PartialEq, Eq, Hash, Debug)]
struct PersonKey {
    user: UserId,
    roles: Arc<[RoleId]>,
}

/// What is known of a person.
#[derive(Debug)]
struct Person {
    /// What Cedar knows.
    principal: Principal,
    roles: RolesNumber,
}

impl RolesNumber {
    /// Of nobody.
    const NOBODY: Self = Self(0);

    fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl Judge {
    /// A judge over one version of the policy; make another when the policy is replaced.
    #[must_use]
    pub fn new(policy: Arc<Policy>) -> Self {
        let memory = Memory {
            answers: Answers::default(),
            bench: Bench::new(),
            slices: Parts::at_most(SLICES_MAX),
            people: Parts::at_most(PEOPLE_MAX),
            roles: Parts::at_most(PEOPLE_MAX),
            roles_next: RolesNumber::NOBODY.next(),
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
        let answer = self.answer(&access);
        match answer.outcome {
            Outcome::Allow(rule, caps) => {
                let until = signed_in(&access).map_or(answer.until, |who| answer.until.min(who.ends_at));
                let until = grant::ends(&access).map_or(until, |end| until.min(end));
                let durability = self.durability(&access);
                let permit = Permit::new(access, rule, revision, until, durability).within(caps);
                Verdict::Allow(Authorized::new(Box::new(permit), act))
            }
            Outcome::Challenge(challenge, reasons) => {
                Verdict::Challenge(Box::new(Refused { access, reasons, revision, shadow: None, act }), challenge)
            }
            Outcome::Deny(reasons) => Verdict::Deny(Box::new(Refused { access, reasons, revision, shadow: None, act })),
        }
    }

    /// The answer, and how long it holds.
    pub(crate) fn answer(&mut self, access: &Access) -> Answer {
        match self.policy.app(&access.app) {
            Some(app) => self.memory.answer(&self.policy, app, access),
            None => Answer::always(Outcome::deny(Reason::RoleNotAllowed, built_in::id(built_in::DEFAULT_DENY))),
        }
    }

    /// What rests on an exception is on the disk before it goes on. An app that is not there is allowed nothing, so nothing of
    /// it is recorded as an access.
    fn durability(&self, access: &Access) -> Durability {
        if grant::ends(access).is_some() {
            return Durability::Synced;
        }
        let Some(app) = self.policy.app(&access.app) else { return Durability::Synced };
        durability(app, access.action)
    }

    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.memory.answers.len()
    }
}

impl Memory {
    fn answer(&mut self, policy: &Policy, app: &AppEntry, access: &Access) -> Answer {
        if app.facts.built_in {
            return built_in::judge(access, &policy.console);
        }
        let asked = Asked::of(access, app.on(access.action).reads);
        let mark = self.answers.mark(&asked);
        if let Some(answer) = self.answers.find(mark, &asked, access.at) {
            return answer.clone();
        }
        let answer = built_in::other_device(access).unwrap_or_else(|| self.find_answer(policy, app, access));
        self.answers.keep(mark, &asked, &answer);
        answer
    }

    fn find_answer(&mut self, policy: &Policy, app: &AppEntry, access: &Access) -> Answer {
        let facts = Facts::of(access, &policy.calendar);
        let key = facts.who.map(|who| PersonKey { user: who.user.clone(), roles: Arc::clone(&who.roles) });
        let person = self.people.find_or_make(key, || {
            let roles = facts.who.map_or(RolesNumber::NOBODY, |who| {
                *self.roles.find_or_make(Arc::clone(&who.roles), || {
                    self.roles_next = self.roles_next.next();
                    self.roles_next
                })
            });
            Person { principal: policy.words.principal(facts.who), roles }
        });
        let (action, in_outage) = (access.action, facts.in_outage);
        let key = SliceKey { app: app.number, action, roles: person.roles, in_outage };
        let slice = self.slices.find_or_make(key, || Slice::of(policy, app, action, facts.who));
        Case { policy, app, slice, principal: &person.principal, bench: &mut self.bench }.answer(&facts)
    }
}

fn durability(app: &AppEntry, action: Action) -> Durability {
    match action {
        Action::Read | Action::Search => app.facts.reads,
        Action::Write | Action::Delete | Action::Export | Action::Connect => app.facts.writes,
    }
}
