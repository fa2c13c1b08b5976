//! A small real OpenID provider: it signs, and remembers what it was asked.

use std::collections::BTreeMap;
use std::sync::Mutex;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity::FetchProblem;
use policy::Clock;
use serde_json::json;
use url::{Url, form_urlencoded};

use super::LOGIN;

/// A small real OpenID provider: signs ES256, checks redirect URIs, remembers what it was asked.
pub(crate) struct FakeProvider {
    key: EcdsaKeyPair,
    clock: Clock,
    state: Mutex<ProviderState>,
}

#[derive(Default)]
struct ProviderState {
    /// Who sits before it, and with which groups.
    person: Option<(String, Vec<String>)>,
    codes: BTreeMap<String, serde_json::Value>,
    asked: Vec<BTreeMap<String, String>>,
    is_down: bool,
    refuses: bool,
}

impl FakeProvider {
    pub(super) fn new(clock: Clock) -> Self {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap();
        let state = ProviderState { person: Some(("n.sato".into(), vec!["nurses".into()])), ..Default::default() };
        Self { key, clock, state: Mutex::new(state) }
    }

    pub(crate) fn seat(&self, person: &str, groups: &[&str]) {
        let groups = groups.iter().map(ToString::to_string).collect();
        self.state.lock().unwrap().person = Some((person.to_owned(), groups));
    }

    pub(crate) fn go_down(&self) {
        self.state.lock().unwrap().is_down = true;
    }

    pub(crate) fn refuse(&self) {
        self.state.lock().unwrap().refuses = true;
    }

    /// The fields of every authorization request so far.
    pub(crate) fn asked(&self) -> Vec<BTreeMap<String, String>> {
        self.state.lock().unwrap().asked.clone()
    }

    /// The browser visits it: where it sends the browser back to, if the address is its own.
    pub(crate) fn visit(&self, url: &Url) -> Option<String> {
        let issuer = url.host_str().filter(|host| matches!(*host, "city.example" | "vendor-idp.example"))?;
        let issuer = format!("https://{issuer}");
        let fields: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let mut state = self.state.lock().unwrap();
        state.asked.push(fields.clone());
        let provider = issuer.trim_start_matches("https://").trim_end_matches(".example");
        assert_eq!(fields["redirect_uri"], format!("https://{LOGIN}/callback/{provider}"), "a registered one");
        let mut back = form_urlencoded::Serializer::new(String::new());
        back.append_pair("state", &fields["state"]).append_pair("iss", &issuer);
        if state.refuses {
            back.append_pair("error", "access_denied");
            return Some(format!("{}?{}", fields["redirect_uri"], back.finish()));
        }
        let code = format!("code-{}", state.asked.len());
        let now = self.clock.now().unix_seconds();
        let (person, groups) = state.person.clone().unwrap();
        let claims = json!({
            "iss": issuer, "aud": "sekimori", "sub": person, "preferred_username": person, "name": "佐藤 花子",
            "groups": groups, "nonce": fields["nonce"], "iat": now, "exp": now + 300, "auth_time": now,
            "amr": ["pwd", "mfa"], "sid": "provider-session",
        });
        state.codes.insert(code.clone(), claims);
        back.append_pair("code", &code);
        Some(format!("{}?{}", fields["redirect_uri"], back.finish()))
    }

    pub(super) fn answer(&self, request: &http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, FetchProblem> {
        if self.state.lock().unwrap().is_down {
            return Err(FetchProblem::TimedOut);
        }
        let issuer = format!("https://{}", request.uri().host().unwrap());
        let body = match request.uri().path() {
            "/.well-known/openid-configuration" => json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"),
                "jwks_uri": format!("{issuer}/jwks"),
                "end_session_endpoint": format!("{issuer}/end"),
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "authorization_response_iss_parameter_supported": true,
            }),
            "/jwks" => json!({ "keys": [self.public_key()] }),
            "/token" => self.token(request.body()),
            other => panic!("the provider has no {other}"),
        };
        let answer = http::Response::builder().header("content-type", "application/json");
        Ok(answer.body(serde_json::to_vec(&body).unwrap()).unwrap())
    }

    fn token(&self, form: &[u8]) -> serde_json::Value {
        let fields: BTreeMap<String, String> = form_urlencoded::parse(form).into_owned().collect();
        let claims = self.state.lock().unwrap().codes.remove(&fields["code"]).expect("a code works once");
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap());
        let message = format!("{}.{}", part(&json!({ "alg": "ES256", "kid": "k1" })), part(&claims));
        let signature = self.key.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()));
        json!({ "access_token": "unused", "token_type": "Bearer", "id_token": token })
    }

    fn public_key(&self) -> serde_json::Value {
        let point = self.key.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "k1", "x": x, "y": y })
    }
}
