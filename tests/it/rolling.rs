//! The Tuesday upgrade: two nodes on one database behind HAProxy as it is shipped, replaced one after the other while people
//! work, by handing over and by stopping and starting, and back again. No request fails, no record is missing, and whoever has
//! a WebSocket open is told to come again and finds somebody. Where `SEKIMORI_PROGRAM_BEFORE` names the program of an earlier
//! version, that one makes the tables, is upgraded from and gone back to, beside nodes and on tables of the later one; otherwise
//! what is put in place is another file of the same build.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use tests::{Ask, Caller, Folder, Frame, Hospital, eventually, sekimori, sekimori_before, within};
use tokio::task::JoinHandle;

use crate::crowd::{Crowd, Kind, Told, is_whole};
use crate::haproxy::Balancer;
use crate::operations::operations;
use crate::pair::{MINUTE, Pair};
use crate::stream::{close_code, open_socket};

const SOCKETS: u8 = 4;

/// The program before and after, as files of their own: what is put in place is another program to the kernel and to systemd.
struct Versions {
    _folder: Folder,
    before: PathBuf,
    after: PathBuf,
}

impl Versions {
    fn lay_out() -> Self {
        let folder = Folder::new();
        let after = folder.join("after");
        std::fs::copy(sekimori(), &after).unwrap();
        let before = sekimori_before().unwrap_or_else(sekimori);
        eprintln!("from {} to {}, and back", before.display(), sekimori().display());
        Self { _folder: folder, before, after }
    }
}

/// What stands before the nodes, and who comes through it.
struct Scene {
    versions: Versions,
    pair: Pair,
    balancer: Balancer,
    /// How the balancer sees a node that is about to stop.
    stopping: &'static str,
}

/// One of the two.
#[derive(Clone, Copy)]
enum Node {
    One,
    Two,
}

impl Node {
    fn name(self) -> &'static str {
        match self {
            Self::One => "gw01",
            Self::Two => "gw02",
        }
    }

    fn of(self, pair: &mut Pair) -> &mut Hospital {
        match self {
            Self::One => &mut pair.one,
            Self::Two => &mut pair.two,
        }
    }
}

impl Scene {
    async fn open() -> Self {
        let versions = Versions::lay_out();
        // Long enough for any machine: the tests end it themselves.
        let both = |plan: &tests::Plan| plan.clone().set("limits", "balancer_notice = \"300s\"");
        let prepare = |node: &mut Hospital| {
            node.install(&versions.before);
            // The tables are its own at first.
            node.run(&["user", "list"]).ok();
        };
        let pair = Pair::prepared(both, |plan| plan, prepare).await;
        let (balancer, stopping) = if operations(&pair.one, "/readyz/balancer").await.status == 200 {
            (Balancer::before(&pair), "NOLB")
        } else {
            eprintln!("the version before has no word for a balancer, so /readyz is asked");
            (Balancer::that_asks_readiness(&pair), "DOWN")
        };
        balancer.until("gw01", "UP").await;
        balancer.until("gw02", "UP").await;
        Self { versions, pair, balancer, stopping }
    }

    /// A device of the ledger that comes from this address; the balancer keeps each at one node.
    fn caller(&self, number: u8) -> Caller {
        let own = IpAddr::V4(Ipv4Addr::new(127, 0, 0, number));
        self.pair.one.caller(&self.pair.terminal).at(self.balancer.address).from(own)
    }

    fn crowd(&self) -> Crowd {
        let kinds = [Kind::Kept, Kind::Fresh, Kind::Kept, Kind::Http2].into_iter().cycle();
        let clients = (10..22).zip(kinds).map(|(number, kind)| (self.caller(number), kind));
        Crowd::begin(clients, &self.pair.doctor)
    }

    /// Opens WebSockets; each gives what it was told at its end, after it has come again.
    async fn sockets(&self) -> Vec<JoinHandle<Option<u16>>> {
        let mut open = Vec::new();
        for number in 30..30 + SOCKETS {
            let (caller, doctor) = (self.caller(number), self.pair.doctor.clone());
            let ask = move || Ask::get("emr", "/socket/ward").signed_in(&doctor);
            let socket = open_socket(&caller, ask()).await;
            open.push(tokio::spawn(async move {
                let told = close_code(socket, MINUTE * 5).await;
                let mut again = open_socket(&caller, ask()).await;
                again.send("here again").await.unwrap();
                assert_eq!(again.next().await, Some(Frame::Text("here again".to_owned())));
                told
            }));
        }
        open
    }

    fn nodes(&mut self) -> [&mut Hospital; 2] {
        [&mut self.pair.one, &mut self.pair.two]
    }

    /// Nobody was left out, on either node, and both logs are whole.
    async fn ends_well(mut self, told: &Told, what: &str) {
        let seen = ["gw01", "gw02"].map(|name| self.balancer.sees(name));
        assert!(seen.iter().all(|node| node.connections > 0), "{seen:?}");
        for node in self.nodes() {
            node.signal(Signal::TERM);
            eventually("it says that it stops", async || (!node.is_ready()).then_some(())).await;
            // The second ends the notice.
            assert!(node.stop().success());
        }
        eprintln!(
            "{what}: {} requests answered, {} sent again, none failed; the longest wait was {:?}",
            told.answered.len(),
            told.again,
            told.longest
        );
        is_whole(&[&self.pair.one, &self.pair.two], &told.answered);
        for node in self.nodes() {
            assert!(!node.records().with("ev", "open").is_empty(), "both took part");
        }
    }
}

async fn all_were_told_to_come_again(sockets: Vec<JoinHandle<Option<u16>>>) {
    for socket in sockets {
        assert_eq!(within(MINUTE, "it comes again", socket).await.unwrap(), Some(1012));
    }
}

/// Puts this version in the node's place and has it hand over.
fn hand_over(node: &mut Hospital, version: &Path) {
    node.install(version);
    assert!(!node.runs_what_is_installed());
    tokio::task::block_in_place(|| node.hand_over());
    assert!(node.runs_what_is_installed());
}

#[tokio::test(flavor = "multi_thread")]
async fn both_nodes_are_upgraded_by_handing_over_and_back_again_and_nobody_notices() {
    let mut scene = Scene::open().await;
    let (sockets, crowd) = (scene.sockets().await, scene.crowd());
    crowd.goes_on().await;
    for version in [scene.versions.after.clone(), scene.versions.before.clone()] {
        for node in scene.nodes() {
            hand_over(node, &version);
            crowd.goes_on().await;
        }
    }
    all_were_told_to_come_again(sockets).await;
    for name in ["gw01", "gw02"] {
        assert_eq!(scene.balancer.sees(name).times_down, 0, "the balancer need not know");
    }
    let told = crowd.stop().await;
    scene.ends_well(&told, "four handovers").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_nodes_are_stopped_replaced_and_started_and_the_balancer_leads_everybody_to_the_other() {
    let mut scene = Scene::open().await;
    let (sockets, crowd) = (scene.sockets().await, scene.crowd());
    crowd.goes_on().await;
    for version in [scene.versions.after.clone(), scene.versions.before.clone()] {
        for node in [Node::One, Node::Two] {
            // It says that it is about to stop, and serves on; the balancer sends it nothing new.
            node.of(&mut scene.pair).signal(Signal::TERM);
            scene.balancer.until(node.name(), scene.stopping).await;
            let before = scene.balancer.sees(node.name()).connections;
            crowd.goes_on().await;
            assert_eq!(scene.balancer.sees(node.name()).connections, before, "newcomers go to the other");
            let own = node.of(&mut scene.pair);
            // Said once more, it ends: what is open there first.
            assert!(tokio::task::block_in_place(|| own.stop()).success());
            own.install(&version);
            tokio::task::block_in_place(|| own.start());
            assert!(own.runs_what_is_installed());
            scene.balancer.until(node.name(), "UP").await;
            crowd.goes_on().await;
        }
    }
    all_were_told_to_come_again(sockets).await;
    let told = crowd.stop().await;
    scene.ends_well(&told, "four stops and starts").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nodes_hear_from_the_shipped_balancer_whom_it_connects_for() {
    let scene = Scene::open().await;
    for number in 50..58 {
        let ask = Ask::get("emr", &format!("/from/{number}")).signed_in(&scene.pair.doctor);
        scene.caller(number).ask(ask).await.expect(200);
    }
    let mut seen = 0;
    for node in [&scene.pair.one, &scene.pair.two] {
        for record in node.records().with("ev", "open").all() {
            let path = record["path"].as_str().unwrap();
            let Some(number) = path.strip_prefix("/from/") else { continue };
            assert_eq!(record["ip"], format!("127.0.0.{number}").as_str(), "{record}");
            seen += 1;
        }
    }
    assert_eq!(seen, 8);
}
