//! Credentials: added, used, renamed, removed; always with whose they are.

use policy::{Aaguid, Assurance, Timestamp, UserId};

use super::events::tell;
use super::{people, sessions, withdrawn};
use crate::rows;
use crate::sql::{Connection, Row, named_params, params};
use crate::{
    CREDENTIALS_MAX, Change, Credential, CredentialFound, CredentialId, CredentialUse, CredentialUsed, Lapsed, Secret,
    SessionRecord, SessionsOf, StoreProblem, WhichCredential,
};

/// Columns of `credentials k`, as [`read`] reads them.
const COLUMNS: &str = "k.id, k.user, k.name, k.model, k.passkey, k.counter, k.device_bound, k.added_at, k.used_at, \
     k.added_by, k.proofing";

fn read(row: &Row) -> Result<Credential, StoreProblem> {
    Ok(Credential {
        id: CredentialId(row.get("id")?),
        user: rows::parsed(row, "user", |text| UserId::parse(text).ok())?,
        name: row.get("name")?,
        model: rows::parsed(row, "model", Aaguid::parse)?,
        passkey: Secret(row.get("passkey")?),
        counter: row.get("counter")?,
        device_bound: row.get("device_bound")?,
        added_at: rows::moment(row, "added_at")?,
        used_at: rows::moment_or_none(row, "used_at")?,
        added_by: row.get("added_by")?,
        proofing: row.get("proofing")?,
    })
}

pub(crate) fn add(c: &Connection, new: &Credential, which: &WhichCredential, actor: &str) -> Result<(), StoreProblem> {
    let owner = people::in_force(c, &new.user)?;
    if c.prepare_cached("select 1 from credentials where id = ?1")?.exists([&new.id.0])? {
        return Err(StoreProblem::Exists("the key".to_owned()));
    }
    let number: i64 = c
        .prepare_cached("select count(*) from credentials where \"user\" = ?1")?
        .query_row([new.user.as_str()], |row| row.get(0))?;
    if usize::try_from(number).unwrap_or(usize::MAX) >= CREDENTIALS_MAX {
        return Err(StoreProblem::Full);
    }
    match which {
        WhichCredential::First { vouched_at, provider_session } => {
            if had_any(c, &new.user)? {
                return Err(StoreProblem::Exists("a first key".to_owned()));
            }
            withdrawn::stands(c, &owner, provider_session.as_deref(), *vouched_at)?;
        }
        WhichCredential::Own { session, proven_since } => {
            let theirs = sessions::find(c, *session)?.filter(|session| {
                session.user == new.user
                    && session.parked_at.is_none()
                    && session.ends_at > new.added_at
                    && session.assurance >= Assurance::Aal2
                    && session.authenticated_at >= *proven_since
            });
            theirs.ok_or(StoreProblem::NotInForce(Lapsed::Session))?;
        }
        WhichCredential::Any => {}
    }
    c.prepare_cached(
        "insert into credentials (id, \"user\", name, model, passkey, counter, device_bound, added_at, used_at, added_by,
             proofing)
         values (:id, :user, :name, :model, :passkey, :counter, :device_bound, :added_at, :used_at, :added_by,
             :proofing)",
    )?
    .execute(named_params! {
        ":id": new.id.0,
        ":user": new.user.as_str(),
        ":name": new.name,
        ":model": new.model.to_string(),
        ":passkey": new.passkey.0,
        ":counter": new.counter,
        ":device_bound": new.device_bound,
        ":added_at": new.added_at.unix_micros(),
        ":used_at": new.used_at.map(Timestamp::unix_micros),
        ":added_by": new.added_by,
        ":proofing": new.proofing,
    })?;
    c.prepare_cached("update people set first_key_at = coalesce(first_key_at, ?2) where id = ?1")?
        .execute(params![new.user.as_str(), new.added_at.unix_micros()])?;
    let (user, credential) = (new.user.clone(), new.id.clone());
    tell(c, new.added_at, actor, &Change::CredentialAdded { user, credential })
}

pub(crate) fn had_any(c: &Connection, user: &UserId) -> Result<bool, StoreProblem> {
    let known =
        c.prepare_cached("select 1 from people where id = ?1 and first_key_at is not null")?.exists([user.as_str()])?;
    Ok(known)
}

pub(crate) fn of_person(c: &Connection, user: &UserId) -> Result<Vec<Credential>, StoreProblem> {
    let statement =
        c.prepare_cached(&format!("select {COLUMNS} from credentials k where k.user = ?1 order by k.added_at, k.id"))?;
    rows::all(statement, [user.as_str()], read)
}

pub(crate) fn find(c: &Connection, id: &CredentialId) -> Result<Option<CredentialFound>, StoreProblem> {
    let statement = c.prepare_cached(&format!(
        "select {COLUMNS}, {} from credentials k join people p on p.id = k.user where k.id = ?1",
        people::COLUMNS
    ))?;
    rows::one(statement, [&id.0], |row| Ok(CredentialFound { credential: read(row)?, person: people::read(row)? }))
}

/// That a session of this person may rest on this credential.
pub(crate) fn in_force(c: &Connection, id: &CredentialId, user: &UserId) -> Result<(), StoreProblem> {
    let known = c
        .prepare_cached("select 1 from credentials where id = ?1 and \"user\" = ?2")?
        .exists(params![id.0, user.as_str()])?;
    if known { Ok(()) } else { Err(StoreProblem::NotInForce(Lapsed::Credential)) }
}

pub(crate) fn note_use(
    c: &Connection,
    id: &CredentialId,
    used: &CredentialUse,
) -> Result<CredentialUsed, StoreProblem> {
    let Some(found) = find(c, id)?.filter(|found| found.person.disabled.is_none()) else {
        return Ok(CredentialUsed::Gone);
    };
    // WebAuthn Level 3 section 7.2 step 22: unless neither counts, the counter must be above the last one.
    let before = found.credential.counter;
    if (before, used.counter) != (0, 0) && used.counter <= before {
        return Ok(CredentialUsed::CounterBehind);
    }
    c.prepare_cached(
        "update credentials set counter = ?2, passkey = ?3, used_at = case when used_at > ?4 then used_at else ?4 end
         where id = ?1",
    )?
    .execute(params![id.0, used.counter, used.passkey.0, used.at.unix_micros()])?;
    Ok(CredentialUsed::Noted)
}

pub(crate) fn rename(
    c: &Connection,
    user: &UserId,
    id: &CredentialId,
    name: &str,
    at: Timestamp,
    actor: &str,
) -> Result<bool, StoreProblem> {
    let statement = c.prepare_cached("select name from credentials where id = ?1 and \"user\" = ?2")?;
    let before: Option<String> = rows::one(statement, params![id.0, user.as_str()], |row| row.get(0))?;
    if before.as_deref().is_some_and(|before| before != name) {
        c.prepare_cached("update credentials set name = ?2 where id = ?1")?.execute(params![id.0, name])?;
        tell(c, at, actor, &Change::CredentialRenamed { user: user.clone(), credential: id.clone() })?;
    }
    Ok(before.is_some())
}

pub(crate) fn remove(
    c: &Connection,
    user: &UserId,
    id: &CredentialId,
    at: Timestamp,
    actor: &str,
) -> Result<Option<Vec<SessionRecord>>, StoreProblem> {
    let removed = c
        .prepare_cached("delete from credentials where id = ?1 and \"user\" = ?2")?
        .execute(params![id.0, user.as_str()])?;
    if removed == 0 {
        return Ok(None);
    }
    tell(c, at, actor, &Change::CredentialRemoved { user: user.clone(), credential: id.clone() })?;
    sessions::end_those(c, &SessionsOf::Credential(id.clone()), at, actor).map(Some)
}
