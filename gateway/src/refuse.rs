//! The one door by which refusals leave: each is counted, recorded where it is about an access or an attack, and
//! answered in the form and language of whoever asked.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{Event, Note, Unrecorded};
use bytes::Bytes;
use config::Shield;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, ORIGIN};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use policy::{Access, AppId, Challenge, Host, Path, Reasons, Refused, RequestId, Timestamp, Turn, Who};
use web::{AnswerForm, Challenged, Fault, Refusal, Why};

use crate::body::ResponseBody;
use crate::client_body::ClientBody;
use crate::connection::Connection;
use crate::glass;
use crate::inbound::{Inbound, Unread, answer_form};
use crate::patients::About;
use crate::route::Routed;
use crate::shield::Shut;
use crate::snapshot::Snapshot;
use crate::worker::Worker;

/// How much of a form is kept in the browser when its session ran out, in bytes.
const KEPT_FORM_BYTES_MAX: usize = 256 * 1024;
/// How many refusals of a second and worker are searched for what would help: each costs some judgments.
const SEARCHES_PER_SECOND: u32 = 20;

/// Writes refusals for one request.
#[derive(Clone, Copy, Debug)]
pub struct Refuser<'a> {
    /// The worker.
    pub worker: &'a Worker,
    /// The snapshot the request is served by.
    pub snapshot: &'a Snapshot,
}

/// What a refusal page needs of a request, kept apart because the request itself may be on its way already.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its id.
    pub id: RequestId,
    /// When it came.
    pub at: Timestamp,
    /// The host.
    pub host: Option<Host>,
    /// Path and query of a plain navigation.
    pub target: Option<(Path, String)>,
    /// Who asked.
    pub who: Option<Arc<Who>>,
    /// The app.
    pub app: Option<AppId>,
    /// For whom it is written.
    pub form: AnswerForm,
}

impl Asked {
    /// What a refusal of this request would need.
    pub fn of(inbound: &Inbound, who: Option<Arc<Who>>, app: Option<AppId>) -> Self {
        let navigates = inbound.method.as_str() == "GET" && matches!(inbound.form, AnswerForm::Page(_));
        let target = navigates.then(|| (inbound.path.clone(), inbound.query.clone().unwrap_or_default()));
        Self { id: inbound.id, at: inbound.at, host: Some(inbound.host.clone()), target, who, app, form: inbound.form }
    }
}

impl Refuser<'_> {
    /// Answers a request that could not be read, and records it.
    pub async fn unread(self, unread: Unread, connection: &Connection) -> Response<ResponseBody> {
        let Unread { fault, code, id, at, host, form } = unread;
        let note = Note::new(Event::BadRequest, at).request(id).code(code);
        self.note_bad(note, fault, host.clone(), connection).await;
        self.page(Why::Fault(fault), Asked { id, at, host, target: None, who: None, app: None, form })
    }

    /// Answers a request that is for nothing we have, and records it.
    pub async fn unrouted(self, fault: Fault, code: &'static str, inbound: &Inbound) -> Response<ResponseBody> {
        let note = Note::new(Event::BadRequest, inbound.at).request(inbound.id).code(code);
        self.note_bad(note, fault, Some(inbound.host.clone()), &inbound.connection).await;
        self.page(Why::Fault(fault), Asked::of(inbound, None, None))
    }

    /// Answers a request that a shield keeps from its app, and records it.
    pub async fn shut(self, shut: Shut, shield: &Shield, inbound: &Inbound) -> Response<ResponseBody> {
        let mut response = self.unrouted(shut.fault, shut.code, inbound).await;
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            // RFC 9110 section 15.5.6.
            let served: Vec<&str> = shield.methods.iter().map(policy::Method::as_str).collect();
            response.headers_mut().extend(HeaderValue::from_str(&served.join(", ")).ok().map(|all| (ALLOW, all)));
        }
        response
    }

    async fn note_bad(self, mut note: Note, fault: Fault, host: Option<Host>, connection: &Connection) {
        self.worker.gate.metrics.bad.inc();
        note.address = Some(connection.address);
        note.zone = Some(connection.zone.clone());
        note.certificate = connection.certificate;
        note.status = Some(fault.status().as_u16());
        note.host = host;
        if let Err(problem) = self.worker.recorder.note(note).await {
            tracing::error!(%problem, "a refused request could not be recorded");
        }
    }

    /// Answers a request of an address that asks too often, before anything of it is read. Counted, not recorded.
    pub fn flooded(self, wait: Duration, id: RequestId, at: Timestamp) -> Response<ResponseBody> {
        self.worker.gate.metrics.limited.inc();
        let form = AnswerForm::Problem;
        let asked = Asked { id, at, host: None, target: None, who: None, app: None, form };
        self.page(Why::Fault(Fault::TooManyRequests(wait)), asked)
    }

    /// Answers a request for which there is no time, before anything of it is read. Counted, not recorded.
    pub fn turned_away(
        self,
        request: Option<&Request<ClientBody>>,
        id: RequestId,
        at: Timestamp,
    ) -> Response<ResponseBody> {
        self.worker.gate.metrics.turned_away.inc();
        let method = request.and_then(|request| policy::Method::parse(request.method().as_str()));
        let form = match (request, method) {
            (Some(request), Some(method)) => answer_form(request.headers(), &method),
            (Some(_) | None, Some(_) | None) => AnswerForm::Problem,
        };
        let form = match form {
            AnswerForm::Page(language) if self.worker.rush.has_page(Instant::now()) => AnswerForm::Page(language),
            AnswerForm::Page(_) | AnswerForm::Problem => AnswerForm::Problem,
        };
        let asked = Asked { id, at, host: None, target: None, who: None, app: None, form };
        self.page(Why::Fault(Fault::Overloaded), asked)
    }

    /// Answers a request that is over a limit, or for which nothing can be looked up. Counted, not recorded: a flood
    /// must not fill the log, and nothing was asked of any app.
    pub fn fault(self, fault: Fault, inbound: &Inbound) -> Response<ResponseBody> {
        let metrics = &self.worker.gate.metrics;
        if matches!(fault, Fault::TooManyRequests(_) | Fault::Overloaded) {
            metrics.limited.inc()
        } else {
            metrics.failed.inc()
        };
        tracing::debug!(request = %inbound.id, code = fault.code(), "refused");
        self.page(Why::Fault(fault), Asked::of(inbound, None, None))
    }

    /// Answers an access that the policy allows and for which its person or its app has no place. Counted, not recorded,
    /// as [`Self::fault`] is.
    pub fn no_place(self, fault: Fault, access: &Access, form: AnswerForm) -> Response<ResponseBody> {
        self.worker.gate.metrics.limited.inc();
        tracing::debug!(request = %access.request, code = fault.code(), "refused");
        let host = Some(access.host.clone());
        let asked = Asked { id: access.request, at: access.at, host, target: None, who: None, app: None, form };
        self.page(Why::Fault(fault), asked)
    }

    /// Answers an access that the policy denied, and records it.
    pub async fn deny(self, refused: Box<Refused<Routed>>, about: Option<Arc<About>>) -> Response<ResponseBody> {
        self.worker.gate.metrics.denied.inc();
        let asked = self.asked(&refused);
        let form = asked.form;
        let mut refusal = refusal(Why::Policy(refused.reasons.clone()), asked);
        // On record before time is spent on what would help.
        self.record(&refused, refusal.status().as_u16(), about.as_deref()).await;
        refusal.ways = self.ways(&refused, form);
        let site = &self.snapshot.site;
        own(match glass::offered(self.worker, self.snapshot, &refused, about.as_deref()) {
            Some(door) => site.refusal_with_glass(&refusal, &door, form),
            None => site.refusal(&refusal, form),
        })
    }

    /// Answers an access whose person must sign in or step up first, and records it: a browser is sent there, a form
    /// is kept for its person, a program gets 401.
    pub async fn challenge(
        self,
        refused: Box<Refused<Routed>>,
        challenge: Challenge,
        about: Option<Arc<About>>,
    ) -> Response<ResponseBody> {
        self.worker.gate.metrics.challenged.inc();
        let asked = self.asked(&refused);
        let Refused { access, reasons, revision, shadow, act } = *refused;
        let inbound = *act.inbound;
        let (parts, body) = inbound.request.into_parts();
        let challenged = Challenged {
            challenge,
            reasons: reasons.clone(),
            request: access.request,
            at: access.at,
            host: access.host.clone(),
            app: access.app.clone(),
            path: access.path.clone(),
            query: inbound.query.unwrap_or_default(),
            headers: parts.headers,
        };
        let goes_to_sign_in = matches!((asked.form, access.method.as_str()), (AnswerForm::Page(_), "GET" | "HEAD"));
        let status = if goes_to_sign_in { StatusCode::FOUND } else { StatusCode::UNAUTHORIZED };
        // On record before anything waits: a client that hangs up now was here all the same.
        let noted = Refused { access, reasons: reasons.clone(), revision, shadow, act: () };
        self.record(&noted, status.as_u16(), about.as_deref()).await;
        match asked.form {
            AnswerForm::Page(_) if goes_to_sign_in => own(self.snapshot.site.sign_in_redirect(&challenged).await),
            AnswerForm::Page(_) if parts.method == Method::POST => {
                let kept = self.kept_form(&challenged.headers, &challenged.host, body).await;
                own(self.snapshot.site.session_over_form(&challenged, kept.as_ref()))
            }
            AnswerForm::Page(_) | AnswerForm::Problem => self.page(Why::Challenge(reasons, challenge), asked),
        }
    }

    /// Reads a posted form whose session ran out, so that its page can keep it in the browser: only from our own
    /// host's page, only with a cookie that looks like ours, only up to a bound, and few at once.
    async fn kept_form(self, headers: &HeaderMap, host: &Host, body: ClientBody) -> Option<Bytes> {
        let is_form = headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
        let origin = self.snapshot.config.origin(host);
        let from_here = headers.get(ORIGIN).is_some_and(|value| value.as_bytes() == origin.as_bytes());
        if !is_form || !from_here || web::session_token(headers).is_none() {
            return None;
        }
        let _slot = self.worker.kept_forms.try_acquire().ok()?;
        let within = self.snapshot.config.limits.body_idle_timeout;
        let read = tokio::time::timeout(within, Limited::new(body, KEPT_FORM_BYTES_MAX).collect()).await;
        read.ok()?.ok().map(http_body_util::Collected::to_bytes)
    }

    /// Answers an access that could not be recorded, and therefore was not made.
    pub fn unrecorded(self, unrecorded: &Unrecorded<Routed>) -> Response<ResponseBody> {
        self.worker.gate.metrics.unrecorded.inc();
        let access = unrecorded.permit.access();
        tracing::error!(request = %access.request, app = %access.app, problem = %unrecorded.problem, "access not recorded, so not made");
        let asked = Asked::of(&unrecorded.act.inbound, access.who.clone(), Some(access.app.clone()));
        let is_full = matches!(unrecorded.problem, audit::LogProblem::TooManyOpen { .. });
        self.page(Why::Fault(if is_full { Fault::Overloaded } else { Fault::NotRecorded }), asked)
    }

    async fn record<T>(self, refused: &Refused<T>, status: u16, about: Option<&About>) {
        let patients = about.map(|about| &about.patients);
        if let Err(problem) = self.worker.recorder.refuse_about(refused, status, patients).await {
            tracing::error!(request = %refused.access.request, %problem, "a refusal could not be recorded");
        }
    }

    /// What a person whom the policy refused can do about it themselves. Only for people who are signed in and read a
    /// page; nothing where many are refused at once.
    fn ways(self, refused: &Refused<Routed>, form: AnswerForm) -> Vec<Turn> {
        match form {
            AnswerForm::Page(_) if refused.access.who.is_some() && self.worker.searches.take(Instant::now()) => {
                policy::ways_for_them(&self.snapshot.policy, &refused.access)
            }
            AnswerForm::Page(_) | AnswerForm::Problem => Vec::new(),
        }
    }

    fn asked(self, refused: &Refused<Routed>) -> Asked {
        Asked::of(&refused.act.inbound, refused.access.who.clone(), Some(refused.access.app.clone()))
    }

    /// Writes a refusal.
    pub fn page(self, why: Why, asked: Asked) -> Response<ResponseBody> {
        let form = asked.form;
        own(self.snapshot.site.refusal(&refusal(why, asked), form))
    }

    /// The reasons of an access that was ended while it was under way.
    pub fn ended(self, reason: policy::Reason, permit: &policy::Permit, asked: Asked) -> Response<ResponseBody> {
        let reasons = Reasons { main: reason, rule: permit.rule().clone(), others: Vec::new() };
        self.page(Why::Policy(reasons), asked)
    }
}

fn refusal(why: Why, asked: Asked) -> Refusal {
    let Asked { id, at, host, target, who, app, form: _ } = asked;
    Refusal { why, request: id, at, host, target, who, app, ways: Vec::new() }
}

/// An answer made here.
pub fn own(response: Response<Bytes>) -> Response<ResponseBody> {
    response.map(ResponseBody::own)
}

/// Counts a worker's searches for what would help, so that refusals in great number cost little more than a page each.
#[derive(Debug, Default)]
pub struct Searches {
    /// When the second began, and how many there were since.
    second: Cell<Option<(Instant, u32)>>,
}

impl Searches {
    /// Whether there may be one more.
    fn take(&self, now: Instant) -> bool {
        let current = self.second.get().filter(|(begun, _)| now.duration_since(*begun) < Duration::from_secs(1));
        let (begun, taken) = current.unwrap_or((now, 0));
        let may = taken < SEARCHES_PER_SECOND;
        self.second.set(Some((begun, taken + u32::from(may))));
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_refusals_at_once_are_not_all_searched_for_what_would_help() {
        let searches = Searches::default();
        let begun = Instant::now();
        let after = |milliseconds| begun + Duration::from_millis(milliseconds);
        let taken = |at: Instant| (0..100).filter(|_| searches.take(at)).count();
        assert_eq!(taken(begun), 20);
        assert_eq!(taken(after(999)), 0);
        assert_eq!(taken(after(1_000)), 20, "the next second is another");
        assert_eq!(taken(after(1_500)), 0);
        assert_eq!(taken(after(5_000)), 20);
    }
}
