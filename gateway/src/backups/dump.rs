//! A database's own dump, before it becomes part of a backup: that it is one, of just now, and can be read to its end. One of
//! another day beside today's log would be a node that never was. Deliberately not here: making it, and reading it into a
//! database.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use policy::{Timestamp, UtcOffset};

use crate::child::{self, ChildProblem};
use crate::failure::Failure;

/// How long before the backup it may have been written to its end.
const AGE_MAX: Duration = Duration::from_secs(3_600);
/// How long before the backup it may have been begun: the same, and as long as a large one takes.
const BEGUN_AGE_MAX: Duration = Duration::from_secs(3 * 3_600);
/// How far the clock of whoever keeps the file may be ahead.
const AHEAD_MAX: Duration = Duration::from_secs(60);
/// How long `pg_restore` may read: another backup of this node waits meanwhile, for twice as long.
const READ_TIMEOUT: Duration = Duration::from_secs(300);
/// What dumps in the database's own form begin with.
const BEGIN: &[u8; 5] = b"PGDMP";
/// The most of it that is read for what it states of itself.
const STATED_BYTES: u64 = 128;
/// What `pg_restore` says of a dump that a later `pg_dump` made.
const OTHER_VERSION: &str = "unsupported version";
/// How it is made.
const MAKE: &str = "make it just before with `pg_dump --format=custom --file=FILE`";

/// When a dump was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Dumped {
    /// When `pg_dump` began, as it states itself: what is in it is of that moment.
    pub(super) begun_at: Option<Timestamp>,
    /// When the file was written last: to its end, or when it was copied.
    pub(super) written_at: Timestamp,
}

/// Looks at a dump; tells when it was made.
///
/// # Errors
/// [`Failure`] where it is none, is old, is of a time to come, or is cut or damaged as far as that can be seen here.
pub(super) fn look_at(path: &Path, at: Timestamp) -> Result<Dumped, Failure> {
    let shown = path.display();
    let failed = |error: std::io::Error| Failure::unavailable(format!("`{shown}`: {error}"));
    let none = || Failure::input(format!("`{shown}` is no dump in the database's own form; {MAKE}"));
    // A pipe would be waited for, and has no time of its own.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(none());
    }
    let mut file = File::open(path).map_err(failed)?;
    let mut begin = Vec::new();
    file.by_ref().take(STATED_BYTES).read_to_end(&mut begin).map_err(failed)?;
    if !begin.starts_with(BEGIN) {
        return Err(none());
    }
    let written_at = moment(file.metadata().and_then(|about| about.modified()).map_err(failed)?);
    if at.since(written_at) > AGE_MAX {
        return Err(Failure::no(apart(path, &format!("was written at {}", written_at.rfc3339(UtcOffset::UTC)))));
    }
    if written_at.since(at) > AHEAD_MAX {
        let when = written_at.rfc3339(UtcOffset::UTC);
        return Err(Failure::no(format!(
            "`{shown}` was written at {when}, which is still to come: look at the clocks"
        )));
    }
    let begun_at = begun_at(&begin, path, written_at);
    if let Some(begun_at) = begun_at.filter(|begun_at| at.since(*begun_at) > BEGUN_AGE_MAX) {
        let what = format!(
            "says itself that it was begun at {}, by this machine's time zone, so it is a copy of an old one",
            begun_at.rfc3339(UtcOffset::UTC)
        );
        let zone = "where `pg_dump` runs on a machine with another time zone, set `TZ` for it as it is here";
        return Err(Failure::no(format!("{}; {zone}", apart(path, &what))));
    }
    read_through(Command::new("pg_restore"), path, READ_TIMEOUT)?;
    Ok(Dumped { begun_at, written_at })
}

fn apart(path: &Path, what: &str) -> String {
    let path = path.display();
    format!(
        "`{path}` {what}, and the log goes on to now: the two do not belong together; {MAKE}, and see that it ends well"
    )
}

/// When it was begun, where it says so and can be believed.
fn begun_at(begin: &[u8], path: &Path, written_at: Timestamp) -> Option<Timestamp> {
    let file = path.display();
    let Some(begun_at) = Stated::read(begin).and_then(|stated| stated.here()) else {
        tracing::warn!(%file, "nobody knows when the dump was begun; of that moment is what is in it");
        return None;
    };
    if begun_at.since(written_at) > AHEAD_MAX {
        tracing::warn!(
            %file, %begun_at, %written_at,
            "by what the dump says it was begun after it was written: set TZ for pg_dump as it is on this machine"
        );
        return None;
    }
    Some(begun_at)
}

/// When a dump says that it was begun: the time of the clock on the wall where `pg_dump` ran.
#[derive(PartialEq, Eq, Debug)]
struct Stated(String);

impl Stated {
    /// Reads the head of an archive, versions 1.12 to 1.16 (PostgreSQL's `pg_backup_archiver.c`, `ReadHead`): magic, three
    /// numbers of the version, the sizes of an integer and an offset, the form, how it is compressed, and then second, minute,
    /// hour, day, month and year.
    fn read(begin: &[u8]) -> Option<Self> {
        let [major, minor, _, size, _, _, rest @ ..] = begin.strip_prefix(BEGIN)? else { return None };
        let (mut rest, size) = (rest, usize::from(*size));
        match (major, minor) {
            // A number that may be negative.
            (1, 12..=14) => rest = rest.get(size.checked_add(1)?..)?,
            (1, 15..=16) => rest = rest.get(1..)?,
            (_, _) => return None,
        }
        let mut next = || integer(&mut rest, size);
        let (second, minute, hour, day, month, year) = (next()?, next()?, next()?, next()?, next()?, next()?);
        let is_time = second <= 60 && minute < 60 && hour < 24 && (1..=31).contains(&day) && month < 12;
        let (month, year) = (month.checked_add(1)?, year.checked_add(1900)?);
        is_time.then(|| Self(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")))
    }

    /// The moment, if it was told by the clock of this machine's time zone, which the system's `date` knows.
    fn here(&self) -> Option<Timestamp> {
        let mut date = Command::new("date");
        let told =
            date.arg(format!("--date={}", self.0)).arg("+%s").stdin(Stdio::null()).stderr(Stdio::null()).output();
        let told = told.ok().filter(|told| told.status.success())?;
        let seconds: i64 = std::str::from_utf8(&told.stdout).ok()?.trim().parse().ok()?;
        Some(Timestamp::from_unix_micros(seconds.checked_mul(1_000_000)?))
    }
}

/// A number of an archive that is not negative: a byte for its sign, and its bytes, the lowest first.
fn integer(bytes: &mut &[u8], size: usize) -> Option<u32> {
    let (number, rest) = bytes.split_at_checked(size.checked_add(1)?)?;
    *bytes = rest;
    let (0, low_to_high) = number.split_first().map(|(sign, number)| (*sign, number))? else { return None };
    low_to_high.iter().rev().try_fold(0_u32, |sum, byte| sum.checked_mul(256)?.checked_add(u32::from(*byte)))
}

/// Lets the database's own program read all of it: the list at its begin reads well even where the rest is cut off.
fn read_through(mut program: Command, path: &Path, within: Duration) -> Result<(), Failure> {
    program.args(["--file=/dev/null", "--"]).arg(path).env("LC_ALL", "C");
    match child::run(program, within, || false) {
        Ok(()) => Ok(()),
        Err(ChildProblem::Failed { said, .. }) => {
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
        Err(problem @ (ChildProblem::Late(_) | ChildProblem::NotWatched(_))) => Err(Failure::unavailable(format!(
            "`pg_restore`, which reads `{}` through, {problem}, and no backup was made: see whether the disk or the share that it \
             lies on hangs, lay the dump on a disk of this machine, and run it again",
            path.display()
        ))),
        Err(ChildProblem::NotRun(error)) => {
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

    /// A file that is removed however the test ends.
    struct Laid(std::path::PathBuf);

    impl Laid {
        fn new(name: &str, bytes: &[u8]) -> Self {
            let path = std::env::temp_dir().join(format!("sekimori-dump-{}-{name}", std::process::id()));
            std::fs::write(&path, bytes).unwrap();
            Self(path)
        }
    }

    impl Drop for Laid {
        fn drop(&mut self) {
            std::fs::remove_file(&self.0).unwrap();
        }
    }

    /// What is said of a dump that was written at second 1,000, at this second.
    fn said(bytes: &[u8], second: i64) -> Result<Dumped, String> {
        let laid = Laid::new(&format!("{second}-{}", bytes.len()), bytes);
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        File::options().write(true).open(&laid.0).unwrap().set_modified(written).unwrap();
        let at = Timestamp::from_unix_micros(second * 1_000_000);
        look_at(&laid.0, at).map_err(|failure| failure.to_string())
    }

    /// The head of a dump: as PostgreSQL writes it up to version 15, or since 16.
    fn head(minor: u8, clock: [u8; 6]) -> Vec<u8> {
        let mut head = [&BEGIN[..], &[1, minor, 0, 4, 8, 1]].concat();
        head.extend_from_slice(if minor < 15 { &[1, 1, 0, 0, 0] } else { &[1] });
        for number in clock {
            head.extend([0, number, 0, 0, 0]);
        }
        head
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
        let folder = look_at(&std::env::temp_dir(), Timestamp::from_unix_micros(0)).unwrap_err();
        assert!(folder.to_string().contains("no dump"), "{folder}");
    }

    #[test]
    fn a_dump_says_when_it_was_begun_in_each_form_that_is_known() {
        let clock = [54, 5, 9, 23, 10, 126];
        let stated = Some(Stated("2026-11-23 09:05:54".to_owned()));
        for minor in 12..=16 {
            assert_eq!(Stated::read(&head(minor, clock)), stated, "1.{minor}");
        }
        for minor in [11, 17, 255] {
            assert_eq!(Stated::read(&head(minor, clock)), None, "1.{minor}");
        }
        let whole = head(14, clock);
        for cut in 0..whole.len() {
            assert_eq!(Stated::read(&whole[..cut]), None, "{cut}");
        }
        for place in 0..whole.len() {
            for byte in [0, 1, 127, 255] {
                let mut other = whole.clone();
                other[place] = byte;
                // Whatever stands there, it ends, and says a time or nothing.
                assert!(Stated::read(&other).is_none_or(|stated| stated.0.len() >= 19), "{place} {byte}");
            }
        }
    }

    #[test]
    fn a_copy_of_an_old_dump_is_one_however_new_its_file_is() {
        // Begun in 1969, whatever the time zone, and written just now.
        let old = said(&head(14, [0, 0, 0, 30, 11, 69]), 1_001).unwrap_err();
        assert!(old.contains("says itself that it was begun at 1969-12-") && old.contains("TZ"), "{old}");
    }

    #[test]
    fn what_a_dump_says_that_cannot_be_is_not_believed() {
        let written_at = Timestamp::from_unix_micros(1_000_000_000);
        let begun = |clock| begun_at(&head(16, clock), Path::new("store.dump"), written_at);
        assert_eq!(begun([0, 0, 0, 3, 0, 70]), None, "two days after it was written");
        assert_eq!(begun([0, 0, 0, 40, 0, 70]), None);
        let day = Duration::from_secs(86_400);
        assert!(begun([0, 0, 0, 30, 11, 69]).is_some_and(|begun| written_at.since(begun) > day / 2));
    }

    #[test]
    fn a_dump_that_cannot_be_read_through_in_time_makes_no_backup_and_says_what_to_do() {
        let laid = Laid::new("hangs", b"PGDMP");
        let mut hangs = Command::new("/bin/sh");
        hangs.args(["-c", "sleep 600 & wait"]);
        let told = read_through(hangs, &laid.0, Duration::from_millis(300)).unwrap_err().to_string();
        assert!(told.contains("did not end within") && told.contains("a disk of this machine"), "{told}");
        assert!(told.contains(&laid.0.display().to_string()), "{told}");
        let mut complains = Command::new("/bin/sh");
        complains
            .args(["-c", "i=0; while [ $i -lt 9000 ]; do echo 'unexpected end of file' >&2; i=$((i+1)); done; exit 1"]);
        let told = read_through(complains, &laid.0, Duration::from_secs(60)).unwrap_err().to_string();
        assert!(told.contains("cannot be read to its end (unexpected end of file)"), "{told}");
    }
}
