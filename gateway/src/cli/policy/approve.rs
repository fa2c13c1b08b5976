//! `sekimori policy approve`: the second pair of eyes.

use store::{Approval, Store as _};

use super::Lang;
use super::change::{place, put, read_as, say, tell, unavailable, wait};
use crate::cli::{ConfigArg, actor, block_on, open_store};
use crate::clock;
use crate::failure::Failure;

/// What to approve.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The number of the version, as `sekimori policy history` shows it.
    number: u64,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    lang: Lang,
}

/// Approves it as another person than the one who proposed it, and puts it in place.
pub fn run(args: &Args) -> Result<(), Failure> {
    let language = args.lang.language();
    let present = args.config.read()?;
    let store = open_store(&present)?;
    block_on(async {
        let number = args.number;
        let Some(kept) = store.revision(number).await.map_err(unavailable)? else {
            return Err(Failure::no(format!("there is no version {number}; `sekimori policy history` lists them")));
        };
        let proposal = &kept.proposal;
        say(
            language,
            &format!("{} の提案 ({}): {}", proposal.proposed_by, proposal.revision, proposal.why),
            &format!("proposed by {} ({}): {}", proposal.proposed_by, proposal.revision, proposal.why),
        );
        tell(&proposal.difference, language);
        // What is approved must still be what would be put in place: files it names may have changed since.
        let own = proposal.files.first().map(|file| file.text.clone()).unwrap_or_default();
        let read = read_as(&own, &place(&args.config)?)?;
        if read.revision != proposal.revision {
            return Err(Failure::no(format!(
                "a file that version {number} names has changed since it was proposed; propose it again"
            )));
        }
        match store.approve_revision(number, clock::now(), actor()).await.map_err(unavailable)? {
            Approval::Given => {}
            Approval::SamePerson => {
                return Err(Failure::no(format!(
                    "{} proposed it, so somebody else must approve it",
                    proposal.proposed_by
                )));
            }
            Approval::NotWaiting => {
                return Err(Failure::no(format!("version {number} does not wait for an approval")));
            }
        }
        put(&proposal.files)?;
        wait(&store, number, language).await
    })
}
