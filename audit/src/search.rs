//! Looking back in the log while it is being written: the newest lines first, within a bound on what is read, so that
//! a page may ask.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use policy::{Timestamp, UtcOffset};

use crate::line::LINE_BYTES_MAX;
use crate::segment::{Form, Segment};
use crate::{LogProblem, Reader};

/// How much is read at once.
const BLOCK_BYTES: u64 = 256 * 1024;
/// Lines of several workers, and after a clock was set, are out of order by no more than this.
const DISORDER_MAX: Duration = Duration::from_secs(60);

/// How far to look back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Search {
    /// No further back than this moment.
    pub since: Timestamp,
    /// No more than so many bytes of the log are read.
    pub bytes_max: u64,
    /// No more than so many lines are found.
    pub lines_max: usize,
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FoundLines {
    /// The lines, newest first.
    pub lines: Vec<String>,
    /// Whether everything since the moment asked for was looked at; else a bound ended the search.
    pub is_whole: bool,
}

/// Looks back in the log for the lines that are wanted. A line that is just being written is left out. Blocks.
///
/// # Errors
/// [`LogProblem`] where the log cannot be read.
pub fn search(
    log: impl Into<Reader>,
    search: Search,
    wanted: impl FnMut(&str) -> bool,
) -> Result<FoundLines, LogProblem> {
    let reader = log.into();
    let mut looking = Looking {
        since: key(search.since),
        stop: earliest_line(search.since),
        bytes_left: search.bytes_max,
        lines_max: search.lines_max,
        wanted,
        found: FoundLines::default(),
    };
    for segment in reader.look_again()?.into_iter().rev() {
        match looking.segment(&reader, &segment)? {
            Then::GoOn => {}
            Then::Enough => {
                looking.found.is_whole = true;
                return Ok(looking.found);
            }
            Then::NoMore => return Ok(looking.found),
        }
    }
    looking.found.is_whole = true;
    Ok(looking.found)
}

/// What a line or block means for those before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    GoOn,
    /// All that is older is too old.
    Enough,
    /// A bound is reached.
    NoMore,
}

struct Looking<W> {
    since: String,
    stop: String,
    bytes_left: u64,
    lines_max: usize,
    wanted: W,
    found: FoundLines,
}

impl<W: FnMut(&str) -> bool> Looking<W> {
    /// Reads a segment from its end to its beginning.
    fn segment(&mut self, reader: &Reader, segment: &Segment) -> Result<Then, LogProblem> {
        match segment.form {
            Form::Plain => match File::open(&segment.path) {
                Ok(file) => self.plain(segment, &file),
                // It was archived a moment ago.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    self.archived(reader, &Segment::of(reader.directory(), segment.first, Form::Archived))
                }
                Err(error) => Err(LogProblem::disk(&segment.path, &error)),
            },
            Form::Archived => self.archived(reader, segment),
        }
    }

    fn plain(&mut self, segment: &Segment, file: &File) -> Result<Then, LogProblem> {
        let problem = |error: std::io::Error| LogProblem::disk(&segment.path, &error);
        let mut end = file.metadata().map_err(problem)?.len();
        // What was read so far of the line that begins before the block; at first what no newline has ended yet.
        let mut rest: Option<Vec<u8>> = None;
        while end > 0 {
            if self.bytes_left == 0 {
                return Ok(Then::NoMore);
            }
            let length = BLOCK_BYTES.min(end).min(self.bytes_left);
            let start = end - length;
            let mut block = vec![0; usize::try_from(length).unwrap_or(0)];
            file.read_exact_at(&mut block, start).map_err(problem)?;
            self.bytes_left -= length;
            let is_last_block = rest.is_none();
            let after = rest.take().unwrap_or_default();
            let then = self.block(block, after, is_last_block, start == 0, &mut rest);
            if then != Then::GoOn {
                return Ok(then);
            }
            end = start;
        }
        Ok(Then::GoOn)
    }

    /// An archive's blocks hold whole lines. One that is damaged is passed over.
    fn archived(&mut self, reader: &Reader, segment: &Segment) -> Result<Then, LogProblem> {
        let archive = reader.archive(segment)?;
        for number in (0..archive.blocks()).rev() {
            if self.bytes_left == 0 {
                return Ok(Then::NoMore);
            }
            let block = match archive.block(number) {
                Ok(block) => block,
                Err(problem @ LogProblem::Damaged { .. }) => {
                    tracing::error!(%problem, "a part of the audit log cannot be searched");
                    continue;
                }
                Err(problem) => return Err(problem),
            };
            self.bytes_left = self.bytes_left.saturating_sub(block.len() as u64);
            let then = self.block(block, Vec::new(), true, true, &mut None);
            if then != Then::GoOn {
                return Ok(then);
            }
        }
        Ok(Then::GoOn)
    }

    /// Reads the lines of a block, last to first; leaves in `rest` the line that begins before it.
    fn block(
        &mut self,
        mut block: Vec<u8>,
        after: Vec<u8>,
        is_last: bool,
        is_first: bool,
        rest: &mut Option<Vec<u8>>,
    ) -> Then {
        block.extend_from_slice(&after);
        let mut lines = block.rsplit(|byte| *byte == b'\n').peekable();
        if is_last {
            lines.next();
        }
        while let Some(line) = lines.next() {
            if lines.peek().is_none() && !is_first {
                // No line of ours is longer: what is, is not looked for.
                *rest = Some(if line.len() > LINE_BYTES_MAX { Vec::new() } else { line.to_vec() });
                return Then::GoOn;
            }
            let then = std::str::from_utf8(line).map_or(Then::GoOn, |line| self.line(line));
            if then != Then::GoOn {
                return then;
            }
        }
        *rest = Some(Vec::new());
        Then::GoOn
    }

    fn line(&mut self, line: &str) -> Then {
        let Some(at) = moment(line) else { return Then::GoOn };
        if at < self.since.as_str() {
            // A line merged from the emergency spool stands among later ones.
            let is_merged = line.contains(r#","spool":""#);
            return if at < self.stop.as_str() && !is_merged { Then::Enough } else { Then::GoOn };
        }
        if !(self.wanted)(line) {
            return Then::GoOn;
        }
        if self.found.lines.len() >= self.lines_max {
            return Then::NoMore;
        }
        self.found.lines.push(line.to_owned());
        Then::GoOn
    }
}

/// The moment that a line is not older than, as lines write it, if it was written after this moment.
pub(crate) fn earliest_line(since: Timestamp) -> String {
    key(Timestamp::from_unix_micros(since.unix_micros().saturating_sub(micros(DISORDER_MAX))))
}

/// The moment of a line, as it is written, to the millisecond: such texts sort like their moments.
pub(crate) fn moment(line: &str) -> Option<&str> {
    line.split_once(r#""ts":""#)?.1.get(..KEY_BYTES)
}

/// `2026-11-22T01:05:00.000`
const KEY_BYTES: usize = 23;

fn key(at: Timestamp) -> String {
    at.rfc3339(UtcOffset::UTC).chars().take(KEY_BYTES).collect()
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment;
    use crate::testing::Folder;

    const START: i64 = 1_795_309_500_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_micros(START + second * 1_000_000)
    }

    fn line(second: i64, word: &str) -> String {
        let moment = at(second).rfc3339(UtcOffset::UTC);
        format!("{{\"v\":1,\"seq\":0,\"ts\":\"{}000Z\",\"ev\":\"{word}\"}}", moment.trim_end_matches('Z'))
    }

    /// A log of segments that hold such lines.
    fn log(segments: &[Vec<String>]) -> Folder {
        let folder = Folder::new();
        std::fs::create_dir_all(segment::folder(folder.path())).unwrap();
        for (lines, first) in segments.iter().zip((0..).step_by(100)) {
            let mut text = lines.join("\n");
            text.push('\n');
            std::fs::write(Segment::new(folder.path(), first).path, text).unwrap();
        }
        folder
    }

    fn look(folder: &Folder, since: i64, bytes_max: u64, lines_max: usize, word: &str) -> FoundLines {
        search(folder.path(), Search { since: at(since), bytes_max, lines_max }, |line| line.contains(word)).unwrap()
    }

    #[test]
    fn the_newest_lines_come_first_across_segments() {
        let older = (0..10).map(|second| line(second, "old")).collect();
        let newer = (10..20).map(|second| line(second, if second % 2 == 0 { "even" } else { "odd" })).collect();
        let folder = log(&[older, newer]);
        let found = look(&folder, 0, u64::MAX, 100, "even");
        assert!(found.is_whole);
        assert_eq!(found.lines, [18, 16, 14, 12, 10].map(|second| line(second, "even")));
        assert_eq!(look(&folder, 0, u64::MAX, 100, "ev").lines.len(), 20);
        assert_eq!(look(&folder, 5, u64::MAX, 100, "old").lines.len(), 5, "no further back than asked");
    }

    #[test]
    fn bounds_end_the_search_and_say_so() {
        let folder = log(&[(0..100).map(|second| line(second, "x")).collect()]);
        let some = look(&folder, 0, u64::MAX, 7, "x");
        assert!(!some.is_whole && some.lines.len() == 7 && some.lines[0] == line(99, "x"));
        let few = look(&folder, 0, 1_000, 100, "x");
        assert!(!few.is_whole && !few.lines.is_empty() && few.lines.len() < 20);
        let none = look(&folder, 0, 0, 100, "x");
        assert_eq!(none, FoundLines::default());
    }

    #[test]
    fn lines_longer_than_a_block_of_reading_are_put_together() {
        let word = "ケ".repeat(20_000);
        let lines: Vec<String> = (0..40).map(|second| line(second, &format!("{word}{second}"))).collect();
        let folder = log(std::slice::from_ref(&lines));
        let found = look(&folder, 0, u64::MAX, 100, "ev");
        assert_eq!(found.lines, lines.into_iter().rev().collect::<Vec<_>>());
    }

    #[test]
    fn what_is_being_written_or_not_ours_is_left_out() {
        let folder = log(&[vec![line(0, "x"), "not ours".to_owned(), line(1, "x")]]);
        let path = Segment::new(folder.path(), 0).path;
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(line(2, "x").as_bytes());
        std::fs::write(&path, text).unwrap();
        assert_eq!(look(&folder, 0, u64::MAX, 9, "").lines, [line(1, "x"), line(0, "x")]);
    }

    #[test]
    fn old_lines_end_the_search_unless_they_were_merged_from_the_spool() {
        let merged = line(-500, "x").replace("\"seq\":0,", "\"seq\":0,\"spool\":\"a/1\",");
        let folder = log(&[vec![line(-900, "x"), line(0, "x"), merged, line(1, "x")]]);
        let found = look(&folder, 0, u64::MAX, 9, "x");
        assert_eq!((found.lines, found.is_whole), (vec![line(1, "x"), line(0, "x")], true));
    }
}
