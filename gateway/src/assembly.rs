//! Putting the gateway together: open what must not be lost, bind before anything starts, then workers, control
//! plane, and the orderly end.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use audit::{Event, Log, Note, Recovery};
use certs::{DeviceCa, DeviceRoots, ServerCertificates};
use config::{Config, Problems};
use identity::{
    Assertions, Devices, Grants, HandOffs, Outage, Passkeys, People, PostureDesk, Refresh, RelyingParty, Sessions,
    Watch,
};
use policy::Clock;
use sd_notify::NotifyState;
use store::Store;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, spawn_local};
use tokio_rustls::TlsAcceptor;
use web::Alarm;

use crate::acme;
use crate::alarms;
use crate::caps::Counts;
use crate::clock::RequestIds;
use crate::denials::Denials;
use crate::device_issuer::DeviceIssuer;
use crate::drain::{self, Fate, Leave, Order};
use crate::failure::Failure;
use crate::feed::{Feeds, Receivers};
use crate::finding::Finding;
use crate::gate::Gate;
use crate::handover::{self, Found, Program, Sockets, Successor, Turn, systemd};
use crate::last_good::{self, LastGood};
use crate::limit::Limiter;
use crate::listen::{self, Door};
use crate::lists::ListClient;
use crate::metrics::Metrics;
use crate::nodes::{self, Nodes};
use crate::notices::{self, Senders};
use crate::panics;
use crate::patients::Desk;
use crate::pulse::Pulse;
use crate::reload::{Reloader, Stamps};
use crate::revisions::{self, Standing, Start};
use crate::shadow::Shadow;
use crate::slots::Slots;
use crate::snapshot::{Snapshot, UpstreamIds};
use crate::telemetry::{self, Collector, Diagnostics, LogTeller, Traces};
use crate::tunnel::Tunnels;
use crate::upstream::dial::Dialer;
use crate::worker::Worker;
use crate::{clock, continuity, database, lists, operations, record, reload, shadow, upkeep};

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

/// What snapshots are built from, besides configuration.
#[derive(Debug)]
pub struct Parts {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Open sessions.
    pub sessions: Arc<Sessions>,
    /// The device ledger.
    pub devices: Arc<Devices>,
    /// Which providers are out.
    pub outage: Arc<Outage>,
    /// Exceptions that are in force.
    pub grants: Arc<Grants>,
    /// The gateway's device CA.
    pub device_ca: Arc<DeviceCa>,
    /// Signs who asks.
    pub assertions: Arc<Assertions>,
    /// The clock.
    pub clock: Clock,
    /// The log.
    pub log: Log,
    /// What auditors look at of it.
    pub log_view: Arc<web::LogView>,
    /// What is open under grants.
    pub open_now: Arc<web::OpenNow>,
    /// What is wrong with the gateway itself.
    pub alarms: Arc<web::Alarms>,
    /// How the nodes stand that serve together.
    pub nodes: Arc<web::NodeBoard>,
    /// Numbers for upstreams.
    pub upstream_ids: UpstreamIds,
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
    let doors = doors(&config, &certificates, &roots, &metrics)?;
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
    let workers = start_workers(&gate, &doors, &sockets, &orders, &worker_ended)?;
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
    let workers = tokio::task::spawn_blocking(move || workers.into_iter().for_each(join));
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
    if let Err(error) = tokio::task::spawn_blocking(move || drop(finding)).await {
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

/// The number of the process that a container ends with.
const FIRST_PROCESS: u32 = 1;

/// How it is to end.
enum Finish {
    Stop,
    /// A part of it ended by itself: whoever watches over it is to start it anew.
    Fault,
    HandOver(Box<Successor>),
}

/// Who comes next.
enum Next {
    Process(Box<Successor>),
    /// It was told to stop meanwhile.
    Nobody,
}

/// Starts the process that comes next, and waits until it is ready. Everything goes on meanwhile, and where it does not
/// become ready, nothing has changed.
async fn succeed(source: &Source, program: &Program, sockets: &Sockets, gate: &Gate, ends: &mut Ends) -> Option<Next> {
    let Source::File(_) = source else {
        tracing::warn!("the demo hands over to nobody");
        return None;
    };
    let failed = |reason: String| {
        gate.metrics.handovers_failed.inc();
        alarms::raise(gate, Alarm::HandoverFailed, true);
        tracing::error!(reason, "nobody takes over; this process goes on");
        None
    };
    if std::process::id() == FIRST_PROCESS {
        // The kernel ends everything in a container with its first process: the next one would go with this one.
        let reason = "this is process 1 of a container, which ends with it; replace the container instead";
        return failed(reason.to_owned());
    }
    tracing::info!("another process is to take over");
    let successor = match Successor::start(program, sockets) {
        Ok(successor) => successor,
        Err(error) => return failed(format!("the program could not be started: {error}")),
    };
    tokio::select! {
        ready = successor.until_ready() => match ready {
            Ok(()) => Some(Next::Process(Box::new(successor))),
            Err(reason) => failed(reason),
        },
        () = ends.stop() => Some(Next::Nobody),
    }
}

/// Lets the next process begin; where it does not, this one begins again by the configuration that was in force.
async fn hand_over(
    mut successor: Successor,
    sockets: Sockets,
    config: &Config,
    store: Arc<dyn Store>,
) -> Result<Ended, Failure> {
    match successor.take_over().await {
        Ok(process) => {
            systemd::tell(&[NotifyState::MainPid(process), NotifyState::Ready]);
            tracing::info!(process, "handed over");
            Ok(Ended::Over)
        }
        Err(reason) => {
            tracing::error!(reason, "nobody took over; this process begins again");
            // Beginning takes its time, in which nobody else tells it.
            systemd::tell(&[NotifyState::Watchdog]);
            // What the files hold is looked at anew: it was not in force.
            let stamps = Stamps::of(&[]);
            let (config, found) = (config.clone(), sockets.leave());
            let store = Some(store);
            let begin = Begin { stamps, config, fallen_back: None, serves_again: true, store, found, turn: None };
            Ok(Ended::Again(Box::new(begin)))
        }
    }
}

/// Builds a snapshot of a configuration.
///
/// # Errors
/// What cannot be used, in words.
pub fn snapshot(config: Arc<Config>, parts: &Parts) -> Result<Snapshot, Vec<String>> {
    let policy = Arc::clone(&config.loaded);
    let routes = crate::snapshot::Routes::build(&config, &parts.upstream_ids)?;
    let fetch =
        crate::fetch::client(&config.providers, &config.forbidden_upstreams).map_err(|problem| vec![problem])?;
    let oidc = identity::Oidc::new(&config.providers, Arc::clone(&parts.store), fetch, parts.clock.clone());
    let oidc = Arc::new(oidc.with_outage(Arc::clone(&parts.outage)));
    let people = Arc::new(People::new(Arc::clone(&parts.store), &config));
    let site = web::Site::new(web::SiteParts {
        config: Arc::clone(&config),
        policy: Arc::clone(&policy),
        sessions: Arc::clone(&parts.sessions),
        oidc: Arc::clone(&oidc),
        hand_offs: Arc::new(HandOffs::new(Arc::clone(&parts.store), Arc::clone(&parts.sessions))),
        assertions: Arc::clone(&parts.assertions),
        people: Arc::clone(&people),
        passkeys: Arc::new(passkeys(&config, parts)?),
        devices: Arc::clone(&parts.devices),
        certificates: Arc::new(DeviceIssuer::new(Arc::clone(&parts.device_ca), &config)),
        posture: Arc::new(PostureDesk::new(Arc::clone(&parts.store), config.posture_sources.clone())),
        outage: Arc::clone(&parts.outage),
        grants: Arc::clone(&parts.grants),
        store: Arc::clone(&parts.store),
        recorder: parts.log.recorder(),
        log_view: Arc::clone(&parts.log_view),
        open_now: Arc::clone(&parts.open_now),
        alarms: Arc::clone(&parts.alarms),
        nodes: Arc::clone(&parts.nodes),
    });
    let dialer = Dialer::new(config.limits.connect_timeout, &config.forbidden_upstreams);
    let lists =
        ListClient::new(&config.devices.crl_fetch, &config.forbidden_upstreams).map_err(|problem| vec![problem])?;
    acme::check(&config).map_err(|problem| vec![problem])?;
    let receivers = Receivers::build(&config)?;
    let senders = Senders::build(&config)?;
    let collector = Collector::build(&config)?;
    Ok(Snapshot { config, policy, routes, site, oidc, people, dialer, receivers, senders, lists, collector })
}

/// Passkeys as a configuration wants them; all ceremonies are on the sign-in host.
fn passkeys(config: &Config, parts: &Parts) -> Result<Passkeys, Vec<String>> {
    let party = RelyingParty {
        host: config.login_host.clone(),
        origin: config.origin(&config.login_host),
        name: config.facility.name.clone(),
    };
    let made = Passkeys::new(Arc::clone(&parts.store), &party, config.passkeys.clone());
    made.map_err(|problem| vec![problem.to_string()])
}

/// Every host must be served by a certificate, or one be ordered for it: else its handshakes would fail for no visible
/// reason.
pub fn uncovered_hosts(config: &Config, certificates: &ServerCertificates) -> Result<(), Failure> {
    let own = [Some(&config.login_host), Some(&config.portal_host), config.console_host.as_ref()];
    let hosts = own.into_iter().flatten().chain(config.apps.iter().map(|app| &app.host));
    let is_ordered = |host: &policy::Host| config.acme.as_ref().is_some_and(|acme| acme.covers(host));
    let uncovered = hosts.filter(|host| !certificates.covers(host) && !is_ordered(host));
    let uncovered: Vec<&str> = uncovered.map(policy::Host::as_str).collect();
    if uncovered.is_empty() {
        return Ok(());
    }
    Err(Failure::input(format!(
        "no certificate covers `{}`; add a [[certificate]] whose names include it",
        uncovered.join("`, `")
    )))
}

fn doors(
    config: &Config,
    certificates: &Arc<ServerCertificates>,
    roots: &Arc<DeviceRoots>,
    metrics: &Metrics,
) -> Result<Vec<Door>, Failure> {
    let limits = &config.limits;
    let open = metrics.open_connections.clone();
    let slots = Slots::new(limits.connections_max, limits.connections_per_address_max, open);
    let door = |listener: &config::Listener| {
        let tls = certs::server_config(listener, Arc::clone(certificates), Arc::clone(roots))
            .map_err(|problem| Failure::input(problem.to_string()))?;
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        Ok(Door { listener: Arc::new(listener.clone()), acceptor, slots: Arc::clone(&slots) })
    };
    config.listeners.iter().map(door).collect()
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

fn start_workers(
    gate: &Arc<Gate>,
    doors: &[Door],
    sockets: &Sockets,
    orders: &watch::Receiver<Order>,
    ended: &mpsc::UnboundedSender<usize>,
) -> Result<Vec<JoinHandle<()>>, Failure> {
    (0..gate.snapshot.load().config.limits.workers.max(1))
        .map(|number| {
            let (gate, orders) = (Arc::clone(gate), orders.clone());
            let own = sockets.of_worker(number);
            let own = own.map_err(|error| Failure::unavailable(format!("the system gives no descriptor: {error}")))?;
            let several = |(door, sockets): (&Door, Vec<TcpListener>)| {
                sockets.into_iter().map(|socket| (door.clone(), socket)).collect::<Vec<_>>()
            };
            let doors = doors.iter().zip(own).flat_map(several).collect();
            let telling = TellsItsEnd { ended: ended.clone(), pulse: Arc::clone(&gate.pulse), number };
            std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || work(gate, &telling, doors, orders))
                .map_err(|error| Failure::unavailable(format!("the system gives no thread: {error}")))
        })
        .collect()
}

/// Tells that a worker ended, however it did.
struct TellsItsEnd {
    ended: mpsc::UnboundedSender<usize>,
    pulse: Arc<Pulse>,
    number: usize,
}

impl Drop for TellsItsEnd {
    fn drop(&mut self) {
        self.pulse.leave(self.number);
        // Nobody listens once the gateway ends anyway.
        let _nobody = self.ended.send(self.number);
    }
}

/// One worker's thread, from start to end.
fn work(gate: Arc<Gate>, telling: &TellsItsEnd, doors: Vec<(Door, TcpListener)>, mut orders: watch::Receiver<Order>) {
    let options = tokio::runtime::LocalOptions::default();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build_local(options) {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "a worker could not start");
            return;
        }
    };
    runtime.block_on(async move {
        let worker = Rc::new(Worker::new(gate, telling.number));
        let mut accepting = JoinSet::new();
        for (door, socket) in doors {
            match tokio::net::TcpListener::from_std(socket) {
                Ok(socket) => {
                    accepting.spawn_local(listen::accept(Rc::clone(&worker), door, socket, orders.clone()));
                }
                Err(error) => tracing::error!(%error, ?door, "a listener could not start"),
            }
        }
        let mut care = spawn_local(Rc::clone(&worker).look_after());
        let leave = tokio::select! {
            leave = drain::told(&mut orders) => leave,
            // Whoever does not look after what is open, or takes nobody in, is no worker any more.
            ended = &mut care => return tracing::error!(?ended, "a worker looks after nothing any more"),
            Some(Err(error)) = accepting.join_next() => return tracing::error!(%error, "a worker accepts no more"),
        };
        while accepting.join_next().await.is_some() {}
        drain::drain(&worker, leave).await;
        care.abort();
    });
}

/// The signals that mean something, listened to before anything is open, so that none takes its default action.
struct Signals {
    hang_up: Signal,
    ends: Ends,
}

/// Those that end this process in one way or another.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
    hand_over: Signal,
}

/// Why it is to end.
enum End {
    Stop,
    HandOver,
    Fault,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|error| Failure::unavailable(format!("signals cannot be received: {error}")));
        Ok(Self {
            hang_up: listen(SignalKind::hangup())?,
            ends: Ends {
                terminate: listen(SignalKind::terminate())?,
                interrupt: listen(SignalKind::interrupt())?,
                hand_over: listen(SignalKind::user_defined2())?,
            },
        })
    }
}

impl Ends {
    /// Waits for SIGTERM, SIGINT, SIGUSR2, or a part that ended, which none does while all is well.
    async fn wait(&mut self, control: &mut JoinSet<()>, a_worker_ended: &mut mpsc::UnboundedReceiver<usize>) -> End {
        tokio::select! {
            _ = self.terminate.recv() => End::Stop,
            _ = self.interrupt.recv() => End::Stop,
            _ = self.hand_over.recv() => End::HandOver,
            ended = control.join_next() => {
                tracing::error!(?ended, "a part of the control plane ended; stopping");
                End::Fault
            }
            worker = a_worker_ended.recv() => {
                tracing::error!(worker, "a worker ended; stopping");
                End::Fault
            }
        }
    }

    /// Waits for SIGTERM or SIGINT.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for so long, or until whoever stops the gateway says it once more.
    async fn again_or(&mut self, within: Duration) {
        // Either way the wait is over.
        drop(tokio::time::timeout(within, self.stop()).await);
    }
}

fn join(worker: JoinHandle<()>) {
    if worker.join().is_err() {
        tracing::error!("a worker panicked");
    }
}

fn list(problems: Vec<certs::CertProblem>) -> Failure {
    Failure::input(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}
