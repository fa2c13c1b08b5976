//! What this node answers another one of its log: what its own pages would show, kept to the departments that the other
//! one names. Whether the other one is a node is looked at before anything comes here.

use std::sync::Arc;
use std::time::Duration;

use audit::{Event, Story};
use find::{Bar, By, Question};

use super::wire::{Answered, Asked, Said, SaidRecord, SaidStories, Shares, What};
use super::{LogTrouble, LogView, Record, Sight, Written, together};

/// How long the index is waited for at most.
const FOLLOWS_MAX: Duration = Duration::from_secs(3);
/// So far behind the log an index is not asked: the page would lack what it has not seen, and not say so.
const BEHIND_MAX: u64 = 5_000;
/// The most stories of one answer.
const STORIES_MAX: usize = 500;
/// The most records of one answer.
const RECORDS_MAX: usize = 1_000;
/// The most bars of one answer.
const BARS_MAX: usize = 20_000;

impl LogView {
    /// Answers another node. Blocks.
    #[must_use]
    pub fn answer(self: &Arc<Self>, question: &[u8]) -> Vec<u8> {
        Answered::write(self.said(question).unwrap_or_else(|trouble| Said::Trouble(trouble.code().to_owned())))
    }

    fn said(self: &Arc<Self>, question: &[u8]) -> Result<Said, LogTrouble> {
        let asked = Asked::read(question).ok_or(LogTrouble::Question)?;
        let within = asked.units().ok_or(LogTrouble::Question)?;
        let sight = Sight::of_others(Arc::clone(self), within.clone());
        if matches!(asked.what, What::Stories(_) | What::Count(_) | What::Total(_)) {
            let standing = self.standing();
            if standing.trouble.is_some() || standing.behind > BEHIND_MAX {
                return Err(LogTrouble::Failed);
            }
        }
        let read = |question: super::wire::AskedQuestion, limit_max: usize| {
            let question = question.read(within.clone()).ok_or(LogTrouble::Question)?;
            Ok::<_, LogTrouble>(Question { limit: question.limit.min(limit_max), ..question })
        };
        Ok(match asked.what {
            What::Follows(millis) => Said::Follows(self.follows(Duration::from_millis(millis).min(FOLLOWS_MAX))),
            What::Stories(question) => {
                let question = read(*question, STORIES_MAX)?;
                let found = self.stories(&question)?;
                let records = found.records.iter().map(|record| self.told(record)).collect::<Result<_, _>>()?;
                let total = self.total_apart(&question, found.total)?;
                Said::Stories(SaidStories { records, total, next: found.next.map(|next| next.to_string()) })
            }
            What::Count(count) => {
                let by = By::parse(&count.by).ok_or(LogTrouble::Question)?;
                Said::Count(self.count_apart(&read(count.question, STORIES_MAX)?, by, count.top.min(BARS_MAX))?)
            }
            What::Total(question) => {
                let question = read(*question, STORIES_MAX)?;
                Said::Total(self.total_apart(&question, self.total(&question)?)?)
            }
            What::Records(seqs) => {
                let seqs: Vec<u64> = seqs.into_iter().take(RECORDS_MAX).collect();
                let records = sight.records_at(None, &seqs)?;
                let told = |record: &Option<Record>| record.as_ref().map(|record| self.told(record)).transpose();
                Said::Records(records.iter().map(told).collect::<Result<_, _>>()?)
            }
            What::Record(seq) => match sight.record_at(None, seq)? {
                Some(Written { record, lines }) => {
                    let text = |line: Vec<u8>| String::from_utf8_lossy(&line).into_owned();
                    Said::Record(Some(self.told(&record)?), lines.into_iter().map(text).collect())
                }
                None => Said::Record(None, Vec::new()),
            },
        })
    }

    /// A record by its lines.
    fn told(&self, record: &Record) -> Result<SaidRecord, LogTrouble> {
        let text = |seq: u64| -> Result<Option<String>, LogTrouble> {
            Ok(self.line(seq)?.and_then(|line| String::from_utf8(line).ok()))
        };
        let end = record.story.as_ref().and_then(|story| story.end.as_ref()).map(|end| end.seq);
        Ok(SaidRecord {
            seq: record.seq,
            begin: if record.story.is_some() { text(record.seq)? } else { None },
            end: end.map(text).transpose()?.flatten(),
            damage: record.damage.as_ref().map(|damage| (damage.seq, damage.file.clone())),
        })
    }

    /// How many there are of each: what this log alone tells, and what all nodes' logs tell. Blocks.
    pub(super) fn count_apart(
        &self,
        question: &Question,
        by: By,
        top: usize,
    ) -> Result<Shares<Vec<(String, u64)>>, LogTrouble> {
        let mut shared = Vec::new();
        for event in self.shared_events(question)? {
            let of_it = Question { event: Some(event), ..question.clone() };
            shared.push(Shares { own: pairs(self.count(&of_it, by, top)?), shared: Vec::new() });
        }
        let shared = pairs(together::count(shared, by, usize::MAX));
        let all = pairs(self.count(question, by, top)?);
        Ok(Shares { own: together::without(all, &shared), shared })
    }

    /// How many there are in all, apart likewise. Blocks.
    pub(super) fn total_apart(&self, question: &Question, all: u64) -> Result<Shares<u64>, LogTrouble> {
        let mut shared = 0_u64;
        for event in self.shared_events(question)? {
            shared = shared.saturating_add(self.total(&Question { event: Some(event), ..question.clone() })?);
        }
        Ok(Shares { own: all.saturating_sub(shared), shared })
    }

    /// The events of the store among what a question asks for.
    fn shared_events(&self, question: &Question) -> Result<Vec<String>, LogTrouble> {
        let is_shared = |word: &str| Event::parse(word).is_some_and(Event::is_of_the_store);
        if let Some(event) = &question.event {
            return Ok(Some(event).filter(|event| is_shared(event)).cloned().into_iter().collect());
        }
        let events = self.count(question, By::Event, Event::ALL.len() + 10)?;
        Ok(events.into_iter().map(|bar| bar.key).filter(|key| is_shared(key)).collect())
    }
}

/// Bars as pairs.
pub(super) fn pairs(bars: Vec<Bar>) -> Vec<(String, u64)> {
    bars.into_iter().map(|bar| (bar.key, bar.count)).collect()
}

/// Reads a record that another node told; nothing where it is none.
pub(super) fn read(told: SaidRecord, node: &Arc<str>) -> Option<(Record, Option<Vec<u8>>)> {
    let entry = |text: &String| audit::Entry::read(text.as_bytes());
    let begin = match &told.begin {
        Some(text) => Some(entry(text).filter(|begin| begin.seq == told.seq)?),
        None => None,
    };
    let end = match &told.end {
        Some(text) => Some(entry(text)?),
        None => None,
    };
    if begin.is_none() && told.damage.is_none() {
        return None;
    }
    let is_shared = begin.as_ref().is_some_and(|begin| begin.store_event.is_some());
    let line = told.begin.filter(|_| is_shared).map(String::into_bytes);
    let story = begin.map(|begin| Story { begin, end });
    let damage = told.damage.map(|(seq, file)| super::Damage { seq, file });
    Some((Record { seq: told.seq, node: Some(Arc::clone(node)), story, damage }, line))
}
