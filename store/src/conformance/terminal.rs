//! Shared terminals: one person at a time, never a mixed identity.

use policy::{Aaguid, Assurance, DeviceId, Methods, SessionId, SignInMethod, Timestamp};

use super::cast::*;
use crate::*;

/// A ward terminal, two people with a key each.
struct Terminal {
    device: DeviceId,
    people: [(Person, CredentialId); 2],
}

impl Terminal {
    async fn new(store: &dyn Store, name: &str, certificate: u8) -> Self {
        let device = device(&format!("d-{name}"), certificate);
        good(store.add_device(device.clone(), "u-admin".to_owned()).await);
        let mut people = Vec::new();
        for number in 1..=2 {
            let person = person(&format!("u-{name}-{number}"));
            let key = credential(&format!("key-{name}-{number}"), &person);
            good(store.remember_person(person.clone()).await);
            good(store.add_credential(key.clone(), WhichCredential::Any, "x".to_owned()).await);
            people.push((person, key.id));
        }
        let people = people.try_into().expect("there are two");
        Self { device: device.id, people }
    }

    fn session(&self, number: u64, who: usize) -> SessionRecord {
        let (person, _) = &self.people[who];
        session(number, person, Some(&self.device))
    }

    /// What resumes a session with a new token, from second 100 on.
    fn resumption(&self, number: u64, who: usize, new_token: u64) -> Resumption {
        let (person, key) = &self.people[who];
        Resumption {
            session: SessionId::new(number),
            user: person.id.clone(),
            device: self.device.clone(),
            credential: key.clone(),
            key_model: Some(Aaguid::new([7; 16])),
            assurance: Assurance::Aal3,
            methods: Methods::of([SignInMethod::Provider, SignInMethod::Passkey]),
            parked_since: second(0),
            token: token(new_token),
            host: host("login.example"),
            others: Others::Park,
            at: second(100),
        }
    }

    /// The sessions that a token could open: not parked.
    async fn active(&self, store: &dyn Store) -> Vec<u64> {
        let here = good(store.sessions_of(SessionsOf::Device(self.device.clone())).await);
        here.into_iter().filter(|(one, _)| one.parked_at.is_none()).map(|(one, _)| one.id.bits()).collect()
    }
}

async fn resume(store: &dyn Store, resumption: Resumption) -> Option<Resumed> {
    good(store.resume_session(resumption, "gateway:terminal".to_owned()).await)
}

async fn is_open(store: &dyn Store, number: u64) -> bool {
    good(store.session_by_token(token(number)).await).is_some()
}

pub(super) async fn opening_parks_the_person_before(store: &dyn Store) {
    let ward = Terminal::new(store, "parks", 90).await;
    good(open_session_on(store, ward.session(1_500, 0), token(1_500), Others::Park).await);
    assert!(good(store.add_token(SessionId::new(1_500), token(1_501), host("emr.example")).await));
    let sequence = last_sequence(store).await;
    let next = SessionRecord { opened_at: second(30), ..ward.session(1_502, 1) };
    let displaced = good(open_session_on(store, next, token(1_502), Others::Park).await);
    assert_eq!(displaced, Displaced { parked: vec![SessionId::new(1_500)], ended: vec![] });
    let events = good(store.events_after(sequence, 10).await);
    assert_eq!(
        events.iter().map(|one| one.change.clone()).collect::<Vec<_>>(),
        [Change::SessionParked(SessionId::new(1_500))]
    );
    assert!(events.iter().all(|event| event.at == second(30) && event.actor == "gateway:terminal"));
    for void in [1_500, 1_501] {
        assert!(!is_open(store, void).await, "a parked session finds nothing");
    }
    assert!(is_open(store, 1_502).await);
    assert!(
        !good(store.add_token(SessionId::new(1_500), token(1_503), host("pacs.example")).await),
        "nor gets a token"
    );
    assert!(!is_open(store, 1_503).await);
    let parked = good(store.sessions_of(SessionsOf::Device(ward.device.clone())).await);
    let parked: Vec<_> =
        parked.into_iter().filter_map(|(one, person)| one.parked_at.map(|at| (person.id, at))).collect();
    assert_eq!(parked, vec![(ward.people[0].0.id.clone(), second(30))], "the lock page can say who is here");
    // Who is parked once keeps the moment, and can be ended.
    assert!(!good(store.park_session(SessionId::new(1_500), second(40), "x".to_owned()).await));
    assert!(!good(store.park_session(SessionId::new(0xdead), second(40), "x".to_owned()).await));
    assert!(good(store.end_session(SessionId::new(1_500), second(41), "x".to_owned()).await));
    assert_eq!(resume(store, ward.resumption(1_500, 0, 1_504)).await, None, "ended is ended");
}

pub(super) async fn a_device_that_does_not_park_ends(store: &dyn Store) {
    let ward = Terminal::new(store, "ends", 91).await;
    good(open_session_on(store, ward.session(1_510, 0), token(1_510), Others::Park).await);
    good(open_session_on(store, ward.session(1_511, 1), token(1_511), Others::Park).await);
    let displaced = good(open_session_on(store, ward.session(1_512, 0), token(1_512), Others::End).await);
    assert_eq!(displaced, Displaced { parked: vec![], ended: vec![SessionId::new(1_510), SessionId::new(1_511)] });
    assert_eq!(ward.active(store).await, [1_512]);
    // The same person anew: the earlier session is not parked, nobody would resume it.
    let displaced = good(open_session_on(store, ward.session(1_513, 0), token(1_513), Others::Park).await);
    assert_eq!(displaced, Displaced { parked: vec![], ended: vec![SessionId::new(1_512)] });
    // A device of one person, and no device at all.
    let displaced = good(open_session_on(store, ward.session(1_514, 1), token(1_514), Others::Keep).await);
    assert_eq!(displaced, Displaced::default());
    let nowhere = SessionRecord { device: None, ..ward.session(1_515, 1) };
    assert_eq!(good(open_session_on(store, nowhere, token(1_515), Others::End).await), Displaced::default());
    for number in [1_513, 1_514, 1_515] {
        assert!(is_open(store, number).await);
    }
}

pub(super) async fn a_session_that_does_not_open_displaces_nobody(store: &dyn Store) {
    let ward = Terminal::new(store, "undone", 92).await;
    good(open_session_on(store, ward.session(1_520, 0), token(1_520), Others::Park).await);
    let sequence = last_sequence(store).await;
    // Its token is taken: found out at the very end.
    let refused = open_session_on(store, ward.session(1_521, 1), token(1_520), Others::End).await;
    assert!(matches!(refused, Err(StoreProblem::Exists(_))), "{refused:?}");
    let orphan = SessionRecord { user: user("u-nobody"), ..ward.session(1_521, 1) };
    assert_not_in_force(open_session_on(store, orphan, token(1_521), Others::End).await, Lapsed::Person);
    assert_eq!(last_sequence(store).await, sequence);
    assert!(is_open(store, 1_520).await);
    assert_eq!(ward.active(store).await, [1_520]);
}

pub(super) async fn only_its_person_on_its_device_resumes_a_session(store: &dyn Store) {
    let ward = Terminal::new(store, "resumes", 93).await;
    let other = Terminal::new(store, "resumes-other", 94).await;
    good(open_session_on(store, ward.session(1_530, 0), token(1_530), Others::Park).await);
    good(open_session_on(store, ward.session(1_531, 1), token(1_531), Others::Park).await);
    let good_one = || ward.resumption(1_530, 0, 1_532);
    let foreign = [
        ("another person", Resumption { session: SessionId::new(1_531), ..good_one() }),
        ("another device", Resumption { device: other.device.clone(), ..good_one() }),
        ("no such session", Resumption { session: SessionId::new(0xdead), ..good_one() }),
        ("parked for too long", Resumption { parked_since: second(5), ..good_one() }),
        ("out of time", Resumption { at: second(50_000), ..good_one() }),
    ];
    let sequence = last_sequence(store).await;
    for (case, resumption) in foreign {
        assert_eq!(resume(store, resumption).await, None, "{case}");
    }
    let foreign_key = Resumption { credential: ward.people[1].1.clone(), ..good_one() };
    assert_not_in_force(store.resume_session(foreign_key, "x".to_owned()).await, Lapsed::Credential);
    let taken = Resumption { token: token(1_531), ..good_one() };
    assert!(store.resume_session(taken, "x".to_owned()).await.is_err(), "a token is used once");
    assert_eq!(last_sequence(store).await, sequence, "nothing happened");
    assert!(is_open(store, 1_531).await && !is_open(store, 1_532).await);

    let resumed = resume(store, good_one()).await.expect("it is theirs");
    assert_eq!(resumed.displaced, Displaced { parked: vec![SessionId::new(1_531)], ended: vec![] });
    let before = ward.session(1_530, 0);
    let after = SessionRecord {
        authenticated_at: second(100),
        seen_at: second(100),
        assurance: Assurance::Aal3,
        methods: Methods::of([SignInMethod::Provider, SignInMethod::Passkey]),
        credential: Some(ward.people[0].1.clone()),
        key_model: Some(Aaguid::new([7; 16])),
        ..before
    };
    assert_eq!(resumed.found.session, after, "the same session, proven anew");
    let found = expect_found(good(store.session_by_token(token(1_532)).await));
    assert_eq!((found.session, found.person.id), (after, ward.people[0].0.id.clone()));
    for void in [1_530, 1_531] {
        assert!(!is_open(store, void).await, "every earlier token is void");
    }
    let told = [Change::SessionResumed(SessionId::new(1_530)), Change::SessionParked(SessionId::new(1_531))];
    assert_eq!(changes_after(store, sequence).await, told);
    // Locked but not parked: the old token is void all the same.
    let unlocked = resume(store, ward.resumption(1_530, 0, 1_533)).await.expect("it is theirs");
    assert_eq!(unlocked.displaced, Displaced::default());
    assert!(!is_open(store, 1_532).await && is_open(store, 1_533).await);
}

pub(super) async fn nothing_parked_comes_back_without_its_key_person_or_device(store: &dyn Store) {
    let ward = Terminal::new(store, "lapsed", 95).await;
    let [(first, first_key), (second_one, _)] = &ward.people;
    good(open_session_on(store, ward.session(1_540, 0), token(1_540), Others::Park).await);
    good(open_session_on(store, ward.session(1_541, 1), token(1_541), Others::Park).await);
    // The key is lost while the session, opened without it, is parked.
    good(store.remove_credential(&first.id, first_key, second(50), "x".to_owned()).await);
    let refused = store.resume_session(ward.resumption(1_540, 0, 1_542), "x".to_owned()).await;
    assert_not_in_force(refused, Lapsed::Credential);
    good(store.park_session(SessionId::new(1_541), second(60), "x".to_owned()).await);
    good(store.disable_person(&second_one.id, "退職".to_owned(), second(61), "x".to_owned()).await);
    assert_eq!(resume(store, ward.resumption(1_541, 1, 1_543)).await, None, "disabling ended it");
    assert!(good(store.revoke_device(&ward.device, second(62), "x".to_owned()).await));
    assert_eq!(resume(store, ward.resumption(1_540, 0, 1_544)).await, None, "revoking ended it");
    assert_eq!(good(store.sessions_of(SessionsOf::Device(ward.device)).await), vec![]);
}

pub(super) async fn two_people_switch_fifty_times_and_are_never_mixed(store: &dyn Store) {
    let ward = Terminal::new(store, "switches", 96).await;
    good(open_session_on(store, ward.session(1_550, 0), token(1_550), Others::Park).await);
    good(open_session_on(store, ward.session(1_551, 1), token(1_551), Others::Park).await);
    let mut last = 1_551;
    for number in 0..50_usize {
        let who = number % 2;
        let new = 10_000 + u64::try_from(number).expect("a small number");
        let at = Timestamp::from_unix_micros(second(100).unix_micros() + i64::try_from(number).expect("small"));
        let resumption = Resumption { at, ..ward.resumption([1_550, 1_551][who], who, new) };
        // The person before is still clicking.
        let (resumed, seen, token_given) = tokio::join!(
            resume(store, resumption),
            store.session_by_token(token(last)),
            store.add_token(SessionId::new([1_551, 1_550][who]), token(new + 5_000), host("emr.example")),
        );
        assert!(resumed.is_some());
        if let Some(seen) = good(seen) {
            assert_eq!(seen.person.id, ward.people[1 - who].0.id, "their token never opens the next person's session");
        }
        if good(token_given) {
            assert!(!is_open(store, new + 5_000).await, "what was handed over just before is void");
        }
        let found = expect_found(good(store.session_by_token(token(new)).await));
        assert_eq!(found.person.id, ward.people[who].0.id);
        assert!(!is_open(store, last).await);
        assert_eq!(ward.active(store).await.len(), 1, "one person at a time");
        last = new;
    }
}

pub(super) async fn two_people_at_the_same_moment_leave_one_session(store: &dyn Store) {
    let ward = Terminal::new(store, "race", 97).await;
    for round in 0..10 {
        let numbers = [1_600 + round * 2, 1_601 + round * 2];
        let open =
            |who: usize| open_session_on(store, ward.session(numbers[who], who), token(numbers[who]), Others::Park);
        let (one, two) = tokio::join!(open(0), open(1));
        good(one);
        good(two);
        let active = ward.active(store).await;
        assert_eq!(active.len(), 1);
        let open = [is_open(store, numbers[0]).await, is_open(store, numbers[1]).await];
        assert_eq!(open.iter().filter(|open| **open).count(), 1);
        assert_eq!(active[0], numbers[usize::from(open[1])]);
    }
}
