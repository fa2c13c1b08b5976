//! A real CA that speaks ACME (Debian's `pebble`), and the DNS that it asks (`pebble-challtestsrv`), in which every name
//! leads to one hospital.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::{Folder, Hospital};

const PATIENCE: Duration = Duration::from_secs(60);
/// Where the next CA of this process looks for ports.
static NEXT: AtomicU32 = AtomicU32::new(0);
/// The key of the account `sakura` at a CA that knows its customers.
pub const ACCOUNT_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

/// The CA and its DNS; both end with this value.
#[derive(Debug)]
pub struct Pebble {
    process: Option<Child>,
    dns: Child,
    address: SocketAddr,
    management: SocketAddr,
    dns_address: SocketAddr,
    dns_management: SocketAddr,
    folder: Folder,
}

impl Pebble {
    /// Starts one that looks for names at this hospital, whose authority its own certificate is from.
    #[must_use]
    pub fn start(hospital: &Hospital) -> Self {
        Self::start_with(hospital, &json!({}))
    }

    /// The same with other settings, such as how long its certificates count.
    #[must_use]
    pub fn start_with(hospital: &Hospital, settings: &Value) -> Self {
        let folder = Folder::new();
        hospital.authority().issue(folder.path(), "pebble", &["localhost"]);
        let [address, management, dns_address, dns_management] = free_addresses();
        let mut own = json!({
            "listenAddress": address.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": folder.join("pebble.pem"),
            "privateKey": folder.join("pebble.key"),
            "httpPort": 1,
            "tlsPort": hospital.address().port(),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        });
        for (key, value) in settings.as_object().expect("settings are a table") {
            own[key] = value.clone();
        }
        folder.write("pebble.json", json!({ "pebble": own }).to_string());
        let dns = Command::new("pebble-challtestsrv")
            .args(["-dns01", &dns_address.to_string(), "-management", &dns_management.to_string()])
            .args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""])
            .args(["-defaultIPv4", &hospital.address().ip().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pebble is installed: see tests/run");
        let mut pebble = Self { process: None, dns, address, management, dns_address, dns_management, folder };
        until_it_listens(pebble.dns_management);
        pebble.start_again();
        pebble
    }

    /// Starts it again: it knows nobody then.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "the CA runs already");
        let log = File::options().create(true).append(true).open(self.folder.join("pebble.log"));
        let log = log.expect("the CA's log can be made");
        let process = Command::new("pebble")
            .arg("-config")
            .arg(self.folder.join("pebble.json"))
            .args(["-dnsserver", &self.dns_address.to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            // Else it refuses one number of ten at random, three times in a row now and then: what a test sees is no chance.
            .env("PEBBLE_WFE_NONCEREJECT", "0")
            .env("PEBBLE_AUTHZREUSE", "0")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("pebble is installed: see tests/run");
        self.process = Some(process);
        until_it_listens(self.management);
        until_it_listens(self.address);
    }

    /// Kills it.
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("the CA runs");
        process.kill().expect("a child can be killed");
        process.wait().expect("a killed child ends");
    }

    /// The section of a configuration that orders from it.
    #[must_use]
    pub fn section(&self, more: &str) -> String {
        let port = self.address.port();
        format!(
            "[acme]\ndirectory = \"https://localhost:{port}/dir\"\nca_file = \"ca.pem\"\nterms_accepted = true\n{more}"
        )
    }

    /// How the gateway calls it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// A program that writes into its DNS.
    #[must_use]
    pub fn hook(&self) -> PathBuf {
        let own = self.dns_management;
        self.program(&format!(
            "#!/bin/sh\nset -e\ncase $1 in\n  add) curl -fsS -d \"{{\\\"host\\\":\\\"$2.\\\",\\\"value\\\":\\\"$3\\\"}}\" http://{own}/set-txt ;;\n  \
             remove) curl -fsS -d \"{{\\\"host\\\":\\\"$2.\\\"}}\" http://{own}/clear-txt; echo \"$2\" >> {} ;;\nesac\n",
            self.removed().display(),
        ))
    }

    /// A program of this text.
    #[must_use]
    pub fn program(&self, text: &str) -> PathBuf {
        let file = self.folder.write("hook", text);
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&file, mode).expect("a file can be made a program");
        file
    }

    /// Where the hook writes what it removed.
    #[must_use]
    pub fn removed(&self) -> PathBuf {
        self.folder.join("removed")
    }

    /// The CA's root, which a start makes anew.
    #[must_use]
    pub fn roots(&self) -> Arc<RootCertStore> {
        let address = format!("https://{}/roots/0", self.management);
        let asked = Command::new("curl").args(["-fsSk", &address]).output().expect("curl is installed: see tests/run");
        assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&asked.stdout).expect("the root is PEM")).expect("the root is a CA");
        Arc::new(roots)
    }

    /// What it wrote of itself.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("pebble.log")).unwrap_or_default()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for child in self.process.iter_mut().chain([&mut self.dns]) {
            // It may have ended by itself.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Ports below those that the system gives to whoever asks for any.
const PORTS: Range<u32> = 10_000..30_000;

/// Addresses of loopback that are free now, and that nobody is given by chance before the CA, which has to be told them,
/// takes them: other processes begin elsewhere.
fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let count = PORTS.end - PORTS.start;
    let begin = std::process::id().wrapping_mul(8) + NEXT.fetch_add(4, Ordering::Relaxed);
    let addresses = (0..count).map(|step| PORTS.start + begin.wrapping_add(step) % count);
    let addresses = addresses.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port).unwrap_or(0))));
    let free: Vec<SocketAddr> = addresses.filter(|address| TcpListener::bind(address).is_ok()).take(N).collect();
    free.try_into().expect("loopback has free ports")
}

fn until_it_listens(address: SocketAddr) {
    let begin = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begin.elapsed() < PATIENCE, "nobody listens at {address}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
