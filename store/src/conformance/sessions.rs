//! Sessions: found by their tokens, ended once.

use std::time::Duration;

use policy::{DeviceId, SessionId};

use super::cast::*;
use crate::*;

pub(super) async fn sessions_are_found_by_their_tokens_only(store: &dyn Store) {
    let doctor = person("u-found");
    let open = session(200, &doctor, None);
    assert!(open_session(store, open.clone(), token(200)).await.is_err(), "a session belongs to a known person");
    assert_eq!(good(store.session_by_token(token(200)).await), None, "half a session is none");
    good(store.remember_person(doctor.clone()).await);
    good(open_session(store, open.clone(), token(200)).await);
    let found = expect_found(good(store.session_by_token(token(200)).await));
    let seen = Person { seen_at: open.opened_at, ..doctor.clone() };
    assert_eq!((found.session, found.person, found.host), (open.clone(), seen, host("login.example")));
    assert_eq!(good(store.session_by_token(token(201)).await), None, "another token opens nothing");

    assert!(good(store.add_token(open.id, token(201), host("emr.example")).await));
    assert_eq!(expect_found(good(store.session_by_token(token(201)).await)).host, host("emr.example"));
    assert_eq!(expect_found(good(store.session_by_token(token(200)).await)).host, host("login.example"));
    assert!(!good(store.add_token(SessionId::new(0xdead), token(202), host("emr.example")).await));
    assert_eq!(good(store.session_by_token(token(202)).await), None);
    assert!(
        matches!(store.add_token(open.id, token(201), host("pacs.example")).await, Err(StoreProblem::Exists(_))),
        "a token is never moved to another host"
    );
    assert_eq!(expect_found(good(store.session_by_token(token(201)).await)).host, host("emr.example"));
    assert!(
        matches!(open_session(store, open.clone(), token(203)).await, Err(StoreProblem::Exists(_))),
        "an id is used once"
    );
    let later = SessionRecord { opened_at: second(90), ..session(210, &doctor, None) };
    good(open_session(store, later.clone(), token(210)).await);
    let listed: Vec<SessionId> =
        good(store.sessions().await).into_iter().filter(|(s, _)| s.user == doctor.id).map(|(s, _)| s.id).collect();
    assert_eq!(listed, vec![later.id, open.id], "newest first");
}

pub(super) async fn an_ended_session_is_gone_once_and_tells(store: &dyn Store) {
    let nurse = person("u-ended");
    let open = session(300, &nurse, None);
    good(store.remember_person(nurse.clone()).await);
    good(open_session(store, open.clone(), token(300)).await);
    assert!(good(store.add_token(open.id, token(301), host("emr.example")).await));
    let sequence = last_sequence(store).await;
    // Two nodes sign the same session out at the same moment: one of them does it.
    let (one, two) = tokio::join!(
        store.end_session(open.id, second(30), nurse.id.to_string()),
        store.end_session(open.id, second(30), nurse.id.to_string())
    );
    assert!(good(one) != good(two));
    assert_eq!(good(store.session_by_token(token(300)).await), None);
    assert_eq!(good(store.session_by_token(token(301)).await), None, "every token is void");
    assert!(!good(store.add_token(open.id, token(302), host("emr.example")).await), "it cannot be revived");
    assert_eq!(changes_after(store, sequence).await, vec![Change::SessionEnded(open.id)]);
}

pub(super) async fn seen_only_goes_forward(store: &dyn Store) {
    let nurse = person("u-seen");
    let open = session(400, &nurse, None);
    good(store.remember_person(nurse.clone()).await);
    good(open_session(store, open.clone(), token(400)).await);
    good(store.touch_sessions(vec![(open.id, second(500)), (SessionId::new(0xbeef), second(500))]).await);
    good(store.touch_sessions(vec![(open.id, second(400))]).await);
    assert_eq!(expect_found(good(store.session_by_token(token(400)).await)).session.seen_at, second(500));
}

pub(super) async fn sessions_end_by_whose_they_are(store: &dyn Store) {
    let (one, two) = (person("u-of-one"), person("u-of-two"));
    let elsewhere = Person { provider: provider("of-elsewhere"), subject: one.subject.clone(), ..person("u-of-else") };
    for person in [&one, &two, &elsewhere] {
        good(store.remember_person(person.clone()).await);
    }
    let sid = |number, person: &Person, sid: &str, in_outage| SessionRecord {
        provider_session: Some(sid.to_owned()),
        in_outage,
        ..session(number, person, None)
    };
    let open = [
        sid(1_400, &one, "of-a", false),
        sid(1_401, &one, "of-b", true),
        sid(1_402, &two, "of-a", false),
        sid(1_403, &elsewhere, "of-a", true),
    ];
    let main = || provider("main");
    let by_sid = |sid: &str, subject: Option<&Person>| SessionsOf::ProviderSession {
        provider: main(),
        sid: sid.to_owned(),
        subject: subject.map(|person| person.subject.clone()),
    };
    let about = |second_of: i64, within| SessionsOf::UserOnNoDevice {
        user: one.id.clone(),
        opened_at: second(second_of),
        within: Duration::from_secs(within),
    };
    let terminal = DeviceId::parse("d-of").expect("a device's id");
    let cases: [(SessionsOf, &[u64]); 13] = [
        (SessionsOf::User(one.id.clone()), &[1_400, 1_401]),
        (SessionsOf::Subject { provider: main(), subject: one.subject.clone() }, &[1_400, 1_401]),
        (SessionsOf::Subject { provider: main(), subject: "nobody".to_owned() }, &[]),
        (about(10, 6), &[1_400, 1_401]),
        (about(1, 3), &[1_400, 1_401]),
        (about(10, 5), &[]),
        (SessionsOf::UserOn(one.id.clone(), terminal), &[]),
        (by_sid("of-a", None), &[1_400, 1_402]),
        (by_sid("of-a", Some(&two)), &[1_402]),
        (by_sid("of-b", Some(&two)), &[]),
        (by_sid("of-none", None), &[]),
        (SessionsOf::Outage(main()), &[1_401]),
        (SessionsOf::Credential(CredentialId(b"of-none".to_vec())), &[]),
    ];
    for (of, expected) in cases {
        for session in &open {
            good(open_session(store, session.clone(), token(session.id.bits())).await);
        }
        let ids = |sessions: Vec<SessionRecord>| sessions.iter().map(|one| one.id.bits()).collect::<Vec<_>>();
        let listed = good(store.sessions_of(of.clone()).await).into_iter().map(|(session, _)| session).collect();
        assert_eq!(ids(listed), expected, "{of:?}");
        let sequence = last_sequence(store).await;
        let ended = good(store.end_sessions(of.clone(), second(60), "gateway:provider".to_owned()).await);
        assert_eq!(ids(ended), expected, "{of:?}");
        let told: Vec<Change> = expected.iter().map(|id| Change::SessionEnded(SessionId::new(*id))).collect();
        assert_eq!(changes_after(store, sequence).await, told);
        for session in &open {
            let found = good(store.session_by_token(token(session.id.bits())).await).is_some();
            assert_eq!(found, !expected.contains(&session.id.bits()), "{of:?}");
            good(store.end_session(session.id, second(61), "x".to_owned()).await);
        }
    }
}

pub(super) async fn a_provider_is_asked_by_one_node(store: &dyn Store) {
    let checked = provider("checked");
    let nurse = Person { provider: checked.clone(), ..person("u-checked") };
    let other = person("u-checked-elsewhere");
    for one in [&nurse, &other] {
        good(store.remember_person(one.clone()).await);
    }
    let asking = |number, person: &Person, at: i64| SessionRecord {
        refresh_token: Some(Secret("refresh".to_owned())),
        checked_at: second(at),
        ..session(number, person, None)
    };
    let silent = SessionRecord { refresh_token: None, ..asking(1_412, &nurse, 10) };
    for session in [asking(1_410, &nurse, 20), asking(1_411, &nurse, 10), silent, asking(1_413, &other, 10)] {
        good(open_session(store, session.clone(), token(session.id.bits())).await);
    }
    let due = async |before: i64, most: usize| {
        let due = good(store.sessions_to_check(&checked, second(before), most).await);
        due.into_iter().map(|(session, _)| session.id.bits()).collect::<Vec<_>>()
    };
    assert_eq!(due(30, 10).await, [1_411, 1_410], "longest unasked first");
    assert_eq!(due(20, 10).await, [1_411]);
    assert_eq!(due(30, 1).await, [1_411]);
    let id = SessionId::new(1_411);
    let (one, two) =
        tokio::join!(store.claim_check(id, second(10), second(30)), store.claim_check(id, second(10), second(30)));
    assert!(good(one) != good(two), "a refresh token used twice would look stolen");
    assert_eq!(due(30, 10).await, [1_410]);
    assert!(good(store.set_refresh_token(id, Some(Secret("rotated".to_owned()))).await));
    let found = expect_found(good(store.session_by_token(token(1_411)).await)).session;
    assert_eq!((found.refresh_token, found.checked_at), (Some(Secret("rotated".to_owned())), second(30)));
    assert!(good(store.set_refresh_token(id, None).await));
    assert_eq!(due(99, 10).await, [1_410], "nothing to ask with");
    let stranger = SessionId::new(0xdead);
    assert!(!good(store.claim_check(stranger, second(10), second(30)).await));
    assert!(!good(store.set_refresh_token(stranger, None).await));
}
