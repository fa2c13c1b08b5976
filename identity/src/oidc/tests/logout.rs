//! The negative matrix of back-channel logout (OpenID Connect Back-Channel Logout 1.0 section 2.6).

use policy::{DeviceId, Host, SessionId};
use store::SessionsOf;

use super::hostile::{Signer, joined, with_secret};
use super::*;
use crate::testing::{Ward, opening, terminal};
use crate::{Fetch, LogoutProblem, Opening};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const KIND: &str = "logout+jwt";

struct Desk {
    ward: Ward,
    idp: Arc<Idp>,
    oidc: Oidc,
}

impl Desk {
    async fn open() -> Self {
        let (ward, idp) = (Ward::open().await, Arc::new(Idp::new()));
        let fetch = idp.fetch(ward.hands.clock());
        Self::over(ward, idp, fetch, &[provider()])
    }

    fn over(ward: Ward, idp: Arc<Idp>, fetch: Fetch, providers: &[config::Provider]) -> Self {
        let oidc = Oidc::new(providers, ward.store.clone(), fetch, ward.hands.clock());
        Self { ward, idp, oidc }
    }

    async fn sign_in(&self, sid: Option<&str>) -> SessionId {
        let opening = Opening { provider_session: sid.map(str::to_owned), ..opening(None) };
        self.ward.sessions.open(opening, START).await.unwrap().0.id()
    }

    async fn log_out(&self, token: &str) -> Result<Vec<SessionId>, LogoutProblem> {
        self.oidc.log_out(&provider().id, token, &self.ward.sessions).await.map(|done| done.ended)
    }

    async fn log_out_with(&self, change: impl FnOnce(&mut Value)) -> Result<Vec<SessionId>, LogoutProblem> {
        let mut claims = self.claims();
        change(&mut claims);
        let token = self.idp.signer().token(KIND, &claims);
        self.log_out(&token).await
    }

    fn claims(&self) -> Value {
        let now = self.ward.hands.now().unix_seconds();
        json!({
            "iss": ISSUER, "aud": "sekimori", "iat": now, "exp": now + 120, "jti": crate::secret::random_name(),
            "events": {EVENT: {}}, "sub": "0001", "sid": "idp-session",
        })
    }

    async fn open_sessions(&self) -> usize {
        self.ward.store.sessions().await.unwrap().len()
    }
}

fn rejection(outcome: Result<Vec<SessionId>, LogoutProblem>) -> Option<Rejection> {
    match outcome {
        Ok(_) => None,
        Err(LogoutProblem::Rejected { rejection, .. }) => Some(rejection),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_logout_at_the_provider_ends_the_session_here() {
    let desk = Desk::open().await;
    let session = desk.sign_in(Some("idp-session")).await;
    let other = desk.sign_in(Some("another-session")).await;
    assert_eq!(desk.log_out_with(|_| ()).await.unwrap(), [session]);
    assert!(!desk.ward.sessions.cached_still_open(session, START));
    assert!(desk.ward.sessions.cached_still_open(other, START));
    let events = desk.ward.store.events_after(0, 100).await.unwrap();
    let ended = events.iter().find(|event| event.change == store::Change::SessionEnded(session)).unwrap();
    assert_eq!(ended.actor, "gateway:provider");
}

#[tokio::test]
async fn a_token_with_a_wrong_claim_ends_nothing() {
    let now = START.unix_seconds();
    for (claim, value, expected) in [
        ("iss", json!("https://evil.example"), Rejection::Issuer),
        ("iss", json!(format!("{ISSUER}/")), Rejection::Issuer),
        ("iss", json!([ISSUER]), Rejection::Issuer),
        ("aud", json!("another-client"), Rejection::Audience),
        ("aud", json!([]), Rejection::Audience),
        ("aud", json!(["sekimori", "another-client"]), Rejection::Audience),
        ("aud", json!({"sekimori": true}), Rejection::Audience),
        ("iat", json!(now + 61), Rejection::Time),
        ("iat", json!(now - 181), Rejection::Time),
        ("iat", json!("now"), Rejection::Time),
        ("iat", json!(1e300), Rejection::Time),
        ("exp", json!(now - 61), Rejection::Time),
        ("exp", json!("never"), Rejection::Time),
        ("exp", json!(null), Rejection::Time),
        ("nbf", json!(now + 61), Rejection::Time),
        ("nonce", json!("a-nonce"), Rejection::Nonce),
        ("nonce", json!(null), Rejection::Nonce),
        ("events", json!({}), Rejection::Events),
        ("events", json!({EVENT: true}), Rejection::Events),
        ("events", json!([EVENT]), Rejection::Events),
        ("events", json!(EVENT), Rejection::Events),
        ("events", json!({"http://schemas.openid.net/event/other": {}}), Rejection::Events),
        ("sub", json!(""), Rejection::Malformed),
        ("sub", json!(1), Rejection::Malformed),
        ("sub", json!("x".repeat(256)), Rejection::Malformed),
        ("sid", json!(""), Rejection::Malformed),
        ("sid", json!(null), Rejection::Malformed),
        ("jti", json!(""), Rejection::Malformed),
        ("jti", json!(7), Rejection::Malformed),
        ("jti", json!("x".repeat(256)), Rejection::Malformed),
    ] {
        let desk = Desk::open().await;
        desk.sign_in(Some("idp-session")).await;
        let shown = value.to_string();
        let outcome = desk.log_out_with(|claims| claims[claim] = value).await;
        assert_eq!(rejection(outcome), Some(expected), "{claim} = {shown}");
        assert_eq!(desk.open_sessions().await, 1, "{claim} = {shown}");
    }
}

#[tokio::test]
async fn a_token_without_a_needed_claim_ends_nothing() {
    for (missing, expected) in [
        (vec!["iss"], Rejection::Issuer),
        (vec!["aud"], Rejection::Audience),
        (vec!["iat"], Rejection::Time),
        (vec!["jti"], Rejection::Malformed),
        (vec!["events"], Rejection::Events),
        (vec!["sub", "sid"], Rejection::Subject),
    ] {
        let desk = Desk::open().await;
        desk.sign_in(Some("idp-session")).await;
        let outcome = desk.log_out_with(|claims| without(claims, &missing)).await;
        assert_eq!(rejection(outcome), Some(expected), "{missing:?}");
        assert_eq!(desk.open_sessions().await, 1, "{missing:?}");
    }
}

fn without(claims: &mut Value, names: &[&str]) {
    for name in names {
        claims.as_object_mut().unwrap().remove(*name);
    }
}

#[tokio::test]
async fn what_the_standard_leaves_open_is_accepted() {
    let changes: [fn(&mut Value); 9] = [
        |claims| without(claims, &["exp"]),
        |claims| without(claims, &["sub"]),
        |claims| without(claims, &["sid"]),
        |claims| claims["aud"] = json!(["sekimori"]),
        |claims| claims["events"][EVENT] = json!({"more": 1}),
        |claims| claims["events"]["http://example.jp/other"] = json!({}),
        |claims| claims["iat"] = json!(START.unix_seconds() - 179),
        |claims| claims["iat"] = json!(START.unix_seconds() as f64 + 59.5),
        |claims| claims["exp"] = json!(START.unix_seconds() - 59),
    ];
    for change in changes {
        let desk = Desk::open().await;
        let session = desk.sign_in(Some("idp-session")).await;
        assert_eq!(desk.log_out_with(change).await.unwrap(), [session]);
    }
}

#[tokio::test]
async fn a_token_that_calls_itself_another_kind_is_none() {
    for (kind, expected) in [
        (json!("logout+jwt"), None),
        (json!("application/LOGOUT+jwt"), None),
        (json!(null), None),
        (json!("JWT"), None),
        (json!("application/jwt"), None),
        (json!("at+jwt"), Some(Rejection::Kind)),
        (json!("secevent+jwt"), Some(Rejection::Kind)),
        (json!(""), Some(Rejection::Kind)),
        (json!(1), Some(Rejection::Malformed)),
    ] {
        let desk = Desk::open().await;
        let signer = desk.idp.signer();
        let header = json!({"alg": "ES256", "kid": "k1", "typ": kind});
        let token = joined(&header, &desk.claims(), |message| signer.sign(message));
        assert_eq!(rejection(desk.log_out(&token).await), expected, "{kind}");
    }
}

#[tokio::test]
async fn a_token_that_says_no_more_than_jwt_is_one_only_by_what_it_holds() {
    for (change, expected) in [
        ((|_| ()) as fn(&mut Value), None),
        (|claims| without(claims, &["events"]), Some(Rejection::Events)),
        (|claims| claims["nonce"] = json!("of an ID token"), Some(Rejection::Nonce)),
    ] {
        let desk = Desk::open().await;
        desk.sign_in(Some("idp-session")).await;
        let (signer, mut claims) = (desk.idp.signer(), desk.claims());
        change(&mut claims);
        let header = json!({"alg": "ES256", "kid": "k1", "typ": "JWT"});
        let token = joined(&header, &claims, |message| signer.sign(message));
        assert_eq!(rejection(desk.log_out(&token).await), expected);
        assert_eq!(desk.open_sessions().await, usize::from(expected.is_some()));
    }
}

#[tokio::test]
async fn a_logout_ends_what_is_under_way_and_nothing_that_begins_after_it() {
    let with: [fn(&mut Value); 3] = [|_| (), |claims| without(claims, &["sid"]), |claims| without(claims, &["sub"])];
    for (number, change) in with.into_iter().enumerate() {
        for sid in [Some("idp-session"), None] {
            let desk = Desk::open().await;
            // The provider vouched at the start; the key comes after the logout.
            let under_way = Opening { provider_session: sid.map(str::to_owned), ..opening(None) };
            desk.ward.hands.turn(crate::testing::minutes(1));
            desk.log_out_with(change).await.unwrap();
            let opened = desk.ward.sessions.open(under_way.clone(), desk.ward.hands.now()).await;
            // A session of which the provider said no name is not meant by a name alone.
            let is_meant = sid.is_some() || number != 2;
            assert_eq!(opened.is_err(), is_meant, "{number} {sid:?}: {opened:?}");
            let anew = Opening { vouched_at: desk.ward.hands.now(), ..under_way };
            desk.ward.sessions.open(anew, desk.ward.hands.now()).await.expect("who signs in again is in");
        }
    }
}

#[tokio::test]
async fn a_token_that_its_provider_did_not_sign_ends_nothing() {
    let desk = Desk::open().await;
    desk.sign_in(Some("idp-session")).await;
    desk.oidc
        .log_out(&provider().id, &desk.idp.signer().token(KIND, &json!({})), &desk.ward.sessions)
        .await
        .unwrap_err();
    let (claims, signer) = (desk.claims(), desk.idp.signer());
    let header = |algorithm: &str, key: &str| json!({"alg": algorithm, "kid": key, "typ": KIND});
    let stranger = Signer::es256("k1");
    let genuine = signer.token(KIND, &claims);
    let (message, _) = genuine.rsplit_once('.').unwrap();
    let other_claims = desk.idp.signer().token(KIND, &json!({"iss": ISSUER}));
    let own_key =
        json!({"alg": "ES256", "kid": "evil", "typ": KIND, "jwk": stranger.jwk(), "jku": "https://evil.example"});
    for (name, token) in [
        ("unsigned", joined(&header("none", "k1"), &claims, |_| Vec::new())),
        ("without a signature", format!("{message}.")),
        ("signed with the client's secret", with_secret(hostile::CLIENT_SECRET.as_bytes(), &claims)),
        ("signed by another under the same name", stranger.token(KIND, &claims)),
        ("with the signature of another token", format!("{message}.{}", other_claims.rsplit_once('.').unwrap().1)),
        ("with a key of its own", joined(&own_key, &claims, |message| stranger.sign(message))),
        ("with an unknown key", joined(&header("ES256", "k9"), &claims, |message| signer.sign(message))),
        ("with a disallowed algorithm", Signer::es384("k1").token(KIND, &claims)),
        ("as another algorithm", joined(&header("EdDSA", "k1"), &claims, |message| signer.sign(message))),
        ("with an algorithm of encryption", joined(&header("RSA-OAEP", "k1"), &claims, |_| Vec::new())),
    ] {
        assert_eq!(rejection(desk.log_out(&token).await), Some(Rejection::Signature), "{name}");
    }
    assert_eq!(desk.open_sessions().await, 1);
}

#[tokio::test]
async fn what_is_no_token_is_refused_before_anyone_is_asked() {
    let desk = Desk::open().await;
    let signer = desk.idp.signer();
    let critical = json!({"alg": "ES256", "kid": "k1", "typ": KIND, "crit": ["exp"]});
    for token in [
        String::new(),
        "a".to_owned(),
        "a.b".to_owned(),
        "..".to_owned(),
        "not a token".to_owned(),
        format!("{}.{}.x", "é".repeat(3), "b"),
        "a".repeat(17 * 1024),
        joined(&critical, &desk.claims(), |message| signer.sign(message)),
        joined(&json!([]), &desk.claims(), |message| signer.sign(message)),
    ] {
        let outcome = desk.log_out(&token).await;
        let found = rejection(outcome);
        assert!(matches!(found, Some(Rejection::Malformed | Rejection::Signature)), "{token:.40}");
    }
    assert_eq!(desk.idp.asked("/keys"), 0);
    let list = joined(&json!({"alg": "ES256", "kid": "k1"}), &json!([1]), |message| signer.sign(message));
    assert_eq!(rejection(desk.log_out(&list).await), Some(Rejection::Malformed), "signed, and no claims");
}

#[tokio::test]
async fn every_algorithm_we_allow_works() {
    for signer in [Signer::es256("k1"), Signer::ed25519("k1"), Signer::rs256("k1"), Signer::ps256("k1")] {
        let desk = Desk::open().await;
        desk.idp.told().rotate(signer);
        desk.log_out_with(|_| ()).await.unwrap();
    }
}

#[tokio::test]
async fn a_rotated_key_is_learned_and_unknown_ones_ask_rarely() {
    let desk = Desk::open().await;
    desk.log_out_with(|_| ()).await.unwrap();
    desk.ward.hands.turn(provider::KEYS_INTERVAL);
    desk.idp.told().rotate(Signer::es256("k2"));
    desk.log_out_with(|_| ()).await.unwrap();
    assert_eq!(desk.idp.asked("/keys"), 2);
    desk.ward.hands.turn(provider::KEYS_INTERVAL);
    for _ in 0..5 {
        let token = Signer::es256("k9").token(KIND, &desk.claims());
        assert_eq!(rejection(desk.log_out(&token).await), Some(Rejection::Signature));
    }
    assert_eq!(desk.idp.asked("/keys"), 3);
}

#[tokio::test]
async fn a_token_works_once() {
    let desk = Desk::open().await;
    desk.sign_in(Some("idp-session")).await;
    let token = desk.idp.signer().token(KIND, &desk.claims());
    desk.log_out(&token).await.unwrap();
    let back = desk.sign_in(Some("idp-session")).await;
    assert_eq!(rejection(desk.log_out(&token).await), Some(Rejection::Replayed));
    let same_id = desk.claims()["jti"].clone();
    desk.log_out_with(|claims| claims["jti"] = same_id.clone()).await.unwrap();
    let again = desk.log_out_with(|claims| claims["jti"] = same_id.clone()).await;
    assert_eq!(rejection(again), Some(Rejection::Replayed), "another token of the same name");
    let neighbour = desk.ward.neighbour().await;
    let oidc = Oidc::new(
        &[provider()],
        desk.ward.store.clone(),
        desk.idp.fetch(desk.ward.hands.clock()),
        neighbour.hands.clock(),
    );
    let there = oidc.log_out(&provider().id, &token, &neighbour.sessions).await;
    assert!(matches!(there, Err(LogoutProblem::Rejected { rejection: Rejection::Replayed, .. })), "in no process");
    assert!(!desk.ward.sessions.cached_still_open(back, START), "the second token ended it");
}

#[tokio::test]
async fn a_token_may_come_again_if_the_store_failed_meanwhile() {
    let desk = Desk::open().await;
    desk.sign_in(Some("idp-session")).await;
    let token = desk.idp.signer().token(KIND, &desk.claims());
    for calls in 0..3 {
        desk.ward.store.fail_after(calls);
        let failed = desk.log_out(&token).await;
        assert!(matches!(failed, Err(LogoutProblem::Store(_))), "after {calls} calls");
    }
    desk.ward.store.fail_after(usize::MAX);
    desk.log_out(&token).await.unwrap();
    assert_eq!(desk.open_sessions().await, 0);
    assert_eq!(rejection(desk.log_out(&token).await), Some(Rejection::Replayed));
}

#[tokio::test]
async fn a_subject_without_a_session_ends_everything_of_the_person_at_that_provider() {
    let desk = Desk::open().await;
    let mine = [desk.sign_in(Some("one")).await, desk.sign_in(Some("two")).await, desk.sign_in(None).await];
    let mut ended = desk.log_out_with(|claims| without(claims, &["sid"])).await.unwrap();
    ended.sort();
    let mut expected = mine.to_vec();
    expected.sort();
    assert_eq!(ended, expected);
    assert_eq!(desk.log_out_with(|claims| without(claims, &["sid"])).await.unwrap(), [], "over already is done too");
}

#[tokio::test]
async fn a_session_of_another_person_is_not_ended_by_naming_both() {
    let desk = Desk::open().await;
    desk.sign_in(Some("idp-session")).await;
    assert_eq!(desk.log_out_with(|claims| claims["sub"] = json!("0002")).await.unwrap(), []);
    assert_eq!(desk.log_out_with(|claims| claims["sid"] = json!("other")).await.unwrap(), []);
    assert_eq!(desk.open_sessions().await, 1);
}

#[tokio::test]
async fn a_session_of_which_the_provider_told_no_name_ends_with_its_person() {
    let desk = Desk::open().await;
    let (named, nameless) = (desk.sign_in(Some("another")).await, desk.sign_in(None).await);
    assert_eq!(desk.log_out_with(|_| ()).await.unwrap(), [nameless]);
    assert!(desk.ward.sessions.cached_still_open(named, START));
}

#[tokio::test]
async fn parked_sessions_end_too() {
    let desk = Desk::open().await;
    let opening = opening(Some(terminal()));
    let (session, _) = desk.ward.sessions.open(opening, START).await.unwrap();
    assert!(desk.ward.store.park_session(session.id(), START, "u-x".to_owned()).await.unwrap());
    assert_eq!(desk.log_out_with(|_| ()).await.unwrap(), [session.id()]);
    let on_device = SessionsOf::Device(DeviceId::parse("ward-3").unwrap());
    assert!(desk.ward.store.sessions_of(on_device).await.unwrap().is_empty());
}

/// A second provider, at another issuer with keys of its own.
fn vendor() -> (config::Provider, Arc<Idp>) {
    let issuer = "https://idp.vendor.example";
    let idp = Arc::new(Idp::new());
    idp.told().rotate(Signer::es256("v1"));
    let text = idp.told().metadata.to_string().replace(ISSUER, issuer);
    idp.told().metadata = serde_json::from_str(&text).unwrap();
    let id = ProviderId::parse("vendor").unwrap();
    (config::Provider { id, issuer: issuer.to_owned(), ..provider() }, idp)
}

#[tokio::test]
async fn a_provider_ends_nothing_of_another() {
    let ward = Ward::open().await;
    let idp = Arc::new(Idp::new());
    let (vendor, vendor_idp) = vendor();
    let (ours, theirs) = (idp.fetch(ward.hands.clock()), vendor_idp.fetch(ward.hands.clock()));
    let host = Host::parse("idp.vendor.example").unwrap();
    let fetch: Fetch = Arc::new(move |request| {
        let is_theirs = request.uri().host() == Some(host.as_str());
        if is_theirs { theirs(request) } else { ours(request) }
    });
    let desk = Desk::over(ward, idp, fetch, &[provider(), vendor.clone()]);
    let session = desk.sign_in(Some("idp-session")).await;
    let genuine = desk.idp.signer().token(KIND, &desk.claims());
    let to_vendor = desk.oidc.log_out(&vendor.id, &genuine, &desk.ward.sessions).await;
    assert!(matches!(to_vendor, Err(LogoutProblem::Rejected { rejection: Rejection::Signature, .. })));
    // Signed by the vendor, in the hospital's name.
    let forged = vendor_idp.signer().token(KIND, &desk.claims());
    assert_eq!(rejection(desk.log_out(&forged).await), Some(Rejection::Signature));
    let misled = desk.oidc.log_out(&vendor.id, &forged, &desk.ward.sessions).await;
    assert!(matches!(misled, Err(LogoutProblem::Rejected { rejection: Rejection::Issuer, .. })));
    // Rightly the vendor's, about somebody whose `sub` and `sid` read the same at the hospital.
    let mut claims = desk.claims();
    claims["iss"] = json!(vendor.issuer);
    let own = vendor_idp.signer().token(KIND, &claims);
    let done = desk.oidc.log_out(&vendor.id, &own, &desk.ward.sessions).await.unwrap();
    assert_eq!(done.ended, []);
    assert!(desk.ward.sessions.cached_still_open(session, START));
}

#[tokio::test]
async fn nothing_ends_while_the_keys_cannot_be_read() {
    let desk = Desk::open().await;
    desk.sign_in(Some("idp-session")).await;
    desk.idp.told().is_down = true;
    let outcome = desk.log_out_with(|_| ()).await;
    assert!(matches!(outcome, Err(LogoutProblem::Unavailable { .. })));
    let unknown = ProviderId::parse("nobody").unwrap();
    let outcome = desk.oidc.log_out(&unknown, "a.b.c", &desk.ward.sessions).await;
    assert!(matches!(outcome, Err(LogoutProblem::UnknownProvider(id)) if id == unknown));
    assert_eq!(desk.open_sessions().await, 1);
}
