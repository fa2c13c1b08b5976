//! What cannot be read is an error with its place, never a guess and never in the message.

use policy::{DeviceId, ProviderId, SessionId, Timestamp, UserId};

use super::*;
use crate::conformance::cast::{credential, device, invitation, person, session, used};
use crate::{CredentialId, InvitationId, Invited, NewSession, Others, SessionsOf, WhichCredential};

#[tokio::test]
async fn a_damaged_row_is_an_error_and_not_a_guess() {
    let store = Sqlite::in_memory().unwrap();
    store
        .write(|c| {
            c.sqlite()
                .execute("insert into events (at, actor, change, subject) values (1, 'a', 'device-lost', 'd')", [])?;
            Ok(())
        })
        .await
        .unwrap();
    let told = store.events_after(0, 10).await.unwrap().remove(0);
    assert_eq!(told.change, Change::Unknown("device-lost".to_owned()), "a later version may tell of it");
    store
        .write(|c| {
            c.sqlite().execute("update events set change = 'device-added', subject = 'NOT A NAME'", [])?;
            Ok(())
        })
        .await
        .unwrap();
    let refused = store.events_after(0, 10).await.unwrap_err();
    assert!(matches!(&refused, StoreProblem::Corrupt(text) if !text.contains("NOT A NAME")), "{refused}");
}

/// A store with one of each.
async fn one_of_each() -> Sqlite {
    let store = Sqlite::in_memory().unwrap();
    let nurse = person("u-damaged");
    let terminal = device("d-damaged", 1);
    store.remember_person(nurse.clone()).await.unwrap();
    store.add_device(terminal.clone(), "x".to_owned()).await.unwrap();
    let key = credential("key-damaged", &nurse);
    store.add_credential(key, WhichCredential::Any, "x".to_owned()).await.unwrap();
    store.invite(invitation(9, Invited::Passkey(nurse.id.clone()))).await.unwrap();
    let host = policy::Host::parse("login.example").unwrap();
    let session = session(7, &nurse, Some(&terminal.id));
    let opening = NewSession::new(session, token(7), host, Others::Keep);
    store.open_session(opening, "x".to_owned()).await.unwrap();
    store
}

#[tokio::test]
async fn damage_anywhere_is_told_and_opens_nothing() {
    let damages = [
        ("people", "roles", "'[\"NOT A ROLE\"]'"),
        ("people", "provider", "'NOT A NAME'"),
        ("sessions", "methods", "'provider guessing'"),
        ("sessions", "assurance", "'aal9'"),
        ("sessions", "roles", "'nurse'"),
        ("sessions", "key_model", "'NOT A MODEL'"),
        ("sessions", "device", "'NOT A NAME'"),
        ("tokens", "host", "'NOT A HOST'"),
    ];
    for (table, column, value) in damages {
        let store = one_of_each().await;
        damage(&store, table, column, value).await;
        let refused = store.session_by_token(token(7)).await.unwrap_err();
        assert!(
            matches!(&refused, StoreProblem::Corrupt(text) if !text.contains("NOT A")),
            "{table}.{column}: {refused}"
        );
    }
    let nurse = person("u-damaged").id;
    let store = one_of_each().await;
    damage(&store, "credentials", "model", "'NOT A MODEL'").await;
    assert!(matches!(store.credentials_of(&nurse).await, Err(StoreProblem::Corrupt(_))));
    let key = CredentialId(b"key-damaged".to_vec());
    assert!(matches!(store.credential_used(&key, used(9)).await, Err(StoreProblem::Corrupt(_))));
    damage(&store, "invitations", "purpose", "'anything'").await;
    assert!(matches!(store.invitations().await, Err(StoreProblem::Corrupt(_))));
    let code = invitation(9, Invited::FirstAdministrator).secret;
    assert!(matches!(store.invitation(code, Timestamp::from_unix_micros(0)).await, Err(StoreProblem::Corrupt(_))));
    damage(&store, "invitations", "purpose", "'device'").await;
    assert!(store.invitations().await.is_err(), "an invitation of a device without a device");
    damage(&store, "device_certificates", "issuer", "'anyone'").await;
    let terminal = device("d-damaged", 1);
    assert!(matches!(store.device(&terminal.id).await, Err(StoreProblem::Corrupt(_))));
}

#[tokio::test]
async fn what_a_later_version_writes_of_one_keeps_this_one_from_no_other() {
    let store = one_of_each().await;
    let (nurse, terminal) = (person("u-other"), device("d-other", 2));
    store.remember_person(nurse.clone()).await.unwrap();
    store.add_device(terminal.clone(), "x".to_owned()).await.unwrap();
    let host = policy::Host::parse("login.example").unwrap();
    let opening = NewSession::new(session(8, &nurse, Some(&terminal.id)), token(8), host, Others::Keep);
    store.open_session(opening, "x".to_owned()).await.unwrap();
    for (table, column) in [("devices", "class"), ("sessions", "assurance")] {
        let sql =
            format!("update {table} set {column} = 'later' where id in (select id from {table} order by id limit 1)");
        store.write(move |c| Ok(c.sqlite().execute(&sql, [])?)).await.unwrap();
    }
    let devices: Vec<_> = store.devices().await.unwrap().into_iter().map(|device| device.id).collect();
    assert_eq!(devices, [terminal.id], "the other is in no ledger, so it opens nothing");
    let sessions: Vec<_> = store.sessions().await.unwrap().into_iter().map(|(session, _)| session.id).collect();
    assert_eq!(sessions, [SessionId::new(8)]);
    assert!(store.session_by_token(token(7)).await.is_err(), "nor does the other's session");
    let of = SessionsOf::UserOn(UserId::parse("u-damaged").unwrap(), DeviceId::parse("d-damaged").unwrap());
    store.end_sessions(of, Timestamp::from_unix_micros(9), "x".to_owned()).await.unwrap();
    assert_eq!(store.session_by_token(token(7)).await.unwrap(), None, "whoever signs out here is signed out there");
    assert!(store.session_by_token(token(8)).await.unwrap().is_some());
    let told = store.events_after(0, 100).await.unwrap().pop().unwrap();
    assert_eq!(told.change, Change::SessionEnded(SessionId::new(7)));
}

async fn damage(store: &Sqlite, table: &'static str, column: &'static str, value: &'static str) {
    let damage =
        move |c: &sql::Connection| Ok(c.sqlite().execute(&format!("update {table} set {column} = {value}"), [])?);
    assert_eq!(store.write(damage).await.unwrap(), 1);
}

#[tokio::test]
async fn every_change_is_read_as_it_was_told() {
    let user = UserId::parse("u-told").unwrap();
    let device = || device("d-told", 1).id;
    let (session, invitation) = (SessionId::new(0xab), InvitationId::new(0xcd));
    let provider = || ProviderId::parse("ad").unwrap();
    let credential = CredentialId(vec![0, 0xff, b' ']);
    let changes = vec![
        Change::PersonAdded(user.clone()),
        Change::PersonChanged { user: user.clone(), roles: None },
        Change::PersonDisabled(user.clone()),
        Change::PersonEnabled(user.clone()),
        Change::CredentialAdded { user: user.clone(), credential: credential.clone() },
        Change::CredentialRemoved { user, credential },
        Change::InvitationMade(invitation),
        Change::InvitationUsed(invitation),
        Change::InvitationRevoked(invitation),
        Change::DeviceAdded(device()),
        Change::DeviceChanged(device()),
        Change::DeviceRevoked(device()),
        Change::CertificateAdded(device()),
        Change::CertificateRevoked(device()),
        Change::PostureChanged,
        Change::SessionEnded(session),
        Change::SessionParked(session),
        Change::SessionResumed(session),
        Change::SessionChanged(session),
        Change::OutageBegan(provider()),
        Change::OutageEnded(provider()),
    ];
    let store = Sqlite::in_memory().unwrap();
    for change in changes.clone() {
        let tell =
            move |c: &sql::Connection| crate::statements::events::tell(c, Timestamp::from_unix_micros(1), "x", &change);
        store.write(tell).await.unwrap();
    }
    let told: Vec<Change> = store.events_after(0, 100).await.unwrap().into_iter().map(|event| event.change).collect();
    assert_eq!(told, changes);
}
