//! The terminal of an SSH app in a browser: a real OpenSSH server behind it, which the person who works there never signs in
//! at; how what is open ends; and servers that are out to harm.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use policy::Timestamp;
use rustix::process::Signal;
use serde_json::Value;
use tests::connector::{SshServer, strange_key, terminal};
use tests::{Ask, Browser, Device, Folder, Frame, Hospital, Plan, Session, WebSocket, eventually, within};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::maintenance::{enters, in_seconds, sets, until};
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

/// Sees an open terminal end in time, for this reason.
async fn ends(change: impl AsyncFnOnce(&Room), why: &str) {
    let (room, _sshd) = Room::open("").await;
    let mut line = room.shell().await;
    change(&room).await;
    let changed = Instant::now();
    assert_eq!(line.ends(IN_TIME).await, why);
    assert!(changed.elapsed() < IN_TIME, "{:?}", changed.elapsed());
    let told = line.told.last().unwrap();
    assert!(!told["what"].as_str().unwrap().is_empty() && told["what"] != why, "{told}");
    let (_, closing) = room.record().await;
    assert_eq!((closing["end"].as_str(), closing["why"].as_str()), (Some("revoked"), Some(why)), "{closing}");
}

#[tokio::test]
async fn a_session_that_is_ended_ends_its_terminal() {
    let kill = async |room: &Room| {
        let _ = room.hospital.run(&["session", "revoke", &room.vendor.id]).ok();
    };
    ends(kill, "sign-in-required").await;
}

#[tokio::test]
async fn a_device_that_is_revoked_ends_its_terminal() {
    let revoke = async |room: &Room| {
        let _ = room.hospital.run(&["device", "revoke", "laptop-1"]).ok();
    };
    ends(revoke, "sign-in-required").await;
}

#[tokio::test]
async fn other_rules_end_a_terminal() {
    let forbid = "[[rule]]\nid = \"closed\"\neffect = \"forbid\"\nroles = [\"vendor\"]\napps = \"all\"\n\
                  actions = \"all\"\ndevices = \"any\"";
    let reload = async |room: &Room| {
        let plan = room.hospital.plan().clone().block(forbid);
        room.hospital.folder().write("sekimori.toml", plan.text());
        room.hospital.signal(Signal::HUP);
    };
    ends(reload, "forbidden").await;
}

#[tokio::test]
async fn a_gateway_that_stops_says_so() {
    let (mut room, _sshd) = Room::open("").await;
    let mut line = room.shell().await;
    room.hospital.signal(Signal::TERM);
    assert_eq!(line.ends(PATIENCE).await, "stopping");
    assert!(room.hospital.wait().success());
    assert_eq!(room.record().await.1["end"], "stopped");
}

#[tokio::test]
async fn a_server_that_floods_is_held_back_and_can_be_interrupted() {
    let (room, _sshd) = Room::open("").await;
    let mut line = room.shell().await;
    let before = tests::resident_bytes(room.hospital.pid());
    line.types("yes \u{3042}\u{3044}\u{3046}\r").await;
    // Nothing of it is taken: after what may be ahead, nothing more comes.
    let mut ahead = 0;
    while let Ok(Some(bytes)) = tokio::time::timeout(Duration::from_secs(2), line.next()).await {
        ahead += bytes;
        assert!(ahead < 300_000, "{ahead} bytes came that nobody took");
    }
    assert!(ahead > 64_000, "{ahead}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let grown = tests::resident_bytes(room.hospital.pid()).saturating_sub(before);
    assert!(grown < 64 << 20, "the gateway grew by {grown} bytes");
    line.took(ahead).await;
    line.types("\u{3}").await;
    line.types("echo st''ill\r").await;
    line.shows("still").await;
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
async fn a_server_that_breaks_off_is_told() {
    let (room, _sshd) = Room::open("").await;
    let mut line = room.shell().await;
    line.types("kill -9 $PPID\r").await;
    assert_eq!(line.ends(PATIENCE).await, "target-broke");
    let (_, closing) = room.record().await;
    assert_eq!((closing["end"].as_str(), closing["said"].as_str()), (Some("upstream-failed"), Some("target-broke")));
}

/// Opens a terminal that does not come about, for this reason, and is on record so.
async fn fails(port: SocketAddr, terminal: &str, code: &str) -> Value {
    let room = Room::at(port, terminal).await;
    let mut line = room.terminal().await;
    assert_eq!(line.ends(PATIENCE).await, code);
    assert!(line.shown.is_empty(), "{}", line.text());
    let (_, closing) = room.record().await;
    assert_eq!(closing["end"], "upstream-failed", "{closing}");
    assert!(closing["said"].as_str().unwrap().starts_with(code), "{closing}");
    assert!(room.events("recording-began").is_empty(), "nothing was shown");
    closing
}

#[tokio::test]
async fn a_server_with_another_key_gets_nothing() {
    let (sshd, folder) = (SshServer::start(), Folder::new());
    let (_, other) = strange_key(&folder);
    let closing = fails(sshd.address(), &terminal(&sshd.user_key(), &other, ""), "host-key-unknown").await;
    assert!(closing["said"].as_str().unwrap().contains("ssh-ed25519 SHA256:"), "which one it showed: {closing}");
}

#[tokio::test]
async fn a_server_that_does_not_let_the_gateway_in_is_told() {
    let (sshd, folder) = (SshServer::start(), Folder::new());
    let (key, _) = strange_key(&folder);
    fails(sshd.address(), &terminal(&key, &sshd.host_key(), ""), "credentials-refused").await;
    let password = folder.write("password", "wrong\n");
    tests::make_private(&password);
    let by_password = sshd.terminal("").replace(
        &format!("key_file = \"{}\"", sshd.user_key().display()),
        &format!("password_file = \"{}\"", password.display()),
    );
    assert!(by_password.contains("password_file"));
    fails(sshd.address(), &by_password, "credentials-refused").await;
}

/// A port that says this to whoever comes, again and again where it is to flood.
async fn says(words: &'static [u8], floods: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.write_all(words).await?;
                if floods {
                    loop {
                        stream.write_all(words).await?;
                    }
                }
                tokio::time::sleep(PATIENCE * 2).await;
                std::io::Result::Ok(())
            });
        }
    });
    address
}

#[tokio::test]
async fn servers_that_hang_flood_or_speak_nonsense_cost_little_and_are_told() {
    let (sshd, folder) = (SshServer::start(), Folder::new());
    let (key, _) = strange_key(&folder);
    let terminal = terminal(&key, &sshd.host_key(), "");
    let (silent, banners, nonsense) = (
        says(b"", false).await,
        says(b"Welcome! This line is no greeting of SSH.\r\n", true).await,
        says(b"SSH-2.0-Odd\r\n\xff\xff\xff\xff and so on, without end", true).await,
    );
    for port in [nonsense, banners, silent] {
        let begun = Instant::now();
        fails(port, &terminal, "target-silent").await;
        assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    }
    let shut = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    fails(shut, &terminal, "target-unreachable").await;
}

#[tokio::test]
async fn a_person_who_leaves_while_a_server_hangs_leaves_nothing_open() {
    let (sshd, silent) = (SshServer::start(), says(b"", false).await);
    let room = Room::at(silent, &sshd.terminal("")).await;
    let mut line = room.terminal().await;
    line.socket.close(1000).await.unwrap();
    assert_eq!(line.ends(IN_TIME).await, "left");
    assert_eq!(room.record().await.1["end"], "upgraded");
}

#[tokio::test]
async fn a_terminal_that_cannot_be_recorded_is_not_opened() {
    let (room, _sshd) = Room::open("").await;
    let recordings = room.hospital.folder().join("state/audit/recordings");
    std::fs::remove_dir_all(&recordings).ok();
    std::fs::write(&recordings, "no folder").unwrap();
    let mut line = room.terminal().await;
    assert_eq!(line.ends(PATIENCE).await, "recording-failed");
    assert!(line.shown.is_empty(), "{}", line.text());
    let (_, closing) = room.record().await;
    assert_eq!((closing["end"].as_str(), closing["said"].as_str()), (Some("refused"), Some("recording-failed")));
}

#[tokio::test]
async fn a_terminal_whose_recording_fails_ends_within_a_second() {
    let (room, _sshd) = Room::open("").await;
    let mut line = room.shell().await;
    // Somebody takes the tape away while it is written: no disk has to be full, and nobody root.
    for tape in std::fs::read_dir(room.hospital.folder().join("state/audit/recordings")).unwrap() {
        std::fs::remove_file(tape.unwrap().path()).unwrap();
    }
    let begun = Instant::now();
    line.types("echo st''ill; while :; do date; done\r").await;
    assert_eq!(line.ends(PATIENCE).await, "recording-failed");
    assert!(begun.elapsed() < IN_TIME, "{:?}", begun.elapsed());
    let (_, closing) = room.record().await;
    assert_eq!((closing["end"].as_str(), closing["said"].as_str()), (Some("refused"), Some("recording-failed")));
    let ended = room.events("recording-ended");
    assert_eq!(ended.iter().map(|fact| fact["why"].as_str()).collect::<Vec<_>>(), [Some("failed")], "{ended:?}");
}

#[tokio::test]
async fn other_settings_of_a_terminal_end_what_is_open() {
    let (mut room, sshd) = Room::open("").await;
    let mut line = room.shell().await;
    let plan = room.hospital.plan().clone();
    // Another setting elsewhere ends nothing.
    room.hospital.reload(plan.clone().set("gateway", "utc_offset = \"+08:00\""));
    line.types("echo st''ill\r").await;
    line.shows("still").await;
    let before = sshd.terminal("");
    let after = sshd.terminal("files = \"download\"\nfolders = [\"/srv\"]");
    room.hospital.folder().write("sekimori.toml", plan.text().replace(&before, &after));
    room.hospital.signal(Signal::HUP);
    assert_eq!(line.ends(PATIENCE).await, "settings-changed");
    let (_, closing) = room.record().await;
    assert_eq!((closing["end"].as_str(), closing["said"].as_str()), (Some("refused"), Some("settings-changed")));
}

/// A room with a folder whose files may be carried both ways.
struct Shelf {
    room: Room,
    _sshd: SshServer,
    folder: Folder,
}

impl Shelf {
    async fn open(files: &str) -> Self {
        let (folder, sshd) = (Folder::new(), SshServer::start());
        let more = format!("files = \"{files}\"\nfolders = [\"{}\"]\nfile_max = \"1MiB\"", folder.path().display());
        let room = Room::at(sshd.address(), &sshd.terminal(&more)).await;
        Self { room, _sshd: sshd, folder }
    }

    fn path(&self, way: &str, name: &str) -> String {
        format!("/files/{way}{}/{name}", self.folder.path().display())
    }

    async fn get(&self, path: &str) -> tests::Answer {
        self.room.ask(self.room.get(path).header("accept", "application/json")).await
    }

    async fn put(&self, name: &str, text: impl Into<bytes::Bytes>) -> tests::Answer {
        let ask = Ask::post("shell", &self.path("put", name), text)
            .header("origin", "https://shell.hospital.test:8443")
            .header("content-type", "application/octet-stream")
            .header("accept", "application/json")
            .signed_in(&self.room.vendor);
        self.room.ask(ask).await
    }

    /// What is on record of files that were carried: code, name, size, hash.
    fn carried(&self) -> Vec<(String, String, u64, String)> {
        let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let of = |line: &Value| (text(line, "why"), text(line, "file"), line["n"].as_u64().unwrap(), text(line, "sha"));
        self.room.events("file-carried").iter().map(of).collect()
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_file_is_taken_as_an_attachment_and_on_record_with_its_hash() {
    let shelf = Shelf::open("download").await;
    let bytes: Vec<u8> = (0..700_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    shelf.folder.write("log.html", &bytes);
    std::fs::create_dir(shelf.folder.join("more")).unwrap();
    let listed = shelf.room.ask(shelf.room.get(&shelf.path("at", "")).as_browser()).await.expect(200).text();
    assert!(listed.contains("log.html") && listed.contains("more/") && listed.contains("684 KiB"), "{listed}");
    let roots = shelf.room.ask(shelf.room.get("/files").as_browser()).await.expect(200).text();
    assert!(roots.contains(&shelf.folder.path().display().to_string()), "{roots}");
    let file = shelf.get(&shelf.path("get", "log.html")).await.expect(200);
    assert_eq!(file.header("content-type"), "application/octet-stream");
    assert!(file.header("content-disposition").starts_with("attachment;"));
    assert!(file.body == bytes, "{} bytes of {}", file.body.len(), bytes.len());
    let name = shelf.folder.join("log.html").display().to_string();
    assert_eq!(shelf.carried(), [("download".to_owned(), name, 700_000, sha256(&bytes))]);
    let opened = shelf.room.hospital.records().with("ev", "open").with("act", "read").all().len();
    assert!(opened >= 3, "each is an access of its own");
    assert_eq!(shelf.put("a.txt", "a").await.status, 403, "nothing may be put here");
}

#[tokio::test]
async fn a_file_is_put_whole_and_replaces_nothing() {
    let shelf = Shelf::open("upload").await;
    let put = shelf.put("%E5%BC%95%E7%B6%99%E3%81%8E%201.txt", "handed over").await.expect(201);
    assert_eq!(put.json()["sha256"], sha256(b"handed over").as_str());
    let file = shelf.folder.join("引継ぎ 1.txt");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "handed over");
    let name = file.display().to_string();
    assert_eq!(shelf.carried(), [("upload".to_owned(), name, 11, sha256(b"handed over"))]);
    shelf.folder.write("there.txt", "before");
    let again = shelf.put("there.txt", "after").await;
    assert_eq!((again.status, again.json()["code"].as_str()), (409, Some("file-exists")));
    assert_eq!(std::fs::read_to_string(shelf.folder.join("there.txt")).unwrap(), "before");
    let large = shelf.put("large.bin", vec![0; (1 << 20) + 1]).await;
    assert_eq!((large.status, large.json()["code"].as_str()), (413, Some("file-too-large")));
    let names = || std::fs::read_dir(shelf.folder.path()).unwrap().count();
    assert_eq!(names(), 2, "nothing of it is left");
    assert_eq!(shelf.get(&shelf.path("get", "there.txt")).await.status, 403, "nothing may be taken here");
    let foreign = Ask::post("shell", &shelf.path("put", "evil.txt"), "evil")
        .header("origin", "https://evil.test")
        .header("accept", "application/json")
        .signed_in(&shelf.room.vendor);
    shelf.room.ask(foreign).await.expect_problem(403, "foreign-form");
    assert_eq!(names(), 2);
}

impl Shelf {
    /// A file that is put while the test looks on: begun, and there under a name of its own.
    fn putting(&self, name: &str) -> (Feed, Ask) {
        let (feed, body) = tests::fed();
        let ask = Ask::post("shell", &self.path("put", name), "")
            .body(body)
            .header("origin", "https://shell.hospital.test:8443")
            .header("content-type", "application/octet-stream")
            .header("accept", "application/json")
            .signed_in(&self.room.vendor);
        (feed, ask)
    }

    fn names(&self) -> Vec<String> {
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        std::fs::read_dir(self.folder.path()).unwrap().map(name).collect()
    }

    async fn begins(&self) {
        let begun = async || self.names().iter().any(|name| name.ends_with(".part")).then_some(());
        eventually("the file on its way", begun).await;
    }

    fn ways(&self) -> Vec<String> {
        self.carried().into_iter().map(|(way, ..)| way).collect()
    }
}

type Feed = tokio::sync::mpsc::Sender<http_body::Frame<bytes::Bytes>>;

async fn feed(feed: &Feed, text: &'static str) {
    feed.send(http_body::Frame::data(bytes::Bytes::from_static(text.as_bytes()))).await.unwrap();
}

#[tokio::test]
async fn a_file_whose_name_is_taken_meanwhile_is_on_record_as_undone() {
    let shelf = Shelf::open("upload").await;
    let (pieces, ask) = shelf.putting("taken.txt");
    let meanwhile = async {
        feed(&pieces, "half").await;
        shelf.begins().await;
        shelf.folder.write("taken.txt", "theirs");
        feed(&pieces, " and half").await;
        drop(pieces);
    };
    let (answer, ()) = tokio::join!(shelf.room.ask(ask), meanwhile);
    assert_eq!((answer.status, answer.json()["code"].as_str()), (409, Some("file-exists")));
    assert_eq!(std::fs::read_to_string(shelf.folder.join("taken.txt")).unwrap(), "theirs");
    assert_eq!(
        (shelf.ways(), shelf.names()),
        (vec!["upload".into(), "upload-undone".into()], vec!["taken.txt".into()])
    );
}

#[tokio::test]
async fn a_file_that_breaks_off_leaves_nothing_and_is_on_record() {
    let shelf = Shelf::open("upload").await;
    let (pieces, ask) = shelf.putting("half.txt");
    let breaks_off = async {
        feed(&pieces, "half").await;
        shelf.begins().await;
    };
    // Who asked goes away in the middle.
    tokio::select! {
        answer = shelf.room.ask(ask) => panic!("{}", answer.status),
        () = breaks_off => {}
    }
    eventually("it is on record", async || (!shelf.ways().is_empty()).then_some(())).await;
    assert_eq!((shelf.ways(), shelf.names()), (vec!["upload-cut".to_owned()], Vec::new()));
}

#[tokio::test]
async fn what_lies_outside_the_folders_is_not_reached_by_links_either() {
    let (shelf, elsewhere) = (Shelf::open("both").await, Folder::new());
    let secret = elsewhere.write("secret", "secret");
    std::os::unix::fs::symlink(&secret, shelf.folder.join("link")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), shelf.folder.join("way")).unwrap();
    let outside = format!("/files/get{}", secret.display());
    for path in [shelf.path("get", "link"), shelf.path("get", "way/secret"), shelf.path("at", "way"), outside] {
        let answer = shelf.get(&path).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (403, Some("not-a-folder-of-yours")), "{path}");
    }
    assert_eq!(shelf.put("way/new.txt", "x").await.status, 403);
    assert!(!elsewhere.join("new.txt").exists());
    assert_eq!(shelf.get(&shelf.path("get", "nothing")).await.status, 404);
    assert_eq!(shelf.get(&shelf.path("get", "../secret")).await.status, 400, "it is no path");
    assert!(shelf.carried().is_empty());
}

#[tokio::test]
async fn files_are_carried_by_rule() {
    let (folder, sshd) = (Folder::new(), SshServer::start());
    folder.write("a.txt", "a");
    let more = format!("files = \"both\"\nfolders = [\"{}\"]", folder.path().display());
    let only = RULES.replace("actions = [\"connect\", \"read\"]", "actions = [\"connect\"]");
    let room = Room::with(sshd.address(), &sshd.terminal(&more), |plan| plan.rules(&only)).await;
    let path = format!("/files/get{}/a.txt", folder.path().display());
    room.ask(room.get(&path)).await.expect_problem(403, "action-not-allowed");
    let shown = room.ask(room.get("/files")).await;
    shown.expect_problem(403, "action-not-allowed");
    room.ask(room.get("/terminal").as_browser()).await.expect(200);
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

fn timestamp() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_unix_micros(i64::try_from(since.as_micros()).unwrap())
}

/// What a page's terminal shows at this moment.
async fn screen(browser: &Browser) -> String {
    let script = "return document.querySelector('.xterm-rows')?.innerText || ''";
    browser.script(script).await.as_str().unwrap_or_default().replace('\u{a0}', " ")
}

async fn state(browser: &Browser) -> Option<String> {
    let script = "return document.querySelector('[data-terminal]').dataset.state || ''";
    browser.script(script).await.as_str().map(str::to_owned)
}

/// Types a line at the terminal of a page.
async fn enters_line(browser: &Browser, line: &str) {
    browser.fill(".xterm-helper-textarea", &format!("{line}{ENTER}")).await;
}

async fn shows(browser: &Browser, words: &str) {
    eventually(&format!("the terminal shows {words}"), async || screen(browser).await.contains(words).then_some(()))
        .await;
}

const ENTER: char = '\u{e007}';

const HOUSE: &str = r#"
[roles]
administrator = { ja = "管理者", en = "Administrator" }
approver = { ja = "承認者", en = "Approver" }
vendor = { ja = "保守業者", en = "Vendor" }

[maintenance]
vendor_roles = ["vendor"]
approvers = ["approver"]
emergency_approvers = ["approver"]

[[rule]]
id = "vendors"
roles = ["vendor"]
apps = ["shell"]
actions = ["connect", "read", "write"]
devices = ["vendor"]
grant = true
"#;

#[tokio::test]
async fn the_vendors_hour_in_a_terminal_by_two_browsers() {
    let sshd = SshServer::start();
    let terminal = sshd.terminal("patient = '(?<patient>[0-9]{8})'");
    let plan = Plan::new()
        .tcp("shell", sshd.address(), "ssh")
        .block(&terminal)
        .rules(HOUSE)
        .with_directory()
        .set("gateway", "console_host = \"console.hospital.test\"")
        .set("console", "administrators = [\"administrator\"]");
    let mut hospital = Hospital::build(plan);
    let (desk, laptop) =
        (Device::add(&hospital, "desk-1", "fixed").await, Device::add(&hospital, "nova-1", "vendor").await);
    hospital.start();
    let vendor = enters(&hospital, &laptop, "m.hoshi", "星 誠", "vendor", "ja").await;
    let chief = enters(&hospital, &desk, "s.kato", "加藤 進", "approver", "ja").await;

    // Before it nothing.
    let page = hospital.url("shell", "/terminal");
    vendor.go(&page).await;
    vendor.says("承認が必要です").await;
    vendor.go(&hospital.url("portal", "/new-maintenance")).await;
    vendor.fill("[name=purpose]", "画像が出ない").await;
    vendor.fill("[name=plan]", "1. 記録を見る").await;
    let ((begin, begin_text), (end, end_text)) = (in_seconds(15), in_seconds(45));
    sets(&vendor, "begin", &begin_text).await;
    sets(&vendor, "end", &end_text).await;
    vendor.click("form.fields .form-buttons button").await;
    vendor.arrives_at(&hospital.url("portal", "/maintenance/requests/g-")).await;
    let id = vendor.url().await.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned();
    chief.go(&hospital.url("console", &format!("/maintenance/{id}/approve"))).await;
    chief.click("form[action$='/approve'] .form-buttons button").await;
    chief.arrives_at(&hospital.url("console", &format!("/maintenance/{id}?done="))).await;

    // In it a terminal, without a password.
    until(begin).await;
    eventually("the page is open", async || {
        vendor.go(&page).await;
        (!vendor.text().await.contains("承認が必要です")).then_some(())
    })
    .await;
    vendor.click("[data-do=open]").await;
    eventually("the terminal is open", async || (state(&vendor).await? == "open").then_some(())).await;
    enters_line(&vendor, "PS1='> '; echo re''ady").await;
    shows(&vendor, "ready").await;
    enters_line(&vendor, "echo looking for 00123456").await;
    shows(&vendor, "\nlooking for 00123456").await;
    let styled = vendor.script("return getComputedStyle(document.querySelector('.xterm-rows span')).display").await;
    assert_eq!(styled, "inline-block", "the terminal styles itself under our content security policy");

    // The hospital watches.
    eventually("the console sees it", async || {
        chief.go(&hospital.url("console", &format!("/maintenance/{id}"))).await;
        (chief.text().await.contains("nova-1")).then_some(())
    })
    .await;
    assert!(timestamp() < end, "the window is long enough for a slow machine");

    // After it ended within one second.
    until(end).await;
    eventually("the end of the terminal", async || (state(&vendor).await? == "ended").then_some(())).await;
    let late = timestamp().unix_micros() - end.unix_micros();
    assert!(late < i64::try_from(IN_TIME.as_micros()).unwrap(), "{late} us after the end");
    vendor.go(&page).await;
    vendor.says("承認が必要です").await;

    // The recording plays in the console, and in asciinema.
    let opened = hospital.records().opened("/terminal/stream").only().clone();
    assert_eq!(opened["vs"], id.as_str(), "{opened}");
    let recording = format!("/recordings/{}", opened["id"].as_str().unwrap());
    eventually("the recording is under its window", async || {
        chief.go(&hospital.url("console", &format!("/maintenance/{id}"))).await;
        let link = format!("return document.querySelector(\"a[href='{recording}']\") !== null");
        (chief.script(&link).await == true).then_some(())
    })
    .await;
    chief.go(&hospital.url("console", &recording)).await;
    chief.says("echo looking for 00123456").await;
    chief.click("[data-do=play]").await;
    eventually("the recording plays", async || {
        let shown = chief.script("return document.querySelector('[data-screen]').innerText").await;
        shown.as_str()?.contains("looking for").then_some(())
    })
    .await;
    let fetch =
        "const done = arguments[1]; fetch(arguments[0]).then((answer) => answer.text()).then(done, () => done(''))";
    let cast = chief.later(fetch, &format!("{recording}/cast")).await;
    let file = hospital.folder().write("session.cast", cast.as_str().unwrap());
    // Its own reader; `asciinema cat` wants a terminal to write to.
    let read = "import sys\nfrom asciinema.asciicast import open_from_url\nwith open_from_url(sys.argv[1]) as cast:\n    \
                sys.stdout.buffer.write(''.join(event[2] for event in cast.stdout_events()).encode())";
    let mut reader = std::process::Command::new("/usr/bin/python3");
    reader.args(["-c", read]).arg(file).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let played = tests::connector::output(reader);
    assert!(played.status.success(), "{}", String::from_utf8_lossy(&played.stderr));
    assert!(String::from_utf8_lossy(&played.stdout).contains("looking for 00123456"));

    // The report is drafted: what was done, and that it was about one patient, whom the log names.
    let entered = hospital.records().with("ev", "command-entered");
    let named = entered.all().iter().find(|line| line["cmd"] == "echo looking for 00123456").unwrap().clone();
    assert_eq!((&named["pt"], &named["vs"]), (&serde_json::json!(["00123456"]), &id.as_str().into()), "{named}");
    eventually("the report is drafted", async || {
        chief.go(&hospital.url("console", &format!("/maintenance/{id}"))).await;
        chief.text().await.contains("あり (1人").then_some(())
    })
    .await;
    hospital.run(&["audit", "verify"]).ok();
}
