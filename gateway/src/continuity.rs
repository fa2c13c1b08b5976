//! What is known of the log elsewhere than beside it. Each minute the store keeps the newest checkpoint; a gateway whose
//! log is behind it, or another, does not go on silently: somebody put an older copy in its place, and lines are missing.
//!
//! A log that another folder of the configuration names is gone on with, and says so itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use audit::{Event, LogKey, LogSigner, Note, Reader, Standing};
use config::Config;
use policy::{Clock, Timestamp};
use serde::{Deserialize, Serialize};
use store::Store;

use crate::failure::Failure;
use crate::gate::Gate;

/// How often the newest checkpoint is kept.
const EVERY: Duration = Duration::from_secs(60);

/// Why a log says that it was restored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// `sekimori restore` put it back from a backup.
    Backup,
    /// Somebody went on with it though lines are missing.
    Accepted,
    /// The configuration names another folder, and this log does not go on from the one there.
    Moved,
}

impl Why {
    /// Its word in the log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Accepted => "accepted",
            Self::Moved => "moved",
        }
    }
}

/// What the store keeps of a log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Kept {
    directory: String,
    /// A signed note.
    checkpoint: String,
}

fn name(origin: &str) -> String {
    format!("log-kept:{origin}")
}

/// Refuses to go on with a log that lacks what the store knows was signed.
///
/// # Errors
/// [`Failure`]: what is missing, and what to do.
pub async fn check(store: &dyn Store, config: &Config) -> Result<(), Failure> {
    let Some(kept) = read(store, &config.audit.origin).await? else { return Ok(()) };
    if Path::new(&kept.directory) != config.audit.directory {
        return Ok(());
    }
    let standing = standing(config, &kept)?;
    if standing.is_good() {
        return Ok(());
    }
    Err(Failure::unavailable(format!(
        "`{}`: {standing}. The store knows a later checkpoint of this log; it is not gone on with silently. Put the newer \
         log back; or, where it is lost, keep what is left of it and run `sekimori audit go-on --why TEXT`, which the log \
         then says",
        config.audit.directory.display()
    )))
}

/// Keeps the newest checkpoint each minute. Says first where the log is another than the one that was kept.
pub async fn follow(gate: Arc<Gate>, store: Arc<dyn Store>) {
    let mut told = false;
    loop {
        let config = Arc::clone(&gate.snapshot.load().config);
        told = told || tell_if_moved(&gate, &*store, &config).await;
        if told {
            keep(&*store, &config).await;
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Keeps the newest checkpoint of the log.
pub async fn keep(store: &dyn Store, config: &Config) {
    let directory = &config.audit.directory;
    let note = match audit::newest_checkpoint(directory) {
        Ok(Some(note)) => note,
        Ok(None) => return,
        Err(problem) => {
            tracing::warn!(%problem, "the newest checkpoint of the log cannot be read");
            return;
        }
    };
    let kept = Kept { directory: directory.display().to_string(), checkpoint: note };
    let Ok(text) = serde_json::to_string(&kept) else { return };
    if let Err(problem) = store.set_note(&name(&config.audit.origin), text).await {
        tracing::warn!(%problem, "the newest checkpoint of the log could not be kept in the store");
    }
}

/// Goes on with a log though lines are missing: says so in it. The gateway must not run.
///
/// # Errors
/// [`Failure`] where that cannot be written, or nothing is missing.
pub async fn accept(
    store: &dyn Store,
    config: &Config,
    (why, actor): (&str, &str),
    clock: Clock,
) -> Result<u64, Failure> {
    let unavailable = |problem: audit::LogProblem| Failure::unavailable(problem.to_string());
    let kept = read(store, &config.audit.origin).await?;
    let standing = match &kept {
        Some(kept) => standing(config, kept)?,
        None => return Err(Failure::no("the store knows of nothing that is missing; start the gateway")),
    };
    let missing = match standing {
        Standing::GoesOn(_) => return Err(Failure::no(format!("nothing is missing: {standing}; start the gateway"))),
        Standing::Short { signed, lines } => signed.size.saturating_sub(lines),
        Standing::Other(signed) => signed.size,
        Standing::Foreign => 0,
    };
    let (log, _) =
        audit::Log::open(&config.audit, &config.facility, &config.state_dir, clock.clone()).map_err(unavailable)?;
    let note = restored(Why::Accepted, clock.now()).actor(actor).reason(why);
    let written = log.recorder().note(Note { count: Some(missing), ..note }).await;
    log.stop();
    written.map_err(unavailable)?;
    keep(store, config).await;
    Ok(missing)
}

/// The fact that a log was put back, for a reason.
pub fn restored(why: Why, at: Timestamp) -> Note {
    Note::new(Event::Restored, at).code(why.word())
}

async fn read(store: &dyn Store, origin: &str) -> Result<Option<Kept>, Failure> {
    let text = store.note(&name(origin)).await.map_err(|problem| Failure::unavailable(problem.to_string()))?;
    let Some(text) = text else { return Ok(None) };
    let kept = serde_json::from_str(&text);
    kept.map(Some).map_err(|_| Failure::unavailable("what the store keeps of the log's checkpoints cannot be read"))
}

/// How the log stands to what was kept. A log that is not there at all lacks everything.
fn standing(config: &Config, kept: &Kept) -> Result<Standing, Failure> {
    let unavailable = |problem: audit::LogProblem| Failure::unavailable(problem.to_string());
    let key = match LogSigner::open(&config.state_dir, &config.audit.origin) {
        Ok(signer) => signer.key(),
        // Nobody can say any more what was signed.
        Err(_) => return Ok(Standing::Foreign),
    };
    let directory = &config.audit.directory;
    if !directory.join("segments").is_dir() {
        return Ok(missing(&key, &kept.checkpoint));
    }
    let reader: Reader = (&config.audit).into();
    audit::stands(&reader, &key, &kept.checkpoint).map_err(unavailable)
}

fn missing(key: &LogKey, note: &str) -> Standing {
    key.checkpoint(note).map_or(Standing::Foreign, |signed| Standing::Short { signed, lines: 0 })
}

/// Says where the log does not go on from the one that was kept; what stays in the same folder was refused before. False
/// where it cannot be said yet.
async fn tell_if_moved(gate: &Gate, store: &dyn Store, config: &Config) -> bool {
    let kept = match read(store, &config.audit.origin).await {
        Ok(Some(kept)) => kept,
        Ok(None) => return true,
        Err(problem) => {
            tracing::warn!(%problem, "the checkpoint that was kept of the log cannot be read yet");
            return false;
        }
    };
    let goes_on = standing(config, &kept).is_ok_and(Standing::is_good);
    if goes_on || Path::new(&kept.directory) == config.audit.directory {
        return true;
    }
    let note = restored(Why::Moved, gate.clock.now()).actor("gateway:log");
    let note = note.reason(&format!("the log before this one lies in {}", kept.directory));
    match gate.log.recorder().note(note).await {
        Ok(()) => true,
        Err(problem) => {
            tracing::error!(%problem, "that the log is another could not be recorded yet");
            false
        }
    }
}
