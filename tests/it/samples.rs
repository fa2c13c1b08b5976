//! Every sample of what auditors and their systems expect, told by the gateway to a real rsyslog over mutual TLS. What
//! rsyslog received is what stands in `evidence/samples`, and judges that know nothing of us find nothing wrong with it.
//!
//! The log that is told lies there when the gateway starts, with the samples' lines at their numbers.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tests::{Hospital, Plan, Receiver, eventually_in};

use crate::judges;

const DICOM: &str = " DICOM+RFC3881 - \u{feff}";
const FHIR: &str = " FHIR+AuditEvent - ";
/// The first of the samples' lines.
const FIRST: u64 = 100;
const PATIENCE: Duration = Duration::from_secs(90);

const ROLES: &str = r#"
[roles]
nurse = { ja = "看護師", en = "Nurse" }
physician = { ja = "医師", en = "Physician" }

[[rule]]
id = "reads"
roles = ["nurse", "physician"]
apps = "all"
actions = ["read"]
devices = "known"
"#;

/// The house of the samples, but for its domain, which is that of all tests.
fn house(receiver: &Receiver) -> Hospital {
    let app = |id: &str, name: &str| {
        format!(
            "[[app]]\nid = \"{id}\"\nname = \"{name}\"\nhost = \"{id}.hospital.test\"\nupstreams = [\"http://127.0.0.1:9\"]"
        )
    };
    let feed = |id: &str, format: &str| {
        let (address, trust) = (receiver.address(), receiver.trust());
        format!(
            "[[audit.feed]]\nid = \"{id}\"\naddress = \"{address}\"\nsettle = \"1s\"\nformat = \"{format}\"\n{trust}"
        )
    };
    let plan = Plan::new()
        .set("facility", "name = \"関守病院\"")
        .set("facility", "code = \"1310000001\"")
        .set("audit", "origin = \"gw01.hosp.example.jp\"")
        .block(&app("emr", "電子カルテ"))
        .block(&app("pacs", "画像"))
        .block(&feed("repository", "dicom-xml"))
        .block(&feed("events", "fhir"))
        .rules(ROLES);
    let hospital = Hospital::build(plan);
    let mut lines: String = (0..FIRST).fold(String::new(), |mut text, seq| {
        let line = r#""ts":"2025-03-31T00:00:00.000000Z","ev":"signed-out","login":"n.sato""#;
        writeln!(text, r#"{{"v":1,"seq":{seq},{line}}}"#).unwrap();
        text
    });
    lines.push_str(&fs::read_to_string(samples().join("lines.jsonl")).unwrap());
    hospital.folder().write("state/audit/segments/00000000000000000000.jsonl", lines);
    hospital
}

fn samples() -> PathBuf {
    judges::root().join("evidence/samples")
}

/// The samples whose names end so, as they are kept, in the domain of all tests.
fn kept(end: &str) -> Vec<(String, String)> {
    let files = fs::read_dir(samples()).unwrap().map(|entry| entry.unwrap().path());
    let mut kept: Vec<(String, String)> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == end))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let text = ["n.sato", "t.suzuki", "k.mori"].iter().fold(text, |text, login| {
                text.replace(&format!("\"{login}@hosp.example.jp\""), &format!("\"{login}@hospital.test\""))
            });
            (path.file_name().unwrap().to_str().unwrap().to_owned(), text.trim_end().to_owned())
        })
        .collect();
    kept.sort();
    kept
}

/// What was received of one kind.
fn received(receiver: &Receiver, kind: &str) -> Vec<String> {
    let text = |message: &String| Some(message.split_once(kind)?.1.to_owned());
    receiver.messages().iter().filter_map(text).collect()
}

/// Waits until every sample was received, and has all that was received judged.
async fn all_arrive(hospital: &Hospital, receiver: &Receiver) {
    for (kind, end, count) in [(DICOM, "xml", 5), (FHIR, "json", 2)] {
        let wanted = kept(end);
        assert_eq!(wanted.len(), count, "{wanted:?}");
        for (name, text) in &wanted {
            eventually_in(PATIENCE, name, async || received(receiver, kind).contains(text).then_some(())).await;
        }
    }
    let messages: Vec<PathBuf> = (0..)
        .zip(received(receiver, DICOM))
        .map(|(number, text)| hospital.folder().write(&format!("received/{number}.xml"), text))
        .collect();
    assert!(messages.len() > 100, "{}", messages.len());
    assert_eq!(judges::dicom(&messages), Ok(()));
    let events = received(receiver, FHIR);
    assert!(events.len() > 100, "{}", events.len());
    let events = hospital.folder().write("received/events", events.join("\n") + "\n");
    assert_eq!(judges::fhir(&[&events]), Ok(()));
}

#[tokio::test]
async fn a_real_receiver_gets_every_sample_and_judges_find_nothing_wrong() {
    let receiver = Receiver::start();
    let mut hospital = house(&receiver);
    hospital.start();
    all_arrive(&hospital, &receiver).await;
    assert!(hospital.stop().success());
    let verified = hospital.run(&["audit", "verify", "--format", "json"]).ok().json();
    assert_eq!(verified["lines"], verified["lines_signed"]);
}

#[tokio::test]
async fn a_receiver_that_was_away_gets_every_sample_when_it_is_back() {
    let mut receiver = Receiver::away();
    let mut hospital = house(&receiver);
    hospital.start();
    eventually_in(PATIENCE, "both feeds wait", async || {
        let told = hospital.run(&["audit", "feed", "status", "--format", "json"]).ok().lines();
        let waits = |one: &serde_json::Value| one["problem"].is_string() && one["waiting"].as_u64() > Some(100);
        (told.len() == 2 && told.iter().all(waits)).then_some(())
    })
    .await;
    receiver.start_again();
    all_arrive(&hospital, &receiver).await;
}
