//! Shared terminals: one session is open on a device, the others are parked or end, and all that is one step.

use policy::{DeviceId, SessionId, Timestamp, UserId};

use super::events::tell;
use super::{credentials, devices, invitations, people, sessions, withdrawn};
use crate::sql::{Connection, named_params, params};
use crate::{
    Change, Displaced, FoundSession, Lapsed, NewSession, Others, Resumed, Resumption, SessionsOf, StoreProblem,
};

pub(crate) fn open(c: &Connection, opening: &NewSession, actor: &str) -> Result<Displaced, StoreProblem> {
    let session = &opening.session;
    let at = session.opened_at;
    let person = people::in_force(c, &session.user)?;
    // Roles that were taken away between reading and opening must not come back with the session.
    if person.confirmed_at > session.roles_confirmed_at && person.roles != people::sorted(session.roles.clone()) {
        return Err(StoreProblem::NotInForce(Lapsed::Roles));
    }
    if let Some(device) = &session.device {
        devices::in_force(c, device, at)?;
    }
    if let Some(credential) = &session.credential {
        credentials::in_force(c, credential, &session.user)?;
    }
    withdrawn::stands(c, &person, session.provider_session.as_deref(), opening.vouched_at)?;
    if let Some(code) = opening.code {
        invitations::is_code_of(c, code, &session.user, at)?;
    }
    let replaced = opening.replaces.map(|replaced| take_place(c, replaced, &session.user, at, actor)).transpose()?;
    sessions::insert(c, session)?;
    sessions::insert_token(c, session.id, opening.token, &opening.host)?;
    c.prepare_cached("update people set seen_at = case when seen_at > ?2 then seen_at else ?2 end where id = ?1")?
        .execute(params![session.user.as_str(), at.unix_micros()])?;
    let mut displaced = displace(c, session.device.as_ref(), &session.user, session.id, opening.others, at, actor)?;
    displaced.ended.extend(replaced);
    Ok(displaced)
}

/// Ends the session whose place another one takes.
fn take_place(
    c: &Connection,
    replaced: SessionId,
    user: &UserId,
    at: Timestamp,
    actor: &str,
) -> Result<SessionId, StoreProblem> {
    let open = sessions::find(c, replaced)?.filter(|session| session.user == *user && session.parked_at.is_none());
    open.ok_or(StoreProblem::NotInForce(Lapsed::Session))?;
    sessions::end(c, replaced, at, actor)?;
    Ok(replaced)
}

pub(crate) fn park(c: &Connection, id: SessionId, at: Timestamp, actor: &str) -> Result<bool, StoreProblem> {
    let parked = c
        .prepare_cached("update sessions set parked_at = ?2 where id = ?1 and parked_at is null")?
        .execute(params![id.to_string(), at.unix_micros()])?;
    if parked == 0 {
        return Ok(false);
    }
    sessions::void_tokens(c, id)?;
    tell(c, at, actor, &Change::SessionParked(id))?;
    Ok(true)
}

pub(crate) fn resume(c: &Connection, resumption: &Resumption, actor: &str) -> Result<Option<Resumed>, StoreProblem> {
    let Resumption { session: id, user, device, at, .. } = resumption;
    let theirs = sessions::find(c, *id)?.filter(|session| {
        session.user == *user
            && session.device.as_ref() == Some(device)
            && *at < session.ends_at
            && session.parked_at.is_none_or(|parked_at| parked_at >= resumption.parked_since)
    });
    if theirs.is_none() {
        return Ok(None);
    }
    let person = people::in_force(c, user)?;
    devices::in_force(c, device, *at)?;
    credentials::in_force(c, &resumption.credential, user)?;
    c.prepare_cached(
        "update sessions set parked_at = null, seen_at = case when seen_at > :at then seen_at else :at end, authenticated_at = :at,
             assurance = :assurance, methods = :methods, credential = :credential, key_model = :key_model
         where id = :id",
    )?
    .execute(named_params! {
        ":id": id.to_string(),
        ":at": at.unix_micros(),
        ":assurance": resumption.assurance.as_str(),
        ":methods": resumption.methods.to_string(),
        ":credential": resumption.credential.0,
        ":key_model": resumption.key_model.map(|model| model.to_string()),
    })?;
    sessions::void_tokens(c, *id)?;
    sessions::insert_token(c, *id, resumption.token, &resumption.host)?;
    tell(c, *at, actor, &Change::SessionResumed(*id))?;
    let displaced = displace(c, Some(device), user, *id, resumption.others, *at, actor)?;
    let Some(session) = sessions::find(c, *id)? else { return Ok(None) };
    let found = FoundSession { session, person, host: resumption.host.clone() };
    Ok(Some(Resumed { found, displaced }))
}

/// Parks or ends the other sessions of a device.
fn displace(
    c: &Connection,
    device: Option<&DeviceId>,
    user: &UserId,
    stays: SessionId,
    others: Others,
    at: Timestamp,
    actor: &str,
) -> Result<Displaced, StoreProblem> {
    let mut displaced = Displaced::default();
    let (Some(device), Others::Park | Others::End) = (device, others) else { return Ok(displaced) };
    for (other, whose) in sessions::names(c, &SessionsOf::Device(device.clone()))? {
        if other == stays {
            continue;
        }
        if others == Others::End || whose == *user {
            sessions::end(c, other, at, actor)?;
            displaced.ended.push(other);
        } else if park(c, other, at, actor)? {
            displaced.parked.push(other);
        }
    }
    Ok(displaced)
}
