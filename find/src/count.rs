//! Counting the stories that fit by something that they have.

use std::collections::BTreeMap;

use tantivy::SegmentReader;
use tantivy::query::Weight;

use crate::fields::{AT, Counts, counts};
use crate::sieve::{Sieve, Stopped, first_values};
use crate::tally::{Ords, Tally};
use crate::{Bar, By, Deadline, FindProblem, Question};

/// What was counted in a segment.
#[derive(Debug)]
pub(crate) enum Counted {
    /// By hours or days since the epoch.
    Moments(BTreeMap<i64, u64>),
    /// By terms.
    Terms(Ords),
    /// Nothing of the kind is in the segment.
    Nothing,
}

/// Counts in a segment.
pub(crate) fn count(
    segment: &SegmentReader,
    weight: &dyn Weight,
    sieve: &Sieve<'_>,
    question: &Question,
    by: By,
    deadline: &Deadline,
) -> Result<Counted, Stopped> {
    let name = match counts(by) {
        Counts::Terms(name) => name,
        Counts::Moments { place, .. } => {
            let place = |millis: u64| place(&question.calendar, millis);
            return moments(segment, weight, sieve, place, deadline).map(Counted::Moments);
        }
    };
    let Some(terms) = segment.fast_fields().str(name)? else { return Ok(Counted::Nothing) };
    let mut ords = Ords::new(terms);
    sieve.each(segment, weight, deadline, |docs| ords.add(docs))?;
    Ok(Counted::Terms(ords))
}

fn moments(
    segment: &SegmentReader,
    weight: &dyn Weight,
    sieve: &Sieve<'_>,
    place: impl Fn(u64) -> i64,
    deadline: &Deadline,
) -> Result<BTreeMap<i64, u64>, Stopped> {
    let at = segment.fast_fields().u64(AT)?;
    let mut counts = BTreeMap::new();
    // Most stories are in the same hour as the one before them.
    let (mut current, mut run) = (0, 0_u64);
    let mut moments = Vec::new();
    sieve.each(segment, weight, deadline, |docs| {
        first_values(docs, &at, &mut moments);
        for millis in moments.iter().copied().flatten() {
            let here = place(millis);
            if here != current {
                *counts.entry(current).or_default() += std::mem::take(&mut run);
                current = here;
            }
            run += 1;
        }
    })?;
    *counts.entry(current).or_default() += run;
    counts.retain(|_, count| *count > 0);
    Ok(counts)
}

/// The bars of all segments together: moments in their order, the newest where there are too many; anything else the
/// most frequent first.
pub(crate) fn bars(counted: Vec<Counted>, by: By, top: usize, deadline: &Deadline) -> Result<Vec<Bar>, Stopped> {
    let mut moments: BTreeMap<i64, u64> = BTreeMap::new();
    let mut tally = Tally::new(top);
    for one in counted {
        match one {
            Counted::Moments(counts) => {
                counts.into_iter().for_each(|(place, count)| *moments.entry(place).or_default() += count);
            }
            Counted::Terms(ords) => tally.add(ords),
            Counted::Nothing => {}
        }
    }
    let name = match counts(by) {
        Counts::Terms(_) => return tally.bars(by, deadline),
        Counts::Moments { name, .. } => name,
    };
    let mut named: BTreeMap<String, u64> = BTreeMap::new();
    moments.into_iter().for_each(|(place, count)| *named.entry(name(place)).or_default() += count);
    let mut bars: Vec<_> = named.into_iter().rev().take(top).map(|(key, count)| Bar { key, count }).collect();
    bars.reverse();
    Ok(bars)
}

/// Says that there is too much to count.
pub(crate) fn too_many(by: By, max: usize) -> FindProblem {
    FindProblem::TooBroad { what: "names", value: by.as_str().to_owned(), max }
}
