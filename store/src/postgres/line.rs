//! One connection to PostgreSQL, owned by one thread that waits for each answer. It is made anew where it was lost, but
//! never inside a transaction: what is left of one that was cut could otherwise be written outside of it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::places::Places;
use super::problem;
use super::way::Way;
use crate::lane::{Jobs, Queued};
use crate::sql::{Bound, Row, Value};
use crate::{StoreProblem, sql};

/// How long one answer may take; the server gives up a little earlier.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Statements that are kept ready.
const READIED_MAX: usize = 256;
/// For how long, and how far apart, is asked what became of a transaction whose end was not heard.
const ASKED_FOR: (Duration, Duration) = (Duration::from_secs(6), Duration::from_millis(300));
/// The lock that whoever writes holds until the end of the transaction.
const WRITING_LOCK: i64 = 0x7365_6b69_6d6f_7202;

/// One connection.
pub(crate) struct Line {
    runtime: Runtime,
    way: Arc<Way>,
    client: RefCell<Option<Arc<Client>>>,
    readied: RefCell<HashMap<String, Arc<Readied>>>,
    /// The transaction that was begun last, as the server numbers it.
    transaction: RefCell<Option<String>>,
    /// The version of the tables that statements were readied for, once there are tables.
    tables: Cell<Option<i64>>,
}

/// A statement that the server knows.
struct Readied {
    statement: tokio_postgres::Statement,
    places: Places,
    columns: Arc<[String]>,
}

impl Line {
    pub(super) fn new(way: Arc<Way>) -> Result<Self, StoreProblem> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| StoreProblem::Unavailable(format!("the system gives no event queue: {error}")))?;
        Ok(Self {
            runtime,
            way,
            client: RefCell::default(),
            readied: RefCell::default(),
            transaction: RefCell::default(),
            tables: Cell::default(),
        })
    }

    /// Waits for the next job; that a connection was lost is noticed meanwhile.
    pub(crate) fn next(&self, jobs: &Jobs) -> Option<Queued> {
        self.runtime.block_on(async { jobs.lock().await.recv().await })
    }

    /// Connects where there is no connection.
    pub(crate) fn ready(&self) -> Result<(), StoreProblem> {
        if self.client().is_ok() {
            return Ok(());
        }
        if self.way.is_paused() {
            return Err(StoreProblem::Unavailable("the database is away".to_owned()));
        }
        self.hang_up();
        match self.runtime.block_on(self.way.reach(|| ())) {
            Ok(client) => {
                self.client.replace(Some(Arc::new(client)));
                Ok(())
            }
            Err(problem) => Err(problem),
        }
    }

    /// Begins a transaction as the only one that writes.
    pub(crate) fn begin(&self) -> Result<(), StoreProblem> {
        self.transaction.replace(None);
        self.ready()?;
        let mut begun = self.simple(&self.beginning());
        if self.client().is_err() {
            // A connection that was lost unnoticed costs one attempt; nothing was done on it yet.
            begun = self.ready().and_then(|()| self.simple(&self.beginning()));
        }
        if begun.is_err() {
            self.roll_back();
        }
        let begun = begun?;
        self.transaction.replace(text(&begun, "number"));
        let tables = text(&begun, "tables").and_then(|version| version.parse().ok());
        if self.tables.get().is_some() && self.tables.replace(tables) != tables {
            // Until the end of this transaction nobody else changes them.
            self.readied.borrow_mut().clear();
        }
        Ok(())
    }

    /// Notes that the tables are there.
    pub(super) fn note_tables(&self) {
        self.tables.set(Some(0));
    }

    fn beginning(&self) -> String {
        let tables = if self.tables.get().is_some() { "; select version as tables from schema_version" } else { "" };
        format!(
            "begin; select pg_advisory_xact_lock({WRITING_LOCK}); select pg_current_xact_id()::text as number{tables}"
        )
    }

    /// Makes what was done last. Where the answer was lost, asks what became of it.
    pub(crate) fn commit(&self) -> Result<(), StoreProblem> {
        match self.simple("commit") {
            Ok(_) => Ok(()),
            Err(problem) if self.client().is_ok() => Err(problem),
            Err(problem) => self.what_became_of_it().unwrap_or(Err(problem)),
        }
    }

    /// What became of the transaction whose end was not heard. `None` if it was not made.
    fn what_became_of_it(&self) -> Option<Result<(), StoreProblem>> {
        let number = self.transaction.borrow().clone()?;
        let begin = Instant::now();
        while begin.elapsed() < ASKED_FOR.0 {
            let asked =
                self.ready().and_then(|()| self.simple(&format!("select pg_xact_status('{number}'::xid8) as became")));
            let became = asked.ok().and_then(|answer| text(&answer, "became"));
            match became.as_deref() {
                Some("committed") => return Some(Ok(())),
                Some("aborted") => return None,
                Some(_) | None => self.runtime.block_on(sleep(ASKED_FOR.1)),
            }
        }
        let reason = "the database went away in the middle of a change; whether it was made is not known";
        Some(Err(StoreProblem::Unavailable(reason.to_owned())))
    }

    /// Undoes what was done since the beginning of the transaction.
    pub(crate) fn roll_back(&self) {
        // Where this fails, the connection goes, and the server undoes it.
        if self.client().is_ok() && self.simple("rollback").is_err() {
            self.hang_up();
        }
    }

    /// Runs statements that ask for nothing.
    pub(crate) fn batch(&self, sql: &str) -> Result<(), StoreProblem> {
        self.simple(sql).map(|_| ())
    }

    /// Readies a statement.
    pub(crate) fn prepare(&self, sql: &str) -> Result<Prepared<'_>, StoreProblem> {
        if let Some(readied) = self.readied.borrow().get(sql) {
            return Ok(Prepared { line: self, sql: sql.to_owned(), readied: Arc::clone(readied) });
        }
        Ok(Prepared { line: self, sql: sql.to_owned(), readied: self.ready_statement(sql)? })
    }

    fn ready_statement(&self, sql: &str) -> Result<Arc<Readied>, StoreProblem> {
        let places = Places::of(sql);
        let client = self.client()?;
        let statement = self.wait(client.prepare(&places.text))?;
        let columns = statement.columns().iter().map(|column| column.name().to_owned()).collect();
        let readied = Arc::new(Readied { statement, places, columns });
        let mut kept = self.readied.borrow_mut();
        if kept.len() >= READIED_MAX {
            kept.clear();
        }
        kept.insert(sql.to_owned(), Arc::clone(&readied));
        Ok(readied)
    }

    fn simple(&self, sql: &str) -> Result<Vec<SimpleQueryMessage>, StoreProblem> {
        let client = self.client()?;
        self.wait(client.simple_query(sql))
    }

    /// The connection, if there is one. Never connects.
    fn client(&self) -> Result<Arc<Client>, StoreProblem> {
        let client = self.client.borrow().as_ref().filter(|client| !client.is_closed()).map(Arc::clone);
        client.ok_or_else(|| StoreProblem::Unavailable("the connection to the database was lost".to_owned()))
    }

    /// Waits for an answer, but not for ever.
    fn wait<T>(&self, answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, StoreProblem> {
        self.wait_or(answer)?.map_err(problem)
    }

    /// The same with what the server has against it.
    fn wait_or<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<Result<T, tokio_postgres::Error>, StoreProblem> {
        match self.runtime.block_on(async { timeout(ANSWER_MAX, answer).await }) {
            Ok(Ok(answer)) => Ok(Ok(answer)),
            Ok(Err(error)) => {
                // A server that takes no changes has become a standby: the next connection may lead to the primary.
                if error.is_closed() || error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) {
                    self.hang_up();
                }
                Ok(Err(error))
            }
            Err(_) => {
                self.hang_up();
                Err(StoreProblem::Unavailable(format!("the database did not answer within {ANSWER_MAX:?}")))
            }
        }
    }

    fn hang_up(&self) {
        self.readied.borrow_mut().clear();
        self.client.replace(None);
    }
}

/// The first value of this name in an answer.
fn text(answer: &[SimpleQueryMessage], name: &str) -> Option<String> {
    answer.iter().find_map(|message| {
        let SimpleQueryMessage::Row(row) = message else { return None };
        row.try_get(name).ok().flatten().map(str::to_owned)
    })
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("way", &self.way).finish_non_exhaustive()
    }
}

/// A statement that the server knows.
pub(crate) struct Prepared<'c> {
    line: &'c Line,
    sql: String,
    readied: Arc<Readied>,
}

impl Prepared<'_> {
    pub(crate) fn execute(&mut self, bound: Bound) -> Result<usize, StoreProblem> {
        let values = self.readied.places.fill(bound)?;
        let client = self.line.client()?;
        let sent: Vec<Sent<'_>> = values.iter().map(Sent).collect();
        let sent: Vec<&(dyn ToSql + Sync)> = sent.iter().map(|one| one as _).collect();
        let changed = self.line.wait(client.execute(&self.readied.statement, &sent))?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    pub(crate) fn rows(&mut self, bound: Bound) -> Result<Vec<Row>, StoreProblem> {
        let values = self.readied.places.fill(bound)?;
        let client = self.line.client()?;
        let sent: Vec<Sent<'_>> = values.iter().map(Sent).collect();
        let sent: Vec<&(dyn ToSql + Sync)> = sent.iter().map(|one| one as _).collect();
        let mut rows = self.line.wait_or(client.query(&self.readied.statement, &sent))?;
        if rows.as_ref().err().and_then(tokio_postgres::Error::code) == Some(&SqlState::FEATURE_NOT_SUPPORTED) {
            // A later program has added a column meanwhile: the statement is another one from then on. Inside a
            // transaction this cannot be, as nobody changes tables then.
            self.readied = self.line.ready_statement(&self.sql)?;
            rows = self.line.wait_or(client.query(&self.readied.statement, &sent))?;
        }
        let rows = rows.map_err(problem)?;
        let read = |row: tokio_postgres::Row| {
            let values = (0..row.len()).map(|place| value(&row, place)).collect::<Result<_, _>>()?;
            Ok(sql::Row::new(Arc::clone(&self.readied.columns), values))
        };
        rows.into_iter().map(read).collect()
    }
}

/// Reads one column of a row.
fn value(row: &tokio_postgres::Row, place: usize) -> Result<Value, StoreProblem> {
    let Some(column) = row.columns().get(place) else {
        return Err(StoreProblem::Corrupt("a row is shorter than its columns".to_owned()));
    };
    let kind = column.type_().clone();
    let read = if kind == Type::INT8 {
        row.try_get::<_, Option<i64>>(place).map(|number| number.map(Value::Number))
    } else if kind == Type::INT4 {
        row.try_get::<_, Option<i32>>(place).map(|number| number.map(|number| Value::Number(number.into())))
    } else if kind == Type::BOOL {
        row.try_get::<_, Option<bool>>(place).map(|is| is.map(|is| Value::Number(is.into())))
    } else if kind == Type::BYTEA {
        row.try_get::<_, Option<Vec<u8>>>(place).map(|bytes| bytes.map(Value::Bytes))
    } else {
        row.try_get::<_, Option<String>>(place).map(|text| text.map(Value::Text))
    };
    let unread = |_| StoreProblem::Corrupt(format!("column `{}` is of another kind", column.name()));
    Ok(read.map_err(unread)?.unwrap_or(Value::Null))
}

/// A value on its way to the server.
#[derive(Debug)]
struct Sent<'v>(&'v Value);

impl ToSql for Sent<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Number(number) if *kind == Type::INT4 => i32::try_from(*number)?.to_sql(kind, out),
            Value::Number(number) if *kind == Type::BOOL => (*number != 0).to_sql(kind, out),
            Value::Number(number) if *kind == Type::INT8 => number.to_sql(kind, out),
            Value::Text(text) if <&str as ToSql>::accepts(kind) => text.as_str().to_sql(kind, out),
            Value::Bytes(bytes) if *kind == Type::BYTEA => bytes.as_slice().to_sql(kind, out),
            Value::Number(_) | Value::Text(_) | Value::Bytes(_) => {
                Err(format!("a value does not fit the type `{kind}`").into())
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
