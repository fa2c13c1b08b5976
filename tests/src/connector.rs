//! `sekimori connect`, run as a person runs it, a line that can be cut, and servers for it to reach.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::{Ask, Device, Folder, Hospital, Session, eventually, make_private, sekimori};

/// A running `sekimori connect`; ends with this value.
#[derive(Debug)]
pub struct Connector {
    process: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Connector {
    /// Starts it for an app of this hospital, as this device; the gateway is reached at `at`.
    #[must_use]
    pub fn start(hospital: &Hospital, device: &Device, app: &str, at: SocketAddr) -> Self {
        let (certificate, key) = save(hospital.folder(), device);
        let mut process = Command::new(sekimori())
            .args(["connect", app, "--gateway", &hospital.url(app, ""), "--language", "en"])
            .args(["--address", &at.to_string(), "--listen", "127.0.0.1:0"])
            .arg("--certificate")
            .arg(certificate)
            .arg("--key")
            .arg(key)
            .arg("--ca")
            .arg(hospital.folder().join("ca.pem"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the program starts");
        let said = Arc::new(Mutex::new(Vec::new()));
        let (heard, out) = (Arc::clone(&said), process.stdout.take().expect("its output is piped"));
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                heard.lock().expect("nobody panics with it").push(line);
            }
        });
        Self { process, said }
    }

    /// Starts it and lets it in, in the name of who is signed in at the app's host. Gives the local port.
    pub async fn open(
        hospital: &Hospital,
        device: &Device,
        app: &str,
        at: SocketAddr,
        who: &Session,
    ) -> (Self, SocketAddr) {
        let connector = Self::start(hospital, device, app, at);
        let code = connector.hears("Code: ").await;
        let_in(hospital, device, app, who, &code).await;
        let address = connector.hears(&format!("{app} is at ")).await;
        let address = address.trim_end_matches(". Press Ctrl-C to end.").parse().expect("an address is told");
        (connector, address)
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it has said so far.
    #[must_use]
    pub fn said(&self) -> Vec<String> {
        self.said.lock().expect("nobody panics with it").clone()
    }

    /// Waits until it says something with this in it; gives what follows.
    pub async fn hears(&self, words: &str) -> String {
        let what = format!("`{words}` is said");
        let find = async || self.said().iter().find_map(|line| Some(line.split_once(words)?.1.to_owned()));
        eventually(&what, find).await
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("sekimori connect said: {:#?}", self.said());
        }
        // It may have ended by itself.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Lets a program in by its code, on the page of the app's host.
pub async fn let_in(hospital: &Hospital, device: &Device, app: &str, who: &Session, code: &str) {
    let origin = hospital.url(app, "");
    let ask = Ask::post(app, "/", format!("code={code}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", &origin)
        .header("accept", "text/html")
        .signed_in(who);
    hospital.caller(device).ask(ask).await.expect(200);
}

/// Certificate and key of a device, as PEM.
fn save(folder: &Folder, device: &Device) -> (PathBuf, PathBuf) {
    let chain: String = device.chain().iter().map(|one| pem("CERTIFICATE", one)).collect();
    let key = folder.write(&format!("{}.key.pem", device.id), pem("PRIVATE KEY", device.key().secret_der()));
    make_private(&key);
    (folder.write(&format!("{}.pem", device.id), chain), key)
}

fn pem(kind: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}

/// A line to the gateway that can be cut: whatever goes over it then is reset.
#[derive(Debug)]
pub struct BadLine {
    address: SocketAddr,
    cuts: watch::Sender<u32>,
    meter: Arc<Meter>,
}

/// After how many bytes a line is cut.
#[derive(Debug, Default)]
struct Meter {
    /// How many bytes are left until each cut, the next one first.
    until: Mutex<VecDeque<u64>>,
    /// Whether nobody gets through.
    is_shut: AtomicBool,
}

impl Meter {
    /// Bytes have passed; whether the line is to be cut.
    fn passed(&self, bytes: usize) -> bool {
        let mut until = self.until.lock().expect("nobody panics while counting");
        let Some(left) = until.front_mut() else { return false };
        *left = left.saturating_sub(bytes as u64);
        let is_over = *left == 0;
        if is_over {
            until.pop_front();
        }
        is_over
    }
}

/// Carries one direction; the line is cut when so many bytes have passed as it is to be cut after.
async fn carry_metered(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    meter: &Meter,
    cuts: &watch::Sender<u32>,
) -> std::io::Result<()> {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(piece.get(..length).unwrap_or_default()).await?;
        if meter.passed(length) {
            cuts.send_modify(|count| *count += 1);
        }
    }
}

impl BadLine {
    /// A good line, so far.
    pub async fn to(gateway: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let cuts = watch::Sender::new(0);
        let (heard, meter) = (cuts.clone(), Arc::new(Meter::default()));
        let counts = Arc::clone(&meter);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if counts.is_shut.load(Ordering::SeqCst) {
                    continue;
                }
                let (mut cut, cuts, meter) = (heard.subscribe(), heard.clone(), Arc::clone(&counts));
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(gateway).await else { return };
                    let (mut near, mut far) = (near, far);
                    let through = async {
                        let ((mut near_reads, mut near_writes), (mut far_reads, mut far_writes)) =
                            (near.split(), far.split());
                        tokio::try_join!(
                            carry_metered(&mut near_reads, &mut far_writes, &meter, &cuts),
                            carry_metered(&mut far_reads, &mut near_writes, &meter, &cuts),
                        )
                    };
                    tokio::select! {
                        _ = through => {}
                        _ = cut.changed() => {
                            near.set_zero_linger().ok();
                            far.set_zero_linger().ok();
                        }
                    }
                });
            }
        });
        Self { address, cuts, meter }
    }

    /// Where it begins.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts whatever goes over it each time so many bytes have passed, both ways together.
    ///
    /// # Panics
    /// Where counting them did.
    pub fn cut_after(&self, bytes: &[u64]) {
        *self.meter.until.lock().expect("nobody panics while counting") = bytes.iter().copied().collect();
    }

    /// Cuts whatever goes over it, and lets nothing through until it is opened.
    pub fn shut(&self) {
        self.meter.is_shut.store(true, Ordering::SeqCst);
        self.cut();
    }

    /// Lets something through again.
    pub fn open(&self) {
        self.meter.is_shut.store(false, Ordering::SeqCst);
    }

    /// Cuts whatever goes over it now.
    pub fn cut(&self) {
        self.cuts.send_modify(|count| *count += 1);
    }
}

/// A real OpenSSH server for whoever runs the tests; ends with this value.
#[derive(Debug)]
pub struct SshServer {
    process: Child,
    address: SocketAddr,
    folder: Folder,
}

impl SshServer {
    /// Starts one.
    #[must_use]
    pub fn start() -> Self {
        let (folder, address) = (Folder::new(), free_address());
        for name in ["host", "user"] {
            run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &folder.join(name).display().to_string()]);
        }
        // Where root runs the tests, the server separates its privileges there.
        std::fs::create_dir_all("/run/sshd").ok();
        let settings = format!(
            "Port {}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
             StrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n",
            address.port(),
            folder.join("host").display(),
            folder.join("user.pub").display()
        );
        let settings = folder.write("sshd_config", settings);
        let log = std::fs::File::create(folder.join("sshd.log")).expect("the server's log can be made");
        let process = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(settings)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the OpenSSH server is installed: see tests/run");
        wait_for(address);
        Self { process, address, folder }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process, of which every connection has one below.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A local port that leads to another one by way of this server (`ssh -L`); as long as it is held.
    #[must_use]
    pub fn forward(&self, to: SocketAddr) -> Forward {
        let address = free_address();
        let mut ssh = self.command(self.address, "");
        ssh.args(["-N", "-L", &format!("{address}:{to}")]);
        let process = ssh.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the OpenSSH client starts");
        wait_for(address);
        Forward { process, address }
    }

    /// What it proves itself by, as configurations name it.
    #[must_use]
    pub fn host_key(&self) -> String {
        public_key(&self.folder.join("host.pub"))
    }

    /// The key that it lets in.
    #[must_use]
    pub fn user_key(&self) -> PathBuf {
        self.folder.join("user")
    }

    /// The `[app.terminal]` of an app in front of it, with these further lines.
    #[must_use]
    pub fn terminal(&self, more: &str) -> String {
        terminal(&self.user_key(), &self.host_key(), more)
    }

    /// Runs a command there by way of another address, with this on its standard input; gives its output.
    #[must_use]
    pub fn command(&self, by: SocketAddr, words: &str) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(["-p", &by.port().to_string(), "-i", &self.folder.join("user").display().to_string()])
            .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"])
            .args(["-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-F", "none"])
            .arg(by.ip().to_string())
            .args((!words.is_empty()).then_some(words))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        ssh
    }
}

/// An `[app.terminal]`: signs in as whoever runs the tests, by this key, at a server that proves itself by that one.
#[must_use]
pub fn terminal(user_key: &Path, host_key: &str, more: &str) -> String {
    let mut id = Command::new("id");
    id.arg("-un").stdout(Stdio::piped());
    let user = String::from_utf8(output(id).stdout).expect("a name is text");
    let (user, key) = (user.trim(), user_key.display());
    format!("[app.terminal]\nuser = \"{user}\"\nkey_file = \"{key}\"\nhost_keys = [\"{host_key}\"]\n{more}")
}

/// A fresh key that no server knows: its file, and its public half as configurations name it.
#[must_use]
pub fn strange_key(folder: &Folder) -> (PathBuf, String) {
    let file = folder.join("strange");
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &file.display().to_string()]);
    let public = public_key(&folder.join("strange.pub"));
    (file, public)
}

/// Kind and key of a public key's file, without its comment.
fn public_key(file: &Path) -> String {
    let text = std::fs::read_to_string(file).expect("a key was made");
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// A port that `ssh -L` opened; ends with this value.
#[derive(Debug)]
pub struct Forward {
    process: Child,
    address: SocketAddr,
}

impl Forward {
    /// The client's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A real PostgreSQL server; ends with this value.
#[derive(Debug)]
pub struct Postgres {
    process: Child,
    address: SocketAddr,
    _folder: Folder,
}

impl Postgres {
    /// Starts an empty one, which lets in everybody who comes from this machine.
    #[must_use]
    pub fn start() -> Self {
        let (folder, address) = (Folder::new(), free_address());
        let data = folder.join("data").display().to_string();
        if is_root() {
            // The server refuses to run as root; its package has an account for it.
            run("chown", &["postgres", &folder.path().display().to_string()]);
        }
        let initdb = as_its_account(&postgres("initdb"), &["-D", &data, "-U", "postgres", "-A", "trust", "--no-sync"]);
        let made = output(initdb);
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let port = address.port().to_string();
        let mut server = as_its_account(
            &postgres("postgres"),
            &[
                "-D",
                &data,
                "-p",
                &port,
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
                "-c",
                "fsync=off",
            ],
        );
        let process = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the server starts");
        let server = Self { process, address, _folder: folder };
        let begin = Instant::now();
        while !output(server.command(address, "select 1")).status.success() {
            assert!(begin.elapsed() < Duration::from_secs(60), "PostgreSQL does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks it by way of another address.
    #[must_use]
    pub fn command(&self, by: SocketAddr, question: &str) -> Command {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-A", "-t", "-U", "postgres", "-d", "postgres", "-h", &by.ip().to_string()])
            .args(["-p", &by.port().to_string(), "-c", question])
            .env("PGSSLMODE", "disable")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        psql
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT is its fast shutdown: it takes its own processes along. It may have ended by itself.
        run_quietly("kill", &["-INT", &self.process.id().to_string()]);
        self.process.wait().ok();
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// A program of the newest server that is installed.
pub(crate) fn postgres(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        versions.map(|version| version.path().join("bin").join(name)).filter(|program| program.is_file()).collect();
    found.sort();
    found.pop().expect("PostgreSQL is installed: see tests/run")
}

pub(crate) fn as_its_account(program: &Path, words: &[&str]) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.args(words).current_dir("/").stdin(Stdio::null());
    command
}

/// Runs a command to its end.
///
/// # Panics
/// Where it does not start.
#[must_use]
pub fn output(mut command: Command) -> std::process::Output {
    command.output().unwrap_or_else(|problem| panic!("{command:?}: {problem}"))
}

/// Runs a command to its end with this on its standard input, beside whatever the test does meanwhile.
pub fn beside(mut command: Command, input: Option<Vec<u8>>) -> tokio::task::JoinHandle<std::process::Output> {
    tokio::task::spawn_blocking(move || {
        if input.is_some() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn().unwrap_or_else(|problem| panic!("{command:?}: {problem}"));
        let stdin = child.stdin.take();
        let writer = std::thread::spawn(move || {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // Whoever closes early says so by its exit code.
                stdin.write_all(&input).ok();
            }
        });
        let output = child.wait_with_output().expect("a child comes to its end");
        writer.join().expect("the writer ends");
        output
    })
}

pub(crate) fn run(program: &str, words: &[&str]) {
    let status = Command::new(program).args(words).status();
    assert!(status.is_ok_and(|status| status.success()), "{program}: see tests/run");
}

fn run_quietly(program: &str, words: &[&str]) {
    Command::new(program).args(words).status().ok();
}

pub(crate) fn free_address() -> SocketAddr {
    let socket = StdListener::bind("127.0.0.1:0").expect("loopback has a free port");
    socket.local_addr().expect("a bound socket has an address")
}

fn wait_for(address: SocketAddr) {
    let begin = Instant::now();
    while StdStream::connect(address).is_err() {
        assert!(begin.elapsed() < Duration::from_secs(20), "nobody listens at {address}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
