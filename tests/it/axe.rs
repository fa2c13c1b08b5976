//! Every page, on a tablet held upright, in both languages, judged by axe-core; and pictures of the main ones.

use std::path::Path;

use tests::{Browser, Manner, Person};

use crate::console::Desk;

const JUDGE: &str = "const done = arguments[arguments.length - 1]; (0, eval)(arguments[0]);\
    axe.run(document, { resultTypes: ['violations'] }).then((all) => done(all.violations.map((one) =>\
    [one.id, one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200))])), (error) => done([String(error)]));";

fn axe() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("axe/node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(file).expect("run `npm ci` in tests/axe first")
}

async fn judged(browser: &Browser, axe: &str, problems: &mut Vec<String>) {
    let url = browser.url().await;
    let found = browser.later(JUDGE, axe).await;
    if found.as_array().is_none_or(|found| !found.is_empty()) {
        problems.push(format!("{url}: {found}"));
    }
    let width = browser.script("return document.documentElement.scrollWidth").await;
    if width.as_u64().unwrap_or(u64::MAX) > 768 {
        problems.push(format!("{url}: {width} wide"));
    }
}

/// Pages for whoever is not signed in, and for an administrator, who sees most.
fn pages(desk: &Desk) -> (Vec<String>, Vec<String>) {
    let url = |host: &str, path: &str| desk.hospital.url(host, path);
    let open = ["/sign-in", "/enrol", "/temporary", "/device", "/switch", "/signed-out", "/nothing"];
    let inside = [
        ("portal", "/"),
        ("portal", "/me"),
        ("emr", "/patients/1"),
        ("emr", "/.sekimori/sign-out"),
        ("login", "/enrol?own=1"),
        ("login", "/enrol?done=1"),
        ("login", "/device"),
    ];
    let console = [
        "/",
        "/people",
        "/new-person",
        "/import-people",
        "/invitations",
        "/devices",
        "/import-devices",
        "/new-device",
        "/stock-take",
        "/devices/desk-1",
        "/devices/desk-1/revoke",
        "/devices/desk-1/lost",
        "/devices/desk-1/trail?hours=24",
        "/sessions",
        "/posture",
        "/outage",
        "/records",
    ];
    let inside =
        inside.iter().map(|(host, path)| url(host, path)).chain(console.iter().map(|path| url("console", path)));
    (open.iter().map(|path| url("login", path)).collect(), inside.collect())
}

/// Something to see: people, a device, invitations.
async fn filled(desk: &Desk) -> String {
    for (login, name, role) in
        [("sato", "佐藤 恵子", "nurse"), ("suzuki", "鈴木 次郎", "doctor"), ("tanaka", "田中 一郎", "clerk")]
    {
        let _ = desk.hospital.add_person(login, name, role);
    }
    let words = ["device", "invite", "tablet-1", "--class", "tablet", "--reason", "新規導入"];
    let _ = desk.hospital.run(&words).ok();
    let people = desk.hospital.run(&["user", "list", "--format", "json"]).ok().lines();
    let sato = people.iter().find(|one| one["login"] == "sato").unwrap();
    desk.hospital.url("console", &format!("/people/{}", sato["id"].as_str().unwrap()))
}

async fn no_page_fails(language: &str) {
    let (axe, mut problems) = (axe(), Vec::new());
    let desk = Desk::open().await;
    let person = filled(&desk).await;
    let (open, inside) = pages(&desk);
    let stranger = Browser::open(&desk.hospital, language).await;
    stranger.as_tablet().await;
    for url in open {
        stranger.go(&url).await;
        judged(&stranger, &axe, &mut problems).await;
    }
    let chief = desk.browser("kanri", "管理 太郎", "administrator", language).await;
    for url in inside.into_iter().chain([person.clone(), format!("{person}/disable")]) {
        chief.go(&url).await;
        assert!(!chief.url().await.contains("/sign-in"), "{url} wants a sign-in");
        judged(&chief, &axe, &mut problems).await;
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test]
async fn no_page_has_a_violation_in_japanese() {
    no_page_fails("ja").await;
}

#[tokio::test]
async fn no_page_has_a_violation_in_english() {
    no_page_fails("en").await;
}

/// `cargo nextest run -p tests --run-ignored only -E 'test(pictures)'` writes docs/pictures anew.
#[tokio::test]
#[ignore = "writes pictures into docs"]
async fn pictures_of_the_main_pages() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures");
    std::fs::create_dir_all(&folder).unwrap();
    let desk = Desk::open().await;
    filled(&desk).await;
    let keep = async |browser: &Browser, name: &str| {
        std::fs::write(folder.join(format!("{name}.png")), browser.picture().await).unwrap();
    };
    let stranger = Browser::open(&desk.hospital, "ja").await;
    stranger.as_tablet().await;
    for (name, path) in [("sign-in", "/sign-in"), ("enrol", "/enrol")] {
        stranger.go(&desk.hospital.url("login", path)).await;
        keep(&stranger, name).await;
    }
    let chief = desk.browser("kanri", "管理 太郎", "administrator", "ja").await;
    for (name, url) in [
        ("me", desk.hospital.url("portal", "/me")),
        ("console-people", desk.hospital.url("console", "/people")),
        ("console-lost", desk.hospital.url("console", "/devices/tablet-1/lost")),
    ] {
        chief.go(&url).await;
        keep(&chief, name).await;
    }
    shared_terminal(&keep).await;
}

/// Who is here: one person waits at a shared terminal.
async fn shared_terminal(keep: &impl AsyncFn(&Browser, &str)) {
    let emr = tests::Upstream::http1();
    let mut hospital = tests::Hospital::build(tests::Plan::with_emr(emr.address()).with_directory());
    let terminal = tests::Device::add(&hospital, "ward-pc-1", "ward-shared").await;
    hospital.start();
    let (key, code) = (hospital.key(), hospital.add_person("sato", "佐藤 恵子", "nurse"));
    let mut sato = Person::by_key(&hospital.caller(&terminal), &key);
    sato.enrol(&code, &key, &Manner::default()).await.expect(200);
    let switch = url::Url::parse(&hospital.url("portal", "/.sekimori/switch")).unwrap();
    sato.open(&hospital.url("portal", "/")).await.expect(200);
    sato.post(&switch, &hospital.url("portal", ""), &[]).await;
    let browser = Browser::open_on(&hospital, "ja", &terminal).await;
    browser.as_tablet().await;
    browser.go(&hospital.url("login", "/switch")).await;
    keep(&browser, "switch").await;
}
