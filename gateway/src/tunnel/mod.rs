//! Streams of TCP apps: what `sekimori connect` opens, over HTTP/2 by extended CONNECT (RFC 8441). Each is one access:
//! judged, recorded before its port is opened and when it ends, judged again while it is open.
//!
//! A cut line does not end it: within a while another line may go on, which is judged and recorded by itself. The
//! tunnel belongs to the worker that opened it; the line may come by any.

pub mod channel;
mod dicom;
mod frame;
mod waiting;
mod window;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{End, Outcome, Receipt};
use bytes::Bytes;
use config::TcpProtocol;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use identity::Session;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio::time::timeout;
use web::Fault;

use crate::body::ResponseBody;
use crate::exchange::{Ended, Exchange, InBook};
use crate::inbound::Inbound;
use crate::listen;
use crate::pages::{ended, failed};
use crate::refuse::{Asked, Refuser};
use crate::snapshot::{AppRoute, Snapshot};
use crate::worker::Worker;
use channel::{Channel, LineEnd};
use dicom::Names;
use waiting::GoOn;

pub use waiting::{Holder, Place, Tunnels};

/// The protocol of the extended CONNECT.
pub const PROTOCOL: &str = "sekimori-tunnel";
/// The path of a tunnel that begins.
pub const OPEN: &str = "/";
/// The path of another line begins with this; the tunnel's id follows.
pub const AGAIN: &str = "/again/";
/// How long a tunnel without a line waits for another.
pub const GO_ON_WITHIN: Duration = Duration::from_secs(60);
/// Who the tunnel is, in the answer to its beginning: id and secret. The secret, where another line goes on.
pub const TUNNEL: HeaderName = HeaderName::from_static("sekimori-tunnel");
/// Up to where whoever says so has the other side's bytes, where another line goes on.
pub const RECEIVED: HeaderName = HeaderName::from_static("sekimori-received");
/// What the client is told where the target broke off.
const BROKE: &str = "target-broke";
/// How long the target may take what a client said that is gone.
const REST: Duration = Duration::from_secs(10);
/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_millis(400);
/// How long the worker of a tunnel and the worker of its line may take to find each other.
const MEET: Duration = Duration::from_secs(10);

/// One line of a tunnel.
#[derive(Debug)]
pub struct Line {
    io: TokioIo<Upgraded>,
    /// Dropped with it, so that its connection counts it as long.
    _held: oneshot::Sender<()>,
}

/// An admitted request for a stream, before anything came of it.
struct Begun<'a> {
    worker: &'a Rc<Worker>,
    snapshot: &'a Arc<Snapshot>,
    asked: Asked,
    exchange: Rc<Exchange>,
    receipt: Receipt,
}

/// Opens a stream to a TCP app, or goes on with one whose line was cut.
pub async fn open(
    worker: &Rc<Worker>,
    snapshot: &Arc<Snapshot>,
    route: &AppRoute,
    inbound: Box<Inbound>,
    session: Option<Arc<Session>>,
    receipt: Receipt,
) -> Response<ResponseBody> {
    let exchange = Rc::new(Exchange::new(Instant::now(), Rc::clone(&inbound.connection.cut)));
    let access = receipt.permit().access();
    let asked = Asked::of(&inbound, access.who.clone(), Some(access.app.clone()));
    let still_allowed = worker.is_still_allowed(snapshot, access);
    let begun = Begun { worker, snapshot, asked, exchange, receipt };
    if let Err(why) = still_allowed {
        begun.exchange.end(why, Instant::now());
        return begun.ended();
    }
    match inbound.path.as_str() {
        OPEN => begun.open(route, inbound, session).await,
        path => match path.strip_prefix(AGAIN) {
            Some(id) => {
                let id = id.to_owned();
                begun.go_on(&id, inbound, session).await
            }
            None => begun.fail(Fault::NotFound, End::Refused),
        },
    }
}

impl Begun<'_> {
    async fn open(
        self,
        route: &AppRoute,
        mut inbound: Box<Inbound>,
        session: Option<Arc<Session>>,
    ) -> Response<ResponseBody> {
        let access = self.receipt.permit().access().clone();
        let holder = Holder::of(&access, session.as_deref());
        let Some(place) = self.worker.gate.tunnels.open(access.request, access.app.clone(), holder) else {
            return self.fail(Fault::Overloaded, End::Refused);
        };
        let exchange = &self.exchange;
        exchange.request_done.set(true);
        exchange.answered.set(true);
        exchange.endless.set(true);
        // In the book before the port is opened: what changes meanwhile ends it too.
        let in_book = self.worker.open.enter(Rc::clone(exchange), session, access);
        let target = tokio::select! {
            target = dial(self.snapshot, route) => target,
            _why = exchange.until_ended() => return self.ended(),
        };
        let target = match target {
            Ok(target) => target,
            Err(reason) => {
                tracing::warn!(request = %self.asked.id, reason, "no connection to the port of a TCP app");
                return self.fail(Fault::AppUnreachable, End::UpstreamFailed);
            }
        };
        let answer = [(TUNNEL, format!("{}.{}", self.asked.id, place.secret))];
        let line = line(&mut inbound);
        hold(inbound, line.1);
        let protocol = route.app.tcp().unwrap_or(TcpProtocol::Other);
        let tunnel = Tunnel { exchange: self.exchange, receipt: self.receipt, in_book, place, protocol };
        // The tunnel owns its record and ends when either side does, when it is revoked, or with the worker.
        drop(spawn_local(tunnel.run(line.0, target)));
        agreed(answer)
    }

    /// Another line for a tunnel that is open. The record of this request ends at once: what passes is the tunnel's.
    async fn go_on(self, id: &str, mut inbound: Box<Inbound>, session: Option<Arc<Session>>) -> Response<ResponseBody> {
        let access = self.receipt.permit().access();
        let holder = Holder::of(access, session.as_deref());
        let fields = inbound.request.headers();
        let asked = (value(fields, &TUNNEL), value(fields, &RECEIVED).and_then(|count| count.parse().ok()));
        let (Some(secret), Some(received)) = asked else { return self.fail(Fault::BadRequest, End::Refused) };
        let Some(lines) = self.worker.gate.tunnels.find(id, secret, &access.app, &holder) else {
            return self.fail(Fault::NotFound, End::Refused);
        };
        let (accepted, is_accepted) = oneshot::channel();
        let (give, line_comes) = oneshot::channel();
        let met = async {
            let (from, device) = (access.from.clone(), access.device.clone());
            lines.send(GoOn { received, from, device, accepted, line: line_comes }).await.ok()?;
            is_accepted.await.ok()
        };
        let Ok(Some(accepted)) = timeout(MEET, met).await else { return self.fail(Fault::NotFound, End::Refused) };
        let (line, held) = line(&mut inbound);
        hold(inbound, held);
        drop(spawn_local(async move {
            if let Some(line) = line.opened().await {
                // A tunnel that ended meanwhile needs no line.
                let _given = give.send(line);
            }
        }));
        self.receipt.close(self.exchange.outcome(StatusCode::OK, End::Upgraded));
        agreed([(RECEIVED, accepted.to_string())])
    }

    fn fail(self, fault: Fault, end: End) -> Response<ResponseBody> {
        let refuse = Refuser { worker: self.worker, snapshot: self.snapshot };
        failed(refuse, fault, end, self.asked, &self.exchange, self.receipt)
    }

    /// Answers an access that was ended before its stream began.
    fn ended(self) -> Response<ResponseBody> {
        let refuse = Refuser { worker: self.worker, snapshot: self.snapshot };
        ended(refuse, self.asked, &self.exchange, self.receipt)
    }
}

/// Opens the app's port.
pub async fn dial(snapshot: &Snapshot, route: &AppRoute) -> Result<TcpStream, String> {
    let mut last = "no server".to_owned();
    for server in route.candidates() {
        let opened = timeout(route.app.response_timeout, snapshot.dialer.tcp(&server.host, server.port)).await;
        match opened {
            Ok(Ok(stream)) => {
                // A server may stand still for long: a database waits for a lock, an archive stores.
                if let Err(error) = listen::wait_for_slow(&stream) {
                    tracing::debug!(%error, "a socket could not be prepared");
                }
                server.answers.note(true);
                return Ok(stream);
            }
            Ok(Err(problem)) => last = problem.to_string(),
            Err(_) => last = format!("`{}` did not answer in time", server.authority),
        }
        server.answers.note(false);
    }
    Err(last)
}

/// A line that is there once the client got its answer.
struct Coming {
    upgrade: OnUpgrade,
    held: oneshot::Sender<()>,
}

impl Coming {
    async fn opened(self) -> Option<Line> {
        let upgraded = timeout(MEET, self.upgrade).await.ok()?.ok()?;
        Some(Line { io: TokioIo::new(upgraded), _held: self.held })
    }
}

/// The line of a request, and what tells that it is gone.
fn line(inbound: &mut Inbound) -> (Coming, oneshot::Receiver<()>) {
    let (held, gone) = oneshot::channel();
    (Coming { upgrade: hyper::upgrade::on(&mut inbound.request), held }, gone)
}

/// Counts a line on its connection until it is gone: wherever it went, its connection is this worker's.
fn hold(inbound: Box<Inbound>, gone: oneshot::Receiver<()>) {
    let Inbound { connection, open, .. } = *inbound;
    drop(spawn_local(async move {
        let _gone = gone.await;
        drop((connection, open));
    }));
}

fn agreed<const N: usize>(fields: [(HeaderName, String); N]) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::own(Bytes::new()));
    for (name, value) in fields {
        if let Ok(mut value) = HeaderValue::from_str(&value) {
            value.set_sensitive(true);
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn value<'a>(fields: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = fields.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        (Some(_), Some(_)) | (None, _) => None,
    }
}

/// An open tunnel and its record.
struct Tunnel {
    exchange: Rc<Exchange>,
    receipt: Receipt,
    in_book: InBook,
    place: Place,
    protocol: TcpProtocol,
}

impl Tunnel {
    async fn run(self, first: Coming, target: TcpStream) {
        let Self { exchange, receipt, in_book, mut place, protocol } = self;
        let names = RefCell::new(Names::default());
        let channel = Channel::default();
        let sees = |bytes: &[u8]| {
            exchange.bytes_in.set(exchange.bytes_in.get().saturating_add(bytes.len() as u64));
            exchange.client_acted.set(true);
            if protocol == TcpProtocol::Dicom {
                names.borrow_mut().see(bytes);
            }
        };
        let gave = |bytes: usize| exchange.bytes_out.set(exchange.bytes_out.get().saturating_add(bytes as u64));
        let end = {
            let mut carried = std::pin::pin!(channel.carry(target, sees, gave));
            let mut next = tokio::select! {
                line = first.opened() => Next::Line(line),
                why = exchange.until_ended() => Next::End(goodbye(why).1),
            };
            let mut is_broken = false;
            loop {
                next = match next {
                    Next::End(end) => break end,
                    Next::Line(Some(line)) => {
                        let mut over = std::pin::pin!(channel.over(line.io));
                        loop {
                            tokio::select! {
                                end = over.as_mut() => break match end {
                                    LineEnd::Left if is_broken => Next::End(End::UpstreamFailed),
                                    LineEnd::Goodbye(_) if !is_broken => tokio::select! {
                                        () = channel.handed_on() => Next::after(end),
                                        why = exchange.until_ended() => Next::End(goodbye(why).1),
                                        _broke = carried.as_mut() => Next::after(end),
                                        () = tokio::time::sleep(REST) => Next::after(end),
                                    },
                                    LineEnd::Done | LineEnd::Cut | LineEnd::Goodbye(_) | LineEnd::Left | LineEnd::Garbled => {
                                        Next::after(end)
                                    }
                                },
                                go_on = place.lines.recv() => break meet(&channel, &exchange, &in_book, go_on).await,
                                why = exchange.until_ended() => break leave(&channel, over, goodbye(why)).await,
                                // What it said before is sent first, over this line or the next.
                                _broke = carried.as_mut(), if !is_broken => {
                                    is_broken = true;
                                    channel.leave_with_rest(BROKE);
                                }
                            }
                        }
                    }
                    Next::Line(None) => tokio::select! {
                        go_on = place.lines.recv() => meet(&channel, &exchange, &in_book, go_on).await,
                        why = exchange.until_ended() => Next::End(goodbye(why).1),
                        _broke = carried.as_mut(), if !is_broken => {
                            is_broken = true;
                            channel.leave_with_rest(BROKE);
                            Next::Line(None)
                        }
                        () = tokio::time::sleep(GO_ON_WITHIN) => {
                            Next::End(if is_broken { End::UpstreamFailed } else { End::ClientGone })
                        }
                    },
                };
            }
        };
        drop((in_book, place));
        exchange.bytes_out.set(channel.gone_bytes());
        let said = names.borrow().found();
        receipt.close(Outcome { said, ..exchange.outcome(StatusCode::OK, end) });
    }
}

/// What comes next in a tunnel.
enum Next {
    /// This line, or waiting for one.
    Line(Option<Line>),
    /// The end.
    End(End),
}

impl Next {
    fn after(end: LineEnd) -> Self {
        match end {
            LineEnd::Cut => Self::Line(None),
            LineEnd::Done => Self::End(End::Upgraded),
            LineEnd::Goodbye(_) | LineEnd::Left => Self::End(End::ClientGone),
            LineEnd::Garbled => Self::End(End::Refused),
        }
    }
}

/// Lets another line go on: from then on the tunnel is judged by where that one comes from.
async fn meet(channel: &Channel, exchange: &Exchange, in_book: &InBook, go_on: Option<GoOn>) -> Next {
    let Some(GoOn { received, from, device, accepted, line }) = go_on else { return Next::Line(None) };
    // A line that cannot go on is told by the sender that is dropped; the tunnel waits for a better one.
    if channel.go_on_from(received).is_err() || accepted.send(channel.accepted()).is_err() {
        return Next::Line(None);
    }
    in_book.moved(from, device);
    tokio::select! {
        line = timeout(MEET, line) => Next::Line(line.ok().and_then(Result::ok)),
        why = exchange.until_ended() => Next::End(goodbye(why).1),
    }
}

/// Says goodbye over the line, in time.
async fn leave(
    channel: &Channel,
    over: std::pin::Pin<&mut impl Future<Output = LineEnd>>,
    (code, end): (&'static str, End),
) -> Next {
    channel.leave(code);
    let _in_time = timeout(GOODBYE, over).await;
    Next::End(end)
}

/// What the client is told of an end, and how that is recorded.
fn goodbye(why: Ended) -> (&'static str, End) {
    match why {
        Ended::Judged(reason) | Ended::Gone(reason) => (reason.code(), End::Revoked(reason)),
        Ended::Stopped => ("stopping", End::Stopped),
        Ended::Stalled => ("closed", End::ClientGone),
    }
}
