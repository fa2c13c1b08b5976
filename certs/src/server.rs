//! Server certificates, chosen by the name the client asks for.
//!
//! A name is served by the certificates that hold it, else by those that hold the wildcard one label above. A client
//! that asks for no name or for an unknown one gets no certificate and the handshake ends: nothing is told of what is
//! behind. The set is replaced whole, or not at all. While certificates are ordered from a CA, that CA is shown others.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use config::CertificateFiles;
use policy::{Fingerprint, Host, Timestamp};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::der::{Facts, ServedName, day};
use crate::provider::provider;
use crate::{CertProblem, acme, files, fingerprint};

/// The server certificates in force.
#[derive(Debug)]
pub struct ServerCertificates {
    set: ArcSwap<Set>,
    /// What is shown to a CA that looks whether a name is the gateway's.
    proofs: ArcSwap<HashMap<Host, Arc<CertifiedKey>>>,
}

/// From when to when a certificate counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Life {
    /// Its file.
    pub file: String,
    /// Its beginning.
    pub starts_at: Timestamp,
    /// Its end.
    pub ends_at: Timestamp,
}

impl Life {
    /// Whether less is left of it than this, or than a sixth of it where that is shorter: of a certificate for six days
    /// nobody can want fourteen.
    #[must_use]
    pub fn is_short(&self, at: Timestamp, warning: Duration) -> bool {
        self.ends_at.since(at) < warning.min(self.ends_at.since(self.starts_at) / 6)
    }
}

impl ServerCertificates {
    /// Loads the certificates of a configuration.
    ///
    /// # Errors
    /// Every file that cannot be used, with what to do about it: unreadable, without names, expired or not yet valid,
    /// not for servers, key of another certificate.
    pub fn load(files: &[CertificateFiles], at: Timestamp) -> Result<Arc<Self>, Vec<CertProblem>> {
        Ok(Arc::new(Self { set: ArcSwap::from_pointee(Set::load(files, at)?), proofs: ArcSwap::default() }))
    }

    /// Loads them again, for handshakes from now on.
    ///
    /// # Errors
    /// As for [`ServerCertificates::load`]; what was in force then stays in force.
    pub fn reload(&self, files: &[CertificateFiles], at: Timestamp) -> Result<(), Vec<CertProblem>> {
        self.set.store(Arc::new(Set::load(files, at)?));
        Ok(())
    }

    /// Loads one of them again, or adds it behind the others, which stay as they are whatever has become of their files.
    ///
    /// # Errors
    /// [`CertProblem`] where it cannot be used; what was in force then stays in force.
    pub fn replace(&self, files: &CertificateFiles, at: Timestamp) -> Result<(), CertProblem> {
        let served = Arc::new(Served::load(files, at)?);
        self.set.rcu(|set| {
            let mut next = Set::default();
            let others = set.all.iter().filter(|one| one.file != served.file);
            others.chain([&served]).for_each(|one| next.add(Arc::clone(one)));
            next
        });
        Ok(())
    }

    /// The certificate that was loaded from this file, if one is in force.
    #[must_use]
    pub fn shown_from(&self, file: &Path) -> Option<Fingerprint> {
        let name = file.display().to_string();
        self.set.load().all.iter().find(|served| served.file == name).map(|served| served.fingerprint)
    }

    /// Whether a client that asks for this host is answered.
    #[must_use]
    pub fn covers(&self, host: &Host) -> bool {
        self.certificate_of(host).is_some()
    }

    /// The certificate that serves a host: a connection made for one host may carry requests for another only if both
    /// are served by the same one (RFC 9110 section 7.4: 421 otherwise).
    #[must_use]
    pub fn certificate_of(&self, host: &Host) -> Option<Fingerprint> {
        self.set.load().serving(host).first().map(|served| served.fingerprint)
    }

    /// The certificate file and the end of each certificate, in the order of the configuration.
    #[must_use]
    pub fn expiries(&self) -> Vec<(String, Timestamp)> {
        self.lives().into_iter().map(|life| (life.file, life.ends_at)).collect()
    }

    /// From when to when each certificate counts, in the order of the configuration.
    #[must_use]
    pub fn lives(&self) -> Vec<Life> {
        let life = |served: &Arc<Served>| Life {
            file: served.file.clone(),
            starts_at: served.starts_at,
            ends_at: served.ends_at,
        };
        self.set.load().all.iter().map(life).collect()
    }

    /// Shows these hosts to be the gateway's to a CA that looks, each by the digest it expects; whatever was shown
    /// before is not any more.
    ///
    /// # Errors
    /// [`CertProblem`] if a proof cannot be made; what was shown before is shown on.
    pub fn show_proofs(&self, digests: &[(Host, [u8; 32])]) -> Result<(), CertProblem> {
        let made = |(host, digest): &(Host, [u8; 32])| Ok((host.clone(), acme::proof(host, digest)?));
        self.proofs.store(Arc::new(digests.iter().map(made).collect::<Result<_, _>>()?));
        Ok(())
    }
}

impl ResolvesServerCert for ServerCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = Host::parse(hello.server_name()?).ok()?;
        if acme::is_asked(&hello) {
            return self.proofs.load().get(&host).map(Arc::clone);
        }
        let set = self.set.load();
        let usable = |served: &&Arc<Served>| served.key.key.choose_scheme(hello.signature_schemes()).is_some();
        set.serving(&host).iter().find(usable).map(|served| Arc::clone(&served.key))
    }
}

#[derive(Debug, Default)]
struct Set {
    all: Vec<Arc<Served>>,
    exact: HashMap<Host, Vec<Arc<Served>>>,
    below: HashMap<Host, Vec<Arc<Served>>>,
}

#[derive(Debug)]
struct Served {
    file: String,
    fingerprint: Fingerprint,
    starts_at: Timestamp,
    ends_at: Timestamp,
    names: Vec<ServedName>,
    key: Arc<CertifiedKey>,
}

impl Set {
    fn load(files: &[CertificateFiles], at: Timestamp) -> Result<Self, Vec<CertProblem>> {
        let mut problems = Vec::new();
        let mut set = Self::default();
        for pair in files {
            match Served::load(pair, at) {
                Ok(served) => set.add(Arc::new(served)),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(set) } else { Err(problems) }
    }

    fn add(&mut self, served: Arc<Served>) {
        for name in &served.names {
            let (names, host) = match name {
                ServedName::Exact(host) => (&mut self.exact, host),
                ServedName::Below(host) => (&mut self.below, host),
            };
            names.entry(host.clone()).or_default().push(Arc::clone(&served));
        }
        self.all.push(served);
    }

    /// The certificates for a host, in the order of the configuration; several where key types differ.
    fn serving(&self, host: &Host) -> &[Arc<Served>] {
        if let Some(exact) = self.exact.get(host) {
            return exact;
        }
        let parent = host.as_str().split_once('.').and_then(|(_, parent)| Host::parse(parent).ok());
        parent.and_then(|parent| self.below.get(&parent)).map_or(&[], Vec::as_slice)
    }
}

impl Served {
    fn load(pair: &CertificateFiles, at: Timestamp) -> Result<Self, CertProblem> {
        let file = &pair.certificate;
        let chain = files::certificates(file)?;
        let no_certificate = || CertProblem::at(file, "holds no readable certificate", "write it again as PEM");
        let own = chain.first().ok_or_else(no_certificate)?;
        let facts = Facts::read(own).ok_or_else(no_certificate)?;
        let fingerprint = fingerprint(own);
        in_force(pair, &facts, at)?;
        if !facts.is_for_servers {
            return Err(CertProblem::at(
                file,
                "is not for servers",
                "ask for one with extended key usage `serverAuth`",
            ));
        }
        if facts.names.is_empty() {
            return Err(CertProblem::at(
                file,
                "names no host in its subject alternative names (SAN)",
                "ask for one that holds every host of the gateway as a DNS name; browsers ignore the common name",
            ));
        }
        Ok(Self {
            file: file.display().to_string(),
            fingerprint,
            starts_at: facts.starts_at,
            ends_at: facts.ends_at,
            names: facts.names,
            key: Arc::new(certified_key(pair, chain)?),
        })
    }
}

fn in_force(pair: &CertificateFiles, facts: &Facts, at: Timestamp) -> Result<(), CertProblem> {
    let file = &pair.certificate;
    if facts.ends_at < at {
        return Err(CertProblem::at(file, format!("expired on {}", day(facts.ends_at)), "renew it"));
    }
    if at < facts.starts_at {
        return Err(CertProblem::at(
            file,
            format!("is not valid before {}", day(facts.starts_at)),
            "wait, or check this machine's clock",
        ));
    }
    Ok(())
}

/// Joins a chain with its key; used for what the gateway shows to browsers and to upstreams alike.
pub(crate) fn certified_key(
    pair: &CertificateFiles,
    chain: Vec<rustls::pki_types::CertificateDer<'static>>,
) -> Result<CertifiedKey, CertProblem> {
    let key = files::private_key(&pair.key)?;
    if files::is_open_to_others(&pair.key) {
        tracing::warn!(file = %pair.key.display(), "a private key may be read by others; run chmod 600 on it");
    }
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
        if matches!(error, rustls::Error::InconsistentKeys(_)) {
            return CertProblem::at(
                &pair.key,
                format!("is not the key of {}", pair.certificate.display()),
                "name the key that the certificate was asked for with, and put the server's own certificate first in its file",
            );
        }
        let remedy = "make an ECDSA P-256 key, or RSA of 2048 bits or more";
        CertProblem::at(&pair.key, format!("cannot be used: {error}"), remedy)
    })
}

#[cfg(test)]
mod tests;
