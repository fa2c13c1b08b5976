//! Exceptions: vendors' windows and broken glass. Whatever a rule asks is looked at in the transaction that does it.

mod ask;
mod glass;
mod overdue;
mod read;
mod rules;

use policy::{GrantId, Timestamp};

use super::events::tell;
use super::people;
use crate::sql::{Connection, params};
use crate::{
    Change, GRANT_ADMITTED_AHEAD_MAX, GRANT_TEXT_CHARS_MAX, GRANT_WORDS_CHARS_MAX, GrantConfirmation, GrantRefusal,
    GrantReport, GrantState, Ruler, Ruling,
};
pub(crate) use ask::ask;
pub(crate) use glass::{break_glass, forget_patients, review};
pub(crate) use overdue::note_overdue;
use read::rulings;
pub(crate) use read::{file, list, one};
pub(crate) use rules::answer;
use rules::{
    Stop, in_role, is_same_person, is_their_own, maintenance, not_in_force, not_their_own, refuse_if, requested, there,
    words_fit, words_there,
};

pub(crate) fn approve(c: &Connection, id: &GrantId, by: &Ruler, words: &str, at: Timestamp) -> Result<(), Stop> {
    words_fit(words, GRANT_WORDS_CHARS_MAX)?;
    let grant = there(c, id)?;
    let (state, one) = (grant.state(at), maintenance(&grant)?);
    let makes_up = grant.approval_due_at().is_some();
    refuse_if(state != GrantState::Requested && !makes_up, GrantRefusal::NotNow(state))?;
    if makes_up {
        // Why somebody was let in before must at last be told.
        words_there(words, GRANT_WORDS_CHARS_MAX)?;
    }
    in_role(c, by)?;
    not_their_own(c, &grant, &by.actor)?;
    for before in &one.approvals {
        refuse_if(is_same_person(c, &before.by, &by.actor)?, GrantRefusal::SamePerson)?;
    }
    people::in_force(c, &grant.person).map_err(|problem| not_in_force(problem, GrantRefusal::PersonNotInForce))?;
    let approval = Ruling { at, by: by.actor.clone(), words: words.to_owned() };
    let approvals: Vec<&Ruling> = one.approvals.iter().chain([&approval]).collect();
    let given = i64::try_from(approvals.len()).unwrap_or(i64::MAX);
    c.prepare_cached("update grants set approvals = ?2, approvals_given = ?3 where id = ?1")?.execute(params![
        id.as_str(),
        rulings(&approvals),
        given
    ])?;
    tell(c, at, &by.actor, &Change::GrantApproved(id.clone()))?;
    Ok(())
}

pub(crate) fn admit(
    c: &Connection,
    id: &GrantId,
    by: &Ruler,
    words: &str,
    due_at: Timestamp,
    at: Timestamp,
) -> Result<(), Stop> {
    words_fit(words, GRANT_WORDS_CHARS_MAX)?;
    let grant = requested(c, id, at)?;
    let is_far = grant.begin > at.after(GRANT_ADMITTED_AHEAD_MAX);
    refuse_if(is_far, GrantRefusal::TooFarAhead(GRANT_ADMITTED_AHEAD_MAX))?;
    in_role(c, by)?;
    not_their_own(c, &grant, &by.actor)?;
    people::in_force(c, &grant.person).map_err(|problem| not_in_force(problem, GrantRefusal::PersonNotInForce))?;
    c.prepare_cached(
        "update grants set admitted_at = ?2, admitted_by = ?3, admitted_words = ?4, approval_due_at = ?5 where id = ?1",
    )?
    .execute(params![id.as_str(), at.unix_micros(), by.actor, words, due_at.unix_micros()])?;
    tell(c, at, &by.actor, &Change::GrantAdmitted(id.clone()))?;
    Ok(())
}

pub(crate) fn refuse(c: &Connection, id: &GrantId, by: &Ruler, words: &str, at: Timestamp) -> Result<(), Stop> {
    words_there(words, GRANT_WORDS_CHARS_MAX)?;
    let grant = requested(c, id, at)?;
    in_role(c, by)?;
    not_their_own(c, &grant, &by.actor)?;
    c.prepare_cached("update grants set refused_at = ?2, refused_by = ?3, refused_words = ?4 where id = ?1")?
        .execute(params![id.as_str(), at.unix_micros(), by.actor, words])?;
    tell(c, at, &by.actor, &Change::GrantRefused(id.clone()))?;
    Ok(())
}

pub(crate) fn withdraw(c: &Connection, id: &GrantId, actor: &str, words: &str, at: Timestamp) -> Result<(), Stop> {
    words_fit(words, GRANT_WORDS_CHARS_MAX)?;
    let grant = requested(c, id, at)?;
    refuse_if(!is_their_own(c, &grant, actor)?, GrantRefusal::NotInRole)?;
    c.prepare_cached("update grants set withdrawn_at = ?2, withdrawn_by = ?3, withdrawn_words = ?4 where id = ?1")?
        .execute(params![id.as_str(), at.unix_micros(), actor, words])?;
    tell(c, at, actor, &Change::GrantWithdrawn(id.clone()))?;
    Ok(())
}

pub(crate) fn end(c: &Connection, id: &GrantId, by: &Ruler, why: &str, at: Timestamp) -> Result<(), Stop> {
    words_fit(why, GRANT_WORDS_CHARS_MAX)?;
    let grant = there(c, id)?;
    match grant.state(at) {
        GrantState::Armed | GrantState::Active => {}
        state @ (GrantState::Requested
        | GrantState::Lapsed
        | GrantState::Refused
        | GrantState::Withdrawn
        | GrantState::Ended
        | GrantState::Reported
        | GrantState::Confirmed) => return Err(GrantRefusal::NotNow(state).into()),
    }
    if !is_their_own(c, &grant, &by.actor)? {
        in_role(c, by)?;
    }
    c.prepare_cached("update grants set ended_at = ?2, ended_by = ?3, ended_words = ?4 where id = ?1")?
        .execute(params![id.as_str(), at.unix_micros(), by.actor, why])?;
    tell(c, at, &by.actor, &Change::GrantEnded(id.clone()))?;
    Ok(())
}

pub(crate) fn report(c: &Connection, id: &GrantId, report: &GrantReport) -> Result<(), Stop> {
    words_there(&report.text, GRANT_TEXT_CHARS_MAX)?;
    words_fit(&report.draft, GRANT_TEXT_CHARS_MAX)?;
    let grant = there(c, id)?;
    let state = grant.state(report.at);
    maintenance(&grant)?;
    refuse_if(state != GrantState::Ended && state != GrantState::Reported, GrantRefusal::NotNow(state))?;
    refuse_if(!is_their_own(c, &grant, &report.by)?, GrantRefusal::NotInRole)?;
    c.prepare_cached("update grants set draft = ?2, report = ?3, reported_at = ?4, reported_by = ?5 where id = ?1")?
        .execute(params![id.as_str(), report.draft, report.text, report.at.unix_micros(), report.by])?;
    tell(c, report.at, &report.by, &Change::GrantReported(id.clone()))?;
    Ok(())
}

pub(crate) fn confirm(
    c: &Connection,
    id: &GrantId,
    by: &Ruler,
    confirmation: &GrantConfirmation,
    at: Timestamp,
) -> Result<(), Stop> {
    let GrantConfirmation { reported_at, draft, words } = confirmation;
    words_fit(words, GRANT_WORDS_CHARS_MAX)?;
    words_fit(draft.as_deref().unwrap_or_default(), GRANT_TEXT_CHARS_MAX)?;
    let grant = there(c, id)?;
    let (state, one) = (grant.state(at), maintenance(&grant)?);
    refuse_if(state != GrantState::Reported, GrantRefusal::NotNow(state))?;
    in_role(c, by)?;
    not_their_own(c, &grant, &by.actor)?;
    if let Some(report) = &one.report {
        // Another report than the one they were shown may have come since.
        refuse_if(reported_at.is_some_and(|shown| shown != report.at), GrantRefusal::NotNow(state))?;
        refuse_if(is_same_person(c, &report.by, &by.actor)?, GrantRefusal::TheirOwn)?;
    }
    refuse_if(!one.is_approved(), GrantRefusal::NotApproved)?;
    c.prepare_cached(
        "update grants set confirmed_at = ?2, confirmed_by = ?3, confirmed_words = ?4, draft = coalesce(?5, draft)
         where id = ?1",
    )?
    .execute(params![id.as_str(), at.unix_micros(), by.actor, words, draft])?;
    tell(c, at, &by.actor, &Change::GrantConfirmed(id.clone()))?;
    Ok(())
}
