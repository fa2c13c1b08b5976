//! The terminal of an SSH app in a browser: a real OpenSSH server behind it, which the person who works there never signs
//! in at.

mod ends;
mod files;
mod hour;
mod servers;

use std::net::SocketAddr;
use std::time::Duration;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tests::connector::SshServer;
use tests::{Ask, Device, Frame, Hospital, Plan, Session, WebSocket, eventually, within};

use crate::stream::KEY;

/// What is promised, and what a busy test machine and the command itself may add to it.
const IN_TIME: Duration = Duration::from_millis(1_000 + 2_000);
const PATIENCE: Duration = Duration::from_secs(60);

const RULES: &str = r#"
[roles]
vendor = { ja = "保守業者", en = "Vendor" }
clerk = { ja = "事務", en = "Clerk" }

[[rule]]
id = "vendors-maintain"
roles = ["vendor"]
apps = ["shell"]
actions = ["connect", "read"]
devices = "known"

[[rule]]
id = "vendors-put-files"
roles = ["vendor"]
apps = ["shell"]
actions = ["write"]
paths = ["/files/put/*"]
devices = "known"
"#;

/// A hospital with the SSH app `shell`, and a vendor's person signed in on a device.
struct Room {
    hospital: Hospital,
    laptop: Device,
    vendor: Session,
}

impl Room {
    /// In front of this port, with this `[app.terminal]`.
    async fn at(port: SocketAddr, terminal: &str) -> Self {
        Self::with(port, terminal, |plan| plan).await
    }

    async fn with(port: SocketAddr, terminal: &str, change: impl FnOnce(Plan) -> Plan) -> Self {
        let plan = Plan::new().tcp("shell", port, "ssh").block(terminal).rules(RULES);
        let mut hospital = Hospital::build(change(plan));
        let laptop = Device::add(&hospital, "laptop-1", "vendor").await;
        let vendor = Session::open(&hospital, "vendor", Some(&laptop), &["shell"]).await;
        hospital.start();
        Self { hospital, laptop, vendor }
    }

    /// In front of a real server.
    async fn open(more: &str) -> (Self, SshServer) {
        let sshd = SshServer::start();
        (Self::at(sshd.address(), &sshd.terminal(more)).await, sshd)
    }

    fn get(&self, path: &str) -> Ask {
        Ask::get("shell", path).signed_in(&self.vendor)
    }

    async fn ask(&self, ask: Ask) -> tests::Answer {
        self.hospital.caller(&self.laptop).ask(ask).await
    }

    async fn terminal(&self) -> Line {
        let mut connection = self.hospital.caller(&self.laptop).http1("shell").await;
        let ask = self
            .get("/terminal/stream?columns=100&rows=30")
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", KEY)
            .header("origin", "https://shell.hospital.test:8443");
        let response = connection.send(ask).await.unwrap();
        assert_eq!(response.status(), 101);
        let socket = WebSocket::client(TokioIo::new(hyper::upgrade::on(response).await.unwrap()));
        Line { socket, shown: Vec::new(), told: Vec::new() }
    }

    /// A terminal with its prompt.
    async fn shell(&self) -> Line {
        let mut line = self.terminal().await;
        line.hears("open").await;
        line.types("PS1='> '; echo re''ady\r").await;
        line.shows("ready").await;
        line
    }

    /// Opening and closing line of the one terminal.
    async fn record(&self) -> (Value, Value) {
        let streams = || self.hospital.records().opened("/terminal/stream");
        let closed = async || streams().all().first().and_then(|open| self.hospital.records().closing(open).cloned());
        let closing = eventually("the closing line", closed).await;
        (streams().only().clone(), closing)
    }

    fn events(&self, event: &str) -> Vec<Value> {
        self.hospital.records().with("ev", event).all().to_vec()
    }
}

/// The page's end of a terminal.
struct Line {
    socket: WebSocket<TokioIo<Upgraded>>,
    shown: Vec<u8>,
    told: Vec<Value>,
}

impl Line {
    async fn types(&mut self, text: &str) {
        self.socket.send_bytes(&[&[0], text.as_bytes()].concat()).await.unwrap();
    }

    async fn took(&mut self, bytes: usize) {
        let count = u32::try_from(bytes).unwrap().to_be_bytes();
        // The other side may have ended it.
        self.socket.send_bytes(&[&[2], &count[..]].concat()).await.ok();
    }

    /// The next of it, without saying that it was taken; `false` where it ended.
    async fn next(&mut self) -> Option<usize> {
        match self.socket.next().await? {
            Frame::Text(text) => {
                self.told.push(serde_json::from_str(&text).unwrap());
                Some(0)
            }
            Frame::Other(0x2, bytes) => {
                self.shown.extend(&bytes);
                Some(bytes.len())
            }
            Frame::Other(..) => Some(0),
            Frame::Close(_) => None,
        }
    }

    async fn step(&mut self) -> bool {
        match self.next().await {
            Some(0) => true,
            Some(bytes) => {
                self.took(bytes).await;
                true
            }
            None => false,
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }

    async fn shows(&mut self, words: &str) {
        let shows = async {
            while !self.text().contains(words) {
                assert!(self.step().await, "it ended, and showed {:?}, told {:?}", self.text(), self.told);
            }
        };
        if tokio::time::timeout(PATIENCE, shows).await.is_err() {
            panic!("{words} is not shown");
        }
    }

    async fn hears(&mut self, state: &str) -> Value {
        let hears = async {
            loop {
                if let Some(told) = self.told.iter().find(|told| told["state"] == state) {
                    return told.clone();
                }
                assert!(self.step().await, "it ended, and told {:?}", self.told);
            }
        };
        within(PATIENCE, state, hears).await
    }

    /// The code of its end, in time.
    async fn ends(&mut self, within_time: Duration) -> String {
        let end = async { while self.step().await {} };
        within(within_time, "the end of the terminal", end).await;
        self.told.last().unwrap()["code"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn what_is_typed_is_done_shown_and_recorded_and_nobody_sees_what_the_gateway_signs_in_with() {
    let (room, sshd) = Room::open("").await;
    let page = room.ask(room.get("/terminal").as_browser()).await.expect(200);
    let mut line = room.shell().await;
    line.types("echo $((40 + 2)); stty size\r").await;
    line.shows("30 100").await;
    line.socket.send_bytes(&[1, 0, 132, 0, 50]).await.unwrap();
    line.types("stty size; printf '\\xe6\\x82'; sleep 0.2; printf '\\xa3\\xe8\\x80\\x85\\n'\r").await;
    line.shows("50 132").await;
    line.shows("\n患者").await;
    line.types("exit\r").await;
    assert_eq!(line.ends(PATIENCE).await, "closed");
    let (opening, closing) = room.record().await;
    assert_eq!((opening["app"].as_str(), opening["act"].as_str()), (Some("shell"), Some("connect")), "{opening}");
    assert_eq!(closing["end"], "upgraded", "{closing}");
    assert!(closing["bo"].as_u64().unwrap() > 30 && closing["bi"].as_u64().unwrap() > 30, "{closing}");
    let over = async || room.events("recording-ended").pop();
    eventually("the end of the recording", over).await;
    let commands: Vec<Value> = room.events("command-entered").iter().map(|line| line["cmd"].clone()).collect();
    assert!(commands.contains(&"echo $((40 + 2)); stty size".into()), "{commands:?}");
    room.hospital.run(&["audit", "verify"]).ok();
    let secret = std::fs::read_to_string(sshd.user_key()).unwrap();
    let secret = secret.lines().nth(2).unwrap();
    for (place, text) in [("page", page.text()), ("log", room.hospital.log_text()), ("terminal", line.text())] {
        assert!(!text.contains(secret), "the key is in the {place}");
    }
}

#[tokio::test]
async fn whoever_may_not_connect_reaches_no_server() {
    let (room, _sshd) = Room::open("").await;
    let clerk = Session::open(&room.hospital, "clerk", Some(&room.laptop), &["shell"]).await;
    let socket = |ask: Ask, origin: &str| {
        ask.header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", KEY)
            .header("origin", origin)
    };
    let here = "https://shell.hospital.test:8443";
    let stream = || Ask::get("shell", "/terminal/stream");
    room.ask(socket(stream(), here)).await.expect_problem(401, "sign-in-required");
    room.ask(socket(stream().signed_in(&clerk), here)).await.expect_problem(403, "role-not-allowed");
    room.ask(socket(stream().signed_in(&room.vendor), "https://evil.test")).await.expect(403);
    assert_eq!(room.ask(room.get("/terminal/stream")).await.status, 404, "it is no page");
    assert_eq!(room.ask(socket(room.get("/terminal/other"), here)).await.status, 404);
    assert!(room.events("recording-began").is_empty());
}

#[tokio::test]
async fn a_page_that_keeps_to_no_protocol_is_let_go_of() {
    let (room, _sshd) = Room::open("").await;
    for odd in [&[9_u8][..], &[0], &[2, 0xff, 0xff, 0xff, 0xff], &[1, 0], &[]] {
        let mut line = room.shell().await;
        line.socket.send_bytes(odd).await.unwrap();
        assert_eq!(line.ends(PATIENCE).await, "protocol", "{odd:?}");
    }
    let mut line = room.shell().await;
    line.socket.send("a text").await.unwrap();
    assert_eq!(line.ends(PATIENCE).await, "protocol");
}

#[tokio::test]
async fn the_terminal_that_is_compiled_in_is_that_of_its_package() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = root.join("xterm/node_modules/@xterm/xterm");
    for (ours, theirs) in [("xterm.js", "lib/xterm.js"), ("xterm.css", "css/xterm.css"), ("LICENSE", "LICENSE")] {
        let read = |path: std::path::PathBuf| std::fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let (ours, theirs) = (read(root.join("../web/assets/xterm").join(ours)), read(package.join(theirs)));
        assert!(ours == theirs, "{} and {} bytes", ours.len(), theirs.len());
    }
}
