//! What every request pays here: a session by its cookie, a device by its certificate, an assertion for the app.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use config::{SessionSpan, SessionSpans};
use identity::{Assertions, Devices, Opening, Session, SessionToken, Sessions, SignedIn};
use policy::{
    AppId, Assurance, Device, DeviceClass, DeviceId, Fingerprint, Host, Methods, ProviderId, SignInMethod, Timestamp,
};
use store::{CertificateRecord, DeviceRecord, Person, Secret, Sqlite, Store};

const NOW: Timestamp = Timestamp::from_unix_micros(1_795_215_600_000_000);

/// Counts allocations beside time: a cached session must cost none.
#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

struct World {
    runtime: tokio::runtime::Runtime,
    sessions: Sessions,
    devices: Arc<Devices>,
    device: Device,
    host: Host,
    opened: Vec<(Arc<Session>, SessionToken)>,
}

/// A hospital with 3,000 devices and 2,000 open sessions.
fn world() -> World {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let host = Host::parse("emr.example.jp").expect("a host");
    let (sessions, devices, opened) = runtime.block_on(async {
        let store = Arc::new(Sqlite::in_memory().expect("a store"));
        for number in 0..3_000_u32 {
            store.add_device(record(number), "bench".to_owned()).await.expect("a device");
        }
        let devices = Arc::new(Devices::load(store.clone()).await.expect("a ledger"));
        let span = SessionSpan::lasting(Duration::from_secs(900), Duration::from_secs(9 * 3600));
        let spans = SessionSpans { by_class: BTreeMap::new(), unknown_device: span };
        let sessions = Sessions::new(store, devices.clone(), spans);
        let mut opened = Vec::new();
        for number in 0..2_000_u32 {
            opened.push(sessions.open(opening(number, &host), NOW).await.expect("a session"));
        }
        (sessions, devices, opened)
    });
    let record = record(7);
    let device = Device {
        id: record.id,
        class: record.class,
        place: "".into(),
        certificate: record.certificates.first().expect("a certificate").fingerprint,
        posture: Arc::from([]),
    };
    World { runtime, sessions, devices, device, host, opened }
}

fn record(number: u32) -> DeviceRecord {
    let mut certificate = [0; 32];
    certificate[..4].copy_from_slice(&number.to_be_bytes());
    let id = DeviceId::parse(&format!("ward-{number}")).expect("a name");
    DeviceRecord {
        certificates: vec![CertificateRecord::own(Fingerprint::new(certificate), NOW, Timestamp::MAX)],
        ..DeviceRecord::new(id, DeviceClass::WardShared, NOW)
    }
}

fn opening(number: u32, host: &Host) -> Opening {
    let (issuer, subject) = ("https://idp.example.jp".to_owned(), number.to_string());
    let person = Person {
        id: identity::user_id(&issuer, &subject),
        issuer,
        subject,
        provider: ProviderId::parse("ad").expect("a name"),
        login: format!("user{number}"),
        name: "佐藤 花子".to_owned(),
        roles: Vec::new(),
        unit: String::new(),
        added_at: NOW,
        seen_at: NOW,
        confirmed_at: NOW,
        disabled: None,
    };
    let signed_in = SignedIn {
        person,
        assurance: Assurance::Aal1,
        methods: Methods::of([SignInMethod::Provider]),
        authenticated_at: NOW,
        id_token: Secret("id-token".to_owned()),
        provider_session: None,
        refresh_token: None,
        return_to: String::new(),
    };
    Opening::by_provider(signed_in, None, host.clone())
}

#[divan::bench(sample_size = 1000)]
fn cached_session(bencher: divan::Bencher<'_, '_>) {
    let world = world();
    let mut next = world.opened.iter().cycle();
    bencher.bench_local(|| {
        let (_, token) = next.next().expect("a cycle has no end");
        world.runtime.block_on(world.sessions.find(token.expose(), &world.host, None, NOW))
    });
}

#[divan::bench(sample_size = 1000)]
fn unknown_token_again(bencher: divan::Bencher<'_, '_>) {
    let world = world();
    let token = "A".repeat(43);
    bencher.bench_local(|| world.runtime.block_on(world.sessions.find(&token, &world.host, None, NOW)));
}

#[divan::bench(sample_size = 1000)]
fn known_device(bencher: divan::Bencher<'_, '_>) {
    let world = world();
    bencher.bench_local(|| world.devices.find(&world.device.certificate, NOW));
}

#[divan::bench(sample_size = 1000)]
fn cached_assertion(bencher: divan::Bencher<'_, '_>) {
    let (world, app) = (world(), AppId::parse("emr").expect("a name"));
    let device = Arc::new(world.device.clone());
    let folder = std::env::temp_dir().join(format!("sekimori-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let assertions = Assertions::open_or_create(&folder, "https://login.example.jp").expect("a key");
    let ask = |session: &Session| assertions.for_app(&app, "https://emr.example.jp", &session.who, Some(&device), NOW);
    world.opened.iter().for_each(|(session, _)| drop(ask(session)));
    let mut next = world.opened.iter().cycle();
    bencher.bench_local(|| ask(&next.next().expect("a cycle has no end").0));
    std::fs::remove_dir_all(&folder).expect("the folder goes");
}

/// One that was given out before and is too old now: as each person pays it twice a minute for each app.
#[divan::bench(sample_size = 100)]
fn new_assertion(bencher: divan::Bencher<'_, '_>) {
    let (world, app) = (world(), AppId::parse("emr").expect("a name"));
    let device = Arc::new(world.device.clone());
    let folder = std::env::temp_dir().join(format!("sekimori-bench-new-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let assertions = Assertions::open_or_create(&folder, "https://login.example.jp").expect("a key");
    let (session, _) = world.opened.first().expect("a session is open");
    let mut at = NOW;
    bencher.bench_local(|| {
        at = at.after(Duration::from_secs(60));
        assertions.for_app(&app, "https://emr.example.jp", &session.who, Some(&device), at)
    });
    std::fs::remove_dir_all(&folder).expect("the folder goes");
}
