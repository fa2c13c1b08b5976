//! What the auditor's view stands on: the index, the log itself, and work that takes long. There is one for the program,
//! whatever configuration is in force. Deliberately not here: how it is shown (the console).

mod answer;
mod jobs;
mod others;
mod parcel;
mod record;
mod seal;
mod sight;
#[cfg(test)]
mod sight_tests;
mod together;
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{Entry, EntryKind, LogProblem, Reader, Recordings};
use find::{Answer, Bar, By, Deadline, FindProblem, FoundAt, Index, Question};
use policy::UserId;

pub(crate) use jobs::{Busy, Job, JobState, Jobs};
pub(crate) use others::Heard;
pub use others::LogPeers;
use others::Others;
pub(crate) use parcel::{Exported, Packing, Parcel, STORIES_MAX};
pub(crate) use record::{Damage, Line, Record};
use seal::Seal;
pub(crate) use sight::{Sight, Written};
pub(crate) use together::Turn;

/// How many draws are remembered that ended. Of exports no more are kept than may be under way: their files are large.
const DRAWS_KEPT_MAX: usize = 100;
/// How long one question may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait before looking again whether the index follows.
const FOLLOWS_PAUSE: Duration = Duration::from_millis(20);

/// What the auditor's view stands on.
#[derive(Debug)]
pub struct LogView {
    book: Option<(Index, Reader)>,
    /// The nodes that serve together, where there are several.
    others: Option<Others>,
    seal: Option<Seal>,
    /// Drawing samples; each makes a review of this number.
    pub(crate) draws: Jobs<u64>,
    /// Making files to hand over.
    pub(crate) exports: Jobs<Exported>,
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
    /// The node whose log it is did not answer.
    Away,
}

impl LogTrouble {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 6] =
        [Self::NoIndex, Self::TooLong, Self::TooBroad, Self::Question, Self::Failed, Self::Away];

    /// Its word, for what is said of it.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::NoIndex => "no-index",
            Self::TooLong => "too-long",
            Self::TooBroad => "too-broad",
            Self::Question => "question",
            Self::Failed => "failed",
            Self::Away => "away",
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
            | FindProblem::Gone { .. }
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

/// How the index stands to the log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Standing {
    /// How many lines of the log it has still to look at.
    pub(crate) behind: u64,
    /// What keeps it from following the log, if anything does.
    pub(crate) trouble: Option<String>,
}

/// A page of stories.
#[derive(Debug, Default)]
pub(crate) struct Stories<Next = Turn> {
    pub(crate) records: Vec<Record>,
    /// How many there are on all pages.
    pub(crate) total: u64,
    /// Where the next page begins.
    pub(crate) next: Option<Next>,
}

impl LogView {
    /// With an index and the log that it follows; without them every page says that there is no index.
    #[must_use]
    pub fn new(book: Option<(Index, Reader)>) -> Self {
        Self { book, others: None, seal: Seal::new(), draws: Jobs::new(DRAWS_KEPT_MAX), exports: Jobs::new(0) }
    }

    /// The same of one of several nodes: all of them in the order that every node knows, which one this is, and the way to
    /// the others, where there is one.
    #[must_use]
    pub fn among(self, nodes: Vec<Arc<str>>, own: &str, way: Option<Arc<dyn LogPeers>>) -> Self {
        Self { others: Others::new(nodes, own, way), ..self }
    }

    fn others(&self) -> Option<&Others> {
        self.others.as_ref()
    }

    /// Which of several nodes this is.
    fn node(&self) -> Option<Arc<str>> {
        Some(Arc::clone(self.others()?.own().1))
    }

    /// The recordings of terminals that belong to the log.
    fn recordings(&self) -> Option<Recordings> {
        self.book.as_ref().map(|(_, reader)| reader.recordings())
    }

    fn book(&self) -> Result<&(Index, Reader), LogTrouble> {
        self.book.as_ref().ok_or(LogTrouble::NoIndex)
    }

    /// How the index stands to the log, as the log is now: what the index last knew of it may be long ago. Blocks.
    fn standing(&self) -> Standing {
        let Some((index, reader)) = &self.book else { return Standing::default() };
        let (lag, size) = (index.lag(), reader.size());
        let behind = size.map_or(lag.behind, |size| size.saturating_sub(lag.seq));
        Standing { behind, trouble: index.trouble() }
    }

    /// Whether the index has read all that the log holds now, waiting for it this long. Blocks.
    fn follows(&self, most: Duration) -> bool {
        let Some((index, reader)) = &self.book else { return false };
        let Ok(size) = reader.size() else { return false };
        let deadline = Instant::now() + most;
        loop {
            if index.trouble().is_some() {
                return false;
            }
            if index.lag().seq >= size {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(FOLLOWS_PAUSE);
        }
    }

    /// Where the stories are that a question asks for. Blocks.
    fn find(&self, question: &Question) -> Result<Answer, LogTrouble> {
        self.find_within(question, &answer_deadline())
    }

    fn find_within(&self, question: &Question, deadline: &Deadline) -> Result<Answer, LogTrouble> {
        let (index, _) = self.book()?;
        Ok(index.ask(question, deadline)?)
    }

    /// The stories that a question asks for. Blocks.
    fn stories(&self, question: &Question) -> Result<Stories<find::Place>, LogTrouble> {
        let answer = self.find(question)?;
        let mut records = Vec::new();
        for found in &answer.seqs {
            records.extend(self.record(*found)?);
        }
        Ok(Stories { records, total: answer.total, next: answer.next })
    }

    /// How many there are of each. Blocks.
    fn count(&self, question: &Question, by: By, top: usize) -> Result<Vec<Bar>, LogTrouble> {
        let (index, _) = self.book()?;
        Ok(index.count(question, by, top, &answer_deadline())?)
    }

    /// How many there are in all. Blocks.
    fn total(&self, question: &Question) -> Result<u64, LogTrouble> {
        Ok(self.find(&Question { limit: 1, ..question.clone() })?.total)
    }

    /// A record by its place; nothing where the log no longer has it. Blocks.
    fn record(&self, place: FoundAt) -> Result<Option<Record>, LogTrouble> {
        let begin = match self.entry(place.begin)? {
            Line::Read(begin) => *begin,
            Line::Damaged(damage) => return Ok(Some(Record::damaged(damage))),
            Line::Gone => return Ok(None),
        };
        Ok(Some(match place.end.map(|end| self.entry(end)).transpose()? {
            Some(Line::Read(end)) => Record::whole(begin, Some(*end)),
            Some(Line::Damaged(damage)) => Record { damage: Some(damage), ..Record::whole(begin, None) },
            Some(Line::Gone) | None => Record::whole(begin, None),
        }))
    }

    /// A line, read. Blocks.
    fn entry(&self, seq: u64) -> Result<Line, LogTrouble> {
        let (_, reader) = self.book()?;
        let damage = match reader.line(seq) {
            Ok(Some(line)) => match Entry::read(&line) {
                Some(entry) => return Ok(Line::Read(Box::new(entry))),
                None => Damage { seq, file: None },
            },
            Ok(None) if seq < reader.first()? || seq >= reader.size()? => return Ok(Line::Gone),
            Ok(None) => Damage { seq, file: None },
            Err(LogProblem::Damaged { place, .. }) => Damage::at(seq, &place),
            Err(problem) => return Err(problem.into()),
        };
        tracing::warn!(line = seq, file = damage.file, "a damaged line of the log was asked for");
        Ok(Line::Damaged(damage))
    }

    /// A line as it was written; nothing where it is not there, or damaged. Blocks.
    fn line(&self, seq: u64) -> Result<Option<Vec<u8>>, LogTrouble> {
        let (_, reader) = self.book()?;
        match reader.line(seq) {
            Err(LogProblem::Damaged { .. }) => Ok(None),
            line => Ok(line?),
        }
    }

    /// The records that lines belong to, whichever of their lines they are; nothing where the log no longer has one.
    /// Blocks.
    fn records_of(&self, seqs: &[u64]) -> Result<Vec<Option<Record>>, LogTrouble> {
        let deadline = answer_deadline();
        let one = |seq: &u64| match self.entry(*seq)? {
            Line::Read(entry) => self.record_of(*entry, &deadline).map(Some),
            Line::Damaged(damage) => Ok(Some(Record::damaged(damage))),
            Line::Gone => Ok(None),
        };
        seqs.iter().map(one).collect()
    }

    fn record_of(&self, entry: Entry, deadline: &Deadline) -> Result<Record, LogTrouble> {
        let (since, until) = match entry.kind {
            // What it opens begins with it.
            EntryKind::Open => (entry.at, entry.at.after(Duration::from_millis(1))),
            // A request may have begun long before its last line.
            EntryKind::Close => (policy::Timestamp::from_unix_micros(0), policy::Timestamp::MAX),
            EntryKind::Refused | EntryKind::Segment | EntryKind::Fact(_) | EntryKind::Unknown(_) => {
                return Ok(Record::whole(entry, None));
            }
        };
        let mut question = Question::new(since, until);
        (question.request, question.limit) = (entry.request.clone(), FAMILY_MAX);
        let family = match question.request {
            Some(_) => self.find_within(&question, deadline)?.seqs,
            None => Vec::new(),
        };
        let own = family.into_iter().find(|found| found.begin == entry.seq || found.end == Some(entry.seq));
        Ok(own.map(|found| self.record(found)).transpose()?.flatten().unwrap_or_else(|| Record::whole(entry, None)))
    }

    /// Seals a text for an address that one person uses.
    pub(crate) fn seal(&self, whose: &UserId, text: &str) -> Option<String> {
        self.seal.as_ref()?.close(whose, text)
    }

    /// Opens what was sealed for this person.
    pub(crate) fn unseal(&self, whose: &UserId, sealed: &str) -> Option<String> {
        self.seal.as_ref()?.open(whose, sealed)
    }
}

fn answer_deadline() -> Deadline {
    Deadline::within(ANSWER_TIMEOUT)
}

/// How many stories one request may have: its access, and what was told within it.
const FAMILY_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use policy::Timestamp;

    use super::*;

    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    /// A log of twenty accesses, each of two lines.
    fn text() -> String {
        let line = |seq: u64| {
            let (event, id) = (if seq.is_multiple_of(2) { "open" } else { "close" }, seq / 2);
            format!(
                "{{\"v\":1,\"seq\":{seq},\"ts\":\"2026-11-22T01:{:02}:00.000000Z\",\"ev\":\"{event}\",\"id\":\"01935f1c-0000-7000-8000-{id:012x}\",\"app\":\"emr\",\"end\":\"served\",\"st\":200}}\n",
                seq / 2
            )
        };
        (0..40).map(line).collect()
    }

    fn view(name: &str, is_built: bool) -> (Folder, LogView) {
        let folder = Folder(std::env::temp_dir().join(format!("sekimori-log-view-{name}-{}", std::process::id())));
        let log = folder.0.join("log");
        std::fs::create_dir_all(log.join("segments")).unwrap();
        std::fs::write(log.join("segments").join(format!("{:020}.jsonl", 0)), text()).unwrap();
        let index = Index::open(&folder.0.join("index")).unwrap();
        let reader: Reader = log.as_path().into();
        if is_built {
            index.rebuild(&reader, |_, _| {}).unwrap();
        }
        // What was read while it was built is not to be remembered.
        (folder, LogView::new(Some((index, log.as_path().into()))))
    }

    fn everything() -> Question {
        Question::new(Timestamp::from_unix_micros(0), Timestamp::MAX)
    }

    #[test]
    fn an_index_that_does_not_follow_is_behind_however_much_it_knows() {
        assert_eq!(view("behind", false).1.standing(), Standing { behind: 40, trouble: None });
        assert_eq!(view("built", true).1.standing(), Standing::default());
    }

    #[test]
    fn a_damaged_line_is_named_and_the_rest_is_shown() {
        let (folder, view) = view("damaged", true);
        let file = folder.0.join("log/segments").join(format!("{:020}.jsonl", 0));
        let worse = |(seq, line): (usize, &str)| match seq {
            10 | 21 => "#".repeat(50) + "\n",
            _ => line.to_owned(),
        };
        std::fs::write(&file, text().split_inclusive('\n').enumerate().map(worse).collect::<String>()).unwrap();
        let found = view.stories(&everything()).unwrap();
        assert_eq!((found.total, found.records.len()), (20, 20));
        let damaged: Vec<_> = found.records.iter().filter(|record| record.damage.is_some()).collect();
        let seqs = |record: &&Record| (record.seq, record.story.is_some(), record.damage.as_ref().map(|one| one.seq));
        assert_eq!(damaged.iter().map(seqs).collect::<Vec<_>>(), [(20, true, Some(21)), (10, false, Some(10))]);
        let records = view.records_of(&[9, 10, 11, 99]).unwrap();
        let has = |record: &Option<Record>| record.as_ref().map(|record| (record.seq, record.story.is_some()));
        // The closing line of an access whose opening line is damaged belongs to what is left of it.
        assert_eq!(
            records.iter().map(has).collect::<Vec<_>>(),
            [Some((8, true)), Some((10, false)), Some((10, false)), None]
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let (folder, view) = view("file", true);
        let file = folder.0.join("log/segments").join(format!("{:020}.jsonl", 0));
        std::fs::write(
            file.with_file_name(format!("{:020}.jsonl", 30)),
            text().split_inclusive('\n').skip(30).collect::<String>(),
        )
        .unwrap();
        std::fs::write(file.with_extension("archive"), "this is no archive").unwrap();
        std::fs::remove_file(&file).unwrap();
        let found = view.stories(&everything()).unwrap();
        let readable = found.records.iter().filter(|record| record.story.is_some()).count();
        assert_eq!((found.records.len(), readable), (20, 5));
        let damage = found.records.last().unwrap().damage.clone().unwrap();
        assert_eq!(damage.file, Some(format!("{:020}.archive", 0)));
    }
}
