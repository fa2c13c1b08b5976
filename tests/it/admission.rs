//! Who gets in, and what the others are told.

use tests::{Ask, Device, Session};

use crate::ward::Ward;

#[tokio::test]
async fn a_stranger_with_a_browser_is_sent_to_sign_in() {
    let ward = Ward::open().await;
    let answer = ward.caller.ask(Ask::get("emr", "/patients/1").as_browser()).await.expect(302);
    assert!(answer.header("location").starts_with(&ward.hospital.url("login", "/")), "{}", answer.header("location"));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(!answer.header("location").contains("patients"), "where to return to stays on the gateway");
    assert!(ward.emr.seen().is_empty());
}

#[tokio::test]
async fn a_stranger_with_a_program_is_told_401_as_a_problem_document() {
    let ward = Ward::open().await;
    for ask in [
        Ask::get("emr", "/patients/1").header("accept", "application/json"),
        Ask::get("emr", "/patients/1"),
        Ask::post("emr", "/patients", "{}").header("content-type", "application/json"),
        Ask::get("emr", "/patients/1").header("cookie", "__Host-sekimori=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        Ask::get("emr", "/patients/1").header("cookie", "__Host-sekimori=;=;;"),
    ] {
        let answer = ward.caller.ask(ask).await.expect_problem(401, "sign-in-required");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    assert!(ward.emr.seen().is_empty());
}

#[tokio::test]
async fn a_nurse_on_a_known_device_reads() {
    let ward = Ward::open().await;
    let nurse = ward.sign_in("nurse").await;
    let answer = ward.caller.ask(Ask::get("emr", "/patients/1?view=all").signed_in(&nurse)).await.expect(200);
    assert_eq!(answer.json()["target"], "/patients/1?view=all");

    let record = ward.hospital.records().opened("/patients/1").last().clone();
    assert_eq!(record["app"], "emr");
    assert_eq!(record["dev"], "ward-pc-1");
    assert_eq!(record["sid"], nurse.id.as_str());
    assert_eq!(record["rule"], "nurses-read");
}

#[tokio::test]
async fn a_nurse_who_deletes_is_refused_and_told_the_rule() {
    let ward = Ward::open().await;
    let nurse = ward.sign_in("nurse").await;
    for method in ["DELETE", "POST", "PUT", "PATCH", "get", "MKCOL"] {
        let ask = Ask::new(method, "emr", "/patients/1").signed_in(&nurse);
        let answer = ward.caller.ask(ask).await.expect_problem(403, "action-not-allowed");
        assert_eq!(answer.json()["rule"], "nurses-read", "{method}");
    }
    assert!(ward.emr.seen().is_empty());
    let refused = ward.hospital.records().with("ev", "refused").with("rule", "nurses-read");
    assert_eq!(refused.len(), 6, "{refused:#?}");
}

#[tokio::test]
async fn a_doctor_without_a_device_certificate_is_told_about_the_device() {
    let ward = Ward::open().await;
    let doctor = Session::open(&ward.hospital, "doctor", None, &["emr"]).await;
    let stranger = ward.hospital.stranger();
    let answer = stranger.ask(Ask::get("emr", "/patients/1").signed_in(&doctor)).await;
    let answer = answer.expect_problem(403, "device-required");
    assert_eq!(answer.json()["rule"], "doctors-treat");
    assert!(ward.emr.seen().is_empty());
}

#[tokio::test]
async fn a_forbidding_rule_wins_over_a_permitting_one() {
    let ward = Ward::open().await;
    ward.caller.ask(ward.ask("DELETE", "/notes/1")).await.expect(200);
    let answer = ward.caller.ask(ward.ask("DELETE", "/archive/1")).await.expect_problem(403, "forbidden");
    assert_eq!(answer.json()["rule"], "archive-is-kept");
    assert_eq!(ward.emr.seen().len(), 1);
}

#[tokio::test]
async fn a_role_without_a_rule_and_a_path_outside_the_rule_are_refused() {
    let ward = Ward::open().await;
    let vendor = ward.sign_in("vendor").await;
    let answer = ward.caller.ask(Ask::get("emr", "/").signed_in(&vendor)).await.expect_problem(403, "role-not-allowed");
    assert_eq!(answer.json()["rule"], "default-deny");
    let clerk = ward.sign_in("clerk").await;
    ward.caller.ask(Ask::get("emr", "/reception/today").signed_in(&clerk)).await.expect(200);
    for path in ["/patients/1", "/reception", "/reception%2f..", "/Reception/today"] {
        let answer = ward.caller.ask(Ask::get("emr", path).signed_in(&clerk)).await;
        assert!(matches!(answer.status, 400 | 403), "{path}: {}", answer.status);
    }
    assert_eq!(ward.emr.seen().len(), 1);
}

#[tokio::test]
async fn a_session_shown_from_another_device_is_refused() {
    let ward = Ward::open().await;
    let other = Device::add(&ward.hospital, "ward-pc-2", "fixed").await;
    let ask = || ward.get("/patients/1");
    ward.hospital.caller(&other).ask(ask()).await.expect_problem(403, "other-device");
    ward.hospital.stranger().ask(ask()).await.expect_problem(403, "other-device");
    assert!(ward.emr.seen().is_empty());
    ward.caller.ask(ask()).await.expect(200);
}

#[tokio::test]
async fn a_token_is_good_for_its_own_host_alone() {
    let emr = tests::Upstream::http1();
    let plan = tests::Plan::with_emr(emr.address()).app("labs", emr.address(), "");
    let ward = Ward::around(emr, plan).await;
    let stolen = ward.cookie();
    ward.caller.ask(Ask::get("labs", "/").header("cookie", &stolen)).await.expect_problem(401, "sign-in-required");
    assert!(ward.emr.seen().is_empty());
}

#[tokio::test]
async fn a_host_that_is_not_ours_is_not_served() {
    let ward = Ward::open().await;
    ward.caller.ask(Ask::get("nowhere", "/")).await.expect_problem(421, "misdirected");
    assert!(ward.caller.connect("elsewhere.test", &[]).await.is_err(), "no certificate, no handshake");
    assert!(ward.emr.seen().is_empty());
}

#[tokio::test]
async fn a_device_of_another_ca_is_refused_in_the_handshake_or_counts_as_unknown() {
    let ward = Ward::open().await;
    let elsewhere = Ward::open().await;
    let foreign = ward.hospital.caller(&elsewhere.terminal);
    // TLS 1.3 tells the client of a refused certificate only after its own handshake has ended.
    let answer = match foreign.connect("emr", &[b"http/1.1"]).await {
        Err(_) => String::new(),
        Ok(_) => {
            let request = format!("GET /a HTTP/1.1\r\nhost: emr.hospital.test\r\ncookie: {}\r\n\r\n", ward.cookie());
            foreign.send_bytes("emr", request.as_bytes()).await
        }
    };
    assert!(!answer.contains(" 200 "), "{answer}");
    assert!(ward.emr.seen().is_empty());
}

#[tokio::test]
async fn what_the_ward_reads_says_what_to_do() {
    let ward = Ward::open().await;
    let nurse = ward.sign_in("nurse").await;
    let ask =
        |language| Ask::new("POST", "emr", "/x").as_browser().header("accept-language", language).signed_in(&nurse);
    let japanese = ward.caller.ask(ask("ja")).await.expect(403);
    assert!(japanese.header("content-type").starts_with("text/html"));
    assert!(japanese.text().contains("lang=\"ja\"") && japanese.text().contains("nurses-read"), "{}", japanese.text());
    let english = ward.caller.ask(ask("en")).await.expect(403);
    assert!(english.text().contains("lang=\"en\"") && english.text().contains("nurses-read"), "{}", english.text());
    let record = ward.hospital.records().with("rule", "nurses-read").last().clone();
    let tail: String = record["id"].as_str().unwrap().chars().rev().take(4).collect::<Vec<_>>().iter().rev().collect();
    assert!(english.text().contains(&tail), "the code on the page finds the record");
}
