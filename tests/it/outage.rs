//! The provider is gone: people go on by their keys, with less, in plain sight; then it is back.

use std::time::Duration;

use serde_json::json;
use tests::{Ask, Person, eventually_in};
use url::Url;

use crate::house::{House, with_outages};

/// The shortest time after which an outage may begin, the probe's rhythm, and some air for a busy machine.
const BY_ITSELF: Duration = Duration::from_secs(100);

/// A clerk of the provider has been here, and has a key.
async fn open() -> House {
    let house = House::open(|plan| with_outages(plan.with_directory()), "").await;
    house.by_provider().open(&house.way()).await;
    house.enrol_clerk().await;
    house
}

fn report(house: &House) -> Vec<serde_json::Value> {
    house.hospital.run(&["outage", "report", "staff", "--format", "json"]).ok().lines()
}

#[tokio::test]
async fn declared_gone_people_go_on_by_key_with_less_and_it_is_said_and_written() {
    let mut house = open().await;
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
    let report = report(&house);
    assert_eq!((&report[0]["people"], &report[0]["sessions"]), (&json!(1), &json!(1)), "{report:?}");
    assert!(report[0]["accesses"].as_u64().unwrap() >= 1, "{report:?}");
    assert_eq!((&report[1]["login"], &report[1]["standing"]), (&"clerk".into(), &"confirmed".into()), "{report:?}");
}

#[tokio::test]
async fn a_provider_that_stops_is_noticed_and_so_is_its_return() {
    let mut house = open().await;
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
    let house = open().await;
    house.turn("on");
    house.enters_by_key().await;
    let stray = house.hospital.key();
    let mut nobody = Person::by_key(&house.hospital.stranger(), &stray);
    nobody.tell("/enrol/begin", &json!({})).await.expect(200);
    assert!(house.hospital.run(&["user", "invite", "doctor", "--proofing", "職員証"]).code != Some(0));
}
