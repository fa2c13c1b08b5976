//! `sekimori policy activate`: proposes a version, and brings it into force where one person is enough.

use std::path::PathBuf;

use config::Config;
use web::Replayed;

use super::Lang;
use super::change::{in_force, place, put, read_as, say, tell, tell_replay, unavailable, wait};
use super::person::proposer;
use super::replay;
use crate::cli::{ConfigArg, block_on, open_store};
use crate::clock;
use crate::failure::Failure;
use crate::revisions::{Proposer, difference, proposal};

/// What to activate.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The configuration to bring into force; read as if it stood in the place of the present one.
    file: PathBuf,
    /// Why, in your words; kept with the version.
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Who asks for it, where that is not you; recorded beside your own name.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Tries it first on what was recorded since a date, a moment, or a span back from now such as `30d`, and keeps the
    /// report with it.
    #[arg(long, value_name = "WHEN", conflicts_with = "replay_report")]
    replay: Option<String>,
    /// A report to keep with it that `policy replay --format json` wrote.
    #[arg(long, value_name = "FILE")]
    replay_report: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    lang: Lang,
}

/// Proposes it; puts it in place unless another person must approve.
pub fn run(args: &Args) -> Result<(), Failure> {
    let language = args.lang.language();
    if args.why.trim().is_empty() {
        return Err(Failure::input("`--why` is empty; say in a few words why the policy changes"));
    }
    let place = place(&args.config)?;
    // The history is that of the version in place: a proposed one may not name another to be judged by.
    let present = args.config.read().map_err(|failure| {
        Failure::input(format!(
            "{failure}\n`sekimori policy back --state-dir DIR` puts the last good version in its place"
        ))
    })?;
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| Failure::input(format!("`{}` cannot be read: {error}", args.file.display())))?;
    let config = read_as(&text, &place)?;
    if config.state_dir != present.state_dir {
        return Err(Failure::input(format!(
            "`[gateway] state_dir` is `{}` in the proposed version and `{}` in the present one; state, and the history of \
             the policy with it, cannot move by `activate`: stop the gateway and move it, then change the file",
            config.state_dir.display(),
            present.state_dir.display()
        )));
    }
    let store = open_store(&present)?;
    block_on(async {
        let last = store.last_activated_revision().await.map_err(unavailable)?;
        if last.as_ref().is_some_and(|last| last.proposal.revision == config.revision) {
            return Err(Failure::no(format!("this very version is in force already ({})", config.revision)));
        }
        let before = in_force(last.as_ref(), &place);
        let waits = last.as_ref().is_some_and(|last| last.proposal.next_waits);
        let why = match &args.by {
            Some(by) => format!("{} ({by})", args.why.trim()),
            None => args.why.trim().to_owned(),
        };
        let report = replayed(args, before.as_ref(), &config)?;
        let by = Proposer { actor: proposer(), why, waits };
        let new = proposal(&config, before.as_ref(), by, clock::now());
        let kept = report.as_ref().map(Replayed::text);
        let number = store.propose_revision(new, kept).await.map_err(unavailable)?;
        say(language, &format!("版 {number} の変更点:"), &format!("version {number} changes:"));
        tell(&before.map(|before| difference(&before, &config)).unwrap_or_default(), language);
        tell_replay(report.as_ref(), language);
        if waits {
            say(
                language,
                &format!("別の人の承認を待つ: `sekimori policy approve {number}`"),
                &format!("it waits for another person: `sekimori policy approve {number}`"),
            );
            return Ok(());
        }
        let kept = store.revision(number).await.map_err(unavailable)?;
        put(&kept.map(|kept| kept.proposal.files).unwrap_or_default())?;
        wait(&*store, number, language).await
    })
}

/// The report that is kept with the version: made now, or read, if it is about this very step.
fn replayed(args: &Args, before: Option<&Config>, config: &Config) -> Result<Option<Replayed>, Failure> {
    let of_nothing = || Failure::no("there is no version in force to compare with, so nothing can be replayed");
    if let Some(since) = &args.replay {
        return replay::kept(before.ok_or_else(of_nothing)?, config, since).map(Some);
    }
    let Some(file) = &args.replay_report else { return Ok(None) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::input(format!("`{}` cannot be read: {error}", file.display())))?;
    let report = Replayed::read(&text).ok_or_else(|| {
        Failure::input(format!("`{}` is no report that `policy replay --format json` wrote", file.display()))
    })?;
    let (now, then) = (before.ok_or_else(of_nothing)?.revision.as_str(), config.revision.as_str());
    if (report.active.as_str(), report.proposed.as_str()) != (now, then) {
        return Err(Failure::no(format!(
            "`{}` is about the step from {} to {}, and what is proposed is the step from {now} to {then}; replay it again",
            file.display(),
            report.active,
            report.proposed
        )));
    }
    Ok(Some(report))
}
