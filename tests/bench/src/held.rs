//! What stays in memory costs: an open connection that asks nothing, an open WebSocket, a session in use, a device of the
//! ledger. Each is measured on processes that did nothing before, because memory that was used once is not given back at
//! once.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::SendRequest;
use policy::{DeviceClass, DeviceId, Fingerprint};
use store::{CertificateRecord, DeviceRecord};
use tests::eventually_in;

use crate::gateway::{Gateway, Rates};
use crate::gauge;
use crate::load::{Aim, Protocol, connect_http1, connect_http2, request};
use crate::nginx::{self, Kind};
use crate::report::Wanted;
use crate::sockets;
use crate::stage::Stage;

/// What is opened before anything is measured: for them a process makes its tables and buffers.
const FIRST: usize = 50;
/// Sessions that are opened: each costs the store some milliseconds.
const SESSIONS_MAX: usize = 2_000;
/// What is freed in the background has time to be.
const SETTLE: Duration = Duration::from_secs(2);
const LEDGER_PATIENCE: Duration = Duration::from_secs(120);

/// What is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Held {
    Http1,
    Http2,
    Socket,
}

/// Measures all of it.
pub async fn run(stage: &mut Stage) {
    let count = stage.span.held;
    for (held, what, wanted) in [
        (Held::Http1, "idle connection", Wanted::AtMost(21.0)),
        (Held::Http2, "idle connection, h2", Wanted::Nothing),
        (Held::Socket, "open WebSocket", Wanted::Nothing),
    ] {
        let gateway = stage.fresh(Rates::Endless).await;
        let nginx = nginx::proxy(Kind::Bare, &gateway);
        let aim = if held == Held::Socket { gateway.socket() } else { gateway.aim() };
        let theirs = hold(held, &nginx.aim_like(&aim), || nginx.pids(), count).await;
        let ours = hold(held, &aim, || vec![gateway.pid()], count).await;
        gateway.note_allowed((FIRST + count) as u64);
        gateway.stop_and_count().hold();
        stage.report.add(format!("{what}, {count}: sekimori"), "KiB", wanted, vec![ours]);
        stage.report.add(format!("{what}, {count}: nginx bare"), "KiB", Wanted::Nothing, vec![theirs]);
    }
    let gateway = stage.fresh(Rates::Endless).await;
    let sessions = count.min(SESSIONS_MAX);
    let (session, device) = (sessions_cost(&gateway, sessions).await, devices_cost(&gateway, count).await);
    gateway.stop_and_count().hold();
    stage.report.add(format!("session in use, {sessions}"), "KiB", Wanted::Nothing, vec![session]);
    stage.report.add(format!("device of the ledger, {count}"), "KiB", Wanted::Nothing, vec![device]);
}

fn memory(pids: &[u32]) -> f64 {
    pids.iter().map(|pid| gauge::own_memory(*pid)).sum::<u64>() as f64 / 1024.0
}

/// By how many KiB the processes grow for each.
async fn hold(held: Held, aim: &Aim, pids: impl Fn() -> Vec<u32>, count: usize) -> f64 {
    let mut before = 0.0;
    let (mut one_at_a_time, mut many, mut open) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..FIRST + count {
        if number == FIRST {
            tokio::time::sleep(SETTLE).await;
            before = memory(&pids());
        }
        match held {
            Held::Http1 => {
                let mut sender = connect_http1(aim).await;
                ask(&mut sender, aim).await;
                one_at_a_time.push(sender);
            }
            Held::Http2 => {
                let mut sender = connect_http2(aim).await;
                let answer = sender.send_request(request(aim, "/200", Protocol::Http2)).await.unwrap();
                assert_eq!(answer.status(), 200, "{answer:?}");
                answer.into_body().collect().await.unwrap();
                many.push(sender);
            }
            Held::Socket => {
                let mut socket = sockets::open(aim).await;
                socket.send("hello").await.unwrap();
                socket.next().await.expect("an echo");
                open.push(socket);
            }
        }
    }
    tokio::time::sleep(SETTLE).await;
    (memory(&pids()) - before) / count as f64
}

async fn ask(sender: &mut SendRequest<Empty<Bytes>>, aim: &Aim) {
    sender.ready().await.unwrap();
    let answer = sender.send_request(request(aim, "/200", Protocol::Http1)).await.unwrap();
    assert_eq!(answer.status(), 200, "{answer:?}");
    answer.into_body().collect().await.unwrap();
}

/// What a session costs that asked once: itself, its person, and what the policy remembers of both. What as many requests
/// of one session cost beside it (the log, its index) is taken off.
async fn sessions_cost(gateway: &Gateway, count: usize) -> f64 {
    let (pids, own) = (vec![gateway.pid()], gateway.aim());
    let mut aims = Vec::with_capacity(count);
    for number in 0..count {
        let cookie = gateway.another(&format!("nurse-{number}")).await;
        aims.push(Aim { fields: vec![("cookie", cookie)], ..own.clone() });
    }
    let mut sender = connect_http1(&own).await;
    let mut grown = Vec::new();
    for turn in 0..3 {
        let before = memory(&pids);
        for aim in &aims {
            ask(&mut sender, if turn == 2 { aim } else { &own }).await;
        }
        tokio::time::sleep(SETTLE).await;
        grown.push(memory(&pids) - before);
    }
    gateway.note_allowed(3 * count as u64);
    // The first turn only warms what one session uses.
    (grown[2] - grown[1]) / count as f64
}

/// What a device costs that the ledger knows, with one certificate.
async fn devices_cost(gateway: &Gateway, count: usize) -> f64 {
    let (hospital, pids) = (gateway.hospital(), vec![gateway.pid()]);
    let (store, at) = (hospital.store(), tests::now());
    let before = memory(&pids);
    for number in 0..count {
        let id = DeviceId::parse(&format!("ward-{number}")).expect("a name");
        let mut digest = [7; 32];
        digest[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let certificates = vec![CertificateRecord::own(Fingerprint::new(digest), at, policy::Timestamp::MAX)];
        let device = DeviceRecord { certificates, ..DeviceRecord::new(id, DeviceClass::WardShared, at) };
        store.add_device(device, "bench".to_owned()).await.expect("the store takes a device");
    }
    let last = format!("ward-{}", count.saturating_sub(1));
    let heard = async || (!hospital.records().with("ev", "device-added").with("dev", &last).is_empty()).then_some(());
    eventually_in(LEDGER_PATIENCE, "the gateway hears of the last device", heard).await;
    tokio::time::sleep(SETTLE).await;
    (memory(&pids) - before) / count as f64
}
