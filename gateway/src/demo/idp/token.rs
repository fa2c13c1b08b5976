//! The token endpoint (OpenID Connect Core 3.1.3): client authentication, the code once, PKCE, the ID token.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use serde_json::{Value, json};

use super::super::answer::{self, Answer};
use super::super::asked::{Asked, Fields};
use super::Inner;
use super::codes::Grant;
use super::key::{base64url, random_text, sha256};

/// The `acr` of every sign-in here; the demo pretends that all are made with two factors.
pub(super) const ACR: &str = "mfa";
/// How long an ID token is valid.
const LIFETIME_SECONDS: i64 = 300;

impl Inner {
    /// Redeems a code.
    pub(super) fn token(&self, asked: &Asked) -> Answer {
        let form = asked.form();
        if !self.is_client(asked, &form) {
            let refused = refused(StatusCode::UNAUTHORIZED, "invalid_client");
            return answer::with_header(refused, WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"demo\""));
        }
        if form.one("grant_type") != Some("authorization_code") {
            return refused(StatusCode::BAD_REQUEST, "unsupported_grant_type");
        }
        match self.redeem(&form).and_then(|grant| self.tokens(&grant)) {
            Some(tokens) => answer::json(StatusCode::OK, "application/json", &tokens),
            None => refused(StatusCode::BAD_REQUEST, "invalid_grant"),
        }
    }

    /// The grant behind the code. The code is gone afterwards, whether the rest fits or not.
    fn redeem(&self, form: &Fields) -> Option<Grant> {
        let grant = self.codes.take(form.one("code")?, self.options.clock.now())?;
        let verifier = form.one("code_verifier").filter(|text| (43..=128).contains(&text.len()))?;
        let proven = base64url(sha256(verifier).as_ref()) == grant.code_challenge;
        let same_address = form.one("redirect_uri") == Some(&grant.redirect_uri);
        (proven && same_address).then_some(grant)
    }

    /// Whether the client proved itself, by header or by form but not by both.
    fn is_client(&self, asked: &Asked, form: &Fields) -> bool {
        let by_form = form.one("client_secret").map(|secret| (form.one("client_id"), secret.to_owned()));
        let by_header = basic(asked.header(AUTHORIZATION.as_str()));
        let (id, secret) = match (by_header, by_form) {
            (Some((id, secret)), None) => (id, secret),
            (None, Some((Some(id), secret))) => (id.to_owned(), secret),
            _ => return false,
        };
        let expected = self.options.client_secret.expose();
        id == self.options.client_id && verify_slices_are_equal(secret.as_bytes(), expected.as_bytes()).is_ok()
    }

    fn tokens(&self, grant: &Grant) -> Option<Value> {
        let access_token = random_text()?;
        let id_token = self.key.sign(&self.claims(grant, &access_token)?)?;
        Some(json!({
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": LIFETIME_SECONDS,
            "scope": "openid profile groups",
            "id_token": id_token,
        }))
    }

    fn claims(&self, grant: &Grant, access_token: &str) -> Option<Value> {
        let now = self.options.clock.now().unix_seconds();
        // The left half of the digest (OpenID Connect Core 3.1.3.6).
        let at_hash = base64url(sha256(access_token).as_ref().get(..16)?);
        let person = grant.person;
        let mut claims = json!({
            "iss": self.options.issuer,
            "sub": person.subject,
            "aud": self.options.client_id,
            "iat": now,
            "exp": now.saturating_add(LIFETIME_SECONDS),
            "auth_time": grant.auth_time,
            "at_hash": at_hash,
            "sid": grant.session,
            "acr": ACR,
            "amr": ["pwd", "otp", "mfa"],
            "name": person.ja,
            "name#en": person.en,
            "preferred_username": person.login,
            "groups": [person.group],
        });
        if let (Some(nonce), Some(claims)) = (&grant.nonce, claims.as_object_mut()) {
            claims.insert("nonce".to_owned(), Value::from(nonce.as_str()));
        }
        Some(claims)
    }
}

/// Id and secret of HTTP Basic authentication, each form-encoded first (RFC 6749 section 2.3.1).
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':').filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let plain = |part: &str| Fields::read(format!("part={part}").as_bytes()).one("part").map(str::to_owned);
    Some((plain(id)?, plain(secret)?))
}

fn refused(status: StatusCode, error: &'static str) -> Answer {
    answer::json(status, "application/json", &json!({ "error": error }))
}
