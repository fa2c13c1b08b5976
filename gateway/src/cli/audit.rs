//! `sekimori audit`: reading and checking the access log, also a copy of it on another machine.

mod check_export;
mod coverage;
mod export;
mod feed;
mod find;
mod go_on;
mod index;
mod kept;
mod key;
mod patient;
mod peers;
mod select;

use std::path::PathBuf;

use serde_json::json;

use crate::cli::{ConfigArg, Format, out};
use crate::failure::Failure;

/// What can be done with the log.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Shows the last lines.
    Tail {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        peers: peers::Peers,
        /// How many.
        #[arg(short, long, default_value_t = 20)]
        lines: usize,
    },
    /// Checks every line against the signed tree, offline; and the logs of several nodes against each other.
    Verify {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        peers: peers::Peers,
        /// The verifier key, kept apart from the log; without it the key beside the log is used, which proves less.
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// A checkpoint of this log that somebody kept: a witness, a peer, a backup, a print. Shows lines that are missing.
        #[arg(long = "checkpoint", value_name = "FILE")]
        checkpoints: Vec<PathBuf>,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Hands the log over: as it was written, or as CSV, FHIR or DICOM; alone, or as a file that proves itself.
    Export(export::Args),
    /// Checks a file that `export --proof` wrote, with nothing but the file and the log's key.
    CheckExport(check_export::Args),
    /// Counts by route how many accesses the record names a patient of, so that holes show.
    Coverage(coverage::Args),
    /// Finds who did what, to whom, from where; or counts.
    Find(Box<find::Args>),
    /// The search index.
    #[command(subcommand)]
    Index(index::Command),
    /// Receivers that the log is told to.
    #[command(subcommand)]
    Feed(feed::Command),
    /// The keys that encrypt the log at rest.
    #[command(subcommand)]
    Key(key::Command),
    /// Goes on with a log of which signed lines are missing; it says so itself. The gateway must not run.
    GoOn(go_on::Args),
}

/// Where the log is.
#[derive(clap::Args, Debug)]
pub struct Place {
    /// The log's directory, such as a copy; by default the one that the configuration names.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The key ring that opens encrypted segments of a copy; by default the one that the configuration names.
    #[arg(long, value_name = "FILE", requires = "dir")]
    keys: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
}

impl Place {
    /// Whether it is the log that this machine's gateway writes, and no copy.
    fn is_of_this_node(&self) -> bool {
        self.dir.is_none()
    }

    fn directory(&self) -> Result<PathBuf, Failure> {
        match &self.dir {
            Some(dir) => Ok(dir.clone()),
            None => Ok(self.config.read()?.audit.directory),
        }
    }

    /// The key ring that opens it, where one is named.
    fn ring(&self) -> Result<Option<PathBuf>, Failure> {
        match &self.dir {
            Some(_) => Ok(self.keys.clone()),
            None => Ok(self.config.read()?.audit.encryption.map(|encryption| encryption.ring)),
        }
    }

    /// The log, with the keys that open it.
    fn reader(&self) -> Result<audit::Reader, Failure> {
        let keys = self.ring()?.map_or_else(audit::Keys::none, |ring| audit::Keys::ring(&ring));
        audit::Reader::open(&self.directory()?, keys).map_err(|problem| Failure::unavailable(problem.to_string()))
    }
}

/// Runs the command.
pub fn run(command: &Command) -> Result<(), Failure> {
    let unavailable = |problem: audit::LogProblem| Failure::unavailable(problem.to_string());
    match command {
        Command::Tail { place, peers, lines } if !peers.is_empty() => {
            let logs = peers.readers(place)?;
            let names: Vec<String> = logs.iter().map(peers::name_of).collect();
            for told in peers::tail(&logs, *lines)? {
                let name = names.get(told.log).map_or("", String::as_str);
                out::say(&format!("{name} {}", String::from_utf8_lossy(&told.text)));
            }
            Ok(())
        }
        Command::Tail { place, lines, peers: _ } => {
            for line in audit::tail(place.reader()?, *lines).map_err(unavailable)? {
                out::say(&line);
            }
            Ok(())
        }
        Command::Export(args) => export::run(args),
        Command::CheckExport(args) => check_export::run(args),
        Command::Coverage(args) => coverage::run(args),
        Command::Find(args) => find::run(args),
        Command::Index(command) => index::run(command),
        Command::Feed(command) => feed::run(command),
        Command::Key(command) => key::run(command),
        Command::GoOn(args) => go_on::run(args),
        Command::Verify { place, peers, key, checkpoints, format } => {
            let log = place.reader()?;
            verify(&log, key.as_deref(), *format)?;
            kept::hold(&log, key.as_deref(), checkpoints)?;
            if peers.is_empty() {
                return Ok(());
            }
            let logs = peers.readers(place)?;
            for log in logs.iter().skip(1) {
                verify(log, None, *format)?;
            }
            cross(&logs, *format)
        }
    }
}

/// What is said of lines that were deleted by age.
fn passed_over(lines: u64) -> String {
    match lines {
        0 => String::new(),
        _ => {
            format!(
                "the first {lines} lines were deleted by age, as the log records; passed over by their kept hashes\n"
            )
        }
    }
}

/// What is said of deletions that nobody vouches for.
fn without_effect(lines: u64) -> String {
    match lines {
        0 => String::new(),
        _ => format!(
            "{lines} lines say that segments were to be deleted, or that such a line is void, but were found unsigned at \
             a start: a crash left them, or somebody else wrote them; they count for nothing (see deletion-void)\n"
        ),
    }
}

/// What is said of recordings of terminals.
fn recorded(recordings: u64) -> String {
    match recordings {
        0 => String::new(),
        _ => format!("{recordings} recordings of terminals are as the log says\n"),
    }
}

/// Checks what the logs of several nodes say of each other.
fn cross(logs: &[audit::Reader], format: Format) -> Result<(), Failure> {
    match audit::cross_check(logs) {
        Ok(crossed) => {
            let named: Vec<String> = logs.iter().map(peers::name_of).collect();
            let vouched = |name: &String| crossed.vouched.get(name).copied().unwrap_or(0);
            match format {
                Format::Json => out::say(
                    &json!({
                        "good": true,
                        "cross": {
                            "checkpoints": crossed.checkpoints,
                            "passed_over": crossed.passed_over,
                            "vouched": named.iter().map(|name| json!({ "log": name, "lines": vouched(name) })).collect::<Vec<_>>(),
                        },
                    })
                    .to_string(),
                ),
                Format::Text => {
                    out::say(&format!("good: the logs are what the others saw, in {} checkpoints", crossed.checkpoints));
                    for name in &named {
                        out::say(&format!("{} lines of {name} are vouched for by another node", vouched(name)));
                    }
                }
            }
            Ok(())
        }
        Err(findings) => tell(&findings, format, "the logs do not fit each other"),
    }
}

fn verify(log: &audit::Reader, key: Option<&str>, format: Format) -> Result<(), Failure> {
    match audit::verify(log, key) {
        Ok(good) => {
            out::say(&match format {
                Format::Json => json!({
                    "good": true,
                    "origin": good.origin,
                    "lines": good.lines,
                    "lines_signed": good.lines_signed,
                    "checkpoints": good.checkpoints,
                    "segments": good.segments,
                    "segments_archived": good.segments_archived,
                    "lines_deleted": good.lines_deleted,
                    "deletions_void": good.deletions_void,
                    "recordings": good.recordings,
                    "root": good.root,
                    "public_key": good.public_key,
                    "key_was_given": good.key_was_given,
                })
                .to_string(),
                Format::Text => format!(
                    "good: {} lines of {} in {} segments, {} of them signed by {} checkpoints\n{}{}{}root {}\nkey  {}{}",
                    good.lines,
                    good.origin,
                    good.segments,
                    good.lines_signed,
                    good.checkpoints,
                    passed_over(good.lines_deleted),
                    without_effect(good.deletions_void),
                    recorded(good.recordings),
                    good.root,
                    good.public_key,
                    if good.key_was_given {
                        ""
                    } else {
                        " (found beside the log; give the one you keep apart with --key)"
                    },
                ),
            });
            Ok(())
        }
        Err(findings) => tell(&findings, format, "the log is not as it was signed"),
    }
}

/// Says what was found.
fn tell(findings: &[audit::Finding], format: Format, what: &str) -> Result<(), Failure> {
    for finding in findings {
        match format {
            Format::Json => out::say(
                &json!({
                    "good": false,
                    "file": finding.file.display().to_string(),
                    "line": finding.line,
                    "bytes": finding.bytes.as_ref().map(|bytes| [bytes.start, bytes.end]),
                    "what": finding.what,
                })
                .to_string(),
            ),
            Format::Text => out::say(&finding.to_string()),
        }
    }
    Err(Failure::no(format!("{what}: {} findings", findings.len())))
}
