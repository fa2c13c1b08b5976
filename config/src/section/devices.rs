//! `[devices]`: device certificates.

use std::time::Duration;

use crate::DeviceTrust;
use crate::files::Files;
use crate::walk::Table;

const DAY: Duration = Duration::from_secs(86_400);

pub(crate) fn read(table: &Table<'_>, files: &Files<'_>) -> Option<DeviceTrust> {
    let ca_files = table.list("ca_files", |value| files.readable(&value));
    let lifetime = table.or("certificate_lifetime", 365 * DAY, |value| value.time(DAY..=1_095 * DAY));
    table.finish();
    Some(DeviceTrust { ca_files: ca_files?, certificate_lifetime: lifetime? })
}
