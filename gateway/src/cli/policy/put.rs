//! `sekimori policy put`: puts a version in its place that was approved in the console.

use store::RevisionState;

use super::Version;
use super::change::{place, put, read_as, unavailable, wait};
use crate::cli::{block_on, open_store};
use crate::failure::Failure;

/// Puts it in place, if nothing stands against it: whoever may write the configuration may do that.
pub fn run(args: &Version) -> Result<(), Failure> {
    let language = args.lang.language();
    let present = args.config.read()?;
    let place = place(&args.config)?;
    let store = open_store(&present)?;
    block_on(async {
        let number = args.number;
        let Some(kept) = store.revision(number).await.map_err(unavailable)? else {
            return Err(Failure::no(format!("there is no version {number}; `sekimori policy history` lists them")));
        };
        let last = store.last_activated_revision().await.map_err(unavailable)?;
        match kept.state(last.as_ref()) {
            RevisionState::ToCome => {}
            RevisionState::InForce => return Err(Failure::no(format!("version {number} is in force"))),
            RevisionState::WasInForce => {
                let again = format!("`sekimori policy back {number}` brings it into force again");
                return Err(Failure::no(format!("version {number} was in force; {again}")));
            }
            RevisionState::Waits | RevisionState::WaitsBehind => {
                return Err(Failure::no(format!("version {number} waits for another person's approval")));
            }
            RevisionState::Overtaken => {
                return Err(Failure::no(format!(
                    "another version came into force since version {number} was proposed or approved; propose it again"
                )));
            }
        }
        let own = kept.proposal.files.first().map(|file| file.text.as_str()).unwrap_or_default();
        if read_as(own, &place)?.revision != kept.proposal.revision {
            return Err(Failure::no(format!(
                "a file that version {number} names has changed since it was proposed; propose it again"
            )));
        }
        put(&kept.proposal.files)?;
        wait(&*store, number, language).await
    })
}
