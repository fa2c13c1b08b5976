//! What apps are told of who asks: a JWT signed with ES256, for one app and one minute.
//!
//! `aud` is the app's own origin, so that no app can use it at another; apps check it with the published keys. One
//! assertion serves the requests of half a minute, so its `jti` tells assertions apart, not requests.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use foldhash::HashMap;
use http::HeaderValue;
use policy::{AppId, Device, SessionId, SignInMethod, Timestamp, Who};
use serde::Serialize;
use zeroize::Zeroizing;

pub use key::KeyProblem;
use key::SigningKey;

use crate::secret::random_name;

mod key;

/// How long an assertion is good.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);
/// How long one is given out again.
const ASSERTION_FRESH: Duration = Duration::from_secs(30);
const SHARDS: usize = 16;
/// Assertions kept in a shard at most, 8,192 in all.
const SHARD_ASSERTIONS_MAX: usize = 512;

/// Signs assertions.
pub struct Assertions {
    issuer: String,
    key: SigningKey,
    /// The first part of every assertion.
    header: String,
    jwks: String,
    /// By session, for apps in use; guarded by every fact that the assertion states.
    shards: Vec<RwLock<HashMap<(SessionId, AppId), Entry>>>,
}

struct Entry {
    audience: Arc<str>,
    who: Arc<Who>,
    device: Option<Arc<Device>>,
    issued_at: Timestamp,
    value: HeaderValue,
}

/// An assertion could not be signed; do not send the request without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the assertion could not be signed")]
pub struct AssertionProblem;

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
    sid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    acr: &'static str,
    /// Our words, such as `provider` and `passkey`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    amr: Vec<&'static str>,
    /// Signed in while the provider was out of reach; the roles are those it last confirmed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    outage: bool,
    preferred_username: &'a str,
    name: &'a str,
    roles: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_class: Option<&'static str>,
}

impl Assertions {
    /// Reads the signing key from the state directory, or makes one where there is none. `issuer` is the origin of the
    /// sign-in host, where the keys are published.
    ///
    /// # Errors
    /// [`KeyProblem`] if the key cannot be read or made; an unreadable key is never replaced.
    pub fn open_or_create(state_dir: &Path, issuer: &str) -> Result<Self, KeyProblem> {
        let key = SigningKey::open_or_create(state_dir)?;
        let header = serde_json::json!({ "alg": "ES256", "kid": key.id(), "typ": "JWT" }).to_string();
        let jwks = serde_json::json!({ "keys": [key.public_jwk()] }).to_string();
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Ok(Self { issuer: issuer.to_owned(), key, header: URL_SAFE_NO_PAD.encode(header), jwks, shards })
    }

    /// A key for another purpose that every node with this signing key can make, and nobody else.
    #[must_use]
    pub fn key_for(&self, purpose: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        self.key.key_for(purpose)
    }

    /// The assertion of who asks, for one app, as the value of a header field. `audience` is the app's origin.
    ///
    /// # Errors
    /// [`AssertionProblem`] if it could not be signed.
    pub fn for_app(
        &self,
        app: &AppId,
        audience: &str,
        who: &Arc<Who>,
        device: Option<&Arc<Device>>,
        at: Timestamp,
    ) -> Result<HeaderValue, AssertionProblem> {
        let place = (who.session, app.clone());
        let Some(shard) = self.shards.get(usize::try_from(who.session.bits()).unwrap_or(0) % SHARDS) else {
            return self.sign(audience, who, device, at);
        };
        let kept = shard.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = kept.get(&place).filter(|entry| entry.says(audience, who, device) && entry.is_fresh(at)) {
            return Ok(entry.value.clone());
        }
        drop(kept);
        let value = self.sign(audience, who, device, at)?;
        let entry = Entry {
            audience: Arc::from(audience),
            who: Arc::clone(who),
            device: device.cloned(),
            issued_at: at,
            value: value.clone(),
        };
        let mut kept = shard.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= SHARD_ASSERTIONS_MAX {
            kept.retain(|_, entry| entry.is_fresh(at));
        }
        if kept.len() >= SHARD_ASSERTIONS_MAX {
            kept.clear();
        }
        kept.insert(place, entry);
        Ok(value)
    }

    /// The keys that assertions are checked with, as a JWK set (RFC 7517).
    #[must_use]
    pub fn jwks(&self) -> &str {
        &self.jwks
    }

    fn sign(
        &self,
        audience: &str,
        who: &Who,
        device: Option<&Arc<Device>>,
        at: Timestamp,
    ) -> Result<HeaderValue, AssertionProblem> {
        let claims = Claims {
            iss: &self.issuer,
            aud: audience,
            sub: who.user.as_str(),
            iat: at.unix_seconds(),
            nbf: at.unix_seconds(),
            exp: at.after(ASSERTION_LIFETIME).min(who.ends_at).unix_seconds(),
            jti: random_name(),
            sid: who.session.to_string(),
            auth_time: Some(who.authenticated_at.unix_seconds()).filter(|seconds| *seconds > 0),
            acr: who.assurance.as_str(),
            amr: who.methods.iter().map(SignInMethod::as_str).collect(),
            outage: who.in_outage,
            preferred_username: &who.login,
            name: &who.name,
            roles: who.roles.iter().map(policy::RoleId::as_str).collect(),
            device: device.map(|device| device.id.as_str()),
            device_class: device.map(|device| device.class.as_str()),
        };
        let claims = serde_json::to_string(&claims).map_err(|_| AssertionProblem)?;
        let mut text = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(claims));
        let signature = self.key.sign(&SystemRandom::new(), text.as_bytes()).ok_or(AssertionProblem)?;
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        HeaderValue::try_from(text).map_err(|_| AssertionProblem)
    }
}

impl Entry {
    /// The same session and device are nearly always the very same values, so the fields are rarely compared.
    fn says(&self, audience: &str, who: &Arc<Who>, device: Option<&Arc<Device>>) -> bool {
        let same_device = match (&self.device, device) {
            // Its posture is not stated, so that a new one needs no new assertion.
            (Some(one), Some(other)) => Arc::ptr_eq(one, other) || (&one.id, one.class) == (&other.id, other.class),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        *self.audience == *audience && same_device && (Arc::ptr_eq(&self.who, who) || self.who == *who)
    }

    /// Not before it was issued either, in case the clock was set back.
    fn is_fresh(&self, at: Timestamp) -> bool {
        at >= self.issued_at && at < self.issued_at.after(ASSERTION_FRESH).min(self.who.ends_at)
    }
}

impl fmt::Debug for Assertions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assertions").field("issuer", &self.issuer).field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
