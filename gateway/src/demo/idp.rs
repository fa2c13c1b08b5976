//! A tiny OpenID provider on loopback: discovery, keys, a page to pick one of the demo people, codes with PKCE,
//! ES256 ID tokens, sign-out. It asks for no password, which is why it may never leave this machine.
//!
//! `login_hint=nurse` signs in without a page; so does `GET /as/nurse` beforehand, which leaves a cookie as any
//! provider's own session would. That is how `curl` signs in.

mod authorize;
mod codes;
mod key;
mod session;
mod token;

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use policy::Clock;
use tokio::net::TcpListener;

use super::answer::{self, Answer};
use super::asked::Asked;
use super::door;
use super::language::Language;
use super::page::{self, Part};
use codes::Codes;
use key::SigningKey;

/// What the provider needs to know of itself and of its one client, the gateway.
#[derive(Clone, Debug)]
pub struct IdpOptions {
    /// The issuer identifier, `http://127.0.0.1:PORT`, see [`issuer`].
    pub issuer: String,
    /// The gateway's client id.
    pub client_id: String,
    /// The gateway's client secret.
    pub client_secret: config::Secret,
    /// Where codes may be sent; compared letter by letter.
    pub redirect_uris: Vec<String>,
    /// Where people may be sent after sign-out; compared letter by letter.
    pub post_logout_redirect_uris: Vec<String>,
    /// The clock that tokens are dated by.
    pub clock: Clock,
}

/// The issuer identifier of a provider on this port.
#[must_use]
pub fn issuer(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// Why the provider cannot start.
#[derive(Debug, thiserror::Error)]
#[error("the demo identity provider could not make its signing key: the system gave no random numbers")]
pub struct IdpProblem;

/// The provider: its key, its client, the codes it gave out.
#[derive(Clone)]
pub struct Idp(Arc<Inner>);

struct Inner {
    options: IdpOptions,
    key: SigningKey,
    codes: Codes,
}

impl fmt::Debug for Idp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idp").field("issuer", &self.0.options.issuer).finish_non_exhaustive()
    }
}

impl Idp {
    /// Makes a provider with a fresh key.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn new(options: IdpOptions) -> Result<Self, IdpProblem> {
        let key = SigningKey::generate().ok_or(IdpProblem)?;
        Ok(Self(Arc::new(Inner { options, key, codes: Codes::default() })))
    }
}

/// Serves the provider until `stop` is ready.
///
/// # Errors
/// The listener is not on loopback.
pub async fn serve(listener: TcpListener, idp: Idp, stop: impl Future<Output = ()>) -> io::Result<()> {
    let handler = move |request: Request<Incoming>, _| {
        let idp = idp.clone();
        async move {
            match Asked::read(request).await {
                Ok(asked) => idp.0.answer(&asked),
                Err(refusal) => refusal,
            }
        }
    };
    door::serve(listener, handler, stop).await
}

impl Inner {
    fn answer(&self, asked: &Asked) -> Answer {
        if !self.is_asked_by_its_name(asked) {
            return answer::problem(StatusCode::MISDIRECTED_REQUEST, "this provider has another name");
        }
        match (asked.method.clone(), asked.path.as_str()) {
            (Method::GET | Method::HEAD, "/.well-known/openid-configuration") => self.discovery(),
            (Method::GET | Method::HEAD, "/jwks") => {
                answer::json(StatusCode::OK, "application/jwk-set+json", &self.key.jwks())
            }
            (Method::GET | Method::HEAD, "/assets/demo.css") => page::style(),
            (Method::GET, "/") => session::people_page(asked),
            (Method::GET, "/authorize") => self.authorize(asked, &asked.query),
            (Method::POST, "/authorize") => self.authorize(asked, &asked.form()),
            (Method::POST, "/token") => self.token(asked),
            (Method::GET, "/end_session") => self.end_session(asked, &asked.query),
            (Method::POST, "/end_session") => self.end_session(asked, &asked.form()),
            (Method::GET, path) if path.starts_with("/as/") => self.remember(asked, path.trim_start_matches("/as/")),
            _ => page::trouble(
                StatusCode::NOT_FOUND,
                Part::Idp,
                Language::of(&asked.headers),
                "404",
                Language::of(&asked.headers).say("このページはありません。", "There is no such page."),
            ),
        }
    }

    /// Whether the request names this provider, and not a name that a stranger's DNS points at loopback.
    fn is_asked_by_its_name(&self, asked: &Asked) -> bool {
        self.options.issuer.strip_prefix("http://") == Some(asked.header("host"))
    }

    fn discovery(&self) -> Answer {
        let issuer = &self.options.issuer;
        let document = serde_json::json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "end_session_endpoint": format!("{issuer}/end_session"),
            "scopes_supported": ["openid", "profile", "groups"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "acr_values_supported": [token::ACR],
            "prompt_values_supported": ["none", "login", "select_account"],
            "authorization_response_iss_parameter_supported": true,
            "claims_supported": [
                "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid", "acr", "amr",
                "name", "preferred_username", "groups",
            ],
        });
        answer::json(StatusCode::OK, "application/json", &document)
    }
}

#[cfg(test)]
mod tests;
