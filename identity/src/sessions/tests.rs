use std::collections::BTreeMap;
use std::time::Duration;

use config::SessionSpan;
use policy::{Assurance, DeviceClass, DeviceId, Fingerprint};

use super::*;
use crate::testing::{START, Ward, host, minutes, opening, spans, terminal};

const LOGIN: &str = "login.example.jp";

fn sends<T: Send>(value: T) -> T {
    value
}

#[tokio::test]
async fn a_signed_in_nurse_is_found_without_asking_the_store() {
    let ward = Ward::open().await;
    let (opened, token) = ward.sessions.open(opening(Some(terminal())), START).await.unwrap();
    let found = sends(ward.sessions.find(token.expose(), &host(LOGIN), Some(&terminal()), START)).await.unwrap();
    let found = found.unwrap();
    assert!(Arc::ptr_eq(&opened, &found));
    assert_eq!(ward.store.count(), 0);
    assert_eq!(found.who.login.as_ref(), "n.sato");
    assert_eq!(found.who.assurance, Assurance::Aal2);
    assert_eq!(found.who.bound_to, Some(terminal().id.clone()));
    assert_eq!(found.who.ends_at, START.after(minutes(9 * 60)));
    assert_eq!(found.class, Some(DeviceClass::WardShared));
}

#[tokio::test]
async fn whom_a_provider_vouches_for_is_of_the_unit_that_the_directory_says() {
    let ward = Ward::open().await;
    ward.store.remember_person(crate::testing::nurse()).await.unwrap();
    let change = store::PersonChange { unit: Some("3F".to_owned()), ..store::PersonChange::default() };
    assert!(ward.store.change_person(&crate::testing::nurse().id, change, START, "cli:root".into()).await.unwrap());
    let (session, token) = ward.sessions.open(opening(Some(terminal())), START).await.unwrap();
    assert_eq!(session.who.unit.as_ref(), "3F", "the provider's word holds none");
    let emr = ward.sessions.add_token(session.id(), &host("emr.example.jp")).await.unwrap().unwrap();
    let there = ward.sessions.find(emr.expose(), &host("emr.example.jp"), Some(&terminal()), START).await.unwrap();
    assert!(Arc::ptr_eq(&session, &there.unwrap()));
    assert!(ward.sessions.find(token.expose(), &host(LOGIN), Some(&terminal()), START).await.unwrap().is_some());
}

#[tokio::test]
async fn a_restart_forgets_nobody_and_asks_the_store_once() {
    let ward = Ward::open().await;
    let (opened, token) = ward.sessions.open(opening(Some(terminal())), START).await.unwrap();
    let restarted = ward.neighbour().await;
    for _ in 0..3 {
        let found = restarted.sessions.find(token.expose(), &host(LOGIN), Some(&terminal()), START).await.unwrap();
        assert_eq!(found.unwrap().who, opened.who);
    }
    assert_eq!(ward.store.count(), 1);
}

#[tokio::test]
async fn a_token_is_good_for_its_own_host_only() {
    let ward = Ward::open().await;
    let (session, login) = ward.sessions.open(opening(None), START).await.unwrap();
    let emr = ward.sessions.add_token(session.id(), &host("emr.example.jp")).await.unwrap().unwrap();
    for sessions in [ward.sessions.clone(), ward.neighbour().await.sessions] {
        assert!(sessions.find(login.expose(), &host("emr.example.jp"), None, START).await.unwrap().is_none());
        assert!(sessions.find(emr.expose(), &host(LOGIN), None, START).await.unwrap().is_none());
        let here = sessions.find(login.expose(), &host(LOGIN), None, START).await.unwrap().unwrap();
        let there = sessions.find(emr.expose(), &host("emr.example.jp"), None, START).await.unwrap().unwrap();
        assert!(Arc::ptr_eq(&here, &there), "one session, whichever token names it");
    }
}

#[tokio::test]
async fn strangers_cookies_find_nothing_and_the_same_one_is_looked_up_once() {
    let ward = Ward::open().await;
    for nonsense in ["", "x", "' or 1=1", &"a".repeat(4000), &"é".repeat(43)] {
        assert!(ward.sessions.find(nonsense, &host(LOGIN), None, START).await.unwrap().is_none());
    }
    assert_eq!(ward.store.count(), 0);
    let stranger = SessionToken::random();
    for _ in 0..100 {
        assert!(ward.sessions.find(stranger.expose(), &host(LOGIN), None, START).await.unwrap().is_none());
    }
    assert_eq!(ward.store.count(), 1);
}

#[tokio::test]
async fn a_flood_of_made_up_cookies_waits_its_turn_and_disturbs_no_cached_session() {
    let ward = Ward::open().await;
    let (_, token) = ward.sessions.open(opening(None), START).await.unwrap();
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..10 * LOOK_UPS_MAX {
        let sessions = ward.sessions.clone();
        flood.spawn(async move {
            let made_up = SessionToken::random();
            sessions.find(made_up.expose(), &host(LOGIN), None, START).await.unwrap().is_none()
        });
    }
    assert!(ward.sessions.find(token.expose(), &host(LOGIN), None, START).await.unwrap().is_some());
    assert_eq!(ward.store.count(), 0, "nobody in the flood was faster");
    assert!(flood.join_all().await.into_iter().all(|found_nothing| found_nothing));
    assert_eq!(ward.store.look_ups_at_once_max(), LOOK_UPS_MAX);
}

#[tokio::test]
async fn a_silent_store_is_no_sign_out() {
    let ward = Ward::open().await;
    let (_, token) = ward.sessions.open(opening(None), START).await.unwrap();
    let restarted = ward.neighbour().await;
    ward.store.fail(true);
    assert!(restarted.sessions.find(token.expose(), &host(LOGIN), None, START).await.is_err());
    assert!(ward.sessions.find(token.expose(), &host(LOGIN), None, START).await.unwrap().is_some(), "cached");
    ward.store.fail(false);
    assert!(restarted.sessions.find(token.expose(), &host(LOGIN), None, START).await.unwrap().is_some());
}

#[tokio::test]
async fn nobody_is_signed_in_if_the_session_cannot_be_kept() {
    let ward = Ward::open().await;
    ward.store.fail(true);
    assert!(ward.sessions.open(opening(None), START).await.is_err());
}

#[tokio::test]
async fn a_session_that_nobody_uses_ends_and_stays_ended() {
    let ward = Ward::open().await;
    let (session, token) = ward.sessions.open(opening(Some(terminal())), START).await.unwrap();
    let find = |at| {
        let (sessions, token) = (ward.sessions.clone(), token.expose().to_owned());
        async move { sessions.find(&token, &host(LOGIN), Some(&terminal()), at).await.unwrap().is_some() }
    };
    assert!(find(START.after(minutes(9))).await);
    assert!(find(START.after(minutes(18))).await, "each use counts");
    assert!(ward.sessions.cached_still_open(session.id(), START.after(minutes(27))));
    assert!(!ward.sessions.is_open(&session, START.after(minutes(28))));
    assert!(!find(START.after(minutes(28))).await);
    assert!(!find(START.after(minutes(18))).await, "a clock set back revives nothing");
    assert_eq!(ward.store.sessions().await.unwrap().len(), 0);
    assert!(session.is_ended());
    let asked = ward.store.count();
    assert!(!find(START.after(minutes(29))).await);
    assert_eq!(ward.store.count(), asked, "an ended session costs no look-up");
}

#[tokio::test]
async fn a_session_ends_in_time_however_busy_it_is() {
    let ward = Ward::open().await;
    let (_, token) = ward.sessions.open(opening(None), START).await.unwrap();
    for minute in (0..60).step_by(10) {
        let at = START.after(minutes(minute));
        assert!(ward.sessions.find(token.expose(), &host(LOGIN), None, at).await.unwrap().is_some());
    }
    assert!(ward.sessions.find(token.expose(), &host(LOGIN), None, START.after(minutes(60))).await.unwrap().is_none());
}

#[tokio::test]
async fn a_stolen_cookie_shows_its_other_device_and_keeps_nothing_alive() {
    let ward = Ward::open().await;
    let (session, token) = ward.sessions.open(opening(Some(terminal())), START).await.unwrap();
    let id = DeviceId::parse("thief").unwrap();
    let other = Device {
        id,
        class: DeviceClass::Byod,
        place: "".into(),
        certificate: Fingerprint::new([9; 32]),
        posture: Arc::from([]),
    };
    for (device, minute) in [(None, 5), (Some(&other), 9)] {
        let at = START.after(minutes(minute));
        let found = ward.sessions.find(token.expose(), &host(LOGIN), device, at).await.unwrap();
        assert_eq!(found.unwrap().who.bound_to, Some(terminal().id.clone()), "the policy is told the truth");
    }
    assert_eq!(session.seen_at(), START);
    let late = START.after(minutes(10));
    assert!(ward.sessions.find(token.expose(), &host(LOGIN), Some(&other), late).await.unwrap().is_none());
}

#[tokio::test]
async fn sign_out_ends_every_token_at_once() {
    let ward = Ward::open().await;
    let (session, login) = ward.sessions.open(opening(None), START).await.unwrap();
    let emr = ward.sessions.add_token(session.id(), &host("emr.example.jp")).await.unwrap().unwrap();
    assert!(ward.sessions.find(emr.expose(), &host("emr.example.jp"), None, START).await.unwrap().is_some());
    assert!(ward.sessions.end(session.id(), session.who.user.as_str(), START).await.unwrap());
    assert!(ward.sessions.find(login.expose(), &host(LOGIN), None, START).await.unwrap().is_none());
    assert!(ward.sessions.find(emr.expose(), &host("emr.example.jp"), None, START).await.unwrap().is_none());
    assert!(!ward.sessions.cached_still_open(session.id(), START));
    assert!(!ward.sessions.end(session.id(), "again", START).await.unwrap());
    assert!(ward.sessions.add_token(session.id(), &host("emr.example.jp")).await.unwrap().is_none());
}

#[tokio::test]
async fn each_sign_in_is_another_session_with_another_secret() {
    let ward = Ward::open().await;
    let (one, one_token) = ward.sessions.open(opening(None), START).await.unwrap();
    let (other, other_token) = ward.sessions.open(opening(None), START).await.unwrap();
    assert_ne!(one.id(), other.id());
    assert_ne!(one_token, other_token);
}

#[tokio::test]
async fn use_is_written_down_and_counts_in_other_processes() {
    let ward = Ward::open().await;
    let (_, token) = ward.sessions.open(opening(Some(terminal())), START).await.unwrap();
    let neighbour = ward.neighbour().await;
    let find = |sessions: Arc<Sessions>, minute| {
        let token = token.expose().to_owned();
        let at = START.after(minutes(minute));
        async move { sessions.find(&token, &host(LOGIN), Some(&terminal()), at).await.unwrap().is_some() }
    };
    assert!(find(neighbour.sessions.clone(), 0).await);
    assert!(find(ward.sessions.clone(), 8).await);
    ward.sessions.write_down(START.after(minutes(8))).await.unwrap();
    assert!(find(neighbour.sessions.clone(), 12).await, "idle here, but used over there");
}

#[tokio::test]
async fn other_spans_hold_at_once() {
    let ward = Ward::open().await;
    let (session, _) = ward.sessions.open(opening(Some(terminal())), START).await.unwrap();
    let short = SessionSpan::lasting(Duration::from_secs(30), minutes(60));
    ward.sessions.set_spans(SessionSpans { by_class: BTreeMap::from([(DeviceClass::WardShared, short)]), ..spans() });
    assert!(!ward.sessions.is_open(&session, START.after(minutes(1))));
}

#[tokio::test]
async fn what_leaves_the_memory_is_read_again() {
    let ward = Ward::open().await;
    let (session, token) = ward.sessions.open(opening(None), START).await.unwrap();
    let id = session.id();
    ward.sessions.cache.retain(|_| false);
    assert!(ward.sessions.cached_still_open(id, START), "a stream still holds it");
    drop(session);
    assert!(!ward.sessions.cached_still_open(id, START));
    assert!(ward.sessions.find(token.expose(), &host(LOGIN), None, START).await.unwrap().is_some());
    assert!(ward.sessions.cached_still_open(id, START));
}
