//! Line after line, across segments, to the end of the log and on from there as it grows.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::LogProblem;
use crate::archive::Archive;
use crate::line::{LINE_BYTES_MAX, whole_number};
use crate::reader::{Reader, plain, segment_with};
use crate::segment::{Form, Segment};

/// How much of a plain segment is read at once.
const READ_BYTES: u64 = 1024 * 1024;

/// How often the folder is listed by who waits at the end of the log.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// One line of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line<'a> {
    /// Its number.
    pub seq: u64,
    /// Its bytes as they were written and hashed, without the newline.
    pub text: &'a [u8],
}

/// The lines of a log from a number on.
#[derive(Debug)]
pub struct Lines {
    reader: Reader,
    /// The number of the next line.
    next: u64,
    source: Option<Source>,
    /// Whole lines that were read, from `at` on not handed out yet.
    text: Vec<u8>,
    at: usize,
    /// The number that the next physical line of a plain segment should have, where that is known.
    physical: Option<u64>,
    /// When the folder was last listed at the end of the log.
    looked: Option<Instant>,
}

#[derive(Debug)]
enum Source {
    Plain { segment: Segment, file: File, byte: u64 },
    Archived { archive: Arc<Archive>, block: usize },
}

/// What reading on found.
enum Then {
    /// Text, or another segment to look at.
    GoOn,
    /// Nothing more for now.
    End,
}

impl Lines {
    pub(super) fn new(reader: Reader, next: u64) -> Self {
        Self { reader, next, source: None, text: Vec::new(), at: 0, physical: None, looked: None }
    }

    /// The number of the next line: where to go on another time.
    #[must_use]
    pub fn place(&self) -> u64 {
        self.next
    }

    /// The next line; `None` where nothing more is written yet: ask again later. Lines that were deleted by age are
    /// passed over. Blocks while it reads.
    ///
    /// # Errors
    /// [`LogProblem::Damaged`] where lines are not as they were: the next call goes on behind them. Another problem
    /// where the files cannot be read: the next call tries again.
    #[expect(clippy::should_implement_trait, reason = "a line borrows from what was read")]
    pub fn next(&mut self) -> Result<Option<Line<'_>>, LogProblem> {
        loop {
            if let Some((seq, start, end)) = self.take()? {
                let text = self.text.get(start..end).unwrap_or_default();
                return Ok(Some(Line { seq, text }));
            }
            let before = self.next;
            match self.read_on() {
                Ok(Then::GoOn) => {}
                Ok(Then::End) => return Ok(None),
                Err(problem) => {
                    if self.next == before {
                        self.pass_over(&problem);
                    }
                    return Err(problem);
                }
            }
        }
    }

    /// Takes the next line of what was read: number, first byte, end.
    fn take(&mut self) -> Result<Option<(u64, usize, usize)>, LogProblem> {
        loop {
            let Some(rest) = self.text.get(self.at..).filter(|rest| !rest.is_empty()) else { return Ok(None) };
            let Some(length) = memchr::memchr(b'\n', rest) else {
                self.at = self.text.len();
                return Ok(None);
            };
            let (start, end) = (self.at, self.at + length);
            let number = match &self.source {
                // A block's lines are counted.
                Some(Source::Archived { .. }) => Some(self.next),
                Some(Source::Plain { .. }) | None => rest.get(..length).and_then(whole_number),
            };
            let physical = self.physical;
            self.physical = number.or(physical).map(|number| number + 1);
            match number {
                Some(number) if number < self.next => self.at = end + 1,
                // A damaged line before those that are wanted.
                None if physical.is_none_or(|number| number < self.next) => self.at = end + 1,
                Some(number) if number == self.next => {
                    self.at = end + 1;
                    self.next += 1;
                    return Ok(Some((number, start, end)));
                }
                // The line itself is handed out by the next call.
                Some(number) => {
                    let lost = std::mem::replace(&mut self.next, number);
                    return Err(self.damage(format!("lines {lost} to {} are not there", number - 1)));
                }
                None => {
                    self.at = end + 1;
                    self.next += 1;
                    return Err(self.damage(format!("line {} is not as it was", self.next - 1)));
                }
            }
        }
    }

    fn damage(&self, what: String) -> LogProblem {
        let place = match &self.source {
            Some(Source::Plain { segment, .. }) => &segment.path,
            Some(Source::Archived { archive, .. }) => &archive.segment.path,
            None => self.reader.directory(),
        };
        LogProblem::damaged(place, what)
    }

    /// Reads more text, or goes to another segment.
    fn read_on(&mut self) -> Result<Then, LogProblem> {
        self.text.clear();
        self.at = 0;
        match &mut self.source {
            None => self.enter(),
            Some(Source::Archived { archive, block }) => {
                if *block >= archive.blocks() {
                    self.next = self.next.max(archive.index.end);
                    self.source = None;
                    return Ok(Then::GoOn);
                }
                let (first, _) = archive.range(*block);
                self.text = archive.block(*block)?;
                *block += 1;
                // Lines before the one wanted.
                let skipped = usize::try_from(self.next.saturating_sub(first)).unwrap_or(usize::MAX);
                if let Some(before) = skipped.checked_sub(1) {
                    let mut ends = memchr::memchr_iter(b'\n', &self.text);
                    self.at = ends.nth(before).map_or(self.text.len(), |end| end + 1);
                }
                Ok(Then::GoOn)
            }
            Some(Source::Plain { segment, file, byte }) => {
                if read_whole_lines(segment, file, byte, &mut self.text)? {
                    return Ok(Then::GoOn);
                }
                // The next segment is named by the next line; only where lines are missing it is called otherwise.
                let looked_lately = self.looked.is_some_and(|at| at.elapsed() < LOOK_INTERVAL);
                let is_there = |form| Segment::of(self.reader.directory(), self.next, form).path.exists();
                if looked_lately && ![Form::Plain, Form::Archived].into_iter().any(is_there) {
                    return Ok(Then::End);
                }
                let segments = self.reader.look_again()?;
                self.looked = Some(Instant::now());
                let Some(later) = segments.iter().find(|later| later.first > segment.first) else {
                    return Ok(Then::End);
                };
                // What was written before the next segment began was perhaps not there a moment ago.
                if read_whole_lines(segment, file, byte, &mut self.text)? {
                    return Ok(Then::GoOn);
                }
                let (lost, path) = (self.next, segment.path.clone());
                self.source = None;
                if lost < later.first {
                    self.next = later.first;
                    let what = format!("lines {lost} to {} are not there", later.first - 1);
                    return Err(LogProblem::damaged(&path, what));
                }
                Ok(Then::GoOn)
            }
        }
    }

    /// Opens the segment that the next line is in.
    fn enter(&mut self) -> Result<Then, LogProblem> {
        let segments = self.reader.look_again()?;
        let segment = match segment_with(&segments, self.next) {
            Some(segment) => segment,
            None => match segments.first() {
                // Lines that were deleted by age are passed over.
                Some(oldest) => {
                    self.next = oldest.first;
                    oldest.clone()
                }
                None => return Ok(Then::End),
            },
        };
        self.source = Some(match segment.form {
            Form::Plain => {
                let file = match File::open(&segment.path) {
                    Ok(file) => file,
                    // It was archived a moment ago.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Then::GoOn),
                    Err(error) => return Err(LogProblem::disk(&segment.path, &error)),
                };
                let byte = plain::place_of(&segment, &file, self.next)?;
                self.physical = (byte == 0).then_some(segment.first);
                Source::Plain { segment, file, byte }
            }
            Form::Archived => {
                let archive = self.reader.archive(&segment)?;
                if self.next >= archive.index.end {
                    return self.leap(&segments, &segment);
                }
                let block = archive.block_of(self.next);
                Source::Archived { archive, block }
            }
        });
        Ok(Then::GoOn)
    }

    /// Behind the end of a segment: to the next one, where lines are missing between the two.
    fn leap(&mut self, segments: &[Segment], segment: &Segment) -> Result<Then, LogProblem> {
        let Some(later) = segments.iter().find(|later| later.first > segment.first) else { return Ok(Then::End) };
        let lost = std::mem::replace(&mut self.next, later.first);
        let what = format!("lines {lost} to {} are not there", later.first - 1);
        Err(LogProblem::damaged(&segment.path, what))
    }

    /// Goes on behind a damaged block or archive.
    fn pass_over(&mut self, problem: &LogProblem) {
        if !matches!(problem, LogProblem::Damaged { .. }) {
            return;
        }
        match &mut self.source {
            Some(Source::Archived { archive, block }) => {
                self.next = self.next.max(archive.range(*block).1);
                *block += 1;
            }
            // The whole archive: its index is not as it was.
            None => {
                let later = self.reader.look_again().ok().and_then(|segments| {
                    segments.into_iter().find(|segment| segment.first > self.next).map(|segment| segment.first)
                });
                self.next = later.unwrap_or(self.next);
            }
            Some(Source::Plain { .. }) => {}
        }
    }
}

/// Reads the next whole lines of a plain segment, and says whether there were any.
fn read_whole_lines(segment: &Segment, file: &File, byte: &mut u64, text: &mut Vec<u8>) -> Result<bool, LogProblem> {
    let disk = |error: std::io::Error| LogProblem::disk(&segment.path, &error);
    *text = plain::read_at(file, *byte, READ_BYTES).map_err(disk)?;
    let whole = memchr::memrchr(b'\n', text).map_or(0, |at| at + 1);
    if whole == 0 && text.len() > LINE_BYTES_MAX {
        // No line of ours is so long: it is no line, and ends somewhere.
        *byte += text.len() as u64;
        return Err(LogProblem::damaged(&segment.path, format!("no line ends before byte {byte}")));
    }
    text.truncate(whole);
    *byte += whole as u64;
    Ok(whole > 0)
}
