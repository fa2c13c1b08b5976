//! The gateway is replaced while people work: no connection is refused, no request fails, no record is missing, and a
//! replacement that cannot serve changes nothing.

use std::net::TcpListener;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tests::{Answer, Device, Hospital, Plan, Session, Surroundings, Upstream, eventually, eventually_in};

use crate::crowd::{Crowd, Kind, WAIT_MAX, is_whole};
use crate::operations::operations;
use crate::stream::{close_code, open_socket};
use crate::ward::Ward;

const HANDOVERS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_handovers_under_load_fail_no_request_and_lose_no_record() {
    let mut ward = Ward::open().await;
    let kinds = [Kind::Kept, Kind::Kept, Kind::Kept, Kind::Fresh, Kind::Fresh, Kind::Http2];
    let crowd = Crowd::begin(kinds.map(|kind| (ward.caller.clone(), kind)), &ward.doctor);
    for _ in 0..HANDOVERS {
        crowd.goes_on().await;
        tokio::task::block_in_place(|| ward.hospital.hand_over());
    }
    let all = crowd.stop().await;
    assert!(ward.hospital.stop().success());
    eprintln!(
        "{} requests answered over {HANDOVERS} handovers, {} sent again, none failed; the longest wait was {:?}",
        all.answered.len(),
        all.again,
        all.longest
    );
    assert!(all.longest < WAIT_MAX, "{:?}", all.longest);
    is_whole(&[&ward.hospital], &all.answered);
    let records = ward.hospital.records();
    assert_eq!(records.with("ev", "started").len(), HANDOVERS + 1);
    assert_eq!(records.with("ev", "stopped").len(), HANDOVERS + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_told_to_come_again_downloads_finish_and_who_comes_meanwhile_waits() {
    let mut ward = Ward::open_with(|plan| plan.set("limits", "handover_timeout = \"30s\"")).await;
    let socket = open_socket(&ward.caller, ward.get("/socket/ward")).await;
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
        let close = close_code(socket, Duration::from_secs(300)).await;
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
    is_whole(&[&ward.hospital], &["/still".to_owned(), "/after".to_owned()]);
}

#[tokio::test]
async fn the_first_process_of_a_container_hands_over_to_nobody_and_goes_on() {
    let emr = Upstream::http1();
    let mut hospital = Hospital::build_in(Plan::with_emr(emr.address()), |_| Surroundings::as_process_one());
    let terminal = Device::add(&hospital, "ward-pc-1", "fixed").await;
    let doctor = Session::open(&hospital, "doctor", Some(&terminal), &["emr"]).await;
    hospital.start();
    let children = format!("/proc/{0}/task/{0}/children", hospital.pid());
    let gateway = std::fs::read_to_string(children).unwrap().trim().parse().ok().and_then(Pid::from_raw).unwrap();
    kill_process(gateway, Signal::USR2).unwrap();
    eventually("it says why not", async || {
        let told = hospital.log_text();
        (told.contains("nobody takes over") && told.contains("process 1")).then_some(())
    })
    .await;
    hospital.caller(&terminal).ask(tests::Ask::get("emr", "/still").signed_in(&doctor)).await.expect(200);
    eventually("the alarm", async || {
        let metrics = operations(&hospital, "/metrics").await.text();
        metrics.contains("sekimori_alarm{alarm=\"handover-failed\"} 1").then_some(())
    })
    .await;
    kill_process(gateway, Signal::TERM).unwrap();
    assert!(hospital.wait().success());
    is_whole(&[&hospital], &["/still".to_owned()]);
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
    is_whole(&[&ward.hospital], &["/again".to_owned(), "/after".to_owned()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_says_so_to_balancers_first_and_serves_who_still_comes() {
    let mut ward = Ward::open_with(|plan| plan.set("limits", "balancer_notice = \"300s\"")).await;
    ward.hospital.signal(Signal::TERM);
    eventually("readiness says no", async || {
        (operations(&ward.hospital, "/health/ready").await.status == 503).then_some(())
    })
    .await;
    // To one that asks as HAProxy does it says that it is no failure: what is open there may end in order.
    assert_eq!(operations(&ward.hospital, "/readyz/balancer").await.status, 404);
    for number in 0..5 {
        ward.caller.ask(ward.get(&format!("/late/{number}"))).await.expect(200);
    }
    // Said once more, it waits no longer.
    assert!(ward.hospital.stop().success());
    let answered: Vec<String> = (0..5).map(|number| format!("/late/{number}")).collect();
    is_whole(&[&ward.hospital], &answered);
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
