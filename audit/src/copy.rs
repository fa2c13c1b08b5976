//! What belongs into a copy of a log as it was signed at one moment: found while the log is written, so that the copy
//! ends with the last line that its checkpoint covers. Deliberately not here: the copying.
//!
//! The order in which it looks matters: the history of checkpoints before the newest, both before what they sign. What
//! the archiver and deletion by age move meanwhile is noticed by [`LogCopy::still_holds`]; it is looked at again then.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::segment::{self, Form, Segment};
use crate::tree::TILE_WIDTH;
use crate::{LogKey, LogProblem, SignedRoot, checkpoint, deleted, keys, tile};

/// As far back from its end as the last whole note of the history is looked for.
const HISTORY_TAIL_BYTES: u64 = 64 * 1024;
/// How deep folders beside the log's own are looked into.
const DEPTH_MAX: usize = 8;

/// A log as it was signed at one moment.
#[derive(Debug)]
pub struct LogCopy {
    /// The newest checkpoint: a signed note.
    pub note: String,
    /// What it says.
    pub signed: SignedRoot,
    /// What belongs into the copy, by its place in the log's directory.
    pub files: BTreeMap<PathBuf, CopiedBytes>,
    directory: PathBuf,
    shape: Shape,
}

/// What a file of a copy holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CopiedBytes {
    /// All of a file.
    Whole(PathBuf),
    /// So many bytes of a file that grows.
    Begin(PathBuf, u64),
    /// These bytes.
    These(Vec<u8>),
}

/// Which files the signed lines lie in, and how.
#[derive(PartialEq, Eq, Debug)]
struct Shape {
    segments: Vec<(u64, Form)>,
    deleted: u64,
}

impl Shape {
    fn of(segments: &[Segment], directory: &Path, size: u64) -> Result<Self, LogProblem> {
        let signed = segments.iter().filter(|segment| segment.first < size);
        let segments = signed.map(|segment| (segment.first, segment.form)).collect();
        Ok(Self { segments, deleted: deleted::end(directory)? })
    }
}

impl LogCopy {
    /// Finds what belongs into a copy; nothing where no checkpoint was signed yet. `key` is the log's own.
    ///
    /// # Errors
    /// [`LogProblem`] where the log cannot be read, or its newest checkpoint is not signed by its key. While the log is
    /// written a file may go just when it is looked at: try again then.
    pub fn of(directory: &Path, key: &LogKey) -> Result<Option<Self>, LogProblem> {
        let history = history(directory)?;
        let newest = checkpoint::newest_path(directory);
        let read = checkpoint::read_newest(directory).map_err(|error| LogProblem::disk(&newest, &error))?;
        let Some(note) = read else { return Ok(None) };
        let not_ours = || LogProblem::damaged(&newest, "is not a checkpoint that the log's key signed");
        let signed = key.checkpoint(&note).ok_or_else(not_ours)?;

        let mut files = BTreeMap::new();
        files.extend(history);
        files.insert(PathBuf::from("checkpoint"), CopiedBytes::These(note.clone().into_bytes()));
        files.insert(PathBuf::from("verifier-key"), CopiedBytes::These(format!("{key}\n").into_bytes()));
        let segments = segment::list(directory)?;
        let shape = Shape::of(&segments, directory, signed.size)?;
        let kept = deleted::path(directory);
        if shape.deleted > 0 {
            let bytes = std::fs::read(&kept).map_err(|error| LogProblem::disk(&kept, &error))?;
            files.insert(PathBuf::from("deleted"), CopiedBytes::These(bytes));
        }
        add_segments(&segments, signed.size, &mut files)?;
        add_tiles(directory, signed.size, segment::archived_end(&segments), &mut files)?;
        add_others(directory, Path::new(""), 0, &mut files)?;
        Ok(Some(Self { note, signed, files, directory: directory.to_owned(), shape }))
    }

    /// Whether the lines still lie where they lay: else what was copied meanwhile may not be whole.
    ///
    /// # Errors
    /// [`LogProblem`] where the log cannot be read.
    pub fn still_holds(&self) -> Result<bool, LogProblem> {
        let segments = segment::list(&self.directory)?;
        Ok(Shape::of(&segments, &self.directory, self.signed.size)? == self.shape)
    }
}

/// The history of checkpoints up to its last whole note.
fn history(directory: &Path) -> Result<Option<(PathBuf, CopiedBytes)>, LogProblem> {
    let path = checkpoint::history_path(directory);
    let problem = |error: std::io::Error| LogProblem::disk(&path, &error);
    let file = match File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(problem)?,
    };
    let bytes = file.metadata().map_err(problem)?.len();
    let from = bytes.saturating_sub(HISTORY_TAIL_BYTES);
    let mut tail = vec![0; usize::try_from(bytes - from).unwrap_or(0)];
    file.read_exact_at(&mut tail, from).map_err(problem)?;
    let end = from + end_of_notes(&tail) as u64;
    Ok(Some((PathBuf::from("checkpoints"), CopiedBytes::Begin(path, end))))
}

/// Where the last whole note ends: after the empty line that follows its signatures.
fn end_of_notes(text: &[u8]) -> usize {
    let (mut at, mut end, mut is_signed) = (0, 0, false);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        if is_signed && line == b"\n" {
            end = at;
        }
        is_signed = line.starts_with("\u{2014}".as_bytes()) && line.ends_with(b"\n");
    }
    end
}

fn add_segments(segments: &[Segment], size: u64, files: &mut BTreeMap<PathBuf, CopiedBytes>) -> Result<(), LogProblem> {
    for (place, segment) in segments.iter().enumerate().filter(|(_, segment)| segment.first < size) {
        let end = segments.get(place + 1).map(|next| next.first);
        let is_whole = segment.form == Form::Archived || end.is_some_and(|end| end <= size);
        let bytes = if is_whole {
            CopiedBytes::Whole(segment.path.clone())
        } else {
            CopiedBytes::Begin(segment.path.clone(), bytes_before(segment, size)?)
        };
        insert(&segment.path, Path::new("segments"), bytes, files);
        let wrapped = keys::wrapped_path(segment);
        if segment.form == Form::Archived && wrapped.exists() {
            insert(&wrapped.clone(), Path::new("segments"), CopiedBytes::Whole(wrapped), files);
        }
    }
    Ok(())
}

/// How long a plain segment is up to line `end` of the log.
fn bytes_before(segment: &Segment, end: u64) -> Result<u64, LogProblem> {
    let (mut bytes, mut number) = (0, segment.first);
    let mut lines = segment.lines(0)?;
    while number < end {
        let Some(line) = lines.next()?.filter(|line| line.ended) else {
            return Err(LogProblem::damaged(&segment.path, format!("line {number} of the log is not there")));
        };
        bytes += line.bytes();
        number += 1;
    }
    Ok(bytes)
}

/// The full tiles of the tree of a size, and its right edge exactly as wide.
fn add_tiles(
    directory: &Path,
    size: u64,
    archived_end: u64,
    files: &mut BTreeMap<PathBuf, CopiedBytes>,
) -> Result<(), LogProblem> {
    let width = TILE_WIDTH as u64;
    let mut leaves = 1_u64;
    for level in 0..8_u8 {
        let Some(next) = leaves.checked_mul(width) else { break };
        leaves = next;
        let folder = directory.join(format!("tile/{level}"));
        full_tiles(&folder, 0, 0, &mut |index, path| {
            if (index + 1).checked_mul(leaves).is_some_and(|end| end <= size) {
                files.insert(tile::path(level, index, TILE_WIDTH), CopiedBytes::Whole(path));
            }
        })?;
    }
    for (level, index, wide) in tile::edge(size) {
        let path = tile::path(level, index, wide);
        match tile::read_wide(directory, level, index, wide) {
            Some(hashes) => {
                files.insert(path, CopiedBytes::These(hashes.as_flattened().to_vec()));
            }
            // Archived lines give their lowest tiles again.
            None if level == 0 && index * width + wide as u64 <= archived_end => {}
            None => return Err(LogProblem::damaged(&directory.join(path), "is missing or of the wrong length")),
        }
    }
    Ok(())
}

/// Goes through the full tiles below a folder `x001/x234/067`, with the number that their path says.
fn full_tiles(folder: &Path, above: u64, depth: usize, add: &mut impl FnMut(u64, PathBuf)) -> Result<(), LogProblem> {
    let problem = |error: std::io::Error| LogProblem::disk(folder, &error);
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(problem)?,
    };
    for entry in entries {
        let entry = entry.map_err(problem)?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let digits = name.strip_prefix('x').unwrap_or(name);
        let Some(number) = digits.parse::<u64>().ok().filter(|_| digits.len() == 3) else { continue };
        let index = above * 1_000 + number;
        if digits.len() == name.len() {
            add(index, entry.path());
        } else if depth < DEPTH_MAX {
            full_tiles(&entry.path(), index, depth + 1, add)?;
        }
    }
    Ok(())
}

/// Everything else that lies beside the log: recordings, lines that a crash tore. Not what is being written.
fn add_others(
    directory: &Path,
    below: &Path,
    depth: usize,
    files: &mut BTreeMap<PathBuf, CopiedBytes>,
) -> Result<(), LogProblem> {
    let folder = directory.join(below);
    let problem = |error: std::io::Error| LogProblem::disk(&folder, &error);
    for entry in std::fs::read_dir(&folder).map_err(problem)? {
        let entry = entry.map_err(problem)?;
        let (name, kind) = (entry.file_name(), entry.file_type().map_err(problem)?);
        let own = ["segments", "tile", "checkpoint", "checkpoints", "verifier-key", "deleted", "lock"];
        let is_own = depth == 0 && own.iter().any(|own| name == *own);
        let is_being_written = Path::new(&name).extension().is_some_and(|extension| extension == "new");
        if is_own || is_being_written {
            continue;
        }
        let place = below.join(&name);
        if kind.is_dir() && depth < DEPTH_MAX {
            add_others(directory, &place, depth + 1, files)?;
        } else if kind.is_file() {
            files.insert(place, CopiedBytes::Whole(entry.path()));
        }
    }
    Ok(())
}

fn insert(path: &Path, folder: &Path, bytes: CopiedBytes, files: &mut BTreeMap<PathBuf, CopiedBytes>) {
    if let Some(name) = path.file_name() {
        files.insert(folder.join(name), bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Ward;
    use crate::{Keys, LogKey, Reader, verify};

    fn key(ward: &Ward) -> LogKey {
        LogKey::parse(&std::fs::read_to_string(ward.directory().join("verifier-key")).unwrap()).unwrap()
    }

    fn write(copy: &LogCopy, to: &Path) {
        for (name, bytes) in &copy.files {
            let bytes = match bytes {
                CopiedBytes::Whole(path) => std::fs::read(path).unwrap(),
                CopiedBytes::Begin(path, end) => {
                    let mut bytes = std::fs::read(path).unwrap();
                    bytes.truncate(usize::try_from(*end).unwrap());
                    bytes
                }
                CopiedBytes::These(bytes) => bytes.clone(),
            };
            let path = to.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }

    fn note(log: &crate::Log, count: usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for _ in 0..count {
            let note = crate::Note::new(crate::Event::Started, crate::testing::clock().now());
            runtime.block_on(log.recorder().note(note)).unwrap();
        }
    }

    #[test]
    fn a_copy_of_a_log_that_is_written_ends_with_its_checkpoint_and_verifies() {
        let ward = Ward::new();
        ward.open().stop();
        assert!(LogCopy::of(ward.directory(), &key(&ward)).unwrap().is_none(), "nothing is signed yet");
        for count in [1, 300, 700] {
            let log = ward.open();
            note(&log, count);
            log.stop();
            let log = ward.open();
            note(&log, 5);
            let copy = LogCopy::of(ward.directory(), &key(&ward)).unwrap().unwrap();
            assert!(copy.still_holds().unwrap());
            let folder = crate::testing::Folder::new();
            write(&copy, folder.path());
            let good = verify(folder.path(), Some(&key(&ward).to_string())).unwrap();
            assert_eq!((good.lines, good.lines_signed), (copy.signed.size, copy.signed.size));
            assert!(Reader::open(folder.path(), Keys::none()).unwrap().size().unwrap() >= copy.signed.size);
            log.stop();
        }
    }

    #[test]
    fn notes_end_where_the_empty_line_after_their_signatures_does() {
        let one = "o\n1\nroot=\n\n\u{2014} o sig\n\n";
        assert_eq!(end_of_notes(one.as_bytes()), one.len());
        assert_eq!(end_of_notes(format!("{one}o\n2\nroot=\n\n\u{2014} o si").as_bytes()), one.len());
        assert_eq!(end_of_notes(&format!("{one}{one}").as_bytes()[..one.len() + 9]), one.len());
        assert_eq!(end_of_notes(b"o\n1\nroot=\n\n"), 0);
    }
}
