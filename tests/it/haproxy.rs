//! HAProxy before two nodes, by the very file that is shipped: addresses and ports alone are this machine's.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tests::{Folder, eventually_in};

use crate::judges::root;
use crate::pair::{MINUTE, Pair};

const PORT: u16 = 8445;
/// Fewer connections than in the file: not every machine lets a test have so many.
const CONNECTIONS: &str = "1000";

/// A running HAProxy.
pub struct Balancer {
    child: Child,
    pub address: SocketAddr,
    folder: Folder,
}

/// How one of its servers stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Standing {
    /// `UP`, `DOWN`, or `NOLB`: it gets nothing new.
    pub status: String,
    /// How often it went down.
    pub times_down: u64,
    /// How many connections it got.
    pub connections: u64,
}

impl Balancer {
    /// As it is shipped: an address stays at a node.
    pub fn before(pair: &Pair) -> Self {
        Self::with(pair, |text| text)
    }

    /// One that gives every connection to another node than the one before.
    pub fn in_turns(pair: &Pair) -> Self {
        Self::with(pair, |text| replaced(&text, "balance source\n", "balance roundrobin\n"))
    }

    /// One that asks what every version knows, and cuts nothing where a node says that it is not ready: how a node is asked
    /// that has no word for a balancer (docs/operate/restart.md).
    pub fn that_asks_readiness(pair: &Pair) -> Self {
        Self::with(pair, |text| {
            let text = replaced(&text, "/readyz/balancer", "/readyz");
            replaced(&text, "on-marked-down shutdown-sessions ", "")
        })
    }

    fn with(pair: &Pair, change: impl FnOnce(String) -> String) -> Self {
        let address = SocketAddr::new(pair.one.address().ip(), PORT);
        let shipped = std::fs::read_to_string(root().join("deploy/haproxy/haproxy.cfg")).unwrap();
        let text = replaced(&shipped, "bind :443\n", &format!("bind {address}\n"));
        let text = replaced(&text, "10.0.10.11:443\n", &format!("{}\n", pair.one.balanced()));
        let text = replaced(&text, "10.0.10.12:443\n", &format!("{}\n", pair.two.balanced()));
        let folder = Folder::new();
        let file = folder.write("haproxy.cfg", change(text));
        // What a test asks it stands in a file of its own.
        let socket = folder.join("socket").display().to_string();
        let asked = folder.write("asked.cfg", format!("global\n  stats socket {socket} mode 600\n"));
        let haproxy = |words: &[&str]| {
            let mut haproxy = Command::new("haproxy");
            haproxy.args(["-n", CONNECTIONS]).args(words).arg("-f").arg(&file).stdin(Stdio::null());
            haproxy
        };
        let checked = haproxy(&["-c"]).output().expect("haproxy is installed (Debian: haproxy)");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        let log = File::create(folder.join("log")).unwrap();
        let child = haproxy(&["-db"])
            .arg("-f")
            .arg(asked)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("haproxy starts");
        let balancer = Self { child, address, folder };
        let begin = Instant::now();
        // The one that is asked, too: it may come a moment later.
        let answers = || UnixStream::connect(balancer.folder.join("socket")).is_ok();
        while TcpStream::connect(address).is_err() || !answers() {
            assert!(begin.elapsed() < Duration::from_secs(20), "haproxy does not listen:\n{}", balancer.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        balancer
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// How it sees a node.
    pub fn sees(&self, node: &str) -> Standing {
        let mut said = String::new();
        let mut socket = UnixStream::connect(self.folder.join("socket")).unwrap();
        socket.write_all(b"show stat sekimori 4 -1\n").unwrap();
        socket.read_to_string(&mut said).unwrap();
        let mut rows = said.trim_start_matches("# ").lines().map(|line| line.split(',').collect::<Vec<_>>());
        let names = rows.next().unwrap();
        let column = |name: &str| names.iter().position(|one| *one == name).unwrap();
        let row = rows.find(|row| row.get(column("svname")) == Some(&node)).unwrap();
        let count = |name: &str| row[column(name)].parse().unwrap();
        Standing {
            status: row[column("status")].split(' ').next().unwrap().to_owned(),
            times_down: count("chkdown"),
            connections: count("stot"),
        }
    }

    /// Waits until it sees a node so.
    pub async fn until(&self, node: &str, status: &str) {
        eventually_in(MINUTE, &format!("haproxy sees {node} as {status}"), async || {
            (self.sees(node).status == status).then_some(())
        })
        .await;
    }
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "`{from}` stands in the shipped file once:\n{text}");
    text.replace(from, to)
}

impl Drop for Balancer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("haproxy's words:\n{}", self.log());
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
