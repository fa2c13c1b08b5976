//! The gateway: listen, TLS, HTTP, route, serve, upstreams; assembly; the command line.
//!
//! The request's way stands in one function, [`serve::serve`]; start there. Deliberately not here: who may do what
//! (policy), who is asking (identity), what is kept of it (audit), what people see (web).

mod assembly;
mod body;
mod caps;
pub mod cli;
mod client_body;
mod clock;
mod connect;
mod connection;
mod demo;
mod denials;
mod device_issuer;
mod exchange;
mod failure;
mod feed;
mod fetch;
mod finding;
mod gate;
mod glass;
mod head;
mod headers;
mod http;
mod http1;
mod inbound;
mod key_deed;
mod late;
mod limit;
mod listen;
mod lists;
mod metrics;
mod notices;
mod operations;
mod pages;
mod patients;
mod record;
mod refuse;
mod reload;
mod nodes;
mod revisions;
mod route;
mod serve;
mod settings;
mod shadow;
mod shield;
mod slots;
mod snapshot;
mod switch;
mod terminal;
mod tls;
mod tunnel;
mod upkeep;
mod upstream;
mod vitals;
mod worker;
