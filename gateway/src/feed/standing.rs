//! Where a feed stands, kept in `state_dir/feeds/ID.json`: the cursor, and what `audit feed status` and `doctor` tell. The
//! log is the spool: nothing else is kept. Replaced whole and synced, so that a crash leaves the one or the other.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use policy::{FeedId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::feed::window::Position;

/// More than a full one holds.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// The form of the file.
const VERSION: u32 = 1;

/// Where a feed stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The log it follows, by its origin.
    pub log: String,
    /// Everything before this has arrived.
    pub settled: Position,
    /// Messages sent, those sent twice counted twice.
    pub sent: u64,
    /// Messages left out: longer than the receiver takes, or not readable.
    pub left_out: u64,
    /// Connections that could not be made, or broke.
    pub failures: u64,
    /// When something last arrived.
    pub last_success: Option<Timestamp>,
    /// What keeps it from sending, since when.
    pub problem: Option<(Timestamp, String)>,
}

/// The form in the file.
#[derive(Serialize, Deserialize)]
struct Kept {
    v: u32,
    log: String,
    next: u64,
    open: Vec<u64>,
    sent: u64,
    left_out: u64,
    failures: u64,
    last_success: Option<i64>,
    problem: Option<(i64, String)>,
}

impl Standing {
    /// At a line of a log, with nothing sent.
    pub fn at(log: &str, next: u64) -> Self {
        Self {
            log: log.to_owned(),
            settled: Position { next, open: Arc::default() },
            sent: 0,
            left_out: 0,
            failures: 0,
            last_success: None,
            problem: None,
        }
    }

    /// The file of a feed.
    pub fn file(state_dir: &Path, id: &FeedId) -> PathBuf {
        state_dir.join("feeds").join(format!("{id}.json"))
    }

    /// Reads it; `None` where the feed never ran.
    ///
    /// # Errors
    /// In words, where it cannot be read: nobody may guess where a feed stood.
    pub fn read(file: &Path) -> Result<Option<Self>, String> {
        let problem =
            |what: &dyn std::fmt::Display| format!("`{}`: {what}; remove it to begin the feed anew", file.display());
        let mut text = String::new();
        match File::open(file) {
            Ok(open) => open.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| problem(&error))?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(problem(&error)),
        };
        let kept: Kept = serde_json::from_str(&text).map_err(|error| problem(&error))?;
        if kept.v != VERSION {
            return Err(problem(&format!("has the form {}, of another version", kept.v)));
        }
        Ok(Some(Self {
            log: kept.log,
            settled: Position { next: kept.next, open: kept.open.into() },
            sent: kept.sent,
            left_out: kept.left_out,
            failures: kept.failures,
            last_success: kept.last_success.map(Timestamp::from_unix_micros),
            problem: kept.problem.map(|(at, what)| (Timestamp::from_unix_micros(at), what)),
        }))
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// In words; what is there stays.
    pub fn write(&self, file: &Path) -> Result<(), String> {
        self.replace(file).map_err(|error| format!("`{}` cannot be written: {error}", file.display()))
    }

    fn replace(&self, file: &Path) -> std::io::Result<()> {
        let folder = file.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let kept = Kept {
            v: VERSION,
            log: self.log.clone(),
            next: self.settled.next,
            open: self.settled.open.to_vec(),
            sent: self.sent,
            left_out: self.left_out,
            failures: self.failures,
            last_success: self.last_success.map(Timestamp::unix_micros),
            problem: self.problem.as_ref().map(|(at, what)| (at.unix_micros(), what.clone())),
        };
        let text = serde_json::to_vec(&kept)?;
        let fresh = file.with_extension("new");
        let mut open = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        open.write_all(&text)?;
        open.sync_all()?;
        std::fs::rename(&fresh, file)?;
        File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> PathBuf {
        let name = format!("sekimori-feed-{}-{:x}", std::process::id(), crate::clock::random_u64().unwrap());
        std::env::temp_dir().join(name)
    }

    #[test]
    fn what_is_written_is_read_back_and_nothing_is_guessed() {
        let folder = folder();
        let file = Standing::file(&folder, &FeedId::parse("siem").unwrap());
        assert_eq!(Standing::read(&file), Ok(None));
        let mut standing = Standing::at("login.example/gw01", 7);
        standing.write(&file).unwrap();
        assert_eq!(Standing::read(&file), Ok(Some(standing.clone())));
        standing.settled = Position { next: 900, open: vec![17, 20].into() };
        standing.problem = Some((Timestamp::from_unix_micros(5), "`siem:6514` cannot be reached".to_owned()));
        standing.last_success = Some(Timestamp::from_unix_micros(4));
        standing.write(&file).unwrap();
        assert_eq!(Standing::read(&file), Ok(Some(standing)));
        for damaged in ["", "{}", "{\"v\":2}", "[1"] {
            std::fs::write(&file, damaged).unwrap();
            assert!(Standing::read(&file).is_err(), "{damaged}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn nobody_else_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = folder();
        let file = Standing::file(&folder, &FeedId::parse("siem").unwrap());
        Standing::at("a", 0).write(&file).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
