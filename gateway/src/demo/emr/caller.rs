//! Who asks, as the gateway's assertion says: an ES256 JWT in `sekimori-assertion`.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use policy::Timestamp;
use serde_json::Value;

/// The header that the gateway puts the assertion in.
pub(super) const HEADER: &str = "sekimori-assertion";
/// Clocks may differ by this much; on one machine they do not.
const LEEWAY_SECONDS: i64 = 5;

/// Whom the EMR believes.
#[derive(Clone)]
pub enum Trust {
    /// Assertions signed with one of the gateway's keys and made for this app.
    Signed {
        /// The gateway's JWK set, asked for at each request so that new keys are known at once.
        keys: Arc<dyn Fn() -> String + Send + Sync>,
        /// The `aud` that assertions for this app carry.
        audience: String,
    },
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Signed { audience, .. } = self;
        f.debug_struct("Signed").field("audience", audience).finish_non_exhaustive()
    }
}

/// Why a caller is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum CallerProblem {
    #[error("no `sekimori-assertion` header: this app is reached through the gateway only")]
    Missing,
    #[error("the assertion cannot be read, or was made for another app")]
    Unreadable,
    #[error("the assertion is not signed with a key of the gateway")]
    NotSigned,
    #[error("the assertion is too old or not valid yet")]
    Expired,
}

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Caller {
    /// The name as people read it.
    pub(super) name: String,
    /// What they act as.
    pub(super) roles: Vec<String>,
    /// The device, where there is one.
    pub(super) device: Option<String>,
}

impl Trust {
    /// Who asks, by the request's headers.
    pub(super) fn caller(&self, headers: &HeaderMap, now: Timestamp) -> Result<Caller, CallerProblem> {
        let Self::Signed { keys, audience } = self;
        let mut sent = headers.get_all(HEADER).iter();
        let token = match (sent.next(), sent.next()) {
            (Some(one), None) => one.to_str().map_err(|_| CallerProblem::Unreadable)?,
            (Some(_), Some(_)) => return Err(CallerProblem::Unreadable),
            (None, _) => return Err(CallerProblem::Missing),
        };
        let claims = verified(token, &keys(), audience)?;
        is_current(&claims, now)?;
        Ok(Caller::read(&claims))
    }
}

fn verified(token: &str, keys: &str, audience: &str) -> Result<Value, CallerProblem> {
    let keys: JwkSet = serde_json::from_str(keys).map_err(|_| CallerProblem::NotSigned)?;
    let head = jsonwebtoken::decode_header(token).map_err(|_| CallerProblem::Unreadable)?;
    let key = head.kid.as_deref().and_then(|id| keys.find(id)).ok_or(CallerProblem::NotSigned)?;
    let key = DecodingKey::from_jwk(key).map_err(|_| CallerProblem::NotSigned)?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.validate_exp = false; // judged by `is_current`, on the clock that was handed in
    validation.set_required_spec_claims(&["exp", "aud"]);
    validation.set_audience(&[audience]);
    match jsonwebtoken::decode::<Value>(token, &key, &validation) {
        Ok(token) => Ok(token.claims),
        Err(problem) if matches!(problem.kind(), ErrorKind::InvalidSignature) => Err(CallerProblem::NotSigned),
        Err(_) => Err(CallerProblem::Unreadable),
    }
}

fn is_current(claims: &Value, now: Timestamp) -> Result<(), CallerProblem> {
    let now = now.unix_seconds();
    let seconds = |claim: &str| claims.get(claim).and_then(Value::as_i64);
    let not_over = seconds("exp").is_some_and(|exp| now < exp.saturating_add(LEEWAY_SECONDS));
    let begun = seconds("iat").is_none_or(|iat| iat <= now.saturating_add(LEEWAY_SECONDS));
    if not_over && begun { Ok(()) } else { Err(CallerProblem::Expired) }
}

impl Caller {
    fn read(claims: &Value) -> Self {
        let text = |pointer: &str| claims.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let roles = claims.get("roles").and_then(Value::as_array).into_iter().flatten();
        Self {
            name: text("/name").or_else(|| text("/preferred_username")).unwrap_or_else(|| "-".to_owned()),
            roles: roles.filter_map(Value::as_str).map(str::to_owned).collect(),
            device: text("/device/id").or_else(|| text("/device")),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::json;

    const NOW: i64 = 1_800_000_000;

    /// A gateway's key, as far as an app sees it.
    pub(in super::super) struct Signer {
        key: EncodingKey,
        jwks: String,
    }

    impl Signer {
        pub(in super::super) fn new() -> Self {
            let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
            let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).unwrap();
            let point = pair.public_key().as_ref();
            let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
            let jwk =
                json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "k1", "x": part(1..33), "y": part(33..65)});
            Self { key: EncodingKey::from_ec_der(document.as_ref()), jwks: json!({ "keys": [jwk] }).to_string() }
        }

        pub(in super::super) fn trust(&self) -> Trust {
            let jwks = self.jwks.clone();
            Trust::Signed { keys: Arc::new(move || jwks.clone()), audience: "emr".to_owned() }
        }

        pub(in super::super) fn sign(&self, claims: &Value) -> String {
            let mut header = Header::new(Algorithm::ES256);
            header.kid = Some("k1".to_owned());
            jsonwebtoken::encode(&header, claims, &self.key).unwrap()
        }
    }

    fn claims() -> Value {
        json!({"aud": "emr", "iat": NOW, "exp": NOW + 60, "name": "看護 花子", "roles": ["nurse"], "device": "ward-tablet-1"})
    }

    fn caller(trust: &Trust, tokens: &[&str]) -> Result<Caller, CallerProblem> {
        let mut headers = HeaderMap::new();
        for token in tokens {
            headers.append(HEADER, token.parse().unwrap());
        }
        trust.caller(&headers, Timestamp::from_unix_micros(NOW * 1_000_000))
    }

    #[test]
    fn nobody_is_believed_without_a_good_assertion() {
        let (signer, stranger) = (Signer::new(), Signer::new());
        let trust = signer.trust();
        let changed = |name: &str, value: Value| {
            let mut claims = claims();
            claims[name] = value;
            signer.sign(&claims)
        };
        let good = signer.sign(&claims());
        assert_eq!(caller(&trust, &[]), Err(CallerProblem::Missing));
        assert_eq!(caller(&trust, &["x.y.z"]), Err(CallerProblem::Unreadable));
        assert_eq!(caller(&trust, &[&good, &good]), Err(CallerProblem::Unreadable), "which of the two?");
        assert_eq!(caller(&trust, &[&stranger.sign(&claims())]), Err(CallerProblem::NotSigned));
        assert_eq!(caller(&trust, &[&changed("aud", json!("orca"))]), Err(CallerProblem::Unreadable));
        assert_eq!(caller(&trust, &[&changed("exp", json!(NOW - 60))]), Err(CallerProblem::Expired));
        assert_eq!(caller(&trust, &[&changed("iat", json!(NOW + 60))]), Err(CallerProblem::Expired));
        let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), good.split('.').nth(1).unwrap());
        assert_eq!(caller(&trust, &[&unsigned]), Err(CallerProblem::Unreadable));
    }

    #[test]
    fn a_good_assertion_says_who_asks() {
        let signer = Signer::new();
        let known = caller(&signer.trust(), &[&signer.sign(&claims())]).unwrap();
        assert_eq!((known.name.as_str(), known.device.as_deref()), ("看護 花子", Some("ward-tablet-1")));
        assert_eq!(known.roles, ["nurse"]);
    }
}
