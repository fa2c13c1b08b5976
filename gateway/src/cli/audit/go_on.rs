//! `sekimori audit go-on`: going on with a log of which lines are missing, said in the log itself.

use crate::cli::{ConfigArg, actor, block_on, open_store, out};
use crate::failure::Failure;
use crate::{clock, continuity};

/// What `go-on` takes.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Why lines are missing, and where what is left of them is kept: the log says so.
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    config: ConfigArg,
}

/// Says in the log that lines are missing, so that the gateway starts on it.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.read()?;
    if args.why.trim().is_empty() {
        return Err(Failure::input("say why with `--why`"));
    }
    let missing = block_on(async {
        let store = open_store(&config)?;
        continuity::accept(&*store, &config, (&args.why, &actor()), clock::real()).await
    })?;
    out::say(&format!(
        "the log says now that {missing} signed lines are missing or were replaced; it can be gone on with"
    ));
    Ok(())
}
