//! Two nodes beside one: how much more they serve when each has the same share of a processor.
//!
//! A machine has few processors, and load, app and database want one too. So every node is bounded to a share of one
//! processor by the kernel (a control group's quota), all on the same one, and the rest have the other. What is told rests
//! on that: a node used the whole of its share, the same alone and beside the other, and the load's processor was not the
//! limit; each is printed, and where one does not hold, so is that. Alone means that the other is stopped.
//!
//! What it cannot show: caches and memory that two machines do not share (here they do, which is to the nodes' harm), and a
//! network between them and their database, which no request waits for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tests::{Database, Device, Hospital, Plan, Session, Surroundings};

use crate::client::{self, Offers};
use crate::gateway::more_rules;
use crate::gauge::{self, LOAD_CPU, PROXY_CPU};
use crate::load::{ALLOWED, Aim, Load, Measured, Protocol};
use crate::nginx;

const NODES: &str = "[nodes]\nnames = [\"gw01\", \"gw02\"]\nname_file = \"node\"";
/// The time within which a share is used up and given again: short, so that nobody waits long for it. The kernel gives no
/// less than a millisecond of it.
const PERIOD: Duration = Duration::from_millis(20);
/// Until both have heard each other.
const SETTLE: Duration = Duration::from_secs(3);
const CONNECTIONS: usize = 32;
/// Used to a part of its share smaller than this, something else was the limit; likewise a load's processor busier than
/// `BUSY_MAX` per cent.
const USED_MIN: f64 = 0.9;
const BUSY_MAX: f64 = 90.0;

/// Where the kernel keeps groups with a quota, in the one or the other of its two forms.
enum Quota {
    First(PathBuf),
    Second(PathBuf),
}

impl Quota {
    fn find() -> Self {
        let (first, second) = (Path::new("/sys/fs/cgroup/cpu"), Path::new("/sys/fs/cgroup"));
        if first.join("cpu.cfs_quota_us").exists() || first.join("cpu.shares").exists() {
            return Self::First(first.to_owned());
        }
        assert!(second.join("cgroup.controllers").exists(), "no control groups with a quota here");
        // It is given to groups below only where it is asked for; it may be already.
        fs::write(second.join("cgroup.subtree_control"), "+cpu").ok();
        Self::Second(second.to_owned())
    }

    /// Gives a process and all its threads this share of a processor.
    fn give(&self, name: &str, pid: u32, share: f64) -> Group {
        let period = PERIOD.as_micros();
        let quota = (share * period as f64).round();
        let (root, settings) = match self {
            Self::First(root) => {
                let settings = vec![("cpu.cfs_period_us", period.to_string()), ("cpu.cfs_quota_us", quota.to_string())];
                (root, settings)
            }
            Self::Second(root) => (root, vec![("cpu.max", format!("{quota} {period}"))]),
        };
        let folder = root.join(format!("sekimori-bench-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a control group can be made: run this as root");
        for (file, text) in settings {
            fs::write(folder.join(file), text).unwrap();
        }
        fs::write(folder.join("cgroup.procs"), pid.to_string()).unwrap();
        Group(folder)
    }
}

/// A group of one node's processes; goes away with this value, once they have ended.
struct Group(PathBuf);

impl Drop for Group {
    fn drop(&mut self) {
        // Its processes may take a moment to be gone.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

struct Node {
    name: &'static str,
    hospital: Hospital,
    aim: Aim,
    group: Option<Group>,
}

impl Node {
    fn start(&mut self, quota: &Quota, share: f64) {
        self.hospital.start();
        let pinned = Command::new("taskset")
            .args(["-a", "-c", "-p", &PROXY_CPU.to_string(), &self.hospital.pid().to_string()])
            .output()
            .expect("taskset is installed");
        assert!(pinned.status.success(), "the node could not be pinned");
        self.group = Some(quota.give(self.name, self.hospital.pid(), share));
    }

    fn stop(&mut self) {
        assert!(self.hospital.stop().success());
        self.group = None;
    }

    async fn measure(&self, seconds: f64) -> Measured {
        let load = Load {
            path: "/200",
            protocol: Protocol::Http1,
            connections: CONNECTIONS,
            streams: 1,
            seconds,
            right: ALLOWED,
        };
        load.run(&self.aim, self.hospital.pid()).await
    }
}

/// What one part of a round gave.
struct Part {
    measured: Vec<Measured>,
    /// Of the load's processor, in per cent.
    busy: f64,
    /// Transactions of the database in a second.
    transactions: f64,
}

impl Part {
    fn per_second(&self) -> f64 {
        self.measured.iter().map(Measured::per_second).sum()
    }

    fn per_cpu_second(&self) -> f64 {
        let requests: u64 = self.measured.iter().map(|one| one.measured).sum();
        requests as f64 / self.measured.iter().map(|one| one.cpu.as_secs_f64()).sum::<f64>()
    }

    /// The smallest share of a processor that a node used.
    fn used(&self) -> f64 {
        let share = |one: &Measured| one.cpu.as_secs_f64() / one.elapsed.as_secs_f64();
        self.measured.iter().map(share).fold(f64::INFINITY, f64::min)
    }
}

/// Measures and tells.
pub async fn run(rounds: usize, seconds: f64, per_cent: u32) {
    let share = f64::from(per_cent) / 100.0;
    let quota = Quota::find();
    let upstream = nginx::Upstream::start(1);
    let mut database = Database::build();
    let (mut one, mut two) = open(&mut database, &upstream, &quota, share).await;
    println!(
        "two nodes, each {per_cent} % of processor {PROXY_CPU}; load, app and database on processor {LOAD_CPU}; {CONNECTIONS} \
         connections a node, h1 200 B; load average at the start: {}",
        gauge::load_average()
    );
    println!(
        "round |  gw01 alone  gw02 alone |       both   ratio | used: alone  both | load's processor busy: alone  both"
    );
    let (mut ratios, mut alone, mut together, mut counted) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for round in 1..=rounds {
        two.stop();
        let first = part(&one, None, &database, seconds).await;
        two.start(&quota, share);
        tokio::time::sleep(SETTLE).await;
        let both = part(&one, Some(&two), &database, seconds).await;
        one.stop();
        let second = part(&two, None, &database, seconds).await;
        one.start(&quota, share);
        let mean = (first.per_second() + second.per_second()) / 2.0;
        let ratio = both.per_second() / mean;
        println!(
            "{round:5} | {:9.0}/s {:9.0}/s | {:8.0}/s  {ratio:5.2} x | {:9.1} % {:5.1} % | {:27.0} % {:4.0} %",
            first.per_second(),
            second.per_second(),
            both.per_second(),
            first.used().min(second.used()) * 100.0,
            both.used() * 100.0,
            first.busy.max(second.busy),
            both.busy
        );
        ratios.push(ratio);
        counted += [&first, &second, &both].iter().flat_map(|part| &part.measured).map(|one| one.requests).sum::<u64>();
        alone.extend([first, second]);
        together.push(both);
    }
    tell(ratios, &alone, &together, share);
    one.stop();
    two.stop();
    let recorded: usize = [&one, &two].map(|node| openings(&node.hospital)).iter().sum();
    println!("requests answered: {counted}; opening lines in both logs: {recorded}");
    assert!(recorded as u64 >= counted, "an answered request has no record");
    println!("load average at the end: {}", gauge::load_average());
}

fn tell(mut ratios: Vec<f64>, alone: &[Part], together: &[Part], share: f64) {
    ratios.sort_by(f64::total_cmp);
    println!(
        "\ntwo nodes serve {:.2} x what one serves (median of {}; from {:.2} to {:.2})",
        ratios[ratios.len() / 2],
        ratios.len(),
        ratios[0],
        ratios[ratios.len() - 1]
    );
    let mean = |parts: &[Part], of: fn(&Part) -> f64| parts.iter().map(of).sum::<f64>() / parts.len() as f64;
    let per_cpu = |parts| mean(parts, Part::per_cpu_second);
    println!(
        "requests per CPU second of a node: {:.0} alone, {:.0} beside the other ({:.2})",
        per_cpu(alone),
        per_cpu(together),
        per_cpu(together) / per_cpu(alone)
    );
    let asked = |parts| mean(parts, |part| part.transactions);
    let requests = |parts| mean(parts, Part::per_second);
    println!(
        "transactions of the database: {:.1} a second for one node at {:.0} requests a second, {:.1} for two at {:.0}",
        asked(alone),
        requests(alone),
        asked(together),
        requests(together)
    );
    let all = || alone.iter().chain(together);
    if all().any(|part| part.used() < share * USED_MIN) {
        println!("!! a node did not use its share: something else was the limit, and the ratio says nothing");
    }
    if all().any(|part| part.busy > BUSY_MAX) {
        println!("!! the load's processor was the limit: try a smaller --share");
    }
}

/// Both nodes, started, and a nurse who is signed in on a device.
async fn open(database: &mut Database, upstream: &nginx::Upstream, quota: &Quota, share: f64) -> (Node, Node) {
    let plan = Plan::with_emr(upstream.address())
        .set("gateway", "workers = 1")
        .set("limits", "requests_per_second_address = 1000000")
        .set("limits", "requests_per_second_account = 1000000")
        .set("limits", "connections_per_address_max = 100000")
        .block(NODES)
        .block(&more_rules());
    let plan = database.in_plan(plan);
    let one = Hospital::build_in(plan.clone(), |folder| {
        folder.write("node", "gw01\n");
        Surroundings::default()
    });
    database.start_for(&one);
    let device = Device::add(&one, "tablet-1", "tablet").await;
    let session = Session::open(&one, "nurse", Some(&device), &["emr"]).await;
    let tls = client::tls(one.authority().roots(), Offers::MlKem)
        .with_client_auth_cert(device.chain(), device.key())
        .expect("the device's certificate can be used");
    let (tls, cookie) = (Arc::new(tls), session.cookie("emr"));
    let node = |name, hospital: Hospital| {
        let host = "emr.hospital.test".to_owned();
        let aim =
            Aim { address: hospital.address(), host, tls: Arc::clone(&tls), fields: vec![("cookie", cookie.clone())] };
        Node { name, hospital, aim, group: None }
    };
    let mut one = node("gw01", one);
    one.start(quota, share);
    let two = one.hospital.twin(plan, |folder| {
        folder.write("node", "gw02\n");
    });
    let mut two = node("gw02", two);
    two.start(quota, share);
    (one, two)
}

async fn part(one: &Node, other: Option<&Node>, database: &Database, seconds: f64) -> Part {
    let (before, (worked, passed)) = (transactions(database), ticks());
    let begin = std::time::Instant::now();
    let measured = match other {
        None => vec![one.measure(seconds).await],
        Some(other) => {
            let (one, other) = tokio::join!(one.measure(seconds), other.measure(seconds));
            vec![one, other]
        }
    };
    let now = ticks();
    let asked = transactions(database) - before;
    let busy = (now.0 - worked) * 100.0 / (now.1 - passed);
    Part { measured, busy, transactions: asked / begin.elapsed().as_secs_f64() }
}

/// How many transactions the database has ended.
fn transactions(database: &Database) -> f64 {
    let (is_good, said) = database.ask("select sum(xact_commit + xact_rollback) from pg_stat_database");
    assert!(is_good, "{said}");
    said.parse().unwrap()
}

/// Of the load's processor: ticks it worked, and all.
fn ticks() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let name = format!("cpu{LOAD_CPU} ");
    let line = stat.lines().find_map(|line| line.strip_prefix(&name)).unwrap();
    let ticks: Vec<f64> = line.split_whitespace().filter_map(|one| one.parse().ok()).collect();
    // Idle, and waiting for a disk.
    let all: f64 = ticks.iter().take(8).sum();
    (all - ticks[3] - ticks[4], all)
}

fn openings(hospital: &Hospital) -> usize {
    let exported = hospital.run(&["audit", "export"]).ok();
    exported.out.lines().filter(|line| line.contains("\"ev\":\"open\"") && line.contains("\"app\":\"emr\"")).count()
}
