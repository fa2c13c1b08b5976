//! Drawing the sample of a review: by stated rules, from a seed, so that whoever has log, rules and seed draws the same
//! again.

use audit::{Entry, EntryKind, StoryOutcome};
use aws_lc_rs::digest::{SHA256, digest};
use find::{By, Calendar, Order, Question};
use policy::Unit;
use store::{NewReviewItem, REVIEW_ITEMS_MAX};
use url::form_urlencoded::{self, byte_serialize};

use super::super::period::Period;
use crate::log_view::{Job, Line, LogTrouble, Sight};

/// How many lines are tried for each line of a random sample before that is all there is.
const TRIES_PER_LINE: u64 = 200;
/// What departments begin with, where rules are kept.
const WITHIN: &str = "within=";
/// What the node begins with whose log a sample is of.
const NODE: &str = "node=";
/// Our own pages, where no patient is.
const OWN: [&str; 3] = ["login", "portal", "console"];
/// How many apps are counted at most.
const APPS_MAX: usize = 10_000;
/// How many hours a period has at most that is drawn from: a year.
pub(super) const HOURS_MAX: usize = 366 * 24 + 1;

/// What a sample is drawn from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in super::super) enum Rule {
    /// Any access to an app.
    Random,
    /// Accesses outside working hours.
    Late,
    /// What was refused.
    Refused,
    /// What took out much at once.
    Export,
}

impl Rule {
    /// All of them.
    pub(in super::super) const ALL: [Self; 4] = [Self::Random, Self::Late, Self::Refused, Self::Export];

    /// Its word in store, log and forms.
    pub(in super::super) fn as_str(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Late => "late",
            Self::Refused => "refused",
            Self::Export => "export",
        }
    }

    /// How many are drawn where nobody says otherwise.
    pub(in super::super) fn usual(self) -> u32 {
        match self {
            Self::Random => 30,
            Self::Late | Self::Refused => 20,
            Self::Export => 10,
        }
    }
}

/// What is to be drawn.
#[derive(Clone, Debug)]
pub(super) struct Draw {
    pub(super) period: Period,
    pub(super) calendar: Calendar,
    pub(super) seed: u64,
    /// How many of each rule.
    pub(super) wanted: Vec<(Rule, u32)>,
}

/// What was drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Drawn {
    pub(super) items: Vec<NewReviewItem>,
    /// Of each rule: how many were wanted, how many there are.
    pub(super) tally: Vec<(Rule, u32, u64)>,
}

impl Drawn {
    /// The rules as they are kept: `random:30:5412 late:20:87`, and after them the departments that the sample was kept to,
    /// where it was: `within=3F,ER`, each written as in an address; and the node whose log it is of: `node=gw01`.
    pub(super) fn written(&self, within: Option<&[Unit]>, node: Option<&str>) -> String {
        let one = |(rule, wanted, all): &(Rule, u32, u64)| format!("{}:{wanted}:{all}", rule.as_str());
        let encoded = |unit: &Unit| byte_serialize(unit.as_str().as_bytes()).collect::<String>();
        let within = within.map(|units| format!("{WITHIN}{}", units.iter().map(encoded).collect::<Vec<_>>().join(",")));
        let node = node.map(|node| format!("{NODE}{node}"));
        self.tally.iter().map(one).chain(within).chain(node).collect::<Vec<_>>().join(" ")
    }
}

/// The rules of a review, read back.
pub(super) fn rules_of(written: &str) -> Vec<(Rule, u32, u64)> {
    let one = |text: &str| {
        let mut parts = text.split(':');
        let (word, wanted, all) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some((Rule::ALL.into_iter().find(|rule| rule.as_str() == word)?, wanted, all))
    };
    written.split(' ').filter_map(one).collect()
}

/// The departments that a review was kept to, read back; none where it was of the whole log.
pub(super) fn within_of(written: &str) -> Option<Vec<Unit>> {
    let units = written.split(' ').find_map(|part| part.strip_prefix(WITHIN))?;
    // A name and nothing else reads as a form with one field.
    let decoded = |unit: &str| form_urlencoded::parse(unit.as_bytes()).next().map(|(name, _)| name.into_owned());
    Some(units.split(',').filter_map(|unit| Unit::parse(&decoded(unit)?)).collect())
}

/// The node whose log a review is of, read back; none where there was one machine.
pub(super) fn node_of(written: &str) -> Option<&str> {
    written.split(' ').find_map(|part| part.strip_prefix(NODE))
}

/// Draws a sample; nothing where the job was stopped. Blocks.
pub(super) fn draw(log: &Sight, draw: &Draw, job: &Job<u64>) -> Result<Option<Drawn>, LogTrouble> {
    let all: u64 = draw.wanted.iter().map(|(_, wanted)| u64::from(*wanted)).sum();
    let mut progress = Progress { job, done: 0, all };
    let mut drawn = Drawn::default();
    for (rule, wanted) in &draw.wanted {
        let question = of_rule(*rule, draw);
        let mut lots = Lots { seed: draw.seed, rule: *rule, number: 0 };
        let found = match rule {
            Rule::Random if log.within().is_none() => anywhere(log, &question, *wanted, &mut lots, &mut progress)?,
            Rule::Random => among(log, &by_app(log, &question)?, *wanted, &mut lots, &mut progress)?,
            Rule::Late | Rule::Refused | Rule::Export => among(log, &[question], *wanted, &mut lots, &mut progress)?,
        };
        let Some((mut lines, all)) = found else { return Ok(None) };
        lines.sort_unstable();
        let rule_word = rule.as_str().to_owned();
        drawn.items.extend(lines.into_iter().map(|seq| NewReviewItem { seq, rule: rule_word.clone() }));
        drawn.tally.push((*rule, *wanted, all));
    }
    drawn.items.truncate(REVIEW_ITEMS_MAX);
    Ok(Some(drawn))
}

/// What a rule draws from.
fn of_rule(rule: Rule, draw: &Draw) -> Question {
    let mut question = Question::new(draw.period.since, draw.period.until);
    question.calendar = draw.calendar.clone();
    question.order = Order::Oldest;
    match rule {
        Rule::Random => question.event = Some("open".to_owned()),
        Rule::Late => {
            question.event = Some("open".to_owned());
            question.out_of_hours = Some(true);
        }
        Rule::Refused => question.outcome = Some(StoryOutcome::Refused),
        Rule::Export => question.action = Some("export".to_owned()),
    }
    question
}

/// Lines and how many there are.
type Lines = Option<(Vec<u64>, u64)>;

/// Any access: lines between the first and the last of the period are taken blindly, and those that are accesses to an
/// app are kept. Each is as likely as any other, however many there are.
fn anywhere(
    log: &Sight,
    question: &Question,
    wanted: u32,
    lots: &mut Lots,
    progress: &mut Progress<'_>,
) -> Result<Lines, LogTrouble> {
    let edge = |order| -> Result<Option<u64>, LogTrouble> {
        let answer = log.find(&Question { order, limit: 1, ..question.clone() })?;
        Ok(answer.seqs.first().map(|found| found.begin))
    };
    let (first, last) = (edge(Order::Oldest)?, edge(Order::Newest)?);
    let of_apps = log.count(question, By::App, APPS_MAX)?;
    let total = of_apps.iter().filter(|app| !OWN.contains(&app.key.as_str())).map(|app| app.count).sum();
    let (Some(first), Some(last)) = (first, last) else { return Ok(Some((Vec::new(), 0))) };
    let range = last.saturating_sub(first).saturating_add(1);
    let (mut tried, mut lines) = (std::collections::BTreeSet::new(), Vec::new());
    let tries = TRIES_PER_LINE.saturating_mul(u64::from(wanted));
    for _ in 0..tries {
        if lines.len() as u64 >= u64::from(wanted) || tried.len() as u64 >= range {
            break;
        }
        let seq = first.saturating_add(lots.below(range));
        if !tried.insert(seq) {
            continue;
        }
        let is_drawn = match log.entry(seq)? {
            Line::Read(entry) => is_of_an_app(&entry, question),
            // Nobody can say what it was: somebody is to look at that.
            Line::Damaged(_) => true,
            Line::Gone => false,
        };
        if is_drawn {
            lines.push(seq);
            if !progress.step() {
                return Ok(None);
            }
        } else if !progress.goes_on() {
            return Ok(None);
        }
    }
    Ok(Some((lines, total)))
}

/// Whether a line opens an app of the hospital's, within the time.
fn is_of_an_app(entry: &Entry, question: &Question) -> bool {
    let is_own = entry.app.as_deref().is_none_or(|app| OWN.contains(&app));
    entry.kind == EntryKind::Open && !is_own && entry.at >= question.since && entry.at < question.until
}

/// Any access of some departments: too few of the log's lines to be met by taking them blindly, so they are counted off
/// app by app.
fn by_app(log: &Sight, question: &Question) -> Result<Vec<Question>, LogTrouble> {
    let mut apps = log.count(question, By::App, APPS_MAX)?;
    apps.retain(|app| !OWN.contains(&app.key.as_str()));
    apps.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    Ok(apps.into_iter().map(|app| Question { app: Some(app.key), ..question.clone() }).collect())
}

/// Some of what fits: each is counted off hour by hour, so that only the hours in which a lot falls are looked at.
fn among(
    log: &Sight,
    questions: &[Question],
    wanted: u32,
    lots: &mut Lots,
    progress: &mut Progress<'_>,
) -> Result<Lines, LogTrouble> {
    let mut hours = Vec::new();
    for question in questions {
        let mut counted = log.count(question, By::Hour, HOURS_MAX)?;
        counted.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        hours.extend(counted.into_iter().map(|hour| (question, hour)));
    }
    let all: u64 = hours.iter().map(|(_, hour)| hour.count).sum();
    let mut places = lots.some_of(all, wanted);
    places.sort_unstable();
    let (mut lines, mut before) = (Vec::new(), 0_u64);
    let mut places = places.into_iter().peekable();
    for (question, hour) in hours {
        let end = before.saturating_add(hour.count);
        let mut inside = Vec::new();
        while let Some(place) = places.next_if(|place| *place < end) {
            inside.push(place - before);
        }
        before = end;
        let Some(period) = super::super::period::hour(&hour.key, question.calendar.offset) else { continue };
        if inside.is_empty() {
            continue;
        }
        let of_hour = Question {
            since: period.since.max(question.since),
            until: period.until.min(question.until),
            limit: Question::LIMIT_MAX,
            ..question.clone()
        };
        for line in counted_off(log, of_hour, &inside)? {
            lines.push(line);
            if !progress.step() {
                return Ok(None);
            }
        }
    }
    Ok(Some((lines, all)))
}

/// The lines at these places, counted from 0, in ascending order.
fn counted_off(log: &Sight, mut question: Question, places: &[u64]) -> Result<Vec<u64>, LogTrouble> {
    let (mut lines, mut before) = (Vec::new(), 0_u64);
    let mut places = places.iter().copied().peekable();
    loop {
        let answer = log.find(&question)?;
        for (place, found) in (before..).zip(&answer.seqs) {
            if places.next_if_eq(&place).is_some() {
                lines.push(found.begin);
            }
        }
        before = before.saturating_add(answer.seqs.len() as u64);
        if places.peek().is_none() || answer.next.is_none() || answer.seqs.is_empty() {
            return Ok(lines);
        }
        question.after = answer.next;
    }
}

/// Numbers that nobody chose and anybody can draw again: SHA-256 over seed, rule and count.
struct Lots {
    seed: u64,
    rule: Rule,
    number: u64,
}

impl Lots {
    /// A number below another.
    fn below(&mut self, end: u64) -> u64 {
        let mut text = self.seed.to_be_bytes().to_vec();
        text.extend_from_slice(self.rule.as_str().as_bytes());
        text.extend_from_slice(&self.number.to_be_bytes());
        self.number = self.number.saturating_add(1);
        let hash = digest(&SHA256, &text);
        let start = hash.as_ref().iter().take(8).fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        // The part of the whole range that it is, so that no number is likelier than another by more than one in 2^64.
        u64::try_from((u128::from(start) * u128::from(end)) >> 64).unwrap_or(0)
    }

    /// So many different numbers below another; all where there are no more (Floyd's way of sampling).
    fn some_of(&mut self, end: u64, wanted: u32) -> Vec<u64> {
        let wanted = u64::from(wanted).min(end);
        let mut chosen = std::collections::BTreeSet::new();
        for top in end - wanted..end {
            let lot = self.below(top + 1);
            if !chosen.insert(lot) {
                chosen.insert(top);
            }
        }
        chosen.into_iter().collect()
    }
}

/// How far the draw is.
struct Progress<'a> {
    job: &'a Job<u64>,
    done: u64,
    all: u64,
}

impl Progress<'_> {
    /// One more line; false where it is to stop.
    fn step(&mut self) -> bool {
        self.done += 1;
        self.goes_on()
    }

    fn goes_on(&self) -> bool {
        self.job.goes_on(self.done, self.all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lots(seed: u64) -> Lots {
        Lots { seed, rule: Rule::Late, number: 0 }
    }

    #[test]
    fn the_same_seed_draws_the_same_and_another_draws_otherwise() {
        assert_eq!(lots(7).some_of(10_000, 20), lots(7).some_of(10_000, 20));
        assert_ne!(lots(7).some_of(10_000, 20), lots(8).some_of(10_000, 20));
        let other = Lots { rule: Rule::Refused, ..lots(7) }.some_of(10_000, 20);
        assert_ne!(lots(7).some_of(10_000, 20), other, "rules draw apart");
    }

    #[test]
    fn lots_are_different_below_the_end_and_all_of_them_where_there_are_few() {
        for (end, wanted) in [(0, 5), (1, 5), (5, 5), (1_000, 999), (u64::MAX, 3)] {
            let some = lots(3).some_of(end, wanted);
            assert_eq!(some.len() as u64, u64::from(wanted).min(end), "{end}");
            assert!(some.iter().all(|lot| *lot < end));
        }
    }

    #[test]
    fn every_line_is_about_as_likely_as_any_other() {
        let mut counts = [0_u32; 10];
        for seed in 0..2_000 {
            for lot in lots(seed).some_of(10, 3) {
                counts[usize::try_from(lot).unwrap()] += 1;
            }
        }
        assert!(counts.iter().all(|count| (500..700).contains(count)), "{counts:?}");
    }

    #[test]
    fn rules_are_kept_and_read_back() {
        let drawn = Drawn { items: Vec::new(), tally: vec![(Rule::Random, 30, 5_412), (Rule::Export, 10, 0)] };
        assert_eq!(drawn.written(None, None), "random:30:5412 export:10:0");
        assert_eq!(rules_of(&drawn.written(None, None)), drawn.tally);
        assert_eq!(within_of(&drawn.written(None, None)), None, "of the whole log");
        let units = ["本院/3F 東", "a=b&c:d,e", "random:1:1"].map(|name| Unit::parse(name).unwrap());
        let written = drawn.written(Some(&units), Some("gw01"));
        assert_eq!((rules_of(&written), within_of(&written)), (drawn.tally.clone(), Some(units.to_vec())));
        assert_eq!(rules_of("random:x:1 nonsense random:1"), []);
    }
}
