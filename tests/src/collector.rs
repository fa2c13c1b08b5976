//! A collector of traces and logs, in this process on a thread of its own. It is a fake: it takes `POST /v1/traces` and
//! `POST /v1/logs` as OTLP over HTTP in JSON has them, holds everything against the protocol's own rules, and can be out of
//! order. [`Rotel`](crate::Rotel) is a real one.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use http::Response;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::full;
use crate::upstream::{ANYWHERE, on_its_own_thread};

/// A collector, and what it took.
#[derive(Clone, Debug)]
pub struct Collector {
    address: SocketAddr,
    kept: Arc<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    spans: Mutex<Vec<Value>>,
    records: Mutex<Vec<Value>>,
    bytes: Mutex<Vec<u8>>,
    answer: AtomicU16,
}

impl Default for Collector {
    fn default() -> Self {
        Self::open()
    }
}

impl Collector {
    /// Opens one.
    #[must_use]
    pub fn open() -> Self {
        let kept = Arc::new(Kept { answer: AtomicU16::new(200), ..Kept::default() });
        let taking = Arc::clone(&kept);
        let address = on_its_own_thread(ANYWHERE, move |listener| take(listener, taking));
        Self { address, kept }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The spans it took, in order.
    #[must_use]
    pub fn spans(&self) -> Vec<Value> {
        self.kept.spans.lock().expect("nobody failed here").clone()
    }

    /// The records of logs it took, in order.
    #[must_use]
    pub fn records(&self) -> Vec<Value> {
        self.kept.records.lock().expect("nobody failed here").clone()
    }

    /// Every byte it was sent.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.kept.bytes.lock().expect("nobody failed here").clone()).expect("it was told in text")
    }

    /// Lets it answer with this status.
    pub fn answer(&self, status: u16) {
        self.kept.answer.store(status, Ordering::Relaxed);
    }
}

async fn take(listener: TcpListener, kept: Arc<Kept>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let kept = Arc::clone(&kept);
        let service = service_fn(move |request: http::Request<Incoming>| {
            let kept = Arc::clone(&kept);
            async move {
                let path = request.uri().path().to_owned();
                let right = request.method() == "POST"
                    && request.headers().get("content-type").is_some_and(|kind| kind == "application/json");
                let body = request.into_body().collect().await.map(|all| all.to_bytes()).unwrap_or_default();
                let status = kept.answer.load(Ordering::Relaxed);
                let mut response = Response::new(full("{}"));
                *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
                let (told, keeps) = match path.as_str() {
                    "/v1/traces" => (read(&body, SPANS), &kept.spans),
                    "/v1/logs" => (read(&body, RECORDS), &kept.records),
                    _ => (None, &kept.spans),
                };
                match told {
                    Some(told) if right && status == 200 => {
                        kept.bytes.lock().expect("nobody failed here").extend_from_slice(&body);
                        keeps.lock().expect("nobody failed here").extend(told);
                    }
                    Some(_) if right => {}
                    Some(_) | None => *response.status_mut() = http::StatusCode::BAD_REQUEST,
                }
                Ok::<_, Infallible>(response)
            }
        });
        tokio::spawn(async move { http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok() });
    }
}

/// How the things of one kind lie in a request, and what each must be.
type Shape = ([&'static str; 3], fn(&Value) -> Option<()>);
const SPANS: Shape = (["resourceSpans", "scopeSpans", "spans"], is_a_span);
const RECORDS: Shape = (["resourceLogs", "scopeLogs", "logRecords"], is_a_record);

/// What a request tells, each as the protocol has it; `None` where one is not.
fn read(body: &[u8], ([resources, scopes, things], is_right): Shape) -> Option<Vec<Value>> {
    let told: Value = serde_json::from_slice(body).ok()?;
    let mut all = Vec::new();
    for resource in told[resources].as_array()? {
        resource["resource"]["attributes"].as_array()?;
        for scope in resource[scopes].as_array()? {
            scope["scope"]["name"].as_str()?;
            for thing in scope[things].as_array()? {
                is_right(thing)?;
                all.push(thing.clone());
            }
        }
    }
    Some(all)
}

fn is_a_record(record: &Value) -> Option<()> {
    let time = |key: &str| record[key].as_str()?.parse::<u64>().ok();
    if record.get("traceId").is_some() {
        is_hex(record, "traceId", 32)?;
    }
    record["body"]["stringValue"].as_str()?;
    record["attributes"].as_array()?;
    let is_told_in_order = time("timeUnixNano")? <= time("observedTimeUnixNano")?;
    (is_told_in_order && (1..=24).contains(&record["severityNumber"].as_u64()?)).then_some(())
}

fn is_a_span(span: &Value) -> Option<()> {
    let hex = |key: &str, digits: usize| is_hex(span, key, digits);
    let time = |key: &str| span[key].as_str()?.parse::<u64>().ok();
    hex("traceId", 32)?;
    hex("spanId", 16)?;
    if span.get("parentSpanId").is_some() {
        hex("parentSpanId", 16)?;
    }
    let named = span["name"].as_str().is_some_and(|name| !name.is_empty()) && (1..=5).contains(&span["kind"].as_u64()?);
    (named && time("startTimeUnixNano")? <= time("endTimeUnixNano")?).then_some(())
}

/// An identifier: so many digits, not all of them zero.
fn is_hex(thing: &Value, key: &str, digits: usize) -> Option<()> {
    let text = thing[key].as_str()?;
    let right = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (right && text.bytes().any(|byte| byte != b'0')).then_some(())
}
