//! Sending one request to one of an app's servers: a waiting connection, or a new one; the next server when one does
//! not answer.

use std::rc::Rc;
use std::time::Instant;

use config::UpstreamProtocol;
use http::header::{HOST, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri, Version};
use hyper::body::Body;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::spawn_local;

use crate::body::{BodyProblem, RequestBody, UpstreamBody};
use crate::headers::Told;
use crate::http::OnThisThread;
use crate::snapshot::Server;
use crate::telemetry::{Step, StepName};
use crate::upstream::Forward;
use crate::upstream::http1::{AnswerBody, Connection, Problem};
use crate::upstream::pool::Home;

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
    /// The request was on its way, and this came of it.
    Ended(Failed),
}

/// Sends to the first server that takes the request.
pub async fn to_any(
    forward: &Forward<'_>,
    step: &Step,
    request: &mut Option<Request<RequestBody>>,
    target: &PathAndQuery,
    host: &HeaderValue,
) -> Result<Response<UpstreamBody>, Failed> {
    for server in forward.route.candidates() {
        let unsent = request.as_mut().ok_or(Failed::Unreachable)?;
        step.note_server(&server.authority);
        if address(unsent, server, forward.route.app.protocol, target, host, &forward.told).is_err() {
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
            Err(Attempt::Ended(failed)) => return Err(failed),
        }
    }
    Err(Failed::Unreachable)
}

/// Writes the request line and `Host` as this server wants them, and over HTTP/2 what it is told; over HTTP/1.1 that is
/// written with the head.
fn address(
    request: &mut Request<RequestBody>,
    server: &Server,
    protocol: UpstreamProtocol,
    target: &PathAndQuery,
    host: &HeaderValue,
    told: &Told,
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
            told.insert(request.headers_mut());
        }
    }
    Ok(())
}

async fn by_http1(
    forward: &Forward<'_>,
    server: &Server,
    request: &mut Option<Request<RequestBody>>,
) -> Result<Response<UpstreamBody>, Attempt> {
    let pool = &forward.worker.pool;
    // A waiting connection may have been closed by the server meanwhile: then the request comes back unsent.
    while let Some(connection) = pool.take_http1(server.id, Instant::now()) {
        match connection.exchange(request, &forward.told).await {
            Err(Problem::NotSent(_)) => {}
            ended @ (Ok(_) | Err(Problem::Broken(_) | Problem::Upload(_))) => return answer(forward, server, ended),
        }
    }
    let connection = Box::pin(connect_http1(forward, server)).await.map_err(Attempt::NotSent)?;
    let ended = connection.exchange(request, &forward.told).await;
    answer(forward, server, ended)
}

fn answer(
    forward: &Forward<'_>,
    server: &Server,
    ended: Result<Response<AnswerBody>, Problem>,
) -> Result<Response<UpstreamBody>, Attempt> {
    match ended {
        Ok(response) => {
            let home = Home::new(Rc::clone(&forward.worker.pool), server.id);
            Ok(response.map(|body| UpstreamBody::Http1(body, home)))
        }
        Err(Problem::NotSent(reason)) => Err(Attempt::NotSent(reason)),
        Err(Problem::Broken(reason)) => Err(Attempt::Ended(broke_off(forward, server, &reason))),
        Err(Problem::Upload(problem)) => Err(Attempt::Ended(whose(&problem))),
    }
}

async fn connect_http1(forward: &Forward<'_>, server: &Server) -> Result<Connection, String> {
    let _connecting = Step::begin(forward.trace.as_ref(), StepName::Connect);
    let stream = forward.snapshot.dialer.transport(&server.host, server.port, server.tls.as_ref()).await;
    stream.map(Connection::new).map_err(|problem| problem.to_string())
}

async fn by_http2(
    forward: &Forward<'_>,
    server: &Server,
    request: &mut Option<Request<RequestBody>>,
) -> Result<Response<UpstreamBody>, Attempt> {
    let pool = &forward.worker.pool;
    if let Some(sender) = pool.http2(server.id) {
        match on_http2(forward, server, sender, request).await {
            Err(Attempt::NotSent(_)) => pool.forget_http2(server.id),
            ended @ (Ok(_) | Err(Attempt::Ended(_))) => return ended,
        }
    }
    let sender = connect_http2(forward, server).await.map_err(Attempt::NotSent)?;
    pool.share_http2(server.id, sender.clone());
    on_http2(forward, server, sender, request).await
}

async fn on_http2(
    forward: &Forward<'_>,
    server: &Server,
    mut sender: http2::SendRequest<RequestBody>,
    request: &mut Option<Request<RequestBody>>,
) -> Result<Response<UpstreamBody>, Attempt> {
    let Some(sent) = request.take() else { return Err(Attempt::NotSent("nothing to send".to_owned())) };
    match sender.try_send_request(sent).await {
        Ok(response) => Ok(response.map(UpstreamBody::Hyper)),
        Err(mut error) => match error.take_message() {
            Some(unsent) => {
                *request = Some(unsent);
                Err(Attempt::NotSent(error.into_error().to_string()))
            }
            None => Err(Attempt::Ended(why_broken(forward, server, &error.into_error()))),
        },
    }
}

async fn connect_http2(forward: &Forward<'_>, server: &Server) -> Result<http2::SendRequest<RequestBody>, String> {
    let dialer = &forward.snapshot.dialer;
    let _connecting = Step::begin(forward.trace.as_ref(), StepName::Connect);
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

/// Finds whose fault a broken exchange over HTTP/2 is.
fn why_broken(forward: &Forward<'_>, server: &Server, error: &hyper::Error) -> Failed {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        match cause.downcast_ref::<BodyProblem>() {
            Some(problem) => return whose(problem),
            None => source = cause.source(),
        }
    }
    broke_off(forward, server, &error.to_string())
}

/// Whose fault it is that a request's body did not come to its end.
fn whose(problem: &BodyProblem) -> Failed {
    match problem {
        BodyProblem::TooLarge(_) => Failed::BodyTooLarge,
        BodyProblem::Ended => Failed::Ended,
        BodyProblem::Broken(_) | BodyProblem::BrokenRequest(_) | BodyProblem::TooShort | BodyProblem::TooLong => {
            Failed::ClientGone
        }
        BodyProblem::BrokenAnswer(_) => Failed::Unreachable,
    }
}

fn broke_off(forward: &Forward<'_>, server: &Server, reason: &str) -> Failed {
    tracing::warn!(request = %forward.asked.id, upstream = %server.authority, reason, "upstream broke off");
    Failed::Unreachable
}
