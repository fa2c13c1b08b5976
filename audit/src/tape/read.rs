//! Reading a recording: its text block by block, as far as it is written, and the commands in it.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use policy::RequestId;

use crate::data_key::DataKey;
use crate::tape::cast::{self, Event};
use crate::tape::chain::{Chain, TextHash};
use crate::tape::file::{self, RawBlocks};
use crate::{LogProblem, Reader};

/// The recordings of a log.
#[derive(Clone, Debug)]
pub struct Recordings {
    reader: Reader,
}

/// One recording, read from its beginning on.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    raw: RawBlocks,
    key: Option<DataKey>,
    number: usize,
    is_over: bool,
    chain: Chain,
    text_hash: TextHash,
    /// Columns and rows at the beginning.
    size: (u16, u16),
    waiting: VecDeque<(Duration, Event)>,
}

/// A command that stands in a recording.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// When, counted from the beginning.
    pub at: Duration,
    /// As it stood on the screen.
    pub text: String,
}

/// How far a recording was read, in the words of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stand {
    /// `len`: bytes of the file.
    pub bytes: u64,
    /// `rec`: the hash that stands for them.
    pub chain: String,
    /// `sha`: the SHA-256 of the text.
    pub text: String,
}

impl Reader {
    /// The recordings that belong to this log.
    #[must_use]
    pub fn recordings(&self) -> Recordings {
        Recordings { reader: self.clone() }
    }
}

impl Recordings {
    /// Whether an access has a recording.
    #[must_use]
    pub fn has(&self, id: RequestId) -> bool {
        file::place(self.reader.directory(), &id.to_string()).path.exists()
    }

    /// Opens the recording of an access; nothing where there is none.
    ///
    /// # Errors
    /// [`LogProblem`] where it cannot be read, is damaged or no key opens it.
    pub fn open(&self, id: RequestId) -> Result<Option<Recording>, LogProblem> {
        let id = id.to_string();
        let place = file::place(self.reader.directory(), &id);
        let raw = match RawBlocks::open(&place.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| LogProblem::disk(&place.path, &error))?,
        };
        let raw = raw.filter(|raw| raw.head.id == id);
        let raw = raw.ok_or_else(|| LogProblem::damaged(&place.path, "does not begin as a recording of its name"))?;
        let key = if raw.head.sealed { Some(self.reader.keys().data_key(&place)?) } else { None };
        let chain = Chain::new(&raw.begin);
        let mut recording = Recording {
            path: place.path,
            raw,
            key,
            number: 0,
            is_over: false,
            chain,
            text_hash: TextHash::new(),
            size: (80, 24),
            waiting: VecDeque::new(),
        };
        recording.begin()?;
        Ok(Some(recording))
    }
}

impl Recording {
    /// Reads the first block, which says how large the terminal is.
    fn begin(&mut self) -> Result<(), LogProblem> {
        let Some(text) = self.next_text()? else { return Ok(()) };
        let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        self.size = cast::size(first)
            .ok_or_else(|| LogProblem::damaged(&self.path, "its text does not begin as that of a recording"))?;
        Ok(())
    }

    /// Columns and rows at the beginning.
    #[must_use]
    pub fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Whether it was read to its end. One that broke off has none.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// How far it was read.
    #[must_use]
    pub fn stand(&self) -> Stand {
        Stand { bytes: self.raw.at, chain: self.chain.text(), text: self.text_hash.text() }
    }

    /// The text of the next block: whole lines of an asciicast. Nothing where no more is written yet.
    ///
    /// # Errors
    /// [`LogProblem`] where it is damaged.
    fn next_text(&mut self) -> Result<Option<Vec<u8>>, LogProblem> {
        let at = self.raw.at;
        let damaged = |end: u64| {
            LogProblem::damaged(&self.path, format!("bytes {at}..{end} of the recording are not as they were"))
        };
        let block = match self.raw.next() {
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Err(damaged(at + 8)),
            read => read.map_err(|error| LogProblem::disk(&self.path, &error))?,
        };
        let Some(block) = block else { return Ok(None) };
        let chain = self.chain.with(&[&block.lengths, &block.packed]);
        if block.is_end() {
            (self.chain, self.is_over) = (chain, true);
            return Ok(None);
        }
        let packed = match &self.key {
            Some(key) => {
                let bound = file::binding(&self.raw.head.id, self.number, block.text_bytes);
                key.open(self.number, &bound, block.packed).ok_or_else(|| damaged(block.end))?
            }
            None => block.packed,
        };
        let text = zstd::bulk::decompress(&packed, block.text_bytes).map_err(|_| damaged(block.end))?;
        self.number += 1;
        self.chain = chain;
        self.text_hash.add(&text);
        Ok(Some(text))
    }

    /// The next thing that happened; nothing where no more is written yet.
    pub(crate) fn next_event(&mut self) -> Result<Option<(Duration, Event)>, LogProblem> {
        while self.waiting.is_empty() {
            let Some(text) = self.next_text()? else { return Ok(None) };
            self.waiting.extend(text.split(|byte| *byte == b'\n').filter_map(cast::read));
        }
        Ok(self.waiting.pop_front())
    }

    /// Puts back what was given last.
    pub(crate) fn put_back(&mut self, event: (Duration, Event)) {
        self.waiting.push_front(event);
    }

    /// The commands in it, as many as are wanted at most, and how long it is so far.
    ///
    /// # Errors
    /// [`LogProblem`] where it is damaged.
    pub fn commands(mut self, most: usize) -> Result<(Vec<Command>, Duration, Stand), LogProblem> {
        let (mut commands, mut length) = (Vec::new(), Duration::ZERO);
        while let Some((at, event)) = self.next_event()? {
            length = at;
            if let Event::Marker(text) = event
                && commands.len() < most
            {
                commands.push(Command { at, text });
            }
        }
        Ok((commands, length, self.stand()))
    }
}

impl Recordings {
    /// The text of a recording as far as it is written, an asciicast, and how far that is; nothing where there is none,
    /// or where it is longer than `most` bytes.
    ///
    /// # Errors
    /// [`LogProblem`] where it cannot be read, is damaged or no key opens it.
    pub fn text(&self, id: RequestId, most: usize) -> Result<Option<(Vec<u8>, Stand)>, LogProblem> {
        let place = file::place(self.reader.directory(), &id.to_string());
        let Some(mut recording) = self.open(id)? else { return Ok(None) };
        recording.rewind().map_err(|error| LogProblem::disk(&place.path, &error))?;
        let mut all = Vec::new();
        while let Some(text) = recording.next_text()? {
            if all.len() + text.len() > most {
                return Ok(None);
            }
            all.extend_from_slice(&text);
        }
        Ok(Some((all, recording.stand())))
    }
}

impl Recordings {
    /// Whether a recording is, as far as a line of the log goes, what that line vouches for.
    ///
    /// # Errors
    /// [`LogProblem`] where it cannot be read, is damaged before that or no key opens it.
    pub fn holds(&self, id: RequestId, told: &Stand) -> Result<bool, LogProblem> {
        let place = file::place(self.reader.directory(), &id.to_string());
        let Some(mut recording) = self.open(id)? else { return Ok(false) };
        recording.rewind().map_err(|error| LogProblem::disk(&place.path, &error))?;
        while recording.raw.at < told.bytes && recording.next_text()?.is_some() {}
        Ok(recording.stand() == *told)
    }
}

impl Recording {
    /// Back to the beginning.
    fn rewind(&mut self) -> std::io::Result<()> {
        let again = RawBlocks::open(&self.path)?.ok_or(std::io::ErrorKind::InvalidData)?;
        self.chain = Chain::new(&again.begin);
        (self.raw, self.number, self.text_hash) = (again, 0, TextHash::new());
        self.is_over = false;
        self.waiting.clear();
        Ok(())
    }
}
