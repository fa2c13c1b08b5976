//! The CAs whose device certificates are believed, and the verifier that asks them.
//!
//! Being believed means only that the certificate is genuine: which device it is, and whether it is revoked, is asked of
//! the ledger on every request.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use config::ClientCertificates;
use policy::Timestamp;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};

use crate::der::{Facts, day};
use crate::provider::provider;
use crate::{CertProblem, DeviceCa, files};

/// How often the set of CAs may change while the program runs; each change keeps a few hundred bytes for good.
const CHANGES_MAX: u64 = 10_000;

/// The device CAs in force: the gateway's own, and those of the configuration.
#[derive(Debug)]
pub struct DeviceRoots {
    verifier: ArcSwap<Verifier>,
    hints: Hints,
    /// Counts changes; a TLS ticket of an earlier count is void.
    generation: AtomicU64,
    /// Held while changing.
    changing: Mutex<()>,
}

#[derive(Debug)]
struct Verifier {
    inner: Arc<dyn ClientCertVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

/// The names of CAs as clients are told them. rustls borrows them from the verifier, so what was once told must stay
/// in place: later sets follow earlier ones.
#[derive(Debug)]
struct Hints {
    subjects: Vec<DistinguishedName>,
    next: OnceLock<Box<Hints>>,
}

impl DeviceRoots {
    /// Loads the CAs of a configuration.
    ///
    /// # Errors
    /// Every file that cannot be used: unreadable, expired, not a CA.
    pub fn load(own: &DeviceCa, extra: &[PathBuf], at: Timestamp) -> Result<Arc<Self>, Vec<CertProblem>> {
        let (verifier, subjects) = build(own, extra, at)?;
        Ok(Arc::new(Self {
            verifier: ArcSwap::from_pointee(verifier),
            hints: Hints { subjects, next: OnceLock::new() },
            generation: AtomicU64::new(0),
            changing: Mutex::new(()),
        }))
    }

    /// Loads them again, for handshakes from now on. If they differ, sessions of before are not resumed.
    ///
    /// # Errors
    /// As for [`DeviceRoots::load`]; what was in force then stays in force.
    pub fn reload(&self, own: &DeviceCa, extra: &[PathBuf], at: Timestamp) -> Result<(), Vec<CertProblem>> {
        let (verifier, subjects) = build(own, extra, at)?;
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.verifier.load().certificates == verifier.certificates {
            return Ok(());
        }
        if self.generation() >= CHANGES_MAX {
            return Err(vec![CertProblem::new(
                "device CAs",
                "changed too often since the start",
                "restart the gateway",
            )]);
        }
        self.verifier.store(Arc::new(verifier));
        self.generation.fetch_add(1, Ordering::AcqRel);
        // Alone under the lock, so the last place is free.
        drop(self.hints.last().next.set(Box::new(Hints { subjects, next: OnceLock::new() })));
        Ok(())
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
    fn last(&self) -> &Self {
        let mut hints = self;
        while let Some(next) = hints.next.get() {
            hints = next;
        }
        hints
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
        self.roots.verifier.load().inner.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.roots.verifier.load().inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.roots.verifier.load().inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.roots.verifier.load().inner.supported_verify_schemes()
    }
}

fn build(
    own: &DeviceCa,
    extra: &[PathBuf],
    at: Timestamp,
) -> Result<(Verifier, Vec<DistinguishedName>), Vec<CertProblem>> {
    let mut certificates = vec![own.certificate().clone()];
    let mut problems = Vec::new();
    for file in extra {
        match ca_certificates(file, at) {
            Ok(found) => certificates.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let unusable = |error: &dyn std::fmt::Display| {
        vec![CertProblem::new(
            "device CAs",
            format!("cannot be used: {error}"),
            "check each CA file with `openssl x509`",
        )]
    };
    let mut store = RootCertStore::empty();
    for certificate in &certificates {
        store.add(certificate.clone()).map_err(|error| unusable(&error))?;
    }
    let subjects = store.subjects();
    let inner = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider())
        .build()
        .map_err(|error| unusable(&error))?;
    Ok((Verifier { inner, certificates }, subjects))
}

/// Reads a file of CA certificates; each must be a CA and in force, because a root's end is looked at nowhere else.
pub(crate) fn ca_certificates(file: &Path, at: Timestamp) -> Result<Vec<CertificateDer<'static>>, CertProblem> {
    let certificates = files::certificates(file)?;
    for certificate in &certificates {
        let facts = Facts::read(certificate)
            .ok_or_else(|| CertProblem::at(file, "holds no readable certificate", "write it again as PEM"))?;
        if !facts.is_ca {
            return Err(CertProblem::at(
                file,
                "holds a certificate that is not of a CA",
                "give the certificate of the CA that signs, not one that it signed",
            ));
        }
        if facts.ends_at < at {
            return Err(CertProblem::at(
                file,
                format!("holds a CA certificate that expired on {}", day(facts.ends_at)),
                "replace it by its successor, or remove it",
            ));
        }
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests;
