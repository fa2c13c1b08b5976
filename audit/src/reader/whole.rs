//! The lines of one segment as they lie there, for whoever opens the log: in both forms, without passing anything over.

use std::sync::Arc;

use crate::LogProblem;
use crate::archive::Archive;
use crate::reader::Reader;
use crate::segment::{Form, PlainLines, RawLine, Segment};

/// The lines of one segment.
#[derive(Debug)]
pub(crate) enum SegmentLines {
    Plain(PlainLines),
    Archived(ArchivedLines),
}

#[derive(Debug)]
pub(crate) struct ArchivedLines {
    archive: Arc<Archive>,
    block: usize,
    text: Vec<u8>,
    at: usize,
}

impl SegmentLines {
    /// The lines of a segment, from one that is not after `seq`; also the number of that one.
    pub(crate) fn open(reader: &Reader, segment: &Segment, seq: u64) -> Result<(Self, u64), LogProblem> {
        match segment.form {
            Form::Plain => Ok((Self::Plain(segment.lines(0)?), segment.first)),
            Form::Archived => {
                let archive = reader.archive(segment)?;
                let block = archive.block_of(seq.max(segment.first));
                let first = archive.range(block).0;
                Ok((Self::Archived(ArchivedLines { archive, block, text: Vec::new(), at: 0 }), first))
            }
        }
    }

    /// The next line; `None` at the end of the segment.
    pub(crate) fn next(&mut self) -> Result<Option<RawLine<'_>>, LogProblem> {
        match self {
            Self::Plain(lines) => lines.next(),
            Self::Archived(lines) => lines.next(),
        }
    }
}

impl ArchivedLines {
    fn next(&mut self) -> Result<Option<RawLine<'_>>, LogProblem> {
        if self.at >= self.text.len() {
            if self.block >= self.archive.blocks() {
                return Ok(None);
            }
            self.text = self.archive.block(self.block)?;
            self.at = 0;
            self.block += 1;
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.at += length + 1;
        Ok(rest.get(..length).map(|text| RawLine { text, ended: true }))
    }
}
