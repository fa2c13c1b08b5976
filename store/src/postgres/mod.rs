//! The back end that several nodes share: PostgreSQL, one connection that writes in groups, some that read, one that
//! listens. Sockets and TLS are not its business: it is handed a [`Connector`].
//!
//! Whoever writes holds one lock of the database until the end of the transaction, whichever node it is. That is what
//! SQLite's one writer gives: what a change rests on is looked at inside it and stays so, and events are numbered in
//! the order in which they come to be seen.

mod bell;
mod line;
mod places;
mod schema;
mod way;

use std::fmt;
use std::sync::Arc;

use config::Secret;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

pub(crate) use line::{Line, Prepared};

use crate::lane::{Lane, Sharing};
use crate::moving::look_for_marks;
use crate::relational::{Bounds, Company, Relational};
use crate::sql::Connection;
use crate::{Answer, StoreProblem};
use bell::Bell;
use way::Way;

/// A byte stream to the database.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Opens byte streams to the database: dialled, and under TLS unless they do not leave the machine.
pub trait Connector: Send + Sync + fmt::Debug {
    /// Opens one. The store gives up by itself after some seconds.
    fn connect(&self) -> Answer<'_, Box<dyn Stream>>;
}

/// Who the store is at the database.
#[derive(Clone, Debug)]
pub struct PostgresLogin {
    /// The database.
    pub database: String,
    /// The role.
    pub user: String,
    /// Its password; none where the database knows the account by the socket.
    pub password: Option<Secret>,
    /// Connections in all, at least 3: one writes, one listens, the others read.
    pub connections: usize,
}

/// The store in a PostgreSQL database.
#[derive(Debug)]
pub struct Postgres {
    writer: Lane,
    /// Absent where it is open for one program alone, whose one connection does both.
    readers: Option<Lane>,
    bell: Option<Bell>,
    bounds: Bounds,
}

impl Postgres {
    /// Connects, and makes the tables or brings them up to date where needed. Waits for that.
    ///
    /// # Errors
    /// [`StoreProblem::Unavailable`] if the database cannot be reached or used, [`StoreProblem::Corrupt`] if what is in
    /// it is no store, or one of a version that this program cannot work beside.
    pub fn open(connector: Arc<dyn Connector>, login: PostgresLogin) -> Result<Self, StoreProblem> {
        let readers = login.connections.saturating_sub(2).max(1);
        let way = Arc::new(Way::new(connector, login, Company::Others));
        let writer = first(&way)?;
        let lines = (0..readers).map(|_| Ok(Connection::Postgres(Box::new(Line::new(Arc::clone(&way))?))));
        let lines = lines.collect::<Result<Vec<_>, StoreProblem>>()?;
        Ok(Self {
            writer: Lane::start("store-writer", vec![writer], Sharing::Writes)?,
            readers: Some(Lane::start("store-reader", lines, Sharing::ReadsOnly)?),
            bell: Some(Bell::hang(way)?),
            bounds: Bounds::default(),
        })
    }

    /// The same, as the only program that works with the store while it is open, for moving what it holds elsewhere.
    ///
    /// # Errors
    /// As [`Postgres::open`]; [`StoreProblem::Unavailable`] also where another program has it open.
    pub fn open_alone(connector: Arc<dyn Connector>, login: PostgresLogin) -> Result<Self, StoreProblem> {
        let writer = first(&Arc::new(Way::new(connector, login, Company::Nobody)))?;
        let writer = Lane::start("store-writer", vec![writer], Sharing::Writes)?;
        Ok(Self { writer, readers: None, bell: None, bounds: Bounds::default() })
    }
}

/// The connection that writes, with the tables as they must be. In a thread of its own: whoever opens the store may run
/// where nothing may wait.
fn first(way: &Arc<Way>) -> Result<Connection, StoreProblem> {
    let way = Arc::clone(way);
    let opening = std::thread::spawn(move || {
        let connection = Connection::Postgres(Box::new(Line::new(way)?));
        schema::migrate(&connection)?;
        look_for_marks(&connection)?;
        if let Connection::Postgres(line) = &connection {
            line.note_tables();
        }
        Ok(connection)
    });
    opening.join().unwrap_or_else(|_| Err(StoreProblem::Unavailable("the store could not be opened".to_owned())))
}

impl Relational for Postgres {
    fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, StoreProblem> + Send + 'static,
    ) -> Answer<'_, T> {
        self.writer.ask(change)
    }

    fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, StoreProblem> + Send + 'static,
    ) -> Answer<'_, T> {
        self.readers.as_ref().unwrap_or(&self.writer).ask(question)
    }

    fn bounds(&self) -> Bounds {
        self.bounds
    }

    fn rung(&self) -> Option<watch::Receiver<u64>> {
        self.bell.as_ref().map(Bell::rung)
    }
}

/// What the database said, without the values it may have named.
fn problem(error: tokio_postgres::Error) -> StoreProblem {
    let Some(told) = error.as_db_error() else {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        return StoreProblem::Unavailable(format!("the database: {error}{cause}"));
    };
    let code = told.code().code();
    let text = format!("the database says: {} ({code})", told.message());
    // Class 23: a constraint does not hold; 42: a table or column is not as it was made.
    match code.get(..2) {
        Some("23") => StoreProblem::Corrupt(text),
        Some("42") if code != "42501" => StoreProblem::Corrupt(text),
        Some(_) | None => StoreProblem::Unavailable(text),
    }
}

#[cfg(test)]
mod tests;
