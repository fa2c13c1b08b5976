//! Putting the gateway together: open what must not be lost, bind before anything starts, then workers, control
//! plane, and the orderly end.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use audit::{Event, Log, Note, Recovery};
use certs::{DeviceCa, DeviceRoots, ServerCertificates};
use config::{Config, Problems};
use identity::{
    Assertions, Devices, Grants, HandOffs, Outage, Passkeys, People, PostureDesk, Refresh, RelyingParty, Sessions,
    Watch,
};
use policy::Clock;
use store::{Sqlite, Store};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio_rustls::TlsAcceptor;

use crate::caps::Counts;
use crate::clock::RequestIds;
use crate::denials::Denials;
use crate::device_issuer::DeviceIssuer;
use crate::failure::Failure;
use crate::feed::{Feeds, Receivers};
use crate::finding::Finding;
use crate::gate::Gate;
use crate::limit::Limiter;
use crate::listen::{self, Door};
use crate::lists::ListClient;
use crate::metrics::Metrics;
use crate::nodes::{self, Nodes};
use crate::notices::{self, Senders};
use crate::patients::Desk;
use crate::reload::{Reloader, Stamps};
use crate::revisions::{self, Standing, Start};
use crate::shadow::Shadow;
use crate::slots::Slots;
use crate::snapshot::{Snapshot, UpstreamIds};
use crate::tunnel::Tunnels;
use crate::upstream::dial::Dialer;
use crate::worker::Worker;
use crate::{clock, lists, operations, record, reload, shadow, upkeep};

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

/// Serves until told to stop.
///
/// # Errors
/// [`Failure`] where it cannot start; nothing is bound then.
pub fn serve(source: Source, on_ready: impl FnOnce(&Config)) -> Result<(), Failure> {
    // Looked at before reading, so that what is written meanwhile is noticed later.
    let mut stamps = Stamps::of_source(&source);
    let config = source.read().map_err(|problems| Failure::input(problems.to_string()))?;
    stamps.learn(&reload::files(&source, &config));
    install_crypto();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::unavailable(format!("the system gives no event queue: {error}")))?;
    runtime.block_on(run(source, stamps, config, on_ready))
}

/// Makes aws-lc the one provider of cryptography. A second call changes nothing.
fn install_crypto() {
    // It is already installed when the demo or a test starts a second gateway in one process.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

async fn run(source: Source, stamps: Stamps, config: Config, on_ready: impl FnOnce(&Config)) -> Result<(), Failure> {
    let clock = clock::real();
    let signals = Signals::listen()?;
    let at = clock.now();

    let store: Arc<dyn Store> = Arc::new(open_store(&config.state_dir)?);
    let start = match &source {
        Source::File(_) => revisions::at_start(&*store, config).await.map_err(Failure::input)?,
        Source::Text { .. } => Start { config, standing: Standing::AsBefore, kept: None },
    };
    let Start { config, standing, kept } = start;
    let config = Arc::new(config);

    let device_ca = DeviceCa::open(&device_ca_dir(&config.state_dir), &config.devices, &config.facility.name, at)
        .map_err(|problem| Failure::unavailable(problem.to_string()))?;
    let device_ca = Arc::new(device_ca);
    let certificates = ServerCertificates::load(&config.certificates, at).map_err(list)?;
    uncovered_hosts(&config, &certificates)?;
    let roots = DeviceRoots::load(&device_ca, &config.devices, at).map_err(list)?;
    let metrics = Metrics::new();
    let doors = doors(&config, &certificates, &roots, &metrics)?;

    let unavailable = |problem: store::StoreProblem| Failure::unavailable(problem.to_string());
    let devices = Arc::new(Devices::load(Arc::clone(&store)).await.map_err(unavailable)?);
    let sessions = Arc::new(Sessions::new(Arc::clone(&store), Arc::clone(&devices), config.sessions.clone()));
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
        nodes: Arc::default(),
        upstream_ids: UpstreamIds::default(),
    };
    let snapshot = snapshot(Arc::clone(&config), &parts).map_err(|problems| Failure::input(problems.join("\n")))?;
    let desk = Desk::open(clock.clone(), metrics.patients.clone())
        .map_err(|error| Failure::unavailable(format!("the system gives no thread: {error}")))?;
    desk.restore(&*store, config.nodes.as_ref()).await.map_err(|problem| Failure::unavailable(problem.to_string()))?;
    let gate = Arc::new(Gate {
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
    });
    // Last of all that can fail: a gateway that cannot start never takes a connection from one that runs.
    let sockets = bind(&config)?;
    let operations = bind_operations(&config)?;
    note_start(&gate, recovery, &*store, standing).await?;
    if let Some(kept) = kept {
        reload::refuse(&gate, &kept.to_string()).await;
    }

    let (stop_workers, stopped) = watch::channel(false);
    let workers = start_workers(&gate, &doors, sockets, &stopped)?;
    let mut control = tokio::task::JoinSet::new();
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
    control.spawn(upkeep::forget_counts(Arc::clone(&gate)));
    control.spawn(upkeep::keep_studies(Arc::clone(&gate), Arc::clone(&store)));
    control.spawn(notices::follow(Arc::clone(&gate), Arc::clone(&store)));
    let shared = nodes::Shared::of(&gate.assertions, &parts.device_ca);
    control.spawn(nodes::follow(Arc::clone(&gate), Arc::clone(&store), shared));
    control.spawn(shadow::follow(Arc::clone(&gate)));
    control.spawn(lists::follow(Arc::clone(&gate), Arc::clone(&parts.device_ca)));
    if let Some(listener) = operations {
        control.spawn(operations::serve(Arc::clone(&gate), listener));
    }
    let feeds = Feeds::start(&gate);
    let reloader = Reloader { source, gate: Arc::clone(&gate), parts };
    control.spawn(reload::watch_files(reloader, stamps, signals.hang_up));

    on_ready(&config);
    tell_systemd(sd_notify::NotifyState::Ready);
    wait_for_end(&mut control, signals.terminate, signals.interrupt).await;

    tell_systemd(sd_notify::NotifyState::Stopping);
    gate.stopping.store(true, Ordering::Relaxed);
    stop_workers.send_replace(true);
    let ended = tokio::task::spawn_blocking(move || workers.into_iter().for_each(join)).await;
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
    log.stop();
    drop(finding);
    // After the log: its last lines are told too.
    feeds.stop().await;
    Ok(())
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
        nodes: Arc::clone(&parts.nodes),
    });
    let dialer = Dialer::new(config.limits.connect_timeout, &config.forbidden_upstreams);
    let lists =
        ListClient::new(&config.devices.crl_fetch, &config.forbidden_upstreams).map_err(|problem| vec![problem])?;
    let receivers = Receivers::build(&config)?;
    let senders = Senders::build(&config)?;
    Ok(Snapshot { config, policy, routes, site, oidc, people, dialer, receivers, senders, lists })
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

/// Opens the store, whose folder is made where it is missing.
fn open_store(state_dir: &Path) -> Result<Sqlite, Failure> {
    std::fs::create_dir_all(state_dir)
        .map_err(|error| Failure::unavailable(format!("`{}`: {error}", state_dir.display())))?;
    Sqlite::open(store_file(state_dir)).map_err(|problem| Failure::unavailable(problem.to_string()))
}

/// Every host must be served by a certificate: else its handshakes would fail for no visible reason.
pub fn uncovered_hosts(config: &Config, certificates: &ServerCertificates) -> Result<(), Failure> {
    let own = [Some(&config.login_host), Some(&config.portal_host), config.console_host.as_ref()];
    let hosts = own.into_iter().flatten().chain(config.apps.iter().map(|app| &app.host));
    let uncovered: Vec<&str> = hosts.filter(|host| !certificates.covers(host)).map(policy::Host::as_str).collect();
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

/// Binds every listener once for every worker; nothing is accepted yet. By worker, then by listener.
fn bind(config: &Config) -> Result<Vec<Vec<TcpListener>>, Failure> {
    let bind_all = |_worker| {
        config
            .listeners
            .iter()
            .map(|listener| {
                listen::bind(listener.address).map_err(|error| {
                    Failure::unavailable(format!(
                        "listener `{}`: cannot bind {}: {error}",
                        listener.name, listener.address
                    ))
                })
            })
            .collect()
    };
    (0..config.limits.workers.max(1)).map(bind_all).collect()
}

fn bind_operations(config: &Config) -> Result<Option<tokio::net::TcpListener>, Failure> {
    let Some(address) = config.operations.address else { return Ok(None) };
    let in_words = |error| Failure::unavailable(format!("the operations listener cannot bind {address}: {error}"));
    let socket = listen::bind(address).map_err(in_words)?;
    tokio::net::TcpListener::from_std(socket).map(Some).map_err(in_words)
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
    sockets: Vec<Vec<TcpListener>>,
    stopped: &watch::Receiver<bool>,
) -> Result<Vec<JoinHandle<()>>, Failure> {
    sockets
        .into_iter()
        .enumerate()
        .map(|(number, sockets)| {
            let (gate, stopped) = (Arc::clone(gate), stopped.clone());
            let doors: Vec<(Door, TcpListener)> = doors.iter().cloned().zip(sockets).collect();
            std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || work(gate, doors, stopped))
                .map_err(|error| Failure::unavailable(format!("the system gives no thread: {error}")))
        })
        .collect()
}

/// One worker's thread, from start to end.
fn work(gate: Arc<Gate>, doors: Vec<(Door, TcpListener)>, mut stopped: watch::Receiver<bool>) {
    let options = tokio::runtime::LocalOptions::default();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build_local(options) {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "a worker could not start");
            return;
        }
    };
    runtime.block_on(async move {
        let worker = Rc::new(Worker::new(gate));
        let mut tasks = Vec::new();
        for (door, socket) in doors {
            match tokio::net::TcpListener::from_std(socket) {
                Ok(socket) => tasks.push(spawn_local(listen::accept(Rc::clone(&worker), door, socket))),
                Err(error) => tracing::error!(%error, ?door, "a listener could not start"),
            }
        }
        let care = spawn_local(Rc::clone(&worker).look_after());
        // An error means that the sender is gone, which is the end as well.
        let _told = stopped.changed().await;
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        let drain = worker.gate.snapshot.load().config.limits.drain_timeout;
        worker.drain(drain).await;
        care.abort();
    });
}

/// The signals that mean something, listened to before anything is open, so that none takes its default action.
struct Signals {
    hang_up: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|error| Failure::unavailable(format!("signals cannot be received: {error}")));
        Ok(Self {
            hang_up: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }
}

/// Waits for SIGTERM, SIGINT, or a control task that ended, which none does while all is well.
async fn wait_for_end(control: &mut tokio::task::JoinSet<()>, mut terminate: Signal, mut interrupt: Signal) {
    tokio::select! {
        _ = terminate.recv() => tracing::info!("stopping"),
        _ = interrupt.recv() => tracing::info!("stopping"),
        ended = control.join_next() => tracing::error!(?ended, "a part of the control plane ended; stopping"),
    }
}

fn tell_systemd(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "systemd was not told");
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
