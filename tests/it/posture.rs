//! What an MDM says of devices: heard with its token, good for its time, and never silently good.

use serde_json::json;
use tests::{Answer, Ask, Plan, Upstream, eventually};

use crate::ward::Ward;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const RULES: &str = r#"
[roles]
doctor = { ja = "医師", en = "Doctor" }

[[rule]]
id = "healthy-devices"
effect = "permit"
roles = ["doctor"]
apps = "all"
actions = ["read"]
devices = "known"
posture = ["os_patched", "edr=running"]
"#;

async fn ward() -> Ward {
    let emr = Upstream::http1();
    let source = "[[posture_source]]\nid = \"mdm\"\ntoken_file = \"mdm.token\"\nttl = \"1h\"";
    let plan = Plan::with_emr(emr.address()).rules(RULES).block(source);
    Ward::prepared(emr, plan, |folder| {
        tests::make_private(&folder.write("mdm.token", TOKEN));
    })
    .await
}

async fn report(ward: &Ward, token: &str, kind: &str, body: &str) -> Answer {
    let ask = Ask::post("login", "/api/posture", body.to_owned())
        .header("content-type", kind)
        .header("authorization", &format!("Bearer {token}"));
    ward.hospital.stranger().ask(ask).await
}

async fn comes_to(ward: &Ward, status: u16, code: &str) {
    eventually(code, async || {
        let answer = ward.caller.ask(ward.get("/a")).await;
        let is_so = answer.status == status && (status == 200 || answer.json()["code"] == code);
        is_so.then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_device_opens_what_wants_health_only_while_its_report_is_fresh_and_good() {
    let ward = ward().await;
    ward.caller.ask(ward.get("/a")).await.expect_problem(403, "posture-not-met");
    let good = json!([{ "device": "ward-pc-1", "attributes": { "os_patched": true, "edr": "running" } }]);
    let answer = report(&ward, TOKEN, "application/json", &good.to_string()).await.expect(200);
    assert_eq!(answer.json()["rows"], 2, "{}", answer.text());
    comes_to(&ward, 200, "the report is heard").await;
    let csv = "device,name,value,at\nward-pc-1,edr,stopped,\n";
    report(&ward, TOKEN, "text/csv", csv).await.expect(200);
    comes_to(&ward, 403, "posture-not-met").await;
    let old = json!([{
        "device": "ward-pc-1", "attributes": { "os_patched": true, "edr": "running" }, "at": "2026-01-01T00:00:00Z",
    }]);
    let answer = report(&ward, TOKEN, "application/json", &old.to_string()).await;
    assert!(matches!(answer.status, 200 | 400), "{}", answer.text());
    let received = ward.hospital.records().with("ev", "posture-received").all()[0].clone();
    assert_eq!((&received["src"], &received["n"]), (&"mdm".into(), &json!(2)), "{received}");
}

#[tokio::test]
async fn what_was_good_long_ago_is_stale() {
    let ward = ward().await;
    let at = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs() - 3_590;
    let at = policy::Timestamp::from_unix_micros(i64::try_from(at * 1_000_000).unwrap());
    let nearly = json!([{
        "device": "ward-pc-1", "attributes": { "os_patched": true, "edr": "running" }, "at": at.to_string(),
    }]);
    report(&ward, TOKEN, "application/json", &nearly.to_string()).await.expect(200);
    // Good for an hour; that hour ends in ten seconds.
    comes_to(&ward, 403, "posture-stale").await;
}

#[tokio::test]
async fn nobody_without_the_token_says_anything_and_half_a_report_is_none() {
    let ward = ward().await;
    let good = json!([{ "device": "ward-pc-1", "attributes": { "os_patched": true, "edr": "running" } }]).to_string();
    for token in ["", "0123456789abcdef0123456789abcdee", "\"; drop"] {
        report(&ward, token, "application/json", &good).await.expect_problem(401, "posture-unauthorized");
    }
    report(&ward, TOKEN, "text/html", &good).await.expect_problem(415, "posture-format");
    let half = "device,name,value,at\nward-pc-1,os_patched,true,\nward-pc-1,EDR SYSTEM,running,\n";
    let answer = report(&ward, TOKEN, "text/csv", half).await.expect_problem(400, "posture-malformed");
    assert!(answer.json()["problems"].to_string().contains('3'), "the line is named: {}", answer.text());
    for nonsense in ["", "[", "{}", "[1]", "[{\"device\":\"\\u0000\"}]"] {
        report(&ward, TOKEN, "application/json", nonsense).await.expect_problem(400, "posture-malformed");
    }
    ward.caller.ask(ward.get("/a")).await.expect_problem(403, "posture-not-met");
    assert!(ward.hospital.records().with("ev", "posture-refused").len() >= 9);
}
