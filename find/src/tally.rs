//! The most frequent names over several leaves, exactly. Each leaf numbers its names for itself; only names that can be
//! among the most frequent are looked up.

use std::collections::HashMap;
use std::sync::Arc;

use crate::count::too_many;
use crate::fields::Field;
use crate::sheet::Sheet;
use crate::{Bar, By, Deadline, FindProblem};

/// Up to so many names are looked up without asking which of them matter.
const FEW: usize = if cfg!(test) { 4 } else { 50_000 };
/// The most names that are looked up.
const NAMES_MAX: usize = 1_000_000;

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
    fn met(&self, least: u32) -> impl Iterator<Item = (u32, u32)> {
        (0..).zip(self.counts.iter().copied()).filter(move |(_, count)| *count >= least)
    }

    /// The count that the most frequent names of this leaf reach, so many of them.
    fn nth(&self, n: usize) -> u32 {
        let mut counts: Vec<u32> = self.met(1).map(|(_, count)| count).collect();
        let Some(place) = counts.len().checked_sub(n) else { return 0 };
        *counts.select_nth_unstable(place).1
    }

    /// Hands over the names that were met at least so often, and how often.
    fn each(&self, least: u32, mut each: impl FnMut(&str, u32)) -> Result<(), FindProblem> {
        match &self.source {
            Source::Names(names) => {
                for (name, count) in names.iter().zip(&self.counts).filter(|(_, count)| **count >= least) {
                    each(name, *count);
                }
            }
            Source::Sheet(sheet, field) => {
                let mut counts = self.met(least).map(|(_, count)| count);
                let places = self.met(least).map(|(place, _)| place);
                sheet.names(*field)?.each(places, |name| counts.next().into_iter().for_each(|count| each(name, count)));
            }
        }
        Ok(())
    }

    /// How often each of these names was met.
    fn of(&self, names: &[String], mut each: impl FnMut(&str, u32)) -> Result<(), FindProblem> {
        let mut told = |name: &str, place: Option<usize>| {
            place.and_then(|place| self.counts.get(place)).into_iter().for_each(|count| each(name, *count));
        };
        match &self.source {
            Source::Names(known) => names.iter().for_each(|name| told(name, known.binary_search(name).ok())),
            Source::Sheet(sheet, field) => {
                let known = sheet.names(*field)?;
                names.iter().for_each(|name| told(name, known.find(name).map(|place| place as usize)));
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
            leaf.each(1, |name, count| add(&mut totals, name, count))?;
            if totals.len() > NAMES_MAX {
                return Err(too_many(by, NAMES_MAX));
            }
        }
        Ok(totals)
    }

    /// The totals of the names that can be among the most frequent.
    ///
    /// The most frequent of one leaf reach some total already. A name that in no leaf reaches that leaf's share of it
    /// cannot reach it in all of them together.
    fn likely(&self, by: By, deadline: &Deadline) -> Result<HashMap<String, u64>, FindProblem> {
        let reached: Vec<u32> = self.leaves.iter().map(|leaf| leaf.nth(self.top)).collect();
        let (goal, sum) = (reached.iter().copied().max().unwrap_or(0), reached.iter().map(|one| u64::from(*one)).sum());
        let share = |reached: u32| {
            let share = (u64::from(goal) * u64::from(reached)).checked_div(sum).unwrap_or(0);
            u32::try_from(share).unwrap_or(u32::MAX).max(1)
        };
        let mut candidates: HashMap<String, u64> = HashMap::new();
        for (leaf, reached) in self.leaves.iter().zip(&reached) {
            deadline.check()?;
            leaf.each(share(*reached), |name, _| {
                if !candidates.contains_key(name) {
                    candidates.insert(name.to_owned(), 0);
                }
            })?;
            if candidates.len() > NAMES_MAX {
                return Err(too_many(by, NAMES_MAX));
            }
        }
        if candidates.len() > FEW {
            return self.all(by, deadline);
        }
        let mut names: Vec<_> = candidates.into_keys().collect();
        names.sort_unstable();
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
