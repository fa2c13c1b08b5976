//! The receipt of one open access.

use std::sync::Arc;

use policy::{Permit, RequestId, Timestamp};

use crate::bundle::{Closing, Opened};
use crate::held::Held;
use crate::recorder::Worker;
use crate::{End, Outcome, line};

/// One open access: closing it writes its closing line; dropping it writes that it was abandoned.
#[derive(Debug)]
#[must_use = "a receipt that is dropped records the access as abandoned"]
pub struct Receipt {
    permit: Box<Permit>,
    open: Open,
}

impl Receipt {
    pub(crate) fn new(permit: Box<Permit>, open: Open) -> Self {
        Self { permit, open }
    }

    pub(crate) fn into_parts(self) -> (Box<Permit>, Open) {
        (self.permit, self.open)
    }

    /// What was allowed.
    #[must_use]
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// Writes how the access ended. It does not wait: the line joins the worker's next batch, within 20 ms.
    pub fn close(mut self, outcome: Outcome) {
        self.open.close(&outcome);
    }
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
        self.worker.batch().close(closing, |out| line::closing(out, at, self.id, outcome));
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.owed.is_some() {
            let duration = self.worker.core().clock.now().since(self.at);
            self.close(&Outcome { status: None, end: End::Abandoned, bytes_in: 0, bytes_out: 0, duration });
        }
    }
}
