//! Rows to records: what every kind of record needs. Whatever does not parse is [`StoreProblem::Corrupt`], never a
//! guess.

use policy::{RoleId, Timestamp};

use crate::StoreProblem;
use crate::sql::{FromValue, Params, Row, Statement};

/// Reads every row of an answer.
pub(crate) fn all<T>(
    mut statement: Statement<'_>,
    parameters: impl Params,
    record: impl Fn(&Row) -> Result<T, StoreProblem>,
) -> Result<Vec<T>, StoreProblem> {
    statement.rows(parameters)?.iter().map(record).collect()
}

/// Reads the rows of an answer, but for those that cannot be read: a later version may write words that this one does not
/// know, and what it writes of one must not keep this one from all the others. Only for lists where what is left out gives
/// nobody anything.
pub(crate) fn readable<T>(
    mut statement: Statement<'_>,
    parameters: impl Params,
    record: impl Fn(&Row) -> Result<T, StoreProblem>,
) -> Result<Vec<T>, StoreProblem> {
    let rows = statement.rows(parameters)?;
    let (mut found, mut left_out) = (Vec::with_capacity(rows.len()), None);
    for row in &rows {
        match record(row) {
            Ok(one) => found.push(one),
            Err(problem @ StoreProblem::Corrupt(_)) => left_out = Some(problem),
            Err(problem) => return Err(problem),
        }
    }
    if let Some(problem) = left_out {
        let rows = rows.len() - found.len();
        tracing::error!(%problem, rows, "rows of the store are left out; nobody has anything by them");
    }
    Ok(found)
}

/// Reads the only row of an answer.
pub(crate) fn one<T>(
    statement: Statement<'_>,
    parameters: impl Params,
    record: impl Fn(&Row) -> Result<T, StoreProblem>,
) -> Result<Option<T>, StoreProblem> {
    Ok(all(statement, parameters, record)?.pop())
}

/// Roles as they are kept: a JSON array of names.
pub(crate) fn roles_column(roles: &[RoleId]) -> String {
    serde_json::Value::from_iter(roles.iter().map(RoleId::as_str)).to_string()
}

pub(crate) fn roles(text: &str) -> Option<Vec<RoleId>> {
    let names: Vec<String> = serde_json::from_str(text).ok()?;
    names.iter().map(|name| RoleId::parse(name).ok()).collect()
}

pub(crate) fn moment(row: &Row, column: &str) -> Result<Timestamp, StoreProblem> {
    Ok(Timestamp::from_unix_micros(row.get(column)?))
}

pub(crate) fn moment_or_none(row: &Row, column: &str) -> Result<Option<Timestamp>, StoreProblem> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_unix_micros))
}

/// Reads a text that stands for something.
pub(crate) fn parsed<T>(row: &Row, column: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, StoreProblem> {
    parsed_from(row, column, |text: String| parse(&text))
}

/// The same where there may be none.
pub(crate) fn parsed_or_none<T>(
    row: &Row,
    column: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, StoreProblem> {
    match row.get::<_, Option<String>>(column)? {
        Some(_) => parsed(row, column, parse).map(Some),
        None => Ok(None),
    }
}

/// Reads a value that stands for something.
pub(crate) fn parsed_from<V: FromValue, T>(
    row: &Row,
    column: &str,
    parse: impl Fn(V) -> Option<T>,
) -> Result<T, StoreProblem> {
    // The value itself stays out of the message: a damaged row may hold anything.
    parse(row.get(column)?)
        .ok_or_else(|| StoreProblem::Corrupt(format!("column `{column}` does not read as what it should hold")))
}
