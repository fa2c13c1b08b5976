//! What is counted of feeds, for Prometheus.

use std::sync::atomic::AtomicU64;

use policy::FeedId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfFeed {
    feed: String,
}

impl OfFeed {
    fn new(id: &FeedId) -> Self {
        Self { feed: id.to_string() }
    }
}

type Counters = Family<OfFeed, Counter<u64, AtomicU64>>;
type Gauges = Family<OfFeed, Gauge>;

/// The counters of all feeds.
#[derive(Debug, Default)]
pub struct FeedCounts {
    sent: Counters,
    left_out: Counters,
    failures: Counters,
    connected: Gauges,
    lag_lines: Gauges,
    lag_seconds: Gauges,
    last_success: Gauges,
    alarm: Gauges,
}

/// How a feed is at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lag {
    /// Whether there is a connection.
    pub connected: bool,
    /// Lines of the log that wait to be sent.
    pub lines: u64,
    /// How long the oldest of them has waited.
    pub seconds: u64,
    /// When something last arrived, in seconds since 1970.
    pub last_success: Option<i64>,
    /// Whether it has waited too long.
    pub alarm: bool,
}

impl FeedCounts {
    /// Makes and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let counts = Self::default();
        let counters = [
            ("feed_sent", "Messages sent to a receiver; those sent twice count twice", &counts.sent),
            ("feed_left_out", "Messages left out: longer than the receiver takes, or not readable", &counts.left_out),
            ("feed_failures", "Connections to a receiver that could not be made, or broke", &counts.failures),
        ];
        for (name, help, family) in counters {
            registry.register(name, help, family.clone());
        }
        let gauges = [
            ("feed_connected", "Whether there is a connection to the receiver", &counts.connected),
            ("feed_lag_lines", "Lines of the log that wait to be sent", &counts.lag_lines),
            ("feed_lag_seconds", "How long the oldest line that waits has waited", &counts.lag_seconds),
            ("feed_last_success_seconds", "When something last arrived, since 1970", &counts.last_success),
            ("feed_alarm", "Whether lines wait longer than they may", &counts.alarm),
        ];
        for (name, help, family) in gauges {
            registry.register(name, help, family.clone());
        }
        counts
    }

    /// Counts messages that were sent.
    pub fn note_sent(&self, id: &FeedId, messages: u64) {
        self.sent.get_or_create(&OfFeed::new(id)).inc_by(messages);
    }

    /// Counts messages that were left out.
    pub fn note_left_out(&self, id: &FeedId, messages: u64) {
        self.left_out.get_or_create(&OfFeed::new(id)).inc_by(messages);
    }

    /// Counts a connection that could not be made, or broke.
    pub fn note_failure(&self, id: &FeedId) {
        self.failures.get_or_create(&OfFeed::new(id)).inc();
    }

    /// Shows how a feed is.
    pub fn show(&self, id: &FeedId, lag: Lag) {
        let of = OfFeed::new(id);
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.connected.get_or_create(&of).set(i64::from(lag.connected));
        self.lag_lines.get_or_create(&of).set(number(lag.lines));
        self.lag_seconds.get_or_create(&of).set(number(lag.seconds));
        self.last_success.get_or_create(&of).set(lag.last_success.unwrap_or(0));
        self.alarm.get_or_create(&of).set(i64::from(lag.alarm));
    }

    /// Forgets a feed that is not configured any more.
    pub fn forget(&self, id: &FeedId) {
        let of = OfFeed::new(id);
        for family in [&self.sent, &self.left_out, &self.failures] {
            family.remove(&of);
        }
        for family in [&self.connected, &self.lag_lines, &self.lag_seconds, &self.last_success, &self.alarm] {
            family.remove(&of);
        }
    }
}
