//! Looks every second whether something is wrong with the gateway itself, and tells it where it is looked for: in the log,
//! in the metrics, in the console, and by them to `doctor`. What each means and what to do: docs/operate/faults.md.

use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::ClockState;
use web::Alarm;

use crate::gate::Gate;
use crate::{bare_hosts, resources};

/// How often it is looked.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A log that is fuller than this will be full soon, in percent.
const LOG_NEARLY_FULL: u8 = 90;
/// A certificate that ends within this is to be replaced now.
const CERTIFICATE_ENDS: Duration = Duration::from_secs(14 * 86_400);
/// Whatever is used to this part is short, in percent.
const SHORT: u64 = 90;
/// For how long after accepting paused descriptors count as short.
const PAUSED_LATELY: Duration = Duration::from_secs(60);
/// For how long after somebody was turned away the gateway counts as overloaded.
const TURNED_AWAY_LATELY: Duration = Duration::from_secs(10);

/// Looks until the gateway ends.
pub async fn watch(gate: Arc<Gate>) {
    let (mut pauses, mut turned_away) = (Growing::default(), Growing::default());
    let mut bare = None;
    loop {
        tell_bare_hosts(&gate, &mut bare);
        let lately = Lately {
            paused: pauses.has_grown(gate.metrics.accepts_paused.get(), PAUSED_LATELY),
            turned_away: turned_away.has_grown(gate.metrics.turned_away.get(), TURNED_AWAY_LATELY),
        };
        for (alarm, is_raised) in conditions(&gate, lately) {
            raise(&gate, alarm, is_raised);
        }
        for alarm in Alarm::ALL {
            gate.metrics.note_alarm(alarm.code(), gate.alarms.is_raised(alarm));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Says which hosts no certificate serves, whenever they become others; the alarm is raised by their number.
fn tell_bare_hosts(gate: &Gate, before: &mut Option<String>) {
    let config = Arc::clone(&gate.snapshot.load().config);
    let bare = bare_hosts::of(&config, &gate.certificates);
    let told = bare_hosts::in_words(&bare);
    gate.metrics.bare_hosts.set(i64::try_from(bare.len()).unwrap_or(i64::MAX));
    if *before != told {
        if let Some(told) = &told {
            tracing::error!(told, "hosts without a server certificate");
        }
        *before = told;
    }
}

/// A counter, and when it was last seen to grow.
#[derive(Default)]
struct Growing {
    count: u64,
    at: Option<Instant>,
}

impl Growing {
    /// Whether it has grown within this span.
    fn has_grown(&mut self, count: u64, within: Duration) -> bool {
        if count != self.count {
            (self.count, self.at) = (count, Some(Instant::now()));
        }
        self.at.is_some_and(|at| at.elapsed() < within)
    }
}

/// What happened lately.
#[derive(Clone, Copy)]
struct Lately {
    /// Accepting paused.
    paused: bool,
    /// Somebody was turned away.
    turned_away: bool,
}

/// Raises or lowers an alarm, and says so once.
pub fn raise(gate: &Gate, alarm: Alarm, is_raised: bool) {
    if !gate.alarms.set(alarm, is_raised) {
        return;
    }
    if is_raised {
        tracing::error!(alarm = alarm.code(), "something is wrong with the gateway; see docs/operate/faults.md");
    } else {
        tracing::info!(alarm = alarm.code(), "it is well again");
    }
}

/// What can be seen from here. The others are raised where they come about.
fn conditions(gate: &Gate, lately: Lately) -> [(Alarm, bool); 14] {
    let (metrics, log, snapshot) = (&gate.metrics, gate.log.health(), gate.snapshot.load());
    let at = gate.clock.now();
    let used = resources::look();
    metrics.note_resources(&used);
    let certificate_ends = gate.certificates.lives().iter().any(|life| life.is_short(at, CERTIFICATE_ENDS));
    let upstream_down = snapshot.routes.apps().flat_map(|route| &route.servers).any(|server| !server.answers.yes());
    let index_behind = gate.index.as_ref().is_none_or(|index| index.trouble().is_some());
    [
        (Alarm::StoreAway, metrics.store_alarm.get() != 0),
        (Alarm::LogUnwritable, !log.writable),
        (Alarm::LogNearlyFull, log.full_percent >= LOG_NEARLY_FULL),
        (Alarm::ClockUnsynchronised, log.clock.state == ClockState::Unsynchronised),
        (Alarm::ConfigRefused, metrics.config_alarm.get() != 0),
        (Alarm::CertificateEnds, certificate_ends),
        (Alarm::CertificateNotOrdered, metrics.acme_failing.get() != 0),
        (Alarm::CertificateMissing, metrics.bare_hosts.get() != 0),
        (Alarm::UpstreamDown, upstream_down),
        (Alarm::DescriptorsShort, lately.paused || is_short(used.descriptors, used.descriptors_max)),
        (Alarm::MemoryShort, is_short(used.memory_bytes, used.memory_bytes_max)),
        (Alarm::Panicked, metrics.panics.get() > 0),
        (Alarm::IndexBehind, index_behind),
        (Alarm::Overloaded, lately.turned_away),
    ]
}

/// Whether nearly all that may be used is.
fn is_short(used: u64, most: Option<u64>) -> bool {
    most.is_some_and(|most| used.saturating_mul(100) >= most.saturating_mul(SHORT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_grew_lately_is_told_apart_from_what_never_did() {
        let mut counter = Growing::default();
        assert!(!counter.has_grown(0, Duration::MAX));
        assert!(counter.has_grown(1, Duration::MAX) && counter.has_grown(1, Duration::MAX));
        assert!(!counter.has_grown(1, Duration::ZERO));
    }

    #[test]
    fn what_has_no_bound_is_never_short() {
        assert!(is_short(90, Some(100)) && is_short(u64::MAX, Some(1)));
        assert!(!is_short(89, Some(100)) && !is_short(u64::MAX, None));
    }

    #[test]
    fn every_alarm_is_raised_somewhere() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let raising: String = ["alarms.rs", "assembly.rs", "assembly/succession.rs", "reload.rs"]
            .into_iter()
            .map(|file| std::fs::read_to_string(source.join(file)).unwrap())
            .collect();
        for alarm in Alarm::ALL {
            let raises = [format!("(Alarm::{alarm:?}, "), format!("Alarm::{alarm:?}, true)")];
            assert!(raises.iter().any(|raise| raising.contains(raise)), "{alarm:?} is promised, and raised by nothing");
        }
    }
}
