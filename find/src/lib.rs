//! Finding in the access log: who saw this patient, what did this person do, how many were refused, and when.
//!
//! An [`Index`] follows the log in a thread of its own and keeps, for every access and every fact, what is asked about
//! and the numbers of its lines; the lines themselves stay in the log and are read there. It holds nothing that the
//! log does not, so it may be thrown away and built again at any time. Stories gather in a [draft](draft) in memory and go into
//! files ([sheets](sheet)) that are never changed; what a crash takes of the draft is read in the log again. Deliberately not
//! here: reading lines (audit), putting them into words (web), and who may ask (policy).

mod address;
mod answer;
mod ask;
mod bits;
mod calendar;
mod clauses;
mod count;
mod cursor;
mod deadline;
mod derived;
mod draft;
mod fields;
mod follow;
mod index;
mod leaf;
mod names;
mod pen;
mod problem;
mod question;
mod sheet;
mod shelf;
mod sieve;
mod story;
mod tally;
#[cfg(test)]
mod trials;
mod waiting;
mod words;

pub use address::Addresses;
pub use answer::{Answer, Bar, FoundAt, Lag, Place};
pub use calendar::Calendar;
pub use deadline::Deadline;
pub use follow::Follower;
pub use index::Index;
pub use problem::FindProblem;
pub use question::{By, Order, Question};
