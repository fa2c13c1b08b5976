//! The most frequent terms over several segments, exactly. Each segment numbers its terms for itself; only terms that
//! can be among the most frequent are looked up by name.

use std::collections::HashMap;

use tantivy::DocId;
use tantivy::columnar::{Cardinality, StrColumn};

use crate::count::too_many;
use crate::sieve::{Stopped, first_values};
use crate::{Bar, By, Deadline};

/// Up to so many terms are looked up without asking which of them matter.
const FEW: usize = if cfg!(test) { 4 } else { 50_000 };
/// The most terms that are looked up.
const NAMES_MAX: usize = 1_000_000;
/// The clock is looked at after so many names.
const NAMES_PER_LOOK: usize = 256;

/// How often each term of a segment was met.
#[derive(Debug)]
pub(crate) struct Ords {
    terms: StrColumn,
    counts: Vec<u32>,
    values: Vec<Option<u64>>,
}

impl Ords {
    pub(crate) fn new(terms: StrColumn) -> Self {
        let counts = vec![0; terms.num_terms()];
        Self { terms, counts, values: Vec::new() }
    }

    /// Counts the terms of these stories.
    pub(crate) fn add(&mut self, docs: &[DocId]) {
        let mut met = |ord: u64| {
            if let Some(count) = usize::try_from(ord).ok().and_then(|ord| self.counts.get_mut(ord)) {
                *count += 1;
            }
        };
        let column = self.terms.ords();
        match column.get_cardinality() {
            Cardinality::Full | Cardinality::Optional => {
                first_values(docs, column, &mut self.values);
                self.values.iter().copied().flatten().for_each(met);
            }
            Cardinality::Multivalued => {
                docs.iter().for_each(|doc| column.values_for_doc(*doc).for_each(&mut met));
            }
        }
    }

    /// The terms that were met at least so often.
    fn met(&self, least: u32) -> impl Iterator<Item = (u64, u32)> {
        (0..).zip(self.counts.iter().copied()).filter(move |(_, count)| *count >= least)
    }

    /// The count that the most frequent terms of this segment reach, so many of them.
    fn nth(&self, n: usize) -> u32 {
        let mut counts: Vec<u32> = self.met(1).map(|(_, count)| count).collect();
        let Some(place) = counts.len().checked_sub(n) else { return 0 };
        *counts.select_nth_unstable(place).1
    }

    /// Hands over the names of terms, given in order of their numbers.
    fn names(&self, ords: Vec<u64>, each: impl FnMut(&[u8])) -> std::io::Result<()> {
        self.terms.dictionary().sorted_ords_to_term_cb(&ords, each).map(drop)
    }
}

/// Counts of several segments.
#[derive(Debug)]
pub(crate) struct Tally {
    top: usize,
    segments: Vec<Ords>,
}

impl Tally {
    pub(crate) fn new(top: usize) -> Self {
        Self { top, segments: Vec::new() }
    }

    pub(crate) fn add(&mut self, ords: Ords) {
        self.segments.push(ords);
    }

    /// The most frequent, the most frequent first; those that are as frequent by name.
    pub(crate) fn bars(self, by: By, deadline: &Deadline) -> Result<Vec<Bar>, Stopped> {
        if self.top == 0 {
            return Ok(Vec::new());
        }
        let all: usize = self.segments.iter().map(|segment| segment.met(1).count()).sum();
        let totals = if all <= FEW { self.all(1, by, deadline)? } else { self.likely(by, deadline)? };
        let mut bars: Vec<_> = totals.into_iter().map(|(key, count)| Bar { key, count }).collect();
        bars.sort_unstable_by(|one, other| other.count.cmp(&one.count).then_with(|| one.key.cmp(&other.key)));
        bars.truncate(self.top);
        Ok(bars)
    }

    /// The totals of every term that is met so often in a segment, summed over the segments where it is.
    fn all(&self, least: u32, by: By, deadline: &Deadline) -> Result<HashMap<String, u64>, Stopped> {
        let mut totals = HashMap::new();
        for segment in &self.segments {
            deadline.check()?;
            let (ords, counts): (Vec<_>, Vec<_>) = segment.met(least).unzip();
            let mut counts = counts.into_iter();
            segment.names(ords, |name| {
                if let (Ok(name), Some(count)) = (std::str::from_utf8(name), counts.next()) {
                    add(&mut totals, name, count);
                }
            })?;
            if totals.len() > NAMES_MAX {
                return Err(too_many(by, NAMES_MAX).into());
            }
        }
        Ok(totals)
    }

    /// The totals of the terms that can be among the most frequent.
    ///
    /// The most frequent of one segment reach some total already. A term that in no segment reaches that segment's
    /// share of it cannot reach it in all of them together.
    fn likely(&self, by: By, deadline: &Deadline) -> Result<HashMap<String, u64>, Stopped> {
        let reached: Vec<u32> = self.segments.iter().map(|segment| segment.nth(self.top)).collect();
        let (goal, sum) = (reached.iter().copied().max().unwrap_or(0), reached.iter().map(|one| u64::from(*one)).sum());
        let share = |reached: u32| {
            let share = (u64::from(goal) * u64::from(reached)).checked_div(sum).unwrap_or(0);
            u32::try_from(share).unwrap_or(u32::MAX).max(1)
        };
        let mut candidates = HashMap::new();
        for (segment, reached) in self.segments.iter().zip(&reached) {
            deadline.check()?;
            let ords: Vec<u64> = segment.met(share(*reached)).map(|(ord, _)| ord).collect();
            if candidates.len() + ords.len() > NAMES_MAX {
                return Err(too_many(by, NAMES_MAX).into());
            }
            segment.names(ords, |name| {
                if let Ok(name) = std::str::from_utf8(name) {
                    candidates.entry(name.to_owned()).or_insert(0);
                }
            })?;
        }
        if candidates.len() > FEW {
            return self.all(1, by, deadline);
        }
        let mut names: Vec<_> = candidates.into_keys().collect();
        names.sort_unstable();
        let mut totals = HashMap::new();
        for segment in &self.segments {
            for (place, name) in names.iter().enumerate() {
                if place % NAMES_PER_LOOK == 0 {
                    deadline.check()?;
                }
                let ord = segment.terms.dictionary().term_ord(name)?.and_then(|ord| usize::try_from(ord).ok());
                if let Some(count) = ord.and_then(|ord| segment.counts.get(ord)) {
                    add(&mut totals, name, *count);
                }
            }
        }
        Ok(totals)
    }
}

fn add(totals: &mut HashMap<String, u64>, name: &str, count: u32) {
    match totals.get_mut(name) {
        Some(total) => *total += u64::from(count),
        None => {
            totals.insert(name.to_owned(), u64::from(count));
        }
    }
}
