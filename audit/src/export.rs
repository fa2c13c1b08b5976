//! Reading the log's lines: all of them, or the last few. A line that is just being written is left out.

use std::io::Write;

use policy::Timestamp;

use crate::{LogProblem, Reader, Search, search};

/// Copies every line of the log, oldest first, and says how many.
///
/// # Errors
/// [`LogProblem`] where the log cannot be read or `out` cannot be written.
pub fn export_jsonl(log: impl Into<Reader>, mut out: impl Write) -> Result<u64, LogProblem> {
    let reader = log.into();
    let unwritable = |error: std::io::Error| LogProblem::Disk {
        place: "export".to_owned(),
        reason: format!("cannot be written: {error}"),
    };
    let mut count = 0;
    let mut lines = reader.from(reader.first()?);
    while let Some(line) = lines.next()? {
        out.write_all(line.text).and_then(|()| out.write_all(b"\n")).map_err(unwritable)?;
        count += 1;
    }
    out.flush().map_err(unwritable)?;
    Ok(count)
}

/// The last `n` lines of the log, oldest first.
///
/// # Errors
/// [`LogProblem`] where the log cannot be read.
pub fn tail(log: impl Into<Reader>, n: usize) -> Result<Vec<String>, LogProblem> {
    let since = Timestamp::from_unix_micros(0);
    let mut found = search(log, Search { since, bytes_max: u64::MAX, lines_max: n }, |_| true)?;
    found.lines.reverse();
    Ok(found.lines)
}
