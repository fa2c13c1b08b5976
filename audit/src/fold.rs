//! Folding: requests of one person, from one device, for parts of one image study, by one rule, are one record. A viewer
//! asks for every picture of a study, dozens a second; a record of each would bury the log. The first request writes
//! the opening line; those within five minutes join it; the closing line says how many there were.
//!
//! Who joins is admitted as surely as who opened: only once the opening line is kept as the rule asks. A refusal, a
//! revocation, the end of the session or a stop lets nobody join any more. The closing line follows when the last
//! request that joined has ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use policy::{Access, Action, PATIENTS_LISTED_MAX, Patients, Permit, Revision, RuleId, SessionId, Timestamp};

use crate::batch::Batch;
use crate::bundle::{Closing, Opened};
use crate::held::Held;
use crate::round::{Place, Round};
use crate::{About, End, LogProblem, Note, Outcome, line};

/// How long a record takes others in.
const SPAN: Duration = Duration::from_secs(5 * 60);
/// How many records take others in at once, and which part of the open accesses they may be; beyond that every request
/// has a record of its own.
const FOLDS_MAX: usize = 4_096;
const FOLDS_SHARE: usize = 4;

/// The records that take others in.
#[derive(Debug, Default)]
pub(crate) struct Folds {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    by_session: HashMap<SessionId, Vec<Arc<Fold>>>,
    count: usize,
}

/// What a request that may be folded is to do.
#[derive(Debug)]
pub(crate) enum Turn {
    /// It opens a record that takes others in.
    Opens(Opening),
    /// It joins one.
    Joins(Member),
}

/// One record that takes others in. When nobody can join it any more and all who did have ended, it is dropped, and
/// writes its closing line.
#[derive(Debug)]
pub(crate) struct Fold {
    access: Access,
    rule: RuleId,
    revision: Revision,
    study: Box<str>,
    /// Whom the opening line names.
    patients: Patients,
    batch: Arc<Batch>,
    /// Whether the opening line is kept.
    opened: Round,
    owed: Mutex<Option<(Held, Opened)>>,
    sum: Mutex<Sum>,
}

/// What the closing line says.
#[derive(Debug)]
struct Sum {
    requests: u64,
    outcome: Outcome,
}

/// The duty to open a record that takes others in.
#[derive(Debug)]
pub(crate) struct Opening {
    fold: Arc<Fold>,
    is_open: bool,
}

/// A part in a record.
#[derive(Debug)]
pub(crate) struct Member {
    fold: Arc<Fold>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Folds {
    /// What a request is to do; `None` where it has a record of its own.
    pub(crate) fn turn(&self, permit: &Permit, about: About<'_>, batch: &Arc<Batch>) -> Option<Turn> {
        let access = permit.access();
        let (study, who) = (about.folded?, access.who.as_ref()?);
        let plain = access.action == Action::Read
            && access.method.as_str() == "GET"
            && access.grant.is_none()
            && permit.shadow().is_none();
        // What cannot be written now is for the usual way to decide.
        if !plain || batch.core.accepting().is_err() {
            return None;
        }
        let mut open = lock(&self.open);
        let folds = open.by_session.get(&who.session).map_or(&[][..], Vec::as_slice);
        if let Some(fold) = folds.iter().find(|fold| fold.takes(permit, study)) {
            fold.note_patients(about.patients.clone());
            return Some(Turn::Joins(Member { fold: Arc::clone(fold) }));
        }
        if open.count >= FOLDS_MAX.min(batch.core.open_max / FOLDS_SHARE) {
            return None;
        }
        let fold = Arc::new(Fold::new(permit, about, study, batch));
        open.by_session.entry(who.session).or_default().push(Arc::clone(&fold));
        open.count += 1;
        Some(Turn::Opens(Opening { fold, is_open: false }))
    }

    /// Lets nobody join the records of a session any more.
    pub(crate) fn end_session(&self, session: SessionId) {
        let ended = {
            let mut open = lock(&self.open);
            let ended = open.by_session.remove(&session).unwrap_or_default();
            open.count = open.count.saturating_sub(ended.len());
            ended
        };
        // Here and below: what is dropped writes its closing line, which takes another lock.
        drop(ended);
    }

    /// Lets nobody join the records that a fact speaks against: of its session, or of all its device or person has.
    pub(crate) fn heed(&self, note: &Note) {
        match (note.session, &note.device, &note.user) {
            (Some(session), _, _) => self.end_session(session),
            (None, None, None) => {}
            (None, device, user) => self.end_where(|access| {
                let of_device = access.device.as_ref().is_some_and(|one| Some(&one.id) == device.as_ref());
                of_device || access.who.as_ref().is_some_and(|who| Some(&who.user) == user.as_ref())
            }),
        }
    }

    /// Lets nobody join records that took others in for long enough, or that began in the future of a clock that was
    /// set back.
    pub(crate) fn expire(&self, now: Timestamp) {
        self.end_where(|access| !is_within(access.at, now));
    }

    /// Lets nobody join any record.
    pub(crate) fn end_all(&self) {
        self.end_where(|_| true);
    }

    fn end_where(&self, ends: impl Fn(&Access) -> bool) {
        let mut ended = Vec::new();
        let mut open = lock(&self.open);
        open.by_session.retain(|_, folds| {
            ended.extend(folds.extract_if(.., |fold| ends(&fold.access)));
            !folds.is_empty()
        });
        open.count = open.count.saturating_sub(ended.len());
        drop(open);
        drop(ended);
    }

    fn end(&self, fold: &Arc<Fold>) {
        let Some(who) = &fold.access.who else { return };
        let mut open = lock(&self.open);
        let Some(folds) = open.by_session.get_mut(&who.session) else { return };
        let before = folds.len();
        // The caller holds one as well, so nothing is dropped here.
        folds.retain(|one| !Arc::ptr_eq(one, fold));
        let (gone, is_empty) = (before - folds.len(), folds.is_empty());
        if is_empty {
            open.by_session.remove(&who.session);
        }
        open.count = open.count.saturating_sub(gone);
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        lock(&self.open).count
    }
}

/// Whether a request at `now` may join a record that began at `begun`.
fn is_within(begun: Timestamp, now: Timestamp) -> bool {
    begun <= now && now.since(begun) < SPAN
}

impl Fold {
    fn new(permit: &Permit, about: About<'_>, study: &str, batch: &Arc<Batch>) -> Self {
        let outcome = Outcome {
            status: None,
            end: End::Served,
            bytes_in: 0,
            bytes_out: 0,
            duration: Duration::ZERO,
            patients: None,
            said: None,
        };
        Self {
            access: permit.access().clone(),
            rule: permit.rule().clone(),
            revision: permit.revision().clone(),
            study: study.into(),
            patients: about.patients.clone(),
            batch: Arc::clone(batch),
            opened: Round::default(),
            owed: Mutex::default(),
            sum: Mutex::new(Sum { requests: 0, outcome }),
        }
    }

    /// Whether a request is told truly by this record: it differs from the first in nothing but time, path and id.
    fn takes(&self, permit: &Permit, study: &str) -> bool {
        let (one, other) = (&self.access, permit.access());
        let same_who = matches!((&one.who, &other.who), (Some(one), Some(other)) if Arc::ptr_eq(one, other));
        let same_device = match (&one.device, &other.device) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        *self.study == *study
            && is_within(one.at, other.at)
            && same_who
            && same_device
            && (&self.rule, &self.revision) == (permit.rule(), permit.revision())
            && (&one.app, &one.host, &one.from) == (&other.app, &other.host, &other.from)
            && (one.action, &one.class, &one.method) == (other.action, &other.class, &other.method)
    }

    /// Adds whom a request names that the opening line does not.
    fn note_patients(&self, patients: Patients) {
        let more = patients.beyond(&self.patients);
        if more.is_empty() {
            return;
        }
        let mut sum = lock(&self.sum);
        sum.outcome.patients.get_or_insert_default().add(more, PATIENTS_LISTED_MAX);
    }

    fn add(&self, outcome: &Outcome) {
        if let Some(patients) = &outcome.patients {
            self.note_patients((**patients).clone());
        }
        let span = self.batch.core.clock.now().since(self.access.at);
        let mut sum = lock(&self.sum);
        sum.requests += 1;
        let is_better = sum.requests == 1 || standing(outcome) > standing(&sum.outcome);
        let all = &mut sum.outcome;
        if is_better {
            (all.status, all.end) = (outcome.status, outcome.end);
        }
        all.bytes_in = all.bytes_in.saturating_add(outcome.bytes_in);
        all.bytes_out = all.bytes_out.saturating_add(outcome.bytes_out);
        all.duration = all.duration.max(span);
    }
}

/// How much of the study an outcome showed: what a person saw is what the record of all says, also where one of four
/// hundred pictures was not there.
fn standing(outcome: &Outcome) -> u8 {
    // What is unchanged (304) is shown as well.
    let is_shown = outcome.status.is_some_and(|status| matches!(status, 200..=299 | 304));
    match (is_shown, outcome.end == End::Served) {
        (true, true) => 3,
        (true, false) => 2,
        (false, true) => 1,
        (false, false) => 0,
    }
}

impl Drop for Fold {
    fn drop(&mut self) {
        let Some((slot, opened)) = lock(&self.owed).take() else { return };
        let at = self.batch.core.clock.now();
        let sum = lock(&self.sum);
        let closing = Closing { opened, _slot: slot };
        self.batch.close(closing, |out| {
            line::closing(out, at, self.access.request, &sum.outcome, Some(sum.requests));
        });
    }
}

impl Opening {
    /// The record is open: its closing line is owed from now on, and others may join.
    pub(crate) fn opened(mut self, owed: (Held, Opened), place: Place) -> Member {
        *lock(&self.fold.owed) = Some(owed);
        self.is_open = true;
        self.fold.opened.finish(Ok(place));
        Member { fold: Arc::clone(&self.fold) }
    }
}

impl Drop for Opening {
    /// Whoever waited to join is told that there is nothing to join.
    fn drop(&mut self) {
        if !self.is_open {
            self.fold.batch.core.folds.end(&self.fold);
            self.fold.opened.finish(Err(LogProblem::Stopped));
        }
    }
}

impl Member {
    /// Waits until the opening line is kept.
    ///
    /// # Errors
    /// It could not be: the request needs a record of its own.
    pub(crate) async fn opened(&self) -> Result<(), LogProblem> {
        self.fold.opened.wait().await.map(|_| ())
    }

    /// Adds how the request ended.
    pub(crate) fn close(self, outcome: &Outcome) {
        self.fold.add(outcome);
        if matches!(outcome.end, End::Revoked(_)) {
            self.fold.batch.core.folds.end(&self.fold);
        }
    }
}

#[cfg(test)]
mod tests;
