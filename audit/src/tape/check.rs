//! Checking recordings against what the log says of them: missing ones, short ones, changed ones, each with its place.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::Event;
use crate::keys::wrapped_path;
use crate::leaves::FINDINGS_MAX;
use crate::tape::chain::Chain;
use crate::tape::file::{self, RawBlocks};
use crate::verify::Finding;

/// What every such fact has in its line.
const SIGN: &[u8] = b"\"ev\":\"recording-";

/// What the lines of a log say of its recordings.
#[derive(Debug, Default)]
pub(crate) struct Told {
    tapes: BTreeMap<String, OneTold>,
}

/// What they say of one.
#[derive(Debug, Default)]
struct OneTold {
    /// Whether the line that it began is there: else it may be deleted with it.
    is_begun: bool,
    /// How long it is in all, where it was ended as it should be.
    end: Option<u64>,
    /// Its hash by its length.
    marks: BTreeMap<u64, String>,
}

#[derive(Deserialize)]
struct Line {
    ev: String,
    id: String,
    rec: String,
    len: u64,
    why: Option<String>,
    spool: Option<IgnoredAny>,
}

impl Told {
    /// Notes what a line says.
    pub(crate) fn note(&mut self, line: &[u8]) {
        if memchr::memmem::find(line, SIGN).is_none() {
            return;
        }
        let Ok(read) = serde_json::from_slice::<Line>(line) else { return };
        let events = [Event::RecordingBegan, Event::RecordingMarked, Event::RecordingEnded];
        let Some(event) = events.into_iter().find(|event| event.code() == read.ev) else { return };
        // None of them is ever written to the spool.
        if read.spool.is_some() || policy::RequestId::parse(&read.id).is_none() {
            return;
        }
        let one = self.tapes.entry(read.id).or_default();
        one.is_begun |= event == Event::RecordingBegan;
        if event == Event::RecordingEnded && read.why.as_deref() == Some("closed") {
            one.end = Some(read.len);
        }
        one.marks.insert(read.len, read.rec);
    }
}

/// Checks each recording that the log names, and says how many there are.
pub(crate) fn check(directory: &Path, told: &Told, findings: &mut Vec<Finding>) -> u64 {
    for (id, one) in &told.tapes {
        if findings.len() >= FINDINGS_MAX {
            break;
        }
        findings.extend(check_one(directory, id, one));
    }
    told.tapes.values().filter(|one| one.is_begun).count() as u64
}

fn check_one(directory: &Path, id: &str, told: &OneTold) -> Option<Finding> {
    let place = file::place(directory, id);
    let finding = |what: String| Some(Finding::in_file(&place.path, what));
    let mut blocks = match RawBlocks::open(&place.path) {
        Ok(Some(blocks)) => blocks,
        Ok(None) => return finding("does not begin as a recording".to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let what = "is missing; the log says that it was recorded";
            return told.is_begun.then(|| Finding::in_file(&place.path, what));
        }
        Err(error) => return finding(error.to_string()),
    };
    if blocks.head.id != id {
        return finding(format!("is the recording `{}`", blocks.head.id));
    }
    if blocks.head.sealed && !wrapped_path(&place).exists() {
        return Some(Finding::in_file(&wrapped_path(&place), "is missing; without it nobody opens the recording"));
    }
    let (mut chain, mut good) = (Chain::new(&blocks.begin), 0);
    let changed = |from: u64, to: u64| {
        let what = "is not what was recorded there, as the log says".to_owned();
        Some(Finding { bytes: Some(from..to), ..Finding::in_file(&place.path, what) })
    };
    for (length, hash) in &told.marks {
        while blocks.at < *length {
            match blocks.next() {
                Ok(Some(block)) => chain = chain.with(&[&block.lengths, &block.packed]),
                Ok(None) => {
                    let has = std::fs::metadata(&place.path).map_or(0, |file| file.len());
                    if has >= *length {
                        return changed(good, *length);
                    }
                    let what = format!("is cut: it has {has} bytes, and the log says that {length} were recorded");
                    return Some(Finding { bytes: Some(has..*length), ..Finding::in_file(&place.path, what) });
                }
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return changed(good, *length),
                Err(error) => return finding(error.to_string()),
            }
        }
        if blocks.at != *length || chain.text() != *hash {
            return changed(good, *length);
        }
        good = *length;
    }
    let has = std::fs::metadata(&place.path).map_or(good, |file| file.len());
    if told.end.is_some_and(|end| has > end) {
        let what = "has more bytes than were recorded, as the log says".to_owned();
        return Some(Finding { bytes: Some(good..has), ..Finding::in_file(&place.path, what) });
    }
    None
}
