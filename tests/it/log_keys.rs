//! The keys that encrypt the log: whatever is done with them stands in the log, with who did it, and is found there.

use serde_json::Value;
use tests::eventually;

use crate::ward::Ward;

/// What the log says was done with keys, as `audit find` tells it: word, which key, how many segments.
fn told(ward: &Ward) -> Vec<(String, String, u64)> {
    let words = ["audit", "find", "--event", "log-key-changed", "--oldest", "--format", "json"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let deed = |line: Value| {
        let begin = &line["begin"];
        assert!(begin["actor"].as_str().is_some_and(|actor| actor.starts_with("cli:")), "{begin}");
        (text(&begin["why"]), text(&begin["reason"]), begin["n"].as_u64().unwrap())
    };
    ward.hospital.run(&words).ok().lines().into_iter().map(deed).collect()
}

fn newest_key(ward: &Ward) -> String {
    let keys = ward.hospital.run(&["audit", "key", "list", "--format", "json"]).ok().lines();
    keys.last().unwrap()["id"].as_str().unwrap().to_owned()
}

async fn wait_for(ward: &Ward, count: usize) -> Vec<(String, String, u64)> {
    eventually("the index has it", async || Some(told(ward)).filter(|told| told.len() == count)).await
}

#[tokio::test]
async fn what_is_done_with_the_keys_of_the_log_is_recorded_and_found() {
    let mut ward = Ward::open_with(|plan| plan.block("[audit.encryption]\nring = \"ring\"")).await;
    let ring = ward.hospital.run(&["audit", "key", "list", "--format", "json"]).ok().json();
    let first = ring["id"].as_str().unwrap().to_owned();

    ward.hospital.run(&["audit", "key", "rotate", "--rewrap"]).ok();
    let out = ward.hospital.run(&["audit", "key", "escrow", "--out", "kept/recovery"]).ok().out;
    let public = out.trim().trim_start_matches("recovery_key = ").trim_matches('"').to_owned();
    assert!(public.starts_with("x25519:"), "{out}");
    for (id, why) in [("0000", "has no key"), (&*newest_key(&ward), "is its newest key")] {
        let refused = ward.hospital.run(&["audit", "key", "drop", id]);
        assert!(refused.code != Some(0) && refused.err.contains(why), "{}", refused.err);
    }
    ward.hospital.run(&["audit", "key", "drop", &first]).ok();
    let done = wait_for(&ward, 4).await;
    let second = newest_key(&ward);
    assert_eq!(
        done,
        [
            ("rotate".to_owned(), format!("a key follows {first}"), 0),
            ("rewrap".to_owned(), format!("under {second}"), 0),
            ("escrow".to_owned(), public.clone(), 0),
            ("drop".to_owned(), first, 0),
        ],
        "what was refused is not told"
    );

    // With the gateway stopped it is recorded at the next start.
    assert!(ward.hospital.stop().success());
    ward.hospital.run(&["audit", "key", "recover", "--recovery-key", "kept/recovery"]).ok();
    ward.hospital.start();
    assert_eq!(wait_for(&ward, 5).await[4], ("recover".to_owned(), format!("by {public}"), 0));
}

#[tokio::test]
async fn a_recovery_key_that_cannot_be_recorded_is_not_made_and_one_made_elsewhere_needs_no_log() {
    let ward = Ward::open().await;
    let folder = ward.hospital.folder();
    folder.write("broken/sekimori.toml", "this is no configuration");
    let escrow = |config: &str, more: &[&str]| {
        let words = [&["audit", "key", "escrow", "--out", "kept/recovery", "--config", config], more].concat();
        tests::run(folder.path(), &words)
    };
    assert_eq!(escrow("broken/sekimori.toml", &[]).code, Some(64));
    assert!(!folder.join("kept/recovery").exists());
    assert_eq!(escrow("broken/sekimori.toml", &["--elsewhere"]).ok().code, Some(0));
    assert!(folder.join("kept/recovery").exists());
    assert_eq!(ward.hospital.records().with("ev", "log-key-changed").len(), 0);
}
