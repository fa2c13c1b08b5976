//! An hour that passes, a role taken away, a posture gone stale, other rules: each ends an open WebSocket, an event
//! stream and a download of one gibibyte within one second, and none of them abruptly.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use policy::{ProviderId, RoleId, Timestamp};
use rustix::process::Signal;
use serde_json::json;
use store::{PersonChange, Sqlite, Store};
use tests::{Ask, Plan, Upstream, WebSocket, eventually, now, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use crate::revocation::{end_of, socket};
use crate::ward::Ward;

/// What is promised, and what a busy test machine may add to it.
const IN_TIME: Duration = Duration::from_millis(1_000 + 500);
const GIBIBYTE: u64 = 1 << 30;
const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const ROLES: &str = "[roles]\ndoctor = { ja = \"医師\", en = \"Doctor\" }\nclerk = { ja = \"事務\", en = \"Clerk\" }\n";

/// A hospital whose doctors read and connect where these columns fit.
async fn ward(columns: &str, change: impl FnOnce(Plan) -> Plan) -> Ward {
    let emr = Upstream::http1();
    let rule = "[[rule]]\nid = \"doctors-look\"\nroles = [\"doctor\"]\napps = \"all\"\nactions = [\"read\", \"connect\"]\ndevices = \"known\"";
    let plan = Plan::with_emr(emr.address()).rules(&format!("{ROLES}\n{rule}\n{columns}\n"));
    Ward::prepared(emr, change(plan), |folder| tests::make_private(&folder.write("mdm.token", TOKEN))).await
}

/// One of each kind, open.
struct Open {
    socket: WebSocket<TokioIo<Upgraded>>,
    events: Incoming,
    /// How it ended, and how many bytes came.
    download: JoinHandle<(io::Result<()>, u64)>,
    /// Whether it takes its time.
    slowly: Arc<AtomicBool>,
    /// The same over HTTP/2, whose connection goes on.
    second: Incoming,
    connection: tests::Http2,
}

impl Open {
    async fn all(ward: &Ward) -> Self {
        let socket = socket(ward).await;
        let mut connection = ward.caller.http1("emr").await;
        let mut events = connection.send(ward.get("/events/1")).await.unwrap().into_body();
        events.frame().await.unwrap().unwrap();
        let connection = ward.caller.http2("emr").await;
        let mut second = connection.send(ward.get(&format!("/bytes/{GIBIBYTE}"))).await.unwrap().into_body();
        second.frame().await.unwrap().unwrap();
        let slowly = Arc::new(AtomicBool::new(true));
        let download = download(ward, Arc::clone(&slowly)).await;
        Self { socket, events, download, slowly, second, connection }
    }
}

/// Takes a gibibyte slowly, on a bare connection, so that its very end is seen. It hurries once it is told to: what lies
/// in the sockets' buffers by then, some megabytes, is not the gateway's to take back.
async fn download(ward: &Ward, slowly: Arc<AtomicBool>) -> JoinHandle<(io::Result<()>, u64)> {
    let mut stream = ward.caller.connect("emr", &[b"http/1.1"]).await.unwrap();
    let ask = format!("GET /bytes/{GIBIBYTE} HTTP/1.1\r\nHost: emr.hospital.test\r\nCookie: {}\r\n\r\n", ward.cookie());
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut piece = vec![0; 64 * 1024];
    let first = stream.read(&mut piece).await.unwrap();
    let head = String::from_utf8_lossy(&piece[..first]).into_owned();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains(&format!("content-length: {GIBIBYTE}\r\n")), "{head}");
    tokio::spawn(async move {
        let mut bytes = first as u64;
        loop {
            match stream.read(&mut piece).await {
                Ok(0) => return (Ok(()), bytes),
                Ok(more) => bytes += more as u64,
                Err(error) => return (Err(error), bytes),
            }
            if slowly.load(Ordering::Relaxed) {
                // So slowly that it lasts for longer than a minute.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    })
}

/// Opens one of each, waits until the fact has changed, and sees all of them end in time and in good order.
async fn ends_what_is_open(ward: &Ward, change: impl AsyncFnOnce(&Ward), why: &[&str]) {
    let mut open = Open::all(ward).await;
    change(ward).await;
    let changed = Instant::now();
    open.slowly.store(false, Ordering::Relaxed);
    assert_eq!(end_of(open.socket).await, Some(1008), "1008 says: policy (RFC 6455 section 7.4.1)");
    within(IN_TIME, "the end of the events", async {
        while let Some(event) = open.events.frame().await {
            event.expect("an event stream ends between two events, as if there were no more");
        }
    })
    .await;
    let (end, bytes) = within(IN_TIME, "the end of the download", open.download).await.unwrap();
    end.expect("TLS is closed as it should be, not broken off");
    assert!(bytes < GIBIBYTE, "what was cut does not look whole: {bytes}");
    let reset = async {
        loop {
            match open.second.frame().await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return,
                None => panic!("a download that was cut looks whole"),
            }
        }
    };
    within(IN_TIME, "the end of the second download", reset).await;
    assert!(changed.elapsed() < IN_TIME, "{:?}", changed.elapsed());
    let answer = open.connection.answer(Ask::get("emr", "/")).await;
    assert_eq!(answer.status, 401, "the connection goes on, for whoever is not signed in");

    let whole = format!("/bytes/{GIBIBYTE}");
    for (path, count) in [("/socket/ward", 1), ("/events/1", 1), (whole.as_str(), 2)] {
        let openings = ward.hospital.records().opened(path);
        assert_eq!(openings.len(), count);
        for opening in openings.all() {
            let closing =
                eventually("the closing line", async || ward.hospital.records().closing(opening).cloned()).await;
            assert_eq!(closing["end"], "revoked", "{closing}");
            assert!(why.contains(&closing["why"].as_str().unwrap()), "{closing}");
        }
    }
}

/// The first whole minute that leaves so much time to start; working hours that end with it, and a zone where it is about
/// noon.
pub fn hours_that_end_after(time: Duration) -> (Timestamp, String, String) {
    let micros = now().after(time).unix_micros();
    let minute = 60 * 1_000_000;
    let boundary = Timestamp::from_unix_micros((micros / minute + 1) * minute);
    let hour = boundary.unix_seconds().rem_euclid(86_400) / 3_600;
    let offset = 12 - hour;
    let offset = format!("{}{:02}:00", if offset < 0 { '-' } else { '+' }, offset.abs());
    let hours = format!("hours = \"09:00-12:{:02}\"", boundary.unix_seconds().rem_euclid(3_600) / 60);
    (boundary, hours, format!("utc_offset = \"{offset}\""))
}

async fn until(moment: Timestamp) {
    tokio::time::sleep(moment.since(now())).await;
}

#[tokio::test]
async fn an_hour_that_passes_ends_what_is_open() {
    let (boundary, hours, zone) = hours_that_end_after(Duration::from_secs(15));
    let ward = ward(&hours, |plan| plan.set("gateway", &zone)).await;
    ends_what_is_open(&ward, async |_: &Ward| until(boundary).await, &["outside-hours"]).await;
}

#[tokio::test]
async fn a_role_taken_away_ends_what_is_open() {
    let ward = ward("", |plan| plan).await;
    let take_away = async |ward: &Ward| {
        let store = Sqlite::open(ward.hospital.folder().join("state/store.sqlite")).unwrap();
        let person = store.person_by_login(&ProviderId::parse("test").unwrap(), "doctor").await.unwrap().unwrap();
        let change = PersonChange { roles: Some(vec![RoleId::parse("clerk").unwrap()]), ..PersonChange::default() };
        assert!(store.change_person(&person.id, change, now(), "cli:test".to_owned()).await.unwrap());
    };
    ends_what_is_open(&ward, take_away, &["role-not-allowed"]).await;
}

#[tokio::test]
async fn a_posture_gone_stale_ends_what_is_open() {
    let source = "[[posture_source]]\nid = \"mdm\"\ntoken_file = \"mdm.token\"\nttl = \"1h\"";
    let ward = ward("posture = [\"os_patched\"]", |plan| plan.block(source)).await;
    // Good for an hour; that hour ends soon.
    let ends_at = now().after(Duration::from_secs(8));
    let said_at = Timestamp::from_unix_micros(ends_at.unix_micros() - 3_600 * 1_000_000);
    let report = json!([{ "device": "ward-pc-1", "attributes": { "os_patched": true }, "at": said_at.to_string() }]);
    let ask = Ask::post("login", "/api/posture", report.to_string())
        .header("content-type", "application/json")
        .header("authorization", &format!("Bearer {TOKEN}"));
    ward.hospital.stranger().ask(ask).await.expect(200);
    let is_heard = async || (ward.caller.ask(ward.get("/a")).await.status == 200).then_some(());
    eventually("the report is heard", is_heard).await;
    ends_what_is_open(&ward, async |_: &Ward| until(ends_at).await, &["posture-stale"]).await;
}

#[tokio::test]
async fn other_rules_end_what_is_open() {
    let ward = ward("", |plan| plan).await;
    let forbid = "[[rule]]\nid = \"closed\"\neffect = \"forbid\"\nroles = [\"doctor\"]\napps = \"all\"\nactions = \"all\"\ndevices = \"any\"";
    let plan = ward.hospital.plan().clone().block(forbid);
    let reload = async |ward: &Ward| {
        ward.hospital.folder().write("sekimori.toml", plan.text());
        ward.hospital.signal(Signal::HUP);
    };
    ends_what_is_open(&ward, reload, &["forbidden"]).await;
}
