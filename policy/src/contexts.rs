//! Contexts for Cedar, kept whole: each fact costs Cedar a good part of a microsecond to evaluate, and most questions
//! of a worker share everything but their path.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use cedar_policy::Context;

use crate::facts::{Fact, Facts, Reads};
use crate::grant::Held;
use crate::memo::{CONTEXTS_MAX, Parts};
use crate::{
    Aaguid, Assurance, Day, DeviceClass, DeviceId, GrantId, GrantKind, Host, InfoClass, Method, Methods, ZoneId, schema,
};

/// What hardly ever comes again.
const EVER_NEW: [Fact; 4] = [Fact::Path, Fact::AuthAge, Fact::RolesAge, Fact::Posture];

/// Contexts by everything that is in them.
#[derive(Debug)]
pub(crate) struct Contexts {
    kept: Parts<Key, Option<Context>>,
}

/// What is in a context. Invariant: whatever is read, but for what is ever new, is in here.
#[derive(PartialEq, Eq, Debug)]
struct Key {
    reads: Reads,
    zone: Option<ZoneId>,
    method: Option<Method>,
    host: Option<Host>,
    address: Option<IpAddr>,
    minute: Option<u16>,
    day: Option<Day>,
    day_before: Option<Day>,
    assurance: Option<Assurance>,
    signed_in: bool,
    same_device: bool,
    /// Whether there is one, its id, its class.
    device: (bool, Option<DeviceId>, Option<DeviceClass>),
    methods: Option<Methods>,
    key_model: Option<Aaguid>,
    in_outage: bool,
    class: Option<InfoClass>,
    grant: Option<GrantId>,
    glass: Option<GrantId>,
}

/// By what differs most; the rest is compared.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.reads, self.minute, &self.device, &self.zone, &self.class).hash(state);
        self.address.hash(state);
    }
}

impl Default for Contexts {
    fn default() -> Self {
        Self { kept: Parts::at_most(CONTEXTS_MAX) }
    }
}

impl Contexts {
    /// The context of a question with the facts that are read; `None` if Cedar does not take it, which denies.
    pub(crate) fn of(&mut self, facts: &Facts<'_>, reads: Reads) -> Option<Context> {
        if EVER_NEW.into_iter().any(|fact| reads.has(fact)) {
            return schema::context(facts, reads);
        }
        self.kept.find_or_make(Key::of(facts, reads), || schema::context(facts, reads)).clone()
    }
}

impl Key {
    fn of(facts: &Facts<'_>, reads: Reads) -> Self {
        let access = facts.access;
        let device = |fact| access.device.as_ref().filter(|_| reads.has(fact));
        let held = |kind| Held::of(access, kind).in_force().cloned();
        Self {
            reads,
            zone: reads.has(Fact::Zone).then(|| access.from.zone.clone()),
            method: reads.has(Fact::Method).then(|| access.method.clone()),
            host: reads.has(Fact::Host).then(|| access.host.clone()),
            address: reads.has(Fact::Address).then_some(access.from.address),
            minute: reads.has(Fact::Minute).then_some(facts.today.local.minute_of_day),
            day: reads.has(Fact::Weekday).then_some(facts.today.day),
            day_before: reads.has(Fact::WeekdayBefore).then_some(facts.today.day_before),
            assurance: facts.assurance.filter(|_| reads.has(Fact::Assurance)),
            signed_in: reads.has(Fact::SignedIn) && facts.who.is_some(),
            same_device: reads.has(Fact::SameDevice) && facts.same_device(),
            device: (
                device(Fact::Known).is_some(),
                device(Fact::DeviceId).map(|device| device.id.clone()),
                device(Fact::Class).map(|device| device.class),
            ),
            methods: reads.has(Fact::Methods).then_some(facts.methods),
            key_model: facts.key_model.filter(|_| reads.has(Fact::KeyModel)),
            in_outage: reads.has(Fact::InOutage) && facts.in_outage,
            class: access.class.clone().filter(|_| reads.has(Fact::InfoClass)),
            grant: held(GrantKind::Maintenance).filter(|_| reads.has(Fact::Grant)),
            glass: held(GrantKind::Glass).filter(|_| reads.has(Fact::BreakGlass)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fixtures::{JAPAN, access_with, moment, who_with};
    use crate::{Access, Action, Path, SignInMethod};

    /// Every change of a fact that a context can hold gives another context, kept ones included.
    #[test]
    fn contexts_are_told_apart_by_whatever_is_in_them() {
        type Change = fn(&mut Access);
        fn grant(id: &str) -> Option<crate::Grant> {
            id.parse().ok().map(crate::Grant::named)
        }
        let changes: [(Fact, Change); 20] = [
            (Fact::Zone, |access| access.from.zone = "office".parse().unwrap()),
            (Fact::Method, |access| access.method = Method::parse("HEAD").unwrap()),
            (Fact::Path, |access| access.path = Path::parse("/x").unwrap()),
            (Fact::Host, |access| access.host = Host::parse("x.example").unwrap()),
            (Fact::Address, |access| access.from.address = "10.9.9.9".parse().unwrap()),
            (Fact::Minute, |access| access.at = moment("2026-11-20T10:01:00")),
            (Fact::Weekday, |access| access.at = moment("2026-11-21T10:00:00")),
            (Fact::WeekdayBefore, |access| access.at = moment("2026-11-21T10:00:00")),
            (Fact::InfoClass, |access| access.class = Some("images".parse().unwrap())),
            (Fact::Grant, |access| access.grant = grant("g-1")),
            (Fact::BreakGlass, |access| access.grant = grant("glass-1")),
            (Fact::Assurance, |access| access.who = who_with(|who| who.assurance = Assurance::Aal3)),
            (Fact::AuthAge, |access| access.who = who_with(|who| who.authenticated_at = moment("2026-11-20T09:59:00"))),
            (Fact::Known, |access| access.device = None),
            (Fact::DeviceId, |access| {
                access.device.iter_mut().for_each(|device| Arc::make_mut(device).id = "ward-4".parse().unwrap());
            }),
            (Fact::Class, |access| {
                access.device.iter_mut().for_each(|device| Arc::make_mut(device).class = DeviceClass::Tablet);
            }),
            (Fact::Methods, |access| access.who = who_with(|who| who.methods = Methods::of([SignInMethod::Passkey]))),
            (Fact::KeyModel, |access| access.who = who_with(|who| who.key_model = Some(Aaguid::new([1; 16])))),
            (Fact::InOutage, |access| access.who = who_with(|who| who.in_outage = true)),
            (Fact::SignedIn, |access| access.who = None),
        ];
        for (fact, change) in changes {
            let mut contexts = Contexts::default();
            for reads in [Reads::none().with(fact), Reads::all()] {
                let (plain, changed) = (access_with(|access| access.action = Action::Read), access_with(change));
                let mut of = |access: &Access| contexts.of(&Facts::of(access, &JAPAN), reads).unwrap();
                assert_ne!(of(&plain).to_string(), of(&changed).to_string(), "{fact:?}");
                assert_eq!(of(&plain).to_string(), of(&plain).to_string());
            }
        }
        let elsewhere = access_with(|access| access.who = who_with(|who| who.bound_to = None));
        let same_device = Reads::none().with(Fact::SameDevice);
        let mut contexts = Contexts::default();
        let mut of = |access: &Access| contexts.of(&Facts::of(access, &JAPAN), same_device).unwrap();
        assert_ne!(of(&access_with(|_| {})).to_string(), of(&elsewhere).to_string());
    }
}
