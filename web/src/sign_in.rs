//! Signing in on the login host: choose a provider, go there, come back, and be handed over to the app that waits.

use std::collections::BTreeSet;

use audit::{Event, Note};
use bytes::Bytes;
use config::{Config, Provider, SecondFactor};
use http::{Response, StatusCode};
use identity::{Begin, Callback, Opening, Place, Session, SignInProblem, SignedIn, offered};
use policy::{Assurance, ProviderId};
use tracing::warn;

use crate::cookie::{self, Ceremony};
use crate::query::{self, Ask, Return};
use crate::site::{Answer, said, store_fault};
use crate::texts::Voice;
use crate::view::{KeyTask, Link, SignInView, show, show_with_script};
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
    /// Whoever has a session here is handed over at once. At a shared terminal where somebody is waited for, whoever
    /// comes touches their key; the others choose a way, or go to the only provider there is.
    pub(crate) async fn sign_in(&self, request: &PageRequest) -> Answer {
        let ask = Ask::read(&request.query);
        match (request.usable_session(), ask.again) {
            (Some(session), None) => {
                let place = self.onward(session, ask.hand_off.as_deref(), request).await?;
                Ok(headers::redirect(StatusCode::FOUND, &place))
            }
            (Some(session), Some(level)) => self.step_up_page(request, session, ask, level).await,
            (None, _) => self.choose(request, ask).await,
        }
    }

    /// On to the chosen provider.
    pub(crate) async fn begin(&self, request: &PageRequest) -> Answer {
        self.to_provider(request, Ask::read(&request.query)).await
    }

    async fn choose(&self, request: &PageRequest, ask: Ask) -> Answer {
        if ask.provider.as_ref().is_some_and(|chosen| self.is_offered(request, &ask, chosen)) {
            return self.to_provider(request, ask).await;
        }
        let waiting = self.waiting(request).await?;
        if !waiting.is_empty() {
            return Ok(self.lock_page(request, &ask, waiting));
        }
        match self.offered(request, &ask).as_slice() {
            [only] if !self.offers_passkey() => {
                let provider = Some(only.id.clone());
                self.to_provider(request, Ask { provider, ..ask }).await
            }
            offered => Ok(self.choice_page(request, offered.is_empty(), &ask)),
        }
    }

    /// Whether a passkey alone may be the whole sign-in of somebody: people of the local directory, where the operator
    /// says so, and while a provider is gone.
    fn offers_passkey(&self) -> bool {
        let config = self.config();
        config.directory.local
            || config.providers.iter().any(|provider| provider.passkey_sign_in)
            || !self.parts.outage.current().is_empty()
    }

    /// The providers that are offered here. A page knows its zone, not its listener: what any listener of the zone
    /// offers is offered.
    fn offered(&self, request: &PageRequest, ask: &Ask) -> Vec<&Provider> {
        let config = self.config();
        let here = config.listeners.iter().filter(|listener| listener.zone == request.from.zone);
        let ids: BTreeSet<&ProviderId> = here
            .flat_map(|listener| {
                let place = Place { listener: &listener.name, app: ask.app.as_ref(), login: ask.login_hint.as_deref() };
                offered(&config.providers, &place).into_iter().map(|provider| &provider.id)
            })
            .collect();
        config.providers.iter().filter(|provider| ids.contains(&provider.id)).collect()
    }

    /// Whether a provider is offered here, whatever name was typed.
    fn is_offered(&self, request: &PageRequest, ask: &Ask, id: &ProviderId) -> bool {
        let ask = Ask { login_hint: None, ..ask.clone() };
        self.offered(request, &ask).iter().any(|provider| provider.id == *id)
    }

    fn choice_page(&self, request: &PageRequest, is_none: bool, ask: &Ask) -> Response<Bytes> {
        let voice = self.voice(language(&request.headers));
        let by_key = self.offers_passkey();
        let lead = if is_none && !by_key { "sign-in-none" } else { "sign-in-lead" };
        let key = by_key.then(|| KeyTask {
            task: "sign-in",
            label: voice.say("passkey-sign-in"),
            offers: true,
            hand_off: ask.hand_off.clone(),
            again: ask.again.map(Assurance::as_str),
            pending: None,
        });
        let view = SignInView {
            frame: self.frame_of(request),
            title: voice.say("sign-in-title"),
            lead: voice.say(lead),
            lines: Vec::new(),
            waiting: Vec::new(),
            ways: self.provider_ways(request, ask, voice),
            more: if by_key { self.more_ways(ask, voice) } else { Vec::new() },
            key,
            switch: None,
        };
        if by_key { show_with_script(StatusCode::OK, &view) } else { show(StatusCode::OK, &view) }
    }

    /// The ways by a provider.
    pub(crate) fn provider_ways(&self, request: &PageRequest, ask: &Ask, voice: Voice<'_>) -> Vec<Link> {
        let way = |provider: &Provider| {
            let label = voice.say_with("sign-in-with", "name", said(&provider.name, voice.language()));
            Link::new(label, Ask { provider: Some(provider.id.clone()), ..ask.clone() }.address("/begin"))
        };
        self.offered(request, ask).into_iter().map(way).collect()
    }

    /// The ways for who has no key at hand, or not yet.
    #[expect(clippy::unused_self, reason = "one of a family of methods")]
    pub(crate) fn more_ways(&self, ask: &Ask, voice: Voice<'_>) -> Vec<Link> {
        let later = Ask { hand_off: ask.hand_off.clone(), ..Ask::default() };
        vec![
            Link::new(voice.say("sign-in-temporary"), later.address("/temporary")),
            Link::new(voice.say("sign-in-enrol"), "/enrol"),
        ]
    }

    async fn step_up_page(&self, request: &PageRequest, session: &Session, ask: Ask, level: Assurance) -> Answer {
        let voice = self.voice(language(&request.headers));
        let has_key = self.parts.passkeys.has_any(&session.who.user).await.map_err(|problem| store_fault(&problem))?;
        let key = has_key.then(|| KeyTask {
            task: "step-up",
            label: voice.say("passkey-step-up"),
            offers: false,
            hand_off: ask.hand_off.clone(),
            again: Some(level.as_str()),
            pending: None,
        });
        let is_providers = self.config().providers.iter().any(|one| one.id == session.who.provider);
        let ways = if is_providers {
            let login_hint = ask.login_hint.clone().or_else(|| Some(session.who.login.to_string()));
            let go = Ask { provider: Some(session.who.provider.clone()), login_hint, ..ask };
            let label = if has_key { "sign-in-other" } else { "action-step-up" };
            vec![Link::new(voice.say(label), go.address("/begin"))]
        } else {
            Vec::new()
        };
        let signed_in = voice.say_with("sign-in-signed-in", "name", &session.who.name);
        let no_way = (key.is_none() && ways.is_empty()).then(|| voice.say("step-up-none"));
        let view = SignInView {
            frame: self.frame_of(request),
            title: voice.say("step-up-title"),
            lead: voice.say("step-up-lead"),
            lines: [Some(signed_in), what_is_needed(voice, level), no_way].into_iter().flatten().collect(),
            waiting: Vec::new(),
            key,
            ways,
            more: Vec::new(),
            switch: None,
        };
        Ok(if has_key { show_with_script(StatusCode::OK, &view) } else { show(StatusCode::OK, &view) })
    }

    async fn to_provider(&self, request: &PageRequest, ask: Ask) -> Answer {
        // Whoever is signed in may always go back to their own provider.
        let own = request.usable_session().map(|session| session.who.provider.clone());
        let may = |id: &ProviderId| own.as_ref() == Some(id) || self.is_offered(request, &ask, id);
        let provider = ask.provider.clone().filter(may).ok_or(Fault::NotFound)?;
        let begin = Begin {
            redirect_uri: redirect_uri(self.config(), &provider),
            provider,
            login_hint: ask.login_hint,
            // At a shared terminal the provider may still know whoever was there before: everyone proves themselves.
            step_up: ask.again.or_else(|| self.is_shared(request).then_some(Assurance::Aal1)),
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

    /// Asks for the second factor, opens the session, or goes on with the one that another tab has just opened, and
    /// hands it over.
    async fn welcome(&self, request: &PageRequest, signed_in: SignedIn) -> Answer {
        let kept = Return::read(&signed_in.return_to).ok_or(Fault::SignInExpired)?;
        if let Some(open) = request.usable_session().filter(|open| is_as_good(open, &signed_in, &kept)) {
            self.record_sign_in(request, open, kept.again).await?;
            let place = self.onward(open, kept.hand_off.as_deref(), request).await?;
            return Ok(headers::redirect(StatusCode::FOUND, &place));
        }
        let provider = self.config().providers.iter().find(|one| one.id == signed_in.person.provider);
        if provider.is_some_and(|provider| provider.second_factor == SecondFactor::Passkey) {
            return self.ask_second_factor(request, &signed_in).await;
        }
        let opening = Opening::by_provider(signed_in, request.device.clone(), request.host.clone());
        let entered = self.enter(request, opening, kept.hand_off.as_deref(), kept.again).await?;
        Ok(entered.into_page(self, request))
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
