//! The log as far as somebody may see it. Everything that pages show of the log goes through here, so that what lies
//! outside somebody's departments is not there for them: not found, not counted, not read by its number.

use std::sync::Arc;
use std::time::Duration;

use audit::{Entry, Recordings};
use find::{Answer, Bar, By, FoundAt, Question};
use policy::{Reads, Unit};

use super::{Exported, Job, Line, LogTrouble, LogView, Packing, Record, Standing, Stories};

/// The log, or the part of it that belongs to some departments.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    log: Arc<LogView>,
    /// None for all of it.
    within: Option<Vec<Unit>>,
}

impl Sight {
    /// What whoever may read so much sees.
    pub(crate) fn new(log: Arc<LogView>, reads: Reads) -> Self {
        let within = match reads {
            Reads::Everything => None,
            Reads::Units(units) => Some(units),
            Reads::Nothing => Some(Vec::new()),
        };
        Self { log, within }
    }

    /// The departments that it is kept to; none where it is the whole log.
    pub(crate) fn within(&self) -> Option<&[Unit]> {
        self.within.as_deref()
    }

    /// Whether a line is in it. What says nothing of a department, as closing lines and what the gateway does by itself,
    /// is in no part.
    fn has(&self, entry: &Entry) -> bool {
        let Some(within) = &self.within else { return true };
        entry.units().any(|unit| within.iter().any(|one| one.covers(&unit)))
    }

    fn narrowed(&self, question: &Question) -> Question {
        Question { within: self.within.clone(), ..question.clone() }
    }

    /// The recordings of terminals that belong to the log.
    pub(crate) fn recordings(&self) -> Option<Recordings> {
        self.log.recordings()
    }

    /// How the index stands to the log. Blocks.
    pub(crate) fn standing(&self) -> Standing {
        self.log.standing()
    }

    /// Whether the index has read all that the log holds now, waiting for it this long. Blocks.
    pub(crate) fn follows(&self, most: Duration) -> bool {
        self.log.follows(most)
    }

    /// Where the stories are that a question asks for. Blocks.
    pub(crate) fn find(&self, question: &Question) -> Result<Answer, LogTrouble> {
        self.log.find(&self.narrowed(question))
    }

    /// The stories that a question asks for. Blocks.
    pub(crate) fn stories(&self, question: &Question) -> Result<Stories, LogTrouble> {
        self.log.stories(&self.narrowed(question))
    }

    /// How many there are of each. Blocks.
    pub(crate) fn count(&self, question: &Question, by: By, top: usize) -> Result<Vec<Bar>, LogTrouble> {
        self.log.count(&self.narrowed(question), by, top)
    }

    /// How many there are in all. Blocks.
    pub(crate) fn total(&self, question: &Question) -> Result<u64, LogTrouble> {
        self.log.total(&self.narrowed(question))
    }

    /// A line, read. Of a damaged one nobody can say whose it is. Blocks.
    pub(crate) fn entry(&self, seq: u64) -> Result<Line, LogTrouble> {
        Ok(match self.log.entry(seq)? {
            Line::Read(entry) if self.has(&entry) => Line::Read(entry),
            Line::Damaged(damage) if self.within.is_none() => Line::Damaged(damage),
            Line::Read(_) | Line::Damaged(_) | Line::Gone => Line::Gone,
        })
    }

    /// The records that lines belong to, whichever of their lines they are; nothing where the log no longer has one.
    /// Blocks.
    pub(crate) fn records_of(&self, seqs: &[u64]) -> Result<Vec<Option<Record>>, LogTrouble> {
        let mut records = self.log.records_of(seqs)?;
        for record in &mut records {
            record.take_if(|record| match &record.story {
                Some(story) => !self.has(&story.begin),
                None => self.within.is_some(),
            });
        }
        Ok(records)
    }

    /// The lines of a record as they were written, as far as they can be read; `asked` is the line that was asked for.
    /// Blocks.
    pub(crate) fn lines_of(&self, record: &Record, asked: u64) -> Result<Vec<Vec<u8>>, LogTrouble> {
        let ends = record.story.as_ref().and_then(|story| Some(story.end.as_ref()?.seq));
        // Of what is damaged the line that was asked for may say more than the one that begins it.
        let first = if record.story.is_some() { record.seq } else { asked };
        let lines = [Some(first), ends].into_iter().flatten().map(|seq| self.log.line(seq));
        Ok(lines.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// Waits until the index has read what the log holds now, and gives how many lines that is; nothing where the work
    /// is to stop. Blocks.
    pub(crate) fn catch_up(&self, job: &Job<Exported>) -> Result<Option<u64>, LogTrouble> {
        self.log.catch_up(job)
    }

    /// Packs what was found here. Blocks.
    pub(crate) fn pack(
        &self,
        packing: Packing,
        found: &[FoundAt],
        size: u64,
        job: &Job<Exported>,
    ) -> Result<Option<Exported>, LogTrouble> {
        self.log.pack(packing, found, size, job)
    }
}
