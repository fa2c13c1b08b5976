//! Sockets: bound before anything starts, accepted from on every worker (SO_REUSEPORT spreads connections over them).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use config::Listener;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio_rustls::TlsAcceptor;

use crate::http::serve_connection;
use crate::slots::Slots;
use crate::tls::handshake;
use crate::worker::Worker;

/// Connections that wait to be accepted, per socket.
const BACKLOG: i32 = 1024;
/// A peer that does not answer within this is gone, and so is one that takes nothing of what is sent to it for so long.
const PEER_SILENCE_MAX: Duration = Duration::from_secs(60);
/// How often a connection that waits for a slow peer asks whether it is there, and how often in vain until it is gone.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
const PROBES: u32 = 6;
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

/// Accepts connections for one worker until it ends.
pub async fn accept(worker: Rc<Worker>, door: Door, socket: TcpListener) {
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => take(&worker, &door, stream, canonical(peer.ip())),
            Err(error) => {
                tracing::warn!(%error, listener = door.listener.name, "accepting paused");
                tokio::time::sleep(PAUSE_WITHOUT_DESCRIPTORS).await;
            }
        }
    }
}

fn take(worker: &Rc<Worker>, door: &Door, stream: TcpStream, address: IpAddr) {
    let metrics = &worker.gate.metrics;
    let listed = door.listener.sources.is_empty() || door.listener.sources.iter().any(|net| net.contains(&address));
    let slot = if listed && !worker.gate.is_stopping() { door.slots.take(address) } else { None };
    let Some(slot) = slot else {
        metrics.connections_refused.inc();
        return;
    };
    if let Err(error) = prepare(&stream) {
        tracing::debug!(%error, "a socket could not be prepared");
        return;
    }
    metrics.connections.inc();
    let (worker, door) = (Rc::clone(worker), door.clone());
    // The connection holds its slot; the worker's book knows it until it ends.
    drop(spawn_local(async move {
        let zone = &door.listener.zone;
        if let Some(shaken) = handshake(&worker, &door.acceptor, stream, address, zone, slot).await {
            serve_connection(Rc::clone(&worker), shaken.connection, shaken.stream, shaken.is_http2).await;
        }
    }));
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
