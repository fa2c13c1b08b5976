//! What a row asks of an access, condition by condition: as the matrix lists it and as an explanation tells what is
//! missing. The same reading as `fit`, which is the fast one; a property test holds the two together.

use std::time::Duration;

use crate::facts::Facts;
use crate::grant::Held;
use crate::posture::{self, Standing};
use crate::{
    Aaguid, Action, Assurance, DeviceClass, Devices, GrantKind, Hours, InfoClass, Methods, PathPattern, PostureDemand,
    Reason, RoleId, Rule, SignInMethod, Subjects, ZoneId, compile, fit,
};

/// One condition of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Somebody is signed in.
    SignedIn,
    /// They have one of these roles.
    Roles(Vec<RoleId>),
    /// It would do one of these, those included that the named ones cover.
    Actions(Vec<Action>),
    /// It is about one of these classes of information.
    Classes(Vec<InfoClass>),
    /// It is at one of these paths.
    Paths(Vec<PathPattern>),
    /// From a device of the ledger.
    KnownDevice,
    /// From a device of the ledger of one of these classes.
    DeviceClasses(Vec<DeviceClass>),
    /// From a device that is fresh known to be so.
    Posture(PostureDemand),
    /// From one of these zones.
    Zones(Vec<ZoneId>),
    /// On these days and at these hours.
    Hours(Hours),
    /// Under an approved exception.
    Grant,
    /// Under glass that was broken.
    BreakGlass,
    /// By somebody who signed in while their provider could be reached.
    NoOutage,
    /// By somebody who proved who they are in one of these ways.
    Methods(Methods),
    /// By somebody whose passkey is of one of these models.
    Keys(Vec<Aaguid>),
    /// By somebody who was recognised this surely.
    Assurance(Assurance),
    /// By somebody who proved who they are no longer ago than this.
    AuthenticatedWithin(Duration),
    /// What a policy written in Cedar says in its own words.
    InCedar,
}

/// A condition that an access does not meet, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The condition.
    pub condition: Condition,
    /// How people are told.
    pub reason: Reason,
}

impl Condition {
    /// Whom and what a row is about, as far as it is not the app.
    pub(crate) fn of_scope(rule: &Rule) -> impl Iterator<Item = Self> {
        let subjects = match &rule.subjects {
            Subjects::Anyone => None,
            Subjects::SignedIn => Some(Self::SignedIn),
            Subjects::Roles(roles) => Some(Self::Roles(roles.clone())),
        };
        let classes = (!rule.classes.is_empty()).then(|| Self::Classes(rule.classes.clone()));
        // With what the named ones cover.
        let actions = Action::ALL.into_iter().filter(|action| rule.covers(*action)).collect();
        [subjects, Some(Self::Actions(actions)), classes].into_iter().flatten()
    }

    /// How, from where and when, in the order people are told.
    pub(crate) fn of_situation(rule: &Rule) -> impl Iterator<Item = Self> {
        let paths = (!rule.paths.is_empty()).then(|| Self::Paths(rule.paths.clone()));
        let device = match &rule.devices {
            Devices::Any => None,
            Devices::Known => Some(Self::KnownDevice),
            Devices::Classes(classes) => Some(Self::DeviceClasses(classes.clone())),
        };
        let zones = (!rule.zones.is_empty()).then(|| Self::Zones(rule.zones.clone()));
        let after = [
            zones,
            rule.hours.clone().map(Self::Hours),
            rule.grant.then_some(Self::Grant),
            rule.break_glass.then_some(Self::BreakGlass),
            (!compile::reaches_outages(rule)).then_some(Self::NoOutage),
            (!rule.methods.is_empty()).then_some(Self::Methods(rule.methods)),
            (!rule.keys.is_empty()).then(|| Self::Keys(rule.keys.clone())),
            rule.assurance.map(Self::Assurance),
            rule.authenticated_within.map(Self::AuthenticatedWithin),
        ];
        let posture = rule.posture.iter().cloned().map(Self::Posture).collect::<Vec<_>>();
        [paths, device].into_iter().flatten().chain(posture).chain(after.into_iter().flatten())
    }

    /// What of a row an access does not meet, its app aside.
    pub(crate) fn missing(rule: &Rule, facts: &Facts<'_>) -> Vec<Missing> {
        Self::of_scope(rule).chain(Self::of_situation(rule)).filter_map(|condition| condition.unmet(facts)).collect()
    }

    /// Why an access does not meet it; `None` if it does. What is written in Cedar is not known here and counts as met.
    pub(crate) fn unmet(self, facts: &Facts<'_>) -> Option<Missing> {
        let reason = self.reason_unmet(facts)?;
        Some(Missing { condition: self, reason })
    }

    fn reason_unmet(&self, facts: &Facts<'_>) -> Option<Reason> {
        let access = facts.access;
        let unless = |is_met: bool, reason: Reason| (!is_met).then_some(reason);
        match self {
            Self::SignedIn => unless(facts.who.is_some(), Reason::SignInRequired),
            Self::Roles(roles) => match facts.who {
                None => Some(Reason::SignInRequired),
                Some(who) => unless(who.roles.iter().any(|role| roles.contains(role)), Reason::RoleNotAllowed),
            },
            Self::Actions(actions) => unless(actions.contains(&access.action), Reason::ActionNotAllowed),
            Self::Classes(classes) => {
                unless(access.class.as_ref().is_some_and(|class| classes.contains(class)), Reason::ClassNotAllowed)
            }
            Self::Paths(paths) => unless(paths.iter().any(|path| path.matches(&access.path)), Reason::PathNotAllowed),
            Self::KnownDevice => unless(access.device.is_some(), Reason::DeviceRequired),
            Self::DeviceClasses(classes) => match &access.device {
                None => Some(Reason::DeviceRequired),
                Some(device) => unless(classes.contains(&device.class), Reason::DeviceClassNotAllowed),
            },
            Self::Posture(demand) => match &access.device {
                None => Some(Reason::DeviceRequired),
                Some(device) => match posture::standing(&device.posture, demand, access.at) {
                    Standing::Met => None,
                    Standing::NotMet => Some(Reason::PostureNotMet),
                    Standing::Stale => Some(Reason::PostureStale),
                },
            },
            Self::Zones(zones) => unless(zones.contains(&access.from.zone), Reason::ZoneNotAllowed),
            Self::Hours(hours) => unless(fit::covers_moment(hours, facts.today), Reason::OutsideHours),
            Self::Grant => match Held::of(access, GrantKind::Maintenance) {
                Held::InForce(_) => None,
                Held::Elsewhere => Some(Reason::GrantReach),
                Held::Nothing => Some(Reason::GrantRequired),
            },
            Self::BreakGlass => {
                unless(Held::of(access, GrantKind::Glass).in_force().is_some(), Reason::BreakGlassRequired)
            }
            Self::NoOutage => unless(!facts.in_outage, Reason::OutageReduced),
            Self::Methods(methods) => {
                let addable = methods.has(SignInMethod::Passkey);
                let reason = if addable { Reason::StepUpRequired } else { Reason::MethodNotAllowed };
                unless(methods.meets(facts.methods), reason)
            }
            Self::Keys(keys) => match facts.key_model {
                None => Some(Reason::StepUpRequired),
                Some(model) => unless(keys.contains(&model), Reason::KeyNotAllowed),
            },
            Self::Assurance(level) => unless(facts.assurance.is_some_and(|had| had >= *level), Reason::StepUpRequired),
            Self::AuthenticatedWithin(span) => unless(
                u64::try_from(facts.auth_age_seconds).is_ok_and(|age| age < span.as_secs()),
                Reason::StepUpRequired,
            ),
            Self::InCedar => None,
        }
    }
}
