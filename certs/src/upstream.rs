//! TLS towards upstreams: the gateway knows whom it talks to, and can show who it is.

use std::sync::Arc;

use config::{CertificateFiles, UpstreamProtocol, UpstreamTls};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::version::{TLS12, TLS13};

use crate::provider::provider;
use crate::server::certified_key;
use crate::{CertProblem, files};

/// Builds TLS 1.2 and 1.3 towards an app's upstreams, verified against the app's own CA, or the system's where none is
/// named. Which name the certificate must hold is given with each connection.
///
/// # Errors
/// [`CertProblem`] if a file cannot be used, or the system has no roots.
pub fn upstream_config(tls: &UpstreamTls, protocol: UpstreamProtocol) -> Result<rustls::ClientConfig, CertProblem> {
    let failed = |error: rustls::Error| {
        CertProblem::new("TLS towards upstreams", format!("cannot be set up: {error}"), "look at the system's log")
    };
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(failed)?
        .dangerous()
        .with_custom_certificate_verifier(verifier(tls)?);
    let mut client = match &tls.client_certificate {
        Some(pair) => builder.with_client_cert_resolver(Arc::new(own_certificate(pair)?)),
        None => builder.with_no_client_auth(),
    };
    client.alpn_protocols = match protocol {
        UpstreamProtocol::Http1 => vec![b"http/1.1".to_vec()],
        UpstreamProtocol::Http2 => vec![b"h2".to_vec()],
    };
    client.enable_early_data = false;
    Ok(client)
}

fn verifier(tls: &UpstreamTls) -> Result<Arc<dyn ServerCertVerifier>, CertProblem> {
    let Some(file) = &tls.ca_file else {
        let verifier = rustls_platform_verifier::Verifier::new(provider()).map_err(|error| {
            CertProblem::new(
                "the system's roots",
                format!("cannot be read: {error}"),
                "install the package `ca-certificates`, or name the upstream's CA with `ca_file`",
            )
        })?;
        return Ok(Arc::new(verifier));
    };
    let unusable = |error: &dyn std::fmt::Display| {
        CertProblem::at(file, format!("cannot be used: {error}"), "check it with `openssl x509`")
    };
    let mut roots = RootCertStore::empty();
    // Whatever the hospital names is trusted, be it a CA or the upstream's own self-signed certificate.
    for certificate in files::certificates(file)? {
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| unusable(&error))?;
    Ok(verifier)
}

fn own_certificate(pair: &CertificateFiles) -> Result<rustls::sign::SingleCertAndKey, CertProblem> {
    let chain = files::certificates(&pair.certificate)?;
    Ok(certified_key(pair, chain)?.into())
}

#[cfg(test)]
mod tests;
