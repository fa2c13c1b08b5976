//! Checking an export with nothing but the file and the log's public key, and where one was kept an earlier checkpoint.
//!
//! Every line of the file is looked at in order. A line of the log must have the hash before it; the hashes, put
//! together, must give the root of the checkpoint; the lines must be those that the header names; what is rendered must
//! be what the lines render to; and the seal, signed by the log's key, must be over exactly these bytes. What an export
//! cannot show is what was not asked for: the header says what the question was.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io::{self, BufRead, Read as _};

use audit::{Entry, EntryKind, Event, Frontier, LogKey, SignedRoot, Story, Subtree, line_hash, verify_consistency};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use policy::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::digest::Digest;
use crate::export::{Form, Header, SEAL, StoryAt, rendered, seal_text};
use crate::{Seqs, Source};

/// The longest line of a file that is read, in bytes: a header that names very many lines.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How the line of the seal begins.
const SEAL_BEGINS: &[u8] = b"{\"seal\"";
/// The most findings that are listed.
const FINDINGS_MAX: usize = 100;
/// The most lines that may be out of their places before they count as missing.
const ASTRAY_MAX: usize = 10_000;
/// How far clocks may be apart, in microseconds.
const CLOCKS_APART_MAX: i64 = 10 * 60 * 1_000_000;

/// An export in which everything fits.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What its header says; all of it is under the seal.
    pub header: Header,
    /// How many lines of the log its checkpoint covers.
    pub size: u64,
    /// The moment of the last line in it.
    pub last_line_at: Option<Timestamp>,
    /// Whether it was held against a checkpoint that was kept.
    pub held_against_kept: bool,
}

/// What does not fit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The line of the file, from 1; none where it is about the whole.
    pub line: Option<u64>,
    /// What does not fit.
    pub fault: Fault,
}

/// What does not fit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It cannot be read.
    Unreadable(String),
    /// It is no export of ours, or of a version that is not known.
    NoExport,
    /// It is from another log than the key's.
    OtherLog(String),
    /// The log's key did not sign the checkpoint.
    CheckpointNotSigned,
    /// A line of the log is not as it was written.
    Changed(u64),
    /// A line of the log that the header names is not there.
    Missing(u64),
    /// A line of the log is there that the header does not name.
    Strange(u64),
    /// A line of the log is not in its place.
    OutOfOrder(u64),
    /// A line of the file is none that belongs there.
    NotUnderstood,
    /// Hashes are missing, changed or not in their places: lines and hashes do not give the root that was signed.
    NotInTheLog,
    /// The form that stands beside the lines is not what they render to.
    RenderedOtherwise(u64),
    /// The file ends before its seal.
    CutShort,
    /// Something stands after the seal.
    AfterSeal,
    /// The log's key did not sign the seal.
    SealNotSigned,
    /// The seal is over other bytes than these.
    SealOfOther,
    /// The checkpoint that was kept is none that the log's key signed.
    KeptNotSigned,
    /// The export's checkpoint is older than the one that was kept.
    BackDated {
        /// How many lines the export's checkpoint covers.
        size: u64,
        /// How many the kept one does.
        kept: u64,
    },
    /// The moments in the file do not fit together.
    Moments(String),
    /// The export holds no proof for the checkpoint that was kept.
    NoProofForKept(u64),
    /// The log does not begin as the checkpoint that was kept says: there are two logs.
    Forked(u64),
}

impl Fault {
    /// Its code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::NoExport => "no-export",
            Self::OtherLog(_) => "other-log",
            Self::CheckpointNotSigned => "checkpoint-not-signed",
            Self::Changed(_) => "changed",
            Self::Missing(_) => "missing",
            Self::Strange(_) => "strange",
            Self::OutOfOrder(_) => "out-of-order",
            Self::NotUnderstood => "not-understood",
            Self::NotInTheLog => "not-in-the-log",
            Self::RenderedOtherwise(_) => "rendered-otherwise",
            Self::CutShort => "cut-short",
            Self::AfterSeal => "after-seal",
            Self::SealNotSigned => "seal-not-signed",
            Self::SealOfOther => "seal-of-other",
            Self::KeptNotSigned => "kept-not-signed",
            Self::BackDated { .. } => "back-dated",
            Self::Moments(_) => "moments",
            Self::NoProofForKept(_) => "no-proof-for-kept",
            Self::Forked(_) => "forked",
        }
    }

    /// In English.
    #[must_use]
    pub fn en(&self) -> String {
        match self {
            Self::Unreadable(reason) => format!("cannot be read: {reason}"),
            Self::NoExport => "is not an export with proof, or of a version this program does not know".into(),
            Self::OtherLog(origin) => format!("is from the log `{origin}`, which is not the key's"),
            Self::CheckpointNotSigned => "the checkpoint was not signed by this key".into(),
            Self::Changed(seq) => format!("record {seq} was changed"),
            Self::Missing(seq) => format!("record {seq} is missing"),
            Self::Strange(seq) => format!("record {seq} was added: the header does not name it"),
            Self::OutOfOrder(seq) => format!("record {seq} is not in its place"),
            Self::NotUnderstood => "does not belong in an export".into(),
            Self::NotInTheLog => "the records and hashes do not give the root that was signed".into(),
            Self::RenderedOtherwise(seq) => format!("what stands beside record {seq} is not what it says"),
            Self::CutShort => "the file was cut short: it has no seal".into(),
            Self::AfterSeal => "something was added after the seal".into(),
            Self::SealNotSigned => "the seal was not signed by this key".into(),
            Self::SealOfOther => "the seal is not over this file: something in it was changed".into(),
            Self::KeptNotSigned => "the kept checkpoint was not signed by this key".into(),
            Self::BackDated { size, kept } => {
                format!("back-dated: its checkpoint covers {size} lines, the one that was kept already {kept}")
            }
            Self::Moments(what) => format!("back-dated: {what}"),
            Self::NoProofForKept(size) => {
                format!("holds no proof for the kept checkpoint of {size} lines; export with `--since-checkpoint`")
            }
            Self::Forked(size) => {
                format!("forked: this log does not begin with the {size} lines that the kept checkpoint signs")
            }
        }
    }

    /// In Japanese.
    #[must_use]
    pub fn ja(&self) -> String {
        match self {
            Self::Unreadable(reason) => format!("読めません: {reason}"),
            Self::NoExport => "証明付きの書き出しではないか、この版では扱えない形式です".into(),
            Self::OtherLog(origin) => format!("別の記録 `{origin}` の書き出しで、この鍵のものではありません"),
            Self::CheckpointNotSigned => "チェックポイントの署名がこの鍵のものではありません".into(),
            Self::Changed(seq) => format!("記録 {seq} が書き換えられています"),
            Self::Missing(seq) => format!("記録 {seq} が抜けています"),
            Self::Strange(seq) => format!("記録 {seq} が付け加えられています(目録にありません)"),
            Self::OutOfOrder(seq) => format!("記録 {seq} の順序が違います"),
            Self::NotUnderstood => "書き出しにあるはずのない行です".into(),
            Self::NotInTheLog => "記録とハッシュが、署名された値と合いません".into(),
            Self::RenderedOtherwise(seq) => format!("記録 {seq} に添えられた表現が、記録と一致しません"),
            Self::CutShort => "末尾が欠けています(封印がありません)".into(),
            Self::AfterSeal => "封印の後に付け加えられたものがあります".into(),
            Self::SealNotSigned => "封印の署名がこの鍵のものではありません".into(),
            Self::SealOfOther => "封印がこのファイルと合いません。どこかが書き換えられています".into(),
            Self::KeptNotSigned => "保管していたチェックポイントの署名が、この鍵のものではありません".into(),
            Self::BackDated { size, kept } => {
                format!("日付がさかのぼっています: チェックポイントは {size} 行まで、保管のものは {kept} 行まで")
            }
            Self::Moments(what) => format!("日付がさかのぼっています: {what}"),
            Self::NoProofForKept(size) => format!(
                "保管していたチェックポイント({size} 行)に対する証明がありません。`--since-checkpoint` を付けて書き出してください"
            ),
            Self::Forked(size) => {
                format!("記録が二つに分かれています: 保管のチェックポイントが示す最初の {size} 行から始まっていません")
            }
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}: {}", self.fault.code(), self.fault.en()),
            None => write!(f, "{}: {}", self.fault.code(), self.fault.en()),
        }
    }
}

/// Checks an export. `kept` is a checkpoint of the same log that was carried away earlier.
///
/// # Errors
/// Every [`Finding`]: what does not fit, and where.
pub fn check(file: impl BufRead, key: &LogKey, kept: Option<&str>) -> Result<Checked, Vec<Finding>> {
    let mut file = Numbered { file, number: 0, digest: Digest::new(), line: Vec::new() };
    let only = |line, fault| vec![Finding { line, fault }];
    let unreadable = |error: io::Error| only(None, Fault::Unreadable(error.to_string()));
    let header: Option<Header> = match file.next().map_err(unreadable)? {
        Some(first) => serde_json::from_slice(first.line).ok(),
        None => None,
    };
    let Some(header) = header.filter(|header| header.sekimori_export == 1) else {
        return Err(only(Some(1), Fault::NoExport));
    };
    if header.origin != key.origin() {
        return Err(only(Some(1), Fault::OtherLog(header.origin)));
    }
    let Some(signed) = key.checkpoint(&header.checkpoint) else {
        return Err(only(Some(1), Fault::CheckpointNotSigned));
    };
    let Some(named) = Seqs::parse(&header.seqs).filter(|seqs| seqs.count() == header.records) else {
        return Err(only(Some(1), Fault::NoExport));
    };
    if let Some(seq) = named.last().filter(|seq| *seq >= signed.size) {
        return Err(only(Some(1), Fault::Missing(seq)));
    }
    let source = header.source();
    let mut checking = Checking {
        key,
        header: &header,
        signed,
        source: &source,
        expected: named.iter().peekable(),
        astray: BTreeSet::new(),
        frontier: Some(Frontier::default()),
        announced: None,
        unrendered: HashMap::new(),
        stories: 0,
        last_line_at: None,
        own_record: None,
        sealed: false,
        findings: Vec::new(),
    };
    while let Some(FileLine { number, line, digest }) = file.next().map_err(unreadable)? {
        checking.line(number, line, &digest);
        if checking.findings.len() >= FINDINGS_MAX {
            break;
        }
    }
    checking.end();
    if let Some(note) = kept {
        checking.hold_against(note);
    }
    let (last_line_at, findings) = (checking.last_line_at, checking.findings);
    if !findings.is_empty() {
        return Err(findings);
    }
    Ok(Checked { size: signed.size, last_line_at, held_against_kept: kept.is_some(), header })
}

/// A line of the file, without its end.
struct FileLine<'a> {
    number: u64,
    line: &'a [u8],
    /// The digest of all lines before it, where it may be the seal.
    digest: [u8; 32],
}

/// Lines with their numbers, and the digest of those before.
struct Numbered<R> {
    file: R,
    number: u64,
    digest: Digest,
    line: Vec<u8>,
}

impl<R: BufRead> Numbered<R> {
    fn next(&mut self) -> io::Result<Option<FileLine<'_>>> {
        self.digest.add(&self.line);
        self.line.clear();
        let read = (&mut self.file).take(LINE_BYTES_MAX).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        let digest = if self.line.starts_with(SEAL_BEGINS) { self.digest.so_far() } else { [0; 32] };
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        Ok(Some(FileLine { number: self.number, line, digest }))
    }
}

/// A line of the file that is none of the log's.
#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Node { node: u64, level: u8, hash: String },
    Record { record: u64, hash: String },
    Of { of: Vec<u64> },
    Seal { seal: String },
}

struct Checking<'a, I: Iterator<Item = u64>> {
    key: &'a LogKey,
    header: &'a Header,
    signed: SignedRoot,
    source: &'a Source,
    /// The lines of the log that are still to come.
    expected: std::iter::Peekable<I>,
    /// Lines that were passed over.
    astray: BTreeSet<u64>,
    /// Puts the root together; none once something is out of its place.
    frontier: Option<Frontier>,
    /// The line of the log that must come next, and its hash.
    announced: Option<(u64, [u8; 32])>,
    /// Lines whose form is still to come.
    unrendered: HashMap<u64, Entry>,
    stories: u64,
    last_line_at: Option<Timestamp>,
    /// What the line that records the export says of itself.
    own_record: Option<(EntryKind, Timestamp)>,
    sealed: bool,
    findings: Vec<Finding>,
}

impl<I: Iterator<Item = u64>> Checking<'_, I> {
    fn find(&mut self, line: impl Into<Option<u64>>, fault: Fault) {
        let finding = Finding { line: line.into(), fault };
        if self.findings.len() < FINDINGS_MAX && !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    fn line(&mut self, number: u64, line: &[u8], digest: &[u8; 32]) {
        if self.sealed {
            return self.find(number, Fault::AfterSeal);
        }
        if let Some((seq, hash)) = self.announced.take() {
            return self.record(number, seq, hash, line);
        }
        match serde_json::from_slice::<Item>(line) {
            Ok(Item::Node { node, level, hash }) => self.node(number, node, level, &hash),
            Ok(Item::Record { record, hash }) => match hash_of(&hash) {
                Some(hash) => self.announced = Some((record, hash)),
                None => self.find(number, Fault::NotUnderstood),
            },
            Ok(Item::Of { of }) => self.form(number, &of, line),
            Ok(Item::Seal { seal }) => self.seal(number, &seal, digest),
            Err(_) => match Entry::read(line) {
                // A line of the log without its hash before it.
                Some(entry) => self.found(number, entry.seq),
                None => self.find(number, Fault::NotUnderstood),
            },
        }
    }

    fn node(&mut self, number: u64, first: u64, level: u8, hash: &str) {
        let Some(hash) = hash_of(hash) else { return self.find(number, Fault::NotUnderstood) };
        self.add(number, Subtree { level, first }, hash);
    }

    fn add(&mut self, number: u64, part: Subtree, hash: [u8; 32]) {
        let Some(frontier) = &mut self.frontier else { return };
        if !frontier.push(part, hash) || frontier.size() > self.signed.size {
            self.frontier = None;
            if part.level > 0 {
                self.find(number, Fault::NotInTheLog);
            }
        }
    }

    fn record(&mut self, number: u64, seq: u64, hash: [u8; 32], line: &[u8]) {
        let entry = Entry::read(line);
        let fits = line_hash(line) == hash && entry.as_ref().is_some_and(|entry| entry.seq == seq);
        if !fits {
            self.find(number, Fault::Changed(seq));
        }
        self.found(number, seq);
        self.add(number, Subtree::line(seq), hash);
        let Some(entry) = entry.filter(|_| fits) else { return };
        self.last_line_at = self.last_line_at.max(Some(entry.at));
        if self.header.recorded == Some(seq) {
            self.own_record = Some((entry.kind.clone(), entry.at));
        }
        if self.header.form != Form::Jsonl {
            self.unrendered.insert(seq, entry);
        }
    }

    /// Ticks a line off; those that should have come before it are looked for further on.
    fn found(&mut self, number: u64, seq: u64) {
        if self.astray.remove(&seq) {
            return self.find(number, Fault::OutOfOrder(seq));
        }
        while let Some(expected) = self.expected.peek().copied() {
            if expected > seq {
                break;
            }
            self.expected.next();
            if expected == seq {
                return;
            }
            if self.astray.len() >= ASTRAY_MAX {
                self.find(number, Fault::Missing(expected));
            } else {
                self.astray.insert(expected);
            }
        }
        self.find(number, Fault::Strange(seq));
    }

    /// The form beside a story must be what its lines render to.
    fn form(&mut self, number: u64, of: &[u64], line: &[u8]) {
        let (Some(begin), Some(last)) = (of.first().copied(), of.last().copied()) else {
            return self.find(number, Fault::NotUnderstood);
        };
        self.stories += 1;
        let at = StoryAt { begin, end: (of.len() > 1).then_some(last) };
        let Some(first) = self.unrendered.remove(&begin) else {
            // A line that is missing or changed is told of by itself.
            if self.findings.is_empty() && !self.astray.contains(&begin) {
                self.find(number, Fault::RenderedOtherwise(begin));
            }
            return;
        };
        let story = match at.end {
            None => Story::of(first),
            Some(end) => match self.unrendered.remove(&end) {
                Some(end) => Story { begin: first, end: Some(end) },
                None => return,
            },
        };
        let stated: Option<Value> = serde_json::from_slice(line).ok();
        let belongs = match &story.end {
            None => true,
            Some(end) => end.kind == EntryKind::Close && end.request == story.begin.request,
        };
        if !belongs || stated != Some(rendered(&story, at, self.header.form, self.source)) {
            self.find(number, Fault::RenderedOtherwise(begin));
        }
    }

    fn seal(&mut self, number: u64, seal: &str, digest: &[u8; 32]) {
        self.sealed = true;
        let Some(text) = self.key.open(seal).filter(|text| text.split('\n').next() == Some(SEAL)) else {
            return self.find(number, Fault::SealNotSigned);
        };
        if text != seal_text(self.header, self.signed.size, self.signed.root, *digest) {
            self.find(number, Fault::SealOfOther);
        }
    }

    fn end(&mut self) {
        let missing: Vec<u64> = std::mem::take(&mut self.astray).into_iter().collect();
        missing.into_iter().for_each(|seq| self.find(None, Fault::Missing(seq)));
        while let Some(seq) = self.expected.next().filter(|_| self.findings.len() < FINDINGS_MAX) {
            self.find(None, Fault::Missing(seq));
        }
        if !self.sealed {
            self.find(None, Fault::CutShort);
        }
        let root = self.frontier.as_ref().filter(|frontier| frontier.size() == self.signed.size).map(Frontier::root);
        if root != Some(self.signed.root) {
            self.find(None, Fault::NotInTheLog);
        }
        self.moments();
        // Where no line was lost or added, the seal says whether a story was.
        let is_whole = self.header.form == Form::Jsonl || self.stories == self.header.stories;
        if !is_whole && self.findings.is_empty() {
            self.find(None, Fault::SealOfOther);
        }
    }

    /// The moments in the file must not be later than the moment it says it was made.
    fn moments(&mut self) {
        let Some(made) = Timestamp::parse_rfc3339(&self.header.exported_at) else {
            return self.find(1, Fault::NoExport);
        };
        if let Some(last) = self.last_line_at
            && last.unix_micros().saturating_sub(made.unix_micros()) > CLOCKS_APART_MAX
        {
            let what = format!("made {}, but holds a record of {last}", self.header.exported_at);
            self.find(None, Fault::Moments(what));
        }
        let Some(seq) = self.header.recorded else { return };
        match &self.own_record {
            Some((EntryKind::Fact(Event::LogRead), at)) => {
                if at.unix_micros().abs_diff(made.unix_micros()) > CLOCKS_APART_MAX.unsigned_abs() {
                    let what = format!("made {}, but recorded {at}", self.header.exported_at);
                    self.find(None, Fault::Moments(what));
                }
            }
            None if self.findings.iter().any(|finding| finding.fault == Fault::Missing(seq)) => {}
            Some(_) | None => {
                let what = format!("record {seq}, which should tell of this export, does not");
                self.find(None, Fault::Moments(what));
            }
        }
    }

    fn hold_against(&mut self, note: &str) {
        let Some(kept) = self.key.checkpoint(note) else { return self.find(None, Fault::KeptNotSigned) };
        if kept.size > self.signed.size {
            return self.find(None, Fault::BackDated { size: self.signed.size, kept: kept.size });
        }
        let now = (self.signed.size, self.signed.root);
        let holds = if kept.size == self.signed.size {
            kept.root == self.signed.root
        } else {
            let Some(proof) = self.header.kept.iter().find(|proof| proof.size == kept.size) else {
                return self.find(None, Fault::NoProofForKept(kept.size));
            };
            let path: Option<Vec<[u8; 32]>> = proof.consistency.iter().map(|hash| hash_of(hash)).collect();
            path.is_some_and(|path| verify_consistency((kept.size, kept.root), now, &path))
        };
        if !holds {
            self.find(None, Fault::Forked(kept.size));
        }
    }
}

fn hash_of(text: &str) -> Option<[u8; 32]> {
    BASE64.decode(text).ok()?.try_into().ok()
}
