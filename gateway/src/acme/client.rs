//! How the CA is asked: over the gateway's own TLS and dialer, within a deadline and a size, `https` only.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use config::{Acme, UpstreamProtocol, UpstreamTls};
use http::header::RETRY_AFTER;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use ipnet::IpNet;
use tokio_rustls::TlsConnector;

use crate::fetch::exchange;
use crate::upstream::dial::Dialer;

/// From the first byte to the last of one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// The largest answer, in bytes; the longest is a chain.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Asks the CA.
#[derive(Clone)]
pub struct Client {
    connector: TlsConnector,
    dialer: Dialer,
    /// For how long the CA wants to hear nothing, as it said last.
    wait: Arc<Mutex<Option<Duration>>>,
}

impl Client {
    /// A client for the CA of a configuration.
    ///
    /// # Errors
    /// A CA file that cannot be used, in words.
    pub fn new(acme: &Acme, forbidden: &[IpNet]) -> Result<Self, String> {
        let tls = UpstreamTls { ca_file: acme.ca_file.clone(), ..UpstreamTls::default() };
        let config = certs::upstream_config(&tls, UpstreamProtocol::Http1);
        let config = config.map_err(|problem| format!("[acme]: {problem}"))?;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Self { connector, dialer: Dialer::new(ANSWER_TIMEOUT, forbidden), wait: Arc::default() })
    }

    /// Asks for the directory.
    ///
    /// # Errors
    /// In words.
    pub async fn ask_directory(self, acme: &Acme) -> Result<(), String> {
        let request = Request::get(&acme.directory).body(BodyWrapper::default()).map_err(|error| error.to_string())?;
        match self.ask(request).await {
            Ok(answer) if answer.parts.status.is_success() => Ok(()),
            Ok(answer) => Err(format!("it answers {}", answer.parts.status)),
            Err(error) => Err(error.to_string()),
        }
    }

    /// For how long the CA wants to hear nothing, where it said so since this was asked last.
    pub fn take_wait(&self) -> Option<Duration> {
        self.wait.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn ask(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let other = |words: String| Error::Other(words.into());
        if request.uri().scheme_str() != Some("https") {
            return Err(other(format!("the CA names `{}`, which is not https", request.uri())));
        }
        let (parts, body) = request.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes().to_vec(),
            Err(never) => match never {},
        };
        let asked = exchange(Ok(self.connector), &self.dialer, Request::from_parts(parts, body), ANSWER_BYTES_MAX);
        let answer = match tokio::time::timeout(ANSWER_TIMEOUT, asked).await {
            Ok(answer) => answer.map_err(|problem| other(problem.to_string()))?,
            Err(_) => return Err(other(format!("the CA did not answer within {} s", ANSWER_TIMEOUT.as_secs()))),
        };
        if matches!(answer.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            let seconds = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
            *self.wait.lock().unwrap_or_else(PoisonError::into_inner) = seconds.map(Duration::from_secs);
        }
        Ok(BytesResponse::from(answer.map(|body| Full::new(Bytes::from(body)))))
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        Box::pin(self.clone().ask(request))
    }
}
