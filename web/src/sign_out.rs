//! Signing out: here, at every host of this browser, and at the provider.

use std::time::Duration;

use audit::{Event, Note};
use bytes::Bytes;
use http::Response;
use http::header::{HeaderValue, REFRESH};
use identity::Session;
use policy::Timestamp;
use store::SessionsOf;
use tracing::warn;

use crate::notice::START_SIGN_IN;
use crate::sign_in::post_logout_uri;
use crate::site::{Answer, store_fault};
use crate::view::{Link, Notice, Tone};
use crate::{Fault, PageRequest, Site, cookie, headers, language};

/// Sessions of one person that were opened closer together than this, without a device certificate, are taken for
/// tabs of one browser that signed in at the same time. As long as a sign-in may take.
const PARALLEL_SPAN: Duration = Duration::from_secs(600);

impl Site {
    /// Asks whether to sign out; for links, which must not sign anybody out by themselves.
    pub(crate) fn ask_sign_out(&self, request: &PageRequest) -> Response<Bytes> {
        let voice = self.voice(language(&request.headers));
        let signed_in = request.session.is_some();
        let what = if signed_in { "ask-sign-out-what" } else { "ask-sign-out-nobody" };
        let action = if signed_in {
            Link::new(voice.say("action-stay"), self.portal_address())
        } else {
            Link::new(voice.say("action-sign-in"), START_SIGN_IN)
        };
        let notice = Notice {
            tone: Tone::Ask,
            title: voice.say("ask-sign-out-title"),
            what: voice.say(what),
            todo: None,
            ways: Vec::new(),
            sign_out: signed_in,
            actions: vec![action],
            help: None,
            urgent: false,
        };
        self.notice(request, notice)
    }

    /// Ends the session, then says so on a page that goes on to the provider's own sign-out by itself. A redirect
    /// would not do: browsers hold it against the `form-action` of the page that posted, which may be an app's.
    pub(crate) async fn sign_out(&self, request: &PageRequest) -> Answer {
        self.check_origin(request)?;
        let Some(session) = &request.session else { return Ok(self.signed_out(request)) };
        self.end_all_here(session, request.at).await?;
        // The session is over whether or not that can be recorded: refusing would keep it open on a shared terminal.
        // The store's event tells the log of it again later.
        let note = Note::new(Event::SignedOut, request.at).who(&session.who);
        let recorded = self.record(request, note).await;
        let onward = self.provider_sign_out(session, request).await;
        let todo = if onward.is_some() { "signed-out-onward-do" } else { "signed-out-still-do" };
        let mut response = self.farewell(request, onward.as_deref(), todo);
        headers::add_cookies(&mut response, cookie::no_session());
        if recorded.is_err() {
            warn!(request = %request.request, "signed out without a record");
        }
        Ok(response)
    }

    /// Back from the provider's sign-out.
    pub(crate) fn signed_out(&self, request: &PageRequest) -> Response<Bytes> {
        let mut response = self.farewell(request, None, "signed-out-do");
        if request.session.is_none() {
            headers::add_cookies(&mut response, cookie::no_session());
        }
        response
    }

    /// Ends a session and those that other tabs of the same browser opened at the same time: the same person's on the
    /// same known device, or without a device those opened at about the same moment.
    pub(crate) async fn end_all_here(&self, session: &Session, at: Timestamp) -> Result<(), Fault> {
        let (sessions, user) = (&self.parts.sessions, &session.who.user);
        let ended = sessions.end_those(beside(session), user.as_str(), at).await;
        ended.map_err(|problem| store_fault(&problem))?;
        let ended = sessions.end(session.id(), user.as_str(), at).await;
        ended.map(drop).map_err(|problem| store_fault(&problem))
    }

    /// The provider's sign-out address. A provider that does not answer keeps nobody from signing out here.
    async fn provider_sign_out(&self, session: &Session, request: &PageRequest) -> Option<String> {
        let back = post_logout_uri(self.config());
        let state = request.request.to_string();
        let token = session.id_token.as_ref();
        match self.parts.oidc.sign_out_url(&session.who.provider, token, &back, &state).await {
            Ok(url) => url,
            Err(problem) => {
                warn!(request = %request.request, %problem, "the provider's sign-out is not known");
                None
            }
        }
    }

    fn farewell(&self, request: &PageRequest, onward: Option<&str>, todo: &str) -> Response<Bytes> {
        let voice = self.voice(language(&request.headers));
        let action = match onward {
            Some(url) => Link::new(voice.say("signed-out-onward"), url),
            None => Link::new(voice.say("action-sign-in"), self.portal_address()),
        };
        let notice = Notice {
            tone: Tone::Done,
            title: voice.say("signed-out-title"),
            what: voice.say("signed-out-what"),
            todo: Some(voice.say(todo)),
            ways: Vec::new(),
            sign_out: false,
            actions: vec![action],
            help: None,
            urgent: false,
        };
        let mut response = self.notice(request, notice);
        if let Some(refresh) = onward.and_then(|url| HeaderValue::from_str(&format!("0; url={url}")).ok()) {
            headers::set(&mut response, REFRESH, refresh);
        }
        response
    }
}

fn beside(session: &Session) -> SessionsOf {
    let user = session.who.user.clone();
    match &session.who.bound_to {
        Some(device) => SessionsOf::UserOn(user, device.clone()),
        None => SessionsOf::UserOnNoDevice { user, opened_at: session.opened_at, within: PARALLEL_SPAN },
    }
}
