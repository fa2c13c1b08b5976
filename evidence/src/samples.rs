//! The forms that the hospital's auditors and their systems expect, against what is produced: for each wanted sample
//! (`samples/wanted`) there is a line of the log (`samples/lines.jsonl`) and what it renders to (`samples/*.xml`,
//! `*.json`), kept as it was produced. Run with `WRITE_SAMPLES=1` to write them anew.
//!
//! A sample is compared by meaning: everything that it says must be said, but for what is listed with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use audit::{Entry, EntryKind, Story};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use policy::Timestamp;
use serde_json::Value;

use crate::testing::house;
use crate::{dicom, fhir};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

/// The story that begins with this line.
fn story(seq: u64) -> Story {
    let lines = read("lines.jsonl");
    let entries: Vec<Entry> = lines.lines().map(|line| Entry::read(line.as_bytes()).unwrap()).collect();
    let begin = entries.iter().find(|entry| entry.seq == seq).unwrap().clone();
    let end = entries.iter().find(|entry| entry.kind == EntryKind::Close && entry.request == begin.request).cloned();
    Story { begin, end }
}

/// What is produced is what is kept.
fn is_kept(name: &str, produced: &str) {
    if std::env::var_os("WRITE_SAMPLES").is_some() {
        std::fs::write(folder().join(name), produced).unwrap();
    }
    assert_eq!(produced, read(name), "{name}");
}

/// Everything that is wanted is said, but for what is excepted: the beginning of what is said, and why it is not ours.
fn says_all(wanted: &BTreeSet<String>, produced: &BTreeSet<String>, excepted: &[(&str, &str)]) {
    let is_excepted = |said: &String| excepted.iter().any(|(beginning, _)| said.starts_with(beginning));
    let unsaid: Vec<_> = wanted.difference(produced).filter(|said| !is_excepted(said)).collect();
    assert!(unsaid.is_empty(), "not said: {unsaid:#?}\nproduced: {produced:#?}");
    for (beginning, _) in excepted {
        let needed = wanted.difference(produced).any(|said| said.starts_with(beginning));
        assert!(needed, "`{beginning}` is excepted and need not be");
    }
}

/// A moment counts by when it is, whatever clock it is written in.
fn plain(value: &str) -> String {
    Timestamp::parse_rfc3339(value).map_or_else(|| value.to_owned(), |at| at.to_string())
}

mod xml {
    use super::{BTreeMap, BTreeSet, plain};

    #[derive(Debug, Default)]
    pub(super) struct Element {
        pub(super) name: String,
        pub(super) attributes: BTreeMap<String, String>,
        pub(super) children: Vec<Element>,
        pub(super) text: String,
    }

    /// Reads the XML that the samples are in: elements, attributes, texts.
    pub(super) fn parse(text: &str) -> Element {
        let mut stack = vec![Element::default()];
        let mut rest = text.split_once("?>").unwrap().1;
        while let Some((before, after)) = rest.split_once('<') {
            stack.last_mut().unwrap().text.push_str(before.trim());
            let (tag, after) = after.split_once('>').unwrap();
            rest = after;
            if tag.starts_with('/') {
                let done = stack.pop().unwrap();
                stack.last_mut().unwrap().children.push(done);
                continue;
            }
            let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
            let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
            let mut element = Element { name: name.to_owned(), ..Element::default() };
            while let Some((key, after)) = attributes.split_once("=\"") {
                let (value, after) = after.split_once('"').unwrap();
                element.attributes.insert(key.trim().to_owned(), value.replace("&amp;", "&"));
                attributes = after;
            }
            if is_empty { stack.last_mut().unwrap().children.push(element) } else { stack.push(element) }
        }
        stack.remove(0).children.remove(0)
    }

    impl Element {
        fn attribute(&self, name: &str) -> &str {
            self.attributes.get(name).map_or("", String::as_str)
        }

        fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
            self.children.iter().filter(move |child| child.name == name)
        }

        fn code(&self) -> String {
            ["csd-code", "codeSystemName", "originalText"].map(|name| self.attribute(name)).join("|")
        }

        /// What a message says, each on its own.
        pub(super) fn says(&self) -> BTreeSet<String> {
            let mut says = BTreeSet::new();
            let mut say = |who: &str, what: &str, value: &str| {
                says.insert(format!("{who} {what}={}", plain(value)));
            };
            for part in &self.children {
                let who = match part.name.as_str() {
                    "ActiveParticipant" => format!("participant {}", part.attribute("UserID")),
                    "ParticipantObjectIdentification" => {
                        let role = part.attribute("ParticipantObjectTypeCodeRole");
                        format!("object {}/{role}", part.attribute("ParticipantObjectTypeCode"))
                    }
                    other => other.to_owned(),
                };
                part.attributes.iter().for_each(|(name, value)| say(&who, name, value));
                for child in &part.children {
                    if child.name == "ParticipantObjectDetail" {
                        let bytes = super::decoded(child.attribute("value"));
                        say(&who, child.attribute("type"), &bytes);
                    } else if child.attributes.contains_key("csd-code") {
                        say(&who, &child.name, &child.code());
                    } else {
                        say(&who, &child.name, &child.text);
                    }
                }
            }
            assert_eq!(self.all("EventIdentification").count(), 1);
            says
        }
    }
}

fn decoded(text: &str) -> String {
    String::from_utf8(BASE64.decode(text).unwrap()).unwrap()
}

fn dicom_sample(name: &str, seq: u64, excepted: &[(&str, &str)]) {
    let messages = dicom::messages(&story(seq), &house());
    assert_eq!(messages.len(), 1);
    is_kept(name, &messages[0]);
    let wanted = xml::parse(&read(&format!("wanted/{name}"))).says();
    says_all(&wanted, &xml::parse(&messages[0]).says(), excepted);
}

#[test]
fn a_read_is_told_as_wanted() {
    dicom_sample(
        "patient_read.xml",
        100,
        &[
            ("participant dev-3f-tab-017 AlternativeUserID", "lines of accesses name the device, not its certificate"),
            ("participant dev-3f-tab-017 UserName", "lines name the device by its id"),
            ("participant https://emr.gw.hosp.example.jp NetworkAccessPointID", "lines name the host that was asked"),
            ("participant n.sato@hosp.example.jp RoleIDCode", NAMES),
        ],
    );
}

#[test]
fn a_search_is_told_as_wanted() {
    dicom_sample(
        "query.xml",
        102,
        &[
            ("participant https://pacs.gw.hosp.example.jp NetworkAccessPointID", "lines name the host that was asked"),
            ("object 1/1 ParticipantObjectID", "with its system, as in the other samples"),
            ("object 2/24 ParticipantObjectQuery", "queries are not recorded; the path is"),
        ],
    );
}

#[test]
fn a_failed_sign_in_is_told_as_wanted() {
    dicom_sample(
        "login.xml",
        104,
        &[
            ("participant gw01.hosp.example.jp UserName", "the node's id says it"),
            ("participant t.suzuki@hosp.example.jp RoleIDCode", NAMES),
        ],
    );
}

#[test]
fn an_emergency_is_told_as_wanted() {
    dicom_sample(
        "breakglass.xml",
        105,
        &[
            ("participant gw01.hosp.example.jp UserIsRequestor", "the node reports, as in the vendor's sample"),
            ("object 2/13 ParticipantObjectID", "our own names"),
            ("object 2/13 ParticipantObjectName", "the log's word for what happened"),
        ],
    );
}

#[test]
fn a_vendors_session_is_told_as_wanted() {
    dicom_sample("vendor_start.xml", 106, &[("object 2/13 ParticipantObjectName", "the log's word for what happened")]);
}

/// What an event says, each on its own: agents and entities by what they are.
fn says(event: &Value) -> BTreeSet<String> {
    fn leaves(path: &str, value: &Value, says: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| leaves(&format!("{path}.{name}"), value, says));
            }
            Value::Array(items) => items.iter().for_each(|item| leaves(path, item, says)),
            Value::String(text) => {
                says.insert(format!("{path}={}", plain(text)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                says.insert(format!("{path}={value}"));
            }
        }
    }
    let mut all = BTreeSet::new();
    for (name, value) in event.as_object().unwrap() {
        for part in value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]) {
            let kind = match name.as_str() {
                "agent" => part["type"]["coding"][0]["code"].as_str().unwrap().to_owned(),
                "entity" => part["role"]["code"].as_str().or_else(|| part["type"]["code"].as_str()).unwrap().to_owned(),
                _ => String::new(),
            };
            leaves(&format!("{name}{kind}"), &part, &mut all);
        }
    }
    all
}

fn fhir_sample(name: &str, seq: u64, excepted: &[(&str, &str)]) {
    let events = fhir::events(&story(seq), &house());
    assert_eq!(events.len(), 1);
    is_kept(name, &format!("{}\n", events[0]));
    let wanted: Value = serde_json::from_str(&read(&format!("wanted/{name}"))).unwrap();
    says_all(&says(&wanted), &says(&events[0]), excepted);
}

const NAMES: &str = "names of our own are in our own systems";

#[test]
fn a_read_is_told_as_wanted_in_fhir() {
    fhir_sample(
        "patient_read.json",
        100,
        &[
            (
                "meta.profile=https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.OAUTH",
                "no token is passed on",
            ),
            ("agent110150", "no token is passed on"),
            ("agentIRCP.policy", NAMES),
            ("agentIRCP.purposeOfUse", "lines do not say what for"),
            ("agentIRCP.role.coding.system", NAMES),
            ("agentIRCP.who.display", "the name, where there is one"),
            ("agentIRCP.who.identifier.system", "the log's id of a person is not their provider's"),
            ("agent110152.type.coding.display", "words beside a code"),
            ("agent110152.who.display", "lines name the device by its id"),
            ("agent110152.who.identifier.system", NAMES),
            ("agent110153.type.coding.display", "words beside a code"),
            ("agent110153.who.identifier.system", NAMES),
            ("agent110153.network.address", "the host; the path is in the entity"),
            ("source.observer", NAMES),
            ("entity1.role.display", "words beside a code"),
            ("entity4.role.display", "words beside a code"),
        ],
    );
}

#[test]
fn a_refusal_is_told_as_wanted_in_fhir() {
    fhir_sample(
        "deny.json",
        107,
        &[
            ("outcomeDesc", "reasons are codes of a closed list"),
            ("agent110150.who.identifier.system", NAMES),
            ("agentIRCP.who.identifier.system", "the log's id of a person is not their provider's"),
            ("agentauthserver.who.identifier", NAMES),
            ("source.observer", NAMES),
            ("entity4.what.identifier.value", "the whole address"),
        ],
    );
}
