//! The harness of the tests across crates: a whole little hospital with the real gateway in the middle.
//!
//! [`Hospital`] starts the program as an operator would, from a file; [`Upstream`] stands for the apps behind it,
//! [`Caller`] for the devices in front of it, [`Idp`] is a real OpenID provider, [`Browser`] a real browser, [`Pacs`]
//! a real picture archive and [`Receiver`] a real rsyslog. Deliberately not here: any test, and anything that reaches
//! into the gateway's memory.
#![expect(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a harness fails loudly, and dials the gateway from outside"
)]

mod answer;
mod authenticator;
mod authority;
mod body;
mod browser;
mod caller;
mod carrier;
mod collector;
pub mod connector;
mod database;
mod device;
mod folder;
mod gauge;
mod hospital;
mod idp;
mod inbox;
mod jar;
mod loopback;
pub mod pacs;
mod pebble;
mod person;
mod plan;
mod program;
mod raw;
mod receiver;
mod record;
mod rotel;
mod session;
mod surroundings;
mod upstream;
mod wait;
mod websocket;

pub use answer::Answer;
pub use authenticator::{Authenticator, Manner};
pub use authority::{Authority, ClientAuthority, chain_and_key, make_private, now};
pub use body::{Payload, empty, fed, filled, full};
pub use browser::Browser;
pub use caller::{Ask, Caller, Http1, Http2};
pub use collector::Collector;
pub use database::Database;
pub use device::Device;
pub use folder::Folder;
pub use gauge::resident_bytes;
pub use hospital::Hospital;
pub use idp::Idp;
pub use inbox::{Call, Inbox, Mail};
pub use jar::Jar;
pub use loopback::Loopback;
pub use pacs::Pacs;
pub use pebble::{ACCOUNT_KEY, Pebble};
pub use person::Person;
pub use plan::Plan;
pub use program::{Run, run, sekimori, sekimori_before};
pub use raw::RawUpstream;
pub use receiver::Receiver;
pub use record::Records;
pub use rotel::Rotel;
pub use session::Session;
pub use surroundings::Surroundings;
pub use upstream::{FORM, Seen, Upstream};
pub use wait::{eventually, eventually_in, within};
pub use websocket::{Frame, WebSocket, accept_key};
