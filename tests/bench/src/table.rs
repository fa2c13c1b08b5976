//! Requests of four sizes and two protocols: each round every proxy once, and of each round the ratios.

use crate::load::{ALLOWED, Load, Measured, Protocol};
use crate::report::{Report, Wanted};
use crate::stage::Stage;

/// The gateway's name in the tables.
const OWN: &str = "sekimori";
const BARE: &str = "nginx bare";

/// What is asked for, and how.
struct Workload {
    name: &'static str,
    path: &'static str,
    protocol: Protocol,
    connections: usize,
    streams: usize,
}

const WORKLOADS: [Workload; 5] = [
    Workload { name: "h1 200 B", path: "/200", protocol: Protocol::Http1, connections: 64, streams: 1 },
    Workload { name: "h1 1 KB", path: "/1k", protocol: Protocol::Http1, connections: 64, streams: 1 },
    Workload { name: "h1 16 KB", path: "/16k", protocol: Protocol::Http1, connections: 64, streams: 1 },
    Workload { name: "h2 200 B", path: "/200", protocol: Protocol::Http2, connections: 16, streams: 16 },
    Workload { name: "h2 16 KB", path: "/16k", protocol: Protocol::Http2, connections: 16, streams: 16 },
];

/// What is wanted against a proxy.
fn wanted(protocol: Protocol, peer: &str) -> Wanted {
    match (protocol, peer) {
        (_, BARE) => Wanted::AtLeast(1.0),
        (Protocol::Http1, "nginx + auth_request") => Wanted::AtLeast(1.5),
        (Protocol::Http1, "Envoy + jwt_authn cached") => Wanted::AtLeast(4.0),
        (Protocol::Http1, "Apache + mod_auth_openidc") => Wanted::AtLeast(8.0),
        _ => Wanted::Nothing,
    }
}

/// One proxy in one workload: what each round gave.
struct Row {
    proxy: &'static str,
    rounds: Vec<Measured>,
}

/// Measures those workloads whose names hold this.
pub async fn run(stage: &mut Stage, only: &str) {
    for workload in WORKLOADS.iter().filter(|workload| workload.name.contains(only)) {
        let load = Load {
            path: workload.path,
            protocol: workload.protocol,
            connections: workload.connections,
            streams: workload.streams,
            seconds: stage.span.seconds,
            right: ALLOWED,
        };
        let mut rows: Vec<Row> = Vec::new();
        for round in 0..stage.span.rounds {
            for peer in stage.peers().filter(|peer| peer.speaks(workload.protocol)) {
                let measured = load.run(&peer.aim(&stage.gateway), peer.pid()).await;
                add(&mut rows, workload.name, round, peer.name, measured);
            }
            let measured = stage.gateway.measure(load, &stage.gateway.aim()).await;
            stage.gateway.note_allowed(measured.requests);
            add(&mut rows, workload.name, round, OWN, measured);
        }
        tell(&mut stage.report, workload, &rows);
    }
}

fn add(rows: &mut Vec<Row>, workload: &str, round: usize, proxy: &'static str, measured: Measured) {
    eprintln!(
        "{workload} round {round}: {proxy}: {:.0} requests/s, {:.1} us CPU ({:.1} of it index), p50 {:?}, p99 {:?}",
        measured.per_second(),
        1e6 / measured.per_cpu_second(),
        1e6 / measured.per_cpu_second() - 1e6 / measured.per_cpu_second_but_index(),
        measured.p50,
        measured.p99
    );
    match rows.iter_mut().find(|row| row.proxy == proxy) {
        Some(row) => row.rounds.push(measured),
        None => rows.push(Row { proxy, rounds: vec![measured] }),
    }
}

fn tell(report: &mut Report, workload: &Workload, rows: &[Row]) {
    let Some(own) = rows.iter().find(|row| row.proxy == OWN) else { return };
    let bare = rows.iter().find(|row| row.proxy == BARE);
    let name = workload.name;
    for row in rows {
        let cost = row.rounds.iter().map(|one| 1e6 / one.per_cpu_second()).collect();
        report.add(format!("{name}: CPU a request, {}", row.proxy), "us", Wanted::Nothing, cost);
        if let Some(bare) = bare {
            let ratios = ratios(row, bare, Measured::per_cpu_second);
            report.draw(name, row.proxy, crate::table::median(&mut ratios.clone()));
        }
    }
    for row in rows.iter().filter(|row| row.proxy != OWN) {
        let wanted = wanted(workload.protocol, row.proxy);
        let against = format!("{name}: x {}", row.proxy);
        report.add(format!("{against}, per CPU second"), "x", wanted, ratios(own, row, Measured::per_cpu_second));
        if row.proxy == BARE {
            let but_index = ratios(own, row, Measured::per_cpu_second_but_index);
            report.add(format!("{against}, per CPU second, index aside"), "x", Wanted::Nothing, but_index);
            report.add(format!("{against}, per second"), "x", Wanted::Nothing, ratios(own, row, Measured::per_second));
        }
    }
}

/// What one has of another, round by round.
fn ratios(one: &Row, other: &Row, figure: impl Fn(&Measured) -> f64) -> Vec<f64> {
    one.rounds.iter().zip(&other.rounds).map(|(one, other)| figure(one) / figure(other)).collect()
}

/// The middle of the figures; not a number where there are none.
pub fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    // Of an even number of figures the middle of two: neither the better nor the worse one.
    let at = |place: usize| figures.get(place).copied().unwrap_or(f64::NAN);
    f64::midpoint(at(figures.len().saturating_sub(1) / 2), at(figures.len() / 2))
}
