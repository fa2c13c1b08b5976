//! People and their keys, invitations, devices, sessions and started ceremonies.
//!
//! One trait, one conformance suite, SQLite embedded by default. Deliberately not here: the access log (audit), and
//! any judgment about what a row means (identity).

#[expect(clippy::indexing_slicing, reason = "whatever goes wrong in the suite ends it")]
pub mod conformance;
mod model;
mod sqlite;

pub use model::*;
pub use sqlite::Sqlite;
