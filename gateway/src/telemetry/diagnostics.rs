//! The diagnostic log on its way to the collector: which of its records are told, and the queue in which they wait.
//!
//! Only what our own parts say is told, and of their fields only those of [`TOLD`]: what others said (a mail server, a
//! CA, a hospital's program, whoever wrote the configuration) may name people and hold secrets. What libraries say of
//! themselves stays on this machine, and so does whatever is told a request (`debug` and below). Nothing of the access log
//! comes this way.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use config::Severity;
use policy::{Clock, RequestId, Timestamp};
use tokio::sync::Notify;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Records that wait for the collector.
const WAITING_MAX: usize = 1024;
/// What is kept of one record's words, in bytes.
const RECORD_BYTES_MAX: usize = 8 * 1024;
/// Fields that are kept of one record.
const FIELDS_MAX: usize = 16;
/// The parts whose words are told.
const OURS: [&str; 12] = [
    "audit", "backup", "certs", "config", "evidence", "find", "gateway", "identity", "patient", "policy", "store",
    "web",
];
/// The fields that are told: names of the configuration, words of this program, numbers, times. Never what a field is called
/// that holds what others said, such as `error`, `problem` and `reason`, nor people, their sessions and addresses.
const TOLD: [&str; 62] = [
    "address",
    "again_at",
    "alarm",
    "app",
    "ca",
    "changes",
    "count",
    "dir",
    "end",
    "ends_at",
    "event",
    "feed",
    "file",
    "files",
    "first",
    "found.changed",
    "found.confirmed",
    "found.ended",
    "free_bytes",
    "grant",
    "host",
    "id",
    "known",
    "line",
    "lines",
    "listener",
    "log",
    "merged",
    "micros",
    "node",
    "notice",
    "number",
    "outage",
    "people",
    "percent",
    "place",
    "portal",
    "process",
    "provider",
    "recovery.merged",
    "recovery.torn_bytes",
    "recovery.unknown",
    "request",
    "retry_in",
    "revision",
    "rows",
    "rule",
    "seconds",
    "size",
    "thread",
    "torn_bytes",
    "trouble",
    "unknown",
    "until",
    "upstream",
    "version",
    "vouched",
    "what",
    "within",
    "word",
    "worker",
    "zone",
];
/// The field that names what was left out of a record; the journal has it.
const LEFT_OUT: &str = "left_out";

/// Holds what the diagnostic log says until the collector is told; of one process, whichever gateway serves in it.
#[derive(Clone)]
pub struct Diagnostics(Arc<Shared>);

struct Shared {
    /// The last severity that is kept, as [`rank`] has it; 0 keeps nothing.
    last_rank: AtomicU8,
    waiting: Mutex<VecDeque<Record>>,
    dropped: AtomicU64,
    came: Notify,
    clock: Clock,
}

/// One record of the diagnostic log, as it is told.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    /// When it was said.
    pub at: Timestamp,
    /// How grave it is.
    pub severity: Severity,
    /// The part that said it.
    pub part: &'static str,
    /// The sentence.
    pub message: String,
    /// What it is about.
    pub fields: Vec<(&'static str, Said)>,
    /// The request that it is about.
    pub request: Option<RequestId>,
}

/// What a field says.
#[derive(Clone, PartialEq, Debug)]
pub enum Said {
    /// A text.
    Text(String),
    /// A whole number.
    Whole(i64),
    /// A number.
    Fraction(f64),
    /// Yes or no.
    Whether(bool),
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Diagnostics({} waiting)", self.waiting().len())
    }
}

impl Diagnostics {
    /// Nothing yet. What is said before the configuration tells from where on is kept.
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Shared {
            last_rank: AtomicU8::new(rank(Severity::Info)),
            waiting: Mutex::default(),
            dropped: AtomicU64::new(0),
            came: Notify::new(),
            clock,
        }))
    }

    /// What hears the log for it.
    pub fn ear(&self) -> Ear {
        Ear(self.clone())
    }

    /// Keeps what is as grave or graver from here on, and nothing where nothing is to be told; what waits and is less
    /// grave is let go.
    pub fn keep_from(&self, severity: Option<Severity>) {
        let last = severity.map_or(0, rank);
        if self.0.last_rank.swap(last, Ordering::Relaxed) != last {
            self.waiting().retain(|record| rank(record.severity) <= last);
        }
    }

    /// The oldest that wait.
    pub fn take(&self, most: usize) -> Vec<Record> {
        let mut waiting = self.waiting();
        let count = waiting.len().min(most);
        waiting.drain(..count).collect()
    }

    /// How many found no room since this was asked last.
    pub fn take_dropped(&self) -> u64 {
        self.0.dropped.swap(0, Ordering::Relaxed)
    }

    /// Returns once something came, or at once where something waits.
    pub async fn came(&self) {
        if self.waiting().is_empty() {
            self.0.came.notified().await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Record>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, event: &Event<'_>) {
        let from = event.metadata();
        let Some(severity) = severity(*from.level()) else { return };
        let part = from.target();
        let is_ours = OURS.contains(&part.split("::").next().unwrap_or_default());
        if rank(severity) > self.0.last_rank.load(Ordering::Relaxed) || !is_ours {
            return;
        }
        let mut heard = Heard::default();
        event.record(&mut heard);
        let Heard { message, fields, request, .. } = heard.over();
        let record = Record { at: self.0.clock.now(), severity, part, message, fields, request };
        // Nothing is said while this is held: who says something comes here.
        let mut waiting = self.waiting();
        if waiting.len() < WAITING_MAX {
            waiting.push_back(record);
            drop(waiting);
            self.0.came.notify_one();
        } else {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Hears what the diagnostic log says.
#[derive(Debug)]
pub struct Ear(Diagnostics);

impl<S: Subscriber> Layer<S> for Ear {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.hear(event);
    }
}

fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Error => 1,
        Severity::Warning => 2,
        Severity::Info => 3,
    }
}

fn severity(level: Level) -> Option<Severity> {
    match level {
        Level::ERROR => Some(Severity::Error),
        Level::WARN => Some(Severity::Warning),
        Level::INFO => Some(Severity::Info),
        // Those are a line a request and more.
        _ => None,
    }
}

/// What a record says, within bounds.
#[derive(Default)]
struct Heard {
    message: String,
    fields: Vec<(&'static str, Said)>,
    request: Option<RequestId>,
    left_out: Vec<&'static str>,
    bytes: usize,
}

impl Heard {
    /// What was heard, once nothing more comes.
    fn over(mut self) -> Self {
        if !self.left_out.is_empty() {
            self.fields.push((LEFT_OUT, Said::Text(self.left_out.join(" "))));
        }
        self
    }

    /// Whether what a field says is told; notes it where it is not.
    fn is_told(&mut self, field: &Field) -> bool {
        let is_told = field.name() == "message" || TOLD.contains(&field.name());
        if !is_told {
            self.left_out.push(field.name());
        }
        is_told
    }

    fn text(&mut self, field: &Field, text: &str) {
        if field.name() == "request" {
            self.request = RequestId::parse(text);
        }
        let mut end = text.len().min(RECORD_BYTES_MAX.saturating_sub(self.bytes));
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        let cut = text.get(..end).unwrap_or_default();
        self.bytes += cut.len();
        if field.name() == "message" {
            cut.clone_into(&mut self.message);
        } else {
            self.add(field, Said::Text(cut.to_owned()));
        }
    }

    fn add(&mut self, field: &Field, said: Said) {
        if self.fields.len() < FIELDS_MAX {
            self.fields.push((field.name(), said));
        }
    }
}

impl Visit for Heard {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.is_told(field) {
            self.text(field, &format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if self.is_told(field) {
            self.text(field, value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if self.is_told(field) {
            self.add(field, Said::Whole(value));
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        // The protocol has no larger ones.
        let said = i64::try_from(value).map_or_else(|_| Said::Text(value.to_string()), Said::Whole);
        if self.is_told(field) {
            self.add(field, said);
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // What is no number has no form in JSON.
        let said = if value.is_finite() { Said::Fraction(value) } else { Said::Text(value.to_string()) };
        if self.is_told(field) {
            self.add(field, said);
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if self.is_told(field) {
            self.add(field, Said::Whether(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// What is kept of what `say` says.
    fn heard(from: Option<Severity>, say: impl FnOnce()) -> (Diagnostics, Vec<Record>) {
        let diagnostics = Diagnostics::new(crate::clock::real());
        diagnostics.keep_from(from);
        let subscriber = tracing_subscriber::registry().with(diagnostics.ear());
        tracing::subscriber::with_default(subscriber, say);
        let records = diagnostics.take(usize::MAX);
        (diagnostics, records)
    }

    #[test]
    fn what_is_said_is_kept_with_its_fields_and_the_request_it_is_about() {
        let id = RequestId::new(Timestamp::from_unix_micros(1_700_000_000_000_000), 5);
        let (_, records) = heard(Some(Severity::Info), || {
            tracing::error!(request = %id, free_bytes = 7_u64, size = u64::MAX, percent = 0.5, outage = true, "it is away");
        });
        let [record] = records.as_slice() else { panic!("{records:?}") };
        assert_eq!((record.severity, record.message.as_str()), (Severity::Error, "it is away"));
        assert_eq!((record.request, record.part), (Some(id), module_path!()));
        let fields = [
            ("request", Said::Text(id.to_string())),
            ("free_bytes", Said::Whole(7)),
            ("size", Said::Text(u64::MAX.to_string())),
            ("percent", Said::Fraction(0.5)),
            ("outage", Said::Whether(true)),
        ];
        assert_eq!(record.fields, fields);
    }

    #[test]
    fn what_others_said_is_left_out_and_it_is_told_that_it_was() {
        let problem = "`n.sato@hospital.test`: 550 no such user";
        let (_, records) = heard(Some(Severity::Error), || {
            tracing::error!(notice = %"safety", %problem, "a notice is given up");
            let (reason, problems) = ("+ curl -H 'X-Api-Key: 5f3a'", "`hunter2` cannot be read");
            tracing::error!(ca = "ca.test", reason, %problems, session = 5_u64, patient = 471_i64, is_his = true, "failed");
        });
        let [notice, order] = records.as_slice() else { panic!("{records:?}") };
        let text = |text: &str| Said::Text(text.to_owned());
        assert_eq!(notice.fields, [("notice", text("safety")), (LEFT_OUT, text("problem"))]);
        let left_out = text("reason problems session patient is_his");
        assert_eq!(order.fields, [("ca", text("ca.test")), (LEFT_OUT, left_out)]);
    }

    #[test]
    fn neither_what_is_less_grave_nor_what_libraries_say_is_told() {
        let say = || {
            tracing::debug!("a request");
            tracing::info!("a change");
            tracing::warn!("this week");
            tracing::error!("now");
            tracing::error!(target: "hyper::proto", path = "/charts/00471122", "a library");
            tracing::error!(target: "gatewayish", "not ours");
        };
        let messages = |from| heard(from, say).1.into_iter().map(|record| record.message).collect::<Vec<_>>();
        assert_eq!(messages(Some(Severity::Info)), ["a change", "this week", "now"]);
        assert_eq!(messages(Some(Severity::Warning)), ["this week", "now"]);
        assert_eq!(messages(Some(Severity::Error)), ["now"]);
        assert!(messages(None).is_empty());
    }

    #[test]
    fn what_waits_is_let_go_once_it_is_known_that_nobody_wants_it() {
        let diagnostics = Diagnostics::new(crate::clock::real());
        let subscriber = tracing_subscriber::registry().with(diagnostics.ear());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("before the configuration is read");
            tracing::error!("that too");
        });
        diagnostics.keep_from(Some(Severity::Error));
        assert_eq!(diagnostics.take(9).len(), 1);
        diagnostics.keep_from(None);
        assert!(diagnostics.take(9).is_empty());
    }

    #[test]
    fn what_finds_no_room_is_counted_and_one_record_is_only_so_long() {
        let (diagnostics, records) = heard(Some(Severity::Error), || {
            let long = "患".repeat(RECORD_BYTES_MAX);
            tracing::error!(what = long, upstream = long, "said");
            for _ in 0..WAITING_MAX + 2 {
                tracing::error!("again");
            }
        });
        assert_eq!((records.len(), diagnostics.take_dropped(), diagnostics.take_dropped()), (WAITING_MAX, 3, 0));
        let words = |record: &Record| {
            let fields = record.fields.iter().map(|(_, said)| if let Said::Text(text) = said { text.len() } else { 0 });
            record.message.len() + fields.sum::<usize>()
        };
        assert!(records.iter().all(|record| words(record) <= RECORD_BYTES_MAX));
    }

    #[test]
    fn every_part_of_the_program_is_ours() {
        let manifest = include_str!("../../../Cargo.toml");
        let members = manifest.split("members = [").nth(1).unwrap().split(']').next().unwrap();
        let parts = members.split('"').skip(1).step_by(2).filter(|part| !part.starts_with("tests") && *part != "prove");
        let mut parts: Vec<&str> = parts.collect();
        parts.sort_unstable();
        assert_eq!(parts, OURS);
    }
}
