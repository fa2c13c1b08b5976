//! The little hospital of `sekimori demo`: an OpenID provider, an EMR and a receipt computer, all invented, all on
//! loopback. Started by `sekimori demo` and by nothing else; the gateway in front of them is the real one.

pub mod emr;
pub mod hospital;
pub mod idp;
pub mod orca;
pub mod people;

mod answer;
mod asked;
mod door;
mod language;
mod page;
mod patients;
