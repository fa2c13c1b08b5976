//! A database's own dump, before it becomes part of a backup: that it is one, was made just now, and can be read to its
//! end. One of another day beside today's log would be a node that never was. Deliberately not here: making it, and reading
//! it into a database.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use policy::{Timestamp, UtcOffset};

use crate::failure::Failure;

/// How long before the backup it may have been made.
const AGE_MAX: Duration = Duration::from_secs(3_600);
/// How far the clock of whoever keeps the file may be ahead.
const AHEAD_MAX: Duration = Duration::from_secs(60);
/// What dumps in the database's own form begin with.
const BEGIN: &[u8; 5] = b"PGDMP";
/// What `pg_restore` says of a dump that a later `pg_dump` made.
const OTHER_VERSION: &str = "unsupported version";
/// How it is made.
const MAKE: &str = "make it just before with `pg_dump --format=custom --file=FILE`";

/// Looks at a dump; gives when it was written to its end. What is in it is of the moment in which `pg_dump` began.
///
/// # Errors
/// [`Failure`] where it is none, is old, is of a time to come, or is cut or damaged as far as that can be seen here.
pub(super) fn look_at(path: &Path, at: Timestamp) -> Result<Timestamp, Failure> {
    let shown = path.display();
    let failed = |error: std::io::Error| Failure::unavailable(format!("`{shown}`: {error}"));
    let mut file = File::open(path).map_err(failed)?;
    let mut begin = Vec::new();
    file.by_ref().take(BEGIN.len() as u64).read_to_end(&mut begin).map_err(failed)?;
    if begin != BEGIN {
        return Err(Failure::input(format!("`{shown}` is no dump in the database's own form; {MAKE}")));
    }
    let written = file.metadata().and_then(|about| about.modified()).map_err(failed)?;
    let written = moment(written);
    if at.since(written) > AGE_MAX {
        let when = written.rfc3339(UtcOffset::UTC);
        let what =
            format!("`{shown}` was written at {when}, and the log goes on to now: the two do not belong together");
        return Err(Failure::no(format!("{what}; {MAKE}, and see that it ends well")));
    }
    if written.since(at) > AHEAD_MAX {
        let when = written.rfc3339(UtcOffset::UTC);
        return Err(Failure::no(format!(
            "`{shown}` was written at {when}, which is still to come: look at the clocks"
        )));
    }
    read_through(path)?;
    Ok(written)
}

/// Lets the database's own program read all of it: the list at its begin reads well even where the rest is cut off.
fn read_through(path: &Path) -> Result<(), Failure> {
    let mut program = Command::new("pg_restore");
    program.args(["--file=/dev/null", "--"]).arg(path).stdin(Stdio::null()).stdout(Stdio::null());
    match program.env("LC_ALL", "C").output() {
        Ok(read) if read.status.success() => Ok(()),
        Ok(read) => {
            let said = String::from_utf8_lossy(&read.stderr);
            let said = said.lines().next().unwrap_or_default();
            if said.contains(OTHER_VERSION) {
                tracing::warn!(
                    said,
                    "pg_restore is older than the dump, so nobody knows whether that is whole; install the database's own version"
                );
                return Ok(());
            }
            Err(Failure::no(format!("`{}` cannot be read to its end ({said}); {MAKE}", path.display())))
        }
        Err(error) => {
            tracing::warn!(%error, "pg_restore is not here, so nobody knows whether the dump is whole; install the database's client");
            Ok(())
        }
    }
}

fn moment(time: SystemTime) -> Timestamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a dump that was written at second 1,000, at this second.
    fn said(bytes: &[u8], second: i64) -> Result<Timestamp, String> {
        let name = format!("sekimori-dump-{}-{second}-{}", std::process::id(), bytes.len());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).unwrap();
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
        let at = Timestamp::from_unix_micros(second * 1_000_000);
        let said = look_at(&path, at).map_err(|failure| failure.to_string());
        std::fs::remove_file(&path).unwrap();
        said
    }

    #[test]
    fn only_a_dump_of_the_last_hour_is_one() {
        for none in [&b""[..], b"PGD", b"-- PostgreSQL database dump\n", b"\x1f\x8b\x08\0\0\0"] {
            let refused = said(none, 1_001).unwrap_err();
            assert!(refused.contains("no dump in the database's own form"), "{refused}");
        }
        let old = said(b"PGDMP and more", 1_000 + 3_601).unwrap_err();
        assert!(old.contains("1970-01-01T00:16:40") && old.contains("do not belong together"), "{old}");
        let ahead = said(b"PGDMP and more", 1_000 - 61).unwrap_err();
        assert!(ahead.contains("1970-01-01T00:16:40") && ahead.contains("still to come"), "{ahead}");
        let missing = look_at(Path::new("/nowhere/store.dump"), Timestamp::from_unix_micros(0)).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/store.dump"), "{missing}");
    }
}
