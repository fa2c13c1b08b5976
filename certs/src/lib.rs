//! Server certificates by name, device client certificates, and the small device CA.
//!
//! Everything TLS needs to know who is who, as values that the gateway hands to rustls. Deliberately not here:
//! sockets (gateway), which device may do what (policy), and which certificates are revoked (the ledger in store,
//! asked on every request by identity, because TLS resumption does not verify a certificate again).

mod der;
mod device_ca;
mod files;
mod listener;
mod pkcs12;
mod problem;
mod provider;
mod roots;
mod server;
mod server_ca;
mod signing;
#[cfg(test)]
mod testing;
mod upstream;

pub use der::fingerprint;
pub use device_ca::{DeviceCa, IssuedDevice};
pub use listener::server_config;
pub use pkcs12::{PASSWORD_CHARACTERS_MIN, pkcs12, pkcs12_for_older_systems};
pub use problem::CertProblem;
pub use roots::DeviceRoots;
pub use server::ServerCertificates;
pub use server_ca::{IssuedServer, ServerCa};
pub use upstream::upstream_config;
