//! The gateway is killed at random moments while many requests are under way. What was answered is in the log.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tests::{Ask, Caller, Session};

use crate::ward::Ward;

const KILLS: usize = 20;
const REQUESTS: usize = 10_000;
const CLIENTS: usize = 8;

#[tokio::test]
async fn killed_twenty_times_under_ten_thousand_requests_it_has_a_line_for_all_it_answered() {
    let mut ward = Ward::open().await;
    let mut random = Random::new();
    eprintln!("seed {}", random.seed());
    let sent = Arc::new(AtomicUsize::new(0));
    let mut answered = Vec::new();
    for kill in 1..=KILLS {
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let work =
                    ask_until_the_end(ward.caller.clone(), ward.doctor.clone(), Arc::clone(&sent), Arc::clone(&stop));
                tokio::spawn(work)
            })
            .collect();
        // Until this share of the requests was sent, and a moment more that nobody can foresee.
        while sent.load(Ordering::Relaxed) < REQUESTS * kill / KILLS {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(random.below(20_000))).await;
        ward.hospital.kill();
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            answered.extend(client.await.unwrap());
        }
        ward.hospital.start();
    }
    assert!(sent.load(Ordering::Relaxed) >= REQUESTS);
    ward.hospital.stop();
    judge(&ward, &answered, KILLS);
}

/// Asks one request after the other until the connection ends; gives the paths that were answered.
pub async fn ask_until_the_end(
    caller: Caller,
    session: Session,
    sent: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
) -> Vec<String> {
    let mut answered = Vec::new();
    let Ok(stream) = caller.connect("emr", &[b"http/1.1"]).await else { return answered };
    drop(stream);
    let mut connection = caller.http1("emr").await;
    while !stop.load(Ordering::Relaxed) {
        let number = sent.fetch_add(1, Ordering::Relaxed);
        let path = format!("/request/{number}");
        // Every tenth writes, so that both ways of keeping a record are killed.
        let method = if number.is_multiple_of(10) { "POST" } else { "GET" };
        let Ok(response) = connection.send(Ask::new(method, "emr", &path).signed_in(&session)).await else { break };
        assert_eq!(response.status(), 200);
        answered.push(path);
        if tests::Answer::read(response).await.is_err() {
            break;
        }
    }
    answered
}

/// Every answered request has a line, nothing reached the app without one, every access ended once, and each kill was
/// put in order.
pub fn judge(ward: &Ward, answered: &[String], kills: usize) {
    let verified = ward.hospital.run(&["audit", "verify", "--format", "json"]).ok().json();
    let records = ward.hospital.records();
    assert_eq!(verified["lines"], records.len());

    let openings = records.with("ev", "open");
    let opened: HashSet<&str> = openings.all().iter().filter_map(|one| one["path"].as_str()).collect();
    let lost: Vec<&String> = answered.iter().filter(|path| !opened.contains(path.as_str())).collect();
    assert!(lost.is_empty(), "{} of {} answered requests have no line: {lost:?}", lost.len(), answered.len());

    let reached: HashSet<String> = ward.emr.seen().into_iter().map(|seen| seen.target).collect();
    let unrecorded: Vec<&String> = reached.iter().filter(|path| !opened.contains(path.as_str())).collect();
    assert!(unrecorded.is_empty(), "reached the app without a record: {unrecorded:?}");

    let mut ends: HashMap<String, Vec<String>> = HashMap::new();
    for close in records.with("ev", "close").all() {
        ends.entry(close["id"].to_string()).or_default().push(close["end"].as_str().unwrap().to_owned());
    }
    for open in openings.all() {
        let end = ends.get(&open["id"].to_string()).map_or(&[][..], Vec::as_slice);
        assert_eq!(end.len(), 1, "{open} ended {end:?}");
    }
    let unknown = ends.values().filter(|end| *end == &["unknown"]).count();
    eprintln!("{} answered, {} lines, {unknown} unknown", answered.len(), records.len());
    assert!(unknown > 0, "kills under load interrupt something");
    // A kill at a moment when nothing is under way leaves nothing to put in order.
    let recovered = records.with("ev", "recovered").len();
    assert!((1..=kills).contains(&recovered), "{recovered} of {kills}");
}

/// A small generator whose seed is printed, so that a failure can be looked at again.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        let mut seed = [0; 8];
        aws_lc_rs::rand::fill(&mut seed).unwrap();
        Self(u64::from_le_bytes(seed) | 1)
    }

    /// By which a failure can be looked at again.
    pub fn seed(&self) -> u64 {
        self.0
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
