//! The tables, and how those of earlier versions are brought up to date.
//!
//! A step adds and never takes away what the version before it uses: so a node of that version goes on beside a node of
//! this one while they are upgraded one after the other, and going back is starting the earlier program again. What is
//! used no more is removed by a step of a later version, which says so by [`Step::oldest`].

use crate::StoreProblem;
use crate::sql::Connection;

/// What makes each version from the one before. Never edited once released.
const STEPS: &[Step] = &[Step { sql: include_str!("schema-1.sql"), oldest: 1 }];

/// What makes one version.
struct Step {
    sql: &'static str,
    /// The oldest version whose programs still find what they use.
    oldest: i64,
}

/// Brings the tables up to date, in one transaction; several nodes may try at once.
pub(super) fn migrate(c: &Connection) -> Result<(), StoreProblem> {
    c.begin()?;
    let done = migrate_inside(c).and_then(|()| c.commit());
    if done.is_err() {
        c.roll_back();
    }
    done
}

fn migrate_inside(c: &Connection) -> Result<(), StoreProblem> {
    let is_there: bool =
        c.prepare_cached("select to_regclass('schema_version') is not null")?.query_row((), |row| row.get(0))?;
    if !is_there {
        c.batch("create table schema_version (version bigint not null, oldest bigint not null)")?;
    }
    let kept = c
        .prepare_cached("select version, oldest from schema_version")?
        .rows(())?
        .first()
        .map(|row| Ok::<_, StoreProblem>((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        .transpose()?;
    let (version, oldest) = kept.unwrap_or((0, 0));
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if version > known {
        return look_back(version, oldest, known);
    }
    let ahead = STEPS.get(usize::try_from(version).unwrap_or(usize::MAX)..).unwrap_or_default();
    for step in ahead {
        c.batch(step.sql)?;
    }
    if let Some(last) = ahead.last() {
        c.batch("delete from schema_version")?;
        c.prepare_cached("insert into schema_version (version, oldest) values (?1, ?2)")?
            .execute([known, last.oldest])?;
    }
    Ok(())
}

/// Whether this program may work with the tables of a later one.
fn look_back(version: i64, oldest: i64, known: i64) -> Result<(), StoreProblem> {
    if oldest <= known {
        tracing::warn!(
            version,
            known,
            "the store was brought up to date by a later program; this one goes on beside it"
        );
        return Ok(());
    }
    Err(StoreProblem::Corrupt(format!(
        "its tables are of version {version}, which needs a program that knows version {oldest}, and this one knows up \
         to {known}; install the version of Sekimori that the other nodes run, or a later one"
    )))
}
