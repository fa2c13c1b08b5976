//! A collector of traces, in this process on a thread of its own. It is a fake: it takes `POST /v1/traces` as OTLP over
//! HTTP in JSON has it and holds every span against the protocol's own rules; Debian has no collector.

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
                let right = request.method() == "POST"
                    && request.uri().path() == "/v1/traces"
                    && request.headers().get("content-type").is_some_and(|kind| kind == "application/json");
                let body = request.into_body().collect().await.map(|all| all.to_bytes()).unwrap_or_default();
                let status = kept.answer.load(Ordering::Relaxed);
                let mut response = Response::new(full("{}"));
                *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
                match spans(&body) {
                    Some(spans) if right && status == 200 => {
                        kept.bytes.lock().expect("nobody failed here").extend_from_slice(&body);
                        kept.spans.lock().expect("nobody failed here").extend(spans);
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

/// The spans of a request, each as the protocol has them; `None` where one is not.
fn spans(body: &[u8]) -> Option<Vec<Value>> {
    let told: Value = serde_json::from_slice(body).ok()?;
    let mut all = Vec::new();
    for resource in told["resourceSpans"].as_array()? {
        resource["resource"]["attributes"].as_array()?;
        for scope in resource["scopeSpans"].as_array()? {
            for span in scope["spans"].as_array()? {
                is_a_span(span)?;
                all.push(span.clone());
            }
        }
    }
    Some(all)
}

fn is_a_span(span: &Value) -> Option<()> {
    let hex = |key: &str, digits: usize| {
        let text = span[key].as_str()?;
        let right = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        (right && text.bytes().any(|byte| byte != b'0')).then_some(())
    };
    let time = |key: &str| span[key].as_str()?.parse::<u64>().ok();
    hex("traceId", 32)?;
    hex("spanId", 16)?;
    if span.get("parentSpanId").is_some() {
        hex("parentSpanId", 16)?;
    }
    let named = span["name"].as_str().is_some_and(|name| !name.is_empty()) && (1..=5).contains(&span["kind"].as_u64()?);
    (named && time("startTimeUnixNano")? <= time("endTimeUnixNano")?).then_some(())
}
