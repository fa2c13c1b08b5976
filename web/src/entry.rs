//! From a proof to a session, and on to the app that waits: what every way of signing in ends with.
//!
//! Who signs in at a browser in which somebody else was signed in before must find nothing of theirs. Browsers empty
//! themselves on our word (`Clear-Site-Data`), of the cookies of every app too, and of what the same answer sets; so
//! the session's cookie comes with the next answer ([`Landing`]).

use std::sync::Arc;

use audit::{Event, Note};
use bytes::Bytes;
use http::header::{HeaderValue, REFRESH};
use http::{Response, StatusCode};
use identity::{HandOffProblem, Opening, Session, SessionToken};
use policy::Assurance;
use serde::{Deserialize, Serialize};
use store::{Lapsed, StoreProblem};
use tracing::warn;

use crate::site::{Answer, store_fault};
use crate::view::{LandView, Link, Notice, Tone, show_with_script};
use crate::{Fault, PageRequest, Site, cookie, headers, json, language, query};

/// A person who is in.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) onward: Onward,
    pub(crate) cookies: Vec<HeaderValue>,
}

/// Where a person who is in goes on.
#[derive(Debug)]
pub(crate) enum Onward {
    /// To this address.
    To(String),
    /// First the browser is emptied of the person before.
    Land(Landing),
}

/// What brings a session over the moment in which the browser is emptied: good once, for a minute, and only where a
/// page of ours posts it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Landing {
    h: String,
    code: String,
    secret: String,
}

impl std::fmt::Debug for Landing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Landing(..)")
    }
}

/// What our script is told to do next.
#[derive(Serialize)]
struct Next<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    land: Option<&'a Landing>,
}

/// Tells our script where to go.
pub(crate) fn go_to(place: &str) -> Answer {
    json::write(&Next { to: Some(place), land: None })
}

impl Entered {
    /// As an answer to a navigation.
    pub(crate) fn into_page(self, site: &Site, request: &PageRequest) -> Response<Bytes> {
        let mut response = match self.onward {
            Onward::To(place) => headers::redirect(StatusCode::FOUND, &place),
            Onward::Land(Landing { h, code, secret }) => {
                let view = LandView { frame: site.frame(language(&request.headers), None), id: h, code, secret };
                let mut response = show_with_script(StatusCode::OK, &view);
                headers::clear_site_data(&mut response);
                response
            }
        };
        headers::add_cookies(&mut response, self.cookies);
        response
    }

    /// As an answer to a form. Browsers hold a redirect to another host against the form's page, so a page of ours
    /// goes on by itself.
    pub(crate) fn into_form_answer(self, site: &Site, request: &PageRequest) -> Response<Bytes> {
        match self.onward {
            Onward::To(ref place) => {
                let mut response = site.onward_page(request, place);
                headers::add_cookies(&mut response, self.cookies);
                response
            }
            Onward::Land(_) => self.into_page(site, request),
        }
    }

    /// As an answer to our script.
    pub(crate) fn into_json(self) -> Answer {
        let mut response = match &self.onward {
            Onward::To(place) => go_to(place)?,
            Onward::Land(landing) => {
                let mut response = json::write(&Next { to: None, land: Some(landing) })?;
                headers::clear_site_data(&mut response);
                response
            }
        };
        headers::add_cookies(&mut response, self.cookies);
        Ok(response)
    }
}

impl Site {
    /// Opens a session for who proved who they are, and finds out where they go on.
    pub(crate) async fn enter(
        &self,
        request: &PageRequest,
        opening: Opening,
        hand_off: Option<&str>,
        again: Option<Assurance>,
    ) -> Result<Entered, Fault> {
        let (session, token) = self.open_session(request, opening).await?;
        if let Err(fault) = self.record_sign_in(request, &session, again).await {
            self.end_unrecorded(request, &session).await;
            return Err(fault);
        }
        self.end_previous(request, &session).await?;
        self.let_on(request, &session, &token, hand_off).await
    }

    /// Lets on who has a session and its new token for the sign-in host.
    pub(crate) async fn let_on(
        &self,
        request: &PageRequest,
        session: &Session,
        token: &SessionToken,
        hand_off: Option<&str>,
    ) -> Result<Entered, Fault> {
        let user = &session.who.user;
        if cookie::was_somebody_else(&request.headers, user) {
            return Ok(Entered { onward: Onward::Land(self.landing(request, session).await?), cookies: Vec::new() });
        }
        let place = self.onward(session, hand_off, request).await?;
        let cookies = cookie::session(token.expose()).into_iter().chain(cookie::last(user)).collect();
        Ok(Entered { onward: Onward::To(place), cookies })
    }

    async fn open_session(
        &self,
        request: &PageRequest,
        opening: Opening,
    ) -> Result<(Arc<Session>, SessionToken), Fault> {
        match self.parts.sessions.open(opening, request.at).await {
            Ok(opened) => Ok(opened),
            Err(StoreProblem::NotInForce(lapsed)) => {
                warn!(request = %request.request, %lapsed, "nobody was signed in");
                let (code, fault) = lapse(lapsed);
                let note = Note::new(Event::SignInFailed, request.at).code(code);
                Err(self.record(request, note).await.err().unwrap_or(fault))
            }
            Err(problem) => {
                warn!(request = %request.request, %problem, "a session could not be opened");
                Err(store_fault(&problem))
            }
        }
    }

    /// Nobody works in a session whose beginning is not in the log.
    pub(crate) async fn record_sign_in(
        &self,
        request: &PageRequest,
        session: &Session,
        again: Option<Assurance>,
    ) -> Result<(), Fault> {
        let same_person = request.session.as_ref().is_some_and(|old| old.who.user == session.who.user);
        let event = if again.is_some() && same_person { Event::SteppedUp } else { Event::SignedIn };
        self.record(request, Note::new(event, request.at).who(&session.who)).await
    }

    async fn end_unrecorded(&self, request: &PageRequest, session: &Session) {
        // The token was never given to anyone, so a session that cannot be ended now ends by its idle limit.
        if let Err(problem) = self.parts.sessions.end(session.id(), session.who.user.as_str(), request.at).await {
            warn!(request = %request.request, %problem, "an unrecorded session could not be ended");
        }
    }

    /// A new sign-in ends what this browser had open before: the same person's old session, or, when someone else
    /// sits down, everything of the person before (docs/threats.md T-10). On a shared device, the session of the
    /// person before was parked or ended when this one opened, as the operator chose.
    async fn end_previous(&self, request: &PageRequest, session: &Session) -> Result<(), Fault> {
        let Some(old) = request.session.as_ref().filter(|old| old.id() != session.id()) else { return Ok(()) };
        if old.who.user != session.who.user {
            let is_shared = self.is_shared(request) && old.who.bound_to == session.who.bound_to;
            return if is_shared { Ok(()) } else { self.end_all_here(old, request.at).await };
        }
        let ended = self.parts.sessions.end(old.id(), old.who.user.as_str(), request.at).await;
        ended.map(|_| ()).map_err(|problem| store_fault(&problem))
    }

    /// Where to: back to the app that waits, or to the portal if none does any more.
    pub(crate) async fn onward(
        &self,
        session: &Session,
        hand_off: Option<&str>,
        request: &PageRequest,
    ) -> Result<String, Fault> {
        let Some(id) = hand_off else { return Ok(self.portal_address()) };
        match self.parts.hand_offs.approve(id, session, request.at).await {
            Ok(approved) => {
                let origin = self.config().origin(&approved.host);
                Ok(format!("{origin}/.sekimori/arrive?h={id}&code={}", approved.code.expose()))
            }
            Err(HandOffProblem::Void) => Ok(self.portal_address()),
            Err(HandOffProblem::SessionOver) => Err(Fault::SignInExpired),
            Err(HandOffProblem::Store(problem)) => Err(store_fault(&problem)),
        }
    }

    /// A hand-off from this host to itself.
    async fn landing(&self, request: &PageRequest, session: &Session) -> Result<Landing, Fault> {
        let fault = |problem| match problem {
            HandOffProblem::Void | HandOffProblem::SessionOver => Fault::SignInExpired,
            HandOffProblem::Store(problem) => store_fault(&problem),
        };
        let hand_offs = &self.parts.hand_offs;
        let started = hand_offs.start(&self.config().login_host, "/", request.at).await.map_err(fault)?;
        let approved = hand_offs.approve(&started.id, session, request.at).await.map_err(fault)?;
        let (code, secret) = (approved.code.expose().to_owned(), started.browser_secret.expose().to_owned());
        Ok(Landing { h: started.id, code, secret })
    }

    /// The browser is emptied; here comes its session. Deep links of the person before are gone with their cookies, so
    /// everybody lands on the portal.
    pub(crate) async fn land(&self, request: &PageRequest) -> Answer {
        self.check_origin(request)?;
        let is_script = json::is_json(&request.headers);
        let Landing { h, code, secret } = if is_script { json::read(request)? } else { landing_of(&request.body) };
        let arrived = self.parts.hand_offs.arrive(&request.host, &h, &code, &secret, request.at).await;
        let arrived = arrived.map_err(|problem| match problem {
            HandOffProblem::Void | HandOffProblem::SessionOver => Fault::SignInExpired,
            HandOffProblem::Store(problem) => store_fault(&problem),
        })?;
        let device = request.device.as_deref();
        let found = self.parts.sessions.find(arrived.token.expose(), &request.host, device, request.at).await;
        let session = found.map_err(|problem| store_fault(&problem))?.ok_or(Fault::SignInExpired)?;
        let cookies = cookie::session(arrived.token.expose()).into_iter().chain(cookie::last(&session.who.user));
        let entered = Entered { onward: Onward::To(self.portal_address()), cookies: cookies.collect() };
        if is_script { entered.into_json() } else { Ok(entered.into_form_answer(self, request)) }
    }

    /// A page that goes on by itself.
    fn onward_page(&self, request: &PageRequest, place: &str) -> Response<Bytes> {
        let voice = self.voice(language(&request.headers));
        let notice = Notice {
            tone: Tone::Done,
            title: voice.say("entered-title"),
            what: voice.say("entered-what"),
            todo: None,
            ways: Vec::new(),
            sign_out: false,
            actions: vec![Link::new(voice.say("land-go"), place)],
            help: None,
            urgent: false,
        };
        let mut response = self.notice(request, notice);
        if let Ok(refresh) = HeaderValue::from_str(&format!("0; url={place}")) {
            headers::set(&mut response, REFRESH, refresh);
        }
        response
    }
}

/// What the log and the person are told of what was in force no more when the session was to open.
fn lapse(lapsed: Lapsed) -> (&'static str, Fault) {
    match lapsed {
        Lapsed::Person | Lapsed::Device | Lapsed::Credential | Lapsed::Roles | Lapsed::Line => {
            ("not-in-force", Fault::SignInRefused)
        }
        Lapsed::Session | Lapsed::SignIn => ("ended-meanwhile", Fault::SignInExpired),
        Lapsed::Code => ("temporary-code-void", Fault::CodeVoid),
    }
}

fn landing_of(form: &[u8]) -> Landing {
    let field = |name| query::field(form, name).unwrap_or_default();
    Landing { h: field("h"), code: field("code"), secret: field("secret") }
}
