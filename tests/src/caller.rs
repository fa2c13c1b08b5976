//! A device in front of the gateway: TLS with or without a device certificate, HTTP/1.1 and HTTP/2, and bare bytes.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::hospital::{PORT, host_name};
use crate::{Answer, Device, Payload, Session, empty, full, within};

/// How long an answer may take before its test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A device that connects to one gateway.
#[derive(Clone, Debug)]
pub struct Caller {
    address: SocketAddr,
    /// Its own address, where that matters.
    from: Option<IpAddr>,
    tls: Arc<ClientConfig>,
}

impl Caller {
    /// A device that shows this certificate, or none.
    #[must_use]
    pub fn new(address: SocketAddr, roots: Arc<RootCertStore>, device: Option<&Device>) -> Self {
        let versions = rustls::DEFAULT_VERSIONS;
        Self::with_versions(address, roots, device, versions).expect("the client's TLS can be set up")
    }

    /// The same, speaking only these TLS versions.
    ///
    /// # Errors
    /// Where no cipher suite fits the versions.
    pub fn with_versions(
        address: SocketAddr,
        roots: Arc<RootCertStore>,
        device: Option<&Device>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions)?;
        let builder = builder.with_root_certificates(roots);
        let tls = match device {
            Some(device) => builder.with_client_auth_cert(device.chain(), device.key())?,
            None => builder.with_no_client_auth(),
        };
        Ok(Self { address, from: None, tls: Arc::new(tls) })
    }

    /// The same device at another address of the gateway.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Self {
        Self { address, ..self.clone() }
    }

    /// The same device with this address of its own.
    #[must_use]
    pub fn from(&self, own: IpAddr) -> Self {
        Self { from: Some(own), ..self.clone() }
    }

    /// A TLS connection that names `host` and offers these protocols.
    ///
    /// # Errors
    /// Where the gateway does not take it.
    pub async fn connect(&self, host: &str, protocols: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
        self.connect_behind(&[], host, protocols).await
    }

    /// The same as a balancer does that says something first.
    ///
    /// # Errors
    /// Where the gateway does not take it.
    pub async fn connect_behind(
        &self,
        first: &[u8],
        host: &str,
        protocols: &[&[u8]],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut tls = ClientConfig::clone(&self.tls);
        tls.alpn_protocols = protocols.iter().map(|one| one.to_vec()).collect();
        let mut stream = self.reach().await?;
        stream.set_nodelay(true)?;
        stream.write_all(first).await?;
        let name = ServerName::try_from(host_name(host)).expect("a test's host is a name");
        TlsConnector::from(Arc::new(tls)).connect(name, stream).await
    }

    async fn reach(&self) -> std::io::Result<TcpStream> {
        let Some(own) = self.from else { return TcpStream::connect(self.address).await };
        let socket = if own.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.bind(SocketAddr::new(own, 0))?;
        socket.connect(self.address).await
    }

    /// An HTTP/1.1 connection.
    pub async fn http1(&self, host: &str) -> Http1 {
        let stream = self.connect(host, &[b"http/1.1"]).await.expect("the gateway takes the connection");
        Http1::on(stream).await
    }

    /// An HTTP/2 connection.
    pub async fn http2(&self, host: &str) -> Http2 {
        let stream = self.connect(host, &[b"h2"]).await.expect("the gateway takes the connection");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2 begins");
        tokio::spawn(connection);
        Http2(sender)
    }

    /// One request on a connection of its own.
    pub async fn ask(&self, ask: Ask) -> Answer {
        self.http1(&ask.host).await.answer(ask).await
    }

    /// Sends these very bytes on a connection of their own, and reads until the gateway closes it.
    pub async fn send_bytes(&self, host: &str, bytes: &[u8]) -> String {
        let mut stream = self.connect(host, &[b"http/1.1"]).await.expect("the gateway takes the connection");
        let mut answer = Vec::new();
        within(PATIENCE, "an answer and a closed connection", async {
            // The gateway may refuse and close before it has read everything.
            stream.write_all(bytes).await.ok();
            stream.read_to_end(&mut answer).await.ok();
        })
        .await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// A request to be.
pub struct Ask {
    host: String,
    request: http::request::Builder,
    target: String,
    body: Payload,
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").field("host", &self.host).field("target", &self.target).finish_non_exhaustive()
    }
}

impl Ask {
    /// A request of any method. `host` is short, such as `emr`, or a whole name.
    #[must_use]
    pub fn new(method: &str, host: &str, target: &str) -> Self {
        let method = Method::from_bytes(method.as_bytes()).expect("a test's method is a method");
        let request = Request::builder().method(method);
        Self { host: host.to_owned(), request, target: target.to_owned(), body: empty() }
    }

    /// A GET.
    #[must_use]
    pub fn get(host: &str, target: &str) -> Self {
        Self::new("GET", host, target)
    }

    /// A POST of a whole body.
    #[must_use]
    pub fn post(host: &str, target: &str, body: impl Into<bytes::Bytes>) -> Self {
        Self::new("POST", host, target).body(full(body))
    }

    /// With a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: Payload) -> Self {
        self.body = body;
        self
    }

    /// With a session's cookie.
    #[must_use]
    pub fn signed_in(self, session: &Session) -> Self {
        let cookie = session.cookie(&self.host);
        self.header("cookie", &cookie)
    }

    /// As a browser that a person opens a page with.
    #[must_use]
    pub fn as_browser(self) -> Self {
        self.header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            .header("sec-fetch-site", "none")
    }

    /// With something the HTTP library reads, such as the protocol of an extended CONNECT.
    #[must_use]
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self, extension: T) -> Self {
        self.request = self.request.extension(extension);
        self
    }

    /// The request as HTTP/1.1 sends it.
    #[must_use]
    pub fn into_http1(self) -> Request<Payload> {
        let has_host = self.request.headers_ref().is_some_and(|headers| headers.contains_key("host"));
        let host = format!("{}:{PORT}", host_name(&self.host));
        let request = if has_host { self.request } else { self.request.header("host", host) };
        request.uri(self.target).body(self.body).expect("a test's request is a request")
    }

    /// The request as HTTP/2 sends it.
    #[must_use]
    pub fn into_http2(self) -> Request<Payload> {
        let uri = format!("https://{}:{PORT}{}", host_name(&self.host), self.target);
        self.request.uri(uri).body(self.body).expect("a test's request is a request")
    }
}

/// An HTTP/1.1 connection.
#[derive(Debug)]
pub struct Http1(http1::SendRequest<Payload>);

impl Http1 {
    /// On a TLS connection that stands.
    pub async fn on(stream: TlsStream<TcpStream>) -> Self {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1 begins");
        tokio::spawn(connection.with_upgrades());
        Self(sender)
    }

    /// Sends a request and gives the answer with its body still to come.
    ///
    /// # Errors
    /// Where the connection ended without an answer.
    pub async fn send(&mut self, ask: Ask) -> hyper::Result<Response<Incoming>> {
        self.0.ready().await?;
        within(PATIENCE, "an answer", self.0.send_request(ask.into_http1())).await
    }

    /// Sends a request and reads the whole answer.
    pub async fn answer(&mut self, ask: Ask) -> Answer {
        let response = self.send(ask).await.expect("the gateway answers");
        within(PATIENCE, "a body", Answer::read(response)).await.expect("the body comes to its end")
    }

    /// Sends a request whose body takes as long as it takes.
    ///
    /// # Errors
    /// Where the connection ended without an answer.
    pub async fn upload(&mut self, ask: Ask) -> hyper::Result<Response<Incoming>> {
        self.0.ready().await?;
        self.0.send_request(ask.into_http1()).await
    }

    /// Whether the gateway has closed the connection.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// An HTTP/2 connection; clones share it.
#[derive(Clone, Debug)]
pub struct Http2(http2::SendRequest<Payload>);

impl Http2 {
    /// Sends a request and gives the answer with its body still to come.
    ///
    /// # Errors
    /// Where the stream ended without an answer.
    pub async fn send(&self, ask: Ask) -> hyper::Result<Response<Incoming>> {
        let mut sender = self.0.clone();
        sender.ready().await?;
        within(PATIENCE, "an answer", sender.send_request(ask.into_http2())).await
    }

    /// Sends a request whose body takes as long as it takes.
    ///
    /// # Errors
    /// Where the stream ended without an answer.
    pub async fn upload(&self, ask: Ask) -> hyper::Result<Response<Incoming>> {
        let mut sender = self.0.clone();
        sender.ready().await?;
        sender.send_request(ask.into_http2()).await
    }

    /// Sends a request and reads the whole answer.
    pub async fn answer(&self, ask: Ask) -> Answer {
        let response = self.send(ask).await.expect("the gateway answers");
        within(PATIENCE, "a body", Answer::read(response)).await.expect("the body comes to its end")
    }
}
