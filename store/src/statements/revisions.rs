//! Versions of configuration and policy.

use policy::{Revision, Timestamp};
use serde_json::{Value, json};

use super::events::tell;
use crate::rows;
use crate::sql::{Connection, Row, params};
use crate::{
    Approval, Change, Difference, KeptFile, NewRevision, PolicyRevision, REVISIONS_MAX, StoreProblem, is_one_person,
};

pub(crate) fn propose(c: &Connection, new: &NewRevision, replay: Option<&str>) -> Result<u64, StoreProblem> {
    let mut insert = c.prepare_cached(
        "insert into policy_revisions
             (revision, files, difference, why, proposed_at, proposed_by, waits, next_waits)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) returning number",
    )?;
    let given = params![
        new.revision.as_str(),
        pairs(new.files.iter().map(|file| (&file.path, &file.text))),
        pairs(new.difference.iter().map(|one| (&one.ja, &one.en))),
        new.why,
        new.proposed_at.unix_micros(),
        new.proposed_by,
        new.waits,
        new.next_waits,
    ];
    let number = insert.query_row(given, |row| row.get::<_, i64>(0))?.unsigned_abs();
    if let Some(report) = replay {
        c.prepare_cached("insert into policy_replays (number, report) values (?1, ?2)")?
            .execute(params![key(number), report])?;
    }
    let dropped = i64::try_from(number.saturating_sub(REVISIONS_MAX)).unwrap_or(0);
    // The version in force stays, however long ago it came.
    c.prepare_cached(
        "delete from policy_revisions where number <= ?1 and number <> coalesce(
             (select number from policy_revisions where activated_at is not null
              order by activated_at desc, number desc limit 1), 0)",
    )?
    .execute([dropped])?;
    tell(c, new.proposed_at, &new.proposed_by, &Change::PolicyProposed(number))?;
    Ok(number)
}

pub(crate) fn approve(c: &Connection, number: u64, at: Timestamp, actor: &str) -> Result<Approval, StoreProblem> {
    let Some(kept) = one(c, number)? else { return Ok(Approval::NotWaiting) };
    if !kept.proposal.waits || kept.approved.is_some() {
        return Ok(Approval::NotWaiting);
    }
    if is_one_person(&kept.proposal.proposed_by, actor) {
        return Ok(Approval::SamePerson);
    }
    c.prepare_cached("update policy_revisions set approved_at = ?2, approved_by = ?3 where number = ?1")?
        .execute(params![key(number), at.unix_micros(), actor])?;
    tell(c, at, actor, &Change::PolicyApproved(number))?;
    Ok(Approval::Given)
}

pub(crate) fn activated(c: &Connection, number: u64, at: Timestamp) -> Result<bool, StoreProblem> {
    let changed = c
        .prepare_cached(
            "update policy_revisions set activated_at = ?2
             where number = ?1 and activated_at is null and (waits = 0 or approved_at is not null)",
        )?
        .execute(params![key(number), at.unix_micros()])?;
    Ok(changed > 0)
}

pub(crate) fn one(c: &Connection, number: u64) -> Result<Option<PolicyRevision>, StoreProblem> {
    rows::one(c.prepare_cached("select * from policy_revisions where number = ?1")?, [key(number)], read)
}

pub(crate) fn replay(c: &Connection, number: u64) -> Result<Option<String>, StoreProblem> {
    let kept = c.prepare_cached("select report from policy_replays where number = ?1")?;
    rows::one(kept, [key(number)], |row| row.get("report"))
}

pub(crate) fn list(c: &Connection, most: usize) -> Result<Vec<PolicyRevision>, StoreProblem> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    rows::all(c.prepare_cached("select * from policy_revisions order by number desc limit ?1")?, [most], read)
}

pub(crate) fn last_activated(c: &Connection) -> Result<Option<PolicyRevision>, StoreProblem> {
    let last = "select * from policy_revisions where activated_at is not null order by activated_at desc, number desc
                limit 1";
    rows::one(c.prepare_cached(last)?, (), read)
}

pub(crate) fn list_activated(c: &Connection, most: usize) -> Result<Vec<PolicyRevision>, StoreProblem> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let list = "select * from policy_revisions where activated_at is not null order by activated_at desc, number desc
                limit ?1";
    rows::all(c.prepare_cached(list)?, [most], read)
}

pub(crate) fn waiting_to_come(c: &Connection, revision: &Revision) -> Result<Option<PolicyRevision>, StoreProblem> {
    // What was proposed or approved before another version came into force was meant to follow an earlier one.
    let newest = "select * from policy_revisions
                  where revision = ?1 and activated_at is null and (waits = 0 or approved_at is not null)
                    and coalesce(approved_at, proposed_at) > (select coalesce(max(activated_at), 0) from policy_revisions)
                  order by number desc limit 1";
    rows::one(c.prepare_cached(newest)?, [revision.as_str()], read)
}

fn key(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn read(row: &Row) -> Result<PolicyRevision, StoreProblem> {
    let approved_at = rows::moment_or_none(row, "approved_at")?;
    let approved_by: Option<String> = row.get("approved_by")?;
    let proposal = NewRevision {
        revision: rows::parsed(row, "revision", |text| Revision::parse(text).ok())?,
        files: rows::parsed(row, "files", |text| read_pairs(text, |path, text| KeptFile { path, text }))?,
        difference: rows::parsed(row, "difference", |text| read_pairs(text, |ja, en| Difference { ja, en }))?,
        why: row.get("why")?,
        proposed_at: rows::moment(row, "proposed_at")?,
        proposed_by: row.get("proposed_by")?,
        waits: row.get("waits")?,
        next_waits: row.get("next_waits")?,
    };
    Ok(PolicyRevision {
        number: row.get::<_, i64>("number")?.unsigned_abs(),
        proposal,
        approved: approved_at.zip(approved_by),
        activated_at: rows::moment_or_none(row, "activated_at")?,
    })
}

/// Pairs of texts as they are kept: a JSON array of arrays.
fn pairs<'a>(pairs: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    Value::from_iter(pairs.map(|(one, other)| json!([one, other]))).to_string()
}

fn read_pairs<T>(text: &str, make: impl Fn(String, String) -> T) -> Option<Vec<T>> {
    let pairs: Vec<(String, String)> = serde_json::from_str(text).ok()?;
    Some(pairs.into_iter().map(|(one, other)| make(one, other)).collect())
}
