//! The provider as a client sees it: what it refuses first, then one whole sign-in.

use super::super::answer::{json_of, text_of};
use super::super::asked::Fields;
use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{LOCATION, SET_COOKIE};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use policy::Timestamp;
use serde_json::Value;

const BACK: &str = "https://login.sekimori.localhost:8443/back";
const OUT: &str = "https://portal.sekimori.localhost:8443/out";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const NOW: i64 = 1_800_000_000;

fn idp() -> Idp {
    let options = IdpOptions {
        issuer: issuer(8480),
        client_id: "sekimori".to_owned(),
        client_secret: config::Secret::new("s3cret:%".to_owned()),
        redirect_uris: vec![BACK.to_owned()],
        post_logout_redirect_uris: vec![OUT.to_owned()],
        clock: Clock::new(|| Timestamp::from_unix_micros(NOW * 1_000_000)),
    };
    Idp::new(options).unwrap()
}

fn ask(idp: &Idp, asked: Asked) -> Answer {
    idp.0.answer(&asked.with("host", "127.0.0.1:8480"))
}

fn authorization(changes: &[(&str, &str)]) -> String {
    let mut fields = vec![
        ("response_type", "code"),
        ("client_id", "sekimori"),
        ("redirect_uri", BACK),
        ("scope", "openid profile"),
        ("state", "st&te"),
        ("nonce", "n-1"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in changes {
        fields.retain(|(field, _)| field != name);
        fields.push((name, value));
    }
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    format!("/authorize?{query}")
}

fn get(target: &str) -> Asked {
    Asked::of(Method::GET, target, "")
}

/// What the client is sent back with.
fn sent_back(answer: &Answer) -> Fields {
    let location = answer.headers().get(LOCATION).expect("a redirect").to_str().unwrap();
    let (address, query) = location.split_once('?').unwrap();
    assert_eq!(address, BACK);
    Fields::read(query.as_bytes())
}

fn code(idp: &Idp) -> String {
    let answer = ask(idp, get(&authorization(&[("login_hint", "nurse")])));
    sent_back(&answer).one("code").unwrap().to_owned()
}

fn redeem(idp: &Idp, changes: &[(&str, &str)], secret: &str) -> Answer {
    let mut fields = vec![("grant_type", "authorization_code"), ("redirect_uri", BACK), ("code_verifier", VERIFIER)];
    for (name, value) in changes {
        fields.retain(|(field, _)| field != name);
        fields.push((name, value));
    }
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let asked = Asked::of(Method::POST, "/token", &body)
        .with("content-type", "application/x-www-form-urlencoded")
        .with("authorization", &format!("Basic {}", STANDARD.encode(format!("sekimori:{secret}"))));
    ask(idp, asked)
}

const SECRET_ENCODED: &str = "s3cret%3A%25";

#[test]
fn another_host_name_is_misdirected() {
    let asked = get("/jwks").with("host", "rebound.example:8480");
    assert_eq!(idp().0.answer(&asked).status(), StatusCode::MISDIRECTED_REQUEST);
}

#[test]
fn a_wrong_client_or_return_address_goes_nowhere() {
    let idp = idp();
    for change in [("client_id", "other"), ("redirect_uri", "https://evil.example/"), ("redirect_uri", "")] {
        let answer = ask(&idp, get(&authorization(&[change, ("login_hint", "nurse")])));
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{change:?}");
        assert!(answer.headers().get(LOCATION).is_none(), "{change:?}");
    }
}

#[test]
fn a_wrong_request_is_told_to_the_client() {
    let idp = idp();
    let check = |name: &str, value: &str, error: &str| {
        let answer = ask(&idp, get(&authorization(&[(name, value), ("login_hint", "nurse")])));
        let back = sent_back(&answer);
        assert_eq!((back.one("error"), back.one("state"), back.one("code")), (Some(error), Some("st&te"), None));
    };
    check("response_type", "token", "unsupported_response_type");
    check("scope", "profile", "invalid_scope");
    check("code_challenge_method", "plain", "invalid_request");
    check("code_challenge", "short", "invalid_request");
    check("prompt", "none", "login_required");
}

#[test]
fn a_code_is_worth_nothing_with_anything_wrong_and_is_then_gone() {
    let idp = idp();
    let other = "a".repeat(43);
    for change in [("code_verifier", other.as_str()), ("code_verifier", "x"), ("redirect_uri", OUT)] {
        let code = code(&idp);
        let refused = redeem(&idp, &[("code", &code), change], SECRET_ENCODED);
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{change:?}");
        let again = redeem(&idp, &[("code", &code)], SECRET_ENCODED);
        assert_eq!(again.status(), StatusCode::BAD_REQUEST, "a second try after {change:?}");
    }
    let code = code(&idp);
    assert_eq!(redeem(&idp, &[("code", &code)], "wrong").status(), StatusCode::UNAUTHORIZED);
    let twice = [("code", code.as_str()), ("client_id", "sekimori"), ("client_secret", "s3cret:%")];
    assert_eq!(redeem(&idp, &twice, SECRET_ENCODED).status(), StatusCode::UNAUTHORIZED, "header and form");
}

#[tokio::test]
async fn a_nurse_signs_in() {
    let idp = idp();
    let answer = ask(&idp, get(&authorization(&[("login_hint", "nurse")])));
    let back = sent_back(&answer);
    assert_eq!((back.one("state"), back.one("iss")), (Some("st&te"), Some("http://127.0.0.1:8480")));

    let code = back.one("code").unwrap();
    let tokens = json_of(redeem(&idp, &[("code", code)], SECRET_ENCODED)).await;
    let claims = verified(&idp, tokens["id_token"].as_str().unwrap()).await;
    assert_eq!(claims["sub"], "demo-1001");
    assert_eq!(claims["nonce"], "n-1");
    assert_eq!(claims["groups"], serde_json::json!(["ward-nurses"]));
    assert_eq!(claims["acr"], "mfa");
    assert_eq!((&claims["auth_time"], &claims["exp"]), (&Value::from(NOW), &Value::from(NOW + 300)));
    let digest = key::sha256(tokens["access_token"].as_str().unwrap());
    assert_eq!(claims["at_hash"], key::base64url(&digest.as_ref()[..16]));
}

#[tokio::test]
async fn the_secret_may_come_in_the_form() {
    let idp = idp();
    let body = format!(
        "grant_type=authorization_code&redirect_uri={BACK}&code_verifier={VERIFIER}&code={}\
         &client_id=sekimori&client_secret={SECRET_ENCODED}",
        code(&idp)
    );
    let asked = Asked::of(Method::POST, "/token", &body).with("content-type", "application/x-www-form-urlencoded");
    assert_eq!(ask(&idp, asked).status(), StatusCode::OK);
}

async fn verified(idp: &Idp, token: &str) -> Value {
    let keys: JwkSet = serde_json::from_value(json_of(ask(idp, get("/jwks"))).await).unwrap();
    let key = keys.find(jsonwebtoken::decode_header(token).unwrap().kid.as_deref().unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.validate_exp = false; // the test's clock is not the machine's
    validation.set_audience(&["sekimori"]);
    validation.set_issuer(&["http://127.0.0.1:8480"]);
    jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap().claims
}

#[tokio::test]
async fn whoever_names_nobody_picks_from_all_five() {
    let answer = ask(&idp(), get(&authorization(&[("login_hint", "\"><script>")])));
    assert_eq!(answer.status(), StatusCode::OK);
    let page = text_of(answer).await;
    assert!(!page.contains("<script>"));
    for person in super::super::people::PEOPLE {
        assert!(page.contains(&format!("login_hint={}\"", person.role)), "{}", person.role);
    }
}

#[test]
fn a_remembered_person_needs_no_page_unless_asked_again() {
    let idp = idp();
    let answer = ask(&idp, get("/as/doctor"));
    let cookie = answer.headers().get(SET_COOKIE).unwrap().to_str().unwrap().split(';').next().unwrap().to_owned();
    let with_cookie = |changes: &[(&str, &str)]| ask(&idp, get(&authorization(changes)).with("cookie", &cookie));
    assert!(sent_back(&with_cookie(&[])).one("code").is_some());
    assert!(sent_back(&with_cookie(&[("prompt", "none")])).one("code").is_some());
    assert_eq!(with_cookie(&[("prompt", "login")]).status(), StatusCode::OK, "the page again");
    assert_eq!(ask(&idp, get("/as/surgeon")).status(), StatusCode::NOT_FOUND);
}

#[test]
fn sign_out_forgets_and_returns_only_to_known_addresses() {
    let idp = idp();
    let back = ask(&idp, get(&format!("/end_session?post_logout_redirect_uri={OUT}&state=x")));
    assert_eq!(back.headers().get(LOCATION).unwrap(), &format!("{OUT}?state=x"));
    assert!(back.headers().get(SET_COOKIE).unwrap().to_str().unwrap().contains("Max-Age=0"));
    let stranger = ask(&idp, get("/end_session?post_logout_redirect_uri=https://evil.example/"));
    assert_eq!((stranger.status(), stranger.headers().get(LOCATION)), (StatusCode::OK, None));
}

#[tokio::test]
async fn discovery_names_this_provider() {
    let document = json_of(ask(&idp(), get("/.well-known/openid-configuration"))).await;
    assert_eq!(document["issuer"], "http://127.0.0.1:8480");
    assert_eq!(document["id_token_signing_alg_values_supported"], serde_json::json!(["ES256"]));
}
