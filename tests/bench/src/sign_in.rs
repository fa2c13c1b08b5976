//! Sign-ins by passkey: each asks for a question and answers it, over connections of its own, so that two TLS handshakes,
//! a ceremony, a signature check, a new session and its record are in every figure. The gateway has both processors, and
//! shares them with this load.

use std::cell::RefCell;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tests::{Authenticator, Hospital, Manner, Person, Plan, Upstream};
use tokio::task::spawn_local;

use crate::gauge;

/// What a hospital asks for at the change of shifts.
const WANTED_PER_SECOND: u32 = 20;
/// People, each with a key.
const PEOPLE: usize = 20;
/// Sign-ins at once when as many are made as can be.
const AT_ONCE: usize = 16;

/// Measures at the wanted rate, then as fast as it goes.
pub async fn run(seconds: f64) {
    let emr = Upstream::http1();
    let mut hospital = Hospital::build(Plan::with_emr(emr.address()).with_directory());
    hospital.start();
    let pid = hospital.pid().to_string();
    let freed = Command::new("taskset").args(["-a", "-c", "-p", "0,1", &pid]).output().unwrap();
    assert!(freed.status.success(), "the gateway could not be given both processors");
    let mut keys = Vec::new();
    for number in 0..PEOPLE {
        let (key, code) = (hospital.key(), hospital.add_person(&format!("clerk-{number}"), "試験", "clerk"));
        Person::by_key(&hospital.stranger(), &key).enrol(&code, &key, &Manner::default()).await.expect(200);
        keys.push(key);
    }
    let span = Duration::from_secs_f64(seconds);
    println!("load average: {}", gauge::load_average());
    paced(&hospital, &keys, span).await;
    flat_out(&hospital, &keys, span).await;
}

async fn sign_in(person: &mut Person, key: &Authenticator) -> Duration {
    let begin = Instant::now();
    person.prove(key, &Manner::default(), &sign_in_facts()).await.expect(200);
    begin.elapsed()
}

fn sign_in_facts() -> serde_json::Value {
    serde_json::json!({ "for": "sign-in" })
}

/// One begins every 50 ms, whether or not the one before is done. No key is used twice at once.
async fn paced(hospital: &Hospital, keys: &[Authenticator], span: Duration) {
    let spans = Rc::new(RefCell::new(Vec::new()));
    let (begin, mut tasks) = (Instant::now(), Vec::new());
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / WANTED_PER_SECOND);
    for number in 0.. {
        if begin.elapsed() >= span {
            break;
        }
        ticks.tick().await;
        let key = keys[number % keys.len()].clone();
        let (mut person, spans) = (Person::by_key(&hospital.stranger(), &key), Rc::clone(&spans));
        tasks.push(spawn_local(async move {
            let took = sign_in(&mut person, &key).await;
            spans.borrow_mut().push(took);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    tell(&format!("at {WANTED_PER_SECOND} a second"), &mut spans.borrow_mut(), begin.elapsed());
}

async fn flat_out(hospital: &Hospital, keys: &[Authenticator], span: Duration) {
    let spans = Rc::new(RefCell::new(Vec::new()));
    let begin = Instant::now();
    let workers: Vec<_> = keys
        .iter()
        .take(AT_ONCE)
        .map(|key| {
            let (key, spans) = (key.clone(), Rc::clone(&spans));
            let person = Person::by_key(&hospital.stranger(), &key);
            spawn_local(async move {
                while begin.elapsed() < span {
                    let took = sign_in(&mut person.clone().afresh(), &key).await;
                    spans.borrow_mut().push(took);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    tell(&format!("{AT_ONCE} at once"), &mut spans.borrow_mut(), begin.elapsed());
}

fn tell(what: &str, spans: &mut [Duration], whole: Duration) {
    spans.sort_unstable();
    let part = |hundredth: usize| spans[(spans.len() * hundredth / 100).min(spans.len() - 1)].as_millis();
    let rate = spans.len() as f64 / whole.as_secs_f64();
    println!("sign-ins by passkey, {what}: {rate:.1}/s, p50 {} ms, p99 {} ms, of {}", part(50), part(99), spans.len());
}
