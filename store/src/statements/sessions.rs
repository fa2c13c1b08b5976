//! Sessions: opened, found by token, checked with their provider, ended.

use policy::{Aaguid, Assurance, DeviceId, Host, Methods, ProviderId, SessionId, Timestamp, UserId};

use super::events::tell;
use super::{people, withdrawn};
use crate::rows;
use crate::sql::{Connection, Row, Value, named_params, params};
use crate::{Change, CredentialId, FoundSession, Person, Secret, SessionRecord, SessionsOf, StoreProblem, TokenHash};

/// Columns of `sessions s`, as [`read`] reads them.
const COLUMNS: &str = "s.id, s.user, s.roles, s.roles_confirmed_at, s.assurance, s.methods, s.credential, \
     s.key_model, s.authenticated_at, s.device, s.opened_at, s.seen_at, s.ends_at, s.parked_at, s.in_outage, \
     s.provider_session, s.id_token, s.refresh_token, s.checked_at";

fn read(row: &Row) -> Result<SessionRecord, StoreProblem> {
    Ok(SessionRecord {
        id: rows::parsed(row, "id", SessionId::parse)?,
        user: rows::parsed(row, "user", |text| UserId::parse(text).ok())?,
        roles: rows::parsed(row, "roles", rows::roles)?,
        roles_confirmed_at: rows::moment(row, "roles_confirmed_at")?,
        assurance: rows::parsed(row, "assurance", Assurance::parse)?,
        methods: rows::parsed(row, "methods", Methods::parse)?,
        credential: row.get::<_, Option<Vec<u8>>>("credential")?.map(CredentialId),
        key_model: rows::parsed_or_none(row, "key_model", Aaguid::parse)?,
        authenticated_at: rows::moment(row, "authenticated_at")?,
        device: rows::parsed_or_none(row, "device", |text| DeviceId::parse(text).ok())?,
        opened_at: rows::moment(row, "opened_at")?,
        seen_at: rows::moment(row, "seen_at")?,
        ends_at: rows::moment(row, "ends_at")?,
        parked_at: rows::moment_or_none(row, "parked_at")?,
        in_outage: row.get("in_outage")?,
        provider_session: row.get("provider_session")?,
        id_token: row.get::<_, Option<String>>("id_token")?.map(Secret),
        refresh_token: row.get::<_, Option<String>>("refresh_token")?.map(Secret),
        checked_at: rows::moment(row, "checked_at")?,
    })
}

fn read_with_person(row: &Row) -> Result<(SessionRecord, Person), StoreProblem> {
    Ok((read(row)?, people::read(row)?))
}

/// Keeps a session that is not parked; whoever calls has looked at what it rests on.
pub(crate) fn insert(c: &Connection, session: &SessionRecord) -> Result<(), StoreProblem> {
    let id = session.id.to_string();
    if c.prepare_cached("select 1 from sessions where id = ?1")?.exists([&id])? {
        return Err(StoreProblem::Exists(id));
    }
    c.prepare_cached(
        "insert into sessions (id, \"user\", roles, roles_confirmed_at, assurance, methods, credential, key_model,
             authenticated_at, device, opened_at, seen_at, ends_at, in_outage, provider_session, id_token,
             refresh_token, checked_at)
         values (:id, :user, :roles, :roles_confirmed_at, :assurance, :methods, :credential, :key_model,
             :authenticated_at, :device, :opened_at, :seen_at, :ends_at, :in_outage, :provider_session, :id_token,
             :refresh_token, :checked_at)",
    )?
    .execute(named_params! {
        ":id": id,
        ":user": session.user.as_str(),
        ":roles": rows::roles_column(&people::sorted(session.roles.clone())),
        ":roles_confirmed_at": session.roles_confirmed_at.unix_micros(),
        ":assurance": session.assurance.as_str(),
        ":methods": session.methods.to_string(),
        ":credential": session.credential.as_ref().map(|credential| &credential.0),
        ":key_model": session.key_model.map(|model| model.to_string()),
        ":authenticated_at": session.authenticated_at.unix_micros(),
        ":device": session.device.as_ref().map(DeviceId::as_str),
        ":opened_at": session.opened_at.unix_micros(),
        ":seen_at": session.seen_at.unix_micros(),
        ":ends_at": session.ends_at.unix_micros(),
        ":in_outage": session.in_outage,
        ":provider_session": session.provider_session,
        ":id_token": session.id_token.as_ref().map(|token| token.0.as_str()),
        ":refresh_token": session.refresh_token.as_ref().map(|token| token.0.as_str()),
        ":checked_at": session.checked_at.unix_micros(),
    })?;
    Ok(())
}

pub(crate) fn add_token(
    c: &Connection,
    session: SessionId,
    token: TokenHash,
    host: &Host,
) -> Result<bool, StoreProblem> {
    let open = c
        .prepare_cached("select 1 from sessions where id = ?1 and parked_at is null")?
        .exists([session.to_string()])?;
    if open {
        insert_token(c, session, token, host)?;
    }
    Ok(open)
}

pub(crate) fn insert_token(
    c: &Connection,
    session: SessionId,
    token: TokenHash,
    host: &Host,
) -> Result<(), StoreProblem> {
    let inserted = c
        .prepare_cached("insert into tokens (hash, session, host) values (?1, ?2, ?3) on conflict (hash) do nothing")?
        .execute(params![token.0, session.to_string(), host.as_str()])?;
    if inserted == 0 { Err(StoreProblem::Exists("the token".to_owned())) } else { Ok(()) }
}

pub(crate) fn void_tokens(c: &Connection, session: SessionId) -> Result<(), StoreProblem> {
    c.prepare_cached("delete from tokens where session = ?1")?.execute([session.to_string()])?;
    Ok(())
}

/// Who is parked or disabled has no tokens; the conditions say so once more, where it counts.
pub(crate) fn by_token(c: &Connection, token: TokenHash) -> Result<Option<FoundSession>, StoreProblem> {
    let statement = c.prepare_cached(&format!(
        "select {COLUMNS}, {}, t.host from tokens t join sessions s on s.id = t.session join people p on p.id = s.user
         where t.hash = ?1 and s.parked_at is null and p.disabled_at is null",
        people::COLUMNS
    ))?;
    rows::one(statement, [token.0], |row| {
        let (session, person) = read_with_person(row)?;
        Ok(FoundSession { session, person, host: rows::parsed(row, "host", |text| Host::parse(text).ok())? })
    })
}

pub(crate) fn touch(c: &Connection, seen: &[(SessionId, Timestamp)]) -> Result<(), StoreProblem> {
    let mut touch = c.prepare_cached(
        "update sessions set seen_at = case when seen_at > ?2 then seen_at else ?2 end where id = ?1",
    )?;
    for (session, at) in seen {
        touch.execute(params![session.to_string(), at.unix_micros()])?;
    }
    Ok(())
}

pub(crate) fn find(c: &Connection, id: SessionId) -> Result<Option<SessionRecord>, StoreProblem> {
    let statement = c.prepare_cached(&format!("select {COLUMNS} from sessions s where s.id = ?1"))?;
    rows::one(statement, [id.to_string()], read)
}

/// Whoever ends it need not be able to read it: a later version may have opened it.
pub(crate) fn end(c: &Connection, id: SessionId, at: Timestamp, actor: &str) -> Result<bool, StoreProblem> {
    let ended = c.prepare_cached("delete from sessions where id = ?1")?.execute([id.to_string()])?;
    if ended > 0 {
        tell(c, at, actor, &Change::SessionEnded(id))?;
    }
    Ok(ended > 0)
}

pub(crate) fn end_those(
    c: &Connection,
    of: &SessionsOf,
    at: Timestamp,
    actor: &str,
) -> Result<Vec<SessionRecord>, StoreProblem> {
    withdrawn::note(c, of, at)?;
    let ended = those(c, of)?;
    for (session, _) in names(c, of)? {
        end(c, session, at, actor)?;
    }
    Ok(ended.into_iter().map(|(session, _)| session).collect())
}

pub(crate) fn list(c: &Connection) -> Result<Vec<(SessionRecord, Person)>, StoreProblem> {
    select(c, "true", Vec::new())
}

pub(crate) fn those(c: &Connection, of: &SessionsOf) -> Result<Vec<(SessionRecord, Person)>, StoreProblem> {
    let (condition, values) = condition(of);
    select(c, condition, values)
}

/// The ids of some, and whose they are, those too that cannot be read whole.
pub(crate) fn names(c: &Connection, of: &SessionsOf) -> Result<Vec<(SessionId, UserId)>, StoreProblem> {
    let (condition, values) = condition(of);
    let statement = c.prepare_cached(&format!(
        "select s.id, s.user from sessions s join people p on p.id = s.user where {condition}
         order by s.opened_at desc, s.id"
    ))?;
    rows::all(statement, values, |row| {
        let user = rows::parsed(row, "user", |text| UserId::parse(text).ok())?;
        Ok((rows::parsed(row, "id", SessionId::parse)?, user))
    })
}

/// Which sessions these are, of `sessions s` and `people p`.
fn condition(of: &SessionsOf) -> (&'static str, Vec<Value>) {
    let text = |text: &str| Value::from(text.to_owned());
    match of {
        SessionsOf::User(user) => ("s.user = ?1", vec![text(user.as_str())]),
        SessionsOf::UserOn(user, device) => {
            ("s.user = ?1 and s.device = ?2", vec![text(user.as_str()), text(device.as_str())])
        }
        SessionsOf::UserOnNoDevice { user, opened_at, within } => {
            let (at, within) = (opened_at.unix_micros(), i64::try_from(within.as_micros()).unwrap_or(i64::MAX));
            let [from, to] = [at.saturating_sub(within), at.saturating_add(within)].map(Value::from);
            (
                "s.user = ?1 and s.device is null and s.opened_at >= ?2 and s.opened_at <= ?3",
                vec![text(user.as_str()), from, to],
            )
        }
        SessionsOf::Subject { provider, subject } => {
            ("p.provider = ?1 and p.subject = ?2", vec![text(provider.as_str()), text(subject)])
        }
        SessionsOf::SubjectUnnamed { provider, subject } => (
            "p.provider = ?1 and p.subject = ?2 and s.provider_session is null",
            vec![text(provider.as_str()), text(subject)],
        ),
        SessionsOf::ProviderSession { provider, sid, subject } => (
            "p.provider = ?1 and s.provider_session = ?2 and (p.subject = ?3 or ?3 is null)",
            vec![text(provider.as_str()), text(sid), subject.clone().into()],
        ),
        SessionsOf::Device(device) => ("s.device = ?1", vec![text(device.as_str())]),
        SessionsOf::Credential(credential) => ("s.credential = ?1", vec![credential.0.clone().into()]),
        SessionsOf::Outage(provider) => ("p.provider = ?1 and s.in_outage <> 0", vec![text(provider.as_str())]),
    }
}

/// Sessions with their people, newest first.
fn select(c: &Connection, condition: &str, values: Vec<Value>) -> Result<Vec<(SessionRecord, Person)>, StoreProblem> {
    let statement = c.prepare_cached(&format!(
        "select {COLUMNS}, {} from sessions s join people p on p.id = s.user where {condition}
         order by s.opened_at desc, s.id",
        people::COLUMNS
    ))?;
    rows::readable(statement, values, read_with_person)
}

pub(crate) fn to_check(
    c: &Connection,
    provider: &ProviderId,
    checked_before: Timestamp,
    most: usize,
) -> Result<Vec<(SessionRecord, Person)>, StoreProblem> {
    let statement = c.prepare_cached(&format!(
        "select {COLUMNS}, {} from sessions s join people p on p.id = s.user
         where s.refresh_token is not null and s.checked_at < ?2 and p.provider = ?1
         order by s.checked_at, s.id limit ?3",
        people::COLUMNS
    ))?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    rows::readable(statement, params![provider.as_str(), checked_before.unix_micros(), most], read_with_person)
}

pub(crate) fn claim_check(c: &Connection, id: SessionId, read: Timestamp, at: Timestamp) -> Result<bool, StoreProblem> {
    let claimed = c
        .prepare_cached("update sessions set checked_at = ?3 where id = ?1 and checked_at = ?2")?
        .execute(params![id.to_string(), read.unix_micros(), at.unix_micros()])?;
    Ok(claimed > 0)
}

pub(crate) fn set_refresh_token(c: &Connection, id: SessionId, token: Option<&Secret>) -> Result<bool, StoreProblem> {
    let set = c
        .prepare_cached("update sessions set refresh_token = ?2 where id = ?1")?
        .execute(params![id.to_string(), token.map(|token| token.0.as_str())])?;
    Ok(set > 0)
}
