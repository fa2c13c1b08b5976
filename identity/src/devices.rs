//! The ledger of devices in memory, by the digest of their certificates.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use policy::{Device, DeviceClass, DeviceId, Fingerprint, Timestamp};
use store::{DeviceRecord, Store, StoreProblem};

/// What the ledger says of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// A device in force.
    Known(Arc<Device>),
    /// A device that was revoked.
    Revoked(DeviceId),
    /// A device whose certificate has ended. A resumed TLS session does not look at that again, so we do.
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
    classes: HashMap<DeviceId, DeviceClass>,
}

#[derive(Clone)]
struct Entry {
    device: Arc<Device>,
    certificate_ends_at: Timestamp,
    revoked: bool,
}

impl Devices {
    /// Reads the ledger.
    ///
    /// # Errors
    /// [`StoreProblem`] if it cannot be read; do not serve without it.
    pub async fn load(store: Arc<dyn Store>) -> Result<Self, StoreProblem> {
        let ledger = Ledger::new(store.devices().await?);
        Ok(Self { store, ledger: ArcSwap::from_pointee(ledger), replacing: tokio::sync::Mutex::new(()) })
    }

    /// Looks a certificate up, in memory.
    #[must_use]
    pub fn find(&self, certificate: &Fingerprint, at: Timestamp) -> DeviceState {
        let ledger = self.ledger.load();
        match ledger.by_certificate.get(certificate) {
            None => DeviceState::Unknown,
            Some(entry) if entry.revoked => DeviceState::Revoked(entry.device.id.clone()),
            Some(entry) if at >= entry.certificate_ends_at => DeviceState::Expired(entry.device.id.clone()),
            Some(entry) => DeviceState::Known(entry.device.clone()),
        }
    }

    /// The class of a device by its name, in force or not.
    #[must_use]
    pub fn class_of(&self, id: &DeviceId) -> Option<DeviceClass> {
        self.ledger.load().classes.get(id).copied()
    }

    /// Reads the ledger again.
    ///
    /// # Errors
    /// [`StoreProblem`]; the ledger stays as it was.
    pub async fn reload(&self) -> Result<(), StoreProblem> {
        let _replacing = self.replacing.lock().await;
        let ledger = Ledger::new(self.store.devices().await?);
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
}

impl Ledger {
    fn new(records: Vec<DeviceRecord>) -> Self {
        let mut ledger = Self::default();
        for record in records {
            ledger.classes.insert(record.id.clone(), record.class);
            for certificate in record.certificates {
                let (id, class, posture) = (record.id.clone(), record.class, Arc::from([]));
                let device = Device { id, class, certificate: certificate.fingerprint, posture };
                let entry = Entry {
                    device: Arc::new(device),
                    certificate_ends_at: record.expires_at.unwrap_or(Timestamp::MAX).min(certificate.ends_at),
                    revoked: record.revoked_at.or(certificate.revoked_at).is_some(),
                };
                ledger.by_certificate.insert(certificate.fingerprint, entry);
            }
        }
        ledger
    }
}

impl fmt::Debug for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Devices").field("devices", &self.ledger.load().classes.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{START, Ward, terminal, terminal_record};

    #[tokio::test]
    async fn a_certificate_stands_for_its_device_while_both_are_in_force() {
        let ward = Ward::open().await;
        let certificate = terminal().certificate;
        assert_eq!(ward.devices.find(&certificate, START), DeviceState::Known(terminal()));
        assert_eq!(ward.devices.find(&Fingerprint::new([7; 32]), START), DeviceState::Unknown);
        let ended = terminal_record().certificates[0].ends_at;
        assert_eq!(ward.devices.find(&certificate, ended), DeviceState::Expired(terminal().id.clone()));
        assert_eq!(ward.devices.class_of(&terminal().id), Some(DeviceClass::WardShared));
    }

    #[tokio::test]
    async fn a_revocation_holds_even_while_the_store_is_silent() {
        let ward = Ward::open().await;
        ward.store.fail(true);
        ward.devices.note_revoked(&terminal().id).await;
        assert!(ward.devices.reload().await.is_err());
        let state = ward.devices.find(&terminal().certificate, START);
        assert_eq!(state, DeviceState::Revoked(terminal().id.clone()));
    }
}
