//! The one source of cryptography, handed to rustls explicitly so that no process-wide default can change it.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, kx_group};

/// AWS-LC with its default suites (all AEAD, TLS 1.2 only with ECDHE) and the hybrid post-quantum key exchange first.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1],
        ..aws_lc_rs::default_provider()
    })
}
