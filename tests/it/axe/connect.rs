//! The pages of a TCP app: how to connect, whether to let a program in, and that it was.

use tests::{Browser, Device, Hospital, Plan};

use super::Gallery;

const RULES: &str = r#"
[roles]
vendor = { ja = "保守業者", en = "Vendor" }

[[rule]]
id = "vendors-maintain"
roles = ["vendor"]
apps = ["shell"]
actions = ["connect"]
devices = "known"
"#;

/// `keep` is told where a picture is worth it.
pub async fn walk(language: &str, keep: impl AsyncFn(&Browser, &str)) {
    let nobody = "127.0.0.1:9".parse().unwrap();
    let mut hospital = Hospital::build(Plan::new().with_directory().tcp("shell", nobody, "ssh").rules(RULES));
    let laptop = Device::add(&hospital, "laptop-1", "vendor").await;
    hospital.start();
    let code = hospital.add_person("gyosha", "業者 次郎", "vendor");
    let mut vendor = Gallery::of(Browser::open_on(&hospital, language, &laptop).await);
    vendor.browser.as_tablet().await;
    vendor.browser.plug_in_key().await;
    vendor.browser.go(&format!("{}#{code}", hospital.url("login", "/enrol"))).await;
    vendor.browser.click("[data-do]").await;
    vendor.browser.arrives_at(&hospital.url("portal", "/")).await;
    for path in ["/", "/?code=not-a-code", "/?code=BCDF-GHJK"] {
        vendor.visit(&hospital.url("shell", path)).await;
        if path == "/" {
            let fits = "const card = document.querySelector('.card'); return card.scrollWidth <= card.clientWidth";
            assert_eq!(vendor.browser.script(fits).await, true, "the command stays within its card");
            keep(&vendor.browser, "connect-how").await;
        }
    }
    let connector = tests::connector::Connector::start(&hospital, &laptop, "shell", hospital.address());
    let code = connector.hears("Code: ").await;
    vendor.visit(&hospital.url("shell", &format!("/?code={code}"))).await;
    keep(&vendor.browser, "connect-allow").await;
    vendor.browser.click("main form button").await;
    vendor.browser.arrives_at(&hospital.url("shell", "/")).await;
    vendor.look("#title").await;
    connector.hears("You are let in").await;
    vendor.close();
}

/// `cargo nextest run -p tests --run-ignored only -E 'test(connect::pictures)'` writes them anew.
#[tokio::test]
#[ignore = "writes pictures into docs"]
async fn pictures_of_tcp_apps() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures");
    for language in ["ja", "en"] {
        walk(language, async |browser, name| {
            browser.as_tablet().await;
            std::fs::write(folder.join(format!("{name}.{language}.png")), browser.picture().await).unwrap();
        })
        .await;
    }
}
