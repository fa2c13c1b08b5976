//! The CA of the test: for the gateway's own certificates, and for upstreams and providers that speak TLS.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use certs::{DeviceCa, ServerCa};
use config::CertificateFiles;
use policy::{DeviceClass, DeviceId, Timestamp};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

const LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A CA that only this test knows.
#[derive(Clone, Debug)]
pub struct Authority(Arc<ServerCa>);

impl Authority {
    /// Makes one.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(ServerCa::create("Sekimori test CA", now()).expect("a CA can be made")))
    }

    /// Writes its certificate.
    pub fn save(&self, file: &Path) {
        std::fs::write(file, self.0.certificate_pem()).expect("the CA's certificate can be written");
    }

    /// Issues a certificate for these names and writes `NAME.pem` and `NAME.key`.
    pub fn issue(&self, folder: &Path, name: &str, hosts: &[&str]) -> CertificateFiles {
        let files = files(folder, name);
        let issued = self.0.issue(hosts, now(), LIFETIME).expect("a certificate can be issued");
        issued.save(&files).expect("the certificate can be written");
        files
    }

    /// The CA as a client trusts it.
    #[must_use]
    pub fn roots(&self) -> Arc<RootCertStore> {
        roots(self.0.certificate_pem())
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A CA for the certificates that clients show, as an app's own administrator may keep one.
#[derive(Debug)]
pub struct ClientAuthority(DeviceCa);

impl ClientAuthority {
    /// Makes one and keeps it in the folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self(DeviceCa::open_or_create(&folder.join("client-ca"), "test", now()).expect("a CA can be made"))
    }

    /// Issues a certificate to a client and writes `NAME.pem` and `NAME.key`.
    pub fn issue(&self, folder: &Path, name: &str) {
        let id = DeviceId::parse(name).expect("a test's client has a name");
        let issued = self.0.issue(&id, DeviceClass::Fixed, now(), LIFETIME).expect("a certificate can be issued");
        let files = files(folder, name);
        std::fs::write(&files.certificate, &issued.certificate_pem).expect("the certificate can be written");
        std::fs::write(&files.key, issued.key_pem.expose()).expect("the key can be written");
        make_private(&files.key);
    }

    /// The CA as a server trusts it.
    #[must_use]
    pub fn roots(&self) -> Arc<RootCertStore> {
        roots(self.0.certificate_pem())
    }
}

/// A file that only its owner reads, as the gateway wants its secrets.
pub fn make_private(file: &Path) {
    let owner_only = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(file, owner_only).expect("a file can be made private");
}

fn roots(ca: &str) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).expect("the CA reads back")).expect("the CA is a CA");
    Arc::new(roots)
}

fn files(folder: &Path, name: &str) -> CertificateFiles {
    let path = |end: &str| -> PathBuf { folder.join(format!("{name}.{end}")) };
    CertificateFiles { certificate: path("pem"), key: path("key") }
}

/// Reads a chain and its key.
pub fn chain_and_key(files: &CertificateFiles) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_file_iter(&files.certificate).expect("the chain can be read");
    let chain = chain.collect::<Result<_, _>>().expect("the chain is PEM");
    (chain, PrivateKeyDer::from_pem_file(&files.key).expect("the key can be read"))
}

/// The real time.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
    Timestamp::from_unix_micros(i64::try_from(since.as_micros()).expect("it is before 200000"))
}
