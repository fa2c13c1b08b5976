//! What ordering a certificate by itself (ACME) needs of keys and certificates: a request with a new key, and the
//! certificate that shows a name to be the gateway's in a handshake made for that (`tls-alpn-01`, RFC 8737). Deliberately
//! not here: the protocol with the CA, and when to order.

use std::sync::Arc;

use config::{AcmeName, Secret};
use policy::Host;
use rcgen::{CertificateParams, CustomExtension, DnType, SanType};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::ClientHello;
use rustls::sign::CertifiedKey;

use crate::CertProblem;
use crate::provider::provider;
use crate::signing::{make_key, not_made};

/// The protocol that a CA offers, and no other, when it looks whether a name is the gateway's.
pub const ACME_PROTOCOL: &[u8] = b"acme-tls/1";

/// A request for a certificate, and the key it was made with.
#[derive(Debug)]
pub struct ServerRequest {
    /// The request (PKCS#10), in DER.
    pub request: Vec<u8>,
    /// The key, as PEM; it belongs into a file that nobody else may read.
    pub key_pem: Secret,
}

/// Makes a new key, and a request for a certificate with these names.
///
/// # Errors
/// [`CertProblem`] if the key or the request cannot be made.
pub fn server_request(names: &[AcmeName]) -> Result<ServerRequest, CertProblem> {
    let place = "the request to the CA";
    let key = make_key(place)?;
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).map_err(|error| not_made(place, &error))?;
    // The names are in the extension; a common name would only be one more thing a CA may refuse.
    params.distinguished_name = rcgen::DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(|error| not_made(place, &error))?;
    Ok(ServerRequest { request: request.der().to_vec(), key_pem: Secret::new(key.serialize_pem()) })
}

/// The certificate that is shown to the CA for a host, with the digest that the CA expects there.
pub(crate) fn proof(host: &Host, digest: &[u8; 32]) -> Result<Arc<CertifiedKey>, CertProblem> {
    let place = format!("the proof for {host}");
    let key = make_key(&place)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "ACME");
    let name = host.as_str().try_into().map_err(|error| not_made(&place, &error))?;
    params.subject_alt_names = vec![SanType::DnsName(name)];
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key).map_err(|error| not_made(&place, &error))?;
    let unusable = |error: &dyn std::fmt::Display| {
        CertProblem::new(&place, format!("cannot be used: {error}"), "look at the system's log")
    };
    let der = PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| unusable(&error))?;
    let signer = provider().key_provider.load_private_key(der).map_err(|error| unusable(&error))?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signer)))
}

/// Whether a client is a CA that looks whether a name is the gateway's: it offers that protocol alone.
pub(crate) fn is_asked(hello: &ClientHello<'_>) -> bool {
    let Some(mut protocols) = hello.alpn() else { return false };
    protocols.next() == Some(ACME_PROTOCOL) && protocols.next().is_none()
}
