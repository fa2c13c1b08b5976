//! The plain scan that the index is held against: every line read, every story looked at.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use audit::{Entry, EntryKind, Story};
use policy::Timestamp;

use crate::calendar::AtWork;
use crate::derived::words_of;
use crate::story::code;
use crate::words::{Wanted, wanted};
use crate::{Bar, By, FoundAt, Order, Question};

/// The stories of a log, in the order of their first lines.
pub(super) fn stories(lines: &[String]) -> Vec<Story> {
    let mut stories: BTreeMap<u64, Story> = BTreeMap::new();
    let mut open: HashMap<String, u64> = HashMap::new();
    for line in lines {
        let entry = Entry::read(line.as_bytes()).unwrap();
        match (&entry.kind, entry.request.clone()) {
            (EntryKind::Segment, _) => {}
            (EntryKind::Close, Some(id)) => stories.get_mut(&open[&id]).unwrap().end = Some(entry),
            (EntryKind::Open, Some(id)) => {
                open.insert(id, entry.seq);
                stories.insert(entry.seq, Story::of(entry));
            }
            _ => {
                stories.insert(entry.seq, Story::of(entry));
            }
        }
    }
    stories.into_values().collect()
}

fn is(asked: &Option<String>, has: Option<&str>) -> bool {
    asked.as_deref().is_none_or(|asked| has == Some(asked))
}

fn is_one<'a>(asked: &Option<String>, mut has: impl Iterator<Item = &'a str>) -> bool {
    asked.as_deref().is_none_or(|asked| has.any(|one| one == asked))
}

fn millis(at: Timestamp) -> u64 {
    (at.unix_micros() / 1_000).unsigned_abs()
}

/// Why it was refused, or cut short.
fn reason(story: &Story) -> Option<&str> {
    let end = story.end.as_ref().and_then(|end| end.why.as_deref());
    story.begin.why.as_deref().or(end)
}

pub(super) fn fits(question: &Question, story: &Story) -> bool {
    let begin = &story.begin;
    let at = millis(begin.at);
    let texts = [&begin.login, &begin.name, &begin.host, &begin.path, &begin.reason, &begin.device];
    let words: BTreeSet<String> = texts.into_iter().flatten().flat_map(|text| words_of(text)).collect();
    let has = |wanted: &Wanted| match wanted {
        Wanted::Whole(word) => words.contains(word),
        Wanted::Beginning(start) => words.iter().any(|word| word.starts_with(start.as_str())),
    };
    millis(question.since) <= at
        && begin.at.unix_micros() / 1_000 < question.until.unix_micros().saturating_add(999) / 1_000
        && is_one(&question.patient, story.patients())
        && is_one(&question.study, story.studies())
        && is_one(&question.person, [&begin.user, &begin.login, &begin.actor].into_iter().flatten().map(String::as_str))
        && is(&question.device, begin.device.as_deref())
        && is(&question.app, begin.app.as_deref())
        && is(&question.action, begin.action.as_deref())
        && is(&question.class, begin.class.as_deref())
        && question.outcome.is_none_or(|outcome| outcome == story.outcome())
        && is(&question.reason, reason(story))
        && is(&question.rule, begin.rule.as_deref())
        && is(&question.grant, begin.grant.as_deref())
        && is_one(&question.role, begin.roles.iter().map(String::as_str))
        && question.unit.as_ref().is_none_or(|asked| begin.units().any(|unit| asked.covers(&unit)))
        && question.within.as_ref().is_none_or(|all| begin.units().any(|unit| all.iter().any(|one| one.covers(&unit))))
        && question.address.is_none_or(|asked| begin.address.is_some_and(|address| asked.has(address)))
        && is(&question.event, Some(begin.kind.code()))
        && is(&question.session, begin.session.as_deref())
        && is(&question.revision, begin.revision.as_deref())
        && question.request.as_deref().is_none_or(|asked| begin.request.as_deref().and_then(code) == code(asked))
        && wanted(question.text.as_deref().unwrap_or_default()).iter().all(has)
        && question.out_of_hours.is_none_or(|wanted| wanted != AtWork::new(&question.calendar).at(at))
}

/// All stories that a question fits, in its order.
pub(super) fn find(question: &Question, stories: &[Story]) -> Vec<FoundAt> {
    let fitting = stories.iter().filter(|story| fits(question, story));
    let mut found: Vec<_> =
        fitting.map(|story| FoundAt { begin: story.begin.seq, end: story.end.as_ref().map(|end| end.seq) }).collect();
    if question.order == Order::Newest {
        found.reverse();
    }
    found
}

/// The bars of a question.
pub(super) fn count(question: &Question, by: By, top: usize, stories: &[Story]) -> Vec<Bar> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for story in stories.iter().filter(|story| fits(question, story)) {
        for key in keys(question, by, story) {
            *counts.entry(key).or_default() += 1;
        }
    }
    let mut bars: Vec<_> = counts.into_iter().map(|(key, count)| Bar { key, count }).collect();
    if matches!(by, By::Hour | By::Day | By::Month) {
        return bars.split_off(bars.len().saturating_sub(top));
    }
    bars.sort_by_key(|bar| std::cmp::Reverse(bar.count));
    bars.truncate(top);
    bars
}

fn keys(question: &Question, by: By, story: &Story) -> Vec<String> {
    let begin = &story.begin;
    let local = |chars: usize| {
        let text = begin.at.rfc3339(question.calendar.offset);
        vec![text.chars().take(chars).collect::<String>()]
    };
    let one = |value: Option<&str>| value.map(str::to_owned).into_iter().collect::<Vec<_>>();
    match by {
        By::Hour => local(13),
        By::Day => local(10),
        By::Month => local(7),
        By::Role => {
            let mut roles = begin.roles.clone();
            roles.sort();
            roles.dedup();
            roles
        }
        By::App => one(begin.app.as_deref()),
        By::Action => one(begin.action.as_deref()),
        By::Class => one(begin.class.as_deref()),
        By::Outcome => one(Some(story.outcome().code())),
        By::Reason => one(reason(story)),
        By::Person => one(begin.login.as_deref().or(begin.user.as_deref()).or(begin.actor.as_deref())),
        By::Device => one(begin.device.as_deref()),
        By::Patient => {
            let mut patients: Vec<_> = story.patients().map(str::to_owned).collect();
            patients.sort();
            patients.dedup();
            patients
        }
        By::Rule => one(begin.rule.as_deref()),
        By::Event => one(Some(begin.kind.code())),
        By::Address => begin.address.map(|address| address.to_string()).into_iter().collect(),
    }
}
