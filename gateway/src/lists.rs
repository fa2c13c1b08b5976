//! Fetches the revocation lists of other CAs: from the places that the configuration names, and where it says so from
//! those that certificates name. What a list must be to be believed is the business of `certs`; here is when, from
//! where, how long and how much. A place that does not answer keeps nothing from going on: the list before is believed
//! until it is too old, and then nobody of that CA is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use certs::DeviceCa;
use config::{CrlFetch, CrlUrl, UpstreamProtocol, UpstreamTls};
use http::Request;
use identity::FetchProblem;
use ipnet::IpNet;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::fetch::exchange;
use crate::gate::Gate;
use crate::upstream::dial::Dialer;

/// From the first byte to the last of one list.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest list, in bytes: some hundred thousand certificates.
const LIST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How often it is looked whether a list is due, or a place was learned.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How long to wait after the first failure, twice as long after each more; and between two lists at the least.
const WAIT_MIN: Duration = Duration::from_secs(10);
/// After so many failures the wait is no longer doubled.
const DOUBLINGS_MAX: u32 = 12;

/// Fetches lists, within bounds and never from a network that the configuration forbids.
#[derive(Clone)]
pub struct ListClient {
    connector: Option<TlsConnector>,
    dialer: Dialer,
}

impl std::fmt::Debug for ListClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ListClient({:?})", self.dialer)
    }
}

impl ListClient {
    /// A client of this configuration.
    ///
    /// # Errors
    /// A CA file that cannot be used, in words.
    pub fn new(fetch: &CrlFetch, forbidden: &[IpNet]) -> Result<Self, String> {
        let tls = UpstreamTls { ca_file: fetch.server_ca.clone(), ..UpstreamTls::default() };
        let connector = match certs::upstream_config(&tls, UpstreamProtocol::Http1) {
            Ok(config) => Some(TlsConnector::from(Arc::new(config))),
            Err(problem) if fetch.server_ca.is_some() => {
                return Err(format!("[devices] crl_server_ca_file: {problem}"));
            }
            // A machine without CAs of its own; most lists come over http.
            Err(_) => None,
        };
        Ok(Self { connector, dialer: Dialer::new(ANSWER_TIMEOUT, forbidden) })
    }

    /// Asks a place for its list.
    ///
    /// # Errors
    /// [`FetchProblem`]: no answer, too much of it, or another status than 200.
    pub async fn get(&self, url: &CrlUrl) -> Result<Vec<u8>, FetchProblem> {
        let unreachable = |error: http::Error| FetchProblem::Unreachable(error.to_string());
        let request = Request::get(url.as_str()).body(Vec::new()).map_err(unreachable)?;
        let connector = self.connector.clone().ok_or("this machine trusts no CA; set crl_server_ca_file");
        let answering = exchange(connector, &self.dialer, request, LIST_BYTES_MAX);
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, answering).await.map_err(|_| FetchProblem::TimedOut)??;
        match answer.status() {
            http::StatusCode::OK => Ok(answer.into_body()),
            status => Err(FetchProblem::Unreachable(format!("it answers {status}"))),
        }
    }
}

/// When a place is asked next, and how often in a row it failed.
#[derive(Clone, Copy, Debug)]
struct Turn {
    due: Instant,
    failures: u32,
}

impl Turn {
    fn now(now: Instant) -> Self {
        Self { due: now, failures: 0 }
    }

    /// After a list came that is believed for so long: as configured, and well before its end.
    fn succeeded(now: Instant, every: Duration, left: Duration) -> Self {
        Self { due: now + every.min(left / 2).max(WAIT_MIN), failures: 0 }
    }

    fn failed(self, now: Instant, every: Duration) -> Self {
        let wait = WAIT_MIN.saturating_mul(2_u32.saturating_pow(self.failures.min(DOUBLINGS_MAX)));
        Self { due: now + wait.min(every), failures: self.failures.saturating_add(1) }
    }
}

/// Fetches what is due, until the gateway stops.
pub async fn follow(gate: Arc<Gate>, device_ca: Arc<DeviceCa>) {
    let mut turns: HashMap<CrlUrl, Turn> = HashMap::new();
    loop {
        let snapshot = gate.snapshot.load_full();
        let fetch = &snapshot.config.devices.crl_fetch;
        let urls = if fetch.is_on() { gate.roots.crl_urls() } else { Vec::new() };
        turns.retain(|url, _| urls.contains(url));
        // All that is due at once: a place that is slow to fail makes no other late.
        let mut asked = JoinSet::new();
        for url in urls {
            let turn = turns.get(&url).copied().unwrap_or_else(|| Turn::now(Instant::now()));
            if turn.due <= Instant::now() {
                let (gate, device_ca, client) = (Arc::clone(&gate), Arc::clone(&device_ca), snapshot.lists.clone());
                asked.spawn(async move { (fetch_one(&gate, &device_ca, &client, &url).await, url, turn) });
            }
        }
        while let Some(answered) = asked.join_next().await {
            match answered {
                Ok((fetched, url, turn)) => {
                    let turn = settle(&gate, &url, turn, fetch.every, fetched);
                    turns.insert(url, turn);
                }
                Err(error) => tracing::error!(%error, "fetching a revocation list broke off"),
            }
        }
        let failing = turns.values().filter(|turn| turn.failures > 0).count();
        gate.metrics.crl_places_failing.set(i64::try_from(failing).unwrap_or(i64::MAX));
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Fetches one list and takes it into force. Says for how long it is believed.
async fn fetch_one(
    gate: &Arc<Gate>,
    device_ca: &Arc<DeviceCa>,
    client: &ListClient,
    url: &CrlUrl,
) -> Result<Duration, String> {
    let bytes = client.get(url).await.map_err(|problem| format!("{url}: {problem}"))?;
    let (roots, device_ca, url) = (Arc::clone(&gate.roots), Arc::clone(device_ca), url.clone());
    let at = gate.clock.now();
    // Signatures over long lists, and files: not on the thread that follows revocations.
    let taken = tokio::task::spawn_blocking(move || roots.take_list(&device_ca, &url, &bytes, at)).await;
    match taken {
        Ok(Ok(until)) => {
            gate.ring();
            Ok(until.since(at))
        }
        Ok(Err(problem)) => Err(problem.to_string()),
        Err(error) => Err(format!("reading it broke off: {error}")),
    }
}

/// Says and counts how it went, the first time of a kind, and when the place is asked next.
fn settle(gate: &Gate, url: &CrlUrl, turn: Turn, every: Duration, fetched: Result<Duration, String>) -> Turn {
    let now = Instant::now();
    match fetched {
        Ok(left) => {
            if turn.failures > 0 {
                tracing::info!(%url, "a revocation list is fetched again");
            }
            Turn::succeeded(now, every, left)
        }
        Err(problem) => {
            gate.metrics.crl_fetches_failed.inc();
            if turn.failures == 0 {
                tracing::warn!(
                    problem,
                    "a revocation list could not be fetched; the one before counts until it is too old"
                );
            }
            turn.failed(now, every)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_list_is_fetched_as_configured_and_well_before_its_end() {
        let now = Instant::now();
        let wait = |left: Duration| Turn::succeeded(now, HOUR, left).due - now;
        assert_eq!(wait(HOUR * 48), HOUR);
        assert_eq!(wait(HOUR), HOUR / 2);
        assert_eq!(wait(Duration::ZERO), WAIT_MIN, "one that is too old is asked for, not hammered for");
    }

    #[test]
    fn a_place_that_fails_is_asked_less_and_less_but_never_less_than_configured() {
        let now = Instant::now();
        let mut turn = Turn::now(now);
        let mut waits = Vec::new();
        for _ in 0..40 {
            turn = turn.failed(now, HOUR);
            waits.push((turn.due - now).as_secs());
        }
        assert_eq!(waits.get(..4), Some(&[10, 20, 40, 80][..]));
        assert_eq!(waits.last(), Some(&HOUR.as_secs()));
        assert_eq!(Turn::succeeded(now, HOUR, HOUR * 48).failures, 0);
    }
}
