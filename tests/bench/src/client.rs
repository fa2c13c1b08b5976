//! TLS as browsers offer it. Chromium and Firefox name AES-128-GCM first and send key shares for X25519MLKEM768 and X25519;
//! every proxy here takes what the client names first, and nginx with OpenSSL 3.0 knows no ML-KEM. The client is the same
//! for all of them.

use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};

/// Which key exchange a client offers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offers {
    /// The hybrid one first, then X25519.
    MlKem,
    /// X25519 alone.
    X25519,
}

impl Offers {
    fn groups(self) -> Vec<&'static dyn SupportedKxGroup> {
        match self {
            Self::MlKem => vec![kx_group::X25519MLKEM768, kx_group::X25519],
            Self::X25519 => vec![kx_group::X25519],
        }
    }
}

/// A client over TLS 1.3 that trusts these.
pub fn tls(roots: Arc<RootCertStore>, offers: Offers) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let provider = CryptoProvider {
        cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256, cipher_suite::TLS13_AES_256_GCM_SHA384],
        kx_groups: offers.groups(),
        ..aws_lc_rs::default_provider()
    };
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the suites are of this version")
        .with_root_certificates(roots)
}
