//! Segments: the files that hold the lines. Each is named by the number of its first line.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::LogProblem;
use crate::line::LINE_BYTES_MAX;

/// One file of lines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Segment {
    /// The number of its first line.
    pub(crate) first: u64,
    pub(crate) path: PathBuf,
}

/// The folder of a log's segments.
pub(crate) fn folder(directory: &Path) -> PathBuf {
    directory.join("segments")
}

impl Segment {
    pub(crate) fn new(directory: &Path, first: u64) -> Self {
        Self { first, path: folder(directory).join(format!("{first:020}.jsonl")) }
    }

    fn from_path(path: PathBuf) -> Option<Self> {
        let digits = path.file_name()?.to_str()?.strip_suffix(".jsonl")?;
        let plain = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then_some(digits.parse().ok()).flatten().map(|first| Self { first, path })
    }

    /// Its lines from a byte position on.
    pub(crate) fn lines(&self, from_byte: u64) -> Result<Lines, LogProblem> {
        let mut file = File::open(&self.path).map_err(|error| LogProblem::disk(&self.path, &error))?;
        file.seek(SeekFrom::Start(from_byte)).map_err(|error| LogProblem::disk(&self.path, &error))?;
        Ok(Lines { path: self.path.clone(), reader: BufReader::with_capacity(256 * 1024, file), line: Vec::new() })
    }
}

/// All segments of a log, oldest first.
pub(crate) fn list(directory: &Path) -> Result<Vec<Segment>, LogProblem> {
    let folder = folder(directory);
    let entries = std::fs::read_dir(&folder).map_err(|error| LogProblem::disk(&folder, &error))?;
    let mut segments = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| LogProblem::disk(&folder, &error))?;
        segments.extend(Segment::from_path(entry.path()));
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

/// Reads a segment line by line into one buffer.
#[derive(Debug)]
pub(crate) struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    line: Vec<u8>,
}

/// One line as read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RawLine<'a> {
    /// Its bytes without the newline.
    pub(crate) text: &'a [u8],
    /// Whether a newline ended it; else it was cut by the end of the file or is longer than any line of ours.
    pub(crate) ended: bool,
}

impl RawLine<'_> {
    /// Its bytes in the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.text.len() as u64 + u64::from(self.ended)
    }
}

impl Lines {
    /// The next line; `None` at the end of the file.
    pub(crate) fn next(&mut self) -> Result<Option<RawLine<'_>>, LogProblem> {
        use std::io::Read as _;
        self.line.clear();
        let mut bounded = (&mut self.reader).take(LINE_BYTES_MAX as u64 + 1);
        let read = bounded.read_until(b'\n', &mut self.line).map_err(|error| LogProblem::disk(&self.path, &error))?;
        if read == 0 {
            return Ok(None);
        }
        let ended = self.line.pop_if(|last| *last == b'\n').is_some();
        Ok(Some(RawLine { text: &self.line, ended }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_listed_by_number_and_strangers_are_left_out() {
        let folder_of_test = crate::testing::Folder::new();
        let directory = folder_of_test.path();
        std::fs::create_dir_all(folder(directory)).unwrap();
        for first in [300, 0, 20] {
            std::fs::write(Segment::new(directory, first).path, "a\nbb\nc").unwrap();
        }
        std::fs::write(folder(directory).join("notes.txt"), "x").unwrap();
        let segments = list(directory).unwrap();
        assert_eq!(segments.iter().map(|segment| segment.first).collect::<Vec<_>>(), [0, 20, 300]);
        let mut lines = segments[0].lines(2).unwrap();
        assert_eq!(lines.next().unwrap(), Some(RawLine { text: b"bb", ended: true }));
        assert_eq!(lines.next().unwrap(), Some(RawLine { text: b"c", ended: false }));
        assert_eq!(lines.next().unwrap(), None);
    }
}
