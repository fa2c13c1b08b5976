//! Which columns of a row an access does not fit: the native reading of the table, which chooses the rows that Cedar is
//! asked about and explains refusals. A property test holds it to the same answers as Cedar.

use crate::calendar::{Calendar, Today};
use crate::facts::Facts;
use crate::grant::Held;
use crate::posture::{self, Standing};
use crate::{
    Assurance, Devices, GrantKind, Holidays, Hours, Reason, Rule, SignInMethod, Subjects, Timestamp, UtcOffset, compile,
};

/// Whether the row might let somebody in who is not yet signed in, once they are.
pub(crate) fn asks_for_a_person(rule: &Rule) -> bool {
    rule.subjects != Subjects::Anyone
        || rule.assurance.is_some()
        || rule.authenticated_within.is_some()
        || !rule.methods.is_empty()
        || !rule.keys.is_empty()
        || rule.grant
        || rule.break_glass
}

/// Whether an access meets every condition of a row.
pub(crate) fn fits(rule: &Rule, facts: &Facts<'_>) -> bool {
    Unmet::of(rule, facts).is_empty()
}

/// The conditions of one row that an access does not meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Unmet {
    /// A bit for each of [`TOLD`].
    reasons: u16,
    /// What the person would have to prove; present exactly when the reasons hold `StepUpRequired`.
    pub(crate) step_up: Option<StepUp>,
}

/// What somebody would have to prove.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StepUp {
    /// At least this surely.
    pub(crate) level: Assurance,
    /// By a passkey and nothing else.
    pub(crate) by_passkey: bool,
}

/// The conditions of a row in the order people are told what stands in the way.
const TOLD: [Reason; 15] = [
    Reason::PathNotAllowed,
    Reason::ClassNotAllowed,
    Reason::DeviceRequired,
    Reason::DeviceClassNotAllowed,
    Reason::PostureNotMet,
    Reason::PostureStale,
    Reason::ZoneNotAllowed,
    Reason::OutsideHours,
    Reason::OutageReduced,
    Reason::GrantRequired,
    Reason::GrantReach,
    Reason::BreakGlassRequired,
    Reason::MethodNotAllowed,
    Reason::KeyNotAllowed,
    Reason::StepUpRequired,
];

impl Unmet {
    pub(crate) fn of(rule: &Rule, facts: &Facts<'_>) -> Self {
        let access = facts.access;
        let path_fits = rule.paths.is_empty() || rule.paths.iter().any(|path| path.matches(&access.path));
        let class_fits =
            rule.classes.is_empty() || access.class.as_ref().is_some_and(|class| rule.classes.contains(class));
        let zone_fits = rule.zones.is_empty() || rule.zones.contains(&access.from.zone);
        let hours_fit = rule.hours.as_ref().is_none_or(|hours| covers_moment(hours, facts.today));
        let reached = !facts.in_outage || compile::reaches_outages(rule);
        let approved = Held::of(access, GrantKind::Maintenance);
        let broken = Held::of(access, GrantKind::Glass).in_force().is_some();
        let mut unmet = Self::default()
            .noting(!path_fits, Reason::PathNotAllowed)
            .noting(!class_fits, Reason::ClassNotAllowed)
            .noting(rule.grant && approved == Held::Nothing, Reason::GrantRequired)
            .noting(rule.grant && approved == Held::Elsewhere, Reason::GrantReach)
            .noting(rule.break_glass && !broken, Reason::BreakGlassRequired)
            .noting(!zone_fits, Reason::ZoneNotAllowed)
            .noting(!hours_fit, Reason::OutsideHours)
            .noting(!reached, Reason::OutageReduced);
        unmet.note_device(rule, facts);
        unmet.note_person(rule, facts);
        unmet
    }

    pub(crate) fn is_empty(self) -> bool {
        self.reasons == 0
    }

    pub(crate) fn count(self) -> u32 {
        self.reasons.count_ones()
    }

    /// In the order people are told.
    pub(crate) fn reasons(self) -> impl Iterator<Item = Reason> {
        TOLD.into_iter()
            .enumerate()
            .filter(move |(place, _)| self.reasons & (1 << place) != 0)
            .map(|(_, reason)| reason)
    }

    /// Whether the row is about something else: other paths, or other information.
    pub(crate) fn elsewhere(self) -> bool {
        self.reasons & (bit(Reason::PathNotAllowed) | bit(Reason::ClassNotAllowed)) != 0
    }

    /// What the person would have to prove, if nothing else is missing.
    pub(crate) fn only_step_up(self) -> Option<StepUp> {
        self.step_up.filter(|_| self.count() == 1)
    }

    /// Whether nothing is missing but broken glass, or a proof of identity after it.
    pub(crate) fn only_glass(self) -> bool {
        let glass = bit(Reason::BreakGlassRequired);
        self.reasons == glass || self.reasons == glass | bit(Reason::StepUpRequired)
    }

    fn noting(mut self, is_unmet: bool, reason: Reason) -> Self {
        if is_unmet {
            self.reasons |= bit(reason);
        }
        self
    }

    fn note_device(&mut self, rule: &Rule, facts: &Facts<'_>) {
        let Some(device) = &facts.access.device else {
            let required = rule.devices != Devices::Any || !rule.posture.is_empty();
            *self = self.noting(required, Reason::DeviceRequired);
            return;
        };
        if let Devices::Classes(classes) = &rule.devices {
            *self = self.noting(!classes.contains(&device.class), Reason::DeviceClassNotAllowed);
        }
        for demand in &rule.posture {
            let standing = posture::standing(&device.posture, demand, facts.access.at);
            *self = self
                .noting(standing == Standing::NotMet, Reason::PostureNotMet)
                .noting(standing == Standing::Stale, Reason::PostureStale);
        }
    }

    /// A passkey can be added to a session at any time, other methods and another key cannot.
    fn note_person(&mut self, rule: &Rule, facts: &Facts<'_>) {
        let method_used = rule.methods.is_empty() || rule.methods.meets(facts.methods);
        let key_used = rule.keys.is_empty() || facts.key_model.is_some_and(|model| rule.keys.contains(&model));
        let addable_method = !method_used && rule.methods.has(SignInMethod::Passkey);
        let addable_key = !key_used && facts.key_model.is_none();
        let by_passkey = addable_method || addable_key;
        let sure = rule.assurance.is_none_or(|level| facts.assurance.is_some_and(|had| had >= level));
        let fresh = rule
            .authenticated_within
            .is_none_or(|span| u64::try_from(facts.auth_age_seconds).is_ok_and(|age| age < span.as_secs()));
        if !sure || !fresh || by_passkey {
            let asked = rule.assurance.unwrap_or(Assurance::Aal1);
            let level = if by_passkey { asked.max(Assurance::Aal2) } else { asked };
            self.step_up = Some(StepUp { level, by_passkey });
        }
        *self = self
            .noting(!method_used && !addable_method, Reason::MethodNotAllowed)
            .noting(!key_used && !addable_key, Reason::KeyNotAllowed)
            .noting(self.step_up.is_some(), Reason::StepUpRequired);
    }
}

/// The bit of a reason among those told of rows; none for others, which no row gives.
fn bit(reason: Reason) -> u16 {
    TOLD.iter().position(|told| *told == reason).map_or(0, |place| 1 << place)
}

impl Hours {
    /// Whether a moment falls into them, on a clock and its holidays.
    #[must_use]
    pub fn cover(&self, at: Timestamp, offset: UtcOffset, holidays: &Holidays) -> bool {
        covers_moment(self, Calendar::new(offset, holidays.clone()).at(at))
    }
}

pub(crate) fn covers_moment(hours: &Hours, now: Today) -> bool {
    let (from, to, minute) = (hours.from_minute, hours.to_minute, now.local.minute_of_day);
    let today = hours.days.contains(&now.day);
    if from < to {
        return today && (from..to).contains(&minute);
    }
    (today && minute >= from) || (hours.days.contains(&now.day_before) && minute < to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, moment, rule_with};
    use crate::{Date, Day, Holidays, UtcOffset, Weekday};

    fn night_of_friday() -> Rule {
        rule_with("night", |rule| {
            rule.hours =
                Some(Hours { days: vec![Day::Week(Weekday::Friday)], from_minute: 22 * 60, to_minute: 6 * 60 });
        })
    }

    fn check(rule: &Rule, at: &str) -> bool {
        let mut access = fixtures::nurse_reads_emr();
        access.at = moment(at);
        fits(rule, &Facts::of(&access, &fixtures::JAPAN))
    }

    #[test]
    fn a_night_belongs_to_the_day_it_starts_on() {
        let rule = night_of_friday();
        // 2026-11-20 is a Friday.
        assert!(!check(&rule, "2026-11-20T21:59:59"));
        assert!(check(&rule, "2026-11-20T22:00:00"));
        assert!(check(&rule, "2026-11-21T05:59:59"));
        assert!(!check(&rule, "2026-11-21T06:00:00"));
        assert!(!check(&rule, "2026-11-20T05:00:00"), "the night before belongs to Thursday");
        assert!(!check(&rule, "2026-11-21T23:00:00"), "Saturday night is another night");
    }

    #[test]
    fn a_whole_day_ends_at_midnight() {
        let rule = rule_with("friday", |rule| {
            rule.hours = Some(Hours { days: vec![Day::Week(Weekday::Friday)], from_minute: 0, to_minute: 1_440 });
        });
        assert!(check(&rule, "2026-11-20T00:00:00"));
        assert!(check(&rule, "2026-11-20T23:59:59"));
        assert!(!check(&rule, "2026-11-21T00:00:00"));
    }

    #[test]
    fn a_holiday_is_a_day_of_its_own_and_a_night_that_begins_on_it_is_its_own() {
        let holidays: Holidays = [Date::parse("2026-11-23").unwrap()].into_iter().collect();
        let calendar = Calendar::new(UtcOffset::JAPAN, holidays);
        let check = |day: Day, hours: (u16, u16), at: &str| {
            let rule = rule_with("r", |rule| {
                rule.hours = Some(Hours { days: vec![day], from_minute: hours.0, to_minute: hours.1 });
            });
            let access = fixtures::access_with(|access| access.at = moment(at));
            fits(&rule, &Facts::of(&access, &calendar))
        };
        let (monday, by_day, by_night) = (Day::Week(Weekday::Monday), (8 * 60, 18 * 60), (22 * 60, 6 * 60));
        assert!(!check(monday, by_day, "2026-11-23T10:00:00"), "a Monday that is a holiday");
        assert!(check(monday, by_day, "2026-11-30T10:00:00"));
        assert!(check(Day::Holiday, by_day, "2026-11-23T10:00:00"));
        assert!(!check(Day::Holiday, by_day, "2026-11-30T10:00:00"));
        assert!(check(Day::Holiday, by_night, "2026-11-23T22:00:00"));
        assert!(check(Day::Holiday, by_night, "2026-11-24T05:59:59"));
        assert!(!check(Day::Holiday, by_night, "2026-11-23T05:00:00"), "the night before belongs to Sunday");
        assert!(check(Day::Week(Weekday::Sunday), by_night, "2026-11-23T05:00:00"));
        assert!(!check(monday, by_night, "2026-11-24T05:00:00"));
    }
}
