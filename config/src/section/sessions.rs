//! `[sessions]`: how long sessions live, and what happens at devices that several people use. Defaults by NIST SP
//! 800-63B section 4.2.3 (twelve hours, thirty minutes idle), shorter where several people share a device or it leaves
//! the house.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::DeviceClass;

use crate::walk::Table;
use crate::{OnSwitch, SessionSpan, SessionSpans};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// How long a shared device may stand unused before its session is locked, unless told otherwise.
const LOCK_OF_SHARED: Duration = Duration::from_secs(3 * 60);
const IDLE_TOO_LONG: (&str, &str) = ("`idle` is longer than `absolute`", "make `idle` the shorter one");
/// What becomes of sessions when another person comes.
pub(crate) const ON_SWITCHES: [(&str, OnSwitch); 2] = [("park", OnSwitch::Park), ("end", OnSwitch::End)];

fn default_of(class: Option<DeviceClass>) -> SessionSpan {
    let (idle, absolute) = match class {
        Some(DeviceClass::Fixed) => (30 * MINUTE, 12 * HOUR),
        Some(DeviceClass::WardShared | DeviceClass::Tablet | DeviceClass::DedicatedRemote) => (15 * MINUTE, 12 * HOUR),
        Some(DeviceClass::Byod) => (15 * MINUTE, 8 * HOUR),
        Some(DeviceClass::Vendor | DeviceClass::Machine) | None => (15 * MINUTE, 4 * HOUR),
    };
    SessionSpan { shared: class == Some(DeviceClass::WardShared), ..SessionSpan::lasting(idle, absolute) }
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
    // Who uses a device that is not known cannot be told apart from who uses another such device.
    let shared =
        if class.is_some() { table.or("shared", default.shared, |value| value.yes_or_no()) } else { Some(false) };
    let absolute = own_absolute.flatten().or(general.absolute).unwrap_or(default.absolute);
    let idle = own_idle.flatten().unwrap_or(general.idle.unwrap_or(default.idle).min(absolute));
    let lock = shared.and_then(|shared| lock(&table, shared, idle));
    let (on_switch, parked_max) = if class.is_some() {
        let on_switch = table.or("on_switch", default.on_switch, |value| value.word(&ON_SWITCHES));
        (on_switch, table.or("parked_max", default.parked_max.min(absolute), |value| value.time(MINUTE..=12 * HOUR)))
    } else {
        (Some(default.on_switch), Some(default.parked_max))
    };
    table.finish();
    own_idle.and(own_absolute)?;
    if idle > absolute {
        return table.wrong(IDLE_TOO_LONG.0, IDLE_TOO_LONG.1);
    }
    Some(SessionSpan { idle, absolute, shared: shared?, lock: lock?, on_switch: on_switch?, parked_max: parked_max? })
}

/// Where several nodes serve, each learns of a use at another one up to half a minute late: what is shorter would lock or
/// end a session in mid-work.
pub(crate) fn of_nodes(table: &Table<'_>, spans: SessionSpans) -> Option<SessionSpans> {
    let is_short = |span: &SessionSpan| span.idle < MINUTE || span.lock.is_some_and(|lock| lock < MINUTE);
    if spans.by_class.values().any(is_short) || is_short(&spans.unknown_device) {
        let remedy = "make each of them a minute or longer where there are `[nodes]`";
        return table.wrong("has a `lock` or `idle` of less than a minute", remedy);
    }
    Some(spans)
}

/// `lock = "3m"`, or `"off"`. Shared devices are locked unless told otherwise.
fn lock(table: &Table<'_>, shared: bool, idle: Duration) -> Option<Option<Duration>> {
    let default = shared.then(|| LOCK_OF_SHARED.min(idle));
    table.or("lock", default, |value| {
        if value.as_text() == Some("off") {
            return Some(None);
        }
        let lock = value.time(10 * SECOND..=24 * HOUR)?;
        if lock > idle {
            return value.wrong("is longer than `idle`, so the session ends before", "make it the shorter one");
        }
        Some(Some(lock))
    })
}

fn idle_bounds() -> std::ops::RangeInclusive<Duration> {
    SECOND..=24 * HOUR
}

fn absolute_bounds() -> std::ops::RangeInclusive<Duration> {
    SECOND..=168 * HOUR
}
