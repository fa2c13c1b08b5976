//! The load: a fixed number of connections, each asking again as soon as it is answered. The same client for every
//! proxy, with the same certificate and cookie, so that what it costs cancels out.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Builder;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{CipherSuite, ClientConfig};
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::gauge;

/// Not measured: until every connection stands and every cache is warm.
const WARM_UP: Duration = Duration::from_millis(700);

/// At whom the load is aimed.
#[derive(Clone, Debug)]
pub struct Aim {
    /// The proxy's address.
    pub address: SocketAddr,
    /// The host asked for.
    pub host: String,
    /// TLS with the device's certificate.
    pub tls: Arc<ClientConfig>,
    /// What shows who asks: the session's cookie, for the gateway.
    pub fields: Vec<(&'static str, String)>,
}

impl Aim {
    /// The same by somebody who shows nothing.
    pub fn of_nobody(self) -> Self {
        Self { fields: Vec::new(), ..self }
    }

    /// Adds what shows who asks.
    pub fn dress(&self, request: Builder) -> Builder {
        self.fields.iter().fold(request, |request, (name, value)| request.header(*name, value))
    }
}

/// Which HTTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// HTTP/1.1, keep-alive.
    Http1,
    /// HTTP/2.
    Http2,
}

/// What is asked for, by how many at once, for how long.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The path.
    pub path: &'static str,
    /// Which HTTP.
    pub protocol: Protocol,
    /// Connections.
    pub connections: usize,
    /// Requests at once on each.
    pub streams: usize,
    /// Seconds.
    pub seconds: f64,
    /// Which answers are right.
    pub right: &'static [u16],
}

/// The answer to whoever may.
pub const ALLOWED: &[u16] = &[200];

/// What one measurement gave.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Requests answered rightly and read to the end, warm-up included.
    pub requests: u64,
    /// Of these, answered with 429.
    pub limited: u64,
    /// Of these, in the measured time.
    pub measured: u64,
    /// The measured time.
    pub elapsed: Duration,
    /// CPU time of the proxy in it.
    pub cpu: Duration,
    /// Of this, that of the threads that follow the log.
    followers: Duration,
    /// Of this, the search index's: no request waits for it.
    index: Duration,
    /// Latency at the 50th and 99th per cent.
    pub p50: Duration,
    /// See `p50`.
    pub p99: Duration,
}

impl Measured {
    /// Requests for each second of CPU.
    pub fn per_cpu_second(&self) -> f64 {
        self.measured as f64 / self.cpu.as_secs_f64()
    }

    /// The same without what the search index took.
    pub fn per_cpu_second_but_index(&self) -> f64 {
        self.measured as f64 / self.cpu.saturating_sub(self.index).as_secs_f64()
    }

    /// The same, where those who follow the log used so much for all requests, also after the last was answered, and the
    /// search index so much of it: of this, the part of the requests that are measured.
    pub fn with_followers(self, of_all: Duration, of_index: Duration) -> Self {
        let part = self.measured as f64 / self.requests.max(1) as f64;
        let (followers, index) = (of_all.mul_f64(part), of_index.mul_f64(part));
        Self { cpu: self.cpu.saturating_sub(self.followers) + followers, followers, index, ..self }
    }

    /// Requests a second.
    pub fn per_second(&self) -> f64 {
        self.measured as f64 / self.elapsed.as_secs_f64()
    }
}

#[derive(Debug, Default)]
struct Tally {
    total: Cell<u64>,
    limited: Cell<u64>,
    measuring: Cell<bool>,
    over: Cell<bool>,
    latencies: std::cell::RefCell<Vec<u32>>,
}

impl Load {
    /// Runs the load and measures.
    pub async fn run(self, aim: &Aim, pid: u32) -> Measured {
        let tally = Rc::new(Tally::default());
        let mut asking = Vec::new();
        for _ in 0..self.connections {
            match self.protocol {
                Protocol::Http1 => {
                    let sender = connect_http1(aim).await;
                    asking.push(spawn_local(ask_http1(
                        sender,
                        request(aim, self.path, self.protocol),
                        self.right,
                        Rc::clone(&tally),
                    )));
                }
                Protocol::Http2 => {
                    let sender = connect_http2(aim).await;
                    for _ in 0..self.streams {
                        asking.push(spawn_local(ask_http2(
                            sender.clone(),
                            request(aim, self.path, self.protocol),
                            self.right,
                            Rc::clone(&tally),
                        )));
                    }
                }
            }
        }
        tokio::time::sleep(WARM_UP).await;
        let (cpu, index, followers) = (gauge::cpu_time(pid), gauge::index_time(pid), gauge::followers_time(pid));
        let (begin, before) = (Instant::now(), tally.total.get());
        tally.measuring.set(true);
        tokio::time::sleep(Duration::from_secs_f64(self.seconds)).await;
        let (cpu, index) = (gauge::cpu_time(pid) - cpu, gauge::index_time(pid).saturating_sub(index));
        let followers = gauge::followers_time(pid).saturating_sub(followers);
        let (elapsed, measured) = (begin.elapsed(), tally.total.get() - before);
        tally.over.set(true);
        for one in asking {
            one.await.unwrap();
        }
        let mut latencies = tally.latencies.take();
        latencies.sort_unstable();
        let at = |part: usize| percentile(&latencies, part);
        let (requests, limited) = (tally.total.get(), tally.limited.get());
        Measured { requests, limited, measured, elapsed, cpu, followers, index, p50: at(50), p99: at(99) }
    }
}

/// So many per cent of these microseconds, which are in order, are at most this.
pub fn percentile(sorted: &[u32], percent: usize) -> Duration {
    let at = sorted.len().saturating_sub(1) * percent / 100;
    Duration::from_micros(sorted.get(at).copied().map_or(0, u64::from))
}

/// A GET of this path.
pub fn request(aim: &Aim, path: &str, protocol: Protocol) -> Request<Empty<Bytes>> {
    let target = match protocol {
        Protocol::Http1 => path.to_owned(),
        Protocol::Http2 => format!("https://{}{path}", aim.host),
    };
    let request = Request::get(target);
    let request = aim.dress(request).header("user-agent", "bench").header("accept", "*/*");
    let request = match protocol {
        Protocol::Http1 => request.header("host", &aim.host),
        Protocol::Http2 => request,
    };
    request.body(Empty::new()).unwrap()
}

/// Opens a TLS connection.
pub async fn connect(aim: &Aim, protocol: &[u8]) -> TlsStream<TcpStream> {
    let mut tls = ClientConfig::clone(&aim.tls);
    tls.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(aim.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let name = ServerName::try_from(aim.host.clone()).unwrap();
    let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await.unwrap();
    // Else some would be measured with one cipher and others with another.
    let agreed = stream.get_ref().1.negotiated_cipher_suite().map(|suite| suite.suite());
    assert_eq!(agreed, Some(CipherSuite::TLS13_AES_128_GCM_SHA256), "what the client names first");
    stream
}

/// A connection for requests, one at a time.
pub async fn connect_http1(aim: &Aim) -> http1::SendRequest<Empty<Bytes>> {
    let (sender, connection) = http1::handshake(TokioIo::new(connect(aim, b"http/1.1").await)).await.unwrap();
    drop(spawn_local(connection));
    sender
}

#[derive(Clone, Copy)]
struct Here;

impl<F: Future + 'static> hyper::rt::Executor<F> for Here {
    fn execute(&self, future: F) {
        drop(spawn_local(async move {
            future.await;
        }));
    }
}

/// A connection for many requests at once.
pub async fn connect_http2(aim: &Aim) -> http2::SendRequest<Empty<Bytes>> {
    let (sender, connection) = http2::handshake(Here, TokioIo::new(connect(aim, b"h2").await)).await.unwrap();
    drop(spawn_local(connection));
    sender
}

async fn ask_http1(
    mut sender: http1::SendRequest<Empty<Bytes>>,
    request: Request<Empty<Bytes>>,
    right: &'static [u16],
    tally: Rc<Tally>,
) {
    while !tally.over.get() {
        let begin = Instant::now();
        sender.ready().await.unwrap();
        let answer = sender.send_request(request.clone()).await.unwrap();
        settle(answer, right, &tally, begin).await;
    }
}

async fn ask_http2(
    mut sender: http2::SendRequest<Empty<Bytes>>,
    request: Request<Empty<Bytes>>,
    right: &'static [u16],
    tally: Rc<Tally>,
) {
    while !tally.over.get() {
        let begin = Instant::now();
        let answer = sender.send_request(request.clone()).await.unwrap();
        settle(answer, right, &tally, begin).await;
    }
}

async fn settle(answer: Response<Incoming>, right: &[u16], tally: &Tally, begin: Instant) {
    let status = answer.status().as_u16();
    assert!(right.contains(&status), "{answer:?}");
    read(answer.into_body()).await;
    tally.limited.set(tally.limited.get() + u64::from(status == 429));
    count(tally, begin);
}

fn count(tally: &Tally, begin: Instant) {
    tally.total.set(tally.total.get() + 1);
    if tally.measuring.get() {
        tally.latencies.borrow_mut().push(u32::try_from(begin.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
}

/// Reads a body to its end, and says how long it was.
pub async fn read(mut body: Incoming) -> u64 {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame.unwrap().data_ref().map_or(0, |data| data.len() as u64);
    }
    bytes
}
