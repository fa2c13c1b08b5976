//! Posture: what sources say of devices.

use std::collections::BTreeSet;

use policy::{DeviceId, PostureName, PostureSourceId, Timestamp};

use super::events::tell;
use crate::rows;
use crate::sql::{Connection, Row, params};
use crate::{Change, POSTURE_NAMES_MAX, PostureRow, StoreProblem};

fn read(row: &Row) -> Result<PostureRow, StoreProblem> {
    Ok(PostureRow {
        device: rows::parsed(row, "device", |text| DeviceId::parse(text).ok())?,
        name: rows::parsed(row, "name", |text| PostureName::parse(text).ok())?,
        value: row.get("value")?,
        source: rows::parsed(row, "source", |text| PostureSourceId::parse(text).ok())?,
        at: rows::moment(row, "at")?,
        expires_at: rows::moment(row, "expires_at")?,
    })
}

pub(crate) fn set(
    c: &Connection,
    told: &[PostureRow],
    at: Timestamp,
    actor: &str,
) -> Result<Vec<DeviceId>, StoreProblem> {
    let (mut known, mut unknown) = (BTreeSet::new(), BTreeSet::new());
    let mut changed = 0;
    for row in told {
        let device = row.device.as_str();
        if !c.prepare_cached("select 1 from devices where id = ?1")?.exists([device])? {
            unknown.insert(row.device.clone());
            continue;
        }
        known.insert(row.device.clone());
        changed += c
            .prepare_cached(
                "insert into posture (device, name, value, source, at, expires_at) values (?1, ?2, ?3, ?4, ?5, ?6)
                 on conflict (device, name) do update set value = ?3, source = ?4, at = ?5, expires_at = ?6
                 where ?5 >= posture.at
                     and (posture.value, posture.source, posture.at, posture.expires_at) <> (?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                device,
                row.name.as_str(),
                row.value,
                row.source.as_str(),
                // A source whose clock is ahead must not shut out what is told later.
                row.at.min(at).unix_micros(),
                row.expires_at.unix_micros(),
            ])?;
    }
    for device in known {
        let number: i64 = c
            .prepare_cached("select count(*) from posture where device = ?1")?
            .query_row([device.as_str()], |row| row.get(0))?;
        if usize::try_from(number).unwrap_or(usize::MAX) > POSTURE_NAMES_MAX {
            return Err(StoreProblem::Full);
        }
    }
    if changed > 0 {
        tell(c, at, actor, &Change::PostureChanged)?;
    }
    Ok(unknown.into_iter().collect())
}

pub(crate) fn list(c: &Connection) -> Result<Vec<PostureRow>, StoreProblem> {
    let statement = c.prepare_cached(
        "select o.* from posture o join devices d on d.id = o.device where d.revoked_at is null
         order by o.device, o.name",
    )?;
    rows::all(statement, (), read)
}
