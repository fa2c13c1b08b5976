//! Rows to records. Whatever does not parse is [`StoreProblem::Corrupt`], never a guess.

use policy::{Assurance, DeviceClass, DeviceId, Fingerprint, Host, ProviderId, RoleId, SessionId, Timestamp, UserId};
use rusqlite::{CachedStatement, Params, Row};

use crate::{Change, DeviceRecord, Event, Person, Secret, SessionRecord, StoreProblem};

/// Columns of `people p`, as [`person`] reads them.
pub(super) const PERSON: &str = "p.id as person_id, p.issuer, p.subject, p.provider, p.login, p.name, \
     p.roles as person_roles, p.seen_at as person_seen_at";
/// Columns of `sessions s`, as [`session`] reads them.
pub(super) const SESSION: &str = "s.id, s.user, s.roles, s.assurance, s.authenticated_at, s.device, s.opened_at, \
     s.seen_at, s.ends_at, s.provider_session, s.id_token";

/// Reads every row of an answer.
pub(super) fn all<T>(
    mut statement: CachedStatement<'_>,
    parameters: impl Params,
    record: impl Fn(&Row<'_>) -> Result<T, StoreProblem>,
) -> Result<Vec<T>, StoreProblem> {
    let mut rows = statement.query(parameters)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(record(row)?);
    }
    Ok(records)
}

/// Reads the only row of an answer.
pub(super) fn one<T>(
    statement: CachedStatement<'_>,
    parameters: impl Params,
    record: impl Fn(&Row<'_>) -> Result<T, StoreProblem>,
) -> Result<Option<T>, StoreProblem> {
    Ok(all(statement, parameters, record)?.pop())
}

pub(super) fn person(row: &Row<'_>) -> Result<Person, StoreProblem> {
    Ok(Person {
        id: parsed(row, "person_id", |text| UserId::parse(text).ok())?,
        issuer: row.get("issuer")?,
        subject: row.get("subject")?,
        provider: parsed(row, "provider", |text| ProviderId::parse(text).ok())?,
        login: row.get("login")?,
        name: row.get("name")?,
        roles: parsed(row, "person_roles", roles)?,
        unit: String::new(),
        added_at: moment(row, "person_seen_at")?,
        seen_at: moment(row, "person_seen_at")?,
        confirmed_at: moment(row, "person_seen_at")?,
        disabled: None,
    })
}

pub(super) fn device(row: &Row<'_>) -> Result<DeviceRecord, StoreProblem> {
    Ok(DeviceRecord {
        id: parsed(row, "id", |text| DeviceId::parse(text).ok())?,
        class: parsed(row, "class", DeviceClass::parse)?,
        asset: row.get("asset")?,
        owner: row.get("owner")?,
        place: row.get("place")?,
        os: String::new(),
        os_version: String::new(),
        added_at: moment(row, "added_at")?,
        seen_at: None,
        expires_at: None,
        stock_taken_at: None,
        revoked_at: row.get::<_, Option<i64>>("revoked_at")?.map(Timestamp::from_unix_micros),
        certificates: vec![crate::CertificateRecord::own(
            parsed(row, "certificate", Fingerprint::parse)?,
            moment(row, "added_at")?,
            moment(row, "certificate_ends_at")?,
        )],
    })
}

pub(super) fn session(row: &Row<'_>) -> Result<SessionRecord, StoreProblem> {
    Ok(SessionRecord {
        id: parsed(row, "id", SessionId::parse)?,
        user: parsed(row, "user", |text| UserId::parse(text).ok())?,
        roles: parsed(row, "roles", roles)?,
        assurance: parsed(row, "assurance", Assurance::parse)?,
        authenticated_at: moment(row, "authenticated_at")?,
        device: match row.get::<_, Option<String>>("device")? {
            Some(_) => Some(parsed(row, "device", |text| DeviceId::parse(text).ok())?),
            None => None,
        },
        opened_at: moment(row, "opened_at")?,
        seen_at: moment(row, "seen_at")?,
        ends_at: moment(row, "ends_at")?,
        provider_session: row.get("provider_session")?,
        id_token: row.get::<_, Option<String>>("id_token")?.map(Secret),
        roles_confirmed_at: moment(row, "authenticated_at")?,
        methods: policy::Methods::NONE,
        credential: None,
        key_model: None,
        parked_at: None,
        in_outage: false,
        refresh_token: None,
        checked_at: moment(row, "authenticated_at")?,
    })
}

pub(super) fn host(row: &Row<'_>) -> Result<Host, StoreProblem> {
    parsed(row, "host", |text| Host::parse(text).ok())
}

pub(super) fn event(row: &Row<'_>) -> Result<Event, StoreProblem> {
    let change: String = row.get("change")?;
    let device = || parsed(row, "subject", |text| DeviceId::parse(text).ok());
    Ok(Event {
        sequence: row.get::<_, i64>("sequence")?.unsigned_abs(),
        at: moment(row, "at")?,
        actor: row.get("actor")?,
        change: match change.as_str() {
            "device-added" => Change::DeviceAdded(device()?),
            "device-revoked" => Change::DeviceRevoked(device()?),
            "session-ended" => Change::SessionEnded(parsed(row, "subject", SessionId::parse)?),
            unknown => return Err(StoreProblem::Corrupt(format!("an event tells of `{unknown}`"))),
        },
    })
}

/// How [`event`] finds a change again: its word and its subject.
pub(super) fn change_columns(change: &Change) -> (&'static str, String) {
    match change {
        Change::DeviceAdded(id) => ("device-added", id.to_string()),
        Change::DeviceRevoked(id) => ("device-revoked", id.to_string()),
        Change::SessionEnded(id) => ("session-ended", id.to_string()),
        Change::PersonAdded(_)
        | Change::PersonChanged(_)
        | Change::PersonDisabled(_)
        | Change::PersonEnabled(_)
        | Change::CredentialAdded { .. }
        | Change::CredentialRemoved { .. }
        | Change::InvitationMade(_)
        | Change::InvitationUsed(_)
        | Change::InvitationRevoked(_)
        | Change::DeviceChanged(_)
        | Change::CertificateAdded(_)
        | Change::CertificateRevoked(_)
        | Change::PostureChanged
        | Change::SessionParked(_)
        | Change::SessionResumed(_)
        | Change::SessionChanged(_)
        | Change::OutageBegan(_)
        | Change::OutageEnded(_) => todo!(),
    }
}

/// Roles as they are kept: a JSON array of names.
pub(super) fn roles_column(roles: &[RoleId]) -> String {
    serde_json::Value::from_iter(roles.iter().map(RoleId::as_str)).to_string()
}

fn roles(text: &str) -> Option<Vec<RoleId>> {
    let names: Vec<String> = serde_json::from_str(text).ok()?;
    names.iter().map(|name| RoleId::parse(name).ok()).collect()
}

fn moment(row: &Row<'_>, column: &str) -> Result<Timestamp, StoreProblem> {
    Ok(Timestamp::from_unix_micros(row.get(column)?))
}

fn parsed<T>(row: &Row<'_>, column: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, StoreProblem> {
    let text: String = row.get(column)?;
    // The text itself stays out of the message: a damaged row may hold anything.
    parse(&text).ok_or_else(|| StoreProblem::Corrupt(format!("column `{column}` does not read as what it should hold")))
}
