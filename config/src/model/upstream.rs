//! The servers of apps, and how they are spoken to.

use std::path::PathBuf;

use crate::CertificateFiles;

/// One server of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Whether it is reached by TLS.
    pub scheme: Scheme,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// How an upstream is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// Plain.
    Http,
    /// TLS 1.2 or 1.3.
    Https,
    /// Bytes as they come, of a TCP app: whether they are encrypted is its protocol's business.
    Tcp,
}

/// TLS towards upstreams.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UpstreamTls {
    /// The CA that signed the upstream's certificate; the system's roots where absent.
    pub ca_file: Option<PathBuf>,
    /// The certificate the gateway shows.
    pub client_certificate: Option<CertificateFiles>,
    /// The name the certificate must hold, where it is not the upstream's host.
    pub server_name: Option<String>,
}

/// The HTTP version spoken to upstreams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, by ALPN over TLS or with prior knowledge over plain TCP.
    Http2,
}

/// The `Host` an upstream sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostHeader {
    /// The host people used.
    Public,
    /// The upstream's own host and port.
    Upstream,
}
