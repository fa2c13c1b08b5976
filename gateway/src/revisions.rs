//! Which version of configuration and policy may come into force, and the history of those that did. Every version is
//! in the store with its text, who brought it and why; where the hospital wants two people, one that nobody approved
//! stays out, and the last good one stays in force.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{Activation, Config, Problems};
use policy::Timestamp;
use store::{Difference, KeptFile, NewRevision, PolicyRevision, Store, StoreProblem};

use crate::settings;

/// Who brought a version that nobody proposed: somebody who may write the file.
const BY_FILE: &str = "file";
/// Who goes back where denials rose.
const BY_GATEWAY: &str = "gateway:denials";
/// Where the store keeps from which version the gateway went back by itself.
const RETURNED_FROM: &str = "policy-returned-from";
/// How many versions are looked through for the one before.
pub const LOOKED_THROUGH: usize = 200;

/// What the store says of a version before it comes into force.
#[derive(Debug)]
pub enum Standing {
    /// It was in force last, so nothing is to be noted.
    AsBefore,
    /// It was proposed, and approved where that is needed.
    Proposed(Box<PolicyRevision>),
    /// Somebody wrote it into the file; that is enough here.
    Written,
}

/// Why a version stays out.
#[derive(Debug, thiserror::Error)]
pub enum Kept {
    /// It takes another person, and none approved it.
    #[error(
        "{0} needs the approval of a second person; propose it with `sekimori policy activate FILE --why TEXT`, and have \
         somebody else give `sekimori policy approve NUMBER`"
    )]
    Unapproved(policy::Revision),
    /// The gateway went back from it by itself.
    #[error(
        "the gateway went back from {0} by itself, because people who were allowed were denied; `sekimori policy activate \
         FILE --why TEXT` brings it into force all the same"
    )]
    Returned(policy::Revision),
    /// The store does not say.
    #[error("whether this version may come into force is not known: {0}")]
    Store(#[from] StoreProblem),
}

/// Asks whether a version may come into force.
///
/// # Errors
/// [`Kept`]: the version before stays.
pub async fn standing(store: &dyn Store, config: &Config) -> Result<Standing, Kept> {
    let last = store.last_activated_revision().await?;
    if last.as_ref().is_some_and(|last| last.proposal.revision == config.revision) {
        return Ok(Standing::AsBefore);
    }
    let next_waits = last.is_some_and(|last| last.proposal.next_waits);
    let proposed = store.revision_to_come(&config.revision).await?;
    if let Some(proposed) = proposed.filter(|proposed| !next_waits || proposed.approved.is_some()) {
        return Ok(Standing::Proposed(Box::new(proposed)));
    }
    if was_returned_from(store, config).await? {
        return Err(Kept::Returned(config.revision.clone()));
    }
    if next_waits { Err(Kept::Unapproved(config.revision.clone())) } else { Ok(Standing::Written) }
}

/// Notes that a version came into force, and gives it as it is kept.
///
/// # Errors
/// [`StoreProblem`]; the version is in force all the same.
pub async fn came(
    store: &dyn Store,
    standing: Standing,
    before: Option<&Config>,
    config: &Config,
    at: Timestamp,
) -> Result<Option<PolicyRevision>, StoreProblem> {
    let number = match standing {
        Standing::AsBefore => return Ok(None),
        Standing::Proposed(proposed) => proposed.number,
        Standing::Written => {
            let by = Proposer { actor: BY_FILE.to_owned(), why: String::new(), waits: false };
            // At a start, what was in force before is what was kept of it.
            let kept = match before {
                Some(_) => None,
                None => store.last_activated_revision().await?.and_then(|last| read_kept(&last).ok()),
            };
            let before = before.or(kept.as_ref());
            store.propose_revision(proposal(config, before, by, at), None).await?
        }
    };
    store.note_activated(number, at).await?;
    store.revision(number).await
}

/// Who proposes, why, and whether somebody else must approve.
#[derive(Clone, Debug)]
pub struct Proposer {
    /// Who, as the log names them.
    pub actor: String,
    /// Why.
    pub why: String,
    /// Whether another person must approve.
    pub waits: bool,
}

/// A version as it is kept.
pub fn proposal(config: &Config, before: Option<&Config>, by: Proposer, at: Timestamp) -> NewRevision {
    let kept = |file: &config::SourceText| KeptFile { path: file.path.display().to_string(), text: file.text.clone() };
    NewRevision {
        revision: config.revision.clone(),
        files: config.texts.iter().map(kept).collect(),
        difference: before.map(|before| difference(before, config)).unwrap_or_default(),
        why: by.why,
        proposed_at: at,
        proposed_by: by.actor,
        waits: by.waits,
        next_waits: match config.activation {
            Activation::OnePerson => false,
            Activation::TwoPeople => true,
        },
    }
}

/// How two versions differ, in words: the policy, and whatever else is set.
pub fn difference(before: &Config, after: &Config) -> Vec<Difference> {
    let told = |change: policy::Change| Difference { ja: change.ja, en: change.en };
    let mut changes: Vec<Difference> =
        policy::difference(&before.policy, &after.policy).into_iter().map(told).collect();
    changes.extend(settings::difference(before, after));
    if changes.is_empty() && before.revision != after.revision {
        changes.push(Difference {
            ja: "規則は同じで、ほかの設定が変わった".to_owned(),
            en: "the rules are the same; other settings changed".to_owned(),
        });
    }
    changes
}

/// Reads a version from the texts that were kept of it; what else it names is read from the disk.
///
/// # Errors
/// Every problem at once, such as a certificate that is gone since.
pub fn read_kept(kept: &PolicyRevision) -> Result<Config, Problems> {
    let own = kept.proposal.files.first();
    let (path, text) = own.map_or(("", ""), |file| (file.path.as_str(), file.text.as_str()));
    let others: BTreeMap<PathBuf, String> =
        kept.proposal.files.iter().skip(1).map(|file| (PathBuf::from(&file.path), file.text.clone())).collect();
    let base = Path::new(path).parent().unwrap_or(Path::new("/"));
    let mut config = config::parse_with(text, path, base, &others)?;
    config.files.insert(0, PathBuf::from(path));
    Ok(config)
}

/// Whether the gateway once went back from a version by itself. Whoever brings it into force all the same insists.
///
/// # Errors
/// [`StoreProblem`]: it is not known.
pub async fn was_returned_from(store: &dyn Store, config: &Config) -> Result<bool, StoreProblem> {
    Ok(store.note(RETURNED_FROM).await?.as_deref() == Some(config.revision.as_str()))
}

/// The version that was in force before this one.
///
/// # Errors
/// [`StoreProblem`]; nothing changes.
pub async fn before(store: &dyn Store, config: &Config) -> Result<Option<PolicyRevision>, StoreProblem> {
    let is_before = |one: &PolicyRevision| one.proposal.revision != config.revision;
    Ok(store.activated_revisions(LOOKED_THROUGH).await?.into_iter().find(is_before))
}

/// Notes that the gateway went back by itself, to which version and from which, and gives it as it is kept.
///
/// # Errors
/// [`StoreProblem`]; the version is in force all the same.
pub async fn returned(
    store: &dyn Store,
    from: &Config,
    to: &Config,
    why: String,
    at: Timestamp,
) -> Result<Option<PolicyRevision>, StoreProblem> {
    store.set_note(RETURNED_FROM, from.revision.to_string()).await?;
    let by = Proposer { actor: BY_GATEWAY.to_owned(), why, waits: false };
    let demanded = store.last_activated_revision().await?.is_some_and(|last| last.proposal.next_waits);
    let mut new = proposal(to, Some(from), by, at);
    // Going back takes no demand away that the version it goes back from made.
    new.next_waits |= demanded || from.activation == Activation::TwoPeople;
    let number = store.propose_revision(new, None).await?;
    store.note_activated(number, at).await?;
    store.revision(number).await
}

/// What a gateway starts with.
#[derive(Debug)]
pub struct Start {
    /// The configuration.
    pub config: Config,
    /// What is to be noted once it serves.
    pub standing: Standing,
    /// Why it is not what the files hold now.
    pub kept: Option<Kept>,
}

/// What a gateway starts with: what the files hold, or the last good version where that may not come into force.
///
/// # Errors
/// In words, where there is neither.
pub async fn at_start(store: &dyn Store, config: Config) -> Result<Start, String> {
    let kept = match standing(store, &config).await {
        Ok(standing) => return Ok(Start { config, standing, kept: None }),
        Err(kept) => kept,
    };
    let last = store.last_activated_revision().await.map_err(|problem| problem.to_string())?;
    let Some(last) = last else { return Err(kept.to_string()) };
    match read_kept(&last) {
        Ok(config) => Ok(Start { config, standing: Standing::AsBefore, kept: Some(kept) }),
        Err(problems) => Err(format!("{kept}\nthe version before cannot be read any more:\n{problems}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{Approval, Sqlite};

    const AT: Timestamp = Timestamp::from_unix_micros(1_800_000_000_000_000);

    /// A moment after it.
    const LATER: Timestamp = Timestamp::from_unix_micros(1_800_000_001_000_000);

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("sekimori-revisions-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            for file in ["a.pem", "a.key"] {
                std::fs::write(folder.join(file), "x").unwrap();
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                std::fs::set_permissions(folder.join(file), mode).unwrap();
            }
            Self(folder)
        }

        /// A configuration with these rules, in force with one person or two.
        fn config(&self, activation: &str, rules: &str) -> Config {
            self.config_of(activation, "", rules)
        }

        /// A configuration whose app has a shield.
        fn with_shield(&self, shield: &str) -> Config {
            self.config_of("two-people", shield, "")
        }

        fn config_of(&self, activation: &str, shield: &str, rules: &str) -> Config {
            let text = format!(
                "[facility]\nname = \"x\"\n[gateway]\nstate_dir = \"s\"\nlogin_host = \"login.test\"\nportal_host = \"portal.test\"\n\
                 [[listener]]\naddress = \"127.0.0.1:9443\"\nzone = \"z\"\n[[certificate]]\ncertificate = \"a.pem\"\nkey = \"a.key\"\n\
                 [[app]]\nid = \"emr\"\nhost = \"emr.test\"\nupstreams = [\"http://127.0.0.1:9444\"]\n{shield}\
                 [roles]\nnurse = {{ ja = \"看護師\", en = \"Nurse\" }}\n[policy]\nactivation = \"{activation}\"\n{rules}"
            );
            let path = self.0.join("sekimori.toml");
            std::fs::write(&path, text).unwrap();
            config::read(&path).unwrap_or_else(|problems| panic!("{problems}"))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            // A folder that stays behind harms nobody.
            let _removed = std::fs::remove_dir_all(&self.0);
        }
    }

    const READS: &str = "[[rule]]\nid = \"reads\"\nroles = [\"nurse\"]\napps = \"all\"\nactions = [\"read\"]\n";

    #[tokio::test]
    async fn what_is_written_into_the_file_is_a_version_too() {
        let (folder, store) = (Folder::new("file"), Sqlite::in_memory().unwrap());
        let (one, two) = (folder.config("one-person", ""), folder.config("one-person", READS));
        let first = standing(&store, &one).await.unwrap();
        let first = came(&store, first, None, &one, AT).await.unwrap().unwrap();
        assert_eq!((first.number, first.proposal.proposed_by.as_str()), (1, "file"));
        assert!(matches!(standing(&store, &one).await.unwrap(), Standing::AsBefore), "a restart is no change");
        let second = standing(&store, &two).await.unwrap();
        let second = came(&store, second, Some(&one), &two, AT).await.unwrap().unwrap();
        assert_eq!(second.proposal.difference[0].en, "rule `reads` was added, which permits: nurse / all / read");
        assert_eq!(read_kept(&second).unwrap().revision, two.revision, "it reads back as what it was");
    }

    #[tokio::test]
    async fn where_two_people_are_wanted_an_edited_file_stays_out_until_another_approves() {
        let (folder, store) = (Folder::new("two"), Sqlite::in_memory().unwrap());
        let good = folder.config("two-people", "");
        let first = standing(&store, &good).await.unwrap();
        came(&store, first, None, &good, AT).await.unwrap();
        // Whoever edits the file cannot edit the demand away either.
        let edited = folder.config("one-person", READS);
        assert!(matches!(standing(&store, &edited).await, Err(Kept::Unapproved(_))));
        let start = at_start(&store, edited.clone()).await.unwrap();
        assert_eq!(start.config.revision, good.revision, "a restart serves the last good one");
        assert!(start.kept.is_some());

        let by = Proposer { actor: "cli:sato".to_owned(), why: "夜勤".to_owned(), waits: true };
        let number = store.propose_revision(proposal(&edited, Some(&good), by, LATER), None).await.unwrap();
        assert!(standing(&store, &edited).await.is_err(), "proposed is not approved");
        assert_eq!(store.approve_revision(number, LATER, "cli:ito".to_owned()).await.unwrap(), Approval::Given);
        let approved = standing(&store, &edited).await.unwrap();
        let came = came(&store, approved, Some(&good), &edited, LATER).await.unwrap().unwrap();
        assert_eq!(came.number, number);
        assert!(matches!(standing(&store, &edited).await.unwrap(), Standing::AsBefore));
        assert!(
            matches!(standing(&store, &good).await.unwrap(), Standing::Written),
            "one person is enough from now on"
        );
    }

    #[tokio::test]
    async fn a_proposal_from_before_two_people_were_wanted_opens_nothing_afterwards() {
        let (folder, store) = (Folder::new("evade"), Sqlite::in_memory().unwrap());
        let (free, strict) = (folder.config("one-person", ""), folder.config("two-people", ""));
        let wide = folder.config("one-person", READS);
        let first = standing(&store, &free).await.unwrap();
        came(&store, first, None, &free, AT).await.unwrap();
        // One person proposes while one is enough, even with a clock that runs ahead.
        let ahead = Timestamp::from_unix_micros(LATER.unix_micros() + 60_000_000);
        for at in [AT, ahead] {
            let by = Proposer { actor: "cli:sato".to_owned(), why: "x".to_owned(), waits: false };
            store.propose_revision(proposal(&wide, Some(&free), by, at), None).await.unwrap();
        }
        let next = standing(&store, &strict).await.unwrap();
        came(&store, next, Some(&free), &strict, LATER).await.unwrap();
        assert!(matches!(standing(&store, &wide).await, Err(Kept::Unapproved(_))));
    }

    #[tokio::test]
    async fn going_back_by_itself_takes_no_demand_for_two_people_away() {
        let (folder, store) = (Folder::new("demand"), Sqlite::in_memory().unwrap());
        let (free, strict) = (folder.config("one-person", ""), folder.config("two-people", READS));
        for (config, at) in [(&free, AT), (&strict, LATER)] {
            let next = standing(&store, config).await.unwrap();
            came(&store, next, None, config, at).await.unwrap();
        }
        let to = before(&store, &strict).await.unwrap().unwrap();
        assert_eq!(to.proposal.revision, free.revision);
        let at = Timestamp::from_unix_micros(LATER.unix_micros() + 1);
        let back = returned(&store, &strict, &free, "denials".to_owned(), at).await.unwrap().unwrap();
        assert!(back.proposal.next_waits, "two people are wanted as before");
        assert!(matches!(standing(&store, &strict).await, Err(Kept::Returned(_))));
        let other = folder.config("one-person", READS);
        assert!(matches!(standing(&store, &other).await, Err(Kept::Unapproved(_))));
    }

    #[test]
    fn whatever_else_is_set_otherwise_is_always_said() {
        let folder = Folder::new("settings");
        let before = folder.config("two-people", "");
        let shielded = "[app.shield]\nmethods = [\"GET\"]\n";
        let shield_before = folder.with_shield(shielded);
        let said = |before: &Config, after: &Config| {
            difference(before, after).into_iter().map(|one| one.en).collect::<Vec<_>>().join("\n")
        };
        let both = said(&before, &folder.config("one-person", READS));
        assert!(both.contains("rule `reads` was added"), "{both}");
        assert!(both.contains("`activation`") && both.contains("one person"), "{both}");
        assert!(!both.contains("other settings"), "{both}");
        let unshielded = said(&shield_before, &before);
        assert!(unshielded.contains("`[app.shield]` of the app `emr`"), "{unshielded}");
        let mut elsewhere = folder.config("two-people", READS);
        elsewhere.facility.name = "y".to_owned();
        let elsewhere = said(&before, &elsewhere);
        assert!(elsewhere.contains("other settings changed: `[facility]`"), "{elsewhere}");
        let only_rules = said(&before, &folder.config("two-people", READS));
        assert_eq!(only_rules.lines().count(), 1, "{only_rules}");
    }
}
