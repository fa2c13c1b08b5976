//! One client connection after its handshake: who is at the other end, and the worker's book of connections.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{Event, Note};
use certs::{Refusal, Shown};
use foldhash::HashMap;
use identity::{DeviceState, Devices};
use policy::{Device, Fingerprint, Host, Timestamp, ZoneId};

use crate::exchange::{Cut, How};
use crate::headers::Introduction;
use crate::metrics::Metrics;
use crate::slots::Slot;
use crate::telemetry::Handshake;
use crate::vitals::{Health, Vitals};
use crate::worker::Worker;

/// How often the ledger is told that a device of an open connection is there.
const SEEN_INTERVAL: Duration = Duration::from_secs(60);

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
    /// The same with those it was shown with, to be asked about again.
    pub shown: Option<Shown>,
    /// Whether it was recorded that its certificate is believed no longer.
    pub is_disbelief_noted: Cell<bool>,
    /// When its device was last noted as seen.
    pub seen_noted_at: Cell<Timestamp>,
    /// The origin of the name the client asked for, as browsers write it.
    pub origin: String,
    /// When its handshake was, until a request tells of it.
    pub handshake: Cell<Option<Handshake>>,
    /// How its peer is introduced to upstreams.
    pub introduction: Rc<Introduction>,
    /// Its place among the open connections; a tunnel keeps it when HTTP has let go.
    pub _slot: Slot,
    /// What it is doing.
    pub vitals: Vitals,
    /// Ends it from outside.
    pub cut: Rc<Cut>,
}

impl Connection {
    /// The device of this connection as the ledger has it now: a resumed handshake does not verify a certificate
    /// again, so it is looked up on every request. A certificate that its CA has withdrawn since ends the connection.
    pub fn device(&self, worker: &Worker, at: Timestamp) -> Option<Arc<Device>> {
        let devices = &worker.gate.devices;
        if !self.is_believed(worker, at) {
            return None;
        }
        match devices.find(self.certificate.as_ref()?, at) {
            DeviceState::Known(device) => {
                self.note_seen(devices, &device, at);
                Some(device)
            }
            DeviceState::Revoked(_) | DeviceState::Expired(_) | DeviceState::Unknown => None,
        }
    }

    /// Asks again whether the CA of its certificate stands by it; if not, ends the connection, and records why once.
    pub fn is_believed(&self, worker: &Worker, at: Timestamp) -> bool {
        let Some(shown) = &self.shown else { return true };
        let Err(refusal) = worker.gate.roots.recheck(shown, at) else { return true };
        self.cut.end(How::Gracefully);
        if !self.is_disbelief_noted.replace(true) {
            let (recorder, note) = (worker.recorder.clone(), self.refused(refusal, at));
            tokio::task::spawn_local(async move {
                if let Err(problem) = recorder.note(note).await {
                    tracing::error!(%problem, "a certificate that was withdrawn could not be recorded");
                }
            });
        }
        false
    }

    fn refused(&self, refusal: Refusal, at: Timestamp) -> Note {
        let mut note = Note::new(Event::TlsRefused, at).code(refusal.code());
        note.address = Some(self.address);
        note.zone = Some(self.zone.clone());
        note.host = Some(self.server_name.clone());
        note.certificate = self.certificate;
        note
    }

    /// Notes that a device was here, now and then: the ledger knows days, not requests.
    fn note_seen(&self, devices: &Devices, device: &Device, at: Timestamp) {
        if at.since(self.seen_noted_at.get()) >= SEEN_INTERVAL {
            self.seen_noted_at.set(at);
            devices.note_seen(&device.id, at);
        }
    }
}

/// The worker's book of connections.
#[derive(Debug, Default)]
pub struct ConnectionBook {
    next: Cell<u64>,
    entries: RefCell<HashMap<u64, Rc<Connection>>>,
    /// Whether whoever comes in is told that it ends soon.
    leaving: Cell<bool>,
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
        if self.leaving.get() {
            connection.cut.end(How::Soon);
        }
        self.entries.borrow_mut().insert(key, connection);
        InConnectionBook { book: Rc::clone(self), key }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Cuts connections whose head takes too long, and closes those that stand idle; lets others rest before.
    pub fn sweep(&self, now: Instant, head_timeout: Duration, keep_alive_timeout: Duration, metrics: &Metrics) {
        for connection in self.entries.borrow().values() {
            if connection.vitals.tires(now) {
                connection.cut.look();
            }
            match connection.vitals.health(now, head_timeout, keep_alive_timeout) {
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

    /// Closes the connections of devices that are no longer in force, or whose certificate its CA has withdrawn.
    pub fn close_revoked(&self, worker: &Worker, at: Timestamp) {
        for connection in self.entries.borrow().values() {
            let Some(certificate) = &connection.certificate else { continue };
            if !connection.is_believed(worker, at) {
                continue;
            }
            match worker.gate.devices.find(certificate, at) {
                DeviceState::Known(_) | DeviceState::Unknown => {}
                DeviceState::Revoked(_) | DeviceState::Expired(_) => connection.cut.end(How::Gracefully),
            }
        }
    }

    /// Asks all connections to end soon, and those that come in later.
    pub fn leave(&self) {
        self.leaving.set(true);
        self.end_all(How::Soon);
    }

    /// Asks those to end that stand idle for so long.
    pub fn end_idle(&self, now: Instant, idle: Duration) {
        for connection in self.entries.borrow().values() {
            match connection.vitals.health(now, Duration::MAX, idle) {
                Health::Fine | Health::SlowHead => {}
                Health::Idle => connection.cut.end(How::Gracefully),
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

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};

    use prometheus_client::metrics::gauge::Gauge;

    use super::*;
    use crate::slots::Slots;

    const MINUTE: Duration = Duration::from_secs(60);

    fn connection() -> Rc<Connection> {
        let (address, server_name) = ([192, 0, 2, 1].into(), Host::parse("emr.example.jp").unwrap());
        Rc::new(Connection {
            address,
            zone: ZoneId::parse("inside").unwrap(),
            origin: "https://emr.example.jp".to_owned(),
            introduction: Rc::new(Introduction::new(address, &server_name, 443).unwrap()),
            server_name,
            certificate: None,
            shown: None,
            is_disbelief_noted: Cell::new(false),
            seen_noted_at: Cell::new(Timestamp::from_unix_micros(0)),
            handshake: Cell::new(None),
            _slot: Slots::new(1, 1, Gauge::default()).take(address).unwrap(),
            vitals: Vitals::new(Instant::now()),
            cut: Rc::new(Cut::default()),
        })
    }

    /// How often whoever drives a connection was woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_sweeper_wakes_a_connection_that_is_asked_nothing_so_that_it_rests_and_once() {
        let (book, metrics, connection) = (Rc::new(ConnectionBook::default()), Metrics::new(), connection());
        let _entered = book.enter(Rc::clone(&connection));
        let woken = Arc::new(Woken::default());
        let waker = Arc::clone(&woken).into();
        let mut cx = Context::from_waker(&waker);
        let mut asked = pin!(connection.cut.asked());
        let later = Instant::now() + MINUTE / 2;
        let mut sweep = |times| {
            assert!(asked.as_mut().poll(&mut cx).is_pending(), "it is not asked to end");
            book.sweep(later, MINUTE, MINUTE, &metrics);
            assert_eq!(woken.0.load(Ordering::Relaxed), times);
        };
        sweep(0);
        connection.vitals.wakes();
        sweep(1);
        sweep(1);
        assert!(connection.vitals.rests());
        sweep(1);
        book.sweep(later + MINUTE, MINUTE, MINUTE, &metrics);
        assert!(asked.poll(&mut cx).is_ready(), "then it is closed");
    }
}
