//! Rows to exceptions.

use std::time::Duration;

use policy::{AppId, GrantId, GrantKind, Method, PathPattern, Timestamp, Unit, UserId};

use crate::conditions::Conditions;
use crate::rows;
use crate::sql::{Connection, Row};
use crate::{
    Admission, GRANTS_READ_MAX, Glass, GlassReview, GlassVerdict, GrantAbout, GrantFilter, GrantReach, GrantRecord,
    GrantReport, Maintenance, PlanFile, Ruling, StoreProblem,
};

/// Exceptions with what is known of the file that came with each.
pub(super) const GRANT: &str = "select g.*, f.name as file_name, f.media_type as file_type, f.sha256 as file_sha256,
        length(f.bytes) as file_bytes
    from grants g left join plan_files f on f.\"grant\" = g.id";

pub(crate) fn one(c: &Connection, id: &GrantId) -> Result<Option<GrantRecord>, StoreProblem> {
    rows::one(c.prepare_cached(&format!("{GRANT} where g.id = ?1"))?, [id.as_str()], read)
}

pub(crate) fn list(
    c: &Connection,
    filter: &GrantFilter,
    after: Option<&GrantId>,
    most: usize,
) -> Result<Vec<GrantRecord>, StoreProblem> {
    let mut conditions = Conditions::default();
    if let Some(kind) = filter.kind {
        conditions.also("g.kind = ?", kind.as_str().to_owned());
    }
    if let Some(person) = &filter.person {
        conditions.also("g.person = ?", person.as_str().to_owned());
    }
    if let Some(app) = &filter.app {
        conditions.also("g.app = ?", app.as_str().to_owned());
    }
    if let Some(at) = filter.not_over_at {
        conditions.also("g.\"end\" > ?", at.unix_micros());
        conditions.also("(g.ended_at is null or g.ended_at > ?)", at.unix_micros());
        conditions.also(
            "(g.kind = ? or (g.refused_at is null and g.withdrawn_at is null
                 and (g.admitted_at is not null or g.approvals_given >= g.approvals_needed)))",
            GrantKind::Glass.as_str().to_owned(),
        );
    }
    if let Some(at) = filter.unfinished_at {
        conditions.also(
            "(g.refused_at is null and g.withdrawn_at is null and g.confirmed_at is null and g.reviewed_at is null
                 and (g.kind <> 'maintenance' or ((g.ended_at is null or g.ended_at > g.begin)
                     and (g.\"end\" > ? or g.admitted_at is not null or g.approvals_given >= g.approvals_needed))))",
            at.unix_micros(),
        );
    }
    if let Some(after) = after {
        conditions.also("g.number < (select number from grants where id = ?)", after.as_str().to_owned());
    }
    let most = i64::try_from(most.min(GRANTS_READ_MAX)).unwrap_or(i64::MAX);
    let (asked, values) = conditions.into_parts();
    let query = format!("{GRANT} where {asked} order by g.number desc limit {most}");
    rows::all(c.prepare_cached(&query)?, values, read)
}

pub(crate) fn file(c: &Connection, id: &GrantId) -> Result<Option<(PlanFile, Vec<u8>)>, StoreProblem> {
    let statement = c.prepare_cached(
        "select name as file_name, media_type as file_type, sha256 as file_sha256, length(bytes) as file_bytes, bytes
         from plan_files where \"grant\" = ?1",
    )?;
    let read = |row: &Row| match read_file(row)? {
        Some(file) => Ok(Some((file, row.get::<_, Vec<u8>>("bytes")?))),
        None => Ok(None),
    };
    Ok(rows::one(statement, [id.as_str()], read)?.flatten())
}

fn read_file(row: &Row) -> Result<Option<PlanFile>, StoreProblem> {
    let Some(name) = row.get::<_, Option<String>>("file_name")? else { return Ok(None) };
    Ok(Some(PlanFile {
        name,
        media_type: row.get("file_type")?,
        bytes: row.get::<_, i64>("file_bytes")?.unsigned_abs(),
        sha256: rows::parsed_from(row, "file_sha256", |bytes: Vec<u8>| bytes.try_into().ok())?,
    }))
}

pub(super) fn read(row: &Row) -> Result<GrantRecord, StoreProblem> {
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

fn read_maintenance(row: &Row) -> Result<Maintenance, StoreProblem> {
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

fn read_glass(row: &Row) -> Result<Glass, StoreProblem> {
    let verdict = rows::parsed_or_none(row, "verdict", GlassVerdict::parse)?;
    let by = ruling(row, ["reviewed_at", "reviewed_by", "reviewed_words"])?;
    Ok(Glass {
        reason: row.get("glass_reason")?,
        words: row.get("glass_words")?,
        patient: row.get("patient")?,
        ward: rows::parsed_or_none(row, "ward", Unit::parse)?,
        review_due_at: rows::moment(row, "review_due_at")?,
        review: verdict.zip(by).map(|(verdict, by)| GlassReview { verdict, by }),
    })
}

/// When, who, in which words; none where nobody did it.
fn ruling(row: &Row, [at, by, words]: [&str; 3]) -> Result<Option<Ruling>, StoreProblem> {
    let Some(at) = rows::moment_or_none(row, at)? else { return Ok(None) };
    Ok(Some(Ruling { at, by: row.get(by)?, words: row.get::<_, Option<String>>(words)?.unwrap_or_default() }))
}

/// Rulings as they are kept: a JSON array of arrays.
pub(super) fn rulings(rulings: &[&Ruling]) -> String {
    let one = |ruling: &&Ruling| serde_json::json!([ruling.at.unix_micros(), ruling.by, ruling.words]);
    serde_json::Value::from_iter(rulings.iter().map(one)).to_string()
}

fn read_rulings(text: &str) -> Option<Vec<Ruling>> {
    let kept: Vec<(i64, String, String)> = serde_json::from_str(text).ok()?;
    let one = |(at, by, words)| Ruling { at: Timestamp::from_unix_micros(at), by, words };
    Some(kept.into_iter().map(one).collect())
}

/// Texts as they are kept: a JSON array.
pub(super) fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    serde_json::Value::from_iter(texts).to_string()
}

fn read_list<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let kept: Vec<String> = serde_json::from_str(text).ok()?;
    kept.iter().map(|one| parse(one)).collect()
}
