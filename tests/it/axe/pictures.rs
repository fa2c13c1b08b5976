//! Pictures of the main pages, for docs/pictures.

use std::path::Path;

use tests::{Browser, Device, Hospital, Manner, Person, Plan, Upstream};
use url::Url;

use super::desk::fill;
use crate::console::Desk;

/// `cargo nextest run -p tests --run-ignored only -E 'test(pictures)'` writes docs/pictures anew.
#[tokio::test]
#[ignore = "writes pictures into docs"]
async fn pictures_of_the_main_pages() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures");
    std::fs::create_dir_all(&folder).unwrap();
    let desk = Desk::open().await;
    fill(&desk).await;
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
    let emr = Upstream::http1();
    let mut hospital = Hospital::build(Plan::with_emr(emr.address()).with_directory());
    let terminal = Device::add(&hospital, "ward-pc-1", "ward-shared").await;
    hospital.start();
    let (key, code) = (hospital.key(), hospital.add_person("sato", "佐藤 恵子", "nurse"));
    let mut sato = Person::by_key(&hospital.caller(&terminal), &key);
    sato.enrol(&code, &key, &Manner::default()).await.expect(200);
    let switch = Url::parse(&hospital.url("portal", "/.sekimori/switch")).unwrap();
    sato.open(&hospital.url("portal", "/")).await.expect(200);
    sato.post(&switch, &hospital.url("portal", ""), &[]).await;
    let browser = Browser::open_on(&hospital, "ja", &terminal).await;
    browser.as_tablet().await;
    browser.go(&hospital.url("login", "/switch")).await;
    keep(&browser, "switch").await;
}
