//! SQL as both back ends understand it: connections, statements, rows, values. Every rule of the store is written once,
//! in `statements`, against this; SQLite's spelling of places (`?1`, `:name`) is what statements are written in.
//! Deliberately not here: how either back end is reached.

mod row;
mod value;

use crate::postgres::{Line, Prepared};
use crate::sqlite::{Embedded, EmbeddedStatement};
use crate::tables::Table;
use crate::{StoreProblem, lane};

pub(crate) use row::Row;
pub(crate) use value::{Bound, FromValue, Params, ToValue, Value, named_params, params};

/// One connection, owned by one thread.
#[derive(Debug)]
pub(crate) enum Connection {
    Sqlite(Embedded),
    Postgres(Box<Line>),
}

impl Connection {
    /// Readies a statement; the same text is readied once.
    pub(crate) fn prepare_cached(&self, sql: &str) -> Result<Statement<'_>, StoreProblem> {
        match self {
            Self::Sqlite(embedded) => embedded.prepare(sql).map(Statement::Sqlite),
            Self::Postgres(line) => line.prepare(sql).map(Statement::Postgres),
        }
    }

    /// Runs several statements that ask for nothing and are given nothing.
    pub(crate) fn batch(&self, sql: &str) -> Result<(), StoreProblem> {
        match self {
            Self::Sqlite(embedded) => embedded.batch(sql),
            Self::Postgres(line) => line.batch(sql),
        }
    }

    /// Begins a transaction as the only one that writes, whichever program the others belong to: what is looked at in
    /// it stays so until its end, and events get their numbers in the order in which they come to be seen.
    pub(crate) fn begin(&self) -> Result<(), StoreProblem> {
        match self {
            Self::Sqlite(embedded) => embedded.step("begin immediate"),
            Self::Postgres(line) => line.begin(),
        }
    }

    /// Makes what was done since [`Connection::begin`] last. After an error nothing of it has happened, unless the
    /// problem says that this is not known.
    pub(crate) fn commit(&self) -> Result<(), StoreProblem> {
        match self {
            Self::Sqlite(embedded) => embedded.step("commit"),
            Self::Postgres(line) => line.commit(),
        }
    }

    /// Undoes what was done since [`Connection::begin`], after a failure.
    pub(crate) fn roll_back(&self) {
        match self {
            Self::Sqlite(embedded) => embedded.roll_back(),
            Self::Postgres(line) => line.roll_back(),
        }
    }

    /// One statement of a transaction, such as a savepoint.
    pub(crate) fn step(&self, sql: &'static str) -> Result<(), StoreProblem> {
        match self {
            Self::Sqlite(embedded) => embedded.step(sql),
            Self::Postgres(line) => line.batch(sql),
        }
    }

    /// Makes sure, before something is read, that there is somebody to ask.
    pub(crate) fn ready(&self) -> Result<(), StoreProblem> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(line) => line.ready(),
        }
    }

    /// Waits for the next job. `None` once no more can come.
    pub(crate) fn next(&self, jobs: &lane::Jobs) -> Option<lane::Queued> {
        match self {
            Self::Sqlite(_) => jobs.blocking_lock().blocking_recv(),
            Self::Postgres(line) => line.next(jobs),
        }
    }

    /// The connection of the embedded back end.
    #[cfg(test)]
    pub(crate) fn sqlite(&self) -> &rusqlite::Connection {
        match self {
            Self::Sqlite(embedded) => &embedded.0,
            Self::Postgres(_) => panic!("this is another back end"),
        }
    }

    /// The last number that was given to a row of a table, be it there or not; 0 where none ever was.
    pub(crate) fn last_number(&self, table: &Table) -> Result<i64, StoreProblem> {
        let column = table.key.first().copied().unwrap_or_default();
        let rows = match self {
            Self::Sqlite(_) => {
                self.prepare_cached("select seq from sqlite_sequence where name = ?1")?.rows([table.name])?
            }
            Self::Postgres(_) => {
                let sql = "select pg_sequence_last_value(pg_get_serial_sequence(?1, ?2)::regclass)";
                self.prepare_cached(sql)?.rows([table.name, column])?
            }
        };
        Ok(rows.first().map(|row| row.get::<_, Option<i64>>(0)).transpose()?.flatten().unwrap_or(0))
    }

    /// Lets a table number its rows from after this one.
    pub(crate) fn go_on_after(&self, table: &Table, last: i64) -> Result<(), StoreProblem> {
        let column = table.key.first().copied().unwrap_or_default();
        if last == 0 {
            return Ok(());
        }
        match self {
            Self::Sqlite(_) => {
                self.prepare_cached("delete from sqlite_sequence where name = ?1")?.execute([table.name])?;
                self.prepare_cached("insert into sqlite_sequence (name, seq) values (?1, ?2)")?
                    .execute(params![table.name, last])?;
            }
            Self::Postgres(_) => {
                let sql = "select setval(pg_get_serial_sequence(?1, ?2)::regclass, ?3)";
                self.prepare_cached(sql)?.rows(params![table.name, column, last])?;
            }
        }
        Ok(())
    }

    /// An expression by which texts compare without regard to the case of ASCII letters.
    pub(crate) fn folded(&self, text: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("{text} collate nocase"),
            // In this collation it folds ASCII alone.
            Self::Postgres(_) => format!("lower({text} collate \"C\")"),
        }
    }

    /// The operator that matches a pattern without regard to the case of ASCII letters.
    pub(crate) fn like(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "like",
            Self::Postgres(_) => "ilike",
        }
    }

    /// The members of a JSON array of texts, as a table with the column `value`.
    pub(crate) fn members(&self, array: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("json_each({array})"),
            Self::Postgres(_) => format!("jsonb_array_elements_text({array}::jsonb)"),
        }
    }
}

/// A statement that is ready.
pub(crate) enum Statement<'c> {
    Sqlite(EmbeddedStatement<'c>),
    Postgres(Prepared<'c>),
}

impl Statement<'_> {
    /// Runs it and says how many rows it changed.
    pub(crate) fn execute(&mut self, parameters: impl Params) -> Result<usize, StoreProblem> {
        match self {
            Self::Sqlite(statement) => statement.execute(parameters.bound()),
            Self::Postgres(statement) => statement.execute(parameters.bound()),
        }
    }

    /// Runs it and gives every row of its answer.
    pub(crate) fn rows(&mut self, parameters: impl Params) -> Result<Vec<Row>, StoreProblem> {
        match self {
            Self::Sqlite(statement) => statement.rows(parameters.bound()),
            Self::Postgres(statement) => statement.rows(parameters.bound()),
        }
    }

    /// Whether its answer has a row.
    pub(crate) fn exists(&mut self, parameters: impl Params) -> Result<bool, StoreProblem> {
        Ok(!self.rows(parameters)?.is_empty())
    }

    /// Reads the first row of an answer that has one.
    pub(crate) fn query_row<T>(
        &mut self,
        parameters: impl Params,
        read: impl FnOnce(&Row) -> Result<T, StoreProblem>,
    ) -> Result<T, StoreProblem> {
        let rows = self.rows(parameters)?;
        read(rows.first().ok_or_else(|| StoreProblem::Corrupt("an answer has no row".to_owned()))?)
    }
}
