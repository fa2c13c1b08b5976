//! `sekimori policy approve`: the second pair of eyes.

use store::Approval;
use web::Replayed;

use super::Version;
use super::change::{in_force, place, put, read_as, say, tell, tell_replay, unavailable, wait};
use super::person::approver;
use crate::cli::{block_on, open_store};
use crate::clock;
use crate::failure::Failure;
use crate::revisions::difference;

/// Approves it as another person than the one who proposed it, and puts it in place.
pub fn run(args: &Version) -> Result<(), Failure> {
    let language = args.lang.language();
    let approver = approver()?;
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
        // What is approved must still be what would be put in place: files it names may have changed since.
        let own = proposal.files.first().map(|file| file.text.clone()).unwrap_or_default();
        let place = place(&args.config)?;
        let read = read_as(&own, &place)?;
        if read.revision != proposal.revision {
            return Err(Failure::no(format!(
                "a file that version {number} names has changed since it was proposed; propose it again"
            )));
        }
        let last = store.last_activated_revision().await.map_err(unavailable)?;
        if let Some(last) = last.as_ref().filter(|last| last.activated_at > Some(proposal.proposed_at)) {
            let now = last.number;
            say(
                language,
                &format!(
                    "提案のあとで版 {now} が有効になった。次の変更点は提案のときのものではなく、版 {now} に対するもの"
                ),
                &format!(
                    "version {now} came into force since this was proposed; what follows is the difference to version \
                     {now}, not to what it was proposed against"
                ),
            );
        }
        // What is approved is the step from what is in force now, whatever was in force when it was proposed.
        match in_force(last.as_ref(), &place) {
            Some(before) => tell(&difference(&before, &read), language),
            None => tell(&proposal.difference, language),
        }
        let replay = store.replay_of(number).await.map_err(unavailable)?;
        tell_replay(replay.as_deref().and_then(Replayed::read).as_ref(), language);
        match store.approve_revision(number, clock::now(), approver).await.map_err(unavailable)? {
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
        wait(&*store, number, language).await
    })
}
