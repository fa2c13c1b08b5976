//! The way to the gateway: one TLS 1.3 connection with the device's certificate, over which everything goes by HTTP/2,
//! and the token, which is held in memory alone.

use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_LANGUAGE, CONTENT_TYPE, COOKIE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::task::spawn_local;
use tokio::time::timeout;
use web::Language;
use zeroize::Zeroizing;

use crate::http::OnThisThread;
use crate::tunnel;
use crate::upstream::dial::{Dialer, TlsTo};
use crate::upstream::http1::Transport;

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The longest code of a refusal, in bytes.
const CODE_BYTES_MAX: usize = 64;
/// How often the gateway is asked whether it is there, while something is open.
const ALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// How long it may take to say so.
const ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Flow-control window of one stream, in bytes.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// Flow-control window of the connection, in bytes.
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

type Sender = http2::SendRequest<Full<Bytes>>;

/// Why nothing came of a question.
#[derive(Debug)]
pub enum Trouble {
    /// The gateway cannot be reached now.
    Unreachable(String),
    /// Its person must sign in, or prove again who they are.
    SignIn,
    /// The answer is no, by this code.
    Refused(String),
}

/// The way to the gateway.
pub struct Road {
    dialer: Dialer,
    tls: TlsTo,
    /// Where the gateway is reached.
    address: (String, u16),
    /// Scheme, host and port of the app, as browsers write them.
    origin: String,
    language: Language,
    token: RefCell<Option<Zeroizing<String>>>,
    sender: RefCell<Option<Sender>>,
    connecting: Mutex<()>,
}

impl fmt::Debug for Road {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Road({})", self.origin)
    }
}

/// A line to a tunnel.
#[derive(Debug)]
pub struct Opened {
    /// The line.
    pub line: TokioIo<Upgraded>,
    /// Id and secret of a tunnel that begins.
    pub tunnel: Option<(String, Zeroizing<String>)>,
    /// Up to where the gateway has this side's bytes, of one that goes on.
    pub received: Option<u64>,
}

impl Road {
    /// The way to the app at `origin`, which `host` and `port` stand in; `address` where it is not there that the gateway
    /// is reached.
    pub fn new(
        tls: TlsTo,
        origin: String,
        (host, port): (String, u16),
        address: Option<SocketAddr>,
        language: Language,
    ) -> Self {
        let address = address.map_or((host, port), |address| (address.ip().to_string(), address.port()));
        Self {
            dialer: Dialer::new(Duration::from_secs(10), &[]),
            tls,
            address,
            origin,
            language,
            token: RefCell::new(None),
            sender: RefCell::new(None),
            connecting: Mutex::new(()),
        }
    }

    /// Takes a token, in place of the one before.
    pub fn set_token(&self, token: Option<Zeroizing<String>>) {
        *self.token.borrow_mut() = token;
    }

    /// Takes another connection next time: this one was cut, or says nothing.
    pub fn forget(&self) {
        *self.sender.borrow_mut() = None;
    }

    /// Posts JSON and reads the JSON of the answer.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Trouble> {
        let request = self.request(Method::POST, path)?.header(CONTENT_TYPE, "application/json");
        let request = request.body(Full::new(Bytes::from(body.to_string())));
        let response = self.ask(request.map_err(unreachable)?).await?;
        let (status, body) = read(response).await?;
        if status.is_success() { Ok(body) } else { Err(refused(status, &body)) }
    }

    /// Opens a tunnel.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn open(&self) -> Result<Opened, Trouble> {
        let request = self.request(Method::CONNECT, tunnel::OPEN)?;
        self.line(request).await
    }

    /// Goes on with a tunnel.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn go_on(&self, id: &str, secret: &str, received: u64) -> Result<Opened, Trouble> {
        let request = self.request(Method::CONNECT, &format!("{}{id}", tunnel::AGAIN))?;
        self.line(request.header(tunnel::TUNNEL, secret).header(tunnel::RECEIVED, received)).await
    }

    async fn line(&self, request: http::request::Builder) -> Result<Opened, Trouble> {
        let request = request.extension(Protocol::from_static(tunnel::PROTOCOL)).body(Full::default());
        let mut response = self.ask(request.map_err(unreachable)?).await?;
        if response.status() != StatusCode::OK {
            let (status, body) = read(response).await?;
            return Err(refused(status, &body));
        }
        let field = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let tunnel = field(tunnel::TUNNEL).and_then(|both| both.split_once('.'));
        let tunnel = tunnel.map(|(id, secret)| (id.to_owned(), Zeroizing::new(secret.to_owned())));
        let received = field(tunnel::RECEIVED).and_then(|count| count.parse().ok());
        let upgraded = hyper::upgrade::on(&mut response).await.map_err(unreachable)?;
        Ok(Opened { line: TokioIo::new(upgraded), tunnel, received })
    }

    fn request(&self, method: Method, path: &str) -> Result<http::request::Builder, Trouble> {
        let uri: Uri = format!("{}{path}", self.origin).parse().map_err(unreachable)?;
        let request = Request::builder().method(method).uri(uri).header(ACCEPT_LANGUAGE, self.language.tag());
        Ok(match &*self.token.borrow() {
            Some(token) => {
                let cookie = Zeroizing::new(format!("{}={}", web::SESSION_COOKIE, token.as_str()));
                let mut cookie = HeaderValue::from_str(&cookie).map_err(unreachable)?;
                cookie.set_sensitive(true);
                request.header(COOKIE, cookie)
            }
            None => request,
        })
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Trouble> {
        let mut sender = self.sender().await?;
        let answered = async {
            sender.ready().await?;
            sender.send_request(request).await
        };
        match timeout(ANSWER_TIMEOUT, answered).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                self.forget();
                Err(unreachable(error))
            }
            Err(_) => {
                self.forget();
                Err(Trouble::Unreachable("no answer".to_owned()))
            }
        }
    }

    /// The connection that is there, or another.
    async fn sender(&self) -> Result<Sender, Trouble> {
        let _one_at_a_time = self.connecting.lock().await;
        let there = self.sender.borrow().clone().filter(|sender| !sender.is_closed());
        if let Some(sender) = there {
            return Ok(sender);
        }
        let (host, port) = &self.address;
        let transport = self.dialer.transport(host, *port, Some(&self.tls)).await.map_err(unreachable)?;
        let Transport::Tls(stream) = transport else { return Err(Trouble::Unreachable("no TLS".to_owned())) };
        if stream.get_ref().1.protocol_version() != Some(rustls::ProtocolVersion::TLSv1_3) {
            return Err(Trouble::Unreachable("the gateway does not speak TLS 1.3".to_owned()));
        }
        let (sender, connection) = http2::Builder::new(OnThisThread)
            .timer(TokioTimer::new())
            .keep_alive_interval(ALIVE_INTERVAL)
            .keep_alive_timeout(ALIVE_TIMEOUT)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(unreachable)?;
        // Its end shows in whatever goes over it.
        drop(spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the gateway ended");
            }
        }));
        *self.sender.borrow_mut() = Some(sender.clone());
        Ok(sender)
    }
}

fn unreachable(error: impl std::fmt::Display) -> Trouble {
    Trouble::Unreachable(error.to_string())
}

async fn read(response: Response<Incoming>) -> Result<(StatusCode, Value), Trouble> {
    let status = response.status();
    let body = timeout(ANSWER_TIMEOUT, Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect()).await;
    let body = match body {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) => return Err(unreachable(error)),
        Err(_) => return Err(Trouble::Unreachable("no answer".to_owned())),
    };
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}

fn refused(status: StatusCode, body: &Value) -> Trouble {
    let code = body.get("code").and_then(Value::as_str).unwrap_or_default();
    match status {
        StatusCode::UNAUTHORIZED => Trouble::SignIn,
        _ if is_code(code) => Trouble::Refused(code.to_owned()),
        _ => Trouble::Refused(status.to_string()),
    }
}

/// Whether a text is a code at all: it is printed where no words are known for it.
fn is_code(text: &str) -> bool {
    (1..=CODE_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_code_is_never_printed() {
        let code = |text: &str| match refused(StatusCode::FORBIDDEN, &serde_json::json!({ "code": text })) {
            Trouble::Refused(code) => code,
            trouble @ (Trouble::Unreachable(_) | Trouble::SignIn) => panic!("{trouble:?}"),
        };
        assert_eq!(code("not-in-hours"), "not-in-hours");
        for text in ["", "\u{1b}[2J", "a b", "A", &"a".repeat(65)] {
            assert_eq!(code(text), "403 Forbidden");
        }
    }
}
