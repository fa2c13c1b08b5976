//! Sign-in by OpenID Connect: authorization code with PKCE, state and nonce (OpenID Connect Core 1.0, RFC 9700).
//!
//! `begin` sends a browser to its provider and keeps in the store what `finish` must compare; that is taken out of the
//! store once, within ten minutes, and only with the secret of the browser that began. `finish` redeems the code and
//! checks the ID token. A person is issuer and subject, never an e-mail address. Whether an account exists is known to
//! the provider alone, so no failure here can tell.
//! Deliberately not here: cookies and the endpoint of logouts (web), sessions ([`Sessions`](crate::Sessions)).

mod choice;
mod claims;
mod logout;
mod problem;
mod provider;
mod token;
mod transport;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openidconnect::core::CoreAuthPrompt;
use openidconnect::{AuthenticationContextClass, CsrfToken, LoginHint, Nonce, PkceCodeChallenge, RedirectUrl, Scope};
use policy::{Assurance, Clock, Methods, ProviderId, SignInMethod, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use store::{Person, Secret, Store, TokenHash};

pub use choice::{Place, offered};
pub(crate) use logout::ACTOR as PROVIDER_ACTOR;
pub use logout::{LoggedOut, LogoutProblem};
pub use problem::{Rejection, SignInProblem};

use crate::secret::{could_be_name, could_be_secret, hash_all, hex, random_name, sha256};
use crate::together::{Work, together};
use crate::{BrowserSecret, Fetch, Outage, steps};
use provider::Provider;
pub(crate) use token::Confirmed;

/// How long a person may take at the provider.
const SIGN_IN_SPAN: Duration = Duration::from_secs(600);
/// How far a provider's clock may be from ours.
const CLOCK_SKEW: Duration = Duration::from_secs(60);
/// `max_age` of an ordinary sign-in: the provider asks again after a working day, and tells when it asked.
const AUTHENTICATION_AGE_MAX: Duration = Duration::from_secs(12 * 3600);
/// The longest [`Begin::return_to`], in bytes.
const RETURN_TO_BYTES_MAX: usize = 2048;
/// The longest login hint, in bytes.
const LOGIN_HINT_BYTES_MAX: usize = 256;
/// The longest subject, in bytes (OpenID Connect Core section 2).
const SUBJECT_BYTES_MAX: usize = 255;
/// The longest authorization code, in bytes.
const CODE_BYTES_MAX: usize = 4096;

const KIND: &str = "oidc";

/// Sign-in at the configured providers. What it knows of them (metadata, keys) is kept in memory and read again in
/// time; a configuration with other providers has another `Oidc`.
pub struct Oidc {
    providers: Vec<Provider>,
    store: Arc<dyn Store>,
    clock: Clock,
    outage: Option<Arc<Outage>>,
    /// Logout tokens whose sessions did not end yet.
    unfinished_log_outs: Mutex<HashSet<TokenHash>>,
}

/// How a sign-in is to begin.
#[derive(Clone, Debug)]
pub struct Begin {
    /// Where.
    pub provider: ProviderId,
    /// Where the provider sends the browser back to, on the sign-in host. A path for each provider keeps the answers
    /// of one from being taken for another's (RFC 9700 section 4.4.2.2).
    pub redirect_uri: String,
    /// The name to fill in at the provider.
    pub login_hint: Option<String>,
    /// Prove again who it is, at least this surely, though the provider may know the browser already.
    pub step_up: Option<Assurance>,
    /// Handed back by [`Oidc::finish`], such as the id of a hand-off. Stays on the server; at most 2 KiB.
    pub return_to: String,
}

/// A sign-in that has begun.
#[derive(Debug)]
pub struct StartedSignIn {
    /// Where to send the browser.
    pub url: String,
    /// The name under which the provider's answer comes back, for the cookie's name.
    pub state: String,
    /// What the browser keeps in a cookie of the sign-in host.
    pub browser_secret: BrowserSecret,
}

/// The query that the provider sent the browser back with.
#[derive(Clone, Default)]
pub struct Callback {
    /// `state`.
    pub state: String,
    /// `code`.
    pub code: Option<String>,
    /// `error`.
    pub error: Option<String>,
    /// `iss` (RFC 9207).
    pub issuer: Option<String>,
    /// The redirect URI at which it arrived.
    pub redirect_uri: String,
}

/// A finished sign-in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who it is, with roles as the configuration maps them; none if none of the provider's is mapped.
    pub person: Person,
    /// How surely the provider recognised them.
    pub assurance: Assurance,
    /// By what: the provider, with two factors if it says so.
    pub methods: Methods,
    /// When they proved to the provider who they are. The epoch if the provider does not tell, so that no rule takes
    /// it for recent.
    pub authenticated_at: Timestamp,
    /// The ID token, for sign-out.
    pub id_token: Secret,
    /// `sid`.
    pub provider_session: Option<String>,
    /// What [`Refresh`](crate::Refresh) asks the provider with later; none unless it is configured to be asked.
    pub refresh_token: Option<Secret>,
    /// [`Begin::return_to`].
    pub return_to: String,
}

/// What is kept between `begin` and `finish`.
#[derive(Serialize, Deserialize)]
struct Pending {
    provider: String,
    issuer: String,
    redirect_uri: String,
    nonce: String,
    verifier: String,
    step_up: Option<String>,
    began_at: i64,
    return_to: String,
}

impl Oidc {
    /// Knows the providers, and asks them for nothing yet.
    #[must_use]
    pub fn new(providers: &[config::Provider], store: Arc<dyn Store>, fetch: Fetch, clock: Clock) -> Self {
        let providers = providers.iter().map(|provider| Provider::new(provider.clone(), fetch.clone())).collect();
        Self { providers, store, clock, outage: None, unfinished_log_outs: Mutex::default() }
    }

    /// Tells of every answer and every failure of the providers, so that outages are seen.
    #[must_use]
    pub fn with_outage(self, outage: Arc<Outage>) -> Self {
        Self { outage: Some(outage), ..self }
    }

    /// Begins a sign-in: sends the browser to the provider.
    ///
    /// # Errors
    /// [`SignInProblem`]: the provider is unknown or unavailable, or the store is.
    pub async fn begin(&self, begin: Begin) -> Result<StartedSignIn, SignInProblem> {
        let provider = begin.provider.clone();
        let begun = self.begin_at_provider(begin).await;
        if let Err(problem) = &begun {
            self.note_failure(&provider, problem);
        }
        begun
    }

    async fn begin_at_provider(&self, begin: Begin) -> Result<StartedSignIn, SignInProblem> {
        let provider = self.provider(&begin.provider)?;
        let now = self.clock.now();
        let metadata = provider.metadata(now).await?;
        let redirect_uri = RedirectUrl::new(begin.redirect_uri.clone())
            .map_err(|problem| provider.unavailable(format!("`{}`: {problem}", begin.redirect_uri)))?;
        let client = provider.client(&metadata).set_redirect_uri(redirect_uri);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let started =
            StartedSignIn { url: String::new(), state: random_name(), browser_secret: BrowserSecret::random() };
        let nonce = BrowserSecret::random();
        let (state, nonce_text) = (started.state.clone(), nonce.expose().to_owned());
        let mut request = client
            .authorize_url(
                openidconnect::core::CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce_text),
            )
            .set_pkce_challenge(challenge)
            .add_scopes(provider.config.scopes.iter().cloned().map(Scope::new));
        if let Some(hint) = begin.login_hint.filter(|hint| hint.len() <= LOGIN_HINT_BYTES_MAX) {
            request = request.set_login_hint(LoginHint::new(hint));
        }
        request = match begin.step_up {
            None => request.set_max_age(AUTHENTICATION_AGE_MAX),
            Some(level) => step_up_names(&provider.config, level)
                .fold(request.add_prompt(CoreAuthPrompt::Login).set_max_age(Duration::ZERO), |request, name| {
                    request.add_auth_context_value(name)
                }),
        };
        let (url, _, _) = request.url();
        let pending = Pending {
            provider: begin.provider.as_str().to_owned(),
            issuer: provider.config.issuer.clone(),
            redirect_uri: begin.redirect_uri,
            nonce: nonce.expose().to_owned(),
            verifier: verifier.into_secret(),
            step_up: begin.step_up.map(|level| level.as_str().to_owned()),
            began_at: now.unix_micros(),
            return_to: Some(begin.return_to).filter(|text| text.len() <= RETURN_TO_BYTES_MAX).unwrap_or_default(),
        };
        let key = ceremony_key(&started.state, started.browser_secret.expose());
        steps::keep(&*self.store, KIND, key, &pending, now.after(SIGN_IN_SPAN)).await?;
        Ok(StartedSignIn { url: url.into(), ..started })
    }

    /// Finishes a sign-in with the provider's answer and the browser's secret. Works once.
    ///
    /// # Errors
    /// [`SignInProblem`]; nobody is signed in then, and the person begins again.
    pub async fn finish(&self, callback: Callback, browser_secret: &str) -> Result<SignedIn, SignInProblem> {
        let now = self.clock.now();
        let pending = self.take_pending(&callback.state, browser_secret, now).await?;
        let provider = self.provider_of(&pending)?;
        let finished = Self::finish_at_provider(provider, callback, pending, now).await;
        match &finished {
            Ok(_) => self.note_answer(&provider.config.id),
            Err(problem) => self.note_failure(&provider.config.id, problem),
        }
        finished
    }

    async fn finish_at_provider(
        provider: &Provider,
        callback: Callback,
        pending: Pending,
        now: Timestamp,
    ) -> Result<SignedIn, SignInProblem> {
        let metadata = provider.metadata(now).await?;
        if callback.redirect_uri != pending.redirect_uri {
            return Err(provider.rejected(Rejection::RedirectUri));
        }
        if !provider.is_its_answer(&metadata, callback.issuer.as_deref()) {
            return Err(provider.rejected(Rejection::Issuer));
        }
        if let Some(error) = callback.error {
            let error = claims::shown(&error).unwrap_or_default();
            return Err(SignInProblem::Refused { provider: provider.config.id.clone(), error });
        }
        let code = callback.code.filter(|code| (1..=CODE_BYTES_MAX).contains(&code.len()));
        let code = code.ok_or_else(|| provider.rejected(Rejection::Malformed))?;
        let expected = token::Expected {
            nonce: Some(Nonce::new(pending.nonce)),
            step_up: pending.step_up.as_deref().and_then(Assurance::parse),
            began_at: Timestamp::from_unix_micros(pending.began_at),
            now,
        };
        let known = provider.redeem(&metadata, code, pending.verifier, pending.redirect_uri, expected).await?;
        Ok(SignedIn {
            person: known.person,
            assurance: known.assurance,
            methods: methods(known.assurance),
            authenticated_at: known.authenticated_at,
            id_token: known.id_token,
            provider_session: known.provider_session,
            refresh_token: known.refresh_token,
            return_to: pending.return_to,
        })
    }

    /// The address that signs the person out at the provider too (OpenID Connect RP-Initiated Logout 1.0), where it
    /// has one. `post_logout_redirect_uri` must be registered there.
    ///
    /// # Errors
    /// [`SignInProblem`] if the provider is unknown or unavailable; the person is signed out here all the same.
    pub async fn sign_out_url(
        &self,
        provider: &ProviderId,
        id_token: Option<&Secret>,
        post_logout_redirect_uri: &str,
        state: &str,
    ) -> Result<Option<String>, SignInProblem> {
        let provider = self.provider(provider)?;
        let metadata = provider.metadata(self.clock.now()).await?;
        let Some(mut url) = provider::end_session_endpoint(&metadata) else { return Ok(None) };
        url.query_pairs_mut()
            .append_pair("client_id", &provider.config.client_id)
            .append_pair("post_logout_redirect_uri", post_logout_redirect_uri)
            .append_pair("state", state)
            .extend_pairs(id_token.map(|hint| ("id_token_hint", &hint.0)));
        Ok(Some(url.into()))
    }

    /// Asks every provider whether it answers, all at once, and none more often than every twenty seconds. Call it
    /// before [`Outage::tend`].
    pub async fn probe(&self) {
        let now = self.clock.now();
        let probe = |provider| -> Work<'_, ()> { Box::pin(self.probe_one(provider, now)) };
        together(self.providers.iter().map(probe).collect()).await;
    }

    async fn probe_one(&self, provider: &Provider, now: Timestamp) {
        match provider.probe(now).await {
            Some(Ok(())) => self.note_answer(&provider.config.id),
            Some(Err(problem)) => self.note(&provider.config.id, |outage, id| {
                outage.note_failure(id, &problem.to_string(), now);
            }),
            None => {}
        }
    }

    /// The providers that are to be asked again and again whether people are still theirs, and how often.
    pub(crate) fn check_intervals(&self) -> impl Iterator<Item = (&ProviderId, Duration)> {
        self.providers.iter().filter_map(|provider| Some((&provider.config.id, provider.config.check_interval?)))
    }

    /// Asks a provider whether a person is still theirs, and in which roles.
    pub(crate) async fn ask_again(
        &self,
        provider: &ProviderId,
        token: &Secret,
        subject: &str,
    ) -> Result<Confirmed, SignInProblem> {
        let answer = self.provider(provider)?.ask_again(token, subject, self.clock.now()).await;
        match &answer {
            Ok(_) => self.note_answer(provider),
            Err(problem) => self.note_failure(provider, problem),
        }
        answer
    }

    /// Whether a provider is known to be out of reach.
    pub(crate) fn is_in_outage(&self, provider: &ProviderId) -> bool {
        self.outage.as_ref().is_some_and(|outage| outage.mode(provider).is_outage())
    }

    fn note_answer(&self, provider: &ProviderId) {
        self.note(provider, Outage::note_answer);
    }

    /// Only silence tells of an outage: a provider that refuses or answers wrongly is there.
    fn note_failure(&self, provider: &ProviderId, problem: &SignInProblem) {
        if let SignInProblem::Unavailable { reason, .. } = problem {
            self.note(provider, |outage, id| outage.note_failure(id, reason, self.clock.now()));
        }
    }

    fn note(&self, provider: &ProviderId, note: impl FnOnce(&Outage, &ProviderId)) {
        if let Some(outage) = &self.outage {
            note(outage, provider);
        }
    }

    fn unfinished_log_outs(&self) -> MutexGuard<'_, HashSet<TokenHash>> {
        self.unfinished_log_outs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn provider(&self, id: &ProviderId) -> Result<&Provider, SignInProblem> {
        let known = self.providers.iter().find(|provider| provider.config.id == *id);
        known.ok_or_else(|| SignInProblem::UnknownProvider(id.clone()))
    }

    async fn take_pending(&self, state: &str, browser: &str, now: Timestamp) -> Result<Pending, SignInProblem> {
        if !(could_be_name(state) && could_be_secret(browser)) {
            return Err(SignInProblem::Void);
        }
        let pending = steps::take(&*self.store, KIND, ceremony_key(state, browser), now).await?;
        pending.ok_or(SignInProblem::Void)
    }

    /// The provider of a sign-in that began, unless the configuration has changed under it.
    fn provider_of(&self, pending: &Pending) -> Result<&Provider, SignInProblem> {
        let same = |provider: &&Provider| {
            provider.config.id.as_str() == pending.provider && provider.config.issuer == pending.issuer
        };
        self.providers.iter().find(same).ok_or(SignInProblem::Void)
    }
}

/// The stable id of a person: `u-` and the first 32 hexadecimal digits of SHA-256 over issuer, a zero byte, subject.
#[must_use]
pub fn user_id(issuer: &str, subject: &str) -> UserId {
    let digest = hex(&sha256(&[issuer, "\0", subject]));
    let digits: String = digest.chars().take(32).collect();
    UserId::parse(&format!("u-{digits}")).expect("`u-` and hexadecimal digits are a name")
}

/// The state names the sign-in, the browser's secret ties it to the browser: taking it needs both.
fn ceremony_key(state: &str, browser_secret: &str) -> store::TokenHash {
    hash_all(KIND, &[state, browser_secret])
}

/// What to ask the provider for: every configured name that stands for this assurance or a higher one.
fn step_up_names(config: &config::Provider, level: Assurance) -> impl Iterator<Item = AuthenticationContextClass> + '_ {
    let enough = config.assurance.iter().filter(move |(_, reached)| *reached >= level);
    enough.map(|(name, _)| AuthenticationContextClass::new(name.clone()))
}

fn methods(assurance: Assurance) -> Methods {
    let vouched = Methods::NONE.with(SignInMethod::Provider);
    if assurance >= Assurance::Aal2 { vouched.with(SignInMethod::ProviderMfa) } else { vouched }
}

/// Microseconds of the moment so much earlier.
fn seconds_before(at: Timestamp, span: Duration) -> i64 {
    at.unix_micros().saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
}

impl fmt::Debug for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.providers.iter().map(|provider| &provider.config.id)).finish()
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").field("error", &self.error).field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::provider as provider_for_tests;
