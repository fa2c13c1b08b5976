//! The thread that keeps what is written: syncs for those who wait, and every so often for the rest; writes batches
//! that nobody leads; wakes who has waited long; watches the disk and the clock; empties the emergency spool.

use std::time::{Duration, Instant};

use crate::core::Core;

/// How long a line may lie in a batch.
const STALE_AFTER: Duration = Duration::from_millis(20);
/// How often the free space is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Runs until the log stops.
pub(crate) fn run(core: &Core, sync_interval: Duration) {
    let tick = STALE_AFTER.min(sync_interval).max(Duration::from_millis(1));
    let start = Instant::now();
    let (mut next_tick, mut next_sync, mut next_look) = (start + tick, start + sync_interval, start + LOOK_INTERVAL);
    while !core.is_stopping() {
        let mut wished = core.gate.take_wish();
        if !wished {
            std::thread::park_timeout(next_tick.saturating_duration_since(Instant::now()));
            wished = core.gate.take_wish();
        }
        let now = Instant::now();
        if now >= next_tick {
            next_tick = now + tick;
            core.look_after_batches();
            let looks = now >= next_look;
            if looks {
                next_look = now + LOOK_INTERVAL;
                core.look_at_disk();
                core.look_around();
                core.folds.expire(core.clock.now());
            }
            // While writes fail, one try a second is enough to see that they work again.
            if looks || !core.is_failing() {
                merge_spool(core);
            }
        }
        if wished || now >= next_sync {
            next_sync = now + sync_interval;
            // Whoever waits is told by the gate, and the operator by `sync` itself.
            drop(core.sync());
        }
    }
}

fn merge_spool(core: &Core) {
    if core.accepting().is_err() {
        return;
    }
    match core.merge_spool(|_, _, _| true) {
        Ok(0) => {}
        Ok(lines) => tracing::info!(lines, "lines of the emergency spool are merged into the audit log"),
        // The log still cannot be written, which `append` told the operator: next time.
        Err(problem) => tracing::debug!(%problem, "the emergency spool cannot be merged yet"),
    }
}
