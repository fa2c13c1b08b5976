//! The hospital's own collector: one thing told at a time, within a deadline, and what it answers.

use std::sync::Arc;
use std::time::Duration;

use config::{Config, Scheme, UpstreamProtocol, UpstreamTls};
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use serde_json::Value;
use tokio_rustls::TlsConnector;

use crate::fetch::exchange;
use crate::upstream::dial::Dialer;

/// From the first byte to the last of one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of an answer is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Where traces and the diagnostic log go.
#[derive(Clone)]
pub struct Collector {
    base: String,
    connector: Option<TlsConnector>,
    dialer: Dialer,
}

/// What a collector is told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Traces of requests.
    Traces,
    /// Records of the diagnostic log.
    Logs,
}

/// What a collector did not take, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotTaken {
    /// It may take it another time: it is away, or has too much to do.
    Yet(String),
    /// It never will.
    Ever(String),
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Collector({})", self.base)
    }
}

impl Kind {
    /// What it is, in messages.
    pub fn words(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "records of the diagnostic log",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Logs => "/v1/logs",
        }
    }

    /// Where an answer says how many it took none of.
    fn rejected(self) -> &'static str {
        match self {
            Self::Traces => "rejectedSpans",
            Self::Logs => "rejectedLogRecords",
        }
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
        let base = format!("{scheme}://{host}:{}", to.port);
        Ok(Some(Self { base, connector, dialer: Dialer::new(ANSWER_TIMEOUT, &config.forbidden_upstreams) }))
    }

    /// Tells it, and gives how many of what it was told it will not have.
    ///
    /// # Errors
    /// [`NotTaken`]: all of it, and whether to try again, as the protocol has it.
    pub async fn tell(&self, kind: Kind, told: &Value) -> Result<u64, NotTaken> {
        let ever = |error: String| NotTaken::Ever(error);
        let body = serde_json::to_vec(told).map_err(|error| ever(error.to_string()))?;
        let url = format!("{}{}", self.base, kind.path());
        let request = Request::post(url).header(CONTENT_TYPE, "application/json").body(body);
        let request = request.map_err(|error| ever(error.to_string()))?;
        let connector = self.connector.clone().ok_or("the collector is not reached by TLS");
        let telling = exchange(connector, &self.dialer, request, ANSWER_BYTES_MAX);
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, telling)
            .await
            .map_err(|_| NotTaken::Yet("it does not answer".to_owned()))?
            .map_err(|problem| NotTaken::Yet(problem.to_string()))?;
        match answer.status() {
            StatusCode::OK => Ok(rejected(answer.body(), kind)),
            status @ (StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT) => Err(NotTaken::Yet(format!("it answers {status}"))),
            status => Err(NotTaken::Ever(format!("it answers {status}"))),
        }
    }
}

impl NotTaken {
    /// Why, in words.
    pub fn words(&self) -> &str {
        match self {
            Self::Yet(words) | Self::Ever(words) => words,
        }
    }
}

/// How many it says that it will not have; an answer that says nothing took all.
fn rejected(answer: &[u8], kind: Kind) -> u64 {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let count = answer.get("partialSuccess").and_then(|partly| partly.get(kind.rejected()));
    // Whole numbers of 64 bits are text in this protocol; some write them as numbers.
    count.and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok())).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_collector_will_not_have_is_read_from_its_answer() {
        for (answer, count) in [
            (r#"{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"too old"}}"#, 3),
            (r#"{"partialSuccess":{"rejectedLogRecords":3}}"#, 3),
            (r#"{"partialSuccess":{"rejectedSpans":"3"}}"#, 0),
            (r#"{"partialSuccess":null}"#, 0),
            (r#"{"partialSuccess":{"rejectedLogRecords":"-1"}}"#, 0),
            ("{}", 0),
            ("", 0),
            ("[1", 0),
        ] {
            assert_eq!(rejected(answer.as_bytes(), Kind::Logs), count, "{answer}");
        }
    }
}
