//! The tables, and how files of earlier versions are brought up to date.

use rusqlite::{Connection, OptionalExtension};

use crate::StoreProblem;

/// What makes each version from the one before; the first from an empty file. Never edited once released.
const MIGRATIONS: &[&str] = &[
    include_str!("schema-1.sql"),
    include_str!("schema-2.sql"),
    include_str!("schema-3.sql"),
    include_str!("schema-4.sql"),
    include_str!("schema-5.sql"),
    include_str!("schema-6.sql"),
    include_str!("schema-7.sql"),
];

/// The version of the tables that this program writes, and the latest that it reads.
pub const SCHEMA_VERSION: u32 = MIGRATIONS.len() as u32;

/// Brings the tables up to date, in one transaction; several processes may try at once.
pub(super) fn migrate(connection: &Connection) -> Result<(), StoreProblem> {
    connection.execute_batch("begin immediate")?;
    let done = migrate_inside(connection).and_then(|()| Ok(connection.execute_batch("commit")?));
    if done.is_err() && !connection.is_autocommit() {
        connection.execute_batch("rollback")?;
    }
    done
}

fn migrate_inside(connection: &Connection) -> Result<(), StoreProblem> {
    connection.execute_batch("create table if not exists schema_version (version integer not null) strict")?;
    let version: Option<u32> =
        connection.query_row("select version from schema_version", [], |row| row.get(0)).optional()?;
    let version = version.unwrap_or(0);
    let Some(ahead) = usize::try_from(version).ok().and_then(|done| MIGRATIONS.get(done..)) else {
        return Err(StoreProblem::Corrupt(format!(
            "its tables are of version {version}, this program knows up to {}; use the program that wrote it or a later one",
            MIGRATIONS.len()
        )));
    };
    if ahead.is_empty() {
        return Ok(());
    }
    for step in ahead {
        connection.execute_batch(step)?;
    }
    connection.execute("delete from schema_version", [])?;
    connection.execute(
        "insert into schema_version (version) values (?1)",
        [i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)],
    )?;
    Ok(())
}
