//! The gateway, with every check on, beside others with less, in one run: the same upstream, the same load, in turn.
//! Prints ratios, and CPU per request of the whole process tree; absolute figures of two runs mean nothing.
//!
//! The proxy under test is pinned to one processor, load and upstream to the other. Bounded in count and time; talks to
//! loopback only; ends what it started. `docs/performance.md` tells how it is used.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a benchmark fails loudly, prints its table and dials the proxies"
)]

mod apache;
mod bulk;
mod chart;
mod client;
mod connect;
mod envoy;
mod fair;
mod gateway;
mod gauge;
mod half_load;
mod handshakes;
mod haproxy;
mod held;
mod load;
mod nginx;
mod nodes;
mod peer;
mod refused;
mod report;
mod sign_in;
mod sockets;
mod stage;
mod synced;
mod table;
mod token;

use std::path::PathBuf;

use clap::Parser;

use crate::stage::{Span, Stage};

/// The gateway beside nginx, and beside HAProxy, Envoy and Apache where they are.
#[derive(Parser, Debug)]
struct Args {
    /// Interleaved rounds; the median of their ratios is told.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds a measurement.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Only workloads whose name holds this: `h1 200 B`, `h1 1 KB`, `h1 16 KB`, `h2 200 B`, `h2 16 KB`, `half load`,
    /// `refused`, `synced`, `WebSocket`, `bulk`, `handshakes`, `held`, `fair`.
    #[arg(long, default_value = "")]
    only: String,
    /// Beside bare nginx only peers whose name holds this: `nginx`, `haproxy`, `envoy`, `apache`; `none` for no other.
    #[arg(long, default_value = "")]
    peers: String,
    /// Megabytes of the large download.
    #[arg(long, default_value_t = 1024)]
    megabytes: u64,
    /// Connections, WebSockets and devices to hold.
    #[arg(long, default_value_t = 5_000)]
    held: usize,
    /// One short round of everything, to see that all of it works; its figures mean little.
    #[arg(long)]
    short: bool,
    /// A folder for `figures.json` and `speed.svg`.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Only sign-ins by passkey: how many a second, and how long they take.
    #[arg(long)]
    sign_ins: bool,
    /// Only a port by `sekimori connect`, beside the port itself and `ssh -L`.
    #[arg(long)]
    connect: bool,
    /// Only two nodes on one database beside one, each bounded to `--share` of a processor; as root.
    #[arg(long)]
    nodes: bool,
    /// The share of a processor that each node gets, in per cent.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(5..=45))]
    share: u32,
}

impl Args {
    fn span(&self) -> Span {
        let Self { rounds, seconds, megabytes, held, .. } = *self;
        if self.short {
            return Span { rounds: 1, seconds: seconds.min(1.0), megabytes: megabytes.min(64), held: held.min(200) };
        }
        Span { rounds, seconds, megabytes, held }
    }
}

fn main() {
    let args = Args::parse();
    gauge::pin_to(gauge::LOAD_CPU);
    // The provider is installed once; a second installation cannot happen here.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, run(&args));
}

async fn run(args: &Args) {
    let span = args.span();
    if args.sign_ins {
        return sign_in::run(span.seconds).await;
    }
    if args.connect {
        return connect::run(span.rounds, span.megabytes.min(256)).await;
    }
    if args.nodes {
        return nodes::run(span.rounds, span.seconds, args.share).await;
    }
    let is_wanted = |name: &str| name.contains(&args.only);
    let mut stage = Stage::set(span, &args.peers).await;
    table::run(&mut stage, &args.only).await;
    if is_wanted("half load") {
        half_load::run(&mut stage).await;
    }
    if is_wanted("refused") {
        refused::run(&mut stage).await;
    }
    if is_wanted("synced") {
        synced::run(&mut stage).await;
    }
    if is_wanted("WebSocket") {
        sockets::run(&mut stage).await;
    }
    if is_wanted("bulk") {
        bulk::run(&mut stage).await;
    }
    if is_wanted("handshakes") {
        handshakes::run(&mut stage).await;
    }
    if is_wanted("fair") {
        fair::run(&mut stage).await;
    }
    if is_wanted("held") {
        held::run(&mut stage).await;
    }
    let Stage { gateway, mut report, .. } = stage;
    gateway.stop_and_count().hold();
    report.tell(args.out.as_deref());
}
