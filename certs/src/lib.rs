//! Server certificates by name, device client certificates, and the small device CA.
//!
//! Everything TLS needs to know who is who, as values that the gateway hands to rustls. Deliberately not here:
//! sockets (gateway), which device may do what (policy), and which devices the institution has revoked (the ledger in
//! store, asked on every request by identity, because TLS resumption does not verify a certificate again).

mod acme;
mod asn1;
mod certificate;
mod crl;
mod der;
mod device_ca;
pub mod est;
mod files;
mod listener;
mod mobileconfig;
mod node;
mod node_ca;
mod pem;
mod pkcs12;
mod points;
mod problem;
mod provider;
mod refusal;
mod request;
mod roots;
mod sealed;
mod server;
mod server_ca;
mod shown;
mod signing;
#[cfg(test)]
mod testing;
mod upstream;

pub use acme::{ACME_PROTOCOL, ServerRequest, server_request};
pub use certificate::DeviceCertificate;
pub use crl::{Crl, CrlProblem};
pub use der::fingerprint;
pub use device_ca::{DeviceCa, IssuedDevice};
pub use listener::server_config;
pub use mobileconfig::{MOBILECONFIG_TYPE, Profile, mobileconfig};
pub use node::{NodeTls, names_node};
pub use node_ca::NodeCa;
pub use pkcs12::{PASSWORD_CHARACTERS_MIN, pkcs12, pkcs12_for_older_systems};
pub use problem::CertProblem;
pub use refusal::Refusal;
pub use request::{DeviceRequest, REQUEST_BYTES_MAX, RequestProblem};
pub use roots::{CrlState, DeviceRoots};
pub use sealed::{SealProblem, read_sealed_key};
pub use server::{Life, ServerCertificates};
pub use server_ca::{IssuedServer, ServerCa};
pub use shown::Shown;
pub use upstream::upstream_config;
