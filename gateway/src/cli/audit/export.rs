//! `sekimori audit export`: the log handed over, in a form that others read, alone or as a file that proves itself. Who
//! asked, for what, and how much it was is recorded first.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use audit::{Entry, EntryKind, Event, LogKey, LogProblem, LogSigner, Reader};
use config::Config;
use evidence::Source;
use evidence::export::{ExportProblem, Form, Order, Proof, write_plain, write_with_proof};
use policy::{Timestamp, UtcOffset};
use store::LogUse;

use super::Place;
use super::patient::as_in_the_log;
use super::peers::{self, Peers};
use super::select::{STANDSTILLS_MAX, Selected, Wanted, select};
use crate::cli::{actor, block_on, open_store, out, policy as moments, span};
use crate::clock;
use crate::failure::Failure;

/// How long to wait for the gateway to record the export and to sign that.
const RECORDED_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The longest checkpoint that is read, in bytes.
const CHECKPOINT_BYTES_MAX: u64 = 64 * 1024;

/// What to hand over, and how.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    peers: Peers,
    /// The form: lines as they were written, a table, FHIR R4 AuditEvents, or DICOM audit messages.
    #[arg(long, value_enum, default_value_t)]
    format: ExportForm,
    /// Writes a file that proves itself: the lines with proofs that they stand in the signed log, and a seal.
    #[arg(long)]
    proof: bool,
    /// A checkpoint of this log that somebody kept; the file then proves that the log goes on from it.
    #[arg(long, value_name = "FILE", requires = "proof")]
    since_checkpoint: Option<PathBuf>,
    /// From when on: a date, a moment, or a span back from now such as `30d`.
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Until when: a date, a moment, or a span back from now.
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Only what was about this patient.
    #[arg(long, value_name = "NUMBER")]
    patient: Option<String>,
    /// Only what this person did: their sign-in name or id.
    #[arg(long, value_name = "NAME")]
    person: Option<String>,
    /// Only what was done on this device.
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Only what was done in this app.
    #[arg(long, value_name = "APP")]
    app: Option<String>,
    /// The file to write, for its owner alone; standard output where left out.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The form of an export.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
enum ExportForm {
    /// The log's lines as they were written.
    #[default]
    Jsonl,
    /// A table for spreadsheets.
    Csv,
    /// FHIR R4 AuditEvents, one a line.
    Fhir,
    /// DICOM audit messages, one a line.
    Dicom,
}

impl ExportForm {
    fn form(self) -> Form {
        match self {
            Self::Jsonl => Form::Jsonl,
            Self::Csv => Form::Csv,
            Self::Fhir => Form::Fhir,
            Self::Dicom => Form::Dicom,
        }
    }
}

/// Hands the log over.
pub fn run(args: &Args) -> Result<(), Failure> {
    let now = clock::now();
    let needs_config = args.place.is_of_this_node() || args.proof || args.format != ExportForm::Jsonl;
    let config = if needs_config { Some(args.place.config.read()?) } else { None };
    let offset = config.as_ref().map_or(UtcOffset::JAPAN, |config| config.offset);
    let wanted = args.wanted(now, offset, config.as_ref())?;
    let log = args.place.reader()?;
    if !args.peers.is_empty() {
        return together(args, config.as_ref(), &wanted, now);
    }
    if wanted.is_everything() && args.format == ExportForm::Jsonl && !args.proof {
        return whole(args, config.as_ref(), &log, now);
    }
    let selected = select(&log, &wanted)?;
    selected.warn();
    let stories = &selected.stories;
    let told = match &config {
        Some(config) if args.place.is_of_this_node() => Some(tell(config, &wanted.words(), stories.len() as u64, now)?),
        Some(_) | None => None,
    };
    match (&config, args.proof) {
        (Some(config), true) => {
            let recorded = told.as_ref().and_then(|actor| await_record(&log, config, actor, now));
            if told.is_some() && recorded.is_none() {
                out::complain("the gateway does not run, so this export is recorded when it starts, not in the file");
            }
            with_proof(args, config, &log, (&selected, &wanted), (now, recorded))
        }
        (config, _) => {
            let source = config.as_ref().map_or_else(nobody, Source::of);
            let lines = |seq| log.line(seq);
            written(args.output.as_deref(), |out| write_plain(stories, args.format.form(), &source, lines, out))
        }
    }
}

/// Hands several logs over together, line by line and by time.
fn together(args: &Args, config: Option<&Config>, wanted: &Wanted, now: Timestamp) -> Result<(), Failure> {
    if args.proof || args.format != ExportForm::Jsonl {
        return Err(Failure::input(
            "several logs are handed over as lines alone; export each log by itself for a proof or another form"
                .to_owned(),
        ));
    }
    let logs = args.peers.readers(&args.place)?;
    let names: Vec<String> = logs.iter().map(peers::name_of).collect();
    if let Some(config) = config.filter(|_| args.place.is_of_this_node()) {
        let sizes = logs.iter().map(|log| log.size().unwrap_or(0)).sum();
        tell(config, &wanted.words(), sizes, now)?;
    }
    // Of each log by itself, as the lines of one access stand in one log.
    let mut chosen = Vec::with_capacity(logs.len());
    let mut damaged = 0;
    for log in &logs {
        let selected = select(log, wanted)?;
        damaged += selected.damaged;
        let seqs = selected.stories.iter().flat_map(|story| [Some(story.begin), story.end]);
        chosen.push(seqs.flatten().collect::<BTreeSet<u64>>());
    }
    written(args.output.as_deref(), |out| {
        peers::merge(
            &logs,
            |log, entry| chosen.get(log).is_some_and(|chosen| chosen.contains(&entry.seq)),
            |told| {
                let name = names.get(told.log).map_or("", String::as_str);
                Ok::<(), ExportProblem>(peers::write(out, name, &told.text)?)
            },
        )
    })?;
    Selected { damaged, ..Selected::default() }.warn();
    Ok(())
}

/// Hands the whole log over as it was written, whatever is in it.
fn whole(args: &Args, config: Option<&Config>, log: &Reader, now: Timestamp) -> Result<(), Failure> {
    if let Some(config) = config.filter(|_| args.place.is_of_this_node()) {
        let lines = log.size().map_err(|problem| Failure::unavailable(problem.to_string()))?;
        tell(config, "", lines, now)?;
    }
    let damaged = written(args.output.as_deref(), |out| every_line(log, out))?;
    Selected { damaged, ..Selected::default() }.warn();
    Ok(())
}

/// Writes every line as it is; gives how many are damaged and left out.
fn every_line(log: &Reader, out: &mut dyn Write) -> Result<u64, ExportProblem> {
    let mut lines = log.from(log.first()?);
    let (mut damaged, mut standstills) = (0, 0);
    loop {
        let place = lines.place();
        match lines.next() {
            Ok(Some(line)) => {
                out.write_all(line.text)?;
                out.write_all(b"\n")?;
            }
            Ok(None) => break,
            Err(problem @ LogProblem::Damaged { .. }) => {
                let passed = lines.place().saturating_sub(place);
                standstills = if passed == 0 { standstills + 1 } else { 0 };
                if standstills > STANDSTILLS_MAX {
                    return Err(problem.into());
                }
                damaged += passed;
            }
            Err(problem) => return Err(problem.into()),
        }
    }
    out.flush()?;
    Ok(damaged)
}

impl Args {
    fn wanted(&self, now: Timestamp, offset: UtcOffset, config: Option<&Config>) -> Result<Wanted, Failure> {
        let when = |text: &Option<String>| text.as_deref().map(|text| moment(text, now, offset)).transpose();
        Ok(Wanted {
            since: when(&self.since)?,
            until: when(&self.until)?,
            patient: as_in_the_log(self.patient.as_deref(), self.app.as_deref(), config)?,
            person: self.person.clone(),
            device: self.device.clone(),
            app: self.app.clone(),
        })
    }
}

/// Whose lines are handed over as they are needs no names.
fn nobody() -> Source {
    Source {
        node: String::new(),
        facility: String::new(),
        facility_code: None,
        domain: String::new(),
        offset: UtcOffset::UTC,
        roles: std::collections::BTreeMap::new(),
        apps: std::collections::BTreeMap::new(),
    }
}

/// Tells the gateway what is handed over, and to whom; nothing is, where that cannot be told.
fn tell(config: &Config, question: &str, count: u64, now: Timestamp) -> Result<String, Failure> {
    let (store, actor) = (open_store(config)?, actor());
    let used = LogUse { what: "export".to_owned(), question: question.to_owned(), count };
    let unavailable = |problem: store::StoreProblem| Failure::unavailable(problem.to_string());
    block_on(async { store.tell_log_use(used, now, actor.clone()).await.map_err(unavailable) })?;
    Ok(actor)
}

/// Waits for the line that records this export, and for a checkpoint over it; nothing where the gateway does not run.
fn await_record(log: &Reader, config: &Config, actor: &str, now: Timestamp) -> Option<u64> {
    let deadline = Instant::now() + RECORDED_WITHIN;
    let key = std::fs::read_to_string(config.audit.directory.join("verifier-key")).ok()?;
    let key = LogKey::parse(&key)?;
    let is_ours = |entry: &Entry| {
        entry.kind == EntryKind::Fact(Event::LogRead) && entry.at == now && entry.actor.as_deref() == Some(actor)
    };
    // It cannot stand before what is there, but for the moment that it took to get here.
    let mut lines = log.from(log.size().ok()?.saturating_sub(10_000));
    let mut found = None;
    while Instant::now() < deadline {
        while let (None, Ok(Some(line))) = (found, lines.next()) {
            found = Entry::read(line.text).filter(is_ours).map(|entry| entry.seq);
        }
        if let Some(seq) = found {
            let note = audit::newest_checkpoint(&config.audit.directory).ok()??;
            if key.checkpoint(&note).is_some_and(|signed| signed.size > seq) {
                return Some(seq);
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
    None
}

fn with_proof(
    args: &Args,
    config: &Config,
    log: &Reader,
    (selected, wanted): (&Selected, &Wanted),
    (now, recorded): (Timestamp, Option<u64>),
) -> Result<(), Failure> {
    let unavailable = |problem: audit::LogProblem| Failure::unavailable(problem.to_string());
    let kept = args.since_checkpoint.as_deref().map(read_checkpoint).transpose()?;
    let checkpoint = audit::newest_checkpoint(log.directory()).map_err(unavailable)?;
    let checkpoint = checkpoint.ok_or_else(|| failure(ExportProblem::NoCheckpoint))?;
    let signer = LogSigner::open(&config.state_dir, &config.audit.origin).map_err(unavailable)?;
    let (form, damaged) = (args.format.form(), selected.damaged);
    let order = Order { form, question: wanted.question(), by: actor(), at: now, recorded, damaged };
    let proof = Proof { directory: log.directory(), checkpoint: &checkpoint, signer: &signer, kept: kept.as_deref() };
    let lines = |seq| log.line(seq);
    let header = written(args.output.as_deref(), |out| {
        write_with_proof(&selected.stories, &order, &Source::of(config), &proof, lines, out)
    })?;
    out::complain(&format!("{} records of {} stories, with proof", header.records, header.stories));
    Ok(())
}

/// Reads a checkpoint that was kept.
///
/// # Errors
/// A file that cannot be read, or holds none: that one is of another log is not said of what is none at all.
pub fn read_checkpoint(file: &Path) -> Result<String, Failure> {
    let in_words = |error: std::io::Error| Failure::input(format!("{}: {error}", file.display()));
    if std::fs::metadata(file).map_err(in_words)?.len() > CHECKPOINT_BYTES_MAX {
        return Err(Failure::input(format!("{}: is too long for a checkpoint", file.display())));
    }
    let note = std::fs::read_to_string(file).map_err(in_words)?.replace("\r\n", "\n");
    if note.trim_start().starts_with('{') {
        let remedy = "take one of a list of backups by `jq -r 'select(.number == 7).checkpoint'`";
        return Err(Failure::input(format!("{}: is JSON, not a checkpoint; {remedy}", file.display())));
    }
    if !note.contains("\n\n— ") {
        let form = "that is three lines, an empty one, and signatures";
        return Err(Failure::input(format!("{}: holds no checkpoint; {form}", file.display())));
    }
    Ok(format!("{}\n", note.trim_end()))
}

/// Writes to standard output, or to a file that is there whole or not at all.
fn written<T>(
    file: Option<&Path>,
    write: impl FnOnce(&mut dyn Write) -> Result<T, ExportProblem>,
) -> Result<T, Failure> {
    let Some(file) = file else {
        return write(&mut BufWriter::new(std::io::stdout().lock())).map_err(failure);
    };
    let in_words = |error: std::io::Error| Failure::unavailable(format!("{}: {error}", file.display()));
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut out = BufWriter::new(fresh(&beside).map_err(in_words)?);
    let done = write(&mut out).map_err(failure)?;
    out.into_inner().map_err(|error| in_words(error.into_error()))?.sync_all().map_err(in_words)?;
    std::fs::rename(&beside, file).map_err(in_words)?;
    Ok(done)
}

/// A file that was not there, for its owner alone: what lies there might be open to others, or lead elsewhere.
fn fresh(file: &Path) -> std::io::Result<File> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)
}

fn failure(problem: ExportProblem) -> Failure {
    match problem {
        ExportProblem::Kept(_) => Failure::no(problem.to_string()),
        ExportProblem::Log(_)
        | ExportProblem::Write(_)
        | ExportProblem::NoCheckpoint
        | ExportProblem::OtherKey
        | ExportProblem::NotAsSigned
        | ExportProblem::Line(_) => Failure::unavailable(problem.to_string()),
    }
}

/// A moment as it is typed: a date, a moment, or a span back from now.
fn moment(text: &str, now: Timestamp, offset: UtcOffset) -> Result<Timestamp, Failure> {
    match span::parse(text) {
        Ok(span) => {
            let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
            Ok(Timestamp::from_unix_micros(now.unix_micros().saturating_sub(micros)))
        }
        Err(_) => moments::moment(text, offset),
    }
}
