//! The listening sockets: found in the hands of whoever had them before, or bound; held for as long as the service is.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};

use config::Config;
use socket2::SockRef;

use crate::failure::Failure;
use crate::listen;

/// Listening sockets that were open before this gateway, whoever had them.
#[derive(Debug, Default)]
pub struct Found(Vec<TcpListener>);

impl Found {
    /// These; what is no listening socket is left out.
    pub fn new(sockets: impl IntoIterator<Item = TcpListener>) -> Self {
        Self(sockets.into_iter().filter(|socket| socket.set_nonblocking(true).is_ok()).collect())
    }

    /// Takes those of an address.
    fn take(&mut self, wanted: SocketAddr) -> Vec<TcpListener> {
        let (taken, left) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|socket| socket.local_addr().is_ok_and(|bound| serves(bound, wanted)));
        self.0 = left;
        taken
    }
}

/// Whether a socket that is bound here is the one that the configuration wants. A socket for all addresses of IPv6 is not
/// the one for all of IPv4, though it may take both: the two can be listeners of different zones.
fn serves(bound: SocketAddr, wanted: SocketAddr) -> bool {
    bound.port() == wanted.port() && bound.ip().to_canonical() == wanted.ip().to_canonical()
}

/// The sockets of every listener.
#[derive(Debug)]
pub struct Sockets {
    listeners: Vec<Vec<TcpListener>>,
    operations: Option<TcpListener>,
    workers: usize,
}

impl Sockets {
    /// Takes what was found and binds what is missing. Whatever else was found is closed.
    ///
    /// # Errors
    /// A socket that the system does not give; nothing is accepted then.
    pub fn open(mut found: Found, config: &Config) -> Result<Self, Failure> {
        let workers = config.limits.workers.max(1);
        let mut listeners = Vec::new();
        for listener in &config.listeners {
            let sockets = complete(found.take(listener.address), listener.address, workers).map_err(|error| {
                Failure::unavailable(format!("listener `{}`: cannot bind {}: {error}", listener.name, listener.address))
            })?;
            listeners.push(sockets);
        }
        let operations = match config.operations.address {
            None => None,
            Some(address) => {
                let sockets = complete(found.take(address), address, 1).map_err(|error| {
                    Failure::unavailable(format!("the operations listener cannot bind {address}: {error}"))
                })?;
                sockets.into_iter().next()
            }
        };
        for stray in &found.0 {
            let address = stray.local_addr().map(|address| address.to_string()).unwrap_or_default();
            tracing::info!(address, "a socket that no listener wants any more is closed");
        }
        Ok(Self { listeners, operations, workers })
    }

    /// For one worker: of each listener the sockets it accepts from. Every socket has a worker, so that nobody waits in
    /// one that is forgotten, and every worker has a socket.
    ///
    /// # Errors
    /// The system gives no more descriptors.
    pub fn of_worker(&self, worker: usize) -> std::io::Result<Vec<Vec<TcpListener>>> {
        let of_listener = |sockets: &Vec<TcpListener>| {
            let own = sockets.iter().enumerate().filter(|(number, _)| number % self.workers == worker);
            let mut own: Vec<&TcpListener> = own.map(|(_, socket)| socket).collect();
            if own.is_empty() {
                // Fewer sockets than workers: shared with another.
                own.extend(sockets.get(worker % sockets.len().max(1)));
            }
            own.into_iter().map(TcpListener::try_clone).collect()
        };
        self.listeners.iter().map(of_listener).collect()
    }

    /// The operations listener's.
    ///
    /// # Errors
    /// The system gives no more descriptors.
    pub fn operations(&self) -> std::io::Result<Option<TcpListener>> {
        self.operations.as_ref().map(TcpListener::try_clone).transpose()
    }

    /// All of them, to be handed over.
    pub fn all(&self) -> Vec<BorrowedFd<'_>> {
        self.listeners.iter().flatten().chain(&self.operations).map(AsFd::as_fd).collect()
    }

    /// The addresses they are bound to, each once.
    pub fn addresses(&self) -> BTreeSet<SocketAddr> {
        self.listeners.iter().flatten().chain(&self.operations).filter_map(|one| one.local_addr().ok()).collect()
    }

    /// All of them as they are found by whoever serves next.
    pub fn leave(self) -> Found {
        Found(self.listeners.into_iter().flatten().chain(self.operations).collect())
    }
}

/// As many sockets of an address as there are workers, where the system gives more of them beside those that were found.
fn complete(mut found: Vec<TcpListener>, address: SocketAddr, workers: usize) -> std::io::Result<Vec<TcpListener>> {
    let mut may_be_more = true;
    for socket in &found {
        let socket = SockRef::from(socket);
        may_be_more &= socket.reuse_port()?;
        // Asked for again: systemd may have opened it with another.
        socket.listen(listen::BACKLOG)?;
    }
    let bind_at = found.first().and_then(|first| first.local_addr().ok()).unwrap_or(address);
    while may_be_more && found.len() < workers {
        match listen::bind(bind_at) {
            Ok(socket) => found.push(socket),
            Err(error) if found.is_empty() => return Err(error),
            Err(error) => {
                tracing::info!(%error, %address, "no further socket beside the one that was found; it is shared");
                may_be_more = false;
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    fn sockets(found: Vec<TcpListener>, workers: usize) -> Sockets {
        Sockets { listeners: vec![found], operations: None, workers }
    }

    fn numbers(sockets: &Sockets, worker: usize) -> Vec<u64> {
        let inode = |socket: &TcpListener| rustix::fs::fstat(socket).unwrap().st_ino;
        sockets.of_worker(worker).unwrap().iter().flatten().map(inode).collect()
    }

    #[test]
    fn every_socket_has_a_worker_and_every_worker_a_socket() {
        let bound = |count: usize| -> Vec<TcpListener> {
            let first = listen::bind(local()).unwrap();
            let address = first.local_addr().unwrap();
            std::iter::once(first).chain((1..count).map(|_| listen::bind(address).unwrap())).collect()
        };
        for (there, workers) in [(1, 1), (1, 4), (4, 1), (4, 3), (3, 4), (2, 2)] {
            let sockets = sockets(bound(there), workers);
            let by_worker: Vec<Vec<u64>> = (0..workers).map(|worker| numbers(&sockets, worker)).collect();
            assert!(by_worker.iter().all(|own| !own.is_empty()), "{there} for {workers}: {by_worker:?}");
            let all: BTreeSet<u64> = by_worker.iter().flatten().copied().collect();
            assert_eq!(all.len(), there, "{there} for {workers}: {by_worker:?}");
        }
    }

    #[test]
    fn found_sockets_are_taken_by_their_address_and_completed() {
        let found = listen::bind(local()).unwrap();
        let address = found.local_addr().unwrap();
        let stranger = listen::bind(local()).unwrap();
        let mut all = Found::new([found, stranger]);
        let taken = complete(all.take(address), address, 3).unwrap();
        assert_eq!(taken.len(), 3, "two more are bound beside it");
        assert!(taken.iter().all(|socket| socket.local_addr().unwrap() == address));
        assert_eq!(all.0.len(), 1, "the other is not its own");
    }

    #[test]
    fn a_socket_that_admits_no_other_is_shared() {
        let alone = TcpListener::bind(local()).unwrap();
        let address = alone.local_addr().unwrap();
        let taken = complete(vec![alone], address, 3).unwrap();
        assert_eq!(taken.len(), 1);
        let sockets = sockets(taken, 3);
        assert!((0..3).all(|worker| sockets.of_worker(worker).unwrap().iter().flatten().count() == 1));
    }

    #[test]
    fn a_socket_serves_its_own_address_alone() {
        let serves = |bound: &str, wanted: &str| serves(bound.parse().unwrap(), wanted.parse().unwrap());
        assert!(serves("10.0.0.1:443", "10.0.0.1:443") && serves("[::]:443", "[::]:443"));
        assert!(serves("[::ffff:10.0.0.1]:443", "10.0.0.1:443"));
        assert!(!serves("[::]:443", "0.0.0.0:443"), "another zone may listen on the other kind");
        assert!(!serves("0.0.0.0:443", "[::]:443") && !serves("0.0.0.0:443", "10.0.0.1:443"));
        assert!(!serves("[::]:443", "[::]:8443"));
    }
}
