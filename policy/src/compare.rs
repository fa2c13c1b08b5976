//! What two policies say to the same accesses, for replays. Questions that neither can tell apart are judged once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::answer::Answer;
use crate::facts::{Fact, Reads, signed_in};
use crate::policy::Policy;
use crate::{
    Aaguid, Access, Action, AppId, Assurance, DeviceClass, DeviceId, Grant, Host, InfoClass, Judge, Judged, Method,
    Methods, Path, PostureFact, RoleId, Timestamp, UserId, ZoneId,
};

/// How many folded questions a comparison remembers at most; then it begins anew.
const FOLDED_MAX: usize = 200_000;

impl Policy {
    /// The access as this policy's routes of its app classify it. A stream stays one.
    #[must_use]
    pub fn classify<'a>(&self, access: &'a Access) -> Cow<'a, Access> {
        let classified = self.classifier(&access.app).classify(&access.method, &access.path);
        let action = if access.action == Action::Connect { Action::Connect } else { classified.action };
        if action == access.action && classified.class == access.class {
            return Cow::Borrowed(access);
        }
        Cow::Owned(Access { action, class: classified.class, ..access.clone() })
    }
}

/// Which facts of an access are known that old records do not state. What is not known must not be guessed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    /// When the person proved who they are, and when their roles were confirmed.
    pub authentication: bool,
    /// What was believed of the device's condition.
    pub posture: bool,
}

impl Known {
    /// All of them.
    pub const ALL: Self = Self { authentication: true, posture: true };
}

/// A fact that a policy reads and a record does not state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Unstated {
    /// When the person proved who they are.
    Authentication,
    /// The condition of the device.
    Posture,
}

/// What two policies say to the same access.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compared {
    /// What the policy in force says.
    pub active: Judged,
    /// What the proposed one says.
    pub proposed: Judged,
}

impl Compared {
    /// Whether the answers differ in what happens: another rule with the same answer is no difference.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.active.decision != self.proposed.decision
    }
}

/// Judges the same accesses by two policies. Questions that neither can tell apart are judged once; what is remembered
/// is bounded.
#[derive(Debug)]
pub struct Comparison {
    active: Judge,
    proposed: Judge,
    /// Whether a policy written in Cedar may look at the very person.
    tells_people_apart: bool,
    folded: HashMap<Fold, Both, foldhash::fast::RandomState>,
}

/// Both answers, and the span in which time does not change them.
#[derive(Clone, Debug)]
struct Both {
    since: Timestamp,
    until: Timestamp,
    compared: Compared,
}

impl Comparison {
    /// A comparison of the policy in force with a proposed one.
    #[must_use]
    pub fn new(active: Arc<Policy>, proposed: Arc<Policy>) -> Self {
        let is_written = |policy: &Policy| policy.statements.iter().any(|statement| statement.row.is_none());
        Self {
            tells_people_apart: is_written(&active) || is_written(&proposed),
            active: Judge::new(active),
            proposed: Judge::new(proposed),
            folded: HashMap::default(),
        }
    }

    /// What both say to an access, which each may classify in its own way.
    ///
    /// # Errors
    /// [`Unstated`] where one of them reads what is not known.
    pub fn judge(&mut self, active: &Access, proposed: &Access, known: Known) -> Result<Compared, Unstated> {
        let (is_built_in, reads) = self.reads(active, proposed);
        if let Some(missing) = missing(active, reads, known) {
            return Err(missing);
        }
        if is_built_in {
            return Ok(Compared { active: self.active.ask(active), proposed: self.proposed.ask(proposed) });
        }
        let fold = Fold::of(active, proposed, reads, self.tells_people_apart);
        if let Some(both) = self.folded.get(&fold)
            && both.since <= active.at
            && active.at < both.until
        {
            return Ok(both.compared.clone());
        }
        let (one, two) = (self.active.answer(active), self.proposed.answer(proposed));
        Ok(self.keep(fold, one, two))
    }

    fn keep(&mut self, fold: Fold, one: Answer, two: Answer) -> Compared {
        let (since, until, lasts) = (one.since.max(two.since), one.until.min(two.until), one.lasts && two.lasts);
        let compared = Compared { active: Judged::of(one.outcome), proposed: Judged::of(two.outcome) };
        if lasts {
            if self.folded.len() >= FOLDED_MAX {
                self.folded.clear();
            }
            self.folded.insert(fold, Both { since, until, compared: compared.clone() });
        }
        compared
    }

    /// Whether the app is a part of the gateway, for which nothing of this holds; and what either policy reads.
    fn reads(&self, active: &Access, proposed: &Access) -> (bool, Reads) {
        let of = |judge: &Judge, access: &Access| {
            let entry = judge.policy().app(&access.app);
            entry.map_or((false, Reads::none()), |app| (app.facts.built_in, app.on(access.action).reads))
        };
        let ((one, reads), (two, others)) = (of(&self.active, active), of(&self.proposed, proposed));
        (one || two, reads.and(others))
    }
}

fn missing(access: &Access, reads: Reads, known: Known) -> Option<Unstated> {
    let ages = reads.has(Fact::AuthAge) || reads.has(Fact::RolesAge);
    if ages && !known.authentication && signed_in(access).is_some() {
        return Some(Unstated::Authentication);
    }
    (reads.has(Fact::Posture) && !known.posture && access.device.is_some()).then_some(Unstated::Posture)
}

/// All that can tell two questions apart, time aside. Invariant: whatever either policy reads is in here.
#[derive(PartialEq, Eq, Hash, Debug)]
struct Fold {
    app: AppId,
    active: (Action, Option<InfoClass>),
    proposed: (Action, Option<InfoClass>),
    roles: Option<Arc<[RoleId]>>,
    user: Option<UserId>,
    on_its_device: bool,
    in_outage: bool,
    assurance: Option<Assurance>,
    methods: Option<Methods>,
    key_model: Option<Aaguid>,
    authenticated_at: Option<Timestamp>,
    roles_confirmed_at: Option<Timestamp>,
    class: Option<DeviceClass>,
    device: Option<DeviceId>,
    posture: Option<Arc<[PostureFact]>>,
    zone: ZoneId,
    grant: Option<Grant>,
    method: Method,
    address: Option<IpAddr>,
    host: Option<Host>,
    path: Option<Path>,
}

impl Fold {
    fn of(active: &Access, proposed: &Access, reads: Reads, tells_people_apart: bool) -> Self {
        // Every fact is named, so that none can be forgotten. Only classes and actions differ between the two.
        let Access { request: _, at: _, app, action, class, method, host, path, who: _, device, from, grant } = active;
        let (who, device) = (signed_in(active), device.as_deref());
        Self {
            app: app.clone(),
            active: (*action, class.clone()),
            proposed: (proposed.action, proposed.class.clone()),
            roles: who.map(|who| Arc::clone(&who.roles)),
            user: who.filter(|_| tells_people_apart).map(|who| who.user.clone()),
            on_its_device: who.is_none() || active.session_is_on_its_device(),
            in_outage: who.is_some_and(|who| who.in_outage),
            assurance: who.map(|who| who.assurance),
            methods: who.map(|who| who.methods),
            key_model: who.and_then(|who| who.key_model),
            authenticated_at: who.filter(|_| reads.has(Fact::AuthAge)).map(|who| who.authenticated_at),
            roles_confirmed_at: who.filter(|_| reads.has(Fact::RolesAge)).map(|who| who.roles_confirmed_at),
            class: device.map(|device| device.class),
            device: device.filter(|_| reads.has(Fact::DeviceId)).map(|device| device.id.clone()),
            posture: device.filter(|_| reads.has(Fact::Posture)).map(|device| Arc::clone(&device.posture)),
            zone: from.zone.clone(),
            grant: grant.clone(),
            method: method.clone(),
            address: reads.has(Fact::Address).then_some(from.address),
            host: reads.has(Fact::Host).then(|| host.clone()),
            path: reads.has(Fact::Path).then(|| path.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{access_with, moment, rule_with, source, who_with};
    use crate::{Decision, DeviceClass, Devices, Effect, Hours, PathPattern, PostureDemand, Rule, Subjects, Weekday};

    fn policy(rules: Vec<Rule>, cedar: &str) -> Arc<Policy> {
        Arc::new(Policy::load(&source(rules, cedar)).unwrap())
    }

    fn decisions(compared: &Compared) -> (Decision, Decision) {
        (compared.active.decision, compared.proposed.decision)
    }

    #[test]
    fn both_answers_are_told_and_another_rule_with_the_same_answer_is_no_difference() {
        let tablets = |rule: &mut Rule| rule.devices = Devices::Classes(vec![DeviceClass::Tablet]);
        let mut comparison =
            Comparison::new(policy(vec![rule_with("one", |_| {})], ""), policy(vec![rule_with("two", tablets)], ""));
        let access = access_with(|_| {});
        let compared = comparison.judge(&access, &access, Known::ALL).unwrap();
        assert_eq!(decisions(&compared), (Decision::Allow, Decision::Deny));
        assert!(compared.differs());
        let mut comparison =
            Comparison::new(policy(vec![rule_with("one", |_| {})], ""), policy(vec![rule_with("two", |_| {})], ""));
        assert!(!comparison.judge(&access, &access, Known::ALL).unwrap().differs());
    }

    #[test]
    fn what_a_record_does_not_state_is_never_guessed() {
        let known = |authentication, posture| Known { authentication, posture };
        let fresh = |rule: &mut Rule| rule.authenticated_within = Some(Duration::from_secs(600));
        let healthy = |rule: &mut Rule| rule.posture = vec![PostureDemand::parse("edr=running").unwrap()];
        let plain = || policy(vec![rule_with("one", |_| {})], "");
        let check = |proposed: Arc<Policy>, known, expected: Option<Unstated>| {
            let access = access_with(|_| {});
            let judged = Comparison::new(plain(), proposed).judge(&access, &access, known);
            assert_eq!(judged.err(), expected);
        };
        check(policy(vec![rule_with("two", fresh)], ""), known(false, true), Some(Unstated::Authentication));
        check(policy(vec![rule_with("two", fresh)], ""), known(true, false), None);
        check(policy(vec![rule_with("two", healthy)], ""), known(true, false), Some(Unstated::Posture));
        check(plain(), known(false, false), None);
    }

    #[test]
    fn a_policy_written_in_cedar_may_look_at_the_very_person() {
        let cedar = "@id(\"sato\") permit (principal == Sekimori::User::\"u-1\", action, resource);";
        let mut comparison = Comparison::new(policy(vec![], ""), policy(vec![], cedar));
        let sato = access_with(|_| {});
        let tanaka = access_with(|access| access.who = who_with(|who| who.user = "u-2".parse().unwrap()));
        for (access, expected) in [(&sato, Decision::Allow), (&tanaka, Decision::Deny), (&sato, Decision::Allow)] {
            assert_eq!(comparison.judge(access, access, Known::ALL).unwrap().proposed.decision, expected);
        }
    }

    fn rules() -> Vec<Rule> {
        vec![
            rule_with("day", |rule| {
                let days = Weekday::ALL.map(crate::Day::Week).to_vec();
                rule.hours = Some(Hours { days, from_minute: 8 * 60, to_minute: 18 * 60 });
            }),
            rule_with("fresh", |rule| {
                rule.authenticated_within = Some(Duration::from_secs(1_800));
                rule.paths = vec![PathPattern::parse("/fhir/*").unwrap()];
            }),
            rule_with("healthy", |rule| rule.posture = vec![PostureDemand::parse("edr=running").unwrap()]),
            rule_with("no-tablets", |rule| {
                rule.effect = Effect::Forbid;
                rule.subjects = Subjects::Anyone;
                rule.devices = Devices::Classes(vec![DeviceClass::Tablet]);
            }),
        ]
    }

    fn access() -> impl Strategy<Value = Access> {
        let facts = (0..48_i64, 0..3_u8, any::<bool>(), any::<bool>(), any::<bool>(), 0..4_i64, any::<bool>());
        facts.prop_map(|(half_hours, device, in_fhir, is_nurse, is_signed_in, age, is_healthy)| {
            access_with(|access| {
                let start = moment("2026-11-20T00:00:00");
                access.at = start.after(Duration::from_secs(u64::try_from(half_hours).unwrap() * 1_800));
                access.path = Path::parse(if in_fhir { "/fhir/Patient/1" } else { "/ui" }).unwrap();
                let of_device = |class| {
                    let mut device = crate::fixtures::ward_terminal();
                    device.class = class;
                    if is_healthy {
                        let name = "edr".parse().unwrap();
                        device.posture =
                            [PostureFact { name, value: "running".into(), fresh_until: Timestamp::MAX }].into();
                    }
                    Arc::new(device)
                };
                access.device = [None, Some(DeviceClass::Tablet), Some(DeviceClass::WardShared)][usize::from(device)]
                    .map(of_device);
                let on_it = access.device.as_ref().map(|device| device.id.clone());
                let at = access.at;
                let person = who_with(|who| {
                    who.ends_at = Timestamp::MAX;
                    who.bound_to = on_it;
                    who.authenticated_at = Timestamp::from_unix_micros(at.unix_micros() - age * 900_000_000);
                    if !is_nurse {
                        who.roles = Arc::from(["clerk".parse().unwrap()]);
                        who.user = "u-2".parse().unwrap();
                    }
                });
                access.who = person.filter(|_| is_signed_in);
            })
        })
    }

    proptest! {
        #[test]
        fn folded_questions_are_answered_as_each_alone(accesses in proptest::collection::vec(access(), 1..60)) {
            let (active, proposed) = (policy(rules()[..2].to_vec(), ""), policy(rules(), ""));
            let mut folding = Comparison::new(Arc::clone(&active), Arc::clone(&proposed));
            for access in &accesses {
                let alone = |policy: &Arc<Policy>| Judge::new(Arc::clone(policy)).ask(access);
                let compared = folding.judge(access, access, Known::ALL).unwrap();
                prop_assert_eq!((compared.active, compared.proposed), (alone(&active), alone(&proposed)));
            }
        }
    }
}
