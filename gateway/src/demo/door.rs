//! The door of every demo part: accepts HTTP/1.1 on loopback and nowhere else, and closes in good order.
//! Each connection is one task of the [`JoinSet`] below, together with the WebSocket it may turn into.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::answer::Answer;

/// Open connections of one demo part; more wait in the listener's backlog.
const CONNECTIONS_MAX: usize = 1024;
/// From the first byte of a request to the end of its head; also how long an idle connection stays open.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long open answers may go on once the part stops.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);
/// The wait after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a connection does after an answer of 101: the handler leaves it here, the connection's task runs it.
#[derive(Clone, Default)]
pub(super) struct Afterwards(Arc<Mutex<Option<Work>>>);

impl Afterwards {
    /// Leaves what the connection does once it has been upgraded.
    pub(super) fn run(&self, work: impl Future<Output = ()> + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(work));
    }

    fn take(&self) -> Option<Work> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Afterwards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Afterwards(..)")
    }
}

/// Answers requests until `stop` is ready, then lets open answers end for a moment.
///
/// # Errors
/// The listener is not on loopback, or has no address: nothing was accepted.
pub(super) async fn serve<H, F>(listener: TcpListener, handler: H, stop: impl Future<Output = ()>) -> io::Result<()>
where
    H: Fn(Request<Incoming>, Afterwards) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        let text = format!("`{address}` is not a loopback address: demo parts are reachable from this machine only");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let (close, closed) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((socket, _)) => drop(connections.spawn(connection(socket, handler.clone(), closed.clone()))),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    close.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
        connections.shutdown().await;
    }
    Ok(())
}

async fn connection<H, F>(socket: TcpStream, handler: H, closed: watch::Receiver<bool>)
where
    H: Fn(Request<Incoming>, Afterwards) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let afterwards = Afterwards::default();
    let service = service_fn(|request| {
        let answer = handler(request, afterwards.clone());
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = is_set(closed.clone()) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(problem) = ended {
        tracing::debug!(%problem, "a connection to a demo part ended early");
    }
    if let Some(work) = afterwards.take() {
        tokio::select! {
            () = work => {}
            () = is_set(closed) => {}
        }
    }
}

async fn is_set(mut closed: watch::Receiver<bool>) {
    // An error means that the door is gone, which is closed enough.
    let _ = closed.wait_for(|closed| *closed).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_door_that_the_network_could_reach_stays_shut() {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let handler = |_, _| async { super::super::answer::empty(http::StatusCode::OK) };
        let refused = serve(listener, handler, std::future::pending()).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }

    #[tokio::test]
    async fn stopping_ends_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let handler = |_, _| async { super::super::answer::empty(http::StatusCode::OK) };
        serve(listener, handler, std::future::ready(())).await.unwrap();
    }
}
