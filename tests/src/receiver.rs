//! A real rsyslog as the hospital's own receiver of the log: syslog over mutual TLS, with certificates by the hospital's
//! own CA, which openssl keeps.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Folder, make_private};

const PROGRAM: &str = "/usr/sbin/rsyslogd";
const PATIENCE: Duration = Duration::from_secs(20);

/// A receiver; ends with this value.
#[derive(Debug)]
pub struct Receiver {
    process: Option<Child>,
    address: SocketAddr,
    folder: Folder,
}

impl Receiver {
    /// Starts one that nobody has told anything.
    #[must_use]
    pub fn start() -> Self {
        let mut receiver = Self::away();
        receiver.start_again();
        receiver
    }

    /// One that is not there yet.
    #[must_use]
    pub fn away() -> Self {
        let folder = Folder::new();
        make_certificates(folder.path());
        let socket = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = socket.local_addr().expect("a bound socket has an address");
        let receiver = Self { process: None, address, folder };
        receiver.folder.write("rsyslog.conf", receiver.settings());
        receiver
    }

    /// Mutual authentication, and every message as it came.
    fn settings(&self) -> String {
        let path = |name: &str| self.folder.join(name).display().to_string();
        format!(
            "global(workDirectory=\"{}\" maxMessageSize=\"256k\" defaultNetstreamDriver=\"gtls\"\n\
             \x20 defaultNetstreamDriverCAFile=\"{}\" defaultNetstreamDriverCertFile=\"{}\"\n\
             \x20 defaultNetstreamDriverKeyFile=\"{}\" parser.escapeControlCharactersOnReceive=\"off\")\n\
             module(load=\"imtcp\" streamDriver.name=\"gtls\" streamDriver.mode=\"1\"\n\
             \x20 streamDriver.authMode=\"x509/name\" permittedPeer=[\"gateway.test\"])\n\
             template(name=\"whole\" type=\"string\" string=\"%rawmsg%\\n\")\n\
             input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{}\" ruleset=\"keep\")\n\
             ruleset(name=\"keep\") {{ action(type=\"omfile\" file=\"{}\" template=\"whole\" flushOnTXEnd=\"on\") }}\n",
            self.folder.path().display(),
            path("ca.pem"),
            path("receiver.pem"),
            path("receiver.key"),
            self.address.port(),
            path("messages"),
        )
    }

    /// Starts it, or starts it again after it was killed.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "the receiver runs already");
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join("rsyslog.log"));
        let log = log.expect("the receiver's log can be made");
        let mut process = Command::new(PROGRAM)
            .arg("-n")
            .arg("-i")
            .arg(self.folder.join("rsyslog.pid"))
            .arg("-f")
            .arg(self.folder.join("rsyslog.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("rsyslog is installed: see tests/run");
        let begin = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            let ended = process.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "rsyslog ended with {ended:?}: {}", self.folder.path().display());
            assert!(begin.elapsed() < PATIENCE, "rsyslog does not accept: {}", self.folder.path().display());
            std::thread::sleep(Duration::from_millis(20));
        }
        self.process = Some(process);
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("the receiver runs");
        process.kill().expect("a child can be killed");
        process.wait().expect("a killed child ends");
        // Its process number stands there, and would keep it from starting again.
        std::fs::remove_file(self.folder.join("rsyslog.pid")).ok();
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The lines of a feed's table that say who the receiver is, and who the gateway is to it.
    #[must_use]
    pub fn trust(&self) -> String {
        let path = |name: &str| self.folder.join(name).display().to_string();
        format!(
            "ca_file = \"{}\"\nserver_name = \"receiver.test\"\nclient_certificate = \"{}\"\nclient_key = \"{}\"\n",
            path("ca.pem"),
            path("gateway.pem"),
            path("gateway.key"),
        )
    }

    /// A file of its own, such as `ca.pem` or `receiver.key`.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What it was told, in the order it came.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        let text = std::fs::read(self.folder.join("messages")).unwrap_or_default();
        String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself.
            process.kill().ok();
            process.wait().ok();
        }
    }
}

/// A CA, and certificates of it for `receiver.test`, `gateway.test` and a `stranger.test`.
fn make_certificates(folder: &Path) {
    let curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(folder, &format!("req -x509 {curve} -keyout ca.key -out ca.pem -subj /CN=hospital -days 2"));
    for name in ["receiver", "gateway", "stranger"] {
        openssl(
            folder,
            &format!(
                "req {curve} -keyout {name}.key -out {name}.csr -subj /CN={name}.test -addext subjectAltName=DNS:{name}.test"
            ),
        );
        openssl(
            folder,
            &format!("x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -days 2 -copy_extensions copy -out {name}.pem"),
        );
        make_private(&folder.join(format!("{name}.key")));
    }
}

fn openssl(folder: &Path, words: &str) {
    let run = Command::new("openssl").args(words.split(' ')).current_dir(folder).stdin(Stdio::null()).output();
    let run = run.expect("openssl is installed: see tests/run");
    assert!(run.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&run.stderr));
}
