//! The CAs whose device certificates are believed, their revocation lists, and the verifier that asks them.
//!
//! Being believed means only that the certificate is genuine and its CA stands by it: which device it is, and whether
//! the institution itself has revoked it, is asked of the ledger on every request.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use config::{ClientCertificates, CrlUrl, DeviceTrust, DistributionPoints};
use policy::Timestamp;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};

use crate::points::{is_signed_by_one_of, points};
use crate::{CertProblem, DeviceCa, Refusal, Shown};

mod fetched;
mod load;
mod verifier;

use load::load;
use verifier::{Kept, Verifier};

/// How often the set of CAs may change while the program runs; each change keeps a few hundred bytes for good.
const CHANGES_MAX: usize = 10_000;
/// How many certificates of one handshake are looked at for places of lists.
const LEARNED_FROM_MAX: usize = 4;

/// The device CAs in force: the gateway's own, and those of the configuration.
#[derive(Debug)]
pub struct DeviceRoots {
    verifier: ArcSwap<Verifier>,
    hints: Hints,
    /// Counts changes; a TLS ticket of an earlier count is void.
    generation: AtomicU64,
    /// What is in force was loaded by this; held while changing.
    trust: Mutex<DeviceTrust>,
    /// Places of revocation lists that certificates named.
    learned: Mutex<Learned>,
}

/// Places of revocation lists that certificates named.
#[derive(Debug)]
struct Learned {
    urls: BTreeSet<CrlUrl>,
    /// Whether they are written down.
    is_kept: bool,
}

/// A revocation list in force, for whoever watches over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlState {
    /// The file, or the address it was fetched from.
    pub source: String,
    /// The CA that made it.
    pub issuer: String,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it is too old; devices of its CA are refused from then on.
    pub usable_until: Timestamp,
}

/// The names of CAs as clients are told them. rustls borrows them from the verifier, so what was once told must stay
/// in place: later sets follow earlier ones.
#[derive(Debug)]
struct Hints {
    subjects: Vec<DistinguishedName>,
    next: OnceLock<Box<Hints>>,
}

impl DeviceRoots {
    /// Loads the CAs and revocation lists of a configuration. A list that is too old is no problem here: the devices of
    /// its CA are refused, and others go on.
    ///
    /// # Errors
    /// Every file that cannot be used: unreadable, a CA that is expired or none, a list that none of the CAs signed.
    pub fn load(own: &DeviceCa, trust: &DeviceTrust, at: Timestamp) -> Result<Arc<Self>, Vec<CertProblem>> {
        let verifier = load(own, trust, at)?;
        Ok(Arc::new(Self {
            hints: Hints { subjects: verifier.subjects(), next: OnceLock::new() },
            verifier: ArcSwap::from_pointee(verifier),
            generation: AtomicU64::new(0),
            learned: Mutex::new(Learned { urls: fetched::learned(&trust.crl_fetch.folder), is_kept: true }),
            trust: Mutex::new(trust.clone()),
        }))
    }

    /// Loads them again, for handshakes from now on. If they differ, sessions of before are not resumed.
    ///
    /// # Errors
    /// As for [`DeviceRoots::load`]; what was in force then stays in force.
    pub fn reload(&self, own: &DeviceCa, trust: &DeviceTrust, at: Timestamp) -> Result<(), Vec<CertProblem>> {
        let mut in_force = lock(&self.trust);
        self.take(load(own, trust, at)?)?;
        *in_force = trust.clone();
        Ok(())
    }

    /// Puts another set in place. Whoever calls holds the lock.
    fn take(&self, verifier: Verifier) -> Result<(), Vec<CertProblem>> {
        let before = self.verifier.load_full();
        let same_cas = before.has_the_cas_of(&verifier);
        if same_cas && before.crls == verifier.crls && before.manner == verifier.manner {
            return Ok(());
        }
        let hints = Hints { subjects: verifier.subjects(), next: OnceLock::new() };
        if !same_cas && self.hints.count() >= CHANGES_MAX {
            return Err(vec![CertProblem::new(
                "device CAs",
                "changed too often since the start",
                "restart the gateway",
            )]);
        }
        self.verifier.store(Arc::new(verifier));
        self.generation.fetch_add(1, Ordering::AcqRel);
        if !same_cas {
            // Alone under the lock, so the last place is free.
            drop(self.hints.last().next.set(Box::new(hints)));
        }
        Ok(())
    }

    /// Where revocation lists are to be fetched now. Places that certificates named since are written down first.
    #[must_use]
    pub fn crl_urls(&self) -> Vec<CrlUrl> {
        let fetch = lock(&self.trust).crl_fetch.clone();
        let mut urls = fetched::urls(&fetch, &self.verifier.load().other_certificates);
        match fetch.points {
            DistributionPoints::Use => {
                let mut learned = lock(&self.learned);
                if !learned.is_kept {
                    match fetched::write_learned(&fetch.folder, &learned.urls) {
                        Ok(()) => learned.is_kept = true,
                        Err(problem) => tracing::warn!(%problem, "places of revocation lists could not be kept"),
                    }
                }
                urls.extend(learned.urls.iter().cloned());
            }
            DistributionPoints::Ignore => {}
        }
        urls.into_iter().collect()
    }

    /// Takes what one of these places answered into force, and keeps it for the next start. Says until when it is
    /// believed.
    ///
    /// # Errors
    /// [`CertProblem`]: no usable list of a CA that is trusted, an older one than before, or nowhere to keep it. What
    /// was in force stays.
    pub fn take_list(
        &self,
        own: &DeviceCa,
        url: &CrlUrl,
        bytes: &[u8],
        at: Timestamp,
    ) -> Result<Timestamp, CertProblem> {
        let trust = lock(&self.trust);
        let verifier = self.verifier.load_full();
        let cas = &verifier.other_certificates;
        let lists = fetched::read(url, bytes, cas)?;
        if fetched::keep(&trust, url, &lists, cas, at)? {
            let first = |problems: Vec<CertProblem>| {
                let unknown = || CertProblem::new(url.as_str(), "could not be taken into force", "look at the log");
                problems.into_iter().next().unwrap_or_else(unknown)
            };
            self.take(load(own, &trust, at).map_err(first)?).map_err(first)?;
        }
        let until = lists.iter().map(|list| list.usable_until(trust.crl_max_age)).min();
        Ok(until.unwrap_or(at))
    }

    /// Notes where certificates say that lists are, if a CA that is trusted signed that. Whether they are believed is
    /// another question: where no list is known yet, they are not.
    fn learn(&self, certificate: &CertificateDer<'_>, others: &[CertificateDer<'_>]) {
        let verifier = self.verifier.load();
        if !verifier.manner.learns_points {
            return;
        }
        for certificate in std::iter::once(certificate).chain(others).take(LEARNED_FROM_MAX) {
            let mut unknown = points(certificate);
            {
                let learned = lock(&self.learned);
                unknown.retain(|url| !learned.urls.contains(url) && learned.urls.len() < fetched::POINTS_MAX);
            }
            if unknown.is_empty() || !is_signed_by_one_of(certificate, &verifier.other_certificates) {
                continue;
            }
            let mut learned = lock(&self.learned);
            for url in unknown {
                if learned.urls.len() < fetched::POINTS_MAX && learned.urls.insert(url) {
                    learned.is_kept = false;
                }
            }
        }
    }

    /// Whether a device certificate is believed now: the certificate first, then those that lead to its CA.
    ///
    /// # Errors
    /// [`Refusal`], the same that a handshake would end with.
    pub fn check(&self, chain: &[CertificateDer<'_>], at: Timestamp) -> Result<(), Refusal> {
        let (certificate, others) = chain.split_first().ok_or(Refusal::Missing)?;
        let second = at.unix_seconds().max(0).unsigned_abs();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(second));
        let verified = self.verifier.load().verify(certificate, others, now);
        verified.map_err(|error| Refusal::of(&error).unwrap_or(Refusal::NotAllowed))
    }

    /// Asks again about a certificate that was shown in a handshake: its CA may have revoked it since, its list may have
    /// become too old, or the CA be out of the configuration. Cheap where nothing changed.
    ///
    /// # Errors
    /// [`Refusal`]; the connection should end.
    pub fn recheck(&self, shown: &Shown, at: Timestamp) -> Result<(), Refusal> {
        let generation = self.generation();
        if shown.is_good(generation, at) {
            return Ok(());
        }
        self.check(shown.chain(), at)?;
        // Read before the check: a change in between is seen the next time.
        shown.note_good(generation, self.verifier.load().next_too_old_after(at));
        Ok(())
    }

    /// The revocation lists in force, in the order of the configuration.
    #[must_use]
    pub fn crls(&self) -> Vec<CrlState> {
        let state = |kept: &Kept| CrlState {
            source: kept.source.clone(),
            issuer: kept.crl.issuer_in_words.clone(),
            issued_at: kept.crl.issued_at,
            usable_until: kept.usable_until,
        };
        self.verifier.load().crls.iter().map(state).collect()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The verifier of a listener; it follows every reload.
    pub(crate) fn verifier(self: Arc<Self>, mode: ClientCertificates) -> Arc<dyn ClientCertVerifier> {
        match mode {
            ClientCertificates::Off => WebPkiClientVerifier::no_client_auth(),
            ClientCertificates::Optional => Arc::new(Following { roots: self, mandatory: false }),
            ClientCertificates::Required => Arc::new(Following { roots: self, mandatory: true }),
        }
    }
}

impl Hints {
    fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |hints| hints.next.get().map(AsRef::as_ref))
    }

    fn last(&self) -> &Self {
        self.all().last().unwrap_or(self)
    }

    fn count(&self) -> usize {
        self.all().count()
    }
}

/// Asks whatever CAs are in force at the moment.
#[derive(Debug)]
struct Following {
    roots: Arc<DeviceRoots>,
    mandatory: bool,
}

impl ClientCertVerifier for Following {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.roots.hints.last().subjects
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.roots.learn(end_entity, intermediates);
        self.roots.verifier.load().verify(end_entity, intermediates, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.roots.verifier.load().verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.roots.verifier.load().verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.roots.verifier.load().supported_verify_schemes()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
