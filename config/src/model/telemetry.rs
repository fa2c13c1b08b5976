//! Where traces of requests go.

use std::num::NonZeroU64;
use std::path::PathBuf;

use crate::Upstream;

/// A collector that is told how requests went (OTLP over HTTP).
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
}
