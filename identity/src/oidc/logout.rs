//! Back-channel logout: the provider says that someone signed out there (OpenID Connect Back-Channel Logout 1.0).
//!
//! The logout token is checked as section 2.6 says, and accepted once. Anyone can send one, so nothing of it is used
//! before its signature is checked, and unknown keys make us ask the provider no more often than sign-ins do.
//! Deliberately not here: the endpoint (web).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::JsonWebKey;
use openidconnect::core::{CoreJsonWebKey, CoreJsonWebKeySet, CoreJwsSigningAlgorithm};
use policy::{ProviderId, SessionId, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;
use store::{SessionsOf, Store, StoreProblem, TokenHash};

use super::provider::Provider;
use super::token::ALLOWED_ALGORITHMS;
use super::{CLOCK_SKEW, Oidc, Rejection, SUBJECT_BYTES_MAX, SignInProblem, seconds_before};
use crate::Sessions;
use crate::secret::hash_all;

/// How old a logout token may be.
const TOKEN_AGE_MAX: Duration = Duration::from_secs(120);
/// The longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// The longest `jti`, in bytes.
const ID_BYTES_MAX: usize = 255;
/// Tokens that were accepted while the store failed to end the sessions; they may come again.
const UNFINISHED_MAX: usize = 256;

const KIND: &str = "logout-token";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// The actor of sessions that a provider ended.
pub(crate) const ACTOR: &str = "gateway:provider";

/// A logout that is done. The sessions may have been none: they were over already.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LoggedOut {
    /// The sessions that ended.
    pub ended: Vec<SessionId>,
}

/// Why a logout was not done. Answer 400 to each, as section 2.8 says, with [`LogoutProblem::code`].
#[derive(Debug, thiserror::Error)]
pub enum LogoutProblem {
    /// No such provider in the configuration.
    #[error("no provider `{0}` is configured")]
    UnknownProvider(ProviderId),
    /// The keys of the provider cannot be read, so the token cannot be checked.
    #[error("the provider `{provider}` is not available: {reason}")]
    Unavailable {
        /// Which.
        provider: ProviderId,
        /// What happened.
        reason: String,
    },
    /// The token failed a check.
    #[error("a logout token for `{provider}` was rejected: {rejection}")]
    Rejected {
        /// For which provider it was sent.
        provider: ProviderId,
        /// Which check.
        rejection: Rejection,
    },
    /// The store did not answer; the provider may send the same token again.
    #[error(transparent)]
    Store(#[from] StoreProblem),
}

impl LogoutProblem {
    /// Its code in the log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownProvider(_) => "unknown-provider",
            Self::Unavailable { .. } => "provider-unavailable",
            Self::Rejected { rejection, .. } => rejection.code(),
            Self::Store(_) => "store",
        }
    }

    /// Its error code in the answer (section 2.8, RFC 6749 section 5.2).
    #[must_use]
    pub fn error(&self) -> &'static str {
        match self {
            Self::UnknownProvider(_) | Self::Rejected { .. } => "invalid_request",
            Self::Unavailable { .. } | Self::Store(_) => "logout_failed",
        }
    }
}

/// What a checked token says.
struct Told {
    id: String,
    subject: Option<String>,
    session: Option<String>,
    issued_at: Timestamp,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

impl Oidc {
    /// Ends the sessions that a logout token names. Works once for each token.
    ///
    /// # Errors
    /// [`LogoutProblem`]; nothing was ended.
    pub async fn log_out(
        &self,
        provider: &ProviderId,
        logout_token: &str,
        sessions: &Sessions,
    ) -> Result<LoggedOut, LogoutProblem> {
        let now = self.clock.now();
        let known = self.provider(provider).map_err(|_| LogoutProblem::UnknownProvider(provider.clone()))?;
        let told = known.logout_told(logout_token, now).await?;
        let key = hash_all(KIND, &[provider.as_str(), &known.config.issuer, &told.id]);
        // Until then its age is within bounds; afterwards it is refused for that.
        let expires_at = told.issued_at.after(TOKEN_AGE_MAX).after(2 * CLOCK_SKEW);
        let is_new =
            self.store.remember_once(KIND, key, expires_at).await.inspect_err(|_| self.note_unfinished(key))?;
        if !is_new && !self.unfinished_log_outs().contains(&key) {
            return Err(LogoutProblem::Rejected { provider: provider.clone(), rejection: Rejection::Replayed });
        }
        let unfinished = Unfinished { oidc: self, key };
        let ended = end(self.store.as_ref(), provider, told, now).await?;
        for id in &ended {
            sessions.forget(*id);
        }
        unfinished.done();
        Ok(LoggedOut { ended })
    }

    fn note_unfinished(&self, key: TokenHash) {
        let mut unfinished = self.unfinished_log_outs();
        if unfinished.len() >= UNFINISHED_MAX {
            unfinished.clear();
        }
        unfinished.insert(key);
    }
}

/// A token that was accepted and whose sessions did not end yet. It may come again if the store fails or this work is
/// dropped.
struct Unfinished<'a> {
    oidc: &'a Oidc,
    key: TokenHash,
}

impl Unfinished<'_> {
    fn done(self) {
        self.oidc.unfinished_log_outs().remove(&self.key);
        std::mem::forget(self);
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.oidc.note_unfinished(self.key);
    }
}

/// Ends the sessions of a `sid`, or of a `sub` where there is none, and the sign-ins under way. Told both, those sessions of the person end too of
/// which the provider never said a `sid`: they may be meant.
async fn end(
    store: &dyn Store,
    provider: &ProviderId,
    told: Told,
    at: Timestamp,
) -> Result<Vec<SessionId>, StoreProblem> {
    let provider = provider.clone();
    let mut ended = Vec::new();
    let of = match (told.session, told.subject) {
        (Some(sid), subject) => {
            if let Some(subject) = subject.clone() {
                let unnamed = SessionsOf::SubjectUnnamed { provider: provider.clone(), subject };
                ended.extend(store.end_sessions(unnamed, at, ACTOR.to_owned()).await?);
            }
            SessionsOf::ProviderSession { provider, sid, subject }
        }
        (None, Some(subject)) => SessionsOf::Subject { provider, subject },
        (None, None) => return Ok(Vec::new()),
    };
    ended.extend(store.end_sessions(of, at, ACTOR.to_owned()).await?);
    Ok(ended.into_iter().map(|session| session.id).collect())
}

impl Provider {
    /// Checks a logout token and reads it.
    async fn logout_told(&self, token: &str, now: Timestamp) -> Result<Told, LogoutProblem> {
        let rejected = |rejection| LogoutProblem::Rejected { provider: self.config.id.clone(), rejection };
        let read = Signed::read(token).map_err(rejected)?;
        self.metadata(now).await.map_err(|problem| self.logout_problem(problem))?;
        if !read.is_signed_with(&*self.keys().await) {
            let newer = self.newer_keys(now).await.ok_or_else(|| rejected(Rejection::Signature))?;
            if !read.is_signed_with(&newer) {
                return Err(rejected(Rejection::Signature));
            }
        }
        let claims = read.claims().map_err(rejected)?;
        told(&claims, &self.config, now).map_err(rejected)
    }

    fn logout_problem(&self, problem: SignInProblem) -> LogoutProblem {
        let provider = self.config.id.clone();
        match problem {
            SignInProblem::Unavailable { reason, .. } => LogoutProblem::Unavailable { provider, reason },
            SignInProblem::Rejected { rejection, .. } => LogoutProblem::Rejected { provider, rejection },
            SignInProblem::Store(problem) => LogoutProblem::Store(problem),
            SignInProblem::UnknownProvider(_) | SignInProblem::Void | SignInProblem::Refused { .. } => {
                LogoutProblem::Unavailable { provider, reason: problem.to_string() }
            }
        }
    }
}

/// A token whose form is that of a logout token; whether it is genuine is not known yet.
struct Signed<'a> {
    algorithm: CoreJwsSigningAlgorithm,
    /// The name of the key.
    key: Option<String>,
    message: &'a str,
    claims: &'a str,
    signature: Vec<u8>,
}

impl<'a> Signed<'a> {
    fn read(token: &'a str) -> Result<Self, Rejection> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Rejection::Malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Rejection::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(Rejection::Malformed)?;
        let header: Header = decoded(header).ok_or(Rejection::Malformed)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Rejection::Malformed)?;
        if header.crit.is_some() {
            return Err(Rejection::Malformed);
        }
        let algorithm = serde_json::from_value(Value::String(header.alg.clone())).ok();
        let algorithm = algorithm.filter(|one| ALLOWED_ALGORITHMS.contains(one)).ok_or(Rejection::Signature)?;
        if header.typ.as_deref().is_some_and(|kind| !may_be_logout_token(kind)) {
            return Err(Rejection::Kind);
        }
        Ok(Self { algorithm, key: header.kid, message, claims, signature })
    }

    /// Whether one of these keys made the signature: the one it names, or the only one.
    fn is_signed_with(&self, keys: &CoreJsonWebKeySet) -> bool {
        let is_named = |key: &&CoreJsonWebKey| match &self.key {
            Some(name) => key.key_id().is_some_and(|id| **id == *name),
            None => keys.keys().len() == 1,
        };
        let made_it = |key: &CoreJsonWebKey| {
            key.verify_signature(&self.algorithm, self.message.as_bytes(), &self.signature).is_ok()
        };
        keys.keys().iter().filter(is_named).any(made_it)
    }

    fn claims(&self) -> Result<Map<String, Value>, Rejection> {
        decoded(self.claims).ok_or(Rejection::Malformed)
    }
}

/// The media type may be written in full (RFC 7515 section 4.1.9). Keycloak called logout tokens `JWT` until May 2024
/// (its issue 28939); what makes one is the event that it must hold and the nonce that it must not
/// (docs/decisions/0031).
fn may_be_logout_token(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    matches!(kind.strip_prefix("application/").unwrap_or(&kind), "logout+jwt" | "jwt")
}

fn decoded<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// Checks the claims of a genuine token.
fn told(claims: &Map<String, Value>, config: &config::Provider, now: Timestamp) -> Result<Told, Rejection> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(config.issuer.as_str()) {
        return Err(Rejection::Issuer);
    }
    let is_for_us = match claims.get("aud") {
        Some(Value::String(one)) => *one == config.client_id,
        Some(Value::Array(several)) => matches!(several.as_slice(), [Value::String(one)] if *one == config.client_id),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
    };
    if !is_for_us {
        return Err(Rejection::Audience);
    }
    let issued_at = claims.get("iat").and_then(moment).ok_or(Rejection::Time)?;
    let earliest = Timestamp::from_unix_micros(seconds_before(now, TOKEN_AGE_MAX + CLOCK_SKEW));
    if issued_at > now.after(CLOCK_SKEW) || issued_at < earliest {
        return Err(Rejection::Time);
    }
    let in_time = |name: &str, fits: fn(Timestamp, Timestamp) -> bool| match claims.get(name) {
        None => Ok(()),
        Some(value) if moment(value).is_some_and(|at| fits(at, now)) => Ok(()),
        Some(_) => Err(Rejection::Time),
    };
    in_time("exp", |ends_at, now| ends_at.after(CLOCK_SKEW) > now)?;
    in_time("nbf", |begins_at, now| begins_at <= now.after(CLOCK_SKEW))?;
    // An ID token must not pass for a logout token.
    if claims.contains_key("nonce") {
        return Err(Rejection::Nonce);
    }
    let event = claims.get("events").and_then(|events| events.get(EVENT));
    if !event.is_some_and(Value::is_object) {
        return Err(Rejection::Events);
    }
    let name = |claim: &str| match claims.get(claim) {
        None => Ok(None),
        Some(Value::String(text)) if (1..=SUBJECT_BYTES_MAX).contains(&text.len()) => Ok(Some(text.clone())),
        Some(_) => Err(Rejection::Malformed),
    };
    let (subject, session) = (name("sub")?, name("sid")?);
    if subject.is_none() && session.is_none() {
        return Err(Rejection::Subject);
    }
    let id = text("jti").filter(|id| (1..=ID_BYTES_MAX).contains(&id.len())).ok_or(Rejection::Malformed)?;
    Ok(Told { id: id.to_owned(), subject, session, issued_at })
}

/// A NumericDate (RFC 7519 section 2): seconds, perhaps with a fraction.
fn moment(value: &Value) -> Option<Timestamp> {
    let seconds = value.as_f64().filter(|seconds| seconds.abs() < 1e11)?;
    Some(Timestamp::from_unix_micros((seconds * 1e6) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_reader(token in ".{0,200}", header in "[{}\\[\\]\":,a-z0-9]{0,60}", claims in ".{0,60}") {
            let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
            let signed = format!("{}.{}.AAAA", encode(&header), encode(&claims));
            for text in [&token, &signed] {
                if let Ok(read) = Signed::read(text) {
                    let _ = (read.claims().is_ok(), read.is_signed_with(&CoreJsonWebKeySet::default()));
                }
            }
        }

        #[test]
        fn every_moment_is_read_or_refused(seconds in proptest::num::f64::ANY) {
            let value = serde_json::json!(seconds);
            proptest::prop_assert!(moment(&value).is_none_or(|at| at.unix_micros().abs() <= 100_000_000_000_000_000));
        }
    }
}
