//! `[sessions]`: how long sessions live. Defaults by NIST SP 800-63B section 4.2.3 (twelve hours, thirty minutes idle),
//! shorter where several people share a device or it leaves the house.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::DeviceClass;

use crate::walk::Table;
use crate::{SessionSpan, SessionSpans};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const IDLE_TOO_LONG: (&str, &str) = ("`idle` is longer than `absolute`", "make `idle` the shorter one");

fn default_of(class: Option<DeviceClass>) -> SessionSpan {
    match class {
        Some(DeviceClass::Fixed) => SessionSpan { idle: 30 * MINUTE, absolute: 12 * HOUR },
        Some(DeviceClass::WardShared | DeviceClass::Tablet | DeviceClass::DedicatedRemote) => {
            SessionSpan { idle: 15 * MINUTE, absolute: 12 * HOUR }
        }
        Some(DeviceClass::Byod) => SessionSpan { idle: 15 * MINUTE, absolute: 8 * HOUR },
        Some(DeviceClass::Vendor) | None => SessionSpan { idle: 15 * MINUTE, absolute: 4 * HOUR },
    }
}

/// What `[sessions]` itself says, for every class that has no section of its own.
#[derive(Clone, Copy)]
struct General {
    idle: Option<Duration>,
    absolute: Option<Duration>,
}

pub(crate) fn read(table: &Table<'_>) -> Option<SessionSpans> {
    let idle = table.optional("idle", |value| value.time(idle_bounds()));
    let absolute = table.optional("absolute", |value| value.time(absolute_bounds()));
    let mut general = General { idle: idle.flatten(), absolute: absolute.flatten() };
    let fits = general.idle.zip(general.absolute).is_none_or(|(idle, absolute)| idle <= absolute);
    if !fits {
        table.wrong::<()>(IDLE_TOO_LONG.0, IDLE_TOO_LONG.1);
        general = General { idle: None, absolute: None };
    }
    let classes: Vec<_> =
        DeviceClass::ALL.into_iter().map(|class| (class, span(table, class.as_str(), Some(class), general))).collect();
    let unknown = span(table, "unknown-device", None, general);
    table.finish();
    let by_class: Option<BTreeMap<_, _>> = classes.into_iter().map(|(class, span)| Some((class, span?))).collect();
    idle.and(absolute)?;
    Some(SessionSpans { by_class: by_class?, unknown_device: unknown? })
}

fn span(sessions: &Table<'_>, key: &'static str, class: Option<DeviceClass>, general: General) -> Option<SessionSpan> {
    let table = sessions.section(key)?;
    let default = default_of(class);
    let own_idle = table.optional("idle", |value| value.time(idle_bounds()));
    let own_absolute = table.optional("absolute", |value| value.time(absolute_bounds()));
    table.finish();
    let absolute = own_absolute?.or(general.absolute).unwrap_or(default.absolute);
    let idle = own_idle?.unwrap_or(general.idle.unwrap_or(default.idle).min(absolute));
    let span = SessionSpan { idle, absolute };
    if span.idle > span.absolute {
        return table.wrong(IDLE_TOO_LONG.0, IDLE_TOO_LONG.1);
    }
    Some(span)
}

fn idle_bounds() -> std::ops::RangeInclusive<Duration> {
    Duration::from_secs(1)..=24 * HOUR
}

fn absolute_bounds() -> std::ops::RangeInclusive<Duration> {
    Duration::from_secs(1)..=168 * HOUR
}
