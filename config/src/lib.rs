//! `sekimori.toml` to [`Config`], or every problem at once, with line, key, reason and remedy.
//!
//! [`read`] reads the file and what it names; `section` has a file for each section; `walk` goes over the document and
//! keeps the places. Deliberately not here: certificates (certs reads them) and anything that changes while the
//! gateway runs.

mod declared;
mod files;
mod load;
mod model;
mod problem;
mod secret;
mod section;
mod shield;
mod template;
#[cfg(test)]
mod tests;
mod walk;

pub use files::is_open_to_others;
pub use load::{STATE_DIR, parse, parse_with, read, state_dir_of};
pub use model::*;
pub use problem::{Problem, Problems};
pub use secret::Secret;
pub use shield::{ContentType, Downloads, Shield};
pub use template::{Template, template};
