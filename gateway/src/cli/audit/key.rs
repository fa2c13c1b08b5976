//! `sekimori audit key`: the keys that encrypt the log at rest. Whatever was done with them is told to the gateway, which
//! records it (`log-key-changed`); what was not done is not told, and nothing is done while nobody can be told.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use audit::{KeyRing, Keys, RecoveryKey, RecoverySecret};
use config::{AuditEncryption, Config};
use serde_json::json;
use store::{LogUse, Store, StoreProblem};

use crate::cli::audit::Place;
use crate::cli::{ConfigArg, Format, actor, block_on, open_store, out, table};
use crate::clock;
use crate::failure::Failure;
use crate::key_deed::KeyDeed;

/// What can be done with the keys.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Shows the keys of the ring, and how many segments need each.
    List {
        #[command(flatten)]
        config: ConfigArg,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Adds a key: segments that are archived from now on are encrypted under it. The gateway need not be stopped.
    Rotate {
        #[command(flatten)]
        config: ConfigArg,
        /// Also does what `rewrap` does.
        #[arg(long)]
        rewrap: bool,
    },
    /// Wraps the keys of all encrypted segments under the newest key, and for the recovery key where one is configured.
    /// The segments themselves are not touched.
    Rewrap(ConfigArg),
    /// Removes a key of the ring that no segment needs any more.
    Drop {
        /// Its id, as `list` shows it.
        id: String,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Makes a recovery key: the secret half goes to a file to be kept offline, the other half is printed for the
    /// configuration.
    Escrow {
        /// The file for the secret half. Carry it away, and keep no copy on this machine.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        config: ConfigArg,
        /// On another machine, which has no log to record it in.
        #[arg(long)]
        elsewhere: bool,
    },
    /// After the key ring was lost: opens the key of every encrypted segment with the recovery key, and wraps it under
    /// the newest key of a ring, which is made where there is none.
    Recover {
        /// The file that `escrow` wrote.
        #[arg(long, value_name = "FILE")]
        recovery_key: PathBuf,
        #[command(flatten)]
        place: Place,
    },
}

/// Runs the command.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::List { config, format } => list(config, *format),
        Command::Rotate { config, rewrap: also_older } => rotate(config, *also_older),
        Command::Rewrap(config) => rewrap(config),
        Command::Drop { id, config } => drop_key(id, config),
        Command::Escrow { out, config, elsewhere } => escrow(out, (!elsewhere).then_some(config)),
        Command::Recover { recovery_key, place } => recover(recovery_key, place),
    }
}

fn unavailable(problem: audit::LogProblem) -> Failure {
    Failure::unavailable(problem.to_string())
}

/// Where is told what was done with keys: opened before anything is done.
struct Teller(Arc<dyn Store>);

impl Teller {
    fn open(config: &Config) -> Result<Self, Failure> {
        let store = open_store(config)?;
        // A store that answers takes what it is told, too.
        let look = block_on(async { store.events_after(u64::MAX / 4, 1).await.map_err(silent) });
        look.map(|_| Self(store))
    }

    /// Tells what was done: with which key, and how many segments need it.
    fn tell(&self, deed: KeyDeed, which: &str, segments: u64) -> Result<(), Failure> {
        let used = LogUse { what: deed.code(), question: which.to_owned(), count: segments };
        block_on(async { self.0.tell_log_use(used, clock::now(), actor()).await.map_err(silent) })
    }

    /// The same of what cannot be taken back.
    fn tell_done(&self, deed: KeyDeed, which: &str, segments: u64) -> Result<(), Failure> {
        let lost =
            |_: &Failure| out::complain("it was done, and the gateway could not be told: write it down yourself");
        self.tell(deed, which, segments).inspect_err(lost)
    }
}

fn silent(problem: StoreProblem) -> Failure {
    Failure::unavailable(problem.to_string())
}

/// How many segments are encrypted.
fn segments(directory: &Path) -> Result<u64, Failure> {
    Ok(audit::key_use(directory).map_err(unavailable)?.values().sum())
}

/// The configuration with its encryption, which must be there.
fn encrypted(config: &ConfigArg) -> Result<(Config, AuditEncryption), Failure> {
    let config = config.read()?;
    match config.audit.encryption.clone() {
        Some(encryption) => Ok((config, encryption)),
        None => Err(Failure::input(
            "the log is not encrypted; write `[audit.encryption]` with `ring = \"/var/lib/sekimori/secrets/audit-ring\"`",
        )),
    }
}

fn list(config: &ConfigArg, format: Format) -> Result<(), Failure> {
    let (config, encryption) = encrypted(config)?;
    let ring = KeyRing::read(&encryption.ring).map_err(unavailable)?;
    let needed = audit::key_use(&config.audit.directory).map_err(unavailable)?;
    let segments = |id: &str| needed.get(id).copied().unwrap_or(0);
    match format {
        Format::Json => ring.keys().for_each(|(id, made)| {
            out::say(&json!({ "id": id, "made": made, "segments": segments(id) }).to_string());
        }),
        Format::Text => {
            let rows: Vec<Vec<String>> =
                ring.keys().map(|(id, made)| vec![id.to_owned(), made.to_owned(), segments(id).to_string()]).collect();
            out::say(&table(&["KEY", "MADE", "SEGMENTS"], &rows));
        }
    }
    let lost: Vec<&str> =
        needed.keys().map(String::as_str).filter(|id| ring.keys().all(|(known, _)| known != *id)).collect();
    if lost.is_empty() {
        return Ok(());
    }
    Err(Failure::no(format!("segments need keys that the ring does not have: {}", lost.join(", "))))
}

fn rotate(place: &ConfigArg, also_older: bool) -> Result<(), Failure> {
    let (config, encryption) = encrypted(place)?;
    let needed = segments(&config.audit.directory)?;
    let teller = Teller::open(&config)?;
    let (id, how) = if !encryption.ring.exists() && needed == 0 {
        let ring = KeyRing::make(&encryption.ring, clock::now()).map_err(unavailable)?;
        (newest(&ring), "the ring is made".to_owned())
    } else {
        let mut ring = KeyRing::read(&encryption.ring).map_err(unavailable)?;
        let how = format!("a key follows {}", newest(&ring));
        (ring.add(clock::now()).map_err(unavailable)?, how)
    };
    teller.tell_done(KeyDeed::Rotate, &how, needed)?;
    out::say(&format!("key {id} encrypts from now on; back up {}", encryption.ring.display()));
    if also_older {
        return rewrap(place);
    }
    Ok(())
}

fn newest(ring: &KeyRing) -> String {
    ring.keys().last().map(|(id, _)| id.to_owned()).unwrap_or_default()
}

fn rewrap(config: &ConfigArg) -> Result<(), Failure> {
    let (config, encryption) = encrypted(config)?;
    let recovery = encryption.recovery_key.as_deref().and_then(RecoveryKey::parse);
    let directory = &config.audit.directory;
    let under = newest(&KeyRing::read(&encryption.ring).map_err(unavailable)?);
    let and_for = recovery.as_ref().map(|key| format!(", and for {key}")).unwrap_or_default();
    let (teller, needed) = (Teller::open(&config)?, segments(directory)?);
    let changed = audit::rewrap(directory, &Keys::ring(&encryption.ring), recovery.as_ref());
    // Where it broke off, some are wrapped anew already.
    let how_far = if changed.is_ok() { "" } else { ", broken off" };
    teller.tell_done(KeyDeed::Rewrap, &format!("under {under}{and_for}{how_far}"), needed)?;
    let changed = changed.map_err(unavailable)?;
    out::say(&format!("the keys of {changed} segments were wrapped anew"));
    Ok(())
}

fn drop_key(id: &str, config: &ConfigArg) -> Result<(), Failure> {
    let (config, encryption) = encrypted(config)?;
    let directory = &config.audit.directory;
    let segments = audit::key_use(directory).map_err(unavailable)?.get(id).copied().unwrap_or(0);
    if segments > 0 {
        return Err(Failure::no(format!(
            "{segments} segments need the key {id}; run `sekimori audit key rewrap` first"
        )));
    }
    let mut ring = KeyRing::read(&encryption.ring).map_err(unavailable)?;
    let teller = Teller::open(&config)?;
    ring.remove(id, directory).map_err(unavailable)?;
    teller.tell_done(KeyDeed::Drop, id, segments)?;
    out::say(&format!("key {id} is no longer in the ring; copies of the log from before may still need it"));
    Ok(())
}

fn escrow(file: &Path, place: Option<&ConfigArg>) -> Result<(), Failure> {
    let config = place.map(ConfigArg::read).transpose()?;
    let teller = config.as_ref().map(Teller::open).transpose()?;
    let secret = RecoverySecret::make(file).map_err(unavailable)?;
    if let Some(teller) = &teller {
        // Nothing is encrypted to it before its other half is printed.
        let told = teller.tell(KeyDeed::Escrow, &secret.public().to_string(), 0);
        told.inspect_err(|_| drop(std::fs::remove_file(file)))?;
    }
    out::say(&format!("recovery_key = \"{}\"", secret.public()));
    out::complain(&format!(
        "write this line below [audit.encryption], run `sekimori audit key rewrap`, and carry {} away",
        file.display()
    ));
    Ok(())
}

fn recover(recovery_key: &Path, place: &Place) -> Result<(), Failure> {
    let secret = RecoverySecret::read(recovery_key).map_err(unavailable)?;
    let directory = place.directory()?;
    let ring = place.ring()?.ok_or_else(|| Failure::input("name the key ring to be made with `--keys`"))?;
    let config = place.is_of_this_node().then(|| place.config.read()).transpose()?;
    let (teller, needed) = (config.as_ref().map(Teller::open).transpose()?, segments(&directory)?);
    if !ring.exists() {
        KeyRing::make(&ring, clock::now()).map_err(unavailable)?;
    }
    let recovered = audit::recover(&directory, &secret, &Keys::ring(&ring)).map_err(unavailable)?;
    if let Some(teller) = &teller {
        teller.tell_done(KeyDeed::Recover, &format!("by {}", secret.public()), needed)?;
    }
    out::say(&format!("{} segments open with {}", recovered.segments, ring.display()));
    for closed in &recovered.closed {
        out::say(&format!("{}: its key was never encrypted to this recovery key", closed.display()));
    }
    if recovered.closed.is_empty() {
        return Ok(());
    }
    Err(Failure::no(format!("{} segments stay closed", recovered.closed.len())))
}
