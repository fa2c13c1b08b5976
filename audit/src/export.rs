//! Reading the log's lines: all of them, or the last few. A line that is just being written is left out.

use std::io::Write;
use std::path::Path;

use crate::{LogProblem, segment};

/// Copies every line of the log, oldest first, and says how many.
///
/// # Errors
/// [`LogProblem`] where the log cannot be read or `out` cannot be written.
pub fn export_jsonl(dir: &Path, mut out: impl Write) -> Result<u64, LogProblem> {
    let unwritable = |error: std::io::Error| LogProblem::Disk {
        place: "export".to_owned(),
        reason: format!("cannot be written: {error}"),
    };
    let mut count = 0;
    for segment in segment::list(dir)? {
        let mut lines = segment.lines(0)?;
        while let Some(line) = lines.next()?.filter(|line| line.ended) {
            out.write_all(line.text).and_then(|()| out.write_all(b"\n")).map_err(unwritable)?;
            count += 1;
        }
    }
    out.flush().map_err(unwritable)?;
    Ok(count)
}

/// The last `n` lines of the log, oldest first.
///
/// # Errors
/// [`LogProblem`] where the log cannot be read.
pub fn tail(dir: &Path, n: usize) -> Result<Vec<String>, LogProblem> {
    let mut newest_first = Vec::new();
    for segment in segment::list(dir)?.into_iter().rev() {
        let bytes = std::fs::read(&segment.path).map_err(|error| LogProblem::disk(&segment.path, &error))?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at);
        let lines = bytes.get(..whole).unwrap_or_default().rsplit(|byte| *byte == b'\n');
        let wanted = n - newest_first.len();
        newest_first.extend(
            lines.filter(|line| !line.is_empty()).take(wanted).map(|line| String::from_utf8_lossy(line).into_owned()),
        );
        if newest_first.len() >= n {
            break;
        }
    }
    newest_first.reverse();
    Ok(newest_first)
}
