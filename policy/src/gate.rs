//! A first look at a row: what a session, a device and a zone rule out by a few comparisons of bits, without looking
//! into the row. It can only be too generous; whatever passes is looked at in full.

use std::collections::HashMap;

use crate::facts::Facts;
use crate::{DeviceClass, Devices, Methods, Rule, ZoneId, compile};

/// The bit of every zone beyond the first 63, which are then told apart by the row itself.
const OTHER_ZONES: u64 = 1 << 63;
const NO_DEVICE: u16 = 1 << 15;

/// The bit of each zone that some row names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Zones(HashMap<ZoneId, u64>);

impl Zones {
    pub(crate) fn of<'a>(rules: impl Iterator<Item = &'a Rule>) -> Self {
        let mut bits = HashMap::new();
        for zone in rules.flat_map(|rule| &rule.zones) {
            let next = 1_u64.checked_shl(u32::try_from(bits.len()).unwrap_or(u32::MAX)).unwrap_or(OTHER_ZONES);
            bits.entry(zone.clone()).or_insert(next);
        }
        Self(bits)
    }

    /// None for a zone that no row names.
    fn bit(&self, zone: &ZoneId) -> u64 {
        self.0.get(zone).copied().unwrap_or(0)
    }
}

/// What a row asks of zone, device and session. A bit that is set is allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    /// Zero for every zone.
    zones: u64,
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
    device: u16,
    methods: Methods,
    assurance: i64,
    in_outage: bool,
}

impl Gate {
    pub(crate) fn of(rule: &Rule, zones: &Zones) -> Self {
        Self {
            zones: rule.zones.iter().fold(0, |bits, zone| bits | zones.bit(zone)),
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
            && self.devices & shape.device != 0
            && (self.methods.is_empty() || self.methods.meets(shape.methods))
            && self.assurance <= shape.assurance
            && (self.outage || !shape.in_outage)
    }
}

impl Shape {
    pub(crate) fn of(facts: &Facts<'_>, zones: &Zones) -> Self {
        Self {
            zone: zones.bit(&facts.access.from.zone),
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
    use crate::fixtures::{JAPAN, nurse_reads_emr, rule_with};
    use crate::{Assurance, Effect, SignInMethod, fit};

    #[test]
    fn what_one_look_rules_out_never_fits() {
        let access = nurse_reads_emr();
        let facts = Facts::of(&access, &JAPAN);
        let check = |change: fn(&mut Rule), expected: bool| {
            let rule = rule_with("r", change);
            let zones = Zones::of(std::iter::once(&rule));
            let admitted = Gate::of(&rule, &zones).admits(&Shape::of(&facts, &zones));
            assert_eq!((admitted, fit::fits(&rule, &facts)), (expected, expected), "{rule:?}");
        };
        check(|_| {}, true);
        check(|rule| rule.zones = vec!["office".parse().unwrap()], false);
        check(|rule| rule.zones = vec!["office".parse().unwrap(), "ward".parse().unwrap()], true);
        check(|rule| rule.devices = Devices::Known, true);
        check(|rule| rule.devices = Devices::Classes(vec![DeviceClass::Machine]), false);
        check(|rule| rule.methods = Methods::of([SignInMethod::Passkey]), false);
        check(|rule| rule.methods = Methods::of([SignInMethod::Passkey, SignInMethod::Provider]), true);
        check(|rule| rule.assurance = Some(Assurance::Aal2), false);
        check(|rule| rule.assurance = Some(Assurance::Aal1), true);
        check(|rule| rule.effect = Effect::Forbid, true);
    }

    #[test]
    fn a_hundred_zones_share_what_bits_there_are() {
        let zone = |number: usize| ZoneId::parse(&format!("zone{number}")).unwrap();
        let rules: Vec<_> = (0..100).map(|number| rule_with("r", |rule| rule.zones = vec![zone(number)])).collect();
        let zones = Zones::of(rules.iter());
        for (number, rule) in rules.iter().enumerate() {
            let access = crate::fixtures::access_with(|access| access.from.zone = zone(number));
            let shape = Shape::of(&Facts::of(&access, &JAPAN), &zones);
            assert!(Gate::of(rule, &zones).admits(&shape));
            let others = rules.iter().filter(|other| Gate::of(other, &zones).admits(&shape)).count();
            assert_eq!(others, if number < 63 { 1 } else { 37 });
        }
    }
}
