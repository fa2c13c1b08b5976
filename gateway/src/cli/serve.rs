//! `sekimori serve`.

use crate::assembly::{self, Source};
use crate::cli::{ConfigArg, log};
use crate::failure::Failure;

/// Serves until told to stop.
pub fn run(args: &ConfigArg) -> Result<(), Failure> {
    log::start(&args.read()?.operations.log_filter)?;
    assembly::serve(Source::File(args.config.clone()), |config| {
        for listener in &config.listeners {
            tracing::info!(listener = listener.name, address = %listener.address, zone = %listener.zone, "listening");
        }
        tracing::info!(revision = %config.revision, portal = config.origin(&config.portal_host), "serving");
    })
}
