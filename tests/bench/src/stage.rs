//! What every workload needs: the proxies, how long to measure, and the report.

use crate::gateway::{Gateway, Rates};
use crate::nginx::{self, Kind, Upstream};
use crate::peer::Peer;
use crate::report::Report;
use crate::{apache, envoy, haproxy};

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Span {
    /// Interleaved rounds.
    pub rounds: usize,
    /// Seconds a measurement.
    pub seconds: f64,
    /// Megabytes of the large download.
    pub megabytes: u64,
    /// Connections that are held open.
    pub held: usize,
}

/// The proxies in their places.
#[derive(Debug)]
pub struct Stage {
    /// How much is measured.
    pub span: Span,
    /// The server behind them.
    pub upstream: Upstream,
    /// The server with the WebSocket: the tests' own.
    pub sockets: tests::Upstream,
    /// The gateway.
    pub gateway: Gateway,
    /// nginx that only proxies.
    pub nginx: Peer,
    /// All others.
    pub others: Vec<Peer>,
    /// What came out so far.
    pub report: Report,
}

impl Stage {
    /// Starts everything; of the peers those whose names hold this and that are here.
    pub async fn set(span: Span, wanted: &str) -> Self {
        let upstream = Upstream::start(span.megabytes);
        let sockets = tests::Upstream::http1();
        let gateway = Gateway::start(upstream.address(), sockets.address(), Rates::Endless).await;
        let nginx = nginx::proxy(Kind::Bare, &gateway);
        let mut others = Vec::new();
        let is_wanted = |name: &str| name.contains(wanted);
        for kind in [Kind::AccessLog, Kind::AuthRequest] {
            if is_wanted("nginx") {
                others.push(nginx::proxy(kind, &gateway));
            }
        }
        let mut absent = Vec::new();
        for (name, program) in [("haproxy", haproxy::PROGRAM), ("envoy", envoy::PROGRAM), ("apache", apache::PROGRAM)] {
            match (is_wanted(name), crate::peer::is_here(program)) {
                (false, _) => {}
                (true, false) => absent.push(name),
                (true, true) if name == "haproxy" => others.push(haproxy::proxy(&gateway)),
                (true, true) if name == "envoy" => {
                    others.extend(envoy::Kind::ALL.map(|kind| envoy::proxy(kind, &gateway)));
                }
                (true, true) => match apache::proxy(&gateway).await {
                    Some(peer) => others.push(peer),
                    None => absent.push("mod_auth_openidc"),
                },
            }
        }
        if !absent.is_empty() {
            println!("not on this machine, so not measured: {}", absent.join(", "));
        }
        let report = Report::begin(gateway.hospital().folder().path());
        Self { span, upstream, sockets, gateway, nginx, others, report }
    }

    /// Another gateway in front of the same servers, in a process that did nothing yet.
    pub async fn fresh(&self, rates: Rates) -> Gateway {
        Gateway::start(self.upstream.address(), self.sockets.address(), rates).await
    }

    /// Every proxy but the gateway.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        std::iter::once(&self.nginx).chain(&self.others)
    }
}
