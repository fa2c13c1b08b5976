//! `[outage]`: what holds while a provider cannot be reached.

use std::time::Duration;

use crate::Outage;
use crate::walk::Table;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

pub(crate) fn read(table: &Table<'_>) -> Option<Outage> {
    let after = table.or("after", 2 * MINUTE, |value| value.time(30 * SECOND..=DAY));
    let days = table.or("seen_within_days", 30_u32, |value| value.count(1..=365));
    let grace = table.or("grace", 15 * MINUTE, |value| value.time(Duration::ZERO..=DAY));
    table.finish();
    Some(Outage { after: after?, seen_within: days? * DAY, grace: grace? })
}
