//! Health, metrics and diagnostics.

use std::net::SocketAddr;

/// Health, metrics and diagnostics.
#[derive(Clone, Debug)]
pub struct Operations {
    /// Address of the listener for health and metrics; loopback by default.
    pub address: Option<SocketAddr>,
    /// Filter of the diagnostic log, such as `info` or `gateway=debug`.
    pub log_filter: String,
}
