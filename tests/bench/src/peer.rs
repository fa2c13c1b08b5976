//! A proxy to be measured against: a process on the proxies' processor, and how the load reaches it. Those that are not
//! on this machine are left out and named.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tests::Folder;

use crate::gateway::Gateway;
use crate::gauge;
use crate::load::{Aim, Protocol};

const START_PATIENCE: Duration = Duration::from_secs(20);

/// What a proxy wants to see of whoever asks.
#[derive(Clone, Debug)]
pub enum Shows {
    /// What the gateway gets, so that it costs the same to read; nothing is made of it.
    TheSame,
    /// A cookie of its own.
    Cookie(String),
    /// A token in `Authorization`.
    Bearer(String),
}

/// A running proxy; ends with this value.
#[derive(Debug)]
pub struct Peer {
    /// Its name in the tables.
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it wants to see.
    pub shows: Shows,
    /// Whether it speaks HTTP/2 too.
    pub speaks_http2: bool,
    child: Child,
    _folder: Folder,
}

impl Peer {
    /// Starts a program on the proxies' processor, and waits until it accepts.
    pub fn start(
        name: &'static str,
        address: SocketAddr,
        folder: Folder,
        program: &str,
        words: &[&dyn AsRef<OsStr>],
    ) -> Self {
        let child = start(&folder, gauge::PROXY_CPU, address, program, words);
        Self { name, address, shows: Shows::TheSame, speaks_http2: true, child, _folder: folder }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its process and those it started.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids = gauge::children(self.pid());
        pids.push(self.pid());
        pids
    }

    /// Whether it speaks this.
    pub fn speaks(&self, protocol: Protocol) -> bool {
        protocol == Protocol::Http1 || self.speaks_http2
    }

    /// The load that the gateway gets, aimed at this proxy.
    pub fn aim(&self, gateway: &Gateway) -> Aim {
        self.aim_like(&gateway.aim())
    }

    /// Any load of the gateway's, aimed at this proxy.
    pub fn aim_like(&self, aim: &Aim) -> Aim {
        let fields = match &self.shows {
            Shows::TheSame => aim.fields.clone(),
            Shows::Cookie(cookie) => vec![("cookie", cookie.clone())],
            Shows::Bearer(token) => vec![("authorization", format!("Bearer {token}"))],
        };
        Aim { address: self.address, fields, ..aim.clone() }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

/// Starts a server on a processor, and waits until it accepts.
pub fn start(folder: &Folder, cpu: usize, address: SocketAddr, program: &str, words: &[&dyn AsRef<OsStr>]) -> Child {
    let said = std::fs::File::create(folder.join("said")).unwrap();
    let child = Command::new("taskset")
        .args(["-c", &cpu.to_string(), program])
        .args(words.iter().map(|word| word.as_ref()))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(said.try_clone().unwrap())
        .stderr(said)
        .spawn()
        .expect("taskset is installed (Debian: util-linux)");
    let begin = Instant::now();
    while TcpStream::connect(address).is_err() {
        let patient = begin.elapsed() < START_PATIENCE;
        assert!(patient, "{program} does not accept; it said: {}", said_in(folder.path()));
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

fn said_in(folder: &Path) -> String {
    ["said", "error.log"].iter().filter_map(|file| std::fs::read_to_string(folder.join(file)).ok()).collect()
}

/// Ends a server by its id; what it started ends with it.
pub fn stop(child: &mut Child) {
    let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    let _ = child.wait();
}

/// Whether a program is on this machine.
pub fn is_here(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file()) || Path::new(program).is_file()
}

/// A port of loopback that nobody has.
pub fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}
