//! From an admitted request to an upstream's answer: choose a server, send, stream back. Only what was admitted comes
//! here, with the receipt that its end closes.

pub mod dial;
pub mod frames;
pub mod health;
pub mod http1;
pub mod pool;
pub mod probe;
mod send;
pub mod websocket;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{End, Receipt};
use config::IdentityField;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode, Uri};
use hyper::body::Body;
use identity::Session;
use policy::{Access, Path};
use web::Fault;

use crate::body::{Enter, Record, RequestBody, ResponseBody, UpstreamBody};
use crate::exchange::Exchange;
use crate::headers::{self, Introduction, Told};
use crate::inbound::{Inbound, Switch};
use crate::pages::{ended, failed};
use crate::patients::{About, Lookout, Watched};
use crate::refuse::{Asked, Refuser};
use crate::shield;
use crate::snapshot::{AppRoute, Snapshot};
use crate::telemetry::{Step, StepName, Trace};
use crate::worker::Worker;

/// How often is looked whether a request was sent to its end, once its answer is late.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// One admitted request on its way to an app.
pub(crate) struct Forward<'a> {
    worker: &'a Rc<Worker>,
    snapshot: &'a Arc<Snapshot>,
    route: &'a AppRoute,
    asked: Asked,
    session: Option<Arc<Session>>,
    exchange: Rc<Exchange>,
    receipt: Watched,
    over_http2: bool,
    told: Told,
    trace: Option<Rc<Trace>>,
}

/// Sends an admitted request to its app and streams the answer back.
pub async fn forward(
    worker: &Rc<Worker>,
    snapshot: &Arc<Snapshot>,
    route: Arc<AppRoute>,
    inbound: Box<Inbound>,
    session: Option<Arc<Session>>,
    (receipt, about): (Receipt, Option<Arc<About>>),
) -> Response<ResponseBody> {
    let exchange = Rc::new(Exchange::new(Instant::now(), Rc::clone(&inbound.connection.cut)));
    let access = receipt.permit().access();
    let asked = Asked::of(&inbound, access.who.clone(), Some(access.app.clone()));
    let over_http2 = inbound.request.version() == http::Version::HTTP_2;
    let Inbound { connection, open, held, switch, path, request, trace, .. } = *inbound;
    exchange.hold(held);
    let (mut parts, body) = request.into_parts();
    let lookout = about.map(|about| Lookout::new(about, &worker.gate.desk, &parts.headers));
    let traceparent = trace.as_ref().and_then(|trace| trace.towards_app(&mut parts.headers));
    let told = match tell(worker, &route, access, &parts.headers, &connection.introduction) {
        Ok(told) => Told { traceparent, ..told },
        Err(_) => {
            let refuse = Refuser { worker, snapshot };
            return failed(refuse, Fault::Internal, End::Refused, asked, &exchange, receipt);
        }
    };
    let still_allowed = worker.is_still_allowed(snapshot, access);
    let receipt = Watched::new(receipt, lookout);
    let forward =
        Forward { worker, snapshot, route: &route, asked, session, exchange, receipt, over_http2, told, trace };
    if let Err(why) = still_allowed {
        forward.exchange.end(why, Instant::now());
        return forward.ended();
    }
    if let Some(most) = forward.body_too_large(&parts.headers) {
        tracing::debug!(request = %forward.asked.id, most, "body too large");
        return forward.fail(Fault::BodyTooLarge, End::Refused);
    }
    if let Some(shield) = &route.app.shield {
        shield::towards_app(shield, &mut parts.headers);
    }
    headers::towards_upstream(&mut parts.headers, route.identity_headers.iter().map(|(name, _)| name));
    if let Some(lookout) = forward.receipt.lookout() {
        lookout.ask_plainly(parts.method.as_str(), &mut parts.headers);
    }
    let Some(target) = target(&parts.uri, &path) else { return forward.fail(Fault::Internal, End::Refused) };
    let response = match switch {
        Switch::No => {
            let has_body = !body.is_end_stream();
            let lookout = forward.receipt.lookout().cloned();
            let body = RequestBody::new(body, Rc::clone(&forward.exchange), Arc::clone(&route), lookout);
            let mut request = Some(Request::from_parts(parts, body));
            forward.exchange(&mut request, has_body, &target, &connection.introduction.host).await
        }
        // A stream is no request for a web app, and the route lets none be.
        Switch::Tunnel => forward.fail(Fault::BadRequest, End::Refused),
        Switch::WebSocket | Switch::WebSocketOverHttp2 => {
            let (request, host) = (Request::from_parts(parts, body), connection.introduction.host.clone());
            Box::pin(websocket::open(forward, request, &target, &host, switch, connection)).await
        }
    };
    match open {
        Some(open) => response.map(|body| body.counted(open)),
        None => response,
    }
}

/// What the app is told of this request.
fn tell(
    worker: &Worker,
    route: &AppRoute,
    access: &Access,
    fields: &HeaderMap,
    introduction: &Rc<Introduction>,
) -> Result<Told, identity::AssertionProblem> {
    let app = &route.app;
    let assertion = match &access.who {
        Some(who) if app.assertion => {
            let device = access.device.as_ref();
            Some(worker.gate.assertions.for_app(&app.id, &route.origin, who, device, access.at)?)
        }
        Some(_) | None => None,
    };
    let identity = route.identity_headers.iter();
    let identity = identity.filter_map(|(name, field)| Some((name.clone(), identity_value(access, *field)?)));
    Ok(Told {
        id: access.request,
        introduction: Rc::clone(introduction),
        assertion,
        identity: identity.collect(),
        trailers: headers::takes_trailers(fields),
        traceparent: None,
    })
}

impl Forward<'_> {
    /// The bound that the announced length of the body breaks.
    fn body_too_large(&self, fields: &HeaderMap) -> Option<u64> {
        let most = self.route.app.body_bytes_max?;
        let announced = fields.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse::<u64>().ok()?;
        (announced > most).then_some(most)
    }

    /// An ordinary request and its answer. The request stays where it is until it is sent: it is large to move.
    async fn exchange(
        self,
        request: &mut Option<Request<RequestBody>>,
        has_body: bool,
        target: &PathAndQuery,
        host: &HeaderValue,
    ) -> Response<ResponseBody> {
        // An upload can take long before there is an answer: it is judged again from its start.
        let mut in_book = has_body.then(|| self.enter().enter(&self.exchange, &self.receipt));
        let step = Step::begin(self.trace.as_ref(), StepName::Upstream);
        let sent = {
            let mut sending = std::pin::pin!(send::to_any(&self, &step, request, target, host));
            match self.worker.late.unless_late(sending.as_mut(), self.exchange.started).await {
                Some(sent) => sent,
                None => {
                    in_book.get_or_insert_with(|| self.enter().enter(&self.exchange, &self.receipt));
                    tokio::select! {
                        sent = sending => sent,
                        _ended = self.exchange.until_ended() => Err(send::Failed::Ended),
                        () = self.too_slow() => Err(send::Failed::TimedOut),
                    }
                }
            }
        };
        drop(step);
        match sent {
            Ok(response) => self.stream_back(response, in_book),
            Err(failure) => self.fail_with(failure),
        }
    }

    /// Resolves when the upstream took too long to begin its answer, counted from the end of the request, or from when
    /// it stopped to take more of it.
    async fn too_slow(&self) {
        let (mut taken, mut since) = (self.exchange.bytes_in.get(), Instant::now());
        while !self.exchange.request_done.get() {
            tokio::time::sleep(LOOK_AGAIN).await;
            let now_taken = self.exchange.bytes_in.get();
            if now_taken != taken || self.exchange.waits_for_client() {
                (taken, since) = (now_taken, Instant::now());
            } else if since.elapsed() > self.route.app.response_timeout {
                // The app takes no more of the request, and says nothing.
                return;
            }
        }
        tokio::time::sleep(self.route.app.response_timeout).await;
    }

    fn stream_back(
        self,
        response: Response<UpstreamBody>,
        in_book: Option<crate::exchange::InBook>,
    ) -> Response<ResponseBody> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            // Nothing was asked to switch: whatever follows would be read as somebody else's answer.
            return self.fail(Fault::AppUnreachable, End::UpstreamFailed);
        }
        let (mut parts, body) = response.into_parts();
        headers::towards_client(&mut parts.headers);
        if let Some(lookout) = self.receipt.lookout() {
            lookout.see_head(&mut parts.headers);
        }
        let has_body = !body.is_over()
            && !matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            && self.receipt.permit().access().method.as_str() != "HEAD";
        if let Some(shield) = &self.route.app.shield
            && let Err(fault) = shield::towards_client(shield, &mut parts.headers, has_body)
        {
            return self.fail(fault, End::Refused);
        }
        parts.extensions.clear();
        let is_event_stream = parts
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
        self.exchange.answered.set(true);
        self.exchange.endless.set(is_event_stream);
        // An HTTP/2 client may keep its window shut, so that the body is not even asked for: it is judged all the same.
        let in_book = match in_book {
            None if self.over_http2 && !body.is_over() => Some(self.enter().enter(&self.exchange, &self.receipt)),
            in_book => in_book,
        };
        let enter = if in_book.is_some() { None } else { Some(self.enter()) };
        let record = Record { status: parts.status, receipt: self.receipt, exchange: self.exchange, in_book, enter };
        Response::from_parts(parts, ResponseBody::upstream(body, is_event_stream, record))
    }

    /// Enters the exchange in the worker's book.
    fn enter(&self) -> Enter {
        Enter { book: Rc::clone(&self.worker.open), session: self.session.clone() }
    }

    fn fail(self, fault: Fault, end: End) -> Response<ResponseBody> {
        let refuse = Refuser { worker: self.worker, snapshot: self.snapshot };
        failed(refuse, fault, end, self.asked, &self.exchange, self.receipt)
    }

    fn fail_with(self, failure: send::Failed) -> Response<ResponseBody> {
        match failure {
            send::Failed::Unreachable => self.fail(Fault::AppUnreachable, End::UpstreamFailed),
            send::Failed::TimedOut => self.fail(Fault::AppTimeout, End::UpstreamTimeout),
            send::Failed::BodyTooLarge => self.fail(Fault::BodyTooLarge, End::Refused),
            send::Failed::ClientGone => self.fail(Fault::RequestTimeout, End::ClientGone),
            send::Failed::Ended => self.ended(),
        }
    }

    /// Answers an access that was ended before its answer began.
    fn ended(self) -> Response<ResponseBody> {
        let refuse = Refuser { worker: self.worker, snapshot: self.snapshot };
        ended(refuse, self.asked, &self.exchange, self.receipt)
    }
}

/// What is asked of the upstream: the path that was judged, and the query as it came. Where the path came in its
/// canonical form, which is nearly always, these are the client's own bytes.
fn target(uri: &Uri, path: &Path) -> Option<PathAndQuery> {
    if uri.path() == path.as_str() {
        return uri.path_and_query().cloned();
    }
    match uri.query() {
        Some(query) => format!("{path}?{query}").parse().ok(),
        None => path.as_str().parse().ok(),
    }
}

/// What an identity header carries; nothing where nobody is signed in or no device is known.
fn identity_value(access: &Access, field: IdentityField) -> Option<HeaderValue> {
    let who = access.who.as_ref();
    let text = match field {
        IdentityField::Login => who?.login.to_string(),
        IdentityField::Name => percent_encoded(&who?.name),
        IdentityField::User => who?.user.to_string(),
        IdentityField::Roles => who?.roles.iter().map(policy::RoleId::as_str).collect::<Vec<_>>().join(","),
        IdentityField::Device => access.device.as_ref()?.id.to_string(),
    };
    HeaderValue::from_str(&text).ok()
}

/// UTF-8 in percent escapes, for names in header values (RFC 3986 section 2.1).
fn percent_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
