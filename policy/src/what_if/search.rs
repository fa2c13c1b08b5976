//! Looking for the smallest changes that turn an answer: each is tried on the judge before it is told.
//!
//! Rows say by their conditions what would have to be otherwise, so a refusal is searched row by row. What Cedar files
//! and the gateway's own rules ask is not said by any column: there, whatever could be otherwise is tried, alone and in
//! pairs. The number of trials is bounded, so on a vast policy some turn may stay untold; none is told that is not one.

use std::collections::BTreeSet;
use std::mem::{Discriminant, discriminant};

use super::{Alteration, Turn};
use crate::answer::Outcome;
use crate::facts::{Facts, signed_in};
use crate::fit;
use crate::grant;
use crate::policy::{Policy, Statement};
use crate::{
    Access, Assurance, Challenge, Condition, DeviceClass, Devices, Hours, Judge, Reason, Reasons, RoleId, Rule,
    SignInMethod, Subjects, Timestamp, ZoneId,
};

/// How many changes may come together.
const CHANGES_MAX: usize = 6;
/// How many turns are told.
const TURNS_MAX: usize = 5;
/// How far ahead the next hour of a rule is looked for, in days: past every holiday.
const DAYS_AHEAD: i64 = 35;
const MICROS_PER_MINUTE: i64 = 60_000_000;
const MINUTES_PER_DAY: i64 = 24 * 60;

/// A search under way.
pub(super) struct Search<'a> {
    policy: &'a Policy,
    judge: Judge,
    trials_left: usize,
    found: Vec<Vec<Alteration>>,
    /// The fewest changes of what was found.
    fewest: usize,
}

impl<'a> Search<'a> {
    pub(super) fn new(policy: &'a Policy, judge: Judge, trials_max: usize) -> Self {
        Self { policy, judge, trials_left: trials_max, found: Vec::new(), fewest: CHANGES_MAX }
    }

    /// What turns the answer, smallest first.
    pub(super) fn turns(mut self, access: &Access, is_allowed: bool) -> Vec<Turn> {
        if is_allowed {
            for change in self.ways_out(access) {
                if !self.is_allowed(&change.applied(access)) {
                    self.found.push(vec![change]);
                }
            }
        } else {
            self.ways_in(access);
        }
        told(self.found)
    }

    fn ways_in(&mut self, access: &Access) {
        let mut before = Vec::new();
        let mut here = access.clone();
        if signed_in(access).is_none() {
            here.who = None;
        } else if !access.session_is_on_its_device() {
            here = Alteration::SignInHere.applied(access);
            before.push(Alteration::SignInHere);
            self.note(&here, &before);
        }
        let Some(app) = self.policy.app(&access.app) else { return };
        if app.facts.built_in {
            self.ask_as_refused(&here, &mut before);
            return;
        }
        let candidates = &app.on(access.action).all;
        let mut rows: Vec<(usize, &Rule)> = self
            .policy
            .at(candidates)
            .filter(|one| one.permits())
            .filter_map(Statement::row)
            .map(|row| (Condition::missing(row, &Facts::of(&here, &self.policy.calendar)).len(), row))
            .collect();
        rows.sort_by_key(|(missing, _)| *missing);
        for (_, row) in rows {
            self.by_row(row, &here, &mut before);
        }
        if self.policy.at(candidates).any(|statement| statement.row().is_none()) && self.fewest > 1 {
            self.by_trial(&here, &before);
        }
    }

    /// Makes an access fit a row, one missing condition after the other, then whatever forbids it not fit.
    fn by_row(&mut self, row: &Rule, access: &Access, changes: &mut Vec<Alteration>) {
        if changes.len() > self.fewest || changes.len() > CHANGES_MAX || self.trials_left == 0 {
            return;
        }
        self.trials_left -= 1;
        let missing = Condition::missing(row, &Facts::of(access, &self.policy.calendar));
        if let Some(first) = missing.into_iter().next() {
            for change in self.to_meet(&first.condition, access) {
                self.go_on(change, row, access, changes);
            }
            return;
        }
        if self.note(access, changes) {
            return;
        }
        let Some(forbid) = self.fitting_forbid(access) else { return };
        for change in self.to_miss(forbid, access) {
            self.go_on(change, row, access, changes);
        }
    }

    fn go_on(&mut self, change: Alteration, row: &Rule, access: &Access, changes: &mut Vec<Alteration>) {
        if changes.contains(&change) {
            return;
        }
        let then = change.applied(access);
        changes.push(change);
        self.by_row(row, &then, changes);
        changes.pop();
    }

    /// Notes the changes if the access as it is then is allowed.
    fn note(&mut self, access: &Access, changes: &[Alteration]) -> bool {
        let is_allowed = self.is_allowed(access);
        if is_allowed {
            self.fewest = self.fewest.min(changes.len());
            self.found.push(changes.to_vec());
        }
        is_allowed
    }

    fn is_allowed(&mut self, access: &Access) -> bool {
        matches!(self.judge.answer(access).outcome, Outcome::Allow(..))
    }

    fn fitting_forbid(&self, access: &Access) -> Option<&'a Rule> {
        let facts = Facts::of(access, &self.policy.calendar);
        let candidates = &self.policy.app(&access.app)?.on(access.action).all;
        let forbids = self.policy.at(candidates).filter(|statement| !statement.permits()).filter_map(Statement::row);
        forbids.into_iter().find(|row| Condition::missing(row, &facts).is_empty())
    }

    /// What would meet a condition, each way; nothing where it is about another question.
    fn to_meet(&self, condition: &Condition, access: &Access) -> Vec<Alteration> {
        let is_known = access.device.is_some();
        match condition {
            Condition::SignedIn => vec![Alteration::SignIn],
            Condition::Roles(_) if access.who.is_none() => vec![Alteration::SignIn],
            Condition::Roles(roles) => roles.iter().cloned().map(Alteration::Role).collect(),
            Condition::KnownDevice => vec![Alteration::KnownDevice],
            Condition::DeviceClasses(classes) => classes.iter().copied().map(Alteration::Device).collect(),
            Condition::Posture(_) if !is_known => vec![Alteration::KnownDevice],
            Condition::Posture(demand) => vec![Alteration::Posture(demand.clone())],
            Condition::Zones(zones) => zones.iter().cloned().map(Alteration::Zone).collect(),
            Condition::Hours(hours) => self.next(access, hours, true).map(Alteration::At).into_iter().collect(),
            Condition::Grant => vec![Alteration::Grant],
            Condition::BreakGlass => vec![Alteration::BreakGlass],
            Condition::NoOutage => vec![Alteration::ProviderBack],
            // A stranger signs in before they prove more.
            Condition::Methods(_)
            | Condition::Keys(_)
            | Condition::Assurance(_)
            | Condition::AuthenticatedWithin(_)
                if access.who.is_none() =>
            {
                vec![Alteration::SignIn]
            }
            Condition::Methods(methods) if methods.has(SignInMethod::Passkey) => {
                vec![Alteration::Method(SignInMethod::Passkey)]
            }
            Condition::Methods(methods) => methods.iter().map(Alteration::Method).collect(),
            Condition::Keys(keys) => keys.iter().copied().map(Alteration::Key).collect(),
            Condition::Assurance(level) => vec![Alteration::Assurance(*level)],
            Condition::AuthenticatedWithin(_) => vec![Alteration::ProveAgain],
            Condition::Actions(_) | Condition::Classes(_) | Condition::Paths(_) | Condition::InCedar => Vec::new(),
        }
    }

    /// What would keep a row that forbids from fitting.
    fn to_miss(&self, row: &Rule, access: &Access) -> Vec<Alteration> {
        let mut changes = Vec::new();
        if let (Subjects::Roles(roles), Some(who)) = (&row.subjects, &access.who) {
            changes.extend(who.roles.iter().filter(|role| roles.contains(role)).cloned().map(Alteration::WithoutRole));
        }
        match &row.devices {
            Devices::Any => {}
            Devices::Known => changes.push(Alteration::WithoutDevice),
            Devices::Classes(classes) => {
                let other = |class: &DeviceClass| !classes.contains(class);
                changes.extend(DeviceClass::ALL.into_iter().filter(other).map(Alteration::Device));
            }
        }
        if !row.zones.is_empty() {
            let other = |zone: &ZoneId| !row.zones.contains(zone);
            changes.extend(self.zones().into_iter().filter(other).map(Alteration::Zone));
        }
        changes.extend(row.hours.iter().filter_map(|hours| self.next(access, hours, false)).map(Alteration::At));
        changes
    }

    /// The next moment at which hours begin, or are over: on the minute.
    fn next(&self, access: &Access, hours: &Hours, covered: bool) -> Option<Timestamp> {
        let (now, local) = (access.at.unix_micros(), Facts::of(access, &self.policy.calendar).today.local);
        let midnight = now - now.rem_euclid(MICROS_PER_MINUTE) - i64::from(local.minute_of_day) * MICROS_PER_MINUTE;
        let edges = [0, i64::from(hours.from_minute), i64::from(hours.to_minute)];
        let moments = (0..=DAYS_AHEAD).flat_map(|day| {
            let mut edges = edges;
            edges.sort_unstable();
            edges.map(|minute| midnight + (day * MINUTES_PER_DAY + minute) * MICROS_PER_MINUTE)
        });
        moments.filter(|moment| *moment > now).map(Timestamp::from_unix_micros).find(|at| {
            let then = Access { at: *at, ..access.clone() };
            fit::covers_moment(hours, Facts::of(&then, &self.policy.calendar).today) == covered
        })
    }

    /// What is asked by the gateway's own rules is asked one thing at a time, each with its reason.
    fn ask_as_refused(&mut self, access: &Access, changes: &mut Vec<Alteration>) {
        if changes.len() > CHANGES_MAX || self.trials_left == 0 {
            return;
        }
        self.trials_left -= 1;
        let console = &self.policy.console;
        let roles = |roles: &[RoleId]| roles.iter().cloned().map(Alteration::Role).collect::<Vec<_>>();
        let next = match self.judge.answer(access).outcome {
            Outcome::Allow(..) => {
                if !changes.is_empty() {
                    self.found.push(changes.clone());
                }
                return;
            }
            Outcome::Challenge(Challenge::SignIn, _) => vec![Alteration::SignIn],
            Outcome::Challenge(Challenge::StepUp(level), _) => vec![Alteration::Assurance(level)],
            Outcome::Deny(Reasons { main, .. }) => match main {
                Reason::DeviceRequired => vec![Alteration::KnownDevice],
                Reason::OutageReduced => vec![Alteration::ProviderBack],
                Reason::RoleNotAllowed => [&console.administrators, &console.help_desk, &console.auditors]
                    .into_iter()
                    .flat_map(|one| roles(one))
                    .collect(),
                Reason::ActionNotAllowed => roles(&console.administrators),
                Reason::SignInRequired
                | Reason::StepUpRequired
                | Reason::OtherDevice
                | Reason::ClassNotAllowed
                | Reason::PathNotAllowed
                | Reason::DeviceClassNotAllowed
                | Reason::ZoneNotAllowed
                | Reason::OutsideHours
                | Reason::MethodNotAllowed
                | Reason::KeyNotAllowed
                | Reason::PostureNotMet
                | Reason::PostureStale
                | Reason::GrantRequired
                | Reason::GrantReach
                | Reason::BreakGlassRequired
                | Reason::CapReached
                | Reason::Forbidden
                | Reason::PolicyError => Vec::new(),
            },
        };
        for change in next {
            if !changes.contains(&change) {
                let then = change.applied(access);
                changes.push(change);
                self.ask_as_refused(&then, changes);
                changes.pop();
            }
        }
    }

    /// Tries what could be otherwise, alone and in pairs.
    fn by_trial(&mut self, access: &Access, before: &[Alteration]) {
        let pool = self.anything(access);
        let with = |more: &[&Alteration]| before.iter().chain(more.iter().copied()).cloned().collect::<Vec<_>>();
        let mut open = Vec::new();
        for change in &pool {
            if self.trials_left == 0 {
                return;
            }
            self.trials_left -= 1;
            let then = change.applied(access);
            if !self.note(&then, &with(&[change])) {
                open.push((change, then));
            }
        }
        for (number, (first, then)) in open.iter().enumerate() {
            for (second, _) in open.iter().skip(number + 1) {
                if self.trials_left == 0 {
                    return;
                }
                self.trials_left -= 1;
                self.note(&second.applied(then), &with(&[first, second]));
            }
        }
    }

    fn anything(&self, access: &Access) -> Vec<Alteration> {
        let mut pool = Vec::new();
        match signed_in(access) {
            None => pool.push(Alteration::SignIn),
            Some(who) => {
                pool.extend(who.in_outage.then_some(Alteration::ProviderBack));
                pool.extend([
                    Alteration::ProveAgain,
                    Alteration::Assurance(Assurance::Aal2),
                    Alteration::Assurance(Assurance::Aal3),
                ]);
                pool.push(Alteration::Method(SignInMethod::Passkey));
                pool.extend(who.roles.iter().cloned().map(Alteration::WithoutRole));
            }
        }
        if access.device.is_none() {
            pool.push(Alteration::KnownDevice);
        }
        let class = access.device.as_ref().map(|device| device.class);
        pool.extend(self.roles().into_iter().map(Alteration::Role));
        pool.extend(DeviceClass::ALL.into_iter().filter(|one| Some(*one) != class).map(Alteration::Device));
        pool.extend(self.zones().into_iter().filter(|zone| *zone != access.from.zone).map(Alteration::Zone));
        if access.grant.is_none() {
            pool.extend([Alteration::Grant, Alteration::BreakGlass]);
        }
        pool
    }

    /// What could take an answer away.
    fn ways_out(&mut self, access: &Access) -> Vec<Alteration> {
        let mut changes = Vec::new();
        if let Some(who) = signed_in(access) {
            changes.push(Alteration::SignOut);
            changes.extend(who.roles.iter().cloned().map(Alteration::WithoutRole));
            changes.extend((!who.in_outage).then_some(Alteration::ProviderOut));
        }
        if let Some(device) = &access.device {
            changes.push(Alteration::WithoutDevice);
            changes.extend((!device.posture.is_empty()).then_some(Alteration::PostureStale));
            changes.extend(DeviceClass::ALL.into_iter().filter(|class| *class != device.class).map(Alteration::Device));
        }
        changes.extend(self.zones().into_iter().filter(|zone| *zone != access.from.zone).map(Alteration::Zone));
        changes.extend(access.grant.is_some().then_some(Alteration::WithoutGrant));
        let until = self.judge.answer(access).until;
        let until = signed_in(access).map_or(until, |who| until.min(who.ends_at));
        let until = grant::ends(access).map_or(until, |end| until.min(end));
        changes.extend((until < Timestamp::MAX).then_some(Alteration::Later(until)));
        changes
    }

    /// The zones that rules name.
    fn zones(&self) -> BTreeSet<ZoneId> {
        self.policy.statements.iter().filter_map(Statement::row).flat_map(|row| row.zones.iter().cloned()).collect()
    }

    /// The roles that rules name.
    fn roles(&self) -> BTreeSet<RoleId> {
        self.policy.statements.iter().flat_map(|statement| statement.scope.roles()).cloned().collect()
    }
}

/// The smallest of what was found, each once, alternatives of one kind put together.
fn told(mut found: Vec<Vec<Alteration>>) -> Vec<Turn> {
    let weight = |changes: &[Alteration]| changes.iter().map(Alteration::weight).sum::<u32>();
    found.sort_by_key(|changes| (changes.len(), weight(changes)));
    let mut smallest: Vec<Vec<Alteration>> = Vec::new();
    for changes in found {
        let has_smaller = smallest.iter().any(|one| one.iter().all(|change| changes.contains(change)));
        if !has_smaller {
            smallest.push(changes);
        }
    }
    let mut turns: Vec<Turn> = Vec::new();
    for changes in smallest {
        let alone: Vec<Vec<Alteration>> = changes.into_iter().map(|change| vec![change]).collect();
        match turns.iter_mut().find_map(|turn| differing(turn, &alone).map(|place| (turn, place))) {
            Some((turn, place)) => {
                if let (Some(these), Some(mut more)) = (turn.changes.get_mut(place), alone.into_iter().nth(place)) {
                    these.append(&mut more);
                }
            }
            None => turns.push(Turn { changes: alone }),
        }
    }
    turns.truncate(TURNS_MAX);
    turns
}

/// The one place at which a turn has another change of the same kind, everything else being the same.
fn differing(turn: &Turn, changes: &[Vec<Alteration>]) -> Option<usize> {
    if turn.changes.len() != changes.len() {
        return None;
    }
    let kind = |change: &Vec<Alteration>| -> Option<Discriminant<Alteration>> { change.first().map(discriminant) };
    let mut places = turn.changes.iter().zip(changes).enumerate().filter(|(_, (these, those))| these != those);
    let (place, (these, those)) = places.next()?;
    (places.next().is_none() && kind(these) == kind(those)).then_some(place)
}
