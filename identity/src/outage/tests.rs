//! Outages as all processes see them, and what becomes of people and sessions.

use std::time::Duration;

use policy::{AppId, ProviderId, RoleId, SessionId, UserId};
use store::{Change, Disabled};

use super::*;
use crate::testing::{START, Ward, minutes, nurse, opening};
use crate::{Opening, Watch};

fn ad() -> ProviderId {
    ProviderId::parse("ad").unwrap()
}

fn providers() -> Vec<config::Provider> {
    vec![crate::oidc::provider_for_tests()]
}

fn spans() -> config::Outage {
    config::Outage { after: minutes(2), seen_within: minutes(30 * 24 * 60), grace: minutes(15) }
}

async fn outage(ward: &Ward) -> Arc<Outage> {
    Arc::new(Outage::load(ward.store.clone(), &providers(), spans()).await.unwrap())
}

async fn switch(outage: &Outage, switch: OutageSwitch, at: Timestamp) {
    assert!(outage.switch(&ad(), switch, "cli:root", at).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn every_process_sees_the_same() {
    let ward = Ward::open().await;
    let (here, there) = (outage(&ward).await, outage(&ward).await);
    let mut watch = Watch::new(ward.store.clone(), ward.sessions.clone(), ward.devices.clone(), ward.hands.clock(), 1);
    watch = watch.with_outage(here.clone());
    switch(&there, OutageSwitch::On, START).await;
    assert!(!here.mode(&ad()).is_outage());
    watch.next().await.unwrap();
    assert_eq!(here.mode(&ad()), OutageMode::Outage { since: START, by: OutageBy::Switch });
    assert_eq!(here.current(), [(ad(), here.mode(&ad()))]);
    switch(&there, OutageSwitch::Off, START.after(minutes(5))).await;
    watch.next().await.unwrap();
    assert!(here.current().is_empty());
    let again = outage(&ward).await;
    let period = OutagePeriod { since: START, until: Some(START.after(minutes(5))), by: OutageBy::Switch };
    assert_eq!(again.status()[0].periods, [period]);
    assert_eq!(again.status()[0].switch, OutageSwitch::Off);
}

#[tokio::test]
async fn a_switch_elsewhere_is_heeded_though_it_changed_nothing_yet() {
    let ward = Ward::open().await;
    let (here, there) = (outage(&ward).await, outage(&ward).await);
    switch(&there, OutageSwitch::Off, START).await;
    for second in 0..30 {
        here.note_failure(&ad(), "no answer in time", START.after(Duration::from_secs(20 * second)));
    }
    here.tend(&ward.sessions, START.after(minutes(10))).await.unwrap();
    assert!(!here.mode(&ad()).is_outage());
    switch(&there, OutageSwitch::Automatic, START).await;
    here.tend(&ward.sessions, START.after(minutes(10))).await.unwrap();
    assert!(here.mode(&ad()).is_outage());
}

#[tokio::test]
async fn what_began_twice_is_told_once() {
    let ward = Ward::open().await;
    let (here, there) = (outage(&ward).await, outage(&ward).await);
    let id = ad();
    let (one, other) = tokio::join!(
        here.switch(&id, OutageSwitch::On, "cli:root", START),
        there.switch(&id, OutageSwitch::On, "cli:root", START),
    );
    assert!(one.unwrap() && other.unwrap());
    let told = || async {
        let events = ward.store.events_after(0, 100).await.unwrap();
        events.into_iter().filter(|event| event.change == Change::OutageBegan(ad())).count()
    };
    assert_eq!(told().await, 1);
    switch(&here, OutageSwitch::On, START.after(minutes(1))).await;
    assert_eq!(told().await, 1);
    let nobody = ProviderId::parse("nobody").unwrap();
    assert!(!here.switch(&nobody, OutageSwitch::On, "cli:root", START).await.unwrap());
}

#[tokio::test]
async fn leave_is_for_people_of_that_provider_seen_lately_and_in_force() {
    let ward = Ward::open().await;
    let outage = outage(&ward).await;
    assert_eq!(outage.grants(&nurse(), START), None, "there is no outage");
    switch(&outage, OutageSwitch::On, START).await;
    assert_eq!(outage.grants(&nurse(), START), Some(InOutage { roles_confirmed_at: START }));
    let days = |days: u64| START.after(minutes(days * 24 * 60));
    assert!(outage.grants(&nurse(), days(30)).is_some());
    assert_eq!(outage.grants(&nurse(), days(31)), None, "not confirmed for too long");
    let never = Person { confirmed_at: Timestamp::from_unix_micros(0), ..nurse() };
    assert_eq!(outage.grants(&never, START), None);
    let disabled = Disabled { at: START, why: "退職".to_owned(), actor: "cli:root".to_owned() };
    assert_eq!(outage.grants(&Person { disabled: Some(disabled), ..nurse() }, START), None);
    let other = Person { provider: ProviderId::parse("vendor").unwrap(), ..nurse() };
    assert_eq!(outage.grants(&other, START), None);
}

#[tokio::test]
async fn sessions_of_an_outage_end_after_the_grace_and_others_stay() {
    let ward = Ward::open().await;
    let outage = outage(&ward).await;
    switch(&outage, OutageSwitch::On, START).await;
    let opening_in = |in_outage| Opening { in_outage, ..opening(None) };
    let before = ward.sessions.open(opening_in(false), START).await.unwrap().0;
    let meanwhile = ward.sessions.open(opening_in(true), START).await.unwrap().0;
    outage.tend(&ward.sessions, START.after(minutes(9))).await.unwrap();
    switch(&outage, OutageSwitch::Off, START.after(minutes(10))).await;
    outage.tend(&ward.sessions, START.after(minutes(24))).await.unwrap();
    assert!(!meanwhile.is_ended(), "the grace counts from the end");
    outage.tend(&ward.sessions, START.after(minutes(25))).await.unwrap();
    assert!(meanwhile.is_ended() && !before.is_ended());
    let events = ward.store.events_after(0, 100).await.unwrap();
    let ended = events.iter().find(|event| event.change == Change::SessionEnded(meanwhile.id())).unwrap();
    assert_eq!(ended.actor, "gateway:outage");
}

#[tokio::test]
async fn an_outage_that_comes_back_within_the_grace_ends_no_session() {
    let ward = Ward::open().await;
    let outage = outage(&ward).await;
    switch(&outage, OutageSwitch::On, START).await;
    let session = ward.sessions.open(Opening { in_outage: true, ..opening(None) }, START).await.unwrap().0;
    switch(&outage, OutageSwitch::Off, START.after(minutes(1))).await;
    switch(&outage, OutageSwitch::On, START.after(minutes(5))).await;
    outage.tend(&ward.sessions, START.after(minutes(30))).await.unwrap();
    assert!(!session.is_ended());
    switch(&outage, OutageSwitch::Off, START.after(minutes(31))).await;
    outage.tend(&ward.sessions, START.after(minutes(45))).await.unwrap();
    assert!(!session.is_ended());
    outage.tend(&ward.sessions, START.after(minutes(46))).await.unwrap();
    assert!(session.is_ended());
}

#[tokio::test]
async fn a_stale_view_ends_no_session_of_an_outage_that_began_elsewhere() {
    let ward = Ward::open().await;
    let (here, there) = (outage(&ward).await, outage(&ward).await);
    switch(&there, OutageSwitch::On, START).await;
    let session = ward.sessions.open(Opening { in_outage: true, ..opening(None) }, START).await.unwrap().0;
    assert!(!here.mode(&ad()).is_outage(), "it has not heard yet");
    here.tend(&ward.sessions, START).await.unwrap();
    assert!(!session.is_ended());
}

#[tokio::test]
async fn nothing_is_concluded_while_the_store_is_silent() {
    let ward = Ward::open().await;
    let outage = outage(&ward).await;
    switch(&outage, OutageSwitch::On, START).await;
    ward.store.fail(true);
    assert!(outage.tend(&ward.sessions, START.after(minutes(600))).await.is_err());
    assert!(outage.switch(&ad(), OutageSwitch::Off, "cli:root", START).await.is_err());
    assert!(outage.mode(&ad()).is_outage());
    ward.store.fail(false);
    ward.store.set_note("outage:ad", "broken".to_owned()).await.unwrap();
    assert!(matches!(outage.tend(&ward.sessions, START).await, Err(StoreProblem::Corrupt(_))));
}

#[tokio::test]
async fn a_provider_that_left_the_configuration_is_in_no_outage() {
    let ward = Ward::open().await;
    let outage = outage(&ward).await;
    switch(&outage, OutageSwitch::On, START).await;
    outage.set_config(&[], spans()).await.unwrap();
    assert!(!outage.mode(&ad()).is_outage() && outage.status().is_empty());
    outage.note_failure(&ad(), "no answer", START);
    assert!(outage.health().is_empty(), "nothing grows");
    outage.set_config(&providers(), spans()).await.unwrap();
    assert!(outage.mode(&ad()).is_outage());
}

fn line(user: &UserId, minute: u64, act: OutageAct, app: &str) -> OutageLine {
    OutageLine {
        at: START.after(minutes(minute)),
        user: user.clone(),
        login: format!("login of {user}"),
        roles: vec![RoleId::parse("nurse").unwrap()],
        session: Some(SessionId::new(minute / 10)),
        app: AppId::parse(app).ok(),
        act,
    }
}

#[test]
fn a_report_says_who_did_how_much_and_what_the_provider_says_of_them_now() {
    let until = START.after(minutes(60));
    let period = OutagePeriod { since: START, until: Some(until), by: OutageBy::Automatic };
    let named = |name: &str| UserId::parse(name).unwrap();
    let doctor = vec![RoleId::parse("doctor").unwrap()];
    let disabled = Disabled { at: until, why: "退職".to_owned(), actor: "cli:root".to_owned() };
    let people = [
        Person { id: named("u-a"), confirmed_at: until, ..nurse() },
        Person { id: named("u-b"), confirmed_at: until.after(minutes(1)), roles: doctor, ..nurse() },
        Person { id: named("u-c"), disabled: Some(disabled), ..nurse() },
        Person { id: named("u-d"), confirmed_at: START, ..nurse() },
        Person { id: named("u-x"), provider: ProviderId::parse("vendor").unwrap(), ..nurse() },
    ];
    let mut lines = vec![
        line(&named("u-a"), 1, OutageAct::SignedIn, ""),
        line(&named("u-a"), 2, OutageAct::Accessed, "emr"),
        line(&named("u-a"), 12, OutageAct::Accessed, "emr"),
        line(&named("u-a"), 13, OutageAct::Accessed, "pacs"),
        line(&named("u-a"), 14, OutageAct::Refused, "labs"),
        line(&named("u-a"), 76, OutageAct::Accessed, "emr"),
    ];
    lines.extend(["u-b", "u-c", "u-d", "u-e", "u-x"].map(|name| line(&named(name), 70, OutageAct::Accessed, "emr")));
    lines.push(OutageLine { at: Timestamp::from_unix_micros(START.unix_micros() - 1), ..lines[1].clone() });
    let report = OutageReport::of(&ad(), period, minutes(15), lines, &people);
    let standings: Vec<_> = report.people.iter().map(|one| (one.user.as_str(), one.standing.code())).collect();
    let expected =
        [("u-a", "confirmed"), ("u-b", "roles-lost"), ("u-c", "disabled"), ("u-d", "not-seen"), ("u-e", "unknown")];
    assert_eq!(standings, expected);
    let first = &report.people[0];
    assert_eq!(first.sessions, [SessionId::new(0), SessionId::new(1)]);
    assert_eq!(
        (first.accesses[&AppId::parse("emr").unwrap()], first.refused),
        (2, 1),
        "what came too late is left out"
    );
    assert_eq!((first.first_at, first.last_at), (START.after(minutes(1)), START.after(minutes(14))));
    assert_eq!((report.sessions(), report.accesses()), (6, 7));
}
