//! Judging what was recorded by two policies, and counting what comes of it. Each thread has its own tally; in the end
//! they are one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use audit::{Blocks, Reader, Recorded, RecordedAccess, recorded};
use policy::{
    Access, Action, AppId, Comparison, Decision, InfoClass, Policy, Reason, RequestId, RuleId, Timestamp, Unstated,
    UserId,
};

use crate::failure::Failure;

/// What happens now, and what would happen.
pub type Change = (Decision, Decision);

/// By what changes are counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum By {
    /// Each role of the person.
    Role,
    /// The app.
    App,
    /// The class of the information, as the proposed policy has it.
    Class,
    /// The class of the device.
    DeviceClass,
    /// The person.
    Person,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Role, Self::App, Self::Class, Self::DeviceClass, Self::Person];
}

/// Accesses that would change in the same way.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Group {
    /// What changes.
    pub change: Change,
    /// In which app.
    pub app: AppId,
    /// Which information, as the proposed policy has it.
    pub class: Option<InfoClass>,
    /// What was to be done, as the proposed policy has it.
    pub action: Action,
    /// The rule that answers now.
    pub rule_now: RuleId,
    /// The rule that would answer.
    pub rule_then: RuleId,
    /// Why it would be refused, or else why it is.
    pub reason: Option<Reason>,
}

/// How many, whose, and one of them.
#[derive(Clone, Debug)]
pub struct Grouped {
    /// How many accesses.
    pub accesses: u64,
    /// Whose.
    pub people: BTreeSet<UserId>,
    /// One of them, to be looked up in the log.
    pub example: RequestId,
}

/// What came of a replay.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Every answer now and then, and how often.
    pub answers: BTreeMap<Change, u64>,
    /// What would change, in groups.
    pub groups: HashMap<Group, Grouped>,
    /// What would change, by what it is about; `None` for nobody, no device, or what is not classified.
    pub by: BTreeMap<By, BTreeMap<Option<String>, BTreeMap<Change, u64>>>,
    /// The name of each person in it.
    pub names: BTreeMap<String, String>,
    /// Accesses that cannot be decided, by what their records do not state.
    pub undecidable: BTreeMap<Unstated, u64>,
    /// Lines that could not be read.
    pub unreadable: u64,
    /// Accesses that the policy in force answers otherwise than was answered then.
    pub drifted: u64,
    /// The first and the last moment.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// What is to be replayed.
#[derive(Clone, Copy, Debug)]
pub struct Period {
    /// From this moment on.
    pub since: Timestamp,
    /// Up to this moment.
    pub until: Timestamp,
}

/// Judges every recorded access of a period by both policies, in so many threads.
///
/// # Errors
/// [`Failure`] where the log cannot be read.
pub fn replay(
    log: impl Into<Reader>,
    period: Period,
    (active, proposed): (&Arc<Policy>, &Arc<Policy>),
    threads: usize,
) -> Result<Tally, Failure> {
    let unavailable = |problem: audit::LogProblem| Failure::unavailable(problem.to_string());
    let blocks = Mutex::new(Blocks::since(log, period.since).map_err(unavailable)?);
    let next_block = || blocks.lock().unwrap_or_else(PoisonError::into_inner).next_block();
    let work = || {
        let mut part = Part::new(period, active, proposed);
        while let Some(block) = next_block()? {
            block.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).for_each(|line| part.line(line));
        }
        Ok(part.tally)
    };
    let parts = std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        started.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Vec<_>>()
    });
    let mut whole = Tally::default();
    for part in parts {
        let part = part.map_err(|_| Failure::fault("a thread of the replay ended in a panic"))?;
        whole.add(part.map_err(unavailable)?);
    }
    Ok(whole)
}

/// One thread's share.
struct Part<'a> {
    period: Period,
    active: &'a Policy,
    proposed: &'a Policy,
    comparison: Comparison,
    tally: Tally,
}

impl<'a> Part<'a> {
    fn new(period: Period, active: &'a Arc<Policy>, proposed: &'a Arc<Policy>) -> Self {
        let comparison = Comparison::new(Arc::clone(active), Arc::clone(proposed));
        Self { period, active, proposed, comparison, tally: Tally::default() }
    }

    fn line(&mut self, line: &[u8]) {
        match recorded(line) {
            Recorded::Access(recorded) => {
                let at = recorded.access.at;
                if self.period.since <= at && at < self.period.until {
                    self.access(&recorded);
                }
            }
            Recorded::Unreadable => self.tally.unreadable += 1,
            Recorded::Other => {}
        }
    }

    fn access(&mut self, recorded: &RecordedAccess) {
        let (now, then) = (self.active.classify(&recorded.access), self.proposed.classify(&recorded.access));
        let compared = match self.comparison.judge(&now, &then, recorded.known) {
            Ok(compared) => compared,
            Err(missing) => return *self.tally.undecidable.entry(missing).or_default() += 1,
        };
        let change = (compared.active.decision, compared.proposed.decision);
        self.tally.note_moment(recorded.access.at);
        *self.tally.answers.entry(change).or_default() += 1;
        if recorded.judged.decision != compared.active.decision {
            self.tally.drifted += 1;
        }
        if !compared.differs() {
            return;
        }
        let group = Group {
            change,
            app: then.app.clone(),
            class: then.class.clone(),
            action: then.action,
            reason: compared.proposed.reason.or(compared.active.reason),
            rule_now: compared.active.rule,
            rule_then: compared.proposed.rule,
        };
        self.tally.note_change(group, &then);
    }
}

impl Tally {
    /// How many accesses were judged.
    pub fn judged(&self) -> u64 {
        self.answers.values().sum()
    }

    /// How many of them would be answered otherwise.
    pub fn changed(&self) -> u64 {
        self.answers.iter().filter(|((now, then), _)| now != then).map(|(_, count)| count).sum()
    }

    fn note_moment(&mut self, at: Timestamp) {
        let (first, last) = self.span.unwrap_or((at, at));
        self.span = Some((first.min(at), last.max(at)));
    }

    fn note_change(&mut self, group: Group, access: &Access) {
        let change = group.change;
        let grouped = self.groups.entry(group);
        let grouped = grouped.or_insert(Grouped { accesses: 0, people: BTreeSet::new(), example: access.request });
        grouped.accesses += 1;
        grouped.people.extend(access.who.as_ref().map(|who| who.user.clone()));
        if let Some(who) = &access.who {
            self.names.entry(who.user.to_string()).or_insert_with(|| format!("{} ({})", who.name, who.login));
        }
        for (by, what) in about(access) {
            *self.by.entry(by).or_default().entry(what).or_default().entry(change).or_default() += 1;
        }
    }

    /// Takes in another's counts.
    fn add(&mut self, other: Self) {
        let sum = |into: &mut BTreeMap<Change, u64>, from: BTreeMap<Change, u64>| {
            from.into_iter().for_each(|(change, count)| *into.entry(change).or_default() += count);
        };
        sum(&mut self.answers, other.answers);
        for (group, more) in other.groups {
            let none = Grouped { accesses: 0, people: BTreeSet::new(), example: more.example };
            let grouped = self.groups.entry(group).or_insert(none);
            grouped.accesses += more.accesses;
            grouped.people.extend(more.people);
            grouped.example = grouped.example.min(more.example);
        }
        for (by, counts) in other.by {
            let into = self.by.entry(by).or_default();
            counts.into_iter().for_each(|(what, changes)| sum(into.entry(what).or_default(), changes));
        }
        self.names.extend(other.names);
        other
            .undecidable
            .into_iter()
            .for_each(|(missing, count)| *self.undecidable.entry(missing).or_default() += count);
        self.unreadable += other.unreadable;
        self.drifted += other.drifted;
        for at in other.span.into_iter().flat_map(|(first, last)| [first, last]) {
            self.note_moment(at);
        }
    }
}

/// What an access is counted under; a person with two roles counts under both.
fn about(access: &Access) -> Vec<(By, Option<String>)> {
    let class = access.class.as_ref().map(ToString::to_string);
    let device = access.device.as_ref().map(|device| device.class.as_str().to_owned());
    let mut about = vec![(By::App, Some(access.app.to_string())), (By::Class, class), (By::DeviceClass, device)];
    match &access.who {
        Some(who) => {
            about.push((By::Person, Some(who.user.to_string())));
            about.extend(who.roles.iter().map(|role| (By::Role, Some(role.to_string()))));
        }
        None => about.extend([(By::Person, None), (By::Role, None)]),
    }
    about
}

#[cfg(test)]
mod tests;
