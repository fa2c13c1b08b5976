use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use policy::{DeviceId, RoleId};
use serde_json::Value;

use super::*;
use crate::testing::{START, Ward, minutes, opening, terminal};

/// A directory of one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("sekimori-{}", random_name()));
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn assertions(&self) -> Assertions {
        Assertions::open_or_create(&self.0, "https://login.example.jp").unwrap()
    }

    fn key(&self) -> PathBuf {
        self.0.join("assertion-key.pem")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

async fn who() -> Arc<Who> {
    let ward = Ward::open().await;
    let (session, _) = ward.sessions.open(opening(Some(terminal())), START).await.unwrap();
    Arc::clone(&session.who)
}

fn app(name: &str) -> AppId {
    AppId::parse(name).unwrap()
}

/// What an app does: checks the assertion with the published keys.
fn as_app(
    assertions: &Assertions,
    audience: &str,
    text: impl AsRef<[u8]>,
) -> Result<Value, jsonwebtoken::errors::Error> {
    let text = std::str::from_utf8(text.as_ref()).unwrap();
    let keys: JwkSet = serde_json::from_str(assertions.jwks()).unwrap();
    let key = keys.find(&decode_header(text)?.kid.unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[audience]);
    validation.set_issuer(&["https://login.example.jp"]);
    validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    validation.validate_exp = false; // The test's clock is not the machine's.
    decode::<Value>(text, &DecodingKey::from_jwk(key)?, &validation).map(|token| token.claims)
}

#[tokio::test]
async fn an_app_learns_who_asks_from_which_device() {
    let (folder, who) = (Folder::new(), who().await);
    let assertions = folder.assertions();
    let text = assertions.for_app(&app("emr"), "https://emr.example.jp", &who, Some(&terminal()), START).unwrap();
    let claims = as_app(&assertions, "https://emr.example.jp", &text).unwrap();
    assert_eq!(claims["sub"], who.user.as_str());
    assert_eq!(claims["preferred_username"], "n.sato");
    assert_eq!(claims["name"], "佐藤 花子");
    assert_eq!(claims["roles"], serde_json::json!(["nurse"]));
    assert_eq!(claims["acr"], "aal2");
    assert_eq!(claims["amr"], serde_json::json!(["provider", "provider-mfa"]));
    assert_eq!(claims.get("outage"), None);
    assert_eq!(claims["device"], "ward-3");
    assert_eq!(claims["device_class"], "ward-shared");
    assert_eq!(claims["auth_time"], START.unix_seconds());
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 60);
    assert!(!claims["jti"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn an_app_learns_of_an_outage() {
    let (folder, who) = (Folder::new(), who().await);
    let assertions = folder.assertions();
    let audience = "https://emr.example.jp";
    let before = assertions.for_app(&app("emr"), audience, &who, None, START).unwrap();
    let in_outage = Arc::new(Who { in_outage: true, ..Who::clone(&who) });
    let text = assertions.for_app(&app("emr"), audience, &in_outage, None, START).unwrap();
    assert_ne!(before, text);
    assert_eq!(as_app(&assertions, audience, &text).unwrap()["outage"], true);
}

#[tokio::test]
async fn an_assertion_for_one_app_is_no_good_at_another() {
    let (folder, who) = (Folder::new(), who().await);
    let assertions = folder.assertions();
    let text = assertions.for_app(&app("emr"), "https://emr.example.jp", &who, None, START).unwrap();
    assert!(as_app(&assertions, "https://pacs.example.jp", &text).is_err());
    let text = text.to_str().unwrap();
    let (message, signature) = text.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let promoted = URL_SAFE_NO_PAD.encode(r#"{"aud":"https://emr.example.jp","iss":"https://login.example.jp"}"#);
    assert!(as_app(&assertions, "https://emr.example.jp", format!("{header}.{promoted}.{signature}")).is_err());
}

#[tokio::test]
async fn it_is_given_out_again_only_while_it_is_fresh_and_every_fact_is_the_same() {
    let (folder, who) = (Folder::new(), who().await);
    let assertions = folder.assertions();
    let audience = "https://emr.example.jp";
    let ask = |audience: &str, who: &Arc<Who>, device: Option<&Arc<Device>>, at| {
        assertions.for_app(&app("emr"), audience, who, device, at).unwrap()
    };
    let first = ask(audience, &who, None, START);
    assert_eq!(first, ask(audience, &who, None, START.after(Duration::from_secs(29))));
    assert_eq!(first, ask(audience, &Arc::new(Who::clone(&who)), None, START), "the facts count, not where they lie");
    let promoted = Arc::new(Who { roles: Arc::from([RoleId::parse("doctor").unwrap()]), ..Who::clone(&who) });
    let other = Arc::new(Device { id: DeviceId::parse("other").unwrap(), ..Device::clone(&terminal()) });
    for different in [
        ask(audience, &promoted, None, START),
        ask(audience, &who, Some(&terminal()), START),
        ask(audience, &who, Some(&other), START),
        ask("https://other.example.jp", &who, None, START),
        ask(audience, &who, None, START.after(ASSERTION_FRESH)),
        ask(audience, &who, None, Timestamp::from_unix_micros(0)),
    ] {
        assert_ne!(first, different);
    }
}

#[tokio::test]
async fn no_assertion_outlives_its_session() {
    let (folder, who) = (Folder::new(), who().await);
    let assertions = folder.assertions();
    let ending = Arc::new(Who { ends_at: START.after(Duration::from_secs(10)), ..Who::clone(&who) });
    let text = assertions.for_app(&app("emr"), "https://emr.example.jp", &ending, None, START).unwrap();
    let claims = as_app(&assertions, "https://emr.example.jp", &text).unwrap();
    assert_eq!(claims["exp"], START.unix_seconds() + 10);
}

#[tokio::test]
async fn an_unknown_moment_of_sign_in_is_not_stated() {
    let (folder, who) = (Folder::new(), who().await);
    let assertions = folder.assertions();
    let vague = Arc::new(Who { authenticated_at: Timestamp::from_unix_micros(0), ..Who::clone(&who) });
    let text = assertions.for_app(&app("emr"), "https://emr.example.jp", &vague, None, START).unwrap();
    assert!(as_app(&assertions, "https://emr.example.jp", &text).unwrap().get("auth_time").is_none());
}

#[tokio::test]
async fn memory_for_assertions_is_bounded() {
    let (folder, who) = (Folder::new(), who().await);
    let assertions = folder.assertions();
    for number in 0..2 * SHARD_ASSERTIONS_MAX {
        let app = app(&format!("app-{number}"));
        assertions.for_app(&app, "https://emr.example.jp", &who, None, START).unwrap();
    }
    let kept: usize = assertions.shards.iter().map(|shard| shard.read().unwrap().len()).sum();
    assert!((1..=SHARD_ASSERTIONS_MAX).contains(&kept));
}

#[tokio::test]
async fn the_key_is_kept_over_restarts_and_hidden_from_others() {
    let (folder, who) = (Folder::new(), who().await);
    let text = folder
        .assertions()
        .for_app(&app("emr"), "https://emr.example.jp", &who, None, START.after(minutes(1)))
        .unwrap();
    let restarted = folder.assertions();
    assert!(as_app(&restarted, "https://emr.example.jp", &text).is_ok());
    assert_eq!(fs::metadata(folder.key()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "no draft is left behind");
    assert!(!restarted.jwks().contains("\"d\""));
}

#[test]
fn a_key_that_cannot_be_used_is_refused_and_never_replaced() {
    for (content, mode) in [("", 0o600), ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0o600)] {
        let folder = Folder::new();
        fs::write(folder.key(), content).unwrap();
        fs::set_permissions(folder.key(), fs::Permissions::from_mode(mode)).unwrap();
        let problem = Assertions::open_or_create(&folder.0, "https://login.example.jp").unwrap_err();
        assert!(problem.to_string().contains("is not a P-256 private key"), "{problem}");
        assert_eq!(fs::read_to_string(folder.key()).unwrap(), content);
    }
    let folder = Folder::new();
    drop(folder.assertions());
    fs::set_permissions(folder.key(), fs::Permissions::from_mode(0o640)).unwrap();
    let problem = Assertions::open_or_create(&folder.0, "https://login.example.jp").unwrap_err();
    assert!(problem.to_string().contains("chmod 600"), "{problem}");
    let missing = Assertions::open_or_create(&folder.0.join("nowhere"), "https://login.example.jp").unwrap_err();
    assert!(missing.to_string().contains("nowhere"), "{missing}");
}
