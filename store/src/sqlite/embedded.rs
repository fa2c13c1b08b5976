//! One connection to the file, in the words of [`crate::sql`].

use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql};

use crate::StoreProblem;
use crate::sql::{Bound, Row, Value};

/// One connection to the file.
#[derive(Debug)]
pub(crate) struct Embedded(pub(crate) Connection);

impl Embedded {
    pub(crate) fn prepare(&self, sql: &str) -> Result<EmbeddedStatement<'_>, StoreProblem> {
        Ok(EmbeddedStatement(self.0.prepare_cached(sql)?))
    }

    pub(crate) fn batch(&self, sql: &str) -> Result<(), StoreProblem> {
        Ok(self.0.execute_batch(sql)?)
    }

    pub(crate) fn step(&self, sql: &'static str) -> Result<(), StoreProblem> {
        self.0.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    pub(crate) fn roll_back(&self) {
        // A failed statement may have ended the transaction by itself (full disk).
        if !self.0.is_autocommit()
            && let Err(error) = self.0.execute_batch("rollback")
        {
            tracing::error!(%error, "the store could not take back a change");
        }
    }
}

/// A statement of SQLite.
pub(crate) struct EmbeddedStatement<'c>(CachedStatement<'c>);

impl EmbeddedStatement<'_> {
    pub(crate) fn execute(&mut self, bound: Bound) -> Result<usize, StoreProblem> {
        match bound {
            Bound::Numbered(values) => Ok(self.0.execute(rusqlite::params_from_iter(values))?),
            Bound::Named(values) => Ok(self.0.execute(named(&values).as_slice())?),
        }
    }

    pub(crate) fn rows(&mut self, bound: Bound) -> Result<Vec<Row>, StoreProblem> {
        let columns: Arc<[String]> = self.0.column_names().map(str::to_owned).collect();
        let mut rows = match bound {
            Bound::Numbered(values) => self.0.query(rusqlite::params_from_iter(values))?,
            Bound::Named(values) => self.0.query(named(&values).as_slice())?,
        };
        let mut read = Vec::new();
        while let Some(row) = rows.next()? {
            let values = (0..columns.len()).map(|place| value(row.get_ref(place)?)).collect::<Result<_, _>>()?;
            read.push(Row::new(Arc::clone(&columns), values));
        }
        Ok(read)
    }
}

fn named<'v>(values: &'v [(&'static str, Value)]) -> Vec<(&'static str, &'v dyn ToSql)> {
    values.iter().map(|(name, value)| (*name, value as &dyn ToSql)).collect()
}

fn value(kept: ValueRef<'_>) -> Result<Value, StoreProblem> {
    let corrupt = |what: &str| StoreProblem::Corrupt(format!("a column holds {what}"));
    Ok(match kept {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Number(number),
        ValueRef::Real(_) => return Err(corrupt("a fraction")),
        ValueRef::Text(text) => {
            Value::Text(std::str::from_utf8(text).map_err(|_| corrupt("a text that is not UTF-8"))?.to_owned())
        }
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Number(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
