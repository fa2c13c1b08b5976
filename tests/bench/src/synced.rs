//! `Synced` against `Written`: every record on disk before the app is asked, with as many clients as a hospital has.

use crate::load::{ALLOWED, Load, Protocol};
use crate::report::Wanted;
use crate::stage::Stage;

const CLIENTS: usize = 256;

/// Measures both in turn.
pub async fn run(stage: &mut Stage) {
    let load = Load {
        path: "/1k",
        protocol: Protocol::Http1,
        connections: CLIENTS,
        streams: 1,
        seconds: stage.span.seconds,
        right: ALLOWED,
    };
    let gateway = &stage.gateway;
    let (mut rate, mut cost, mut p50, mut p99) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..stage.span.rounds {
        let written = gateway.measure(load, &gateway.aim()).await;
        let synced = gateway.measure(load, &gateway.synced()).await;
        gateway.note_allowed(written.requests + synced.requests);
        rate.push(synced.per_second() / written.per_second());
        cost.push(synced.per_cpu_second() / written.per_cpu_second());
        p50.push(synced.p50.as_secs_f64() * 1e3);
        p99.push(synced.p99.as_secs_f64() * 1e3);
    }
    stage.report.add("synced, 256 clients: x written, per second", "x", Wanted::AtLeast(0.5), rate);
    stage.report.add("synced, 256 clients: x written, per CPU second", "x", Wanted::Nothing, cost);
    stage.report.add("synced, 256 clients: p50", "ms", Wanted::Nothing, p50);
    stage.report.add("synced, 256 clients: p99", "ms", Wanted::Nothing, p99);
}
