//! What every change of an exception asks first: words that fit, people in force, roles that are theirs at that moment,
//! and never their own.

use policy::{GrantId, RoleId, Timestamp, UserId};

use super::read::one;
use crate::sql::Connection;
use crate::statements::people;
use crate::{GrantRecord, GrantRefusal, GrantState, Maintenance, Ruler, StoreProblem, is_one_person};

/// Why it stopped.
pub(crate) enum Stop {
    Problem(StoreProblem),
    Refusal(GrantRefusal),
}

impl From<StoreProblem> for Stop {
    fn from(problem: StoreProblem) -> Self {
        Self::Problem(problem)
    }
}

impl From<GrantRefusal> for Stop {
    fn from(refusal: GrantRefusal) -> Self {
        Self::Refusal(refusal)
    }
}

/// A refusal is an answer: nothing was written before it.
pub(crate) fn answer<T>(done: Result<T, Stop>) -> Result<Result<T, GrantRefusal>, StoreProblem> {
    match done {
        Ok(done) => Ok(Ok(done)),
        Err(Stop::Refusal(refusal)) => Ok(Err(refusal)),
        Err(Stop::Problem(problem)) => Err(problem),
    }
}

pub(super) fn refuse_if(is_so: bool, refusal: GrantRefusal) -> Result<(), GrantRefusal> {
    if is_so { Err(refusal) } else { Ok(()) }
}

pub(super) fn words_fit(words: &str, chars_max: usize) -> Result<(), GrantRefusal> {
    refuse_if(words.chars().count() > chars_max, GrantRefusal::TooLarge)
}

pub(super) fn words_there(words: &str, chars_max: usize) -> Result<(), GrantRefusal> {
    refuse_if(words.trim().is_empty(), GrantRefusal::NoWords)?;
    words_fit(words, chars_max)
}

pub(super) fn has_one_of(roles: &[RoleId], wanted: &[RoleId]) -> bool {
    roles.iter().any(|role| wanted.contains(role))
}

/// Whoever is not in force is refused; any other problem is one.
pub(super) fn not_in_force(problem: StoreProblem, refusal: GrantRefusal) -> Stop {
    match problem {
        StoreProblem::NotInForce(_) => Stop::Refusal(refusal),
        problem @ (StoreProblem::Unavailable(_)
        | StoreProblem::Corrupt(_)
        | StoreProblem::Exists(_)
        | StoreProblem::Full) => Stop::Problem(problem),
    }
}

pub(super) fn there(c: &Connection, id: &GrantId) -> Result<GrantRecord, Stop> {
    one(c, id)?.ok_or_else(|| GrantRefusal::NotThere.into())
}

/// A vendor's window that waits for its approval.
pub(super) fn requested(c: &Connection, id: &GrantId, at: Timestamp) -> Result<GrantRecord, Stop> {
    let grant = there(c, id)?;
    let state = grant.state(at);
    maintenance(&grant)?;
    refuse_if(state != GrantState::Requested, GrantRefusal::NotNow(state))?;
    Ok(grant)
}

pub(super) fn maintenance(grant: &GrantRecord) -> Result<&Maintenance, GrantRefusal> {
    grant.maintenance().ok_or(GrantRefusal::NotThere)
}

/// Whoever decides is in force and has one of the roles at this very moment; whoever works at the machine has none to
/// lose.
pub(super) fn in_role(c: &Connection, by: &Ruler) -> Result<(), Stop> {
    if by.actor.starts_with(AT_THE_MACHINE) {
        return Ok(());
    }
    let id = UserId::parse(&by.actor).map_err(|_| GrantRefusal::NotInRole)?;
    let person = people::in_force(c, &id).map_err(|problem| not_in_force(problem, GrantRefusal::NotInRole))?;
    Ok(refuse_if(!has_one_of(&person.roles, &by.roles), GrantRefusal::NotInRole)?)
}

/// What the names of those who work at the machine begin with.
pub(super) const AT_THE_MACHINE: &str = "cli:";

pub(super) fn is_their_own(c: &Connection, grant: &GrantRecord, actor: &str) -> Result<bool, StoreProblem> {
    Ok(is_same_person(c, grant.person.as_str(), actor)? || is_same_person(c, &grant.asked_by, actor)?)
}

pub(super) fn not_their_own(c: &Connection, grant: &GrantRecord, actor: &str) -> Result<(), Stop> {
    Ok(refuse_if(is_their_own(c, grant, actor)?, GrantRefusal::TheirOwn)?)
}

/// Whether two actors are one person, as far as can be known: also where one works at the machine under the name that
/// the other signs in with.
pub(super) fn is_same_person(c: &Connection, one: &str, other: &str) -> Result<bool, StoreProblem> {
    if is_one_person(one, other) {
        return Ok(true);
    }
    let at_the_machine = |actor: &str| -> Result<Option<String>, StoreProblem> {
        let Ok(id) = UserId::parse(actor) else { return Ok(None) };
        Ok(people::person(c, &id)?.map(|person| format!("{AT_THE_MACHINE}{}", person.login)))
    };
    let is = |known: Option<String>, actor: &str| known.is_some_and(|known| is_one_person(&known, actor));
    Ok(is(at_the_machine(one)?, other) || is(at_the_machine(other)?, one))
}
