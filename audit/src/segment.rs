//! Segments: the files that hold the lines. Each is named by the number of its first line, and is plain while it is
//! written, archived (`archive`) some time after it was closed.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::line::LINE_BYTES_MAX;
use crate::{LogProblem, deleted};

/// One file of lines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Segment {
    /// The number of its first line.
    pub(crate) first: u64,
    pub(crate) form: Form,
    pub(crate) path: PathBuf,
}

/// How a segment lies on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// Line after line, as written.
    Plain,
    /// In compressed blocks, encrypted where the hospital wants it.
    Archived,
}

impl Form {
    fn extension(self) -> &'static str {
        match self {
            Self::Plain => "jsonl",
            Self::Archived => "archive",
        }
    }
}

/// The folder of a log's segments.
pub(crate) fn folder(directory: &Path) -> PathBuf {
    directory.join("segments")
}

impl Segment {
    /// A plain segment.
    pub(crate) fn new(directory: &Path, first: u64) -> Self {
        Self::of(directory, first, Form::Plain)
    }

    /// A segment in one form.
    pub(crate) fn of(directory: &Path, first: u64, form: Form) -> Self {
        let path = folder(directory).join(format!("{first:020}.{}", form.extension()));
        Self { first, form, path }
    }

    fn from_path(path: PathBuf) -> Option<Self> {
        let (digits, extension) = path.file_name()?.to_str()?.split_once('.')?;
        let form = [Form::Plain, Form::Archived].into_iter().find(|form| form.extension() == extension)?;
        let plain = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then_some(digits.parse().ok()).flatten().map(|first| Self { first, form, path })
    }

    /// The lines of a plain segment from a byte position on.
    pub(crate) fn lines(&self, from_byte: u64) -> Result<PlainLines, LogProblem> {
        let mut file = File::open(&self.path).map_err(|error| LogProblem::disk(&self.path, &error))?;
        file.seek(SeekFrom::Start(from_byte)).map_err(|error| LogProblem::disk(&self.path, &error))?;
        Ok(PlainLines { path: self.path.clone(), reader: BufReader::with_capacity(256 * 1024, file), line: Vec::new() })
    }
}

/// All segments of a log, oldest first: archived ones, then plain ones. Where a segment lies there in both forms, the
/// archive is not known to be whole yet, and the plain one is meant. What the log says was deleted is left out.
pub(crate) fn list(directory: &Path) -> Result<Vec<Segment>, LogProblem> {
    let deleted = deleted::end(directory)?;
    let mut segments = list_all(directory)?;
    segments.retain(|segment| segment.first >= deleted);
    segments.dedup_by_key(|segment| segment.first);
    Ok(segments)
}

/// All files of segments: where one lies there in both forms, the plain one first.
pub(crate) fn list_all(directory: &Path) -> Result<Vec<Segment>, LogProblem> {
    let folder = folder(directory);
    let entries = std::fs::read_dir(&folder).map_err(|error| LogProblem::disk(&folder, &error))?;
    let mut segments = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| LogProblem::disk(&folder, &error))?;
        segments.extend(Segment::from_path(entry.path()));
    }
    segments.sort_by_key(|segment| (segment.first, segment.form == Form::Archived));
    Ok(segments)
}

/// The number after the last line that lies in an archived segment: lowest tiles before it may be gone.
pub(crate) fn archived_end(segments: &[Segment]) -> u64 {
    let plain = segments.iter().find(|segment| segment.form == Form::Plain);
    plain.map_or(0, |segment| segment.first)
}

/// Reads a plain segment line by line into one buffer.
#[derive(Debug)]
pub(crate) struct PlainLines {
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

impl PlainLines {
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
        std::fs::write(folder(directory).join("00000000000000000300.new"), "x").unwrap();
        let segments = list(directory).unwrap();
        assert_eq!(segments.iter().map(|segment| segment.first).collect::<Vec<_>>(), [0, 20, 300]);
        let mut lines = segments[0].lines(2).unwrap();
        assert_eq!(lines.next().unwrap(), Some(RawLine { text: b"bb", ended: true }));
        assert_eq!(lines.next().unwrap(), Some(RawLine { text: b"c", ended: false }));
        assert_eq!(lines.next().unwrap(), None);
    }

    #[test]
    fn while_a_segment_lies_there_in_both_forms_the_plain_one_is_meant() {
        let folder_of_test = crate::testing::Folder::new();
        let directory = folder_of_test.path();
        std::fs::create_dir_all(folder(directory)).unwrap();
        for (first, form) in [(0, Form::Archived), (20, Form::Archived), (20, Form::Plain), (30, Form::Plain)] {
            std::fs::write(Segment::of(directory, first, form).path, "x").unwrap();
        }
        let segments = list(directory).unwrap();
        let listed: Vec<(u64, Form)> = segments.iter().map(|segment| (segment.first, segment.form)).collect();
        assert_eq!(listed, [(0, Form::Archived), (20, Form::Plain), (30, Form::Plain)]);
        assert_eq!(archived_end(&segments), 20);
    }
}
