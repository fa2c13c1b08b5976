//! `[directory]`: people whom the gateway itself knows.

use std::time::Duration;

use crate::Directory;
use crate::walk::Table;

const DAY: Duration = Duration::from_secs(86_400);

pub(crate) fn read(table: &Table<'_>) -> Option<Directory> {
    let local = table.or("local", false, |value| value.yes_or_no());
    // 0 stands for never: an account that is disabled at once would be none.
    let days = table.or("disable_unused_after_days", 90_u32, |value| value.count(0..=3_650));
    table.finish();
    Some(Directory { local: local?, disable_unused_after: Some(days? * DAY).filter(|span| !span.is_zero()) })
}
