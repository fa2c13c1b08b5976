//! Holding a log against a checkpoint of it that somebody kept elsewhere: a witness, a peer, a receiver, a backup, a print
//! of the console. A log that was put back from an older copy verifies by itself; only what was kept apart shows that it
//! once was longer, or was another.

use std::fmt;

use crate::{LogKey, LogProblem, Prover, Reader, SignedRoot};

/// How a log stands to a checkpoint that was kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// The log begins with what was signed.
    GoesOn(SignedRoot),
    /// Lines that were signed are missing at its end.
    Short {
        /// What was signed.
        signed: SignedRoot,
        /// How many lines are there.
        lines: u64,
    },
    /// It has as many lines, and others than were signed.
    Other(SignedRoot),
    /// The log's key did not sign this.
    Foreign,
}

impl Standing {
    /// Whether nothing that was signed is missing.
    #[must_use]
    pub fn is_good(self) -> bool {
        match self {
            Self::GoesOn(_) => true,
            Self::Short { .. } | Self::Other(_) | Self::Foreign => false,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GoesOn(signed) => {
                write!(f, "the log goes on from its first {} lines as they were signed", signed.size)
            }
            Self::Short { signed, lines } => write!(
                f,
                "{} lines were signed, but {lines} are there: lines {lines} to {} are missing",
                signed.size,
                signed.size.saturating_sub(1)
            ),
            Self::Other(signed) => write!(
                f,
                "the first {} lines are not those that were signed: some are missing, and others were written in their \
                 place; where the log was put back from a backup, `sekimori audit find --event restored` says from which \
                 line on",
                signed.size
            ),
            Self::Foreign => f.write_str("the log's key did not sign this checkpoint"),
        }
    }
}

/// Holds a log against a checkpoint: a signed note.
///
/// # Errors
/// [`LogProblem`] where the log cannot be read, or lacks hashes to compare.
pub fn stands(reader: &Reader, key: &LogKey, note: &str) -> Result<Standing, LogProblem> {
    let Some(signed) = key.checkpoint(note) else { return Ok(Standing::Foreign) };
    let lines = reader.size()?;
    if signed.size > lines {
        return Ok(Standing::Short { signed, lines });
    }
    if signed.size == 0 {
        return Ok(Standing::GoesOn(signed));
    }
    let root = Prover::new(reader.directory(), |number| reader.line(number)).root(signed.size)?;
    Ok(if root == signed.root { Standing::GoesOn(signed) } else { Standing::Other(signed) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Folder, Ward, clock};
    use crate::{Event, Note, newest_checkpoint};

    fn write(ward: &Ward, event: Event, count: usize) -> (LogKey, String) {
        let log = ward.open();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for _ in 0..count {
            runtime.block_on(log.recorder().note(Note::new(event, clock().now()))).unwrap();
        }
        log.stop();
        (LogKey::parse(log.public_key()).unwrap(), newest_checkpoint(ward.directory()).unwrap().unwrap())
    }

    fn copy(from: &std::path::Path, to: &std::path::Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &to);
            } else {
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
    }

    #[test]
    fn an_older_log_is_told_by_a_later_checkpoint_before_it_grows_and_after() {
        let ward = Ward::new();
        let (key, early) = write(&ward, Event::Started, 300);
        let kept = Folder::new();
        copy(ward.directory(), kept.path());
        let (_, late) = write(&ward, Event::Started, 300);
        let reader: Reader = ward.directory().into();
        assert!(stands(&reader, &key, &early).unwrap().is_good());
        assert!(stands(&reader, &key, &late).unwrap().is_good());

        std::fs::remove_dir_all(ward.directory()).unwrap();
        copy(kept.path(), ward.directory());
        let reader: Reader = ward.directory().into();
        assert!(crate::verify(ward.directory(), None).is_ok(), "by itself it is whole");
        let short = stands(&reader, &key, &late).unwrap();
        assert!(matches!(short, Standing::Short { signed, lines } if signed.size > lines), "{short}");

        write(&ward, Event::Stopped, 600);
        let reader: Reader = ward.directory().into();
        assert!(crate::verify(ward.directory(), None).is_ok());
        assert!(matches!(stands(&reader, &key, &late).unwrap(), Standing::Other(_)));
        assert!(stands(&reader, &key, &early).unwrap().is_good());
    }

    #[test]
    fn what_another_key_signed_says_nothing() {
        let (ward, other) = (Ward::new(), Ward::new());
        let (key, _) = write(&ward, Event::Started, 2);
        let (_, note) = write(&other, Event::Started, 2);
        let reader: Reader = ward.directory().into();
        assert_eq!(stands(&reader, &key, &note).unwrap(), Standing::Foreign);
        assert_eq!(stands(&reader, &key, "").unwrap(), Standing::Foreign);
    }
}
