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

pub async fn walk(language: &str) {
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
    }
    let connector = tests::connector::Connector::start(&hospital, &laptop, "shell", hospital.address());
    let code = connector.hears("Code: ").await;
    vendor.visit(&hospital.url("shell", &format!("/?code={code}"))).await;
    vendor.browser.click("main form button").await;
    vendor.browser.arrives_at(&hospital.url("shell", "/")).await;
    vendor.look("#title").await;
    connector.hears("You are let in").await;
    vendor.close();
}
