//! Writing an archived segment from a plain one.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use zstd::zstd_safe::CParameter;

use crate::archive::{BLOCK_BYTES, BlockEntry, Index, MAGIC, ZSTD_LEVEL, binding, hash};
use crate::data_key::DataKey;
use crate::segment::Segment;
use crate::{LogProblem, disk, search};

/// Writes the lines `segment.first..end` of a plain segment to a file at `path`, and syncs it. `go_on` is asked before
/// each block; where it says no, nothing is done and nothing promised.
pub(crate) fn write(
    path: &Path,
    segment: &Segment,
    end: u64,
    key: Option<&DataKey>,
    go_on: impl Fn() -> bool,
) -> Result<Option<Index>, LogProblem> {
    let problem = |error: std::io::Error| LogProblem::disk(path, &error);
    let file = disk::create(path).map_err(problem)?;
    let mut writer = Writer::new(file, segment.first, key).map_err(problem)?;
    let mut lines = segment.lines(0)?;
    while writer.next < end {
        let Some(line) = lines.next()?.filter(|line| line.ended) else {
            return Err(LogProblem::damaged(&segment.path, format!("line {} of the log is not there", writer.next)));
        };
        writer.line(line.text);
        if writer.block.len() >= BLOCK_BYTES {
            if !go_on() {
                return Ok(None);
            }
            writer.end_block().map_err(problem)?;
        }
    }
    writer.finish().map(Some).map_err(problem)
}

struct Writer<'a> {
    file: BufWriter<File>,
    compressor: zstd::bulk::Compressor<'static>,
    key: Option<&'a DataKey>,
    at: u64,
    /// The number of the next line.
    next: u64,
    /// The number of the first line of the block.
    block_first: u64,
    block: Vec<u8>,
    index: Index,
}

impl<'a> Writer<'a> {
    fn new(file: File, first: u64, key: Option<&'a DataKey>) -> std::io::Result<Self> {
        let mut file = BufWriter::new(file);
        file.write_all(MAGIC)?;
        let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        let index = Index {
            v: 1,
            first,
            end: first,
            bytes: 0,
            sealed: key.is_some(),
            began: String::new(),
            blocks: Vec::new(),
        };
        Ok(Self {
            file,
            compressor,
            key,
            at: MAGIC.len() as u64,
            next: first,
            block_first: first,
            block: Vec::with_capacity(2 * BLOCK_BYTES),
            index,
        })
    }

    fn line(&mut self, text: &[u8]) {
        if self.next == self.index.first {
            let moment = std::str::from_utf8(text).ok().and_then(search::moment);
            self.index.began = moment.unwrap_or_default().to_owned();
        }
        self.block.extend_from_slice(text);
        self.block.push(b'\n');
        self.next += 1;
    }

    fn end_block(&mut self) -> std::io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let mut packed = self.compressor.compress(&self.block)?;
        let mut entry = BlockEntry { at: self.at, length: 0, first: self.block_first, bytes: self.block.len() as u64 };
        if let Some(key) = self.key {
            let number = self.index.blocks.len();
            let bound = binding(self.index.first, number, &entry);
            packed = key.seal(number, &bound, packed).ok_or_else(|| std::io::Error::other("cannot be encrypted"))?;
        }
        self.file.write_all(&packed)?;
        entry.length = packed.len() as u64;
        self.at += entry.length;
        self.index.bytes += entry.bytes;
        self.index.blocks.push(entry);
        self.block.clear();
        self.block_first = self.next;
        Ok(())
    }

    fn finish(mut self) -> std::io::Result<Index> {
        self.end_block()?;
        self.index.end = self.next;
        let text = serde_json::to_vec(&self.index).map_err(std::io::Error::other)?;
        self.file.write_all(&text)?;
        self.file.write_all(&self.at.to_be_bytes())?;
        self.file.write_all(&(text.len() as u64).to_be_bytes())?;
        self.file.write_all(&hash(&text))?;
        self.file.write_all(MAGIC)?;
        let file = self.file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(self.index)
    }
}
