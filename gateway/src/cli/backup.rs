//! `sekimori backup`: everything a node must not lose, into a folder that only grows; and looking at what is there.

use std::path::{Path, PathBuf};

use audit::{LogKey, LogSigner, Reader, RecoverySecret};
use backup::{BackupProblem, Checked, Made, Manifest, Order, Place, check, make};
use policy::UtcOffset;
use serde_json::json;
use store::LogUse;

use crate::backups::{Snapshot, VerifiedBackup, recovery_keys, sources};
use crate::cli::{ConfigArg, Format, actor, block_on, open_store, out, table};
use crate::clock;
use crate::failure::Failure;

/// What `backup` takes.
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The folder of backups, made where there is none: on another disk. By default the one that `[backup]` names.
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    /// Where the store is a database: the file of its own dump, made just before.
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
    /// How to write.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What can be done with backups that are there.
#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Reads all of a backup again and compares it with what was signed.
    Verify(VerifyArgs),
    /// Shows the backups of a folder.
    List {
        #[command(flatten)]
        from: From,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// Which folder of backups, and by which key it is believed.
#[derive(clap::Args, Debug)]
pub struct From {
    /// The folder of backups.
    #[arg(long = "from", value_name = "FOLDER")]
    place: PathBuf,
    /// The log's verifier key, kept apart; without it the one beside the backups is used, which proves less.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

impl From {
    /// The folder.
    pub fn place(&self) -> Place {
        Place::at(&self.place)
    }

    /// The key: the one that was given, or the one beside.
    pub fn key(&self) -> Result<LogKey, Failure> {
        match &self.key {
            Some(text) => {
                LogKey::parse(text).ok_or_else(|| Failure::input("the verifier key is not written as `name+id+key`"))
            }
            None => self.place().key_beside().map_err(|problem| failure(&problem)),
        }
    }

    fn key_was_given(&self) -> bool {
        self.key.is_some()
    }
}

#[derive(clap::Args, Debug)]
struct VerifyArgs {
    #[command(flatten)]
    from: From,
    /// Which backup; the newest where none is named.
    #[arg(long, value_name = "NUMBER")]
    backup: Option<u64>,
    /// The file with the secret half of the recovery key: everything sealed is opened too.
    #[arg(long, value_name = "FILE")]
    recovery_key: Option<PathBuf>,
    /// The configuration of the node, where this is it: `doctor` knows from then on which backup was verified.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to write.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    match &args.command {
        None => write(args),
        Some(Command::Verify(args)) => verify(args),
        Some(Command::List { from, format }) => list(from, *format),
    }
}

/// A problem, with the exit code that fits it.
pub fn failure(problem: &BackupProblem) -> Failure {
    match problem {
        BackupProblem::Disk { .. } | BackupProblem::Log(_) => Failure::unavailable(problem.to_string()),
        BackupProblem::Damaged { .. } | BackupProblem::Newer { .. } | BackupProblem::Refused(_) => {
            Failure::no(problem.to_string())
        }
    }
}

fn write(args: &Args) -> Result<(), Failure> {
    let config = args.config.read()?;
    let folder = args.to.clone().or_else(|| config.backup.folder.clone());
    let folder =
        folder.ok_or_else(|| Failure::input("name the folder of backups with `--to`, or `folder` below `[backup]`"))?;
    let (place, recovery) = (Place::at(&folder), recovery_keys(&config)?);
    let (at, actor) = (clock::now(), actor());
    let unavailable = |problem: audit::LogProblem| Failure::unavailable(problem.to_string());
    let signer = LogSigner::open(&config.state_dir, &config.audit.origin).map_err(unavailable)?;
    let log: Reader = (&config.audit).into();
    // The log is handed over with the rest: told first, so that it is recorded whatever becomes of it.
    let lines = log.size().map_err(unavailable)?;
    let told = LogUse { what: "backup".to_owned(), question: format!("to {}", folder.display()), count: lines };
    block_on(async {
        let store = open_store(&config)?;
        let told = store.tell_log_use(told, at, actor).await;
        told.map_err(|problem| Failure::unavailable(problem.to_string()))
    })?;
    // The store before the log: no record is missing of what it holds.
    let snapshot = Snapshot::take(&config, args.dump.as_deref(), at)?;
    let sources = sources(args.config.path(), &config, &snapshot)?;
    let order = Order {
        place: &place,
        recovery: &recovery,
        signer: &signer,
        log: &log,
        at,
        program: env!("CARGO_PKG_VERSION"),
    };
    let made = make(&sources, &order).map_err(|problem| failure(&problem))?;
    out::say(&match args.format {
        Format::Json => {
            let mut told = described(&made.manifest);
            if let Some(told) = told.as_object_mut() {
                told.insert("written".to_owned(), made.written.into());
                told.insert("unread".to_owned(), made.unread.into());
            }
            told.to_string()
        }
        Format::Text => made_text(&made, &folder),
    });
    Ok(())
}

fn made_text(made: &Made, folder: &Path) -> String {
    let manifest = &made.manifest;
    let begun = manifest.dump_begun_at.as_ref();
    let begun = begun.map(|at| format!("\nthe store is as it was at {at}, when `pg_dump` began")).unwrap_or_default();
    format!(
        "backup {} in {}: {} files, {} bytes, the log up to line {}; {} bytes were written{begun}\n\
         next: sekimori backup verify --from {1}, and a copy that cannot be reached from the network",
        manifest.number,
        folder.display(),
        manifest.files,
        manifest.bytes,
        manifest.lines,
        made.written,
    )
}

fn described(manifest: &Manifest) -> serde_json::Value {
    json!({
        "number": manifest.number,
        "at": manifest.at,
        "program": manifest.program,
        "store_schema": manifest.store_schema,
        "dumped_at": manifest.dumped_at,
        "dump_begun_at": manifest.dump_begun_at,
        "origin": manifest.origin,
        "lines": manifest.lines,
        "files": manifest.files,
        "bytes": manifest.bytes,
        "checkpoint": manifest.checkpoint,
        "recovery_keys": manifest.recovery,
    })
}

/// Prints every problem; the failure says how many.
pub fn tell_all(problems: &[BackupProblem]) -> Failure {
    match problems {
        [one] => failure(one),
        [] | [_, _, ..] => {
            problems.iter().for_each(|problem| out::complain(&problem.to_string()));
            Failure::no(format!("the backup is not whole: {} findings", problems.len()))
        }
    }
}

fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let (place, key) = (args.from.place(), args.from.key()?);
    let unavailable = |problem: audit::LogProblem| Failure::unavailable(problem.to_string());
    let secret = args.recovery_key.as_deref().map(RecoverySecret::read).transpose().map_err(unavailable)?;
    let checked = check(&place, args.backup, &key, secret.as_ref()).map_err(|problems| tell_all(&problems))?;
    if let Some(config) = &args.config {
        note_verified(config, &place, &key, &checked)?;
    }
    let manifest = &checked.manifest;
    out::say(&match args.format {
        Format::Json => {
            let mut told = described(manifest);
            if let Some(told) = told.as_object_mut() {
                told.insert("good".to_owned(), true.into());
                told.insert("opened".to_owned(), checked.opened.into());
                told.insert("key_was_given".to_owned(), args.from.key_was_given().into());
            }
            told.to_string()
        }
        Format::Text => format!(
            "good: backup {} of {}, {} files in {} pieces, the log up to line {}\n{}\nkey  {key}{}",
            manifest.number,
            manifest.at,
            manifest.files,
            checked.pieces,
            manifest.lines,
            if checked.opened {
                "everything in it was opened with the recovery key"
            } else {
                "what is sealed was not opened; `--recovery-key FILE` does"
            },
            if args.from.key_was_given() {
                ""
            } else {
                " (found beside the backups; give the one you keep apart with --key)"
            },
        ),
    });
    Ok(())
}

/// Keeps on the node which of its backups was verified.
fn note_verified(config: &Path, place: &Place, key: &LogKey, checked: &Checked) -> Result<(), Failure> {
    let config = config::read(config).map_err(|problems| Failure::input(problems.to_string()))?;
    if config.audit.origin != key.origin() {
        return Err(Failure::no(format!("this backup is of `{}`, not of `{}`", key.origin(), config.audit.origin)));
    }
    // Whoever can write into the folder can put another key beside the backups; the node has its own.
    let own = LogSigner::open(&config.state_dir, &config.audit.origin);
    if own.map_err(|problem| Failure::unavailable(problem.to_string()))?.key() != *key {
        let what = format!(
            "the key `{key}` is not the key of the log of this node; somebody may have written these backups anew"
        );
        return Err(Failure::no(what));
    }
    let folder = std::path::absolute(place.folder()).unwrap_or_else(|_| place.folder().to_owned());
    let verified = VerifiedBackup {
        number: checked.manifest.number,
        place: folder.display().to_string(),
        made_at: checked.manifest.at.clone(),
        verified_at: clock::now().rfc3339(UtcOffset::UTC),
        opened: checked.opened,
    };
    block_on(async { verified.keep(&*open_store(&config)?).await })
}

fn list(from: &From, format: Format) -> Result<(), Failure> {
    let (place, key) = (from.place(), from.key()?);
    let mut rows = Vec::new();
    for number in place.numbers().map_err(|problem| failure(&problem))? {
        let read = place.manifest(number, &key);
        match format {
            Format::Json => out::say(&match &read {
                Ok(manifest) => described(manifest).to_string(),
                Err(problem) => json!({ "number": number, "problem": problem.to_string() }).to_string(),
            }),
            Format::Text => rows.push(match &read {
                Ok(one) => {
                    vec![
                        number.to_string(),
                        one.at.clone(),
                        one.files.to_string(),
                        one.bytes.to_string(),
                        one.lines.to_string(),
                    ]
                }
                Err(problem) => vec![number.to_string(), problem.to_string()],
            }),
        }
    }
    if format == Format::Text {
        out::say(&table(&["BACKUP", "MADE", "FILES", "BYTES", "LINES"], &rows));
    }
    Ok(())
}
