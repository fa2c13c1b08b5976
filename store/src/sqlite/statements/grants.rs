//! Exceptions: vendors' windows and broken glass. Whatever a rule asks is looked at in the transaction that does it.

use std::time::Duration;

use policy::{AppId, GrantId, GrantKind, Method, PathPattern, RoleId, Timestamp, UserId};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, named_params, params, params_from_iter};

use super::events::tell;
use super::people;
use crate::sqlite::rows;
use crate::{
    Admission, AskTerms, Change, GRANT_REACH_MAX, GRANT_TEXT_CHARS_MAX, GRANT_WORDS_CHARS_MAX, GRANTS_READ_MAX,
    GRANTS_WAITING_MAX, Glass, GlassReview, GlassTerms, GlassVerdict, GrantAbout, GrantFilter, GrantReach, GrantRecord,
    GrantRefusal, GrantReport, GrantState, Maintenance, NewGlass, NewMaintenance, PLAN_FILE_BYTES_MAX, PlanFile, Ruler,
    Ruling, StoreProblem, is_one_person,
};

/// Why it stopped.
enum Stop {
    Problem(StoreProblem),
    Refusal(GrantRefusal),
}

impl From<StoreProblem> for Stop {
    fn from(problem: StoreProblem) -> Self {
        Self::Problem(problem)
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Problem(error.into())
    }
}

impl From<GrantRefusal> for Stop {
    fn from(refusal: GrantRefusal) -> Self {
        Self::Refusal(refusal)
    }
}

/// A refusal is an answer: nothing was written before it.
fn answer<T>(done: Result<T, Stop>) -> Result<Result<T, GrantRefusal>, StoreProblem> {
    match done {
        Ok(done) => Ok(Ok(done)),
        Err(Stop::Refusal(refusal)) => Ok(Err(refusal)),
        Err(Stop::Problem(problem)) => Err(problem),
    }
}

/// How long ago a window may begin when it is asked for: whoever fills in a form for now needs some minutes.
const BEGUN_MAX: Duration = Duration::from_secs(15 * 60);

pub(in crate::sqlite) fn ask(
    c: &Connection,
    new: &NewMaintenance,
    terms: &AskTerms,
) -> Result<Result<(), GrantRefusal>, StoreProblem> {
    answer(ask_inside(c, new, terms))
}

fn ask_inside(c: &Connection, new: &NewMaintenance, terms: &AskTerms) -> Result<(), Stop> {
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

    let theirs = of_colleagues(c, &new.person)?;
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
    c.prepare_cached(
        "insert into grants (id, kind, person, app, begin, \"end\", asked_at, asked_by, purpose, ticket, plan, methods,
             paths, is_urgent, approvals_needed, report_within)
         values (:id, :kind, :person, :app, :begin, :end, :asked_at, :asked_by, :purpose, :ticket, :plan, :methods,
             :paths, :is_urgent, :approvals_needed, :report_within)",
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
    })
    .map_err(|error| exists(error, &new.id))?;
    if let Some((file, bytes)) = &new.file {
        c.prepare_cached(
            "insert into plan_files (\"grant\", name, media_type, sha256, bytes) values (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![new.id.as_str(), file.name, file.media_type, &file.sha256[..], bytes])?;
    }
    Ok(())
}

pub(in crate::sqlite) fn approve(
    c: &Connection,
    id: &GrantId,
    by: &Ruler,
    words: &str,
    at: Timestamp,
) -> Result<Result<(), GrantRefusal>, StoreProblem> {
    answer(approve_inside(c, id, by, words, at))
}

fn approve_inside(c: &Connection, id: &GrantId, by: &Ruler, words: &str, at: Timestamp) -> Result<(), Stop> {
    words_fit(words, GRANT_WORDS_CHARS_MAX)?;
    let grant = there(c, id)?;
    let (state, one) = (grant.state(at), maintenance(&grant)?);
    let may_be_approved = state == GrantState::Requested || grant.approval_due_at().is_some();
    refuse_if(!may_be_approved, GrantRefusal::NotNow(state))?;
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

pub(in crate::sqlite) fn admit(
    c: &Connection,
    id: &GrantId,
    by: &Ruler,
    words: &str,
    due_at: Timestamp,
    at: Timestamp,
) -> Result<Result<(), GrantRefusal>, StoreProblem> {
    answer(admit_inside(c, id, by, words, due_at, at))
}

fn admit_inside(
    c: &Connection,
    id: &GrantId,
    by: &Ruler,
    words: &str,
    due_at: Timestamp,
    at: Timestamp,
) -> Result<(), Stop> {
    words_fit(words, GRANT_WORDS_CHARS_MAX)?;
    let grant = there(c, id)?;
    let state = grant.state(at);
    maintenance(&grant)?;
    refuse_if(state != GrantState::Requested, GrantRefusal::NotNow(state))?;
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

pub(in crate::sqlite) fn refuse(
    c: &Connection,
    id: &GrantId,
    by: &Ruler,
    words: &str,
    at: Timestamp,
) -> Result<Result<(), GrantRefusal>, StoreProblem> {
    answer(refuse_inside(c, id, by, words, at))
}

fn refuse_inside(c: &Connection, id: &GrantId, by: &Ruler, words: &str, at: Timestamp) -> Result<(), Stop> {
    words_there(words, GRANT_WORDS_CHARS_MAX)?;
    let grant = there(c, id)?;
    let state = grant.state(at);
    maintenance(&grant)?;
    refuse_if(state != GrantState::Requested, GrantRefusal::NotNow(state))?;
    in_role(c, by)?;
    not_their_own(c, &grant, &by.actor)?;
    c.prepare_cached("update grants set refused_at = ?2, refused_by = ?3, refused_words = ?4 where id = ?1")?
        .execute(params![id.as_str(), at.unix_micros(), by.actor, words])?;
    tell(c, at, &by.actor, &Change::GrantRefused(id.clone()))?;
    Ok(())
}

pub(in crate::sqlite) fn withdraw(
    c: &Connection,
    id: &GrantId,
    actor: &str,
    words: &str,
    at: Timestamp,
) -> Result<Result<(), GrantRefusal>, StoreProblem> {
    answer(withdraw_inside(c, id, actor, words, at))
}

fn withdraw_inside(c: &Connection, id: &GrantId, actor: &str, words: &str, at: Timestamp) -> Result<(), Stop> {
    words_fit(words, GRANT_WORDS_CHARS_MAX)?;
    let grant = there(c, id)?;
    let state = grant.state(at);
    maintenance(&grant)?;
    refuse_if(state != GrantState::Requested, GrantRefusal::NotNow(state))?;
    refuse_if(!is_their_own(c, &grant, actor)?, GrantRefusal::NotInRole)?;
    c.prepare_cached("update grants set withdrawn_at = ?2, withdrawn_by = ?3, withdrawn_words = ?4 where id = ?1")?
        .execute(params![id.as_str(), at.unix_micros(), actor, words])?;
    tell(c, at, actor, &Change::GrantWithdrawn(id.clone()))?;
    Ok(())
}

pub(in crate::sqlite) fn end(
    c: &Connection,
    id: &GrantId,
    by: &Ruler,
    why: &str,
    at: Timestamp,
) -> Result<Result<(), GrantRefusal>, StoreProblem> {
    answer(end_inside(c, id, by, why, at))
}

fn end_inside(c: &Connection, id: &GrantId, by: &Ruler, why: &str, at: Timestamp) -> Result<(), Stop> {
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

pub(in crate::sqlite) fn report(
    c: &Connection,
    id: &GrantId,
    report: &GrantReport,
) -> Result<Result<(), GrantRefusal>, StoreProblem> {
    answer(report_inside(c, id, report))
}

fn report_inside(c: &Connection, id: &GrantId, report: &GrantReport) -> Result<(), Stop> {
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

pub(in crate::sqlite) fn confirm(
    c: &Connection,
    id: &GrantId,
    by: &Ruler,
    words: &str,
    at: Timestamp,
) -> Result<Result<(), GrantRefusal>, StoreProblem> {
    answer(confirm_inside(c, id, by, words, at))
}

fn confirm_inside(c: &Connection, id: &GrantId, by: &Ruler, words: &str, at: Timestamp) -> Result<(), Stop> {
    words_fit(words, GRANT_WORDS_CHARS_MAX)?;
    let grant = there(c, id)?;
    let (state, one) = (grant.state(at), maintenance(&grant)?);
    refuse_if(state != GrantState::Reported, GrantRefusal::NotNow(state))?;
    in_role(c, by)?;
    not_their_own(c, &grant, &by.actor)?;
    if let Some(report) = &one.report {
        refuse_if(is_same_person(c, &report.by, &by.actor)?, GrantRefusal::TheirOwn)?;
    }
    refuse_if(!one.is_approved(), GrantRefusal::NotApproved)?;
    c.prepare_cached("update grants set confirmed_at = ?2, confirmed_by = ?3, confirmed_words = ?4 where id = ?1")?
        .execute(params![id.as_str(), at.unix_micros(), by.actor, words])?;
    tell(c, at, &by.actor, &Change::GrantConfirmed(id.clone()))?;
    Ok(())
}

pub(in crate::sqlite) fn break_glass(
    c: &Connection,
    new: &NewGlass,
    terms: &GlassTerms,
) -> Result<Result<(), GrantRefusal>, StoreProblem> {
    answer(break_inside(c, new, terms))
}

fn break_inside(c: &Connection, new: &NewGlass, terms: &GlassTerms) -> Result<(), Stop> {
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
        unfinished: true,
        ..GrantFilter::default()
    };
    let theirs = list(c, &filter, None, GRANTS_READ_MAX)?;
    let covers = |one: &&GrantRecord| {
        let same = one.glass().is_some_and(|glass| glass.patient.is_none() || glass.patient == new.patient);
        one.app == new.app && same && one.is_in_force(new.at)
    };
    if let Some(other) = theirs.iter().find(covers) {
        return Err(GrantRefusal::Overlaps(other.id.clone()).into());
    }
    let overdue = theirs.iter().find(|one| one.due_at(new.at).is_some_and(|due| due <= new.at));
    if let Some(other) = overdue.filter(|_| terms.blocks_unreviewed) {
        return Err(GrantRefusal::Overdue(other.id.clone()).into());
    }
    c.prepare_cached(
        "insert into grants (id, kind, person, app, begin, \"end\", asked_at, asked_by, glass_reason, glass_words,
             patient, review_due_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?5, ?3, ?7, ?8, ?9, ?10)",
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
        new.review_due_at.unix_micros(),
    ])
    .map_err(|error| exists(error, &new.id))?;
    tell(c, new.at, new.person.as_str(), &Change::GlassBroken(new.id.clone()))?;
    Ok(())
}

pub(in crate::sqlite) fn review(
    c: &Connection,
    id: &GrantId,
    by: &Ruler,
    verdict: GlassVerdict,
    words: &str,
    at: Timestamp,
) -> Result<Result<(), GrantRefusal>, StoreProblem> {
    answer(review_inside(c, id, by, verdict, words, at))
}

fn review_inside(
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

// What rules ask.

fn refuse_if(is_so: bool, refusal: GrantRefusal) -> Result<(), GrantRefusal> {
    if is_so { Err(refusal) } else { Ok(()) }
}

fn words_fit(words: &str, chars_max: usize) -> Result<(), GrantRefusal> {
    refuse_if(words.chars().count() > chars_max, GrantRefusal::TooLarge)
}

fn words_there(words: &str, chars_max: usize) -> Result<(), GrantRefusal> {
    refuse_if(words.trim().is_empty(), GrantRefusal::NoWords)?;
    words_fit(words, chars_max)
}

fn has_one_of(roles: &[RoleId], wanted: &[RoleId]) -> bool {
    roles.iter().any(|role| wanted.contains(role))
}

/// Whoever is not in force is refused; any other problem is one.
fn not_in_force(problem: StoreProblem, refusal: GrantRefusal) -> Stop {
    match problem {
        StoreProblem::NotInForce(_) => Stop::Refusal(refusal),
        problem @ (StoreProblem::Unavailable(_)
        | StoreProblem::Corrupt(_)
        | StoreProblem::Exists(_)
        | StoreProblem::Full) => Stop::Problem(problem),
    }
}

fn there(c: &Connection, id: &GrantId) -> Result<GrantRecord, Stop> {
    one(c, id)?.ok_or_else(|| GrantRefusal::NotThere.into())
}

fn maintenance(grant: &GrantRecord) -> Result<&Maintenance, GrantRefusal> {
    grant.maintenance().ok_or(GrantRefusal::NotThere)
}

/// Whoever decides is in force and has one of the roles at this very moment; whoever works at the machine has none to
/// lose.
fn in_role(c: &Connection, by: &Ruler) -> Result<(), Stop> {
    if by.actor.starts_with(AT_THE_MACHINE) {
        return Ok(());
    }
    let id = UserId::parse(&by.actor).map_err(|_| GrantRefusal::NotInRole)?;
    let person = people::in_force(c, &id).map_err(|problem| not_in_force(problem, GrantRefusal::NotInRole))?;
    Ok(refuse_if(!has_one_of(&person.roles, &by.roles), GrantRefusal::NotInRole)?)
}

/// What the names of those who work at the machine begin with.
const AT_THE_MACHINE: &str = "cli:";

fn is_their_own(c: &Connection, grant: &GrantRecord, actor: &str) -> Result<bool, StoreProblem> {
    Ok(is_same_person(c, grant.person.as_str(), actor)? || is_same_person(c, &grant.asked_by, actor)?)
}

fn not_their_own(c: &Connection, grant: &GrantRecord, actor: &str) -> Result<(), Stop> {
    Ok(refuse_if(is_their_own(c, grant, actor)?, GrantRefusal::TheirOwn)?)
}

/// Whether two actors are one person, as far as can be known: also where one works at the machine under the name that
/// the other signs in with.
fn is_same_person(c: &Connection, one: &str, other: &str) -> Result<bool, StoreProblem> {
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

/// The windows of a person and of whoever comes from the same vendor.
fn of_colleagues(c: &Connection, person: &UserId) -> Result<Vec<GrantRecord>, StoreProblem> {
    let statement = c.prepare_cached(&format!(
        "{GRANT} where g.kind = 'maintenance' and g.confirmed_at is null and g.refused_at is null
             and g.withdrawn_at is null and (g.person = ?1 or g.person in
             (select v.person from vendors v join vendors o on o.vendor = v.vendor where o.person = ?1))
         union all {GRANT} where g.kind = 'maintenance' and g.confirmed_at is not null and g.person = ?1"
    ))?;
    rows::all(statement, [person.as_str()], read)
}

// Reading.

/// Exceptions with what is known of the file that came with each.
const GRANT: &str = "select g.*, f.name as file_name, f.media_type as file_type, f.sha256 as file_sha256,
        length(f.bytes) as file_bytes
    from grants g left join plan_files f on f.\"grant\" = g.id";

pub(in crate::sqlite) fn one(c: &Connection, id: &GrantId) -> Result<Option<GrantRecord>, StoreProblem> {
    rows::one(c.prepare_cached(&format!("{GRANT} where g.id = ?1"))?, [id.as_str()], read)
}

pub(in crate::sqlite) fn list(
    c: &Connection,
    filter: &GrantFilter,
    after: Option<&GrantId>,
    most: usize,
) -> Result<Vec<GrantRecord>, StoreProblem> {
    let mut conditions = vec!["true".to_owned()];
    let mut values: Vec<Value> = Vec::new();
    let mut also = |condition: &str, value: Value| {
        values.push(value);
        conditions.push(condition.replace('?', &format!("?{}", values.len())));
    };
    if let Some(kind) = filter.kind {
        also("g.kind = ?", kind.as_str().to_owned().into());
    }
    if let Some(person) = &filter.person {
        also("g.person = ?", person.as_str().to_owned().into());
    }
    if let Some(app) = &filter.app {
        also("g.app = ?", app.as_str().to_owned().into());
    }
    if let Some(at) = filter.not_over_at {
        also("g.\"end\" > ?", at.unix_micros().into());
        also("(g.ended_at is null or g.ended_at > ?)", at.unix_micros().into());
        also(
            "(g.kind = ? or (g.refused_at is null and g.withdrawn_at is null
                 and (g.admitted_at is not null or g.approvals_given >= g.approvals_needed)))",
            GrantKind::Glass.as_str().to_owned().into(),
        );
    }
    if let Some(after) = after {
        also("g.number < (select number from grants where id = ?)", after.as_str().to_owned().into());
    }
    if filter.unfinished {
        conditions.push(
            "g.refused_at is null and g.withdrawn_at is null and g.confirmed_at is null and g.reviewed_at is null"
                .to_owned(),
        );
    }
    let most = i64::try_from(most.min(GRANTS_READ_MAX)).unwrap_or(i64::MAX);
    let query = format!("{GRANT} where {} order by g.number desc limit {most}", conditions.join(" and "));
    rows::all(c.prepare_cached(&query)?, params_from_iter(values), read)
}

pub(in crate::sqlite) fn file(c: &Connection, id: &GrantId) -> Result<Option<(PlanFile, Vec<u8>)>, StoreProblem> {
    let statement = c.prepare_cached(
        "select name as file_name, media_type as file_type, sha256 as file_sha256, length(bytes) as file_bytes, bytes
         from plan_files where \"grant\" = ?1",
    )?;
    let read = |row: &Row<'_>| match read_file(row)? {
        Some(file) => Ok(Some((file, row.get::<_, Vec<u8>>("bytes")?))),
        None => Ok(None),
    };
    Ok(rows::one(statement, [id.as_str()], read)?.flatten())
}

fn read_file(row: &Row<'_>) -> Result<Option<PlanFile>, StoreProblem> {
    let Some(name) = row.get::<_, Option<String>>("file_name")? else { return Ok(None) };
    Ok(Some(PlanFile {
        name,
        media_type: row.get("file_type")?,
        bytes: row.get::<_, i64>("file_bytes")?.unsigned_abs(),
        sha256: rows::parsed_from(row, "file_sha256", |bytes: Vec<u8>| bytes.try_into().ok())?,
    }))
}

fn read(row: &Row<'_>) -> Result<GrantRecord, StoreProblem> {
    let about = match rows::parsed(row, "kind", GrantKind::parse)? {
        GrantKind::Maintenance => GrantAbout::Maintenance(Box::new(read_maintenance(row)?)),
        GrantKind::Glass => GrantAbout::Glass(Box::new(read_glass(row)?)),
    };
    Ok(GrantRecord {
        id: rows::parsed(row, "id", |text| GrantId::parse(text).ok())?,
        kind: rows::parsed(row, "kind", GrantKind::parse)?,
        person: rows::parsed(row, "person", |text| UserId::parse(text).ok())?,
        app: rows::parsed(row, "app", |text| AppId::parse(text).ok())?,
        begin: rows::moment(row, "begin")?,
        end: rows::moment(row, "end")?,
        asked_at: rows::moment(row, "asked_at")?,
        asked_by: row.get("asked_by")?,
        about,
        ended: ruling(row, ["ended_at", "ended_by", "ended_words"])?,
    })
}

fn read_maintenance(row: &Row<'_>) -> Result<Maintenance, StoreProblem> {
    let admitted = ruling(row, ["admitted_at", "admitted_by", "admitted_words"])?;
    let due_at = rows::moment_or_none(row, "approval_due_at")?;
    let report = match (row.get::<_, Option<String>>("report")?, rows::moment_or_none(row, "reported_at")?) {
        (Some(text), Some(at)) => {
            let draft = row.get::<_, Option<String>>("draft")?.unwrap_or_default();
            Some(GrantReport { draft, text, at, by: row.get("reported_by")? })
        }
        (Some(_), None) | (None, _) => None,
    };
    Ok(Maintenance {
        purpose: row.get("purpose")?,
        ticket: row.get("ticket")?,
        plan: row.get("plan")?,
        file: read_file(row)?,
        reach: GrantReach {
            methods: rows::parsed(row, "methods", |text| read_list(text, Method::parse))?,
            paths: rows::parsed(row, "paths", |text| read_list(text, |path| PathPattern::parse(path).ok()))?,
        },
        is_urgent: row.get("is_urgent")?,
        approvals_needed: row.get("approvals_needed")?,
        approvals: rows::parsed(row, "approvals", read_rulings)?,
        admitted: admitted.zip(due_at).map(|(by, due_at)| Admission { by, due_at }),
        refused: ruling(row, ["refused_at", "refused_by", "refused_words"])?,
        withdrawn: ruling(row, ["withdrawn_at", "withdrawn_by", "withdrawn_words"])?,
        report_within: Duration::from_micros(row.get::<_, i64>("report_within")?.unsigned_abs()),
        report,
        confirmed: ruling(row, ["confirmed_at", "confirmed_by", "confirmed_words"])?,
    })
}

fn read_glass(row: &Row<'_>) -> Result<Glass, StoreProblem> {
    let verdict = rows::parsed_or_none(row, "verdict", GlassVerdict::parse)?;
    let by = ruling(row, ["reviewed_at", "reviewed_by", "reviewed_words"])?;
    Ok(Glass {
        reason: row.get("glass_reason")?,
        words: row.get("glass_words")?,
        patient: row.get("patient")?,
        review_due_at: rows::moment(row, "review_due_at")?,
        review: verdict.zip(by).map(|(verdict, by)| GlassReview { verdict, by }),
    })
}

/// When, who, in which words; none where nobody did it.
fn ruling(row: &Row<'_>, [at, by, words]: [&str; 3]) -> Result<Option<Ruling>, StoreProblem> {
    let Some(at) = rows::moment_or_none(row, at)? else { return Ok(None) };
    Ok(Some(Ruling { at, by: row.get(by)?, words: row.get::<_, Option<String>>(words)?.unwrap_or_default() }))
}

/// Rulings as they are kept: a JSON array of arrays.
fn rulings(rulings: &[&Ruling]) -> String {
    let one = |ruling: &&Ruling| serde_json::json!([ruling.at.unix_micros(), ruling.by, ruling.words]);
    serde_json::Value::from_iter(rulings.iter().map(one)).to_string()
}

fn read_rulings(text: &str) -> Option<Vec<Ruling>> {
    let kept: Vec<(i64, String, String)> = serde_json::from_str(text).ok()?;
    let one = |(at, by, words)| Ruling { at: Timestamp::from_unix_micros(at), by, words };
    Some(kept.into_iter().map(one).collect())
}

/// Texts as they are kept: a JSON array.
fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    serde_json::Value::from_iter(texts).to_string()
}

fn read_list<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let kept: Vec<String> = serde_json::from_str(text).ok()?;
    kept.iter().map(|one| parse(one)).collect()
}

fn exists(error: rusqlite::Error, id: &GrantId) -> StoreProblem {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => StoreProblem::Exists(id.to_string()),
        Some(_) | None => error.into(),
    }
}
