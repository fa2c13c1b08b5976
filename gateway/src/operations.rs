//! Health and metrics, on a listener of their own.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use audit::ClockState;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::bare_hosts;
use crate::gate::Gate;

/// Connections served at once; a scraper needs one.
const CONNECTIONS_MAX: usize = 16;
/// The whole life of a connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves `/healthz`, `/readyz`, `/readyz/strict`, `/readyz/balancer` and `/metrics` until the program ends.
pub async fn serve(gate: Arc<Gate>, listener: TcpListener) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // They end with this: none goes on telling of a gateway that has let go of its log.
    let mut connections = JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the operations listener paused");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let gate = Arc::clone(&gate);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let gate = Arc::clone(&gate);
                async move { Ok::<_, Infallible>(answer(&gate, &request)) }
            });
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(5))
                .serve_connection(TokioIo::new(stream), service);
            match tokio::time::timeout(CONNECTION_TIMEOUT, serving).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(error)) => tracing::debug!(%error, "operations connection ended"),
            }
            drop(slot);
        });
    }
}

fn answer(gate: &Gate, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    match (request.method().as_str(), request.uri().path()) {
        ("GET", "/healthz" | "/health/live") => text(StatusCode::OK, "live\n".to_owned()),
        ("GET", "/readyz" | "/health/ready") => readiness(&Lack::of(gate), Asked::Serve),
        ("GET", "/readyz/strict") => readiness(&Lack::of(gate), Asked::ServeWell),
        ("GET", "/readyz/balancer") => readiness(&Lack::of(gate), Asked::Stay),
        ("GET", "/metrics") => {
            refresh(gate);
            let mut response = text(StatusCode::OK, gate.metrics.text());
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            response
        }
        _ => text(
            StatusCode::NOT_FOUND,
            "not found: try /healthz, /readyz, /readyz/strict, /readyz/balancer or /metrics\n".to_owned(),
        ),
    }
}

/// What is asked of readiness.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    /// Whether requests can be judged and recorded.
    Serve,
    /// Whether nothing is missing: a balancer sends people elsewhere first.
    ServeWell,
    /// Whether those who are there may stay, if nobody new is to come: HAProxy takes 404 for that (`disable-on-404`), and
    /// everything else that is not 200 for a fault, at which it cuts what is open.
    Stay,
}

/// What is missing. The first three end readiness. The others do only where nothing is to be missing: who is signed in goes
/// on while the store is away, and the first certificate comes only where its CA reaches the node.
#[derive(Default, Debug)]
struct Lack {
    stopping: bool,
    log: Option<String>,
    certificates: bool,
    first_certificate: bool,
    hosts_without: usize,
    store: bool,
}

impl Lack {
    fn of(gate: &Gate) -> Self {
        let (log, ends, now) = (gate.log.health(), gate.certificates.expiries(), gate.clock.now());
        let unwritable = || log.problem.clone().unwrap_or_else(|| "the access log cannot be written".to_owned());
        Self {
            stopping: gate.is_stopping(),
            log: (!log.writable).then(unwritable),
            certificates: ends.iter().all(|(_, ends_at)| *ends_at < now) && !ends.is_empty(),
            first_certificate: ends.is_empty(),
            hosts_without: bare_hosts::of(&gate.snapshot.load().config, &gate.certificates).len(),
            store: gate.metrics.store_alarm.get() != 0,
        }
    }
}

/// Says what is missing, a line each.
fn readiness(lack: &Lack, asked: Asked) -> Response<Full<Bytes>> {
    let mut missing = Vec::new();
    missing.extend(lack.stopping.then(|| "stopping".to_owned()));
    missing.extend(lack.log.as_ref().map(|reason| format!("not ready: log: {reason}")));
    missing.extend(lack.certificates.then(|| "not ready: certificates: all have expired".to_owned()));
    let only_stops = lack.stopping && missing.len() == 1;
    let status = match asked {
        Asked::Stay if only_stops => StatusCode::NOT_FOUND,
        Asked::Serve | Asked::Stay if missing.is_empty() => StatusCode::OK,
        Asked::ServeWell if missing.is_empty() && !lack.store && lack.hosts_without == 0 => StatusCode::OK,
        Asked::Serve | Asked::ServeWell | Asked::Stay => StatusCode::SERVICE_UNAVAILABLE,
    };
    missing.extend(match (lack.first_certificate, lack.hosts_without) {
        (true, _) => Some("degraded: certificates: none yet".to_owned()),
        (false, 0) => None,
        (false, hosts) => Some(format!("degraded: certificates: none yet for {hosts} of the hosts")),
    });
    missing.extend(lack.store.then(|| "degraded: store: it does not answer".to_owned()));
    if missing.is_empty() {
        missing.push("ready".to_owned());
    }
    text(status, missing.join("\n") + "\n")
}

/// Brings the gauges up to date.
fn refresh(gate: &Gate) {
    let (metrics, log, snapshot) = (&gate.metrics, gate.log.health(), gate.snapshot.load());
    let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    metrics.log_writable.set(i64::from(log.writable));
    metrics.open_accesses.set(gauge(log.open_accesses as u64));
    metrics.log_free_bytes.set(gauge(log.free_bytes));
    metrics.log_full_percent.set(i64::from(log.full_percent));
    metrics.log_size_bytes.set(gauge(log.size_bytes));
    metrics.log_archive_alarm.set(i64::from(log.archive_problem.is_some()));
    metrics.clock_alarm.set(i64::from(log.clock.state == ClockState::Unsynchronised));
    metrics.log_spool_bytes.set(gauge(log.spool_bytes));
    let lag = gate.index.as_ref().map(find::Index::lag).unwrap_or_default();
    metrics.index_behind.set(gauge(lag.behind));
    let is_followed = gate.index.as_ref().is_some_and(|index| index.trouble().is_none());
    metrics.index_alarm.set(i64::from(!is_followed));
    let down = snapshot.routes.apps().flat_map(|route| &route.servers).filter(|server| !server.answers.yes()).count();
    metrics.upstreams_down.set(gauge(down as u64));
    let now = gate.clock.now().unix_seconds();
    if let Some(first) = gate.roots.crls().into_iter().map(|crl| crl.usable_until).min() {
        metrics.crl_seconds_left.set(first.unix_seconds().saturating_sub(now));
    }
    if let Some(first) = gate.certificates.expiries().into_iter().map(|(_, ends_at)| ends_at).min() {
        metrics.certificate_seconds_left.set(first.unix_seconds().saturating_sub(now));
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said(lack: &Lack, asked: Asked) -> (u16, String) {
        use http_body_util::BodyExt as _;
        let answer = readiness(lack, asked);
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_says_everything_that_is_missing() {
        assert_eq!(said(&Lack::default(), Asked::Serve).await, (200, "ready\n".to_owned()));
        let log = Some("full".to_owned());
        let all =
            Lack { stopping: true, log, certificates: true, first_certificate: false, hosts_without: 0, store: true };
        let (status, text) = said(&all, Asked::Serve).await;
        assert_eq!((status, text.lines().count()), (503, 4), "{text}");
        for lack in [
            Lack { stopping: true, ..Lack::default() },
            Lack { log: Some("full".to_owned()), ..Lack::default() },
            Lack { certificates: true, ..Lack::default() },
        ] {
            assert_eq!(said(&lack, Asked::Serve).await.0, 503, "{lack:?}");
        }
    }

    #[tokio::test]
    async fn a_balancer_hears_by_404_that_it_stops_and_by_503_that_something_is_wrong() {
        let stops = Lack { stopping: true, ..Lack::default() };
        assert_eq!(said(&Lack::default(), Asked::Stay).await.0, 200);
        assert_eq!(said(&stops, Asked::Stay).await, (404, "stopping\n".to_owned()));
        assert_eq!(said(&Lack { store: true, ..stops }, Asked::Stay).await.0, 404);
        for lack in [
            Lack { log: Some("full".to_owned()), ..Lack::default() },
            Lack { certificates: true, ..Lack::default() },
            Lack { stopping: true, log: Some("full".to_owned()), ..Lack::default() },
        ] {
            assert_eq!(said(&lack, Asked::Stay).await.0, 503, "{lack:?}");
        }
    }

    #[tokio::test]
    async fn what_others_may_have_ends_readiness_only_where_they_are_to_serve_first() {
        for (lack, words) in [
            (Lack { store: true, ..Lack::default() }, "degraded: store: it does not answer\n"),
            (
                Lack { first_certificate: true, hosts_without: 3, ..Lack::default() },
                "degraded: certificates: none yet\n",
            ),
            (Lack { hosts_without: 2, ..Lack::default() }, "degraded: certificates: none yet for 2 of the hosts\n"),
        ] {
            for asked in [Asked::Serve, Asked::Stay] {
                assert_eq!(said(&lack, asked).await, (200, words.to_owned()), "{asked:?}");
            }
            assert_eq!(said(&lack, Asked::ServeWell).await, (503, words.to_owned()));
        }
    }
}
