//! From one process to the next without a refused connection: the listening sockets stay open, and one log has one writer
//! at every moment.
//!
//! The order (docs/decisions/0052): the next process reads and opens everything that can go wrong, says that it is ready
//! and waits ([`turn`]); only then does this one stop accepting, let what is open finish ([`crate::drain`]) and close the
//! log; then the next one opens it and accepts. Connections that come meanwhile wait in the sockets, which both hold. A
//! next process that fails, at whatever point, is ended, and this one goes on ([`successor`]). systemd keeps the sockets
//! too ([`systemd`]), so that a restart and a crash refuse nobody either.

mod channel;
mod sockets;
mod successor;
pub mod systemd;
mod turn;

pub use sockets::{Found, Sockets};
pub use successor::{Program, Successor};
pub use turn::{Turn, entered};
