//! The one place that opens connections to other machines.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::ahead::Ahead;
use crate::listen;
use crate::upstream::http1::Transport;

/// A byte stream to an upstream, plain or over TLS.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum DialProblem {
    /// Nobody answers there.
    #[error("`{to}` cannot be reached: {reason}")]
    Unreachable {
        /// Host and port.
        to: String,
        /// What the system says.
        reason: io::Error,
    },
    /// It leads into a network that the configuration forbids.
    #[error("`{to}` leads into a network that `forbidden_upstreams` forbids")]
    Forbidden {
        /// Host and port.
        to: String,
    },
    /// It took too long.
    #[error("`{to}` did not answer within {within:?}")]
    TimedOut {
        /// Host and port.
        to: String,
        /// The bound.
        within: Duration,
    },
    /// The TLS handshake failed.
    #[error("the TLS handshake with `{to}` failed: {reason}")]
    Tls {
        /// Host and port.
        to: String,
        /// What went wrong.
        reason: io::Error,
    },
}

/// TLS to one server: how, and the name its certificate must hold.
#[derive(Clone)]
pub struct TlsTo {
    /// The connector.
    pub connector: TlsConnector,
    /// The name.
    pub name: ServerName<'static>,
}

impl std::fmt::Debug for TlsTo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TlsTo({:?})", self.name)
    }
}

/// Opens connections, within bounds and never into a network that the configuration forbids.
#[derive(Clone, Debug)]
pub struct Dialer {
    within: Duration,
    forbidden: Arc<[IpNet]>,
}

impl Dialer {
    /// A dialer that gives up after `within`, and never connects to `forbidden` networks (オンライン資格確認 and others
    /// that may not be bridged).
    pub fn new(within: Duration, forbidden: &[IpNet]) -> Self {
        Self { within, forbidden: forbidden.into() }
    }

    /// Opens a TCP connection, addresses in the order the resolver gives them. Names are judged by the address they
    /// lead to at this moment.
    ///
    /// # Errors
    /// [`DialProblem`]; the upstream counts as down.
    pub async fn tcp(&self, host: &str, port: u16) -> Result<TcpStream, DialProblem> {
        let to = || format!("{host}:{port}");
        match timeout(self.within, self.first_that_answers(host, port)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(Refusal::Forbidden)) => Err(DialProblem::Forbidden { to: to() }),
            Ok(Err(Refusal::System(reason))) => Err(DialProblem::Unreachable { to: to(), reason }),
            Err(_) => Err(DialProblem::TimedOut { to: to(), within: self.within }),
        }
    }

    /// Opens a socket of this machine.
    ///
    /// # Errors
    /// [`DialProblem`] where nobody listens there.
    pub async fn socket(path: &Path) -> Result<UnixStream, DialProblem> {
        let unreachable = |reason| DialProblem::Unreachable { to: path.display().to_string(), reason };
        UnixStream::connect(path).await.map_err(unreachable)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that dials")]
    async fn first_that_answers(&self, host: &str, port: u16) -> Result<TcpStream, Refusal> {
        let mut last = Refusal::System(io::ErrorKind::NotFound.into());
        for address in tokio::net::lookup_host((host, port)).await.map_err(Refusal::System)? {
            let ip = address.ip().to_canonical();
            if self.forbidden.iter().any(|network| network.contains(&ip)) {
                last = Refusal::Forbidden;
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true).and_then(|()| listen::notice_silence(&stream)).map_err(Refusal::System)?;
                    return Ok(stream);
                }
                Err(reason) => last = Refusal::System(reason),
            }
        }
        Err(last)
    }

    /// Opens a connection and, where asked, a TLS session on it.
    ///
    /// # Errors
    /// [`DialProblem`]; the upstream counts as down.
    pub async fn stream(&self, host: &str, port: u16, tls: Option<&TlsTo>) -> Result<Box<dyn Stream>, DialProblem> {
        Ok(match self.transport(host, port, tls).await? {
            Transport::Plain(stream) => Box::new(stream),
            Transport::Tls(stream) => stream,
        })
    }

    /// The same, plain and TLS told apart.
    ///
    /// # Errors
    /// [`DialProblem`]; the upstream counts as down.
    pub async fn transport(&self, host: &str, port: u16, tls: Option<&TlsTo>) -> Result<Transport, DialProblem> {
        let plain = self.tcp(host, port).await?;
        let Some(tls) = tls else { return Ok(Transport::Plain(plain)) };
        let to = || format!("{host}:{port}");
        match timeout(self.within, tls.connector.connect(tls.name.clone(), Ahead::new(plain))).await {
            Ok(Ok(stream)) => Ok(Transport::Tls(Box::new(stream))),
            Ok(Err(reason)) => Err(DialProblem::Tls { to: to(), reason }),
            Err(_) => Err(DialProblem::TimedOut { to: to(), within: self.within }),
        }
    }
}

/// Why one address was not used.
#[derive(Debug)]
enum Refusal {
    Forbidden,
    System(io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_forbidden_network_is_not_dialed_however_it_is_spelled() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = Dialer::new(Duration::from_secs(5), &[]);
        assert!(open.tcp("127.0.0.1", port).await.is_ok());
        let closed = Dialer::new(Duration::from_secs(5), &["127.0.0.0/8".parse().unwrap()]);
        for host in ["127.0.0.1", "::ffff:127.0.0.1"] {
            let refused = closed.tcp(host, port).await;
            assert!(matches!(refused, Err(DialProblem::Forbidden { .. })), "{host}: {refused:?}");
        }
    }
}
