//! Putting the gateway together: open what must not be lost, bind before anything starts, then workers, control
//! plane, and the orderly end.

mod parts;
mod signals;
mod succession;
mod workers;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use audit::{Event, Log, Note, Recovery};
use certs::{DeviceCa, DeviceRoots, ServerCertificates};
use config::{Config, Problems};
use identity::{Assertions, Devices, Grants, Outage, Refresh, Sessions, Watch};
use sd_notify::NotifyState;
use store::Store;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use web::Alarm;

use crate::acme;
use crate::alarms;
use crate::caps::Counts;
use crate::clock::RequestIds;
use crate::denials::Denials;
use crate::drain::{Fate, Leave, Order};
use crate::failure::Failure;
use crate::feed::Feeds;
use crate::finding::Finding;
use crate::gate::Gate;
use crate::handover::{self, Found, Program, Sockets, Successor, Turn, systemd};
use crate::last_good::{self, LastGood};
use crate::limit::Limiter;
use crate::metrics::Metrics;
use crate::nodes::{self, Nodes};
use crate::panics;
use crate::patients::Desk;
use crate::pulse::Pulse;
use crate::reload::{Reloader, Stamps};
use crate::revisions::{self, Standing, Start};
use crate::shadow::Shadow;
use crate::snapshot::UpstreamIds;
use crate::telemetry::{self, Diagnostics, LogTeller, Traces};
use crate::tunnel::Tunnels;
use crate::{clock, continuity, database, lists, notices, operations, record, reload, shadow, upkeep};

pub use parts::{Parts, snapshot};
use signals::{End, Signals};
use succession::{Next, hand_over, succeed};

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file, watched while the gateway runs.
    File(PathBuf),
    /// A text in memory: the demo's.
    Text {
        /// The text.
        text: String,
        /// The folder that relative paths in it start from.
        base: PathBuf,
    },
}

impl Source {
    /// Reads it.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn read(&self) -> Result<Config, Problems> {
        match self {
            Self::File(path) => config::read(path),
            Self::Text { text, base } => config::parse(text, "demo", base),
        }
    }
}

/// The file of the store in the state directory.
pub fn store_file(state_dir: &Path) -> PathBuf {
    state_dir.join("store.sqlite")
}

/// The folder of the device CA in the state directory.
pub fn device_ca_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("device-ca")
}

/// Serves until told to stop, or until another process took over.
///
/// # Errors
/// [`Failure`] where it cannot start; nothing is bound then.
pub fn serve(source: Source, diagnostics: &Diagnostics, on_ready: impl Fn(&Config)) -> Result<(), Failure> {
    let program = Program::own().map_err(|error| Failure::unavailable(format!("where am I? {error}")))?;
    let (found, turn) = handover::entered()?;
    // Looked at before reading, so that what is written meanwhile is noticed later.
    let mut stamps = Stamps::of_source(&source);
    let (config, fallen_back) = match (source.read(), &source) {
        (Ok(config), _) => (config, None),
        // Whoever takes over must be able to: the other goes on otherwise.
        (Err(problems), Source::File(path)) if turn.is_none() => fall_back(path, &problems)?,
        (Err(problems), _) => return Err(Failure::input(problems.to_string())),
    };
    stamps.learn(&reload::files(&source, &config));
    install_crypto();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::unavailable(format!("the system gives no event queue: {error}")))?;
    runtime.block_on(async {
        let mut begin = Begin { stamps, config, fallen_back, serves_again: false, store: None, found, turn };
        loop {
            match run(&source, begin, (&program, diagnostics), &on_ready).await? {
                Ended::Over => return Ok(()),
                // Whoever should have taken over did not come: this one goes on.
                Ended::Again(again) => begin = *again,
            }
        }
    })
}

/// The last good configuration in place of one that cannot be used, and why.
fn fall_back(path: &Path, problems: &Problems) -> Result<(Config, Option<String>), Failure> {
    match last_good::find(path) {
        Ok(LastGood { config, changed }) => {
            tracing::error!(%problems, revision = %config.revision, "the configuration cannot be used; the last good one is");
            for file in changed {
                tracing::warn!(file = %file.display(), "it is another than when the last good configuration was kept");
            }
            Ok((config, Some(problems.to_string())))
        }
        Err(reason) => {
            Err(Failure::input(format!("{problems}\nthere is no last good configuration to begin with: {reason}")))
        }
    }
}

/// What a gateway begins with.
struct Begin {
    /// What the configuration's files looked like before they were read.
    stamps: Stamps,
    config: Config,
    /// Why it is not what the files hold.
    fallen_back: Option<String>,
    /// Whether this process served before, and another should have taken over.
    serves_again: bool,
    /// The store, where it is open already: whoever should have taken over may have added to its tables, and then it
    /// could not be opened anew.
    store: Option<Arc<dyn Store>>,
    /// Sockets that are open already.
    found: Found,
    /// Where another process serves still.
    turn: Option<Turn>,
}

/// How a gateway ended.
enum Ended {
    /// For good.
    Over,
    /// It is to begin again.
    Again(Box<Begin>),
}

/// Makes aws-lc the one provider of cryptography. A second call changes nothing.
fn install_crypto() {
    // It is already installed when the demo or a test starts a second gateway in one process.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

async fn run(
    source: &Source,
    begin: Begin,
    (program, diagnostics): (&Program, &Diagnostics),
    on_ready: &impl Fn(&Config),
) -> Result<Ended, Failure> {
    let Begin { stamps, config, fallen_back, serves_again, store, found, turn } = begin;
    let clock = clock::real();
    let mut signals = Signals::listen()?;
    let at = clock.now();

    let store = match store {
        Some(open) => open,
        None => database::open(&config)?,
    };
    let start = match source {
        Source::File(_) => revisions::at_start(&*store, config).await.map_err(Failure::input)?,
        Source::Text { .. } => Start { config, standing: Standing::AsBefore, kept: None },
    };
    let Start { config, standing, kept } = start;
    let config = Arc::new(config);
    continuity::check(&*store, &config).await?;

    let device_ca = DeviceCa::open(&device_ca_dir(&config.state_dir), &config.devices, &config.facility.name, at)
        .map_err(|problem| Failure::unavailable(problem.to_string()))?;
    let device_ca = Arc::new(device_ca);
    let certificates = ServerCertificates::load(&acme::in_use(&config, at), at).map_err(list)?;
    uncovered_hosts(&config, &certificates)?;
    let roots = DeviceRoots::load(&device_ca, &config.devices, at).map_err(list)?;
    let metrics = Metrics::new();
    panics::report(metrics.panics.clone());
    let doors = workers::doors(&config, &certificates, &roots, &metrics)?;
    if let Some(turn) = &turn {
        // What can go wrong was tried before the other lets go: from here on nobody serves until this one does.
        turn.come()?;
    }

    let unavailable = |problem: store::StoreProblem| Failure::unavailable(problem.to_string());
    let devices = Arc::new(Devices::load(Arc::clone(&store)).await.map_err(unavailable)?);
    let sessions = Arc::new(Sessions::new(Arc::clone(&store), Arc::clone(&devices), config.sessions.clone()));
    sessions.set_away_max(config.store.away_max);
    let outage = Outage::load(Arc::clone(&store), &config.providers, config.outage).await.map_err(unavailable)?;
    let outage = Arc::new(outage);
    let assertions = Assertions::open_or_create(&config.state_dir, &config.origin(&config.login_host))
        .map_err(|problem| Failure::unavailable(problem.to_string()))?;
    let (log, recovery) = Log::open(&config.audit, &config.facility, &config.state_dir, clock.clone())
        .map_err(|problem| Failure::unavailable(problem.to_string()))?;

    let finding = Finding::start(&config);

    let parts = Parts {
        store: Arc::clone(&store),
        sessions: Arc::clone(&sessions),
        devices: Arc::clone(&devices),
        outage: Arc::clone(&outage),
        grants: Arc::new(Grants::new(Arc::clone(&store), &config)),
        device_ca,
        assertions: Arc::new(assertions),
        clock: clock.clone(),
        log: log.clone(),
        log_view: Arc::clone(&finding.view),
        open_now: Arc::default(),
        alarms: Arc::default(),
        nodes: Arc::default(),
        upstream_ids: UpstreamIds::default(),
    };
    let snapshot = snapshot(Arc::clone(&config), &parts).map_err(|problems| Failure::input(problems.join("\n")))?;
    let desk = Desk::open(clock.clone(), metrics.patients.clone())
        .map_err(|error| Failure::unavailable(format!("the system gives no thread: {error}")))?;
    desk.restore(&*store, config.nodes.as_ref()).await.map_err(|problem| Failure::unavailable(problem.to_string()))?;
    let salt = clock::random_u64().map_err(Failure::unavailable)?;
    let (traces, ended_traces) = Traces::new(salt, clock.clone(), metrics.traces_dropped.clone());
    let gate = Arc::new(Gate {
        traces: Arc::new(traces),
        clock: clock.clone(),
        ids: RequestIds::new().map_err(Failure::unavailable)?,
        snapshot: ArcSwap::from_pointee(snapshot),
        sessions: Arc::clone(&sessions),
        devices: Arc::clone(&devices),
        roots: Arc::clone(&roots),
        assertions: Arc::clone(&parts.assertions),
        grants: Arc::clone(&parts.grants),
        log: log.clone(),
        nodes: Nodes::new(&config, Arc::clone(&parts.nodes)),
        limiter: Limiter::new(&config.limits),
        counts: Counts::default(),
        denials: Denials::default(),
        shadow: Shadow::default(),
        desk,
        index: finding.index.clone(),
        open_now: Arc::clone(&parts.open_now),
        tunnels: Tunnels::default(),
        metrics,
        certificates,
        changed: watch::Sender::new(0),
        stopping: std::sync::atomic::AtomicBool::new(false),
        pulse: Arc::new(Pulse::new(config.limits.workers)),
        places: Arc::default(),
        alarms: Arc::clone(&parts.alarms),
    });
    // Last of all that can fail: a gateway that cannot start never takes a connection from one that runs.
    let sockets = Sockets::open(found, &config)?;
    let operations = operations_socket(&sockets)?;
    note_start(&gate, recovery, &*store, standing).await?;
    if let Some(kept) = kept {
        reload::refuse(&gate, &kept.to_string()).await;
    }
    if let Some(problems) = &fallen_back {
        alarms::raise(&gate, Alarm::LastGoodConfig, true);
        reload::refuse(&gate, problems).await;
    }
    if serves_again {
        gate.metrics.handovers_failed.inc();
        alarms::raise(&gate, Alarm::HandoverFailed, true);
    }
    last_good::keep(source, &config);

    let (order, orders) = watch::channel(Order::Serve);
    let (worker_ended, mut a_worker_ended) = mpsc::unbounded_channel();
    let workers = workers::start(&gate, &doors, &sockets, &orders, &worker_ended)?;
    let mut control = JoinSet::new();
    let from = record::recorded_here(&*store, &config).await.map_err(unavailable)?;
    let watch = Watch::new(Arc::clone(&store), Arc::clone(&sessions), Arc::clone(&devices), clock.clone(), from);
    let watch = watch.with_outage(Arc::clone(&outage)).with_grants(Arc::clone(&parts.grants));
    control.spawn(upkeep::follow_events(Arc::clone(&gate), watch));
    control.spawn(record::record_events(Arc::clone(&gate), Arc::clone(&store), from));
    control.spawn(upkeep::tend_outages(Arc::clone(&gate), outage, Arc::clone(&sessions)));
    control.spawn(upkeep::refresh_sessions(Arc::clone(&gate), Refresh::new(Arc::clone(&store), sessions)));
    control.spawn(upkeep::disable_unused(Arc::clone(&gate)));
    control.spawn(upkeep::probe_upstreams(Arc::clone(&gate)));
    control.spawn(upkeep::watch_log(Arc::clone(&gate)));
    control.spawn(alarms::watch(Arc::clone(&gate)));
    control.spawn(upkeep::forget_counts(Arc::clone(&gate)));
    control.spawn(upkeep::keep_studies(Arc::clone(&gate), Arc::clone(&store)));
    control.spawn(continuity::follow(Arc::clone(&gate), Arc::clone(&store)));
    control.spawn(notices::follow(Arc::clone(&gate), Arc::clone(&store)));
    let shared = nodes::Shared::of(&gate.assertions, &parts.device_ca);
    control.spawn(nodes::follow(Arc::clone(&gate), Arc::clone(&store), shared));
    control.spawn(nodes::answer(Arc::clone(&config), Arc::clone(&finding.view)));
    control.spawn(shadow::follow(Arc::clone(&gate)));
    control.spawn(telemetry::follow(Arc::clone(&gate), ended_traces));
    control.spawn(acme::follow(Arc::clone(&gate), Arc::clone(&store)));
    control.spawn(lists::follow(Arc::clone(&gate), Arc::clone(&parts.device_ca)));
    // Not with the rest of the control plane: balancers and monitors are answered for as long as there is a log.
    let answering = operations.map(|listener| tokio::spawn(operations::serve(Arc::clone(&gate), listener)));
    let feeds = Feeds::start(&gate);
    // Neither this: what is said to the very end is told.
    let log_teller = LogTeller::start(&gate, diagnostics);
    let reloader = Reloader { source: source.clone(), gate: Arc::clone(&gate), parts };
    control.spawn(reload::watch_files(reloader, stamps, signals.hang_up));
    // Neither this: systemd is told until this process ends, or another is the service's.
    let watched = tokio::spawn(systemd::feed_watchdog(Arc::clone(&gate.pulse)));

    on_ready(&config);
    if let Some(turn) = turn {
        turn.taken().await;
    }
    systemd::tell(&[NotifyState::Ready]);
    systemd::keep(&sockets);

    let end = loop {
        match signals.ends.wait(&mut control, &mut a_worker_ended).await {
            End::HandOver => match succeed(source, program, &sockets, &gate, &mut signals.ends).await {
                Some(Next::Process(successor)) => break Finish::HandOver(successor),
                Some(Next::Nobody) => break Finish::Stop,
                None => {}
            },
            End::Stop => break Finish::Stop,
            End::Fault => break Finish::Fault,
        }
    };

    let config = Arc::clone(&gate.snapshot.load().config);
    let leave = match &end {
        Finish::HandOver(_) => Leave { sockets: Fate::Stay, within: config.limits.handover_timeout },
        Finish::Stop | Finish::Fault => {
            tracing::info!("stopping");
            systemd::tell(&[NotifyState::Stopping]);
            gate.stopping.store(true, Ordering::Relaxed);
            if matches!(end, Finish::Stop) {
                signals.ends.again_or(config.limits.balancer_notice).await;
            }
            Leave { sockets: Fate::Close, within: config.limits.drain_timeout }
        }
    };
    let sockets = match leave.sockets {
        Fate::Stay => Some(sockets),
        // Only the workers hold them now, and close them when nothing waits in them.
        Fate::Close => {
            drop(sockets);
            None
        }
    };
    order.send_replace(Order::Leave(leave));
    let workers = tokio::task::spawn_blocking(move || workers.into_iter().for_each(workers::join));
    let (ended, feeds) = match leave.sockets {
        // What these do not tell any more, the next process does; a receiver that hangs keeps nobody waiting.
        Fate::Stay => {
            let (ended, ()) = tokio::join!(workers, feeds.stop());
            (ended, None)
        }
        Fate::Close => (workers.await, Some(feeds)),
    };
    if let Err(error) = ended {
        tracing::error!(%error, "a worker did not end in order");
    }
    control.shutdown().await;
    if gate.is_stopping()
        && let Err(problem) = nodes::leave(&config, &*store).await
    {
        tracing::warn!(%problem, "the other nodes were not told that this one stops");
    }
    // After the workers: what they saw last is read, and its records closed.
    let desk = gate.desk.clone();
    if let Err(error) = tokio::task::spawn_blocking(move || desk.stop()).await {
        tracing::error!(%error, "the desk that reads bodies did not end in order");
    }
    upkeep::keep_studies_now(&gate, &*store).await;
    let recorder = log.recorder();
    if let Err(problem) = recorder.note(Note::new(Event::Stopped, clock.now())).await {
        tracing::error!(%problem, "the stop could not be recorded");
    }
    let answering = match (&end, answering) {
        // Without its log it would say that it is not ready, and a balancer would cut what waits for the next process. So
        // its checks wait too.
        (Finish::HandOver(_), Some(answering)) => {
            answering.abort();
            drop(answering.await);
            None
        }
        (Finish::HandOver(_) | Finish::Stop | Finish::Fault, answering) => answering,
    };
    // On another thread: here it is said meanwhile that this process turns.
    let stopped = tokio::task::spawn_blocking(move || log.stop()).await;
    if let Err(error) = stopped {
        tracing::error!(%error, "the log did not end in order");
    }
    continuity::keep(&*store, &config).await;
    let is_handed_over = matches!(end, Finish::HandOver(_));
    if let Err(error) = tokio::task::spawn_blocking(move || finding.end(is_handed_over)).await {
        tracing::error!(%error, "the index did not end in order");
    }
    if let Some(feeds) = feeds {
        // After the log: its last lines are told too.
        feeds.stop().await;
    }
    if let Some(answering) = answering {
        answering.abort();
        // It is gone then, and holds nothing of this gateway any more.
        drop(answering.await);
    }
    let ended = match (end, sockets) {
        (Finish::HandOver(successor), Some(sockets)) => hand_over(*successor, sockets, &config, store).await,
        (Finish::HandOver(_) | Finish::Stop, _) => Ok(Ended::Over),
        (Finish::Fault, _) => Err(Failure::fault("a part of the gateway ended; see above")),
    };
    log_teller.stop().await;
    watched.abort();
    ended
}

/// How it is to end.
enum Finish {
    Stop,
    /// A part of it ended by itself: whoever watches over it is to start it anew.
    Fault,
    HandOver(Box<Successor>),
}

/// Every host must be served by a certificate, or one be ordered for it: else its handshakes would fail for no visible
/// reason.
pub fn uncovered_hosts(config: &Config, certificates: &ServerCertificates) -> Result<(), Failure> {
    let is_ordered = |host: &policy::Host| config.acme.as_ref().is_some_and(|acme| acme.covers(host));
    let uncovered = crate::bare_hosts::of(config, certificates).into_iter().filter(|host| !is_ordered(host));
    let uncovered: Vec<&str> = uncovered.map(policy::Host::as_str).collect();
    if uncovered.is_empty() {
        return Ok(());
    }
    Err(Failure::input(format!(
        "no certificate covers `{}`; add a [[certificate]] whose names include it",
        uncovered.join("`, `")
    )))
}

fn operations_socket(sockets: &Sockets) -> Result<Option<tokio::net::TcpListener>, Failure> {
    let socket = sockets.operations().and_then(|socket| socket.map(tokio::net::TcpListener::from_std).transpose());
    socket.map_err(|error| Failure::unavailable(format!("the operations listener cannot be used: {error}")))
}

async fn note_start(gate: &Gate, recovery: Recovery, store: &dyn Store, standing: Standing) -> Result<(), Failure> {
    let recorder = gate.log.recorder();
    let unrecorded = |problem: audit::LogProblem| Failure::unavailable(problem.to_string());
    if recovery != Recovery::default() {
        tracing::warn!(
            unknown = recovery.unknown,
            torn_bytes = recovery.torn_bytes,
            merged = recovery.merged,
            "the access log was put in order after a crash"
        );
    }
    recorder.note(Note::new(Event::Started, gate.clock.now())).await.map_err(unrecorded)?;
    let mut activated = Note::new(Event::ConfigActivated, gate.clock.now());
    let config = Arc::clone(&gate.snapshot.load().config);
    activated.revision = Some(config.revision.clone());
    let came = revisions::came(store, standing, None, &config, gate.clock.now()).await;
    recorder.note(reload::told(activated, came)).await.map_err(unrecorded)
}

fn list(problems: Vec<certs::CertProblem>) -> Failure {
    Failure::input(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}
