//! `[backup]`: who can open backups, where they lie, and how often one is verified.

use std::time::Duration;

use super::audit::recovery_key;
use crate::Backup;
use crate::files::Files;
use crate::walk::Table;

const DAY: Duration = Duration::from_secs(86_400);
/// As many keys may open a backup.
const KEYS_MAX: usize = 8;

pub(crate) fn read(table: &Table<'_>, files: &Files<'_>) -> Option<Backup> {
    let folder = table.optional("folder", |value| files.path(&value));
    let keys = table.or("recovery_keys", Vec::new(), |value| {
        let keys = value.some(|value| recovery_key(&value))?;
        if keys.len() > KEYS_MAX {
            return value.wrong(format!("names {} keys", keys.len()), format!("name at most {KEYS_MAX}"));
        }
        Some(keys)
    });
    let within = table.or("verified_within", Backup::VERIFIED_WITHIN, |value| value.time(DAY..=400 * DAY));
    table.finish();
    Some(Backup { folder: folder?, recovery_keys: keys?, verified_within: within? })
}
