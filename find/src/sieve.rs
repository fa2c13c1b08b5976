//! The part of a question that columns answer: moments, hours of work, the request's code, networks. And the way
//! through all stories of a segment that a question fits.

use tantivy::columnar::Column;
use tantivy::fastfield::AliveBitSet;
use tantivy::query::Weight;
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocId, DocSet as _, SegmentReader, TantivyError};

use crate::calendar::AtWork;
use crate::document::{code, millis};
use crate::fields::{ADDRESS, AT, CODE};
use crate::{Addresses, Deadline, FindProblem, Question};

/// The clock is looked at after so many blocks.
const BLOCKS_PER_LOOK: u32 = 64;

/// What a question asks of columns.
#[derive(Debug)]
pub(crate) struct Sieve<'a> {
    question: &'a Question,
    since: u64,
    until: u64,
    code: Option<u64>,
    network: Option<Addresses>,
}

impl<'a> Sieve<'a> {
    pub(crate) fn new(question: &'a Question) -> Result<Self, FindProblem> {
        let code = match question.request.as_deref().map(str::trim) {
            Some(request) => Some(code(request).ok_or_else(|| FindProblem::Question {
                what: "request",
                value: request.to_owned(),
                remedy: "write its id, or the last eight digits of it",
            })?),
            None => None,
        };
        // One address is a term.
        let network = question.address.filter(|addresses| addresses.only().is_none());
        let micros = u64::try_from(question.until.unix_micros()).unwrap_or(0);
        Ok(Self { question, since: millis(question.since), until: micros.div_ceil(1_000), code, network })
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
        let mut docs = weight.scorer(segment, 1.0)?;
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
        let codes = self.code.map(|code| columns.u64(CODE).map(|column| (column, code))).transpose()?;
        let addresses = match (self.network, columns.str(ADDRESS)?) {
            (None, _) => None,
            (Some(_), None) => return Ok(None),
            (Some(network), Some(column)) => {
                let mut fits = Vec::with_capacity(column.num_terms());
                let mut terms = column.dictionary().stream()?;
                while terms.advance() {
                    let address = std::str::from_utf8(terms.key()).ok().and_then(|text| text.parse().ok());
                    fits.push(address.is_some_and(|address| network.has(address)));
                }
                Some((column.ords().clone(), fits))
            }
        };
        Ok(Some(Mesh {
            sieve: self,
            alive: segment.alive_bitset(),
            at: (asks_for_time || asks_for_hours).then_some(at),
            work: AtWork::new(&self.question.calendar),
            codes,
            addresses,
            values: Vec::with_capacity(COLLECT_BLOCK_BUFFER_LEN),
        }))
    }
}

/// The sieve over one segment.
struct Mesh<'s> {
    sieve: &'s Sieve<'s>,
    alive: Option<&'s AliveBitSet>,
    at: Option<Column<u64>>,
    work: AtWork<'s>,
    codes: Option<(Column<u64>, u64)>,
    addresses: Option<(Column<u64>, Vec<bool>)>,
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
        if let Some((addresses, fits)) = &self.addresses {
            let fits = |ord: u64| usize::try_from(ord).ok().and_then(|ord| fits.get(ord)).is_some_and(|fits| *fits);
            retain(docs, addresses, &mut self.values, fits);
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
