//! Taking a changed configuration into force: by SIGHUP, or when one of its files changed. Whole or not at all: the
//! last good one stays, and the refusal is an alarm.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use audit::{Event, Note};
use certs::{DeviceCa, DeviceRoots, ServerCertificates};
use config::{Config, Listener};
use tokio::signal::unix::{SignalKind, signal};

use crate::assembly::{self, Parts, Source};
use crate::gate::Gate;

/// How often the files are looked at. Watching by polling works on every file system, bind mounts and NFS too.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// What a reload needs.
#[derive(Debug)]
pub struct Reloader {
    /// Where the configuration comes from.
    pub source: Source,
    /// The running gateway.
    pub gate: Arc<Gate>,
    /// What snapshots are built from.
    pub parts: Parts,
    /// The gateway's device CA.
    pub device_ca: DeviceCa,
    /// The device CAs in force.
    pub roots: Arc<DeviceRoots>,
}

/// Follows the files and SIGHUP until the gateway stops.
pub async fn watch_files(reloader: Reloader) {
    let Ok(mut hang_up) = signal(SignalKind::hangup()) else {
        tracing::error!("SIGHUP cannot be received");
        return;
    };
    let mut seen = stamps(&reloader.files());
    loop {
        let by_signal = tokio::select! {
            _ = hang_up.recv() => true,
            () = tokio::time::sleep(LOOK_INTERVAL) => false,
        };
        let now = stamps(&reloader.files());
        if by_signal || now != seen {
            reloader.reload().await;
            // What a reload read may name other files.
            seen = stamps(&reloader.files());
        }
    }
}

type Stamp = (PathBuf, Option<(SystemTime, u64)>);

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |file: &PathBuf| {
        let seen = std::fs::metadata(file).ok().and_then(|meta| Some((meta.modified().ok()?, meta.len())));
        (file.clone(), seen)
    };
    files.iter().map(stamp).collect()
}

impl Reloader {
    fn files(&self) -> Vec<PathBuf> {
        let snapshot = self.gate.snapshot.load();
        let config = &snapshot.config;
        let mut files = config.files.clone();
        files.extend(config.certificates.iter().flat_map(|pair| [pair.certificate.clone(), pair.key.clone()]));
        files.extend(config.devices.ca_files.iter().cloned());
        if let Source::File(path) = &self.source {
            files.push(path.clone());
        }
        files.sort();
        files.dedup();
        files
    }

    /// Reads everything anew; takes it into force whole, or refuses it whole.
    async fn reload(&self) {
        let at = self.gate.clock.now();
        let note = match self.take() {
            Ok(config) => {
                self.gate.metrics.config_alarm.set(0);
                self.gate.ring();
                tracing::info!(revision = %config.revision, "configuration in force");
                let mut note = Note::new(Event::ConfigActivated, at);
                note.revision = Some(config.revision.clone());
                note
            }
            Err(problems) => {
                self.gate.metrics.config_alarm.set(1);
                self.gate.metrics.reloads_refused.inc();
                tracing::error!(%problems, "configuration refused; the last good one stays in force");
                let mut note = Note::new(Event::ConfigRefused, at);
                note.revision = Some(self.gate.snapshot.load().config.revision.clone());
                note
            }
        };
        if let Err(problem) = self.gate.log.recorder().note(note).await {
            tracing::error!(%problem, "a reload could not be recorded");
        }
    }

    fn take(&self) -> Result<Arc<Config>, String> {
        let at = self.gate.clock.now();
        let config = Arc::new(self.source.read().map_err(|problems| problems.to_string())?);
        self.refuse_what_needs_a_restart(&config)?;
        let snapshot = assembly::snapshot(Arc::clone(&config), &self.parts).map_err(|problems| problems.join("\n"))?;
        let in_words =
            |problems: Vec<certs::CertProblem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        // A trial load first: nothing is swapped until all of it is known to be good.
        let trial = ServerCertificates::load(&config.certificates, at).map_err(in_words)?;
        assembly::uncovered_hosts(&config, &trial).map_err(|failure| failure.to_string())?;
        self.roots.reload(&self.device_ca, &config.devices.ca_files, at).map_err(in_words)?;
        self.gate.certificates.reload(&config.certificates, at).map_err(in_words)?;
        self.gate.sessions.set_spans(config.sessions.clone());
        self.gate.snapshot.store(Arc::new(snapshot));
        Ok(config)
    }

    /// Sockets, state and log are bound at start; changing them needs a restart, and saying so beats half a reload.
    fn refuse_what_needs_a_restart(&self, new: &Config) -> Result<(), String> {
        let snapshot = self.gate.snapshot.load();
        let old = &snapshot.config;
        let listener = |listener: &Listener| format!("{listener:?}");
        let needs_restart = [
            ("[[listener]]", old.listeners.iter().map(listener).ne(new.listeners.iter().map(listener))),
            ("[gateway] state_dir", old.state_dir != new.state_dir),
            ("[gateway] login_host", old.login_host != new.login_host),
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
