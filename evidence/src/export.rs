//! Exports: stories of the log in a form that others read, alone or as a file that proves itself.
//!
//! A file with proof is JSON, line by line:
//! 1. the header ([`Header`]): what was asked, by whom, when, which lines are in, the log's signed checkpoint;
//! 2. the log from its first line to the checkpoint, in order, where what was not asked for is a hash: `{"node":FIRST,
//!    "level":L,"hash":..}` stands for `2^L` lines, `{"record":SEQ,"hash":..}` comes before a line of the log as it was
//!    written. Together they give the root that the checkpoint signs. After the last line of a story stands the form
//!    that was asked for: `{"of":[SEQ,SEQ],"fhir":[..]}`;
//! 3. the seal: `{"seal":NOTE}`, a note signed by the log's key over the digest of all that is before.
//!
//! Deliberately not here: finding the lines, and recording that they were handed over.

use std::collections::HashMap;
use std::io::{self, Write};

use audit::{Entry, EntryKind, Frontier, LogKey, LogProblem, LogSigner, Prover, Story, Subtree, line_hash};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use policy::{Timestamp, UtcOffset};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::digest::{Digest, Digested};
use crate::{Seqs, Source, csv, dicom, fhir};

/// The first line of a seal. No checkpoint begins with it: a log's name holds no blank.
pub(crate) const SEAL: &str = "sekimori export v1";

/// The form of an export.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// The lines of the log as they were written.
    Jsonl,
    /// A table for spreadsheets.
    Csv,
    /// FHIR R4 AuditEvents.
    Fhir,
    /// DICOM audit messages.
    Dicom,
}

/// Where the lines of a story lie.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StoryAt {
    /// The line that begins it.
    pub begin: u64,
    /// Its closing line.
    pub end: Option<u64>,
}

/// What is asked for, and by whom.
#[derive(Clone, Debug)]
pub struct Order {
    /// The form.
    pub form: Form,
    /// The question, as it was asked.
    pub question: Value,
    /// Who asked.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// The line of the log that records this export.
    pub recorded: Option<u64>,
    /// Lines that may belong here and are damaged.
    pub damaged: u64,
}

/// The first line of a file with proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format: 1.
    pub sekimori_export: u32,
    /// The log's name.
    pub origin: String,
    /// The institution's name.
    pub facility: String,
    /// 医療機関コード.
    pub facility_code: Option<String>,
    /// The domain of login names.
    pub domain: String,
    /// The clock that moments in rendered forms are written in.
    pub offset: String,
    /// What people call roles.
    pub roles: std::collections::BTreeMap<String, String>,
    /// What people call apps.
    pub apps: std::collections::BTreeMap<String, String>,
    /// When it was made.
    pub exported_at: String,
    /// By whom.
    pub exported_by: String,
    /// What was asked.
    pub question: Value,
    /// The form that stands beside the lines.
    pub form: Form,
    /// How many stories there are.
    pub stories: u64,
    /// How many lines of the log there are.
    pub records: u64,
    /// Which.
    pub seqs: String,
    /// The line that records this export.
    pub recorded: Option<u64>,
    /// Lines of the log that were passed over because they are damaged; some may have been asked for. Where the records
    /// were found by the index, only those that it had read before they were damaged.
    #[serde(default, skip_serializing_if = "is_none")]
    pub damaged: u64,
    /// The log's signed checkpoint.
    pub checkpoint: String,
    /// Proofs that the log begins as a checkpoint that was kept says.
    pub kept: Vec<Kept>,
}

/// A header says nothing of damage where there is none.
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// A checkpoint that somebody kept, and the proof that the log begins with it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// How many lines it covers.
    pub size: u64,
    /// The consistency proof, each hash in base64.
    pub consistency: Vec<String>,
}

impl Header {
    /// Who handed it over, for rendering again.
    pub(crate) fn source(&self) -> Source {
        Source {
            node: self.origin.clone(),
            facility: self.facility.clone(),
            facility_code: self.facility_code.clone(),
            domain: self.domain.clone(),
            offset: UtcOffset::parse(&self.offset).unwrap_or(UtcOffset::UTC),
            roles: self.roles.clone(),
            apps: self.apps.clone(),
        }
    }
}

/// Why an export could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ExportProblem {
    /// The log cannot be read, or is not as it was signed.
    #[error(transparent)]
    Log(#[from] LogProblem),
    /// The file cannot be written.
    #[error("the export cannot be written: {0}")]
    Write(#[from] io::Error),
    /// The log has no checkpoint yet.
    #[error("the log has no signed checkpoint yet; try again in a second")]
    NoCheckpoint,
    /// The key that signs does not fit the log's checkpoint.
    #[error("the log's checkpoint was not signed by the key of this node; run `sekimori audit verify`")]
    OtherKey,
    /// The checkpoint that was kept does not fit.
    #[error("{0}")]
    Kept(String),
    /// What the lines and tiles give is not what was signed.
    #[error("the log is not as it was signed; run `sekimori audit verify`")]
    NotAsSigned,
    /// A line is not there or cannot be read.
    #[error("line {0} of the log is not there or cannot be read; run `sekimori audit verify`")]
    Line(u64),
}

/// Gives a line of the log by its number, without its newline.
pub trait Lines: FnMut(u64) -> Result<Option<Vec<u8>>, LogProblem> {}
impl<T: FnMut(u64) -> Result<Option<Vec<u8>>, LogProblem>> Lines for T {}

/// Writes stories in a form, without proof.
///
/// # Errors
/// [`ExportProblem`] where the log cannot be read or `out` cannot be written.
pub fn write_plain(
    stories: &[StoryAt],
    form: Form,
    source: &Source,
    mut lines: impl Lines,
    mut out: impl Write,
) -> Result<(), ExportProblem> {
    let mut line = |seq| lines(seq)?.ok_or(ExportProblem::Line(seq));
    if form == Form::Csv {
        let mut head = csv::BEGIN.to_owned();
        csv::push_row(&mut head, csv::HEADINGS);
        out.write_all(head.as_bytes())?;
    }
    if form == Form::Jsonl {
        let mut seqs: Vec<u64> = stories.iter().flat_map(|story| [Some(story.begin), story.end]).flatten().collect();
        seqs.sort_unstable();
        for seq in seqs {
            out.write_all(&line(seq)?)?;
            out.write_all(b"\n")?;
        }
        return Ok(out.flush()?);
    }
    for at in stories {
        let begin = Entry::read(&line(at.begin)?).ok_or(ExportProblem::Line(at.begin))?;
        let end = match at.end {
            Some(seq) => Some(Entry::read(&line(seq)?).ok_or(ExportProblem::Line(seq))?),
            None => None,
        };
        let story = Story { begin, end };
        match form {
            Form::Jsonl => {}
            Form::Csv => {
                let mut row = String::new();
                csv::push_row(&mut row, csv::row(&story, source));
                out.write_all(row.as_bytes())?;
            }
            Form::Fhir => fhir::events(&story, source).iter().try_for_each(|event| writeln!(out, "{event}"))?,
            Form::Dicom => dicom::messages(&story, source).iter().try_for_each(|text| writeln!(out, "{text}"))?,
        }
    }
    Ok(out.flush()?)
}

/// What makes a file with proof: the log, its newest checkpoint and the key that signs for it.
#[derive(Debug)]
pub struct Proof<'a> {
    /// The log's directory.
    pub directory: &'a std::path::Path,
    /// The log's signed checkpoint.
    pub checkpoint: &'a str,
    /// The key that signs the seal.
    pub signer: &'a LogSigner,
    /// A checkpoint that whoever asks has kept.
    pub kept: Option<&'a str>,
}

/// Writes stories as a file that proves itself. Lines after the checkpoint are left out, and with them stories that
/// begin there.
///
/// # Errors
/// [`ExportProblem`]; nothing of what was written is worth anything then.
pub fn write_with_proof(
    stories: &[StoryAt],
    order: &Order,
    source: &Source,
    proof: &Proof<'_>,
    mut lines: impl Lines + Clone,
    out: impl Write,
) -> Result<Header, ExportProblem> {
    let key = proof.signer.key();
    let signed = key.checkpoint(proof.checkpoint).ok_or(ExportProblem::OtherKey)?;
    let mut prover = Prover::new(proof.directory, lines.clone());
    let kept = match proof.kept {
        Some(note) => vec![kept(note, &key, signed.size, &mut prover)?],
        None => Vec::new(),
    };
    let stories = covered(stories, signed.size);
    let seqs = seqs_of(&stories, order.recorded.filter(|seq| *seq < signed.size));
    let header = header(order, source, proof.checkpoint, (&stories, &seqs), kept);
    let mut out = Digested { out, digest: Digest::new() };
    write_json(&mut out, &header)?;
    let mut body = Body { out: &mut out, prover: &mut prover, frontier: Frontier::default() };
    let mut to_render = Rendering::new(&stories, order.form);
    for seq in seqs.iter() {
        body.nodes(seq)?;
        let line = lines(seq)?.ok_or(ExportProblem::Line(seq))?;
        body.record(seq, &line)?;
        if let Some(rendered) = to_render.line(seq, &line, source)? {
            write_json(&mut body.out, &rendered)?;
        }
    }
    body.nodes(signed.size)?;
    if body.frontier.root() != signed.root {
        return Err(ExportProblem::NotAsSigned);
    }
    let text = seal_text(&header, signed.size, signed.root, out.digest.so_far());
    let seal = proof.signer.sign(&text).ok_or(ExportProblem::OtherKey)?;
    write_json(&mut out, &json!({ "seal": seal }))?;
    out.flush()?;
    Ok(header)
}

/// What the seal signs.
pub(crate) fn seal_text(header: &Header, size: u64, root: [u8; 32], digest: [u8; 32]) -> String {
    let (root, digest) = (BASE64.encode(root), BASE64.encode(digest));
    format!("{SEAL}\n{}\n{size}\n{root}\n{}\n{digest}\n", header.origin, header.records)
}

fn kept(note: &str, key: &LogKey, size: u64, prover: &mut Prover<impl Lines>) -> Result<Kept, ExportProblem> {
    let kept = key.checkpoint(note).ok_or_else(|| {
        ExportProblem::Kept("the checkpoint that was kept was not signed by this log's key".to_owned())
    })?;
    if kept.size > size {
        let problem = format!("the checkpoint that was kept covers {} lines, this log has {size}", kept.size);
        return Err(ExportProblem::Kept(problem));
    }
    let path = prover.consistency(kept.size, size)?;
    Ok(Kept { size: kept.size, consistency: path.iter().map(|hash| BASE64.encode(hash)).collect() })
}

/// The stories, without what no checkpoint covers.
fn covered(stories: &[StoryAt], size: u64) -> Vec<StoryAt> {
    let begun = stories.iter().filter(|story| story.begin < size);
    begun.map(|story| StoryAt { end: story.end.filter(|end| *end < size), ..*story }).collect()
}

fn seqs_of(stories: &[StoryAt], recorded: Option<u64>) -> Seqs {
    let lines = stories.iter().flat_map(|story| [Some(story.begin), story.end]).flatten();
    let mut all: Vec<u64> = lines.chain(recorded).collect();
    all.sort_unstable();
    all.dedup();
    let mut seqs = Seqs::default();
    for seq in all {
        // They are ascending.
        let _added = seqs.push(seq);
    }
    seqs
}

fn header(
    order: &Order,
    source: &Source,
    checkpoint: &str,
    (stories, seqs): (&[StoryAt], &Seqs),
    kept: Vec<Kept>,
) -> Header {
    Header {
        sekimori_export: 1,
        origin: source.node.clone(),
        facility: source.facility.clone(),
        facility_code: source.facility_code.clone(),
        domain: source.domain.clone(),
        offset: source.offset.to_string(),
        roles: source.roles.clone(),
        apps: source.apps.clone(),
        exported_at: source.moment(order.at),
        exported_by: order.by.clone(),
        question: order.question.clone(),
        form: order.form,
        stories: stories.len() as u64,
        records: seqs.count(),
        seqs: seqs.to_string(),
        recorded: order.recorded,
        damaged: order.damaged,
        checkpoint: checkpoint.to_owned(),
        kept,
    }
}

/// The log from its first line on.
struct Body<'a, W, L> {
    out: &'a mut W,
    prover: &'a mut Prover<L>,
    frontier: Frontier,
}

impl<W: Write, L: Lines> Body<'_, W, L> {
    /// The hashes of the lines before this one.
    fn nodes(&mut self, end: u64) -> Result<(), ExportProblem> {
        for part in Subtree::of(self.frontier.size()..end) {
            let hash = self.prover.subtree(part)?;
            let node = json!({ "node": part.first, "level": part.level, "hash": BASE64.encode(hash) });
            write_json(&mut *self.out, &node)?;
            self.add(part, hash)?;
        }
        Ok(())
    }

    /// A line as it was written, and its hash before it.
    fn record(&mut self, seq: u64, line: &[u8]) -> Result<(), ExportProblem> {
        let hash = line_hash(line);
        write_json(&mut *self.out, &json!({ "record": seq, "hash": BASE64.encode(hash) }))?;
        self.out.write_all(line)?;
        self.out.write_all(b"\n")?;
        self.add(Subtree::line(seq), hash)
    }

    fn add(&mut self, part: Subtree, hash: [u8; 32]) -> Result<(), ExportProblem> {
        if self.frontier.push(part, hash) { Ok(()) } else { Err(ExportProblem::NotAsSigned) }
    }
}

/// Renders each story once its last line has gone by.
struct Rendering {
    form: Form,
    /// By the number of the story's last line: the number of its first.
    awaited: HashMap<u64, StoryAt>,
    /// First lines of stories that go on.
    begun: HashMap<u64, Entry>,
}

impl Rendering {
    fn new(stories: &[StoryAt], form: Form) -> Self {
        let awaited = match form {
            Form::Jsonl => HashMap::new(),
            Form::Csv | Form::Fhir | Form::Dicom => {
                stories.iter().map(|story| (story.end.unwrap_or(story.begin), *story)).collect()
            }
        };
        Self { form, awaited, begun: HashMap::new() }
    }

    fn line(&mut self, seq: u64, line: &[u8], source: &Source) -> Result<Option<Value>, ExportProblem> {
        if self.form == Form::Jsonl {
            return Ok(None);
        }
        let entry = Entry::read(line).ok_or(ExportProblem::Line(seq))?;
        let Some(at) = self.awaited.remove(&seq) else {
            if entry.kind == EntryKind::Open {
                self.begun.insert(seq, entry);
            }
            return Ok(None);
        };
        let story = match self.begun.remove(&at.begin) {
            Some(begin) => Story { begin, end: Some(entry) },
            None => Story::of(entry),
        };
        Ok(Some(rendered(&story, at, self.form, source)))
    }
}

/// A story in a form, as a line of the file.
pub(crate) fn rendered(story: &Story, at: StoryAt, form: Form, source: &Source) -> Value {
    let of: Vec<u64> = [Some(at.begin), at.end].into_iter().flatten().collect();
    match form {
        Form::Jsonl => json!({ "of": of }),
        Form::Csv => {
            let mut row = String::new();
            csv::push_row(&mut row, csv::row(story, source));
            json!({ "of": of, "csv": row.trim_end() })
        }
        Form::Fhir => json!({ "of": of, "fhir": fhir::events(story, source) }),
        Form::Dicom => json!({ "of": of, "dicom": dicom::messages(story, source) }),
    }
}

fn write_json(mut out: impl Write, value: &impl Serialize) -> Result<(), ExportProblem> {
    let mut text = serde_json::to_vec(value).map_err(io::Error::other)?;
    text.push(b'\n');
    Ok(out.write_all(&text)?)
}
