//! One function for each thing the store does, on one connection, inside the caller's transaction. A file for each
//! kind of record, with how its rows are read.

pub(super) mod credentials;
pub(super) mod devices;
pub(super) mod events;
pub(super) mod grants;
pub(super) mod inventory;
pub(super) mod invitations;
pub(super) mod notes;
pub(super) mod once;
pub(super) mod people;
pub(super) mod posture;
pub(super) mod questions;
pub(super) mod reviews;
pub(super) mod revisions;
pub(super) mod sessions;
pub(super) mod terminal;
pub(super) mod withdrawn;

use policy::Timestamp;

use crate::StoreProblem;
use crate::sql::Connection;

/// How long invitations are kept after their end, for whoever looks back.
const INVITATIONS_KEPT_MICROS: i64 = 30 * 86_400 * 1_000_000;

/// Removes what is out of time.
pub(super) fn prune(c: &Connection, at: Timestamp) -> Result<(), StoreProblem> {
    let at = at.unix_micros();
    for table in ["sessions where ends_at", "ceremonies where expires_at", "remembered where expires_at"] {
        c.prepare_cached(&format!("delete from {table} <= ?1"))?.execute([at])?;
    }
    let kept_from = at.saturating_sub(INVITATIONS_KEPT_MICROS);
    c.prepare_cached("delete from invitations where expires_at <= ?1")?.execute([kept_from])?;
    Ok(())
}
