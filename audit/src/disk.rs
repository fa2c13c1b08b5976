//! The few things the log does to files beside appending: private directories, replacing a file whole, syncing.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Makes a directory and those above it, for the owner alone.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Puts a file in place whole and for the owner alone: after a power cut there is the old or the new content.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (beside, file) = write_beside(path, bytes)?;
    file.sync_data()?;
    std::fs::rename(&beside, path)?;
    sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// Puts a file in place whole and for the owner alone, for whoever reads it meanwhile and should the writing break off; makes
/// its folder where there is none. After a power cut it may be missing or hold anything, until [`sync_file_system`] returned.
pub(crate) fn put_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (beside, _) = write_beside(path, bytes)?;
    std::fs::rename(&beside, path)
}

/// The same where it belongs and not beside it, which takes half as long: whoever reads it meanwhile, or after the writing
/// broke off, finds it short.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write(path, bytes).map(drop)
}

/// Writes a file under a name beside the one it will have.
fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<(PathBuf, File)> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let file = write(&beside, bytes)?;
    Ok((beside, file))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = match (create(path), path.parent()) {
        (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
            make_directory(folder)?;
            create(path)?
        }
        (opened, _) => opened?,
    };
    file.write_all(bytes)?;
    Ok(file)
}

/// Makes everything that was written to a file system survive a power cut, by any file of it. Tells of each failed
/// write since `any` was opened once, whichever file it was meant for.
pub(crate) fn sync_file_system(any: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(any)?)
}

/// Makes the names in a directory survive a power cut.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    // A bare name has the empty path for its folder.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}

/// Makes a file that is written from its beginning, for the owner alone.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Removes a file that may be gone already.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Opens a file for appending, for the owner alone.
pub(crate) fn open_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// The room on a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Room {
    /// Bytes that this process may still write.
    pub(crate) free_bytes: u64,
    /// How much of what it may write is written, in percent.
    pub(crate) percent: u8,
}

/// The room on the disk of a directory.
pub(crate) fn room(directory: &Path) -> io::Result<Room> {
    let stat = rustix::fs::statvfs(directory)?;
    let used = stat.f_blocks.saturating_sub(stat.f_bfree);
    let percent = percent(used, used.saturating_add(stat.f_bavail));
    Ok(Room { free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize), percent })
}

/// How much a part is of the whole, in percent, rounded down.
pub(crate) fn percent(part: u64, whole: u64) -> u8 {
    let percent = u128::from(part) * 100 / u128::from(whole.max(1));
    u8::try_from(percent.min(100)).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_folder_lies_in_the_one_that_a_program_runs_in() {
        assert_eq!(Path::new("recovery").parent(), Some(Path::new("")));
        sync_directory(Path::new("")).unwrap();
    }
}
