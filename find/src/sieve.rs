//! The part of a question that columns answer: moments, hours of work, the request's code, parties and deeds. And the
//! way through all stories of a segment that a question fits.

use tantivy::columnar::Column;
use tantivy::fastfield::AliveBitSet;
use tantivy::query::{Scorer, Weight};
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocId, DocSet as _, SegmentReader, TantivyError};

use crate::alike::{DeedAsked, PartyAsked};
use crate::calendar::AtWork;
use crate::cursor::mark;
use crate::document::{code, millis};
use crate::fields::{AT, CODE, DEED, Fields, PARTY};
use crate::parties::stories_of;
use crate::{Deadline, FindProblem, Question};

/// The clock is looked at after so many blocks.
const BLOCKS_PER_LOOK: u32 = 64;
/// Parties that have less than this part of a segment's stories lead to them; else all stories are looked at.
const FEW_PART: u64 = 8;
/// More parties than this do not lead: all stories are looked at.
const MARKS_MAX: usize = 100_000;

/// What a question asks of columns.
#[derive(Debug)]
pub(crate) struct Sieve<'a> {
    question: &'a Question,
    since: u64,
    until: u64,
    code: Option<u64>,
    fields: Fields,
    party: Option<PartyAsked>,
    deed: Option<DeedAsked>,
    is_led: bool,
}

impl<'a> Sieve<'a> {
    pub(crate) fn new(question: &'a Question, fields: Fields) -> Result<Self, FindProblem> {
        let code = match question.request.as_deref().map(str::trim) {
            Some(request) => Some(code(request).ok_or_else(|| FindProblem::Question {
                what: "request",
                value: request.to_owned(),
                remedy: "write its id, or the last eight digits of it",
            })?),
            None => None,
        };
        let micros = u64::try_from(question.until.unix_micros()).unwrap_or(0);
        let (since, until) = (millis(question.since), micros.div_ceil(1_000));
        let (party, deed) = (PartyAsked::of(question), DeedAsked::of(question));
        Ok(Self { question, since, until, code, fields, party, deed, is_led: false })
    }

    /// Says whether something else of the question leads to few stories.
    pub(crate) fn is_led(&mut self, is_led: bool) {
        self.is_led = is_led;
    }

    /// Goes through the stories of a segment that fit, block by block.
    pub(crate) fn each(
        &self,
        segment: &SegmentReader,
        weight: &dyn Weight,
        deadline: &Deadline,
        mut found: impl FnMut(&[DocId]),
    ) -> Result<(), Stopped> {
        let Some(mut mesh) = self.on(segment)? else { return Ok(()) };
        let mut docs = match mesh.leader.take() {
            Some(leader) => leader,
            None => weight.scorer(segment, 1.0)?,
        };
        let mut block = [0; COLLECT_BLOCK_BUFFER_LEN];
        let mut kept = Vec::with_capacity(COLLECT_BLOCK_BUFFER_LEN);
        for number in 0_u32.. {
            if number % BLOCKS_PER_LOOK == 0 {
                deadline.check()?;
            }
            let count = docs.fill_buffer(&mut block);
            kept.clear();
            kept.extend(block.iter().take(count));
            mesh.keep(&mut kept);
            if !kept.is_empty() {
                found(&kept);
            }
            if count < COLLECT_BLOCK_BUFFER_LEN {
                break;
            }
        }
        Ok(())
    }

    /// The sieve for a segment; none where nothing of it can fit.
    fn on<'s>(&'s self, segment: &'s SegmentReader) -> Result<Option<Mesh<'s>>, TantivyError> {
        let columns = segment.fast_fields();
        let at = columns.u64(AT)?;
        if at.max_value() < self.since || at.min_value() >= self.until {
            return Ok(None);
        }
        let asks_for_time = at.min_value() < self.since || at.max_value() >= self.until;
        let asks_for_hours = self.question.out_of_hours.is_some();
        let mut mesh = Mesh {
            sieve: self,
            alive: segment.alive_bitset(),
            at: (asks_for_time || asks_for_hours).then_some(at),
            work: AtWork::new(&self.question.calendar),
            codes: self.code.map(|code| columns.u64(CODE).map(|column| (column, code))).transpose()?,
            alike: Vec::new(),
            leader: None,
            values: Vec::with_capacity(COLLECT_BLOCK_BUFFER_LEN),
        };
        if let Some(deed) = &self.deed {
            match Alike::on(segment, DEED, |text| deed.fits(text))? {
                Some(deeds) => mesh.alike.push(deeds),
                None => return Ok(None),
            }
        }
        let Some(party) = &self.party else { return Ok(Some(mesh)) };
        let mut marks = Vec::new();
        let fits = |text: &str| {
            let fits = party.fits(text);
            if fits && marks.len() < MARKS_MAX {
                marks.push(mark(text.as_bytes()));
            }
            fits
        };
        let Some(parties) = Alike::on(segment, PARTY, fits)? else { return Ok(None) };
        mesh.alike.push(parties);
        if self.is_led || marks.len() >= MARKS_MAX {
            return Ok(Some(mesh));
        }
        let few = u64::from(segment.max_doc()) / FEW_PART;
        mesh.leader = stories_of(segment, self.fields.party_mark, &marks, few)?;
        Ok(Some(mesh))
    }
}

/// Which of the texts of a column fit.
struct Alike {
    column: Column<u64>,
    fits: Vec<bool>,
}

impl Alike {
    /// Asks each text of a segment; none where none fits.
    fn on(
        segment: &SegmentReader,
        column: &str,
        mut fits: impl FnMut(&str) -> bool,
    ) -> Result<Option<Self>, TantivyError> {
        let Some(texts) = segment.fast_fields().str(column)? else { return Ok(None) };
        let mut all = Vec::with_capacity(texts.num_terms());
        let mut stream = texts.dictionary().stream()?;
        while stream.advance() {
            all.push(std::str::from_utf8(stream.key()).is_ok_and(&mut fits));
        }
        Ok(all.contains(&true).then(|| Self { column: texts.ords().clone(), fits: all }))
    }
}

/// The sieve over one segment.
struct Mesh<'s> {
    sieve: &'s Sieve<'s>,
    alive: Option<&'s AliveBitSet>,
    at: Option<Column<u64>>,
    work: AtWork<'s>,
    codes: Option<(Column<u64>, u64)>,
    alike: Vec<Alike>,
    /// The stories that are to be looked at, where the party leads to them.
    leader: Option<Box<dyn Scorer>>,
    values: Vec<Option<u64>>,
}

impl Mesh<'_> {
    /// Keeps of these stories the ones that fit.
    fn keep(&mut self, docs: &mut Vec<DocId>) {
        if let Some(alive) = self.alive {
            docs.retain(|doc| alive.is_alive(*doc));
        }
        let (since, until) = (self.sieve.since, self.sieve.until);
        let (out_of_hours, work) = (self.sieve.question.out_of_hours, &mut self.work);
        if let Some(at) = &self.at {
            retain(docs, at, &mut self.values, |at| {
                (since..until).contains(&at) && out_of_hours.is_none_or(|wanted| wanted != work.at(at))
            });
        }
        if let Some((codes, wanted)) = &self.codes {
            retain(docs, codes, &mut self.values, |code| code == *wanted);
        }
        for Alike { column, fits } in &self.alike {
            let fits = |ord: u64| usize::try_from(ord).ok().and_then(|ord| fits.get(ord)).is_some_and(|fits| *fits);
            retain(docs, column, &mut self.values, fits);
        }
    }
}

/// Keeps the stories whose value is wanted.
fn retain(
    docs: &mut Vec<DocId>,
    column: &Column<u64>,
    values: &mut Vec<Option<u64>>,
    mut wanted: impl FnMut(u64) -> bool,
) {
    first_values(docs, column, values);
    let mut values = values.iter();
    docs.retain(|_| values.next().copied().flatten().is_some_and(&mut wanted));
}

/// The first value of each story.
pub(crate) fn first_values(docs: &[DocId], column: &Column<u64>, values: &mut Vec<Option<u64>>) {
    values.clear();
    values.resize(docs.len(), None);
    column.first_vals(docs, values);
}

/// Why the way through a segment ended early.
#[derive(Debug)]
pub(crate) enum Stopped {
    Engine(Box<TantivyError>),
    Found(FindProblem),
}

impl From<TantivyError> for Stopped {
    fn from(error: TantivyError) -> Self {
        Self::Engine(Box::new(error))
    }
}

impl From<std::io::Error> for Stopped {
    fn from(error: std::io::Error) -> Self {
        Self::Engine(Box::new(error.into()))
    }
}

impl From<FindProblem> for Stopped {
    fn from(problem: FindProblem) -> Self {
        Self::Found(problem)
    }
}
