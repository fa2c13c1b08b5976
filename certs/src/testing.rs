//! What the tests share: a folder, a moment, a small hospital's certificates, other people's tools, and real handshakes
//! in memory.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use config::{CertificateFiles, ClientCertificates, CrlFetch, DeviceTrust, DistributionPoints, Listener, TlsProfile};
use policy::{DeviceClass, DeviceId, Host, Timestamp, ZoneId};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SignatureScheme};

use crate::provider::provider;
use crate::{
    DeviceCa, DeviceCertificate, DeviceRoots, IssuedDevice, ServerCa, ServerCertificates, server_config, signing,
};

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
        crl_fetch: CrlFetch {
            urls: vec![],
            points: DistributionPoints::Ignore,
            every: DAY,
            server_ca: None,
            folder: PathBuf::from("/nowhere"),
        },
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
        self.listener_with(mode, profile, Arc::clone(&self.roots))
    }

    pub(crate) fn listener_with(
        &self,
        mode: ClientCertificates,
        profile: TlsProfile,
        roots: Arc<DeviceRoots>,
    ) -> Arc<ServerConfig> {
        let listener = Listener {
            name: "inside".to_owned(),
            address: "127.0.0.1:443".parse().unwrap(),
            zone: ZoneId::parse("inside").unwrap(),
            sources: vec![],
            proxy_protocol_from: vec![],
            client_certificates: mode,
            tls_profile: profile,
        };
        let config = server_config(&listener, Arc::clone(&self.certificates), roots).unwrap();
        Arc::new(server_at_now(config))
    }

    /// The gateway with these CAs and lists, in files.
    pub(crate) fn trusting(&self, cas: &[&str], lists: &[&str]) -> Arc<DeviceRoots> {
        DeviceRoots::load(&self.device_ca, &self.trust_in(cas, lists), NOW).unwrap()
    }

    pub(crate) fn trust_in(&self, cas: &[&str], lists: &[&str]) -> DeviceTrust {
        let write = |kind: &str, texts: &[&str]| -> Vec<PathBuf> {
            let file = |(place, text): (usize, &&str)| self.folder.write(&format!("{kind}-{place}.pem"), text);
            texts.iter().enumerate().map(file).collect()
        };
        DeviceTrust { crl_files: write("crl", lists), ..trust(&write("ca", cas)) }
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

    /// A browser that shows its certificate to anybody.
    pub(crate) fn stubborn_browser_of(&self, device: &IssuedDevice) -> ClientConfig {
        let mut client = self.browser(None);
        client.client_auth_cert_resolver = always_shows(&device.certificate_pem, device.key_pem.expose());
        client
    }

    pub(crate) fn browser_of(&self, device: &IssuedDevice) -> ClientConfig {
        self.browser(Some((&device.certificate_pem, device.key_pem.expose())))
    }
}

/// Shows a certificate whatever CAs the server names.
#[derive(Debug)]
struct Stubborn(Arc<CertifiedKey>);

impl ResolvesClientCert for Stubborn {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

pub(crate) fn always_shows(certificate: &str, key: &str) -> Arc<dyn ResolvesClientCert> {
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    Arc::new(Stubborn(Arc::new(CertifiedKey::from_der(vec![certificate], key, &provider()).unwrap())))
}

fn distribution_points(places: &[&str]) -> Vec<CrlDistributionPoint> {
    let uris: Vec<String> = places.iter().map(|&place| place.to_owned()).collect();
    if uris.is_empty() { Vec::new() } else { vec![CrlDistributionPoint { uris }] }
}

/// A CA that is not the gateway's, such as an MDM's.
pub(crate) struct OtherCa {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl OtherCa {
    pub(crate) fn new(name: &str) -> Self {
        let (params, key) = Self::params(name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A CA below this one.
    pub(crate) fn below(&self, name: &str) -> Self {
        self.below_naming(name, &[])
    }

    /// A CA below this one whose certificate says where the list is that it would stand in.
    pub(crate) fn below_naming(&self, name: &str, places: &[&str]) -> Self {
        let (mut params, key) = Self::params(name);
        params.crl_distribution_points = distribution_points(places);
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn params(name: &str) -> (CertificateParams, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(SerialNumber::from(7));
        (params, key)
    }

    pub(crate) fn issue(&self, serial: u64, use_: ExtendedKeyUsagePurpose) -> IssuedDevice {
        self.issue_at(serial, use_, NOW)
    }

    pub(crate) fn issue_at(&self, serial: u64, use_: ExtendedKeyUsagePurpose, at: Timestamp) -> IssuedDevice {
        self.issue_with(serial, use_, at, &[])
    }

    /// A device whose certificate says where the list is that it would stand in.
    pub(crate) fn issue_naming(&self, serial: u64, places: &[&str]) -> IssuedDevice {
        self.issue_with(serial, ExtendedKeyUsagePurpose::ClientAuth, NOW, places)
    }

    fn issue_with(&self, serial: u64, use_: ExtendedKeyUsagePurpose, at: Timestamp, places: &[&str]) -> IssuedDevice {
        let key = KeyPair::generate().unwrap();
        let mut params = signing::end_params("tablet", use_).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        params.crl_distribution_points = distribution_points(places);
        signing::set_validity(&mut params, at, at.after(90 * DAY));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let read = DeviceCertificate::of(certificate.der().clone()).unwrap();
        IssuedDevice {
            certificate_pem: certificate.pem(),
            key_pem: config::Secret::new(key.serialize_pem()),
            certificate_ends_at: read.ends_at,
            fingerprint: read.fingerprint,
            serial: read.serial,
        }
    }

    /// A list made so many days ago, whose successor comes so many days after.
    pub(crate) fn list(&self, revoked: &[u64], days_ago: i64, valid_days: i64) -> String {
        let day =
            |at: Timestamp| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(at.unix_seconds().unsigned_abs());
        let entry = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: day(days_before(days_ago)),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: day(days_before(days_ago)),
            next_update: day(days_before(days_ago - valid_days)),
            crl_number: SerialNumber::from(1_000 - days_ago.unsigned_abs()),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// Runs a program that every Debian has, with this as its input; the test fails where it is missing.
pub(crate) fn run(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let (succeeded, output, errors) = attempt(program, arguments, input);
    assert!(succeeded, "{program} {arguments:?}: {errors}");
    output
}

/// Runs a program that may refuse.
pub(crate) fn attempt(program: &str, arguments: &[&str], input: &[u8]) -> (bool, Vec<u8>, String) {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("this test needs the program `{program}`, which tests/run installs: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    (output.status.success(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
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
