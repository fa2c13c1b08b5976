//! Notes: small values under a name; outages are among them, so that every node sees the same.

use policy::{ProviderId, Timestamp};

use super::events::tell;
use crate::rows;
use crate::sql::Connection;
use crate::{Change, OutageSwitch, StoreProblem};

pub(crate) fn note(c: &Connection, key: &str) -> Result<Option<String>, StoreProblem> {
    rows::one(c.prepare_cached("select value from notes where key = ?1")?, [key], |row| row.get(0))
}

pub(crate) fn set_note(c: &Connection, key: &str, value: &str) -> Result<(), StoreProblem> {
    c.prepare_cached("insert into notes (key, value) values (?1, ?2) on conflict (key) do update set value = ?2")?
        .execute([key, value])?;
    Ok(())
}

pub(crate) fn begin_outage(
    c: &Connection,
    provider: &ProviderId,
    value: &str,
    at: Timestamp,
    actor: &str,
) -> Result<bool, StoreProblem> {
    let key = outage_key(provider);
    let begins = note(c, &key)?.is_none();
    set_note(c, &key, value)?;
    if begins {
        tell(c, at, actor, &Change::OutageBegan(provider.clone()))?;
    }
    Ok(begins)
}

pub(crate) fn end_outage(
    c: &Connection,
    provider: &ProviderId,
    at: Timestamp,
    actor: &str,
) -> Result<bool, StoreProblem> {
    let ends = c.prepare_cached("delete from notes where key = ?1")?.execute([outage_key(provider)])? > 0;
    if ends {
        tell(c, at, actor, &Change::OutageEnded(provider.clone()))?;
    }
    Ok(ends)
}

pub(crate) fn switch_outage(
    c: &Connection,
    provider: &ProviderId,
    position: OutageSwitch,
    at: Timestamp,
    actor: &str,
) -> Result<bool, StoreProblem> {
    let key = format!("outage-switch:{provider}");
    let before = note(c, &key)?.as_deref().and_then(OutageSwitch::parse).unwrap_or_default();
    if before == position {
        return Ok(false);
    }
    set_note(c, &key, position.as_str())?;
    tell(c, at, actor, &Change::OutageSwitched { provider: provider.clone(), position })?;
    Ok(true)
}

fn outage_key(provider: &ProviderId) -> String {
    format!("outage:{provider}")
}
