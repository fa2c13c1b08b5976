//! The real gateway, started from a file as an operator starts it, with real parts around it. One module a theme; each
//! test is a sentence about what must hold, what must fail first.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail loudly, helpers outside of test functions too, and dial the gateway"
)]

mod acme;
mod admission;
mod assertion;
mod audit_log;
mod auditor;
mod axe;
mod backchannel;
mod backup;
mod balancer;
mod browser;
mod bulk;
mod caps;
mod certificate;
mod change;
mod chart;
mod check;
mod connect;
mod console;
mod cookie;
mod coverage;
mod crash;
mod crowd;
mod damage;
mod dashboards;
mod deadline;
mod diagnostics;
mod est;
mod fair;
mod fault;
mod faults;
mod feed;
mod finding;
mod first_app;
mod full_disk;
mod glass;
mod grant;
mod handing_over;
mod haproxy;
mod hardship;
mod header;
mod hour;
mod house;
mod info_class;
mod judges;
mod kept_back;
mod lists;
mod log_keys;
mod maintenance;
mod nodes;
mod notices;
mod oidc_negative;
mod operations;
mod outage;
mod package;
mod pacs;
mod pair;
mod passkey;
mod peers;
mod people;
mod policy_page;
mod postgres;
mod posture;
mod prove;
mod reading;
mod readme;
mod recording;
mod refresh;
mod release;
mod reload;
mod reload_large;
mod restart;
mod revocation;
mod rolling;
mod samples;
mod shell;
mod shield;
mod sign_in;
mod smuggling;
mod stream;
mod stream_facts;
mod terminal;
mod tracing;
mod trying;
mod upstream;
mod ward;
mod webauthn_negative;
mod who_saw;
