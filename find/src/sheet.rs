//! A file of the index: as many stories as a draft holds, written once and never changed.
//!
//! Its sections come first, each checked by a checksum when it is read: the columns, then for each field its names in
//! order, how many each row has, and which. What is in it, and where, stands after them, and what that is last.

use std::borrow::Cow;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::FindProblem;
use crate::bits::{pack, unpack};
use crate::draft::{Draft, Page, Whole};
use crate::fields::{Column, Field};
use crate::leaf::{Leaf, Lists, Marks, Texts};
use crate::names::Names;
use crate::tally::{Met, Source};

/// The end of every file of this form.
const END: &[u8; 8] = b"sheet 1\n";
/// What stands after the contents: how long they are, their checksum, and what the file is.
const FOOTER_BYTES: usize = 16;
/// Names of patients are for the gateway's user alone.
pub(crate) const FILE_MODE: u32 = 0o600;
/// Sections of a field: names, counts, values.
const SECTIONS_OF_FIELD: usize = 3;

/// What is in a file, and where.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Contents {
    stories: usize,
    /// The earliest and the latest moment.
    moments: Option<(u64, u64)>,
    /// The least and the greatest number of a first line.
    begins: Option<(u64, u64)>,
    /// Accesses that were open: first line, story, id.
    open: Vec<(u64, u32, String)>,
    /// Stories of earlier files that those of this one stand for, by their first lines.
    replaced: Vec<u64>,
    /// Beginning, length and checksum of each section.
    sections: Vec<(u64, usize, u32)>,
}

/// A file of the index. It is opened whenever something in it is read: a large log has more of them than a process may
/// have files open.
#[derive(Debug)]
pub(crate) struct Sheet {
    path: PathBuf,
    /// The file itself, where its name may be gone.
    held: OnceLock<File>,
    contents: Contents,
}

impl Sheet {
    /// Writes the stories of a draft that count, and makes sure that they are on the disk.
    pub(crate) fn write(path: &Path, draft: &Draft) -> Result<Self, FindProblem> {
        let (bytes, contents) = written(draft)?;
        let write = || {
            let mut options = File::options();
            let mut file = options.write(true).create(true).truncate(true).mode(FILE_MODE).open(path)?;
            file.write_all(&bytes)?;
            file.sync_all()
        };
        write().map_err(|error: std::io::Error| FindProblem::disk(path, &error))?;
        Ok(Self { path: path.to_owned(), held: OnceLock::new(), contents })
    }

    /// Looks what is in a file.
    pub(crate) fn open(path: &Path) -> Result<Self, FindProblem> {
        let disk = |error: std::io::Error| FindProblem::disk(path, &error);
        let damaged = || FindProblem::damaged(path, "it is no file of an index, or not whole");
        // What the disk gives back no more is as good as damaged.
        let unread = |error: std::io::Error| FindProblem::damaged(path, &error.to_string());
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(FindProblem::Missing { place: path.display().to_string() });
            }
            opened => opened.map_err(disk)?,
        };
        let length = file.metadata().map_err(disk)?.len();
        let mut footer = [0; FOOTER_BYTES];
        let footer_at = length.checked_sub(FOOTER_BYTES as u64).ok_or_else(damaged)?;
        file.read_exact_at(&mut footer, footer_at).map_err(unread)?;
        let [l0, l1, l2, l3, c0, c1, c2, c3, end @ ..] = footer;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let at = footer_at.checked_sub(u64::from(length)).filter(|_| end == *END).ok_or_else(damaged)?;
        let mut text = vec![0; length as usize];
        file.read_exact_at(&mut text, at).map_err(unread)?;
        let is_whole = crc32fast::hash(&text) == u32::from_le_bytes([c0, c1, c2, c3]);
        let contents = is_whole.then(|| serde_json::from_slice(&text).ok()).flatten().ok_or_else(damaged)?;
        Ok(Self { path: path.to_owned(), held: OnceLock::new(), contents })
    }

    /// Holds the file: its name is about to go, or may go, and somebody reads in it.
    pub(crate) fn hold(&self) {
        // Where that cannot be, whoever reads is told that it is gone.
        if let Ok(file) = File::open(&self.path) {
            drop(self.held.set(file));
        }
    }

    /// How large it is without what says what is in it, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.contents.sections.iter().map(|(_, length, _)| *length as u64).sum()
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The least and the greatest number of a first line.
    pub(crate) fn begins(&self) -> Option<(u64, u64)> {
        self.contents.begins
    }

    /// The stories that were open: first line, story, id.
    pub(crate) fn open_stories(&self) -> &[(u64, u32, String)] {
        &self.contents.open
    }

    /// The stories of earlier files that its own stand for.
    pub(crate) fn replaces(&self) -> &[u64] {
        &self.contents.replaced
    }

    fn section(&self, number: usize) -> Result<Vec<u8>, FindProblem> {
        let (at, length, sum) = *self.contents.sections.get(number).ok_or_else(|| self.damaged())?;
        let mut bytes = vec![0; length];
        self.read(&mut bytes, at).map_err(|error| {
            if error.kind() == ErrorKind::NotFound {
                return FindProblem::Gone { place: self.path.display().to_string() };
            }
            FindProblem::damaged(&self.path, &error.to_string())
        })?;
        if crc32fast::hash(&bytes) == sum { Ok(bytes) } else { Err(self.damaged()) }
    }

    fn read(&self, bytes: &mut [u8], at: u64) -> std::io::Result<()> {
        if let Some(file) = self.held.get() {
            return file.read_exact_at(bytes, at);
        }
        match File::open(&self.path) {
            // Before its name went, it was held.
            Err(error) if error.kind() == ErrorKind::NotFound => match self.held.get() {
                Some(file) => file.read_exact_at(bytes, at),
                None => Err(error),
            },
            opened => opened?.read_exact_at(bytes, at),
        }
    }

    fn numbers<N>(&self, section: usize, make: impl Fn(u64) -> N) -> Result<Vec<N>, FindProblem> {
        unpack(&self.section(section)?, make).ok_or_else(|| self.damaged())
    }

    /// The names of a field.
    pub(crate) fn names(&self, field: Field) -> Result<Names, FindProblem> {
        Names::read(self.section(first_section(field))?).ok_or_else(|| self.damaged())
    }

    fn damaged(&self) -> FindProblem {
        FindProblem::damaged(&self.path, "a part of it is not as it was written")
    }

    pub(crate) fn stories(&self) -> usize {
        self.contents.stories
    }

    pub(crate) fn column(&self, column: Column) -> Result<Vec<u64>, FindProblem> {
        let values = self.numbers(column.number(), |value| value)?;
        if values.len() == self.stories() { Ok(values) } else { Err(self.damaged()) }
    }
}

/// The section of a field's names.
fn first_section(field: Field) -> usize {
    Column::ALL.len() + field.number() * SECTIONS_OF_FIELD
}

/// The bytes of the file, and what is in it.
fn written(draft: &Draft) -> Result<(Vec<u8>, Contents), FindProblem> {
    let page = Page::of(draft);
    let (mut bytes, mut sections) = (Vec::new(), Vec::new());
    let mut section = |bytes: &mut Vec<u8>, write: &dyn Fn(&mut Vec<u8>)| {
        let start = bytes.len();
        write(bytes);
        let sum = crc32fast::hash(bytes.get(start..).unwrap_or_default());
        sections.push((start as u64, bytes.len() - start, sum));
    };
    for column in Column::ALL {
        section(&mut bytes, &|out| pack(page.column(column), out));
    }
    for field in Field::ALL {
        let Some(held) = draft.held(field) else { continue };
        let mut names: Vec<(&str, usize)> = held.names.iter().map(AsRef::as_ref).zip(0..).collect();
        names.sort_unstable();
        let mut places = vec![0; names.len()];
        for (place, (_, name)) in (0_u64..).zip(&names) {
            if let Some(known) = places.get_mut(*name) {
                *known = place;
            }
        }
        let names: Vec<&str> = names.into_iter().map(|(name, _)| name).collect();
        let lists = &held.lists;
        let lengths: Vec<u64> = lists.rows().map(|row| row.len() as u64).collect();
        let values = lists.values.iter().map(|name| places.get(*name as usize).copied().unwrap_or(0));
        section(&mut bytes, &|out| Names::write(&names, out));
        section(&mut bytes, &|out| pack(lengths.iter().copied(), out));
        section(&mut bytes, &|out| pack(values.clone(), out));
    }
    let ends = |column| {
        let values = || page.column(column);
        values().min().zip(values().max())
    };
    let contents = Contents {
        stories: page.stories.len(),
        moments: ends(Column::At),
        begins: ends(Column::Begin),
        open: page.open().map(|(begin, story, id)| (begin, story, id.to_owned())).collect(),
        replaced: draft.replaced().collect(),
        sections,
    };
    let text = contents.text();
    bytes.extend_from_slice(&text);
    bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&text).to_le_bytes());
    bytes.extend_from_slice(END);
    Ok((bytes, contents))
}

impl Contents {
    fn text(&self) -> Vec<u8> {
        // Numbers and texts always can be written.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// A file with the stories in it that no longer count.
#[derive(Clone, Debug)]
pub(crate) struct Shelved {
    pub(crate) sheet: Arc<Sheet>,
    pub(crate) dead: Arc<Vec<u32>>,
}

impl Shelved {
    /// Stories that count.
    pub(crate) fn alive(&self) -> usize {
        self.sheet.stories().saturating_sub(self.dead.len())
    }

    /// The accesses that are open and count.
    pub(crate) fn open_alive(&self) -> impl Iterator<Item = &(u64, u32, String)> {
        self.sheet.open_stories().iter().filter(|(_, story, _)| self.dead.binary_search(story).is_err())
    }

    /// Whether it has the story of an access, by its first line, as open.
    pub(crate) fn shows(&self, begin: u64) -> bool {
        self.sheet.open_stories().iter().any(|(open, ..)| *open == begin)
    }

    /// Takes stories out.
    pub(crate) fn take_out(&mut self, stories: impl IntoIterator<Item = u32>) {
        let dead = Arc::make_mut(&mut self.dead);
        dead.extend(stories);
        dead.sort_unstable();
        dead.dedup();
    }
}

impl Whole for Shelved {
    fn names(&self, field: Field) -> Result<Vec<String>, FindProblem> {
        let names = self.sheet.names(field)?;
        let mut all = Vec::with_capacity(names.count());
        names.each(0..u32::try_from(names.count()).unwrap_or(u32::MAX), |name| all.push(name.to_owned()));
        Ok(all)
    }

    fn open(&self) -> impl Iterator<Item = (u64, &str)> {
        self.open_alive().map(|(begin, _, id)| (*begin, id.as_str()))
    }

    fn replaced(&self) -> impl Iterator<Item = u64> {
        self.sheet.replaces().iter().copied()
    }
}

impl Leaf for Shelved {
    fn stories(&self) -> usize {
        self.sheet.stories()
    }

    fn dead(&self) -> &[u32] {
        &self.dead
    }

    fn moments(&self) -> Option<(u64, u64)> {
        self.sheet.contents.moments
    }

    fn column(&self, column: Column) -> Result<Cow<'_, [u64]>, FindProblem> {
        self.sheet.column(column).map(Cow::Owned)
    }

    fn lists(&self, field: Field) -> Result<Cow<'_, Lists>, FindProblem> {
        let first = first_section(field);
        let mut end = 0;
        let short = |value| u32::try_from(value).unwrap_or(u32::MAX);
        let mut ends = self.sheet.numbers(first + 1, short)?;
        for count in &mut ends {
            end = u32::saturating_add(end, *count);
            *count = end;
        }
        let values = self.sheet.numbers(first + 2, short)?;
        Ok(Cow::Owned(Lists { ends, values }))
    }

    fn marks(&self, field: Field, wanted: &[Texts<'_>]) -> Result<Vec<Marks>, FindProblem> {
        let names = self.sheet.names(field)?;
        let marked = wanted.iter().map(|wanted| {
            let mut marks = Marks::none(names.count());
            match wanted {
                Texts::These(texts) => {
                    texts.iter().filter_map(|text| names.find(text)).for_each(|place| marks.set(place as usize));
                }
                Texts::Beginning(start) => names.beginning(start).for_each(|place| marks.set(place as usize)),
                Texts::Where(holds) => {
                    let mut place = 0;
                    names.each(0..u32::try_from(names.count()).unwrap_or(u32::MAX), |name| {
                        if holds(name) {
                            marks.set(place);
                        }
                        place += 1;
                    });
                }
            }
            marks
        });
        Ok(marked.collect())
    }

    fn beginning(&self, field: Field, start: &str, each: &mut dyn FnMut(&str) -> bool) -> Result<(), FindProblem> {
        let names = self.sheet.names(field)?;
        let mut goes_on = true;
        for place in names.beginning(start) {
            names.each(std::iter::once(place), |name| goes_on = each(name));
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    fn met(&self, field: Field, counts: Vec<u32>) -> Met {
        Met { source: Source::Sheet(Arc::clone(&self.sheet), field), counts }
    }
}
