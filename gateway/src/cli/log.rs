//! The diagnostic log: structured JSON lines on standard error. It is not the access log: it may be lost.

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use crate::clock;
use crate::failure::Failure;
use crate::telemetry::Diagnostics;

/// Starts the diagnostic log, and gives what holds it for a collector.
///
/// # Errors
/// A filter that cannot be read.
pub fn start(filter: &str) -> Result<Diagnostics, Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::input(format!("[operations] log: `{filter}` is not a filter: {error}; try `info`"))
    })?;
    let lines = fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(std::io::stderr);
    let diagnostics = Diagnostics::new(clock::real());
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .with(diagnostics.ear())
        .try_init()
        .map_err(|error| Failure::fault(format!("the diagnostic log could not start: {error}")))?;
    Ok(diagnostics)
}
