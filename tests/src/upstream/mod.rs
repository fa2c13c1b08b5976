//! An app behind the gateway, in this process on a thread of its own: it tells what reached it, and can do whatever an
//! app may do (see [`app`]).

mod app;
mod clinic;
mod socket;

pub use app::FORM;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::HeaderMap;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Any free port of loopback.
pub const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A request as it reached the app.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// The header fields.
    pub headers: HeaderMap,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
}

impl Seen {
    /// A header field as text; empty where absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("header values here are text"))
    }
}

/// A running app.
#[derive(Clone, Debug)]
pub struct Upstream {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Http1,
    Http2,
}

impl Upstream {
    /// An app that speaks HTTP/1.1.
    #[must_use]
    pub fn http1() -> Self {
        Self::http1_at(ANYWHERE)
    }

    /// The same at an address of the test's choice.
    #[must_use]
    pub fn http1_at(address: SocketAddr) -> Self {
        Self::start(address, Speaks::Http1, None)
    }

    /// An app that speaks HTTP/2 with prior knowledge, as gRPC servers do.
    #[must_use]
    pub fn http2() -> Self {
        Self::start(ANYWHERE, Speaks::Http2, None)
    }

    /// An app that speaks HTTP/1.1 over TLS.
    #[must_use]
    pub fn https(tls: rustls::ServerConfig) -> Self {
        Self::start(ANYWHERE, Speaks::Http1, Some(TlsAcceptor::from(Arc::new(tls))))
    }

    fn start(address: SocketAddr, speaks: Speaks, tls: Option<TlsAcceptor>) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        let address = on_its_own_thread(address, move |listener| accept(listener, speaks, tls, kept));
        Self { address, seen }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What reached it, in order, health checks left out.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("nobody failed here").clone()
    }

    /// The last request that reached it.
    #[must_use]
    pub fn last(&self) -> Seen {
        self.seen().pop().expect("a request reached the app")
    }
}

async fn accept(listener: TcpListener, speaks: Speaks, tls: Option<TlsAcceptor>, seen: Arc<Mutex<Vec<Seen>>>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        stream.set_nodelay(true).ok();
        let (tls, seen) = (tls.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            match tls {
                None => serve(stream, speaks, seen).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, speaks, seen).await;
                    }
                }
            }
        });
    }
}

async fn serve<S>(stream: S, speaks: Speaks, seen: Arc<Mutex<Vec<Seen>>>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        note(&request, &seen);
        app::answer(request)
    });
    // How a connection ends is the test's business, not the app's.
    if speaks == Speaks::Http1 {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new());
        builder.serve_connection(TokioIo::new(stream), service).with_upgrades().await.ok();
    } else {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await.ok();
    }
}

fn note<B>(request: &http::Request<B>, seen: &Mutex<Vec<Seen>>) {
    let target = request.uri().path_and_query().map_or_else(String::new, |both| both.as_str().to_owned());
    if target == app::HEALTH {
        return;
    }
    seen.lock().expect("nobody failed here").push(Seen {
        method: request.method().to_string(),
        target,
        headers: request.headers().clone(),
        version: format!("{:?}", request.version()),
    });
}

/// Runs a server on a thread and a runtime of its own, so that a test that blocks does not stop it. It ends with the
/// test's process.
pub fn on_its_own_thread<F, W>(address: SocketAddr, serve: F) -> SocketAddr
where
    F: FnOnce(TcpListener) -> W + Send + 'static,
    W: Future<Output = ()> + 'static,
{
    let socket = std::net::TcpListener::bind(address).expect("the address is free");
    socket.set_nonblocking(true).expect("a socket can be made non-blocking");
    let address = socket.local_addr().expect("a bound socket has an address");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        runtime.block_on(async move { serve(TcpListener::from_std(socket).expect("the socket is fine")).await });
    });
    address
}

/// A body of text.
fn text(body: impl Into<Bytes>) -> crate::Payload {
    crate::full(body)
}
