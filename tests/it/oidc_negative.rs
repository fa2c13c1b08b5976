//! Every lie that an ID token may tell (OpenID Connect Core section 3.1.3.7), told by the real provider to the real
//! gateway: nobody is signed in, and each is named for what it is.

use std::time::SystemTime;

use serde_json::{Value, json};
use tests::{Hospital, Idp, Person, Plan, Upstream};

struct Lobby {
    hospital: Hospital,
    idp: Idp,
    emr: Upstream,
}

impl Lobby {
    fn open() -> Self {
        let emr = Upstream::http1();
        let (hospital, idp) = Hospital::open_with_provider(Plan::with_emr(emr.address()));
        Self { hospital, idp, emr }
    }

    /// A clerk signs in, as far as that goes.
    async fn sign_in(&self) -> (Person, tests::Answer) {
        let mut clerk = Person::new(&self.hospital.stranger(), "clerk");
        let page = clerk.open(&self.hospital.url("emr", "/reception/form")).await;
        (clerk, page)
    }

    async fn tell(&self, lie: &Value) {
        self.idp.lie(&self.hospital.stranger(), lie).await;
    }

    /// How often the gateway told its operator that an answer was rejected for this.
    fn rejections(&self, check: &str) -> usize {
        self.hospital.log_text().matches(&format!("was rejected: {check}\"")).count()
    }

    async fn is_refused(&self, name: &str, lie: Value, check: &str) {
        let before = self.rejections(check);
        self.tell(&lie).await;
        let (clerk, page) = self.sign_in().await;
        assert_eq!(page.status, 403, "{name}: {}", page.text());
        assert!(page.header("content-type").starts_with("text/html"), "{name}");
        for host in ["login", "emr"] {
            let cookie = clerk.jar().value(&format!("{host}.hospital.test"), "__Host-sekimori");
            assert_eq!(cookie, None, "{name}: a session on {host}");
        }
        let failed = self.hospital.records().with("ev", "sign-in-failed").last().clone();
        assert_eq!((&failed["why"], &failed["prov"]), (&"answer-rejected".into(), &"staff".into()), "{name}: {failed}");
        assert_eq!(self.rejections(check), before + 1, "{name} is named `{check}`:\n{}", self.hospital.log_text());
    }
}

fn seconds_from_now(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() + seconds
}

fn claims(claims: Value) -> Value {
    json!({ "claims": claims })
}

#[tokio::test]
async fn each_lie_of_an_id_token_signs_nobody_in_and_is_named() {
    let lobby = Lobby::open();
    let issuer = lobby.idp.issuer().to_owned();
    for (name, lie, check) in [
        ("another issuer", claims(json!({ "iss": "https://evil.test" })), "issuer"),
        ("the issuer with a slash", claims(json!({ "iss": format!("{issuer}/") })), "issuer"),
        ("another client", claims(json!({ "aud": "other" })), "audience"),
        ("another client beside us", claims(json!({ "aud": ["sekimori", "other"] })), "audience"),
        ("no client", claims(json!({ "aud": [] })), "audience"),
        ("issued to another", claims(json!({ "azp": "other" })), "audience"),
        ("over", claims(json!({ "exp": seconds_from_now(-3_600) })), "time"),
        ("issued before anyone asked", claims(json!({ "iat": seconds_from_now(-3_600) })), "time"),
        ("issued tomorrow", claims(json!({ "iat": seconds_from_now(86_400) })), "time"),
        ("not good yet", claims(json!({ "nbf": seconds_from_now(3_600) })), "time"),
        ("the nonce of another sign-in", claims(json!({ "nonce": "other" })), "nonce"),
        ("no nonce", claims(json!({ "nonce": null })), "nonce"),
        ("signed by another", json!({ "signer": "another" }), "signature"),
        (
            "signed by another under a new name",
            json!({ "signer": "another", "header": { "kid": "evil" } }),
            "signature",
        ),
        ("signed by nobody", json!({ "signer": "nobody" }), "signature"),
        ("said to need no signature", json!({ "signer": "nobody", "header": { "alg": "none" } }), "signature"),
        ("signed with the client's secret", json!({ "signer": "secret", "header": { "alg": "HS256" } }), "signature"),
        ("said to be signed otherwise", json!({ "header": { "alg": "RS384" } }), "signature"),
        ("beside another access token", claims(json!({ "at_hash": "b3RoZXI" })), "access-token"),
        ("proved tomorrow", claims(json!({ "auth_time": seconds_from_now(86_400) })), "authentication-time"),
        ("about nobody", claims(json!({ "sub": null })), "malformed"),
        ("about an empty name", claims(json!({ "sub": "" })), "malformed"),
        ("without an end", claims(json!({ "exp": null })), "malformed"),
        ("without a beginning", claims(json!({ "iat": null })), "malformed"),
        ("no token at all", json!({ "instead": "" }), "malformed"),
        ("half a token", json!({ "instead": "eyJhbGciOiJSUzI1NiJ9.e30" }), "malformed"),
    ] {
        lobby.is_refused(name, lie, check).await;
    }
    assert!(lobby.emr.seen().is_empty());
    assert!(lobby.hospital.records().with("ev", "signed-in").is_empty());

    lobby.tell(&Value::Null).await;
    lobby.sign_in().await.1.expect(200);
}
