//! Asking an upstream's health path, from the control plane.

use http::header::{HOST, HeaderValue};
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use policy::Path;

use crate::snapshot::{AppRoute, Server};
use crate::upstream::dial::Dialer;

/// Sends one GET by HTTP/1.1; any answer below 500 is healthy.
///
/// # Errors
/// What went wrong, in words.
pub async fn get(route: &AppRoute, server: &Server, path: &Path, dialer: &Dialer) -> Result<(), String> {
    let asked = tokio::time::timeout(route.app.response_timeout, async {
        let stream = dialer
            .stream(&server.host, server.port, server.tls_http1.as_ref())
            .await
            .map_err(|problem| problem.to_string())?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error: hyper::Error| error.to_string())?;
        let driven = tokio::spawn(connection);
        let host = match &server.host_header {
            Some(value) => value.clone(),
            None => HeaderValue::from_str(route.app.host.as_str()).map_err(|error| error.to_string())?,
        };
        let request = Request::get(path.as_str())
            .header(HOST, host)
            .body(Empty::<bytes::Bytes>::new())
            .map_err(|error| error.to_string())?;
        let status = sender.send_request(request).await.map_err(|error| error.to_string())?.status();
        driven.abort();
        Ok(status)
    });
    match asked.await {
        Ok(Ok(status)) if status < StatusCode::INTERNAL_SERVER_ERROR => Ok(()),
        Ok(Ok(status)) => Err(format!("the health path answered {status}")),
        Ok(Err(reason)) => Err(reason),
        Err(_) => Err("the health path did not answer in time".to_owned()),
    }
}
