//! The ledger of devices in memory, by the digest of their certificates, with what is known of their condition.
//!
//! A device may have several certificates; each stands for it while it, the device and nothing less are in force.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use foldhash::{HashMap, HashMapExt as _};
use policy::{Device, DeviceClass, DeviceId, Fingerprint, PostureFact, Timestamp};
use store::{CertificateRecord, DeviceRecord, PostureRow, Store, StoreProblem};

pub use enrol::EnrolProblem;
pub use table::DevicesPlan;

mod enrol;
mod table;

/// Uses closer together than this are not told apart.
const SEEN_STEP: Duration = Duration::from_secs(60);

/// What the ledger says of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// A device in force.
    Known(Arc<Device>),
    /// A device that was revoked, or a certificate of it that was.
    Revoked(DeviceId),
    /// A device whose certificate, or whose time in service, has ended. A resumed TLS session does not look at that
    /// again, so we do.
    Expired(DeviceId),
    /// Not in the ledger.
    Unknown,
}

/// The ledger, read whole, replaced whole.
pub struct Devices {
    store: Arc<dyn Store>,
    ledger: ArcSwap<Ledger>,
    /// Held while the ledger is replaced, so that an older reading never overwrites a newer one.
    replacing: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Ledger {
    by_certificate: HashMap<Fingerprint, Entry>,
    devices: HashMap<DeviceId, Known>,
}

#[derive(Clone)]
struct Entry {
    device: Arc<Device>,
    ends_at: Timestamp,
    revoked: bool,
}

#[derive(Clone)]
struct Known {
    class: DeviceClass,
    seen: Arc<Seen>,
}

/// When a device was last seen, in microseconds, and how much of that the store knows.
#[derive(Default)]
struct Seen {
    at: AtomicI64,
    written: AtomicI64,
}

impl Devices {
    /// Reads the ledger.
    ///
    /// # Errors
    /// [`StoreProblem`] if it cannot be read; do not serve without it.
    pub async fn load(store: Arc<dyn Store>) -> Result<Self, StoreProblem> {
        let ledger = Ledger::read(store.as_ref(), &Ledger::default()).await?;
        Ok(Self { store, ledger: ArcSwap::from_pointee(ledger), replacing: tokio::sync::Mutex::new(()) })
    }

    /// Looks a certificate up, in memory.
    #[must_use]
    pub fn find(&self, certificate: &Fingerprint, at: Timestamp) -> DeviceState {
        let ledger = self.ledger.load();
        match ledger.by_certificate.get(certificate) {
            None => DeviceState::Unknown,
            Some(entry) if entry.revoked => DeviceState::Revoked(entry.device.id.clone()),
            Some(entry) if at >= entry.ends_at => DeviceState::Expired(entry.device.id.clone()),
            Some(entry) => DeviceState::Known(entry.device.clone()),
        }
    }

    /// The class of a device by its name, in force or not.
    #[must_use]
    pub fn class_of(&self, id: &DeviceId) -> Option<DeviceClass> {
        self.ledger.load().devices.get(id).map(|known| known.class)
    }

    /// When a certificate is accepted no longer.
    #[must_use]
    pub fn certificate_ends_at(&self, certificate: &Fingerprint) -> Option<Timestamp> {
        self.ledger.load().by_certificate.get(certificate).map(|entry| entry.ends_at)
    }

    /// Notes that a device was seen; cheap, and written down by and by.
    pub fn note_seen(&self, id: &DeviceId, at: Timestamp) {
        let ledger = self.ledger.load();
        let Some(known) = ledger.devices.get(id) else { return };
        let seen = Timestamp::from_unix_micros(known.seen.at.load(Ordering::Relaxed));
        if at.since(seen) >= SEEN_STEP {
            known.seen.at.fetch_max(at.unix_micros(), Ordering::Relaxed);
        }
    }

    /// Reads the ledger again.
    ///
    /// # Errors
    /// [`StoreProblem`]; the ledger stays as it was.
    pub async fn reload(&self) -> Result<(), StoreProblem> {
        let _replacing = self.replacing.lock().await;
        let ledger = Ledger::read(self.store.as_ref(), &self.ledger.load()).await?;
        self.ledger.store(Arc::new(ledger));
        Ok(())
    }

    /// Takes a revocation into account at once, whatever the store answers later.
    pub(crate) async fn note_revoked(&self, id: &DeviceId) {
        let _replacing = self.replacing.lock().await;
        let mut ledger = Ledger::clone(&self.ledger.load());
        for entry in ledger.by_certificate.values_mut().filter(|entry| entry.device.id == *id) {
            entry.revoked = true;
        }
        self.ledger.store(Arc::new(ledger));
    }

    /// Writes down when devices were last seen.
    pub(crate) async fn write_down(&self) -> Result<(), StoreProblem> {
        let ledger = self.ledger.load_full();
        let mut unwritten = Vec::new();
        for (id, known) in &ledger.devices {
            let at = known.seen.at.load(Ordering::Relaxed);
            if at > known.seen.written.load(Ordering::Relaxed) {
                unwritten.push((id.clone(), at, known.seen.clone()));
            }
        }
        if unwritten.is_empty() {
            return Ok(());
        }
        let seen = unwritten.iter().map(|(id, at, _)| (id.clone(), Timestamp::from_unix_micros(*at))).collect();
        self.store.devices_seen(seen).await?;
        for (_, at, seen) in unwritten {
            seen.written.fetch_max(at, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Ledger {
    async fn read(store: &dyn Store, before: &Self) -> Result<Self, StoreProblem> {
        let (records, posture) = (store.devices().await?, store.posture().await?);
        let mut facts = facts(posture);
        let mut ledger = Self::default();
        for record in records {
            let posture = facts.remove(&record.id).unwrap_or_default();
            ledger.enter(record, Arc::from(posture), before);
        }
        Ok(ledger)
    }

    fn enter(&mut self, record: DeviceRecord, posture: Arc<[PostureFact]>, before: &Self) {
        for certificate in &record.certificates {
            let device = Device {
                id: record.id.clone(),
                class: record.class,
                place: record.place.as_str().into(),
                certificate: certificate.fingerprint,
                posture: posture.clone(),
            };
            let entry = Entry {
                device: Arc::new(device),
                ends_at: ends_at(&record, certificate),
                revoked: record.revoked_at.or(certificate.revoked_at).is_some(),
            };
            self.by_certificate.insert(certificate.fingerprint, entry);
        }
        let written = record.seen_at.map_or(0, Timestamp::unix_micros);
        let seen = before.devices.get(&record.id).map(|known| known.seen.clone()).unwrap_or_default();
        seen.at.fetch_max(written, Ordering::Relaxed);
        seen.written.fetch_max(written, Ordering::Relaxed);
        self.devices.insert(record.id, Known { class: record.class, seen });
    }
}

/// When a certificate of a device is accepted no longer.
fn ends_at(device: &DeviceRecord, certificate: &CertificateRecord) -> Timestamp {
    device.expires_at.unwrap_or(Timestamp::MAX).min(certificate.ends_at)
}

/// What is known of each device's condition.
fn facts(rows: Vec<PostureRow>) -> HashMap<DeviceId, Vec<PostureFact>> {
    let mut facts: HashMap<DeviceId, Vec<PostureFact>> = HashMap::new();
    for row in rows {
        let fact = PostureFact { name: row.name, value: Arc::from(row.value), fresh_until: row.expires_at };
        facts.entry(row.device).or_default().push(fact);
    }
    facts
}

impl fmt::Debug for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Devices").field("devices", &self.ledger.load().devices.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
