//! The ledger of devices and their certificates.

use policy::{DeviceClass, DeviceId, Fingerprint, RoleId, Timestamp};

use super::events::tell;
use super::{invitations, sessions};
use crate::rows;
use crate::sql::{Connection, Params, Row, Statement, named_params, params};
use crate::{
    CertificateIssuer, CertificateRecord, Change, DeviceChange, DeviceRecord, DeviceRevocation, DeviceWrite, Lapsed,
    SessionsOf, StoreProblem,
};

/// Devices with their certificates, a row for each certificate; earliest certificates first.
const WITH_CERTIFICATES: &str = "select d.*, k.fingerprint, k.serial, k.issuer, k.issued_at, k.ends_at, \
     k.revoked_at as certificate_revoked_at from devices d left join device_certificates k on k.device = d.id";

fn read(row: &Row) -> Result<DeviceRecord, StoreProblem> {
    Ok(DeviceRecord {
        id: rows::parsed(row, "id", |text| DeviceId::parse(text).ok())?,
        class: rows::parsed(row, "class", DeviceClass::parse)?,
        asset: row.get("asset")?,
        owner: row.get("owner")?,
        place: row.get("place")?,
        os: row.get("os")?,
        os_version: row.get("os_version")?,
        added_at: rows::moment(row, "added_at")?,
        seen_at: rows::moment_or_none(row, "seen_at")?,
        expires_at: rows::moment_or_none(row, "expires_at")?,
        stock_taken_at: rows::moment_or_none(row, "stock_taken_at")?,
        revoked_at: rows::moment_or_none(row, "revoked_at")?,
        certificates: read_certificate(row)?.into_iter().collect(),
    })
}

fn read_certificate(row: &Row) -> Result<Option<CertificateRecord>, StoreProblem> {
    let Some(fingerprint) = rows::parsed_or_none(row, "fingerprint", Fingerprint::parse)? else { return Ok(None) };
    Ok(Some(CertificateRecord {
        fingerprint,
        serial: row.get("serial")?,
        issuer: rows::parsed(row, "issuer", CertificateIssuer::parse)?,
        issued_at: rows::moment(row, "issued_at")?,
        ends_at: rows::moment(row, "ends_at")?,
        revoked_at: rows::moment_or_none(row, "certificate_revoked_at")?,
    }))
}

/// Reads the rows of one device or none, and puts them together again.
fn gather(statement: Statement<'_>, parameters: impl Params) -> Result<Vec<DeviceRecord>, StoreProblem> {
    Ok(put_together(rows::all(statement, parameters, read)?))
}

/// Puts the rows of each device together again.
fn put_together(rows: Vec<DeviceRecord>) -> Vec<DeviceRecord> {
    let mut devices: Vec<DeviceRecord> = Vec::new();
    for row in rows {
        match devices.last_mut() {
            Some(device) if device.id == row.id => device.certificates.extend(row.certificates),
            Some(_) | None => devices.push(row),
        }
    }
    devices
}

pub(crate) fn list(c: &Connection) -> Result<Vec<DeviceRecord>, StoreProblem> {
    let statement = c.prepare_cached(&format!("{WITH_CERTIFICATES} order by d.id, k.issued_at, k.fingerprint"))?;
    Ok(put_together(rows::readable(statement, (), read)?))
}

pub(crate) fn device(c: &Connection, id: &DeviceId) -> Result<Option<DeviceRecord>, StoreProblem> {
    let statement =
        c.prepare_cached(&format!("{WITH_CERTIFICATES} where d.id = ?1 order by k.issued_at, k.fingerprint"))?;
    Ok(gather(statement, [id.as_str()])?.pop())
}

pub(crate) fn by_certificate(c: &Connection, fingerprint: &Fingerprint) -> Result<Option<DeviceRecord>, StoreProblem> {
    let statement = c.prepare_cached(&format!(
        "{WITH_CERTIFICATES} where d.id = (select device from device_certificates where fingerprint = ?1)
         order by k.issued_at, k.fingerprint"
    ))?;
    Ok(gather(statement, [fingerprint.to_string()])?.pop())
}

/// That something may rest on this device.
pub(crate) fn in_force(c: &Connection, id: &DeviceId, at: Timestamp) -> Result<(), StoreProblem> {
    let known = c
        .prepare_cached(
            "select 1 from devices where id = ?1 and revoked_at is null and (expires_at is null or expires_at > ?2)",
        )?
        .exists(params![id.as_str(), at.unix_micros()])?;
    if known { Ok(()) } else { Err(StoreProblem::NotInForce(Lapsed::Device)) }
}

pub(crate) fn add(c: &Connection, new: &DeviceRecord, actor: &str) -> Result<(), StoreProblem> {
    if device(c, &new.id)?.is_some() {
        return Err(StoreProblem::Exists(new.id.to_string()));
    }
    c.prepare_cached("insert into devices (id, class, asset, owner, place, os, os_version, added_at) values (?1, '', '', '', '', '', '', ?2)")?
        .execute(params![new.id.as_str(), new.added_at.unix_micros()])?;
    write(c, new)?;
    for certificate in &new.certificates {
        insert_certificate(c, &new.id, certificate)?;
    }
    tell(c, new.added_at, actor, &Change::DeviceAdded(new.id.clone()))
}

/// Writes everything of a device but its id, certificates and when it was added.
fn write(c: &Connection, device: &DeviceRecord) -> Result<(), StoreProblem> {
    c.prepare_cached(
        "update devices set class = :class, asset = :asset, owner = :owner, place = :place, os = :os,
             os_version = :os_version, seen_at = :seen_at, expires_at = :expires_at,
             stock_taken_at = :stock_taken_at, revoked_at = :revoked_at
         where id = :id",
    )?
    .execute(named_params! {
        ":id": device.id.as_str(),
        ":class": device.class.as_str(),
        ":asset": device.asset,
        ":owner": device.owner,
        ":place": device.place,
        ":os": device.os,
        ":os_version": device.os_version,
        ":seen_at": device.seen_at.map(Timestamp::unix_micros),
        ":expires_at": device.expires_at.map(Timestamp::unix_micros),
        ":stock_taken_at": device.stock_taken_at.map(Timestamp::unix_micros),
        ":revoked_at": device.revoked_at.map(Timestamp::unix_micros),
    })?;
    Ok(())
}

fn insert_certificate(c: &Connection, device: &DeviceId, new: &CertificateRecord) -> Result<(), StoreProblem> {
    let inserted = c
        .prepare_cached(
            "insert into device_certificates (fingerprint, device, serial, issuer, issued_at, ends_at, revoked_at)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7) on conflict (fingerprint) do nothing",
        )?
        .execute(params![
            new.fingerprint.to_string(),
            device.as_str(),
            new.serial,
            new.issuer.as_str(),
            new.issued_at.unix_micros(),
            new.ends_at.unix_micros(),
            new.revoked_at.map(Timestamp::unix_micros),
        ])?;
    if inserted == 0 { Err(StoreProblem::Exists(new.fingerprint.to_string())) } else { Ok(()) }
}

pub(crate) fn change(
    c: &Connection,
    id: &DeviceId,
    change: DeviceChange,
    at: Timestamp,
    actor: &str,
) -> Result<bool, StoreProblem> {
    let Some(before) = device(c, id)? else { return Ok(false) };
    let DeviceChange { class, asset, owner, place, os, os_version, expires_at, stock_taken_at } = change;
    let after = DeviceRecord {
        class: class.unwrap_or(before.class),
        asset: asset.unwrap_or_else(|| before.asset.clone()),
        owner: owner.unwrap_or_else(|| before.owner.clone()),
        place: place.unwrap_or_else(|| before.place.clone()),
        os: os.unwrap_or_else(|| before.os.clone()),
        os_version: os_version.unwrap_or_else(|| before.os_version.clone()),
        expires_at: expires_at.unwrap_or(before.expires_at),
        stock_taken_at: stock_taken_at.unwrap_or(before.stock_taken_at),
        ..before.clone()
    };
    if after != before {
        write(c, &after)?;
        tell(c, at, actor, &Change::DeviceChanged(id.clone()))?;
    }
    Ok(true)
}

pub(crate) fn write_all(
    c: &Connection,
    writes: Vec<DeviceWrite>,
    at: Timestamp,
    actor: &str,
) -> Result<(), StoreProblem> {
    for write in writes {
        let known = match write {
            DeviceWrite::Add(device) => add(c, &device, actor).map(|()| true)?,
            DeviceWrite::Change(id, one) => change(c, &id, one, at, actor)?,
        };
        if !known {
            return Err(StoreProblem::NotInForce(Lapsed::Device));
        }
    }
    Ok(())
}

pub(crate) fn revoke(c: &Connection, id: &DeviceId, at: Timestamp, actor: &str) -> Result<bool, StoreProblem> {
    let revoked = c
        .prepare_cached("update devices set revoked_at = ?2 where id = ?1 and revoked_at is null")?
        .execute(params![id.as_str(), at.unix_micros()])?;
    if revoked == 0 {
        return Ok(false);
    }
    c.prepare_cached("update device_certificates set revoked_at = ?2 where device = ?1 and revoked_at is null")?
        .execute(params![id.as_str(), at.unix_micros()])?;
    tell(c, at, actor, &Change::DeviceRevoked(id.clone()))?;
    invitations::revoke_of_device(c, id, at, actor)?;
    sessions::end_those(c, &SessionsOf::Device(id.clone()), at, actor)?;
    Ok(true)
}

/// Revokes a device, but not under somebody with one of these roles: whoever looked before may have looked too early.
pub(crate) fn revoke_unless(
    c: &Connection,
    id: &DeviceId,
    signed_in: &[RoleId],
    at: Timestamp,
    actor: &str,
) -> Result<DeviceRevocation, StoreProblem> {
    let is_spared = |roles: &[RoleId]| roles.iter().any(|role| signed_in.contains(role));
    let open = sessions::those(c, &SessionsOf::Device(id.clone()))?;
    let mut open = open.iter().filter(|(session, _)| session.ends_at > at);
    if open.any(|(session, person)| is_spared(&session.roles) || is_spared(&person.roles)) {
        return Ok(DeviceRevocation::Spared);
    }
    Ok(if revoke(c, id, at, actor)? { DeviceRevocation::Done } else { DeviceRevocation::NotInForce })
}

pub(crate) fn add_certificate(
    c: &Connection,
    device: &DeviceId,
    new: &CertificateRecord,
    earlier_end_at: Option<Timestamp>,
    actor: &str,
) -> Result<(), StoreProblem> {
    in_force(c, device, new.issued_at)?;
    if let Some(end) = earlier_end_at {
        c.prepare_cached("update device_certificates set ends_at = case when ends_at < ?2 then ends_at else ?2 end where device = ?1")?
            .execute(params![device.as_str(), end.unix_micros()])?;
    }
    insert_certificate(c, device, new)?;
    tell(c, new.issued_at, actor, &Change::CertificateAdded(device.clone()))
}

pub(crate) fn revoke_certificate(
    c: &Connection,
    device: &DeviceId,
    fingerprint: &Fingerprint,
    at: Timestamp,
    actor: &str,
) -> Result<bool, StoreProblem> {
    let revoked = c
        .prepare_cached(
            "update device_certificates set revoked_at = ?3
             where fingerprint = ?1 and device = ?2 and revoked_at is null",
        )?
        .execute(params![fingerprint.to_string(), device.as_str(), at.unix_micros()])?;
    if revoked == 0 {
        return Ok(false);
    }
    tell(c, at, actor, &Change::CertificateRevoked(device.clone()))?;
    // Which of its certificates opened a session is not known: whoever held this one may have.
    sessions::end_those(c, &SessionsOf::Device(device.clone()), at, actor)?;
    Ok(true)
}

pub(crate) fn seen(c: &Connection, seen: &[(DeviceId, Timestamp)]) -> Result<(), StoreProblem> {
    let mut note =
        c.prepare_cached("update devices set seen_at = case when seen_at > ?2 then seen_at else ?2 end where id = ?1")?;
    for (device, at) in seen {
        note.execute(params![device.as_str(), at.unix_micros()])?;
    }
    Ok(())
}
