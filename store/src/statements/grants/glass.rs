//! Breaking the glass, and its review.

use policy::{GrantId, GrantKind, Timestamp, Unit};

use super::read::list;
use super::rules::{Stop, has_one_of, in_role, not_in_force, not_their_own, refuse_if, there, words_fit, words_there};
use crate::sql::{Connection, params};
use crate::statements::events::tell;
use crate::statements::people;
use crate::{
    Change, GRANT_WORDS_CHARS_MAX, GRANTS_READ_MAX, GlassTerms, GlassVerdict, GrantFilter, GrantRecord, GrantRefusal,
    NewGlass, Ruler, StoreProblem,
};

pub(crate) fn break_glass(c: &Connection, new: &NewGlass, terms: &GlassTerms) -> Result<(), Stop> {
    words_there(&new.reason, GRANT_WORDS_CHARS_MAX)?;
    words_there(&new.words, GRANT_WORDS_CHARS_MAX)?;
    words_fit(new.patient.as_deref().unwrap_or_default(), GRANT_WORDS_CHARS_MAX)?;
    let person =
        people::in_force(c, &new.person).map_err(|problem| not_in_force(problem, GrantRefusal::PersonNotInForce))?;
    refuse_if(has_one_of(&person.roles, &terms.vendor_roles), GrantRefusal::Vendor)?;
    refuse_if(new.end <= new.at, GrantRefusal::Empty)?;
    let filter = GrantFilter {
        kind: Some(GrantKind::Glass),
        person: Some(new.person.clone()),
        unfinished_at: Some(new.at),
        ..GrantFilter::default()
    };
    let theirs = list(c, &filter, None, GRANTS_READ_MAX)?;
    let covers = |one: &&GrantRecord| {
        one.app == new.app && one.glass().is_some_and(|glass| glass.opens_as_much_as(new)) && one.is_in_force(new.at)
    };
    if let Some(other) = theirs.iter().find(covers) {
        return Err(GrantRefusal::Overlaps(other.id.clone()).into());
    }
    let overdue = theirs.iter().find(|one| one.due_at(new.at).is_some_and(|due| due <= new.at));
    if let Some(other) = overdue.filter(|_| terms.blocks_unreviewed) {
        return Err(GrantRefusal::Overdue(other.id.clone()).into());
    }
    let inserted = c
        .prepare_cached(
            "insert into grants (id, kind, person, app, begin, \"end\", asked_at, asked_by, glass_reason, glass_words,
             patient, ward, review_due_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?5, ?3, ?7, ?8, ?9, ?10, ?11)
         on conflict (id) do nothing",
        )?
        .execute(params![
            new.id.as_str(),
            GrantKind::Glass.as_str(),
            new.person.as_str(),
            new.app.as_str(),
            new.at.unix_micros(),
            new.end.unix_micros(),
            new.reason,
            new.words,
            new.patient,
            new.ward.as_ref().map(Unit::as_str),
            new.review_due_at.unix_micros(),
        ])?;
    if inserted == 0 {
        return Err(StoreProblem::Exists(new.id.to_string()).into());
    }
    tell(c, new.at, new.person.as_str(), &Change::GlassBroken(new.id.clone()))?;
    Ok(())
}

pub(crate) fn review(
    c: &Connection,
    id: &GrantId,
    by: &Ruler,
    verdict: GlassVerdict,
    words: &str,
    at: Timestamp,
) -> Result<(), Stop> {
    match verdict {
        GlassVerdict::Justified => words_fit(words, GRANT_WORDS_CHARS_MAX)?,
        GlassVerdict::Ask | GlassVerdict::Unjustified => words_there(words, GRANT_WORDS_CHARS_MAX)?,
    }
    let grant = there(c, id)?;
    let glass = grant.glass().ok_or(GrantRefusal::NotThere)?;
    refuse_if(glass.review.is_some(), GrantRefusal::NotNow(grant.state(at)))?;
    in_role(c, by)?;
    not_their_own(c, &grant, &by.actor)?;
    c.prepare_cached(
        "update grants set verdict = ?2, reviewed_at = ?3, reviewed_by = ?4, reviewed_words = ?5 where id = ?1",
    )?
    .execute(params![id.as_str(), verdict.as_str(), at.unix_micros(), by.actor, words])?;
    tell(c, at, &by.actor, &Change::GlassReviewed(id.clone()))?;
    Ok(())
}

/// Forgets for whom glass was broken that is over and was reviewed up to a moment.
pub(crate) fn forget_patients(c: &Connection, reviewed_before: Timestamp) -> Result<u64, StoreProblem> {
    let forgotten = c
        .prepare_cached(
            "update grants set patient = null where kind = 'glass' and patient is not null and reviewed_at <= ?1
                 and (\"end\" <= ?1 or ended_at <= ?1)",
        )?
        .execute([reviewed_before.unix_micros()])?;
    Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
}
