//! People: who they are, what they may act as, whether they are in force. A person is never deleted, so that what
//! they did keeps its name.

use policy::{ProviderId, RoleId, Timestamp, UserId};

/// A person: as the last sign-in showed them, or as the local directory keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Stable id, derived from issuer and subject.
    pub id: UserId,
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// The provider's name in configuration; `local` for the local directory.
    pub provider: ProviderId,
    /// The name they sign in with.
    pub login: String,
    /// Their name as people read it.
    pub name: String,
    /// Their roles as last confirmed, sorted.
    pub roles: Vec<RoleId>,
    /// Where they work, free text.
    pub unit: String,
    /// When they were first known.
    pub added_at: Timestamp,
    /// The last sign-in; when they were added, until there is one.
    pub seen_at: Timestamp,
    /// When their provider, or the directory, last said that the roles are theirs.
    pub confirmed_at: Timestamp,
    /// Set while they are disabled.
    pub disabled: Option<Disabled>,
}

/// Since when, why and by whom a person is disabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disabled {
    /// When.
    pub at: Timestamp,
    /// Why, in the words of whoever did it.
    pub why: String,
    /// Who did it.
    pub actor: String,
}

/// Which people to read; the default is everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeopleFilter {
    /// Found in login, name or unit; case does not matter for ASCII.
    pub text: Option<String>,
    /// Has this role.
    pub role: Option<RoleId>,
    /// Comes from this provider.
    pub provider: Option<ProviderId>,
    /// Is (`true`) or is not (`false`) disabled.
    pub disabled: Option<bool>,
    /// Has not signed in since this moment.
    pub unused_since: Option<Timestamp>,
}

/// What to change of a person; `None` keeps. Disabling and enabling are functions of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonChange {
    /// The name they sign in with.
    pub login: Option<String>,
    /// Their name as people read it.
    pub name: Option<String>,
    /// Their roles: open sessions take them over at once.
    pub roles: Option<Vec<RoleId>>,
    /// Where they work.
    pub unit: Option<String>,
}

/// One of several writes that succeed or fail together, as a CSV file asks for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersonWrite {
    /// Add a person.
    Add(Person),
    /// Change a person.
    Change(UserId, PersonChange),
    /// Disable a person, for the reason given; nothing happens to who is disabled already.
    Disable(UserId, String),
}

/// The most people that are read at once.
pub const PEOPLE_READ_MAX: usize = 1_000;
