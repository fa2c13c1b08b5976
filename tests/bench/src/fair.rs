//! What clicks wait while large downloads, or handshakes, go through the same worker: the wait of the slowest of a hundred,
//! against what it is without. The same for nginx, to compare.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::Resumption;
use tokio::task::{JoinHandle, spawn_local};

use crate::half_load::{paced, requests};
use crate::load::{Aim, Protocol, connect, connect_http1, percentile, read, request};
use crate::report::Wanted;
use crate::stage::Stage;

/// Clicks a second: a ward's, far from what either proxy can do.
const CLICKS_PER_SECOND: f64 = 500.0;
/// Downloads, or clients that shake hands again and again, at once.
const AT_ONCE: usize = 2;

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
    for _ in 0..span.rounds {
        for (aim, is_ours, ratios) in [(nginx.aim(gateway), false, &mut theirs), (gateway.aim(), true, &mut ours)] {
            let mut allowed = 0;
            let mut clicks = async || {
                let waits = paced(&aim, CLICKS_PER_SECOND, span.seconds).await;
                allowed += requests(&waits);
                percentile(&waits, 99).as_secs_f64()
            };
            let alone = clicks().await;
            let mut downloaded = 0;
            for (beside, ratios) in [Beside::Downloads, Beside::Handshakes].into_iter().zip(ratios) {
                let others = Others::begin(beside, &aim);
                // Until all of them are under way.
                tokio::time::sleep(Duration::from_millis(300)).await;
                ratios.push(clicks().await / alone);
                downloaded += others.end().await;
            }
            if is_ours {
                gateway.note_allowed(allowed + downloaded);
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
}

/// What goes on until it is ended.
struct Others {
    is_over: Rc<Cell<bool>>,
    tasks: Vec<JoinHandle<u64>>,
}

impl Others {
    fn begin(beside: Beside, aim: &Aim) -> Self {
        let is_over = Rc::new(Cell::new(false));
        let tasks = (0..AT_ONCE)
            .map(|_| match beside {
                Beside::Downloads => spawn_local(download(aim.clone(), Rc::clone(&is_over))),
                Beside::Handshakes => spawn_local(shake(aim.clone(), Rc::clone(&is_over))),
            })
            .collect();
        Self { is_over, tasks }
    }

    /// Ends it; how many requests were answered.
    async fn end(self) -> u64 {
        self.is_over.set(true);
        let mut answered = 0;
        for task in self.tasks {
            answered += task.await.unwrap();
        }
        answered
    }
}

async fn download(aim: Aim, is_over: Rc<Cell<bool>>) -> u64 {
    let mut answered = 0;
    let mut sender = connect_http1(&aim).await;
    while !is_over.get() {
        sender.ready().await.unwrap();
        let answer = sender.send_request(request(&aim, "/large", Protocol::Http1)).await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        read(answer.into_body()).await;
        answered += 1;
    }
    answered
}

async fn shake(aim: Aim, is_over: Rc<Cell<bool>>) -> u64 {
    let mut tls = ClientConfig::clone(&aim.tls);
    tls.resumption = Resumption::disabled();
    let aim = Aim { tls: Arc::new(tls), ..aim };
    while !is_over.get() {
        drop(connect(&aim, b"http/1.1").await);
    }
    0
}
