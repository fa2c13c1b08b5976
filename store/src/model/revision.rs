//! Versions of configuration and policy: who brought which into force, when, and why.

use policy::{Revision, Timestamp};

/// How many versions are kept; the earliest go first.
pub const REVISIONS_MAX: u64 = 2_000;

/// A version as whoever proposes it knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRevision {
    /// Its name by its contents.
    pub revision: Revision,
    /// The files it was read from, the configuration itself first.
    pub files: Vec<KeptFile>,
    /// How it differs from the version before.
    pub difference: Vec<Difference>,
    /// Why, in the words of whoever proposed it.
    pub why: String,
    /// When it was proposed.
    pub proposed_at: Timestamp,
    /// Who proposed it, as [`Event::actor`](crate::Event::actor) says.
    pub proposed_by: String,
    /// Whether another person must approve it before it comes into force.
    pub waits: bool,
    /// Whether it asks that another person approve the version after it.
    pub next_waits: bool,
}

/// One file of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFile {
    /// Its whole path.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// One difference between two versions, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// In Japanese.
    pub ja: String,
    /// In English.
    pub en: String,
}

/// A version that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRevision {
    /// Its number, counted from 1 over all versions.
    pub number: u64,
    /// What was proposed.
    pub proposal: NewRevision,
    /// When another person approved it, and who.
    pub approved: Option<(Timestamp, String)>,
    /// When a gateway took it into force for the first time.
    pub activated_at: Option<Timestamp>,
}

impl PolicyRevision {
    /// Whether it may come into force.
    #[must_use]
    pub fn may_come_into_force(&self) -> bool {
        !self.proposal.waits || self.approved.is_some()
    }

    /// How it stands beside the version that came into force last.
    #[must_use]
    pub fn state(&self, last: Option<&Self>) -> RevisionState {
        if self.activated_at.is_some() {
            let is_last = last.is_some_and(|last| last.number == self.number);
            return if is_last { RevisionState::InForce } else { RevisionState::WasInForce };
        }
        // As [`Store::revision_to_come`](crate::Store::revision_to_come) has it.
        let since = self.approved.as_ref().map_or(self.proposal.proposed_at, |(at, _)| *at);
        let is_behind = last.and_then(|last| last.activated_at).is_some_and(|came| came >= since);
        match (self.may_come_into_force(), is_behind) {
            (true, false) => RevisionState::ToCome,
            (true, true) => RevisionState::Overtaken,
            (false, false) => RevisionState::Waits,
            (false, true) => RevisionState::WaitsBehind,
        }
    }
}

/// How a version stands, beside the one in force.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RevisionState {
    /// It is in force.
    InForce,
    /// It was in force.
    WasInForce,
    /// It waits for another person.
    Waits,
    /// It waits for another person, and another version came into force since it was proposed.
    WaitsBehind,
    /// It may come into force, and no gateway took it yet.
    ToCome,
    /// Another version came into force since it was proposed, or approved, so it opens nothing any more.
    Overtaken,
}

impl RevisionState {
    /// Its code for programs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::InForce => "in-force",
            Self::WasInForce => "was-in-force",
            Self::Waits => "waits",
            Self::WaitsBehind => "waits-behind",
            Self::ToCome => "to-come",
            Self::Overtaken => "overtaken",
        }
    }
}

/// What became of an approval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Approval {
    /// The version may come into force.
    Given,
    /// There is no such version, or it does not wait for an approval.
    NotWaiting,
    /// Whoever approves is whoever proposed: that is one person.
    SamePerson,
}

/// Whether two actors are one person: they share a name, whatever the case, one that they gave or one of an account; or
/// the login that the system numbered (`cli:NAME#LOGIN=ACCOUNT`) is one, whatever they call themselves.
#[must_use]
pub fn is_one_person(one: &str, other: &str) -> bool {
    let (one, other) = (Actor::read(one), Actor::read(other));
    one.names().any(|name| other.names().any(|theirs| name == theirs))
        || (one.login.is_some() && one.login == other.login)
}

/// The account under which somebody at the machine logged in, where the system keeps that and it is the name they gave.
/// The name alone anybody can set.
#[must_use]
pub fn account_logged_in(actor: &str) -> Option<String> {
    let actor = Actor::read(actor);
    let account = actor.account.filter(|account| *account == actor.name)?;
    account.strip_prefix(AT_THE_MACHINE).map(str::to_owned)
}

/// What the names of those who work at the machine begin with.
const AT_THE_MACHINE: &str = "cli:";

/// The parts of `cli:NAME`, `cli:NAME#LOGIN` or `cli:NAME#LOGIN=ACCOUNT`; any other actor is all name.
struct Actor {
    name: String,
    login: Option<String>,
    /// In the form of the name.
    account: Option<String>,
}

impl Actor {
    fn read(actor: &str) -> Self {
        let (name, login) = actor.split_once('#').map_or((actor, None), |(name, login)| (name, Some(login)));
        let (login, account) = match login.and_then(|login| login.split_once('=')) {
            Some((login, account)) => (Some(login), Some(account)),
            None => (login, None),
        };
        Self {
            name: name.to_lowercase(),
            login: login.map(str::to_owned),
            account: account.map(|account| format!("{AT_THE_MACHINE}{}", account.to_lowercase())),
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.account.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_for_one_login_and_two_spellings_of_one_name_are_one_person() {
        for (one, other) in [
            ("cli:sato", "cli:sato"),
            ("cli:sato", "cli:Sato"),
            ("cli:sato#1001", "cli:ito#1001"),
            ("cli:sato#1001", "cli:sato"),
            ("cli:sato#1001=sato", "cli:ito#1001"),
            ("cli:ito#1001=sato", "cli:Sato"),
            ("cli:sato", "cli:ito#1001=Sato"),
        ] {
            assert!(is_one_person(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("cli:sato", "cli:ito"),
            ("cli:sato#1001", "cli:ito#1002"),
            ("cli:sato#1001=sato", "cli:ito#1002=ito"),
            ("cli:佐藤", "cli:伊藤"),
        ] {
            assert!(!is_one_person(one, other), "{one} {other}");
        }
    }

    #[test]
    fn only_a_name_that_the_system_keeps_too_is_an_account() {
        for (actor, account) in [
            ("cli:sato#1001=sato", Some("sato")),
            ("cli:Sato#1001=sato", Some("sato")),
            ("cli:ito#1001=sato", None),
            ("cli:sato#1001", None),
            ("cli:sato", None),
            ("sato#1001=sato", None),
            ("u-12", None),
            ("", None),
        ] {
            assert_eq!(account_logged_in(actor).as_deref(), account, "{actor}");
        }
    }
}
