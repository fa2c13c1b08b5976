//! One function for each thing the store does, on one connection, inside the caller's transaction.

use policy::{DeviceId, Host, SessionId, Timestamp, UserId};
use rusqlite::{Connection, named_params, params};

use super::rows;
use crate::{Ceremony, Change, DeviceRecord, Event, FoundSession, Person, SessionRecord, StoreProblem, TokenHash};

pub(super) fn remember_person(c: &Connection, person: &Person) -> Result<(), StoreProblem> {
    c.prepare_cached(
        "insert into people (id, issuer, subject, provider, login, name, roles, seen_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         on conflict (id) do update set issuer = ?2, subject = ?3, provider = ?4, login = ?5, name = ?6, roles = ?7,
             seen_at = ?8",
    )?
    .execute(params![
        person.id.as_str(),
        person.issuer,
        person.subject,
        person.provider.as_str(),
        person.login,
        person.name,
        rows::roles_column(&person.roles),
        person.seen_at.unix_micros(),
    ])?;
    Ok(())
}

pub(super) fn person(c: &Connection, id: &UserId) -> Result<Option<Person>, StoreProblem> {
    let statement = c.prepare_cached(&format!("select {} from people p where p.id = ?1", rows::PERSON))?;
    rows::one(statement, [id.as_str()], rows::person)
}

pub(super) fn add_device(c: &Connection, device: &DeviceRecord, actor: &str) -> Result<(), StoreProblem> {
    let Some(last) = device.last_certificate() else { return Err(StoreProblem::NotInForce(crate::Lapsed::Device)) };
    let certificate = last.fingerprint.to_string();
    let known = c.prepare_cached("select 1 from devices where id = ?1")?.exists([device.id.as_str()])?;
    if known {
        return Err(StoreProblem::Exists(device.id.to_string()));
    }
    let known = c.prepare_cached("select 1 from devices where certificate = ?1")?.exists([&certificate])?;
    if known {
        return Err(StoreProblem::Exists(certificate));
    }
    c.prepare_cached(
        "insert into devices (id, class, asset, owner, place, certificate, certificate_ends_at, added_at, revoked_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        device.id.as_str(),
        device.class.as_str(),
        device.asset,
        device.owner,
        device.place,
        certificate,
        last.ends_at.unix_micros(),
        device.added_at.unix_micros(),
        device.revoked_at.map(Timestamp::unix_micros),
    ])?;
    tell(c, device.added_at, actor, &Change::DeviceAdded(device.id.clone()))
}

pub(super) fn revoke_device(c: &Connection, id: &DeviceId, at: Timestamp, actor: &str) -> Result<bool, StoreProblem> {
    let revoked = c
        .prepare_cached("update devices set revoked_at = ?2 where id = ?1 and revoked_at is null")?
        .execute(params![id.as_str(), at.unix_micros()])?;
    if revoked == 0 {
        return Ok(false);
    }
    tell(c, at, actor, &Change::DeviceRevoked(id.clone()))?;
    let statement =
        c.prepare_cached(&format!("select {} from sessions s where s.device = ?1 order by s.id", rows::SESSION))?;
    for session in rows::all(statement, [id.as_str()], rows::session)? {
        end_session(c, session.id, at, actor)?;
    }
    Ok(true)
}

pub(super) fn devices(c: &Connection) -> Result<Vec<DeviceRecord>, StoreProblem> {
    rows::all(c.prepare_cached("select * from devices order by id")?, [], rows::device)
}

pub(super) fn open_session(
    c: &Connection,
    session: &SessionRecord,
    token: TokenHash,
    host: &Host,
) -> Result<(), StoreProblem> {
    let id = session.id.to_string();
    let known = c.prepare_cached("select 1 from sessions where id = ?1")?.exists([&id])?;
    if known {
        return Err(StoreProblem::Exists(id));
    }
    c.prepare_cached(
        "insert into sessions (id, user, roles, assurance, authenticated_at, device, opened_at, seen_at, ends_at,
             provider_session, id_token)
         values (:id, :user, :roles, :assurance, :authenticated_at, :device, :opened_at, :seen_at, :ends_at,
             :provider_session, :id_token)",
    )?
    .execute(named_params! {
        ":id": id,
        ":user": session.user.as_str(),
        ":roles": rows::roles_column(&session.roles),
        ":assurance": session.assurance.as_str(),
        ":authenticated_at": session.authenticated_at.unix_micros(),
        ":device": session.device.as_ref().map(DeviceId::as_str),
        ":opened_at": session.opened_at.unix_micros(),
        ":seen_at": session.seen_at.unix_micros(),
        ":ends_at": session.ends_at.unix_micros(),
        ":provider_session": session.provider_session,
        ":id_token": session.id_token.as_ref().map(|token| token.0.as_str()),
    })?;
    insert_token(c, session.id, token, host)
}

pub(super) fn add_token(
    c: &Connection,
    session: SessionId,
    token: TokenHash,
    host: &Host,
) -> Result<bool, StoreProblem> {
    let open = c.prepare_cached("select 1 from sessions where id = ?1")?.exists([session.to_string()])?;
    if open {
        insert_token(c, session, token, host)?;
    }
    Ok(open)
}

fn insert_token(c: &Connection, session: SessionId, token: TokenHash, host: &Host) -> Result<(), StoreProblem> {
    let inserted = c
        .prepare_cached("insert into tokens (hash, session, host) values (?1, ?2, ?3) on conflict (hash) do nothing")?
        .execute(params![token.0, session.to_string(), host.as_str()])?;
    if inserted == 0 { Err(StoreProblem::Exists("the token".to_owned())) } else { Ok(()) }
}

pub(super) fn session_by_token(c: &Connection, token: TokenHash) -> Result<Option<FoundSession>, StoreProblem> {
    let statement = c.prepare_cached(&format!(
        "select {}, {}, t.host from tokens t join sessions s on s.id = t.session join people p on p.id = s.user
         where t.hash = ?1",
        rows::SESSION,
        rows::PERSON
    ))?;
    rows::one(statement, [token.0], |row| {
        Ok(FoundSession { session: rows::session(row)?, person: rows::person(row)?, host: rows::host(row)? })
    })
}

pub(super) fn touch_sessions(c: &Connection, seen: &[(SessionId, Timestamp)]) -> Result<(), StoreProblem> {
    let mut touch = c.prepare_cached("update sessions set seen_at = max(seen_at, ?2) where id = ?1")?;
    for (session, at) in seen {
        touch.execute(params![session.to_string(), at.unix_micros()])?;
    }
    Ok(())
}

pub(super) fn end_session(
    c: &Connection,
    id: SessionId,
    at: Timestamp,
    actor: &str,
) -> Result<Option<SessionRecord>, StoreProblem> {
    let statement = c.prepare_cached(&format!("select {} from sessions s where s.id = ?1", rows::SESSION))?;
    let Some(session) = rows::one(statement, [id.to_string()], rows::session)? else { return Ok(None) };
    c.prepare_cached("delete from sessions where id = ?1")?.execute([id.to_string()])?;
    tell(c, at, actor, &Change::SessionEnded(id))?;
    Ok(Some(session))
}

pub(super) fn sessions(c: &Connection) -> Result<Vec<(SessionRecord, Person)>, StoreProblem> {
    let statement = c.prepare_cached(&format!(
        "select {}, {} from sessions s join people p on p.id = s.user order by s.opened_at desc, s.id",
        rows::SESSION,
        rows::PERSON
    ))?;
    rows::all(statement, [], |row| Ok((rows::session(row)?, rows::person(row)?)))
}

pub(super) fn start_ceremony(
    c: &Connection,
    secret: TokenHash,
    ceremony: &Ceremony,
    most: usize,
) -> Result<(), StoreProblem> {
    let open: i64 = c.prepare_cached("select number from ceremonies_open")?.query_row([], |row| row.get(0))?;
    if usize::try_from(open).unwrap_or(0) >= most {
        return Err(StoreProblem::Full);
    }
    let inserted = c
        .prepare_cached(
            "insert into ceremonies (secret, kind, state, expires_at) values (?1, ?2, ?3, ?4)
             on conflict (secret) do nothing",
        )?
        .execute(params![secret.0, ceremony.kind, ceremony.state, ceremony.expires_at.unix_micros()])?;
    if inserted == 0 { Err(StoreProblem::Exists("the ceremony".to_owned())) } else { Ok(()) }
}

pub(super) fn take_ceremony(
    c: &Connection,
    secret: TokenHash,
    kind: &str,
    at: Timestamp,
) -> Result<Option<String>, StoreProblem> {
    let statement =
        c.prepare_cached("delete from ceremonies where secret = ?1 and kind = ?2 returning state, expires_at")?;
    let taken = rows::one(statement, params![secret.0, kind], |row| {
        Ok((row.get::<_, String>(0)?, Timestamp::from_unix_micros(row.get(1)?)))
    })?;
    Ok(taken.filter(|(_, expires_at)| at < *expires_at).map(|(state, _)| state))
}

pub(super) fn events_after(c: &Connection, sequence: u64, most: usize) -> Result<Vec<Event>, StoreProblem> {
    let after = i64::try_from(sequence).unwrap_or(i64::MAX);
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let statement = c.prepare_cached("select * from events where sequence > ?1 order by sequence limit ?2")?;
    rows::all(statement, [after, most], rows::event)
}

pub(super) fn note(c: &Connection, key: &str) -> Result<Option<String>, StoreProblem> {
    rows::one(c.prepare_cached("select value from notes where key = ?1")?, [key], |row| Ok(row.get(0)?))
}

pub(super) fn set_note(c: &Connection, key: &str, value: &str) -> Result<(), StoreProblem> {
    c.prepare_cached("insert into notes (key, value) values (?1, ?2) on conflict (key) do update set value = ?2")?
        .execute([key, value])?;
    Ok(())
}

pub(super) fn prune(c: &Connection, at: Timestamp) -> Result<(), StoreProblem> {
    c.prepare_cached("delete from sessions where ends_at <= ?1")?.execute([at.unix_micros()])?;
    c.prepare_cached("delete from ceremonies where expires_at <= ?1")?.execute([at.unix_micros()])?;
    Ok(())
}

fn tell(c: &Connection, at: Timestamp, actor: &str, change: &Change) -> Result<(), StoreProblem> {
    let (word, subject) = rows::change_columns(change);
    c.prepare_cached("insert into events (at, actor, change, subject) values (?1, ?2, ?3, ?4)")?.execute(params![
        at.unix_micros(),
        actor,
        word,
        subject
    ])?;
    Ok(())
}
