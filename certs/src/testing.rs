//! What the tests share: a folder, a moment, a small hospital's certificates, and real handshakes in memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use config::{CertificateFiles, ClientCertificates, DeviceTrust, Listener, TlsProfile};
use policy::{DeviceClass, DeviceId, Host, Timestamp, ZoneId};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use crate::provider::provider;
use crate::{DeviceCa, DeviceRoots, IssuedDevice, ServerCa, ServerCertificates, server_config};

pub(crate) const DAY: Duration = Duration::from_secs(86_400);
/// 2026-04-01T00:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_unix_micros(1_775_001_600_000_000);

pub(crate) fn days_before(days: i64) -> Timestamp {
    Timestamp::from_unix_micros(NOW.unix_micros() - days * 86_400_000_000)
}

pub(crate) fn host(name: &str) -> Host {
    Host::parse(name).unwrap()
}

pub(crate) fn device_id(name: &str) -> DeviceId {
    DeviceId::parse(name).unwrap()
}

/// A folder of its own for one test, removed afterwards.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sekimori-certs-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.0.join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    pub(crate) fn pair(&self, name: &str) -> CertificateFiles {
        CertificateFiles { certificate: self.0.join(format!("{name}.pem")), key: self.0.join(format!("{name}.key")) }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Trust in the gateway's own CA and these.
pub(crate) fn trust(ca_files: &[PathBuf]) -> DeviceTrust {
    DeviceTrust {
        ca_files: ca_files.to_vec(),
        certificate_lifetime: 365 * DAY,
        renew_before: 120 * DAY,
        ca: None,
        ca_passphrase: None,
        crl_files: vec![],
        crl_max_age: 7 * DAY,
    }
}

/// A hospital: a server CA, its certificates for `*.hosp.example`, and a device CA.
pub(crate) struct Hospital {
    pub(crate) folder: Folder,
    pub(crate) server_ca: ServerCa,
    pub(crate) device_ca: DeviceCa,
    pub(crate) certificates: Arc<ServerCertificates>,
    pub(crate) roots: Arc<DeviceRoots>,
}

impl Hospital {
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        let server_ca = ServerCa::create("病院のCA", NOW).unwrap();
        let pair = folder.pair("hosp");
        server_ca.issue(&["*.hosp.example"], NOW, 90 * DAY).unwrap().save(&pair).unwrap();
        let device_ca = DeviceCa::open_or_create(&folder.0.join("ca"), "みなと病院", NOW).unwrap();
        let certificates = ServerCertificates::load(&[pair], NOW).unwrap();
        let roots = DeviceRoots::load(&device_ca, &trust(&[]), NOW).unwrap();
        Self { folder, server_ca, device_ca, certificates, roots }
    }

    pub(crate) fn device(&self) -> IssuedDevice {
        self.device_ca.issue(&device_id("ward3-01"), DeviceClass::WardShared, NOW, 365 * DAY).unwrap()
    }

    pub(crate) fn listener(&self, mode: ClientCertificates, profile: TlsProfile) -> Arc<ServerConfig> {
        let listener = Listener {
            name: "inside".to_owned(),
            address: "127.0.0.1:443".parse().unwrap(),
            zone: ZoneId::parse("inside").unwrap(),
            sources: vec![],
            client_certificates: mode,
            tls_profile: profile,
        };
        let config = server_config(&listener, Arc::clone(&self.certificates), Arc::clone(&self.roots)).unwrap();
        Arc::new(server_at_now(config))
    }

    /// A browser that trusts the server CA and shows what it is given.
    pub(crate) fn browser(&self, shows: Option<(&str, &str)>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.server_ca.certificate_pem().as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut client = match shows {
            Some((certificate, key)) => {
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        client_at_now(client)
    }

    pub(crate) fn browser_of(&self, device: &IssuedDevice) -> ClientConfig {
        self.browser(Some((&device.certificate_pem, device.key_pem.expose())))
    }
}

/// Both ends of a finished handshake, or the side that ended it and why.
pub(crate) type Handshake = Result<(ClientConnection, ServerConnection), (Side, rustls::Error)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// Runs a handshake and everything sent right after it (tickets, refusals) through buffers.
pub(crate) fn handshake(client: &ClientConfig, server: &Arc<ServerConfig>, name: &str) -> Handshake {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client.clone()), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    loop {
        let mut to_server = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut to_server).unwrap();
        }
        let mut reading = to_server.as_slice();
        while !reading.is_empty() {
            server.read_tls(&mut reading).unwrap();
            server.process_new_packets().map_err(|error| (Side::Server, error))?;
        }
        let mut to_client = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut to_client).unwrap();
        }
        let mut reading = to_client.as_slice();
        while !reading.is_empty() {
            client.read_tls(&mut reading).unwrap();
            client.process_new_packets().map_err(|error| (Side::Client, error))?;
        }
        if to_server.is_empty() && to_client.is_empty() {
            assert!(!client.is_handshaking() && !server.is_handshaking(), "the handshake stands still");
            return Ok((client, server));
        }
    }
}

pub(crate) fn server_at_now(mut config: ServerConfig) -> ServerConfig {
    config.time_provider = Arc::new(Now);
    config
}

pub(crate) fn client_at_now(mut config: ClientConfig) -> ClientConfig {
    config.time_provider = Arc::new(Now);
    config
}

pub(crate) fn mode_of(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[derive(Debug)]
struct Now;

impl TimeProvider for Now {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(NOW.unix_seconds().unsigned_abs())))
    }
}
