//! A view of the store at one moment, in a file of its own, taken while others write.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::{BUSY_TIMEOUT, name_place};
use crate::StoreProblem;

/// How long is waited for others that hold the file.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// Writes the store of a file as it is at one moment to another file, over what is there, and gives the version of its
/// tables. What was written is read again before it is believed.
///
/// # Errors
/// [`StoreProblem::Unavailable`] if one of the files cannot be read or written, [`StoreProblem::Corrupt`] if the store is
/// not whole.
pub fn snapshot(from: &Path, to: &Path) -> Result<u32, StoreProblem> {
    let problem = |problem: StoreProblem| name_place(problem, from);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from, flags).map_err(|error| problem(error.into()))?;
    source.busy_timeout(BUSY_TIMEOUT).map_err(|error| problem(error.into()))?;
    let in_copy = |error: std::io::Error| StoreProblem::Unavailable(format!("{}: {error}", to.display()));
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to).map_err(in_copy)?;
    let mut copy = Connection::open_with_flags(to, flags).map_err(|error| name_place(error.into(), to))?;
    copy_all(&source, &mut copy).map_err(|error| name_place(error, to))?;
    look(&copy).map_err(problem)
}

/// Copies all pages in one step, so that nothing is written between two of them.
fn copy_all(source: &Connection, copy: &mut Connection) -> Result<(), StoreProblem> {
    let backup = Backup::new(source, copy)?;
    let begin = Instant::now();
    loop {
        if backup.step(-1)? == StepResult::Done {
            return Ok(());
        }
        if begin.elapsed() > PATIENCE {
            return Err(StoreProblem::Unavailable("others hold the store for too long".to_owned()));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Reads all of the copy, which is one file from then on.
fn look(copy: &Connection) -> Result<u32, StoreProblem> {
    copy.pragma_update_and_check(None, "journal_mode", "delete", |row| row.get::<_, String>(0))?;
    check_pages(copy)
}

fn check_pages(view: &Connection) -> Result<u32, StoreProblem> {
    let said: String = view.query_row("pragma quick_check(1)", [], |row| row.get(0))?;
    if said != "ok" {
        return Err(StoreProblem::Corrupt(said));
    }
    Ok(view.query_row("select version from schema_version", [], |row| row.get(0))?)
}

/// Looks at a view that was taken, changing nothing and making nothing, and gives the version of its tables.
///
/// # Errors
/// [`StoreProblem::Unavailable`] if it cannot be read, [`StoreProblem::Corrupt`] if it is not whole.
pub fn look_at_snapshot(path: &Path) -> Result<u32, StoreProblem> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let view = Connection::open_with_flags(path, flags).map_err(|error| name_place(error.into(), path))?;
    check_pages(&view).map_err(|problem| name_place(problem, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sqlite, Store as _};

    fn note(store: &Sqlite, name: &str) -> Option<String> {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(store.note(name)).unwrap()
    }

    fn keep(store: &Sqlite, name: &str, text: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(store.set_note(name, text.to_owned())).unwrap();
    }

    #[test]
    fn a_view_has_what_was_there_and_nothing_that_came_later() {
        let folder = std::env::temp_dir().join(format!("sekimori-snapshot-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (file, copy) = (folder.join("store.sqlite"), folder.join("copy"));
        let store = Sqlite::open(&file).unwrap();
        keep(&store, "one", "before");
        std::fs::write(&copy, vec![7; 100_000]).unwrap();
        assert_eq!(snapshot(&file, &copy).unwrap(), crate::SCHEMA_VERSION, "while it is open");
        keep(&store, "one", "after");
        assert!(!folder.join("copy-wal").exists(), "one file");
        assert_eq!(look_at_snapshot(&copy).unwrap(), crate::SCHEMA_VERSION);
        std::fs::write(folder.join("empty"), "").unwrap();
        assert!(look_at_snapshot(&folder.join("empty")).is_err(), "an empty file holds no store");
        assert_eq!(std::fs::metadata(folder.join("empty")).unwrap().len(), 0, "and is not made one");
        let opened = Sqlite::open(&copy).unwrap();
        assert_eq!(note(&opened, "one").as_deref(), Some("before"));
        assert_eq!(note(&store, "one").as_deref(), Some("after"));
        drop((store, opened));

        std::fs::write(
            folder.join("none"),
            "this is no store, though it is as long as a head of one would be".repeat(9),
        )
        .unwrap();
        assert!(snapshot(&folder.join("none"), &copy).is_err());
        assert!(snapshot(&folder.join("missing"), &copy).is_err());
        assert!(!folder.join("missing").exists());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
