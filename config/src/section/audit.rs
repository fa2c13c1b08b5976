//! `[audit]`: the access log.

use std::path::Path;
use std::time::Duration;

use policy::Host;

use crate::files::Files;
use crate::walk::{Table, Value};
use crate::{Audit, OnLogFailure};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const MILLISECOND: Duration = Duration::from_millis(1);

/// What else the section depends on.
pub(crate) struct Around<'a> {
    pub(crate) files: &'a Files<'a>,
    pub(crate) state_dir: &'a Path,
    pub(crate) login_host: Option<&'a Host>,
}

pub(crate) fn read(table: &Table<'_>, around: &Around<'_>) -> Option<Audit> {
    let directory = table.or("directory", around.state_dir.join("audit"), |value| around.files.path(&value));
    let default_origin = around.login_host.map(|host| format!("{host}/gw01")).unwrap_or_default();
    let origin = table.or("origin", default_origin, |value| origin(&value));
    let segment = table.or("segment_max", 256 * MIB, |value| value.size(MIB..=16 * GIB));
    let sync = table.or("sync_interval", 50 * MILLISECOND, |value| value.time(MILLISECOND..=1_000 * MILLISECOND));
    let open = table.or("open_accesses_max", 10_000, |value| value.count(1..=1_000_000));
    let spool = table.optional("emergency_spool", |value| {
        let spool = around.files.path(&value)?;
        match &directory {
            Some(directory) if spool.starts_with(directory) => value.wrong(
                "lies in the log's own folder, so it would fail together with it",
                "name a path on another disk",
            ),
            Some(_) | None => Some(spool),
        }
    });
    let free = table.or("free_min", GIB, |value| value.size(MIB..=16_384 * GIB));
    table.finish();
    Some(Audit {
        directory: directory?,
        origin: origin?,
        segment_bytes_max: segment?,
        sync_interval: sync?,
        open_accesses_max: open?,
        emergency_spool: spool?,
        free_bytes_min: free?,
    })
}

/// The origin line of checkpoints (C2SP tlog-checkpoint): no spaces, no `+`.
fn origin(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    if text.len() <= 200 && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'+') {
        return Some(text.to_owned());
    }
    value.wrong(
        format!("`{text}` cannot name a log"),
        "write it like an address without `https://`, such as `sekimori.hospital.example.jp/gw01`",
    )
}

/// An app may ask for the emergency spool only where there is one.
pub(crate) fn check_spool(value: &Value<'_>, chosen: OnLogFailure, has_spool: bool) -> Option<()> {
    if chosen == OnLogFailure::Spool && !has_spool {
        return value
            .dangling("there is no emergency spool", "add `emergency_spool = \"/other-disk/spool\"` to `[audit]`");
    }
    Some(())
}
