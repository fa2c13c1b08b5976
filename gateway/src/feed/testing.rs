//! For the tests of feeds: a receiver with real certificates, and a log written by hand.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use certs::ServerCa;
use config::{CertificateFiles, Config};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::clock;
use crate::feed::receiver::{Receiver, Receivers};

/// A house with one feed, in a folder that goes away with it.
pub struct House {
    folder: PathBuf,
    pub config: Config,
    pub receiver: Arc<Receiver>,
}

impl House {
    /// One whose feed leads to a port of this machine; `more` are further lines of its table.
    pub fn with_feed(port: u16, more: &str) -> Self {
        let name = format!("sekimori-feed-{}-{:x}", std::process::id(), clock::random_u64().unwrap());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let at = clock::now();
        let ca = ServerCa::create("test", at).unwrap();
        std::fs::write(folder.join("ca.pem"), ca.certificate_pem()).unwrap();
        let files = CertificateFiles { certificate: folder.join("own.pem"), key: folder.join("own.key") };
        ca.issue(&["receiver.test"], at, Duration::from_secs(3_600)).unwrap().save(&files).unwrap();
        let clinic = config::template(config::Template::Clinic).replace("tls/chain.pem", "own.pem");
        let text = format!(
            "{}\n[[audit.feed]]\nid = \"siem\"\naddress = \"127.0.0.1:{port}\"\nserver_name = \"receiver.test\"\n\
             ca_file = \"ca.pem\"\nclient_certificate = \"own.pem\"\nclient_key = \"own.key\"\nsettle = \"1s\"\n{more}\n",
            clinic.replace("tls/key.pem", "own.key")
        );
        let config = config::parse(&text, "sekimori.toml", &folder).unwrap();
        let receivers = Receivers::build(&config).unwrap();
        let receiver = receivers.find(&"siem".parse().unwrap()).unwrap().clone();
        Self { folder, config, receiver }
    }

    /// The server at the other end.
    pub fn server(&self) -> TlsAcceptor {
        let chain = CertificateDer::pem_file_iter(self.folder.join("own.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.folder.join("own.key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.collect::<Result<_, _>>().unwrap(), key)
            .unwrap();
        TlsAcceptor::from(Arc::new(server))
    }

    /// Writes a log of these lines, each given by what follows its number and moment.
    pub fn write_log(&self, lines: &[String]) {
        let segments = self.config.audit.directory.join("segments");
        std::fs::create_dir_all(&segments).unwrap();
        let line = |(seq, rest): (usize, &String)| {
            format!("{{\"v\":1,\"seq\":{seq},\"ts\":\"2026-11-22T01:05:00.000000Z\",{rest}}}\n")
        };
        let text: String = lines.iter().enumerate().map(line).collect();
        std::fs::write(segments.join(format!("{:020}.jsonl", 0)), text).unwrap();
    }
}

impl Drop for House {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}
