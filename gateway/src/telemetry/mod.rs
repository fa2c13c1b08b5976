//! How requests went, told to the hospital's own collector (OTLP over HTTP, in JSON): from the handshake to the app's
//! answer, with the time each step took. One in so many requests is traced, the others pay nothing for it. Beside them what
//! the diagnostic log says, from the severity on that the configuration names.
//!
//! Deliberately not here: who asked, for whom, and what for. A span names the app, the pattern of its route as the
//! configuration writes it, the result and times; never a path, a query, a name, a device or a patient. Traces are for
//! finding what is slow; what was done stands in the access log, of which no line comes this way. A collector that is away
//! costs nobody anything: what it does not take is dropped and counted.

mod collector;
mod diagnostics;
mod otlp;
mod parent;
mod sender;
mod trace;

pub use collector::Collector;
pub use diagnostics::Diagnostics;
pub use parent::TRACEPARENT;
pub use sender::{LogTeller, follow};
pub use trace::{Handshake, Step, StepName, Trace, Traces};
