//! Which columns of a row an access does not fit: the native reading of the table, from which refusals are explained.
//! A property test holds it to the same answers as Cedar.

use crate::facts::Facts;
use crate::{Action, Assurance, Devices, Hours, LocalTime, Reason, Rule, Subjects, Timestamp, Who};

/// Whether the row is about these people at all.
pub(crate) fn is_about(rule: &Rule, who: Option<&Who>) -> bool {
    match &rule.subjects {
        Subjects::Anyone => true,
        Subjects::SignedIn => who.is_some(),
        Subjects::Roles(roles) => who.is_some_and(|who| who.roles.iter().any(|role| roles.contains(role))),
    }
}

/// Whether a list of actions covers one: `write` covers `delete`.
pub(crate) fn covers(actions: &[Action], action: Action) -> bool {
    actions.contains(&action) || (action == Action::Delete && actions.contains(&Action::Write))
}

/// Whether the row might let somebody in who is not yet signed in, once they are.
pub(crate) fn asks_for_a_person(rule: &Rule) -> bool {
    rule.subjects != Subjects::Anyone || rule.assurance.is_some() || rule.authenticated_within.is_some()
}

/// The conditions of one row that an access does not meet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unmet {
    /// In the order people are told: path, device, zone, hours, step-up.
    pub(crate) reasons: Vec<Reason>,
    /// What the person would have to prove; present exactly when the reasons hold `StepUpRequired`.
    pub(crate) step_up: Option<Assurance>,
}

impl Unmet {
    pub(crate) fn of(rule: &Rule, facts: &Facts<'_>) -> Self {
        let path_fits = rule.paths.is_empty() || rule.paths.iter().any(|path| path.matches(&facts.access.path));
        let zone_fits = rule.zones.is_empty() || rule.zones.contains(&facts.access.from.zone);
        let hours_fit = rule.hours.as_ref().is_none_or(|hours| covers_moment(hours, facts.local));
        let step_up = step_up(rule, facts);
        let reasons = [
            (!path_fits).then_some(Reason::PathNotAllowed),
            device(rule, facts),
            (!zone_fits).then_some(Reason::ZoneNotAllowed),
            (!hours_fit).then_some(Reason::OutsideHours),
            step_up.map(|_| Reason::StepUpRequired),
        ];
        Self { reasons: reasons.into_iter().flatten().collect(), step_up }
    }

    pub(crate) fn path(&self) -> bool {
        self.reasons.contains(&Reason::PathNotAllowed)
    }

    /// What the person would have to prove, if nothing else is missing.
    pub(crate) fn only_step_up(&self) -> Option<Assurance> {
        self.step_up.filter(|_| self.reasons.len() == 1)
    }
}

fn device(rule: &Rule, facts: &Facts<'_>) -> Option<Reason> {
    let device = facts.access.device.as_ref();
    match (&rule.devices, device) {
        (Devices::Any, _) | (Devices::Known, Some(_)) => None,
        (Devices::Known | Devices::Classes(_), None) => Some(Reason::DeviceRequired),
        (Devices::Classes(classes), Some(device)) => {
            (!classes.contains(&device.class)).then_some(Reason::DeviceClassNotAllowed)
        }
    }
}

fn step_up(rule: &Rule, facts: &Facts<'_>) -> Option<Assurance> {
    let sure = rule.assurance.is_none_or(|level| facts.assurance.is_some_and(|had| had >= level));
    let fresh = rule
        .authenticated_within
        .is_none_or(|span| u64::try_from(facts.auth_age_seconds).is_ok_and(|age| age < span.as_secs()));
    (!sure || !fresh).then_some(rule.assurance.unwrap_or(Assurance::Aal1))
}

fn covers_moment(hours: &Hours, now: LocalTime) -> bool {
    let (from, to, minute) = (hours.from_minute, hours.to_minute, now.minute_of_day);
    let today = hours.days.contains(&now.weekday);
    if from < to {
        return today && (from..to).contains(&minute);
    }
    let since_yesterday = hours.days.iter().any(|day| day.next() == now.weekday);
    (today && minute >= from) || (since_yesterday && minute < to)
}

/// The next moment at which time alone may change whether the row fits. Never now or earlier.
pub(crate) fn next_edge(rule: &Rule, facts: &Facts<'_>) -> Timestamp {
    const MINUTES_PER_DAY: i64 = 24 * 60;
    const MICROS_PER_MINUTE: i64 = 60_000_000;
    let now = facts.access.at;
    let minute_began = now.unix_micros().saturating_sub(now.unix_micros().rem_euclid(MICROS_PER_MINUTE));
    let next = |minute: u16| {
        let minutes_away = (i64::from(minute) - i64::from(facts.local.minute_of_day)).rem_euclid(MINUTES_PER_DAY);
        let minutes_away = if minutes_away == 0 { MINUTES_PER_DAY } else { minutes_away };
        Timestamp::from_unix_micros(minute_began.saturating_add(minutes_away * MICROS_PER_MINUTE))
    };
    let hours = rule.hours.as_ref().map(|hours| next(hours.from_minute).min(next(hours.to_minute)));
    let stale = rule.authenticated_within.zip(facts.who).map(|(span, who)| {
        // Whole seconds, as the rule compares them; an age is never counted below zero.
        who.authenticated_at.after(std::time::Duration::from_secs(span.as_secs()))
    });
    let ahead = |moment: &Timestamp| *moment > now;
    hours.into_iter().chain(stale).filter(ahead).min().unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, moment, rule_with};
    use crate::{UtcOffset, Weekday};

    fn night_of_friday() -> Rule {
        rule_with("night", |rule| {
            rule.hours = Some(Hours { days: vec![Weekday::Friday], from_minute: 22 * 60, to_minute: 6 * 60 });
        })
    }

    fn check(rule: &Rule, at: &str) -> (bool, String) {
        let mut access = fixtures::nurse_reads_emr();
        access.at = moment(at);
        let facts = Facts::of(&access, UtcOffset::JAPAN);
        let edge = next_edge(rule, &facts).rfc3339(UtcOffset::JAPAN);
        (Unmet::of(rule, &facts).reasons.is_empty(), edge.get(..16).unwrap().to_owned())
    }

    #[test]
    fn a_night_belongs_to_the_day_it_starts_on() {
        let rule = night_of_friday();
        // 2026-11-20 is a Friday.
        assert_eq!(check(&rule, "2026-11-20T21:59:59"), (false, "2026-11-20T22:00".to_owned()));
        assert_eq!(check(&rule, "2026-11-20T22:00:00"), (true, "2026-11-21T06:00".to_owned()));
        assert_eq!(check(&rule, "2026-11-21T05:59:59"), (true, "2026-11-21T06:00".to_owned()));
        assert_eq!(check(&rule, "2026-11-21T06:00:00"), (false, "2026-11-21T22:00".to_owned()));
        assert!(!check(&rule, "2026-11-20T05:00:00").0, "the night before belongs to Thursday");
        assert!(!check(&rule, "2026-11-21T23:00:00").0, "Saturday night is another night");
    }

    #[test]
    fn a_whole_day_ends_at_midnight() {
        let rule = rule_with("friday", |rule| {
            rule.hours = Some(Hours { days: vec![Weekday::Friday], from_minute: 0, to_minute: 1_440 });
        });
        assert_eq!(check(&rule, "2026-11-20T00:00:00"), (true, "2026-11-21T00:00".to_owned()));
        assert!(check(&rule, "2026-11-20T23:59:59").0);
        assert!(!check(&rule, "2026-11-21T00:00:00").0);
    }

    #[test]
    fn write_covers_delete_and_nothing_else_does() {
        assert!(covers(&[Action::Write], Action::Delete));
        assert!(!covers(&[Action::Read, Action::Connect], Action::Delete));
        assert!(!covers(&[Action::Delete], Action::Write));
    }
}
