//! `sekimori audit index`: how the search index is doing, and building it anew. It holds nothing that the log does not.

use find::{FindProblem, Index};
use serde_json::json;

use super::find::{IndexPlace, failure};
use crate::cli::{Format, out};
use crate::failure::Failure;

/// What can be done with the index.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Shows how far it has followed the log, and its size.
    Status {
        #[command(flatten)]
        place: IndexPlace,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Builds it anew from the log. A gateway that runs is asked to do so itself, and goes on serving meanwhile.
    Rebuild {
        #[command(flatten)]
        place: IndexPlace,
    },
}

/// Runs the command.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Status { place, format } => status(place, *format),
        Command::Rebuild { place } => rebuild(place),
    }
}

fn status(place: &IndexPlace, format: Format) -> Result<(), Failure> {
    let config = place.config()?;
    let index = Index::open_existing(&place.index_dir(&config)?).map_err(failure)?;
    let log = place.reader()?;
    let lines = log.size().map_err(|problem| Failure::unavailable(problem.to_string()))?;
    // A log that was put back from a copy may be shorter than what was followed.
    let (seq, filed, bytes) = (index.lag().seq.min(lines), index.stories(), index.bytes());
    let behind = lines - seq;
    // What the gateway has in memory only is counted in the log.
    index.look_ahead_to(seq, &log).map_err(failure)?;
    let stories = index.stories();
    out::say(&match format {
        Format::Json => {
            json!({ "lines": lines, "followed": seq, "behind": behind, "stories": stories, "bytes": bytes }).to_string()
        }
        Format::Text => format!(
            "followed {seq} of {lines} lines, {behind} behind\n{stories} accesses and facts in {} MiB, {} bytes each",
            bytes >> 20,
            bytes.checked_div(filed).unwrap_or(0)
        ),
    });
    Ok(())
}

fn rebuild(place: &IndexPlace) -> Result<(), Failure> {
    let config = place.config()?;
    let dir = place.index_dir(&config)?;
    let log = place.reader()?;
    let progress = |done: u64, all: u64| out::complain(&format!("{done} of {all} lines"));
    match Index::open(&dir).and_then(|index| index.rebuild(&log, progress)) {
        Ok(()) => Ok(()),
        Err(FindProblem::InUse { .. }) => {
            Index::ask_to_build_anew(&dir).map_err(failure)?;
            out::say("the gateway builds it anew while it runs; see `sekimori audit index status`");
            Ok(())
        }
        Err(problem) => Err(failure(problem)),
    }
}
