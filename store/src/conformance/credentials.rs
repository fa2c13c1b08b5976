//! Credentials: whose they are, counted, removed with what they opened.

use policy::{Assurance, SessionId, UserId};

use super::cast::*;
use crate::*;

pub(super) async fn a_credential_is_one_persons_for_good(store: &dyn Store) {
    let (nurse, thief) = (person("u-key"), person("u-key-thief"));
    for one in [&nurse, &thief] {
        good(store.remember_person(one.clone()).await);
    }
    let key = credential("key-one", &nurse);
    let sequence = last_sequence(store).await;
    good(store.add_credential(key.clone(), WhichCredential::Any, nurse.id.to_string()).await);
    let swapped = Credential { user: thief.id.clone(), ..key.clone() };
    let refused = store.add_credential(swapped, WhichCredential::Any, thief.id.to_string()).await;
    assert!(matches!(refused, Err(StoreProblem::Exists(_))), "{refused:?}");
    let orphan = credential("key-orphan", &person("u-nobody"));
    assert_not_in_force(store.add_credential(orphan, WhichCredential::Any, "x".to_owned()).await, Lapsed::Person);
    let found = good(store.credential(&key.id).await).expect("the key is found");
    assert_eq!((found.credential, found.person), (key.clone(), nurse.clone()));
    assert_eq!(good(store.credentials_of(&nurse.id).await), vec![key.clone()]);
    assert_eq!(good(store.credentials_of(&thief.id).await), vec![]);
    // Nobody touches another's key.
    let rename = |user: &UserId, name: &str| {
        let (user, id, name) = (user.clone(), key.id.clone(), name.to_owned());
        async move { good(store.rename_credential(&user, &id, name, second(8), user.to_string()).await) }
    };
    assert!(!rename(&thief.id, "mine").await);
    let removed = store.remove_credential(&thief.id, &key.id, second(9), thief.id.to_string()).await;
    assert_eq!(good(removed), None);
    let on_it = SessionRecord { credential: Some(key.id.clone()), ..session(1_100, &thief, None) };
    assert_not_in_force(open_session(store, on_it, token(1_100)).await, Lapsed::Credential);
    assert!(rename(&nurse.id, "鍵 1").await && rename(&nurse.id, "鍵 1").await);
    assert_eq!(
        good(store.credentials_of(&nurse.id).await),
        vec![Credential { name: "鍵 1".to_owned(), ..key.clone() }]
    );
    let (user, credential) = (nurse.id.clone(), key.id.clone());
    let renamed = Change::CredentialRenamed { user: nurse.id, credential: key.id };
    let told = vec![Change::CredentialAdded { user, credential }, renamed];
    assert_eq!(changes_after(store, sequence).await, told, "each once, and with nothing that was refused");
}

pub(super) async fn a_first_credential_is_the_only_one(store: &dyn Store) {
    let nurse = person("u-first");
    good(store.remember_person(nurse.clone()).await);
    // Two browsers enrol at the same moment: the second is perhaps not the person.
    assert!(!good(store.had_credential(&nurse.id).await) && !good(store.had_credential(&user("u-nobody")).await));
    let first = || WhichCredential::First { vouched_at: second(3), provider_session: None };
    let add = |name: &str| store.add_credential(credential(name, &nurse), first(), "x".to_owned());
    let (one, two) = tokio::join!(add("first-one"), add("first-two"));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    assert_eq!(good(store.credentials_of(&nurse.id).await).len(), 1);
    for number in 1..CREDENTIALS_MAX {
        let more = credential(&format!("first-more-{number}"), &nurse);
        good(store.add_credential(more, WhichCredential::Any, "x".to_owned()).await);
    }
    let over = store.add_credential(credential("first-over", &nurse), WhichCredential::Any, "x".to_owned()).await;
    assert!(matches!(over, Err(StoreProblem::Full)), "{over:?}");
    for key in good(store.credentials_of(&nurse.id).await) {
        assert!(good(store.remove_credential(&nurse.id, &key.id, second(50), "x".to_owned()).await).is_some());
    }
    // Whoever lost all their keys is invited; their provider's word alone brings none.
    assert!(good(store.had_credential(&nurse.id).await));
    let again = add("first-again").await;
    assert!(matches!(again, Err(StoreProblem::Exists(_))), "{again:?}");
}

pub(super) async fn a_first_credential_rests_on_a_sign_in_that_nobody_ended(store: &dyn Store) {
    let nurse = person("u-first-word");
    good(store.remember_person(nurse.clone()).await);
    let add = async |at: i64, sid: Option<&str>| {
        let which = WhichCredential::First { vouched_at: second(at), provider_session: sid.map(str::to_owned) };
        store.add_credential(credential("first-word", &nurse), which, "x".to_owned()).await
    };
    let sid = || SessionsOf::ProviderSession { provider: nurse.provider.clone(), sid: "s-1".to_owned(), subject: None };
    good(store.end_sessions(sid(), second(60), "gateway:provider".to_owned()).await);
    assert_not_in_force(add(59, Some("s-1")).await, Lapsed::SignIn);
    good(store.end_sessions(SessionsOf::User(nurse.id.clone()), second(70), "u-admin".to_owned()).await);
    assert_not_in_force(add(69, Some("s-2")).await, Lapsed::SignIn);
    assert!(!good(store.had_credential(&nurse.id).await), "what was refused was no key");
    good(add(71, Some("s-1")).await);
}

pub(super) async fn a_key_out_of_a_session_needs_that_session(store: &dyn Store) {
    let (nurse, other) = (person("u-own"), person("u-own-other"));
    for one in [&nurse, &other] {
        good(store.remember_person(one.clone()).await);
    }
    let open = async |number: u64, session: SessionRecord| {
        good(open_session(store, session, token(number)).await);
    };
    open(1_130, session(1_130, &nurse, None)).await;
    open(1_131, session(1_131, &other, None)).await;
    open(1_132, SessionRecord { assurance: Assurance::Aal1, ..session(1_132, &nurse, None) }).await;
    open(1_133, session(1_133, &nurse, None)).await;
    open(1_134, SessionRecord { ends_at: second(8), ..session(1_134, &nurse, None) }).await;
    assert!(good(store.park_session(SessionId::new(1_133), second(5), "x".to_owned()).await));
    let add = async |number: u64, since: i64| {
        let which = WhichCredential::Own { session: SessionId::new(number), proven_since: second(since) };
        let key = Credential { added_at: second(9), ..credential("own-key", &nurse) };
        store.add_credential(key, which, "x".to_owned()).await
    };
    for (number, case) in [
        (0xdead, "no such session"),
        (1_131, "another person's"),
        (1_132, "one factor"),
        (1_133, "parked"),
        (1_134, "out of time"),
    ] {
        let refused = add(number, 3).await;
        assert!(matches!(refused, Err(StoreProblem::NotInForce(Lapsed::Session))), "{case}: {refused:?}");
    }
    assert_not_in_force(add(1_130, 4).await, Lapsed::Session);
    good(add(1_130, 3).await);
    let late = Credential { added_at: second(9), ..credential("own-late", &nurse) };
    good(store.end_session(SessionId::new(1_130), second(9), "x".to_owned()).await);
    let which = WhichCredential::Own { session: SessionId::new(1_130), proven_since: second(3) };
    assert_not_in_force(store.add_credential(late, which, "x".to_owned()).await, Lapsed::Session);
}

pub(super) async fn counters_only_go_forward(store: &dyn Store) {
    let nurse = person("u-counter");
    good(store.remember_person(nurse.clone()).await);
    let key = credential("key-counting", &nurse);
    let synced = Credential { counter: 0, ..credential("key-synced", &nurse) };
    for one in [&key, &synced] {
        good(store.add_credential(one.clone(), WhichCredential::Any, "x".to_owned()).await);
    }
    for behind in [5, 4, 0] {
        let noted = good(store.credential_used(&key.id, used(behind)).await);
        assert_eq!(noted, CredentialUsed::CounterBehind, "{behind} after 5");
    }
    let found = good(store.credential(&key.id).await).expect("the key is found");
    assert_eq!(found.credential, key, "a refused use leaves nothing behind");
    // A clone and its original at the same moment: one of them is let in.
    let (one, two) = tokio::join!(store.credential_used(&key.id, used(6)), store.credential_used(&key.id, used(6)));
    let mut both = [good(one), good(two)];
    both.sort_by_key(|noted| *noted == CredentialUsed::CounterBehind);
    assert_eq!(both, [CredentialUsed::Noted, CredentialUsed::CounterBehind]);
    let found = good(store.credential(&key.id).await).expect("the key is found");
    let after = Credential { counter: 6, passkey: used(6).passkey, used_at: Some(second(40)), ..key.clone() };
    assert_eq!(found.credential, after);
    for _ in 0..2 {
        assert_eq!(good(store.credential_used(&synced.id, used(0)).await), CredentialUsed::Noted, "it does not count");
    }
    assert_eq!(good(store.credential_used(&synced.id, used(1)).await), CredentialUsed::Noted);
    assert_eq!(good(store.credential_used(&synced.id, used(0)).await), CredentialUsed::CounterBehind, "it did count");
    let unknown = CredentialId(b"key-unknown".to_vec());
    assert_eq!(good(store.credential_used(&unknown, used(9)).await), CredentialUsed::Gone);
}

pub(super) async fn a_removed_credential_ends_what_it_opened(store: &dyn Store) {
    let nurse = person("u-removed");
    good(store.remember_person(nurse.clone()).await);
    let (lost, kept) = (credential("key-lost", &nurse), credential("key-kept", &nurse));
    for one in [&lost, &kept] {
        good(store.add_credential(one.clone(), WhichCredential::Any, "x".to_owned()).await);
    }
    for (number, key) in [(1_110, Some(&lost)), (1_111, Some(&kept)), (1_112, None)] {
        let credential = key.map(|key| key.id.clone());
        let open = SessionRecord { credential, ..session(number, &nurse, None) };
        good(open_session(store, open, token(number)).await);
    }
    let sequence = last_sequence(store).await;
    let ended = good(store.remove_credential(&nurse.id, &lost.id, second(50), nurse.id.to_string()).await);
    let ended: Vec<SessionId> = ended.expect("the key was there").into_iter().map(|one| one.id).collect();
    assert_eq!(ended, vec![SessionId::new(1_110)]);
    assert_eq!(good(store.session_by_token(token(1_110)).await), None);
    assert!(good(store.session_by_token(token(1_111)).await).is_some());
    assert!(good(store.session_by_token(token(1_112)).await).is_some());
    let removed = Change::CredentialRemoved { user: nurse.id.clone(), credential: lost.id.clone() };
    assert_eq!(changes_after(store, sequence).await, vec![removed, Change::SessionEnded(SessionId::new(1_110))]);
    assert_eq!(good(store.credential(&lost.id).await), None);
    let late = SessionRecord { credential: Some(lost.id.clone()), ..session(1_113, &nurse, None) };
    assert_not_in_force(open_session(store, late, token(1_113)).await, Lapsed::Credential);
    assert_eq!(good(store.credential_used(&lost.id, used(99)).await), CredentialUsed::Gone);
    let again = store.remove_credential(&nurse.id, &lost.id, second(51), nurse.id.to_string()).await;
    assert_eq!(good(again), None);
}
