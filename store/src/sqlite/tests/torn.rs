//! A change that cannot be finished has not happened, and neither has what it would have told.

use policy::{SessionId, Timestamp};

use super::*;
use crate::conformance::cast::{credential, device, invitation, person, session};
use crate::{Invited, NewSession, Others, Redemption, SessionsOf, WhichCredential};

/// Makes telling of one kind of change fail, as a full disk would.
async fn stumble_over(store: &Sqlite, change: &'static str) {
    store
        .write(move |c| {
            Ok(c.sqlite().execute_batch(&format!(
                "create trigger stumble before insert on events when new.change = '{change}'
                 begin select raise(abort, 'as the test wants'); end"
            ))?)
        })
        .await
        .unwrap();
}

async fn get_up(store: &Sqlite) {
    store.write(|c| Ok(c.sqlite().execute_batch("drop trigger stumble")?)).await.unwrap();
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_micros(second * 1_000_000)
}

/// A nurse with a key and an invitation, signed in on a ward terminal.
async fn ward() -> Sqlite {
    let store = Sqlite::in_memory().unwrap();
    let nurse = person("u-torn");
    let terminal = device("d-torn", 1);
    store.remember_person(nurse.clone()).await.unwrap();
    store.add_device(terminal.clone(), "x".to_owned()).await.unwrap();
    let key = credential("key-torn", &nurse);
    store.add_credential(key.clone(), WhichCredential::Any, "x".to_owned()).await.unwrap();
    store.invite(invitation(9, Invited::Passkey(nurse.id.clone()))).await.unwrap();
    let session = crate::SessionRecord { credential: Some(key.id), ..session(7, &nurse, Some(&terminal.id)) };
    open(&store, session, 7).await.unwrap();
    store
}

async fn open(store: &Sqlite, session: crate::SessionRecord, number: u8) -> Result<crate::Displaced, StoreProblem> {
    let host = policy::Host::parse("login.example").unwrap();
    let opening = NewSession::new(session, token(number), host, Others::Park);
    store.open_session(opening, "x".to_owned()).await
}

async fn last(store: &Sqlite) -> u64 {
    store.events_after(0, 1_000).await.unwrap().last().unwrap().sequence
}

#[tokio::test]
async fn half_a_disabled_person_is_none() {
    let nurse = person("u-torn").id;
    for step in ["person-disabled", "invitation-revoked", "session-ended"] {
        let store = ward().await;
        let before = last(&store).await;
        stumble_over(&store, step).await;
        assert!(store.disable_person(&nurse, "why".to_owned(), at(9), "x".to_owned()).await.is_err(), "{step}");
        assert_eq!(store.person(&nurse).await.unwrap().unwrap().disabled, None, "{step}");
        assert!(store.session_by_token(token(7)).await.unwrap().is_some(), "{step}");
        assert_eq!(last(&store).await, before, "{step}");
        assert!(store.invitations().await.unwrap().iter().all(|one| one.is_in_force(at(9))), "{step}");
        get_up(&store).await;
        assert!(store.disable_person(&nurse, "why".to_owned(), at(9), "x".to_owned()).await.unwrap().is_some());
        assert_eq!(store.session_by_token(token(7)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn half_a_revoked_device_or_key_is_none() {
    let (nurse, terminal) = (person("u-torn"), device("d-torn", 1));
    let key = credential("key-torn", &nurse).id;
    let store = ward().await;
    stumble_over(&store, "session-ended").await;
    assert!(store.revoke_device(&terminal.id, at(9), "x".to_owned()).await.is_err());
    assert!(store.remove_credential(&nurse.id, &key, at(9), "x".to_owned()).await.is_err());
    assert!(store.end_sessions(SessionsOf::User(nurse.id.clone()), at(9), "x".to_owned()).await.is_err());
    assert_eq!(store.device(&terminal.id).await.unwrap(), Some(terminal.clone()), "nor a certificate of it");
    assert!(store.credential(&key).await.unwrap().is_some());
    assert!(store.session_by_token(token(7)).await.unwrap().is_some());
    get_up(&store).await;
    assert!(store.revoke_device(&terminal.id, at(9), "x".to_owned()).await.unwrap());
}

#[tokio::test]
async fn half_a_switch_leaves_the_person_before() {
    let (other, terminal) = (person("u-torn-other"), device("d-torn", 1));
    let store = ward().await;
    store.remember_person(other.clone()).await.unwrap();
    stumble_over(&store, "session-parked").await;
    assert!(open(&store, session(8, &other, Some(&terminal.id)), 8).await.is_err());
    assert!(store.park_session(SessionId::new(7), at(9), "x".to_owned()).await.is_err());
    assert_eq!(store.session_by_token(token(8)).await.unwrap(), None);
    assert!(store.session_by_token(token(7)).await.unwrap().is_some());
    get_up(&store).await;
    open(&store, session(8, &other, Some(&terminal.id)), 8).await.unwrap();
    assert_eq!(store.session_by_token(token(7)).await.unwrap(), None);
}

#[tokio::test]
async fn half_an_enrolment_uses_nothing_up() {
    let nurse = person("u-torn");
    let key = credential("key-torn-2", &nurse);
    for step in ["credential-added", "invitation-used"] {
        let store = ward().await;
        stumble_over(&store, step).await;
        let code = invitation(9, Invited::Passkey(nurse.id.clone())).secret;
        let redeem = || store.redeem_invitation(code, Redemption::Passkey(key.clone()), at(9), "x".to_owned());
        assert!(redeem().await.is_err(), "{step}");
        assert_eq!(store.credential(&key.id).await.unwrap(), None, "{step}");
        assert!(store.invitation(code, at(9)).await.unwrap().is_some(), "{step}");
        get_up(&store).await;
        assert!(redeem().await.unwrap().is_some(), "{step}");
    }
}
