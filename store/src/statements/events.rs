//! Events: what happened, in order.

use policy::{DeviceId, GrantId, ProviderId, RoleId, SessionId, Timestamp, UserId};
use serde_json::{Value, json};

use crate::rows;
use crate::sql::{Connection, Row, params};
use crate::{Change, CredentialId, Event, GrantDuty, InvitationId, LogUse, OutageSwitch, RolesChanged, StoreProblem};

/// Tells of a change, in the transaction that makes it.
pub(crate) fn tell(c: &Connection, at: Timestamp, actor: &str, change: &Change) -> Result<(), StoreProblem> {
    let (word, subject) = columns(change);
    c.prepare_cached("insert into events (at, actor, change, subject) values (?1, ?2, ?3, ?4)")?.execute(params![
        at.unix_micros(),
        actor,
        word,
        subject
    ])?;
    Ok(())
}

pub(crate) fn after(c: &Connection, sequence: u64, most: usize) -> Result<Vec<Event>, StoreProblem> {
    let after = i64::try_from(sequence).unwrap_or(i64::MAX);
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let statement = c.prepare_cached("select * from events where sequence > ?1 order by sequence limit ?2")?;
    rows::all(statement, [after, most], read)
}

fn read(row: &Row) -> Result<Event, StoreProblem> {
    Ok(Event {
        sequence: row.get::<_, i64>("sequence")?.unsigned_abs(),
        at: rows::moment(row, "at")?,
        actor: row.get("actor")?,
        change: change(row)?,
    })
}

fn change(row: &Row) -> Result<Change, StoreProblem> {
    let word: String = row.get("change")?;
    let user = || rows::parsed(row, "subject", |text| UserId::parse(text).ok());
    let key = || rows::parsed(row, "subject", user_and_credential);
    let device = || rows::parsed(row, "subject", |text| DeviceId::parse(text).ok());
    let session = || rows::parsed(row, "subject", SessionId::parse);
    let invitation = || rows::parsed(row, "subject", InvitationId::parse);
    let provider = || rows::parsed(row, "subject", |text| ProviderId::parse(text).ok());
    let grant = || rows::parsed(row, "subject", |text| GrantId::parse(text).ok());
    let number = || rows::parsed(row, "subject", |text| text.parse().ok());
    Ok(match word.as_str() {
        "person-added" => Change::PersonAdded(user()?),
        "person-changed" => rows::parsed(row, "subject", user_and_roles)?,
        "person-disabled" => Change::PersonDisabled(user()?),
        "person-enabled" => Change::PersonEnabled(user()?),
        "credential-added" => key().map(|(user, credential)| Change::CredentialAdded { user, credential })?,
        "credential-renamed" => key().map(|(user, credential)| Change::CredentialRenamed { user, credential })?,
        "credential-removed" => key().map(|(user, credential)| Change::CredentialRemoved { user, credential })?,
        "invitation-made" => Change::InvitationMade(invitation()?),
        "invitation-used" => Change::InvitationUsed(invitation()?),
        "invitation-revoked" => Change::InvitationRevoked(invitation()?),
        "device-added" => Change::DeviceAdded(device()?),
        "device-changed" => Change::DeviceChanged(device()?),
        "device-revoked" => Change::DeviceRevoked(device()?),
        "certificate-added" => Change::CertificateAdded(device()?),
        "certificate-revoked" => Change::CertificateRevoked(device()?),
        "posture-changed" => Change::PostureChanged,
        "session-ended" => Change::SessionEnded(session()?),
        "session-parked" => Change::SessionParked(session()?),
        "session-resumed" => Change::SessionResumed(session()?),
        "session-changed" => Change::SessionChanged(session()?),
        "outage-began" => Change::OutageBegan(provider()?),
        "outage-ended" => Change::OutageEnded(provider()?),
        "outage-switched" => rows::parsed(row, "subject", provider_and_position)?,
        "policy-proposed" => Change::PolicyProposed(number()?),
        "policy-approved" => Change::PolicyApproved(number()?),
        "log-read" => Change::LogRead(rows::parsed(row, "subject", log_use)?),
        "grant-requested" => Change::GrantRequested(grant()?),
        "grant-approved" => Change::GrantApproved(grant()?),
        "grant-admitted" => Change::GrantAdmitted(grant()?),
        "grant-refused" => Change::GrantRefused(grant()?),
        "grant-withdrawn" => Change::GrantWithdrawn(grant()?),
        "grant-ended" => Change::GrantEnded(grant()?),
        "grant-reported" => Change::GrantReported(grant()?),
        "grant-confirmed" => Change::GrantConfirmed(grant()?),
        "glass-broken" => Change::GlassBroken(grant()?),
        "glass-reviewed" => Change::GlassReviewed(grant()?),
        "grant-overdue" => rows::parsed(row, "subject", grant_and_duty)?,
        "inventory-changed" => Change::InventoryChanged(number()?),
        // A node of a later version tells of it: what comes after must be heard here all the same.
        unknown => Change::Unknown(unknown.to_owned()),
    })
}

fn user_and_credential(text: &str) -> Option<(UserId, CredentialId)> {
    let (user, credential) = text.split_once(' ')?;
    Some((UserId::parse(user).ok()?, CredentialId::parse(credential)?))
}

/// A person and, where their roles changed, these as JSON.
fn user_and_roles(text: &str) -> Option<Change> {
    let (user, roles) = text.split_once(' ').map_or((text, None), |(user, roles)| (user, Some(roles)));
    let read = |roles: &str| {
        let both: Value = serde_json::from_str(roles).ok()?;
        let of = |key: &str| rows::roles(&both.get(key)?.to_string());
        Some(RolesChanged { before: of("before")?, after: of("after")? })
    };
    let roles = match roles {
        Some(roles) => Some(read(roles)?),
        None => None,
    };
    Some(Change::PersonChanged { user: UserId::parse(user).ok()?, roles })
}

fn user_and_roles_column(user: &UserId, roles: Option<&RolesChanged>) -> String {
    let Some(RolesChanged { before, after }) = roles else { return user.to_string() };
    let names = |roles: &[RoleId]| Value::from_iter(roles.iter().map(RoleId::as_str));
    format!("{user} {}", json!({ "before": names(before), "after": names(after) }))
}

fn provider_and_position(text: &str) -> Option<Change> {
    let (provider, position) = text.split_once(' ')?;
    let provider = ProviderId::parse(provider).ok()?;
    Some(match OutageSwitch::parse(position) {
        Some(position) => Change::OutageSwitched { provider, position },
        None => Change::Unknown("outage-switched".to_owned()),
    })
}

fn grant_and_duty(text: &str) -> Option<Change> {
    let (grant, duty) = text.split_once(' ')?;
    let grant = GrantId::parse(grant).ok()?;
    Some(match GrantDuty::parse(duty) {
        Some(duty) => Change::GrantOverdue { grant, duty },
        None => Change::Unknown("grant-overdue".to_owned()),
    })
}

/// What, how many, and the question.
fn log_use(text: &str) -> Option<LogUse> {
    let (what, rest) = text.split_once(' ')?;
    let (count, question) = rest.split_once(' ')?;
    Some(LogUse { what: what.to_owned(), count: count.parse().ok()?, question: question.to_owned() })
}

/// How [`change`] finds a change again: its word and its subject.
fn columns(change: &Change) -> (&str, String) {
    match change {
        Change::PersonAdded(id) => ("person-added", id.to_string()),
        Change::PersonChanged { user, roles } => ("person-changed", user_and_roles_column(user, roles.as_ref())),
        Change::PersonDisabled(id) => ("person-disabled", id.to_string()),
        Change::PersonEnabled(id) => ("person-enabled", id.to_string()),
        Change::CredentialAdded { user, credential } => ("credential-added", format!("{user} {credential}")),
        Change::CredentialRenamed { user, credential } => ("credential-renamed", format!("{user} {credential}")),
        Change::CredentialRemoved { user, credential } => ("credential-removed", format!("{user} {credential}")),
        Change::InvitationMade(id) => ("invitation-made", id.to_string()),
        Change::InvitationUsed(id) => ("invitation-used", id.to_string()),
        Change::InvitationRevoked(id) => ("invitation-revoked", id.to_string()),
        Change::DeviceAdded(id) => ("device-added", id.to_string()),
        Change::DeviceChanged(id) => ("device-changed", id.to_string()),
        Change::DeviceRevoked(id) => ("device-revoked", id.to_string()),
        Change::CertificateAdded(id) => ("certificate-added", id.to_string()),
        Change::CertificateRevoked(id) => ("certificate-revoked", id.to_string()),
        Change::PostureChanged => ("posture-changed", String::new()),
        Change::SessionEnded(id) => ("session-ended", id.to_string()),
        Change::SessionParked(id) => ("session-parked", id.to_string()),
        Change::SessionResumed(id) => ("session-resumed", id.to_string()),
        Change::SessionChanged(id) => ("session-changed", id.to_string()),
        Change::OutageBegan(id) => ("outage-began", id.to_string()),
        Change::OutageEnded(id) => ("outage-ended", id.to_string()),
        Change::OutageSwitched { provider, position } => {
            ("outage-switched", format!("{provider} {}", position.as_str()))
        }
        Change::PolicyProposed(number) => ("policy-proposed", number.to_string()),
        Change::PolicyApproved(number) => ("policy-approved", number.to_string()),
        Change::GrantRequested(id) => ("grant-requested", id.to_string()),
        Change::GrantApproved(id) => ("grant-approved", id.to_string()),
        Change::GrantAdmitted(id) => ("grant-admitted", id.to_string()),
        Change::GrantRefused(id) => ("grant-refused", id.to_string()),
        Change::GrantWithdrawn(id) => ("grant-withdrawn", id.to_string()),
        Change::GrantEnded(id) => ("grant-ended", id.to_string()),
        Change::GrantReported(id) => ("grant-reported", id.to_string()),
        Change::GrantConfirmed(id) => ("grant-confirmed", id.to_string()),
        Change::GlassBroken(id) => ("glass-broken", id.to_string()),
        Change::GlassReviewed(id) => ("glass-reviewed", id.to_string()),
        Change::GrantOverdue { grant, duty } => ("grant-overdue", format!("{grant} {}", duty.as_str())),
        Change::InventoryChanged(number) => ("inventory-changed", number.to_string()),
        Change::Unknown(word) => (word, String::new()),
        Change::LogRead(LogUse { what, question, count }) => ("log-read", format!("{what} {count} {question}")),
    }
}
