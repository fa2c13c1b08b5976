//! The policy in words: who may do what as a sheet to read, print and sign, and why one access is answered as it is.
//!
//! One place for the console, for refusals and for the command line, so that a condition has the same words wherever it
//! is met. Deliberately not here: what the policy says ([`policy::Matrix`], [`policy::what_if`]).

mod csv;
mod document;
mod explained;
mod replayed;
mod rows;
#[cfg(test)]
mod tests;
mod text;
mod words;

pub use explained::{Explained, ExplainedRule};
pub use replayed::{REPLAY_BYTES_MAX, ReplayTable, ReplayText, Replayed};
pub use rows::{Sheet, SheetCell, SheetGroup, SheetLook, SheetNote, SheetRow, SheetTable, SheetTone};
pub use words::{PolicyWords, WordBook};
