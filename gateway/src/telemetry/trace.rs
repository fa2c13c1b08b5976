//! One request's trace while it is under way. Whoever does a step of its way holds it; the last to let go ends it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use config::Telemetry;
use http::header::{HeaderMap, HeaderValue};
use policy::{Clock, RequestId, Timestamp};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;

use super::parent::{Parent, SpanDigits, TRACEPARENT, TRACESTATE, TraceDigits, field};

/// Traces that wait for the collector.
const WAITING_MAX: usize = 1024;
/// Steps of one trace that are kept.
const STEPS_MAX: usize = 16;
/// The methods that a span names; others are told as such.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];

/// Begins traces, and holds those that ended until the collector is told.
#[derive(Debug)]
pub struct Traces {
    counted: AtomicU64,
    next_span: AtomicU64,
    out: mpsc::Sender<Finished>,
    dropped: Counter,
    clock: Clock,
}

/// When the handshake of a connection began and ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handshake {
    /// The first byte.
    pub began: Timestamp,
    /// Both sides agree.
    pub ended: Timestamp,
}

/// A trace that ended.
#[derive(Debug)]
pub struct Finished {
    /// The trace.
    pub trace: TraceDigits,
    /// The span of the whole request.
    pub root: SpanDigits,
    /// Whose part it is, where a client's trace is gone on with.
    pub parent: Option<SpanDigits>,
    /// When it began and ended.
    pub span: (Timestamp, Timestamp),
    /// What is told of it.
    pub facts: Facts,
    /// Its steps.
    pub steps: Vec<Done>,
}

/// What is told of a request.
#[derive(Clone, Default, Debug)]
pub struct Facts {
    /// The method, where it is one that is known.
    pub method: Option<&'static str>,
    /// The app.
    pub app: Option<String>,
    /// The pattern of its route, as the configuration writes it.
    pub pattern: Option<String>,
    /// What the policy said.
    pub decision: Option<&'static str>,
    /// The status of the answer.
    pub status: Option<u16>,
}

/// A step that was done.
#[derive(Clone, Debug)]
pub struct Done {
    /// Which.
    pub name: StepName,
    /// Its span.
    pub id: SpanDigits,
    /// When it began and ended.
    pub span: (Timestamp, Timestamp),
    /// The server, of steps that go to one.
    pub server: Option<String>,
}

/// A step of a request's way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StepName {
    /// TLS, of the first request of a connection.
    Handshake,
    /// The session of its cookie is looked up.
    Session,
    /// It is judged.
    Policy,
    /// Its record is written.
    Record,
    /// From sending it to the head of the app's answer.
    Upstream,
    /// A connection to the app is made.
    Connect,
}

impl StepName {
    /// Its name in a trace.
    pub fn text(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Session => "session",
            Self::Policy => "policy",
            Self::Record => "record",
            Self::Upstream => "upstream",
            Self::Connect => "connect",
        }
    }
}

impl Traces {
    /// None yet; and what ends, for [`super::follow`].
    pub fn new(salt: u64, clock: Clock, dropped: Counter) -> (Self, mpsc::Receiver<Finished>) {
        let (out, ended) = mpsc::channel(WAITING_MAX);
        (Self { counted: AtomicU64::new(0), next_span: AtomicU64::new(salt), out, dropped, clock }, ended)
    }

    /// Begins a trace of a request, if it is one of those that are traced. Its name is that of the request in the access
    /// log, unless it goes on with a client's.
    pub fn begin(
        self: &std::sync::Arc<Self>,
        telemetry: &Telemetry,
        (method, headers): (&http::Method, &HeaderMap),
        handshake: &Cell<Option<Handshake>>,
        (id, at): (RequestId, Timestamp),
    ) -> Option<Rc<Trace>> {
        let parent = if telemetry.goes_on { Parent::read(headers) } else { None };
        let is_traced = match parent {
            Some(parent) => parent.is_sampled,
            None => self.counted.fetch_add(1, Ordering::Relaxed).is_multiple_of(telemetry.one_in.get()),
        };
        let handshake = handshake.take();
        if !is_traced {
            return None;
        }
        let trace = match parent {
            Some(parent) => parent.trace,
            None => digits_of(id)?,
        };
        let method = METHODS.into_iter().find(|known| *known == method.as_str());
        let made = Trace {
            traces: std::sync::Arc::clone(self),
            trace,
            root: self.span(),
            upstream: self.span(),
            parent: parent.map(|parent| parent.span),
            began: at,
            facts: RefCell::new(Facts { method, ..Facts::default() }),
            steps: RefCell::default(),
        };
        if let Some(Handshake { began, ended }) = handshake {
            made.add(StepName::Handshake, self.span(), (began, ended), None);
        }
        Some(Rc::new(made))
    }

    /// A span of its own: what follows a number that was random at start, stirred (splitmix64).
    fn span(&self) -> SpanDigits {
        let mut number = self.next_span.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let text = format!("{:016x}", (number ^ (number >> 31)).max(1));
        text.as_bytes().try_into().unwrap_or([b'1'; 16])
    }
}

fn digits_of(id: RequestId) -> Option<TraceDigits> {
    let digits: Vec<u8> = id.digits().into_iter().filter(|digit| *digit != b'-').collect();
    digits.try_into().ok()
}

/// One request's trace.
#[derive(Debug)]
pub struct Trace {
    traces: std::sync::Arc<Traces>,
    trace: TraceDigits,
    root: SpanDigits,
    /// The span of the step to the app, known before it begins: the app is told of it.
    upstream: SpanDigits,
    parent: Option<SpanDigits>,
    began: Timestamp,
    facts: RefCell<Facts>,
    steps: RefCell<Vec<Done>>,
}

impl Trace {
    /// Notes for which app it is, and the pattern of its route.
    pub fn note_app(&self, app: &str, pattern: Option<&str>) {
        let mut facts = self.facts.borrow_mut();
        (facts.app, facts.pattern) = (Some(app.to_owned()), pattern.map(str::to_owned));
    }

    /// Notes what the policy said.
    pub fn note_decision(&self, decision: &'static str) {
        self.facts.borrow_mut().decision = Some(decision);
    }

    /// Notes the status of the answer.
    pub fn note_status(&self, status: u16) {
        self.facts.borrow_mut().status = Some(status);
    }

    /// Removes from a request for an app what its client says of traces, and gives what the app is told instead.
    pub fn towards_app(&self, headers: &mut HeaderMap) -> Option<HeaderValue> {
        headers.remove(TRACEPARENT);
        if self.parent.is_none() {
            headers.remove(TRACESTATE);
        }
        field(&self.trace, &self.upstream)
    }

    fn add(&self, name: StepName, id: SpanDigits, span: (Timestamp, Timestamp), server: Option<String>) {
        let mut steps = self.steps.borrow_mut();
        if steps.len() < STEPS_MAX {
            steps.push(Done { name, id, span, server });
        }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let ended = Finished {
            trace: self.trace,
            root: self.root,
            parent: self.parent,
            span: (self.began, self.traces.clock.now()),
            facts: self.facts.take(),
            steps: self.steps.take(),
        };
        if self.traces.out.try_send(ended).is_err() {
            self.traces.dropped.inc();
        }
    }
}

/// A step that is being done; it ends when dropped. Nothing where the request is not traced.
#[derive(Debug)]
pub struct Step(Option<Doing>);

#[derive(Debug)]
struct Doing {
    trace: Rc<Trace>,
    name: StepName,
    id: SpanDigits,
    began: Timestamp,
    server: RefCell<Option<String>>,
}

impl Step {
    /// Begins a step.
    pub fn begin(trace: Option<&Rc<Trace>>, name: StepName) -> Self {
        Self(trace.map(|trace| Doing {
            id: if name == StepName::Upstream { trace.upstream } else { trace.traces.span() },
            trace: Rc::clone(trace),
            name,
            began: trace.traces.clock.now(),
            server: RefCell::default(),
        }))
    }

    /// Notes to which server it goes.
    pub fn note_server(&self, authority: &str) {
        if let Some(doing) = &self.0 {
            *doing.server.borrow_mut() = Some(authority.to_owned());
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(Doing { trace, name, id, began, server }) = self.0.take() {
            trace.add(name, id, (began, trace.traces.clock.now()), server.into_inner());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::sync::Arc;

    use config::{Scheme, Upstream};

    use super::*;

    fn telemetry(one_in: u64, goes_on: bool) -> Telemetry {
        let collector = Upstream { scheme: Scheme::Http, host: "127.0.0.1".to_owned(), port: 4318 };
        Telemetry { collector, ca_file: None, one_in: NonZeroU64::new(one_in).unwrap(), goes_on, logs: None }
    }

    fn traces() -> (Arc<Traces>, mpsc::Receiver<Finished>, Counter) {
        let dropped = Counter::default();
        let (traces, ended) = Traces::new(7, crate::clock::real(), dropped.clone());
        (Arc::new(traces), ended, dropped)
    }

    fn begin(traces: &Arc<Traces>, telemetry: &Telemetry, headers: &HeaderMap) -> Option<Rc<Trace>> {
        let at = Timestamp::from_unix_micros(1_700_000_000_000_000);
        traces.begin(telemetry, (&http::Method::GET, headers), &Cell::new(None), (RequestId::new(at, 5), at))
    }

    fn with_parent(flags: &str) -> HeaderMap {
        let text = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
        HeaderMap::from_iter([(TRACEPARENT, HeaderValue::from_str(&text).unwrap())])
    }

    #[test]
    fn one_in_so_many_is_traced_under_the_request_s_own_name() {
        let (traces, mut ended, _) = traces();
        let begun: Vec<_> = (0..10).map(|_| begin(&traces, &telemetry(5, false), &HeaderMap::new())).collect();
        assert_eq!(begun.iter().flatten().count(), 2);
        let spans: std::collections::BTreeSet<_> = begun.iter().flatten().map(|trace| trace.root).collect();
        assert_eq!(spans.len(), 2);
        drop(begun);
        let id = RequestId::new(Timestamp::from_unix_micros(1_700_000_000_000_000), 5).to_string().replace('-', "");
        assert_eq!(ended.try_recv().unwrap().trace, *id.as_bytes());
    }

    #[test]
    fn a_client_decides_neither_whether_it_is_traced_nor_under_which_name() {
        let (traces, mut ended, _) = traces();
        let mut headers = with_parent("01");
        headers.insert(TRACESTATE, HeaderValue::from_static("a=b"));
        let trace = begin(&traces, &telemetry(1, false), &headers).unwrap();
        let told = trace.towards_app(&mut headers).unwrap();
        assert!(headers.is_empty() && !told.to_str().unwrap().contains("4bf92f3577b34da6a3ce929d0e0e4736"));
        drop(trace);
        assert_eq!(ended.try_recv().unwrap().parent, None);
        assert!(begin(&traces, &telemetry(1_000, false), &headers).is_none());
    }

    #[test]
    fn where_the_hospital_says_so_a_client_s_trace_is_gone_on_with() {
        let (traces, mut ended, _) = traces();
        let mut headers = with_parent("01");
        let trace = begin(&traces, &telemetry(1_000, true), &headers).unwrap();
        let told = trace.towards_app(&mut headers).unwrap();
        assert!(told.to_str().unwrap().starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
        drop(trace);
        assert_eq!(ended.try_recv().unwrap().parent, Some(*b"00f067aa0ba902b7"));
        assert!(begin(&traces, &telemetry(1, true), &with_parent("00")).is_none(), "it does not want to be recorded");
    }

    #[test]
    fn what_nobody_takes_is_dropped_and_counted_and_steps_are_bounded() {
        let (traces, mut ended, dropped) = traces();
        for _ in 0..WAITING_MAX + 3 {
            let trace = begin(&traces, &telemetry(1, false), &HeaderMap::new());
            for _ in 0..STEPS_MAX + 3 {
                drop(Step::begin(trace.as_ref(), StepName::Policy));
            }
        }
        assert_eq!(dropped.get(), 3);
        assert_eq!(ended.try_recv().unwrap().steps.len(), STEPS_MAX);
    }
}
