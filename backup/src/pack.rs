//! Packs: the files that hold the pieces. Each run begins one of its own and never touches another's, so that a folder of
//! backups only grows. A pack begins with its run's key, encrypted to the recovery keys, and its name is that line's
//! hash: whoever knows the name knows which key it must be.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};

use crate::BackupProblem;
use crate::entry::Span;
use crate::place::NEW;

/// A pack that is this long is followed by another; what fits on any medium and any file system.
const PACK_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// The longest first line of a pack.
const HEAD_BYTES_MAX: u64 = 64 * 1024;
/// How many packs are kept open while a backup is read.
const PACKS_OPEN_MAX: usize = 32;
const ID_LETTERS: usize = 32;

/// SHA-256 in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The name of a run, by the line that its packs begin with.
fn id_of(head: &[u8]) -> String {
    sha256(head).chars().take(ID_LETTERS).collect()
}

/// The run that a pack's name names, where it is one.
pub(crate) fn run_of(pack: &str) -> Option<&str> {
    let (id, part) = pack.strip_suffix(".pack")?.split_once('-')?;
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let is_ours = id.len() == ID_LETTERS && is_hex(id) && part.len() == 4 && part.bytes().all(|b| b.is_ascii_digit());
    is_ours.then_some(id)
}

/// Writes the packs of one run.
#[derive(Debug)]
pub(crate) struct PackWriter {
    folder: PathBuf,
    id: String,
    head: Vec<u8>,
    part: u32,
    open: Option<(PathBuf, File, u64)>,
    /// How long all of them are.
    written: u64,
}

impl PackWriter {
    /// Begins. `wrapped` is the run's key as it is kept.
    pub(crate) fn new(folder: PathBuf, wrapped: &str) -> Self {
        let head = format!("{wrapped}\n").into_bytes();
        Self { folder, id: id_of(&head), head, part: 0, open: None, written: 0 }
    }

    /// The name of the run.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// How long its packs are so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Adds bytes and says where they lie.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Result<Span, BackupProblem> {
        if self.open.as_ref().is_some_and(|(_, _, at)| *at >= PACK_BYTES_MAX) {
            self.end_part()?;
        }
        if self.open.is_none() {
            self.open = Some(self.begin_part()?);
        }
        let Some((path, file, at)) = &mut self.open else {
            return Err(BackupProblem::refused("no pack is open"));
        };
        file.write_all(bytes).map_err(|error| BackupProblem::disk(path, &error))?;
        let pack = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let span = Span { pack, at: *at, bytes: bytes.len() as u64, sha256: sha256(bytes) };
        *at += span.bytes;
        self.written += span.bytes;
        Ok(span)
    }

    fn begin_part(&mut self) -> Result<(PathBuf, File, u64), BackupProblem> {
        let path = self.folder.join(format!("{}-{:04}.pack", self.id, self.part));
        let beside = being_written(&path);
        let problem = |error: std::io::Error| BackupProblem::disk(&beside, &error);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(problem)?;
        file.write_all(&self.head).map_err(problem)?;
        self.part += 1;
        self.written += self.head.len() as u64;
        Ok((path, file, self.head.len() as u64))
    }

    /// It gets its name when it is whole: whoever copies the folder meanwhile takes no half one under it.
    fn end_part(&mut self) -> Result<(), BackupProblem> {
        if let Some((path, file, _)) = self.open.take() {
            let ended = file.sync_all().and_then(|()| std::fs::rename(being_written(&path), &path));
            ended.map_err(|error| BackupProblem::disk(&path, &error))?;
        }
        Ok(())
    }

    /// Makes all of it survive a power cut.
    pub(crate) fn finish(&mut self) -> Result<(), BackupProblem> {
        self.end_part()?;
        sync_folder(&self.folder)
    }
}

/// How a pack is called until it is whole.
fn being_written(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(NEW);
    PathBuf::from(name)
}

/// Why a file of a backup cannot be read.
pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> BackupProblem {
    if error.kind() == std::io::ErrorKind::NotFound {
        return BackupProblem::damaged(path.display().to_string(), "is missing");
    }
    BackupProblem::disk(path, error)
}

/// Makes the names in a folder survive a power cut.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), BackupProblem> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| BackupProblem::disk(folder, &error))
}

/// Reads packs; every byte is compared with its SHA-256.
#[derive(Debug)]
pub(crate) struct PackReader {
    folder: PathBuf,
    open: HashMap<String, (File, u64)>,
}

impl PackReader {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, open: HashMap::new() }
    }

    /// The bytes of a span, at most `most` of them.
    pub(crate) fn read(&mut self, span: &Span, most: u64) -> Result<Vec<u8>, BackupProblem> {
        let place = self.folder.join(&span.pack).display().to_string();
        let (file, length) = self.pack(&span.pack)?;
        let end = span.at.checked_add(span.bytes).filter(|_| span.bytes <= most);
        let end = end.ok_or_else(|| BackupProblem::damaged(&place, "is said to hold more than a pack does"))?;
        if end > length {
            return Err(BackupProblem::damaged(
                place,
                format!("is cut short: it has {length} bytes, {end} are needed"),
            ));
        }
        let mut bytes = vec![0; usize::try_from(span.bytes).unwrap_or(0)];
        file.read_exact_at(&mut bytes, span.at).map_err(|error| BackupProblem::disk(Path::new(&place), &error))?;
        if sha256(&bytes) != span.sha256 {
            let reason = format!("is not what was written, in bytes {}..{end}", span.at);
            return Err(BackupProblem::damaged(place, reason));
        }
        Ok(bytes)
    }

    /// The key in the first line of a pack.
    pub(crate) fn head(&mut self, pack: &str) -> Result<String, BackupProblem> {
        let place = self.folder.join(pack).display().to_string();
        let (file, _) = self.pack(pack)?;
        let mut head = Vec::new();
        let mut reader = file.try_clone().map_err(|error| BackupProblem::disk(Path::new(&place), &error))?;
        std::io::Seek::seek(&mut reader, std::io::SeekFrom::Start(0))
            .and_then(|_| reader.take(HEAD_BYTES_MAX).read_to_end(&mut head))
            .map_err(|error| BackupProblem::disk(Path::new(&place), &error))?;
        let end = head.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        head.truncate(end);
        if run_of(pack) != Some(&id_of(&head)) {
            return Err(BackupProblem::damaged(place, "does not begin with the key that its name names"));
        }
        head.pop();
        String::from_utf8(head).map_err(|_| BackupProblem::damaged(place, "does not begin with a key"))
    }

    /// Whether a span lies there, as far as lengths tell.
    pub(crate) fn has(&mut self, span: &Span) -> bool {
        let end = span.at.checked_add(span.bytes);
        self.pack(&span.pack).is_ok_and(|(_, length)| end.is_some_and(|end| end <= length))
    }

    fn pack(&mut self, name: &str) -> Result<(&File, u64), BackupProblem> {
        let path = self.folder.join(name);
        if run_of(name).is_none() {
            return Err(BackupProblem::damaged(name, "is no name of a pack"));
        }
        if !self.open.contains_key(name) {
            let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
            let (length, file) = opened.map_err(|error| unreadable(&path, &error))?;
            if self.open.len() >= PACKS_OPEN_MAX {
                self.open.clear();
            }
            self.open.insert(name.to_owned(), (file, length));
        }
        let missing = || BackupProblem::damaged(path.display().to_string(), "is missing");
        self.open.get(name).map(|(file, length)| (file, *length)).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_has_its_name_when_it_is_whole() {
        let folder = std::env::temp_dir().join(format!("sekimori-pack-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut packs = PackWriter::new(folder.clone(), "wrapped");
        let span = packs.add(b"sealed").unwrap();
        let path = folder.join(&span.pack);
        assert!(!path.exists() && being_written(&path).exists());
        packs.finish().unwrap();
        assert!(path.exists() && !being_written(&path).exists());
        assert_eq!(PackReader::new(folder.clone()).read(&span, 100).unwrap(), b"sealed");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn only_names_that_we_give_are_packs() {
        assert_eq!(run_of(&format!("{}-0000.pack", "0a".repeat(16))), Some("0a".repeat(16).as_str()));
        for bad in ["", "../x-0000.pack", "0a-0000.pack", &format!("{}-000.pack", "0a".repeat(16))] {
            assert_eq!(run_of(bad), None, "{bad}");
        }
    }
}
