//! People, devices, sessions and started ceremonies.
//!
//! One trait, one conformance suite, SQLite embedded by default. Deliberately not here: the access log (audit), and
//! any judgment about what a row means (identity).

mod model;

pub use model::*;
