//! The gateway as measured: TLS 1.3, session cookie, device certificate, 300 rules, every access recorded (`Written`, and
//! `Synced` where a workload says so). It counts what it answered, and its log must have exactly that.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ClientConfig;
use tests::{Device, Hospital, Plan, Session};

use crate::client::{self, Offers};
use crate::gauge::{self, PROXY_CPU};
use crate::load::{Aim, Load, Measured};

/// The app whose reads are `Written`.
const WRITTEN: &str = "emr";
/// The app whose reads are `Synced`.
const SYNCED: &str = "lab";
/// The app with a WebSocket.
const SOCKETS: &str = "ward";
/// Lets nurses send large bodies to it.
const UPLOADS: &str = "[[rule]]\nid = \"nurses-send\"\nroles = [\"nurse\"]\napps = [\"ward\"]\nactions = [\"write\"]\n\
                       paths = [\"/sink/*\"]\ndevices = \"known\"\n";
/// Rules beside the ordinary hospital's, so that there are 300 in all.
const MORE_RULES: usize = 295;

const FOLLOWERS_PATIENCE: Duration = Duration::from_secs(120);
/// As long as they must do nothing to be taken for done: longer than the index waits between two commits.
const FOLLOWERS_REST: Duration = Duration::from_millis(1_500);

/// How much one address may ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rates {
    /// As much as it can: the whole load comes from one address.
    Endless,
    /// So little that a flood is beyond it at once.
    Low,
}

/// The running gateway.
#[derive(Debug)]
pub struct Gateway {
    hospital: Hospital,
    device: Device,
    aim: Aim,
    synced: Aim,
    socket: Aim,
    upstream: SocketAddr,
    sockets: SocketAddr,
    allowed: Cell<u64>,
    refused: Cell<u64>,
}

/// What a stopped gateway's log has, and what was answered.
#[derive(Debug)]
pub struct Counted {
    /// Requests that were answered by an app.
    pub allowed: u64,
    /// Opening lines of accesses to apps.
    pub opened: u64,
    /// Requests that were refused for want of a session.
    pub refused: u64,
    /// Lines of refusals.
    pub refusals: u64,
}

impl Gateway {
    /// Starts it on the proxies' processor with one worker, and signs a nurse in on a device.
    pub async fn start(upstream: SocketAddr, sockets: SocketAddr, rates: Rates) -> Self {
        let mut plan = Plan::with_emr(upstream)
            .app(SYNCED, upstream, "reads = \"synced\"")
            .app(SOCKETS, sockets, "")
            .set("gateway", "workers = 1")
            .set("limits", "connections_per_address_max = 100000")
            .set("limits", "connections_max = 100000")
            .set("limits", "keep_alive_timeout = \"3600s\"")
            .set("limits", "requests_open_max_account = 100000")
            .block(UPLOADS)
            .block(&more_rules());
        let rate = match rates {
            Rates::Endless => 1_000_000,
            Rates::Low => 100,
        };
        for key in ["requests_per_second_address", "requests_per_second_account"] {
            plan = plan.set("limits", &format!("{key} = {rate}"));
        }
        let mut hospital = Hospital::build(plan);
        hospital.start();
        let pinned = Command::new("taskset")
            .args(["-a", "-c", "-p", &PROXY_CPU.to_string(), &hospital.pid().to_string()])
            .output()
            .expect("taskset is installed");
        assert!(pinned.status.success(), "the gateway could not be pinned");
        let device = Device::add(&hospital, "tablet-1", "tablet").await;
        let session = Session::open(&hospital, "nurse", Some(&device), &[WRITTEN, SYNCED, SOCKETS]).await;
        let tls = client::tls(hospital.authority().roots(), Offers::MlKem)
            .with_client_auth_cert(device.chain(), device.key())
            .expect("the device's certificate can be used");
        let (address, tls) = (hospital.address(), Arc::new(tls));
        let aim = |app: &str| Aim {
            address,
            host: format!("{app}.hospital.test"),
            tls: Arc::clone(&tls),
            fields: vec![("cookie", session.cookie(app))],
        };
        let [aim, synced, socket] = [WRITTEN, SYNCED, SOCKETS].map(aim);
        let (allowed, refused) = (Cell::new(0), Cell::new(0));
        // The ledger's news takes a moment to arrive.
        tokio::time::sleep(Duration::from_secs(1)).await;
        Self { hospital, device, aim, synced, socket, upstream, sockets, allowed, refused }
    }

    /// Where the load goes.
    pub fn aim(&self) -> Aim {
        self.aim.clone()
    }

    /// Where every record is on disk before the app is asked.
    pub fn synced(&self) -> Aim {
        self.synced.clone()
    }

    /// Where WebSockets are.
    pub fn socket(&self) -> Aim {
        self.socket.clone()
    }

    /// Its hospital.
    pub fn hospital(&self) -> &Hospital {
        &self.hospital
    }

    /// The session cookie of somebody else on the same device.
    pub async fn another(&self, login: &str) -> String {
        let session = Session::open_with(&self.hospital, login, &["nurse"], Some(&self.device), &[WRITTEN]).await;
        session.cookie(WRITTEN)
    }

    /// TLS of a client that shows no certificate.
    pub fn without_certificate(&self, offers: Offers) -> ClientConfig {
        client::tls(self.hospital.authority().roots(), offers).with_no_client_auth()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.hospital.pid()
    }

    /// The server behind it.
    pub fn upstream(&self) -> SocketAddr {
        self.upstream
    }

    /// The server with the WebSocket.
    pub fn sockets(&self) -> SocketAddr {
        self.sockets
    }

    /// Its server certificate and key.
    pub fn certificate(&self) -> (PathBuf, PathBuf) {
        (self.hospital.folder().join("wild.pem"), self.hospital.folder().join("wild.key"))
    }

    /// The certificate of the CA that issued the device's.
    pub fn device_authority(&self) -> PathBuf {
        let chain = self.device.chain();
        let last = STANDARD.encode(chain.last().expect("a chain has a certificate"));
        let text = format!("-----BEGIN CERTIFICATE-----\n{last}\n-----END CERTIFICATE-----\n");
        self.hospital.folder().write("device-ca.pem", text)
    }

    /// Notes that so many requests were answered by an app.
    pub fn note_allowed(&self, count: u64) {
        self.allowed.set(self.allowed.get() + count);
    }

    /// Notes that so many were refused for want of a session.
    pub fn note_refused(&self, count: u64) {
        self.refused.set(self.refused.get() + count);
    }

    /// Requests by result, as it counts them itself.
    pub fn requests(&self, result: &str) -> u64 {
        self.metric(&format!("sekimori_requests_total{{result=\"{result}\"}}"))
    }

    /// Puts a load on it. What those who follow the log do for it afterwards counts too.
    pub async fn measure(&self, load: Load, aim: &Aim) -> Measured {
        self.settle().await;
        let used = || (gauge::followers_time(self.pid()), gauge::index_time(self.pid()));
        let before = used();
        let measured = load.run(aim, self.pid()).await;
        self.settle().await;
        let after = used();
        measured.with_followers(after.0.saturating_sub(before.0), after.1.saturating_sub(before.1))
    }

    /// Waits until all have followed the log and rest: their work is not to fall into the next measurement.
    pub async fn settle(&self) {
        // How far it is behind is told when it commits; so it must have nothing to do for a while, too.
        let rests = async || {
            let used = gauge::followers_time(self.pid());
            tokio::time::sleep(FOLLOWERS_REST).await;
            let more = gauge::followers_time(self.pid()).saturating_sub(used);
            (self.metric("sekimori_index_behind") == 0 && more < FOLLOWERS_REST / 20).then_some(())
        };
        tests::eventually_in(FOLLOWERS_PATIENCE, "the log's followers have come to its end", rests).await;
    }

    fn metric(&self, name: &str) -> u64 {
        let mut text = String::new();
        let mut stream = TcpStream::connect(self.hospital.operations()).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: operations\r\nconnection: close\r\n\r\n").unwrap();
        stream.read_to_string(&mut text).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|count| count.trim().parse().ok()).expect("the gateway has this metric")
    }

    /// Stops it, and counts the accesses to apps that its log has.
    pub fn stop_and_count(mut self) -> Counted {
        let _ = self.hospital.stop();
        let exported = self.hospital.run(&["audit", "export"]).ok().out;
        let of = |event: &str| {
            let event = format!("\"ev\":\"{event}\"");
            let apps = [WRITTEN, SYNCED, SOCKETS].map(|app| format!("\"app\":\"{app}\""));
            let lines = exported.lines().filter(|line| line.contains(&event));
            lines.filter(|line| apps.iter().any(|app| line.contains(app))).count() as u64
        };
        let (allowed, refused) = (self.allowed.get(), self.refused.get());
        Counted { allowed, opened: of("open"), refused, refusals: of("refused") }
    }
}

impl Counted {
    /// Fails where an answered request has no line of its own, or a line no request.
    pub fn hold(&self) {
        println!(
            "answered by apps: {}, opening lines in the log: {}; refused for want of a session: {}, lines: {}",
            self.allowed, self.opened, self.refused, self.refusals
        );
        assert_eq!(self.allowed, self.opened, "answered requests and their records differ");
        assert_eq!(self.refused, self.refusals, "refused requests and their records differ");
    }
}

/// Rules that could decide about other people, which the index must pass by.
pub fn more_rules() -> String {
    let mut text = String::new();
    for number in 0..MORE_RULES {
        let role = ["doctor", "clerk", "vendor"][number % 3];
        let from = 6 + number % 6;
        writeln!(
            text,
            "[[rule]]\nid = \"more-{number}\"\nroles = [\"{role}\"]\napps = [\"emr\"]\nactions = [\"read\"]\n\
             paths = [\"/part-{number}/*\"]\ndevices = [\"tablet\", \"fixed\"]\nhours = \"{from:02}:00-20:00\"\nassurance = \"aal2\"\n"
        )
        .expect("a string takes text");
    }
    text
}
