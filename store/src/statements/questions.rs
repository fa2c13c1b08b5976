//! Questions about the log that people keep.

use policy::{Timestamp, UserId};

use crate::rows;
use crate::sql::{Connection, Row, params};
use crate::{QUESTIONS_MAX, SavedQuestion, StoreProblem};

pub(crate) fn save(
    c: &Connection,
    owner: &UserId,
    name: &str,
    query: &str,
    at: Timestamp,
) -> Result<u64, StoreProblem> {
    c.prepare_cached(
        "insert into saved_questions (owner, name, query, saved_at) values (?1, ?2, ?3, ?4)
         on conflict (owner, name) do update set query = ?3, saved_at = ?4",
    )?
    .execute(params![owner.as_str(), name, query, at.unix_micros()])?;
    let (number, id): (i64, i64) = c
        .prepare_cached(
            "select count(*), max(case when name = ?2 then id else 0 end) from saved_questions where owner = ?1",
        )?
        .query_row([owner.as_str(), name], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if usize::try_from(number).unwrap_or(usize::MAX) > QUESTIONS_MAX {
        return Err(StoreProblem::Full);
    }
    Ok(id.unsigned_abs())
}

pub(crate) fn list(c: &Connection, owner: &UserId) -> Result<Vec<SavedQuestion>, StoreProblem> {
    let statement = c.prepare_cached("select * from saved_questions where owner = ?1 order by name, id")?;
    rows::all(statement, [owner.as_str()], read)
}

pub(crate) fn forget(c: &Connection, owner: &UserId, id: u64) -> Result<bool, StoreProblem> {
    let id = i64::try_from(id).unwrap_or(i64::MAX);
    let gone = c
        .prepare_cached("delete from saved_questions where owner = ?1 and id = ?2")?
        .execute(params![owner.as_str(), id])?;
    Ok(gone > 0)
}

fn read(row: &Row) -> Result<SavedQuestion, StoreProblem> {
    Ok(SavedQuestion {
        id: row.get::<_, i64>("id")?.unsigned_abs(),
        owner: rows::parsed(row, "owner", |text| UserId::parse(text).ok())?,
        name: row.get("name")?,
        query: row.get("query")?,
        saved_at: rows::moment(row, "saved_at")?,
    })
}
