//! A demo EMR: a chart list and charts in HTML, FHIR R4 Patient and Observation, a feed of vital signs by
//! server-sent events and by WebSocket, large downloads and uploads. Everything in it is invented and in memory.
//!
//! It knows who asks from the gateway's assertion alone, and verifies it, as a real app should: a request that did
//! not come through the gateway gets nothing, even on this machine.

mod caller;
mod chart;
mod export;
mod feed;
mod fhir;
mod frame;
mod live;
mod observation;
mod records;
mod search;
mod socket;
mod vitals;

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use policy::Clock;
use tokio::net::TcpListener;

use super::answer::{self, Answer};
use super::asked::Asked;
use super::door::{self, Afterwards};
use super::language::Language;
use super::page::{self, Part};
use caller::Caller;
use records::Records;

pub use caller::Trust;

/// The path that answers 204 without an assertion, for health checks.
pub const HEALTH_PATH: &str = "/healthz";

/// The EMR: its records and whom it believes.
#[derive(Clone)]
pub struct Emr(Arc<Inner>);

struct Inner {
    records: Mutex<Records>,
    trust: Trust,
    clock: Clock,
}

impl fmt::Debug for Emr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Emr(..)")
    }
}

impl Emr {
    /// Makes an EMR with its fifty patients.
    #[must_use]
    pub fn new(trust: Trust, clock: Clock) -> Self {
        let records = Mutex::new(Records::seeded(clock.now()));
        Self(Arc::new(Inner { records, trust, clock }))
    }
}

/// Serves the EMR until `stop` is ready.
///
/// # Errors
/// The listener is not on loopback.
pub async fn serve(listener: TcpListener, emr: Emr, stop: impl Future<Output = ()>) -> io::Result<()> {
    let handler = move |request: Request<Incoming>, afterwards: Afterwards| {
        let emr = emr.clone();
        async move { emr.0.answer(request, &afterwards).await }
    };
    door::serve(listener, handler, stop).await
}

impl Inner {
    async fn answer(&self, request: Request<Incoming>, afterwards: &Afterwards) -> Answer {
        if request.uri().path() == HEALTH_PATH {
            return answer::empty(StatusCode::NO_CONTENT);
        }
        let caller = match self.trust.caller(request.headers(), self.clock.now()) {
            Ok(caller) => caller,
            Err(problem) => return answer::problem(StatusCode::UNAUTHORIZED, &problem.to_string()),
        };
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/ws") => socket::answer(request, afterwards),
            (&Method::POST | &Method::PUT, "/import/large") => export::count(request.into_body()).await,
            _ => match Asked::read(request).await {
                Ok(asked) => self.answer_small(&asked, &caller),
                Err(refusal) => refusal,
            },
        }
    }

    /// Answers what was read whole.
    fn answer_small(&self, asked: &Asked, caller: &Caller) -> Answer {
        let language = Language::of(&asked.headers);
        let segments = asked.segments();
        match (asked.is_read(), segments.as_slice()) {
            (true, [""]) => chart::list(&self.records(), asked, caller, language),
            (true, ["charts", id]) => chart::chart(&self.records(), id, caller, language),
            (false, ["charts", id, "notes"]) => self.add_note(asked, id, caller, language),
            (_, ["fhir", rest @ ..]) => fhir::answer(&mut self.records(), asked, rest, self.clock.now()),
            (true, ["live"]) => live::page(caller, language),
            (true, ["events", "vitals"]) => feed::answer(asked),
            (true, ["export", "large.bin"]) => export::answer(asked),
            (true, ["assets", "live.js"]) => live::script(),
            (true, ["assets", "demo.css"]) => page::style(),
            _ => page::trouble(
                StatusCode::NOT_FOUND,
                Part::Emr,
                language,
                "404",
                language.say("このページはありません。", "There is no such page."),
            ),
        }
    }

    fn add_note(&self, asked: &Asked, id: &str, caller: &Caller, language: Language) -> Answer {
        if asked.method != Method::POST {
            return answer::problem(StatusCode::METHOD_NOT_ALLOWED, "notes are added by POST");
        }
        chart::add_note(&mut self.records(), asked, id, caller, language, self.clock.now())
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        // Every change is one insertion or removal: a panic in between leaves nothing half-done.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
