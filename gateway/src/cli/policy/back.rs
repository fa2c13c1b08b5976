//! `sekimori policy back`: one command to go back to what was in force before.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use policy::Revision;
use store::{PolicyRevision, Sqlite, Store};

use super::Lang;
use super::change::{in_force, place, put, say, tell, unavailable, wait};
use super::person::proposer;
use crate::cli::{ConfigArg, block_on, open_store};
use crate::clock;
use crate::failure::Failure;
use crate::revisions::{LOOKED_THROUGH, Proposer, proposal, read_kept};

/// Where to go back to.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The number of the version; the one in force before the present one where absent.
    number: Option<u64>,
    /// Why, in your words.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// The state directory, where the present file is so wrong that it cannot be read.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    lang: Lang,
}

/// The store of a state directory, for whoever has no configuration that can be read.
fn open_store_in(state_dir: &Path) -> Result<Arc<dyn Store>, Failure> {
    Ok(Arc::new(Sqlite::open(crate::assembly::store_file(state_dir)).map_err(unavailable)?))
}

/// Makes the earlier version the next one, and puts its files in place.
pub fn run(args: &Args) -> Result<(), Failure> {
    let language = args.lang.language();
    let place = place(&args.config)?;
    // The file may be the very mistake that is to be undone.
    let (store, present) = match (config::read(&place), &args.state_dir) {
        (Ok(present), _) => (open_store(&present)?, Some(present.revision)),
        (Err(_), Some(dir)) => (open_store_in(dir)?, None),
        (Err(problems), None) => {
            return Err(Failure::input(format!(
                "{problems}\nname the state directory with `--state-dir` to go back from it"
            )));
        }
    };
    block_on(async {
        let last = store.last_activated_revision().await.map_err(unavailable)?;
        let kept = store.activated_revisions(LOOKED_THROUGH).await.map_err(unavailable)?;
        let target = choose(&kept, present.as_ref(), args.number)?;
        if last.as_ref().is_some_and(|last| last.proposal.revision == target.proposal.revision) {
            put(&target.proposal.files)?;
            say(
                language,
                &format!("版 {} は有効なまま。ファイルを元に戻した", target.number),
                &format!("version {} is in force; the files are as they were", target.number),
            );
            return Ok(());
        }
        let earlier = read_kept(target).map_err(|problems| {
            Failure::input(format!("version {} cannot be read any more:\n{problems}", target.number))
        })?;
        let before = in_force(last.as_ref(), &place);
        let waits = last.as_ref().is_some_and(|last| last.proposal.next_waits);
        let why = args.why.clone().unwrap_or_else(|| format!("back to {}", target.number));
        let by = Proposer { actor: proposer(), why, waits };
        let new = proposal(&earlier, before.as_ref(), by, clock::now());
        let (files, difference) = (target.proposal.files.clone(), new.difference.clone());
        let number = store.propose_revision(new, None).await.map_err(unavailable)?;
        say(
            language,
            &format!("版 {} に戻す（版 {number}）。変更点:", target.number),
            &format!("back to version {}, as version {number}; changes:", target.number),
        );
        tell(&difference, language);
        if waits {
            say(
                language,
                &format!("別の人の承認を待つ: `sekimori policy approve {number}`"),
                &format!("it waits for another person: `sekimori policy approve {number}`"),
            );
            return Ok(());
        }
        put(&files)?;
        wait(&*store, number, language).await
    })
}

/// The version to go back to, of those that came into force, the last first: one that is not what the file holds.
fn choose<'a>(
    kept: &'a [PolicyRevision],
    present: Option<&Revision>,
    number: Option<u64>,
) -> Result<&'a PolicyRevision, Failure> {
    let mut in_force = kept.iter();
    match number {
        Some(number) => match in_force.find(|one| one.number == number) {
            None => Err(Failure::no(format!("version {number} was never in force, or is not kept any more"))),
            Some(one) if present == Some(&one.proposal.revision) => {
                Err(Failure::no(format!("version {number} is what the file holds")))
            }
            Some(one) => Ok(one),
        },
        None => in_force
            .find(|one| present != Some(&one.proposal.revision))
            .ok_or_else(|| Failure::no("there is no version before the one in force")),
    }
}
