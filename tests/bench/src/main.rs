//! The gateway, with every check on, beside nginx with none, in one run: the same upstream, the same load, in turn.
//! Prints ratios, and CPU per request of the whole process tree; absolute figures of two runs mean nothing.
//!
//! The proxy under test is pinned to one processor, load and upstream to the other. Bounded in count and time; talks to
//! loopback only; ends what it started.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a benchmark fails loudly, prints its table and dials the proxies"
)]

mod bulk;
mod connect;
mod gateway;
mod gauge;
mod handshakes;
mod idle;
mod load;
mod nginx;
mod sign_in;
mod table;

use clap::Parser;

use crate::load::{Aim, Load, Protocol};
use crate::table::{Row, Table};

/// The gateway beside nginx.
#[derive(Parser, Debug)]
struct Args {
    /// Interleaved rounds; the median of their ratios is told.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds a measurement.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Only workloads whose name holds this.
    #[arg(long, default_value = "")]
    only: String,
    /// Megabytes of the large download.
    #[arg(long, default_value_t = 1024)]
    megabytes: u64,
    /// Idle connections to hold at each.
    #[arg(long, default_value_t = 5_000)]
    idle: usize,
    /// Only sign-ins by passkey: how many a second, and how long they take.
    #[arg(long)]
    sign_ins: bool,
    /// Only a port by `sekimori connect`, beside the port itself and `ssh -L`.
    #[arg(long)]
    connect: bool,
}

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

fn main() {
    let args = Args::parse();
    gauge::pin_to(gauge::LOAD_CPU);
    // The provider is installed once; a second installation cannot happen here.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, run(&args));
}

async fn run(args: &Args) {
    if args.sign_ins {
        return sign_in::run(args.seconds).await;
    }
    if args.connect {
        return connect::run(args.rounds, args.megabytes.min(256)).await;
    }
    let upstream = nginx::Upstream::start(args.megabytes);
    let gateway = gateway::Gateway::start(upstream.address()).await;
    let peers = vec![
        nginx::Proxy::start(nginx::Kind::Bare, upstream.address(), &gateway),
        nginx::Proxy::start(nginx::Kind::AccessLog, upstream.address(), &gateway),
        nginx::Proxy::start(nginx::Kind::AuthRequest, upstream.address(), &gateway),
    ];
    println!("load average at the start: {}", gauge::load_average());
    let mut table = Table::default();
    let mut counted = 0;
    for workload in WORKLOADS.iter().filter(|workload| workload.name.contains(&args.only)) {
        for round in 0..args.rounds {
            let mut row = Row::new(workload.name, round);
            for peer in &peers {
                row.add(peer.name(), measure(args, workload, &peer.aim(&gateway), peer.pid()).await);
            }
            let own = measure(args, workload, &gateway.aim(), gateway.pid()).await;
            counted += own.requests;
            row.add("sekimori", own);
            table.add(row);
        }
    }
    table.print();
    let is_wanted = |name: &str| name.contains(&args.only);
    if is_wanted("bulk") {
        bulk::run(args.rounds, args.megabytes, &peers[0], &gateway).await;
    }
    if is_wanted("handshakes") {
        handshakes::run(args.rounds, args.seconds, &peers[0], &gateway).await;
    }
    if is_wanted("idle") {
        idle::run(args.idle, &peers[0], &gateway).await;
    }
    println!("load average at the end: {}", gauge::load_average());
    let recorded = gateway.stop_and_count();
    drop(peers);
    println!("requests answered by sekimori: {counted}; opening lines in its log: {recorded}");
    assert!(recorded >= counted, "an answered request has no record");
}

async fn measure(args: &Args, workload: &Workload, aim: &Aim, pid: u32) -> load::Measured {
    let load = Load {
        path: workload.path,
        protocol: workload.protocol,
        connections: workload.connections,
        streams: workload.streams,
        seconds: args.seconds,
    };
    load.run(aim, pid).await
}
