//! The facts of one question as rules see them, and which of them a rule reads.

use crate::{Access, Assurance, LocalTime, UtcOffset, Who};

/// What `auth_age_seconds` is for nobody: older than any rule accepts, small enough to calculate with.
pub(crate) const AUTH_AGE_OF_NOBODY: i64 = u32::MAX as i64;

/// The facts of one question.
#[derive(Clone, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) access: &'a Access,
    /// Who is signed in, see [`signed_in`].
    pub(crate) who: Option<&'a Who>,
    /// How surely they were recognised; `None` for nobody.
    pub(crate) assurance: Option<Assurance>,
    /// Whole seconds since they proved who they are.
    pub(crate) auth_age_seconds: i64,
    /// The hospital's clock.
    pub(crate) local: LocalTime,
}

impl<'a> Facts<'a> {
    pub(crate) fn of(access: &'a Access, offset: UtcOffset) -> Self {
        let who = signed_in(access);
        let age = |who: &Who| i64::try_from(access.at.since(who.authenticated_at).as_secs()).unwrap_or(i64::MAX);
        Self {
            access,
            who,
            assurance: who.map(|who| who.assurance),
            auth_age_seconds: who.map_or(AUTH_AGE_OF_NOBODY, |who| age(who).min(AUTH_AGE_OF_NOBODY)),
            local: access.at.local(offset),
        }
    }

    /// The same question, had the person just proven who they are as surely as this.
    pub(crate) fn had_they_stepped_up(&self, assurance: Assurance) -> Self {
        Self { assurance: Some(assurance), auth_age_seconds: 0, ..self.clone() }
    }
}

/// Who is signed in: nobody once their session is over, whatever the caller still holds.
pub(crate) fn signed_in(access: &Access) -> Option<&Who> {
    access.who.as_deref().filter(|who| access.at < who.ends_at)
}

/// A fact that a rule's conditions may read. Roles, app and action are not here: they choose the candidates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fact {
    Zone,
    Method,
    Path,
    Minute,
    Weekday,
    Assurance,
    AuthAge,
    Device,
    SameDevice,
    SignedIn,
    Address,
    Host,
    Principal,
}

impl Fact {
    pub(crate) const ALL: [Self; 13] = [
        Self::Zone,
        Self::Method,
        Self::Path,
        Self::Minute,
        Self::Weekday,
        Self::Assurance,
        Self::AuthAge,
        Self::Device,
        Self::SameDevice,
        Self::SignedIn,
        Self::Address,
        Self::Host,
        Self::Principal,
    ];

    /// Its name in Cedar's `context`; `principal` is a variable of its own.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Zone => "zone",
            Self::Method => "method",
            Self::Path => "path",
            Self::Minute => "minute",
            Self::Weekday => "weekday",
            Self::Assurance => "assurance",
            Self::AuthAge => "auth_age_seconds",
            Self::Device => "device",
            Self::SameDevice => "same_device",
            Self::SignedIn => "signed_in",
            Self::Address => "address",
            Self::Host => "host",
            Self::Principal => "principal",
        }
    }

    fn bit(self) -> u16 {
        1 << (self as u16)
    }
}

/// A set of facts.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reads(u16);

impl Reads {
    pub(crate) fn none() -> Self {
        Self::default()
    }

    pub(crate) fn all() -> Self {
        Fact::ALL.into_iter().fold(Self::none(), Self::with)
    }

    #[must_use]
    pub(crate) fn with(self, fact: Fact) -> Self {
        Self(self.0 | fact.bit())
    }

    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn has(self, fact: Fact) -> bool {
        self.0 & fact.bit() != 0
    }

    /// Whether time alone changes what was read.
    pub(crate) fn time(self) -> bool {
        self.has(Fact::Minute) || self.has(Fact::Weekday) || self.has(Fact::AuthAge)
    }

    /// Whether proving who one is, again or more surely, changes what was read.
    pub(crate) fn step_up(self) -> bool {
        self.has(Fact::Assurance) || self.has(Fact::AuthAge)
    }

    /// Whether signing in changes what was read.
    pub(crate) fn person(self) -> bool {
        self.step_up() || self.has(Fact::SignedIn) || self.has(Fact::SameDevice) || self.has(Fact::Principal)
    }
}

impl std::fmt::Debug for Reads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(Fact::ALL.into_iter().filter(|fact| self.has(*fact))).finish()
    }
}
