//! Exceptions to what rules allow every day: a vendor's approved window, or glass that a person broke. Whether one is in
//! force for a person and an app is found out before the policy is asked; here is what that is worth to a rule.

use crate::{Access, GrantId, Timestamp};

/// An exception that is in force for the person and the app of an access.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Grant {
    /// Its name in store and log.
    pub id: GrantId,
    /// Which kind of exception it is.
    pub kind: GrantKind,
    /// The first moment at which it is over.
    pub end: Timestamp,
    /// Whether its own list of methods and paths covers the request.
    pub reaches: bool,
}

/// The two kinds of exceptions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GrantKind {
    /// A vendor's window, approved by the hospital.
    Maintenance,
    /// Glass that a person broke for themselves, reviewed afterwards.
    Glass,
}

/// What the names of glass begin with; all other names are those of maintenance.
const GLASS: &str = "glass-";

impl GrantKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Maintenance, Self::Glass];

    /// Its word in store, log and forms.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Maintenance => "maintenance",
            Self::Glass => "glass",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What names of this kind begin with.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Maintenance => "g-",
            Self::Glass => GLASS,
        }
    }

    /// The kind that a name tells.
    #[must_use]
    pub fn of(id: &GrantId) -> Self {
        if id.as_str().starts_with(GLASS) { Self::Glass } else { Self::Maintenance }
    }
}

impl Grant {
    /// One of which only the name is known, and that it was in force and reached what was asked: from a record, or for
    /// a question of somebody who tries the policy.
    #[must_use]
    pub fn named(id: GrantId) -> Self {
        Self { kind: GrantKind::of(&id), id, end: Timestamp::MAX, reaches: true }
    }
}

/// What an access has of one kind of exception.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Held<I> {
    /// None.
    Nothing,
    /// One that does not reach the request.
    Elsewhere,
    /// One that counts.
    InForce(I),
}

impl<'a> Held<&'a GrantId> {
    pub(crate) fn of(access: &'a Access, kind: GrantKind) -> Self {
        match access.grant.as_ref().filter(|grant| grant.kind == kind && access.at < grant.end) {
            None => Self::Nothing,
            Some(grant) if grant.reaches => Self::InForce(&grant.id),
            Some(_) => Self::Elsewhere,
        }
    }

    /// The one that counts.
    pub(crate) fn in_force(self) -> Option<&'a GrantId> {
        match self {
            Self::InForce(id) => Some(id),
            Self::Nothing | Self::Elsewhere => None,
        }
    }

    pub(crate) fn cloned(self) -> Held<GrantId> {
        match self {
            Self::Nothing => Held::Nothing,
            Self::Elsewhere => Held::Elsewhere,
            Self::InForce(id) => Held::InForce(id.clone()),
        }
    }
}

impl Held<GrantId> {
    pub(crate) fn as_ref(&self) -> Held<&GrantId> {
        match self {
            Self::Nothing => Held::Nothing,
            Self::Elsewhere => Held::Elsewhere,
            Self::InForce(id) => Held::InForce(id),
        }
    }
}

/// The first moment at which an exception that is in force for an access is over, where one is.
pub(crate) fn ends(access: &Access) -> Option<Timestamp> {
    access.grant.as_ref().map(|grant| grant.end).filter(|end| access.at < *end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::access_with;

    #[test]
    fn a_name_tells_the_kind_and_words_read_back() {
        for kind in GrantKind::ALL {
            assert_eq!(GrantKind::parse(kind.as_str()), Some(kind));
            let id: GrantId = format!("{}0a", kind.prefix()).parse().unwrap();
            assert_eq!((GrantKind::of(&id), Grant::named(id).kind), (kind, kind));
        }
    }

    #[test]
    fn an_exception_counts_for_its_kind_where_it_reaches_until_it_is_over() {
        let grant = Grant::named("g-1".parse().unwrap());
        let held = |grant: &Grant| {
            let access = access_with(|access| access.grant = Some(grant.clone()));
            GrantKind::ALL.map(|kind| match Held::of(&access, kind) {
                Held::Nothing => 0,
                Held::Elsewhere => 1,
                Held::InForce(_) => 2,
            })
        };
        let now = access_with(|_| {}).at;
        assert_eq!(held(&grant), [2, 0]);
        assert_eq!(held(&Grant { reaches: false, ..grant.clone() }), [1, 0]);
        assert_eq!(held(&Grant { end: now, ..grant.clone() }), [0, 0], "its end is not in it");
        assert_eq!(held(&Grant { kind: GrantKind::Glass, ..grant }), [0, 2]);
    }
}
