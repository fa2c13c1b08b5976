//! People and their keys, invitations, devices, sessions and started ceremonies.
//!
//! One trait, one conformance suite, SQLite embedded by default, PostgreSQL where several nodes share one store. Every rule
//! is written once, for both. Deliberately not here: the access log (audit), and
//! any judgment about what a row means (identity).

mod answers;
mod conditions;
#[expect(clippy::indexing_slicing, reason = "whatever goes wrong in the suite ends it")]
pub mod conformance;
mod lane;
mod model;
mod moving;
mod postgres;
mod relational;
mod rows;
mod sql;
mod sqlite;
mod statements;
mod tables;

pub use model::*;
pub use moving::{Alone, MoveProblem, TableSum, move_all, sums};
pub use postgres::{Connector, Postgres, PostgresLogin, Stream};
pub use sqlite::{SCHEMA_VERSION, Sqlite, look_at_snapshot, snapshot};
