//! Why nothing permitted an access, told by the row of the table that came nearest.
//!
//! Nearest means: of the rows for these roles, this app and this action, one whose paths and classes fit before one
//! whose do not, then one that asks only for a step-up, then one that asks only for broken glass, then the one with the
//! fewest unmet conditions, then the first.

use crate::answer::Outcome;
use crate::built_in::{DEFAULT_DENY, id};
use crate::facts::Facts;
use crate::fit::{self, StepUp, Unmet};
use crate::index::AppEntry;
use crate::policy::{Policy, Statement};
use crate::slice::Slice;
use crate::{Action, Challenge, Reason, Reasons, Rule, RuleId, Who};

/// Explains to somebody signed in why none of the candidates permitted it.
pub(crate) fn to_somebody(policy: &Policy, slice: &Slice, facts: &Facts<'_>) -> Outcome {
    let rows = slice.permits().filter_map(|position| policy.row(position));
    if let Some((row, unmet)) = nearest(rows, facts) {
        return match unmet.only_step_up() {
            Some(step_up) => to_step_up(step_up, row.id.clone()),
            None => refusal(unmet, row.id.clone()),
        };
    }
    nothing_for_it(slice)
}

/// Explains to nobody signed in why none of the candidates permitted it: sign-in comes first if a rule could allow
/// someone; what else is missing is told to the person, not to a stranger.
pub(crate) fn to_nobody(policy: &Policy, app: &AppEntry, slice: &Slice, facts: &Facts<'_>) -> Outcome {
    if let Some(challenge) = sign_in(policy, app, facts) {
        return challenge;
    }
    let permits = policy.at(&app.on(facts.access.action).all).filter(|statement| statement.permits());
    match nearest(permits.filter_map(Statement::row), facts) {
        Some((row, unmet)) => refusal(unmet, row.id.clone()),
        None => slice.nothing_for_it.clone(),
    }
}

/// The challenge to prove more, and what must be proven.
pub(crate) fn to_step_up(step_up: StepUp, rule: RuleId) -> Outcome {
    let others = if step_up.by_passkey { vec![Reason::MethodNotAllowed] } else { Vec::new() };
    Outcome::challenge(Challenge::StepUp(step_up.level), rule, others)
}

/// The challenge to sign in, if some rule could allow someone this action at this path. Device, zone and hours are
/// not weighed here.
pub(crate) fn sign_in(policy: &Policy, app: &AppEntry, facts: &Facts<'_>) -> Option<Outcome> {
    let permits = || policy.at(&app.on(facts.access.action).all).filter(|statement| statement.permits());
    let for_people = permits().filter_map(Statement::row).filter(|row| fit::asks_for_a_person(row));
    if let Some((row, unmet)) = nearest(for_people, facts).filter(|(_, unmet)| !unmet.elsewhere()) {
        let of_the_person = [
            Reason::StepUpRequired,
            Reason::MethodNotAllowed,
            Reason::KeyNotAllowed,
            Reason::GrantRequired,
            Reason::GrantReach,
            Reason::BreakGlassRequired,
        ];
        let others = unmet.reasons().filter(|reason| !of_the_person.contains(reason)).collect();
        return Some(Outcome::challenge(Challenge::SignIn, row.id.clone(), others));
    }
    let could = |statement: &&Statement| {
        let asks_for_a_person = !statement.scope.admits_nobody() || statement.reads.person();
        statement.row.is_none() && statement.scope.admits_somebody() && asks_for_a_person
    };
    let written = permits().find(could)?;
    Some(Outcome::challenge(Challenge::SignIn, written.rule.clone(), Vec::new()))
}

/// The refusal where no row is for these people, this app and this action.
fn nothing_for_it(slice: &Slice) -> Outcome {
    let for_another_action =
        matches!(&slice.nothing_for_it, Outcome::Deny(told) if told.main == Reason::ActionNotAllowed);
    match (&slice.held_back, &slice.written_permit) {
        (Some(rule), _) => Outcome::deny(Reason::OutageReduced, rule.clone()),
        (None, Some(rule)) if !for_another_action => Outcome::deny(Reason::RoleNotAllowed, rule.clone()),
        (None, _) => slice.nothing_for_it.clone(),
    }
}

/// The refusal where no row is for these people, this app and any action asked for: the first row for another action
/// tells that it is the action, else it is the role.
pub(crate) fn nothing_for(policy: &Policy, app: &AppEntry, who: Option<&Who>) -> Outcome {
    let of = |action| app.on(action).about(who).into_iter();
    let mut rows = Action::ALL.into_iter().flat_map(of).filter_map(|position| policy.statements.get(position));
    let row = rows.find(|statement| statement.permits() && statement.row.is_some());
    row.map_or_else(
        || Outcome::deny(Reason::RoleNotAllowed, id(DEFAULT_DENY)),
        |row| Outcome::deny(Reason::ActionNotAllowed, row.rule.clone()),
    )
}

fn nearest<'a>(rows: impl Iterator<Item = &'a Rule>, facts: &Facts<'_>) -> Option<(&'a Rule, Unmet)> {
    let distance = |unmet: Unmet| (unmet.elsewhere(), rank(unmet), unmet.count());
    let mut nearest: Option<(&Rule, Unmet)> = None;
    for row in rows {
        let unmet = Unmet::of(row, facts);
        if nearest.is_none_or(|(_, before)| distance(unmet) < distance(before)) {
            nearest = Some((row, unmet));
        }
        if unmet.is_empty() {
            break;
        }
    }
    nearest
}

/// What a person can do something about stands nearer.
fn rank(unmet: Unmet) -> u8 {
    if unmet.is_empty() {
        0
    } else if unmet.only_step_up().is_some() {
        1
    } else if unmet.only_glass() {
        2
    } else {
        3
    }
}

/// A refusal with the first of these reasons in front. Without any, table and Cedar disagree, which denies too.
fn refusal(unmet: Unmet, rule: RuleId) -> Outcome {
    let mut reasons = unmet.reasons();
    let main = reasons.next().unwrap_or(Reason::PolicyError);
    Outcome::Deny(Reasons { main, rule, others: reasons.collect() })
}
