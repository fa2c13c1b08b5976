//! What a node consists of, for a backup of it, and what is done with one that is restored before anybody sees it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use audit::{Keys, LogKey, Note, Reader, RecoveryKey};
use backup::{BackupProblem, Kind, Manifest, Sources};
use config::{Config, StoreKind};
use policy::{Clock, Timestamp};
use serde::{Deserialize, Serialize};
use store::Store;

use crate::assembly::{Source, store_file};
use crate::continuity::{Why, restored};
use crate::failure::Failure;
use crate::finding::index_dir;
use crate::reload;

mod dump;

use dump::Dumped;

/// Where the store keeps which backup was verified last.
const VERIFIED: &str = "backup-verified";
/// The view of the store that a backup is made from, while it is made. It ends as what is being written does, so no
/// backup holds it.
const SNAPSHOT: &str = "backup-store.sqlite.new";

/// Who holds this file is the one that makes a backup of this node, wherever to. It is in no backup either.
const TURN: &str = "backup-turn.new";

/// How long is waited for it.
const TURN_PATIENCE: Duration = Duration::from_secs(600);
const TURN_PAUSE: Duration = Duration::from_millis(200);

/// How a dump of a database is called in a backup.
const DUMP: &str = "store.dump";

/// The store as it was at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// Where it lies.
    path: PathBuf,
    /// Where it belongs.
    name: PathBuf,
    /// The version of its tables.
    schema: u32,
    /// When the dump was made, where it is one.
    dumped: Option<Dumped>,
    /// Whether it is to be removed afterwards.
    is_ours: bool,
    /// Keeps others from writing another view over it.
    _turn: File,
}

impl Snapshot {
    /// Takes a view of the store while others write to it. A database gives its own: `dump` is the file of `pg_dump`.
    ///
    /// # Errors
    /// [`Failure`] where the store cannot be read, the view not be written, a dump is needed and not named or is not of
    /// now, or another backup of this node does not end.
    pub fn take(config: &Config, dump: Option<&Path>, at: Timestamp) -> Result<Self, Failure> {
        let turn = turn(&config.state_dir)?;
        match (&config.store.kind, dump) {
            (StoreKind::Sqlite, None) => {
                let (path, name) = (config.state_dir.join(SNAPSHOT), store_file(&config.state_dir));
                let schema = store::snapshot(&name, &path);
                let schema = schema.map_err(|problem| Failure::unavailable(problem.to_string()))?;
                Ok(Self { path, name, schema, dumped: None, is_ours: true, _turn: turn })
            }
            (StoreKind::Postgres(_), Some(dump)) => Ok(Self {
                path: dump.to_owned(),
                name: config.state_dir.join(DUMP),
                schema: store::SCHEMA_VERSION,
                dumped: Some(dump::look_at(dump, at)?),
                is_ours: false,
                _turn: turn,
            }),
            (StoreKind::Sqlite, Some(_)) => {
                Err(Failure::input("the store is a file of this node and is taken as it is; leave `--dump` out"))
            }
            (StoreKind::Postgres(_), None) => Err(Failure::input(
                "the store is a database: make a dump of it first (`pg_dump --format=custom --file=FILE`), and name it with \
                 `--dump FILE`",
            )),
        }
    }
}

/// Waits for other backups of this node and keeps them away: there is one view of its store at a time.
fn turn(state: &Path) -> Result<File, Failure> {
    let path = state.join(TURN);
    let failed = |error: std::io::Error| Failure::unavailable(format!("`{}`: {error}", path.display()));
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path).map_err(failed)?;
    let begin = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begin.elapsed() < TURN_PATIENCE => std::thread::sleep(TURN_PAUSE),
            Err(TryLockError::WouldBlock) => {
                let what = "another backup of this node is under way; run this one again when it has ended";
                return Err(Failure::unavailable(what));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if self.is_ours {
            // The next one writes over what could not be removed.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Everything that a node must not lose.
pub fn sources(config_file: &Path, config: &Config, snapshot: &Snapshot) -> Result<Sources, Failure> {
    let absolute = |path: &Path| {
        std::path::absolute(path).map_err(|error| Failure::unavailable(format!("`{}`: {error}", path.display())))
    };
    let file = absolute(config_file)?;
    let store = absolute(&snapshot.name)?;
    let ring = config.audit.encryption.as_ref().map(|encryption| encryption.ring.clone());
    let ring = ring.as_deref().map(absolute).transpose()?;
    let mut files = BTreeMap::new();
    let named = reload::files(&Source::File(file.clone()), config);
    for path in named.into_iter().chain(ring.clone()).chain(config.shadow.clone().filter(|shadow| shadow.is_file())) {
        let path = absolute(&path)?;
        files.insert(path.clone(), backup::Source { from: path, kind: Kind::Settled });
    }
    files.insert(store.clone(), backup::Source { from: snapshot.path.clone(), kind: Kind::Pages });
    let own = absolute(&store_file(&config.state_dir))?;
    let beside = |ending: &str| PathBuf::from(format!("{}{ending}", own.display()));
    Ok(Sources {
        config: file,
        files,
        state: absolute(&config.state_dir)?,
        left_out: vec![
            own.clone(),
            beside("-wal"),
            beside("-shm"),
            beside(".at-work"),
            absolute(&index_dir(&config.state_dir))?,
        ],
        spool: config.audit.emergency_spool.as_deref().map(absolute).transpose()?,
        log: absolute(&config.audit.directory)?,
        facility: (config.facility.name.clone(), config.facility.code.clone()),
        store_schema: snapshot.schema,
        dumped_at: snapshot.dumped.map(|dumped| dumped.written_at),
        dump_begun_at: snapshot.dumped.and_then(|dumped| dumped.begun_at),
        store,
        ring,
    })
}

/// The keys that can open a backup: those of `[backup]`, else the one of the encrypted log.
pub fn recovery_keys(config: &Config) -> Result<Vec<RecoveryKey>, Failure> {
    let of_log = config.audit.encryption.as_ref().and_then(|encryption| encryption.recovery_key.as_ref());
    let own = &config.backup.recovery_keys;
    let texts: Vec<&String> = if own.is_empty() { of_log.into_iter().collect() } else { own.iter().collect() };
    let unreadable = |text: &String| Failure::input(format!("`{text}` is not a recovery key"));
    let keys: Result<Vec<RecoveryKey>, Failure> =
        texts.into_iter().map(|text| RecoveryKey::parse(text).ok_or_else(|| unreadable(text))).collect();
    let keys = keys?;
    if keys.is_empty() {
        return Err(Failure::input(
            "a backup holds keys and patients' numbers, so it is sealed, and no recovery key is named: make one with \
             `sekimori audit key escrow --out FILE`, write `recovery_keys = [\"x25519:..\"]` below `[backup]`, and carry the \
             file away",
        ));
    }
    Ok(keys)
}

/// Looks at a node that was restored and lets its log say so: the log must be what was signed, the store must open.
///
/// # Errors
/// [`BackupProblem`]: the node is not restored then.
pub fn finish(
    folder: &Path,
    manifest: &Manifest,
    key: &LogKey,
    actor: &str,
    clock: &Clock,
) -> Result<(), BackupProblem> {
    let refused = |what: String| BackupProblem::Refused(what);
    let ring = manifest.ring.as_ref().map(|ring| folder.join(ring));
    let keys = ring.as_deref().map_or_else(Keys::none, Keys::ring);
    let log = folder.join(&manifest.log);
    let reader = Reader::open(&log, keys)?;
    let verified = audit::verify(&reader, Some(&key.to_string())).map_err(|findings| {
        let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
        refused(format!("the log in the backup is not as it was signed:\n{}", told.join("\n")))
    })?;
    if verified.lines_signed != manifest.lines {
        let (there, lines) = (verified.lines_signed, manifest.lines);
        return Err(refused(format!("the log in the backup has {there} signed lines, its manifest says {lines}")));
    }
    if !is_dump(manifest) {
        // Looked at first: opening makes what is missing.
        let schema = store::look_at_snapshot(&folder.join(&manifest.store));
        let schema = schema.map_err(|problem| refused(problem.to_string()))?;
        if schema != manifest.store_schema {
            let said = manifest.store_schema;
            return Err(refused(format!("the store in the backup is of version {schema}, its manifest says {said}")));
        }
        store::Sqlite::open(folder.join(&manifest.store)).map_err(|problem| refused(problem.to_string()))?;
    }
    say(folder, manifest, ring, actor, clock)
}

/// Whether the store in a backup is a dump, to be read into a database.
pub fn is_dump(manifest: &Manifest) -> bool {
    Path::new(&manifest.store).file_name().is_some_and(|name| name == DUMP)
}

/// Writes the fact that the log was restored: its first line after what the backup holds.
fn say(
    folder: &Path,
    manifest: &Manifest,
    ring: Option<PathBuf>,
    actor: &str,
    clock: &Clock,
) -> Result<(), BackupProblem> {
    let audit = config::Audit {
        directory: folder.join(&manifest.log),
        origin: manifest.origin.clone(),
        segment_bytes_max: u64::MAX,
        sync_interval: Duration::from_millis(50),
        open_accesses_max: 1,
        emergency_spool: None,
        free_bytes_min: 0,
        segment_age_max: Duration::MAX,
        archive: false,
        size_bytes_max: None,
        keep: Duration::MAX,
        delete_after: None,
        encryption: ring.map(|ring| config::AuditEncryption { ring, recovery_key: None }),
    };
    let facility = config::Facility { name: manifest.facility.clone(), code: manifest.facility_code.clone() };
    let (log, _) = audit::Log::open(&audit, &facility, &folder.join(&manifest.state), clock.clone())?;
    let root = manifest.checkpoint.lines().nth(2).unwrap_or_default();
    let note = restored(Why::Backup, clock.now()).actor(actor);
    let note = note.reason(&format!("backup {} of {}, root {root}", manifest.number, manifest.at));
    let recorder = log.recorder();
    let written = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| BackupProblem::Refused(format!("the system gives no event queue: {error}")))?
        .block_on(recorder.note(Note { count: Some(manifest.lines), ..note }));
    drop(recorder);
    log.stop();
    Ok(written?)
}

/// A backup that was verified.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VerifiedBackup {
    /// Its number.
    pub number: u64,
    /// Its folder.
    pub place: String,
    /// When it was made.
    pub made_at: String,
    /// When it was verified.
    pub verified_at: String,
    /// Whether it was opened with the recovery key.
    pub opened: bool,
}

impl VerifiedBackup {
    /// Keeps it in the store.
    ///
    /// # Errors
    /// [`Failure`] where the store does not take it.
    pub async fn keep(&self, store: &dyn Store) -> Result<(), Failure> {
        let text = serde_json::to_string(self).map_err(|error| Failure::fault(error.to_string()))?;
        let kept = store.set_note(VERIFIED, text).await;
        kept.map_err(|problem| Failure::unavailable(problem.to_string()))
    }

    /// The last one, where there is one.
    ///
    /// # Errors
    /// [`Failure`] where the store does not say.
    pub async fn last(store: &dyn Store) -> Result<Option<Self>, Failure> {
        let text = store.note(VERIFIED).await.map_err(|problem| Failure::unavailable(problem.to_string()))?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// How old what it holds is.
    #[must_use]
    pub fn age(&self, at: Timestamp) -> Option<Duration> {
        Timestamp::parse_rfc3339(&self.made_at).map(|made| at.since(made))
    }
}
