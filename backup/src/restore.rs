//! Restoring a backup into a folder that is not there yet or empty: written beside it, looked at, and then moved there
//! under its name. Until then nothing is restored.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use audit::{LogKey, RecoverySecret};

use crate::check::Reading;
use crate::entry::Entry;
use crate::pack::sync_folder;
use crate::{BackupProblem, Manifest, Place};

/// What this program can restore.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The newest version of the store's tables.
    pub store_schema: u32,
}

/// Restores a backup, the newest where no number is given. `finish` is given the folder before anybody else sees it, to
/// look at it and to let the log say that it was restored.
///
/// # Errors
/// Every [`BackupProblem`], up to a hundred; nothing is restored then.
pub fn restore(
    (place, number): (&Place, Option<u64>),
    (key, secret): (&LogKey, &RecoverySecret),
    known: Known,
    into: &Path,
    finish: impl FnOnce(&Path, &Manifest) -> Result<(), BackupProblem>,
) -> Result<Manifest, Vec<BackupProblem>> {
    let one = |problem: BackupProblem| vec![problem];
    let into = std::path::absolute(into).map_err(|error| one(BackupProblem::disk(into, &error)))?;
    let beside = beside(&into).map_err(one)?;
    let mut read = Reading::open(place, number, key, Some(secret)).map_err(one)?;
    if read.manifest.store_schema > known.store_schema {
        let Manifest { number, store_schema, program, .. } = &read.manifest;
        let what = format!("its store is of version {store_schema}, this program knows up to {}", known.store_schema);
        return Err(vec![BackupProblem::Newer { number: *number, what, program: program.clone() }]);
    }
    let folder = Staged::make(beside).map_err(one)?;
    let entries = std::mem::take(&mut read.entries);
    for entry in &entries {
        if let Err(problem) = write(&folder.path, entry, &mut read) {
            // A disk that is full will not take the next file either.
            let is_over = matches!(problem, BackupProblem::Disk { .. });
            read.tell(problem)?;
            if is_over {
                break;
            }
        }
    }
    let manifest = read.end()?.manifest;
    finish(&folder.path, &manifest).map_err(one)?;
    folder.put(&into).map_err(one)?;
    Ok(manifest)
}

/// The folder beside the one that is restored into, which must be free.
fn beside(into: &Path) -> Result<PathBuf, BackupProblem> {
    let is_free = match std::fs::read_dir(into) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(BackupProblem::disk(into, &error)),
    };
    let (Some(name), true) = (into.file_name(), is_free) else {
        return Err(BackupProblem::refused(format!(
            "`{}` is not empty; restore into a folder that is not there yet",
            into.display()
        )));
    };
    Ok(into.with_file_name(format!(".{}.restoring-{}", name.to_string_lossy(), std::process::id())))
}

fn write(folder: &Path, entry: &Entry, read: &mut Reading<'_>) -> Result<(), BackupProblem> {
    let path = folder.join(&entry.path);
    let problem = |error: std::io::Error| BackupProblem::disk(&path, &error);
    if let Some(above) = path.parent() {
        make_folder(above)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(problem)?;
    read.file(entry, &mut |bytes| file.write_all(bytes).map_err(problem))?;
    file.set_permissions(Permissions::from_mode(entry.mode & 0o777)).map_err(problem)
}

fn make_folder(path: &Path) -> Result<(), BackupProblem> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| BackupProblem::disk(path, &error))
}

/// A folder that is removed again unless it is put in place.
#[derive(Debug)]
struct Staged {
    path: PathBuf,
    is_put: bool,
}

impl Staged {
    fn make(path: PathBuf) -> Result<Self, BackupProblem> {
        // What a restore left that was killed.
        drop(std::fs::remove_dir_all(&path));
        make_folder(&path)?;
        Ok(Self { path, is_put: false })
    }

    fn put(mut self, into: &Path) -> Result<(), BackupProblem> {
        let problem = |error: std::io::Error| BackupProblem::disk(into, &error);
        let folder = File::open(&self.path).map_err(problem)?;
        rustix::fs::syncfs(&folder).map_err(|error| problem(error.into()))?;
        std::fs::rename(&self.path, into).map_err(problem)?;
        self.is_put = true;
        sync_folder(into.parent().unwrap_or(Path::new("/")))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_put {
            drop(std::fs::remove_dir_all(&self.path));
        }
    }
}
