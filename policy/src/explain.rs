//! Why nothing permitted an access, told by the row of the table that came nearest.
//!
//! Nearest means: of the rows for these roles, this app and this action, one whose paths fit before one whose paths
//! do not, then the one with the fewest unmet conditions, then one that asks only for a step-up, then the first.

use crate::answer::Outcome;
use crate::built_in::{DEFAULT_DENY, id};
use crate::facts::Facts;
use crate::fit::{self, Unmet};
use crate::index::AppEntry;
use crate::policy::{Policy, Statement};
use crate::{Action, Challenge, Reason, Reasons, Rule, RuleId};

/// Explains to somebody signed in why none of the candidates permitted it.
pub(crate) fn to_somebody(policy: &Policy, app: &AppEntry, candidates: &[usize], facts: &Facts<'_>) -> Outcome {
    let permits = || policy.at(candidates).filter(|statement| statement.permits());
    if let Some((row, unmet)) = nearest(permits(), facts) {
        return match unmet.only_step_up() {
            Some(level) => Outcome::challenge(Challenge::StepUp(level), row.id.clone(), Vec::new()),
            None => refusal(unmet.reasons, row.id.clone()),
        };
    }
    let written_in_cedar = permits().next().map(|statement| statement.rule.clone());
    nothing_for_it(policy, app, facts, written_in_cedar)
}

/// Explains to nobody signed in why none of the candidates permitted it: sign-in comes first if a rule could allow
/// someone; what else is missing is told to the person, not to a stranger.
pub(crate) fn to_nobody(policy: &Policy, app: &AppEntry, facts: &Facts<'_>) -> Outcome {
    if let Some(challenge) = sign_in(policy, app, facts) {
        return challenge;
    }
    let permits = policy.at(&app.on(facts.access.action).policies).filter(|statement| statement.permits());
    match nearest(permits, facts) {
        Some((row, unmet)) => refusal(unmet.reasons, row.id.clone()),
        None => nothing_for_it(policy, app, facts, None),
    }
}

/// The challenge to sign in, if some rule could allow someone this action at this path. Device, zone and hours are
/// not weighed here.
pub(crate) fn sign_in(policy: &Policy, app: &AppEntry, facts: &Facts<'_>) -> Option<Outcome> {
    let permits = || policy.at(&app.on(facts.access.action).policies).filter(|statement| statement.permits());
    let for_people = permits().filter(|statement| statement.row.as_ref().is_some_and(fit::asks_for_a_person));
    if let Some((row, unmet)) = nearest(for_people, facts).filter(|(_, unmet)| !unmet.path()) {
        let others = unmet.reasons.into_iter().filter(|reason| *reason != Reason::StepUpRequired).collect();
        return Some(Outcome::challenge(Challenge::SignIn, row.id.clone(), others));
    }
    let could = |statement: &&Statement| {
        let asks_for_a_person = !statement.scope.admits(None) || statement.reads.person();
        statement.row.is_none() && statement.scope.admits_somebody() && asks_for_a_person
    };
    let written = permits().find(could)?;
    Some(Outcome::challenge(Challenge::SignIn, written.rule.clone(), Vec::new()))
}

/// The refusal where no row is for these people, this app and this action.
fn nothing_for_it(policy: &Policy, app: &AppEntry, facts: &Facts<'_>, written_in_cedar: Option<RuleId>) -> Outcome {
    let for_other_actions = Action::ALL.into_iter().flat_map(|action| policy.at(&app.on(action).policies));
    let row = for_other_actions
        .filter(|statement| statement.permits())
        .filter_map(|statement| statement.row.as_ref())
        .find(|row| fit::is_about(row, facts.who));
    match (row, written_in_cedar) {
        (Some(row), _) => Outcome::deny(Reason::ActionNotAllowed, row.id.clone()),
        (None, Some(rule)) => Outcome::deny(Reason::RoleNotAllowed, rule),
        (None, None) => Outcome::deny(Reason::RoleNotAllowed, id(DEFAULT_DENY)),
    }
}

fn nearest<'a>(statements: impl Iterator<Item = &'a Statement>, facts: &Facts<'_>) -> Option<(&'a Rule, Unmet)> {
    statements
        .filter_map(|statement| statement.row.as_ref())
        .map(|row| (row, Unmet::of(row, facts)))
        .min_by_key(|(_, unmet)| (unmet.path(), unmet.reasons.len(), unmet.only_step_up().is_none()))
}

/// A refusal with the first of these reasons in front. Without any, table and Cedar disagree, which denies too.
fn refusal(reasons: Vec<Reason>, rule: RuleId) -> Outcome {
    let mut reasons = reasons.into_iter();
    let main = reasons.next().unwrap_or(Reason::PolicyError);
    Outcome::Deny(Reasons { main, rule, others: reasons.collect() })
}
