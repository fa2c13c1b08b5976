//! `sekimori grant inventory`: the inventory of remote maintenance as CSV, both ways.

use std::path::{Path, PathBuf};

use identity::Inventory;
use store::StoreProblem;

use crate::cli::csv::{import_failure, read_file};
use crate::cli::{ConfigArg, actor, block_on, open_store, out};
use crate::clock;
use crate::failure::Failure;

/// What can be done with the inventory.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Writes the inventory as CSV. When a line was used last is in the console's table alone.
    Export(ConfigArg),
    /// Takes a table in, all of it or nothing. Lines that are not in it stay as they are.
    Import {
        /// The table, such as `export` writes it.
        file: PathBuf,
        /// Only says what it would do.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        config: ConfigArg,
    },
}

/// Runs the command.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Export(config) => export(config),
        Command::Import { file, dry_run, config } => import(file, *dry_run, config),
    }
}

fn open(config: &ConfigArg) -> Result<Inventory, Failure> {
    let config = config.read()?;
    Ok(Inventory::new(open_store(&config)?, &config))
}

fn export(config: &ConfigArg) -> Result<(), Failure> {
    let inventory = open(config)?;
    let unavailable = |problem: StoreProblem| Failure::unavailable(problem.to_string());
    let text = block_on(async { inventory.write_csv(|_| String::new()).await.map_err(unavailable) })?;
    out::say(text.trim_end());
    Ok(())
}

fn import(file: &Path, dry_run: bool, config: &ConfigArg) -> Result<(), Failure> {
    let text = read_file(file)?;
    let (inventory, at) = (open(config)?, clock::now());
    let plan = block_on(async {
        let plan =
            if dry_run { inventory.plan_csv(&text, at).await } else { inventory.read_csv(&text, &actor(), at).await };
        plan.map_err(|problem| import_failure(problem, file))
    })?;
    let verb = if dry_run { "would be " } else { "" };
    let (added, changed) = (plan.added.len(), plan.changed.len());
    out::say(&format!("{added} {verb}added, {changed} {verb}changed, {} as they were", plan.unchanged));
    for (word, lines) in [("added", &plan.added), ("changed", &plan.changed)] {
        for (vendor, target) in lines {
            out::say(&format!("{word}: {vendor}, {target}"));
        }
    }
    Ok(())
}
