//! The workers' threads: what they accept by, how they begin, and how it is known that one ended.

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use certs::{DeviceRoots, ServerCertificates};
use config::Config;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, spawn_local};
use tokio_rustls::TlsAcceptor;

use crate::drain::{self, Order};
use crate::failure::Failure;
use crate::gate::Gate;
use crate::handover::Sockets;
use crate::listen::{self, Door};
use crate::metrics::Metrics;
use crate::pulse::Pulse;
use crate::slots::Slots;
use crate::worker::Worker;

pub(super) fn doors(
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

pub(super) fn start(
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

pub(super) fn join(worker: JoinHandle<()>) {
    if worker.join().is_err() {
        tracing::error!("a worker panicked");
    }
}
