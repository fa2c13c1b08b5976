//! Addresses of loopback that nobody else has: every port on one is its owner's, from the first moment to the last. A port of
//! the shared address that was free a moment ago may be somebody's by the time it is bound.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU8, Ordering};

/// Whoever listens there has the address; nobody else's port.
const GUARD_PORT: u16 = 64_999;
/// Addresses of one process.
const COUNTS: u8 = 200;

static NEXT: AtomicU8 = AtomicU8::new(0);

/// One of them, kept for as long as this value.
#[derive(Debug)]
pub struct Loopback {
    ip: Ipv4Addr,
    _guard: TcpListener,
}

impl Loopback {
    /// Takes one, made from the process and a count: the next one where another process has it already.
    #[must_use]
    pub fn take() -> Self {
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let counts = (0..COUNTS).map(|_| NEXT.fetch_add(1, Ordering::Relaxed) % COUNTS);
        let ips = counts.map(|count| Ipv4Addr::new(127, 16 + count, high, low));
        let mut free = ips.filter_map(|ip| Some(Self { ip, _guard: TcpListener::bind((ip, GUARD_PORT)).ok()? }));
        free.next().expect("loopback has an address that nobody has")
    }

    /// The address.
    #[must_use]
    pub fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// A port of it.
    #[must_use]
    pub fn port(&self, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.ip), port)
    }
}
