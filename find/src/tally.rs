//! The most frequent names over several leaves, exactly. Each leaf numbers its names for itself; only names that can be
//! among the most frequent are looked up.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::count::too_many;
use crate::fields::Field;
use crate::sheet::Sheet;
use crate::{Bar, By, Deadline, FindProblem};

/// Up to so many names are looked up without asking which of them matter.
const FEW: usize = if cfg!(test) { 4 } else { 50_000 };
/// The most names that are looked up.
const NAMES_MAX: usize = 1_000_000;
/// To find one name takes about as long as to read so many in order.
const WORTH_FINDING: usize = if cfg!(test) { 3 } else { 64 };

/// How often each name of a leaf was met.
#[derive(Debug)]
pub(crate) struct Met {
    pub(crate) source: Source,
    pub(crate) counts: Vec<u32>,
}

/// Where the names are.
#[derive(Debug)]
pub(crate) enum Source {
    /// In a field of a file.
    Sheet(Arc<Sheet>, Field),
    /// Here, in order.
    Names(Vec<String>),
}

impl Met {
    /// The names that were met at least so often, by their numbers.
    fn met(&self, least: u32) -> impl Iterator<Item = (u32, u32)> + Clone {
        (0..).zip(self.counts.iter().copied()).filter(move |(_, count)| *count >= least)
    }

    /// The most frequent names of this leaf, so many of them, by their numbers in order.
    fn first(&self, n: usize) -> Vec<(u32, u32)> {
        let mut met: Vec<(u32, u32)> = self.met(1).collect();
        if let Some(place) = met.len().checked_sub(n).filter(|place| *place > 0) {
            met.select_nth_unstable_by_key(place, |(_, count)| *count);
            met.drain(..place);
        }
        met.sort_unstable();
        met
    }

    /// Hands over the names of some numbers, which are given in order with how often each was met.
    fn each(
        &self,
        met: impl Iterator<Item = (u32, u32)> + Clone,
        mut each: impl FnMut(&str, u32),
    ) -> Result<(), FindProblem> {
        match &self.source {
            Source::Names(names) => {
                let named = met.filter_map(|(place, count)| Some((names.get(place as usize)?, count)));
                named.for_each(|(name, count)| each(name, count));
            }
            Source::Sheet(sheet, field) => {
                let (places, mut counts) = (met.clone().map(|(place, _)| place), met.map(|(_, count)| count));
                sheet.names(*field)?.each(places, |name| counts.next().into_iter().for_each(|count| each(name, count)));
            }
        }
        Ok(())
    }

    /// How often each of these names, which are in order, was met.
    fn of(&self, names: &[String], mut each: impl FnMut(&str, u32)) -> Result<(), FindProblem> {
        let mut told = |name: &str, place: Option<usize>| {
            place.and_then(|place| self.counts.get(place)).into_iter().for_each(|count| each(name, *count));
        };
        match &self.source {
            Source::Names(known) => names.iter().for_each(|name| told(name, known.binary_search(name).ok())),
            Source::Sheet(sheet, field) => {
                let known = sheet.names(*field)?;
                if names.len() < known.count() / WORTH_FINDING {
                    names.iter().for_each(|name| told(name, known.find(name).map(|place| place as usize)));
                    return Ok(());
                }
                let mut wanted = names.iter().peekable();
                let (mut place, all) = (0, u32::try_from(known.count()).unwrap_or(u32::MAX));
                known.each(0..all, |name| {
                    while wanted.next_if(|wanted| wanted.as_str() < name).is_some() {}
                    if wanted.next_if(|wanted| wanted.as_str() == name).is_some() {
                        told(name, Some(place));
                    }
                    place += 1;
                });
            }
        }
        Ok(())
    }
}

/// Counts of several leaves.
#[derive(Debug)]
pub(crate) struct Tally {
    top: usize,
    leaves: Vec<Met>,
}

impl Tally {
    pub(crate) fn new(top: usize) -> Self {
        Self { top, leaves: Vec::new() }
    }

    pub(crate) fn add(&mut self, met: Met) {
        self.leaves.push(met);
    }

    /// The most frequent, the most frequent first; those that are as frequent by name.
    pub(crate) fn bars(self, by: By, deadline: &Deadline) -> Result<Vec<Bar>, FindProblem> {
        if self.top == 0 {
            return Ok(Vec::new());
        }
        let all: usize = self.leaves.iter().map(|leaf| leaf.met(1).count()).sum();
        let totals = if all <= FEW { self.all(by, deadline)? } else { self.likely(by, deadline)? };
        let mut bars: Vec<_> = totals.into_iter().map(|(key, count)| Bar { key, count }).collect();
        bars.sort_unstable_by(|one, other| other.count.cmp(&one.count).then_with(|| one.key.cmp(&other.key)));
        bars.truncate(self.top);
        Ok(bars)
    }

    /// The totals of every name that was met, summed over the leaves where it was.
    fn all(&self, by: By, deadline: &Deadline) -> Result<HashMap<String, u64>, FindProblem> {
        let mut totals = HashMap::new();
        for leaf in &self.leaves {
            deadline.check()?;
            leaf.each(leaf.met(1), |name, count| add(&mut totals, name, count))?;
            if totals.len() > NAMES_MAX {
                return Err(too_many(by, NAMES_MAX));
            }
        }
        Ok(totals)
    }

    /// The totals of the names that can be among the most frequent.
    ///
    /// The most frequent names of each leaf reach some totals, so the most frequent of all reach no less. A name that in no
    /// leaf reaches that leaf's share of that cannot reach it in all of them together, whatever the shares are.
    fn likely(&self, by: By, deadline: &Deadline) -> Result<HashMap<String, u64>, FindProblem> {
        let first: Vec<Vec<(u32, u32)>> = self.leaves.iter().map(|leaf| leaf.first(self.top)).collect();
        let some = self.named(by, deadline, |place| first.get(place).into_iter().flatten().copied())?;
        let mut reached: Vec<u64> = self.totals(some, deadline)?.into_values().collect();
        let goal = match reached.len().checked_sub(self.top) {
            Some(place) => *reached.select_nth_unstable(place).1,
            None => 0,
        };
        // As the leaves' own most frequent names are to each other.
        let weight: Vec<u64> =
            first.iter().map(|first| first.iter().map(|(_, count)| u64::from(*count)).min().unwrap_or(0)).collect();
        let sum: u64 = weight.iter().sum();
        let share = |place: usize| {
            let weight = weight.get(place).copied().unwrap_or(0);
            let share = (u128::from(goal) * u128::from(weight)).checked_div(u128::from(sum)).unwrap_or(0);
            u32::try_from(share).unwrap_or(u32::MAX).max(1)
        };
        let likely = self.named(by, deadline, |place| {
            let share = share(place);
            self.leaves.get(place).into_iter().flat_map(move |leaf| leaf.met(share))
        })?;
        if likely.len() > FEW { self.all(by, deadline) } else { self.totals(likely, deadline) }
    }

    /// The names that are chosen of each leaf, in order.
    fn named<I: Iterator<Item = (u32, u32)> + Clone>(
        &self,
        by: By,
        deadline: &Deadline,
        chosen: impl Fn(usize) -> I,
    ) -> Result<Vec<String>, FindProblem> {
        let mut names: HashSet<String> = HashSet::new();
        for (place, leaf) in self.leaves.iter().enumerate() {
            deadline.check()?;
            leaf.each(chosen(place), |name, _| {
                if !names.contains(name) {
                    names.insert(name.to_owned());
                }
            })?;
            if names.len() > NAMES_MAX {
                return Err(too_many(by, NAMES_MAX));
            }
        }
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The totals of names that are in order.
    fn totals(&self, names: Vec<String>, deadline: &Deadline) -> Result<HashMap<String, u64>, FindProblem> {
        let mut totals = HashMap::new();
        for leaf in &self.leaves {
            deadline.check()?;
            leaf.of(&names, |name, count| add(&mut totals, name, count))?;
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
