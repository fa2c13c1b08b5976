//! The signed word of the gateway that apps receive, and the keys to check it with.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tests::{Ask, Plan, Upstream};

use crate::ward::Ward;

const HEADER: &str = "sekimori-assertion";

async fn ward() -> Ward {
    let emr = Upstream::http1();
    let plan = Plan::new().app("emr", emr.address(), "assertion = true").app("labs", emr.address(), "assertion = true");
    Ward::around(emr, plan).await
}

fn decode(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).unwrap()
}

/// Checks an assertion with the published keys, as an app would, and gives what it says.
async fn verified(ward: &Ward, assertion: &str) -> Value {
    let keys = ward.caller.ask(Ask::get("login", "/.well-known/jwks.json")).await.expect(200).json();
    let parts: Vec<&str> = assertion.split('.').collect();
    let head: Value = serde_json::from_slice(&decode(parts[0])).unwrap();
    assert_eq!(head["alg"], "ES256");
    let key =
        keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == head["kid"]).expect("the key is published");
    assert!(key["d"].is_null(), "and only its public half");
    let point = [vec![4], decode(key["x"].as_str().unwrap()), decode(key["y"].as_str().unwrap())].concat();
    let signed = format!("{}.{}", parts[0], parts[1]);
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &decode(parts[2])).unwrap();
    serde_json::from_slice(&decode(parts[1])).unwrap()
}

#[tokio::test]
async fn an_app_can_check_who_asks_and_that_it_is_meant() {
    let ward = ward().await;
    ward.caller.ask(ward.get("/a").header(HEADER, "forged")).await.expect(200);
    let seen = ward.emr.last();
    let said = verified(&ward, seen.header(HEADER)).await;
    assert_eq!(said["iss"], ward.hospital.url("login", ""));
    assert!(said["aud"].to_string().contains("emr"), "{said}");
    assert!(said["sub"].as_str().unwrap().starts_with("u-"), "{said}");
    assert!(said.to_string().contains("doctor") && said.to_string().contains("ward-pc-1"), "{said}");
    let life = said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap();
    assert!((1..=60).contains(&life), "{said}");
    assert!(!said["jti"].is_null());
    assert!(!said.to_string().contains(ward.doctor.token("emr")));
}

#[tokio::test]
async fn what_is_said_to_one_app_is_not_meant_for_another() {
    let ward = ward().await;
    let doctor = tests::Session::open(&ward.hospital, "doctor", Some(&ward.terminal), &["emr", "labs"]).await;
    let mut audiences = Vec::new();
    for host in ["emr", "labs"] {
        ward.caller.ask(Ask::get(host, "/a").signed_in(&doctor)).await.expect(200);
        audiences.push(verified(&ward, ward.emr.last().header(HEADER)).await["aud"].clone());
    }
    assert_ne!(audiences[0], audiences[1]);
}

#[tokio::test]
async fn the_key_survives_a_restart() {
    let mut ward = ward().await;
    ward.caller.ask(ward.get("/a")).await.expect(200);
    let before = ward.emr.last().header(HEADER).to_owned();
    ward.hospital.stop();
    ward.hospital.start();
    verified(&ward, &before).await;
}
