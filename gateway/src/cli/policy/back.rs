//! `sekimori policy back`: one command to go back to what was in force before.

use store::{PolicyRevision, Store as _};

use super::Lang;
use super::change::{in_force, place, put, say, tell, unavailable, wait};
use crate::cli::{ConfigArg, actor, block_on, open_store};
use crate::clock;
use crate::failure::Failure;
use crate::revisions::{Proposer, proposal, read_kept};

/// How many versions are looked through for the one before.
const LOOKED_THROUGH: usize = 200;

/// Where to go back to.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The number of the version; the one in force before the present one where absent.
    number: Option<u64>,
    /// Why, in your words.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    lang: Lang,
}

/// Makes the earlier version the next one, and puts its files in place.
pub fn run(args: &Args) -> Result<(), Failure> {
    let language = args.lang.language();
    let place = place(&args.config)?;
    // The file may be the mistake that is to be undone: then the state directory is the one beside it.
    let store = match config::read(&place) {
        Ok(present) => open_store(&present)?,
        Err(problems) => {
            return Err(Failure::input(format!("{problems}\nmend the file, or put an earlier one in its place")));
        }
    };
    block_on(async {
        let last = store.last_activated_revision().await.map_err(unavailable)?;
        let kept = store.revisions(LOOKED_THROUGH).await.map_err(unavailable)?;
        let target = choose(&kept, last.as_ref(), args.number)?;
        let earlier = read_kept(target).map_err(|problems| {
            Failure::input(format!("version {} cannot be read any more:\n{problems}", target.number))
        })?;
        let before = in_force(last.as_ref(), &place);
        let waits = last.as_ref().is_some_and(|last| last.proposal.next_waits);
        let why = args.why.clone().unwrap_or_else(|| format!("back to {}", target.number));
        let by = Proposer { actor: actor(), why, waits };
        let new = proposal(&earlier, before.as_ref(), by, clock::now());
        let (files, difference) = (target.proposal.files.clone(), new.difference.clone());
        let number = store.propose_revision(new).await.map_err(unavailable)?;
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
        wait(&store, number, language).await
    })
}

/// The version to go back to.
fn choose<'a>(
    kept: &'a [PolicyRevision],
    last: Option<&PolicyRevision>,
    number: Option<u64>,
) -> Result<&'a PolicyRevision, Failure> {
    let Some(last) = last else {
        return Err(Failure::no("nothing was ever in force here, so there is nothing to go back to"));
    };
    let was_in_force = |one: &&PolicyRevision| one.activated_at.is_some();
    let differs = |one: &&PolicyRevision| one.proposal.revision != last.proposal.revision;
    match number {
        Some(number) => {
            kept.iter()
                .find(|one| one.number == number)
                .filter(was_in_force)
                .ok_or_else(|| Failure::no(format!("version {number} was never in force, or is not kept any more")))
                .and_then(|one| {
                    if differs(&one) { Ok(one) } else { Err(Failure::no(format!("version {number} is in force"))) }
                })
        }
        None => kept
            .iter()
            .filter(|one| one.number < last.number)
            .filter(was_in_force)
            .find(differs)
            .ok_or_else(|| Failure::no("there is no version before the one in force")),
    }
}
