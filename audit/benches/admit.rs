//! How many accesses a second one worker can record: opening line, closing line, nothing else.
//!
//! `cargo bench -p audit`. Each sample records a burst of accesses on a current-thread runtime, as a worker does with
//! the requests that are ready together; every one is in the file before its act.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark stops where it cannot go on"
)]

use std::sync::Arc;
use std::time::Duration;

use audit::{End, Log, Outcome, Recorder};
use config::OnLogFailure;
use divan::counter::ItemsCount;
use policy::{
    Access, Action, AppFacts, AppId, Apps, Assurance, Authorized, Clock, ConsoleRoles, Devices, Durability, Effect,
    Host, Judge, Method, Methods, Path, Policy, PolicySource, ProviderId, RequestId, Revision, RoleId, Rule, RuleId,
    SessionId, Subjects, Timestamp, UserId, UtcOffset, Verdict, Who, ZoneId,
};

const ACCESSES: usize = 2_048;

fn main() {
    divan::main();
}

/// Reads, `Written`, so many requests ready together.
#[divan::bench(args = [1, 16, 64, 256])]
fn written(bencher: divan::Bencher<'_, '_>, together: usize) {
    run(bencher, Action::Read, together);
}

/// Writes, `Synced`, so many requests ready together.
#[divan::bench(args = [64, 256], sample_count = 20)]
fn synced(bencher: divan::Bencher<'_, '_>, together: usize) {
    run(bencher, Action::Write, together);
}

fn run(bencher: divan::Bencher<'_, '_>, action: Action, together: usize) {
    let directory = std::env::temp_dir().join(format!("sekimori-audit-bench-{}-{together}", std::process::id()));
    let log = open(&directory);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let local = tokio::task::LocalSet::new();
    let recorder = log.recorder();
    bencher
        .counter(ItemsCount::new(ACCESSES))
        .with_inputs(|| authorized(action))
        .bench_local_values(|accesses| local.block_on(&runtime, record(&recorder, accesses, together)));
    drop((recorder, log));
    drop(std::fs::remove_dir_all(&directory));
}

/// So many tasks, each with its share of the accesses, one after the other.
async fn record(recorder: &Recorder, accesses: Vec<Authorized<()>>, together: usize) {
    let mut shares: Vec<Vec<Authorized<()>>> = (0..together).map(|_| Vec::new()).collect();
    for (place, access) in accesses.into_iter().enumerate() {
        shares[place % together].push(access);
    }
    let tasks: Vec<_> = shares
        .into_iter()
        .map(|share| {
            let recorder = recorder.clone();
            tokio::task::spawn_local(async move {
                for access in share {
                    let (_, receipt) = recorder.admit(access, OnLogFailure::Refuse).await.unwrap().open();
                    let duration = Duration::from_micros(700);
                    let outcome =
                        Outcome { status: Some(200), end: End::Served, bytes_in: 0, bytes_out: 1_024, duration, patients: None };
                    receipt.close(outcome);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

fn clock() -> Clock {
    Clock::new(|| Timestamp::from_unix_micros(1_795_215_600_000_000))
}

fn open(directory: &std::path::Path) -> Log {
    let config = config::Audit {
        directory: directory.join("log"),
        origin: "sekimori.example/bench".into(),
        segment_bytes_max: 256 * 1024 * 1024,
        sync_interval: Duration::from_millis(50),
        open_accesses_max: 100_000,
        emergency_spool: None,
        free_bytes_min: 0,
        segment_age_max: Duration::from_secs(86_400),
        archive: false,
        size_bytes_max: None,
        keep: Duration::ZERO,
        delete_after: None,
        encryption: None,
    };
    let facility = config::Facility { name: "bench".into(), code: None };
    Log::open(&config, &facility, directory, clock()).unwrap().0
}

fn authorized(action: Action) -> Vec<Authorized<()>> {
    let mut judge = Judge::new(Arc::new(policy()));
    let who = Arc::new(who());
    (0..ACCESSES as u128)
        .map(|n| match judge.judge(access(action, n, &who), ()) {
            Verdict::Allow(authorized) => authorized,
            other @ (Verdict::Challenge(..) | Verdict::Deny(_)) => panic!("{other:?}"),
        })
        .collect()
}

fn access(action: Action, n: u128, who: &Arc<Who>) -> Access {
    let at = clock().now();
    Access {
        request: RequestId::new(at, n),
        at,
        app: AppId::parse("emr").unwrap(),
        action,
        class: None,
        method: Method::parse(if action == Action::Read { "GET" } else { "POST" }).unwrap(),
        host: Host::parse("emr.hosp.example").unwrap(),
        path: Path::parse("/fhir/Patient/00012345/Observation").unwrap(),
        who: Some(Arc::clone(who)),
        device: None,
        from: policy::From { address: "10.1.2.3".parse().unwrap(), zone: ZoneId::parse("inside").unwrap() },
        grant: None,
    }
}

fn who() -> Who {
    Who {
        user: UserId::parse("u-0123456789abcdef0123456789abcdef").unwrap(),
        login: "n.sato".into(),
        name: "佐藤 のぞみ".into(),
        provider: ProviderId::parse("main").unwrap(),
        issuer: "https://idp.hosp.example".into(),
        subject: "0123".into(),
        roles: [RoleId::parse("nurse").unwrap()].into(),
        session: SessionId::new(0xab),
        assurance: Assurance::Aal2,
        methods: Methods::NONE,
        key_model: None,
        in_outage: false,
        roles_confirmed_at: clock().now(),
        authenticated_at: clock().now(),
        bound_to: None,
        ends_at: Timestamp::MAX,
    }
}

fn policy() -> Policy {
    let rule = Rule {
        id: RuleId::parse("nurses").unwrap(),
        effect: Effect::Permit,
        subjects: Subjects::SignedIn,
        apps: Apps::All,
        actions: vec![Action::Read, Action::Write],
        paths: Vec::new(),
        devices: Devices::Any,
        zones: Vec::new(),
        hours: None,
        assurance: None,
        authenticated_within: None,
        methods: Methods::NONE,
        keys: Vec::new(),
        posture: Vec::new(),
        in_outage: false,
        classes: Vec::new(),
        grant: false,
        caps: None,
    };
    let emr = AppFacts {
        id: AppId::parse("emr").unwrap(),
        reads: Durability::Written,
        writes: Durability::Synced,
        routes: Vec::new(),
        reads_by_post: Vec::new(),
        built_in: false,
    };
    Policy::load(&PolicySource {
        revision: Revision::parse("r1").unwrap(),
        apps: vec![emr],
        rules: vec![rule],
        cedar: Vec::new(),
        console: ConsoleRoles::default(),
        offset: UtcOffset::JAPAN,
        holidays: policy::Holidays::NONE,
    })
    .unwrap()
}
