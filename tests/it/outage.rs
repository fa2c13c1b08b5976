//! The provider is gone: people go on by their keys, with less, in plain sight; then it is back.

use std::time::Duration;

use serde_json::json;
use tests::{Ask, Authenticator, Hospital, Idp, Manner, Person, Plan, Upstream, eventually, eventually_in};
use url::Url;

/// What clerks may do while the provider is gone: less than else.
const REDUCED: &str = r#"
[[rule]]
id = "clerks-in-an-outage"
effect = "permit"
roles = ["clerk"]
apps = "all"
actions = ["read"]
paths = ["/reception/form"]
devices = "any"
in_outage = true
"#;
/// The shortest time after which an outage may begin, the probe's rhythm, and some air for a busy machine.
const BY_ITSELF: Duration = Duration::from_secs(100);

struct House {
    hospital: Hospital,
    idp: Idp,
    key: Authenticator,
    _emr: Upstream,
}

impl House {
    /// A clerk of the provider has been here, and has a key.
    async fn open() -> Self {
        let emr = Upstream::http1();
        let plan = Plan::with_emr(emr.address())
            .with_directory()
            .set("outage", "after = \"30s\"")
            .set("outage", "grace = \"0s\"")
            .block(REDUCED);
        let (hospital, idp) = Hospital::open_with_provider(plan);
        let house = Self { key: hospital.key(), hospital, idp, _emr: emr };
        house.by_provider().open(&house.way()).await;
        let mut clerk = house.by_key();
        clerk.enrol(&house.hospital.invite("clerk"), &house.key, &Manner::default()).await.expect(200);
        house
    }

    fn way(&self) -> String {
        self.hospital.url("emr", "/.sekimori/sign-in?provider=staff")
    }

    fn form(&self) -> String {
        self.hospital.url("emr", "/reception/form")
    }

    fn by_key(&self) -> Person {
        Person::by_key(&self.hospital.stranger(), &self.key)
    }

    fn by_provider(&self) -> Person {
        Person::new(&self.hospital.stranger(), "clerk")
    }

    fn turn(&self, word: &str) {
        let _ = self.hospital.run(&["outage", word, "staff"]).ok();
    }

    async fn heard(&self, event: &str, span: Duration) {
        eventually_in(span, event, async || (!self.hospital.records().with("ev", event).is_empty()).then_some(()))
            .await;
    }

    /// Signs in by key as soon as the gateway has heard of the outage.
    async fn enters_by_key(&self) -> Person {
        eventually("the key is enough", async || {
            let mut clerk = self.by_key();
            (clerk.open(&self.form()).await.status == 200).then_some(clerk)
        })
        .await
    }

    fn report(&self) -> Vec<serde_json::Value> {
        self.hospital.run(&["outage", "report", "staff", "--format", "json"]).ok().lines()
    }
}

#[tokio::test]
async fn declared_gone_people_go_on_by_key_with_less_and_it_is_said_and_written() {
    let mut house = House::open().await;
    house.by_key().open(&house.form()).await.expect_problem(403, "provider-first");
    house.idp.stop();
    house.turn("on");
    let mut clerk = house.enters_by_key().await;
    let refused = clerk.step_as_program(&Url::parse(&house.hospital.url("emr", "/reception/archive")).unwrap()).await;
    refused.expect_problem(403, "outage-reduced");
    let portal = clerk.open(&house.hospital.url("portal", "/")).await.expect(200).text();
    assert!(portal.contains("認証システムの障害中です"), "the banner: {portal}");
    let stranger = house.hospital.stranger().ask(Ask::get("login", "/sign-in").as_browser()).await.expect(200).text();
    assert!(stranger.contains("data-passkey=\"sign-in\""), "{stranger}");
    let records = house.hospital.records();
    let opened = records.opened("/reception/form").last().clone();
    assert_eq!((&opened["outage"], &opened["amr"]), (&json!(true), &json!(["passkey"])), "{opened}");
    assert_eq!(records.with("path", "/reception/archive").with("ev", "refused").last()["outage"], json!(true));
    assert_eq!(records.with("ev", "outage-began").only()["prov"], "staff");

    // The provider is back: it ends, and who came by key alone signs in again.
    house.idp.start_again();
    house.turn("off");
    house.heard("outage-ended", Duration::from_secs(30)).await;
    let form = Url::parse(&house.form()).unwrap();
    eventually_in(Duration::from_secs(30), "the sessions of the outage end", async || {
        (clerk.step_as_program(&form).await.status == 401).then_some(())
    })
    .await;
    house.by_key().open(&house.form()).await.expect_problem(403, "provider-first");
    let mut again = house.by_provider();
    again.open(&house.way()).await;
    again.open(&house.form()).await.expect(200);
    let report = house.report();
    assert_eq!((&report[0]["people"], &report[0]["sessions"]), (&json!(1), &json!(1)), "{report:?}");
    assert!(report[0]["accesses"].as_u64().unwrap() >= 1, "{report:?}");
    assert_eq!((&report[1]["login"], &report[1]["standing"]), (&"clerk".into(), &"confirmed".into()), "{report:?}");
}

#[tokio::test]
async fn a_provider_that_stops_is_noticed_and_so_is_its_return() {
    let mut house = House::open().await;
    house.idp.stop();
    house.heard("outage-began", BY_ITSELF).await;
    let mut clerk = house.enters_by_key().await;
    house.idp.start_again();
    house.heard("outage-ended", BY_ITSELF).await;
    let form = Url::parse(&house.form()).unwrap();
    eventually_in(Duration::from_secs(30), "the sessions of the outage end", async || {
        (clerk.step_as_program(&form).await.status == 401).then_some(())
    })
    .await;
    let began = house.hospital.records().with("ev", "outage-began").only().clone();
    assert!(began["actor"].as_str().unwrap().starts_with("gateway"), "{began}");
}

#[tokio::test]
async fn who_was_never_seen_or_has_no_key_does_not_come_in_by_an_outage() {
    let house = House::open().await;
    house.turn("on");
    house.enters_by_key().await;
    let stray = house.hospital.key();
    let mut nobody = Person::by_key(&house.hospital.stranger(), &stray);
    nobody.tell("/enrol/begin", &json!({})).await.expect(200);
    assert!(house.hospital.run(&["user", "invite", "doctor", "--proofing", "職員証"]).code != Some(0));
}
