//! The desk where bodies are read once they have passed: small ones at once, larger ones by a thread of its own, so that
//! no worker's other requests wait. It also knows whose studies are.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use audit::{Outcome, Receipt};
use config::{NodeName, Nodes};
use http::header::{HeaderName, HeaderValue};
use patient::{Body, Found, Studies, Told};
use policy::{AppId, Clock, OnMissing, PatientFlag, PatientSources, Patients, Timestamp, Unit};
use store::{Store, StoreProblem};

use super::About;
use super::held::{Budget, Held};
use super::places::Places;
use crate::metrics::PatientCounts;

/// Bodies up to this are read by the worker itself: tens of microseconds.
const READ_AT_ONCE: usize = 16 << 10;
/// How many larger ones may wait. Beyond them records are closed without, and marked.
const WAITING_MAX: usize = 1_024;
/// How many studies are known.
const STUDIES_MAX: usize = 100_000;

/// Where bodies are read; clones are the same desk.
#[derive(Clone, Debug)]
pub struct Desk {
    shared: Arc<Shared>,
    queue: SyncSender<Message>,
    reader: Arc<Mutex<Option<JoinHandle<()>>>>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    budget: Budget,
    studies: Mutex<Studies>,
    places: Mutex<Places>,
    counts: PatientCounts,
}

#[derive(Debug)]
enum Message {
    Read(Box<Seen>),
    Stop,
}

/// What was seen of an exchange that has ended.
#[derive(Debug)]
pub struct Seen {
    /// What was known at its start.
    pub about: Arc<About>,
    /// What was held of the request's body.
    pub request: Option<Held>,
    /// Whether that came to its end.
    pub request_came_whole: bool,
    /// What was held of the answer's body.
    pub answer: Option<Held>,
    /// Whether that came to its end.
    pub answer_came_whole: bool,
    /// Fields of the answer's head that name patients.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// The record to close.
    pub receipt: Receipt,
    /// How it ended.
    pub outcome: Outcome,
}

impl Desk {
    /// Opens the desk, with its thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn open(clock: Clock, counts: PatientCounts) -> std::io::Result<Self> {
        let studies = Mutex::new(Studies::new(STUDIES_MAX));
        let places = Mutex::default();
        let shared = Arc::new(Shared { clock, budget: Budget::default(), studies, places, counts });
        let (queue, waiting) = sync_channel(WAITING_MAX);
        let reads = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("patients".to_owned()).spawn(move || reads.read_all(&waiting))?;
        Ok(Self { shared, queue, reader: Arc::new(Mutex::new(Some(thread))) })
    }

    /// How much is held by all together.
    pub fn budget(&self) -> Budget {
        self.shared.budget.clone()
    }

    /// The patients of these studies of an app, as far as its answers told.
    pub fn patients_of(&self, app: &AppId, studies: &[Box<str>], at: Timestamp) -> Vec<Arc<str>> {
        self.shared.patients_of(app, studies, at)
    }

    /// The ward where an app said last that a patient is.
    pub fn place_of(&self, app: &AppId, patient: &str, at: Timestamp) -> Option<Unit> {
        self.shared.places().of(app, patient, at)
    }

    /// Closes a record with whom it was about: at once, or as soon as its bodies are read.
    pub fn close(&self, seen: Seen) {
        let bodies = [&seen.request, &seen.answer].into_iter().flatten();
        // How much becomes of what is packed is known only afterwards.
        let (held, is_packed) = bodies.fold((0, false), |(held, is_packed), body| {
            (held + body.len(), is_packed || (body.is_packed() && body.len() > 0))
        });
        if held <= READ_AT_ONCE && !is_packed {
            return self.shared.finish(seen);
        }
        match self.queue.try_send(Message::Read(Box::new(seen))) {
            Ok(()) | Err(TrySendError::Full(Message::Stop) | TrySendError::Disconnected(Message::Stop)) => {}
            Err(TrySendError::Full(Message::Read(seen)) | TrySendError::Disconnected(Message::Read(seen))) => {
                let Seen { about, receipt, mut outcome, .. } = *seen;
                let mut patients = Patients::default();
                patients.flags = patients.flags.with(PatientFlag::Cut);
                outcome.patients = Some(Box::new(patients));
                self.shared.counts.note(&about.app, &about.pattern, !about.patients.ids.is_empty());
                receipt.close(outcome);
            }
        }
    }

    /// Reads what waits, closes the records, and ends the thread. Blocks.
    pub fn stop(&self) {
        let thread = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        // An error means that the thread is gone already.
        drop(self.queue.send(Message::Stop));
        if thread.join().is_err() {
            tracing::error!("the thread that reads bodies ended in a panic");
        }
    }

    /// Takes in what the store keeps of studies.
    ///
    /// # Errors
    /// [`StoreProblem`]; without it, studies are learned anew.
    pub async fn restore(&self, store: &dyn Store, nodes: Option<&Nodes>) -> Result<(), StoreProblem> {
        let others = nodes.into_iter().flat_map(|nodes| nodes.names.iter().map(Some));
        let parts =
            std::iter::once(None).chain(others).flat_map(|node| (0..Studies::PARTS).map(move |part| (node, part)));
        for (node, part) in parts {
            if let Some(text) = store.note(&note_of(part, node)).await? {
                let at = self.shared.clock.now();
                self.shared.studies().restore(part, &text, at);
            }
        }
        Ok(())
    }

    /// Keeps in the store what was learned of studies since the last time.
    ///
    /// # Errors
    /// [`StoreProblem`]; what was not kept is tried again the next time.
    pub async fn keep(&self, store: &dyn Store, nodes: Option<&Nodes>) -> Result<(), StoreProblem> {
        for part in 0..Studies::PARTS {
            // One after the other, and made a text without the lock that requests wait for.
            let Some(changed) = self.shared.studies().take_changed(part) else { continue };
            let note = note_of(part, nodes.map(|nodes| &nodes.own));
            let kept = store.set_note(&note, changed.text(self.shared.clock.now())).await;
            if let Err(problem) = kept {
                self.shared.studies().mark(part);
                return Err(problem);
            }
        }
        Ok(())
    }
}

/// Under which name the store keeps a part of what is known of studies: each node what it knows.
fn note_of(part: usize, node: Option<&NodeName>) -> String {
    match node {
        Some(node) => format!("studies-{part:02}:{node}"),
        None => format!("studies-{part:02}"),
    }
}

impl Shared {
    fn studies(&self) -> MutexGuard<'_, Studies> {
        self.studies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn patients_of(&self, app: &AppId, studies: &[Box<str>], at: Timestamp) -> Vec<Arc<str>> {
        if studies.is_empty() {
            return Vec::new();
        }
        let mut known = self.studies();
        studies.iter().flat_map(|study| known.patients_of(app, study, at)).collect()
    }

    fn read_all(&self, waiting: &Receiver<Message>) {
        while let Ok(Message::Read(seen)) = waiting.recv() {
            self.finish(*seen);
        }
    }

    /// Reads what was held, and closes the record.
    fn finish(&self, seen: Seen) {
        let about = Arc::clone(&seen.about);
        // Whatever a body makes of the code that reads it, its record is closed.
        let read = catch_unwind(AssertUnwindSafe(|| read(&seen)));
        let Seen { receipt, mut outcome, request, .. } = seen;
        let (mut more, told) = read.unwrap_or_else(|_| {
            tracing::error!(app = %about.app, "reading a body for its patients panicked");
            let mut unreadable = Patients::default();
            unreadable.flags = unreadable.flags.with(PatientFlag::Unreadable);
            (unreadable, Vec::new())
        });
        let at = self.clock.now();
        let succeeded = is_success(outcome.status);
        if succeeded && !told.is_empty() {
            let mut studies = self.studies();
            told.iter().for_each(|one| studies.learn(&about.app, one, at));
        }
        // Whoever sends may name anybody, and an answer may repeat it; only what an app answers for a ward by itself tells
        // who is there.
        let teaches = succeeded && about.is_get && request.is_none() && !more.ids.is_empty();
        if let Some(ward) = about.ward.one().filter(|_| teaches) {
            let mut places = self.places();
            more.ids.iter().for_each(|patient| places.learn(&about.app, patient, ward, at));
        }
        let mut by_study = Found::new(&about.sources.ids);
        for studies in [&about.patients.studies, &more.studies] {
            self.patients_of(&about.app, studies, at).iter().for_each(|patient| by_study.patient(patient));
        }
        more.add(by_study.finish().0, about.sources.ids.listed_max);
        let is_named = !(about.patients.ids.is_empty() && more.ids.is_empty());
        if succeeded && !is_named && about.sources.ids.on_missing == OnMissing::Flag {
            more.flags = more.flags.with(PatientFlag::Missing);
        }
        self.counts.note(&about.app, &about.pattern, is_named);
        let more = more.beyond(&about.patients);
        outcome.patients = (!more.is_empty()).then(|| Box::new(more));
        receipt.close(outcome);
    }
}

/// What an answer showed.
struct Shown<'a> {
    fields: &'a [(HeaderName, HeaderValue)],
    body: Option<Body<'a>>,
}

fn read(seen: &Seen) -> (Patients, Vec<Told>) {
    let Seen { about, request, answer, outcome, .. } = seen;
    let path = about.path.as_str();
    let request = request.as_ref().and_then(|held| held.body(seen.request_came_whole, path));
    let shown = is_success(outcome.status).then(|| Shown {
        fields: &seen.fields,
        body: answer.as_ref().and_then(|held| held.body(seen.answer_came_whole, path)),
    });
    find(&about.sources, request, shown)
}

/// Whom bodies and head name, and whose studies the answer tells. An answer that says no showed nothing and names nobody.
fn find(sources: &PatientSources, request: Option<Body<'_>>, shown: Option<Shown<'_>>) -> (Patients, Vec<Told>) {
    let mut found = Found::new(&sources.ids);
    if let Some(body) = request {
        patient::read_body(sources, body, &mut found);
        // Whoever stores says what they like of a study, also of one that the archive knows better.
        found.forget_told();
    }
    if let Some(Shown { fields, body }) = shown {
        let values = |name: &str| {
            let of_name = fields.iter().filter(|(one, _)| one.as_str() == name);
            of_name.filter_map(|(_, value)| value.to_str().ok()).collect()
        };
        patient::of_header(sources, values, &mut found);
        if let Some(body) = body {
            patient::read_body(sources, body, &mut found);
        }
    }
    found.finish()
}

/// Whether something was shown: also what the client had already (304), and what a tunnel showed (101).
fn is_success(status: Option<u16>) -> bool {
    matches!(status, Some(101 | 200..=299 | 304))
}

#[cfg(test)]
mod tests {
    use policy::{Path, PatientSource, Side, Template};

    use super::*;

    /// A DICOM file of a patient and a study.
    fn file(patient: &str, study: &str) -> Vec<u8> {
        let element = |group: u16, number: u16, kind: &[u8], value: &str| {
            let length = u16::try_from(value.len()).unwrap().to_le_bytes();
            [&group.to_le_bytes(), &number.to_le_bytes(), kind, &length, value.as_bytes()].concat()
        };
        let syntax = element(2, 0x10, b"UI", "1.2.840.10008.1.2.1\0");
        [vec![0; 128], b"DICM".to_vec(), syntax, element(0x10, 0x20, b"LO", patient), element(0x20, 0xd, b"UI", study)]
            .concat()
    }

    fn images() -> Arc<PatientSources> {
        let routes = Template::Dicomweb.routes(&Path::parse("/dicom-web").unwrap());
        let route = routes.iter().find(|route| route.pattern.as_str() == "/dicom-web/studies/{study}/**").unwrap();
        route.patients.clone().unwrap()
    }

    fn body(side: Side, bytes: &[u8]) -> Body<'_> {
        let kind = Some("application/dicom");
        Body { side, bytes, is_cut: false, kind, encoding: None, path: "/dicom-web/studies" }
    }

    fn ids(patients: &Patients) -> String {
        patients.ids.join(" ")
    }

    #[test]
    fn whoever_stores_does_not_teach_whose_a_study_is() {
        let (stored, file) = (file("66", "1.2"), file("77", "1.3 "));
        let shown = Shown { fields: &[], body: None };
        let (patients, told) = find(&images(), Some(body(Side::Request, &stored)), Some(shown));
        assert_eq!((ids(&patients), told.len()), ("66".to_owned(), 0), "in the record, and nowhere else");
        let shown = Shown { fields: &[], body: Some(body(Side::Answer, &file)) };
        let (patients, told) = find(&images(), Some(body(Side::Request, &stored)), Some(shown));
        assert_eq!(ids(&patients), "66 77");
        assert_eq!(told, [Told { study: "1.3".into(), patient: "77".into() }]);
    }

    #[test]
    fn what_the_client_had_already_is_shown_to_it() {
        for (status, is_shown) in [
            (Some(200), true),
            (Some(304), true),
            (Some(101), true),
            (Some(302), false),
            (Some(404), false),
            (None, false),
        ] {
            assert_eq!(is_success(status), is_shown, "{status:?}");
        }
        let field = policy::Field { name: "x-patient-id".into(), pattern: None };
        let header = PatientSource::Header(policy::AnswerHeader { field, strip: false });
        let sources = PatientSources { sources: vec![header], ..Default::default() };
        let fields = [(HeaderName::from_static("x-patient-id"), HeaderValue::from_static("7"))];
        assert_eq!(ids(&find(&sources, None, Some(Shown { fields: &fields, body: None })).0), "7");
        assert_eq!(ids(&find(&sources, None, None).0), "");
    }
}
