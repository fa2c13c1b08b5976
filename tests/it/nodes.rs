//! Two machines that serve as one, behind HAProxy: any of them answers anybody, one may die, and neither can hide what
//! became of its log. Their store is a real PostgreSQL server.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use rustix::process::Signal;
use serde_json::Value;
use tests::{Ask, Caller, Device, Hospital, Http1, Manner, Person, Session, eventually, eventually_in};

use crate::haproxy::Balancer;
use crate::pair::{MINUTE, Pair};
use crate::stream::{close_code, open_socket};

const CLIENTS: usize = 8;
/// How often a revocation is tried.
const TRIES: usize = 200;
const AT_ONCE: usize = 10;
const ONE_SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_sign_in_begun_on_one_node_is_finished_on_the_other() {
    let pair = Pair::open().await;
    let balancer = Balancer::in_turns(&pair);
    let caller = pair.one.caller(&pair.terminal).at(balancer.address);
    let (key, code) = (pair.one.key(), pair.one.add_person("sato", "佐藤 恵子", "doctor"));
    let mut person = Person::by_key(&caller, &key);
    person.enrol(&code, &key, &Manner::default()).await.expect(200);
    for round in 0..4 {
        // Another browser each time; every request reaches another node than the one before, and those of every other
        // browser the nodes the other way round.
        if round % 2 == 1 {
            caller.ask(Ask::get("login", "/.well-known/jwks.json")).await.expect(200);
        }
        person = person.afresh();
        person.open(&pair.one.url("emr", "/chart")).await.expect(200);
        person.open(&pair.one.url("portal", "/")).await.expect(200);
    }
    for node in [&pair.one, &pair.two] {
        assert!(!node.records().opened("/chart").is_empty(), "both nodes took part");
        assert!(!node.records().with("host", "login.hospital.test").is_empty());
    }
    let signed_in: usize = [&pair.one, &pair.two].iter().map(|node| node.records().with("ev", "signed-in").len()).sum();
    assert!(signed_in >= 4, "each sign-in is recorded where it was finished: {signed_in}");
    let keys = async |node: &Hospital| {
        node.stranger().ask(Ask::get("login", "/.well-known/jwks.json")).await.expect(200).json()
    };
    assert_eq!(keys(&pair.one).await, keys(&pair.two).await, "apps check what either node signs");
}

/// A client that asks again and again, each time on a connection of its own, until told to stop.
struct Client {
    caller: Caller,
    doctor: Session,
    begin: Instant,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
}

impl Client {
    /// How long after the beginning each failure was.
    async fn work(self) -> Vec<Duration> {
        let mut failed = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let asked = async {
                let stream = self.caller.connect("emr", &[b"http/1.1"]).await.ok()?;
                let ask = Ask::get("emr", "/a").signed_in(&self.doctor);
                let response = Http1::on(stream).await.send(ask).await.ok()?;
                let is_good = response.status() == 200;
                response.into_body().collect().await.ok().filter(|_| is_good)
            };
            match tokio::time::timeout(ONE_SECOND * 30, asked).await {
                Ok(Some(_)) => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok(None) | Err(_) => failed.push(self.begin.elapsed()),
            }
        }
        failed
    }
}

#[tokio::test]
async fn when_a_node_is_killed_only_what_was_under_way_on_it_fails_and_sessions_go_on() {
    let mut pair = Pair::open().await;
    let balancer = Balancer::before(&pair);
    let caller = pair.one.caller(&pair.terminal).at(balancer.address);
    let (begin, stop) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    let answered: Vec<Arc<AtomicUsize>> = (0..CLIENTS).map(|_| Arc::default()).collect();
    let clients: Vec<_> = (2..)
        .zip(&answered)
        .map(|(number, answered)| {
            // Each from an address of its own: the balancer keeps an address at one node.
            let caller = caller.from(IpAddr::V4(Ipv4Addr::new(127, 0, 0, number)));
            let (doctor, stop, answered) = (pair.doctor.clone(), Arc::clone(&stop), Arc::clone(answered));
            tokio::spawn(Client { caller, doctor, begin, stop, answered }.work())
        })
        .collect();
    let all_are_answered = async || {
        let before: Vec<usize> = answered.iter().map(|one| one.load(Ordering::Relaxed)).collect();
        eventually_in(MINUTE, "everybody is answered", async || {
            let mut both = answered.iter().zip(&before);
            both.all(|(now, before)| now.load(Ordering::Relaxed) > before + 10).then_some(())
        })
        .await;
    };
    all_are_answered().await;
    assert!(balancer.sees("gw01").connections > 0 && balancer.sees("gw02").connections > 0, "both have clients");
    let killing = begin.elapsed();
    pair.two.kill();
    all_are_answered().await;
    stop.store(true, Ordering::Relaxed);
    let mut failed = Vec::new();
    for client in clients {
        let of_one = client.await.unwrap();
        assert!(of_one.len() <= 1, "more failed than was under way: {of_one:?}");
        failed.extend(of_one);
    }
    let count: usize = answered.iter().map(|one| one.load(Ordering::Relaxed)).sum();
    eprintln!("{count} answered, {} failed, killed after {killing:?}: {failed:?}", failed.len());
    assert!(failed.iter().all(|at| *at >= killing), "{failed:?}");

    // The one that is left knows everybody who was signed in, and the other comes back and finds its log in order.
    caller.ask(Ask::get("emr", "/after").signed_in(&pair.doctor)).await.expect(200);
    eventually_in(MINUTE, "the alarm", async || {
        let alarms = pair.one.records().with("ev", "node-alarm").with("src", "gw02").with("why", "silent");
        (!alarms.is_empty()).then_some(())
    })
    .await;
    pair.two.start();
    eventually_in(MINUTE, "the end of the alarm", async || {
        let over = pair.one.records().with("ev", "node-alarm-over").with("src", "gw02").with("why", "silent");
        (!over.is_empty()).then_some(())
    })
    .await;
    pair.vouch().await;
    let (one, two) = (Pair::audit_of(&pair.one), Pair::audit_of(&pair.two));
    let told = pair.one.run(&["audit", "verify", "--dir", &one, "--peer", &two]).ok().out;
    assert!(told.contains("the logs are what the others saw"), "{told}");
}

#[tokio::test]
async fn a_revocation_reaches_an_open_websocket_on_the_other_node_within_a_second() {
    let pair = Pair::open().await;
    let caller = pair.two.caller(&pair.terminal);
    let store = pair.one.store();
    let mut took = Vec::with_capacity(TRIES);
    for round in 0..TRIES / AT_ONCE {
        let mut open = Vec::new();
        for number in 0..AT_ONCE {
            let login = format!("d{round}-{number}");
            let session = Session::open_with(&pair.one, &login, &["doctor"], Some(&pair.terminal), &["emr"]).await;
            let ask = Ask::get("emr", "/socket/ward").signed_in(&session);
            open.push((open_socket(&caller, ask).await, session));
        }
        // Not all at the same moment of the other node's round.
        tokio::time::sleep(Duration::from_millis(37 * u64::try_from(round % 7).unwrap())).await;
        for (socket, session) in open {
            let id = policy::SessionId::parse(&session.id).unwrap();
            assert!(store.end_session(id, tests::now(), "cli:test".to_owned()).await.unwrap());
            let begin = Instant::now();
            took.push(tokio::spawn(async move {
                let code = close_code(socket, ONE_SECOND * 10).await;
                (code, begin.elapsed())
            }));
            tokio::time::sleep(Duration::from_millis(11)).await;
        }
    }
    let mut spans = Vec::with_capacity(TRIES);
    for end in took {
        let (code, span) = end.await.unwrap();
        assert_eq!(code, Some(1008));
        spans.push(span);
    }
    spans.sort();
    let percentile = |share: usize| spans[spans.len() * share / 100 - 1];
    eprintln!("p50 {:?}, p99 {:?}, most {:?}", percentile(50), percentile(99), spans[spans.len() - 1]);
    assert!(percentile(99) < ONE_SECOND, "{spans:?}");
}

#[tokio::test]
async fn a_node_that_hangs_is_told_and_the_next_takes_over() {
    let pair = Pair::open().await;
    let both = pair.two.run(&["node", "list", "--format", "json"]).ok().lines();
    assert_eq!(both.iter().map(|one| &one["node"]).collect::<Vec<_>>(), ["gw01", "gw02"]);
    pair.one.signal(Signal::STOP);
    let alarm = |event: &str| pair.two.records().with("ev", event).with("src", "gw01").with("why", "silent");
    eventually_in(MINUTE, "the alarm", async || (!alarm("node-alarm").is_empty()).then_some(())).await;
    let run = pair.two.run(&["node", "list"]);
    assert_eq!(run.code, Some(1), "{}", run.out);
    assert!(run.out.contains("silent") && run.err.contains("`gw01` is silent"), "{} {}", run.out, run.err);
    pair.one.signal(Signal::CONT);
    eventually_in(MINUTE, "its end", async || (!alarm("node-alarm-over").is_empty()).then_some(())).await;
    let run = pair.two.run(&["node", "list"]).ok();
    assert!(run.out.contains("gw01") && run.out.contains("serving"), "{}", run.out);
}

#[tokio::test]
async fn nodes_that_are_cut_off_from_the_database_say_so_and_call_nobody_silent() {
    let mut pair = Pair::open().await;
    let caller = pair.two.caller(&pair.terminal);
    caller.ask(Ask::get("emr", "/before").signed_in(&pair.doctor)).await.expect(200);
    pair.database.stop();
    let alarm = |node: &Hospital, own: &str, event: &str| {
        let alarms = node.records().with("ev", event).with("src", own).with("why", "cut-off");
        (!alarms.is_empty()).then_some(())
    };
    for (node, own) in [(&pair.one, "gw01"), (&pair.two, "gw02")] {
        eventually_in(MINUTE, "the alarm", async || alarm(node, own, "node-alarm")).await;
    }
    caller.ask(Ask::get("emr", "/meanwhile").signed_in(&pair.doctor)).await.expect(200);
    pair.database.start();
    for (node, own) in [(&pair.one, "gw01"), (&pair.two, "gw02")] {
        eventually_in(MINUTE, "its end", async || alarm(node, own, "node-alarm-over")).await;
        assert!(node.records().with("ev", "node-alarm").with("why", "silent").is_empty(), "nobody was silent");
    }
    caller.ask(Ask::get("emr", "/after").signed_in(&pair.doctor)).await.expect(200);
}

#[tokio::test]
async fn two_different_configurations_are_said_with_what_is_different() {
    let pair = Pair::open_with(|plan| plan.set("sessions", "idle = \"17m\"")).await;
    let (key, code) = (pair.one.key(), pair.one.add_person("chief", "院長", "administrator"));
    let mut chief = Person::by_key(&pair.one.caller(&pair.terminal), &key);
    chief.enrol(&code, &key, &Manner::default()).await.expect(200);
    let url = pair.one.url("console", "/nodes");
    let page = eventually_in(MINUTE, "the difference", async || {
        let page = chief.open(&url).await.expect(200).text();
        page.contains("[sessions]").then_some(page)
    })
    .await;
    assert!(page.contains("gw01") && page.contains("gw02"), "{page}");
    let run = pair.one.run(&["node", "list"]);
    assert!(run.err.contains("different configurations"), "{} {}", run.out, run.err);
}

#[tokio::test]
async fn what_happened_in_the_store_stands_in_both_logs_and_is_read_once() {
    let pair = Pair::open().await;
    let _tablet = Device::add(&pair.one, "tablet-1", "tablet").await;
    eventually("the other node has it too", async || {
        let added = pair.two.records().with("ev", "device-added").with("dev", "tablet-1");
        (!added.is_empty()).then_some(())
    })
    .await;
    let (one, two) = (Pair::audit_of(&pair.one), Pair::audit_of(&pair.two));
    let count =
        |text: &str| text.lines().filter(|line| line.contains("device-added") && line.contains("tablet-1")).count();
    let told = pair.one.run(&["audit", "tail", "--lines", "500", "--dir", &one, "--peer", &two]).ok().out;
    assert_eq!(count(&told), 1, "{told}");
    let told = pair.one.run(&["audit", "export", "--dir", &one, "--peer", &two]).ok().out;
    assert_eq!(count(&told), 1, "{told}");
    let started = told.lines().filter(|line| line.contains("\"ev\":\"started\"")).count();
    assert_eq!(started, 2, "what each did itself is there of each");
    let moments: Vec<String> = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["line"]["ts"].as_str().unwrap().to_owned())
        .collect();
    assert!(moments.len() > 3 && moments.first() < moments.last(), "{told}");
    let found = eventually_in(MINUTE, "the index", async || {
        let words =
            ["audit", "find", "--event", "device-added", "--device", "tablet-1", "--format", "json", "--peer", &two];
        let run = pair.one.run(&words).ok();
        (run.out.lines().count() == 1).then_some(run.out)
    })
    .await;
    assert!(found.contains("\"log\":\"login.hospital.test/gw0"), "{found}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

#[tokio::test]
async fn a_log_that_was_set_back_is_told_by_itself_and_by_the_other() {
    let mut pair = Pair::open().await;
    pair.two.stop();
    let (log, kept) = (pair.two.folder().join("state/audit"), pair.two.folder().join("kept"));
    copy(&log, &kept);
    pair.two.start();
    let caller = pair.two.caller(&pair.terminal);
    for number in 0..20 {
        caller.ask(Ask::get("emr", &format!("/n/{number}")).signed_in(&pair.doctor)).await.expect(200);
    }
    let size = pair.two.records().len();
    eventually_in(MINUTE, "the other vouches for it", async || {
        let seen = pair.one.records().with("ev", "peer-checkpoint").with("src", "gw02");
        seen.all().iter().any(|one| one["n"].as_u64() >= Some(size as u64)).then_some(())
    })
    .await;
    pair.two.stop();
    // As somebody does who wants the last hour gone: the key is the log's own, so by itself it is in order.
    std::fs::remove_dir_all(&log).unwrap();
    std::fs::rename(&kept, &log).unwrap();
    let two = Pair::audit_of(&pair.two);
    pair.two.run(&["audit", "verify", "--dir", &two]).ok();
    let one = Pair::audit_of(&pair.one);
    let run = pair.one.run(&["audit", "verify", "--dir", &one, "--peer", &two]);
    assert_eq!(run.code, Some(1), "{}", run.out);
    assert!(run.out.contains("lines were seen of it, but"), "{}", run.out);
    let run = pair.two.run(&["serve"]);
    assert_eq!(run.code, Some(69), "it does not go on silently: {}", run.err);
    pair.two.run(&["audit", "go-on", "--why", "the disk was lost"]).ok();
    pair.two.start();
    let alarm = |node: &Hospital| {
        let alarms = node.records().with("ev", "node-alarm").with("src", "gw02");
        alarms.all().iter().any(|one| one["why"] == "set-back" || one["why"] == "rewritten")
    };
    eventually_in(MINUTE, "the other tells", async || alarm(&pair.one).then_some(())).await;
    eventually_in(MINUTE, "it tells itself", async || alarm(&pair.two).then_some(())).await;
}
