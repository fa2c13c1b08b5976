//! What a client showed in its handshake, kept while its connection lives.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use policy::{Fingerprint, Timestamp};
use rustls::pki_types::CertificateDer;

use crate::DeviceCertificate;

/// Stands for "never asked about".
const NEVER: u64 = u64::MAX;

/// The certificates a client showed, so that they can be asked about again ([`crate::DeviceRoots::recheck`]): on a
/// resumed connection nobody else does, and a CA's word may change while a connection lives.
#[derive(Debug)]
pub struct Shown {
    chain: Vec<CertificateDer<'static>>,
    fingerprint: Fingerprint,
    ends_at: Timestamp,
    generation: AtomicU64,
    good_until: AtomicI64,
}

impl Shown {
    /// Keeps what was shown; `None` if nothing was.
    #[must_use]
    pub fn new(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let certificate = DeviceCertificate::of(chain.first()?.clone().into_owned())?;
        Some(Self {
            chain: chain.iter().map(|der| der.clone().into_owned()).collect(),
            fingerprint: certificate.fingerprint,
            ends_at: certificate.ends_at,
            generation: AtomicU64::new(NEVER),
            good_until: AtomicI64::new(i64::MIN),
        })
    }

    /// How the ledger knows it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    pub(crate) fn is_good(&self, generation: u64, at: Timestamp) -> bool {
        self.generation.load(Ordering::Acquire) == generation
            && at.unix_micros() < self.good_until.load(Ordering::Acquire)
    }

    pub(crate) fn note_good(&self, generation: u64, until: Option<Timestamp>) {
        let until = until.map_or(self.ends_at, |until| until.min(self.ends_at));
        self.good_until.store(until.unix_micros(), Ordering::Release);
        self.generation.store(generation, Ordering::Release);
    }
}
