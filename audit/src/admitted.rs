//! The proof that an access is on record, and what is left when it could not be.

use policy::Permit;

use crate::{LogProblem, Receipt};

/// An act that was allowed and recorded. Only this can be forwarded.
#[derive(Debug)]
#[must_use = "an admitted act that is dropped is recorded as abandoned"]
pub struct Admitted<T> {
    act: T,
    receipt: Receipt,
}

impl<T> Admitted<T> {
    pub(crate) fn new(act: T, receipt: Receipt) -> Self {
        Self { act, receipt }
    }

    /// What was allowed.
    #[must_use]
    pub fn permit(&self) -> &Permit {
        self.receipt.permit()
    }

    /// Takes it apart: the act, and the receipt that must be closed when the act has ended.
    pub fn open(self) -> (T, Receipt) {
        (self.act, self.receipt)
    }
}

/// An act that was allowed but could not be recorded: it must not be done. Answer 503.
#[derive(Debug)]
pub struct Unrecorded<T> {
    /// What was allowed.
    pub permit: Box<Permit>,
    /// What was asked for, handed back for the answer.
    pub act: T,
    /// Why it could not be recorded.
    pub problem: LogProblem,
}
