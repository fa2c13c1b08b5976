//! Sockets: bound before anything starts, accepted from on every worker (SO_REUSEPORT spreads connections over them).

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use config::Listener;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio_rustls::TlsAcceptor;

use crate::drain::{self, Fate, Order};
use crate::http::serve_connection;
use crate::proxy_protocol::{self, Origin};
use crate::slots::{Slot, Slots};
use crate::tls::{Shaken, handshake, note_refused};
use crate::worker::Worker;

/// Connections that wait to be accepted, per socket.
pub const BACKLOG: i32 = 1024;
/// A peer that does not answer within this is gone, and so is one that takes nothing of what is sent to it for so long.
const PEER_SILENCE_MAX: Duration = Duration::from_secs(60);
/// How often a connection that waits for a slow peer asks whether it is there, and how often in vain until it is gone.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
const PROBES: u32 = 6;
/// Connections that a worker takes in a row; then whoever else is ready has their turn.
const ACCEPTED_IN_A_ROW: usize = 16;
/// How long accepting pauses when the system has no more descriptors.
const PAUSE_WITHOUT_DESCRIPTORS: Duration = Duration::from_millis(50);

/// A listener with its TLS, ready for every worker.
#[derive(Clone)]
pub struct Door {
    /// The listener as configured.
    pub listener: Arc<Listener>,
    /// Its TLS.
    pub acceptor: TlsAcceptor,
    /// Its slots, shared by all doors.
    pub slots: Arc<Slots>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Door({})", self.listener.name)
    }
}

/// Binds one socket of a listener.
///
/// # Errors
/// Why the system will not give it; say which listener and address.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts connections for one worker until it is told to end.
pub async fn accept(worker: Rc<Worker>, door: Door, socket: TcpListener, mut orders: watch::Receiver<Order>) {
    let mut in_a_row = 0;
    let leave = loop {
        if in_a_row == ACCEPTED_IN_A_ROW {
            in_a_row = 0;
            tokio::task::yield_now().await;
        }
        tokio::select! {
            biased;
            leave = drain::told(&mut orders) => break leave,
            accepted = socket.accept() => match accepted {
                Ok((stream, peer)) => {
                    in_a_row += 1;
                    take(&worker, &door, stream, canonical(peer.ip()));
                }
                Err(error) => pause(&worker, &door, &error).await,
            },
        }
    };
    match leave.sockets {
        Fate::Stay => {}
        Fate::Close => take_what_waits(&worker, &door, socket),
    }
}

/// Accepting stops for a moment: the system has no more descriptors, as a rule.
async fn pause(worker: &Worker, door: &Door, error: &io::Error) {
    worker.gate.metrics.accepts_paused.inc();
    tracing::warn!(%error, listener = door.listener.name, "accepting paused");
    tokio::time::sleep(PAUSE_WITHOUT_DESCRIPTORS).await;
}

/// Takes the connections that wait in a socket that is about to close: they would be reset with it.
fn take_what_waits(worker: &Rc<Worker>, door: &Door, socket: TcpListener) {
    let Ok(socket) = socket.into_std() else { return };
    for _ in 0..BACKLOG {
        let Ok((stream, peer)) = socket.accept() else { return };
        if stream.set_nonblocking(true).is_ok()
            && let Ok(stream) = TcpStream::from_std(stream)
        {
            take(worker, door, stream, canonical(peer.ip()));
        }
    }
}

fn take(worker: &Rc<Worker>, door: &Door, stream: TcpStream, peer: IpAddr) {
    let metrics = &worker.gate.metrics;
    let is_balancer = door.is_balancer(peer);
    let slot = if is_balancer || door.admits(peer) { door.slots.take(peer) } else { None };
    let Some(slot) = slot else {
        metrics.connections_refused.inc();
        return;
    };
    if let Err(error) = prepare(&stream) {
        tracing::debug!(%error, "a socket could not be prepared");
        return;
    }
    metrics.connections.inc();
    let arriving = Arriving::new(worker);
    let introducing = Introducing { door: door.clone(), stream, peer, is_balancer, slot };
    // The connection holds its slot; the worker's book knows it until it ends.
    drop(spawn_local(run(Rc::clone(worker), introducing, arriving)));
}

/// A connection of which only its peer's address is known.
struct Introducing {
    door: Door,
    stream: TcpStream,
    peer: IpAddr,
    is_balancer: bool,
    slot: Slot,
}

/// A connection from its first byte to its last. Its handshake takes much, its life little: what the one needs is let go
/// of before the other begins.
async fn run(worker: Rc<Worker>, introducing: Introducing, arriving: Arriving) {
    let shaken = Box::pin(shake(&worker, introducing)).await;
    // From here on it is in the book of connections.
    drop(arriving);
    let serving =
        shaken.map(|Shaken { connection, stream, is_http2 }| serve_connection(worker, connection, stream, is_http2));
    if let Some(serving) = serving {
        serving.await;
    }
}

async fn shake(worker: &Worker, introducing: Introducing) -> Option<Shaken> {
    let Introducing { door, mut stream, peer, is_balancer, slot } = introducing;
    let (address, slot) = match is_balancer {
        true => behind_balancer(worker, &door, &mut stream, peer, slot).await?,
        false => (peer, slot),
    };
    handshake(worker, &door.acceptor, stream, address, &door.listener.zone, slot).await
}

/// Hears from a balancer whom a connection is from; a slot of that client's own. Nothing where it is to be closed.
async fn behind_balancer(
    worker: &Worker,
    door: &Door,
    stream: &mut TcpStream,
    balancer: IpAddr,
    slot: Slot,
) -> Option<(IpAddr, Slot)> {
    let within = worker.gate.snapshot.load().config.limits.handshake_timeout;
    match tokio::time::timeout(within, proxy_protocol::read(stream)).await {
        Ok(Ok(Origin::Balancer)) => Some((balancer, slot)),
        Ok(Ok(Origin::Client(client))) => {
            // Its own slot counts it among those of its address; the balancer's is free again.
            let own = if door.admits(client) { door.slots.take(client) } else { None };
            if own.is_none() {
                worker.gate.metrics.connections_refused.inc();
            }
            own.map(|own| (client, own))
        }
        Ok(Err(error)) => {
            worker.gate.metrics.connections_refused.inc();
            tracing::debug!(%error, %balancer, "a connection without a header of the PROXY protocol is closed");
            if error.kind() == io::ErrorKind::InvalidData {
                note_refused(worker, balancer, &door.listener.zone, "proxy-protocol").await;
            }
            None
        }
        Err(_) => {
            worker.gate.metrics.connections_refused.inc();
            None
        }
    }
}

impl Door {
    /// Whether an address may connect.
    fn admits(&self, address: IpAddr) -> bool {
        let sources = &self.listener.sources;
        sources.is_empty() || sources.iter().any(|network| network.contains(&address))
    }

    /// Whether an address is that of a balancer, which says whom it connects for.
    fn is_balancer(&self, address: IpAddr) -> bool {
        self.listener.proxy_protocol_from.iter().any(|network| network.contains(&address))
    }
}

/// Connections that are accepted, and not yet in the book of connections.
#[derive(Debug, Default)]
pub struct Arrivals(Cell<usize>);

impl Arrivals {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.get()
    }
}

/// Counts one of them until dropped.
struct Arriving(Rc<Worker>);

impl Arriving {
    fn new(worker: &Rc<Worker>) -> Self {
        let count = &worker.arrivals.0;
        count.set(count.get().saturating_add(1));
        Self(Rc::clone(worker))
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let count = &self.0.arrivals.0;
        count.set(count.get().saturating_sub(1));
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    notice_silence(stream)
}

/// Ends a connection whose other side is silently gone, such as a machine without power.
pub fn notice_silence(stream: &TcpStream) -> io::Result<()> {
    let socket = socket2::SockRef::from(stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(PEER_SILENCE_MAX))?;
    socket.set_tcp_user_timeout(Some(PEER_SILENCE_MAX))
}

/// Lets a connection's other side take nothing for as long as it answers at all; one that is silently gone ends it.
pub fn wait_for_slow(stream: &TcpStream) -> io::Result<()> {
    let socket = socket2::SockRef::from(stream);
    let probes = TcpKeepalive::new().with_time(PEER_SILENCE_MAX).with_interval(PROBE_INTERVAL).with_retries(PROBES);
    socket.set_tcp_keepalive(&probes)?;
    socket.set_tcp_user_timeout(None)
}

/// An IPv4 address that came in by an IPv6 socket, as IPv4.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of the future that a function returns, without calling it.
    fn future_bytes<A, B, C, F>(_function: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn what_a_handshake_needs_is_not_kept_for_the_life_of_its_connection() {
        let bytes = future_bytes(run);
        assert!(bytes <= 1024, "{bytes} bytes are held for every connection");
    }
}
