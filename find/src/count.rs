//! Counting the stories that fit by something that they have.

use std::collections::BTreeMap;

use crate::fields::{Column, Counts, Field, counts};
use crate::leaf::Leaf;
use crate::sieve::Sieve;
use crate::tally::{Met, Tally};
use crate::{Bar, By, Deadline, FindProblem, Question};

/// What was counted in a leaf.
#[derive(Debug)]
pub(crate) enum Counted {
    /// By hours or days since the epoch.
    Moments(BTreeMap<i64, u64>),
    /// By names.
    Names(Met),
    /// Nothing fits.
    Nothing,
}

/// Counts in a leaf.
pub(crate) fn count(
    leaf: &dyn Leaf,
    sieve: &Sieve<'_>,
    question: &Question,
    by: By,
    deadline: &Deadline,
) -> Result<Counted, FindProblem> {
    let stories = sieve.fitting(leaf, deadline)?;
    if stories.is_empty() {
        return Ok(Counted::Nothing);
    }
    match counts(by) {
        Counts::Names(field) => names(leaf, &stories, field).map(Counted::Names),
        Counts::Moments { place, .. } => {
            moments(leaf, &stories, |millis| place(&question.calendar, millis)).map(Counted::Moments)
        }
    }
}

/// How many stories have which name: first how many have which row.
fn names(leaf: &dyn Leaf, stories: &[u32], field: Field) -> Result<Met, FindProblem> {
    let lists = leaf.lists(field)?;
    let rows = leaf.column(Column::Row(field.part()))?;
    let mut of_row = vec![0_u32; lists.ends.len()];
    for story in stories {
        let row = rows.get(*story as usize).and_then(|row| usize::try_from(*row).ok());
        if let Some(count) = row.and_then(|row| of_row.get_mut(row)) {
            *count += 1;
        }
    }
    let mut of_name = vec![0_u32; lists.values.iter().max().map_or(0, |most| *most as usize + 1)];
    for (count, list) in of_row.into_iter().zip(lists.rows()).filter(|(count, _)| *count > 0) {
        for name in list {
            if let Some(sum) = of_name.get_mut(*name as usize) {
                *sum += count;
            }
        }
    }
    Ok(leaf.met(field, of_name))
}

fn moments(leaf: &dyn Leaf, stories: &[u32], place: impl Fn(u64) -> i64) -> Result<BTreeMap<i64, u64>, FindProblem> {
    let at = leaf.column(Column::At)?;
    let mut counts = BTreeMap::new();
    // Most stories are in the same hour as the one before them.
    let (mut current, mut run) = (0, 0_u64);
    for millis in stories.iter().filter_map(|story| at.get(*story as usize)) {
        let here = place(*millis);
        if here != current {
            *counts.entry(current).or_default() += std::mem::take(&mut run);
            current = here;
        }
        run += 1;
    }
    *counts.entry(current).or_default() += run;
    counts.retain(|_, count| *count > 0);
    Ok(counts)
}

/// The bars of all leaves together: moments in their order, the newest where there are too many; anything else the
/// most frequent first.
pub(crate) fn bars(counted: Vec<Counted>, by: By, top: usize, deadline: &Deadline) -> Result<Vec<Bar>, FindProblem> {
    let mut moments: BTreeMap<i64, u64> = BTreeMap::new();
    let mut tally = Tally::new(top);
    for one in counted {
        match one {
            Counted::Moments(counts) => {
                counts.into_iter().for_each(|(place, count)| *moments.entry(place).or_default() += count);
            }
            Counted::Names(met) => tally.add(met),
            Counted::Nothing => {}
        }
    }
    let name = match counts(by) {
        Counts::Names(_) => return tally.bars(by, deadline),
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
