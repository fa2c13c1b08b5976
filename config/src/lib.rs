//! `sekimori.toml` to [`Config`], or every problem at once, with line, key, reason and remedy.
//!
//! Deliberately not here: certificates (certs reads them) and anything that changes while the gateway runs.

mod model;

pub use model::*;
