//! What people did at other nodes. Each node tells the others, every second, the numbers of whoever came to a fair part
//! of a bound; whoever did less is not told of. So all nodes together let nobody go beyond a bound by more than that part
//! for each other node, and what is done within the second. A patient that was opened at two nodes counts twice, as only
//! numbers are told.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::PoisonError;

use policy::{Timestamp, UserId};

use super::{COUNTED_MAX, Count, Counts, Ever, HOUR, Key, Subject};
use crate::nodes::Counted;

/// Into how many parts the share of one node in a bound is cut; whoever did less than one is not told of.
const PARTS: u64 = 4;
/// The most people (by rule) that one node tells of; those nearest to their bound.
const TOLD_MAX: usize = 1_000;

/// What one person did by one rule at other nodes.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    nodes: HashMap<String, Part>,
}

/// What one node told.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    requests: u64,
    patients: u64,
    ever: Option<Ever>,
    /// What had been told when the person last proved themselves again.
    forgiven: Option<Forgiven>,
    /// When it was last told.
    at: i64,
}

/// What was done before a person proved themselves again.
#[derive(Clone, Copy, Debug)]
struct Forgiven {
    requests: u64,
    patients: u64,
    ever: Option<Ever>,
}

impl Part {
    /// What counts of it: what was done within the hour, but for what was done before the proof.
    fn counted(&self) -> (u64, u64) {
        let Some(before) = self.forgiven else { return (self.requests, self.patients) };
        match (before.ever, self.ever) {
            // What was done within the hour may slide out of it; what was done since the proof only grows.
            (Some(then), Some(now)) if then.since == now.since => (
                self.requests.min(now.requests.saturating_sub(then.requests)),
                self.patients.min(now.patients.saturating_sub(then.patients)),
            ),
            // It is counted anew there since: all of it came after.
            (Some(_), Some(_)) => (self.requests, self.patients),
            (None, _) | (_, None) => {
                (self.requests.saturating_sub(before.requests), self.patients.saturating_sub(before.patients))
            }
        }
    }
}

impl Elsewhere {
    /// Requests and patients, as far as they are told of and count.
    pub(super) fn within_an_hour(&self, now: i64) -> (u64, u64) {
        let counted = self.nodes.values().filter(|part| part.at > now - HOUR);
        counted
            .map(Part::counted)
            .fold((0, 0), |sum: (u64, u64), part| (sum.0.saturating_add(part.0), sum.1.saturating_add(part.1)))
    }

    /// What was told until now counts no more.
    pub(super) fn forgive(&mut self) {
        for part in self.nodes.values_mut() {
            part.forgiven = Some(Forgiven { requests: part.requests, patients: part.patients, ever: part.ever });
        }
    }

    /// Forgets what was last told before; whether anything is left.
    pub(super) fn forget_before(&mut self, second: i64) -> bool {
        self.nodes.retain(|_, part| part.at > second);
        !self.nodes.is_empty()
    }
}

impl Counts {
    /// The numbers of whoever came near a bound, where so many nodes share it.
    pub fn tell(&self, nodes: usize, at: Timestamp) -> Vec<Counted> {
        let now = at.unix_seconds();
        let mut told = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let near = shard.counts.iter().filter_map(|(key, count)| {
                let (requests, patients) = count.within_an_hour(now);
                let share = share(requests, count.bounds.0).max(share(patients, count.bounds.1));
                let is_told = share.saturating_mul(PARTS).saturating_mul(nodes as u64) > WHOLE;
                let ever = Some(count.ever);
                let counted = || Counted { rule: key.rule.to_string(), who: key.who.word(), requests, patients, ever };
                is_told.then(|| (share, counted()))
            });
            told.extend(near);
        }
        told.sort_unstable_by_key(|(share, _)| std::cmp::Reverse(*share));
        told.into_iter().take(TOLD_MAX).map(|(_, counted)| counted).collect()
    }

    /// Takes in all that another node tells, in place of what it told before.
    pub fn heed(&self, node: &str, told: &[Counted], at: Timestamp) {
        let now = at.unix_seconds();
        let mut told: HashMap<Key, &Counted> =
            told.iter().take(TOLD_MAX).filter_map(|one| Some((Key::read(one)?, one))).collect();
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.elsewhere.retain(|key, elsewhere| {
                match told.remove(key) {
                    Some(one) => elsewhere.note(node, one, now),
                    None => drop(elsewhere.nodes.remove(node)),
                }
                !elsewhere.nodes.is_empty()
            });
        }
        for (key, one) in told {
            let place = self.place(&key);
            let Some(shard) = self.shards.get(place) else { continue };
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            if shard.elsewhere.len() < COUNTED_MAX {
                shard.elsewhere.entry(key).or_default().note(node, one, now);
            }
        }
    }
}

impl Elsewhere {
    fn note(&mut self, node: &str, one: &Counted, now: i64) {
        let part = self.nodes.entry(node.to_owned()).or_default();
        (part.requests, part.patients, part.ever, part.at) = (one.requests, one.patients, one.ever, now);
        if let Some(before) = &mut part.forgiven {
            (before.requests, before.patients) = (before.requests.min(one.requests), before.patients.min(one.patients));
        }
    }
}

/// A bound that is reached.
const WHOLE: u64 = 1_000;

/// How much of a bound is used up, in thousandths.
fn share(number: u64, bound: Option<NonZeroU32>) -> u64 {
    bound.map_or(0, |bound| number.saturating_mul(WHOLE) / u64::from(bound.get()))
}

impl Count {
    fn within_an_hour(&self, now: i64) -> (u64, u64) {
        let patients = self.patients.values().filter(|seen| **seen > now - HOUR).count();
        (self.requests.within_an_hour(now), patients as u64)
    }
}

impl Subject {
    fn word(&self) -> String {
        match self {
            Self::Person(id) => format!("person {id}"),
            Self::Nobody(network) => format!("network {network}"),
        }
    }

    fn read(word: &str) -> Option<Self> {
        match word.split_once(' ')? {
            ("person", id) => UserId::parse(id).ok().map(Self::Person),
            ("network", network) => network.parse().ok().map(Self::Nobody),
            _ => None,
        }
    }
}

impl Key {
    fn read(one: &Counted) -> Option<Self> {
        Some(Self { rule: one.rule.parse().ok()?, who: Subject::read(&one.who)? })
    }
}

#[cfg(test)]
mod tests {
    use policy::{Beyond, Caps};

    use super::super::{SHARDS, SPAN, Said};
    use super::*;

    const CAPS: Caps = Caps { requests: NonZeroU32::new(40), patients: NonZeroU32::new(8), beyond: Beyond::Deny };

    fn key(person: &str) -> Key {
        Key { rule: "r".parse().unwrap(), who: Subject::Person(UserId::parse(person).unwrap()) }
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_unix_micros(second * 1_000_000)
    }

    /// Asks so often, each time for another patient; how often it was within the bounds.
    fn ask(counts: &Counts, caps: &Caps, times: u64, at: i64) -> usize {
        let is_within = |patient: &u64| {
            let patient = caps.patients.map(|_| *patient);
            counts.count_one(caps, key("u-1"), patient, Some(second(0)), second(at)) == Said::Within
        };
        (0..times).filter(is_within).count()
    }

    fn exchange(one: &Counts, two: &Counts, at: i64) {
        let (from_one, from_two) = (one.tell(2, second(at)), two.tell(2, second(at)));
        one.heed("two", &from_two, second(at));
        two.heed("one", &from_one, second(at));
    }

    #[test]
    fn a_bound_holds_over_two_nodes() {
        let (one, two) = (Counts::default(), Counts::default());
        let requests = Caps { patients: None, ..CAPS };
        assert_eq!(ask(&one, &requests, 30, 1), 30);
        exchange(&one, &two, 2);
        assert_eq!(ask(&two, &requests, 30, 3), 10, "forty in all");
        exchange(&one, &two, 4);
        assert_eq!((ask(&one, &requests, 5, 5), ask(&two, &requests, 5, 5)), (0, 0));
        let patients = Caps { requests: None, ..CAPS };
        let (one, two) = (Counts::default(), Counts::default());
        assert_eq!(ask(&one, &patients, 6, 1), 6);
        exchange(&one, &two, 2);
        assert_eq!(ask(&two, &patients, 6, 3), 2);
    }

    #[test]
    fn whoever_did_little_is_not_told_of_and_no_patient_ever() {
        let counts = Counts::default();
        let requests = Caps { patients: None, ..CAPS };
        ask(&counts, &requests, 5, 1);
        assert_eq!(counts.tell(2, second(2)), [], "an eighth of the bound");
        ask(&counts, &requests, 1, 3);
        let told = counts.tell(2, second(4));
        let ever = Some(Ever { since: 1, requests: 6, patients: 0 });
        let expected = Counted { rule: "r".into(), who: "person u-1".into(), requests: 6, patients: 0, ever };
        assert_eq!(told, [expected]);
        assert_eq!(counts.tell(2, second(3 * HOUR)), []);
    }

    #[test]
    fn what_a_node_that_is_gone_did_counts_for_an_hour() {
        let (one, two) = (Counts::default(), Counts::default());
        let requests = Caps { patients: None, ..CAPS };
        ask(&one, &requests, 40, 1);
        exchange(&one, &two, 2);
        assert_eq!(ask(&two, &requests, 1, HOUR), 0);
        assert_eq!(ask(&two, &requests, 1, HOUR + 3), 1);
        two.prune(second(3 * HOUR));
        assert!(two.shards.iter().all(|shard| shard.lock().unwrap().elsewhere.is_empty()));
    }

    #[test]
    fn who_proves_themselves_again_is_free_of_what_was_done_elsewhere() {
        let (one, two) = (Counts::default(), Counts::default());
        let caps = Caps { patients: None, beyond: Beyond::StepUp, ..CAPS };
        ask(&one, &caps, 40, 1);
        exchange(&one, &two, 2);
        let at_two = |at, proven| two.count_one(&caps, key("u-1"), None, Some(second(proven)), second(at));
        assert_eq!([at_two(3, 0), at_two(4, 0)], [Said::StepUp, Said::StepUp]);
        assert_eq!([at_two(6, 5), at_two(7, 5)], [Said::Within, Said::Within]);
        exchange(&one, &two, 8);
        assert_eq!(at_two(9, 5), Said::Within, "the same is told again");
    }

    #[test]
    fn what_was_forgiven_once_forgives_nothing_that_comes_after() {
        let (one, two) = (Counts::default(), Counts::default());
        let caps = Caps { patients: None, beyond: Beyond::StepUp, ..CAPS };
        let at_two = |at, proven| two.count_one(&caps, key("u-1"), None, Some(second(proven)), second(at));
        ask(&one, &caps, 40, 1);
        exchange(&one, &two, 2);
        assert_eq!([at_two(3, 0), at_two(6, 5)], [Said::StepUp, Said::Within]);
        // The forty of the first hour slide out of it there, and forty others come in.
        let later = HOUR + 2 * SPAN;
        assert_eq!(ask(&one, &caps, 40, later), 40);
        exchange(&one, &two, later + 1);
        assert_eq!(at_two(later + 2, 5), Said::StepUp);
        // A node of an earlier version tells only what slides: what was forgiven falls with it.
        let told = |requests| [Counted { ever: None, requests, ..two_of_them() }];
        let two = Counts::default();
        let at_two = |at, proven| two.count_one(&caps, key("u-1"), None, Some(second(proven)), second(at));
        two.heed("one", &told(40), second(2));
        assert_eq!([at_two(3, 0), at_two(6, 5)], [Said::StepUp, Said::Within]);
        two.heed("one", &told(0), second(7));
        two.heed("one", &told(40), second(8));
        assert_eq!(at_two(9, 5), Said::StepUp);
    }

    fn two_of_them() -> Counted {
        Counted { rule: "r".into(), who: "person u-1".into(), requests: 2, patients: 0, ever: None }
    }

    #[test]
    fn what_others_tell_is_bounded_and_nonsense_is_nothing() {
        let counts = Counts::default();
        let told = |who: String| Counted { rule: "r".into(), who, requests: 9, patients: 0, ever: None };
        let one = |number: usize| told(format!("person u-{number}"));
        let many: Vec<Counted> = (0..100 * COUNTED_MAX).map(one).collect();
        counts.heed("two", &many, second(1));
        let held: usize = counts.shards.iter().map(|shard| shard.lock().unwrap().elsewhere.len()).sum();
        assert!(held <= TOLD_MAX.min(SHARDS * COUNTED_MAX), "{held}");
        let nonsense = ["", "u-1", "person ", "network ward", "device d-1"];
        let nonsense = nonsense.map(|who| told(who.to_owned()));
        counts.heed("two", &nonsense, second(2));
        assert!(counts.shards.iter().all(|shard| shard.lock().unwrap().elsewhere.is_empty()), "and replaces the rest");
    }
}
