//! One hospital: a folder with certificates and `sekimori.toml`, and the gateway running on it.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::CertificateFiles;
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid};
use serde_json::Value;
use store::Store;

use crate::database::{PASSWORD_FILE, store_of};
use crate::program::finish;
use crate::{Authenticator, Authority, Caller, Device, Folder, Idp, Loopback, Plan, Records, Run, Surroundings};

/// The port people use. Each hospital has a loopback address of its own, so all have the same port.
pub const PORT: u16 = 8443;
/// The port of the listener for a balancer.
const BALANCED_PORT: u16 = 8444;
const OPERATIONS_PORT: u16 = 9464;
const START_PATIENCE: Duration = Duration::from_secs(20);
const STOP_PATIENCE: Duration = Duration::from_secs(40);

/// The whole name of a short host, such as `emr.hospital.test`.
pub fn host_name(short: &str) -> String {
    if short.contains('.') || short == "localhost" { short.to_owned() } else { format!("{short}.hospital.test") }
}

/// A hospital with its gateway.
#[derive(Debug)]
pub struct Hospital {
    folder: Folder,
    authority: Authority,
    place: Loopback,
    plan: Plan,
    surroundings: Surroundings,
    gateway: Option<Process>,
}

/// The gateway's process.
#[derive(Debug)]
enum Process {
    /// The one that was started here.
    Started(Child),
    /// One that took over from another, and is this process's own since that one is gone.
    Successor(Pid),
}

impl Process {
    fn id(&self) -> Pid {
        match self {
            Self::Started(child) => {
                let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
                id.expect("a process id is a process id")
            }
            Self::Successor(pid) => *pid,
        }
    }

    /// How it ended, if it has.
    fn ended(&mut self) -> Option<ExitStatus> {
        match self {
            Self::Started(child) => child.try_wait().expect("a child can be asked"),
            Self::Successor(pid) => {
                let ended = waitpid(Some(*pid), WaitOptions::NOHANG).expect("a successor is a child of this process");
                ended.map(|(_, status)| ExitStatus::from_raw(status.as_raw()))
            }
        }
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        kill_process(self.id(), Signal::KILL).ok();
        match self {
            Self::Started(child) => drop(child.wait()),
            Self::Successor(pid) => drop(waitpid(Some(*pid), WaitOptions::empty())),
        }
    }
}

impl Hospital {
    /// Builds the hospital and opens it.
    #[must_use]
    pub fn open(plan: Plan) -> Self {
        let mut hospital = Self::build(plan);
        hospital.start();
        hospital
    }

    /// Builds the hospital with the real OpenID provider, and opens it. Keep the provider as long.
    #[must_use]
    pub fn open_with_provider(plan: Plan) -> (Self, Idp) {
        Self::open_with_provider_and(plan, "")
    }

    /// The same with further keys of the provider's table.
    #[must_use]
    pub fn open_with_provider_and(plan: Plan, more: &str) -> (Self, Idp) {
        let mut hospital = Self::build(plan);
        let idp = Idp::start(&hospital.folder, &hospital.authority, hospital.address());
        hospital.plan = hospital.plan.clone().block(&idp.settings(more));
        hospital.write_settings();
        hospital.start();
        (hospital, idp)
    }

    /// Builds the hospital and leaves it closed.
    #[must_use]
    pub fn build(plan: Plan) -> Self {
        Self::build_in(plan, |_| Surroundings::default())
    }

    /// The gateway's store, opened beside it.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        store_of(self)
    }

    /// Another machine of this hospital, which has been open once and keeps its store in a database: a folder and an
    /// address of its own; the same names, certificates, shared keys and store.
    #[must_use]
    pub fn twin(&self, plan: Plan, prepare: impl FnOnce(&Folder)) -> Self {
        Self::build_around(plan, self.authority.clone(), |new| {
            let state = new.join("state");
            std::fs::create_dir_all(state.join("device-ca")).expect("a folder can be made");
            let own = self.folder.join("state");
            std::fs::create_dir_all(state.join("secrets")).expect("a folder can be made");
            for key in ["assertion-key.pem", "secrets/device-ca.kek"] {
                std::fs::copy(own.join(key), state.join(key)).expect("the key is there");
            }
            for file in std::fs::read_dir(own.join("device-ca")).expect("the device CA is there") {
                let file = file.expect("a folder can be read").path();
                let name = file.file_name().expect("a file has a name");
                std::fs::copy(&file, state.join("device-ca").join(name)).expect("the device CA can be copied");
            }
            std::fs::copy(self.folder.join(PASSWORD_FILE), new.join(PASSWORD_FILE)).expect("the password is there");
            prepare(new);
            Surroundings::default()
        })
    }

    /// The same in surroundings of its own, which are told its folder.
    #[must_use]
    pub fn build_in(plan: Plan, surroundings: impl FnOnce(&Folder) -> Surroundings) -> Self {
        Self::build_around(plan, Authority::new(), surroundings)
    }

    fn build_around(plan: Plan, authority: Authority, surroundings: impl FnOnce(&Folder) -> Surroundings) -> Self {
        let (folder, place) = (Folder::new(), Loopback::take());
        let ip = place.ip();
        authority.save(&folder.join("ca.pem"));
        authority.issue(folder.path(), "wild", &["*.hospital.test"]);
        authority.issue(folder.path(), "annex", &["annex.test"]);
        let listener =
            format!("[[listener]]\naddress = \"{ip}:{PORT}\"\nzone = \"ward\"\nclient_certificates = \"optional\"");
        let plan = plan
            .set("operations", &format!("address = \"{ip}:{OPERATIONS_PORT}\""))
            .block(&listener)
            .block("[[certificate]]\ncertificate = \"wild.pem\"\nkey = \"wild.key\"")
            .block("[[certificate]]\ncertificate = \"annex.pem\"\nkey = \"annex.key\"");
        let balanced = format!(
            "[[listener]]\nname = \"balanced\"\naddress = \"{ip}:{BALANCED_PORT}\"\nzone = \"ward\"\n\
             client_certificates = \"optional\"\nproxy_protocol_from = [\"127.0.0.1\"]"
        );
        let plan = if plan.is_balanced() { plan.block(&balanced) } else { plan };
        let surroundings = surroundings(&folder);
        let hospital = Self { folder, authority, place, plan, surroundings, gateway: None };
        hospital.write_settings();
        hospital
    }

    fn write_settings(&self) {
        self.folder.write("sekimori.toml", self.plan.text());
    }

    /// Its folder, with `sekimori.toml`, `ca.pem` and `state`.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// What is around its program.
    #[must_use]
    pub fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// Its plan as it is now.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The CA of its servers.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The gateway's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.place.port(PORT)
    }

    /// The address of health and metrics.
    #[must_use]
    pub fn operations(&self) -> SocketAddr {
        self.place.port(OPERATIONS_PORT)
    }

    /// The address that a balancer connects to, where the plan has one before it.
    #[must_use]
    pub fn balanced(&self) -> SocketAddr {
        self.place.port(BALANCED_PORT)
    }

    /// An address such as a person types it.
    #[must_use]
    pub fn url(&self, host: &str, target: &str) -> String {
        format!("https://{}:{PORT}{target}", host_name(host))
    }

    /// A security key with the browser's part before it.
    #[must_use]
    pub fn key(&self) -> Authenticator {
        Authenticator::new(&format!("https://{}:{PORT}", host_name("login")))
    }

    /// A code by which a person enrols a key.
    #[must_use]
    pub fn invite(&self, login: &str) -> String {
        let words = ["user", "invite", login, "--proofing", "職員証", "--format", "json"];
        self.run(&words).ok().json()["code"].as_str().expect("the code is told once").to_owned()
    }

    /// Adds a person to the local directory; gives the code by which they enrol a key.
    #[must_use]
    pub fn add_person(&self, login: &str, name: &str, role: &str) -> String {
        let _ = self.run(&["user", "add", login, "--name", name, "--role", role]).ok();
        self.invite(login)
    }

    /// A device without a certificate.
    #[must_use]
    pub fn stranger(&self) -> Caller {
        Caller::new(self.address(), self.authority.roots(), None)
    }

    /// A device of the ledger.
    #[must_use]
    pub fn caller(&self, device: &Device) -> Caller {
        Caller::new(self.address(), self.authority.roots(), Some(device))
    }

    /// Starts the gateway and waits until it is ready.
    pub fn start(&mut self) {
        assert!(self.gateway.is_none(), "the gateway runs already");
        let log = File::options().create(true).append(true).open(self.folder.join("gateway.log"));
        let log = log.expect("the gateway's log can be opened");
        let child = self
            .surroundings
            .program(self.folder.path())
            .args(["serve", "--config", "sekimori.toml"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("the gateway starts");
        self.gateway = Some(Process::Started(child));
        let begin = Instant::now();
        while !self.is_ready() {
            let ended = self.gateway.as_mut().and_then(Process::ended);
            assert!(ended.is_none(), "the gateway ended at once with {ended:?}:\n{}", self.log_text());
            assert!(begin.elapsed() < START_PATIENCE, "the gateway is not ready:\n{}", self.log_text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether the gateway says that it is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let mut answer = String::new();
        let asked = TcpStream::connect_timeout(&self.operations(), Duration::from_secs(1)).and_then(|mut stream| {
            stream.write_all(b"GET /health/ready HTTP/1.1\r\nhost: operations\r\nconnection: close\r\n\r\n")?;
            stream.read_to_string(&mut answer)
        });
        asked.is_ok() && answer.starts_with("HTTP/1.1 200 ")
    }

    /// Whether the gateway runs.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.gateway.is_some()
    }

    /// The gateway's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process().as_raw_nonzero().get().unsigned_abs()
    }

    fn process(&self) -> Pid {
        self.gateway.as_ref().expect("the gateway runs").id()
    }

    /// Sends the gateway a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.process(), signal).expect("the gateway can be signalled");
    }

    /// Writes other settings, for the next start.
    pub fn settle(&mut self, plan: Plan) {
        self.plan = plan;
        self.write_settings();
    }

    /// Writes other settings and has the gateway read them.
    pub fn reload(&mut self, plan: Plan) {
        self.plan = plan;
        self.write_settings();
        self.signal(Signal::HUP);
    }

    /// Puts this program into the place of its own, as a package does while the gateway runs: from then on that file is
    /// started.
    pub fn install(&mut self, program: &Path) {
        let (new, own) = (self.folder.join("sekimori.new"), self.folder.join("sekimori"));
        if std::fs::hard_link(program, &new).is_err() {
            // The folder is on another disk.
            std::fs::copy(program, &new).expect("a program can be copied");
        }
        std::fs::rename(&new, &own).expect("a program can be put in its place");
        self.surroundings.take_program(own);
    }

    /// Whether the gateway runs the program that lies at its place now, and not one that lay there before.
    #[must_use]
    pub fn runs_what_is_installed(&self) -> bool {
        let file = |path: &Path| std::fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
        let running = file(Path::new(&format!("/proc/{}/exe", self.pid())));
        running.is_some() && running == file(&self.folder.join("sekimori"))
    }

    /// Asks the gateway to stop and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for the gateway's end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut process = self.gateway.take().expect("the gateway runs");
        let begin = Instant::now();
        loop {
            if let Some(status) = process.ended() {
                return status;
            }
            assert!(begin.elapsed() < STOP_PATIENCE, "the gateway does not stop:\n{}", self.log_text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills the gateway as `kill -9` does.
    pub fn kill(&mut self) {
        self.gateway.take().expect("the gateway runs").kill();
    }

    /// Has the gateway hand over to another process of its program, and waits until that one has taken over. How long
    /// nobody accepted is what `connect` shows, not this.
    pub fn hand_over(&mut self) {
        // The other process's parent ends: then it is this one's child.
        set_child_subreaper(Some(getpid())).expect("a process may look after its grandchildren");
        let handed_over = |hospital: &Self| {
            // A process that could not take over has left words of its own there.
            let text = hospital.log_text();
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let told = lines.filter(|line| line["message"] == "handed over");
            told.map(|line| line["process"].as_i64().expect("it says to which process")).collect::<Vec<_>>()
        };
        let before = handed_over(self).len();
        self.signal(Signal::USR2);
        let status = self.wait();
        assert!(status.success(), "the gateway did not hand over: {status}\n{}", self.log_text());
        let pids = handed_over(self);
        assert_eq!(pids.len(), before + 1, "it says to whom it handed over:\n{}", self.log_text());
        let pid = pids.last().and_then(|pid| i32::try_from(*pid).ok()).and_then(Pid::from_raw);
        self.gateway = Some(Process::Successor(pid.expect("a process id")));
    }

    /// Runs `sekimori` with these words, in the hospital's folder and on its configuration.
    #[must_use]
    pub fn run(&self, words: &[&str]) -> Run {
        let words: Vec<&str> = words.iter().copied().chain(["--config", "sekimori.toml"]).collect();
        finish(self.surroundings.program(self.folder.path()), &words)
    }

    /// The records so far.
    #[must_use]
    pub fn records(&self) -> Records {
        // By its folder: the settings may be the test's mistake.
        Records::read(&self.run(&["audit", "export", "--format", "jsonl", "--dir", "state/audit"]).ok().out)
    }

    /// What the gateway printed.
    #[must_use]
    pub fn log_text(&self) -> String {
        let mut text = String::new();
        File::open(self.folder.join("gateway.log"))
            .and_then(|mut file| file.read_to_string(&mut text))
            .expect("the gateway's log can be read");
        text
    }

    /// What the gateway logged, line by line. Every line must be JSON.
    #[must_use]
    pub fn log(&self) -> Vec<Value> {
        let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|problem| panic!("{problem}: {line}"));
        self.log_text().lines().map(line).collect()
    }

    /// The server certificate of a name, issued again.
    pub fn renew(&self, name: &str, hosts: &[&str]) -> CertificateFiles {
        self.authority.issue(self.folder.path(), name, hosts)
    }
}

impl Drop for Hospital {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.join("gateway.log")).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("the gateway's last words:");
            last.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        if let Some(mut process) = self.gateway.take() {
            process.kill();
        }
    }
}
