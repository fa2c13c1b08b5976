//! On the app's host: start a sign-in, and come back from it with this host's own cookie.

use bytes::Bytes;
use http::{Response, StatusCode};
use identity::{Arrived, HandOffProblem};

use crate::cookie::{self, Ceremony};
use crate::query::{self, Ask};
use crate::site::{Answer, store_fault};
use crate::view::{Notice, Tone};
use crate::{Fault, HostKind, PageRequest, Site, headers, language};

/// Where a sign-in beside a kept form comes back to.
const SIGNED_IN: &str = "/.sekimori/signed-in";

impl Site {
    /// Starts a sign-in that comes back to this host: to its first page, or, beside a page that waits in another tab,
    /// to a word that it worked.
    pub(crate) async fn start_sign_in(&self, request: &PageRequest) -> Answer {
        let ask = Ask::read(&request.query);
        if self.kind_of(request) == HostKind::Login {
            return Ok(headers::redirect(StatusCode::FOUND, &ask.address("/sign-in")));
        }
        let is_beside = query::field(request.query.as_bytes(), "then").is_some_and(|then| then == "tell");
        self.start_hand_off(request, if is_beside { SIGNED_IN } else { "/" }, ask).await
    }

    async fn start_hand_off(&self, request: &PageRequest, target: &str, ask: Ask) -> Answer {
        self.send_to_login(&request.host, target, &request.headers, ask, request.at).await
    }

    /// Back with a one-time code. It counts only in the browser that holds the hand-off's cookie.
    pub(crate) async fn arrive(&self, request: &PageRequest) -> Answer {
        let field = |name| query::field(request.query.as_bytes(), name).unwrap_or_default();
        let (id, code) = (field("h"), field("code"));
        let arrived = match cookie::tied(&request.headers, Ceremony::HandOff, &id) {
            None => Err(HandOffProblem::Void),
            Some(secret) => self.parts.hand_offs.arrive(&request.host, &id, &code, secret, request.at).await,
        };
        match arrived {
            Ok(arrived) => self.let_in(request, &id, &arrived).await,
            // The same address a second time, by reload or by the back button.
            Err(HandOffProblem::Void) if request.usable_session().is_some() => {
                Ok(headers::redirect(StatusCode::FOUND, "/"))
            }
            Err(HandOffProblem::Void | HandOffProblem::SessionOver) => Err(Fault::SignInExpired),
            Err(HandOffProblem::Store(problem)) => Err(store_fault(&problem)),
        }
    }

    async fn let_in(&self, request: &PageRequest, id: &str, arrived: &Arrived) -> Answer {
        self.end_another_persons(request, arrived).await?;
        let place = format!("{}{}", self.config().origin(&request.host), arrived.target);
        let mut response = headers::redirect(StatusCode::FOUND, &place);
        headers::add_cookies(&mut response, cookie::session(arrived.token.expose()));
        headers::add_cookies(&mut response, cookie::untie(Ceremony::HandOff, id));
        Ok(response)
    }

    /// When someone else has signed in at this browser, what the person before had open here ends.
    async fn end_another_persons(&self, request: &PageRequest, arrived: &Arrived) -> Result<(), Fault> {
        let Some(old) = request.session.as_ref().filter(|old| old.id() != arrived.session) else { return Ok(()) };
        let device = request.device.as_deref();
        let found = self.parts.sessions.find(arrived.token.expose(), &request.host, device, request.at).await;
        let new = found.map_err(|problem| store_fault(&problem))?;
        let same_person = new.is_some_and(|new| new.who.user == old.who.user);
        if same_person { Ok(()) } else { self.end_all_here(old, request.at).await }
    }

    /// A word that it worked, beside a page that waits in another tab.
    pub(crate) fn signed_in(&self, request: &PageRequest) -> Response<Bytes> {
        let voice = self.voice(language(&request.headers));
        let notice = Notice {
            tone: Tone::Done,
            title: voice.say("signed-in-title"),
            what: voice.say("signed-in-what"),
            todo: None,
            ways: Vec::new(),
            sign_out: false,
            actions: Vec::new(),
            help: None,
            urgent: false,
        };
        self.notice(request, notice)
    }
}
