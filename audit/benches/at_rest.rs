//! The log at rest: how many bytes an access takes once it is archived, how fast that goes, and how fast `verify` is.
//!
//! `RECORDS=3000000 cargo bench -p audit --bench at_rest`; 20,000 where nothing is said. The accesses differ as those of a
//! hospital do: 700 people, 60,000 patients, six kinds of paths.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark stops where it cannot go on, and prints what it measured"
)]

mod hospital;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{End, Log, Outcome, Prover, Reader};
use config::OnLogFailure;
use policy::{
    Access, Action, AppId, Authorized, Clock, Host, Judge, Method, RequestId, Timestamp, Verdict, Who, ZoneId,
};

const START_MICROS: i64 = 1_795_215_600_000_000;
/// Between two accesses: 35 a second.
const STEP_MICROS: u64 = 28_571;
const PATHS: [&str; 6] = [
    "/fhir/Patient/PPPPPPPP",
    "/fhir/Observation",
    "/fhir/Patient/PPPPPPPP/$everything",
    "/fhir/MedicationRequest/RRRRRRRR",
    "/dicom-web/studies/1.2.392.200036.9116.RRRRRRRR/series",
    "/api/api01rv2/patientgetv2",
];

fn main() {
    let records: u64 = std::env::var("RECORDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let directory = std::env::temp_dir().join(format!("sekimori-audit-at-rest-{}", std::process::id()));
    let mut config = hospital::config(&directory);
    let log = hospital::open(&directory, &config, moving());
    let began = Instant::now();
    write(&log, records);
    log.stop();
    let plain = bytes(&directory);
    report("written", records, began.elapsed());
    verified("verify, plain", records, &config);

    config.archive = true;
    // Closed by age, so that the last segment is archived too.
    config.segment_age_max = Duration::ZERO;
    let began = Instant::now();
    let log = hospital::open(&directory, &config, moving());
    let folder = config.directory.join("segments");
    while std::fs::read_dir(&folder).unwrap().flatten().filter(|file| is_plain(&file.path())).count() > 1
        || std::fs::read_dir(&folder).unwrap().count() < 2
    {
        std::thread::sleep(Duration::from_millis(100));
    }
    log.stop();
    report("archived", records, began.elapsed());
    let packed = bytes(&directory);
    println!(
        "bytes an access: {} plain, {} archived, tiles and checkpoints included",
        plain / records,
        packed / records
    );
    verified("verify, archived", records, &config);
    lines("one line at a time", records, &(&config).into());
    proofs("proof of one line", records, &config);
    std::fs::remove_dir_all(&directory).unwrap();
}

fn is_plain(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "jsonl")
}

fn report(what: &str, records: u64, took: Duration) {
    println!("{what}: {:.1} s, {:.0} accesses a second", took.as_secs_f64(), records as f64 / took.as_secs_f64());
}

fn verified(what: &str, records: u64, config: &config::Audit) {
    let began = Instant::now();
    let verified = audit::verify(config, None).unwrap();
    assert!(verified.lines >= 2 * records);
    report(what, records, began.elapsed());
}

fn lines(what: &str, records: u64, reader: &Reader) {
    let mut random = Random(7);
    let began = Instant::now();
    for _ in 0..1_000 {
        reader.line(random.next() % (2 * records)).unwrap().unwrap();
    }
    println!("{what}: {:.2} ms each, anywhere in the log", began.elapsed().as_secs_f64());
}

/// Each by a prover of its own, which has read nothing yet.
fn proofs(what: &str, records: u64, config: &config::Audit) {
    const PROOFS: u32 = 20;
    let (mut random, size, mut slowest) = (Random(9), 2 * records, Duration::ZERO);
    let began = Instant::now();
    for _ in 0..PROOFS {
        let (seq, began) = (random.next() % size, Instant::now());
        let reader: Reader = config.into();
        let line = reader.line(seq).unwrap().unwrap();
        let mut prover = Prover::new(&config.directory, |seq| reader.line(seq));
        let (path, root) = (prover.inclusion(seq, size).unwrap(), prover.root(size).unwrap());
        assert!(audit::verify_inclusion(audit::line_hash(&line), seq, size, &path, root));
        slowest = slowest.max(began.elapsed());
    }
    let mean = began.elapsed() / PROOFS;
    println!("{what}, made and checked: {:.2} ms, the slowest {:.2} ms", millis(mean), millis(slowest));
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries
        .map(|entry| if entry.path().is_dir() { bytes(&entry.path()) } else { entry.metadata().unwrap().len() })
        .sum()
}

/// A clock that goes on with each look.
fn moving() -> Clock {
    let began = Instant::now();
    Clock::new(move || Timestamp::from_unix_micros(START_MICROS + i64::try_from(began.elapsed().as_micros()).unwrap()))
}

fn write(log: &Log, records: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let recorder = log.recorder();
    let mut judge = Judge::new(Arc::new(hospital::policy()));
    let mut random = Random(1);
    let people: Vec<Arc<Who>> = (0..700).map(|n| Arc::new(person(n, &mut random))).collect();
    for n in 0..records {
        let authorized = authorized(&mut judge, n, &people[random.below(300)], &mut random);
        let receipt = runtime.block_on(recorder.admit(authorized, OnLogFailure::Refuse)).unwrap().open().1;
        let duration = Duration::from_micros(2_000 + random.next() % 90_000);
        let bytes_out = 300 + random.next() % 20_000;
        receipt.close(Outcome {
            status: Some(200),
            end: End::Served,
            bytes_in: 0,
            bytes_out,
            duration,
            patients: None,
            said: None,
        });
    }
}

fn person(n: u64, random: &mut Random) -> Who {
    Who {
        user: format!("u-{:016x}{:016x}", random.next(), random.next()).parse().unwrap(),
        login: format!("user{n:03}").into(),
        name: format!("職員 {n:03}").into(),
        unit: format!("本院/{}階病棟", n % 12).into(),
        session: policy::SessionId::new(random.next()),
        ..hospital::who()
    }
}

fn authorized(judge: &mut Judge, n: u64, who: &Arc<Who>, random: &mut Random) -> Authorized<()> {
    let at = Timestamp::from_unix_micros(START_MICROS + i64::try_from(n * STEP_MICROS).unwrap());
    let path = PATHS[random.below(PATHS.len())]
        .replace("PPPPPPPP", &format!("{:08}", random.below(60_000)))
        .replace("RRRRRRRR", &format!("{:08}", random.below(100_000_000)));
    let access = Access {
        request: RequestId::new(at, random.next().into()),
        at,
        app: AppId::parse("emr").unwrap(),
        action: Action::Read,
        class: None,
        method: Method::parse("GET").unwrap(),
        host: Host::parse("emr.hosp.example").unwrap(),
        path: policy::Path::parse(&path).unwrap(),
        who: Some(Arc::clone(who)),
        device: None,
        from: policy::From { address: [10, 1, 2, 3].into(), zone: ZoneId::parse("inside").unwrap() },
        grant: None,
    };
    match judge.judge(access, ()) {
        Verdict::Allow(authorized) => authorized,
        other @ (Verdict::Challenge(..) | Verdict::Deny(_)) => panic!("{other:?}"),
    }
}

/// Numbers that look random and are the same each time (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}
