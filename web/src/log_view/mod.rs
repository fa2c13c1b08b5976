//! What the auditor's view stands on: the index, the log itself, and work that takes long. There is one for the program,
//! whatever configuration is in force. Deliberately not here: who may look, and how it is shown (the console).

mod jobs;
mod seal;

use std::time::Duration;

use audit::{Entry, EntryKind, LogProblem, Reader, Story};
use find::{Answer, Bar, By, Deadline, FindProblem, FoundAt, Index, Place, Question};
use policy::UserId;

pub(crate) use jobs::{Busy, Job, JobState, Jobs};
use seal::Seal;

/// How long one question may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// What the auditor's view stands on.
#[derive(Debug)]
pub struct LogView {
    book: Option<(Index, Reader)>,
    seal: Option<Seal>,
    pub(crate) jobs: Jobs,
}

/// Why the log is not shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LogTrouble {
    /// There is no index.
    NoIndex,
    /// The answer took too long.
    TooLong,
    /// What was asked for fits too much.
    TooBroad,
    /// What was asked for cannot be read.
    Question,
    /// Index or log could not be read.
    Failed,
}

impl LogTrouble {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 5] = [Self::NoIndex, Self::TooLong, Self::TooBroad, Self::Question, Self::Failed];

    /// Its word, for what is said of it.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::NoIndex => "no-index",
            Self::TooLong => "too-long",
            Self::TooBroad => "too-broad",
            Self::Question => "question",
            Self::Failed => "failed",
        }
    }
}

impl From<FindProblem> for LogTrouble {
    fn from(problem: FindProblem) -> Self {
        match problem {
            FindProblem::Missing { .. } => Self::NoIndex,
            FindProblem::TooLong | FindProblem::Cancelled => Self::TooLong,
            FindProblem::TooBroad { .. } => Self::TooBroad,
            FindProblem::Question { .. } => Self::Question,
            FindProblem::InUse { .. }
            | FindProblem::Disk { .. }
            | FindProblem::Damaged { .. }
            | FindProblem::Log(_) => {
                tracing::warn!(%problem, "the index of the log could not be asked");
                Self::Failed
            }
        }
    }
}

impl From<LogProblem> for LogTrouble {
    fn from(problem: LogProblem) -> Self {
        tracing::warn!(%problem, "the log could not be read for a page");
        Self::Failed
    }
}

/// A page of stories.
#[derive(Debug, Default)]
pub(crate) struct Stories {
    pub(crate) stories: Vec<Story>,
    /// How many there are on all pages.
    pub(crate) total: u64,
    pub(crate) next: Option<Place>,
}

impl LogView {
    /// With an index and the log that it follows; without them every page says that there is no index.
    #[must_use]
    pub fn new(book: Option<(Index, Reader)>) -> Self {
        Self { book, seal: Seal::new(), jobs: Jobs::default() }
    }

    fn book(&self) -> Result<&(Index, Reader), LogTrouble> {
        self.book.as_ref().ok_or(LogTrouble::NoIndex)
    }

    /// How many lines the index has still to look at.
    pub(crate) fn behind(&self) -> u64 {
        self.book.as_ref().map_or(0, |(index, _)| index.lag().behind)
    }

    /// Where the stories are that a question asks for. Blocks.
    pub(crate) fn find(&self, question: &Question) -> Result<Answer, LogTrouble> {
        let (index, _) = self.book()?;
        Ok(index.ask(question, &Deadline::within(ANSWER_TIMEOUT))?)
    }

    /// The stories that a question asks for. Blocks.
    pub(crate) fn stories(&self, question: &Question) -> Result<Stories, LogTrouble> {
        let answer = self.find(question)?;
        let mut stories = Vec::new();
        for found in &answer.seqs {
            stories.extend(self.story(*found)?);
        }
        Ok(Stories { stories, total: answer.total, next: answer.next })
    }

    /// How many there are of each. Blocks.
    pub(crate) fn count(&self, question: &Question, by: By, top: usize) -> Result<Vec<Bar>, LogTrouble> {
        let (index, _) = self.book()?;
        Ok(index.count(question, by, top, &Deadline::within(ANSWER_TIMEOUT))?)
    }

    /// How many there are in all. Blocks.
    pub(crate) fn total(&self, question: &Question) -> Result<u64, LogTrouble> {
        Ok(self.find(&Question { limit: 1, ..question.clone() })?.total)
    }

    /// A story by its place; nothing where the log no longer has its line.
    pub(crate) fn story(&self, place: FoundAt) -> Result<Option<Story>, LogTrouble> {
        let Some(begin) = self.entry(place.begin)? else { return Ok(None) };
        let end = match place.end {
            Some(end) => self.entry(end)?,
            None => None,
        };
        Ok(Some(Story { begin, end }))
    }

    /// A line, read. Blocks.
    pub(crate) fn entry(&self, seq: u64) -> Result<Option<Entry>, LogTrouble> {
        Ok(self.line(seq)?.and_then(|line| Entry::read(&line)))
    }

    /// A line as it was written. Blocks.
    pub(crate) fn line(&self, seq: u64) -> Result<Option<Vec<u8>>, LogTrouble> {
        let (_, reader) = self.book()?;
        Ok(reader.line(seq)?)
    }

    /// The story that a line belongs to, whichever of its lines it is. Blocks.
    pub(crate) fn story_of(&self, entry: Entry) -> Result<Story, LogTrouble> {
        let of_access = matches!(entry.kind, EntryKind::Open | EntryKind::Close);
        let Some(request) = entry.request.clone().filter(|_| of_access) else { return Ok(Story::of(entry)) };
        // A request may have begun long before its last line, and may end long after its first.
        let mut question = Question::new(policy::Timestamp::from_unix_micros(0), policy::Timestamp::MAX);
        (question.request, question.limit) = (Some(request), FAMILY_MAX);
        let family = self.find(&question)?.seqs;
        let own = family.into_iter().find(|found| found.begin == entry.seq || found.end == Some(entry.seq));
        match own.map(|found| self.story(found)).transpose()?.flatten() {
            Some(story) => Ok(story),
            None => Ok(Story::of(entry)),
        }
    }

    /// Seals a patient for an address that one person uses.
    pub(crate) fn seal(&self, whose: &UserId, patient: &str) -> Option<String> {
        self.seal.as_ref()?.close(whose, patient)
    }

    /// Opens what was sealed for this person.
    pub(crate) fn unseal(&self, whose: &UserId, sealed: &str) -> Option<String> {
        self.seal.as_ref()?.open(whose, sealed)
    }
}

/// How many stories one request may have: its access, and what was told within it.
const FAMILY_MAX: usize = 100;
