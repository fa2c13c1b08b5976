//! Signing in on the login host: choose a provider, go there, come back, and be handed over to the app that waits.

use std::sync::Arc;

use audit::{Event, Note};
use config::{Config, Provider};
use http::StatusCode;
use identity::{Begin, Callback, HandOffProblem, Opening, Session, SessionToken, SignInProblem, SignedIn};
use policy::{Assurance, ProviderId};
use tracing::warn;

use crate::cookie::{self, Ceremony};
use crate::query::{self, Ask, Return};
use crate::site::{Answer, said, store_fault};
use crate::texts::Voice;
use crate::view::{Link, SignInView, show};
use crate::{Fault, PageRequest, Site, headers, language};

/// Where a provider sends the browser back to. Each has its own path, so that the answer of one cannot be taken for
/// another's (RFC 9700 section 4.4.2.2); register it at the provider.
#[must_use]
pub fn redirect_uri(config: &Config, provider: &ProviderId) -> String {
    format!("{}/callback/{provider}", config.origin(&config.login_host))
}

/// Where a provider sends the browser after signing out there; register it at the provider.
#[must_use]
pub fn post_logout_uri(config: &Config) -> String {
    format!("{}/signed-out", config.origin(&config.login_host))
}

impl Site {
    /// Whoever has a session here is handed over at once; the others choose a provider, or go to the only one.
    pub(crate) async fn sign_in(&self, request: &PageRequest) -> Answer {
        let ask = Ask::read(&request.query);
        match (request.usable_session(), ask.again) {
            (Some(session), None) => self.hand_over(session, ask.hand_off.as_deref(), request).await,
            (Some(session), Some(level)) => Ok(self.step_up_page(request, session, ask, level)),
            (None, _) => match self.config().providers.as_slice() {
                [only] => self.to_provider(request, Ask { provider: Some(only.id.clone()), ..ask }).await,
                several => Ok(self.choice_page(request, several, &ask)),
            },
        }
    }

    /// On to the chosen provider.
    pub(crate) async fn begin(&self, request: &PageRequest) -> Answer {
        self.to_provider(request, Ask::read(&request.query)).await
    }

    fn choice_page(&self, request: &PageRequest, providers: &[Provider], ask: &Ask) -> http::Response<bytes::Bytes> {
        let language = language(&request.headers);
        let voice = self.voice(language);
        let way = |provider: &Provider| {
            let label = voice.say_with("sign-in-with", "name", said(&provider.name, language));
            Link::new(label, Ask { provider: Some(provider.id.clone()), ..ask.clone() }.address("/begin"))
        };
        let lead = if providers.is_empty() { "sign-in-none" } else { "sign-in-lead" };
        let view = SignInView {
            frame: self.frame_of(request),
            title: voice.say("sign-in-title"),
            lead: voice.say(lead),
            lines: Vec::new(),
            waiting: Vec::new(),
            key: None,
            ways: providers.iter().map(way).collect(),
            more: Vec::new(),
            switch: None,
        };
        show(StatusCode::OK, &view)
    }

    fn step_up_page(
        &self,
        request: &PageRequest,
        session: &Session,
        ask: Ask,
        level: Assurance,
    ) -> http::Response<bytes::Bytes> {
        let voice = self.voice(language(&request.headers));
        let login_hint = ask.login_hint.clone().or_else(|| Some(session.who.login.to_string()));
        let go = Ask { provider: Some(session.who.provider.clone()), login_hint, ..ask };
        let signed_in = voice.say_with("sign-in-signed-in", "name", &session.who.name);
        let view = SignInView {
            frame: self.frame_of(request),
            title: voice.say("step-up-title"),
            lead: voice.say("step-up-lead"),
            lines: [Some(signed_in), what_is_needed(voice, level)].into_iter().flatten().collect(),
            waiting: Vec::new(),
            key: None,
            ways: vec![Link::new(voice.say("action-step-up"), go.address("/begin"))],
            more: Vec::new(),
            switch: None,
        };
        show(StatusCode::OK, &view)
    }

    async fn to_provider(&self, request: &PageRequest, ask: Ask) -> Answer {
        let provider = ask.provider.ok_or(Fault::NotFound)?;
        let begin = Begin {
            redirect_uri: redirect_uri(self.config(), &provider),
            provider,
            login_hint: ask.login_hint,
            step_up: ask.again,
            return_to: Return { hand_off: ask.hand_off, again: ask.again, begun: request.at }.write(),
        };
        let provider = begin.provider.clone();
        match self.parts.oidc.begin(begin).await {
            Err(problem) => Err(self.not_signed_in(request, &provider, &problem).await),
            Ok(started) => {
                let mut response = headers::redirect(StatusCode::FOUND, &started.url);
                let secret = started.browser_secret.expose();
                let cookies = cookie::tie(&request.headers, Ceremony::Provider, &started.state, secret, request.at);
                headers::add_cookies(&mut response, cookies);
                Ok(response)
            }
        }
    }

    /// Back from the provider. Whoever comes back a second time with a session in hand is simply let on.
    pub(crate) async fn callback(&self, request: &PageRequest) -> Answer {
        let provider = request.path.as_str().rsplit('/').next().and_then(|id| ProviderId::parse(id).ok());
        let provider = provider.ok_or(Fault::NotFound)?;
        let field = |name| query::field(request.query.as_bytes(), name);
        let callback = Callback {
            state: field("state").unwrap_or_default(),
            code: field("code"),
            error: field("error"),
            issuer: field("iss"),
            redirect_uri: redirect_uri(self.config(), &provider),
        };
        let state = callback.state.clone();
        let Some(secret) = cookie::tied(&request.headers, Ceremony::Provider, &state) else {
            return self.not_ours(request, &provider).await;
        };
        match self.parts.oidc.finish(callback, secret).await {
            Err(SignInProblem::Void) => self.not_ours(request, &provider).await,
            Err(problem) => Err(self.not_signed_in(request, &provider, &problem).await),
            Ok(signed_in) => {
                let mut response = self.welcome(request, signed_in).await?;
                headers::add_cookies(&mut response, cookie::untie(Ceremony::Provider, &state));
                Ok(response)
            }
        }
    }

    async fn not_ours(&self, request: &PageRequest, provider: &ProviderId) -> Answer {
        if request.usable_session().is_some() {
            return Ok(headers::redirect(StatusCode::FOUND, &self.portal_address()));
        }
        Err(self.not_signed_in(request, provider, &SignInProblem::Void).await)
    }

    /// Opens the session, or goes on with the one that another tab has just opened, and hands it over.
    async fn welcome(&self, request: &PageRequest, signed_in: SignedIn) -> Answer {
        let kept = Return::read(&signed_in.return_to).ok_or(Fault::SignInExpired)?;
        let (session, token) = match request.usable_session().filter(|open| is_as_good(open, &signed_in, &kept)) {
            Some(open) => (open.clone(), None),
            None => {
                let (session, token) = self.open_session(request, signed_in).await?;
                (session, Some(token))
            }
        };
        if let Err(fault) = self.record_sign_in(request, &session, kept.again).await {
            self.end_unrecorded(request, &session, token.is_some()).await;
            return Err(fault);
        }
        if token.is_some() {
            self.end_previous(request, &session).await?;
        }
        let mut response = self.hand_over(&session, kept.hand_off.as_deref(), request).await?;
        headers::add_cookies(&mut response, token.and_then(|token| cookie::session(token.expose())));
        Ok(response)
    }

    async fn open_session(
        &self,
        request: &PageRequest,
        signed_in: SignedIn,
    ) -> Result<(Arc<Session>, SessionToken), Fault> {
        let opening = Opening::by_provider(signed_in, request.device.clone(), request.host.clone());
        self.parts.sessions.open(opening, request.at).await.map_err(|problem| {
            warn!(request = %request.request, %problem, "a session could not be opened");
            store_fault(&problem)
        })
    }

    /// Nobody works in a session whose beginning is not in the log.
    async fn record_sign_in(
        &self,
        request: &PageRequest,
        session: &Session,
        again: Option<Assurance>,
    ) -> Result<(), Fault> {
        let same_person = request.session.as_ref().is_some_and(|old| old.who.user == session.who.user);
        let event = if again.is_some() && same_person { Event::SteppedUp } else { Event::SignedIn };
        self.record(request, Note::new(event, request.at).who(&session.who)).await
    }

    async fn end_unrecorded(&self, request: &PageRequest, session: &Session, opened_here: bool) {
        if !opened_here {
            return;
        }
        // The token was never given to anyone, so a session that cannot be ended now ends by its idle limit.
        if let Err(problem) = self.parts.sessions.end(session.id(), session.who.user.as_str(), request.at).await {
            warn!(request = %request.request, %problem, "an unrecorded session could not be ended");
        }
    }

    /// A new sign-in ends what this browser had open before: the same person's old session, or, when someone else
    /// sits down, everything of the person before (docs/threats.md T-10).
    async fn end_previous(&self, request: &PageRequest, session: &Session) -> Result<(), Fault> {
        let Some(old) = request.session.as_ref().filter(|old| old.id() != session.id()) else { return Ok(()) };
        if old.who.user != session.who.user {
            return self.end_all_here(old, request.at).await;
        }
        let ended = self.parts.sessions.end(old.id(), old.who.user.as_str(), request.at).await;
        ended.map(|_| ()).map_err(|problem| store_fault(&problem))
    }

    /// On to the app that waits, or to the portal if none does any more.
    async fn hand_over(&self, session: &Session, hand_off: Option<&str>, request: &PageRequest) -> Answer {
        let Some(id) = hand_off else { return Ok(headers::redirect(StatusCode::FOUND, &self.portal_address())) };
        match self.parts.hand_offs.approve(id, session, request.at).await {
            Ok(approved) => {
                let origin = self.config().origin(&approved.host);
                let place = format!("{origin}/.sekimori/arrive?h={id}&code={}", approved.code.expose());
                Ok(headers::redirect(StatusCode::FOUND, &place))
            }
            Err(HandOffProblem::Void) => Ok(headers::redirect(StatusCode::FOUND, &self.portal_address())),
            Err(HandOffProblem::SessionOver) => Err(Fault::SignInExpired),
            Err(HandOffProblem::Store(problem)) => Err(store_fault(&problem)),
        }
    }

    /// Records why nobody was signed in, and turns it into what the person is told.
    async fn not_signed_in(&self, request: &PageRequest, provider: &ProviderId, problem: &SignInProblem) -> Fault {
        warn!(request = %request.request, %provider, %problem, "nobody was signed in");
        let mut note = Note::new(Event::SignInFailed, request.at).code(problem.code());
        note.provider = Some(provider.clone());
        let recorded = self.record(request, note).await;
        let fault = match problem {
            SignInProblem::UnknownProvider(_) => Fault::NotFound,
            SignInProblem::Unavailable { .. } => Fault::ProviderUnreachable,
            SignInProblem::Void => Fault::SignInExpired,
            SignInProblem::Refused { .. } | SignInProblem::Rejected { .. } => Fault::SignInRefused,
            SignInProblem::Store(problem) => store_fault(problem),
        };
        recorded.err().unwrap_or(fault)
    }

    /// Writes a note about this request, and waits until it is on disk.
    pub(crate) async fn record(&self, request: &PageRequest, note: Note) -> Result<(), Fault> {
        let mut note = note.request(request.request).from(&request.from);
        note.host = Some(request.host.clone());
        note.device = request.device.as_ref().map(|device| device.id.clone());
        note.revision = Some(self.config().revision.clone());
        self.parts.recorder.note(note).await.map_err(|problem| {
            warn!(request = %request.request, %problem, "a sign-in could not be recorded");
            Fault::NotRecorded
        })
    }
}

/// Whether a session that is open already was opened by another tab while this one was at the provider, and is as
/// good as what this one brings.
fn is_as_good(open: &Session, signed_in: &SignedIn, kept: &Return) -> bool {
    let proves = |level: Assurance| open.who.assurance >= level && open.who.authenticated_at >= kept.begun;
    open.who.user == signed_in.person.id
        && open.opened_at >= kept.begun
        && open.who.assurance >= signed_in.assurance
        && kept.again.is_none_or(proves)
}

fn what_is_needed(voice: Voice<'_>, level: Assurance) -> Option<String> {
    match level {
        Assurance::Aal1 => None,
        Assurance::Aal2 => Some(voice.say("step-up-aal2")),
        Assurance::Aal3 => Some(voice.say("step-up-aal3")),
    }
}
