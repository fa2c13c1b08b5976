//! Asking for a vendor's window.

use std::time::Duration;

use policy::{GrantKind, Method, PathPattern, Timestamp, UserId};

use super::read::{GRANT, read, texts};
use super::rules::{Stop, has_one_of, not_in_force, refuse_if, words_fit, words_there};
use crate::rows;
use crate::sql::{Connection, named_params, params};
use crate::statements::events::tell;
use crate::statements::people;
use crate::{
    AskTerms, Change, GRANT_REACH_MAX, GRANT_TEXT_CHARS_MAX, GRANT_WORDS_CHARS_MAX, GRANTS_WAITING_MAX, GrantRecord,
    GrantRefusal, GrantState, NewMaintenance, PLAN_FILE_BYTES_MAX, StoreProblem,
};

/// How long ago a window may begin when it is asked for: whoever fills in a form for now needs some minutes.
const BEGUN_MAX: Duration = Duration::from_secs(15 * 60);

pub(crate) fn ask(c: &Connection, new: &NewMaintenance, terms: &AskTerms) -> Result<(), Stop> {
    words_there(&new.purpose, GRANT_WORDS_CHARS_MAX)?;
    words_fit(&new.ticket, GRANT_WORDS_CHARS_MAX)?;
    words_fit(&new.plan, GRANT_TEXT_CHARS_MAX)?;
    if let Some((file, bytes)) = &new.file {
        words_there(&file.name, GRANT_WORDS_CHARS_MAX)?;
        words_fit(&file.media_type, GRANT_WORDS_CHARS_MAX)?;
        refuse_if(bytes.len() > PLAN_FILE_BYTES_MAX, GrantRefusal::TooLarge)?;
    }
    refuse_if(new.reach.methods.len().max(new.reach.paths.len()) > GRANT_REACH_MAX, GrantRefusal::TooLarge)?;
    let person =
        people::in_force(c, &new.person).map_err(|problem| not_in_force(problem, GrantRefusal::PersonNotInForce))?;
    refuse_if(!has_one_of(&person.roles, &terms.vendor_roles), GrantRefusal::NotAVendor)?;

    let at = new.asked_at;
    refuse_if(new.end <= new.begin, GrantRefusal::Empty)?;
    refuse_if(new.end <= at || new.begin.after(BEGUN_MAX) < at, GrantRefusal::InThePast)?;
    refuse_if(new.end.since(new.begin) > terms.length_max, GrantRefusal::TooLong(terms.length_max))?;
    refuse_if(new.begin > at.after(terms.ahead_max), GrantRefusal::TooFarAhead(terms.ahead_max))?;

    let theirs = of_colleagues(c, &new.person, at.min(new.begin))?;
    let waiting = theirs.iter().filter(|one| one.person == new.person && one.state(at) == GrantState::Requested);
    refuse_if(waiting.count() >= GRANTS_WAITING_MAX, GrantRefusal::TooMany)?;
    let overlapping = theirs.iter().find(|one| {
        let alive = match one.state(at) {
            GrantState::Refused | GrantState::Withdrawn | GrantState::Lapsed => false,
            GrantState::Requested
            | GrantState::Armed
            | GrantState::Active
            | GrantState::Ended
            | GrantState::Reported
            | GrantState::Confirmed => true,
        };
        alive && one.person == new.person && one.app == new.app && one.begin < new.end && new.begin < one.over_at()
    });
    if let Some(other) = overlapping {
        return Err(GrantRefusal::Overlaps(other.id.clone()).into());
    }
    let overdue = theirs.iter().find(|one| one.due_at(at).is_some_and(|due| due <= at));
    if let Some(other) = overdue.filter(|_| terms.blocks_when_overdue) {
        return Err(GrantRefusal::Overdue(other.id.clone()).into());
    }
    insert(c, new, terms)?;
    tell(c, at, &new.asked_by, &Change::GrantRequested(new.id.clone()))?;
    Ok(())
}

fn insert(c: &Connection, new: &NewMaintenance, terms: &AskTerms) -> Result<(), StoreProblem> {
    let inserted = c.prepare_cached(
        "insert into grants (id, kind, person, app, begin, \"end\", asked_at, asked_by, purpose, ticket, plan, methods,
             paths, is_urgent, approvals_needed, report_within)
         values (:id, :kind, :person, :app, :begin, :end, :asked_at, :asked_by, :purpose, :ticket, :plan, :methods,
             :paths, :is_urgent, :approvals_needed, :report_within)
         on conflict (id) do nothing",
    )?
    .execute(named_params! {
        ":id": new.id.as_str(),
        ":kind": GrantKind::Maintenance.as_str(),
        ":person": new.person.as_str(),
        ":app": new.app.as_str(),
        ":begin": new.begin.unix_micros(),
        ":end": new.end.unix_micros(),
        ":asked_at": new.asked_at.unix_micros(),
        ":asked_by": new.asked_by,
        ":purpose": new.purpose,
        ":ticket": new.ticket,
        ":plan": new.plan,
        ":methods": texts(new.reach.methods.iter().map(Method::as_str)),
        ":paths": texts(new.reach.paths.iter().map(PathPattern::as_str)),
        ":is_urgent": new.is_urgent,
        ":approvals_needed": terms.approvals_needed.max(1),
        ":report_within": i64::try_from(terms.report_within.as_micros()).unwrap_or(i64::MAX),
    })?;
    if inserted == 0 {
        return Err(StoreProblem::Exists(new.id.to_string()));
    }
    if let Some((file, bytes)) = &new.file {
        c.prepare_cached(
            "insert into plan_files (\"grant\", name, media_type, sha256, bytes) values (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![new.id.as_str(), file.name, file.media_type, file.sha256, bytes])?;
    }
    Ok(())
}

/// The windows of a person, and of whoever comes from the same vendor, that are over after a moment or whose report is due.
fn of_colleagues(c: &Connection, person: &UserId, after: Timestamp) -> Result<Vec<GrantRecord>, StoreProblem> {
    let statement = c.prepare_cached(&format!(
        "{GRANT} where g.kind = 'maintenance' and g.confirmed_at is null and g.refused_at is null
             and g.withdrawn_at is null and (g.\"end\" > ?2 or (g.reported_at is null
                 and (g.admitted_at is not null or g.approvals_given >= g.approvals_needed)
                 and (g.ended_at is null or g.ended_at > g.begin))) and (g.person = ?1 or g.person in
             (select v.person from vendors v join vendors o on o.vendor = v.vendor where o.person = ?1))
         union all {GRANT} where g.kind = 'maintenance' and g.confirmed_at is not null and g.person = ?1
             and g.\"end\" > ?2"
    ))?;
    rows::all(statement, params![person.as_str(), after.unix_micros()], read)
}
