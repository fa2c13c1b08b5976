//! Where connections are accepted, and with which TLS.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use policy::ZoneId;

/// A socket that accepts connections.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its name in logs and metrics.
    pub name: String,
    /// Address and port.
    pub address: SocketAddr,
    /// The zone it stands in.
    pub zone: ZoneId,
    /// Who may connect; empty for everyone.
    pub sources: Vec<IpNet>,
    /// The balancers that say by the PROXY protocol (version 2) whom they connect for, and must; of everybody else the
    /// address is the one that connects.
    pub proxy_protocol_from: Vec<IpNet>,
    /// Whether devices must show a certificate.
    pub client_certificates: ClientCertificates,
    /// Which TLS versions.
    pub tls_profile: TlsProfile,
}

/// Whether devices must show a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientCertificates {
    /// Not asked for.
    Off,
    /// Asked for; a connection without one goes on, as an unknown device.
    Optional,
    /// A connection without one ends in the handshake.
    Required,
}

/// Which TLS versions (guideline 6.0, system operation part, chapter 13).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlsProfile {
    /// TLS 1.3 only.
    High,
    /// TLS 1.2 with ECDHE and AEAD, and TLS 1.3.
    HighCompat,
}

/// A certificate chain and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, the server's own first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}
