//! Bounds on everything a stranger can send.

use std::time::Duration;

/// Bounds on everything a stranger can send. Names say the unit.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Open connections, all listeners together.
    pub connections_max: usize,
    /// Open connections from one address (IPv6: one /64).
    pub connections_per_address_max: usize,
    /// From accept to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// From the first byte of a request to the end of its head.
    pub head_timeout: Duration,
    /// Size of a request head.
    pub head_bytes_max: usize,
    /// Number of header fields.
    pub headers_max: usize,
    /// A connection without a request is closed after this.
    pub keep_alive_timeout: Duration,
    /// A body that stands still is cut after this.
    pub body_idle_timeout: Duration,
    /// Streams of one HTTP/2 connection.
    pub streams_max: u32,
    /// Until a TCP and TLS connection to an upstream stands.
    pub connect_timeout: Duration,
    /// Requests a second from one address, signed in or not; bursts of ten times as many.
    pub requests_per_second_address: u32,
    /// Requests a second of one account; bursts of ten times as many.
    pub requests_per_second_account: u32,
    /// Requests to apps that one account may have open at once.
    pub requests_open_max_account: usize,
    /// How long a request may wait for its turn before strangers are turned away.
    pub queue_delay_max: Duration,
    /// Sign-in attempts a minute from one address.
    pub sign_ins_per_minute_address: u32,
    /// How long open requests may go on when the gateway stops.
    pub drain_timeout: Duration,
    /// How long they may go on when another process of the gateway takes over. New connections wait so long, at most.
    pub handover_timeout: Duration,
    /// For how long the gateway says that it stops, and still takes connections, so that a balancer looks elsewhere.
    pub balancer_notice: Duration,
    /// Threads that serve requests.
    pub workers: usize,
}
