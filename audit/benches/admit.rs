//! How many accesses a second one worker can record: opening line, closing line, nothing else.
//!
//! `cargo bench -p audit`. Each sample records a burst of accesses on a current-thread runtime, as a worker does with
//! the requests that are ready together; every one is in the file before its act.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark stops where it cannot go on"
)]

mod hospital;

use std::sync::Arc;
use std::time::Duration;

use audit::{End, Outcome, Recorder};
use config::OnLogFailure;
use divan::counter::ItemsCount;
use policy::{Access, Action, AppId, Authorized, Host, Judge, Method, Path, RequestId, Verdict, Who, ZoneId};

use hospital::{clock, policy, who};

const ACCESSES: usize = 2_048;

fn main() {
    divan::main();
}

/// Reads, `Written`, so many requests ready together.
#[divan::bench(args = [1, 16, 64, 256])]
fn written(bencher: divan::Bencher<'_, '_>, together: usize) {
    run(bencher, Action::Read, together);
}

/// Writes, `Synced`, so many requests ready together.
#[divan::bench(args = [64, 256], sample_count = 20)]
fn synced(bencher: divan::Bencher<'_, '_>, together: usize) {
    run(bencher, Action::Write, together);
}

fn run(bencher: divan::Bencher<'_, '_>, action: Action, together: usize) {
    let directory = std::env::temp_dir().join(format!("sekimori-audit-bench-{}-{together}", std::process::id()));
    let log = hospital::open(&directory, &hospital::config(&directory), clock());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let local = tokio::task::LocalSet::new();
    let recorder = log.recorder();
    bencher
        .counter(ItemsCount::new(ACCESSES))
        .with_inputs(|| authorized(action))
        .bench_local_values(|accesses| local.block_on(&runtime, record(&recorder, accesses, together)));
    drop((recorder, log));
    drop(std::fs::remove_dir_all(&directory));
}

/// So many tasks, each with its share of the accesses, one after the other.
async fn record(recorder: &Recorder, accesses: Vec<Authorized<()>>, together: usize) {
    let mut shares: Vec<Vec<Authorized<()>>> = (0..together).map(|_| Vec::new()).collect();
    for (place, access) in accesses.into_iter().enumerate() {
        shares[place % together].push(access);
    }
    let tasks: Vec<_> = shares
        .into_iter()
        .map(|share| {
            let recorder = recorder.clone();
            tokio::task::spawn_local(async move {
                for access in share {
                    let (_, receipt) = recorder.admit(access, OnLogFailure::Refuse).await.unwrap().open();
                    let duration = Duration::from_micros(700);
                    let outcome = Outcome {
                        status: Some(200),
                        end: End::Served,
                        bytes_in: 0,
                        bytes_out: 1_024,
                        duration,
                        patients: None,
                        said: None,
                    };
                    receipt.close(outcome);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

fn authorized(action: Action) -> Vec<Authorized<()>> {
    let mut judge = Judge::new(Arc::new(policy()));
    let who = Arc::new(who());
    (0..ACCESSES as u128)
        .map(|n| match judge.judge(access(action, n, &who), ()) {
            Verdict::Allow(authorized) => authorized,
            other @ (Verdict::Challenge(..) | Verdict::Deny(_)) => panic!("{other:?}"),
        })
        .collect()
}

fn access(action: Action, n: u128, who: &Arc<Who>) -> Access {
    let at = clock().now();
    Access {
        request: RequestId::new(at, n),
        at,
        app: AppId::parse("emr").unwrap(),
        action,
        class: None,
        method: Method::parse(if action == Action::Read { "GET" } else { "POST" }).unwrap(),
        host: Host::parse("emr.hosp.example").unwrap(),
        path: Path::parse("/fhir/Patient/00012345/Observation").unwrap(),
        who: Some(Arc::clone(who)),
        device: None,
        from: policy::From { address: "10.1.2.3".parse().unwrap(), zone: ZoneId::parse("inside").unwrap() },
        grant: None,
    }
}
