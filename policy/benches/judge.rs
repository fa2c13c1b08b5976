//! How long a decision takes: `cargo bench -p policy`.
//!
//! Tables of 30, 300 and 3,000 rows over 60 roles and 120 apps, with three policies written in Cedar. *Remembered*:
//! the same question again. *Judged*: a person and an app seen before, a path never seen (every app has a row that
//! reads the path), of 5,000 people at 4,000 devices. *First*: a person never seen. *Classified*: what a request does,
//! by the routes of FHIR. Every fourth row is of some information classes, every seventh has caps. Before divan's table the 50th and 99th percentile of
//! each, and the time of a decision on the processor, which does not depend on what else the machine does.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use divan::{Bencher, black_box};
use policy::{
    Access, Action, AppFacts, AppId, Apps, Assurance, Beyond, BuiltInClass, Caps, CedarFile, ConsoleRoles, Day, Device,
    DeviceClass, Devices, Durability, Effect, Fingerprint, From, Holidays, Host, Hours, InfoClass, Judge, Method,
    Methods, Path, PathPattern, Policy, PolicySource, RequestId, RoleId, Rule, SessionId, SignInMethod, Subjects,
    Template, Timestamp, UtcOffset, Who,
};

const SIZES: [usize; 3] = [30, 300, 3_000];
const ROLES: usize = 60;
const APPS: usize = 120;
const USERS: usize = 5_000;
const DEVICES: usize = 4_000;
const BATCH: usize = 20;
const SATURDAY_MORNING: Timestamp = Timestamp::from_unix_micros(1_795_221_000_000_000);

fn main() {
    for rules in SIZES {
        report(rules);
    }
    divan::main();
}

#[divan::bench(args = SIZES)]
fn remembered(bencher: Bencher<'_, '_>, rules: usize) {
    let mut judge = judge(rules);
    bencher.with_inputs(|| access(1, 1, "/same")).bench_local_values(|access| judge.judge(black_box(access), ()));
}

#[divan::bench(args = SIZES)]
fn judged(bencher: Bencher<'_, '_>, rules: usize) {
    let (mut judge, mut number) = (judge(rules), 0);
    bencher
        .with_inputs(|| {
            number += 1;
            access(number % 50, number, &format!("/fhir/Patient/{number}"))
        })
        .bench_local_values(|access| judge.judge(black_box(access), ()));
}

#[divan::bench]
fn classified(bencher: Bencher<'_, '_>) {
    let policy = Policy::load(&source(30)).expect("the benchmark's policy is sound");
    let classifier = policy.classifier(&name("app", 0));
    let method = Method::parse("GET").expect("a method");
    let path = Path::parse("/fhir/Patient/00012345/Observation").expect("a path");
    bencher.bench_local(|| classifier.classify(black_box(&method), black_box(&path)).patient.is_some());
}

#[divan::bench]
fn path_parsed() -> bool {
    Path::parse(black_box("/fhir/Patient/00012345/Observation")).is_ok()
}

#[divan::bench(args = SIZES)]
fn load(bencher: Bencher<'_, '_>, rules: usize) {
    let source = source(rules);
    bencher.bench_local(|| Policy::load(black_box(&source)));
}

#[expect(clippy::print_stdout, reason = "a benchmark reports to whoever runs it")]
fn report(rules: usize) {
    let mut warm = judge(rules);
    for number in 0..USERS * 3 {
        drop(warm.judge(access(number % USERS, number % USERS, "/warm"), ()));
    }
    let mut allowed = 0;
    let mut judged = percentiles(
        20_000,
        |number| access(number % USERS, number % USERS, &format!("/fhir/{number}")),
        |access| {
            allowed += usize::from(matches!(warm.judge(access, ()), policy::Verdict::Allow(_)));
        },
    );
    let mut remembered = percentiles(20_000, |_| access(1, 1, "/same"), |access| drop(warm.judge(access, ())));
    let mut cold = judge(rules);
    let mut first =
        percentiles(2_000, |number| access(number, number, "/first"), |access| drop(cold.judge(access, ())));
    println!("{rules} rows ({} % of the judged were allowed):", allowed * 100 / 20_000);
    for (name, measured) in [("remembered", &mut remembered), ("judged", &mut judged), ("first", &mut first)] {
        measured.times.sort();
        let at = |percent: usize| measured.times.get(measured.times.len() * percent / 100).copied().unwrap_or_default();
        println!("  {name:10} p50 {:?}, p99 {:?}, on the processor {:?}", at(50), at(99), measured.on_processor);
    }
}

/// How long decisions took.
struct Measured {
    times: Vec<Duration>,
    /// Of one decision on average, whatever else the machine did meanwhile.
    on_processor: Duration,
}

fn percentiles(count: usize, make: impl Fn(usize) -> Access, mut judge: impl FnMut(Access)) -> Measured {
    let mut times = Vec::with_capacity(count);
    let mut spent = Duration::ZERO;
    // Few at a time, as a request that was just read is still in the processor's caches.
    for from in (0..count).step_by(BATCH) {
        let accesses: Vec<_> = (from..count.min(from + BATCH)).map(&make).collect();
        let before = on_processor();
        for access in accesses {
            let started = Instant::now();
            judge(access);
            times.push(started.elapsed());
        }
        spent += on_processor().saturating_sub(before);
    }
    Measured { times, on_processor: spent / u32::try_from(count).unwrap_or(u32::MAX) }
}

/// How long this thread was on a processor; nothing where the system does not tell.
fn on_processor() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = told.split_whitespace().next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

fn judge(rules: usize) -> Judge {
    Judge::new(Arc::new(Policy::load(&source(rules)).expect("the benchmark's policy is sound")))
}

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(kind: &str, number: usize) -> T {
    format!("{kind}{number}").parse().expect("a kind and a number are a name")
}

fn source(rules: usize) -> PolicySource {
    let facts = |number| AppFacts {
        id: name("app", number),
        routes: Template::FhirR4.routes(&Path::parse("/fhir").expect("a path")),
        reads_by_post: vec![],
        reads: Durability::Written,
        writes: Durability::Synced,
        built_in: false,
    };
    let cedar = r#"
        @id("vendors") forbid (principal in Sekimori::Role::"role7", action, resource)
            unless { context.address.isInRange(ip("10.0.0.0/8")) };
        @id("byod") forbid (principal, action in Sekimori::Action::"write", resource)
            when { context.device.class == "byod" };
        @id("trace") forbid (principal, action, resource) when { context.method == "TRACE" };
    "#;
    PolicySource {
        revision: name("r", 1),
        apps: (0..APPS).map(facts).collect(),
        rules: (0..rules).map(rule).chain([no_admin_pages()]).collect(),
        console: ConsoleRoles::default(),
        cedar: vec![CedarFile { name: "bench.cedar".to_owned(), text: cedar.to_owned() }],
        offset: UtcOffset::JAPAN,
        holidays: Holidays::NONE,
    }
}

/// Row `number`: every second with hours, every third with a zone, every fifth with assurance, and so on.
fn rule(number: usize) -> Rule {
    let every = |step: usize| number.is_multiple_of(step);
    let roles: Vec<RoleId> =
        (0..1 + number % 3).map(|step| name("role", (number * 7 + number / APPS * 11 + step * 13) % ROLES)).collect();
    let apps: Vec<AppId> = (0..1 + number % 4).map(|step| name("app", (number + step * 31) % APPS)).collect();
    Rule {
        id: name("row", number),
        effect: Effect::Permit,
        subjects: Subjects::Roles(roles),
        apps: Apps::Only(apps),
        actions: if every(2) { vec![Action::Read] } else { vec![Action::Read, Action::Write] },
        paths: if every(10) { vec![PathPattern::parse("/fhir/*").expect("a pattern")] } else { vec![] },
        devices: Devices::Known,
        zones: if every(3) { vec![name("zone", 1)] } else { vec![] },
        hours: every(2).then(|| Hours { days: Day::ALL.to_vec(), from_minute: 7 * 60, to_minute: 19 * 60 }),
        assurance: every(5).then_some(Assurance::Aal2),
        authenticated_within: every(20).then(|| Duration::from_secs(3_600)),
        methods: Methods::NONE,
        keys: vec![],
        posture: vec![],
        in_outage: false,
        classes: if every(4) { classes() } else { vec![] },
        grant: false,
        break_glass: false,
        caps: every(7).then(|| {
            let patients = NonZeroU32::new(60);
            Arc::new(Caps { requests: None, patients, beyond: Beyond::Alarm })
        }),
    }
}

fn no_admin_pages() -> Rule {
    Rule {
        effect: Effect::Forbid,
        subjects: Subjects::Anyone,
        apps: Apps::All,
        paths: vec![PathPattern::parse("/admin/*").expect("a pattern")],
        devices: Devices::Any,
        zones: vec![],
        hours: None,
        assurance: None,
        authenticated_within: None,
        classes: vec![],
        caps: None,
        ..rule(1_000_000)
    }
}

fn classes() -> Vec<InfoClass> {
    [BuiltInClass::PatientIdentity, BuiltInClass::Chart].map(BuiltInClass::class).to_vec()
}

/// A person with three roles, at an app that a row gives one of them.
fn access(user: usize, row: usize, path: &str) -> Access {
    let row = row % 30;
    let device = Device {
        id: name("pc", user % DEVICES),
        class: DeviceClass::Fixed,
        place: "".into(),
        certificate: Fingerprint::new([0; 32]),
        posture: Arc::from([]),
    };
    let mut roles: Vec<RoleId> = [row * 7, row * 7 + 1, row * 7 + 2].map(|role| name("role", role % ROLES)).to_vec();
    roles.sort();
    let who = Who {
        user: name("u-", user),
        login: "login".into(),
        name: "name".into(),
        unit: "".into(),
        provider: name("idp", 1),
        issuer: "https://idp.example".into(),
        subject: "subject".into(),
        roles: roles.into(),
        session: SessionId::new(1),
        assurance: Assurance::Aal2,
        methods: Methods::of([SignInMethod::ProviderMfa]),
        key_model: None,
        in_outage: false,
        roles_confirmed_at: SATURDAY_MORNING,
        authenticated_at: Timestamp::from_unix_micros(SATURDAY_MORNING.unix_micros() - 60_000_000),
        bound_to: Some(device.id.clone()),
        ends_at: Timestamp::MAX,
    };
    Access {
        request: RequestId::new(SATURDAY_MORNING, 1),
        at: SATURDAY_MORNING,
        app: name("app", row % APPS),
        action: Action::Read,
        class: Some(BuiltInClass::PatientIdentity.class()),
        method: Method::parse("GET").expect("a method"),
        host: Host::parse("app.hosp.example").expect("a host"),
        path: Path::parse(path).expect("a path"),
        who: Some(Arc::new(who)),
        device: Some(Arc::new(device)),
        from: From { address: std::net::Ipv4Addr::new(10, 1, 2, 3).into(), zone: name("zone", 1) },
        grant: None,
    }
}
