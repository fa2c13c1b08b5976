//! Remote maintenance on both sides, with a window in each state, as axe-core sees it; and pictures of it.

use std::path::Path;
use std::time::Duration;

use policy::Timestamp;
use tests::{Browser, Device, Hospital};

use super::Gallery;
use crate::maintenance::{enters, hour_house, in_seconds, sets, until};

/// The two browsers, and what they stand in.
struct Both {
    hospital: Hospital,
    vendor: Browser,
    chief: Browser,
    _emr: tests::Upstream,
}

impl Both {
    async fn open(language: &str) -> Self {
        let (mut hospital, emr) = hour_house();
        let desk = Device::add(&hospital, "desk-1", "fixed").await;
        let laptop = Device::add(&hospital, "nova-1", "vendor").await;
        hospital.start();
        let vendor = enters(&hospital, &laptop, "m.hoshi", "星 誠", "vendor", language).await;
        let chief = enters(&hospital, &desk, "s.kato", "加藤 進", "approver", language).await;
        Self { hospital, vendor, chief, _emr: emr }
    }

    /// Asks for a window that begins and ends so many seconds from when the form is handed in; gives its name, and when it
    /// begins and ends.
    async fn ask(&self, begin: u64, end: u64) -> (String, Timestamp, Timestamp) {
        let vendor = &self.vendor;
        vendor.go(&self.hospital.url("portal", "/new-maintenance")).await;
        vendor.fill("[name=purpose]", "画像が表示されない不具合の調査").await;
        vendor.fill("[name=ticket]", "INC-2026-118").await;
        let plan = "1. 画像サーバーの記録を見る\n2. 設定を1か所直す\n3. 画像が表示されることを確かめる\n患者の情報: 画像の一覧だけを見る";
        vendor.fill("[name=plan]", plan).await;
        let ((begin, begin_text), (end, end_text)) = (in_seconds(begin), in_seconds(end));
        sets(vendor, "begin", &begin_text).await;
        sets(vendor, "end", &end_text).await;
        vendor.click("form.fields .form-buttons button").await;
        vendor.arrives_at(&self.hospital.url("portal", "/maintenance/requests/g-")).await;
        let here = vendor.url().await;
        let id = here.split('?').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        (id.to_owned(), begin, end)
    }

    /// A window that is over, in which something was looked at, and its report; gives its name.
    async fn worked(&self) -> String {
        let (id, begin, end) = self.ask(10, 16).await;
        self.approve(&id).await;
        until(begin.after(Duration::from_secs(1))).await;
        self.vendor.go(&self.hospital.url("emr", "/patients/1")).await;
        until(end.after(Duration::from_secs(1))).await;
        self.report(&id).await;
        id
    }

    async fn approve(&self, id: &str) {
        self.chief.go(&self.desk(&format!("/maintenance/{id}/approve"))).await;
        self.chief.click("form[action$='/approve'] .form-buttons button").await;
        self.chief.arrives_at(&self.desk(&format!("/maintenance/{id}?done="))).await;
    }

    async fn report(&self, id: &str) {
        self.vendor.go(&self.portal(&format!("/maintenance/requests/{id}"))).await;
        self.vendor.fill("form[action$='/report'] textarea", "設定を直し、画像が表示されることを確かめました。").await;
        self.vendor.click("form[action$='/report'] .form-buttons button").await;
        self.vendor.arrives_at(&self.portal(&format!("/maintenance/requests/{id}?done="))).await;
    }

    fn desk(&self, path: &str) -> String {
        self.hospital.url("console", path)
    }

    fn portal(&self, path: &str) -> String {
        self.hospital.url("portal", path)
    }
}

pub async fn walk(language: &str) {
    let both = Both::open(language).await;
    let (waiting, ..) = both.ask(3_600, 7_200).await;
    let ended = both.worked().await;
    let (active, begin, _) = both.ask(4, 900).await;
    both.approve(&active).await;
    until(begin).await;
    let Both { hospital, vendor, chief, _emr } = both;
    let (desk, portal) = (|path: &str| hospital.url("console", path), |path: &str| hospital.url("portal", path));

    let mut vendor = Gallery::of(vendor);
    for path in ["/", "/maintenance", "/new-maintenance"] {
        vendor.visit(&portal(path)).await;
    }
    for id in [&waiting, &ended, &active] {
        vendor.visit(&portal(&format!("/maintenance/requests/{id}"))).await;
    }
    vendor.browser.go(&portal("/new-maintenance")).await;
    vendor.browser.script("document.querySelector('form.fields').noValidate = true").await;
    vendor.browser.click("form.fields .form-buttons button").await;
    vendor.look(".flash.bad").await;
    vendor.close();

    let mut chief = Gallery::of(chief);
    for path in ["/", "/maintenance", "/maintenance?show=all", "/inventory"] {
        chief.visit(&desk(path)).await;
    }
    for id in [&waiting, &ended, &active] {
        chief.visit(&desk(&format!("/maintenance/{id}"))).await;
    }
    for path in [format!("{waiting}/approve"), format!("{waiting}/admit"), format!("{ended}/report")] {
        chief.visit(&desk(&format!("/maintenance/{path}"))).await;
    }
    chief.close();
}

/// `cargo nextest run -p tests --run-ignored only -E 'test(pictures_of_maintenance)'` writes docs/pictures anew.
#[tokio::test]
#[ignore = "writes pictures into docs"]
async fn pictures_of_maintenance() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures");
    for language in ["ja", "en"] {
        let both = Both::open(language).await;
        let keep = async |browser: &Browser, name: &str| {
            let file = folder.join(format!("maintenance-{name}.{language}.png"));
            std::fs::write(file, browser.picture().await).unwrap();
        };
        let ended = both.worked().await;
        let (waiting, ..) = both.ask(3_600, 7_200).await;
        keep(&both.vendor, "own").await;
        both.vendor.go(&both.portal("/new-maintenance")).await;
        keep(&both.vendor, "ask").await;
        for (name, path) in [
            ("list", "/maintenance".to_owned()),
            ("approve", format!("/maintenance/{waiting}/approve")),
            ("report", format!("/maintenance/{ended}/report")),
        ] {
            both.chief.go(&both.desk(&path)).await;
            keep(&both.chief, name).await;
        }
        let (active, begin, _) = both.ask(4, 900).await;
        both.approve(&active).await;
        until(begin).await;
        both.chief.narrow_to(360).await;
        both.chief.go(&both.desk(&format!("/maintenance/{active}"))).await;
        keep(&both.chief, "phone").await;
    }
}
