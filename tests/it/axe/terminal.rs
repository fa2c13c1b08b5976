//! Pages of shared terminals, of codes, and of devices that enrol: who is here, locked, handed over, come in another's
//! browser, a certificate that is ready.

use std::time::Duration;

use tests::{Answer, Browser, Device, Hospital, Manner, Person, Plan, Upstream, eventually};
use url::Url;

use super::Gallery;
use super::gallery::speak;

/// Longer than the shortest time after which a terminal may lock.
const LOCKED: Duration = Duration::from_secs(11);

struct Ward {
    hospital: Hospital,
    shared: Device,
    _emr: Upstream,
}

impl Ward {
    /// Devices have certificates that are near their end.
    async fn open() -> Self {
        let emr = Upstream::http1();
        let plan = Plan::with_emr(emr.address())
            .with_directory()
            .block("[sessions.ward-shared]\nlock = \"10s\"")
            .set("devices", "certificate_lifetime = \"1d\"");
        let mut hospital = Hospital::build(plan);
        let shared = Device::add(&hospital, "ward-pc-1", "ward-shared").await;
        hospital.start();
        let plan = hospital.plan().clone().set("devices", "certificate_lifetime = \"365d\"");
        hospital.reload(plan);
        Self { hospital, shared, _emr: emr }
    }

    fn portal(&self) -> String {
        self.hospital.url("portal", "/")
    }

    async fn post(&self, person: &mut Person, host: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let url = Url::parse(&self.hospital.url(host, path)).unwrap();
        person.post(&url, &self.hospital.url(host, ""), fields).await
    }

    fn code(&self, words: &[&str]) -> String {
        let words: Vec<&str> = words.iter().copied().chain(["--format", "json"]).collect();
        self.hospital.run(&words).ok().json()["code"].as_str().unwrap().to_owned()
    }

    fn temporary(&self, login: &str) -> String {
        self.code(&["user", "temporary", login, "--reason", "鍵を自宅に忘れた"])
    }
}

pub async fn walk(language: &str) {
    let ward = Ward::open().await;
    let mut terminal = Gallery::of(Browser::open_on(&ward.hospital, language, &ward.shared).await);
    terminal.browser.as_tablet().await;
    shared(&ward, &mut terminal).await;
    codes(&ward, &mut terminal, language).await;
    devices(&ward, &mut terminal, language).await;
    terminal.close();
}

/// Signed in where others come after, waiting, and locked.
async fn shared(ward: &Ward, terminal: &mut Gallery) {
    let hospital = &ward.hospital;
    let (key, code) = (hospital.key(), hospital.add_person("sato", "佐藤 恵子", "nurse"));
    let mut sato = Person::by_key(&hospital.caller(&ward.shared), &key);
    sato.enrol(&code, &key, &Manner::default()).await.expect(200);
    sato.open(&ward.portal()).await.expect(200);

    let plugged_in = terminal.browser.plug_in_key().await;
    let code = hospital.add_person("suzuki", "鈴木 次郎", "doctor");
    terminal.browser.go(&format!("{}#{code}", hospital.url("login", "/enrol"))).await;
    terminal.browser.click("[data-do]").await;
    terminal.browser.arrives_at(&ward.portal()).await;
    terminal.visit(&ward.portal()).await;
    // A key that the page may use by itself would go on from it.
    terminal.browser.unplug(&plugged_in).await;
    terminal.visit(&hospital.url("login", "/switch")).await;
    terminal.browser.click("form[action='/.sekimori/switch'] button").await;
    terminal.look(".waiting .who").await;

    sato.open(&ward.portal()).await.expect(200);
    tokio::time::sleep(LOCKED).await;
    terminal.browser.go(&ward.portal()).await;
    terminal.look("[data-passkey=switch]").await;
}

/// Coming in by a code, in one's own browser and in one that was another's, and handing over.
async fn codes(ward: &Ward, terminal: &mut Gallery, language: &str) {
    let hospital = &ward.hospital;
    let _ = hospital.add_person("tanaka", "田中 一郎", "doctor");
    let mut browser = Person::new(&hospital.caller(&ward.shared), "");
    speak(hospital, &mut browser, &["login", "portal"], language).await;
    let entered = ward.post(&mut browser, "login", "/temporary", &[("code", &ward.temporary("suzuki"))]).await;
    terminal.show("come in by a code", &entered.expect(200)).await;
    browser.open(&ward.portal()).await.expect(200);
    let handed_over = ward.post(&mut browser, "portal", "/.sekimori/switch", &[]).await;
    terminal.show("handed over", &handed_over.expect(200)).await;
    let other = ward.post(&mut browser, "login", "/temporary", &[("code", &ward.temporary("tanaka"))]).await;
    let other = other.expect(200);
    assert!(other.text().contains("action=\"/land\""), "{}", other.text());
    terminal.show("come in another's browser", &other).await;
    let void = ward.post(&mut browser, "login", "/temporary", &[("code", "ABCD-EFGH-JKMN")]).await;
    terminal.show("a code that opens nothing", &void.expect(400)).await;
}

/// A device that gets its certificate, one that may renew it, one for which that is too early, and one that has none.
async fn devices(ward: &Ward, terminal: &mut Gallery, language: &str) {
    let hospital = &ward.hospital;
    let mut tablet = Person::new(&hospital.stranger(), "");
    speak(hospital, &mut tablet, &["login"], language).await;
    for (id, form) in [("tablet-1", "pkcs12"), ("ipad-1", "mobileconfig")] {
        let code = ward.code(&["device", "invite", id, "--class", "tablet", "--reason", "新規導入"]);
        let ready = ward.post(&mut tablet, "login", "/device", &[("code", &code), ("form", form)]).await.expect(200);
        assert!(ready.text().contains("class=\"secret\""), "{}", ready.text());
        terminal.show(&format!("a certificate is ready ({form})"), &ready).await;
    }
    let device = hospital.url("login", "/device");
    eventually("the certificate is near its end", async || {
        terminal.browser.go(&device).await;
        let found = terminal.browser.script("return document.querySelector('form[action=\"/device/renew\"]') !== null");
        (found.await == true).then_some(())
    })
    .await;
    terminal.look("form[action='/device/renew']").await;
    let fresh = Device::add(hospital, "desk-1", "fixed").await;
    let mut desk = Person::by_key(&hospital.caller(&fresh), &hospital.key());
    speak(hospital, &mut desk, &["login"], language).await;
    let known = desk.step(&Url::parse(&device).unwrap()).await.expect(200);
    terminal.show("a device that is known", &known).await;
    let key = hospital.key();
    let code = hospital.add_person("hayashi", "林 三郎", "clerk");
    let mut hayashi = Person::by_key(&hospital.stranger(), &key);
    speak(hospital, &mut hayashi, &["login", "emr"], language).await;
    hayashi.enrol(&code, &key, &Manner::default()).await.expect(200);
    let refused = hayashi.open(&hospital.url("emr", "/patients/1")).await.expect(403);
    terminal.show("refused without a device", &refused).await;
}
