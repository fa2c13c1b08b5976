//! The gateway is replaced while people work: no connection is refused, no request fails, no record is missing, and a
//! replacement that cannot serve changes nothing.

use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use rustix::process::Signal;
use serde_json::Value;
use tests::{Answer, Ask, Caller, Frame, Session, WebSocket, eventually, eventually_in, within};

use crate::operations::operations;
use crate::stream::handshake;
use crate::ward::Ward;

const HANDOVERS: usize = 20;
/// How long a new connection may wait for its answer while it is handed over. The page says a second or two; machines that
/// do much else are slower.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// What one client went through.
#[derive(Default)]
struct Told {
    /// Paths that were answered.
    answered: Vec<String>,
    /// Requests that were sent once more, on a new connection, because the old one had closed before they were heard.
    again: usize,
    /// The longest wait for an answer.
    longest: Duration,
}

/// Works as a browser does: on a connection until it closes, then on another. What was sent on a connection that turns out
/// to be closed is sent again, once; anything else that goes wrong is a failed request.
async fn work(caller: Caller, session: Session, sent: Arc<AtomicUsize>, stop: Arc<AtomicBool>, kind: Kind) -> Told {
    let mut told = Told::default();
    let mut line = kind.connect(&caller).await;
    let mut is_fresh = true;
    while !stop.load(Ordering::Relaxed) {
        let number = sent.fetch_add(1, Ordering::Relaxed);
        let path = format!("/request/{number}");
        let method = if number.is_multiple_of(10) { "POST" } else { "GET" };
        let begun = Instant::now();
        loop {
            match line.ask(Ask::new(method, "emr", &path).signed_in(&session)).await {
                Ok(answer) => {
                    answer.expect(200);
                    break;
                }
                Err(error) => {
                    assert!(!is_fresh, "{path} failed on a connection of its own: {error}");
                    told.again += 1;
                    line = kind.connect(&caller).await;
                    is_fresh = true;
                }
            }
        }
        told.longest = told.longest.max(begun.elapsed());
        told.answered.push(path);
        is_fresh = false;
        if kind == Kind::Fresh || line.is_closed() {
            line = kind.connect(&caller).await;
            is_fresh = true;
        }
    }
    told
}

/// How a client connects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// HTTP/1.1, one connection for as long as it lasts.
    Kept,
    /// HTTP/1.1, a connection for each request.
    Fresh,
    /// HTTP/2.
    Http2,
}

enum Line {
    Http1(tests::Http1),
    Http2(tests::Http2, usize),
}

impl Kind {
    async fn connect(self, caller: &Caller) -> Line {
        match self {
            Self::Kept | Self::Fresh => Line::Http1(caller.http1("emr").await),
            Self::Http2 => Line::Http2(caller.http2("emr").await, 0),
        }
    }
}

impl Line {
    async fn ask(&mut self, ask: Ask) -> Result<Answer, String> {
        let response = match self {
            Self::Http1(line) => line.send(ask).await,
            Self::Http2(line, asked) => {
                *asked += 1;
                line.send(ask).await
            }
        };
        let response = response.map_err(|error| format!("{error:?}"))?;
        within(WAIT_MAX, "a body", Answer::read(response)).await.map_err(|error| format!("{error:?}"))
    }

    fn is_closed(&self) -> bool {
        match self {
            Self::Http1(line) => line.is_closed(),
            // Told by the next request.
            Self::Http2(..) => false,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_handovers_under_load_fail_no_request_and_lose_no_record() {
    let mut ward = Ward::open().await;
    let (sent, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let kinds = [Kind::Kept, Kind::Kept, Kind::Kept, Kind::Fresh, Kind::Fresh, Kind::Http2];
    let clients: Vec<_> = kinds
        .into_iter()
        .map(|kind| {
            let work = work(ward.caller.clone(), ward.doctor.clone(), Arc::clone(&sent), Arc::clone(&stop), kind);
            tokio::spawn(work)
        })
        .collect();
    for _ in 0..HANDOVERS {
        let before = sent.load(Ordering::Relaxed);
        eventually_in(Duration::from_secs(60), "the clients work", async || {
            assert!(clients.iter().all(|client| !client.is_finished()), "a client has ended");
            (sent.load(Ordering::Relaxed) > before + 50).then_some(())
        })
        .await;
        tokio::task::block_in_place(|| ward.hospital.hand_over());
    }
    stop.store(true, Ordering::Relaxed);
    let mut all = Told::default();
    for client in clients {
        let told = client.await.unwrap();
        all.again += told.again;
        all.longest = all.longest.max(told.longest);
        all.answered.extend(told.answered);
    }
    assert!(ward.hospital.stop().success());
    eprintln!(
        "{} requests answered over {HANDOVERS} handovers, {} sent again, none failed; the longest wait was {:?}",
        all.answered.len(),
        all.again,
        all.longest
    );
    assert!(all.longest < WAIT_MAX, "{:?}", all.longest);
    is_whole(&ward, &all.answered);
    let records = ward.hospital.records();
    assert_eq!(records.with("ev", "started").len(), HANDOVERS + 1);
    assert_eq!(records.with("ev", "stopped").len(), HANDOVERS + 1);
    assert_eq!(records.with("ev", "recovered").len(), 0, "each let go of a log in good order");
}

/// Every answered request has its one record, every record its end, and the log is as it was signed.
fn is_whole(ward: &Ward, answered: &[String]) {
    let verified = ward.hospital.run(&["audit", "verify", "--format", "json"]).ok().json();
    let records = ward.hospital.records();
    assert_eq!(verified["lines"], records.len());
    let openings = records.with("ev", "open");
    let opened: Vec<&str> = openings.all().iter().filter_map(|one| one["path"].as_str()).collect();
    let paths: HashSet<&str> = opened.iter().copied().collect();
    assert_eq!(opened.len(), paths.len(), "nothing is recorded twice");
    let lost: Vec<&String> = answered.iter().filter(|path| !paths.contains(path.as_str())).collect();
    assert!(lost.is_empty(), "{} answered requests have no record: {lost:?}", lost.len());
    let ends: Vec<Value> = records.with("ev", "close").all().iter().map(|one| one["end"].clone()).collect();
    assert_eq!(ends.len(), opened.len());
    let odd: Vec<&Value> = ends.iter().filter(|end| *end != "served" && *end != "client-gone").collect();
    assert!(odd.is_empty(), "accesses ended otherwise than served: {odd:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_told_to_come_again_downloads_finish_and_who_comes_meanwhile_waits() {
    let mut ward = Ward::open_with(|plan| plan.set("limits", "handover_timeout = \"30s\"")).await;
    let mut connection = ward.caller.http1("emr").await;
    let response = connection.send(handshake(ward.get("/socket/ward"))).await.unwrap();
    let mut socket = WebSocket::client(TokioIo::new(hyper::upgrade::on(response).await.unwrap()));
    let mut events = ward.caller.http1("emr").await;
    let events = events.send(ward.get("/events")).await.unwrap();
    let mut download = ward.caller.http1("emr").await;
    let download = download.send(ward.get("/bytes/200000000")).await.unwrap();

    let caller = ward.caller.clone();
    let waiting = ward.get("/meanwhile");
    let reading = tokio::spawn(async move {
        // Only once the handover is under way: until this body is read, nothing is handed over.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let asked = tokio::spawn(async move { caller.ask(waiting).await });
        (Answer::read(download).await.unwrap(), asked.await.unwrap())
    });
    let told = tokio::spawn(async move {
        let close = loop {
            match socket.next().await {
                Some(Frame::Close(code)) => break code,
                Some(_) => {}
                None => panic!("the WebSocket broke off without a word"),
            }
        };
        (close, Answer::read(events).await.is_ok())
    });
    tokio::task::block_in_place(|| ward.hospital.hand_over());
    let (close, ended_well) = told.await.unwrap();
    assert_eq!((close, ended_well), (Some(1012), true), "come again, and an event stream at its end");
    let (download, meanwhile) = reading.await.unwrap();
    assert_eq!(download.body.len(), 200_000_000);
    meanwhile.expect(200);
    ward.caller.ask(ward.get("/after")).await.expect(200);
    let closing = ward.closing("/socket/ward").await;
    assert_eq!(closing["end"], "stopped");
    assert_eq!(ward.closing("/bytes/200000000").await["end"], "served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_next_process_that_cannot_begin_changes_nothing() {
    let mut ward = Ward::open().await;
    let good = ward.hospital.plan().text();
    ward.hospital.folder().write("sekimori.toml", "[gateway]\nnonsense");
    let pid = ward.hospital.pid();
    ward.hospital.signal(Signal::USR2);
    eventually("nobody takes over", async || {
        let told = ward.hospital.log_text();
        assert!(ward.hospital.is_ready(), "{told}");
        told.contains("nobody takes over").then_some(())
    })
    .await;
    ward.caller.ask(ward.get("/still")).await.expect(200);
    assert_eq!(ward.hospital.pid(), pid);
    eventually("the alarm", async || {
        let metrics = operations(&ward.hospital, "/metrics").await.text();
        let raised = metrics.contains("sekimori_alarm{alarm=\"handover-failed\"} 1");
        (raised && metrics.contains("sekimori_handovers_failed_total 1")).then_some(())
    })
    .await;
    ward.hospital.folder().write("sekimori.toml", good);
    let doctor = ward.hospital.run(&["doctor", "--format", "json"]);
    let line = doctor.lines().into_iter().find(|one| one["what"] == "running gateway: handover-failed").unwrap();
    assert_eq!(line["grade"], "bad", "{line}");

    tokio::task::block_in_place(|| ward.hospital.hand_over());
    ward.caller.ask(ward.get("/after")).await.expect(200);
    assert!(ward.hospital.stop().success());
    is_whole(&ward, &["/still".to_owned(), "/after".to_owned()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_next_process_fails_after_its_turn_the_one_before_begins_again() {
    let mut ward = Ward::open().await;
    // Somebody else has the port of a listener that the new configuration wants: known only when it is bound.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let second = format!("[[listener]]\naddress = \"{}\"\nzone = \"annex\"", taken.local_addr().unwrap());
    let good = ward.hospital.plan().text();
    ward.hospital.folder().write("sekimori.toml", ward.hospital.plan().clone().block(&second).text());
    let pid = ward.hospital.pid();
    ward.hospital.signal(Signal::USR2);
    eventually_in(Duration::from_secs(60), "it begins again", async || {
        let told = ward.hospital.log_text();
        (told.contains("this process begins again") && ward.hospital.is_ready()).then_some(())
    })
    .await;
    ward.caller.ask(ward.get("/again")).await.expect(200);
    assert_eq!(ward.hospital.pid(), pid);
    eventually("the alarm", async || {
        let metrics = operations(&ward.hospital, "/metrics").await.text();
        metrics.contains("sekimori_alarm{alarm=\"handover-failed\"} 1").then_some(())
    })
    .await;

    ward.hospital.folder().write("sekimori.toml", good);
    tokio::task::block_in_place(|| ward.hospital.hand_over());
    ward.caller.ask(ward.get("/after")).await.expect(200);
    assert!(ward.hospital.stop().success());
    is_whole(&ward, &["/again".to_owned(), "/after".to_owned()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_says_so_to_balancers_first_and_serves_who_still_comes() {
    let mut ward = Ward::open_with(|plan| plan.set("limits", "balancer_notice = \"4s\"")).await;
    ward.hospital.signal(Signal::TERM);
    eventually("readiness says no", async || {
        (operations(&ward.hospital, "/health/ready").await.status == 503).then_some(())
    })
    .await;
    for number in 0..5 {
        ward.caller.ask(ward.get(&format!("/late/{number}"))).await.expect(200);
    }
    assert!(ward.hospital.wait().success());
    let answered: Vec<String> = (0..5).map(|number| format!("/late/{number}")).collect();
    is_whole(&ward, &answered);
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_systemd_keeps_refuse_nobody_over_a_restart_and_a_kill() {
    let mut ward = Ward::open().await;
    ward.hospital.stop();
    // No systemd runs where tests do: this is a little of it, in Python, and no more than what the gateway asks of it.
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/keeper.py");
    let mut keeper = std::process::Command::new("python3")
        .arg(script)
        .arg(tests::sekimori())
        .current_dir(ward.hospital.folder().path())
        .spawn()
        .expect("python3 is installed");
    let folder = ward.hospital.folder().path().to_owned();
    let started = |times: usize| {
        let said = std::fs::read_to_string(folder.join("keeper.log")).unwrap_or_default();
        let pids: Vec<i32> = said.lines().filter_map(|line| line.strip_prefix("ready ")?.parse().ok()).collect();
        (pids.len() >= times).then(|| pids.last().copied()).flatten()
    };
    let mut answered = Vec::new();
    for (round, signal) in [Signal::KILL, Signal::TERM, Signal::KILL].into_iter().enumerate() {
        let pid =
            eventually_in(Duration::from_secs(60), "it is ready and its sockets are kept", async || started(round + 1))
                .await;
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
        eventually_in(Duration::from_secs(60), "it is gone", async || {
            rustix::process::test_kill_process(pid).is_err().then_some(())
        })
        .await;
        // Nobody serves at this moment, and nobody is refused.
        let path = format!("/meanwhile/{round}");
        ward.caller.ask(ward.get(&path)).await.expect(200);
        answered.push(path);
    }
    let last = eventually_in(Duration::from_secs(60), "it serves", async || started(4)).await;
    keeper.kill().unwrap();
    keeper.wait().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(last).unwrap(), Signal::KILL).ok();
    let records = ward.hospital.records();
    assert!(answered.iter().all(|path| records.opened(path).len() == 1));
    ward.hospital.run(&["audit", "verify"]).ok();
}
