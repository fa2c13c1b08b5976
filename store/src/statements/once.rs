//! What is taken once, and what must not come twice. Both are bounded, and by nothing but themselves.

use policy::Timestamp;

use crate::rows;
use crate::sql::{Connection, params};
use crate::{Ceremony, StoreProblem, TokenHash};

pub(crate) fn start_ceremony(
    c: &Connection,
    secret: TokenHash,
    ceremony: &Ceremony,
    most: usize,
) -> Result<(), StoreProblem> {
    room(c, "select number from ceremonies_open", most)?;
    let inserted = c
        .prepare_cached(
            "insert into ceremonies (secret, kind, state, expires_at) values (?1, ?2, ?3, ?4)
             on conflict (secret) do nothing",
        )?
        .execute(params![secret.0, ceremony.kind, ceremony.state, ceremony.expires_at.unix_micros()])?;
    if inserted == 0 { Err(StoreProblem::Exists("the ceremony".to_owned())) } else { Ok(()) }
}

pub(crate) fn take_ceremony(
    c: &Connection,
    secret: TokenHash,
    kind: &str,
    at: Timestamp,
) -> Result<Option<String>, StoreProblem> {
    let statement =
        c.prepare_cached("delete from ceremonies where secret = ?1 and kind = ?2 returning state, expires_at")?;
    let taken = rows::one(statement, params![secret.0, kind], |row| {
        Ok((row.get::<_, String>(0)?, Timestamp::from_unix_micros(row.get(1)?)))
    })?;
    Ok(taken.filter(|(_, expires_at)| at < *expires_at).map(|(state, _)| state))
}

pub(crate) fn remember_once(
    c: &Connection,
    kind: &str,
    key: TokenHash,
    expires_at: Timestamp,
    most: usize,
) -> Result<bool, StoreProblem> {
    // The number at hand counts also what was withdrawn, which takes nobody's room: only a large one is looked into.
    room(c, "select number from remembered_now", most).or_else(|_| room(c, NOT_TWICE, most))?;
    let inserted = c
        .prepare_cached("insert into remembered (kind, key, expires_at) values (?1, ?2, ?3) on conflict do nothing")?
        .execute(params![kind, key.0, expires_at.unix_micros()])?;
    Ok(inserted > 0)
}

/// How many things must not come twice: two ranges of the key, past whatever [`withdrawn`](super::withdrawn) keeps.
const NOT_TWICE: &str = "select (select count(*) from remembered where kind < 'withdrawn')
                              + (select count(*) from remembered where kind > 'withdrawn')";

fn room(c: &Connection, count: &str, most: usize) -> Result<(), StoreProblem> {
    let number: i64 = c.prepare_cached(count)?.query_row((), |row| row.get(0))?;
    if usize::try_from(number).unwrap_or(0) < most { Ok(()) } else { Err(StoreProblem::Full) }
}
