//! The HTTP client that `identity` is handed: one GET or POST to an identity provider, within a deadline and a size,
//! without redirects, to nobody but the hosts the providers' own configuration leads to. Revocation lists come the same
//! way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use config::{Provider, UpstreamProtocol, UpstreamTls};
use http::header::{HOST, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use identity::{Fetch, FetchProblem};
use ipnet::IpNet;
use policy::ProviderId;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::upstream::dial::{Dialer, Stream, TlsTo};

/// From the first byte to the last of one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Makes the client for these providers, each with its own CA.
///
/// # Errors
/// A CA that cannot be used, in words.
pub fn client(providers: &[Provider], forbidden: &[IpNet]) -> Result<Fetch, String> {
    let mut connectors = HashMap::new();
    for provider in providers {
        let tls = UpstreamTls { ca_file: provider.ca_file.clone(), ..UpstreamTls::default() };
        let config = certs::upstream_config(&tls, UpstreamProtocol::Http1)
            .map_err(|problem| format!("provider `{}`: {problem}", provider.id))?;
        connectors.insert(provider.id.clone(), TlsConnector::from(Arc::new(config)));
    }
    let (connectors, dialer) = (Arc::new(connectors), Dialer::new(ANSWER_TIMEOUT, forbidden));
    Ok(Arc::new(move |request| {
        let (connectors, dialer) = (Arc::clone(&connectors), dialer.clone());
        Box::pin(async move {
            match tokio::time::timeout(ANSWER_TIMEOUT, fetch(&connectors, &dialer, request)).await {
                Ok(answered) => answered,
                Err(_) => Err(FetchProblem::TimedOut),
            }
        })
    }))
}

async fn fetch(
    connectors: &HashMap<ProviderId, TlsConnector>,
    dialer: &Dialer,
    request: Request<Vec<u8>>,
) -> Result<Response<Vec<u8>>, FetchProblem> {
    let connector = request.extensions().get::<ProviderId>().and_then(|id| connectors.get(id)).cloned();
    let connector = connector.ok_or("the provider is not configured");
    exchange(connector, dialer, request, ANSWER_BYTES_MAX).await
}

/// One request and its answer on a connection of its own; `connector` is for `https`, or says why there is none.
pub(crate) async fn exchange(
    connector: Result<TlsConnector, &str>,
    dialer: &Dialer,
    request: Request<Vec<u8>>,
    bytes_max: usize,
) -> Result<Response<Vec<u8>>, FetchProblem> {
    let unreachable = |reason: String| FetchProblem::Unreachable(reason);
    let uri = request.uri().clone();
    let host = uri.host().ok_or_else(|| unreachable("the address has no host".to_owned()))?;
    let bare_host = host.trim_start_matches('[').trim_end_matches(']');
    let is_tls = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let tls = if is_tls {
        let connector = connector.map_err(|reason| unreachable(reason.to_owned()))?;
        let name = ServerName::try_from(bare_host.to_owned()).map_err(|error| unreachable(error.to_string()))?;
        Some(TlsTo { connector, name })
    } else {
        None
    };
    let stream =
        dialer.stream(bare_host, port, tls.as_ref()).await.map_err(|problem| unreachable(problem.to_string()))?;
    let authority = uri.authority().map_or(host, http::uri::Authority::as_str);
    over(stream, authority, request, bytes_max).await
}

/// One request and its answer on a connection that is there.
pub(crate) async fn over(
    stream: Box<dyn Stream>,
    authority: &str,
    request: Request<Vec<u8>>,
    bytes_max: usize,
) -> Result<Response<Vec<u8>>, FetchProblem> {
    let unreachable = |reason: String| FetchProblem::Unreachable(reason);
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(error.to_string()))?;
    let driven = tokio::spawn(connection);
    let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
    let host_value = HeaderValue::from_str(authority).map_err(|error| unreachable(error.to_string()))?;
    let (mut parts, body) = request.into_parts();
    parts.headers.insert(HOST, host_value);
    parts.uri = path.parse().map_err(|_| unreachable("the address cannot be read".to_owned()))?;
    let answer = sender
        .send_request(Request::from_parts(parts, Full::new(bytes::Bytes::from(body))))
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    let (parts, body) = answer.into_parts();
    let body = Limited::new(body, bytes_max).collect().await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            FetchProblem::TooLarge
        } else {
            FetchProblem::Unreachable(error.to_string())
        }
    })?;
    driven.abort();
    Ok(Response::from_parts(parts, body.to_bytes().to_vec()))
}
