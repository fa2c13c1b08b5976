//! Whether one row fits whatever another fits, told column by column. What cannot be told is no.

use std::time::Duration;

use super::{About, Finding, Flaw};
use crate::{Action, Apps, Devices, Effect, Hours, PathPattern, Rule, Subjects, compile};

const MINUTES_PER_DAY: u16 = 24 * 60;

/// Rows that an earlier row makes needless, and rows that permit what is forbidden anyway.
pub(super) fn findings(rules: &[Rule]) -> Vec<Finding> {
    let about = |rule: &Rule, flaw| Finding { about: About::Rule(rule.id.clone()), flaw };
    let mut findings = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        let forbidding = rules.iter().find(|other| other.effect == Effect::Forbid && is_wider(other, rule));
        if rule.effect == Effect::Permit
            && let Some(forbid) = forbidding
        {
            findings.push(about(rule, Flaw::NeverAllows { under: forbid.id.clone() }));
            continue;
        }
        let mut earlier = rules.iter().take(place).filter(|other| other.effect == rule.effect);
        if let Some(wider) = earlier.find(|other| is_wider(other, rule)) {
            findings.push(about(rule, Flaw::AddsNothing { to: wider.id.clone() }));
        }
    }
    findings
}

/// Whether `wide` fits every access that `narrow` fits. Every column is named, so that none can be forgotten; caps are
/// counted after the judgment and let nothing in.
pub(crate) fn is_wider(wide: &Rule, narrow: &Rule) -> bool {
    let Rule {
        id: _,
        effect: _,
        subjects: whom,
        apps: which,
        actions: _,
        classes,
        paths: at,
        devices: from,
        zones,
        hours: when,
        assurance,
        authenticated_within,
        methods: _,
        keys,
        posture,
        in_outage: _,
        grant,
        break_glass,
        caps: _,
    } = narrow;
    subjects(&wide.subjects, whom)
        && apps(&wide.apps, which)
        && Action::ALL.into_iter().all(|action| wide.covers(action) || !narrow.covers(action))
        && all_or_among(&wide.classes, classes)
        && paths(&wide.paths, at)
        && devices(&wide.devices, from)
        && all_or_among(&wide.zones, zones)
        && hours(wide.hours.as_ref(), when.as_ref())
        && wide.assurance.is_none_or(|least| assurance.is_some_and(|asked| asked >= least))
        && within(wide.authenticated_within, *authenticated_within)
        && methods(wide, narrow)
        && all_or_among(&wide.keys, keys)
        && wide.posture.iter().all(|demand| posture.contains(demand))
        && (!wide.grant || *grant)
        && (!wide.break_glass || *break_glass)
        && (compile::reaches_outages(wide) || !compile::reaches_outages(narrow))
}

/// Columns in which nothing means all.
fn all_or_among<T: PartialEq>(wide: &[T], narrow: &[T]) -> bool {
    wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|one| wide.contains(one)))
}

fn subjects(wide: &Subjects, narrow: &Subjects) -> bool {
    match (wide, narrow) {
        (Subjects::Anyone, _) | (Subjects::SignedIn, Subjects::SignedIn | Subjects::Roles(_)) => true,
        (Subjects::Roles(wide), Subjects::Roles(narrow)) => narrow.iter().all(|role| wide.contains(role)),
        (Subjects::SignedIn | Subjects::Roles(_), Subjects::Anyone) | (Subjects::Roles(_), Subjects::SignedIn) => false,
    }
}

fn apps(wide: &Apps, narrow: &Apps) -> bool {
    match (wide, narrow) {
        (Apps::All, _) => true,
        (Apps::Only(wide), Apps::Only(narrow)) => narrow.iter().all(|app| wide.contains(app)),
        (Apps::Only(_), Apps::All) => false,
    }
}

/// A pattern fits all that another fits where it fits the other's text: a star in it covers stars, nothing else does.
fn paths(wide: &[PathPattern], narrow: &[PathPattern]) -> bool {
    let fits = |wide: &PathPattern, narrow: &PathPattern| {
        crate::Path::parse(narrow.as_str()).is_ok_and(|text| wide.matches(&text))
    };
    wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|one| wide.iter().any(|other| fits(other, one))))
}

fn devices(wide: &Devices, narrow: &Devices) -> bool {
    match (wide, narrow) {
        (Devices::Any, _) | (Devices::Known, Devices::Known | Devices::Classes(_)) => true,
        (Devices::Classes(wide), Devices::Classes(narrow)) => narrow.iter().all(|class| wide.contains(class)),
        (Devices::Known | Devices::Classes(_), Devices::Any) | (Devices::Classes(_), Devices::Known) => false,
    }
}

/// Spans belong to the day they start on, so days and spans are told apart.
fn hours(wide: Option<&Hours>, narrow: Option<&Hours>) -> bool {
    let Some(wide) = wide else { return true };
    let Some(narrow) = narrow else { return false };
    let end = |hours: &Hours| {
        let runs_past_midnight = hours.to_minute <= hours.from_minute;
        hours.to_minute + if runs_past_midnight { MINUTES_PER_DAY } else { 0 }
    };
    narrow.days.iter().all(|day| wide.days.contains(day))
        && wide.from_minute <= narrow.from_minute
        && end(narrow) <= end(wide)
}

fn within(wide: Option<Duration>, narrow: Option<Duration>) -> bool {
    wide.is_none_or(|longest| narrow.is_some_and(|asked| asked <= longest))
}

fn methods(wide: &Rule, narrow: &Rule) -> bool {
    let among = || !narrow.methods.is_empty() && narrow.methods.iter().all(|method| wide.methods.has(method));
    wide.methods.is_empty() || among()
}
