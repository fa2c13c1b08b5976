//! TCP apps by `sekimori connect`: a real OpenSSH server, a real PostgreSQL, a real PACS, each through a line that is cut;
//! and how what is open ends.

use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use hyper::ext::Protocol;
use rustix::process::Signal;
use serde_json::Value;
use tests::connector::{BadLine, Connector, Postgres, SshServer, beside, output};
use tests::{Ask, Caller, Device, Hospital, Pacs, Plan, Session, eventually, now, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::stream_facts::hours_that_end_after;

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
actions = ["connect"]
devices = "known"
"#;

/// A hospital with the TCP app `shell`, a vendor's device, and its person signed in on it.
struct Room {
    hospital: Hospital,
    laptop: Device,
    vendor: Session,
    line: BadLine,
}

impl Room {
    async fn open(port: SocketAddr, protocol: &str) -> Self {
        Self::with(port, protocol, "", |plan| plan).await
    }

    async fn with(port: SocketAddr, protocol: &str, columns: &str, change: impl FnOnce(Plan) -> Plan) -> Self {
        let plan = Plan::new().tcp("shell", port, protocol).rules(&format!("{RULES}{columns}\n"));
        let mut hospital = Hospital::build(change(plan));
        let laptop = Device::add(&hospital, "laptop-1", "vendor").await;
        let vendor = Session::open(&hospital, "vendor", Some(&laptop), &["shell"]).await;
        hospital.start();
        let line = BadLine::to(hospital.address()).await;
        Self { hospital, laptop, vendor, line }
    }

    async fn connect(&self) -> (Connector, SocketAddr) {
        Connector::open(&self.hospital, &self.laptop, "shell", self.line.address(), &self.vendor).await
    }

    fn caller(&self) -> Caller {
        self.hospital.caller(&self.laptop)
    }

    /// Opening and closing line of the one tunnel.
    async fn record(&self) -> (Value, Value) {
        let tunnels = || self.hospital.records().opened("/").with("m", "CONNECT");
        let closed = async || tunnels().all().first().and_then(|open| self.hospital.records().closing(open).cloned());
        let closing = eventually("the closing line", closed).await;
        (tunnels().only().clone(), closing)
    }

    /// How often a cut line was followed by another.
    fn resumed(&self) -> usize {
        let records = self.hospital.records().with("ev", "open").with("app", "shell");
        let is_again = |record: &&Value| record["path"].as_str().is_some_and(|path| path.starts_with("/again/"));
        records.all().iter().filter(is_again).count()
    }
}

#[tokio::test]
async fn ssh_goes_on_over_a_line_that_is_cut() {
    let sshd = SshServer::start();
    let room = Room::open(sshd.address(), "ssh").await;
    let (connector, port) = room.connect().await;
    room.line.cut_after(&[200_000, 200_000]);
    let counting = beside(sshd.command(port, "seq -f 'line %.0f' 1 100000"), None);
    let counted = within(PATIENCE, "the command's end", counting).await.unwrap();
    assert!(counted.status.success(), "{}", String::from_utf8_lossy(&counted.stderr));
    let lines: Vec<String> = (1..=100_000).map(|n| format!("line {n}")).collect();
    assert_eq!(String::from_utf8_lossy(&counted.stdout).trim(), lines.join("\n"));
    let (opening, closing) = room.record().await;
    assert_eq!((opening["app"].as_str(), opening["act"].as_str()), (Some("shell"), Some("connect")), "{opening}");
    assert_eq!(closing["end"], "upgraded", "one record from the beginning to the end: {closing}");
    assert!(closing["bo"].as_u64().unwrap() > 1_000_000, "{closing}");
    assert_eq!(room.resumed(), 2, "each line that went on is on record");
    let said = connector.said();
    assert_eq!(said.iter().filter(|line| line.contains("Connected again")).count(), 2, "{said:?}");
}

#[tokio::test]
async fn what_is_large_arrives_whole_through_cuts_both_ways() {
    let sshd = SshServer::start();
    let room = Room::open(sshd.address(), "ssh").await;
    let (_connector, port) = room.connect().await;
    let sent: Vec<u8> = (0..24_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    room.line.cut_after(&[5_000_000, 5_000_000]);
    let echo = beside(sshd.command(port, "cat"), Some(sent.clone()));
    let echoed = within(PATIENCE, "the echo", echo).await.unwrap();
    assert!(echoed.status.success(), "{}", String::from_utf8_lossy(&echoed.stderr));
    assert!(echoed.stdout == sent, "{} bytes of {}", echoed.stdout.len(), sent.len());
    let (_, closing) = room.record().await;
    assert!(closing["bi"].as_u64().unwrap() > 24_000_000 && closing["bo"].as_u64().unwrap() > 24_000_000, "{closing}");
    assert_eq!(room.resumed(), 2);
}

#[tokio::test]
async fn a_database_session_goes_on_over_a_line_that_is_cut() {
    let database = Postgres::start();
    let room = Room::open(database.address(), "postgres").await;
    let (_connector, port) = room.connect().await;
    let question = "select n, repeat('x', 1000) from generate_series(1, 4000) n";
    room.line.cut_after(&[500_000]);
    let asked = beside(database.command(port, question), None);
    let answered = within(PATIENCE, "the answer", asked).await.unwrap();
    assert!(answered.status.success(), "{}", String::from_utf8_lossy(&answered.stderr));
    assert_eq!(String::from_utf8_lossy(&answered.stdout).lines().count(), 4_000);
    assert_eq!(room.record().await.1["end"], "upgraded");
    assert_eq!(room.resumed(), 1);
}

#[tokio::test]
async fn pictures_are_stored_over_a_line_that_is_cut_and_both_names_are_on_record() {
    let pacs = Pacs::start();
    let picture = tests::Folder::new();
    let file = picture.write("picture.dcm", pacs.picture());
    let room = Room::open(pacs.dicom(), "dicom").await;
    let (_connector, port) = room.connect().await;
    let mut store = Command::new("storescu");
    store.args(["-aet", "MODALITY1", "-aec", "PACS", "127.0.0.1", &port.port().to_string()]);
    // Many in one association, so that the line is cut in the middle of it.
    store.args(std::iter::repeat_n(&file, 200));
    store.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    room.line.cut_after(&[60_000]);
    let storing = beside(store, None);
    let stored = within(PATIENCE, "the pictures", storing).await.unwrap();
    assert!(stored.status.success(), "{}", String::from_utf8_lossy(&stored.stderr));
    let mut kept = Command::new("curl");
    kept.args(["-fsS", &format!("http://{}/instances", pacs.address())]);
    assert!(String::from_utf8_lossy(&output(kept).stdout).contains('-'), "the archive has the picture");
    let (_, closing) = room.record().await;
    assert_eq!(closing["said"], "MODALITY1 > PACS", "{closing}");
    assert_eq!(room.resumed(), 1);
}

/// An open tunnel to a port that says back what it hears.
struct Open {
    room: Room,
    connector: Connector,
    stream: TcpStream,
}

async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reads, mut writes) = stream.split();
                tokio::io::copy(&mut reads, &mut writes).await.ok();
            });
        }
    });
    address
}

async fn open(columns: &str, change: impl FnOnce(Plan) -> Plan) -> Open {
    let room = Room::with(echo().await, "other", columns, change).await;
    let (connector, port) = room.connect().await;
    let mut stream = TcpStream::connect(port).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    within(PATIENCE, "the echo", stream.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"hello");
    Open { room, connector, stream }
}

/// Sees what is open end in time, for this reason, and another try refused.
async fn ends(mut open: Open, change: impl AsyncFnOnce(&Open), why: &str, words: &str) {
    change(&open).await;
    let changed = Instant::now();
    let mut rest = Vec::new();
    within(IN_TIME, "the end of the local connection", open.stream.read_to_end(&mut rest)).await.ok();
    assert!(changed.elapsed() < IN_TIME, "{:?}", changed.elapsed());
    let told = open.connector.hears("Ended (1). ").await;
    assert!(told.contains(words), "{told}");
    let (_, closing) = open.room.record().await;
    assert_eq!((closing["end"].as_str(), closing["why"].as_str()), (Some("revoked"), Some(why)), "{closing}");
    assert_eq!((closing["bi"].as_u64(), closing["bo"].as_u64()), (Some(5), Some(5)), "{closing}");
}

#[tokio::test]
async fn what_a_server_said_before_it_broke_off_arrives_over_the_next_line() {
    let said: Vec<u8> = (0..20_000_u32).map(|n| (n % 251) as u8).collect();
    let (listener, words) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), said.clone());
    let server = listener.local_addr().unwrap();
    let (speak, spoken_to) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        spoken_to.await.unwrap();
        stream.write_all(&words).await.unwrap();
        stream.set_zero_linger().unwrap();
    });
    let room = Room::open(server, "other").await;
    let (connector, port) = room.connect().await;
    let mut stream = TcpStream::connect(port).await.unwrap();
    connector.hears("Connected (1)").await;
    room.line.shut();
    speak.send(()).unwrap();
    connector.hears("was cut").await;
    room.line.open();
    let mut got = Vec::new();
    within(PATIENCE, "the end of the local connection", stream.read_to_end(&mut got)).await.ok();
    assert!(got == said, "{} bytes of {}", got.len(), said.len());
    let told = connector.hears("Ended (1). ").await;
    assert!(told.contains("broke off"), "{told}");
    assert_eq!(room.record().await.1["end"], "upstream-failed");
}

#[tokio::test]
async fn the_hours_end_ends_what_is_open() {
    let (boundary, hours, zone) = hours_that_end_after(Duration::from_secs(30));
    let open = open(&hours, |plan| plan.set("gateway", &zone)).await;
    let over = async |_: &Open| tokio::time::sleep(boundary.since(now())).await;
    ends(open, over, "outside-hours", "hours").await;
}

#[tokio::test]
async fn a_session_that_is_ended_ends_what_is_open() {
    let first = open("", |plan| plan).await;
    let kill = async |open: &Open| {
        let _ = open.room.hospital.run(&["session", "revoke", &open.room.vendor.id]).ok();
    };
    ends(first, kill, "sign-in-required", "sign in").await;
}

#[tokio::test]
async fn a_device_that_is_revoked_ends_what_is_open() {
    let open = open("", |plan| plan).await;
    let revoke = async |open: &Open| {
        let _ = open.room.hospital.run(&["device", "revoke", "laptop-1"]).ok();
    };
    ends(open, revoke, "sign-in-required", "sign in").await;
}

#[tokio::test]
async fn other_rules_end_what_is_open() {
    let open = open("", |plan| plan).await;
    let forbid = "[[rule]]\nid = \"closed\"\neffect = \"forbid\"\nroles = [\"vendor\"]\napps = \"all\"\nactions = \"all\"\ndevices = \"any\"";
    let plan = open.room.hospital.plan().clone().block(forbid);
    let reload = async |open: &Open| {
        open.room.hospital.folder().write("sekimori.toml", plan.text());
        open.room.hospital.signal(Signal::HUP);
    };
    ends(open, reload, "forbidden", "").await;
}

#[tokio::test]
async fn whoever_may_not_connect_is_told_and_nobody_reaches_the_port() {
    let (listener, port) = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap();
        (listener, port)
    };
    let room = Room::open(port, "ssh").await;
    let clerk = Session::open(&room.hospital, "clerk", Some(&room.laptop), &["shell"]).await;
    let tunnel = |ask: Ask| ask.extension(Protocol::from_static("sekimori-tunnel"));
    let connection = room.caller().http2("shell").await;
    let unknown = connection.answer(tunnel(Ask::new("CONNECT", "shell", "/"))).await;
    assert_eq!((unknown.status, unknown.json()["code"].as_str()), (401, Some("sign-in-required")));
    let clerk = connection.answer(tunnel(Ask::new("CONNECT", "shell", "/").signed_in(&clerk))).await;
    assert_eq!((clerk.status, clerk.json()["code"].as_str()), (403, Some("role-not-allowed")));
    // A line that goes on must know its tunnel's secret, and say up to where it came.
    let again = "/again/01890a5d-ac96-774b-bcce-b302099a8057";
    for (secret, received, status) in [(None, Some("0"), 400), (Some("x"), None, 400), (Some("x"), Some("0"), 404)] {
        let mut ask = tunnel(Ask::new("CONNECT", "shell", again).signed_in(&room.vendor));
        ask = if let Some(secret) = secret { ask.header("sekimori-tunnel", secret) } else { ask };
        ask = if let Some(received) = received { ask.header("sekimori-received", received) } else { ask };
        assert_eq!(connection.answer(ask).await.status, status);
    }
    // Neither a browser nor another protocol gets to the port.
    let page = connection.answer(Ask::get("shell", "/").as_browser().signed_in(&room.vendor)).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("sekimori connect shell"), "{}", page.text());
    assert_eq!(connection.answer(Ask::get("shell", "/index.html").signed_in(&room.vendor)).await.status, 404);
    let socket =
        Ask::new("CONNECT", "shell", "/").extension(Protocol::from_static("websocket")).signed_in(&room.vendor);
    assert!(matches!(connection.answer(socket).await.status, 400 | 404));
    let nobody = async { listener.accept().await };
    assert!(tokio::time::timeout(Duration::from_millis(100), nobody).await.is_err(), "nobody came to the port");
}

#[tokio::test]
async fn the_stream_of_a_tcp_app_is_no_request_for_a_web_app() {
    let emr = tests::Upstream::http1();
    let ward = crate::ward::Ward::around(emr.clone(), Plan::with_emr(emr.address())).await;
    let ask = ward.ask("CONNECT", "/").extension(Protocol::from_static("sekimori-tunnel"));
    assert_eq!(ward.caller.http2("emr").await.answer(ask).await.status, 400);
    assert!(emr.seen().is_empty());
}

#[tokio::test]
async fn a_port_that_is_shut_is_told() {
    let shut = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let room = Room::open(shut, "ssh").await;
    let (connector, port) = room.connect().await;
    let mut stream = TcpStream::connect(port).await.unwrap();
    let mut rest = Vec::new();
    let closed: io::Result<usize> = within(PATIENCE, "the end", stream.read_to_end(&mut rest)).await;
    assert!(closed.is_err() || rest.is_empty());
    connector.hears("Not connected (1). ").await;
    assert_eq!(room.record().await.1["end"], "upstream-failed");
}

#[tokio::test]
async fn another_persons_code_and_another_device_let_nothing_in() {
    let room = Room::open(echo().await, "ssh").await;
    let other = Device::add(&room.hospital, "laptop-2", "vendor").await;
    // A program on another device shows its code to the person of this one.
    let strange = Connector::start(&room.hospital, &other, "shell", room.line.address());
    let code = strange.hears("Code: ").await;
    let ask = Ask::post("shell", "/", format!("code={code}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", &room.hospital.url("shell", ""))
        .header("accept", "text/html")
        .signed_in(&room.vendor);
    room.caller().ask(ask).await.expect(400);
    let never = async { strange.hears("You are let in").await };
    assert!(tokio::time::timeout(Duration::from_secs(4), never).await.is_err());
    // Without a certificate, nothing begins.
    let stranger = Ask::post("shell", "/.sekimori/connect/begin", "{}").header("content-type", "application/json");
    assert_eq!(room.hospital.stranger().ask(stranger).await.status, 403);
}
