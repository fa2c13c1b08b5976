//! The folder of backups: `backups/` has a manifest for each, `packs/` what they hold. Nothing in it is ever changed; a
//! manifest comes last, so a backup that was interrupted is none.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use audit::LogKey;

use crate::entry::{PAGE_BYTES_MAX, from_page};
use crate::pack::{PackReader, run_of, sha256, sync_folder, unreadable};
use crate::{BackupProblem, Manifest};

/// The longest manifest that is read.
const MANIFEST_BYTES_MAX: u64 = 64 * 1024 * 1024;
const KEY_BYTES_MAX: u64 = 4 * 1024;
const ENDING: &str = ".backup";
/// A run that has not ended says so by a file of this ending.
const UNFINISHED: &str = ".unfinished";
/// What is being written ends in this, until it is whole.
pub(crate) const NEW: &str = ".new";

/// A folder of backups.
#[derive(Clone, Debug)]
pub struct Place {
    folder: PathBuf,
}

impl Place {
    /// The folder of backups at a path; nothing is looked at yet.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn packs(&self) -> PathBuf {
        self.folder.join("packs")
    }

    fn manifest_path(&self, number: u64) -> PathBuf {
        self.folder.join("backups").join(format!("{number:08}{ENDING}"))
    }

    /// The numbers of its backups, the oldest first.
    ///
    /// # Errors
    /// [`BackupProblem`] where there is no folder of backups.
    pub fn numbers(&self) -> Result<Vec<u64>, BackupProblem> {
        let folder = self.folder.join("backups");
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(|error| BackupProblem::disk(&folder, &error))? {
            let name = entry.map_err(|error| BackupProblem::disk(&folder, &error))?.file_name();
            let digits = name.to_str().and_then(|name| name.strip_suffix(ENDING));
            numbers.extend(digits.filter(|digits| digits.len() == 8).and_then(|digits| digits.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The number of the newest backup.
    ///
    /// # Errors
    /// [`BackupProblem`] where there is none.
    pub fn newest(&self) -> Result<u64, BackupProblem> {
        let none = || BackupProblem::refused(format!("`{}` holds no backup", self.folder.display()));
        self.numbers()?.last().copied().ok_or_else(none)
    }

    /// What a backup says of itself, where this key signed it.
    ///
    /// # Errors
    /// [`BackupProblem`] where it is not there, not signed, or of a later form.
    pub fn manifest(&self, number: u64, key: &LogKey) -> Result<Manifest, BackupProblem> {
        Manifest::open(&self.note(number)?, number, key)
    }

    /// The key beside the backups. Whoever can change the backups can change it too: the one that was kept apart proves
    /// more.
    ///
    /// # Errors
    /// [`BackupProblem`] where there is none.
    pub fn key_beside(&self) -> Result<LogKey, BackupProblem> {
        let path = self.folder.join("verifier-key");
        let text = read(&path, KEY_BYTES_MAX)?;
        LogKey::parse(&text).ok_or_else(|| BackupProblem::damaged(path.display().to_string(), "is not a log's key"))
    }

    pub(crate) fn note(&self, number: u64) -> Result<String, BackupProblem> {
        read(&self.manifest_path(number), MANIFEST_BYTES_MAX)
    }

    /// Checks that the backup before this one is the one that was there when this one was made.
    pub(crate) fn check_before(&self, manifest: &Manifest) -> Result<(), BackupProblem> {
        let (Some(previous), Some(number)) = (&manifest.previous, manifest.number.checked_sub(1)) else {
            return Ok(());
        };
        let path = self.manifest_path(number);
        if path.exists() && sha256(self.note(number)?.as_bytes()) != *previous {
            let reason = format!("is not the backup that was there when backup {} was made", manifest.number);
            return Err(BackupProblem::damaged(path.display().to_string(), reason));
        }
        Ok(())
    }

    /// Makes the folder where there is none.
    pub(crate) fn begin(&self, key: &LogKey) -> Result<(), BackupProblem> {
        for folder in [self.packs(), self.folder.join("backups")] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
            made.map_err(|error| BackupProblem::disk(&folder, &error))?;
        }
        let path = self.folder.join("verifier-key");
        if !path.exists() {
            return put(&path, &format!("{key}\n"));
        }
        let beside = self.key_beside()?;
        if beside == *key {
            return Ok(());
        }
        Err(BackupProblem::refused(format!(
            "`{}` holds backups of the log `{}` under another key; begin another folder for this node",
            self.folder.display(),
            beside.origin()
        )))
    }

    /// Keeps other runs away.
    pub(crate) fn lock(&self) -> Result<File, BackupProblem> {
        let path = self.folder.join("lock");
        let problem = |error: std::io::Error| BackupProblem::disk(&path, &error);
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path).map_err(problem)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                Err(BackupProblem::refused(format!("another backup to `{}` is under way", self.folder.display())))
            }
            Err(TryLockError::Error(error)) => Err(problem(error)),
        }
    }

    /// Says that a run has begun.
    pub(crate) fn mark(&self, run: &str) -> Result<(), BackupProblem> {
        put(&self.mark_of(run), "")
    }

    /// Says that a run has ended. Where that fails, the next run says it.
    pub(crate) fn unmark(&self, run: &str) {
        drop(std::fs::remove_file(self.mark_of(run)));
    }

    fn mark_of(&self, run: &str) -> PathBuf {
        self.packs().join(format!("{run}{UNFINISHED}"))
    }

    /// Removes what runs left that were killed. A mark alone proves nothing: a folder that was copied in the middle of a
    /// run, or lies where nothing can be removed, has marks of runs that backups rest on.
    pub(crate) fn clear(&self, key: &LogKey) -> Result<(), BackupProblem> {
        let folder = self.packs();
        let problem = |error: std::io::Error| BackupProblem::disk(&folder, &error);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(problem)? {
            names.extend(entry.map_err(problem)?.file_name().to_str().map(str::to_owned));
        }
        let marked: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(UNFINISHED)).collect();
        if marked.is_empty() {
            return Ok(());
        }
        // Where one of the backups cannot be read, nobody knows what it rests on: all stays as it is.
        let Some(needed) = self.needed(key)? else { return Ok(()) };
        for run in marked {
            if !needed.contains(run) {
                self.forget(run, &names);
            }
            self.unmark(run);
        }
        Ok(())
    }

    /// The runs that the backups rest on; `None` where one of them does not say.
    fn needed(&self, key: &LogKey) -> Result<Option<HashSet<String>>, BackupProblem> {
        let mut needed = HashSet::new();
        let mut newest = None;
        for number in self.numbers()? {
            let Ok(manifest) = self.manifest(number, key) else { return Ok(None) };
            needed.insert(manifest.run().to_owned());
            newest = Some(manifest);
        }
        let mut packs = PackReader::new(self.packs());
        for span in newest.iter().flat_map(|newest| &newest.pages) {
            let page = packs.read(span, PAGE_BYTES_MAX).ok().and_then(|page| from_page(&page));
            let Some(entries) = page else { return Ok(None) };
            let spans = entries.iter().flat_map(|entry| &entry.pieces).map(|piece| &piece.span);
            needed.extend(spans.chain([span]).filter_map(|span| run_of(&span.pack)).map(str::to_owned));
        }
        Ok(Some(needed))
    }

    /// Removes the packs of a run that made no backup.
    pub(crate) fn give_up(&self, run: &str, number: u64) {
        // A manifest that stands needs its packs, even if the disk did not say that it will stand for ever.
        if self.manifest_path(number).try_exists().unwrap_or(true) {
            return;
        }
        let entries = std::fs::read_dir(self.packs()).into_iter().flatten().flatten();
        let names: Vec<String> = entries.filter_map(|entry| entry.file_name().to_str().map(str::to_owned)).collect();
        self.forget(run, &names);
        self.unmark(run);
    }

    /// What cannot be removed, as on media that only take, is in nobody's way.
    fn forget(&self, run: &str, names: &[String]) {
        let of_run = |name: &&String| run_of(name.strip_suffix(NEW).unwrap_or(name)) == Some(run);
        for name in names.iter().filter(of_run) {
            drop(std::fs::remove_file(self.packs().join(name)));
        }
    }

    /// Puts a manifest in place: from then on there is a backup.
    pub(crate) fn keep(&self, number: u64, note: &str) -> Result<(), BackupProblem> {
        let path = self.manifest_path(number);
        let kept = put(&path, note);
        if kept.is_err() {
            // One that may not survive a power cut is none. Its packs go after it.
            drop(std::fs::remove_file(&path));
        }
        kept
    }
}

/// Puts a file in place whole, for the owner alone.
fn put(path: &Path, text: &str) -> Result<(), BackupProblem> {
    let problem = |error: std::io::Error| BackupProblem::disk(path, &error);
    let mut beside = path.as_os_str().to_owned();
    beside.push(NEW);
    let beside = PathBuf::from(beside);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside).map_err(problem)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| std::fs::rename(&beside, path)) {
        drop(std::fs::remove_file(&beside));
        return Err(problem(error));
    }
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

fn read(path: &Path, bytes_max: u64) -> Result<String, BackupProblem> {
    let read = match std::fs::metadata(path) {
        Ok(file) if file.len() <= bytes_max => std::fs::read_to_string(path),
        Ok(_) => Err(std::io::Error::other("is too long")),
        Err(error) => Err(error),
    };
    read.map_err(|error| unreadable(path, &error))
}
