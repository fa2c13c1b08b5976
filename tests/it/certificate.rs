//! TLS as clients meet it: versions, names, certificates that change.

use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use tests::{Ask, Caller, Hospital, Plan, Upstream, eventually};

use crate::ward::Ward;

#[tokio::test]
async fn a_new_certificate_is_shown_without_dropping_a_connection() {
    let ward = Ward::open().await;
    let mut old = ward.caller.http1("emr").await;
    old.answer(ward.get("/a")).await.expect(200);
    let shown = async || {
        let stream = ward.caller.connect("emr", &[]).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    let before = shown().await;
    ward.hospital.renew("wild", &["*.hospital.test"]);
    eventually("the new certificate", async || (shown().await != before).then_some(())).await;
    old.answer(ward.get("/a")).await.expect(200);
    assert!(!old.is_closed());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_leaves_the_old_one_in_place_and_raises_an_alarm() {
    let ward = Ward::open().await;
    let before = ward.hospital.records().with("ev", "config-refused").len();
    ward.hospital.folder().write("wild.pem", "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n");
    ward.hospital.signal(rustix::process::Signal::HUP);
    let refused = async || (ward.hospital.records().with("ev", "config-refused").len() > before).then_some(());
    eventually("the refusal", refused).await;
    ward.caller.ask(ward.get("/a")).await.expect(200);
    assert!(ward.hospital.log_text().contains("wild.pem"));
}

#[tokio::test]
async fn the_high_profile_speaks_tls_1_3_alone_and_high_compat_1_2_too() {
    let emr = Upstream::http1();
    let mut hospital = Hospital::build(Plan::with_emr(emr.address()));
    let compat = hospital.address().ip().to_string() + ":8444";
    let listener = format!(
        "[[listener]]\nname = \"old\"\naddress = \"{compat}\"\nzone = \"ward\"\ntls = \"high-compat\"\nclient_certificates = \"off\""
    );
    let plan = hospital.plan().clone().block(&listener);
    hospital.folder().write("sekimori.toml", plan.text());
    hospital.start();
    let caller = |versions: &[&'static rustls::SupportedProtocolVersion]| {
        Caller::with_versions(hospital.address(), hospital.authority().roots(), None, versions).unwrap()
    };
    let (old, new) = (caller(&[&TLS12]), caller(&[&TLS13]));
    assert!(old.connect("emr", &[]).await.is_err());
    assert!(new.connect("emr", &[]).await.is_ok());
    let compat = compat.parse().unwrap();
    assert!(old.at(compat).connect("emr", &[]).await.is_ok());
    assert!(new.at(compat).connect("emr", &[]).await.is_ok());
    drop(emr);
}

#[tokio::test]
async fn the_key_exchange_withstands_quantum_computers() {
    let ward = Ward::open().await;
    let stream = ward.caller.connect("emr", &[]).await.unwrap();
    let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
}

#[tokio::test]
async fn a_listener_that_requires_a_device_certificate_has_no_word_for_others() {
    let emr = Upstream::http1();
    let mut hospital = Hospital::build(Plan::with_emr(emr.address()));
    let text =
        hospital.plan().text().replace("client_certificates = \"optional\"", "client_certificates = \"required\"");
    hospital.folder().write("sekimori.toml", text);
    hospital.start();
    let answer = match hospital.stranger().connect("emr", &[b"http/1.1"]).await {
        Err(_) => String::new(),
        Ok(_) => hospital.stranger().send_bytes("emr", b"GET / HTTP/1.1\r\nhost: emr.hospital.test\r\n\r\n").await,
    };
    assert!(!answer.contains("HTTP/1.1"), "{answer}");
    let refused = async || (!hospital.records().with("ev", "tls-refused").is_empty()).then_some(());
    eventually("the record of the refusal", refused).await;
}

#[tokio::test]
async fn a_listener_takes_nobody_from_outside_its_sources() {
    let emr = Upstream::http1();
    let mut hospital = Hospital::build(Plan::with_emr(emr.address()));
    let text = hospital
        .plan()
        .text()
        .replace("zone = \"ward\"\nclient", "zone = \"ward\"\nsources = [\"10.0.0.0/8\"]\nclient");
    hospital.folder().write("sekimori.toml", text);
    hospital.start();
    let connection = tests::within(Duration::from_secs(5), "a refusal", hospital.stranger().connect("emr", &[])).await;
    assert!(connection.is_err());
}

#[tokio::test]
async fn a_resumed_connection_is_judged_like_a_new_one() {
    let ward = Ward::open().await;
    for _ in 0..3 {
        ward.caller.ask(ward.get("/a")).await.expect(200);
    }
    let stranger = ward.hospital.stranger();
    for _ in 0..3 {
        stranger.ask(Ask::get("emr", "/a").header("cookie", &ward.cookie())).await.expect_problem(403, "other-device");
    }
}
