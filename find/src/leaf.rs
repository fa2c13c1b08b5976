//! What a question looks at: some thousand stories, in memory or in a file, with their rows and the texts of these.

use std::borrow::Cow;

use crate::FindProblem;
use crate::fields::{Column, Field};
use crate::tally::Met;

/// The stories of the draft, or of one file. Texts are numbered in each leaf for itself.
pub(crate) trait Leaf {
    /// How many stories there are, with those that no longer count.
    fn stories(&self) -> usize;

    /// The stories that no longer count, in order.
    fn dead(&self) -> &[u32];

    /// The earliest and the latest moment.
    fn moments(&self) -> Option<(u64, u64)>;

    /// A number of each story.
    fn column(&self, column: Column) -> Result<Cow<'_, [u64]>, FindProblem>;

    /// The texts that each row has of a field.
    fn lists(&self, field: Field) -> Result<Cow<'_, Lists>, FindProblem>;

    /// Which texts of a field are asked for, by each of these.
    fn marks(&self, field: Field, wanted: &[Texts<'_>]) -> Result<Vec<Marks>, FindProblem>;

    /// Hands over the texts of a field that begin so, until it says that these were enough.
    fn beginning(&self, field: Field, start: &str, each: &mut dyn FnMut(&str) -> bool) -> Result<(), FindProblem>;

    /// What was counted of the texts of a field, by their numbers.
    fn met(&self, field: Field, counts: Vec<u32>) -> Met;
}

/// Texts that are asked for.
pub(crate) enum Texts<'a> {
    /// Any of these.
    These(Vec<Cow<'a, str>>),
    /// All that begin so.
    Beginning(String),
    /// All for which this holds.
    Where(&'a (dyn Fn(&str) -> bool + Sync)),
}

/// Which texts of a field, or rows of a part, are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    marks: Vec<bool>,
    is_any: bool,
}

impl Marks {
    pub(crate) fn none(count: usize) -> Self {
        Self { marks: vec![false; count], is_any: false }
    }

    pub(crate) fn set(&mut self, place: usize) {
        if let Some(mark) = self.marks.get_mut(place) {
            *mark = true;
            self.is_any = true;
        }
    }

    pub(crate) fn has(&self, place: u64) -> bool {
        usize::try_from(place).ok().and_then(|place| self.marks.get(place)).is_some_and(|mark| *mark)
    }

    /// Whether there is one.
    pub(crate) fn is_any(&self) -> bool {
        self.is_any
    }

    /// Keeps what both have.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.marks.iter_mut().zip(&other.marks).for_each(|(mark, other)| *mark &= other);
        self.is_any = self.marks.contains(&true);
        self
    }
}

/// A list of numbers for each row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    /// Where the list of each row ends.
    pub(crate) ends: Vec<u32>,
    pub(crate) values: Vec<u32>,
}

impl Lists {
    /// Of each row.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[u32]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let end = *end as usize;
            let row = self.values.get(start..end).unwrap_or_default();
            start = end;
            row
        })
    }

    /// The rows that have one of the texts.
    pub(crate) fn rows_with(&self, texts: &Marks) -> Marks {
        let mut marks = Marks::none(self.ends.len());
        if texts.is_any() {
            for (row, list) in self.rows().enumerate() {
                if list.iter().any(|text| texts.has(u64::from(*text))) {
                    marks.set(row);
                }
            }
        }
        marks
    }
}
