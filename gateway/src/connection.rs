//! One client connection after its handshake: who is at the other end, and the worker's book of connections.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use config::Limits;
use identity::{DeviceState, Devices};
use policy::{Device, Fingerprint, Host, Timestamp, ZoneId};

use crate::exchange::{Cut, How};
use crate::headers::Introduction;
use crate::metrics::Metrics;
use crate::slots::Slot;
use crate::vitals::{Health, Vitals};

/// One client connection after its handshake.
#[derive(Debug)]
pub struct Connection {
    /// The peer's address.
    pub address: IpAddr,
    /// The zone of the listener.
    pub zone: ZoneId,
    /// The name the client asked for in the handshake.
    pub server_name: Host,
    /// The device certificate it proved.
    pub certificate: Option<Fingerprint>,
    /// The origin of the name the client asked for, as browsers write it.
    pub origin: String,
    /// How its peer is introduced to upstreams.
    pub introduction: Introduction,
    /// Its place among the open connections; a tunnel keeps it when HTTP has let go.
    pub _slot: Slot,
    /// What it is doing.
    pub vitals: Vitals,
    /// Ends it from outside.
    pub cut: Rc<Cut>,
}

impl Connection {
    /// The device of this connection as the ledger has it now: a resumed handshake does not verify a certificate
    /// again, so it is looked up on every request.
    pub fn device(&self, devices: &Devices, at: Timestamp) -> Option<Arc<Device>> {
        match devices.find(self.certificate.as_ref()?, at) {
            DeviceState::Known(device) => Some(device),
            DeviceState::Revoked(_) | DeviceState::Expired(_) | DeviceState::Unknown => None,
        }
    }
}

/// The worker's book of connections.
#[derive(Debug, Default)]
pub struct ConnectionBook {
    next: Cell<u64>,
    entries: RefCell<HashMap<u64, Rc<Connection>>>,
}

/// Keeps a connection in the book until dropped.
#[derive(Debug)]
pub struct InConnectionBook {
    book: Rc<ConnectionBook>,
    key: u64,
}

impl Drop for InConnectionBook {
    fn drop(&mut self) {
        self.book.entries.borrow_mut().remove(&self.key);
    }
}

impl ConnectionBook {
    /// Enters a connection.
    pub fn enter(self: &Rc<Self>, connection: Rc<Connection>) -> InConnectionBook {
        let key = self.next.get();
        self.next.set(key.wrapping_add(1));
        self.entries.borrow_mut().insert(key, connection);
        InConnectionBook { book: Rc::clone(self), key }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Cuts connections whose head takes too long, and closes those that stand idle.
    pub fn sweep(&self, now: Instant, limits: &Limits, metrics: &Metrics) {
        for connection in self.entries.borrow().values() {
            match connection.vitals.health(now, limits.head_timeout, limits.keep_alive_timeout) {
                Health::Fine => {}
                Health::SlowHead => {
                    metrics.connections_swept.inc();
                    connection.cut.end(How::Now);
                }
                Health::Idle => {
                    metrics.connections_swept.inc();
                    connection.cut.end(How::Gracefully);
                }
            }
        }
    }

    /// Closes the connections of devices that are no longer in force.
    pub fn close_revoked(&self, devices: &Devices, at: Timestamp) {
        for connection in self.entries.borrow().values() {
            let Some(certificate) = &connection.certificate else { continue };
            match devices.find(certificate, at) {
                DeviceState::Known(_) | DeviceState::Unknown => {}
                DeviceState::Revoked(_) | DeviceState::Expired(_) => connection.cut.end(How::Gracefully),
            }
        }
    }

    /// Asks all connections to end.
    pub fn end_all(&self, how: How) {
        for connection in self.entries.borrow().values() {
            connection.cut.end(how);
        }
    }
}
