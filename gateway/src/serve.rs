//! The request's way, from the first byte to the last: read, route, who, from what device, may it, recorded, done.
//! The order is the product, so it stands here in one function; the types keep it: only what `judge` allowed can be
//! admitted, and only what was admitted can be forwarded. What is rare (refusals, pages) is boxed, so that the future
//! of an ordinary request stays small.

use std::rc::Rc;
use std::sync::Arc;

use audit::Admitted;
use config::OnLogFailure;
use http::{Request, Response};
use identity::Session;
use policy::{Device, Method, Path, RequestId, Timestamp, Verdict};
use store::StoreProblem;
use web::{AnswerForm, Fault, Page, TerminalPage};

use crate::body::ResponseBody;
use crate::client_body::ClientBody;
use crate::connection::Connection;
use crate::head::HeadProblem;
use crate::inbound::{Inbound, Unread};
use crate::patients::About;
use crate::places::Held;
use crate::refuse::Refuser;
use crate::route::{Routed, Target, route};
use crate::rush::Standing;
use crate::snapshot::{AppRoute, Snapshot};
use crate::telemetry::{Step, StepName, Trace};
use crate::worker::Worker;
use crate::{pages, shield, terminal, tunnel, upstream};

/// Answers one request; where it is traced, its trace ends with its answer.
pub async fn serve(
    worker: &Rc<Worker>,
    connection: &Rc<Connection>,
    request: Request<ClientBody>,
) -> Response<ResponseBody> {
    let gate = &worker.gate;
    worker.rush.note();
    let (snapshot, at) = (gate.snapshot.load_full(), gate.clock.now());
    let id = gate.ids.next(at);
    let trace = snapshot.config.telemetry.as_ref().and_then(|telemetry| {
        gate.traces.begin(telemetry, (request.method(), request.headers()), &connection.handshake, (id, at))
    });
    let response = steps(worker, connection, &snapshot, request, (id, at), trace.as_ref()).await;
    let Some(trace) = trace else { return response };
    trace.note_status(response.status().as_u16());
    response.map(|body| body.traced(trace))
}

/// The steps of its way, in their order.
async fn steps(
    worker: &Rc<Worker>,
    connection: &Rc<Connection>,
    snapshot: &Arc<Snapshot>,
    request: Request<ClientBody>,
    (id, at): (RequestId, Timestamp),
    trace: Option<&Rc<Trace>>,
) -> Response<ResponseBody> {
    let gate = &worker.gate;
    let limits = &snapshot.config.limits;
    let refuse = Refuser { worker, snapshot };

    if let Err(wait) = gate.limiter.address(connection.address) {
        return refuse.flooded(wait, id, at);
    }
    let standing = worker.rush.is_on().then(|| standing(worker, snapshot, connection, &request, at));
    if standing.is_some_and(|standing| !worker.rush.admits(standing, limits.queue_delay_max)) {
        return refuse.turned_away(Some(&request), id, at);
    }
    let inbound = match Inbound::read(request, connection, &connection.origin, id, at) {
        Ok(inbound) => inbound,
        Err(unread) => return Box::pin(refuse.unread(unread, connection)).await,
    };
    let mut routed = match route(snapshot, inbound) {
        Ok(routed) => routed,
        Err((fault, code, inbound)) => return Box::pin(refuse.unrouted(fault, code, &inbound)).await,
    };
    if let Some(shield) = routed.shield()
        && let Err(shut) = shield::let_in(shield, &routed.inbound)
    {
        return Box::pin(refuse.shut(shut, shield, &routed.inbound)).await;
    }
    let device = connection.device(worker, at);
    let step = Step::begin(trace, StepName::Session);
    routed.session = match find_session(worker, &routed, device.as_deref()).await {
        Ok(session) => session,
        Err(_) => return refuse.fault(Fault::StoreUnavailable, &routed.inbound),
    };
    drop(step);
    // A cookie that was no session's opens no place before others who may be known.
    if standing == Some(Standing::Returning)
        && routed.session.is_none()
        && !worker.rush.admits(Standing::Known, limits.queue_delay_max)
    {
        return refuse.turned_away(Some(&routed.inbound.request), id, at);
    }
    if let Some(session) = &routed.session
        && let Err(wait) = gate.limiter.account(&session.who.user)
    {
        return refuse.fault(Fault::TooManyRequests(wait), &routed.inbound);
    }
    let on_failure = on_log_failure(&routed);
    let step = Step::begin(trace, StepName::Policy);
    let (mut access, number) = routed.access(snapshot, device);
    if let Some(trace) = trace {
        let pattern = number.and_then(|number| snapshot.policy.classifier(&access.app).pattern(number));
        trace.note_app(access.app.as_str(), pattern);
        routed.inbound.trace = Some(Rc::clone(trace));
    }
    let about = About::of(gate, snapshot, &routed, number);
    access.grant = gate.grant_for(&access, about.as_deref(), || routed.ward(snapshot, number));
    let (needs_place, form) = (needs_place(&routed), routed.inbound.form);
    let mut verdict = worker.judge(snapshot, access, routed);
    worker.ask_shadow(&mut verdict);
    let verdict = worker.hold_to_caps(snapshot, verdict);
    drop(step);
    if let Some(trace) = trace {
        trace.note_decision(verdict.decision().as_str());
    }
    let authorized = match verdict {
        Verdict::Allow(authorized) => authorized,
        Verdict::Challenge(refused, challenge) => return Box::pin(refuse.challenge(refused, challenge, about)).await,
        Verdict::Deny(refused) => return Box::pin(refuse.deny(refused, about)).await,
    };
    // Only now: whoever is refused takes no place, and is told why and how the glass is broken, however much is open.
    let held = match needs_place {
        Some(route) => {
            match gate.places.take(&route.app, authorized.permit().access(), limits.requests_open_max_account) {
                Ok(held) => Some(held),
                Err(fault) => return refuse.no_place(fault, authorized.permit().access(), form),
            }
        }
        None => None,
    };
    let step = Step::begin(trace, StepName::Record);
    let admitted = worker.recorder.admit_about(authorized, on_failure, about.as_deref().map(About::opening)).await;
    drop(step);
    match admitted {
        Ok(admitted) => act(worker, snapshot, admitted, about, held).await,
        Err(unrecorded) => refuse.unrecorded(&unrecorded),
    }
}

/// Answers what came over HTTP/1 and is no request, or could be read as two.
pub async fn unreadable(worker: &Rc<Worker>, connection: &Connection, problem: HeadProblem) -> Response<ResponseBody> {
    let gate = &worker.gate;
    let (snapshot, at) = (gate.snapshot.load_full(), gate.clock.now());
    let refuse = Refuser { worker, snapshot: &snapshot };
    let id = gate.ids.next(at);
    if let Err(wait) = gate.limiter.address(connection.address) {
        return refuse.flooded(wait, id, at);
    }
    if !worker.rush.admits(Standing::Stranger, snapshot.config.limits.queue_delay_max) {
        return refuse.turned_away(None, id, at);
    }
    let fault = match problem {
        HeadProblem::TooLarge => Fault::HeadTooLarge,
        HeadProblem::Unreadable
        | HeadProblem::BareLineEnd
        | HeadProblem::FoldedField
        | HeadProblem::RepeatedField
        | HeadProblem::TwoLengths
        | HeadProblem::OddLength
        | HeadProblem::OddCoding
        | HeadProblem::OddTarget => Fault::BadRequest,
    };
    let host = Some(connection.server_name.clone());
    let unread = Unread { fault, code: problem.code(), id, at, host, form: AnswerForm::Problem };
    refuse.unread(unread, connection).await
}

/// Does what was admitted: the one place that opens it.
async fn act(
    worker: &Rc<Worker>,
    snapshot: &Arc<Snapshot>,
    admitted: Admitted<Routed>,
    about: Option<Arc<About>>,
    held: Option<Held>,
) -> Response<ResponseBody> {
    worker.gate.metrics.allowed.inc();
    let (routed, receipt) = admitted.open();
    let Routed { target, mut inbound, session } = routed;
    inbound.held = held;
    match target {
        Target::Page(Page::Terminal(page), _) if page != TerminalPage::Show => {
            Box::pin(terminal::answer(worker, snapshot, page, inbound, session, receipt)).await
        }
        Target::Page(page, _) => Box::pin(pages::answer(worker, snapshot, page, inbound, session, receipt)).await,
        Target::App(route) if route.app.tcp().is_some() => {
            Box::pin(tunnel::open(worker, snapshot, &route, inbound, session, receipt)).await
        }
        Target::App(route) => upstream::forward(worker, snapshot, route, inbound, session, (receipt, about)).await,
    }
}

/// The app among whose open requests this one counts, where it counts at all: our own pages and tunnels do not.
fn needs_place(routed: &Routed) -> Option<Arc<AppRoute>> {
    match &routed.target {
        Target::App(route) if route.app.tcp().is_none() => Some(Arc::clone(route)),
        Target::App(_) | Target::Page(..) => None,
    }
}

/// Who asks, as far as it can be told before anything is looked up.
fn standing(
    worker: &Worker,
    snapshot: &Snapshot,
    connection: &Connection,
    request: &Request<ClientBody>,
    at: Timestamp,
) -> Standing {
    let headers = request.headers();
    if let Some(token) = web::session_token(headers) {
        let is_in_memory = worker.gate.sessions.is_in_memory(token, &connection.server_name);
        return if is_in_memory { Standing::SignedIn } else { Standing::Returning };
    }
    if is_asked_by_machines(snapshot, connection, request) {
        return Standing::Machine;
    }
    let is_known = web::has_own_cookie(headers) || connection.device(worker, at).is_some();
    if is_known { Standing::Known } else { Standing::Stranger }
}

/// Whether it is for a page that machines ask for, on whose answer it rests that others are served: apps that check who
/// is signed in, providers that end sessions, and whoever says how devices are.
fn is_asked_by_machines(snapshot: &Snapshot, connection: &Connection, request: &Request<ClientBody>) -> bool {
    let Some(host) = snapshot.routes.host(&connection.server_name) else { return false };
    let (Some(method), Ok(path)) = (Method::parse(request.method().as_str()), Path::parse(request.uri().path())) else {
        return false;
    };
    let page = web::route(host.kind, &method, &path);
    page.is_some_and(|page| {
        matches!(
            page,
            Page::Jwks
                | Page::LogOutByProvider
                | Page::Posture
                | Page::RenewDevice
                | Page::EstCaCertificates
                | Page::EstEnrol
                | Page::EstRenew
        )
    })
}

/// The session of the request's cookie, if it is open and for this host.
async fn find_session(
    worker: &Worker,
    routed: &Routed,
    device: Option<&Device>,
) -> Result<Option<Arc<Session>>, StoreProblem> {
    let inbound = &routed.inbound;
    let Some(token) = web::session_token(inbound.request.headers()) else { return Ok(None) };
    worker.gate.sessions.find(token, &inbound.host, device, inbound.at).await
}

/// What the app of this request does when the log cannot be written. Our own pages never go on unrecorded.
fn on_log_failure(routed: &Routed) -> OnLogFailure {
    match &routed.target {
        Target::App(route) => route.app.on_log_failure,
        Target::Page(..) => OnLogFailure::Refuse,
    }
}
