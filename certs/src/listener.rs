//! TLS of a listener: versions, key exchange, client certificates, resumption.
//!
//! Each listener has tickets of its own, so that a session made where no device certificate was asked for is never
//! resumed where one is required. No early data (0-RTT) and no session table.

use std::sync::Arc;

use config::{Listener, TlsProfile};
use rustls::SupportedProtocolVersion;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::version::{TLS12, TLS13};

use crate::provider::provider;
use crate::{ACME_PROTOCOL, CertProblem, DeviceRoots, ServerCertificates};

/// Builds the TLS of a listener. It follows later reloads of certificates and roots. Build it once for a listener and
/// share it among threads: another one knows nothing of this one's tickets.
///
/// # Errors
/// [`CertProblem`] if the system yields no random numbers.
pub fn server_config(
    listener: &Listener,
    certificates: Arc<ServerCertificates>,
    roots: Arc<DeviceRoots>,
) -> Result<rustls::ServerConfig, CertProblem> {
    let failed = |error: rustls::Error| {
        let place = format!("listener {}", listener.name);
        CertProblem::new(place, format!("TLS cannot be set up: {error}"), "look at the system's log")
    };
    let versions: &[&SupportedProtocolVersion] = match listener.tls_profile {
        TlsProfile::High => &[&TLS13],
        TlsProfile::HighCompat => &[&TLS13, &TLS12],
    };
    let tickets = Ticketer::new().map_err(failed)?;
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .map_err(failed)?
        .with_client_cert_verifier(Arc::clone(&roots).verifier(listener.client_certificates))
        .with_cert_resolver(certificates);
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), ACME_PROTOCOL.to_vec()];
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    tls.ticketer = Arc::new(Tickets { inner: tickets, roots });
    tls.max_early_data_size = 0;
    Ok(tls)
}

/// Tickets that are void once the trusted CAs have changed: resumption does not verify a certificate again.
#[derive(Debug)]
struct Tickets {
    inner: Arc<dyn ProducesTickets>,
    roots: Arc<DeviceRoots>,
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        self.inner.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.inner.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.inner.encrypt(&[&self.roots.generation().to_be_bytes(), plain].concat())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let opened = self.inner.decrypt(cipher)?;
        let (generation, plain) = opened.split_first_chunk()?;
        (u64::from_be_bytes(*generation) == self.roots.generation()).then(|| plain.to_vec())
    }
}

#[cfg(test)]
mod tests;
