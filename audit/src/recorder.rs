//! The door of the log: one recorder per worker.

use std::future::Future;
use std::sync::Arc;

use config::OnLogFailure;
use policy::{Authorized, Durability, Patients, Permit, Refused};

use crate::batch::Batch;
use crate::bundle::{Kind, Opened};
use crate::core::Core;
use crate::fold::{Opening, Turn};
use crate::held::Held;
use crate::log::Running;
use crate::people::People;
use crate::receipt::Open;
use crate::{About, Admitted, LogProblem, Note, Receipt, Unrecorded, line};

/// Records accesses; one per worker thread, clones share its batch.
#[derive(Clone, Debug)]
pub struct Recorder {
    worker: Arc<Worker>,
}

/// What a recorder and its receipts hold on to.
#[derive(Debug)]
pub(crate) struct Worker {
    // Before `running`: what waits is written before the log can stop.
    batch: Arc<Batch>,
    _running: Arc<Running>,
}

impl Worker {
    pub(crate) fn core(&self) -> &Core {
        &self.batch.core
    }

    pub(crate) fn batch(&self) -> &Batch {
        &self.batch
    }
}

impl Recorder {
    pub(crate) fn new(core: Arc<Core>, running: Arc<Running>) -> Self {
        Self { worker: Arc::new(Worker { batch: Batch::new(core), _running: running }) }
    }

    /// Writes the opening line of an access, waits until it is kept as the permit asks, and hands out the act.
    /// Dropping the future before it is done records the access as abandoned, where its line was written at all.
    ///
    /// # Errors
    /// [`Unrecorded`] where it could not be recorded: the act must not be done; answer 503.
    pub async fn admit<T>(
        &self,
        authorized: Authorized<T>,
        on_failure: OnLogFailure,
    ) -> Result<Admitted<T>, Unrecorded<T>> {
        self.admit_about(authorized, on_failure, None).await
    }

    /// The same, of an access of which is known whom it is about. Where its study is named as folded, the access may
    /// join the record of another that is on file already.
    ///
    /// # Errors
    /// [`Unrecorded`] where it could not be recorded: the act must not be done; answer 503.
    pub async fn admit_about<T>(
        &self,
        authorized: Authorized<T>,
        on_failure: OnLogFailure,
        about: Option<About<'_>>,
    ) -> Result<Admitted<T>, Unrecorded<T>> {
        let (permit, act) = take_apart(authorized);
        let patients = about.map(|about| about.patients);
        let turn = about.and_then(|about| self.worker.core().folds.turn(&permit, about, &self.worker.batch));
        let opening = match turn {
            Some(Turn::Joins(member)) => match member.opened().await {
                Ok(()) => {
                    let receipt = Receipt::folded(permit, Arc::clone(&self.worker), member);
                    return Ok(Admitted::new(act, receipt));
                }
                // There is nothing to join after all.
                Err(_) => None,
            },
            Some(Turn::Opens(opening)) => Some(opening),
            None => None,
        };
        self.admit_alone((permit, act), on_failure, patients, opening).await
    }

    /// Writes an opening line for this access, which others may join where it is an `opening` for them.
    async fn admit_alone<T>(
        &self,
        (permit, act): (Box<Permit>, T),
        on_failure: OnLogFailure,
        patients: Option<&Patients>,
        opening: Option<Opening>,
    ) -> Result<Admitted<T>, Unrecorded<T>> {
        let core = self.worker.core();
        let Some(slot) = core.open.take(core.open_max) else {
            let problem = LogProblem::TooManyOpen { max: core.open_max };
            return Err(Unrecorded { permit, act, problem });
        };
        let encode = |out: &mut Vec<u8>, people: &mut People| line::opening(out, people, &permit, patients);
        let failed = match self.worker.batch.join(Kind::Opening, encode) {
            Ok(ticket) => {
                let open = Open::new(Arc::clone(&self.worker), &permit, slot, Opened::In(ticket.round()));
                let receipt = Receipt::new(permit, open);
                let durability = receipt.permit().durability();
                match ticket.written().await {
                    Ok(place) => match self.kept(durability, place.end).await {
                        Ok(()) => {
                            let receipt = match opening {
                                Some(opening) => receipt.shared(opening, place),
                                None => receipt,
                            };
                            return Ok(Admitted::new(act, receipt));
                        }
                        // The opening is written, if not for sure on disk: dropping the receipt closes it.
                        Err(problem) => (receipt.into_permit().0, core.open.take(core.open_max), problem),
                    },
                    Err(problem) => {
                        let (permit, open) = receipt.into_permit();
                        (permit, open.and_then(Open::forget), problem)
                    }
                }
            }
            Err(problem) => (permit, Some(slot), problem),
        };
        drop(opening);
        self.spool_or_give_back(failed, act, on_failure, patients)
    }

    /// Waits until lines before `end` are kept as surely as asked.
    async fn kept(&self, durability: Durability, end: u64) -> Result<(), LogProblem> {
        match durability {
            Durability::Written => Ok(()),
            Durability::Synced => self.worker.batch.synced(end).await,
        }
    }

    /// The log cannot take the opening line: it goes to the emergency spool where the app is configured so.
    fn spool_or_give_back<T>(
        &self,
        (permit, slot, problem): (Box<Permit>, Option<Held>, LogProblem),
        act: T,
        on_failure: OnLogFailure,
        patients: Option<&Patients>,
    ) -> Result<Admitted<T>, Unrecorded<T>> {
        match on_failure {
            OnLogFailure::Refuse => return Err(Unrecorded { permit, act, problem }),
            OnLogFailure::Spool => {}
        }
        let core = self.worker.core();
        let (Some(slot), Some(spooled)) = (slot, core.spooled.take(core.open_max)) else {
            return Err(Unrecorded { permit, act, problem });
        };
        match self.spool(problem, |out| line::opening(out, &mut People::default(), &permit, patients)) {
            Err(problem) => Err(Unrecorded { permit, act, problem }),
            Ok(()) => {
                let open = Open::new(Arc::clone(&self.worker), &permit, slot, Opened::Spooled { _held: spooled });
                Ok(Admitted::new(act, Receipt::new(permit, open)))
            }
        }
    }

    /// Writes a line to the emergency spool, because the log had `problem`.
    fn spool(&self, problem: LogProblem, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), LogProblem> {
        let core = self.worker.core();
        if core.is_stopping() || matches!(problem, LogProblem::LineTooLong { .. }) {
            return Err(problem);
        }
        let mut body = Vec::new();
        encode(&mut body);
        core.spool_line(&body).unwrap_or(Err(problem))
    }

    /// Records an access that was refused, and waits until it is on disk.
    ///
    /// # Errors
    /// [`LogProblem`] where it could not be recorded; the access stays refused.
    pub fn refuse<'a, T>(
        &'a self,
        refused: &Refused<T>,
        status: u16,
    ) -> impl Future<Output = Result<(), LogProblem>> + Send + use<'a, T> {
        self.refuse_about(refused, status, None)
    }

    /// The same, of an access of which is known whom it is about.
    ///
    /// # Errors
    /// [`LogProblem`] where it could not be recorded; the access stays refused.
    pub fn refuse_about<'a, T>(
        &'a self,
        refused: &Refused<T>,
        status: u16,
        patients: Option<&Patients>,
    ) -> impl Future<Output = Result<(), LogProblem>> + Send + use<'a, T> {
        if let Some(who) = &refused.access.who {
            self.worker.core().folds.end_session(who.session);
        }
        let mut body = Vec::with_capacity(512);
        line::refused(&mut body, refused, status, patients);
        self.fact(body)
    }

    /// Records a fact, and waits until it is on disk.
    ///
    /// # Errors
    /// [`LogProblem`] where it could not be recorded.
    pub async fn note(&self, note: Note) -> Result<(), LogProblem> {
        self.worker.core().folds.heed(&note);
        let mut body = Vec::with_capacity(256);
        line::note(&mut body, &note);
        self.fact(body).await
    }

    async fn fact(&self, body: Vec<u8>) -> Result<(), LogProblem> {
        let kept = match self.worker.batch.join(Kind::Fact, |out, _| out.extend_from_slice(&body)) {
            Err(problem) => Err(problem),
            Ok(ticket) => match ticket.written().await {
                Ok(place) => self.kept(Durability::Synced, place.end).await,
                Err(problem) => Err(problem),
            },
        };
        kept.or_else(|problem| self.spool(problem, |out| out.extend_from_slice(&body)))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where an authorized act is opened: to record it")]
fn take_apart<T>(authorized: Authorized<T>) -> (Box<Permit>, T) {
    authorized.open()
}
