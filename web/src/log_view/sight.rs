//! The logs of all nodes as far as somebody may see them. Everything that pages show of a log goes through here, so that
//! what lies outside somebody's departments is not there for them: not found, not counted, not read by its number; and so
//! that a page knows whose log it lacks.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use audit::{Entry, Recordings};
use find::{Answer, Bar, By, FoundAt, Question};
use policy::{Reads, Unit};

use super::answer::read;
use super::others::{Heard, Others};
use super::together::{self, Hand, Step, Turn};
use super::wire::{AskedCount, Said, SaidRecord, What};
use super::{Exported, Job, Line, LogTrouble, LogView, Packing, Record, Standing, Stories};

/// So many more are counted in each log than a page shows: who is first in all of them need not be in any.
const COUNTED_BEYOND: usize = 500;

/// The logs, or the part of them that belongs to some departments.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    log: Arc<LogView>,
    /// None for all of it.
    within: Option<Vec<Unit>>,
    heard: Heard,
    is_alone: bool,
}

impl Sight {
    /// What whoever may read so much sees.
    pub(crate) fn new(log: Arc<LogView>, reads: Reads) -> Self {
        let within = match reads {
            Reads::Everything => None,
            Reads::Units(units) => Some(units),
            Reads::Nothing => Some(Vec::new()),
        };
        Self { log, within, heard: Heard::default(), is_alone: false }
    }

    /// What another node is told of this one's log.
    pub(super) fn of_others(log: Arc<LogView>, within: Option<Vec<Unit>>) -> Self {
        Self { log, within, heard: Heard::default(), is_alone: true }
    }

    /// The same, for a page that remembers which nodes answered.
    pub(crate) fn heard_by(self, heard: &Heard) -> Self {
        Self { heard: heard.clone(), ..self }
    }

    /// Of this node's log alone.
    pub(crate) fn alone(self) -> Self {
        Self { is_alone: true, ..self }
    }

    /// The departments that it is kept to; none where it is the whole log.
    pub(crate) fn within(&self) -> Option<&[Unit]> {
        self.within.as_deref()
    }

    /// The nodes whose logs are missing from what was answered so far.
    pub(crate) fn missing(&self) -> BTreeSet<String> {
        self.heard.missing()
    }

    /// The other nodes, where their logs are asked for.
    fn others(&self) -> Option<&Others> {
        self.log.others().filter(|_| !self.is_alone)
    }

    /// Whether a line is in it. What says nothing of a department, as closing lines and what the gateway does by itself,
    /// is in no part.
    fn has(&self, entry: &Entry) -> bool {
        let Some(within) = &self.within else { return true };
        entry.units().any(|unit| within.iter().any(|one| one.covers(&unit)))
    }

    /// Whether a record is in it. Of a damaged one nobody can say whose it is.
    fn shows(&self, record: &Record) -> bool {
        record.story.as_ref().map_or(self.within.is_none(), |story| self.has(&story.begin))
    }

    fn narrowed(&self, question: &Question) -> Question {
        Question { within: self.within.clone(), ..question.clone() }
    }

    /// The recordings of terminals that belong to this node's log.
    pub(crate) fn recordings(&self) -> Option<Recordings> {
        self.log.recordings()
    }

    /// How this node's index stands to its log. Blocks.
    pub(crate) fn standing(&self) -> Standing {
        self.log.standing()
    }

    /// Whether the indexes have read all that the logs hold now, waiting for them this long. Blocks.
    pub(crate) fn follows(&self, most: Duration) -> bool {
        let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        let asked = self.others().map(|others| others.ask(None, &self.heard, |_| Some(What::Follows(millis))));
        let own = self.log.follows(most);
        let follows = |_, said| if let Said::Follows(follows) = said { Some(follows) } else { None };
        let told = asked.map(|asked| asked.gather(follows)).unwrap_or_default();
        own && told.iter().all(|(_, follows)| *follows) && (self.is_alone || self.missing().is_empty())
    }

    /// Where the stories are in this node's log that a question asks for. Blocks.
    pub(crate) fn find(&self, question: &Question) -> Result<Answer, LogTrouble> {
        self.log.find(&self.narrowed(question))
    }

    /// The first stories that a question asks for. Blocks.
    pub(crate) fn stories(&self, question: &Question) -> Result<Stories, LogTrouble> {
        self.stories_from(question, &Turn::default())
    }

    /// The stories that a question asks for, from a place on. Blocks.
    pub(crate) fn stories_from(&self, question: &Question, turn: &Turn) -> Result<Stories, LogTrouble> {
        let question = self.narrowed(question);
        let at = |log| Question {
            after: if let Step::At(place) = turn.of(log) { Some(place) } else { None },
            ..question.clone()
        };
        let Some(others) = self.others() else {
            let own = self.log.others().map_or(0, |others| others.own().0);
            let found = self.log.stories(&at(own))?;
            let next = found.next.map(|next| Turn::of_one(own, next));
            let mut records = found.records;
            records.iter_mut().for_each(|record| record.node = self.log.node());
            return Ok(Stories { records, total: found.total, next });
        };
        let what = |log| {
            let is_asked = turn.of(log) != Step::LeftOut;
            is_asked.then(|| What::Stories(Box::new((&at(log)).into())))
        };
        let asked = others.ask(self.within(), &self.heard, what);
        let (own, node) = others.own();
        let found = self.log.stories(&at(own))?;
        let mut totals = vec![self.log.total_apart(&question, found.total)?];
        let mut hands = vec![Hand {
            log: own,
            step: turn.of(own),
            records: found.records.into_iter().map(|record| self.with_line(record, node)).collect::<Result<_, _>>()?,
            next: found.next,
        }];
        let told = asked.gather(|log, said| {
            let Said::Stories(said) = said else { return None };
            let records = self.read_all(said.records, others.name(log)?)?;
            let next = match said.next {
                Some(next) => Some(find::Place::parse(&next)?),
                None => None,
            };
            (records.len() <= question.limit).then_some((records, said.total, next))
        });
        for (log, (records, total, next)) in told {
            totals.push(total);
            hands.push(Hand { log, step: turn.of(log), records, next });
        }
        let (records, next) = together::merge(hands, others.count(), question.order, question.limit);
        Ok(Stories { records, total: together::total(totals), next })
    }

    /// A record of this node, with the line that begins it where other logs may have the same.
    fn with_line(&self, record: Record, node: &Arc<str>) -> Result<(Record, Option<Vec<u8>>), LogTrouble> {
        let is_shared = record.story.as_ref().is_some_and(|story| story.begin.store_event.is_some());
        let line = if is_shared { self.log.line(record.seq)? } else { None };
        Ok((Record { node: Some(Arc::clone(node)), ..record }, line))
    }

    /// Records that another node told; nothing where one is none, or lies outside of what was asked for.
    fn read_all(&self, told: Vec<SaidRecord>, node: &Arc<str>) -> Option<VecDeque<(Record, Option<Vec<u8>>)>> {
        let told = told.into_iter().map(|one| read(one, node).filter(|(record, _)| self.admits(record)));
        told.collect()
    }

    /// Whether another node may tell a record: as [`Sight::shows`], but that a damaged one is found by what was indexed.
    fn admits(&self, record: &Record) -> bool {
        record.story.as_ref().is_none_or(|story| self.has(&story.begin))
    }

    /// How many there are of each. Blocks.
    pub(crate) fn count(&self, question: &Question, by: By, top: usize) -> Result<Vec<Bar>, LogTrouble> {
        let question = self.narrowed(question);
        let Some(others) = self.others() else { return self.log.count(&question, by, top) };
        let each = top.saturating_add(COUNTED_BEYOND);
        let asked = others.ask(self.within(), &self.heard, |_| {
            let by = by.as_str().to_owned();
            Some(What::Count(Box::new(AskedCount { question: (&question).into(), by, top: each })))
        });
        let own = self.log.count_apart(&question, by, each)?;
        let told = asked.gather(|_, said| if let Said::Count(shares) = said { Some(shares) } else { None });
        let counted = std::iter::once(own).chain(told.into_iter().map(|(_, shares)| shares)).collect();
        Ok(together::count(counted, by, top))
    }

    /// How many there are in all. Blocks.
    pub(crate) fn total(&self, question: &Question) -> Result<u64, LogTrouble> {
        let question = self.narrowed(question);
        let Some(others) = self.others() else { return self.log.total(&question) };
        let asked = others.ask(self.within(), &self.heard, |_| Some(What::Total(Box::new((&question).into()))));
        let own = self.log.total_apart(&question, self.log.total(&question)?)?;
        let told = asked.gather(|_, said| if let Said::Total(shares) = said { Some(shares) } else { None });
        Ok(together::total(std::iter::once(own).chain(told.into_iter().map(|(_, shares)| shares))))
    }

    /// A line of this node's log, read. Of a damaged one nobody can say whose it is. Blocks.
    pub(crate) fn entry(&self, seq: u64) -> Result<Line, LogTrouble> {
        Ok(match self.log.entry(seq)? {
            Line::Read(entry) if self.has(&entry) => Line::Read(entry),
            Line::Damaged(damage) if self.within.is_none() => Line::Damaged(damage),
            Line::Read(_) | Line::Damaged(_) | Line::Gone => Line::Gone,
        })
    }

    /// The records that lines of a node's log belong to, whichever of their lines they are; nothing where the log no longer
    /// has one. Blocks.
    pub(crate) fn records_at(&self, node: Option<&str>, seqs: &[u64]) -> Result<Vec<Option<Record>>, LogTrouble> {
        let mut records = match self.whose(node)? {
            Whose::Own => {
                let mut records = self.log.records_of(seqs)?;
                records.iter_mut().flatten().for_each(|record| record.node = self.log.node());
                records
            }
            Whose::Another(others, log) => {
                let what = What::Records(seqs.to_vec());
                self.one(others, log, what, |node, said| {
                    let Said::Records(told) = said else { return None };
                    let told = told.into_iter().map(|one| match one {
                        Some(one) => read(one, node).map(|(record, _)| Some(record)),
                        None => Some(None),
                    });
                    told.collect::<Option<Vec<_>>>().filter(|told| told.len() == seqs.len())
                })?
            }
            Whose::Nobodys => vec![None; seqs.len()],
        };
        for record in &mut records {
            record.take_if(|record| !self.shows(record));
        }
        Ok(records)
    }

    /// The record that a line of a node's log belongs to, with its lines as they were written, as far as they can be read.
    /// Blocks.
    pub(crate) fn record_at(&self, node: Option<&str>, seq: u64) -> Result<Option<Written>, LogTrouble> {
        let found = match self.whose(node)? {
            Whose::Own => match self.log.records_of(&[seq])?.into_iter().flatten().next() {
                Some(record) => {
                    let lines = self.lines_of(&record, seq)?;
                    Some(Written { record: Record { node: self.log.node(), ..record }, lines })
                }
                None => None,
            },
            Whose::Another(others, log) => self.one(others, log, What::Record(seq), |node, said| match said {
                Said::Record(Some(told), lines) => {
                    let lines = lines.into_iter().map(String::into_bytes).collect();
                    read(told, node).map(|(record, _)| Some(Written { record, lines }))
                }
                Said::Record(None, _) => Some(None),
                Said::Trouble(_)
                | Said::Follows(_)
                | Said::Stories(_)
                | Said::Count(_)
                | Said::Total(_)
                | Said::Records(_) => None,
            })?,
            Whose::Nobodys => None,
        };
        Ok(found.filter(|found| self.shows(&found.record)))
    }

    /// Asks one other node; without its answer there is nothing to show.
    fn one<T>(
        &self,
        others: &Others,
        log: usize,
        what: What,
        read: impl Fn(&Arc<str>, Said) -> Option<T>,
    ) -> Result<T, LogTrouble> {
        let asked = others.ask_one(self.within(), &self.heard, log, what);
        let told = asked.gather(|log, said| read(others.name(log)?, said));
        told.into_iter().next().map(|(_, told)| told).ok_or(LogTrouble::Away)
    }

    /// Whose log a name means; this node's where there is none.
    fn whose(&self, node: Option<&str>) -> Result<Whose<'_>, LogTrouble> {
        self.heard.note_of_one();
        let Some(node) = node else { return Ok(Whose::Own) };
        let Some(others) = self.log.others() else { return Ok(Whose::Nobodys) };
        match others.place(node) {
            Some(log) if log == others.own().0 => Ok(Whose::Own),
            Some(_) if self.is_alone => Err(LogTrouble::Away),
            Some(log) => Ok(Whose::Another(others, log)),
            None => Ok(Whose::Nobodys),
        }
    }

    fn lines_of(&self, record: &Record, asked: u64) -> Result<Vec<Vec<u8>>, LogTrouble> {
        let ends = record.story.as_ref().and_then(|story| Some(story.end.as_ref()?.seq));
        // Of what is damaged the line that was asked for may say more than the one that begins it.
        let first = if record.story.is_some() { record.seq } else { asked };
        let lines = [Some(first), ends].into_iter().flatten().map(|seq| self.log.line(seq));
        Ok(lines.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// Waits until the index has read what this node's log holds now, and gives how many lines that is; nothing where the
    /// work is to stop. Blocks.
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

/// A record with its lines as they were written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) record: Record,
    pub(crate) lines: Vec<Vec<u8>>,
}

/// Whose log something is of.
enum Whose<'a> {
    Own,
    /// Another node's, by its place.
    Another(&'a Others, usize),
    /// There is no such node.
    Nobodys,
}
