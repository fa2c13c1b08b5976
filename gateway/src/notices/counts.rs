//! What is counted of notices, for Prometheus.

use std::sync::atomic::AtomicU64;

use policy::NoticeId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfNotice {
    notice: String,
}

impl OfNotice {
    fn new(id: &NoticeId) -> Self {
        Self { notice: id.to_string() }
    }
}

type Counters = Family<OfNotice, Counter<u64, AtomicU64>>;

/// The counters of all receivers of notices.
#[derive(Debug, Default)]
pub struct NoticeCounts {
    sent: Counters,
    given_up: Counters,
    failures: Counters,
    waiting: Family<OfNotice, Gauge>,
}

impl NoticeCounts {
    /// Makes and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let counts = Self::default();
        let counters = [
            ("notices_sent", "Notices that a receiver took", &counts.sent),
            ("notices_given_up", "Notices that no receiver took for too long", &counts.given_up),
            ("notices_failures", "Attempts to notify that failed", &counts.failures),
        ];
        for (name, help, family) in counters {
            registry.register(name, help, family.clone());
        }
        registry.register("notices_waiting", "Whether a notice waits to be sent again", counts.waiting.clone());
        counts
    }

    /// Counts a notice that was taken.
    pub fn note_sent(&self, id: &NoticeId) {
        self.sent.get_or_create(&OfNotice::new(id)).inc();
        self.show_waiting(id, false);
    }

    /// Counts a notice that was given up.
    pub fn note_given_up(&self, id: &NoticeId) {
        self.given_up.get_or_create(&OfNotice::new(id)).inc();
        self.show_waiting(id, false);
    }

    /// Counts an attempt that failed.
    pub fn note_failure(&self, id: &NoticeId) {
        self.failures.get_or_create(&OfNotice::new(id)).inc();
        self.show_waiting(id, true);
    }

    /// Counts an attempt that some addresses put off while others have the notice: nothing waits for it.
    pub fn note_late_failure(&self, id: &NoticeId) {
        self.failures.get_or_create(&OfNotice::new(id)).inc();
    }

    /// Shows whether a notice waits.
    pub fn show_waiting(&self, id: &NoticeId, waits: bool) {
        self.waiting.get_or_create(&OfNotice::new(id)).set(i64::from(waits));
    }

    /// Forgets a receiver that is not configured any more.
    pub fn forget(&self, id: &NoticeId) {
        let of = OfNotice::new(id);
        for family in [&self.sent, &self.given_up, &self.failures] {
            family.remove(&of);
        }
        self.waiting.remove(&of);
    }
}
