//! When time alone may change what a set of rows says: their hours, their spans and their posture, each once.

use std::time::Duration;

use crate::facts::Facts;
use crate::{Rule, Timestamp, posture};

const MINUTES_PER_DAY: i64 = 24 * 60;
const MICROS_PER_MINUTE: i64 = 60_000_000;

/// The edges of some rows.
#[derive(Debug, Default)]
pub(crate) struct Edges {
    /// Minutes of the day at which hours begin or end, sorted, each once.
    minutes: Vec<u16>,
    /// How old a proof of identity may be, sorted, each once. Whole seconds, as rows compare them.
    spans: Vec<Duration>,
    /// Whether a device's condition is read.
    posture: bool,
}

impl Edges {
    pub(crate) fn of<'a>(rows: impl Iterator<Item = &'a Rule>, posture_in_cedar: bool) -> Self {
        let mut edges = Self { posture: posture_in_cedar, ..Self::default() };
        for row in rows {
            // Midnight is the minute that both 0 and 1,440 stand for.
            edges.minutes.extend(row.hours.iter().flat_map(|hours| [hours.from_minute, hours.to_minute % 1_440]));
            edges.spans.extend(row.authenticated_within.map(|span| Duration::from_secs(span.as_secs())));
            edges.posture |= !row.posture.is_empty();
        }
        edges.minutes.sort_unstable();
        edges.minutes.dedup();
        edges.spans.sort_unstable();
        edges.spans.dedup();
        edges
    }

    /// The next edge. Never now or earlier.
    pub(crate) fn next(&self, facts: &Facts<'_>) -> Timestamp {
        let at = facts.access.at;
        let mut next = self.next_minute(facts).unwrap_or(Timestamp::MAX);
        if let Some(who) = facts.who {
            // The age is never counted below zero, so a proof in the future ages from now on all the same.
            let ends = |span: &Duration| who.authenticated_at.after(*span);
            let ahead = self.spans.partition_point(|span| ends(span) <= at);
            next = next.min(self.spans.get(ahead).map_or(Timestamp::MAX, ends));
        }
        match &facts.access.device {
            Some(device) if self.posture => next.min(posture::next_stale(&device.posture, at)),
            Some(_) | None => next,
        }
    }

    fn next_minute(&self, facts: &Facts<'_>) -> Option<Timestamp> {
        let now = facts.access.at.unix_micros();
        let minute_now = facts.today.local.minute_of_day;
        let later = self.minutes.partition_point(|minute| *minute <= minute_now);
        let minute = self.minutes.get(later).or(self.minutes.first())?;
        let minutes_away = match i64::from(*minute) - i64::from(minute_now) {
            away if away > 0 => away,
            away => away + MINUTES_PER_DAY,
        };
        let minute_began = now.saturating_sub(now.rem_euclid(MICROS_PER_MINUTE));
        Some(Timestamp::from_unix_micros(minute_began.saturating_add(minutes_away * MICROS_PER_MINUTE)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fixtures::{JAPAN, access_with, moment, rule_with, who_with};
    use crate::{Day, Hours, PostureFact, UtcOffset};

    fn hours(from_minute: u16, to_minute: u16) -> Rule {
        rule_with("h", |rule| rule.hours = Some(Hours { days: Day::ALL.to_vec(), from_minute, to_minute }))
    }

    fn check(rows: &[Rule], at: &str) -> String {
        let access = access_with(|access| access.at = moment(at));
        let facts = Facts::of(&access, &JAPAN);
        let edge = Edges::of(rows.iter(), false).next(&facts);
        if edge == Timestamp::MAX { "never".to_owned() } else { edge.rfc3339(UtcOffset::JAPAN)[..19].to_owned() }
    }

    #[test]
    fn the_next_of_all_hours_is_told_once_a_day() {
        let rows = [hours(8 * 60, 17 * 60), hours(22 * 60, 6 * 60), hours(12 * 60, 13 * 60)];
        assert_eq!(check(&[], "2026-11-20T10:00:00"), "never");
        assert_eq!(check(&rows, "2026-11-20T10:00:30"), "2026-11-20T12:00:00");
        assert_eq!(check(&rows, "2026-11-20T12:00:00"), "2026-11-20T13:00:00");
        assert_eq!(check(&rows, "2026-11-20T22:00:00"), "2026-11-21T06:00:00");
        assert_eq!(check(&rows, "2026-11-20T23:59:59"), "2026-11-21T06:00:00");
        assert_eq!(check(&[hours(0, 1_440)], "2026-11-20T23:59:59"), "2026-11-21T00:00:00");
        assert_eq!(check(&[hours(0, 1_440)], "2026-11-20T00:00:00"), "2026-11-21T00:00:00");
    }

    #[test]
    fn proofs_grow_old_one_span_after_the_other() {
        let within = |seconds: u64| {
            rule_with("w", |rule| rule.authenticated_within = Some(Duration::from_millis(seconds * 1_000 + 900)))
        };
        let rows = [within(7_200), within(3_600), within(5_400)];
        // The nurse proved who she is at 9:00.
        assert_eq!(check(&rows, "2026-11-20T09:30:00"), "2026-11-20T10:00:00");
        assert_eq!(check(&rows, "2026-11-20T10:00:00"), "2026-11-20T10:30:00");
        assert_eq!(check(&rows, "2026-11-20T11:00:00"), "never");
    }

    #[test]
    fn reports_grow_stale_where_somebody_reads_them() {
        let access = access_with(|access| {
            let mut device = crate::fixtures::ward_terminal();
            let fresh_until = moment("2026-11-20T10:05:00");
            device.posture = [PostureFact { name: "edr".parse().unwrap(), value: "x".into(), fresh_until }].into();
            access.device = Some(Arc::new(device));
            access.who = who_with(|_| {});
        });
        let facts = Facts::of(&access, &JAPAN);
        let demanding = rule_with("p", |rule| rule.posture = vec![crate::PostureDemand::parse("edr=x").unwrap()]);
        assert_eq!(Edges::of([demanding].iter(), false).next(&facts), moment("2026-11-20T10:05:00"));
        assert_eq!(Edges::of([].iter(), true).next(&facts), moment("2026-11-20T10:05:00"));
        assert_eq!(Edges::of([].iter(), false).next(&facts), Timestamp::MAX);
    }
}
