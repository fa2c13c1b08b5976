//! A proposed policy is tried before it is in force: by expectations, beside the one in force, and on what was recorded.
//! None of it changes an answer.

use tests::{Ask, Plan, Upstream, eventually};

use crate::operations::operations;
use crate::ward::Ward;

/// The ordinary hospital, where doctors may only read.
fn stricter(ward: &Ward) -> String {
    let (wide, narrow) = ("actions = [\"read\", \"write\", \"connect\"]", "actions = [\"read\"]");
    let text = ward.hospital.plan().text();
    assert!(text.contains(wide));
    text.replace(wide, narrow)
}

async fn metrics(ward: &Ward) -> String {
    operations(&ward.hospital, "/metrics").await.expect(200).text()
}

async fn until_metrics_say(ward: &Ward, words: &str) {
    eventually(words, async || metrics(ward).await.contains(words).then_some(())).await;
}

#[tokio::test]
async fn a_shadow_that_cannot_be_read_stops_nothing_and_one_that_can_tells_where_it_differs() {
    let ward = Ward::open_with(|plan| plan.set("policy", "shadow = \"proposed.toml\"")).await;
    ward.caller.ask(ward.get("/a")).await.expect(200);
    until_metrics_say(&ward, "sekimori_shadow_alarm 1").await;
    ward.hospital.folder().write("proposed.toml", stricter(&ward));
    until_metrics_say(&ward, "sekimori_shadow_alarm 0").await;

    ward.caller.ask(ward.ask("POST", "/notes")).await.expect(200);
    ward.caller.ask(ward.get("/b")).await.expect(200);
    ward.caller.ask(Ask::get("emr", "/c")).await.expect(401);
    let records = ward.hospital.records();
    assert_eq!(records.opened("/notes").only()["sh"], "deny action-not-allowed doctors-treat");
    assert!(records.opened("/b").only().get("sh").is_none(), "the same answer is no difference");
    let metrics = metrics(&ward).await;
    let differences = "sekimori_shadow_differences_total{app=\"emr\",from=\"allow\",to=\"deny\"} 1\n";
    assert!(metrics.contains(differences), "{metrics}");

    ward.hospital.folder().write("proposed.toml", "[[rule]]\n");
    until_metrics_say(&ward, "sekimori_shadow_alarm 1").await;
    ward.caller.ask(ward.ask("POST", "/notes")).await.expect(200);
}

#[tokio::test]
async fn a_replay_tells_who_and_what_would_be_answered_otherwise() {
    let ward = Ward::open().await;
    ward.caller.ask(ward.get("/a")).await.expect(200);
    ward.caller.ask(ward.ask("POST", "/notes")).await.expect(200);
    ward.caller.ask(ward.ask("DELETE", "/archive/1")).await.expect(403);
    ward.hospital.folder().write("proposed.toml", stricter(&ward));
    let replay = |more: &[&str]| {
        let told = ward.hospital.run(&[&["policy", "replay", "proposed.toml"], more].concat());
        assert_eq!(told.code, Some(0), "{}", told.err);
        told.out
    };
    let told = replay(&["--lang", "en"]);
    assert!(told.contains("Would change: 1\n") && told.contains("doctors-treat"), "{told}");
    assert!(told.contains("action-not-allowed") && !told.contains("Not decidable"), "{told}");
    let unchanged = ward.hospital.run(&["policy", "replay", "sekimori.toml", "--lang", "en"]);
    assert!(
        unchanged.out.contains("Would change: 0\n") && !unchanged.out.contains("than they were then"),
        "{}",
        unchanged.out
    );
    replay(&["--format", "html", "--lang", "ja", "-o", "change.html"]);
    let page = std::fs::read_to_string(ward.hospital.folder().path().join("change.html")).unwrap();
    assert!(page.contains("<html lang=\"ja\">") && page.contains("doctors-treat") && page.contains("承認者"), "{page}");
    let none = replay(&["--since", "2020-01-01", "--until", "2020-02-01", "--lang", "en"]);
    assert!(none.contains("Accesses judged: 0\n"), "{none}");
}

#[tokio::test]
async fn expectations_that_do_not_hold_are_told_by_check_with_their_line() {
    let emr = Upstream::http1();
    let plan = Plan::with_emr(emr.address()).set("policy", "tests = [\"policy.tests.toml\"]");
    let ward = Ward::prepared(emr, plan, |folder| {
        folder.write(
            "policy.tests.toml",
            "[[expect]]\nname = { ja = \"看護師は読める\", en = \"nurses read\" }\n\
             given = { roles = [\"nurse\"], app = \"emr\", device = \"fixed\" }\nthen = \"allow\"\n",
        );
    })
    .await;
    let good = ward.hospital.run(&["check"]);
    assert_eq!(good.code, Some(0), "{}", good.err);
    ward.hospital.folder().write(
        "policy.tests.toml",
        "[[expect]]\nname = { ja = \"看護師は書ける\", en = \"nurses write\" }\n\
         given = { roles = [\"nurse\"], app = \"emr\", device = \"fixed\", method = \"POST\" }\nthen = \"allow\"\n",
    );
    for (words, said) in [
        (
            &["policy", "test", "--lang", "en"][..],
            "nurses write: expected allow; came deny (action-not-allowed, rule nurses-read)",
        ),
        (
            &["policy", "test", "--lang", "ja"][..],
            "看護師は書ける: 期待は allow、実際は deny (action-not-allowed, 規則 nurses-read)",
        ),
        (&["check"][..], "policy.tests.toml:1:"),
    ] {
        let told = ward.hospital.run(words);
        assert_eq!(told.code, Some(1), "{}", told.err);
        assert!(told.err.contains(said) && told.err.contains("policy.tests.toml:1:"), "{}", told.err);
    }
}

#[tokio::test]
async fn lint_tells_of_rows_that_add_nothing_in_both_languages() {
    // It stands before the ordinary rules.
    let wider = "[[rule]]\nid = \"staff-use-all\"\nroles = [\"doctor\", \"nurse\"]\napps = \"all\"\nactions = \"all\"";
    let ward = Ward::open_with(|plan| plan.block(wider)).await;
    let said = |words: &[&str]| ward.hospital.run(words).out;
    let text = said(&["policy", "lint", "--lang", "ja"]);
    assert!(text.contains("規則 doctors-treat: 先にある規則 staff-use-all にすべて含まれ"), "{text}");
    let text = said(&["policy", "lint", "--lang", "en"]);
    assert!(text.contains("rule nurses-read: says nothing that the earlier rule staff-use-all does not say"), "{text}");
    assert!(text.contains("role vendor: is in no rule"), "{text}");
    let strict = ward.hospital.run(&["policy", "lint", "--strict"]);
    assert_eq!(strict.code, Some(1), "{}", strict.err);
    for line in said(&["policy", "lint", "--format", "json"]).lines() {
        let read: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(read["code"].is_string() && read["ja"].is_string() && read["en"].is_string(), "{line}");
    }
}
