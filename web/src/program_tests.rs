//! Devices that get their certificates, and programs that call on the sign-in host.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use policy::{DeviceClass, DeviceId};
use store::{CertificateIssuer, DeviceRecord};

use crate::testing::{Browser, Hospital, LOGIN, text, ward_terminal};

/// A device of the ledger, with a code for its certificate.
async fn invited(hospital: &Hospital, name: &str) -> (DeviceId, String) {
    let id = DeviceId::parse(name).unwrap();
    let record = DeviceRecord::new(id.clone(), DeviceClass::Tablet, hospital.now());
    hospital.store.add_device(record, "test".to_owned()).await.unwrap();
    let span = Duration::from_secs(3600);
    let people = &hospital.site.parts.people;
    let made = people.invite_device(&id, span, "", "cli:test", hospital.now()).await.unwrap();
    (id, made.code.expose())
}

async fn program(hospital: &Hospital, path: &str, fields: &[(&'static str, &str)], body: &str) -> Response<Bytes> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.insert(*name, value.parse().unwrap());
    }
    let body = Bytes::copy_from_slice(body.as_bytes());
    Browser::at(None).send(hospital, "POST", &format!("https://{LOGIN}{path}"), headers, body).await
}

#[tokio::test]
async fn a_code_becomes_a_file_for_this_browser_alone() {
    let hospital = Hospital::open().await;
    let (id, code) = invited(&hospital, "tablet-1").await;
    let mut browser = Browser::at(None);
    let address = format!("https://{LOGIN}/device");
    assert!(text(&browser.get(&hospital, &address).await).contains("data-fragment"));
    for wrong in ["code=&form=pkcs12", "code=01ABC-DEFGH-JKMNP-QRSTV&form=pkcs12"] {
        let answer = browser.post(&hospital, &address, wrong).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert!(text(&answer).contains("このコードは使えません"));
    }
    let unknown = browser.post(&hospital, &address, &format!("code={code}&form=zip")).await;
    assert_eq!(unknown.status(), StatusCode::BAD_REQUEST);
    let page = browser.post(&hospital, &address, &format!("code={code}&form=mobileconfig")).await;
    let html = text(&page);
    assert!(html.contains("one-time-password") && html.contains("tablet-1"), "{html}");
    let file = html.split("href=\"/device/file?f=").nth(1).unwrap().split('"').next().unwrap();
    let file = format!("https://{LOGIN}/device/file?f={file}");
    assert_eq!(Browser::at(None).get(&hospital, &file).await.status(), StatusCode::BAD_REQUEST, "another browser");
    for _ in 0..2 {
        let got = browser.get(&hospital, &file).await;
        assert_eq!(text(&got), "mobileconfig of tablet-1", "a download that broke off can be repeated");
        assert_eq!(got.headers()["content-type"], "application/x-apple-aspen-config");
        assert_eq!(got.headers()["content-disposition"], "attachment; filename=\"tablet-1.mobileconfig\"");
    }
    hospital.pass_seconds(600);
    assert_eq!(browser.get(&hospital, &file).await.status(), StatusCode::BAD_REQUEST, "too late");
    let twice = browser.post(&hospital, &address, &format!("code={code}&form=pkcs12")).await;
    assert_eq!(twice.status(), StatusCode::BAD_REQUEST, "a code works once");
    let record = hospital.store.device(&id).await.unwrap().unwrap();
    assert_eq!(record.certificates.len(), 1);
    assert!(hospital.lines().contains("enrolment-refused"));
}

#[tokio::test]
async fn a_known_device_renews_near_the_end_and_not_before() {
    let hospital = Hospital::open().await;
    let mut browser = Browser::at(Some(ward_terminal()));
    let page = text(&browser.get(&hospital, &format!("https://{LOGIN}/device")).await);
    assert!(
        page.contains("ward3-pc1") && page.contains("まだ更新の時期ではありません") && !page.contains("data-fragment")
    );
    let early = browser.post(&hospital, &format!("https://{LOGIN}/device/renew"), "form=pkcs12").await;
    assert_eq!(early.status(), StatusCode::BAD_REQUEST);
    let unknown = Browser::at(None).post(&hospital, &format!("https://{LOGIN}/device/renew"), "form=pkcs12").await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    // Near the end somebody must answer for the new key: a terminal that stands alone gives none away.
    hospital.pass_seconds(300 * 86_400);
    let page = text(&browser.get(&hospital, &format!("https://{LOGIN}/device")).await);
    assert!(!page.contains("まだ更新の時期ではありません"), "{page}");
    let alone = browser.post(&hospital, &format!("https://{LOGIN}/device/renew"), "form=pkcs12").await;
    assert_eq!(alone.status(), StatusCode::FOUND, "on to a sign-in");
    let record = hospital.store.device(&ward_terminal().id).await.unwrap().unwrap();
    assert_eq!(record.certificates.len(), 1);
}

#[tokio::test]
async fn est_enrols_with_name_and_code_and_tells_nothing_to_others() {
    let hospital = Hospital::open().await;
    let (id, code) = invited(&hospital, "pump-1").await;
    let (_, others) = invited(&hospital, "pump-2").await;
    let enrol = "/.well-known/est/simpleenroll";
    let basic = |name: &str, code: &str| format!("Basic {}", STANDARD.encode(format!("{name}:{code}")));
    let kind = ("content-type", "application/pkcs10");
    let bare = program(&hospital, enrol, &[kind], "request").await;
    assert_eq!((bare.status(), bare.headers().contains_key("www-authenticate")), (StatusCode::UNAUTHORIZED, true));
    let answers = [
        program(&hospital, enrol, &[kind, ("authorization", &basic("pump-1", "x"))], "request").await,
        program(&hospital, enrol, &[kind, ("authorization", &basic("pump-1", &others))], "request").await,
        program(&hospital, enrol, &[kind, ("authorization", &basic("pump-9", &code))], "request").await,
    ];
    for answer in &answers {
        assert_eq!((answer.status(), answer.body()), (bare.status(), bare.body()));
    }
    let right = basic("pump-1", &code);
    let unreadable = program(&hospital, enrol, &[kind, ("authorization", &right)], "nonsense").await;
    assert_eq!((unreadable.status(), text(&unreadable).as_str()), (StatusCode::BAD_REQUEST, "unreadable\n"));
    let plain = program(&hospital, enrol, &[("authorization", &right)], "request").await;
    assert_eq!(plain.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let enrolled = program(&hospital, enrol, &[kind, ("authorization", &right)], "request").await;
    assert_eq!((enrolled.status(), text(&enrolled).as_str()), (StatusCode::OK, "certificate of pump-1"));
    assert_eq!(enrolled.headers()["content-type"], "application/pkcs7-mime; smime-type=certs-only");
    let twice = program(&hospital, enrol, &[kind, ("authorization", &right)], "request").await;
    assert_eq!(twice.status(), StatusCode::UNAUTHORIZED);
    let record = hospital.store.device(&id).await.unwrap().unwrap();
    assert_eq!(record.certificates[0].issuer, CertificateIssuer::Est);
    let renew = program(&hospital, "/.well-known/est/simplereenroll", &[kind], "request").await;
    assert_eq!(renew.status(), StatusCode::FORBIDDEN, "no certificate shown");
    let mut browser = Browser::at(None);
    let ca = browser.get(&hospital, &format!("https://{LOGIN}/.well-known/est/cacerts")).await;
    assert_eq!(
        (text(&ca).as_str(), &ca.headers()["content-transfer-encoding"]),
        ("the CA", &"base64".parse().unwrap())
    );
}

#[tokio::test]
async fn a_sign_out_that_no_provider_signed_ends_nothing() {
    let hospital = Hospital::open().await;
    let mut browser = Browser::at(None);
    browser.open(&hospital, &format!("https://{LOGIN}/begin?provider=city")).await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    for body in ["", "logout_token=", "logout_token=a.b.c", "logout_token=eyJhbGciOiJub25lIn0.e30."] {
        let answer = program(&hospital, "/backchannel-logout/city", &[form], body).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert!(text(&answer).contains("\"error\":\"invalid_request\""), "{}", text(&answer));
    }
    let unknown = program(&hospital, "/backchannel-logout/nobody", &[form], "logout_token=a.b.c").await;
    assert_eq!(unknown.status(), StatusCode::BAD_REQUEST);
    assert_eq!(hospital.store.sessions().await.unwrap().len(), 1);
    assert!(hospital.lines().contains("logout-refused"));
}

#[tokio::test]
async fn posture_is_taken_from_known_sources_alone() {
    let tables = "[[posture_source]]\nid = \"mdm\"\ntoken_file = \"token\"\nttl = \"1h\"\n";
    let hospital = Hospital::with_keys(tables, "").await;
    let json = ("content-type", "application/json");
    let body =
        r#"[{"device":"ward3-pc1","attributes":{"os_patched":true}},{"device":"nowhere","attributes":{"edr":"on"}}]"#;
    let bare = program(&hospital, "/api/posture", &[json], body).await;
    assert_eq!((bare.status(), bare.headers().contains_key("www-authenticate")), (StatusCode::UNAUTHORIZED, true));
    let wrong = program(&hospital, "/api/posture", &[json, ("authorization", "Bearer wrong")], body).await;
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    let token = ("authorization", "Bearer a-token-of-the-mdm-that-is-long-enough");
    let broken = program(&hospital, "/api/posture", &[json, token], "[{}]").await;
    assert_eq!(broken.status(), StatusCode::BAD_REQUEST);
    assert!(text(&broken).contains("\"problems\":["), "{}", text(&broken));
    let kind = program(&hospital, "/api/posture", &[("content-type", "text/plain"), token], body).await;
    assert_eq!(kind.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let answer = program(&hospital, "/api/posture", &[json, token], body).await;
    assert_eq!(answer.status(), StatusCode::OK, "{}", text(&answer));
    assert!(text(&answer).contains("\"unknown_devices\":[\"nowhere\"]"), "{}", text(&answer));
    for event in ["posture-received", "posture-refused"] {
        assert!(hospital.lines().contains(event), "{event}");
    }
}
