//! The index as it grows: size a record, stories taken in a second, and how long questions take, at 1, 2, 5 and 10
//! million accesses of one generated year of a hospital. `SEKIMORI_FIND_MILLIONS=1,100` measures at other sizes.
//!
//! The generator is seeded: the same hospital each time. Names are drawn by rank (Zipf), patients come and go in stays,
//! requests follow the hours of the day, a tenth of the accesses is refused, a fiftieth fails.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark fails loudly, and prints what it measured"
)]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use audit::StoryOutcome;
use find::{By, Deadline, Index, Order, Question};
use policy::{Timestamp, UtcOffset};

/// 2026-01-01, 00:00 in Japan.
const START: i64 = 1_767_193_200_000_000;
const YEAR: i64 = 365 * 86_400 * 1_000_000;
/// Each question is asked so often; the slowest counts.
const ROUNDS: usize = 5;
/// Records a second that are taken in while questions are asked.
const RATE: u64 = 5_000;

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let is_test = !std::env::args().any(|arg| arg == "--bench");
    let wanted = std::env::var("SEKIMORI_FIND_MILLIONS").unwrap_or_else(|_| "1,2,5,10".to_owned());
    let mut sizes: Vec<u64> = wanted.split(',').map(|size| (size.parse::<f64>().unwrap() * 1e6) as u64).collect();
    if is_test {
        sizes = vec![2_000];
    }
    let dir = std::env::var("SEKIMORI_FIND_DIR").map_or_else(|_| std::env::temp_dir(), PathBuf::from);
    let dir = dir.join(format!("sekimori-find-bench-{}", std::process::id()));
    let index = Index::open(&dir).unwrap();
    let mut hospital = Hospital::new(*sizes.last().unwrap());
    for size in sizes {
        let count = size - hospital.made;
        let began = Instant::now();
        let mut made = Duration::ZERO;
        index.fill(hospital.lines(count).inspect(|_| made = began.elapsed()), |_| true).unwrap();
        let took = began.elapsed();
        println!(
            "\n{size} accesses: {:.0} a second taken in ({made:.1?} of {took:.1?})",
            count as f64 / took.as_secs_f64()
        );
        println!("  {:.1} bytes an access ({} MiB)", index.bytes() as f64 / size as f64, index.bytes() >> 20);
        ask_all(&index, &hospital, "at rest");
        if !is_test {
            while_written(&index, &mut hospital);
        }
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

/// The questions again, while records are taken in.
fn while_written(index: &Index, hospital: &mut Hospital) {
    let lines: Vec<Vec<u8>> = hospital.lines(RATE * 20).collect();
    let (began, mut done) = (Instant::now(), 0_u64);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            ask_all(index, hospital, &format!("while {RATE} a second are taken in"));
        });
        let paced = lines.into_iter().inspect(|_| {
            done += 1;
            let due = Duration::from_secs_f64(done as f64 / 2.0 / RATE as f64);
            if let Some(wait) = due.checked_sub(began.elapsed()).filter(|wait| *wait > Duration::from_millis(20)) {
                std::thread::sleep(wait);
            }
        });
        index.fill(paced, |_| !asked.is_finished()).unwrap();
    });
    let rate = done as f64 / 2.0 / began.elapsed().as_secs_f64();
    println!("  {rate:.0} a second were taken in meanwhile");
}

fn ask_all(index: &Index, hospital: &Hospital, how: &str) {
    println!("  {how}:");
    let end = hospital.at();
    let day = |days: i64| Timestamp::from_unix_micros((end.unix_micros() - days * 86_400_000_000).max(START));
    let all = || Question::new(day(365), end);
    let text = |text: &str| Some(text.to_owned());
    let asks = [
        ("a patient, all time", Question { patient: text("00000500"), ..all() }),
        ("a patient seen most, all time", Question { patient: text("00000000"), ..all() }),
        ("a person, all time", Question { person: text("staff0"), ..all() }),
        ("everything, the newest", all()),
        ("everything, the oldest", Question { order: Order::Oldest, ..all() }),
        ("refusals", Question { outcome: Some(StoryOutcome::Refused), ..all() }),
        (
            "nurses reading charts out of hours",
            Question {
                role: text("nurse"),
                action: text("read"),
                class: text("chart"),
                out_of_hours: Some(true),
                ..all()
            },
        ),
        ("a department, all time", Question { within: Some(vec!["本院/ward7".parse().unwrap()]), ..all() }),
        ("a network", Question { address: Some("10.1.".parse().unwrap()), ..all() }),
        ("words", Question { text: text("staff12 fhir observation"), ..all() }),
        ("the beginning of a word", Question { text: text("ward7*"), ..all() }),
        ("the code of a request", Question { request: text("00012345"), ..all() }),
        ("a device, last day", Question { device: text("ward1-3"), ..Question::new(day(1), end) }),
    ];
    for (what, question) in &asks {
        let found = slowest(what, || index.ask(question, &Deadline::within(Duration::from_secs(60))).unwrap().total);
        println!("{found} found");
    }
    for by in [By::Hour, By::Day, By::Role, By::Reason, By::Outcome, By::Person, By::Device, By::Address] {
        let what = format!("count everything by {}", by.as_str());
        let bars = slowest(&what, || bars(index, &all(), by));
        println!("{bars} bars");
    }
    for (what, question) in [
        ("most-viewed patients, all time", all()),
        ("most-viewed patients, a month", Question::new(day(30), end)),
        ("most-viewed patients out of hours", Question { out_of_hours: Some(true), ..all() }),
    ] {
        let bars = slowest(what, || bars(index, &question, By::Patient));
        println!("{bars} bars");
    }
}

fn bars(index: &Index, question: &Question, by: By) -> usize {
    index.count(question, by, 50, &Deadline::within(Duration::from_secs(60))).unwrap().len()
}

fn slowest<T>(what: &str, work: impl Fn() -> T) -> T {
    let mut slowest = Duration::ZERO;
    let mut last = None;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        last = Some(work());
        slowest = slowest.max(began.elapsed());
    }
    print!("    {:>8.1} ms  {what}: ", slowest.as_secs_f64() * 1_000.0);
    last.unwrap()
}

/// A hospital of 400 beds, as it is recorded.
struct Hospital {
    all: u64,
    made: u64,
    line: u64,
    random: u64,
}

impl Hospital {
    fn new(all: u64) -> Self {
        Self { all, made: 0, line: 0, random: 0x9e37_79b9_7f4a_7c15 }
    }

    /// The moment of the next access: they spread over the year.
    fn at(&self) -> Timestamp {
        let share = i128::from(self.made) * i128::from(YEAR) / i128::from(self.all.max(1));
        Timestamp::from_unix_micros(START + i64::try_from(share).unwrap_or(YEAR))
    }

    /// A number below a bound.
    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound
    }

    /// A rank below a bound: small ones are far more frequent.
    fn rank(&mut self, bound: u64) -> u64 {
        let part = self.below(1 << 20) as f64 / f64::from(1 << 20);
        ((bound as f64).powf(part) - 1.0) as u64
    }

    /// The lines of so many accesses more.
    fn lines(&mut self, count: u64) -> impl Iterator<Item = Vec<u8>> {
        (0..count).flat_map(|_| self.access())
    }

    fn access(&mut self) -> Vec<Vec<u8>> {
        let at = self.at();
        let ts = moment(at.unix_micros() + i64::try_from(self.below(1_000_000)).unwrap());
        let staff = self.rank(900);
        let role = ["nurse", "nurse", "nurse", "physician", "clerk", "pharmacist", "radiographer"][staff as usize % 7];
        let ward = staff % 12;
        let device = format!("ward{ward}-{}", self.below(90));
        // A patient is in the house for some days: 400 are there, and as many come each week.
        let week = (at.unix_micros() - START) / (7 * 86_400_000_000);
        let inpatient = self.below(3) > 0;
        let patient = if inpatient { 400 * week.unsigned_abs() + self.rank(400) } else { self.rank(200_000) };
        let (app, class, path) = match self.below(10) {
            0..6 => ("emr", "chart", format!("/fhir/Observation?-/{:x}", self.below(1 << 30))),
            6..8 => ("emr", "orders", format!("/fhir/Patient/{patient:08}")),
            8 => ("pacs", "images", format!("/dicom-web/studies/1.2.392.200036.{}", patient * 7 + self.below(3))),
            _ => ("orca", "billing", "/api01rv2/patientgetv2".to_owned()),
        };
        let action = ["read", "read", "read", "search", "write"][self.below(5) as usize];
        let id = format!(
            "01935f1c-{:04x}-7{:03x}-8{:03x}-{:04x}{:08x}",
            self.below(1 << 16),
            self.below(1 << 12),
            self.below(1 << 12),
            self.below(1 << 16),
            self.below(1 << 32)
        );
        let session = (staff << 32) + (at.unix_micros() / 28_800_000_000).unsigned_abs();
        let address = format!("10.{}.{}.{}", ward % 3, ward, self.below(90) + 1);
        let refused = self.below(10) == 0;
        self.made += 1;
        let (seq, ev) = (self.line, if refused { "refused" } else { "open" });
        let mut line = format!(
            r#"{{"v":1,"seq":{seq},"ts":"{ts}","ev":"{ev}","id":"{id}","act":"{action}","sub":"u-{staff:032x}","login":"staff{staff}","name":"佐藤 花子{staff}","unit":"本院/ward{ward}","iss":"https://idp.hosp.example","role":["{role}"],"acr":"aal2","sid":"{session:016x}","dev":"{device}","dcls":"tablet","ip":"{address}","zone":"ward","app":"{app}","host":"{app}.hosp.example","m":"GET","path":"{path}","cls":"{class}""#
        );
        if refused {
            let why = ["role-not-allowed", "outside-hours", "sign-in-required"][self.below(3) as usize];
            write!(line, r#","why":"{why}","rule":"default-deny","pol":"p42","st":403,"pt":["{patient:08}"]}}"#)
                .unwrap();
            self.line += 1;
            return vec![line.into_bytes()];
        }
        write!(line, r#","rule":"{role}-{class}-{action}","pol":"p{}"}}"#, 40 + week / 8).unwrap();
        let end = if self.below(50) == 0 { "upstream-failed" } else { "served" };
        let close = format!(
            r#"{{"v":1,"seq":{},"ts":"{ts}","ev":"close","id":"{id}","end":"{end}","st":200,"ms":12.034,"bi":0,"bo":{},"pt":["{patient:08}"]}}"#,
            seq + 1,
            self.below(40_000)
        );
        self.line += 2;
        vec![line.into_bytes(), close.into_bytes()]
    }
}

fn moment(micros: i64) -> String {
    let text = Timestamp::from_unix_micros(micros).rfc3339(UtcOffset::UTC);
    let seconds = text.get(..19).unwrap_or_default();
    format!("{seconds}.{:06}Z", micros.rem_euclid(1_000_000))
}
