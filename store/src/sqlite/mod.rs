//! The embedded back end: one SQLite file in WAL mode, one writer thread that commits in groups, two reader threads.
//! Several processes may open the same file. Every commit is on the disk before its answer is given.

mod embedded;
mod schema;
mod snapshot;

use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::watch;

pub(crate) use embedded::{Embedded, EmbeddedStatement};
pub use schema::SCHEMA_VERSION;
pub use snapshot::{look_at_snapshot, snapshot};

use crate::lane::{Lane, Sharing};
use crate::moving::look_for_marks;
use crate::relational::{Bounds, Company, Relational};
use crate::{Answer, StoreProblem, sql};

/// How long a statement waits for another process that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Threads that only read.
const READERS: usize = 2;

/// The store in one SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    place: PathBuf,
    writer: Lane,
    /// Absent in memory, where the one connection does both.
    readers: Option<Lane>,
    bounds: Bounds,
    /// Says to others that this program works with the file; absent in memory.
    _at_work: Option<File>,
}

impl Sqlite {
    /// Opens the file, making it (mode 0600) or bringing its tables up to date where needed.
    ///
    /// # Errors
    /// [`StoreProblem::Unavailable`] if the file cannot be reached, opened or written, [`StoreProblem::Corrupt`] if
    /// it is no store, or one of a later version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreProblem> {
        Self::open_as(path.as_ref(), Company::Others)
    }

    /// The same, as the only program that works with the file while it is open, for moving what it holds elsewhere.
    ///
    /// # Errors
    /// As [`Sqlite::open`]; [`StoreProblem::Unavailable`] also where another program has it open.
    pub fn open_alone(path: impl AsRef<Path>) -> Result<Self, StoreProblem> {
        Self::open_as(path.as_ref(), Company::Nobody)
    }

    fn open_as(path: &Path, company: Company) -> Result<Self, StoreProblem> {
        let at_work = go_to_work(path, company)?;
        keep_private(path)?;
        let in_file = |problem| name_place(problem, path);
        let writer = connect(path).map_err(in_file)?;
        schema::migrate(&writer).map_err(in_file)?;
        let writer = of_this_kind(writer);
        look_for_marks(&writer).map_err(in_file)?;
        let readers = (0..READERS)
            .map(|_| {
                let reader = connect(path)?;
                reader.pragma_update(None, "query_only", true)?;
                Ok(of_this_kind(reader))
            })
            .collect::<Result<Vec<_>, StoreProblem>>()
            .map_err(in_file)?;
        Ok(Self {
            place: path.to_path_buf(),
            writer: Lane::start("store-writer", vec![writer], Sharing::Writes)?,
            readers: Some(Lane::start("store-reader", readers, Sharing::ReadsOnly)?),
            bounds: Bounds::default(),
            _at_work: Some(at_work),
        })
    }

    /// Makes an empty store that lives in memory and is gone when dropped.
    ///
    /// # Errors
    /// [`StoreProblem::Unavailable`] if no thread or no memory is to be had.
    pub fn in_memory() -> Result<Self, StoreProblem> {
        let writer = Connection::open_in_memory()?;
        set_up(&writer)?;
        schema::migrate(&writer)?;
        Ok(Self {
            place: PathBuf::from(":memory:"),
            writer: Lane::start("store-writer", vec![of_this_kind(writer)], Sharing::Writes)?,
            readers: None,
            bounds: Bounds::default(),
            _at_work: None,
        })
    }

    /// The file, or `:memory:`.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }
}

impl Relational for Sqlite {
    fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&sql::Connection) -> Result<T, StoreProblem> + Send + 'static,
    ) -> Answer<'_, T> {
        self.writer.ask(change)
    }

    fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&sql::Connection) -> Result<T, StoreProblem> + Send + 'static,
    ) -> Answer<'_, T> {
        self.readers.as_ref().unwrap_or(&self.writer).ask(question)
    }

    fn bounds(&self) -> Bounds {
        self.bounds
    }

    fn rung(&self) -> Option<watch::Receiver<u64>> {
        None
    }
}

fn of_this_kind(connection: Connection) -> sql::Connection {
    sql::Connection::Sqlite(Embedded(connection))
}

/// Says to others that this program works with the file, by a lock on a file beside it: SQLite's own locks are held for
/// no longer than a transaction.
fn go_to_work(path: &Path, company: Company) -> Result<File, StoreProblem> {
    // The same for whoever has another name for it.
    let mut beside = path.canonicalize().unwrap_or_else(|_| path.to_owned()).into_os_string();
    beside.push(".at-work");
    let failed = |error: &dyn std::fmt::Display| StoreProblem::Unavailable(format!("{}: {error}", beside.display()));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&beside)
        .map_err(|error| failed(&error))?;
    let (locked, other) = match company {
        Company::Others => (file.try_lock_shared(), "it is being moved elsewhere"),
        Company::Nobody => (file.try_lock(), "another program works with it; stop the gateway first"),
    };
    match locked {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(StoreProblem::Unavailable(format!("{}: {other}", path.display())))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(failed(&error)),
    }
}

/// Makes the file, or takes it away from other eyes, before SQLite sees it; SQLite gives its side files the same mode.
fn keep_private(path: &Path) -> Result<(), StoreProblem> {
    let failed = |error: std::io::Error| StoreProblem::Unavailable(format!("{}: {error}", path.display()));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600)).map_err(failed)?;
    }
    Ok(())
}

fn connect(path: &Path) -> Result<Connection, StoreProblem> {
    // No URI names: a path is a path, whatever characters it holds.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    set_up(&connection)?;
    Ok(connection)
}

fn set_up(connection: &Connection) -> Result<(), StoreProblem> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))?;
    // A revocation or a sign-out that was answered must survive a power cut; the writer's groups share the cost.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // A removed session or ceremony leaves nothing readable behind in the file.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(())
}

fn name_place(problem: StoreProblem, path: &Path) -> StoreProblem {
    match problem {
        StoreProblem::Unavailable(text) => StoreProblem::Unavailable(format!("{}: {text}", path.display())),
        StoreProblem::Corrupt(text) => StoreProblem::Corrupt(format!("{}: {text}", path.display())),
        problem @ (StoreProblem::Exists(_) | StoreProblem::Full | StoreProblem::NotInForce(_)) => problem,
    }
}

impl From<rusqlite::Error> for StoreProblem {
    fn from(error: rusqlite::Error) -> Self {
        let unreadable = matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation)
        ) || matches!(
            error,
            rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
        );
        if unreadable { Self::Corrupt(error.to_string()) } else { Self::Unavailable(error.to_string()) }
    }
}

#[cfg(test)]
mod tests;
