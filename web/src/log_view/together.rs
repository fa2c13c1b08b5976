//! What several logs answer, put together: stories by time, each once, and counts in which what all of them tell counts
//! once. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use audit::Once;
use find::{Bar, By, Order, Place};

use super::Record;
use super::wire::Shares;

/// More nodes than there are.
const LOGS_MAX: usize = 16;
/// How a log is written whose node is left out.
const LEFT_OUT: &str = "x";

/// Where a page of stories begins, in each log: what a link carries from one page to the next, whichever node shows it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Turn(Vec<Step>);

/// How far a log was shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Step {
    /// Not at all.
    #[default]
    Begin,
    /// Up to here.
    At(Place),
    /// Its node did not answer, and what comes of it later would stand in the wrong place.
    LeftOut,
}

impl Turn {
    pub(super) fn of(&self, log: usize) -> Step {
        self.0.get(log).copied().unwrap_or_default()
    }

    /// A place in one log.
    pub(super) fn of_one(log: usize, place: Place) -> Self {
        Self((0..log).map(|_| Step::Begin).chain([Step::At(place)]).collect())
    }

    /// Reads what it was written as.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let step = |text: &str| match text {
            "" => Some(Step::Begin),
            LEFT_OUT => Some(Step::LeftOut),
            place => Place::parse(place).map(Step::At),
        };
        let steps = text.split('.').take(LOGS_MAX + 1).map(step).collect::<Option<Vec<_>>>()?;
        (!text.is_empty() && steps.len() <= LOGS_MAX).then_some(Self(steps))
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str(".")?;
            }
            match step {
                Step::Begin => {}
                Step::At(place) => place.fmt(f)?,
                Step::LeftOut => f.write_str(LEFT_OUT)?,
            }
        }
        Ok(())
    }
}

/// A page of one log.
#[derive(Debug)]
pub(super) struct Hand {
    /// Whose it is, by its place among the nodes.
    pub(super) log: usize,
    /// Where it began.
    pub(super) step: Step,
    /// What it holds, in the order asked for, each with the line that begins it where other logs may have the same.
    pub(super) records: VecDeque<(Record, Option<Vec<u8>>)>,
    /// Where its next page begins.
    pub(super) next: Option<Place>,
}

/// Puts pages of several logs together: so many, and where the next page begins. Each log keeps its own order.
pub(super) fn merge(mut hands: Vec<Hand>, logs: usize, order: Order, limit: usize) -> (Vec<Record>, Option<Turn>) {
    let (mut once, mut records) = (Once::default(), Vec::new());
    // Where a log has more than was fetched, nobody knows what comes next.
    let is_known = |hands: &[Hand]| !hands.iter().any(|hand| hand.records.is_empty() && hand.next.is_some());
    while records.len() < limit && is_known(&hands) {
        let Some(hand) = first(&mut hands, order) else { break };
        let Some((record, line)) = hand.records.pop_front() else { break };
        if let Some(place) = Place::parse(&record.seq.to_string()) {
            hand.step = Step::At(place);
        }
        if line.is_none_or(|line| once.is_new(hand.log, &line)) {
            records.push(record);
        }
    }
    for hand in &mut hands {
        if let Some(next) = hand.next.filter(|_| hand.records.is_empty()) {
            hand.step = Step::At(next);
        }
    }
    let has_more = hands.iter().any(|hand| !hand.records.is_empty() || hand.next.is_some());
    let step = |log| hands.iter().find(|hand| hand.log == log).map_or(Step::LeftOut, |hand| hand.step);
    (records, has_more.then(|| Turn((0..logs).map(step).collect())))
}

/// The log whose next record comes first. What is damaged says no moment, and stands where its log has it.
fn first(hands: &mut [Hand], order: Order) -> Option<&mut Hand> {
    let rank = |hand: &Hand| {
        let (record, _) = hand.records.front()?;
        Some(match (&record.story, order) {
            (None, _) => i64::MIN,
            (Some(story), Order::Oldest) => story.begin.at.unix_micros(),
            (Some(story), Order::Newest) => story.begin.at.unix_micros().saturating_neg(),
        })
    };
    hands.iter_mut().filter(|hand| !hand.records.is_empty()).min_by_key(|hand| (rank(hand), hand.log))
}

/// Counts of several logs together, as one log would have them: moments in their order, anything else the most first.
pub(super) fn count(counted: Vec<Shares<Vec<(String, u64)>>>, by: By, top: usize) -> Vec<Bar> {
    let (mut own, mut shared) = (BTreeMap::<String, u64>::new(), BTreeMap::<String, u64>::new());
    for one in counted {
        for (key, count) in one.own {
            let all = own.entry(key).or_default();
            *all = all.saturating_add(count);
        }
        for (key, count) in one.shared {
            let most = shared.entry(key).or_default();
            *most = (*most).max(count);
        }
    }
    for (key, count) in shared {
        let all = own.entry(key).or_default();
        *all = all.saturating_add(count);
    }
    let mut bars: Vec<Bar> = own.into_iter().map(|(key, count)| Bar { key, count }).collect();
    match by {
        By::Hour | By::Day | By::Month => {
            // The newest where there are too many, the earliest first.
            bars.drain(..bars.len().saturating_sub(top));
        }
        By::Role
        | By::App
        | By::Action
        | By::Class
        | By::Outcome
        | By::Reason
        | By::Person
        | By::Device
        | By::Patient
        | By::Rule
        | By::Event
        | By::Address => {
            bars.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.key.cmp(&other.key)));
            bars.truncate(top);
        }
    }
    bars
}

/// Totals of several logs together.
pub(super) fn total(totals: impl IntoIterator<Item = Shares<u64>>) -> u64 {
    let (own, shared) = totals
        .into_iter()
        .fold((0_u64, 0_u64), |(own, shared), one| (own.saturating_add(one.own), shared.max(one.shared)));
    own.saturating_add(shared)
}

/// What is left of all once what is shared is taken away.
pub(super) fn without(all: Vec<(String, u64)>, shared: &[(String, u64)]) -> Vec<(String, u64)> {
    let shared: BTreeMap<&str, u64> = shared.iter().map(|(key, count)| (key.as_str(), *count)).collect();
    let left = |(key, count): (String, u64)| {
        let count = count.saturating_sub(shared.get(key.as_str()).copied().unwrap_or(0));
        (key, count)
    };
    all.into_iter().map(left).filter(|(_, count)| *count > 0).collect()
}

#[cfg(test)]
mod tests {
    use audit::Entry;

    use super::super::Damage;
    use super::*;

    fn line(seq: u64, second: u64, rest: &str) -> String {
        format!("{{\"v\":1,\"seq\":{seq},\"ts\":\"2026-11-22T01:00:{second:02}.000000Z\",{rest}}}\n")
    }

    /// Records of one log: number, second, and the rest of the line.
    fn hand(log: usize, lines: &[(u64, u64, &str)], next: Option<u64>) -> Hand {
        let record = |(seq, second, rest): &(u64, u64, &str)| {
            let text = line(*seq, *second, rest);
            let shared = rest.contains("\"sn\"").then(|| text.clone().into_bytes());
            match Entry::read(text.as_bytes()) {
                Some(entry) => (Record::whole(entry, None), shared),
                None => (Record::damaged(Damage { seq: *seq, file: None }), None),
            }
        };
        let next = next.and_then(|next| Place::parse(&next.to_string()));
        Hand { log, step: Step::Begin, records: lines.iter().map(record).collect(), next }
    }

    const OPEN: &str = r#""ev":"open","id":"x""#;
    const EVENT: &str = r#""ev":"device-added","dev":"d1","sn":7"#;

    fn merged(hands: Vec<Hand>, order: Order, limit: usize) -> (Vec<u64>, Option<String>) {
        let logs = hands.iter().map(|hand| hand.log + 1).max().unwrap_or(0);
        let (records, turn) = merge(hands, logs, order, limit);
        (records.iter().map(|record| record.seq).collect(), turn.map(|turn| turn.to_string()))
    }

    #[test]
    fn stories_of_several_logs_stand_by_time_and_a_page_goes_on_in_each_log_where_it_ended() {
        let hands = || {
            vec![
                hand(0, &[(9, 50, OPEN), (8, 30, OPEN), (7, 10, OPEN)], Some(7)),
                hand(1, &[(109, 40, OPEN), (108, 20, OPEN)], None),
            ]
        };
        assert_eq!(merged(hands(), Order::Newest, 3), (vec![9, 109, 8], Some("8.109".to_owned())));
        assert_eq!(merged(hands(), Order::Newest, 5), (vec![9, 109, 8, 108, 7], Some("7.108".to_owned())));
        let oldest = vec![hand(0, &[(1, 1, OPEN), (2, 9, OPEN)], None), hand(1, &[(101, 5, OPEN)], None)];
        assert_eq!(merged(oldest, Order::Oldest, 9), (vec![1, 101, 2], None));
    }

    #[test]
    fn where_a_log_has_more_than_was_fetched_nothing_is_shown_beyond_it() {
        let hands = vec![
            hand(0, &[(9, 50, EVENT), (8, 49, OPEN)], Some(8)),
            hand(1, &[(109, 50, EVENT), (108, 10, OPEN)], Some(108)),
        ];
        // The first log may have more between the second 49 and the second 10.
        assert_eq!(merged(hands, Order::Newest, 9), (vec![9, 8], Some("8.109".to_owned())));
        let gone = vec![hand(0, &[], Some(4)), hand(1, &[(101, 1, OPEN)], None)];
        assert_eq!(merged(gone, Order::Newest, 9), (vec![], Some("4.".to_owned())), "a page of lines that are gone");
    }

    #[test]
    fn what_several_logs_say_of_one_event_stands_there_once() {
        let hands = vec![hand(0, &[(5, 10, EVENT)], None), hand(1, &[(105, 10, EVENT), (106, 11, OPEN)], None)];
        assert_eq!(merged(hands, Order::Oldest, 9), (vec![5, 106], None));
        let other = r#""ev":"device-added","dev":"d2","sn":7"#;
        let hands = vec![hand(0, &[(5, 10, EVENT)], None), hand(1, &[(105, 10, other)], None)];
        assert_eq!(merged(hands, Order::Oldest, 9), (vec![5, 105], None), "both where they differ");
    }

    #[test]
    fn a_damaged_record_stands_where_its_log_has_it_and_a_node_that_is_missing_stays_out() {
        let hands =
            vec![hand(0, &[(9, 50, OPEN), (8, 0, "#"), (7, 10, OPEN)], None), hand(2, &[(201, 30, OPEN)], None)];
        assert_eq!(merged(hands, Order::Newest, 3), (vec![9, 8, 201], Some("8.x.201".to_owned())));
    }

    #[test]
    fn a_turn_is_read_as_it_was_written_and_nothing_else_is() {
        for text in ["7", "7.8", ".8", "7.x", "x.", "7..x"] {
            assert_eq!(Turn::parse(text).map(|turn| turn.to_string()).as_deref(), Some(text));
        }
        for text in ["", "y", "7.-1", "7,8", "7.8 ", &".".repeat(LOGS_MAX)] {
            assert_eq!(Turn::parse(text), None, "{text}");
        }
        let longest = format!("{}{}", "18446744073709551615.".repeat(LOGS_MAX - 1), u64::MAX);
        assert!(Turn::parse(&longest).is_some());
    }

    #[test]
    fn what_all_logs_tell_counts_once_and_what_each_tells_is_added() {
        let bars = |bars: &[(&str, u64)]| bars.iter().map(|(key, count)| ((*key).to_owned(), *count)).collect();
        let shares = |own: &[(&str, u64)], shared: &[(&str, u64)]| Shares { own: bars(own), shared: bars(shared) };
        let told = |counted, by, top| -> Vec<(String, u64)> {
            count(counted, by, top).into_iter().map(|bar| (bar.key, bar.count)).collect()
        };
        let counted = || {
            vec![
                shares(&[("sato", 3), ("kato", 1)], &[("sato", 2)]),
                shares(&[("kato", 9)], &[("sato", 2), ("ueda", 1)]),
            ]
        };
        assert_eq!(
            told(counted(), By::Person, 9),
            [("kato".to_owned(), 10), ("sato".to_owned(), 5), ("ueda".to_owned(), 1)]
        );
        assert_eq!(told(counted(), By::Person, 1), [("kato".to_owned(), 10)]);
        let days = vec![shares(&[("2026-11-21", 1), ("2026-11-22", 1)], &[]), shares(&[("2026-11-20", 5)], &[])];
        assert_eq!(told(days, By::Day, 2), [("2026-11-21".to_owned(), 1), ("2026-11-22".to_owned(), 1)]);
        assert_eq!(total([Shares { own: 5, shared: 3 }, Shares { own: 2, shared: 4 }]), 11);
        assert_eq!(
            without(bars(&[("a", 3), ("b", 1)]), &[("b".to_owned(), 1), ("c".to_owned(), 9)]),
            [("a".to_owned(), 3)]
        );
    }
}
