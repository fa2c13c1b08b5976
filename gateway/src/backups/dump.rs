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
/// What dumps in the database's own form begin with.
const BEGIN: &[u8; 5] = b"PGDMP";
/// How it is made.
const MAKE: &str = "make it just before with `pg_dump --format=custom --file=FILE`";

/// Looks at a dump; gives when it was written.
///
/// # Errors
/// [`Failure`] where it is none, is old, or is cut or damaged as far as that can be seen here.
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
    read_through(path)?;
    Ok(written)
}

/// Lets the database's own program read all of it: the list at its begin reads well even where the rest is cut off.
fn read_through(path: &Path) -> Result<(), Failure> {
    let mut program = Command::new("pg_restore");
    program.args(["--file=/dev/null", "--"]).arg(path).stdin(Stdio::null()).stdout(Stdio::null());
    match program.output() {
        Ok(read) if read.status.success() => Ok(()),
        Ok(read) => {
            let said = String::from_utf8_lossy(&read.stderr);
            let said = said.lines().next().unwrap_or_default();
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
        let missing = look_at(Path::new("/nowhere/store.dump"), Timestamp::from_unix_micros(0)).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/store.dump"), "{missing}");
    }
}
