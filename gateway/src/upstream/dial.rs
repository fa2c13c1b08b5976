//! The one place that opens connections to other machines.

use std::io;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

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

/// Opens a TCP connection, addresses in the order the resolver gives them.
///
/// # Errors
/// [`DialProblem`]; the upstream counts as down.
#[expect(clippy::disallowed_methods, reason = "this is the one place that dials")]
pub async fn tcp(host: &str, port: u16, within: Duration) -> Result<TcpStream, DialProblem> {
    let to = || format!("{host}:{port}");
    let connected = timeout(within, TcpStream::connect((host, port))).await;
    let stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(reason)) => return Err(DialProblem::Unreachable { to: to(), reason }),
        Err(_) => return Err(DialProblem::TimedOut { to: to(), within }),
    };
    stream.set_nodelay(true).map_err(|reason| DialProblem::Unreachable { to: to(), reason })?;
    Ok(stream)
}

/// Opens a connection and, where asked, a TLS session on it.
///
/// # Errors
/// [`DialProblem`]; the upstream counts as down.
pub async fn stream(
    host: &str,
    port: u16,
    tls: Option<&TlsTo>,
    within: Duration,
) -> Result<Box<dyn Stream>, DialProblem> {
    let plain = tcp(host, port, within).await?;
    let Some(tls) = tls else { return Ok(Box::new(plain)) };
    let to = || format!("{host}:{port}");
    match timeout(within, tls.connector.connect(tls.name.clone(), plain)).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(reason)) => Err(DialProblem::Tls { to: to(), reason }),
        Err(_) => Err(DialProblem::TimedOut { to: to(), within }),
    }
}
