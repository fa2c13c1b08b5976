//! The files of the index, and how far they have followed the log. Both stand in one small file that is replaced as a
//! whole, so the two always agree.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::FindProblem;
use crate::cursor::Cursor;
use crate::draft::{Draft, STORIES_MAX};
use crate::fields::Column;
use crate::index::{ANEW, FOLLOWED};
use crate::leaf::Leaf as _;
use crate::sheet::{FILE_MODE, Sheet, Shelved};

/// The file that says what belongs to the index.
pub(crate) const CONTENTS: &str = "contents.json";
/// What stood for the contents in the form before, and how the names of its files ended.
const FORMER: &str = "meta.json";
const FORMER_ENDS: [&str; 7] = ["idx", "pos", "term", "store", "fast", "fieldnorm", "del"];
/// How the names of files end.
const SHEET_END: &str = "sheet";
/// The form of the files.
const FORM: u32 = 1;
/// Files are put together up to this size, in bytes: all of what is in them is in memory meanwhile.
const TOGETHER_BYTES_MAX: u64 = if cfg!(test) { 64 * 1024 } else { 8 * 1024 * 1024 };
/// So many files at most are held open for those who read in them while their names go; who reads in others asks again.
const HELD_MAX: usize = 256;
/// How often it is tried to open files that a writer puts together meanwhile.
const TRIES: usize = 5;

/// What is on the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) sheets: Vec<Shelved>,
    /// Where the newest file left the log.
    pub(crate) cursor: Cursor,
    /// Stories that begin before this line count no more.
    first: u64,
    /// The number of the next file.
    next: u64,
}

#[derive(Serialize, Deserialize)]
struct Contents {
    form: u32,
    cursor: Cursor,
    first: u64,
    next: u64,
    sheets: Vec<String>,
}

impl Shelf {
    /// Opens what is there.
    pub(crate) fn open(dir: &Path) -> Result<Self, FindProblem> {
        let mut tried = 0;
        loop {
            match Self::open_once(dir) {
                // Another process put files together between our two looks.
                Err(FindProblem::Missing { place }) if dir.join(CONTENTS).is_file() => {
                    if tried == TRIES {
                        return Err(FindProblem::damaged(place.as_ref(), "the file is gone"));
                    }
                    tried += 1;
                }
                opened => return opened,
            }
        }
    }

    fn open_once(dir: &Path) -> Result<Self, FindProblem> {
        let place = dir.join(CONTENTS);
        let text = match std::fs::read(&place) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && dir.join(FORMER).exists() => {
                return Err(FindProblem::damaged(dir, "it was made by another version"));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(FindProblem::Missing { place: dir.display().to_string() });
            }
            Err(error) => return Err(FindProblem::disk(&place, &error)),
        };
        let contents: Contents =
            serde_json::from_slice(&text).map_err(|error| FindProblem::damaged(&place, &error.to_string()))?;
        if contents.form != FORM {
            return Err(FindProblem::damaged(dir, "it was made by another version"));
        }
        let mut shelf = Self { sheets: Vec::new(), cursor: contents.cursor, first: 0, next: contents.next };
        // What is shown as open: in which file, which story.
        let mut shown: HashMap<u64, (usize, u32)> = HashMap::new();
        for name in &contents.sheets {
            let sheet = Sheet::open(&dir.join(name))?;
            let place = shelf.sheets.len();
            let mut gone: HashMap<usize, Vec<u32>> = HashMap::new();
            for (of, story) in sheet.replaces().iter().filter_map(|begin| shown.remove(begin)) {
                gone.entry(of).or_default().push(story);
            }
            for (of, stories) in gone {
                shelf.sheets.get_mut(of).into_iter().for_each(|shelved| shelved.take_out(stories.iter().copied()));
            }
            shown.extend(sheet.open_stories().iter().map(|(begin, story, _)| (*begin, (place, *story))));
            shelf.sheets.push(Shelved { sheet: Arc::new(sheet), dead: Arc::default() });
        }
        shelf.forget_before(contents.first)?;
        Ok(shelf)
    }

    /// Puts it on the disk that this is what belongs to the index.
    pub(crate) fn keep(&self, dir: &Path) -> Result<(), FindProblem> {
        let (place, new) = (dir.join(CONTENTS), dir.join(format!("{CONTENTS}.new")));
        let name = |shelved: &Shelved| Some(shelved.sheet.path().file_name()?.to_str()?.to_owned());
        let sheets = self.sheets.iter().filter_map(name).collect();
        let contents = Contents { form: FORM, cursor: self.cursor, first: self.first, next: self.next, sheets };
        let write = || {
            let mut file = File::options().write(true).create(true).truncate(true).mode(FILE_MODE).open(&new)?;
            file.write_all(&serde_json::to_vec(&contents)?)?;
            file.sync_all()?;
            std::fs::rename(&new, &place)?;
            File::open(dir)?.sync_all()
        };
        write().map_err(|error: std::io::Error| FindProblem::disk(&place, &error))
    }

    /// Puts a draft into a file, together with the last files where they are small, and keeps that. What follows is to
    /// begin with an empty draft.
    pub(crate) fn with(&self, draft: &Draft, cursor: Cursor, dir: &Path) -> Result<Self, FindProblem> {
        let mut shelf = self.clone();
        shelf.cursor = cursor;
        if draft.is_empty() {
            shelf.keep(dir)?;
            return Ok(shelf);
        }
        let small = shelf.small_beside(draft);
        let mut together = shelf.sheets.split_off(shelf.sheets.len() - small);
        let shown: HashSet<u64> =
            shelf.sheets.iter().flat_map(|shelved| shelved.sheet.open_stories()).map(|open| open.0).collect();
        let whole = match put_together(&together, draft, &shown) {
            Err(problem @ FindProblem::Damaged { .. }) => {
                // It stays as it is, and says so to who asks for what is in it.
                tracing::warn!(%problem, "files of the index are not put together");
                shelf.sheets.append(&mut together);
                None
            }
            whole => whole?,
        };
        let written = whole.as_ref().unwrap_or(draft);
        let path = shelf.next_path(dir);
        let sheet = Sheet::write(&path, written)?;
        shelf.sheets.push(Shelved { sheet: Arc::new(sheet), dead: Arc::default() });
        shelf.drop_empty();
        shelf.keep(dir)?;
        shelf.tidy(dir, self);
        Ok(shelf)
    }

    /// How many of the last files are to become one with a draft: those that are no more than what comes after them, as
    /// long as all have room in one. So a story is written again only where its file doubles.
    fn small_beside(&self, draft: &Draft) -> usize {
        let (mut stories, mut bytes, mut small) = (draft.stories(), 0, 0);
        for shelved in self.sheets.iter().rev() {
            let own = shelved.sheet.stories();
            bytes += shelved.sheet.bytes();
            if own > stories || own + stories > STORIES_MAX || bytes > TOGETHER_BYTES_MAX {
                break;
            }
            stories += own;
            small += 1;
        }
        small
    }

    fn next_path(&mut self, dir: &Path) -> PathBuf {
        let path = dir.join(format!("{:08}.{SHEET_END}", self.next));
        self.next += 1;
        path
    }

    /// Takes out the story of an access that was open, by its first line; false where there is none.
    pub(crate) fn take_out(&mut self, begin: u64) -> bool {
        for shelved in self.sheets.iter_mut().rev() {
            let open = shelved.sheet.open_stories().iter().find(|(open, ..)| *open == begin);
            if let Some(story) = open.map(|(_, story, _)| *story) {
                shelved.take_out([story]);
                return true;
            }
        }
        false
    }

    /// Takes out what begins before a line, and files in which nothing is left.
    pub(crate) fn forget_before(&mut self, first: u64) -> Result<(), FindProblem> {
        self.first = self.first.max(first);
        for shelved in &mut self.sheets {
            let Some((_, most)) = shelved.sheet.begins().filter(|(least, _)| *least < first) else { continue };
            let begins = match shelved.sheet.column(Column::Begin) {
                Err(FindProblem::Damaged { .. }) if most < first => vec![0; shelved.sheet.stories()],
                Err(problem @ FindProblem::Damaged { .. }) => {
                    // Lines that are gone are told as gone to who asks for them.
                    tracing::warn!(%problem, "stories of lines that were deleted stay in the index");
                    continue;
                }
                begins => begins?,
            };
            let older = (0..).zip(begins).filter(|(_, begin)| *begin < first).map(|(story, _)| story);
            shelved.take_out(older);
        }
        self.drop_empty();
        Ok(())
    }

    /// Drops files of which no story counts, unless they say that one of a file before them does not.
    fn drop_empty(&mut self) {
        let mut kept: Vec<Shelved> = Vec::with_capacity(self.sheets.len());
        for shelved in std::mem::take(&mut self.sheets) {
            let is_shown = |begin: &u64| kept.iter().any(|earlier| earlier.shows(*begin));
            if shelved.alive() > 0 || shelved.sheet.replaces().iter().any(is_shown) {
                kept.push(shelved);
            }
        }
        self.sheets = kept;
    }

    /// The shelf of a log that nothing was read of.
    pub(crate) fn emptied(&self) -> Self {
        Self { next: self.next, ..Self::default() }
    }

    /// Holds the last files: those that a writer in another process may put together.
    pub(crate) fn hold_last(&self) {
        self.sheets.iter().rev().take(HELD_MAX).for_each(|shelved| shelved.sheet.hold());
    }

    /// Removes files of the index that do not belong to it, also those of another version's. What else lies in the folder is
    /// not ours. One that stays is taken away the next time. Whoever still reads in those of `before` goes on.
    pub(crate) fn tidy(&self, dir: &Path, before: &Self) {
        let sheets: HashSet<&Path> = self.sheets.iter().map(|shelved| shelved.sheet.path()).collect();
        let gone = before.sheets.iter().filter(|shelved| !sheets.contains(shelved.sheet.path()));
        gone.take(HELD_MAX).for_each(|shelved| shelved.sheet.hold());
        let former = files_of(dir, &FORMER_ENDS).filter(|_| dir.join(FORMER).exists());
        for path in files_of(dir, &[SHEET_END]).filter(|path| !sheets.contains(path.as_path())).chain(former) {
            let _removed = std::fs::remove_file(&path);
        }
        let _removed = std::fs::remove_file(dir.join(FORMER));
    }

    /// Writes files of which stories were forgotten again without them: no name of these stays on the disk.
    pub(crate) fn write_pruned_again(&mut self, dir: &Path) -> Result<(), FindProblem> {
        let first = self.first;
        for place in 0..self.sheets.len() {
            let pruned =
                self.sheets.get(place).filter(|old| old.sheet.begins().is_some_and(|(least, _)| least < first));
            let Some(old) = pruned.cloned() else { continue };
            let mut whole = Draft::default();
            if let Err(problem) = whole.absorb(&old) {
                tracing::warn!(%problem, "a file of the index cannot be written again without what was deleted");
                continue;
            }
            let sheet = Sheet::write(&self.next_path(dir), &whole)?;
            if let Some(place) = self.sheets.get_mut(place) {
                *place = Shelved { sheet: Arc::new(sheet), dead: Arc::default() };
            }
        }
        Ok(())
    }

    /// Stories that count.
    pub(crate) fn stories(&self) -> u64 {
        self.sheets.iter().map(|shelved| shelved.alive() as u64).sum()
    }
}

/// One draft of files and a draft; none where the draft can be written as it is. `shown` is what earlier files show as open.
fn put_together(sheets: &[Shelved], draft: &Draft, shown: &HashSet<u64>) -> Result<Option<Draft>, FindProblem> {
    if sheets.is_empty() && !draft.is_pruned() {
        return Ok(None);
    }
    let mut whole = Draft::default();
    for shelved in sheets {
        whole.absorb(shelved)?;
    }
    whole.absorb(draft)?;
    whole.retain_replaced(|begin| shown.contains(&begin));
    Ok(Some(whole))
}

/// Removes everything of an index, whatever its form, and nothing else.
pub(crate) fn clear(dir: &Path) -> Result<(), FindProblem> {
    // What says that the rest belongs to it goes first: without it, nothing does.
    let mut files = [CONTENTS, FOLLOWED, ANEW].map(|name| dir.join(name)).to_vec();
    files.extend(files_of(dir, &[SHEET_END]));
    if dir.join(FORMER).exists() {
        files.extend(files_of(dir, &FORMER_ENDS));
        files.push(dir.join(FORMER));
    }
    for file in files {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(FindProblem::disk(&file, &error)),
            _ => {}
        }
    }
    Ok(())
}

/// The files of a folder whose names end so.
fn files_of(dir: &Path, ends: &[&str]) -> impl Iterator<Item = PathBuf> {
    let paths = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_one = |path: &PathBuf| path.extension().is_some_and(|end| ends.iter().any(|one| end == *one));
    paths.filter(is_one).collect::<Vec<_>>().into_iter()
}
