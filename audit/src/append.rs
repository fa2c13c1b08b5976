//! The end of the log: lines get their numbers and are written here, and nowhere else, one batch with one write.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::Facility;
use policy::Clock;

use crate::bundle::Bundle;
use crate::open_count::OpenCount;
use crate::round::Place;
use crate::segment::{self, Segment};
use crate::tail::Tail;
use crate::{LogProblem, disk, kernel_clock, line};

/// Room for the line that begins a segment.
const HEADER_BYTES: usize = 1_024;

/// What a log is called and how large its segments grow.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) directory: PathBuf,
    pub(crate) origin: String,
    pub(crate) facility: Facility,
    pub(crate) segment_bytes_max: u64,
    pub(crate) clock: Clock,
}

/// The end of the log.
#[derive(Debug)]
pub(crate) struct Appender {
    shape: Shape,
    segment: Segment,
    file: Arc<File>,
    // Invariant: the file is `bytes` long and ends in a newline, or is empty.
    bytes: u64,
    next: u64,
    open: OpenCount,
    /// When the segment was begun.
    began: Instant,
    /// Whether the segment once had no room: nothing more goes into it, also if something smaller would fit.
    is_full: bool,
    tail: Tail,
    /// Why nothing can be written any more, where a failure left the file in doubt.
    failed: Option<LogProblem>,
    #[cfg(test)]
    pub(crate) faults: crate::testing::Faults,
}

impl Appender {
    /// Goes on after line `next`, `bytes` into a segment.
    pub(crate) fn new(
        shape: Shape,
        segment: Segment,
        bytes: u64,
        next: u64,
        open: OpenCount,
        age: Duration,
    ) -> Result<Self, LogProblem> {
        let now = Instant::now();
        let file = disk::open_append(&segment.path).map_err(|error| LogProblem::disk(&segment.path, &error))?;
        Ok(Self {
            shape,
            segment,
            file: Arc::new(file),
            bytes,
            next,
            open,
            began: now.checked_sub(age).unwrap_or(now),
            is_full: false,
            tail: Tail { first: next, ..Tail::default() },
            failed: None,
            #[cfg(test)]
            faults: crate::testing::Faults::default(),
        })
    }

    /// The number of the next line.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// What must be synced so that every line before the returned number is on disk.
    pub(crate) fn written(&self) -> (Arc<File>, u64) {
        (Arc::clone(&self.file), self.next)
    }

    /// Hands over what was written since the last time; what `tail` held is forgotten.
    pub(crate) fn take_tail(&mut self, tail: &mut Tail) {
        self.tail.swap(tail, self.next);
    }

    /// Refuses everything from now on.
    pub(crate) fn fail(&mut self, problem: LogProblem) {
        self.failed.get_or_insert(problem);
    }

    /// Notes that lines of the emergency spool come next.
    pub(crate) fn merging(&mut self) {
        self.open.merging(self.segment.first);
    }

    /// Writes all lines of a bundle, or none.
    pub(crate) fn append(&mut self, bundle: &Bundle) -> Result<Place, LogProblem> {
        if let Some(problem) = &self.failed {
            return Err(problem.clone());
        }
        let room = bundle.room() + HEADER_BYTES;
        self.is_full |= self.bytes > 0 && self.bytes.saturating_add(room as u64) > self.shape.segment_bytes_max;
        if self.is_full {
            self.rotate()?;
        }
        self.tail.make_room(room, self.next);
        let start = self.tail.text.len();
        let next = self.number(bundle);
        if let Err(error) = self.write(start) {
            self.tail.text.truncate(start);
            self.cut_back();
            return Err(LogProblem::disk(&self.segment.path, &error));
        }
        self.bytes += (self.tail.text.len() - start) as u64;
        self.next = next;
        bundle.iter().for_each(|(_, kind)| self.open.written(kind, self.segment.first));
        Ok(Place { segment: self.segment.first, end: next })
    }

    /// Gives each line its number and puts it at the end of the tail; begins a segment with its header.
    fn number(&mut self, bundle: &Bundle) -> u64 {
        let mut next = self.next;
        if self.bytes == 0 {
            let mut header = Vec::with_capacity(HEADER_BYTES);
            let since = self.open.since(self.segment.first);
            let whose = (self.shape.origin.as_str(), &self.shape.facility);
            line::segment(&mut header, self.shape.clock.now(), whose, since, &kernel_clock());
            line::push_line(&mut self.tail.text, next, &header);
            next += 1;
        }
        for (body, _) in bundle.iter() {
            line::push_line(&mut self.tail.text, next, body);
            next += 1;
        }
        next
    }

    fn write(&self, start: usize) -> std::io::Result<()> {
        let text = self.tail.text.get(start..).unwrap_or_default();
        #[cfg(test)]
        self.faults.before_write(&self.file, text)?;
        (&*self.file).write_all(text)
    }

    /// After a failed write: removes what was written of the batch, so that the next one begins on a line of its own.
    fn cut_back(&mut self) {
        if let Err(error) = self.file.set_len(self.bytes) {
            self.failed = Some(LogProblem::disk(&self.segment.path, &error));
        }
    }

    /// Begins the next segment where this one is old, and holds more than its first line.
    pub(crate) fn rotate_if_old(&mut self, age_max: Duration) -> Result<(), LogProblem> {
        let is_due = self.next > self.segment.first + 1 && self.began.elapsed() >= age_max;
        if is_due && self.failed.is_none() { self.rotate() } else { Ok(()) }
    }

    /// Begins the next segment. The old one is synced first: only the newest segment may end torn.
    fn rotate(&mut self) -> Result<(), LogProblem> {
        if let Err(error) = self.file.sync_data() {
            let problem = LogProblem::disk(&self.segment.path, &error);
            self.failed = Some(problem.clone());
            return Err(problem);
        }
        let segment = Segment::new(&self.shape.directory, self.next);
        let folder = segment::folder(&self.shape.directory);
        let file = disk::open_append(&segment.path).and_then(|file| disk::sync_directory(&folder).map(|()| file));
        let file = file.map_err(|error| LogProblem::disk(&segment.path, &error))?;
        self.open.rotate(self.segment.first);
        self.tail.rotations.push(segment.first);
        self.segment = segment;
        self.file = Arc::new(file);
        self.began = Instant::now();
        self.is_full = false;
        self.bytes = 0;
        Ok(())
    }
}
