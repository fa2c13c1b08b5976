//! People at work while the gateway is replaced under them: clients that ask without a pause, each as a browser does, and
//! what their log must say of them afterwards.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::{Answer, Ask, Caller, Hospital, Session, eventually_in, within};
use tokio::task::JoinHandle;

/// How long an answer may take while the gateway is handed over. The page says a second or two; machines that do much
/// else are slower.
pub const WAIT_MAX: Duration = Duration::from_secs(20);
/// How many answers each of them must get until they are said to go on.
const ANSWERS: usize = 8;

/// How a client connects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// HTTP/1.1, one connection for as long as it lasts.
    Kept,
    /// HTTP/1.1, a connection for each request.
    Fresh,
    /// HTTP/2.
    Http2,
}

/// What clients went through.
#[derive(Default)]
pub struct Told {
    /// Paths that were answered.
    pub answered: Vec<String>,
    /// Requests that were sent once more, on a new connection, because the old one had closed before they were heard.
    pub again: usize,
    /// The longest wait for an answer.
    pub longest: Duration,
}

/// All of them.
pub struct Crowd {
    stop: Arc<AtomicBool>,
    clients: Vec<(JoinHandle<Told>, Arc<AtomicUsize>)>,
}

impl Crowd {
    /// They begin, all as one person.
    pub fn begin(clients: impl IntoIterator<Item = (Caller, Kind)>, session: &Session) -> Self {
        let (sent, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let client = |(caller, kind)| {
            let answered = Arc::new(AtomicUsize::new(0));
            let client = Client { caller, kind, session: session.clone(), sent: Arc::clone(&sent) };
            (tokio::spawn(client.work(Arc::clone(&answered), Arc::clone(&stop))), answered)
        };
        Self { clients: clients.into_iter().map(client).collect(), stop }
    }

    /// Waits until every one of them was answered several times from now on. None has failed.
    pub async fn goes_on(&self) {
        let count = || self.clients.iter().map(|(_, answered)| answered.load(Ordering::Relaxed)).collect::<Vec<_>>();
        let before = count();
        eventually_in(Duration::from_secs(120), "everybody is answered", async || {
            assert!(self.clients.iter().all(|(client, _)| !client.is_finished()), "a client has failed");
            let gained = count().into_iter().zip(&before).map(|(now, before)| now - before);
            gained.min().is_none_or(|least| least >= ANSWERS).then_some(())
        })
        .await;
    }

    /// They end; what they went through, together.
    pub async fn stop(self) -> Told {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Told::default();
        for (client, _) in self.clients {
            let told = client.await.unwrap();
            all.again += told.again;
            all.longest = all.longest.max(told.longest);
            all.answered.extend(told.answered);
        }
        all
    }
}

struct Client {
    caller: Caller,
    kind: Kind,
    session: Session,
    sent: Arc<AtomicUsize>,
}

impl Client {
    /// Works as a browser does: on a connection until it closes, then on another. What was sent on a connection that turns
    /// out to be closed is sent again, once; anything else that goes wrong is a failed request.
    async fn work(self, answered: Arc<AtomicUsize>, stop: Arc<AtomicBool>) -> Told {
        let (mut told, kind) = (Told::default(), self.kind);
        let mut line = kind.connect(&self.caller).await;
        let mut is_fresh = true;
        while !stop.load(Ordering::Relaxed) {
            let number = self.sent.fetch_add(1, Ordering::Relaxed);
            let path = format!("/request/{number}");
            let method = if number.is_multiple_of(10) { "POST" } else { "GET" };
            let begun = Instant::now();
            loop {
                match line.ask(Ask::new(method, "emr", &path).signed_in(&self.session)).await {
                    Ok(answer) => {
                        answer.expect(200);
                        break;
                    }
                    Err(error) => {
                        assert!(!is_fresh, "{path} failed on a connection of its own: {error}");
                        told.again += 1;
                        line = kind.connect(&self.caller).await;
                        is_fresh = true;
                    }
                }
            }
            told.longest = told.longest.max(begun.elapsed());
            told.answered.push(path);
            answered.fetch_add(1, Ordering::Relaxed);
            is_fresh = false;
            if kind == Kind::Fresh || line.is_closed() {
                line = kind.connect(&self.caller).await;
                is_fresh = true;
            }
        }
        told
    }
}

enum Line {
    Http1(tests::Http1),
    Http2(tests::Http2),
}

impl Kind {
    async fn connect(self, caller: &Caller) -> Line {
        match self {
            Self::Kept | Self::Fresh => Line::Http1(caller.http1("emr").await),
            Self::Http2 => Line::Http2(caller.http2("emr").await),
        }
    }
}

impl Line {
    async fn ask(&mut self, ask: Ask) -> Result<Answer, String> {
        let response = match self {
            Self::Http1(line) => line.send(ask).await,
            Self::Http2(line) => line.send(ask).await,
        };
        let response = response.map_err(|error| format!("{error:?}"))?;
        within(WAIT_MAX, "a body", Answer::read(response)).await.map_err(|error| format!("{error:?}"))
    }

    fn is_closed(&self) -> bool {
        match self {
            Self::Http1(line) => line.is_closed(),
            // Told by the next request.
            Self::Http2(_) => false,
        }
    }
}

/// Every answered request has its one record in one of these logs, every record its end, and each log is as it was signed.
/// Streams may have been stopped, and may have begun again.
pub fn is_whole(nodes: &[&Hospital], answered: &[String]) {
    let mut opened = Vec::new();
    for node in nodes {
        let verified = node.run(&["audit", "verify", "--format", "json"]).ok().json();
        let records = node.records();
        assert_eq!(verified["lines"], records.len());
        assert_eq!(records.with("ev", "recovered").len(), 0, "each process let go of its log in good order");
        let (openings, closings) = (records.with("ev", "open"), records.with("ev", "close"));
        assert_eq!(closings.len(), openings.len());
        let ends: HashMap<String, &Value> =
            closings.all().iter().map(|one| (one["id"].to_string(), &one["end"])).collect();
        for opening in openings.all().iter().filter(|one| one["act"] != "connect") {
            let end = ends[&opening["id"].to_string()];
            assert!(*end == "served" || *end == "client-gone", "it ended otherwise than served: {end} {opening}");
            opened.push(opening["path"].as_str().unwrap().to_owned());
        }
    }
    let paths: HashSet<&str> = opened.iter().map(String::as_str).collect();
    assert_eq!(opened.len(), paths.len(), "nothing is recorded twice");
    let lost: Vec<&String> = answered.iter().filter(|path| !paths.contains(path.as_str())).collect();
    assert!(lost.is_empty(), "{} answered requests have no record: {lost:?}", lost.len());
}
