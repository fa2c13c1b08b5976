//! The negative matrix of OpenID Connect, against a provider that can be told to lie.

use std::collections::HashMap;

use policy::RoleId;
use serde_json::{Value, json};

use super::*;
use crate::testing::{Counting, Hands, START, minutes};
use hostile::{ISSUER, Idp, Signer};

mod hostile;
mod logout;
mod outage;
mod refresh;

const REDIRECT_URI: &str = "https://login.example.jp/.sekimori/oidc/ad";

/// The hospital's directory, as it is configured.
pub(crate) fn provider() -> config::Provider {
    let role = |name: &str| RoleId::parse(name).unwrap();
    config::Provider {
        id: ProviderId::parse("ad").unwrap(),
        name: config::Names { ja: "院内".to_owned(), en: "Hospital".to_owned() },
        issuer: ISSUER.to_owned(),
        client_id: "sekimori".to_owned(),
        client_secret: Some(config::Secret::new(hostile::CLIENT_SECRET.to_owned())),
        scopes: vec!["profile".to_owned()],
        roles_claim: "groups".to_owned(),
        roles: vec![
            ("ward-nurses".to_owned(), role("nurse")),
            ("nurses".to_owned(), role("nurse")),
            ("doctors".to_owned(), role("doctor")),
        ],
        assurance: vec![("mfa".to_owned(), Assurance::Aal2), ("phr".to_owned(), Assurance::Aal3)],
        ca_file: None,
        domains: Vec::new(),
        listeners: Vec::new(),
        apps: Vec::new(),
        second_factor: config::SecondFactor::Provider,
        passkey_sign_in: false,
        enrol_at_first_sign_in: false,
        check_interval: None,
    }
}

struct Desk {
    hands: Hands,
    idp: Arc<Idp>,
    oidc: Oidc,
}

impl Desk {
    fn new() -> Self {
        Self::with(provider())
    }

    fn with(provider: config::Provider) -> Self {
        let (hands, idp) = (Hands::new(), Arc::new(Idp::new()));
        let oidc = Oidc::new(&[provider], Counting::new(), idp.fetch(hands.clock()), hands.clock());
        Self { hands, idp, oidc }
    }

    async fn begin(&self, step_up: Option<Assurance>) -> Result<StartedSignIn, SignInProblem> {
        self.oidc
            .begin(Begin {
                provider: provider().id,
                redirect_uri: REDIRECT_URI.to_owned(),
                login_hint: Some("n.sato".to_owned()),
                step_up,
                return_to: "hand-off=1".to_owned(),
            })
            .await
    }

    /// The whole way: browser to provider and back.
    async fn sign_in(&self, step_up: Option<Assurance>) -> Result<SignedIn, SignInProblem> {
        let started = self.begin(step_up).await?;
        let callback = self.idp.authorize(&started.url);
        self.oidc.finish(callback, started.browser_secret.expose()).await
    }

    /// The whole way, where the provider's token is changed before it is signed.
    async fn sign_in_with(&self, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Option<Rejection> {
        self.idp.told().change = Box::new(change);
        rejection(self.sign_in(None).await)
    }
}

fn rejection(outcome: Result<SignedIn, SignInProblem>) -> Option<Rejection> {
    match outcome {
        Ok(_) => None,
        Err(SignInProblem::Rejected { rejection, .. }) => Some(rejection),
        Err(other) => panic!("{other}"),
    }
}

fn query(url: &str) -> HashMap<String, String> {
    url::Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

#[tokio::test]
async fn a_nurse_signs_in() {
    let desk = Desk::new();
    let signed_in = desk.sign_in(None).await.unwrap();
    assert_eq!(signed_in.person.id, user_id(ISSUER, "0001"));
    assert_eq!(signed_in.person.login, "n.sato");
    assert_eq!(signed_in.person.name, "佐藤 花子");
    assert_eq!(signed_in.person.roles, [RoleId::parse("nurse").unwrap()]);
    assert_eq!(signed_in.assurance, Assurance::Aal2);
    assert_eq!(signed_in.authenticated_at, START);
    assert_eq!(signed_in.provider_session.as_deref(), Some("idp-session"));
    assert_eq!(signed_in.return_to, "hand-off=1");
    let shown = format!("{signed_in:?}");
    assert!(!shown.contains(&signed_in.id_token.0), "the token is not printed");
}

#[tokio::test]
async fn the_browser_is_sent_with_state_nonce_and_pkce() {
    let desk = Desk::new();
    let (one, other) = (desk.begin(None).await.unwrap(), desk.begin(None).await.unwrap());
    let (one_query, other_query) = (query(&one.url), query(&other.url));
    assert!(one.url.starts_with(&format!("{ISSUER}/authorize?")));
    assert_eq!(one_query["response_type"], "code");
    assert_eq!(one_query["client_id"], "sekimori");
    assert_eq!(one_query["redirect_uri"], REDIRECT_URI);
    assert_eq!(one_query["scope"], "openid profile");
    assert_eq!(one_query["code_challenge_method"], "S256");
    assert_eq!(one_query["login_hint"], "n.sato");
    assert_eq!(one_query["state"], one.state);
    for fresh in ["state", "nonce", "code_challenge"] {
        assert_ne!(one_query[fresh], other_query[fresh], "{fresh}");
        assert!(one_query[fresh].len() >= 22, "{fresh}");
    }
    assert!(!one.url.contains(one.browser_secret.expose()));
}

#[tokio::test]
async fn every_algorithm_we_allow_works() {
    for signer in [Signer::es256("k1"), Signer::ed25519("k1"), Signer::rs256("k1"), Signer::ps256("k1")] {
        let desk = Desk::new();
        desk.idp.told().rotate(signer);
        desk.sign_in(None).await.unwrap();
    }
}

#[tokio::test]
async fn a_token_with_a_wrong_claim_is_rejected() {
    let now = START.unix_seconds();
    let cases: Vec<(&str, Value, Rejection)> = vec![
        ("iss", json!("https://evil.example"), Rejection::Issuer),
        ("iss", json!(format!("{ISSUER}/")), Rejection::Issuer),
        ("aud", json!("another-client"), Rejection::Audience),
        ("aud", json!([]), Rejection::Audience),
        ("aud", json!(["sekimori", "another-client"]), Rejection::Audience),
        ("azp", json!("another-client"), Rejection::Audience),
        ("exp", json!(now - 61), Rejection::Time),
        ("exp", json!(0), Rejection::Time),
        ("iat", json!(now + 61), Rejection::Time),
        ("iat", json!(now - 61), Rejection::Time),
        ("nbf", json!(now + 61), Rejection::Time),
        ("nbf", json!("soon"), Rejection::Time),
        ("nonce", json!("another-nonce"), Rejection::Nonce),
        ("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA"), Rejection::AccessToken),
        ("auth_time", json!(now + 61), Rejection::AuthenticationTime),
        ("sub", json!(""), Rejection::Malformed),
        ("sub", json!("x".repeat(256)), Rejection::Malformed),
        ("exp", json!("never"), Rejection::Malformed),
        ("sub", json!(1), Rejection::Malformed),
    ];
    for (claim, value, expected) in cases {
        let changed = value.clone();
        let found = Desk::new().sign_in_with(move |claims| claims[claim] = changed.clone()).await;
        assert_eq!(found, Some(expected), "{claim} = {value}");
    }
}

#[tokio::test]
async fn a_token_without_a_needed_claim_is_rejected() {
    for (claim, expected) in [
        ("iss", Rejection::Malformed),
        ("aud", Rejection::Audience),
        ("exp", Rejection::Malformed),
        ("iat", Rejection::Malformed),
        ("sub", Rejection::Malformed),
        ("nonce", Rejection::Nonce),
    ] {
        let found = Desk::new()
            .sign_in_with(move |claims| {
                claims.as_object_mut().unwrap().remove(claim);
            })
            .await;
        assert_eq!(found, Some(expected), "{claim}");
    }
}

#[tokio::test]
async fn what_the_standard_leaves_open_is_accepted() {
    let now = START.unix_seconds();
    for (claim, value) in [
        ("aud", json!(["sekimori"])),
        ("azp", json!("sekimori")),
        ("exp", json!(now - 59)),
        ("nbf", json!(now + 59)),
        ("nbf", json!(now as f64 - 0.5)),
    ] {
        let changed = value.clone();
        let found = Desk::new().sign_in_with(move |claims| claims[claim] = changed.clone()).await;
        assert_eq!(found, None, "{claim} = {value}");
    }
}

#[tokio::test]
async fn a_token_that_its_provider_did_not_sign_is_rejected() {
    for forge in [
        hostile::unsigned as fn(&Idp, &Value) -> String,
        hostile::signed_with_the_client_secret,
        hostile::signed_with_the_public_key_as_secret,
        hostile::signed_by_another_under_the_same_name,
        hostile::changed_after_signing,
        hostile::without_signature,
        hostile::with_a_key_of_its_own,
        hostile::with_a_disallowed_algorithm,
    ] {
        let desk = Desk::new();
        desk.idp.told().forge = Some(forge);
        assert_eq!(rejection(desk.sign_in(None).await), Some(Rejection::Signature));
    }
}

#[tokio::test]
async fn a_token_of_another_kind_is_no_id_token() {
    for kind in ["at+jwt", "logout+jwt", "secevent+jwt"] {
        let desk = Desk::new();
        desk.idp.told().kind = Some(kind);
        assert!(matches!(rejection(desk.sign_in(None).await), Some(Rejection::Malformed)), "{kind}");
    }
}

#[tokio::test]
async fn an_answer_without_an_id_token_signs_nobody_in() {
    let desk = Desk::new();
    desk.idp.told().forge = Some(|_, _| "not.a.token".to_owned());
    assert_eq!(rejection(desk.sign_in(None).await), Some(Rejection::Malformed));
    desk.idp.told().omits_id_token = true;
    assert_eq!(rejection(desk.sign_in(None).await), Some(Rejection::Malformed));
}

#[tokio::test]
async fn a_rotated_key_is_learned() {
    let desk = Desk::new();
    desk.sign_in(None).await.unwrap();
    desk.hands.turn(provider::KEYS_INTERVAL);
    desk.idp.told().rotate(Signer::es256("k2"));
    desk.sign_in(None).await.unwrap();
    assert_eq!(desk.idp.asked("/keys"), 2);
}

#[tokio::test]
async fn unknown_keys_make_us_ask_at_most_once_per_interval() {
    let desk = Desk::new();
    desk.sign_in(None).await.unwrap();
    desk.hands.turn(provider::KEYS_INTERVAL);
    desk.idp.told().forge = Some(hostile::with_a_key_of_its_own);
    for _ in 0..5 {
        assert_eq!(rejection(desk.sign_in(None).await), Some(Rejection::Signature));
    }
    assert_eq!(desk.idp.asked("/keys"), 2);
}

#[tokio::test]
async fn an_answer_works_once() {
    let desk = Desk::new();
    let started = desk.begin(None).await.unwrap();
    let callback = desk.idp.authorize(&started.url);
    desk.oidc.finish(callback.clone(), started.browser_secret.expose()).await.unwrap();
    let again = desk.oidc.finish(callback, started.browser_secret.expose()).await;
    assert!(matches!(again, Err(SignInProblem::Void)));
    assert_eq!(desk.idp.asked("/token"), 1);
}

#[tokio::test]
async fn an_answer_is_for_the_browser_that_asked() {
    let desk = Desk::new();
    let (victim, attacker) = (desk.begin(None).await.unwrap(), desk.begin(None).await.unwrap());
    let callback = desk.idp.authorize(&victim.url);
    for (state, secret) in [
        (victim.state.as_str(), attacker.browser_secret.expose()),
        (attacker.state.as_str(), victim.browser_secret.expose()),
        (victim.state.as_str(), ""),
        ("", victim.browser_secret.expose()),
        ("x", "y"),
    ] {
        let callback = Callback { state: state.to_owned(), ..callback.clone() };
        assert!(matches!(desk.oidc.finish(callback, secret).await, Err(SignInProblem::Void)));
    }
    assert_eq!(desk.idp.asked("/token"), 0);
    desk.oidc.finish(callback, victim.browser_secret.expose()).await.unwrap();
}

#[tokio::test]
async fn a_sign_in_grows_old() {
    let desk = Desk::new();
    let started = desk.begin(None).await.unwrap();
    let callback = desk.idp.authorize(&started.url);
    desk.hands.turn(SIGN_IN_SPAN);
    let late = desk.oidc.finish(callback, started.browser_secret.expose()).await;
    assert!(matches!(late, Err(SignInProblem::Void)));
}

#[tokio::test]
async fn a_code_of_another_sign_in_is_refused_by_pkce() {
    let desk = Desk::new();
    let (mine, stolen) = (desk.begin(None).await.unwrap(), desk.begin(None).await.unwrap());
    let (mine_back, stolen_back) = (desk.idp.authorize(&mine.url), desk.idp.authorize(&stolen.url));
    let injected = Callback { code: stolen_back.code, ..mine_back };
    let outcome = desk.oidc.finish(injected, mine.browser_secret.expose()).await;
    assert!(matches!(outcome, Err(SignInProblem::Refused { error, .. }) if error == "invalid_grant"));
}

#[tokio::test]
async fn answers_of_different_providers_are_not_mixed_up() {
    let desk = Desk::new();
    desk.idp.told().metadata["authorization_response_iss_parameter_supported"] = json!(true);
    let change: [fn(&mut Callback); 3] = [
        |callback| callback.issuer = Some("https://evil.example".to_owned()),
        |callback| callback.issuer = None,
        |callback| callback.redirect_uri = "https://login.example.jp/.sekimori/oidc/evil".to_owned(),
    ];
    for (change, expected) in change.into_iter().zip([Rejection::Issuer, Rejection::Issuer, Rejection::RedirectUri]) {
        let started = desk.begin(None).await.unwrap();
        let mut callback = desk.idp.authorize(&started.url);
        change(&mut callback);
        let outcome = desk.oidc.finish(callback, started.browser_secret.expose()).await;
        assert_eq!(rejection(outcome), Some(expected));
    }
    assert_eq!(desk.idp.asked("/token"), 0, "the code was sent nowhere");
    desk.sign_in(None).await.unwrap();
}

#[tokio::test]
async fn an_issuer_in_the_answer_counts_even_if_it_was_not_announced() {
    let desk = Desk::new();
    let started = desk.begin(None).await.unwrap();
    let callback = Callback { issuer: Some("https://evil.example".to_owned()), ..desk.idp.authorize(&started.url) };
    let outcome = desk.oidc.finish(callback, started.browser_secret.expose()).await;
    assert_eq!(rejection(outcome), Some(Rejection::Issuer));
}

#[tokio::test]
async fn a_refusal_of_the_provider_is_told_by_its_code_and_ends_the_sign_in() {
    let desk = Desk::new();
    let started = desk.begin(None).await.unwrap();
    let good = desk.idp.authorize(&started.url);
    let error = Some("access_denied\r\nX: 1".to_owned());
    let refused = Callback { error, ..good.clone() };
    let outcome = desk.oidc.finish(refused, started.browser_secret.expose()).await;
    assert!(matches!(outcome, Err(SignInProblem::Refused { error, .. }) if error == "access_deniedX: 1"));
    assert!(matches!(desk.oidc.finish(good, started.browser_secret.expose()).await, Err(SignInProblem::Void)));
}

#[tokio::test]
async fn an_answer_without_a_code_or_with_a_giant_one_is_rejected() {
    for code in [None, Some(String::new()), Some("x".repeat(CODE_BYTES_MAX + 1))] {
        let desk = Desk::new();
        let started = desk.begin(None).await.unwrap();
        let callback = Callback { code, ..desk.idp.authorize(&started.url) };
        let outcome = desk.oidc.finish(callback, started.browser_secret.expose()).await;
        assert_eq!(rejection(outcome), Some(Rejection::Malformed));
    }
}

#[tokio::test]
async fn a_provider_under_another_name_is_rejected() {
    let desk = Desk::new();
    desk.idp.told().metadata["issuer"] = json!("https://evil.example");
    assert!(matches!(desk.begin(None).await, Err(SignInProblem::Rejected { rejection: Rejection::Issuer, .. })));
}

#[tokio::test]
async fn secrets_are_not_sent_in_the_clear_even_if_the_provider_says_so() {
    for name in ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint"] {
        let desk = Desk::new();
        desk.idp.told().metadata[name] = json!("http://idp.example.jp/keys");
        assert!(matches!(desk.begin(None).await, Err(SignInProblem::Unavailable { .. })), "{name}");
    }
}

#[tokio::test]
async fn a_provider_that_is_down_is_not_asked_by_everyone() {
    let desk = Desk::new();
    desk.idp.told().is_down = true;
    for _ in 0..20 {
        let outcome = desk.begin(None).await;
        assert!(matches!(outcome, Err(SignInProblem::Unavailable { reason, .. }) if reason == "no answer in time"));
    }
    assert_eq!(desk.idp.asked("/.well-known/openid-configuration"), 1);
    desk.idp.told().is_down = false;
    desk.hands.turn(Duration::from_secs(5));
    desk.sign_in(None).await.unwrap();
}

#[tokio::test]
async fn what_is_known_of_a_provider_outlives_a_short_silence() {
    let desk = Desk::new();
    desk.begin(None).await.unwrap();
    desk.idp.told().is_down = true;
    desk.hands.turn(minutes(60));
    desk.begin(None).await.unwrap();
    desk.hands.turn(minutes(24 * 60));
    assert!(desk.begin(None).await.is_err());
}

#[tokio::test]
async fn many_tabs_ask_a_provider_once() {
    let desk = Desk::new();
    let (one, two, three) = tokio::join!(desk.sign_in(None), desk.begin(None), desk.begin(None));
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert_eq!(desk.idp.asked("/.well-known/openid-configuration"), 1);
}

#[tokio::test]
async fn each_request_says_which_provider_it_is_for() {
    let desk = Desk::new();
    desk.sign_in(None).await.unwrap();
    assert!(desk.idp.told().all_requests_named_the_provider);
}

#[tokio::test]
async fn a_secret_goes_into_the_body_only_where_nothing_else_will_do() {
    for (methods, in_header) in [
        (json!(["client_secret_basic", "client_secret_post"]), true),
        (json!(["client_secret_post"]), false),
        (json!(null), true),
    ] {
        let desk = Desk::new();
        desk.idp.told().metadata["token_endpoint_auth_methods_supported"] = methods;
        desk.sign_in(None).await.unwrap();
        assert_eq!(desk.idp.told().secret_came_in_header, Some(in_header));
    }
}

#[tokio::test]
async fn a_step_up_asks_for_proof_and_checks_that_it_was_given() {
    let desk = Desk::new();
    let asked = query(&desk.begin(Some(Assurance::Aal2)).await.unwrap().url);
    assert_eq!((asked["prompt"].as_str(), asked["max_age"].as_str()), ("login", "0"));
    assert_eq!(asked["acr_values"], "mfa phr");
    desk.hands.turn(minutes(5));
    desk.sign_in(Some(Assurance::Aal2)).await.unwrap();
    for (claim, value, expected) in [
        ("auth_time", json!(null), Rejection::AuthenticationTime),
        ("auth_time", json!(START.unix_seconds()), Rejection::AuthenticationTime),
        ("amr", json!(["pwd"]), Rejection::Assurance),
    ] {
        desk.idp.told().change = Box::new(move |claims| claims[claim] = value.clone());
        assert_eq!(rejection(desk.sign_in(Some(Assurance::Aal2)).await), Some(expected), "{claim}");
    }
}

#[tokio::test]
async fn a_sign_in_of_unknown_age_counts_as_old() {
    let desk = Desk::new();
    desk.idp.told().change = Box::new(|claims| claims["auth_time"] = json!(null));
    let signed_in = desk.sign_in(None).await.unwrap();
    assert_eq!(signed_in.authenticated_at, Timestamp::from_unix_micros(0));
}

#[tokio::test]
async fn roles_and_names_may_come_from_user_info_of_the_same_subject_only() {
    let slim = |claims: &mut Value| {
        for claim in ["groups", "name", "preferred_username"] {
            claims.as_object_mut().unwrap().remove(claim);
        }
    };
    let desk = Desk::new();
    desk.idp.told().change = Box::new(slim);
    desk.idp.told().user_info =
        Some(json!({"sub": "0001", "groups": ["doctors"], "name": "鈴木 一郎", "preferred_username": "i.suzuki"}));
    let person = desk.sign_in(None).await.unwrap().person;
    assert_eq!((person.login.as_str(), person.name.as_str()), ("i.suzuki", "鈴木 一郎"));
    assert_eq!(person.roles, [RoleId::parse("doctor").unwrap()]);
    desk.idp.told().user_info = Some(json!({"sub": "0002", "groups": ["doctors"]}));
    assert_eq!(rejection(desk.sign_in(None).await), Some(Rejection::Subject));
    desk.idp.told().user_info = None;
    assert!(matches!(desk.sign_in(None).await, Err(SignInProblem::Unavailable { .. })), "never fewer facts in silence");
}

#[tokio::test]
async fn without_a_user_info_endpoint_there_is_a_person_without_roles() {
    let desk = Desk::new();
    desk.idp.told().metadata["userinfo_endpoint"] = json!(null);
    desk.idp.told().change = Box::new(|claims| {
        for claim in ["groups", "name", "preferred_username"] {
            claims.as_object_mut().unwrap().remove(claim);
        }
    });
    let person = desk.sign_in(None).await.unwrap().person;
    assert_eq!((person.roles.len(), person.login.as_str(), person.name.as_str()), (0, "0001", "0001"));
}

#[tokio::test]
async fn roles_of_the_id_token_are_not_widened_by_user_info() {
    let desk = Desk::new();
    desk.idp.told().change = Box::new(|claims| {
        claims["groups"] = json!([]);
        claims.as_object_mut().unwrap().remove("name");
    });
    desk.idp.told().user_info = Some(json!({"sub": "0001", "groups": ["doctors"], "name": "佐藤 花子"}));
    assert!(desk.sign_in(None).await.unwrap().person.roles.is_empty());
}

#[tokio::test]
async fn sign_out_goes_to_the_provider_where_it_has_a_page_for_it() {
    let desk = Desk::new();
    let hint = Secret("the-token".to_owned());
    let after = "https://login.example.jp/.sekimori/signed-out";
    let url = desk.oidc.sign_out_url(&provider().id, Some(&hint), after, "s&1").await.unwrap().unwrap();
    assert!(url.starts_with(&format!("{ISSUER}/end?")));
    let query = query(&url);
    assert_eq!(query["id_token_hint"], "the-token");
    assert_eq!(query["post_logout_redirect_uri"], after);
    assert_eq!(query["state"], "s&1");
    assert_eq!(query["client_id"], "sekimori");
    let desk = Desk::new();
    desk.idp.told().metadata["end_session_endpoint"] = json!(null);
    assert_eq!(desk.oidc.sign_out_url(&provider().id, None, after, "s").await.unwrap(), None);
}

#[tokio::test]
async fn providers_that_are_not_configured_are_unknown() {
    let desk = Desk::new();
    let id = ProviderId::parse("other").unwrap();
    let begin = Begin {
        provider: id.clone(),
        redirect_uri: REDIRECT_URI.to_owned(),
        login_hint: None,
        step_up: None,
        return_to: String::new(),
    };
    assert!(matches!(desk.oidc.begin(begin).await, Err(SignInProblem::UnknownProvider(unknown)) if unknown == id));
}

#[tokio::test]
async fn no_problem_repeats_a_secret() {
    let desk = Desk::new();
    desk.idp.told().forge = Some(|_, _| "very.secret.token".to_owned());
    let started = desk.begin(None).await.unwrap();
    let callback = desk.idp.authorize(&started.url);
    let code = callback.code.clone().unwrap();
    let shown = format!("{callback:?}");
    let problem = desk.oidc.finish(callback, started.browser_secret.expose()).await.unwrap_err();
    let shown = format!("{shown} {problem:?} {problem} {:?} {started:?}", desk.oidc);
    for secret in [code.as_str(), "very.secret", started.browser_secret.expose(), hostile::CLIENT_SECRET] {
        assert!(!shown.contains(secret));
    }
}

#[test]
fn a_person_is_issuer_and_subject() {
    let id = user_id("https://idp.example.jp", "0001");
    assert!(id.as_str().starts_with("u-") && id.as_str().len() == 34);
    assert_eq!(id, user_id("https://idp.example.jp", "0001"));
    assert_ne!(id, user_id("https://idp.example.jp0", "001"));
    assert_ne!(id, user_id("https://other.example.jp", "0001"));
}

#[test]
fn what_is_awaited_may_move_between_threads() {
    fn sends<T: Send>(_: &T) {}
    let desk = Desk::new();
    sends(&desk.oidc.finish(Callback::default(), ""));
    sends(&desk.begin(None));
    let id = provider().id;
    sends(&desk.oidc.sign_out_url(&id, None, "", ""));
}
