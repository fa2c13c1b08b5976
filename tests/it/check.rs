//! `sekimori check` and `init`: an operator learns of every mistake at once, and a new file has none.

use tests::{Folder, Hospital, Plan, Upstream};

/// The marks are where the mistakes are.
const MISTAKES: &str = r#"
[facility]
name = "試験病院"

[gateway]
state_dir = "state"
login_host = "login.hospital.test"
portal_host = "portal.hospital.test"
publik_port = 8443                             # 1 an unknown key

[[listener]]
address = "127.0.0.1"                          # 2 no port
zone = "ward"

[[certificate]]
certificate = "wild.pem"
key = "missing.key"                            # 3 a file that is not there

[roles]
nurse = { ja = "看護師", en = "Nurse" }

[[app]]
id = "emr"
name = "emr"
host = "login.hospital.test"                   # 4 the host of the sign-in pages
upstreams = ["http://127.0.0.1:9"]
reads = "sometimes"                            # 5 not a durability

[[rule]]
id = "nurses-read"
effect = "permit"
roles = ["nurze"]                              # 6 a role that is not defined
apps = ["pacs"]                                # 7 an app that is not defined
actions = ["read"]
devices = "any"

[limits]
head_timeout = "10 parsecs"                    # 8 not a span of time
"#;

#[test]
fn a_file_with_eight_mistakes_is_told_all_eight_each_with_its_line() {
    let hospital = Hospital::build(Plan::new());
    hospital.folder().write("sekimori.toml", MISTAKES);
    let told = hospital.run(&["check"]);
    assert_eq!(told.code, Some(64), "{} {}", told.out, told.err);
    let said = told.out + &told.err;
    for (number, line) in MISTAKES.lines().enumerate().filter(|(_, line)| line.contains("# ")) {
        let place = format!("sekimori.toml:{}:", number + 1);
        assert!(said.contains(&place), "{place} {line}\nis not in\n{said}");
    }
    assert_eq!(said.matches("sekimori.toml:").count(), 8, "{said}");
    assert!(said.contains("public_port") && said.contains("nurse"), "the nearest known words are named: {said}");
}

#[test]
fn a_file_with_mistakes_is_not_served_and_nothing_is_bound() {
    let hospital = Hospital::build(Plan::new());
    hospital.folder().write("sekimori.toml", MISTAKES);
    let told = hospital.run(&["serve"]);
    assert_eq!(told.code, Some(64), "{} {}", told.out, told.err);
    assert!(!hospital.folder().join("state").exists());
}

#[test]
fn a_file_without_mistakes_is_said_to_be_fine() {
    let emr = Upstream::http1();
    let hospital = Hospital::build(Plan::with_emr(emr.address()));
    hospital.run(&["check"]).ok();
}

#[test]
fn a_file_that_is_not_there_or_is_not_toml_is_named() {
    let hospital = Hospital::build(Plan::new());
    std::fs::remove_file(hospital.folder().join("sekimori.toml")).unwrap();
    let told = hospital.run(&["check"]);
    assert_eq!(told.code, Some(64));
    assert!((told.out + &told.err).contains("sekimori.toml"));
    hospital.folder().write("sekimori.toml", "[facility\nname = 1");
    let told = hospital.run(&["check"]);
    assert_eq!(told.code, Some(64));
    assert!((told.out + &told.err).contains("sekimori.toml:1:"));
}

#[test]
fn certificates_and_policies_that_cannot_be_used_are_mistakes_too() {
    let emr = Upstream::http1();
    for (what, word) in [("wild.pem", "wild.pem"), ("wild.key", "wild.key"), ("extra.cedar", "extra.cedar")] {
        let plan = Plan::with_emr(emr.address()).block("[policy]\nfiles = [\"extra.cedar\"]");
        let hospital = Hospital::build(plan);
        hospital.folder().write("extra.cedar", "");
        hospital.run(&["check"]).ok();
        hospital.folder().write(what, "permit(nonsense");
        let told = hospital.run(&["check"]);
        assert_eq!(told.code, Some(64), "{what}: {} {}", told.out, told.err);
        assert!((told.out + &told.err).contains(word), "{what}");
    }
}

#[test]
fn what_init_writes_is_a_file_without_mistakes_but_for_the_certificates_to_be_put_there() {
    for template in ["clinic", "hospital"] {
        let folder = Folder::new();
        let told = tests::run(folder.path(), &["init", template]).ok();
        let file = folder.join("sekimori.toml");
        assert!(file.exists(), "{}", told.out);
        let again = tests::run(folder.path(), &["init", template]);
        assert_ne!(again.code, Some(0), "a file that is there is not overwritten");
        folder.write("elsewhere/sekimori.toml", "");
        let refused = tests::run(folder.path(), &["init", template, "--dir", "elsewhere"]);
        assert_eq!(refused.code, Some(64), "{}", refused.err);
        assert!(!folder.join("elsewhere/state").exists() && !folder.join("elsewhere/tls").exists());
        let check = tests::run(folder.path(), &["check", "--config", "sekimori.toml"]);
        let said = check.out + &check.err;
        let others: Vec<&str> = said.lines().filter(|line| line.contains("sekimori.toml:")).collect();
        let about_files =
            |line: &&str| ["certificate", "key", "secret", "ca_file"].iter().any(|word| line.contains(word));
        assert!(others.iter().all(about_files), "{said}");
    }
}

#[test]
fn init_lays_the_state_where_the_service_keeps_it() {
    let folder = Folder::new();
    let state = folder.join("var");
    let told =
        tests::run(folder.path(), &["init", "clinic", "--dir", "etc", "--state-dir", state.to_str().unwrap()]).ok();
    let text = std::fs::read_to_string(folder.join("etc/sekimori.toml")).unwrap();
    assert!(text.contains(&format!("state_dir = \"{}\"", state.display())), "{}", told.out);
    assert!(state.join("store.sqlite").exists() && !folder.join("etc/state").exists());
    for strange in ["var", "/srv/a\"b"] {
        let told = tests::run(folder.path(), &["init", "clinic", "--dir", "other", "--state-dir", strange]);
        assert_eq!(told.code, Some(64), "{strange}: {}", told.err);
        assert!(!folder.join("other").exists());
    }
}
