//! The pages of an SSH app: its terminal before, while and after it is open, and the files of its server.

use std::path::Path;

use tests::connector::SshServer;
use tests::{Browser, Device, Folder, Hospital, Plan, eventually};

use super::Gallery;

const RULES: &str = r#"
[roles]
vendor = { ja = "保守業者", en = "Vendor" }

[[rule]]
id = "vendors-maintain"
roles = ["vendor"]
apps = ["shell"]
actions = ["connect", "read", "write"]
devices = "known"
"#;

/// A vendor's person at a browser, in front of a real server with a folder of files.
struct Desk {
    hospital: Hospital,
    _sshd: SshServer,
    folder: Folder,
    browser: Browser,
}

impl Desk {
    async fn open(language: &str) -> Self {
        let (sshd, folder) = (SshServer::start(), Folder::new());
        std::fs::create_dir(folder.join("2026-11")).unwrap();
        folder.write("pacs.log", "08:00 started\n");
        folder.write("引継ぎ <b>& \"1\".txt", "handed over\n");
        let more = format!("files = \"both\"\nfolders = [\"{}\", \"/var/log\"]", folder.path().display());
        let plan = Plan::new().with_directory().tcp("shell", sshd.address(), "ssh").block(&sshd.terminal(&more));
        let mut hospital = Hospital::build(plan.rules(RULES));
        let laptop = Device::add(&hospital, "laptop-1", "vendor").await;
        hospital.start();
        let code = hospital.add_person("gyosha", "業者 次郎", "vendor");
        let browser = Browser::open_on(&hospital, language, &laptop).await;
        browser.as_tablet().await;
        browser.plug_in_key().await;
        browser.go(&format!("{}#{code}", hospital.url("login", "/enrol"))).await;
        browser.click("[data-do]").await;
        browser.arrives_at(&hospital.url("portal", "/")).await;
        Self { hospital, _sshd: sshd, folder, browser }
    }

    fn files(&self) -> String {
        self.hospital.url("shell", &format!("/files/at{}", self.folder.path().display()))
    }
}

async fn opens(browser: &Browser) {
    browser.click("[data-do=open]").await;
    browser.find("[data-state=open]").await;
    browser.fill(".xterm-helper-textarea", "PS1='$ '; clear; echo 08:00 pacs re''ady\u{e007}").await;
    eventually("the terminal shows it", async || browser.text().await.contains("pacs ready").then_some(())).await;
}

pub async fn walk(language: &str) {
    let desk = Desk::open(language).await;
    let files = desk.files();
    let Desk { hospital, browser, _sshd, folder: _folder } = desk;
    let mut vendor = Gallery::of(browser);
    vendor.visit(&hospital.url("shell", "/")).await;
    vendor.visit(&hospital.url("shell", "/terminal")).await;
    opens(&vendor.browser).await;
    vendor.look("[data-state=open]").await;
    vendor.browser.click("[data-do=close]").await;
    vendor.look("[data-state=ended]").await;
    vendor.visit(&hospital.url("shell", "/files")).await;
    vendor.visit(&files).await;
    vendor.visit(&hospital.url("shell", "/files/at/etc")).await;
    vendor.close();
}

/// `cargo nextest run -p tests --run-ignored only -E 'test(pictures_of_terminals)'` writes them anew.
#[tokio::test]
#[ignore = "writes pictures into docs"]
async fn pictures_of_terminals() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures");
    for language in ["ja", "en"] {
        let desk = Desk::open(language).await;
        let keep = async |name: &str| {
            std::fs::write(folder.join(format!("{name}.{language}.png")), desk.browser.picture().await).unwrap();
        };
        desk.browser.go(&desk.hospital.url("shell", "/terminal")).await;
        opens(&desk.browser).await;
        keep("terminal").await;
        desk.browser.go(&desk.files()).await;
        keep("files").await;
    }
}
