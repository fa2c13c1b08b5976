//! Pages for whoever is not signed in, and the console as an administrator sees it, with every question it asks before
//! something is done and every slip it prints.

use tests::{Browser, Manner, Person};

use super::Gallery;
use crate::console::Desk;

const OPEN: [&str; 8] =
    ["/sign-in", "/enrol", "/temporary", "/device", "/switch", "/signed-out", "/.sekimori/signed-in", "/nothing"];

const INSIDE: [(&str, &str); 8] = [
    ("portal", "/"),
    ("portal", "/me"),
    ("portal", "/me?done=1"),
    ("emr", "/patients/1"),
    ("emr", "/.sekimori/sign-out"),
    ("login", "/enrol?own=1"),
    ("login", "/enrol?done=1"),
    ("login", "/device"),
];

const CONSOLE: [&str; 27] = [
    "/",
    "/people",
    "/people?done=person-disabled",
    "/new-person",
    "/import-people",
    "/invitations",
    "/devices",
    "/import-devices",
    "/import-inventory",
    "/new-device",
    "/stock-take",
    "/devices/desk-1",
    "/devices/desk-1/revoke",
    "/devices/desk-1/lost",
    "/devices/desk-1/trail?hours=24",
    "/sessions",
    "/posture",
    "/outage",
    "/nodes",
    "/maintenance",
    "/inventory",
    "/inventory/new",
    "/log",
    "/log/charts",
    "/log/timeline?who=sato",
    "/log/reviews",
    "/policy",
];

/// Something to see: people, one of them with a key and at work, one who left, a device, invitations.
pub async fn fill(desk: &Desk) {
    let (key, code) = (desk.hospital.key(), desk.hospital.add_person("sato", "佐藤 恵子", "nurse"));
    let mut sato = Person::by_key(&desk.hospital.caller(&desk.terminal), &key);
    sato.enrol(&code, &key, &Manner::default()).await.expect(200);
    sato.open(&desk.hospital.url("emr", "/patients/1")).await.expect(200);
    for (login, name, role) in [("suzuki", "鈴木 次郎", "doctor"), ("tanaka", "田中 一郎", "clerk")] {
        let _ = desk.hospital.add_person(login, name, role);
    }
    let _ = desk.hospital.run(&["user", "disable", "tanaka", "--reason", "退職"]).ok();
    let words = ["device", "invite", "tablet-1", "--class", "tablet", "--reason", "新規導入"];
    let _ = desk.hospital.run(&words).ok();
}

pub async fn walk(language: &str) {
    let desk = Desk::open().await;
    fill(&desk).await;
    let mut stranger = Gallery::of(Browser::open(&desk.hospital, language).await);
    stranger.browser.as_tablet().await;
    for path in OPEN {
        stranger.visit(&desk.hospital.url("login", path)).await;
    }
    stranger.close();

    let mut chief = Gallery::of(desk.browser("kanri", "管理 太郎", "administrator", language).await);
    for (host, path) in INSIDE {
        chief.visit(&desk.hospital.url(host, path)).await;
    }
    for path in CONSOLE {
        chief.visit(&desk.hospital.url("console", path)).await;
    }
    questions(&desk, &mut chief).await;
    slips(&desk, &mut chief).await;
    mistakes(&desk, &mut chief).await;
    chief.close();
}

/// What is asked before something is done that cannot be undone.
async fn questions(desk: &Desk, chief: &mut Gallery) {
    let sato = desk.hospital.url("console", &format!("/people/{}", desk.id_of("sato")));
    for page in [sato.clone(), format!("{sato}/disable")] {
        chief.visit(&page).await;
    }
    chief.browser.go(&sato).await;
    chief.follow("a[href*='/keys/']").await;
    chief.browser.go(&desk.hospital.url("console", "/sessions?q=sato")).await;
    chief.follow("a[href$='/end']").await;
    chief.browser.go(&desk.hospital.url("console", "/devices/desk-1")).await;
    chief.follow("a[href*='/certificates/']").await;
    // Who left may be let in again.
    chief.visit(&desk.hospital.url("console", &format!("/people/{}", desk.id_of("tanaka")))).await;
}

/// Codes that are shown once.
async fn slips(desk: &Desk, chief: &mut Gallery) {
    let suzuki = format!("/people/{}", desk.id_of("suzuki"));
    for (page, action, field) in [
        (suzuki.as_str(), "/invite", Some("proofing")),
        (suzuki.as_str(), "/temporary", Some("reason")),
        ("/devices/tablet-1", "/invite", None),
    ] {
        chief.browser.go(&desk.hospital.url("console", page)).await;
        chief.browser.script("document.querySelectorAll('details').forEach((one) => { one.open = true; })").await;
        if let Some(field) = field {
            chief.browser.fill(&format!("form[action$='{action}'] [name={field}]"), "職員証で確認").await;
        }
        chief.browser.click(&format!("form[action$='{action}'] .form-buttons button")).await;
        chief.look(".slip-code").await;
    }
}

/// Forms that come back with what is wrong, and a table before it is taken in.
async fn mistakes(desk: &Desk, chief: &mut Gallery) {
    chief.browser.go(&desk.hospital.url("console", "/new-person")).await;
    chief.browser.script("document.querySelector('form.fields').submit()").await;
    chief.look(".flash.bad").await;
    for (table, shown) in [
        ("login,name,roles\nhayashi,林 三郎,clerk\n", ".desk table"),
        ("login,name,roles\nhayashi,,nobody\n\"", ".flash.bad"),
    ] {
        chief.browser.go(&desk.hospital.url("console", "/import-people")).await;
        chief.browser.fill("form.fields textarea", table).await;
        chief.browser.click("form.fields .form-buttons button").await;
        chief.look(shown).await;
    }
}
