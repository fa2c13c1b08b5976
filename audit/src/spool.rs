//! The emergency spool: where lines go when the log cannot be written and the hospital chose to go on. They are
//! merged into the log, marked, as soon as it can be written again. The spool should lie on another disk.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use policy::Timestamp;

use crate::{LogProblem, disk};

/// The most that may wait in the spool; then accesses are refused whatever the app is configured to do.
const SPOOL_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// How much is merged at once, so that the log is never held for long.
const MERGE_BYTES: u64 = 1024 * 1024;
const BEGINNING: &str = "{\"v\":1,";

/// The emergency spool.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    bytes: AtomicU64,
    state: Mutex<State>,
}

/// Invariant: the file is empty, or it is a line with the spool's name and then `bytes - merged_to` bytes of whole
/// lines that wait.
#[derive(Debug)]
struct State {
    file: File,
    /// Tells this filling of the spool from others: in the mark of every merged line.
    name: String,
    bytes: u64,
    /// How far the lines are in the log.
    merged_to: u64,
    merged_lines: u64,
}

/// Lines of the spool that are due to be merged: a mark and a body each.
#[derive(Debug)]
pub(crate) struct Due<'a> {
    state: MutexGuard<'a, State>,
    text: Vec<u8>,
}

impl Spool {
    /// Opens the spool in a directory; a line that a crash tore is cut off.
    pub(crate) fn open(directory: &Path) -> Result<Self, LogProblem> {
        let path = directory.join("spool.jsonl");
        let problem = |error| LogProblem::disk(&path, &error);
        disk::make_directory(directory).map_err(problem)?;
        let file = disk::open_append(&path).map_err(problem)?;
        let bytes = std::fs::read(&path).map_err(problem)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1);
        file.set_len(whole).map_err(problem)?;
        let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let first = String::from_utf8_lossy(first);
        let name = first.strip_prefix("{\"spool\":\"").and_then(|rest| rest.strip_suffix("\"}")).unwrap_or_default();
        if whole > 0 && name.is_empty() {
            return Err(LogProblem::damaged(&path, "does not begin with the name of an emergency spool"));
        }
        let merged_to = if whole > 0 { first.len() as u64 + 1 } else { 0 };
        let state = State { file, name: name.to_owned(), bytes: whole, merged_to, merged_lines: 0 };
        Ok(Self { bytes: AtomicU64::new(whole - merged_to), state: Mutex::new(state), path: path.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn problem(&self, error: &std::io::Error) -> LogProblem {
        LogProblem::disk(&self.path, error)
    }

    /// Bytes that wait to be merged.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Writes a line, and syncs it: whoever writes here is in an emergency, and the next thing may be a power cut.
    pub(crate) fn append(&self, at: Timestamp, body: &[u8]) -> Result<(), LogProblem> {
        let mut state = self.lock();
        let mut text = Vec::with_capacity(body.len() + 64);
        let begins = state.bytes == 0;
        if begins {
            state.name = format!("{:x}", at.unix_micros().max(0));
            text.extend_from_slice(format!("{{\"spool\":\"{}\"}}\n", state.name).as_bytes());
        }
        let name_bytes = text.len() as u64;
        text.extend_from_slice(BEGINNING.as_bytes());
        text.extend_from_slice(body);
        text.push(b'\n');
        let bytes = state.bytes + text.len() as u64;
        if bytes > SPOOL_BYTES_MAX {
            return Err(self.problem(&std::io::Error::other("the emergency spool is full; make room for the log")));
        }
        if let Err(error) = state.file.write_all(&text).and_then(|()| state.file.sync_data()) {
            // What could not be cut off is a torn line, which opening cuts.
            drop(state.file.set_len(state.bytes));
            return Err(self.problem(&error));
        }
        state.bytes = bytes;
        if begins {
            state.merged_to = name_bytes;
            state.merged_lines = 0;
        }
        self.bytes.store(state.bytes - state.merged_to, Ordering::Release);
        Ok(())
    }

    /// The next lines to merge; `None` where none wait. The spool stays locked until they are settled.
    pub(crate) fn due(&self) -> Result<Option<Due<'_>>, LogProblem> {
        let state = self.lock();
        if state.bytes == state.merged_to {
            return Ok(None);
        }
        let mut text = Vec::new();
        let mut read = File::open(&self.path).map_err(|error| self.problem(&error))?;
        let more = (state.bytes - state.merged_to).min(MERGE_BYTES);
        read.seek(SeekFrom::Start(state.merged_to))
            .and_then(|_| read.take(more).read_to_end(&mut text))
            .map_err(|error| self.problem(&error))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        text.truncate(whole);
        Ok((whole > 0).then_some(Due { state, text }))
    }

    /// Notes that lines are in the log and synced; empties the spool when they were the last.
    pub(crate) fn settle(&self, due: Due<'_>) -> Result<(), LogProblem> {
        let Due { mut state, text } = due;
        state.merged_to += text.len() as u64;
        state.merged_lines += text.iter().filter(|byte| **byte == b'\n').count() as u64;
        if state.merged_to == state.bytes {
            state.file.set_len(0).and_then(|()| state.file.sync_data()).map_err(|error| self.problem(&error))?;
            (state.bytes, state.merged_to, state.merged_lines) = (0, 0, 0);
        }
        self.bytes.store(state.bytes - state.merged_to, Ordering::Release);
        Ok(())
    }
}

impl Due<'_> {
    /// The spool's name, and each line's place in it and body.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&str, u64, &str)> {
        let lines = self.text.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
        let bodies = (self.state.merged_lines + 1..).zip(lines);
        bodies.filter_map(|(place, line)| Some((self.state.name.as_str(), place, line.strip_prefix(BEGINNING)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(due: &Due<'_>) -> Vec<(u64, String)> {
        due.lines().map(|(_, place, body)| (place, body.to_owned())).collect()
    }

    #[test]
    fn what_is_spooled_comes_back_once_and_in_order() {
        let folder = crate::testing::Folder::new();
        let spool = Spool::open(folder.path()).unwrap();
        assert!(spool.due().unwrap().is_none());
        let at = Timestamp::from_unix_micros(5);
        spool.append(at, b"\"a\":1}").unwrap();
        spool.append(at, b"\"a\":2}").unwrap();
        assert!(spool.bytes() > 0);
        let due = spool.due().unwrap().unwrap();
        assert_eq!(bodies(&due), [(1, "\"a\":1}".to_owned()), (2, "\"a\":2}".to_owned())]);
        spool.settle(due).unwrap();
        assert!(spool.due().unwrap().is_none());
        assert_eq!(spool.bytes(), 0);
        spool.append(Timestamp::from_unix_micros(6), b"\"a\":3}").unwrap();
        assert_eq!(bodies(&spool.due().unwrap().unwrap()), [(1, "\"a\":3}".to_owned())]);
    }

    #[test]
    fn a_torn_line_is_cut_and_the_rest_waits() {
        let folder = crate::testing::Folder::new();
        Spool::open(folder.path()).unwrap().append(Timestamp::from_unix_micros(5), b"\"a\":1}").unwrap();
        let path = folder.path().join("spool.jsonl");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(b"{\"v\":1,\"a");
        std::fs::write(&path, bytes).unwrap();
        let spool = Spool::open(folder.path()).unwrap();
        let due = spool.due().unwrap().unwrap();
        assert_eq!(due.lines().next(), Some(("5", 1, "\"a\":1}")));
    }
}
