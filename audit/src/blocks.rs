//! Reading the log from a moment on in blocks of whole lines, so that several threads can share the work.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;

use policy::Timestamp;

use crate::archive::Archive;
use crate::search::{earliest_line, moment};
use crate::segment::{Form, Segment};
use crate::{LogProblem, Reader};

/// How much is read at once; a line of ours is far shorter.
const BLOCK_BYTES: usize = 4 * 1024 * 1024;

/// The lines of a log, oldest first, in blocks of whole lines. What is just being written is left out.
#[derive(Debug)]
pub struct Blocks {
    reader: Reader,
    segments: VecDeque<Segment>,
    open: Option<Open>,
}

#[derive(Debug)]
enum Open {
    Plain(Plain),
    Archived { archive: Arc<Archive>, next: usize },
}

#[derive(Debug)]
struct Plain {
    segment: Segment,
    file: File,
    /// What was read of a line whose end is in the next block.
    rest: Vec<u8>,
}

impl Blocks {
    /// The lines of a log from a moment on; the first block may hold some that are older.
    ///
    /// # Errors
    /// [`LogProblem`] where the log cannot be read.
    pub fn since(log: impl Into<Reader>, since: Timestamp) -> Result<Self, LogProblem> {
        let reader = log.into();
        let mut segments = VecDeque::from(reader.look_again()?);
        let earliest = earliest_line(since);
        while let Some(next) = segments.get(1) {
            let begins_later = first_moment(&reader, next)?.is_none_or(|at| at >= earliest);
            if begins_later {
                break;
            }
            segments.pop_front();
        }
        Ok(Self { reader, segments, open: None })
    }

    /// The next block: lines, each with its newline.
    ///
    /// # Errors
    /// [`LogProblem`] where the log cannot be read; [`LogProblem::Damaged`] for one block that is not as it was: the
    /// next call goes on behind it.
    pub fn next_block(&mut self) -> Result<Option<Vec<u8>>, LogProblem> {
        loop {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => match self.segments.pop_front() {
                    Some(segment) => Open::new(&self.reader, segment)?,
                    None => return Ok(None),
                },
            };
            let block = open.next_block();
            if !matches!(block, Ok(None)) {
                self.open = Some(open);
                return block;
            }
        }
    }
}

impl Open {
    fn new(reader: &Reader, segment: Segment) -> Result<Self, LogProblem> {
        if segment.form == Form::Plain {
            match File::open(&segment.path) {
                Ok(file) => return Ok(Self::Plain(Plain { segment, file, rest: Vec::new() })),
                // It was archived a moment ago.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(LogProblem::disk(&segment.path, &error)),
            }
        }
        let segment = Segment::of(reader.directory(), segment.first, Form::Archived);
        Ok(Self::Archived { archive: reader.archive(&segment)?, next: 0 })
    }

    fn next_block(&mut self) -> Result<Option<Vec<u8>>, LogProblem> {
        match self {
            Self::Plain(plain) => plain.next_block(),
            Self::Archived { archive, next } => {
                if *next >= archive.blocks() {
                    return Ok(None);
                }
                *next += 1;
                archive.block(*next - 1).map(Some)
            }
        }
    }
}

impl Plain {
    fn next_block(&mut self) -> Result<Option<Vec<u8>>, LogProblem> {
        loop {
            let mut block = std::mem::take(&mut self.rest);
            block.reserve(BLOCK_BYTES);
            let mut bounded = (&mut self.file).take(BLOCK_BYTES as u64);
            let read = bounded.read_to_end(&mut block).map_err(|error| LogProblem::disk(&self.segment.path, &error))?;
            if read == 0 {
                return Ok(None);
            }
            // Without any newline it is no line of ours, and is passed over.
            if let Some(end) = block.iter().rposition(|byte| *byte == b'\n') {
                self.rest = block.split_off(end + 1);
                return Ok(Some(block));
            }
        }
    }
}

/// The moment of a segment's first line, as it is written.
fn first_moment(reader: &Reader, segment: &Segment) -> Result<Option<String>, LogProblem> {
    if segment.form == Form::Archived {
        let began = reader.archive(segment)?.index.began.clone();
        return Ok(Some(began).filter(|began| !began.is_empty()));
    }
    let mut lines = segment.lines(0)?;
    let Some(first) = lines.next()? else { return Ok(None) };
    Ok(std::str::from_utf8(first.text).ok().and_then(moment).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment;
    use crate::testing::Folder;

    fn line(second: u8) -> String {
        format!("{{\"v\":1,\"seq\":0,\"ts\":\"2026-11-22T01:{second:02}:00.000000Z\",\"ev\":\"x\"}}\n")
    }

    fn log(segments: &[&str]) -> Folder {
        let folder = Folder::new();
        std::fs::create_dir_all(segment::folder(folder.path())).unwrap();
        for (text, first) in segments.iter().zip((0..).step_by(100)) {
            std::fs::write(Segment::new(folder.path(), first).path, text).unwrap();
        }
        folder
    }

    fn read(folder: &Folder, since: &str) -> String {
        let mut blocks = Blocks::since(folder.path(), Timestamp::parse_rfc3339(since).unwrap()).unwrap();
        let mut text = String::new();
        while let Some(block) = blocks.next_block().unwrap() {
            assert_eq!(block.last(), Some(&b'\n'));
            text.push_str(&String::from_utf8(block).unwrap());
        }
        text
    }

    #[test]
    fn every_whole_line_is_read_in_order_across_segments_and_blocks() {
        let long: String = (0..60_u8).map(line).collect::<String>().repeat(2_000);
        assert!(long.len() > BLOCK_BYTES);
        let folder = log(&[&long, &line(59), "", "{\"being written"]);
        assert_eq!(read(&folder, "2026-11-22T00:00:00Z"), long + &line(59));
    }

    #[test]
    fn segments_that_end_before_the_moment_are_not_read() {
        let folder = log(&[&line(10), &line(20), &line(30)]);
        assert_eq!(read(&folder, "2026-11-22T01:25:00Z"), line(20) + &line(30));
        assert_eq!(
            read(&folder, "2026-11-22T01:20:30Z"),
            line(10) + &line(20) + &line(30),
            "lines may be out of order"
        );
    }
}
