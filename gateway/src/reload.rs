//! Taking a changed configuration into force: by SIGHUP, or when one of its files changed. Whole or not at all: the
//! last good one stays, and the refusal is an alarm.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use audit::{Event, Note};
use certs::{DeviceRoots, ServerCertificates};
use config::{Config, Listener};
use foldhash::HashSet;
use policy::Timestamp;
use store::{PolicyRevision, StoreProblem};
use tokio::signal::unix::Signal;
use web::Alarm;

use crate::acme;
use crate::alarms;
use crate::assembly::{self, Parts, Source};
use crate::denials::Rise;
use crate::gate::Gate;
use crate::last_good;
use crate::revisions::{self, Standing};

/// How often the files are looked at. Watching by polling works on every file system, bind mounts and NFS too.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How long files must stay as they are before they are read.
const SETTLE: Duration = Duration::from_millis(150);

/// What a reload needs.
#[derive(Debug)]
pub struct Reloader {
    /// Where the configuration comes from.
    pub source: Source,
    /// The running gateway.
    pub gate: Arc<Gate>,
    /// What snapshots are built from.
    pub parts: Parts,
}

/// What a file looked like: when it was last written, and its size; nothing for a file that is not there.
type Look = Option<(SystemTime, u64)>;

/// What the files of a configuration looked like before they were read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stamps(BTreeMap<PathBuf, Look>);

impl Stamps {
    /// Looks at the one file that is known before a configuration is read.
    pub fn of_source(source: &Source) -> Self {
        match source {
            Source::File(path) => Self::of(std::slice::from_ref(path)),
            Source::Text { .. } => Self::of(&[]),
        }
    }

    /// Looks at files.
    pub fn of(files: &[PathBuf]) -> Self {
        Self(files.iter().map(|file| (file.clone(), look(file))).collect())
    }

    /// Looks at files that are new to it.
    pub fn learn(&mut self, files: &[PathBuf]) {
        for file in files {
            self.0.entry(file.clone()).or_insert_with(|| look(file));
        }
    }

    /// Whether the files still look so.
    pub fn are_current(&self) -> bool {
        self.0.iter().all(|(file, seen)| look(file) == *seen)
    }

    /// Goes on with these files only.
    fn follow(&mut self, files: &[PathBuf]) {
        self.learn(files);
        self.0.retain(|file, _| files.contains(file));
    }
}

fn look(file: &Path) -> Look {
    std::fs::metadata(file).ok().and_then(|meta| Some((meta.modified().ok()?, meta.len())))
}

/// Every file that a configuration stands in or names.
pub fn files(source: &Source, config: &Config) -> Vec<PathBuf> {
    let mut files = config.files.clone();
    files.extend(config.certificates.iter().flat_map(|pair| [pair.certificate.clone(), pair.key.clone()]));
    let devices = &config.devices;
    files.extend(devices.ca_files.iter().chain(&devices.crl_files).chain(&devices.crl_fetch.server_ca).cloned());
    if let Source::File(path) = source {
        files.push(path.clone());
    }
    files.sort();
    files.dedup();
    files
}

/// Follows the files and SIGHUP until the gateway stops. `seen` is what the files looked like before they were read.
pub async fn watch_files(reloader: Reloader, mut seen: Stamps, mut hang_up: Signal) {
    loop {
        let by_signal = tokio::select! {
            _ = hang_up.recv() => true,
            () = tokio::time::sleep(LOOK_INTERVAL) => false,
        };
        reloader.return_if_denied().await;
        // Looked at before reading: what is written while it is read is noticed at the next look.
        let now = Stamps::of(&reloader.files());
        if !by_signal && now != seen && !has_settled(&now, &reloader.files()).await {
            // Somebody is still writing: looked at again next time, so that nobody is judged by half a change.
            continue;
        }
        if by_signal || now != seen {
            reloader.reload().await;
            seen = now;
            seen.follow(&reloader.files());
        }
    }
}

/// Whether files look the same a moment later.
async fn has_settled(now: &Stamps, files: &[PathBuf]) -> bool {
    tokio::time::sleep(SETTLE).await;
    Stamps::of(files) == *now
}

impl Reloader {
    fn files(&self) -> Vec<PathBuf> {
        files(&self.source, &self.gate.snapshot.load().config)
    }

    /// Reads everything anew; takes it into force whole, or refuses it whole.
    async fn reload(&self) {
        let at = self.gate.clock.now();
        let before = self.gate.snapshot.load_full();
        let note = match self.take().await {
            Ok((config, standing)) => {
                self.follow(&config).await;
                self.gate.metrics.config_alarm.set(0);
                alarms::raise(&self.gate, Alarm::LastGoodConfig, false);
                last_good::keep(&self.source, &config);
                self.begin_trial(&before.config, &config, at).await;
                self.gate.ring();
                tracing::info!(revision = %config.revision, "configuration in force");
                let mut note = Note::new(Event::ConfigActivated, at);
                note.revision = Some(config.revision.clone());
                let store = &*self.parts.store;
                told(note, revisions::came(store, standing, Some(&before.config), &config, at).await)
            }
            Err(problems) => {
                refuse(&self.gate, &problems).await;
                return;
            }
        };
        if let Err(problem) = self.gate.log.recorder().note(note).await {
            tracing::error!(%problem, "a reload could not be recorded");
        }
    }

    /// Puts another version on trial, unless somebody insisted on it.
    async fn begin_trial(&self, before: &Config, config: &Config, at: Timestamp) {
        let is_other = before.revision != config.revision;
        let insisted = revisions::was_returned_from(&*self.parts.store, config).await.unwrap_or(false);
        if is_other && !insisted {
            self.gate.denials.begin_trial(at);
        } else if is_other {
            self.gate.denials.end_trial();
        }
    }

    /// Lets outages follow the providers of a new configuration, and exceptions what it asks of those who give them.
    async fn follow(&self, config: &Config) {
        if let Err(problem) = self.parts.outage.set_config(&config.providers, config.outage).await {
            tracing::error!(%problem, "outages are still followed by the configuration before; reload again");
        }
        if let Err(problem) = self.gate.grants.narrow(&HashSet::default(), self.gate.clock.now()).await {
            tracing::error!(%problem, "exceptions are still as the configuration before gave them; reload again");
        }
    }

    async fn take(&self) -> Result<(Arc<Config>, Standing), String> {
        let config = Arc::new(self.source.read().map_err(|problems| problems.to_string())?);
        self.refuse_what_needs_a_restart(&config)?;
        let standing = match &self.source {
            Source::File(_) => {
                revisions::standing(&*self.parts.store, &config).await.map_err(|kept| kept.to_string())?
            }
            Source::Text { .. } => Standing::AsBefore,
        };
        self.apply(&config)?;
        Ok((config, standing))
    }

    /// Takes a configuration into force, whole or not at all.
    fn apply(&self, config: &Arc<Config>) -> Result<(), String> {
        let at = self.gate.clock.now();
        let snapshot = assembly::snapshot(Arc::clone(config), &self.parts).map_err(|problems| problems.join("\n"))?;
        let in_words =
            |problems: Vec<certs::CertProblem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        // A trial load first: nothing is swapped until all of it is known to be good.
        let trial = ServerCertificates::load(&acme::in_use(config, at), at).map_err(in_words)?;
        assembly::uncovered_hosts(config, &trial).map_err(|failure| failure.to_string())?;
        DeviceRoots::load(&self.parts.device_ca, &config.devices, at).map_err(in_words)?;
        self.gate.roots.reload(&self.parts.device_ca, &config.devices, at).map_err(in_words)?;
        self.gate.certificates.reload(&acme::in_use(config, at), at).map_err(in_words)?;
        self.gate.sessions.set_spans(config.sessions.clone());
        self.gate.sessions.set_away_max(config.store.away_max);
        self.gate.grants.hold_to(config);
        self.gate.snapshot.store(Arc::new(snapshot));
        Ok(())
    }

    /// Goes back to the version before, where people who were allowed are denied since this one came.
    async fn return_if_denied(&self) {
        let now = Arc::clone(&self.gate.snapshot.load().config);
        let Some(times) = now.return_when_denials_rise else { return };
        let at = self.gate.clock.now();
        let Some(rise) = self.gate.denials.rise(times, at) else { return };
        if let Err(problem) = self.go_back(&now, rise).await {
            self.gate.metrics.config_alarm.set(1);
            tracing::error!(%problem, "denials rose, but the version before could not be taken into force");
        }
    }

    async fn go_back(&self, from: &Config, rise: Rise) -> Result<(), String> {
        let store = &*self.parts.store;
        let kept = revisions::before(store, from).await.map_err(|problem| problem.to_string())?;
        let kept = kept.ok_or("there is no version before")?;
        let config = Arc::new(revisions::read_kept(&kept).map_err(|problems| problems.to_string())?);
        self.refuse_what_needs_a_restart(&config)?;
        self.apply(&config)?;
        // Only now: what failed is tried again for as long as the trial lasts.
        self.gate.denials.end_trial();
        self.follow(&config).await;
        self.gate.metrics.config_alarm.set(1);
        self.gate.ring();
        let percent = |share: f64| format!("{:.0}%", share * 100.0);
        let why = format!("denials rose from {} to {}", percent(rise.usual), percent(rise.since));
        tracing::error!(revision = %config.revision, why, "went back to the version before");
        let at = self.gate.clock.now();
        let mut note = Note::new(Event::PolicyReturned, at);
        note.revision = Some(config.revision.clone());
        let note = told(note, revisions::returned(store, from, &config, why, at).await);
        self.gate.log.recorder().note(note).await.map_err(|problem| problem.to_string())
    }

    /// Sockets, state and log are bound at start; changing them needs a restart, and saying so beats half a reload.
    fn refuse_what_needs_a_restart(&self, new: &Config) -> Result<(), String> {
        let snapshot = self.gate.snapshot.load();
        let old = &snapshot.config;
        let listener = |listener: &Listener| format!("{listener:?}");
        let needs_restart = [
            ("[[listener]]", old.listeners.iter().map(listener).ne(new.listeners.iter().map(listener))),
            ("[nodes]", old.nodes != new.nodes),
            ("[gateway] state_dir", old.state_dir != new.state_dir),
            ("[store]", old.store.kind != new.store.kind),
            ("[gateway] login_host", old.login_host != new.login_host),
            ("[devices] ca_certificate", old.devices.ca != new.devices.ca),
            ("[gateway] workers", old.limits.workers != new.limits.workers),
            ("[limits]", format!("{:?}", old.limits) != format!("{:?}", new.limits)),
            ("[audit]", format!("{:?}", old.audit) != format!("{:?}", new.audit)),
            ("[operations]", format!("{:?}", old.operations) != format!("{:?}", new.operations)),
        ];
        let changed: Vec<&str> = needs_restart.iter().filter(|(_, differs)| *differs).map(|(key, _)| *key).collect();
        if changed.is_empty() {
            return Ok(());
        }
        Err(format!("{} changed, which needs a restart; restart the gateway, or undo that change", changed.join(", ")))
    }
}

/// Says, counts and records that a configuration was refused.
pub async fn refuse(gate: &Gate, problems: &str) {
    gate.metrics.config_alarm.set(1);
    gate.metrics.reloads_refused.inc();
    tracing::error!(%problems, "configuration refused; the last good one stays in force");
    let mut note = Note::new(Event::ConfigRefused, gate.clock.now());
    note.revision = Some(gate.snapshot.load().config.revision.clone());
    if let Err(problem) = gate.log.recorder().note(note).await {
        tracing::error!(%problem, "a refused configuration could not be recorded");
    }
}

/// Adds who brought a version into force and why. A history that cannot be written keeps nothing from coming into force:
/// the log has it.
pub fn told(note: Note, came: Result<Option<PolicyRevision>, StoreProblem>) -> Note {
    match came {
        Ok(Some(kept)) => {
            let note = Note { count: Some(kept.number), ..note };
            note.actor(kept.proposal.proposed_by).reason(&kept.proposal.why)
        }
        Ok(None) => note,
        Err(problem) => {
            tracing::error!(%problem, "the history of the policy could not be written");
            note
        }
    }
}
