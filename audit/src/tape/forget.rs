//! Recordings go with the lines that tell of them.

use std::time::Duration;

use policy::Timestamp;

use crate::keys::KEYS;
use crate::tape::file;
use crate::{LogProblem, Reader, disk, search};

/// How much older than the oldest line a recording's request must be: its line may have been written long after it.
const MARGIN: Duration = Duration::from_secs(86_400);

/// Removes recordings that began before the oldest line that is still there, and their keys. Says how many files.
pub(crate) fn forget(reader: &Reader) -> Result<u64, LogProblem> {
    let Some(line) = reader.line(reader.first()?)? else { return Ok(0) };
    let oldest = std::str::from_utf8(&line).ok().and_then(search::moment);
    let Some(oldest) = oldest.and_then(|at| Timestamp::parse_rfc3339(&format!("{at}Z"))) else { return Ok(0) };
    let directory = reader.directory();
    // A crash may leave a key alone.
    let files = [file::tapes(directory)?, file::list(directory, KEYS)?].concat();
    let mut removed = 0;
    for path in files {
        let began = file::id_of(&path).and_then(|id| began(&id.to_string()));
        if began.is_some_and(|began| oldest.since(began) > MARGIN) {
            disk::remove(&path).map_err(|error| LogProblem::disk(&path, &error))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// The moment in a request's id (RFC 9562, version 7).
fn began(id: &str) -> Option<Timestamp> {
    let digits: String = id.chars().filter(|c| *c != '-').take(12).collect();
    let millis = i64::from_str_radix(&digits, 16).ok()?;
    Some(Timestamp::from_unix_micros(millis.checked_mul(1_000)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_a_request_was_made_stands_in_its_id() {
        let at = Timestamp::from_unix_micros(1_743_466_530_123_000);
        assert_eq!(began(&policy::RequestId::new(at, 7).to_string()), Some(at));
    }
}
