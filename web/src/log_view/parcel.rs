//! Records made into a file that proves itself, to be downloaded. It is made and kept in memory: nothing that names
//! patients is left on a disk beside the log.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use audit::{Entry, EntryKind, Event, LogSigner};
use bytes::Bytes;
use evidence::Source;
use evidence::export::{Order, Proof, StoryAt, write_with_proof};
use find::{FoundAt, Question};
use policy::{Timestamp, Unit};

use super::{Job, Line, LogTrouble, LogView};

/// The most records of one file; whoever needs more asks on the command line.
pub(crate) const STORIES_MAX: usize = Question::LIMIT_MAX;
/// The most bytes of one file.
const BYTES_MAX: usize = 32 << 20;
/// How long to wait for the index to read, and for the log to sign, what was just written.
const PATIENCE: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What an export came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Exported {
    /// A file.
    File(Parcel),
    /// None: so many records fit, and that is too many.
    TooMany(u64),
    /// None: it would be too large.
    TooLarge,
}

/// A file that proves itself.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Parcel {
    pub(crate) bytes: Bytes,
    /// How many records of the log are in it.
    pub(crate) stories: u64,
    /// How many lines of the log may belong there and are damaged.
    pub(crate) damaged: u64,
    /// When it was asked for.
    pub(crate) at: Timestamp,
    /// The departments that it was kept to; none where it is of the whole log.
    pub(crate) within: Option<Vec<Unit>>,
}

impl std::fmt::Debug for Parcel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parcel({} bytes)", self.bytes.len())
    }
}

/// What is to be packed, and by whom it is sealed.
#[derive(Debug)]
pub(crate) struct Packing {
    pub(crate) order: Order,
    pub(crate) source: Source,
    pub(crate) signer: LogSigner,
    /// The departments that it is kept to; none where it is of the whole log.
    pub(crate) within: Option<Vec<Unit>>,
    /// The request that asks, by which the line is found that records it.
    pub(crate) request: String,
}

impl LogView {
    /// Waits until the index has read what the log holds now, and gives how many lines that is; nothing where the work
    /// is to stop. Blocks.
    pub(super) fn catch_up(&self, job: &Job<Exported>) -> Result<Option<u64>, LogTrouble> {
        let (index, reader) = self.book()?;
        let size = reader.size()?;
        wait(job, || Ok((index.lag().seq >= size).then_some(size)))
    }

    /// Packs these records once the line that records it is signed; `size` is a number of lines before that line. Nothing
    /// where the work was stopped. Blocks.
    pub(super) fn pack(
        &self,
        mut packing: Packing,
        found: &[FoundAt],
        size: u64,
        job: &Job<Exported>,
    ) -> Result<Option<Exported>, LogTrouble> {
        let Some((recorded, checkpoint)) = self.await_signature(&packing, size, job)? else { return Ok(None) };
        packing.order.recorded = Some(recorded);
        let mut stories = Vec::new();
        // Each record is read twice: once to see that it can be, once to be written.
        let all = found.len() as u64 * 2;
        for (place, one) in (1..).zip(found) {
            match self.readable(*one)? {
                Some(story) => stories.push(story),
                None => packing.order.damaged += 1,
            }
            if !job.goes_on(place, all) {
                return Ok(None);
            }
        }
        stories.sort_unstable_by_key(|story| story.begin);
        let (_, reader) = self.book()?;
        let lines = |seq: u64| {
            let done = stories.partition_point(|story| story.begin <= seq) as u64;
            job.goes_on(found.len() as u64 + done, all);
            reader.line(seq)
        };
        let mut out = Bounded { bytes: Vec::new(), is_full: false, job };
        let Packing { order, source, signer, .. } = &packing;
        let proof = Proof { directory: reader.directory(), checkpoint: &checkpoint, signer, kept: None };
        match write_with_proof(&stories, order, source, &proof, lines, &mut out) {
            Ok(header) => Ok(Some(Exported::File(Parcel {
                bytes: out.bytes.into(),
                stories: header.stories,
                damaged: header.damaged,
                at: order.at,
                within: packing.within.clone(),
            }))),
            Err(_) if job.is_cancelled() => Ok(None),
            Err(_) if out.is_full => Ok(Some(Exported::TooLarge)),
            Err(problem) => {
                tracing::warn!(%problem, "records could not be made into a file");
                Err(LogTrouble::Failed)
            }
        }
    }

    /// Where a record stands, if its lines can be read.
    fn readable(&self, found: FoundAt) -> Result<Option<StoryAt>, LogTrouble> {
        let is_read = |seq| Ok::<_, LogTrouble>(matches!(self.entry(seq)?, Line::Read(_)));
        let whole = is_read(found.begin)? && found.end.map(is_read).transpose()?.unwrap_or(true);
        Ok(whole.then_some(StoryAt { begin: found.begin, end: found.end }))
    }

    /// The line that records the export, and a checkpoint over it and so over all that stands before it.
    fn await_signature(
        &self,
        packing: &Packing,
        size: u64,
        job: &Job<Exported>,
    ) -> Result<Option<(u64, String)>, LogTrouble> {
        let (_, reader) = self.book()?;
        let key = packing.signer.key();
        let is_ours = |entry: &Entry| {
            entry.kind == EntryKind::Fact(Event::LogRead) && entry.request.as_deref() == Some(&packing.request)
        };
        let mut lines = reader.from(size);
        let mut recorded = None;
        wait(job, || {
            while let (None, Some(line)) = (recorded, lines.next()?) {
                recorded = Entry::read(line.text).filter(is_ours).map(|entry| entry.seq);
            }
            let Some(seq) = recorded else { return Ok(None) };
            let note = audit::newest_checkpoint(reader.directory())?;
            Ok(note.filter(|note| key.checkpoint(note).is_some_and(|signed| signed.size > seq)).map(|note| (seq, note)))
        })
    }
}

/// Looks again until there is something; nothing where the work is to stop.
fn wait<T>(
    job: &Job<Exported>,
    mut look: impl FnMut() -> Result<Option<T>, LogTrouble>,
) -> Result<Option<T>, LogTrouble> {
    let deadline = Instant::now() + PATIENCE;
    while !job.is_cancelled() {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        if Instant::now() >= deadline {
            return Err(LogTrouble::TooLong);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(None)
}

/// Takes what is written, up to a bound and until the work is to stop.
struct Bounded<'a> {
    bytes: Vec<u8>,
    is_full: bool,
    job: &'a Job<Exported>,
}

impl Write for Bounded<'_> {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.is_full |= self.bytes.len().saturating_add(part.len()) > BYTES_MAX;
        if self.is_full || self.job.is_cancelled() {
            return Err(io::Error::other("stopped"));
        }
        self.bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use policy::UserId;

    use super::*;
    use crate::log_view::Jobs;

    fn job() -> Arc<Job<Exported>> {
        Jobs::new(1).begin(&UserId::parse("u-1").unwrap()).unwrap()
    }

    #[test]
    fn a_file_has_an_end_and_stops_when_it_is_told_to() {
        let job = job();
        let mut out = Bounded { bytes: Vec::new(), is_full: false, job: &job };
        assert_eq!(out.write(&[0; 100]).unwrap(), 100);
        assert!(out.write(&vec![0; BYTES_MAX]).is_err());
        assert!((out.is_full, out.bytes.len()) == (true, 100));
        let mut out = Bounded { bytes: Vec::new(), is_full: false, job: &job };
        job.cancel();
        assert!(out.write(&[0]).is_err() && !out.is_full);
    }

    #[test]
    fn what_is_to_stop_waits_for_nothing() {
        let job = job();
        assert_eq!(wait(&job, || Ok(Some(7))).unwrap(), Some(7));
        job.cancel();
        assert_eq!(wait(&job, || -> Result<Option<u8>, _> { panic!("it looks again") }).unwrap(), None);
        assert_eq!(LogView::new(None).catch_up(&job), Err(LogTrouble::NoIndex));
    }
}
