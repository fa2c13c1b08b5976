//! Pages beside an identity provider: the second factor, proving it again, what was typed and must wait, and an outage.

use tests::{Browser, Person, eventually};
use url::Url;

use super::Gallery;
use super::gallery::speak;
use crate::house::{House, with_outages};

const SAFE: &str = r#"
[[rule]]
id = "safe-needs-a-key"
effect = "permit"
roles = ["clerk"]
apps = ["emr"]
actions = ["read"]
paths = ["/safe/*"]
devices = "any"
methods = ["passkey"]
authenticated_within = "1m"
"#;

async fn open() -> House {
    let more = "second_factor = \"passkey\"\nenrol_at_first_sign_in = true\n";
    House::open(|plan| with_outages(plan.with_console()).block(SAFE), more).await
}

/// As far as the page that wants the key after the provider.
async fn at_the_second_factor(house: &House, clerk: &Gallery) {
    clerk.browser.go(&house.way()).await;
    clerk.browser.fill("#login", "clerk").await;
    clerk.browser.click("#continue").await;
    clerk.browser.arrives_at(&house.hospital.url("login", "/second")).await;
}

pub async fn walk(language: &str) {
    let mut house = open().await;
    let mut clerk = Gallery::of(Browser::open(&house.hospital, language).await);
    clerk.browser.as_tablet().await;
    clerk.browser.plug_in_key().await;
    two_factors(&house, &mut clerk).await;
    passing(&house, &mut clerk, language).await;
    clerk.close();
    outage(&mut house, language).await;
}

/// The key after the provider: the first one, then one that is there; and proving it once more.
async fn two_factors(house: &House, clerk: &mut Gallery) {
    // The choice, and links of a sign-in that is over.
    for (host, path) in [("login", "/sign-in"), ("emr", "/.sekimori/arrive?h=x&code=y"), ("login", "/second?p=x")] {
        clerk.visit(&house.hospital.url(host, path)).await;
    }
    at_the_second_factor(house, clerk).await;
    clerk.look("[data-passkey=enrol]").await;
    clerk.browser.click("[data-passkey=enrol] [data-do]").await;
    clerk.browser.arrives_at("https://emr.hospital.test").await;
    clerk.browser.forget().await;
    at_the_second_factor(house, clerk).await;
    clerk.look("[data-passkey=second-factor]").await;
    clerk.browser.click("[data-passkey=second-factor] [data-do]").await;
    clerk.browser.arrives_at("https://emr.hospital.test").await;
    clerk.visit(&house.hospital.url("login", "/sign-in?again=aal3")).await;
    clerk.look("[data-passkey=step-up]").await;
}

/// Pages that one is on for a moment, or only when something went another way than it should.
async fn passing(house: &House, clerk: &mut Gallery, language: &str) {
    let (hospital, key) = (&house.hospital, house.hospital.key());
    let mut doctor = Person::new(&hospital.caller(&house.terminal), "doctor").with_key(&key);
    speak(hospital, &mut doctor, &["emr", "login"], language).await;
    doctor.open(&house.way()).await;
    doctor.open(&hospital.url("emr", "/chart/1")).await.expect(200);
    let session = hospital.records().with("ev", "signed-in").with("login", "doctor").last()["sid"].clone();
    hospital.run(&["session", "revoke", session.as_str().unwrap()]).ok();
    eventually("the session is over", async || {
        (!hospital.records().with("ev", "session-ended").is_empty()).then_some(())
    })
    .await;
    let form = Url::parse(&hospital.url("emr", "/notes")).unwrap();
    let note = [("note", "体温 37.5"), ("by", "doctor")];
    let kept = doctor.post(&form, &hospital.url("emr", ""), &note).await.expect(401);
    clerk.browser.go(&hospital.url("login", "/signed-out")).await;
    clerk.show("what was typed is kept", &kept).await;
    doctor.open(&house.way()).await;
    let leave = Url::parse(&hospital.url("emr", "/.sekimori/sign-out")).unwrap();
    let left = doctor.post(&leave, &hospital.url("emr", ""), &[]).await.expect(200);
    clerk.show("signed out, and on to the provider", &left).await;
}

/// The banner, the switch and the report.
async fn outage(house: &mut House, language: &str) {
    house.enrol_clerk().await;
    let hospital = &house.hospital;
    let code = hospital.add_person("kanri", "管理 太郎", "administrator");
    let mut chief = Gallery::of(Browser::open_on(hospital, language, &house.terminal).await);
    chief.browser.as_tablet().await;
    let plugged_in = chief.browser.plug_in_key().await;
    chief.browser.go(&format!("{}#{code}", hospital.url("login", "/enrol"))).await;
    chief.browser.click("[data-do]").await;
    chief.browser.arrives_at(&hospital.url("portal", "/")).await;

    house.idp.stop();
    house.turn("on");
    house.enters_by_key().await;
    for (host, path) in
        [("portal", "/"), ("portal", "/me"), ("console", "/outage"), ("console", "/outage/staff/switch")]
    {
        chief.visit(&hospital.url(host, path)).await;
        chief.look(".banner").await;
    }
    chief.browser.go(&hospital.url("console", "/outage")).await;
    chief.follow("a[href*='/outage/report']").await;
    // A key that the page may use by itself would go on from it.
    chief.browser.unplug(&plugged_in).await;
    chief.browser.click(".rail-who form button").await;
    chief.browser.arrives_at(&hospital.url("console", "/.sekimori/sign-out")).await;
    chief.visit(&hospital.url("login", "/sign-in")).await;
    chief.close();
}
