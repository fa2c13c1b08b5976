//! The facts of one question as rules see them, and which of them a rule reads.

use crate::calendar::{Calendar, Today};
use crate::{Aaguid, Access, Assurance, Methods, SignInMethod, Timestamp, Who};

/// What `auth_age_seconds` is for nobody: older than any rule accepts, small enough to calculate with.
pub(crate) const AGE_OF_NOBODY: i64 = u32::MAX as i64;

/// The facts of one question.
#[derive(Clone, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) access: &'a Access,
    /// Who is signed in, see [`signed_in`].
    pub(crate) who: Option<&'a Who>,
    /// How surely they were recognised; `None` for nobody.
    pub(crate) assurance: Option<Assurance>,
    /// By what; nothing for nobody.
    pub(crate) methods: Methods,
    /// The model of their passkey.
    pub(crate) key_model: Option<Aaguid>,
    /// Whether they signed in while their provider could not be reached.
    pub(crate) in_outage: bool,
    /// Whole seconds since they proved who they are.
    pub(crate) auth_age_seconds: i64,
    /// Whole seconds since their roles were confirmed.
    pub(crate) roles_age_seconds: i64,
    /// The hospital's clock and calendar.
    pub(crate) today: Today,
}

impl<'a> Facts<'a> {
    pub(crate) fn of(access: &'a Access, calendar: &Calendar) -> Self {
        let who = signed_in(access);
        let age = |since: fn(&Who) -> Timestamp| {
            let seconds = |who: &Who| i64::try_from(access.at.since(since(who)).as_secs()).unwrap_or(AGE_OF_NOBODY);
            who.map_or(AGE_OF_NOBODY, |who| seconds(who).min(AGE_OF_NOBODY))
        };
        Self {
            access,
            who,
            assurance: who.map(|who| who.assurance),
            methods: who.map_or(Methods::NONE, |who| who.methods),
            key_model: who.and_then(|who| who.key_model),
            in_outage: who.is_some_and(|who| who.in_outage),
            auth_age_seconds: age(|who| who.authenticated_at),
            roles_age_seconds: age(|who| who.roles_confirmed_at),
            today: calendar.at(access.at),
        }
    }

    /// Whether the session is used from its own device, see [`Access::session_is_on_its_device`].
    pub(crate) fn same_device(&self) -> bool {
        self.who.is_none() || self.access.session_is_on_its_device()
    }

    /// The same question, had the person just proven who they are as surely as this.
    pub(crate) fn had_they_stepped_up(&self, assurance: Assurance) -> Self {
        Self { assurance: Some(assurance), auth_age_seconds: 0, ..self.clone() }
    }

    /// The same question, had they done so with a passkey.
    pub(crate) fn had_they_a_passkey(&self) -> Self {
        Self { methods: self.methods.with(SignInMethod::Passkey), ..self.clone() }
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
    WeekdayBefore,
    Assurance,
    AuthAge,
    Known,
    DeviceId,
    Class,
    SameDevice,
    SignedIn,
    Address,
    Host,
    Principal,
    Posture,
    Methods,
    KeyModel,
    InOutage,
    RolesAge,
    InfoClass,
    Grant,
    BreakGlass,
}

impl Fact {
    pub(crate) const ALL: [Self; 24] = [
        Self::Zone,
        Self::Method,
        Self::Path,
        Self::Minute,
        Self::Weekday,
        Self::WeekdayBefore,
        Self::Assurance,
        Self::AuthAge,
        Self::Known,
        Self::DeviceId,
        Self::Class,
        Self::SameDevice,
        Self::SignedIn,
        Self::Address,
        Self::Host,
        Self::Principal,
        Self::Posture,
        Self::Methods,
        Self::KeyModel,
        Self::InOutage,
        Self::RolesAge,
        Self::InfoClass,
        Self::Grant,
        Self::BreakGlass,
    ];

    /// Those that are parts of the device.
    pub(crate) const OF_DEVICE: [Self; 4] = [Self::Known, Self::DeviceId, Self::Class, Self::Posture];

    /// Its name in Cedar's `context`; `principal` is a variable of its own.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Zone => "zone",
            Self::Method => "method",
            Self::Path => "path",
            Self::Minute => "minute",
            Self::Weekday => "weekday",
            Self::WeekdayBefore => "weekday_before",
            Self::Assurance => "assurance",
            Self::AuthAge => "auth_age_seconds",
            Self::Known => "device.known",
            Self::DeviceId => "device.id",
            Self::Class => "device.class",
            Self::SameDevice => "same_device",
            Self::SignedIn => "signed_in",
            Self::Address => "address",
            Self::Host => "host",
            Self::Principal => "principal",
            Self::Posture => "device.posture",
            Self::Methods => "methods",
            Self::KeyModel => "key_model",
            Self::InOutage => "in_outage",
            Self::RolesAge => "roles_age_seconds",
            Self::InfoClass => "class",
            Self::Grant => "grant",
            Self::BreakGlass => "break_glass",
        }
    }

    fn bit(self) -> u32 {
        1 << (self as u32)
    }
}

/// A set of facts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Reads(u32);

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

    /// Whether anything of the device is read.
    pub(crate) fn device(self) -> bool {
        Fact::OF_DEVICE.into_iter().any(|fact| self.has(fact))
    }

    /// Whether time alone changes what was read.
    pub(crate) fn time(self) -> bool {
        [Fact::Minute, Fact::Weekday, Fact::WeekdayBefore, Fact::AuthAge, Fact::RolesAge]
            .into_iter()
            .any(|fact| self.has(fact))
    }

    /// Whether proving who one is, again or more surely, changes what was read.
    pub(crate) fn step_up(self) -> bool {
        self.has(Fact::Assurance) || self.has(Fact::AuthAge) || self.has(Fact::Methods)
    }

    /// Whether signing in changes what was read.
    pub(crate) fn person(self) -> bool {
        let of_a_person = [
            Fact::SignedIn,
            Fact::SameDevice,
            Fact::Principal,
            Fact::KeyModel,
            Fact::InOutage,
            Fact::RolesAge,
            Fact::Grant,
            Fact::BreakGlass,
        ];
        self.step_up() || of_a_person.into_iter().any(|fact| self.has(fact))
    }
}

impl std::fmt::Debug for Reads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(Fact::ALL.into_iter().filter(|fact| self.has(*fact))).finish()
    }
}
