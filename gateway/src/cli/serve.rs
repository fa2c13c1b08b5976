//! `sekimori serve`.

use crate::assembly::{self, Source};
use crate::cli::{ConfigArg, log};
use crate::failure::Failure;

/// How much is logged where the configuration cannot be read.
const LOG_FILTER: &str = "info";

/// Serves until told to stop.
pub fn run(args: &ConfigArg) -> Result<(), Failure> {
    // A configuration that cannot be used may have a better one before it: that is told in a log of the usual kind.
    let filter = args.read().map_or_else(|_| LOG_FILTER.to_owned(), |config| config.operations.log_filter);
    let diagnostics = log::start(&filter)?;
    assembly::serve(Source::File(args.config.clone()), &diagnostics, |config| {
        for listener in &config.listeners {
            tracing::info!(listener = listener.name, address = %listener.address, zone = %listener.zone, "listening");
        }
        tracing::info!(revision = %config.revision, portal = config.origin(&config.portal_host), "serving");
    })
}
