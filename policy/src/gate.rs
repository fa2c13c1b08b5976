//! A first look at a row: what a session, a device, a zone and a class rule out by a few comparisons of bits, without looking
//! into the row. It can only be too generous; whatever passes is looked at in full.

use std::collections::HashMap;
use std::hash::Hash;

use crate::facts::Facts;
use crate::{DeviceClass, Devices, InfoClass, Methods, Rule, ZoneId, compile};

/// The bit of every name beyond the first 63, which are then told apart by the row itself.
const OTHERS: u64 = 1 << 63;
const NO_DEVICE: u16 = 1 << 15;

/// The bit of each zone and each class that some row names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    zones: Bits<ZoneId>,
    classes: Bits<InfoClass>,
}

/// The bit of each name.
#[derive(Clone, Debug)]
struct Bits<K>(HashMap<K, u64>);

impl Marks {
    pub(crate) fn of(rules: &[Rule]) -> Self {
        let mut marks = Self::default();
        for rule in rules {
            rule.zones.iter().for_each(|zone| marks.zones.mark(zone));
            rule.classes.iter().for_each(|class| marks.classes.mark(class));
        }
        marks
    }
}

impl<K> Default for Bits<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Clone + Eq + Hash> Bits<K> {
    fn mark(&mut self, name: &K) {
        let next = 1_u64.checked_shl(u32::try_from(self.0.len()).unwrap_or(u32::MAX)).unwrap_or(OTHERS);
        self.0.entry(name.clone()).or_insert(next);
    }

    /// None for a name that no row names.
    fn bit(&self, name: &K) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    fn bits(&self, names: &[K]) -> u64 {
        names.iter().fold(0, |bits, name| bits | self.bit(name))
    }
}

/// What a row asks of zone, class, device and session. A bit that is set is allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    /// Zero for every zone.
    zones: u64,
    /// Zero for every class, and for none.
    classes: u64,
    devices: u16,
    /// None for any method.
    methods: Methods,
    /// The least level of assurance; 0 for any.
    assurance: i64,
    outage: bool,
}

/// The same of one question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    zone: u64,
    class: u64,
    device: u16,
    methods: Methods,
    assurance: i64,
    in_outage: bool,
}

impl Gate {
    pub(crate) fn of(rule: &Rule, marks: &Marks) -> Self {
        Self {
            zones: marks.zones.bits(&rule.zones),
            classes: marks.classes.bits(&rule.classes),
            devices: match &rule.devices {
                Devices::Any => u16::MAX,
                Devices::Known => !NO_DEVICE,
                Devices::Classes(classes) => classes.iter().fold(0, |bits, class| bits | class_bit(*class)),
            },
            methods: rule.methods,
            assurance: rule.assurance.map_or(0, crate::Assurance::level),
            outage: compile::reaches_outages(rule),
        }
    }

    pub(crate) fn admits(self, shape: &Shape) -> bool {
        (self.zones == 0 || self.zones & shape.zone != 0)
            && (self.classes == 0 || self.classes & shape.class != 0)
            && self.devices & shape.device != 0
            && (self.methods.is_empty() || self.methods.meets(shape.methods))
            && self.assurance <= shape.assurance
            && (self.outage || !shape.in_outage)
    }
}

impl Shape {
    pub(crate) fn of(facts: &Facts<'_>, marks: &Marks) -> Self {
        Self {
            zone: marks.zones.bit(&facts.access.from.zone),
            class: facts.access.class.as_ref().map_or(0, |class| marks.classes.bit(class)),
            device: facts.access.device.as_ref().map_or(NO_DEVICE, |device| class_bit(device.class)),
            methods: facts.methods,
            assurance: facts.assurance.map_or(0, crate::Assurance::level),
            in_outage: facts.in_outage,
        }
    }
}

fn class_bit(class: DeviceClass) -> u16 {
    1 << (class as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{JAPAN, access_with, rule_with};
    use crate::{Assurance, Effect, SignInMethod, fit};

    #[test]
    fn what_one_look_rules_out_never_fits() {
        let access = access_with(|access| access.class = Some("chart".parse().unwrap()));
        let facts = Facts::of(&access, &JAPAN);
        let check = |change: fn(&mut Rule), expected: bool| {
            let rule = rule_with("r", change);
            let marks = Marks::of(std::slice::from_ref(&rule));
            let admitted = Gate::of(&rule, &marks).admits(&Shape::of(&facts, &marks));
            assert_eq!((admitted, fit::fits(&rule, &facts)), (expected, expected), "{rule:?}");
        };
        check(|_| {}, true);
        check(|rule| rule.zones = vec!["office".parse().unwrap()], false);
        check(|rule| rule.zones = vec!["office".parse().unwrap(), "ward".parse().unwrap()], true);
        check(|rule| rule.classes = vec!["images".parse().unwrap()], false);
        check(|rule| rule.classes = vec!["images".parse().unwrap(), "chart".parse().unwrap()], true);
        check(|rule| rule.devices = Devices::Known, true);
        check(|rule| rule.devices = Devices::Classes(vec![DeviceClass::Machine]), false);
        check(|rule| rule.methods = Methods::of([SignInMethod::Passkey]), false);
        check(|rule| rule.methods = Methods::of([SignInMethod::Passkey, SignInMethod::Provider]), true);
        check(|rule| rule.assurance = Some(Assurance::Aal2), false);
        check(|rule| rule.assurance = Some(Assurance::Aal1), true);
        check(|rule| rule.effect = Effect::Forbid, true);
    }

    #[test]
    fn what_is_not_classified_is_for_rules_without_classes() {
        let access = access_with(|access| access.class = None);
        let facts = Facts::of(&access, &JAPAN);
        let of_charts = rule_with("r", |rule| rule.classes = vec!["chart".parse().unwrap()]);
        let marks = Marks::of(std::slice::from_ref(&of_charts));
        let shape = Shape::of(&facts, &marks);
        assert!(!Gate::of(&of_charts, &marks).admits(&shape) && !fit::fits(&of_charts, &facts));
        assert!(Gate::of(&rule_with("r", |_| {}), &marks).admits(&shape));
    }

    #[test]
    fn a_hundred_zones_share_what_bits_there_are() {
        let zone = |number: usize| ZoneId::parse(&format!("zone{number}")).unwrap();
        let rules: Vec<_> = (0..100).map(|number| rule_with("r", |rule| rule.zones = vec![zone(number)])).collect();
        let marks = Marks::of(&rules);
        for (number, rule) in rules.iter().enumerate() {
            let access = access_with(|access| access.from.zone = zone(number));
            let shape = Shape::of(&Facts::of(&access, &JAPAN), &marks);
            assert!(Gate::of(rule, &marks).admits(&shape));
            let others = rules.iter().filter(|other| Gate::of(other, &marks).admits(&shape)).count();
            assert_eq!(others, if number < 63 { 1 } else { 37 });
        }
    }
}
