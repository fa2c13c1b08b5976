//! The provider is asked again and again about who is signed in: who left there is out here, and who moved has other
//! roles, without anybody signing in again.

use std::time::Duration;

use serde_json::json;
use tests::{Ask, Frame, Person, eventually_in, within};
use url::Url;

use crate::house::House;
use crate::stream::open_socket;

const CONNECT: &str = "[[rule]]\nid = \"clerks-listen\"\neffect = \"permit\"\nroles = [\"clerk\"]\napps = \"all\"\n\
                       actions = [\"connect\"]\npaths = [\"/socket/*\"]\ndevices = \"any\"";
/// The shortest span the configuration takes.
const ASKED_EVERY: &str = "check_interval = \"1m\"";
/// That span, the rhythm in which the gateway looks whose time has come, and some air for a busy machine.
const NOTICED: Duration = Duration::from_secs(100);
const ONE_SECOND: Duration = Duration::from_secs(1);

/// Somebody at the terminal who has signed in.
async fn person(house: &House, login: &str) -> Person {
    let mut person = Person::new(&house.hospital.caller(&house.terminal), login);
    person.open(&house.form()).await;
    assert_eq!(house.hospital.records().with("ev", "signed-in").with("login", login).len(), 1, "{login} is in");
    person
}

/// What a person is answered here as a program, signing in on no account.
async fn answer(house: &House, person: &mut Person, path: &str) -> u16 {
    person.step_as_program(&Url::parse(&house.hospital.url("emr", path)).unwrap()).await.status
}

/// Waits until a person is answered so.
async fn comes_to(house: &House, person: &mut Person, path: &str, status: u16, what: &str) {
    eventually_in(NOTICED, what, async || (answer(house, person, path).await == status).then_some(())).await;
}

#[tokio::test]
async fn who_leaves_at_the_provider_is_out_and_who_moves_has_other_roles() {
    let house = House::open(|plan| plan.block(CONNECT), ASKED_EVERY).await;
    let (mut clerk, mut nurse) = (person(&house, "clerk").await, person(&house, "nurse").await);
    assert_eq!(answer(&house, &mut clerk, "/reception/form").await, 200);
    assert_eq!(answer(&house, &mut nurse, "/patients/1").await, 200);
    let cookie = clerk.jar().field("emr.hospital.test");
    let ask = Ask::get("emr", "/socket/ward").header("cookie", &cookie);
    let mut socket = open_socket(&house.hospital.caller(&house.terminal), ask).await;

    // The clerk is disabled; the nurse becomes a clerk, who sees no chart.
    let stranger = house.hospital.stranger();
    house.idp.dismiss(&stranger, "clerk").await;
    house.idp.move_person(&stranger, "nurse", &["clerks"]).await;
    comes_to(&house, &mut clerk, "/reception/form", 401, "a disabled person is noticed").await;
    let end = within(ONE_SECOND, "the end of the WebSocket", socket.next()).await;
    assert_eq!(end, Some(Frame::Close(Some(1008))));
    comes_to(&house, &mut nurse, "/patients/1", 403, "other roles are noticed").await;
    assert_eq!(answer(&house, &mut nurse, "/reception/form").await, 200, "the session goes on");

    let records = eventually_in(NOTICED, "both are written", async || {
        let records = house.hospital.records();
        let is_whole =
            !records.with("ev", "session-changed").is_empty() && !records.with("ev", "session-ended").is_empty();
        is_whole.then_some(records)
    })
    .await;
    for (event, login) in [("session-ended", "clerk"), ("session-changed", "nurse")] {
        let record = records.with("ev", event).only().clone();
        assert_eq!((&record["login"], &record["actor"]), (&login.into(), &"gateway:provider".into()), "{record}");
    }
    assert_eq!(records.opened("/reception/form").last()["role"], json!(["clerk"]));

    // What the provider is asked with is good once; the next asking has the next one.
    house.idp.dismiss(&stranger, "nurse").await;
    comes_to(&house, &mut nurse, "/reception/form", 401, "the next asking notices too").await;
    let page = clerk.afresh().open(&house.form()).await;
    assert!(page.status != 200, "who is disabled there does not sign in: {}", page.status);
}
