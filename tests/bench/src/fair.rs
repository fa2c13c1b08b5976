//! What clicks wait while large downloads, or handshakes, go through the same worker: the wait of the slowest of a hundred,
//! against what it is without. The same for nginx, to compare.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::Resumption;
use tokio::task::LocalSet;

use crate::half_load::{paced, requests};
use crate::load::{Aim, Protocol, connect, connect_http1, percentile, read, request};
use crate::report::Wanted;
use crate::stage::Stage;

/// Clicks a second: a ward's, far from what either proxy can do.
const CLICKS_PER_SECOND: f64 = 500.0;
/// Downloads, or clients that shake hands again and again, at once.
const AT_ONCE: usize = 2;

/// The least that a thread can matter.
const NICE_MAX: i32 = 19;

/// What goes on beside the clicks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Beside {
    Downloads,
    Handshakes,
}

/// Measures both, in turn.
pub async fn run(stage: &mut Stage) {
    let (gateway, nginx, span) = (&stage.gateway, &stage.nginx, &stage.span);
    let (mut ours, mut theirs) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
    let mut without = [const { Vec::new() }; 2];
    for _ in 0..span.rounds {
        for (aim, is_ours, ratios) in [(nginx.aim(gateway), false, &mut theirs), (gateway.aim(), true, &mut ours)] {
            let mut allowed = 0;
            let mut clicks = async || {
                let waits = paced(&aim, CLICKS_PER_SECOND, span.seconds).await;
                allowed += requests(&waits);
                percentile(&waits, 99).as_secs_f64()
            };
            let alone = clicks().await;
            if let Some(without) = without.get_mut(usize::from(is_ours)) {
                without.push(alone * 1e6);
            }
            let mut downloaded = 0;
            for (beside, ratios) in [Beside::Downloads, Beside::Handshakes].into_iter().zip(ratios) {
                let others = Others::begin(beside, &aim);
                // Until all of them are under way.
                tokio::time::sleep(Duration::from_millis(300)).await;
                ratios.push(clicks().await / alone);
                downloaded += others.end();
            }
            if is_ours {
                gateway.note_allowed(allowed + downloaded);
                gateway.settle().await;
            }
        }
    }
    let [downloads, handshakes] = ours;
    let report = &mut stage.report;
    report.add("clicks beside downloads: p99 x that without", "x", Wanted::AtMost(2.0), downloads);
    report.add("clicks beside handshakes: p99 x that without", "x", Wanted::AtMost(2.0), handshakes);
    let [downloads, handshakes] = theirs;
    report.add("the same at nginx bare, downloads", "x", Wanted::Nothing, downloads);
    report.add("the same at nginx bare, handshakes", "x", Wanted::Nothing, handshakes);
    let [theirs, ours] = without;
    report.add("clicks without either: p99", "us", Wanted::Nothing, ours);
    report.add("the same at nginx bare", "us", Wanted::Nothing, theirs);
}

/// What goes on until it is ended: each client on a thread of its own, which gives way to the clicks' clients. On one
/// thread with them, or as important as they, it would show how long the load generator makes a click wait.
struct Others {
    is_over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<u64>>,
}

impl Others {
    fn begin(beside: Beside, aim: &Aim) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let clients = (0..AT_ONCE).map(|_| {
            let (aim, is_over) = (aim.clone(), Arc::clone(&is_over));
            std::thread::spawn(move || {
                rustix::process::nice(NICE_MAX).expect("whoever gives way may");
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                LocalSet::new().block_on(&runtime, async {
                    match beside {
                        Beside::Downloads => download(aim, &is_over).await,
                        Beside::Handshakes => shake(aim, &is_over).await,
                    }
                })
            })
        });
        Self { clients: clients.collect(), is_over }
    }

    /// Ends it; how many requests were answered.
    fn end(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.clients.into_iter().map(|client| client.join().unwrap()).sum()
    }
}

async fn download(aim: Aim, is_over: &AtomicBool) -> u64 {
    let mut answered = 0;
    let mut sender = connect_http1(&aim).await;
    while !is_over.load(Ordering::Relaxed) {
        sender.ready().await.unwrap();
        let answer = sender.send_request(request(&aim, "/large", Protocol::Http1)).await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        read(answer.into_body()).await;
        answered += 1;
    }
    answered
}

async fn shake(aim: Aim, is_over: &AtomicBool) -> u64 {
    let mut tls = ClientConfig::clone(&aim.tls);
    tls.resumption = Resumption::disabled();
    let aim = Aim { tls: Arc::new(tls), ..aim };
    while !is_over.load(Ordering::Relaxed) {
        drop(connect(&aim, b"http/1.1").await);
    }
    0
}
