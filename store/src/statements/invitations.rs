//! Invitations: made, looked at, used once, revoked.

use policy::{DeviceId, SignInMethod, Timestamp, UserId};

use super::events::tell;
use super::{credentials, devices, people, sessions};
use crate::rows;
use crate::sql::{Connection, Row, named_params, params};
use crate::{
    Change, Invitation, InvitationId, Invited, Lapsed, Purpose, Redemption, SessionsOf, StoreProblem, TokenHash,
    WhichCredential,
};

/// Unused and not revoked; the caller adds the time.
const OPEN: &str = "used_at is null and revoked_at is null";

fn read(row: &Row) -> Result<Invitation, StoreProblem> {
    let user = || rows::parsed(row, "user", |text| UserId::parse(text).ok());
    Ok(Invitation {
        id: rows::parsed(row, "id", InvitationId::parse)?,
        secret: TokenHash(row.get("secret")?),
        invited: match rows::parsed(row, "purpose", Purpose::parse)? {
            Purpose::Passkey => Invited::Passkey(user()?),
            Purpose::Temporary => Invited::Temporary(user()?),
            Purpose::Device => Invited::Device(rows::parsed(row, "device", |text| DeviceId::parse(text).ok())?),
            Purpose::FirstAdministrator => Invited::FirstAdministrator,
        },
        made_by: row.get("made_by")?,
        made_at: rows::moment(row, "made_at")?,
        expires_at: rows::moment(row, "expires_at")?,
        proofing: row.get("proofing")?,
        reason: row.get("reason")?,
        used_at: rows::moment_or_none(row, "used_at")?,
        revoked_at: rows::moment_or_none(row, "revoked_at")?,
    })
}

pub(crate) fn invite(c: &Connection, new: &Invitation, most: usize) -> Result<(), StoreProblem> {
    if let Some(user) = new.invited.user() {
        people::in_force(c, user)?;
    }
    if let Some(device) = new.invited.device() {
        devices::in_force(c, device, new.made_at)?;
    }
    let known = c
        .prepare_cached("select 1 from invitations where id = ?1 or secret = ?2")?
        .exists(params![new.id.to_string(), new.secret.0])?;
    if known {
        return Err(StoreProblem::Exists("the invitation".to_owned()));
    }
    for earlier in all_open(c, &new.invited)? {
        mark_revoked(c, &earlier, new.made_at, &new.made_by)?;
    }
    let in_force: i64 = c
        .prepare_cached(&format!("select count(*) from invitations where {OPEN} and expires_at > ?1"))?
        .query_row([new.made_at.unix_micros()], |row| row.get(0))?;
    if usize::try_from(in_force).unwrap_or(usize::MAX) >= most {
        return Err(StoreProblem::Full);
    }
    c.prepare_cached(
        "insert into invitations (id, secret, purpose, \"user\", device, made_by, made_at, expires_at, proofing, reason)
         values (:id, :secret, :purpose, :user, :device, :made_by, :made_at, :expires_at, :proofing, :reason)",
    )?
    .execute(named_params! {
        ":id": new.id.to_string(),
        ":secret": new.secret.0,
        ":purpose": new.invited.purpose().as_str(),
        ":user": new.invited.user().map(UserId::as_str),
        ":device": new.invited.device().map(DeviceId::as_str),
        ":made_by": new.made_by,
        ":made_at": new.made_at.unix_micros(),
        ":expires_at": new.expires_at.unix_micros(),
        ":proofing": new.proofing,
        ":reason": new.reason,
    })?;
    tell(c, new.made_at, &new.made_by, &Change::InvitationMade(new.id))
}

/// Those of the same purpose and subject that nobody has used.
fn all_open(c: &Connection, invited: &Invited) -> Result<Vec<Invitation>, StoreProblem> {
    let statement = c.prepare_cached(&format!(
        "select * from invitations where purpose = ?1 and \"user\" is not distinct from ?2 and device is not distinct from ?3
             and {OPEN} order by id"
    ))?;
    let (user, device) = (invited.user().map(UserId::as_str), invited.device().map(DeviceId::as_str));
    rows::all(statement, params![invited.purpose().as_str(), user, device], read)
}

pub(crate) fn find(c: &Connection, secret: TokenHash, at: Timestamp) -> Result<Option<Invitation>, StoreProblem> {
    let statement = c.prepare_cached("select * from invitations where secret = ?1")?;
    Ok(rows::one(statement, [secret.0], read)?.filter(|invitation| invitation.is_in_force(at)))
}

pub(crate) fn take(
    c: &Connection,
    secret: TokenHash,
    purpose: Purpose,
    at: Timestamp,
    actor: &str,
) -> Result<Option<Invitation>, StoreProblem> {
    let Some(found) = find(c, secret, at)?.filter(|found| found.invited.purpose() == purpose) else {
        return Ok(None);
    };
    use_up(c, found, at, actor).map(Some)
}

pub(crate) fn redeem(
    c: &Connection,
    secret: TokenHash,
    redemption: &Redemption,
    at: Timestamp,
    actor: &str,
) -> Result<Option<Invitation>, StoreProblem> {
    let Some(found) = find(c, secret, at)? else { return Ok(None) };
    match (&found.invited, redemption) {
        (Invited::Passkey(user), Redemption::Passkey(key)) if key.user == *user => {
            credentials::add(c, key, &WhichCredential::Any, actor)?;
        }
        (Invited::Device(device), Redemption::Certificate(certificate)) => {
            devices::add_certificate(c, device, certificate, None, actor)?;
        }
        (Invited::FirstAdministrator, Redemption::FirstAdministrator(person, key)) if key.user == person.id => {
            people::add(c, person, actor)?;
            credentials::add(c, key, &WhichCredential::Any, actor)?;
        }
        (
            Invited::Passkey(_) | Invited::Device(_) | Invited::Temporary(_) | Invited::FirstAdministrator,
            Redemption::Passkey(_) | Redemption::Certificate(_) | Redemption::FirstAdministrator(..),
        ) => return Ok(None),
    }
    use_up(c, found, at, actor).map(Some)
}

fn use_up(c: &Connection, found: Invitation, at: Timestamp, actor: &str) -> Result<Invitation, StoreProblem> {
    c.prepare_cached("update invitations set used_at = ?2 where id = ?1")?
        .execute(params![found.id.to_string(), at.unix_micros()])?;
    tell(c, at, actor, &Change::InvitationUsed(found.id))?;
    Ok(Invitation { used_at: Some(at), ..found })
}

pub(crate) fn list(c: &Connection) -> Result<Vec<Invitation>, StoreProblem> {
    rows::all(c.prepare_cached("select * from invitations order by made_at desc, id")?, (), read)
}

pub(crate) fn revoke(c: &Connection, id: InvitationId, at: Timestamp, actor: &str) -> Result<bool, StoreProblem> {
    let statement = c.prepare_cached("select * from invitations where id = ?1")?;
    let found = rows::one(statement, [id.to_string()], read)?.filter(|invitation| invitation.is_in_force(at));
    if let Some(found) = &found {
        mark_revoked(c, found, at, actor)?;
    }
    Ok(found.is_some())
}

/// Revokes what a person was invited to.
pub(crate) fn revoke_of_person(c: &Connection, user: &UserId, at: Timestamp, actor: &str) -> Result<(), StoreProblem> {
    for purpose in [Invited::Passkey, Invited::Temporary] {
        for open in all_open(c, &purpose(user.clone()))? {
            mark_revoked(c, &open, at, actor)?;
        }
    }
    Ok(())
}

/// Revokes what a device was invited to.
pub(crate) fn revoke_of_device(
    c: &Connection,
    device: &DeviceId,
    at: Timestamp,
    actor: &str,
) -> Result<(), StoreProblem> {
    for open in all_open(c, &Invited::Device(device.clone()))? {
        mark_revoked(c, &open, at, actor)?;
    }
    Ok(())
}

/// Revokes an invitation; what a temporary code opened ends with it.
fn mark_revoked(c: &Connection, revoked: &Invitation, at: Timestamp, actor: &str) -> Result<(), StoreProblem> {
    c.prepare_cached("update invitations set revoked_at = ?2 where id = ?1")?
        .execute(params![revoked.id.to_string(), at.unix_micros()])?;
    tell(c, at, actor, &Change::InvitationRevoked(revoked.id))?;
    let Invited::Temporary(user) = &revoked.invited else { return Ok(()) };
    for (session, _) in sessions::those(c, &SessionsOf::User(user.clone()))? {
        if session.methods.has(SignInMethod::Temporary) {
            sessions::end(c, session.id, at, actor)?;
        }
    }
    Ok(())
}

/// That this is a temporary code of this person, and in force.
pub(crate) fn is_code_of(c: &Connection, id: InvitationId, user: &UserId, at: Timestamp) -> Result<(), StoreProblem> {
    let statement = c.prepare_cached("select * from invitations where id = ?1")?;
    let theirs = rows::one(statement, [id.to_string()], read)?
        .filter(|found| found.is_in_force(at) && found.invited == Invited::Temporary(user.clone()));
    theirs.map(|_| ()).ok_or(StoreProblem::NotInForce(Lapsed::Code))
}
