//! The way from node to node: TLS with certificates of the hospital's own CA for nodes on both sides, and one kind of
//! request on it, a question of a node's log and its answer. Whoever shows no certificate that names another node is not
//! heard. Everything is bounded, and a node that hangs, lies or is away costs a page that asks it a bounded time.
//! Deliberately not here: what is asked and answered (web), and how nodes hear of each other (`beat`).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use certs::{CertProblem, NodeTls, names_node};
use config::{Config, NodeChannel, NodeName};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use web::{LogPeers, LogView};

use crate::upstream::dial::{Dialer, TlsTo};
use crate::{fetch, listen};

/// The path on which a log is asked.
const PLACE: &str = "/log";
/// How long a connection and its handshake may take each; a node that is there needs milliseconds, a busy one more.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// From the first byte to the last of one question and its answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest question and answer, in bytes.
const QUESTION_BYTES_MAX: usize = 64 << 10;
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// How many questions of this node are under way at once.
const ASKED_MAX: usize = 64;
/// How many connections of others are open at once, and how many questions are worked on.
const CONNECTIONS_MAX: usize = 64;
const WORKING_MAX: usize = 4;
/// The whole life of a connection: one question.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);
/// How often it is tried to listen, and how long accepting pauses where the system has no more descriptors.
const LISTEN_AGAIN_AFTER: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);
/// How often the files of certificates are looked at again: they are renewed while the gateway runs.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// TLS between nodes as its files have it; the last that could be used where they cannot.
#[derive(Debug)]
struct Files {
    of: NodeChannel,
    own: NodeName,
    loaded: Mutex<Option<(Instant, NodeTls)>>,
}

impl Files {
    fn new(of: &NodeChannel, own: &NodeName) -> Self {
        Self { of: of.clone(), own: own.clone(), loaded: Mutex::default() }
    }

    fn tls(&self) -> Result<NodeTls, CertProblem> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, tls)) = loaded.as_ref().filter(|(at, _)| at.elapsed() < LOOK_AGAIN_AFTER) {
            return Ok(tls.clone());
        }
        let tls = match (NodeTls::load(&self.of.ca_file, &self.of.certificate, self.own.as_str()), loaded.take()) {
            (Ok(tls), _) => tls,
            (Err(problem), Some((_, last))) => {
                tracing::error!(%problem, "the certificate between nodes cannot be used; the last one stays");
                last
            }
            (Err(problem), None) => return Err(problem),
        };
        *loaded = Some((Instant::now(), tls.clone()));
        Ok(tls)
    }
}

/// Asks the other nodes.
#[derive(Debug)]
pub struct Channel {
    files: Files,
    addresses: BTreeMap<NodeName, (String, u16)>,
    dialer: Dialer,
    runtime: Handle,
    places: Arc<Semaphore>,
}

impl Channel {
    /// The way of this node, where there is one. Questions go out on the runtime that this is called on.
    pub fn of(config: &Config) -> Option<Arc<Self>> {
        let nodes = config.nodes.as_ref()?;
        let channel = nodes.channel.as_ref()?;
        Some(Arc::new(Self {
            files: Files::new(channel, &nodes.own),
            addresses: channel.addresses.clone(),
            dialer: Dialer::new(CONNECT_TIMEOUT, &config.forbidden_upstreams),
            runtime: Handle::current(),
            places: Arc::new(Semaphore::new(ASKED_MAX)),
        }))
    }
}

impl LogPeers for Channel {
    fn ask(&self, node: &str, question: Vec<u8>) -> Receiver<Vec<u8>> {
        let (answer, receiver) = channel();
        let found = self.addresses.iter().find(|(name, _)| name.as_str() == node);
        let place = Arc::clone(&self.places).try_acquire_owned();
        let (Some((name, (host, port))), Ok(place)) = (found, place) else { return receiver };
        let (name, host, port, dialer) = (name.clone(), host.clone(), *port, self.dialer.clone());
        let tls = self.files.tls();
        // Owned by its place and its deadline; whoever asks waits no longer than that.
        drop(self.runtime.spawn(async move {
            let _place = place;
            let asked = async {
                let tls = tls.map_err(|problem| problem.to_string())?;
                exchange(&dialer, &tls, &name, (&host, port), question).await
            };
            match timeout(ANSWER_TIMEOUT, asked).await {
                // Whoever asked may have gone.
                Ok(Ok(bytes)) => drop(answer.send(bytes)),
                Ok(Err(problem)) => tracing::warn!(node = %name, problem, "another node's log could not be asked"),
                Err(_) => tracing::warn!(node = %name, within = ?ANSWER_TIMEOUT, "another node did not answer"),
            }
        }));
        receiver
    }
}

async fn exchange(
    dialer: &Dialer,
    tls: &NodeTls,
    name: &NodeName,
    (host, port): (&str, u16),
    question: Vec<u8>,
) -> Result<Vec<u8>, String> {
    let server = ServerName::try_from(name.to_string()).map_err(|error| error.to_string())?;
    let tls = TlsTo { connector: TlsConnector::from(Arc::clone(&tls.client)), name: server };
    let stream = dialer.stream(host, port, Some(&tls)).await.map_err(|problem| problem.to_string())?;
    let request = Request::post(PLACE).body(question).map_err(|error| error.to_string())?;
    let answer = fetch::over(stream, name.as_str(), request, ANSWER_BYTES_MAX).await;
    let answer = answer.map_err(|problem| problem.to_string())?;
    match answer.status() {
        StatusCode::OK => Ok(answer.into_body()),
        status => Err(format!("it answers {status}: its version may be another")),
    }
}

/// What answers the other nodes.
struct Answering {
    files: Files,
    others: Vec<NodeName>,
    log: Arc<LogView>,
    working: Arc<Semaphore>,
}

/// Answers the other nodes, where they ask each other, until the program ends.
pub async fn answer(config: Arc<Config>, log: Arc<LogView>) {
    let nodes = config.nodes.as_ref();
    let Some((nodes, channel)) = nodes.and_then(|nodes| Some((nodes, nodes.channel.as_ref()?))) else {
        return std::future::pending().await;
    };
    let answering = Arc::new(Answering {
        files: Files::new(channel, &nodes.own),
        others: nodes.peers().cloned().collect(),
        log,
        working: Arc::new(Semaphore::new(WORKING_MAX)),
    });
    // Nothing else waits for it: people are served whether or not other nodes are.
    let listener = loop {
        match listen::bind(channel.listen).and_then(TcpListener::from_std) {
            Ok(listener) => break listener,
            Err(error) => {
                let address = channel.listen;
                tracing::error!(%error, %address, "the other nodes cannot ask this one; it is tried again");
                tokio::time::sleep(LISTEN_AGAIN_AFTER).await;
            }
        }
    };
    accept(answering, listener).await;
}

async fn accept(answering: Arc<Answering>, listener: TcpListener) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "the listener for other nodes paused");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let answering = Arc::clone(&answering);
        // Owned by its slot and its deadline.
        drop(tokio::spawn(async move {
            if let Ok(Err(problem)) = timeout(CONNECTION_TIMEOUT, serve(&answering, stream, slot)).await {
                tracing::warn!(%from, problem, "somebody who is no other node, or hung up, was not answered");
            }
        }));
    }
}

async fn serve(answering: &Arc<Answering>, stream: TcpStream, slot: OwnedSemaphorePermit) -> Result<(), String> {
    // On this thread health is told, and the disk that the files are on may hang: then the slot is taken until it answers.
    let reading = Arc::clone(answering);
    let read = tokio::task::spawn_blocking(move || (reading.files.tls(), slot)).await;
    let (tls, _slot) = read.map_err(|error| error.to_string())?;
    let tls = tls.map_err(|problem| problem.to_string())?;
    let shaken = timeout(CONNECT_TIMEOUT, TlsAcceptor::from(tls.server).accept(stream)).await;
    let stream = shaken.map_err(|_| "the TLS handshake took too long".to_owned())?;
    let stream = stream.map_err(|error| format!("the TLS handshake failed: {error}"))?;
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let named = |name: &&NodeName| shown.is_some_and(|certificate| names_node(certificate, name.as_str()));
    let Some(node) = answering.others.iter().find(named).cloned() else {
        return Err("its certificate names no other node".to_owned());
    };
    let service = service_fn(move |request| {
        let (answering, node) = (Arc::clone(answering), node.clone());
        async move { Ok::<_, Infallible>(respond(&answering, &node, request).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ANSWER_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    serving.await.map_err(|error| error.to_string())
}

async fn respond(answering: &Arc<Answering>, node: &NodeName, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let status = |status: StatusCode| {
        let mut response = Response::new(Full::default());
        *response.status_mut() = status;
        response
    };
    if request.method() != http::Method::POST || request.uri().path() != PLACE {
        return status(StatusCode::NOT_FOUND);
    }
    let Ok(question) = Limited::new(request.into_body(), QUESTION_BYTES_MAX).collect().await else {
        return status(StatusCode::BAD_REQUEST);
    };
    let turn = Arc::clone(&answering.working).acquire_owned().await;
    let Ok(turn) = turn else { return status(StatusCode::SERVICE_UNAVAILABLE) };
    let (log, question) = (Arc::clone(&answering.log), question.to_bytes());
    tracing::debug!(%node, bytes = question.len(), "another node asks this one's log");
    let work = move || {
        // Held until the work has ended: it goes on where whoever asked has gone.
        let _turn = turn;
        log.answer(&question)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => Response::new(Full::from(answer)),
        Err(error) => {
            tracing::error!(%node, %error, "an answer to another node broke off");
            status(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

#[cfg(test)]
mod tests;
