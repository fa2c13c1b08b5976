//! A reload of a large hospital, under load: 3,000 rules, 5,000 people, 4,000 devices. It tells how long it took; nobody is
//! judged by half a policy, and no connection is dropped.
//!
//! Not among the usual tests, as it measures: `cargo nextest run -p tests --run-ignored only -E 'test(a_large_policy)'
//! --no-capture`, with `--release` for figures that count.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use policy::{DeviceClass, DeviceId, ProviderId, RoleId, Timestamp};
use store::{DeviceRecord, DeviceWrite, Person, PersonWrite, Sqlite, Store as _};
use tests::{Ask, Caller, Session, eventually};

use crate::ward::Ward;

const RULES: usize = 3_000;
const PEOPLE: usize = 5_000;
const DEVICES: usize = 4_000;
const ROLES: usize = 60;
const RELOADS: usize = 5;
/// What a reload may take.
const BOUND: Duration = Duration::from_secs(1);

/// Rules of one of two versions: doctors read below `/a` by the one, and below `/b` by the other. Every rule bears the
/// version's name.
fn rules(version: char) -> String {
    let mut text = String::from("[roles]\ndoctor = { ja = \"医師\", en = \"Doctor\" }\n");
    for role in 0..ROLES {
        text.push_str(&format!("role{role} = {{ ja = \"職種{role}\", en = \"Role {role}\" }}\n"));
    }
    let known = "apps = [\"emr\"]\ndevices = \"known\"";
    text.push_str(&format!(
        "[[rule]]\nid = \"doctors-{version}\"\nroles = [\"doctor\"]\nactions = [\"read\"]\npaths = [\"/{version}/*\"]\n{known}\n"
    ));
    for number in 1..RULES {
        let role = number % ROLES;
        let actions = if number % 3 == 0 { "[\"read\", \"write\"]" } else { "[\"read\"]" };
        let hours = if number % 4 == 0 { "days = [\"mon\", \"tue\"]\nhours = \"08:30-17:30\"\n" } else { "" };
        let assurance = if number % 5 == 0 { "assurance = \"aal2\"\n" } else { "" };
        text.push_str(&format!(
            "[[rule]]\nid = \"rule-{number}-{version}\"\nroles = [\"role{role}\"]\nactions = {actions}\n\
             paths = [\"/{version}/{number}/*\"]\n{hours}{assurance}{known}\n"
        ));
    }
    text
}

/// People and devices as a large hospital has them.
async fn fill(ward: &Ward) {
    let store = Sqlite::open(ward.hospital.folder().join("state/store.sqlite")).unwrap();
    let at = Timestamp::from_unix_micros(1_795_000_000_000_000);
    let person = |number: usize| {
        let login = format!("person-{number}");
        let role = RoleId::parse(&format!("role{}", number % ROLES)).unwrap();
        PersonWrite::Add(Person {
            id: identity::user_id("https://idp.hospital.test", &login),
            issuer: "https://idp.hospital.test".to_owned(),
            subject: login.clone(),
            provider: ProviderId::parse("test").unwrap(),
            name: format!("職員 {number}"),
            login,
            roles: vec![role],
            unit: String::new(),
            added_at: at,
            seen_at: at,
            confirmed_at: at,
            disabled: None,
        })
    };
    let device = |number: usize| {
        let id = DeviceId::parse(&format!("device-{number}")).unwrap();
        DeviceWrite::Add(DeviceRecord::new(id, DeviceClass::Fixed, at))
    };
    store.write_people((0..PEOPLE).map(person).collect(), at, "test".to_owned()).await.unwrap();
    store.write_devices((0..DEVICES).map(device).collect(), at, "test".to_owned()).await.unwrap();
}

/// Asks for both paths in turn, on connections that are kept, until told to stop.
async fn ask_on(caller: Caller, doctor: Arc<Session>, stop: Arc<AtomicBool>, asked: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        for path in ["/a/1", "/b/1"] {
            let answer = caller.ask(Ask::get("emr", path).signed_in(&doctor)).await;
            assert!(matches!(answer.status, 200 | 403), "{path}: {}", answer.status);
            asked.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn until_allowed(ward: &Ward, path: &str) {
    let ask = async || (ward.caller.ask(ward.get(path)).await.status == 200).then_some(());
    eventually("the other version", ask).await;
}

#[tokio::test]
#[ignore = "it measures"]
async fn a_large_policy_is_reloaded_whole_and_nobody_notices() {
    let mut ward = Ward::open_with(|plan| plan.rules(&rules('a'))).await;
    fill(&ward).await;
    until_allowed(&ward, "/a/1").await;
    let doctor = Arc::new(Session::open(&ward.hospital, "doctor", Some(&ward.terminal), &["emr"]).await);
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let asking: Vec<_> = (0..4)
        .map(|_| {
            let caller = ward.hospital.caller(&ward.terminal);
            tokio::spawn(ask_on(caller, Arc::clone(&doctor), Arc::clone(&stop), Arc::clone(&asked)))
        })
        .collect();
    let mut took = Vec::new();
    for reload in 0..RELOADS {
        let version = if reload % 2 == 0 { 'b' } else { 'a' };
        let plan = ward.hospital.plan().clone().rules(&rules(version));
        let started = Instant::now();
        ward.hospital.reload(plan);
        until_allowed(&ward, &format!("/{version}/1")).await;
        took.push(started.elapsed());
    }
    stop.store(true, Ordering::Relaxed);
    for one in asking {
        one.await.expect("every request was answered");
    }
    println!(
        "{RULES} rules, {PEOPLE} people, {DEVICES} devices, {} requests meanwhile:",
        asked.load(Ordering::Relaxed)
    );
    println!("from the signal to the first answer of the new version: {took:?}");
    every_judgment_is_of_one_version(&ward);
    if !cfg!(debug_assertions) {
        took.sort();
        assert!(took.get(RELOADS / 2).is_some_and(|median| *median < BOUND), "{took:?}");
    }
}

/// Each record names the version that judged; by one version only one of the two paths is allowed, by its own rule.
fn every_judgment_is_of_one_version(ward: &Ward) {
    let records = ward.hospital.records();
    let mut seen = BTreeSet::new();
    for event in ["open", "refused"] {
        for record in records.with("ev", event).all() {
            let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
            let path = text("path");
            if let Some(version) = path.strip_prefix('/').and_then(|path| path.chars().next())
                && matches!(path.as_str(), "/a/1" | "/b/1")
            {
                seen.insert((text("pol"), event, version, text("rule")));
            }
        }
    }
    let revisions: BTreeSet<&String> = seen.iter().map(|(revision, ..)| revision).collect();
    assert_eq!(revisions.len(), 2, "{seen:?}");
    for revision in revisions {
        let of_it = || seen.iter().filter(|(of, ..)| of == revision);
        let allowed: BTreeSet<_> = of_it().filter(|(_, event, ..)| *event == "open").collect();
        assert_eq!(allowed.len(), 1, "one version allows one path by one rule: {seen:?}");
        let Some((_, _, version, rule)) = allowed.first() else { continue };
        assert_eq!(*rule, format!("doctors-{version}"));
        let own = |rule: &str| rule.ends_with(&format!("-{version}")) || rule == "default-deny";
        assert!(of_it().all(|(_, _, _, rule)| own(rule)), "no rule of the other version is named: {seen:?}");
    }
}
