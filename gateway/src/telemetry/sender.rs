//! Tells the collector what ended: some at once, within bounds; what it does not take is dropped and counted.

use std::sync::Arc;
use std::time::Duration;

use config::{Config, Scheme, UpstreamProtocol, UpstreamTls};
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

use super::otlp;
use super::trace::Finished;
use crate::fetch::exchange;
use crate::gate::Gate;
use crate::upstream::dial::Dialer;

/// Traces told at once.
const BATCH_MAX: usize = 256;
/// How long others are waited for.
const GATHER: Duration = Duration::from_secs(1);
/// From the first byte to the last of one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of an answer is read, in bytes; nothing of it is used.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long nothing is sent after a failure: what ends meanwhile is dropped.
const PAUSE: Duration = Duration::from_secs(10);

/// Where traces go.
#[derive(Clone)]
pub struct Collector {
    url: String,
    connector: Option<TlsConnector>,
    dialer: Dialer,
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Collector({})", self.url)
    }
}

impl Collector {
    /// The collector of a configuration, if it has one.
    ///
    /// # Errors
    /// A CA file that cannot be used, in words.
    pub fn build(config: &Config) -> Result<Option<Self>, Vec<String>> {
        let Some(telemetry) = &config.telemetry else { return Ok(None) };
        let to = &telemetry.collector;
        let (scheme, connector) = match to.scheme {
            Scheme::Http | Scheme::Tcp => ("http", None),
            Scheme::Https => {
                let tls = UpstreamTls { ca_file: telemetry.ca_file.clone(), ..UpstreamTls::default() };
                let tls = certs::upstream_config(&tls, UpstreamProtocol::Http1)
                    .map_err(|problem| vec![format!("[telemetry] ca_file: {problem}")])?;
                ("https", Some(TlsConnector::from(Arc::new(tls))))
            }
        };
        let host = if to.host.contains(':') { format!("[{}]", to.host) } else { to.host.clone() };
        let url = format!("{scheme}://{host}:{}/v1/traces", to.port);
        Ok(Some(Self { url, connector, dialer: Dialer::new(ANSWER_TIMEOUT, &config.forbidden_upstreams) }))
    }

    async fn tell(&self, node: &str, traces: &[Finished]) -> Result<(), String> {
        let body = serde_json::to_vec(&otlp::request(node, traces)).map_err(|error| error.to_string())?;
        let request = Request::post(&self.url).header(CONTENT_TYPE, "application/json").body(body);
        let request = request.map_err(|error| error.to_string())?;
        let connector = self.connector.clone().ok_or("the collector is not reached by TLS");
        let telling = exchange(connector, &self.dialer, request, ANSWER_BYTES_MAX);
        let answer =
            tokio::time::timeout(ANSWER_TIMEOUT, telling).await.map_err(|_| "it does not answer".to_owned())?;
        match answer.map_err(|problem| problem.to_string())?.status() {
            StatusCode::OK => Ok(()),
            status => Err(format!("it answers {status}")),
        }
    }
}

/// Tells the collector what ended, until the gateway stops.
pub async fn follow(gate: Arc<Gate>, mut ended: mpsc::Receiver<Finished>) {
    let mut is_told = true;
    let mut batch = Vec::new();
    while ended.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let more = async { while batch.len() < BATCH_MAX && ended.recv_many(&mut batch, 1).await > 0 {} };
        // Whatever came by then is sent; it is an end of waiting, not a failure.
        let _waited = tokio::time::timeout(GATHER, more).await;
        let snapshot = gate.snapshot.load_full();
        let told = match &snapshot.collector {
            Some(collector) => collector.tell(snapshot.config.login_host.as_str(), &batch).await,
            // It was taken out of the configuration meanwhile.
            None => Ok(()),
        };
        let count = batch.len() as u64;
        batch.clear();
        match told {
            Ok(()) => {
                gate.metrics.traces_sent.inc_by(count);
                if !is_told {
                    tracing::info!("the collector takes traces again");
                }
                is_told = true;
            }
            Err(problem) => {
                gate.metrics.traces_dropped.inc_by(count);
                if is_told {
                    tracing::warn!(problem, "the collector takes no traces; they are dropped until it does");
                }
                is_told = false;
                tokio::time::sleep(PAUSE).await;
                while ended.try_recv().is_ok() {
                    gate.metrics.traces_dropped.inc();
                }
            }
        }
    }
}
