//! What the gateway counts, for Prometheus. Every counter is made once; counting is one atomic addition.

use std::sync::atomic::AtomicU64;

use policy::{AppId, Decision};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::feed::FeedCounts;
use crate::notices::NoticeCounts;
use crate::resources::Used;

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Of {
    result: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfAlarm {
    alarm: &'static str,
}

/// What the gateway takes of what the system lets it.
#[derive(Debug)]
struct UsedGauges {
    descriptors: Gauge,
    descriptors_max: Gauge,
    memory: Gauge,
    memory_max: Gauge,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfRoute {
    app: String,
    route: String,
}

/// How many accesses by routes that name patients there were, and of how many the patient is known.
#[derive(Clone, Debug, Default)]
pub struct PatientCounts {
    accesses: Family<OfRoute, Counter>,
    named: Family<OfRoute, Counter>,
}

impl PatientCounts {
    /// Counts an access by a route.
    pub fn note(&self, app: &AppId, route: &str, is_named: bool) {
        let of = OfRoute { app: app.to_string(), route: route.to_owned() };
        self.accesses.get_or_create(&of).inc();
        if is_named {
            self.named.get_or_create(&of).inc();
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct ShadowDifference {
    app: String,
    from: &'static str,
    to: &'static str,
}

/// The counters.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Connections that were accepted.
    pub connections: Counter,
    /// Connections that were closed at once: too many, or from a source that is not listed.
    pub connections_refused: Counter,
    /// TLS handshakes that failed.
    pub handshakes_failed: Counter,
    /// Connections cut because a head took too long or nothing was asked.
    pub connections_swept: Counter,
    /// Accesses that were allowed and recorded.
    pub allowed: Counter,
    /// Accesses that the policy denied.
    pub denied: Counter,
    /// Accesses that were answered with a demand to sign in.
    pub challenged: Counter,
    /// Requests that were refused before judgment.
    pub bad: Counter,
    /// Requests over a limit.
    pub limited: Counter,
    /// Requests that were turned away because there was no time for them.
    pub turned_away: Counter,
    /// Requests that failed after admission.
    pub failed: Counter,
    /// Accesses refused because they could not be recorded.
    pub unrecorded: Counter,
    /// Streams ended because a fact changed.
    pub revoked: Counter,
    /// Accesses that went on beyond the bound of their rule.
    pub caps_exceeded: Counter,
    /// Parts of the gateway that panicked.
    pub panics: Counter,
    /// How often accepting paused, for want of descriptors as a rule.
    pub accepts_paused: Counter,
    /// Processes that were to take over and did not.
    pub handovers_failed: Counter,
    /// Configurations that were refused on reload.
    pub reloads_refused: Counter,
    alarms: Family<OfAlarm, Gauge>,
    used: UsedGauges,
    /// Open connections.
    pub open_connections: Gauge,
    /// Whether the log can be written, 0 or 1.
    pub log_writable: Gauge,
    /// Open accesses.
    pub open_accesses: Gauge,
    /// Bytes free on the log's disk.
    pub log_free_bytes: Gauge,
    /// How full the log or its disk is, in percent.
    pub log_full_percent: Gauge,
    /// Bytes of the log's segments.
    pub log_size_bytes: Gauge,
    /// Whether closed segments cannot be archived or deleted, 0 or 1.
    pub log_archive_alarm: Gauge,
    /// Nodes that serve, as this one sees it; none where there is only one.
    pub nodes_serving: Gauge,
    /// What is wrong with nodes, this one and others.
    pub node_alarms: Gauge,
    /// Whether the kernel says that nothing keeps its clock at true time, 0 or 1.
    pub clock_alarm: Gauge,
    /// Bytes in the emergency spool.
    pub log_spool_bytes: Gauge,
    /// Upstreams that do not answer.
    pub upstreams_down: Gauge,
    /// Seconds until the first server certificate ends.
    pub certificate_seconds_left: Gauge<i64>,
    /// Server certificates that were ordered and came.
    pub acme_orders: Counter,
    /// Orders of server certificates that failed.
    pub acme_orders_failed: Counter,
    /// Whether the last order of a server certificate failed, 0 or 1; shown as an alarm.
    pub acme_failing: Gauge,
    /// Hosts that no server certificate serves.
    pub bare_hosts: Gauge,
    /// Identity providers that are taken as out.
    pub providers_out: Gauge,
    /// Seconds until the first revocation list is too old to be believed.
    pub crl_seconds_left: Gauge<i64>,
    /// Revocation lists that could not be fetched.
    pub crl_fetches_failed: Counter,
    /// Places of revocation lists whose last answer could not be used.
    pub crl_places_failing: Gauge<i64>,
    /// Lines of the log that the search index has not followed yet.
    pub index_behind: Gauge,
    /// Whether the search index cannot follow the log, 0 or 1.
    pub index_alarm: Gauge,
    /// Whether a reload was refused since the last good one, 0 or 1.
    pub config_alarm: Gauge,
    /// Whether the shadow policy cannot be read, 0 or 1.
    pub shadow_alarm: Gauge,
    /// Whether the store does not answer, 0 or 1.
    pub store_alarm: Gauge,
    /// Traces that the collector took.
    pub traces_sent: Counter,
    /// Traces that were dropped: nobody took them.
    pub traces_dropped: Counter,
    /// Records of the diagnostic log that the collector took.
    pub logs_sent: Counter,
    /// Those that were dropped: nobody took them.
    pub logs_dropped: Counter,
    /// What is counted of feeds.
    pub feeds: FeedCounts,
    /// What is counted of notices.
    pub notices: NoticeCounts,
    shadow_differences: Family<ShadowDifference, Counter>,
    /// Of how many accesses the patient is known, by route.
    pub patients: PatientCounts,
}

impl Metrics {
    /// Makes and registers all counters.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("sekimori");
        let requests = Family::<Of, Counter>::default();
        registry.register("requests", "Requests by how they ended", requests.clone());
        let of = |result: &'static str| requests.get_or_create_owned(&Of { result });
        let mut counter = |name: &'static str, help: &'static str| {
            let counter = Counter::<u64, AtomicU64>::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let connections = counter("connections", "Connections accepted");
        let connections_refused = counter("connections_refused", "Connections closed at once: too many or not listed");
        let handshakes_failed = counter("handshakes_failed", "TLS handshakes that failed");
        let connections_swept = counter("connections_swept", "Connections cut for a slow head or for standing idle");
        let revoked = counter("streams_revoked", "Streams ended because a fact changed");
        let caps_exceeded = counter("caps_exceeded", "Accesses that went on beyond the hourly bound of their rule");
        let panics = counter("panics", "Parts of the gateway that panicked, by our own fault");
        let accepts_paused = counter("accepts_paused", "How often accepting paused for want of descriptors");
        let handovers_failed = counter("handovers_failed", "Processes that were to take over and did not");
        let reloads_refused = counter("reloads_refused", "Configurations refused on reload");
        let crl_fetches_failed = counter("crl_fetches_failed", "Revocation lists that could not be fetched");
        let acme_orders = counter("acme_orders", "Server certificates that were ordered and came");
        let acme_orders_failed = counter("acme_orders_failed", "Orders of server certificates that failed");
        let traces_sent = counter("traces_sent", "Traces of requests that the collector took");
        let traces_dropped = counter("traces_dropped", "Traces of requests that nobody took");
        let logs_sent = counter("logs_sent", "Records of the diagnostic log that the collector took");
        let logs_dropped = counter("logs_dropped", "Records of the diagnostic log that nobody took");
        let shadow_differences = Family::<ShadowDifference, Counter>::default();
        let help = "Accesses that the shadow policy answers otherwise: from the answer given, to its own";
        registry.register("shadow_differences", help, shadow_differences.clone());
        let alarms = Family::<OfAlarm, Gauge>::default();
        registry.register("alarm", "What is wrong with the gateway itself: 1 while it is", alarms.clone());
        let feeds = FeedCounts::register(&mut registry);
        let notices = NoticeCounts::register(&mut registry);
        let patients = PatientCounts::default();
        let help = "Accesses by routes that say where their patients are named";
        registry.register("patient_route_accesses", help, patients.accesses.clone());
        let help = "Those of them whose patient is in the record";
        registry.register("patient_route_accesses_named", help, patients.named.clone());
        let mut gauge = |name: &'static str, help: &'static str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        Self {
            connections,
            connections_refused,
            handshakes_failed,
            connections_swept,
            allowed: of("allowed"),
            denied: of("denied"),
            challenged: of("challenged"),
            bad: of("bad"),
            limited: of("limited"),
            turned_away: of("turned-away"),
            failed: of("failed"),
            unrecorded: of("unrecorded"),
            revoked,
            caps_exceeded,
            panics,
            accepts_paused,
            handovers_failed,
            alarms,
            used: UsedGauges {
                descriptors: gauge("descriptors_open", "Descriptors the gateway has open"),
                descriptors_max: gauge("descriptors_max", "Descriptors it may have open; -1 without a bound"),
                memory: gauge("memory_bytes", "Memory the gateway takes, or all of its control group"),
                memory_max: gauge("memory_max_bytes", "Memory it may take; -1 without a bound"),
            },
            reloads_refused,
            open_connections: gauge("open_connections", "Open connections"),
            log_writable: gauge("log_writable", "Whether the access log can be written"),
            open_accesses: gauge("open_accesses", "Accesses under way"),
            log_free_bytes: gauge("log_free_bytes", "Bytes free on the disk of the access log"),
            log_full_percent: gauge(
                "log_full_percent",
                "How full the access log or its disk is, the fuller of the two",
            ),
            log_size_bytes: gauge("log_size_bytes", "Bytes of the access log's segments"),
            log_archive_alarm: gauge("log_archive_alarm", "Whether closed segments cannot be archived or deleted"),
            nodes_serving: gauge("nodes_serving", "Nodes that serve, as this one sees it; 0 where there is only one"),
            node_alarms: gauge(
                "node_alarms",
                "What is wrong with nodes: silent, cut off, other configuration, log not as it was",
            ),
            clock_alarm: gauge("clock_alarm", "Whether nothing keeps this machine's clock at true time"),
            log_spool_bytes: gauge("log_spool_bytes", "Bytes waiting in the emergency spool"),
            upstreams_down: gauge("upstreams_down", "Upstreams that do not answer"),
            certificate_seconds_left: gauge(
                "certificate_seconds_left",
                "Seconds until the first server certificate ends",
            ),
            acme_orders,
            acme_orders_failed,
            acme_failing: Gauge::default(),
            bare_hosts: gauge("hosts_without_certificate", "Hosts that no server certificate serves"),
            providers_out: gauge("providers_out", "Identity providers that are taken as out"),
            crl_seconds_left: gauge("crl_seconds_left", "Seconds until the first revocation list is too old"),
            crl_fetches_failed,
            crl_places_failing: gauge(
                "crl_places_failing",
                "Places of revocation lists whose last answer was of no use",
            ),
            shadow_alarm: gauge("shadow_alarm", "Whether the shadow policy cannot be read"),
            store_alarm: gauge("store_alarm", "Whether the store does not answer"),
            traces_sent,
            traces_dropped,
            logs_sent,
            logs_dropped,
            feeds,
            notices,
            shadow_differences,
            patients,
            index_behind: gauge("index_behind", "Lines of the access log that the search index has not followed yet"),
            index_alarm: gauge("index_alarm", "Whether the search index cannot follow the access log"),
            config_alarm: gauge("config_alarm", "Whether a reload was refused since the last good one"),
            registry,
        }
    }

    /// Counts an access that the shadow policy answers otherwise.
    pub fn note_shadow_difference(&self, app: &AppId, from: Decision, to: Decision) {
        let of = ShadowDifference { app: app.to_string(), from: from.as_str(), to: to.as_str() };
        self.shadow_differences.get_or_create(&of).inc();
    }

    /// Shows whether an alarm is raised.
    pub fn note_alarm(&self, alarm: &'static str, is_raised: bool) {
        self.alarms.get_or_create(&OfAlarm { alarm }).set(i64::from(is_raised));
    }

    /// Shows what the gateway takes.
    pub fn note_resources(&self, used: &Used) {
        let shown = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let bound = |most: Option<u64>| most.map_or(-1, shown);
        self.used.descriptors.set(shown(used.descriptors));
        self.used.descriptors_max.set(bound(used.descriptors_max));
        self.used.memory.set(shown(used.memory_bytes));
        self.used.memory_max.set(bound(used.memory_bytes_max));
    }

    /// The exposition text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            // Writing to a String cannot fail.
            Err(std::fmt::Error) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_show_in_the_text() {
        let metrics = Metrics::new();
        metrics.denied.inc();
        metrics.log_writable.set(1);
        let text = metrics.text();
        assert!(text.contains("sekimori_requests_total{result=\"denied\"} 1"), "{text}");
        assert!(text.contains("sekimori_log_writable 1"), "{text}");
        metrics.patients.note(&AppId::parse("emr").unwrap(), "/fhir/Patient/{patient}", false);
        let text = metrics.text();
        let series = r#"patient_route_accesses_total{app="emr",route="/fhir/Patient/{patient}"} 1"#;
        assert!(text.contains(series) && !text.contains("accesses_named_total{"), "{text}");
    }
}
