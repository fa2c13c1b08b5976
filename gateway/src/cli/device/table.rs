//! The ledger as CSV, both ways.

use std::path::Path;

use identity::Devices;
use policy::DeviceId;

use super::unavailable;
use crate::cli::csv::{import_failure, read_file};
use crate::cli::{ConfigArg, actor, block_on, open_store, out};
use crate::clock;
use crate::failure::Failure;

/// `device export`.
pub fn export(config: &ConfigArg) -> Result<(), Failure> {
    let config = config.read()?;
    let store = open_store(&config)?;
    let text = block_on(async {
        let devices = Devices::load(store).await.map_err(unavailable)?;
        devices.write_csv(config.offset).await.map_err(unavailable)
    })?;
    out::say(text.trim_end());
    Ok(())
}

/// `device import`.
pub fn import(file: &Path, dry_run: bool, config: &ConfigArg) -> Result<(), Failure> {
    let config = config.read()?;
    let text = read_file(file)?;
    let store = open_store(&config)?;
    let at = clock::now();
    let plan = block_on(async {
        let devices = Devices::load(store).await.map_err(unavailable)?;
        let plan = if dry_run {
            devices.plan_csv(&text, config.offset, at).await
        } else {
            devices.read_csv(&text, config.offset, &actor(), at).await
        };
        plan.map_err(|problem| import_failure(problem, file))
    })?;
    let verb = if dry_run { "would be " } else { "" };
    out::say(&format!(
        "{} {verb}added, {} {verb}changed, {} as they were",
        plan.added.len(),
        plan.changed.len(),
        plan.unchanged
    ));
    for (word, ids) in [("added", &plan.added), ("changed", &plan.changed)] {
        if !ids.is_empty() {
            out::say(&format!("{word}: {}", ids.iter().map(DeviceId::as_str).collect::<Vec<_>>().join(", ")));
        }
    }
    Ok(())
}
