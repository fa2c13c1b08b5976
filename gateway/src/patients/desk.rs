//! The desk where bodies are read once they have passed: small ones at once, larger ones by a thread of its own, so that
//! no worker's other requests wait. It also knows whose studies are.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use audit::{Outcome, Receipt};
use http::header::{HeaderName, HeaderValue};
use patient::{Found, Studies, Told};
use policy::{Clock, OnMissing, PatientFlag, Patients, Timestamp};
use store::{Store, StoreProblem};

use super::About;
use super::held::{Budget, Held};
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
        let shared = Arc::new(Shared { clock, budget: Budget::default(), studies, counts });
        let (queue, waiting) = sync_channel(WAITING_MAX);
        let reads = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("patients".to_owned()).spawn(move || reads.read_all(&waiting))?;
        Ok(Self { shared, queue, reader: Arc::new(Mutex::new(Some(thread))) })
    }

    /// How much is held by all together.
    pub fn budget(&self) -> Budget {
        self.shared.budget.clone()
    }

    /// The patients of these studies, as far as answers told.
    pub fn patients_of(&self, studies: &[Box<str>], at: Timestamp) -> Vec<Arc<str>> {
        self.shared.patients_of(studies, at)
    }

    /// Closes a record with whom it was about: at once, or as soon as its bodies are read.
    pub fn close(&self, seen: Seen) {
        let held = seen.request.as_ref().map_or(0, Held::len) + seen.answer.as_ref().map_or(0, Held::len);
        if held <= READ_AT_ONCE {
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
    pub async fn restore(&self, store: &dyn Store) -> Result<(), StoreProblem> {
        for part in 0..Studies::PARTS {
            if let Some(text) = store.note(&note_of(part)).await? {
                let at = self.shared.clock.now();
                self.shared.studies().restore(&text, at);
            }
        }
        Ok(())
    }

    /// Keeps in the store what was learned of studies since the last time.
    ///
    /// # Errors
    /// [`StoreProblem`]; what was not kept is learned anew after the next start.
    pub async fn keep(&self, store: &dyn Store) -> Result<(), StoreProblem> {
        let changes = {
            let at = self.shared.clock.now();
            self.shared.studies().changes(at)
        };
        for (part, text) in changes {
            store.set_note(&note_of(part), text).await?;
        }
        Ok(())
    }
}

/// Under which name the store keeps a part of what is known of studies.
fn note_of(part: usize) -> String {
    format!("studies-{part:02}")
}

impl Shared {
    fn studies(&self) -> MutexGuard<'_, Studies> {
        self.studies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn patients_of(&self, studies: &[Box<str>], at: Timestamp) -> Vec<Arc<str>> {
        if studies.is_empty() {
            return Vec::new();
        }
        let mut known = self.studies();
        studies.iter().filter_map(|study| known.patient_of(study, at)).collect()
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
        let Seen { receipt, mut outcome, .. } = seen;
        let (mut more, told) = read.unwrap_or_else(|_| {
            tracing::error!(app = %about.app, "reading a body for its patients panicked");
            let mut unreadable = Patients::default();
            unreadable.flags = unreadable.flags.with(PatientFlag::Unreadable);
            (unreadable, Vec::new())
        });
        let at = self.clock.now();
        let succeeded = is_success(&outcome);
        if succeeded && !told.is_empty() {
            let mut studies = self.studies();
            told.iter().for_each(|one| studies.learn(one, at));
        }
        let mut by_study = Found::new(&about.sources.ids);
        for studies in [&about.patients.studies, &more.studies] {
            self.patients_of(studies, at).iter().for_each(|patient| by_study.patient(patient));
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

/// Whom bodies and head name, and whose studies they tell. An answer that says no names nobody.
fn read(seen: &Seen) -> (Patients, Vec<Told>) {
    let Seen { about, request, answer, outcome, .. } = seen;
    let mut found = Found::new(&about.sources.ids);
    let path = about.path.as_str();
    if let Some(body) = request.as_ref().and_then(|held| held.body(seen.request_came_whole, path)) {
        patient::read_body(&about.sources, body, &mut found);
    }
    if is_success(outcome) {
        let values = |name: &str| {
            let of_name = seen.fields.iter().filter(|(one, _)| one.as_str() == name);
            of_name.filter_map(|(_, value)| value.to_str().ok()).collect()
        };
        patient::of_header(&about.sources, values, &mut found);
        if let Some(body) = answer.as_ref().and_then(|held| held.body(seen.answer_came_whole, path)) {
            patient::read_body(&about.sources, body, &mut found);
        }
    }
    found.finish()
}

fn is_success(outcome: &Outcome) -> bool {
    outcome.status.is_some_and(|status| (200..300).contains(&status))
}
