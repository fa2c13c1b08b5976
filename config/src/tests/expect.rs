//! Expectations of the policy, read out of files beside it.

use policy::{Decision, DeviceClass, Judge, Policy, UtcOffset};

use super::{Folder, SHORT, short_and};

/// What is said about a file of expectations, and the whole that was read.
fn with_tests(text: &str) -> (Folder, String) {
    let folder = Folder::new();
    folder.file("policy.tests.toml", text, 0o644);
    (folder, short_and("[policy]\ntests = [\"policy.tests.toml\"]\nholidays = [\"2026-01-05\"]\n"))
}

#[test]
fn an_expectation_is_a_question_and_an_answer_with_its_line() {
    let text = r#"
[[expect]]
name = { ja = "看護師はカルテを読める", en = "nurses read charts" }
given = { roles = ["nurse"], app = "emr", path = "/charts/1", device = "ward-shared", at = "2026-11-23T10:00" }
then = "allow"
rule = "nurses-use-emr"

[[expect]]
name = "サインイン前"
given = { app = "emr" }
then = "sign-in"
reason = "sign-in-required"
"#;
    let (folder, config) = with_tests(text);
    let config = folder.parse(&config).unwrap();
    let [one, two] = &config.policy_tests[..] else { panic!("{:?}", config.policy_tests) };
    assert!(one.file.ends_with("policy.tests.toml") && one.name.en == "nurses read charts");
    assert_eq!((one.line, two.line), (2, 8));
    let given = &one.expectation.given;
    assert_eq!(given.at.rfc3339(UtcOffset::JAPAN), "2026-11-23T10:00:00.000+09:00");
    assert!(given.signed_in && given.device == Some((None, DeviceClass::WardShared)));
    let given = &two.expectation.given;
    assert_eq!(given.at.rfc3339(UtcOffset::JAPAN), "2026-01-12T10:00:00.000+09:00", "the first Monday is a holiday");
    assert!(!given.signed_in && given.device.is_none() && given.zone.as_str() == "inside");
    let mut judge = Judge::new(std::sync::Arc::new(Policy::load(&config.policy).unwrap()));
    assert_eq!(one.expectation.check(&mut judge), Ok(()));
    assert_eq!(two.expectation.check(&mut judge), Ok(()));
    let another_rule = policy::Expectation { rule: Some("another".parse().unwrap()), ..one.expectation.clone() };
    assert_eq!(another_rule.check(&mut judge).map_err(|came| came.decision), Err(Decision::Allow));
    assert!(config.files.iter().any(|file| file.ends_with("policy.tests.toml")), "it is watched");
}

#[test]
fn mistakes_are_told_at_their_line_in_their_file() {
    let text = r#"
[[expect]]
name = "一"
given = { roles = ["nruse"], app = "erm", device = "wardshared", at = "tomorrow", auth_age = "0s" }
then = "maybe"
[[expect]]
name = "二"
given = { app = "emr" }
then = "allow"
reason = "forbidden"
[[expects]]
"#;
    let (folder, config) = with_tests(text);
    let said = folder.said(&config);
    let check = |place: &str, what: &str| {
        assert!(said.iter().any(|said| said.starts_with(place) && said.contains(what)), "{what}: {said:#?}");
    };
    check("policy.tests.toml:4: expect[一].given.roles", "write `nurse`");
    check("policy.tests.toml:4: expect[一].given.app", "write `emr`");
    check("policy.tests.toml:4: expect[一].given.device", "write `ward-shared`");
    check("policy.tests.toml:4: expect[一].given.at", "`tomorrow` is not a moment");
    check("policy.tests.toml:4: expect[一].given.auth_age", "out of bounds");
    check("policy.tests.toml:5: expect[一].then", "`maybe` is not one of");
    check("policy.tests.toml:10: expect[二].reason", "has no reason");
    check("policy.tests.toml:11: expects", "write `expect`");
    assert_eq!(said.len(), 8, "{said:#?}");
}

#[test]
fn a_shadow_is_named_and_not_read() {
    let folder = Folder::new();
    let config = folder.parse(&short_and("[policy]\nshadow = \"not-there.toml\"\n")).unwrap();
    assert_eq!(config.shadow, Some(folder.0.join("not-there.toml")));
    assert_eq!(folder.parse(SHORT).unwrap().shadow, None);
}
