//! The receipt of one open access.

use std::sync::Arc;

use policy::{Permit, RequestId, Timestamp};

use crate::bundle::{Closing, Opened};
use crate::fold::{Member, Opening};
use crate::held::Held;
use crate::recorder::Worker;
use crate::round::Place;
use crate::{End, Outcome, line};

/// One open access: closing it writes its closing line; dropping it writes that it was abandoned.
#[derive(Debug)]
#[must_use = "a receipt that is dropped records the access as abandoned"]
pub struct Receipt {
    permit: Box<Permit>,
    part: Part,
}

/// What closing means.
#[derive(Debug)]
enum Part {
    /// A closing line of its own.
    Own(Open),
    /// A part in the record of several.
    Folded(Share),
}

impl Receipt {
    pub(crate) fn new(permit: Box<Permit>, open: Open) -> Self {
        Self { permit, part: Part::Own(open) }
    }

    /// The receipt of an access that joined the record of another.
    pub(crate) fn folded(permit: Box<Permit>, worker: Arc<Worker>, member: Member) -> Self {
        let at = permit.access().at;
        Self { permit, part: Part::Folded(Share { worker, at, member: Some(member) }) }
    }

    /// The receipt of the access whose opening line is open to others, where that line is in the log.
    pub(crate) fn shared(self, opening: Opening, place: Place) -> Self {
        let Self { permit, part } = self;
        match part {
            Part::Own(mut open) => match open.owed.take() {
                Some(owed) => {
                    let worker = Arc::clone(&open.worker);
                    Self::folded(permit, worker, opening.opened(owed, place))
                }
                None => Self { permit, part: Part::Own(open) },
            },
            Part::Folded(share) => Self { permit, part: Part::Folded(share) },
        }
    }

    /// The permit, and the closing line that is owed.
    pub(crate) fn into_permit(self) -> (Box<Permit>, Option<Open>) {
        match self.part {
            Part::Own(open) => (self.permit, Some(open)),
            Part::Folded(_) => (self.permit, None),
        }
    }

    /// What was allowed.
    #[must_use]
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// Writes how the access ended. It does not wait: the line joins the worker's next batch, within 20 ms.
    pub fn close(self, outcome: Outcome) {
        match self.part {
            Part::Own(mut open) => open.close(&outcome),
            Part::Folded(mut share) => share.close(&outcome),
        }
    }
}

/// The part of one access in the record of several.
#[derive(Debug)]
struct Share {
    /// Held, so that the log does not stop before its closing line.
    worker: Arc<Worker>,
    at: Timestamp,
    member: Option<Member>,
}

impl Share {
    fn close(&mut self, outcome: &Outcome) {
        if let Some(member) = self.member.take() {
            member.close(outcome);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.member.is_some() {
            self.close(&abandoned(&self.worker, self.at));
        }
    }
}

/// How an access ended of which nobody said so.
fn abandoned(worker: &Worker, begun: Timestamp) -> Outcome {
    let duration = worker.core().clock.now().since(begun);
    Outcome { status: None, end: End::Abandoned, bytes_in: 0, bytes_out: 0, duration, patients: None, said: None }
}

/// An access whose closing line is owed.
#[derive(Debug)]
pub(crate) struct Open {
    worker: Arc<Worker>,
    id: RequestId,
    at: Timestamp,
    owed: Option<(Held, Opened)>,
}

impl Open {
    pub(crate) fn new(worker: Arc<Worker>, permit: &Permit, slot: Held, opened: Opened) -> Self {
        let access = permit.access();
        Self { worker, id: access.request, at: access.at, owed: Some((slot, opened)) }
    }

    /// Owes nothing: the opening was not written.
    pub(crate) fn forget(mut self) -> Option<Held> {
        self.owed.take().map(|(slot, _)| slot)
    }

    fn close(&mut self, outcome: &Outcome) {
        let Some((slot, opened)) = self.owed.take() else { return };
        // Whoever asked is gone, and the opening was not written: there is nothing to close.
        if matches!(&opened, Opened::In(round) if round.failed()) {
            return;
        }
        let at = self.worker.core().clock.now();
        let closing = Closing { opened, _slot: slot };
        self.worker.batch().close(closing, |out| line::closing(out, at, self.id, outcome, None));
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.owed.is_some() {
            self.close(&abandoned(&self.worker, self.at));
        }
    }
}
