//! Finding a line in a plain segment without reading all of it: lines say their number, so halving finds it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use crate::LogProblem;
use crate::line::{LINE_BYTES_MAX, whole_number};
use crate::reader::Block;
use crate::segment::Segment;

/// How much is read for one line, so that its neighbours are known too.
const BLOCK_BYTES: u64 = 256 * 1024;
/// Enough to hold a whole line wherever it begins.
const STEP_BYTES: u64 = 2 * LINE_BYTES_MAX as u64 + 2;

/// Where in a file a line begins, or one before it from which it is not far.
pub(crate) fn place_of(segment: &Segment, file: &File, seq: u64) -> Result<u64, LogProblem> {
    let disk = |error: std::io::Error| LogProblem::disk(&segment.path, &error);
    let (mut low, mut high) = (0, file.metadata().map_err(disk)?.len());
    while high - low > STEP_BYTES {
        let middle = low + (high - low) / 2;
        let bytes = read_at(file, middle, STEP_BYTES).map_err(disk)?;
        match first_numbered(&bytes) {
            Some((at, number)) if number <= seq => low = middle + at,
            // What is damaged there has no number: the line is looked for from the left.
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

/// Lines around a line, as far as they follow each other; `None` where it is not there.
pub(crate) fn block_with(segment: &Segment, seq: u64) -> Result<Option<Block>, LogProblem> {
    let disk = |error: std::io::Error| LogProblem::disk(&segment.path, &error);
    let file = File::open(&segment.path).map_err(disk)?;
    let bytes = read_at(&file, place_of(segment, &file, seq)?, BLOCK_BYTES + STEP_BYTES).map_err(disk)?;
    let mut found: Option<Stretch> = None;
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let number = line.strip_suffix(b"\n").and_then(whole_number);
        let start = at;
        at += line.len();
        match (number, &mut found) {
            (Some(number), Some(stretch)) if number == stretch.next => {
                (stretch.next, stretch.to) = (number + 1, at);
            }
            // Where numbers do not follow, only the stretch that holds the line is of use.
            (_, Some(stretch)) if stretch.next > seq => break,
            (Some(number), _) => found = Some(Stretch { first: number, next: number + 1, from: start, to: at }),
            (None, _) => found = None,
        }
    }
    let found = found.filter(|stretch| (stretch.first..stretch.next).contains(&seq));
    Ok(found.and_then(|stretch| Some(Block::new(stretch.first, bytes.get(stretch.from..stretch.to)?.to_vec()))))
}

/// Lines whose numbers follow each other.
struct Stretch {
    first: u64,
    next: u64,
    from: usize,
    to: usize,
}

/// The number after the last whole line of a segment.
pub(crate) fn end(segment: &Segment) -> Result<u64, LogProblem> {
    let disk = |error: std::io::Error| LogProblem::disk(&segment.path, &error);
    let file = File::open(&segment.path).map_err(disk)?;
    let mut to = file.metadata().map_err(disk)?.len();
    while to > 0 {
        let from = to.saturating_sub(STEP_BYTES);
        let bytes = read_at(&file, from, to - from).map_err(disk)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        let last = bytes.get(..whole).unwrap_or_default().rsplit(|byte| *byte == b'\n').find_map(whole_number);
        if let Some(number) = last {
            return Ok(number + 1);
        }
        to = from;
    }
    Ok(segment.first)
}

/// The first line in some bytes that begins after a newline, and its number.
fn first_numbered(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut at = memchr::memchr(b'\n', bytes)? + 1;
    for line in bytes.get(at..)?.split_inclusive(|byte| *byte == b'\n') {
        if let Some(number) = line.strip_suffix(b"\n").and_then(whole_number) {
            return Some((at as u64, number));
        }
        at += line.len();
    }
    None
}

pub(crate) fn read_at(file: &File, at: u64, bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut read = vec![0; usize::try_from(bytes).unwrap_or(0)];
    let mut filled = 0;
    while let Some(rest) = read.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + filled as u64) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    read.truncate(filled);
    Ok(read)
}
