//! The administration console: people, invitations, devices, sessions, posture, outages, and who did what.
//!
//! The policy lets in whoever has a part in it (administrator, help desk, auditor); what each of them may do to which
//! object is decided here, before anything is looked up or changed. Deliberately not here: how a change is made
//! (identity, store) and how it is recorded (the store's events, which the gateway writes to the log).

mod route;

pub(crate) use route::TABLE;
pub use route::{ConsolePage, Duty, TABLE as CONSOLE_TABLE};

use crate::site::Answer;
use crate::{Fault, PageRequest, Site};

impl Site {
    /// Answers a page of the console.
    #[expect(clippy::unused_async, clippy::unused_self, reason = "the pages follow")]
    pub(crate) async fn console(&self, _page: ConsolePage, _request: &PageRequest) -> Answer {
        Err(Fault::NotFound)
    }
}
