//! A provider in memory: honest until it is told otherwise.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding,
};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{Request, Response};
use policy::{Clock, ProviderId};
use serde_json::{Value, json};

use crate::oidc::Callback;
use crate::{Fetch, FetchProblem};

pub(super) const ISSUER: &str = "https://idp.example.jp";
pub(super) const CLIENT_SECRET: &str = "a-client-secret-of-the-hospital!";
const ACCESS_TOKEN: &str = "an-access-token";

pub(super) struct Idp(Mutex<Told>);

/// What the provider was told to do, and what it saw.
pub(super) struct Told {
    signer: Arc<Signer>,
    pub(super) metadata: Value,
    pub(super) change: Box<dyn Fn(&mut Value) + Send + Sync>,
    pub(super) forge: Option<fn(&Idp, &Value) -> String>,
    pub(super) kind: Option<&'static str>,
    pub(super) user_info: Option<Value>,
    pub(super) omits_id_token: bool,
    pub(super) is_down: bool,
    pub(super) all_requests_named_the_provider: bool,
    pub(super) secret_came_in_header: Option<bool>,
    /// The refresh token in force; each use makes another. None if the provider gives none.
    pub(super) refresh_token: Option<String>,
    /// What a refresh is answered with instead.
    pub(super) refuses_refresh: Option<(u16, Value)>,
    /// Codes that were given out, with the query of their request.
    codes: HashMap<String, HashMap<String, String>>,
    asked: Vec<String>,
}

impl Told {
    /// Signs with another key from now on, and publishes that one alone.
    pub(super) fn rotate(&mut self, signer: Signer) {
        self.signer = Arc::new(signer);
    }
}

impl Idp {
    pub(super) fn new() -> Self {
        let metadata = json!({
            "issuer": ISSUER,
            "authorization_endpoint": format!("{ISSUER}/authorize"),
            "token_endpoint": format!("{ISSUER}/token"),
            "userinfo_endpoint": format!("{ISSUER}/me"),
            "end_session_endpoint": format!("{ISSUER}/end"),
            "jwks_uri": format!("{ISSUER}/keys"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256", "HS256", "none", "RS1"],
        });
        Self(Mutex::new(Told {
            signer: Arc::new(Signer::es256("k1")),
            metadata,
            change: Box::new(|_| ()),
            forge: None,
            kind: None,
            user_info: None,
            omits_id_token: false,
            is_down: false,
            all_requests_named_the_provider: true,
            secret_came_in_header: None,
            refresh_token: None,
            refuses_refresh: None,
            codes: HashMap::new(),
            asked: Vec::new(),
        }))
    }

    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap()
    }

    /// How often a path was asked for.
    pub(super) fn asked(&self, path: &str) -> usize {
        self.told().asked.iter().filter(|asked| *asked == path).count()
    }

    pub(super) fn signer(&self) -> Arc<Signer> {
        self.told().signer.clone()
    }

    /// The person signs in at the authorization endpoint and is sent back.
    pub(super) fn authorize(&self, url: &str) -> Callback {
        let query = super::query(url);
        let (state, redirect_uri) = (query["state"].clone(), query["redirect_uri"].clone());
        let code = crate::secret::random_name();
        self.told().codes.insert(code.clone(), query);
        Callback { state, code: Some(code), error: None, issuer: Some(ISSUER.to_owned()), redirect_uri }
    }

    pub(super) fn fetch(self: &Arc<Self>, clock: Clock) -> Fetch {
        let idp = self.clone();
        Arc::new(move |request| {
            let answer = idp.answer(&request, clock.now().unix_seconds());
            Box::pin(async move {
                tokio::task::yield_now().await;
                answer
            })
        })
    }

    fn answer(&self, request: &Request<Vec<u8>>, now: i64) -> Result<Response<Vec<u8>>, FetchProblem> {
        let path = request.uri().path().to_owned();
        let mut told = self.told();
        told.asked.push(path.clone());
        told.all_requests_named_the_provider &= request.extensions().get::<ProviderId>().is_some();
        if told.is_down {
            return Err(FetchProblem::TimedOut);
        }
        let (metadata, user_info, signer) = (told.metadata.clone(), told.user_info.clone(), told.signer.clone());
        drop(told);
        Ok(match (path.as_str(), user_info) {
            ("/.well-known/openid-configuration", _) => answer(200, &metadata),
            ("/keys", _) => answer(200, &json!({ "keys": [signer.jwk()] })),
            ("/token", _) => self.redeem(request, now),
            ("/me", Some(user_info)) => answer(200, &user_info),
            _ => answer(500, &json!({})),
        })
    }

    fn redeem(&self, request: &Request<Vec<u8>>, now: i64) -> Response<Vec<u8>> {
        let form: HashMap<String, String> = url::form_urlencoded::parse(request.body()).into_owned().collect();
        let in_header = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let is_client = match &in_header {
            Some(value) => {
                let given = STANDARD.decode(value.strip_prefix("Basic ").unwrap()).unwrap();
                let secret: String = url::form_urlencoded::byte_serialize(CLIENT_SECRET.as_bytes()).collect();
                given == format!("sekimori:{secret}").as_bytes()
            }
            None => form["client_secret"] == CLIENT_SECRET && form["client_id"] == "sekimori",
        };
        assert!(is_client, "the client must prove itself");
        self.told().secret_came_in_header = Some(in_header.is_some());
        if form["grant_type"] == "refresh_token" {
            return self.refresh(&form["refresh_token"], now);
        }
        let query = self.told().codes.remove(&form["code"]);
        let Some(query) = query else { return answer(400, &json!({"error": "invalid_grant"})) };
        let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, form["code_verifier"].as_bytes()));
        if challenge != query["code_challenge"] || form["redirect_uri"] != query["redirect_uri"] {
            return answer(400, &json!({"error": "invalid_grant"}));
        }
        self.tokens(Some(&query["nonce"]), now)
    }

    fn refresh(&self, token: &str, now: i64) -> Response<Vec<u8>> {
        let mut told = self.told();
        if let Some((status, body)) = &told.refuses_refresh {
            return answer(*status, body);
        }
        if told.refresh_token.as_deref() != Some(token) {
            return answer(400, &json!({"error": "invalid_grant"}));
        }
        told.refresh_token = Some(crate::secret::random_name());
        drop(told);
        self.tokens(None, now)
    }

    fn tokens(&self, nonce: Option<&str>, now: i64) -> Response<Vec<u8>> {
        let mut claims = json!({
            "iss": ISSUER, "aud": "sekimori", "sub": "0001", "exp": now + 300, "iat": now, "auth_time": now,
            "amr": ["pwd", "mfa"], "sid": "idp-session", "groups": ["ward-nurses", "chess"],
            "preferred_username": "n.sato", "name": "佐藤 花子", "email": "someone.else@example.jp",
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        claims["at_hash"] = json!(self.signer().access_token_hash());
        (self.told().change)(&mut claims);
        let forge = self.told().forge;
        let id_token = match forge {
            Some(forge) => forge(self, &claims),
            None => self.signer().token(self.told().kind.unwrap_or("JWT"), &claims),
        };
        let mut body = json!({"access_token": ACCESS_TOKEN, "token_type": "Bearer", "id_token": id_token});
        if self.told().omits_id_token {
            body.as_object_mut().unwrap().remove("id_token");
        }
        if let Some(token) = &self.told().refresh_token {
            body["refresh_token"] = json!(token);
        }
        answer(200, &body)
    }
}

fn answer(status: u16, body: &Value) -> Response<Vec<u8>> {
    let body = body.to_string().into_bytes();
    Response::builder().status(status).header("content-type", "application/json").body(body).unwrap()
}

/// A signing key with its name.
pub(super) struct Signer {
    kid: &'static str,
    key: Key,
}

enum Key {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>, &'static str, &'static dyn RsaEncoding),
}

impl Signer {
    pub(super) fn es256(kid: &'static str) -> Self {
        Self { kid, key: Key::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()) }
    }

    pub(super) fn es384(kid: &'static str) -> Self {
        Self { kid, key: Key::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()) }
    }

    pub(super) fn ed25519(kid: &'static str) -> Self {
        Self { kid, key: Key::Ed25519(Ed25519KeyPair::generate().unwrap()) }
    }

    pub(super) fn rs256(kid: &'static str) -> Self {
        let pair = Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
        Self { kid, key: Key::Rsa(pair, "RS256", &RSA_PKCS1_SHA256) }
    }

    pub(super) fn ps256(kid: &'static str) -> Self {
        let pair = Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
        Self { kid, key: Key::Rsa(pair, "PS256", &RSA_PSS_SHA256) }
    }

    pub(super) fn algorithm(&self) -> &'static str {
        match &self.key {
            Key::P256(_) => "ES256",
            Key::P384(_) => "ES384",
            Key::Ed25519(_) => "EdDSA",
            Key::Rsa(_, name, _) => name,
        }
    }

    pub(super) fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let point = |pair: &EcdsaKeyPair, curve: &str| {
            let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
            json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
        };
        let mut jwk = match &self.key {
            Key::P256(pair) => point(pair, "P-256"),
            Key::P384(pair) => point(pair, "P-384"),
            Key::Ed25519(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())}),
            Key::Rsa(pair, ..) => {
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                json!({
                    "kty": "RSA",
                    "n": encode(n.big_endian_without_leading_zero()),
                    "e": encode(e.big_endian_without_leading_zero()),
                })
            }
        };
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk
    }

    fn access_token_hash(&self) -> String {
        let algorithm = match &self.key {
            Key::P384(_) => &digest::SHA384,
            Key::Ed25519(_) => &digest::SHA512,
            Key::P256(_) | Key::Rsa(..) => &digest::SHA256,
        };
        let digest = digest::digest(algorithm, ACCESS_TOKEN.as_bytes());
        URL_SAFE_NO_PAD.encode(&digest.as_ref()[..digest.as_ref().len() / 2])
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::P256(pair) | Key::P384(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Key::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Key::Rsa(pair, _, padding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*padding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    pub(super) fn token(&self, kind: &str, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm(), "kid": self.kid, "typ": kind});
        joined(&header, claims, |message| self.sign(message))
    }
}

pub(super) fn joined(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

pub(super) fn with_secret(secret: &[u8], claims: &Value) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let header = json!({"alg": "HS256", "kid": "k1", "typ": "JWT"});
    joined(&header, claims, |message| hmac::sign(&key, message).as_ref().to_vec())
}

pub(super) fn unsigned(_: &Idp, claims: &Value) -> String {
    joined(&json!({"alg": "none", "typ": "JWT"}), claims, |_| Vec::new())
}

pub(super) fn without_signature(idp: &Idp, claims: &Value) -> String {
    let header = json!({"alg": idp.signer().algorithm(), "kid": "k1"});
    joined(&header, claims, |_| Vec::new())
}

pub(super) fn signed_with_the_client_secret(_: &Idp, claims: &Value) -> String {
    with_secret(CLIENT_SECRET.as_bytes(), claims)
}

pub(super) fn signed_with_the_public_key_as_secret(idp: &Idp, claims: &Value) -> String {
    let signer = idp.signer();
    let Key::P256(pair) = &signer.key else { panic!("the provider signs with P-256 here") };
    with_secret(AsDer::<aws_lc_rs::encoding::PublicKeyX509Der>::as_der(pair.public_key()).unwrap().as_ref(), claims)
}

pub(super) fn signed_by_another_under_the_same_name(_: &Idp, claims: &Value) -> String {
    Signer::es256("k1").token("JWT", claims)
}

/// Names a key nobody knows, and brings it along in the header.
pub(super) fn with_a_key_of_its_own(_: &Idp, claims: &Value) -> String {
    let signer = Signer::es256("evil");
    let header = json!({
        "alg": "ES256", "kid": "evil", "jwk": signer.jwk(), "jku": "https://evil.example/keys", "typ": "JWT",
    });
    joined(&header, claims, |message| signer.sign(message))
}

/// Rightly signed, with an algorithm that the provider announces and we do not allow.
pub(super) fn with_a_disallowed_algorithm(idp: &Idp, claims: &Value) -> String {
    idp.told().rotate(Signer::es384("k3"));
    idp.signer().token("JWT", claims)
}

pub(super) fn changed_after_signing(idp: &Idp, claims: &Value) -> String {
    let token = idp.signer().token("JWT", claims);
    let mut parts: Vec<&str> = token.split('.').collect();
    let mut claims = claims.clone();
    claims["groups"] = json!(["doctors"]);
    let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
    parts[1] = &payload;
    parts.join(".")
}
