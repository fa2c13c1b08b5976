//! What is told to systemd, and what it keeps for us: the listening sockets, over restarts and crashes.

use std::net::SocketAddr;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use super::sockets::{Found, Sockets};
use crate::pulse::Pulse;

/// Under which name systemd keeps the sockets.
const NAME: &str = "sekimori";

/// Tells systemd, where it started this program.
pub fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// The sockets that systemd opened for this program, or kept since it ran last.
pub fn found() -> Found {
    let mut given = ListenFd::from_env();
    let mut sockets = Vec::new();
    for number in 0..given.len() {
        match given.take_tcp_listener(number) {
            Ok(socket) => sockets.extend(socket),
            Err(error) => tracing::warn!(%error, number, "systemd gave something else than a listening socket"),
        }
    }
    Found::new(sockets)
}

/// Has systemd keep the sockets (`FileDescriptorStoreMax=`), so that they stay open between two processes. Those of
/// addresses that nobody listens on any more are given up.
pub fn keep(sockets: &Sockets) {
    // Whatever was kept before is replaced as a whole: the same socket is not kept twice.
    tell(&[NotifyState::FdStoreRemove, NotifyState::FdName(NAME)]);
    for one in sockets.all() {
        if let Err(error) = sd_notify::notify_with_fds(&[NotifyState::FdStore, NotifyState::FdName(NAME)], &[one]) {
            tracing::debug!(%error, "systemd does not keep the sockets");
            return;
        }
    }
    let addresses: Vec<String> = sockets.addresses().iter().map(SocketAddr::to_string).collect();
    tracing::debug!(addresses = addresses.join(" "), "systemd was asked to keep the sockets");
}

/// Tells systemd again and again that every worker turns, where it wants to know (`WatchdogSec=`). One that hangs is
/// not told away: systemd then starts the service anew.
pub async fn feed_watchdog(pulse: std::sync::Arc<Pulse>) {
    let Some(within) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let step = (within / 4).max(Duration::from_millis(100));
    loop {
        let oldest = pulse.oldest();
        if oldest < within / 2 {
            tell(&[NotifyState::Watchdog]);
        } else {
            tracing::error!(seconds = oldest.as_secs(), "a worker does not turn");
        }
        tokio::time::sleep(step).await;
    }
}
