//! Sending one request to one of an app's servers: a waiting connection, or a new one; the next server when one does
//! not answer.

use std::rc::Rc;
use std::time::Instant;

use config::UpstreamProtocol;
use http::header::{HOST, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri, Version};
use hyper::body::{Body, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::spawn_local;

use crate::body::{BodyProblem, RequestBody};
use crate::http::OnThisThread;
use crate::snapshot::Server;
use crate::upstream::Forward;
use crate::upstream::dial::DialProblem;
use crate::upstream::pool::Lease;

/// Why there is no answer.
#[derive(Debug)]
pub enum Failed {
    /// No server could be reached, or the one that was broke off.
    Unreachable,
    /// The answer did not begin in time.
    TimedOut,
    /// The request body was larger than the app takes.
    BodyTooLarge,
    /// The client broke off its request.
    ClientGone,
    /// The access was ended.
    Ended,
}

/// How one attempt failed.
enum Attempt {
    /// The request went nowhere and is back in its place; it may be tried elsewhere.
    NotSent(String),
    /// The request was on its way.
    Broken(hyper::Error),
}

/// Sends to the first server that takes the request.
pub async fn to_any(
    forward: &Forward<'_>,
    request: &mut Option<Request<RequestBody>>,
    target: &PathAndQuery,
    host: &HeaderValue,
) -> Result<(Response<Incoming>, Option<Lease>), Failed> {
    for server in forward.route.candidates() {
        let unsent = request.as_mut().ok_or(Failed::Unreachable)?;
        if address(unsent, server, forward.route.app.protocol, target, host).is_err() {
            return Err(Failed::Unreachable);
        }
        let attempt = match forward.route.app.protocol {
            UpstreamProtocol::Http1 => by_http1(forward, server, request).await,
            UpstreamProtocol::Http2 => Box::pin(by_http2(forward, server, request)).await,
        };
        match attempt {
            Ok(answer) => return Ok(answer),
            Err(Attempt::NotSent(reason)) => {
                server.answers.note(false);
                tracing::warn!(request = %forward.asked.id, upstream = %server.authority, reason, "upstream does not take the request");
            }
            Err(Attempt::Broken(error)) => return Err(why_broken(forward, server, &error)),
        }
    }
    Err(Failed::Unreachable)
}

/// Writes the request line and `Host` as this server wants them.
fn address(
    request: &mut Request<RequestBody>,
    server: &Server,
    protocol: UpstreamProtocol,
    target: &PathAndQuery,
    host: &HeaderValue,
) -> Result<(), ()> {
    let host_value = match &server.host_header {
        Some(value) => value.clone(),
        None => host.clone(),
    };
    match protocol {
        UpstreamProtocol::Http1 => {
            *request.version_mut() = Version::HTTP_11;
            *request.uri_mut() = Uri::from(target.clone());
            request.headers_mut().insert(HOST, host_value);
            // hyper sends no body of unknown length with a GET unless it is told how.
            if !request.body().is_end_stream() && request.body().size_hint().exact().is_none() {
                request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
        }
        UpstreamProtocol::Http2 => {
            *request.version_mut() = Version::HTTP_2;
            let scheme = if server.tls.is_some() { "https" } else { "http" };
            let authority = host_value.to_str().map_err(|_| ())?;
            *request.uri_mut() = format!("{scheme}://{authority}{target}").parse::<Uri>().map_err(|_| ())?;
            request.headers_mut().remove(HOST);
        }
    }
    Ok(())
}

async fn by_http1(
    forward: &Forward<'_>,
    server: &Server,
    request: &mut Option<Request<RequestBody>>,
) -> Result<(Response<Incoming>, Option<Lease>), Attempt> {
    let pool = &forward.worker.pool;
    // A waiting connection may have been closed by the server meanwhile: then the request comes back unsent.
    while let Some(sender) = pool.take_http1(server.id, Instant::now()) {
        match on_http1(Lease::new(sender, server.id, Rc::clone(pool)), request).await {
            Err(Attempt::NotSent(_)) => {}
            ended @ (Ok(_) | Err(Attempt::Broken(_))) => return ended,
        }
    }
    let sender = Box::pin(connect_http1(forward, server)).await.map_err(Attempt::NotSent)?;
    on_http1(Lease::new(sender, server.id, Rc::clone(pool)), request).await
}

/// Sends on one connection. Inline, so that the request is moved once, from its place to the connection.
#[inline]
async fn on_http1(
    mut lease: Lease,
    request: &mut Option<Request<RequestBody>>,
) -> Result<(Response<Incoming>, Option<Lease>), Attempt> {
    let Some(sent) = request.take() else { return Err(Attempt::NotSent("nothing to send".to_owned())) };
    match lease.sender().try_send_request(sent).await {
        Ok(response) => Ok((response, Some(lease))),
        Err(mut error) => match error.take_message() {
            Some(unsent) => {
                *request = Some(unsent);
                Err(Attempt::NotSent(error.into_error().to_string()))
            }
            None => Err(Attempt::Broken(error.into_error())),
        },
    }
}

async fn connect_http1(forward: &Forward<'_>, server: &Server) -> Result<http1::SendRequest<RequestBody>, String> {
    let dialer = &forward.snapshot.dialer;
    let reason = |problem: DialProblem| problem.to_string();
    // Plain and TLS are told apart once, so that the plain way pays for no indirection.
    match &server.tls {
        None => {
            let stream = dialer.tcp(&server.host, server.port).await.map_err(reason)?;
            handshake_http1(TokioIo::new(stream)).await
        }
        Some(tls) => {
            let stream = dialer.stream(&server.host, server.port, Some(tls)).await.map_err(reason)?;
            handshake_http1(TokioIo::new(stream)).await
        }
    }
}

async fn handshake_http1<S>(io: TokioIo<S>) -> Result<http1::SendRequest<RequestBody>, String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
{
    let (sender, connection) =
        http1::Builder::new().handshake(io).await.map_err(|error: hyper::Error| error.to_string())?;
    // Ends with the sender: the lease or the pool holds it.
    drop(spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "upstream connection ended");
        }
    }));
    Ok(sender)
}

async fn by_http2(
    forward: &Forward<'_>,
    server: &Server,
    request: &mut Option<Request<RequestBody>>,
) -> Result<(Response<Incoming>, Option<Lease>), Attempt> {
    let pool = &forward.worker.pool;
    if let Some(sender) = pool.http2(server.id) {
        match on_http2(sender, request).await {
            Err(Attempt::NotSent(_)) => pool.forget_http2(server.id),
            ended @ (Ok(_) | Err(Attempt::Broken(_))) => return ended,
        }
    }
    let sender = connect_http2(forward, server).await.map_err(Attempt::NotSent)?;
    pool.share_http2(server.id, sender.clone());
    on_http2(sender, request).await
}

async fn on_http2(
    mut sender: http2::SendRequest<RequestBody>,
    request: &mut Option<Request<RequestBody>>,
) -> Result<(Response<Incoming>, Option<Lease>), Attempt> {
    let Some(sent) = request.take() else { return Err(Attempt::NotSent("nothing to send".to_owned())) };
    match sender.try_send_request(sent).await {
        Ok(response) => Ok((response, None)),
        Err(mut error) => match error.take_message() {
            Some(unsent) => {
                *request = Some(unsent);
                Err(Attempt::NotSent(error.into_error().to_string()))
            }
            None => Err(Attempt::Broken(error.into_error())),
        },
    }
}

async fn connect_http2(forward: &Forward<'_>, server: &Server) -> Result<http2::SendRequest<RequestBody>, String> {
    let dialer = &forward.snapshot.dialer;
    let stream =
        dialer.stream(&server.host, server.port, server.tls.as_ref()).await.map_err(|problem| problem.to_string())?;
    let (sender, connection) = http2::Builder::new(OnThisThread)
        .timer(TokioTimer::new())
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    // Ends when the last sender is dropped.
    drop(spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "upstream connection ended");
        }
    }));
    Ok(sender)
}

/// Finds whose fault a broken exchange is.
fn why_broken(forward: &Forward<'_>, server: &Server, error: &hyper::Error) -> Failed {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        match cause.downcast_ref::<BodyProblem>() {
            Some(BodyProblem::TooLarge(_)) => return Failed::BodyTooLarge,
            Some(BodyProblem::Ended) => return Failed::Ended,
            Some(BodyProblem::Broken(_)) => return Failed::ClientGone,
            None => source = cause.source(),
        }
    }
    tracing::warn!(request = %forward.asked.id, upstream = %server.authority, %error, "upstream broke off");
    Failed::Unreachable
}
