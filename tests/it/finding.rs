//! The search index beside the running gateway: what was done is found soon, counted, and the looking is recorded.

use serde_json::Value;
use tests::{Ask, eventually};

use crate::ward::Ward;

/// What `audit find` answers, line by line, once there are so many.
async fn found(ward: &Ward, asked: &[&str], count: usize) -> Vec<Value> {
    let words: Vec<&str> = ["audit", "find", "--format", "json"].iter().chain(asked).copied().collect();
    eventually("the stories are found", async || {
        let lines = ward.hospital.run(&words).ok().lines();
        (lines.len() == count).then_some(lines)
    })
    .await
}

#[tokio::test]
async fn what_was_done_is_found_and_counted_and_the_looking_is_recorded() {
    let ward = Ward::open().await;
    let nurse = ward.sign_in("nurse").await;
    ward.caller.ask(ward.get("/fhir/Patient/00012345")).await.expect(200);
    ward.caller.ask(ward.get("/fhir/Patient/00012346")).await.expect(200);
    ward.caller.ask(Ask::new("DELETE", "emr", "/refused").signed_in(&nurse)).await.expect(403);
    let patients = found(&ward, &["fhir", "--outcome", "allowed", "--oldest"], 2).await;
    assert_eq!(patients[0]["begin"]["path"], "/fhir/Patient/00012345");
    assert_eq!(patients[0]["end"]["st"], 200);
    assert_eq!(patients[0]["begin"]["id"], patients[0]["end"]["id"]);
    let refused = found(&ward, &["--outcome", "refused", "--role", "nurse", "--since", "1h"], 1).await;
    assert_eq!((&refused[0]["begin"]["path"], &refused[0]["end"]), (&"/refused".into(), &Value::Null));
    let id = refused[0]["begin"]["id"].as_str().unwrap();
    assert_eq!(found(&ward, &["--request", &id[id.len() - 8..]], 1).await, refused);
    found(&ward, &["--until", "1h"], 0).await;
    let bars = found(&ward, &["--outcome", "refused", "--count-by", "reason"], 1).await;
    assert_eq!((&bars[0]["key"], &bars[0]["count"]), (&"action-not-allowed".into(), &1.into()));
    let words = ["audit", "find", "--patient", "00099999", "SHIKEN"];
    assert!(ward.hospital.run(&words).ok().out.starts_with("line"), "nothing but the headings");
    let read = eventually("the looking is recorded", async || {
        let read = ward.hospital.records().with("ev", "log-read");
        read.all().iter().find(|line| line.to_string().contains("patient=(..)")).cloned()
    })
    .await;
    assert!(!read.to_string().contains("00099999") && !read.to_string().contains("SHIKEN"), "{read}");
    assert_eq!(ward.hospital.run(&["audit", "find", "--outcome", "maybe"]).code, Some(64));
}

#[tokio::test]
async fn the_index_is_built_anew_beside_the_running_gateway_and_without_it() {
    let mut ward = Ward::open().await;
    for turn in 0..5 {
        ward.caller.ask(ward.get(&format!("/turn/{turn}"))).await.expect(200);
    }
    found(&ward, &["turn"], 5).await;
    let asked = ward.hospital.run(&["audit", "index", "rebuild"]).ok();
    assert!(asked.out.contains("while it runs"), "{}", asked.out);
    found(&ward, &["turn"], 5).await;
    eventually("it has caught up", async || {
        let status = ward.hospital.run(&["audit", "index", "status", "--format", "json"]).ok().json();
        (status["behind"] == 0).then_some(())
    })
    .await;
    let doctor = ward.hospital.run(&["doctor"]);
    assert!(doctor.out.contains("search index"), "{}", doctor.out);
    ward.hospital.kill();
    std::fs::remove_dir_all(ward.hospital.folder().join("state/index")).unwrap();
    assert_eq!(ward.hospital.run(&["audit", "find", "turn"]).code, Some(69));
    ward.hospital.run(&["audit", "index", "rebuild"]).ok();
    found(&ward, &["turn"], 5).await;
}
