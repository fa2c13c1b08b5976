//! `[audit]`: the access log.

use std::path::Path;
use std::time::Duration;

use policy::Host;

use crate::files::Files;
use crate::walk::{Table, Value};
use crate::{Audit, AuditEncryption, NodeName, OnLogFailure};

/// The name of a node in the name of its log.
const NODE: &str = "{node}";
/// What stands there where one machine is all there is.
const ONLY_NODE: &str = "gw01";
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const YEAR: Duration = Duration::from_secs(366 * 86_400);
const MILLISECOND: Duration = Duration::from_millis(1);

/// What else the section depends on.
pub(crate) struct Around<'a> {
    pub(crate) files: &'a Files<'a>,
    pub(crate) state_dir: &'a Path,
    pub(crate) login_host: Option<&'a Host>,
    /// Which node this machine is, where there are several.
    pub(crate) node: Option<&'a NodeName>,
}

pub(crate) fn read(table: &Table<'_>, around: &Around<'_>) -> Option<Audit> {
    let directory = table.or("directory", around.state_dir.join("audit"), |value| around.files.path(&value));
    let node = around.node.map_or(ONLY_NODE, NodeName::as_str);
    let default_origin = around.login_host.map(|host| format!("{host}/{node}")).unwrap_or_default();
    let origin = table.or("origin", default_origin, |value| {
        if around.node.is_some() && !value.text()?.contains(NODE) {
            return value.wrong(
                "would be the name of every node's log",
                "write `{node}` where the name of the node belongs, or leave it out",
            );
        }
        origin(&value, node)
    });
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
    let age = table.or("segment_age", DAY, |value| value.time(10 * MINUTE..=31 * DAY));
    let archive = table.or("archive", true, |value| value.yes_or_no());
    let size = table.optional("size_max", |value| value.size(64 * MIB..=16_384 * 1024 * GIB));
    let keep = table.or("keep", 5 * YEAR, |value| value.time(5 * YEAR..=100 * YEAR));
    let delete_after = table.optional("delete_after", |value| {
        let after = value.time(5 * YEAR..=100 * YEAR)?;
        if keep.is_some_and(|keep| after < keep) {
            return value.wrong("is less than `keep`", "write as much as `keep` says, or more");
        }
        if archive == Some(false) {
            return value.wrong("deletes archived segments, and none are archived", "remove `archive = false`");
        }
        Some(after)
    });
    let encryption = table.optional("encryption", |value| encryption(&value, around, directory.as_deref(), archive));
    table.finish();
    Some(Audit {
        directory: directory?,
        origin: origin?,
        segment_bytes_max: segment?,
        sync_interval: sync?,
        open_accesses_max: open?,
        emergency_spool: spool?,
        free_bytes_min: free?,
        segment_age_max: age?,
        archive: archive?,
        size_bytes_max: size?,
        keep: keep?,
        delete_after: delete_after?,
        encryption: encryption?,
    })
}

/// `[audit.encryption]`: where the key ring lies, and to which key it is escrowed.
fn encryption(
    value: &Value<'_>,
    around: &Around<'_>,
    directory: Option<&Path>,
    archive: Option<bool>,
) -> Option<AuditEncryption> {
    let table = value.table()?;
    if archive == Some(false) {
        return value.wrong("encrypts archived segments, and none are archived", "remove `archive = false`");
    }
    let ring = table.needed("ring", "`ring = \"/var/lib/sekimori/secrets/audit-ring\"`", |value| {
        let ring = around.files.path(&value)?;
        if directory.is_some_and(|directory| ring.starts_with(directory)) {
            return value.wrong(
                "lies in the log's own folder, so whoever takes the log has its keys too",
                "name a path elsewhere, such as `/var/lib/sekimori/secrets/audit-ring`",
            );
        }
        Some(ring)
    });
    let recovery_key = table.optional("recovery_key", |value| recovery_key(&value));
    table.finish();
    Some(AuditEncryption { ring: ring?, recovery_key: recovery_key? })
}

/// What `sekimori audit key escrow` prints: `x25519:` and 32 bytes in base64.
pub(crate) fn recovery_key(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let point = text.strip_prefix("x25519:").filter(|point| point.len() == 44 && point.ends_with('='));
    let is_base64 = |point: &str| {
        let mut letters = point.trim_end_matches('=').bytes();
        letters.all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
    };
    match point {
        Some(point) if is_base64(point) => Some(text.to_owned()),
        Some(_) | None => value.wrong(
            "is not a recovery key",
            "write the line that `sekimori audit key escrow` printed: `x25519:` and 44 letters",
        ),
    }
}

/// The origin line of checkpoints (C2SP tlog-checkpoint): no spaces, no `+`. The name of the node stands in it where
/// [`NODE`] is written.
fn origin(value: &Value<'_>, node: &str) -> Option<String> {
    let text = value.text()?;
    if text.len() <= 200 && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'+') {
        return Some(text.replace(NODE, node));
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
