//! TLS between the nodes of one gateway: both sides show a certificate of the hospital's own CA for nodes, and each looks
//! whether it names the node that it should be. No other CA is believed, and nothing is resumed: a certificate is looked
//! at on every connection.

use std::path::Path;
use std::sync::Arc;

use config::CertificateFiles;
use rustls::RootCertStore;
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;

use crate::provider::provider;
use crate::server::certified_key;
use crate::{CertProblem, files};

/// TLS of one node towards the others.
#[derive(Clone, Debug)]
pub struct NodeTls {
    /// Where it is asked.
    pub server: Arc<rustls::ServerConfig>,
    /// Where it asks.
    pub client: Arc<rustls::ClientConfig>,
}

impl NodeTls {
    /// Reads the CA of the nodes, and the certificate of the one that is called `own`.
    ///
    /// # Errors
    /// [`CertProblem`] if a file cannot be used, or the certificate is another node's.
    pub fn load(ca_file: &Path, pair: &CertificateFiles, own: &str) -> Result<Self, CertProblem> {
        let failed = |error: &dyn std::fmt::Display| {
            CertProblem::at(ca_file, format!("cannot be used: {error}"), "check it with `openssl x509`")
        };
        let mut roots = RootCertStore::empty();
        for certificate in files::certificates(ca_file)? {
            roots.add(certificate).map_err(|error| failed(&error))?;
        }
        let roots = Arc::new(roots);
        let chain = files::certificates(&pair.certificate)?;
        if !chain.first().is_some_and(|certificate| names_node(certificate, own)) {
            return Err(CertProblem::at(
                &pair.certificate,
                format!("is not the certificate of the node `{own}`"),
                format!("give each node its own, with `DNS:{own}` among the alternative names"),
            ));
        }
        let own = Arc::new(SingleCertAndKey::from(certified_key(pair, chain)?));

        let nodes = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider());
        let mut server = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| failed(&error))?
            .with_client_cert_verifier(nodes.build().map_err(|error| failed(&error))?)
            .with_cert_resolver(Arc::clone(&own) as _);
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;

        let nodes = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
        let mut client = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| failed(&error))?
            .with_webpki_verifier(nodes.map_err(|error| failed(&error))?)
            .with_client_cert_resolver(own);
        client.resumption = Resumption::disabled();
        client.enable_early_data = false;
        Ok(Self { server: Arc::new(server), client: Arc::new(client) })
    }
}

/// Whether a certificate names a node. That its CA is the right one is TLS's to say.
#[must_use]
pub fn names_node(certificate: &CertificateDer<'_>, name: &str) -> bool {
    let (Ok(parsed), Ok(name)) = (ParsedCertificate::try_from(certificate), ServerName::try_from(name)) else {
        return false;
    };
    verify_server_name(&parsed, &name).is_ok()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use policy::Timestamp;

    use super::*;
    use crate::{NodeCa, ServerCa};

    const DAY: Duration = Duration::from_secs(86_400);

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("sekimori-node-tls-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn pair(&self, issued: &crate::IssuedServer) -> CertificateFiles {
            let pair = CertificateFiles { certificate: self.0.join("node.pem"), key: self.0.join("node.key") };
            issued.save(&pair).unwrap();
            pair
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    fn at() -> Timestamp {
        Timestamp::from_unix_micros(1_795_000_000_000_000)
    }

    #[test]
    fn a_node_takes_no_certificate_but_its_own() {
        let folder = Folder::new("own");
        let ca = NodeCa::create("病院", at(), DAY).unwrap();
        let (file, pair) = (folder.0.join("ca.pem"), folder.pair(&ca.issue("gw01").unwrap()));
        std::fs::write(&file, ca.certificate_pem()).unwrap();
        assert!(NodeTls::load(&file, &pair, "gw01").is_ok());
        let said = NodeTls::load(&file, &pair, "gw02").unwrap_err().to_string();
        assert!(said.contains("is not the certificate of the node `gw02`") && said.contains("DNS:gw02"), "{said}");
        let said = NodeTls::load(&folder.0.join("none.pem"), &pair, "gw01").unwrap_err().to_string();
        assert!(said.contains("none.pem: cannot be read"), "{said}");
    }

    #[test]
    fn a_certificate_names_a_node_by_its_alternative_names_alone() {
        let folder = Folder::new("names");
        let ca = ServerCa::create("nodes", at()).unwrap();
        let certificate = |names: &[&str]| {
            let pair = folder.pair(&ca.issue(names, at(), DAY).unwrap());
            files::certificates(&pair.certificate).unwrap().remove(0)
        };
        assert!(names_node(&certificate(&["gw01"]), "gw01"));
        assert!(names_node(&certificate(&["gw01.hospital.test", "gw01"]), "gw01"));
        for names in [&["gw02"][..], &["gw01.hospital.test"], &["*.gw01"], &["10.0.0.1"]] {
            assert!(!names_node(&certificate(names), "gw01"), "{names:?}");
        }
        assert!(!names_node(&CertificateDer::from(vec![0x30, 0]), "gw01"));
    }
}
