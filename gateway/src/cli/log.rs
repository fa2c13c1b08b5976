//! The diagnostic log: structured JSON lines on standard error. It is not the access log: it may be lost.

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// Starts the diagnostic log.
///
/// # Errors
/// A filter that cannot be read.
pub fn start(filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::input(format!("[operations] log: `{filter}` is not a filter: {error}; try `info`"))
    })?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|error| Failure::fault(format!("the diagnostic log could not start: {error}")))
}
