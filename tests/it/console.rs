//! The console in a real browser on a device of the ledger: what administrators do there, and what others may not.

use std::time::Duration;

use serde_json::json;
use tests::{Ask, Authenticator, Browser, Device, Frame, Hospital, Manner, Person, Plan, Upstream, eventually, within};
use url::Url;

use crate::stream::open_socket;

const ONE_SECOND: Duration = Duration::from_secs(1);

/// A hospital with a console, and a desk to sit at.
pub struct Desk {
    pub hospital: Hospital,
    pub terminal: Device,
    pub emr: Upstream,
}

impl Desk {
    pub async fn open() -> Self {
        let emr = Upstream::http1();
        let chart = "[[app.route]]\npaths = [\"/patients/{patient}\", \"/patients/{patient}/**\"]\nclass = \"chart\"";
        let mut hospital = Hospital::build(Plan::with_emr(emr.address()).block(chart).with_console());
        let terminal = Device::add(&hospital, "desk-1", "fixed").await;
        hospital.start();
        Self { hospital, terminal, emr }
    }

    /// A browser on the desk, in which a new person of this role has enrolled a key, and so is in.
    pub async fn browser(&self, login: &str, name: &str, role: &str, language: &str) -> Browser {
        let code = self.hospital.add_person(login, name, role);
        let browser = Browser::open_on(&self.hospital, language, &self.terminal).await;
        browser.as_tablet().await;
        browser.plug_in_key().await;
        browser.go(&format!("{}#{code}", self.hospital.url("login", "/enrol"))).await;
        browser.click("[data-do]").await;
        browser.arrives_at(&self.hospital.url("portal", "/")).await;
        browser
    }

    /// A person of this role with a key of software.
    pub async fn person(&self, login: &str, role: &str) -> (Person, Authenticator) {
        let (key, code) = (self.hospital.key(), self.hospital.add_person(login, &format!("{login} さん"), role));
        let mut person = Person::by_key(&self.hospital.caller(&self.terminal), &key);
        person.enrol(&code, &key, &Manner::default()).await.expect(200);
        (person, key)
    }

    fn console(&self, path: &str) -> String {
        self.hospital.url("console", path)
    }

    pub fn id_of(&self, login: &str) -> String {
        let people = self.hospital.run(&["user", "list", "--format", "json"]).ok().lines();
        let person = people.into_iter().find(|one| one["login"] == login).unwrap();
        person["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn an_administrator_invites_a_person_who_then_signs_in() {
    let desk = Desk::open().await;
    let chief = desk.browser("kanri", "管理 太郎", "administrator", "ja").await;
    chief.go(&desk.console("/new-person")).await;
    chief.fill("[name=name]", "山田 花子").await;
    chief.fill("[name=login]", "yamada").await;
    chief.script("document.querySelector('[name=role][value=clerk]').click()").await;
    chief.click("form.fields .form-buttons button").await;
    eventually("the person is there", async || {
        let people = desk.hospital.run(&["user", "list", "--format", "json"]).ok().out;
        people.contains("yamada").then_some(())
    })
    .await;
    chief.go(&desk.console(&format!("/people/{}", desk.id_of("yamada")))).await;
    chief.script("document.querySelectorAll('details').forEach((one) => { one.open = true; })").await;
    chief.fill("form[action$='/invite'] [name=proofing]", "職員証で確認").await;
    chief.click("form[action$='/invite'] .form-buttons button").await;
    chief.find(".slip-code").await;
    let code = chief.script("return document.querySelector('.slip-code').textContent.trim()").await;
    let key = desk.hospital.key();
    let mut yamada = Person::by_key(&desk.hospital.stranger(), &key);
    yamada.enrol(code.as_str().unwrap(), &key, &Manner::default()).await.expect(200);
    yamada.open(&desk.hospital.url("emr", "/reception/form")).await.expect(200);
    let made = eventually("the record of the invitation", async || {
        let made = desk.hospital.records().with("ev", "invitation-made").last().clone();
        (made["proofing"] == "職員証で確認").then_some(made)
    })
    .await;
    assert_eq!(made["actor"], desk.id_of("kanri").as_str(), "{made}");
}

#[tokio::test]
async fn a_lost_device_is_out_at_once_and_what_was_seen_from_it_is_listed() {
    let desk = Desk::open().await;
    let tablet = Device::add(&desk.hospital, "tablet-1", "tablet").await;
    let (key, code) = (desk.hospital.key(), desk.hospital.add_person("sato", "佐藤 恵子", "doctor"));
    let mut sato = Person::by_key(&desk.hospital.caller(&tablet), &key);
    sato.enrol(&code, &key, &Manner::default()).await.expect(200);
    sato.open(&desk.hospital.url("emr", "/patients/4711")).await.expect(200);
    let cookie = sato.jar().field("emr.hospital.test");
    let ask = Ask::get("emr", "/socket/ward").header("cookie", &cookie);
    let mut socket = open_socket(&desk.hospital.caller(&tablet), ask).await;

    let chief = desk.browser("kanri", "管理 太郎", "administrator", "ja").await;
    chief.go(&desk.console("/devices/tablet-1/lost")).await;
    chief.fill("[name=reason]", "往診先で紛失").await;
    let click = chief.click("form[action$='/lost'] .form-buttons button");
    let (end, ()) = tokio::join!(within(ONE_SECOND * 2, "the end of the WebSocket", socket.next()), click);
    assert!(matches!(end, Some(Frame::Close(Some(1008))) | None), "{end:?}");
    chief.arrives_at(&desk.console("/devices/tablet-1/trail")).await;
    let page = chief.text().await;
    assert!(page.contains("佐藤 恵子") || page.contains("sato"), "{page}");
    assert!(page.contains("4711"), "the patient's page is listed: {page}");
    let list = desk.hospital.run(&["device", "list", "--format", "json"]).ok().lines();
    let lost = list.into_iter().find(|one| one["id"] == "tablet-1").unwrap();
    assert!(!lost["revoked_at"].is_null());
    let first = "return document.querySelector('section[aria-labelledby=patients] tbody tr > *').textContent.trim()";
    assert_eq!(chief.script(first).await, "4711");
    let told = desk.hospital.run(&["device", "lost", "tablet-1", "--format", "json"]).ok().lines();
    let patient = told.iter().find(|one| one["patient"] == "4711").unwrap_or_else(|| panic!("{told:?}"));
    assert_eq!((&patient["logins"], &patient["apps"]), (&json!(["sato"]), &json!(["emr"])), "{patient}");
    assert_eq!((&told[0]["revoked"], &told[0]["whole"]), (&json!(false), &json!(true)), "it was out already");
    eventually("the record of why", async || {
        let records = desk.hospital.records().with("ev", "device-revoked");
        records.all().iter().any(|one| one["reason"] == "往診先で紛失").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_administrator_revokes_a_device() {
    let desk = Desk::open().await;
    let tablet = Device::add(&desk.hospital, "tablet-1", "tablet").await;
    let chief = desk.browser("kanri", "管理 太郎", "administrator", "ja").await;
    chief.go(&desk.console("/devices/tablet-1/revoke")).await;
    chief.click("form[action$='/revoke'] .form-buttons button").await;
    let revoked = async || (!desk.hospital.records().with("ev", "device-revoked").is_empty()).then_some(());
    eventually("the device is revoked", revoked).await;
    let record = desk.hospital.records().with("ev", "device-revoked").all()[0].clone();
    assert_eq!((&record["dev"], &record["actor"]), (&tablet.id.as_str().into(), &desk.id_of("kanri").as_str().into()));
}

#[tokio::test]
async fn an_auditor_looks_and_changes_nothing() {
    let desk = Desk::open().await;
    let (mut auditor, _) = desk.person("kansa", "auditor").await;
    auditor.open(&desk.console("/people")).await.expect(200);
    auditor.open(&desk.console("/log")).await.expect(200);
    let id = desk.id_of("kansa");
    let origin = desk.hospital.url("console", "");
    for (path, fields) in [
        (format!("/people/{id}/invite"), vec![("proofing", "x"), ("hours", "24")]),
        (format!("/people/{id}/disable"), vec![("why", "x")]),
        ("/devices/desk-1/lost".to_owned(), vec![("reason", "x"), ("hours", "24")]),
        ("/devices/desk-1/revoke".to_owned(), vec![]),
    ] {
        let answer = auditor.post(&Url::parse(&desk.console(&path)).unwrap(), &origin, &fields).await;
        assert_eq!(answer.status, 403, "{path}");
    }
    let records = desk.hospital.records();
    assert!(records.with("ev", "device-revoked").is_empty() && records.with("ev", "person-disabled").is_empty());
}

#[tokio::test]
async fn a_nurse_has_no_console_and_neither_has_an_unknown_device() {
    let desk = Desk::open().await;
    let (mut nurse, _) = desk.person("sato", "nurse").await;
    nurse.open(&desk.console("/")).await.expect(403);
    nurse.step_as_program(&Url::parse(&desk.console("/people")).unwrap()).await.expect_problem(403, "role-not-allowed");
    let (_, key) = desk.person("kanri", "administrator").await;
    let mut away = Person::by_key(&desk.hospital.stranger(), &key);
    away.open(&desk.console("/")).await;
    away.step_as_program(&Url::parse(&desk.console("/people")).unwrap()).await.expect_problem(403, "device-required");
    assert!(desk.emr.seen().is_empty());
}

#[tokio::test]
async fn a_form_of_another_site_changes_nothing() {
    let desk = Desk::open().await;
    let (mut chief, _) = desk.person("kanri", "administrator").await;
    chief.open(&desk.console("/")).await.expect(200);
    let lose = Url::parse(&desk.console("/devices/desk-1/revoke")).unwrap();
    for origin in ["https://evil.test", "https://emr.hospital.test:8443", "null"] {
        chief.post(&lose, origin, &[]).await.expect(403);
    }
    assert!(desk.hospital.records().with("ev", "device-revoked").is_empty());
}
