//! The newest stories, in memory, until they are as many as go into a file. The log has them all: what is lost of the
//! draft is read there again.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::Instant;

use indexmap::IndexSet;

use crate::FindProblem;
use crate::derived::Derived;
use crate::fields::{Column, Field, Part};
use crate::leaf::{Leaf, Lists, Marks, Texts};
use crate::story::{Told, spell};
use crate::tally::{Met, Source};

/// Stories of one file.
pub(crate) const STORIES_MAX: usize = if cfg!(test) { 50 } else { 131_072 };
/// About the most memory that a draft takes, in bytes.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// The most that who only reads an index gathers beside it.
const AHEAD_STORIES_MAX: usize = 500_000;
const AHEAD_BYTES_MAX: usize = 4 * BYTES_MAX;
/// About what a story takes beside its rows, a row or a name beside its text, and the mention of a name in a row.
const STORY_BYTES: usize = 64;
const ROW_BYTES: usize = 64;
const NAME_BYTES: usize = 64;
const MENTION_BYTES: usize = 8;

/// The newest stories.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    columns: [Vec<u64>; Column::ALL.len()],
    rows: [IndexSet<Box<[u8]>>; Part::ALL.len()],
    fields: [Held; Field::ALL.len()],
    /// Stories that no longer count, in order.
    dead: Vec<u32>,
    /// Accesses that are open: by first line, the story and the id.
    open: HashMap<u64, (u32, String)>,
    /// Stories of files that those of the draft stand for now, by their first lines.
    replaced: Vec<u64>,
    /// Whether stories in it were forgotten: their names go into no file.
    is_pruned: bool,
    bytes: usize,
    since: Option<Instant>,
}

/// The texts of a field, and which row has which.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) names: IndexSet<Box<str>>,
    pub(crate) lists: Lists,
}

impl Held {
    /// Adds a text to the row that is being made, where it does not have it. Gives about what that takes, in bytes.
    fn add(&mut self, text: &str) -> usize {
        let (name, bytes) = match self.names.get_index_of(text) {
            Some(name) => (name, 0),
            None => (self.names.insert_full(text.into()).0, text.len() + NAME_BYTES),
        };
        let name = u32::try_from(name).unwrap_or(u32::MAX);
        let start = self.lists.ends.last().map_or(0, |end| *end as usize);
        if self.lists.values.get(start..).unwrap_or_default().contains(&name) {
            return bytes;
        }
        self.lists.values.push(name);
        bytes + MENTION_BYTES
    }

    fn end_row(&mut self) {
        self.lists.ends.push(u32::try_from(self.lists.values.len()).unwrap_or(u32::MAX));
    }
}

impl Draft {
    /// Adds a story.
    pub(crate) fn add(&mut self, told: &Told, derived: &mut Derived) {
        let rows = Part::ALL.map(|part| {
            let key = told.key(part);
            self.row(part, key, |add| spell(part, key, derived, add))
        });
        self.push([told.at, told.begin, told.span, told.code], rows);
    }

    /// Adds a story as open.
    pub(crate) fn add_open(&mut self, told: &Told, id: &str, derived: &mut Derived) {
        self.add(told, derived);
        self.note_open(told.begin, id);
    }

    /// Notes that the story that was added last is open.
    fn note_open(&mut self, begin: u64, id: &str) {
        let last = self.stories().saturating_sub(1);
        self.open.insert(begin, (u32::try_from(last).unwrap_or(u32::MAX), id.to_owned()));
    }

    /// The number of a row; it is made where there is none like it.
    fn row(&mut self, part: Part, key: &[u8], make: impl FnOnce(&mut dyn FnMut(Field, &str))) -> u64 {
        let Some(rows) = self.rows.get_mut(part as usize) else { return 0 };
        if let Some(row) = rows.get_index_of(key) {
            return row as u64;
        }
        let (row, _) = rows.insert_full(key.into());
        self.bytes += key.len() + ROW_BYTES;
        make(&mut |field, text| {
            if let Some(held) = self.fields.get_mut(field.number()) {
                self.bytes += held.add(text);
            }
        });
        for field in Field::of(part) {
            if let Some(held) = self.fields.get_mut(field.number()) {
                held.end_row();
            }
        }
        row as u64
    }

    fn push(&mut self, numbers: [u64; 4], rows: [u64; Part::ALL.len()]) {
        let values = numbers.into_iter().chain(rows);
        self.columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
        self.bytes += STORY_BYTES;
        self.since.get_or_insert_with(Instant::now);
    }

    /// Takes in the stories of a leaf that count. What it replaced, and what is open in it, stays so.
    pub(crate) fn absorb(&mut self, leaf: &impl Whole) -> Result<(), FindProblem> {
        let mut columns = Vec::new();
        for column in Column::ALL {
            columns.push(leaf.column(column)?);
        }
        let mut dead = leaf.dead().iter().peekable();
        let all = 0..leaf.stories();
        let living: Vec<usize> = all.filter(|story| dead.next_if(|dead| **dead as usize == *story).is_none()).collect();
        let mut rows: [Vec<u64>; Part::ALL.len()] = Default::default();
        for (rows, part) in rows.iter_mut().zip(Part::ALL) {
            let of_story = columns.get(Column::Row(part).number()).map(AsRef::as_ref).unwrap_or_default();
            // Of what no longer counts, no name goes along.
            let used = living.iter().filter_map(|story| of_story.get(*story).copied()).collect();
            *rows = self.absorb_rows(part, leaf, &used)?;
        }
        let open: HashMap<u64, &str> = leaf.open().collect();
        for story in living {
            let mut values = columns.iter().map(|column| column.get(story).copied().unwrap_or(0));
            let mut next = || values.next().unwrap_or(0);
            let numbers = [next(), next(), next(), next()];
            let rows = rows.each_ref().map(|rows| usize::try_from(next()).ok().and_then(|row| rows.get(row)).copied());
            let [_, begin, ..] = numbers;
            self.push(numbers, rows.map(|row| row.unwrap_or(0)));
            if let Some(id) = open.get(&begin) {
                self.note_open(begin, id);
            }
        }
        self.replaced.extend(leaf.replaced());
        Ok(())
    }

    /// Takes in the rows of a part that are used; their numbers here, by their numbers there.
    fn absorb_rows(&mut self, part: Part, leaf: &impl Whole, used: &HashSet<u64>) -> Result<Vec<u64>, FindProblem> {
        let mut fields = Vec::new();
        for field in Field::of(part) {
            fields.push((field, leaf.names(field)?, leaf.lists(field)?));
        }
        let count = fields.iter().map(|(_, _, lists)| lists.ends.len()).max().unwrap_or(0);
        let mut rows: Vec<_> = fields.iter().map(|(field, names, lists)| (*field, names, lists.rows())).collect();
        let (mut key, mut numbers) = (Vec::new(), Vec::with_capacity(count));
        for row in 0..count as u64 {
            let texts: Vec<(Field, &str)> = rows
                .iter_mut()
                .flat_map(|(field, names, rows)| {
                    let list = rows.next().unwrap_or_default();
                    list.iter().filter_map(|name| Some((*field, names.get(*name as usize)?.as_str())))
                })
                .collect();
            if !used.contains(&row) {
                numbers.push(0);
                continue;
            }
            key.clear();
            for (field, text) in &texts {
                // No text has these bytes.
                key.extend_from_slice(&[0xff, *field as u8]);
                key.extend_from_slice(text.as_bytes());
            }
            numbers.push(self.row(part, &key, |add| texts.iter().for_each(|(field, text)| add(*field, text))));
        }
        Ok(numbers)
    }

    /// Keeps of what it replaced only what is shown by a file still.
    pub(crate) fn retain_replaced(&mut self, is_shown: impl Fn(u64) -> bool) {
        self.replaced.retain(|begin| is_shown(*begin));
    }

    /// Takes out an access that was shown as open; false where the draft does not have it.
    pub(crate) fn take_out(&mut self, begin: u64) -> bool {
        let Some((story, _)) = self.open.remove(&begin) else { return false };
        if let Err(place) = self.dead.binary_search(&story) {
            self.dead.insert(place, story);
        }
        true
    }

    /// Notes that a story of a file, by its first line, is replaced by one of the draft.
    pub(crate) fn note_replaced(&mut self, begin: u64) {
        self.replaced.push(begin);
    }

    /// Forgets stories that begin before a line.
    pub(crate) fn forget_before(&mut self, first: u64) {
        self.is_pruned = true;
        let begins = self.columns.get(Column::Begin.number()).map(Vec::as_slice).unwrap_or_default();
        let older = (0..).zip(begins).filter(|(_, begin)| **begin < first).map(|(story, _)| story);
        self.dead.extend(older);
        self.dead.sort_unstable();
        self.dead.dedup();
        self.open.retain(|begin, _| *begin >= first);
    }

    /// Whether it has as much as goes into a file.
    pub(crate) fn is_full(&self) -> bool {
        self.stories() >= STORIES_MAX || self.bytes >= BYTES_MAX
    }

    /// Whether it has more than anybody should gather who only reads.
    pub(crate) fn is_far(&self) -> bool {
        self.stories() >= AHEAD_STORIES_MAX || self.bytes >= AHEAD_BYTES_MAX
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.stories() == 0 && self.replaced.is_empty()
    }

    /// Whether stories in it were forgotten.
    pub(crate) fn is_pruned(&self) -> bool {
        self.is_pruned
    }

    /// When its first story was added.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// The texts of a field.
    pub(crate) fn held(&self, field: Field) -> Option<&Held> {
        self.fields.get(field.number())
    }
}

/// A leaf of which everything is read.
pub(crate) trait Whole: Leaf {
    /// All texts of a field, by their numbers.
    fn names(&self, field: Field) -> Result<Vec<String>, FindProblem>;

    /// The accesses that are open and count: first line and id.
    fn open(&self) -> impl Iterator<Item = (u64, &str)>;

    /// The stories of earlier files that those of this one stand for, by their first lines.
    fn replaced(&self) -> impl Iterator<Item = u64>;
}

impl Whole for Draft {
    fn names(&self, field: Field) -> Result<Vec<String>, FindProblem> {
        let names = self.held(field).map(|held| held.names.iter().map(|name| name.to_string()).collect());
        Ok(names.unwrap_or_default())
    }

    fn open(&self) -> impl Iterator<Item = (u64, &str)> {
        self.open.iter().map(|(begin, (_, id))| (*begin, id.as_str()))
    }

    fn replaced(&self) -> impl Iterator<Item = u64> {
        self.replaced.iter().copied()
    }
}

impl Leaf for Draft {
    fn stories(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    fn dead(&self) -> &[u32] {
        &self.dead
    }

    fn moments(&self) -> Option<(u64, u64)> {
        let at = self.columns.get(Column::At.number())?;
        Some((at.iter().min().copied()?, at.iter().max().copied()?))
    }

    fn column(&self, column: Column) -> Result<Cow<'_, [u64]>, FindProblem> {
        let column = self.columns.get(column.number()).map(Vec::as_slice);
        Ok(Cow::Borrowed(column.unwrap_or_default()))
    }

    fn lists(&self, field: Field) -> Result<Cow<'_, Lists>, FindProblem> {
        Ok(self.held(field).map_or_else(Cow::default, |held| Cow::Borrowed(&held.lists)))
    }

    fn marks(&self, field: Field, wanted: &[Texts<'_>]) -> Result<Vec<Marks>, FindProblem> {
        let Some(Held { names, .. }) = self.held(field) else { return Ok(vec![Marks::none(0); wanted.len()]) };
        let marked = wanted.iter().map(|wanted| {
            let mut marks = Marks::none(names.len());
            let mut mark = |is_it: &dyn Fn(&str) -> bool| {
                names.iter().enumerate().filter(|(_, name)| is_it(name)).for_each(|(place, _)| marks.set(place));
            };
            match wanted {
                Texts::These(texts) => {
                    texts
                        .iter()
                        .filter_map(|text| names.get_index_of(text.as_ref()))
                        .for_each(|place| marks.set(place));
                }
                Texts::Beginning(start) => mark(&|name| name.starts_with(start.as_str())),
                Texts::Where(holds) => mark(holds),
            }
            marks
        });
        Ok(marked.collect())
    }

    fn beginning(&self, field: Field, start: &str, each: &mut dyn FnMut(&str) -> bool) -> Result<(), FindProblem> {
        let names = self.held(field).into_iter().flat_map(|held| &held.names);
        for name in names.filter(|name| name.starts_with(start)) {
            if !each(name) {
                break;
            }
        }
        Ok(())
    }

    fn met(&self, field: Field, counts: Vec<u32>) -> Met {
        let names = self.held(field).into_iter().flat_map(|held| &held.names);
        let mut met: Vec<(String, u32)> =
            names.zip(counts).filter(|(_, count)| *count > 0).map(|(name, count)| (name.to_string(), count)).collect();
        met.sort_unstable();
        let (names, counts) = met.into_iter().unzip();
        Met { source: Source::Names(names), counts }
    }
}

/// A part of the draft that is written to a file.
pub(crate) struct Page<'a> {
    draft: &'a Draft,
    /// The stories that count, in order.
    pub(crate) stories: Vec<u32>,
}

impl<'a> Page<'a> {
    pub(crate) fn of(draft: &'a Draft) -> Self {
        let mut dead = draft.dead.iter().peekable();
        let all = 0..u32::try_from(draft.stories()).unwrap_or(u32::MAX);
        let stories = all.filter(|story| dead.next_if_eq(&story).is_none()).collect();
        Self { draft, stories }
    }

    /// A number of each story.
    pub(crate) fn column(&self, column: Column) -> impl ExactSizeIterator<Item = u64> {
        let values = self.draft.columns.get(column.number()).map(Vec::as_slice).unwrap_or_default();
        self.stories.iter().map(|story| values.get(*story as usize).copied().unwrap_or(0))
    }

    /// What is open: first line, story and id.
    pub(crate) fn open(&self) -> impl Iterator<Item = (u64, u32, &'a str)> {
        self.draft.open.iter().filter_map(|(begin, (story, id))| {
            let place = self.stories.binary_search(story).ok()?;
            Some((*begin, u32::try_from(place).ok()?, id.as_str()))
        })
    }
}
