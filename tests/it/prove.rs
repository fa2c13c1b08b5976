//! What must never happen, proved: the solver finds the hole that was planted, the running gateway really lets its
//! request through, and once the hole is mended its absence is proved.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::{Ask, Device, Folder, Hospital, Plan, Session, Upstream, eventually, sekimori};

/// Vendors look after the EMR's server under a grant; and somebody lets everyone who signed in see who is at work.
const HOLE: &str = r#"
[roles]
nurse = { ja = "看護師", en = "Nurse" }
vendor = { ja = "保守業者", en = "Vendor" }

[[rule]]
id = "nurses-read"
roles = ["nurse"]
apps = ["emr"]
actions = ["read"]
devices = "known"

[[rule]]
id = "vendors-maintain"
roles = ["vendor"]
apps = ["emr"]
actions = ["read", "write"]
devices = "known"
grant = true

[[rule]]
id = "everybody-sees-the-roster"
roles = "signed-in"
apps = ["emr"]
actions = ["read"]
classes = ["roster"]
"#;

const STATEMENTS: &str = r#"
[[statement]]
id = "vendors-need-a-grant"
says = { ja = "業者は、許可なしに電子カルテに届かない", en = "no vendor reaches the EMR without an active grant" }
never = { roles = ["vendor"], apps = ["emr"], grant = false }

[[statement]]
id = "writes-need-a-device"
says = { ja = "台帳にない端末からは書けない", en = "every write needs an enrolled device" }
never = { actions = ["write"], devices_not = "known" }
"#;

const ROUTES: &str = "[[app.route]]\npaths = [\"/roster/{day}\"]\nclass = \"roster\"\n";

fn prover() -> PathBuf {
    let program = sekimori().with_file_name("sekimori-prove");
    assert!(program.is_file(), "{} is missing: run `cargo build -p prove` first", program.display());
    program
}

/// What became of each statement of a hospital, by its id.
fn proved(folder: &Path, words: &[&str]) -> (Option<i32>, Vec<Value>) {
    let output = Command::new(prover())
        .args(["--config", "sekimori.toml", "--format", "json"])
        .args(words)
        .current_dir(folder)
        .output()
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines = out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line} {told}")));
    (output.status.code(), lines.collect())
}

fn with_hole(emr: &Upstream) -> Plan {
    Plan::new()
        .app("emr", emr.address(), ROUTES)
        .set("classes", "roster = { ja = \"勤務表\", en = \"Roster\" }")
        .set("policy", "statements = [\"never.toml\"]")
        .rules(HOLE)
}

#[tokio::test]
async fn the_hole_that_is_found_is_open_and_once_mended_is_proved_to_be_gone() {
    let emr = Upstream::http1();
    let mut hospital = Hospital::build(with_hole(&emr));
    hospital.folder().write("never.toml", STATEMENTS);
    hospital.start();

    let (code, findings) = proved(hospital.folder().path(), &[]);
    assert_eq!((code, findings.len()), (Some(1), 2), "{findings:?}");
    assert_eq!(findings[1]["outcome"], "proved");
    let hole = &findings[0];
    assert_eq!((&hole["statement"], &hole["outcome"]), (&"vendors-need-a-grant".into(), &"broken".into()));
    let request = &hole["detail"];
    assert_eq!(request["rule"], "everybody-sees-the-roster");
    assert_eq!((&request["person"]["roles"], &request["grant"]), (&serde_json::json!(["vendor"]), &Value::Null));

    // The same, really sent.
    let device = match request["device"]["class"].as_str() {
        Some(class) => Some(Device::add(&hospital, "found-device", class).await),
        None => None,
    };
    let vendor = Session::open(&hospital, "vendor", device.as_ref(), &["emr"]).await;
    let caller = device.as_ref().map_or_else(|| hospital.stranger(), |device| hospital.caller(device));
    let (method, path) = (request["method"].as_str().unwrap(), request["path"].as_str().unwrap());
    let ask = || Ask::new(method, "emr", path).signed_in(&vendor);
    caller.ask(ask()).await.expect(200);
    caller.ask(Ask::get("emr", "/notes/1").signed_in(&vendor)).await.expect(403);

    // Mended by a rule that forbids, and proved.
    let forbid = "@id(\"no-vendor-without-a-grant\") forbid (principal in Sekimori::Role::\"vendor\", action, resource) \
                  when { context.grant == \"\" };";
    hospital.folder().write("vendors.cedar", forbid);
    let mended = hospital.plan().clone().set("policy", "files = [\"vendors.cedar\"]");
    hospital.reload(mended);
    eventually("the mended rules", async || (caller.ask(ask()).await.status == 403).then_some(())).await;
    let (code, findings) = proved(hospital.folder().path(), &[]);
    assert_eq!(code, Some(0), "{findings:?}");
}

/// The example in `deploy/hospital`, in a folder of its own, with a certificate.
fn example() -> Folder {
    let folder = Folder::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy/hospital");
    for file in ["sekimori.toml", "vendors.cedar", "holidays.txt", "policy.tests.toml", "policy.statements.toml"] {
        folder.write(file, std::fs::read_to_string(example.join(file)).unwrap());
    }
    std::fs::create_dir(folder.join("tls")).unwrap();
    let authority = tests::Authority::new();
    let files = authority.issue(folder.path(), "wild", &["*.minato.example.jp"]);
    std::fs::copy(files.certificate, folder.join("tls/chain.pem")).unwrap();
    std::fs::copy(files.key, folder.join("tls/key.pem")).unwrap();
    folder
}

#[test]
fn the_hospital_in_deploy_is_checked_tested_shown_linted_and_proved() {
    let folder = example();
    let run = |words: &[&str]| tests::run(folder.path(), words).ok().out;
    let checked = run(&["check"]);
    assert!(checked.contains("9 of 9 proved") && checked.contains("good"), "{checked}");
    assert!(run(&["policy", "test"]).contains("16"));
    let sheet = run(&["policy", "show", "--format", "csv", "--lang", "ja"]);
    assert!(sheet.contains("診療放射線技師") && sheet.contains("電子カルテ"), "{sheet}");
    run(&["policy", "lint"]);
    let proved = run(&["policy", "prove", "--lang", "ja"]);
    assert!(proved.contains("9 件のうち 9 件を証明"), "{proved}");
}

#[test]
fn a_wider_proposal_for_the_hospital_in_deploy_is_found_before_it_is_in_force() {
    let folder = example();
    let text = std::fs::read_to_string(folder.join("sekimori.toml")).unwrap();
    let at = text.find("id = \"clerks-book\"").unwrap();
    let (before, rest) = text.split_at(at);
    folder.write("proposed.toml", before.to_owned() + &rest.replacen("devices = \"known\"", "devices = \"any\"", 1));
    let words = ["policy", "prove", "--config", "proposed.toml", "--lang", "en"];
    let run = tests::run(folder.path(), &words);
    assert_eq!(run.code, Some(1), "{run:?}");
    for told in
        ["BROKEN  writes-need-an-enrolled-device", "the rule `clerks-book`", "a device that is not in the ledger"]
    {
        assert!(run.out.contains(told), "{told}: {}", run.out);
    }
    let against = |config: &str, last: &str| {
        tests::run(folder.path(), &["policy", "prove", "--config", config, "--last", last]).code
    };
    assert_eq!(against("proposed.toml", "sekimori.toml"), Some(1));
    assert_eq!(against("sekimori.toml", "proposed.toml"), Some(0));
}

#[test]
fn without_a_solver_prove_says_how_to_get_it_and_check_goes_on() {
    let folder = example();
    let run = |words: &[&str]| {
        let output = Command::new(sekimori()).args(words).env("CVC5", "/nowhere").current_dir(folder.path()).output();
        let output = output.unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (code, said) = run(&["policy", "prove", "--lang", "en"]);
    assert!(code == Some(69) && said.contains("apt install cvc5"), "{said}");
    let (code, said) = run(&["check"]);
    assert!(code == Some(0) && said.contains("apt install cvc5") && said.contains("good"), "{said}");
}
