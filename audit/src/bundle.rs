//! Lines that wait to be written together, with what each of them is.

use std::sync::Arc;

use crate::LogProblem;
use crate::held::Held;
use crate::line::{FRAME_BYTES_MAX, LINE_BYTES_MAX};
use crate::people::People;
use crate::round::Round;

/// What a waiting line is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// It opens an access.
    Opening,
    /// It closes an access, whose place among the open ones it holds until it is written.
    Closing(Closing),
    /// It stands for itself.
    Fact,
}

/// What the closing line of an access must know.
#[derive(Debug)]
pub(crate) struct Closing {
    /// How the access was opened.
    pub(crate) opened: Opened,
    /// Its place among the open accesses.
    pub(crate) _slot: Held,
}

/// How an access was opened.
#[derive(Debug)]
pub(crate) enum Opened {
    /// In the log, by this round.
    In(Arc<Round>),
    /// In the emergency spool.
    Spooled { _held: Held },
}

/// Bodies of lines, one after the other in one buffer.
#[derive(Debug, Default)]
pub(crate) struct Bundle {
    text: Vec<u8>,
    lines: Vec<(usize, Kind)>,
    people: People,
}

impl Bundle {
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Adds a line whose body `encode` writes.
    pub(crate) fn push(
        &mut self,
        kind: Kind,
        encode: impl FnOnce(&mut Vec<u8>, &mut People),
    ) -> Result<(), LogProblem> {
        let start = self.text.len();
        encode(&mut self.text, &mut self.people);
        let bytes = self.text.len() - start + FRAME_BYTES_MAX;
        if bytes > LINE_BYTES_MAX {
            self.text.truncate(start);
            return Err(LogProblem::LineTooLong { bytes });
        }
        self.lines.push((self.text.len(), kind));
        Ok(())
    }

    /// The bodies, in order, each with what it is.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Kind)> {
        let mut start = 0;
        self.lines.iter().map(move |(end, kind)| {
            let body = self.text.get(start..*end).unwrap_or_default();
            start = *end;
            (body, kind)
        })
    }

    /// Bytes that writing it may take.
    pub(crate) fn room(&self) -> usize {
        self.text.len() + self.lines.len() * FRAME_BYTES_MAX
    }

    /// Forgets all lines, keeping the memory.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.lines.clear();
    }

    /// After a write failed: keeps the closing lines that `keep` wants, forgets all else.
    pub(crate) fn keep_closings(&mut self, mut keep: impl FnMut(&[u8], &Closing) -> bool) {
        let (text, lines) = (std::mem::take(&mut self.text), std::mem::take(&mut self.lines));
        let mut start = 0;
        for (end, kind) in lines {
            let body = text.get(start..end).unwrap_or_default();
            start = end;
            if let Kind::Closing(closing) = &kind
                && keep(body, closing)
            {
                self.text.extend_from_slice(body);
                self.lines.push((self.text.len(), kind));
            }
        }
    }
}
