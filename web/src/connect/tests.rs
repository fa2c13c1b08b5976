use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use crate::testing::{Browser, Hospital, LOGIN, SHELL, text, ward_terminal};
use crate::{ConnectWords, Language};

fn of(path: &str) -> String {
    format!("https://{SHELL}{path}")
}

/// What the program asks, on the device of this browser.
async fn ask(hospital: &Hospital, browser: &Browser, path: &str, body: &Value) -> Response<Bytes> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let mut program = Browser::at(browser.device.clone());
    program.send(hospital, "POST", &of(path), headers, Bytes::from(body.to_string())).await
}

fn read(response: &Response<Bytes>) -> Value {
    assert_eq!(response.status(), StatusCode::OK, "{}", text(response));
    serde_json::from_slice(response.body()).unwrap()
}

/// Somebody who is signed in at the app's host.
async fn nurse(hospital: &Hospital) -> Browser {
    let mut browser = Browser::at(Some(ward_terminal()));
    browser.open(hospital, &format!("https://{LOGIN}/begin?provider=city")).await;
    browser.open(hospital, &of("/")).await;
    assert!(browser.session_cookie(SHELL).is_some());
    browser
}

#[tokio::test]
async fn a_person_lets_a_program_in_by_comparing_its_code() {
    let hospital = Hospital::open().await;
    let mut browser = nurse(&hospital).await;
    let begun = read(&ask(&hospital, &browser, "/.sekimori/connect/begin", &json!({})).await);
    let (code, secret) = (begun["code"].as_str().unwrap(), &begun["secret"]);
    assert_eq!(
        (begun["app"].as_str(), begun["address"].as_str()),
        (Some("pacs-shell"), Some(&*of(&format!("/?code={code}"))))
    );
    let take = json!({ "secret": secret });
    let answer = read(&ask(&hospital, &browser, "/.sekimori/connect/token", &take).await);
    assert_eq!(answer["token"], Value::Null, "nobody let it in yet");
    let page = text(&browser.get(&hospital, &of(&format!("/?code={}", code.to_lowercase()))).await);
    assert!(page.contains(code) && page.contains("ward3-pc1") && page.contains("PACS 保守"), "{page}");
    let done = browser.post(&hospital, &of("/"), &format!("code={code}")).await;
    assert!(text(&done).contains("つなぎました"), "{}", text(&done));
    let answer = read(&ask(&hospital, &browser, "/.sekimori/connect/token", &take).await);
    let token = answer["token"].as_str().unwrap();
    let host = policy::Host::parse(SHELL).unwrap();
    let found = hospital.sessions.find(token, &host, browser.device.as_deref(), hospital.now()).await.unwrap();
    assert!(found.is_some());
    assert_ne!(Some(token), browser.session_cookie(SHELL).map(String::as_str), "a token of its own");
    let twice = browser.post(&hospital, &of("/"), &format!("code={code}")).await;
    assert_eq!(twice.status(), StatusCode::BAD_REQUEST, "a code works once");
}

#[tokio::test]
async fn another_sites_form_an_unknown_code_and_a_strange_device_let_nothing_in() {
    let hospital = Hospital::open().await;
    let mut browser = nurse(&hospital).await;
    let begun = read(&ask(&hospital, &browser, "/.sekimori/connect/begin", &json!({})).await);
    let code = begun["code"].as_str().unwrap();
    let mut headers = browser.headers(SHELL);
    headers.insert("origin", HeaderValue::from_static("https://evil.example"));
    let form = Bytes::from(format!("code={code}"));
    let foreign = browser.send(&hospital, "POST", &of("/"), headers, form).await;
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    for wrong in ["", "code=", "code=BCDF-GHJK", "code=<script>"] {
        assert_eq!(browser.post(&hospital, &of("/"), wrong).await.status(), StatusCode::BAD_REQUEST, "{wrong}");
    }
    for path in ["/.sekimori/connect/begin", "/.sekimori/connect/token"] {
        let stranger = ask(&hospital, &Browser::at(None), path, &json!({ "secret": begun["secret"] })).await;
        assert_eq!(stranger.status(), StatusCode::FORBIDDEN, "{path}");
        assert!(text(&stranger).contains("device-required"));
    }
    let answer =
        read(&ask(&hospital, &browser, "/.sekimori/connect/token", &json!({ "secret": begun["secret"] })).await);
    assert_eq!(answer["token"], Value::Null);
}

#[tokio::test]
async fn the_page_says_how_to_connect_and_what_cannot_be_read() {
    let hospital = Hospital::open().await;
    let mut browser = nurse(&hospital).await;
    let page = text(&browser.get(&hospital, &of("/")).await);
    assert!(page.contains("sekimori connect pacs-shell --gateway https://pacs-shell.hosp.example "), "{page}");
    let odd = text(&browser.get(&hospital, &of("/?code=%3Cscript%3E")).await);
    assert!(odd.contains("このコードは読み取れません") && !odd.contains("<script>"), "{odd}");
    browser.device = None;
    let page = text(&browser.get(&hospital, &of("/?code=BCDF-GHJK")).await);
    assert!(!page.contains("<form class=\"key\"") && page.contains("証明書"), "{page}");
}

#[test]
fn every_end_has_words_in_both_languages() {
    let codes = policy::Reason::ALL.iter().map(|reason| reason.code());
    let faults = crate::Fault::ALL.iter().map(|fault| fault.code());
    for language in Language::ALL {
        let words = ConnectWords::new(language);
        let ends = ["closed", "target-broke", "window-over", "protocol", "too-many", "stopping"];
        for code in codes.clone().chain(faults.clone()).chain(ends) {
            assert_ne!(words.why(code), code, "{code} in {}", language.tag());
        }
        assert_eq!(words.why("nothing-we-know"), "nothing-we-know");
        let keys = [
            "ask",
            "allowed",
            "listening",
            "opened",
            "cut",
            "resumed",
            "closed",
            "ended",
            "refused",
            "unreachable",
            "too-many",
            "other-app",
            "not-allowed",
            "loopback",
        ];
        for key in keys {
            assert!(!words.say(key, &[]).contains('⟨'), "{key}");
        }
    }
}
