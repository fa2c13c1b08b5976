//! A terminal in the browser for an SSH app, and files of its server. The gateway signs in at the server itself: whoever
//! works there never has its password or key. Each session is one access over one WebSocket: judged, recorded before the
//! server is dialed and when it ends, judged again while it is open; what it shows goes onto a tape first.

mod files;
mod replies;
mod session;
mod sftp;
mod socket;
mod ssh;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{End, Receipt};
use config::Terminal;
use http::header::{HeaderMap, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION};
use http::{HeaderValue, Response};
use identity::Session;
use policy::AppId;
use tokio::task::spawn_local;
use tokio::time::sleep;
use web::{Fault, TerminalPage};

use crate::body::ResponseBody;
use crate::exchange::{Exchange, InBook};
use crate::gate::Gate;
use crate::inbound::{Inbound, Switch};
use crate::pages::{ended, failed};
use crate::refuse::{Asked, Refuser};
use crate::snapshot::{AppRoute, Snapshot};
use crate::switch::Switching;
use crate::tunnel::{Holder, Place, dial};
use crate::upstream::websocket::client_answer;
use crate::worker::Worker;
use session::Carried;
use ssh::{Size, Ssh, SshProblem};

/// How often is looked whether another configuration is in force.
const CHANGE_INTERVAL: Duration = Duration::from_millis(250);
/// What is told where that ended something.
const CHANGED: &str = "settings-changed";

/// Answers an admitted request for a terminal or its files.
pub async fn answer(
    worker: &Rc<Worker>,
    snapshot: &Arc<Snapshot>,
    page: TerminalPage,
    inbound: Box<Inbound>,
    session: Option<Arc<Session>>,
    receipt: Receipt,
) -> Response<ResponseBody> {
    let exchange = Rc::new(Exchange::new(Instant::now(), Rc::clone(&inbound.connection.cut)));
    let access = receipt.permit().access();
    let asked = Asked::of(&inbound, access.who.clone(), Some(access.app.clone()));
    let route = snapshot.routes.host(&inbound.host).and_then(|host| host.app(&inbound.path)).cloned();
    let still_allowed = worker.is_still_allowed(snapshot, access);
    let begun = Begun { worker, snapshot, asked, exchange, receipt };
    if let Err(why) = still_allowed {
        begun.exchange.end(why, Instant::now());
        return begun.ended();
    }
    let Some(route) = route.filter(|route| route.app.terminal.is_some()) else {
        return begun.fail(Fault::NotFound, End::Refused);
    };
    match page {
        TerminalPage::Stream => begun.open(route, inbound, session),
        TerminalPage::Folders | TerminalPage::Folder => Box::pin(begun.list(route, inbound, session)).await,
        TerminalPage::Get => Box::pin(begun.get(route, inbound, session)).await,
        TerminalPage::Put => Box::pin(begun.put(route, inbound, session)).await,
        TerminalPage::Show => begun.fail(Fault::NotFound, End::Refused),
    }
}

/// An admitted request, before anything came of it.
struct Begun<'a> {
    worker: &'a Rc<Worker>,
    snapshot: &'a Arc<Snapshot>,
    asked: Asked,
    exchange: Rc<Exchange>,
    receipt: Receipt,
}

impl Begun<'_> {
    /// Opens a terminal. The WebSocket is agreed to before the server is dialed, so that the page can be told in words
    /// what went wrong.
    fn open(
        self,
        route: Arc<AppRoute>,
        mut inbound: Box<Inbound>,
        session: Option<Arc<Session>>,
    ) -> Response<ResponseBody> {
        let Some(key) = key_of(&inbound) else { return self.fail(Fault::BadRequest, End::Refused) };
        let switch = inbound.switch;
        let client = Switching::of(&mut inbound.request);
        let Inbound { connection, open, query, request, .. } = *inbound;
        self.exchange.request_done.set(true);
        self.exchange.answered.set(true);
        self.exchange.endless.set(true);
        let access = self.receipt.permit().access().clone();
        let place = self.place(session.as_deref());
        // In the book before the server is dialed: what changes meanwhile ends it too.
        let in_book = self.worker.open.enter(Rc::clone(&self.exchange), session, access);
        let carried = Carried {
            gate: Arc::clone(&self.worker.gate),
            snapshot: Arc::clone(self.snapshot),
            exchange: self.exchange,
            receipt: self.receipt,
            route,
            size: size_of(query.as_deref()),
            language: web::language(request.headers()),
            place,
            in_book,
            // Keeps the connection's slot: HTTP/1 has let go of it.
            _connection: (connection, open),
        };
        // The session owns its record and ends when either side does, when it is revoked, or with the worker.
        drop(spawn_local(carried.run(client)));
        client_answer(HeaderMap::new(), &key, switch, None)
    }

    /// A place among what is open, so that nobody takes all.
    fn place(&self, session: Option<&Session>) -> Option<Place> {
        let access = self.receipt.permit().access();
        self.worker.gate.tunnels.open(access.request, access.app.clone(), Holder::of(access, session))
    }

    fn enter(&self, session: Option<Arc<Session>>) -> InBook {
        self.worker.open.enter(Rc::clone(&self.exchange), session, self.receipt.permit().access().clone())
    }

    fn fail(self, fault: Fault, end: End) -> Response<ResponseBody> {
        let refuse = Refuser { worker: self.worker, snapshot: self.snapshot };
        failed(refuse, fault, end, self.asked, &self.exchange, self.receipt)
    }

    /// Answers an access that was ended before it began.
    fn ended(self) -> Response<ResponseBody> {
        let refuse = Refuser { worker: self.worker, snapshot: self.snapshot };
        ended(refuse, self.asked, &self.exchange, self.receipt)
    }
}

/// Waits until a configuration is in force by which an app's terminal is another one than in this, or is none any more.
async fn until_changed(gate: &Gate, snapshot: &Arc<Snapshot>, app: &AppId) {
    let of = |snapshot: &Snapshot| {
        snapshot.config.apps.iter().find(|one| one.id == *app).and_then(|one| one.terminal.clone())
    };
    let (mut last, before) = (Arc::clone(snapshot), of(snapshot));
    loop {
        let now = gate.snapshot.load_full();
        if !Arc::ptr_eq(&now, &last) {
            if of(&now) != before {
                return;
            }
            last = now;
        }
        sleep(CHANGE_INTERVAL).await;
    }
}

/// The app's terminal.
fn terminal_of(route: &AppRoute) -> Result<&Terminal, SshProblem> {
    route.app.terminal.as_ref().ok_or(SshProblem::Silent)
}

/// Why there is no SSH to a server: the code of it, and what the record says.
#[derive(Debug)]
struct NoSsh {
    code: &'static str,
    said: String,
}

impl NoSsh {
    fn of(problem: &SshProblem) -> Self {
        Self { code: problem.code(), said: problem.said() }
    }
}

/// Signs in at an app's server.
async fn sign_in(snapshot: &Snapshot, route: &AppRoute) -> Result<Ssh, NoSsh> {
    let terminal = terminal_of(route).map_err(|problem| NoSsh::of(&problem))?;
    let stream = dial(snapshot, route).await.map_err(|reason| {
        tracing::warn!(app = %route.app.id, reason, "no connection to the server of a terminal");
        NoSsh { code: "target-unreachable", said: "target-unreachable".to_owned() }
    })?;
    Ssh::open(stream, terminal).await.map_err(|problem| {
        tracing::warn!(app = %route.app.id, reason = problem.said(), "no SSH to the server of a terminal");
        NoSsh::of(&problem)
    })
}

/// The key of a WebSocket handshake (RFC 6455 section 4.2.1); over HTTP/2 there is none to answer.
fn key_of(inbound: &Inbound) -> Option<HeaderValue> {
    match inbound.switch {
        Switch::WebSocketOverHttp2 => Some(HeaderValue::from_static("")),
        Switch::WebSocket => {
            let fields = inbound.request.headers();
            let is_known = fields.get(SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
            fields.get(SEC_WEBSOCKET_KEY).filter(|_| is_known).cloned()
        }
        Switch::No | Switch::Tunnel => None,
    }
}

/// How large the terminal is, as its page says.
fn size_of(query: Option<&str>) -> Size {
    let number = |name: &str| {
        let mut pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok())
    };
    Size::bounded(number("columns").unwrap_or(80), number("rows").unwrap_or(24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_as_large_as_its_page_says_within_bounds() {
        for (query, columns, rows) in [
            (None, 80, 24),
            (Some("columns=132&rows=50"), 132, 50),
            (Some("columns=0&rows=9999"), 20, 200),
            (Some("columns=-1&rows=x"), 80, 24),
            (Some("rows=65536&columns=65535"), 500, 24),
        ] {
            assert_eq!(size_of(query), Size { columns, rows }, "{query:?}");
        }
    }
}
