//! Where traces of requests and the diagnostic log go.

use std::num::NonZeroU64;
use std::path::PathBuf;

use crate::Upstream;

/// A collector that is told how requests went, and what the diagnostic log says (OTLP over HTTP).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Telemetry {
    /// Where it is: `https`, or `http` on this machine.
    pub collector: Upstream,
    /// The CA of its certificate; those of the system where absent.
    pub ca_file: Option<PathBuf>,
    /// One in so many requests is traced.
    pub one_in: NonZeroU64,
    /// Whether a trace that a client began is gone on with.
    pub goes_on: bool,
    /// From which severity on the diagnostic log is told; none of it where absent.
    pub logs: Option<Severity>,
}

/// How grave a record of the diagnostic log is; what is graver is less.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// A thing to act on now.
    Error,
    /// A thing to act on this week.
    Warning,
    /// A change that an operator would want to see.
    Info,
}
