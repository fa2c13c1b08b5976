//! Which nodes are there, which of them leads, and what is wrong, out of what they say. A node is heard when what it says
//! changes: so its clock decides nothing, but at the first look, when nothing else is known. Pure: no store and no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use config::{NodeName, Nodes};
use policy::Timestamp;
use web::{NodeAlarm, NodeState};

use super::beat::Beat;

/// How far another node's clock may be off before that is an alarm.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(5);
/// How long two nodes may have different configurations, as they are not changed at one moment.
const CONFIGS_DIFFER_MAX: Duration = Duration::from_secs(60);
/// How long the store may not answer before that is an alarm.
const CUT_OFF_AFTER: Duration = Duration::from_secs(3);

/// What is known of the nodes.
#[derive(Debug)]
pub struct Sight {
    nodes: Nodes,
    heard: BTreeMap<NodeName, Heard>,
    /// Since when it is listened, without the time in which nothing could be heard.
    begun: Instant,
    /// Since when the store has not answered.
    cut_off_since: Option<Instant>,
    /// When it answered again last, and for how long it had not.
    back: Option<(Instant, Duration)>,
    /// Since when it has not taken what this node says.
    mute_since: Option<Instant>,
}

/// What is known of another node.
#[derive(Debug)]
struct Heard {
    beat: Beat,
    /// When what it says last changed.
    changed: Instant,
    /// Whether it has been silent since before the first look.
    was_silent: bool,
    /// Since when its configuration has been another.
    differs_since: Option<Instant>,
    is_unreadable: bool,
    clock_is_apart: bool,
}

/// What this node says of itself, as far as others are compared with it.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// The revision of its configuration.
    pub revision: &'a str,
    /// Digests of the keys that all nodes must share.
    pub shared: &'a BTreeMap<String, String>,
}

impl Sight {
    /// Nothing is known yet.
    pub fn new(nodes: Nodes, tick: Instant) -> Self {
        Self { nodes, heard: BTreeMap::new(), begun: tick, cut_off_since: None, back: None, mute_since: None }
    }

    /// The nodes there are.
    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// The store does not answer: nothing is heard, and that says nothing of the others.
    pub fn cut_off(&mut self, tick: Instant) {
        self.cut_off_since.get_or_insert(tick);
    }

    /// The store did not take what this node says: the others do not hear it.
    pub fn mute(&mut self, tick: Instant) {
        self.mute_since.get_or_insert(tick);
    }

    /// The store took what this node says.
    pub fn said(&mut self) {
        self.mute_since = None;
    }

    /// Takes in what another node says; nothing where it has said nothing yet.
    pub fn hear(
        &mut self,
        name: &NodeName,
        said: Option<Result<Beat, String>>,
        own: Own<'_>,
        at: Timestamp,
        tick: Instant,
    ) {
        if let Some(since) = self.cut_off_since.take() {
            // Who could not be heard was not silent.
            let gone = tick.saturating_duration_since(since);
            self.heard.values_mut().for_each(|heard| heard.changed += gone);
            self.begun += gone;
            self.back = Some((tick, gone));
        }
        let beat = match said {
            None => return,
            Some(Ok(beat)) => beat,
            Some(Err(_)) => {
                if let Some(heard) = self.heard.get_mut(name) {
                    heard.is_unreadable = true;
                } else {
                    let (beat, is_unreadable) = (Beat::default(), true);
                    let heard = Heard {
                        beat,
                        changed: tick,
                        was_silent: false,
                        differs_since: None,
                        is_unreadable,
                        clock_is_apart: false,
                    };
                    self.heard.insert(name.clone(), heard);
                }
                return;
            }
        };
        let moment = Timestamp::from_unix_micros(beat.at);
        let apart = at.since(moment).max(moment.since(at));
        let is_first = !self.heard.contains_key(name);
        // Nor who is heard for the first time at this look: it may not have been able to say anything either.
        let gone = self.back.filter(|(back, _)| *back == tick).map_or(Duration::ZERO, |(_, gone)| gone);
        let heard = self.heard.entry(name.clone()).or_insert_with(|| Heard {
            beat: beat.clone(),
            changed: tick,
            was_silent: apart > self.nodes.silent_after.saturating_add(gone),
            differs_since: None,
            is_unreadable: false,
            clock_is_apart: false,
        });
        let is_news = (heard.beat.started_at, heard.beat.count) != (beat.started_at, beat.count) || heard.is_unreadable;
        if is_news {
            heard.changed = tick;
            heard.was_silent = false;
        }
        if is_news || (is_first && !heard.was_silent && gone.is_zero()) {
            heard.clock_is_apart = apart > CLOCKS_APART_MAX;
        }
        heard.is_unreadable = false;
        let differs = beat.revision != own.revision && !beat.leaving;
        heard.differs_since = if differs { Some(heard.differs_since.unwrap_or(tick)) } else { None };
        heard.beat = beat;
    }

    /// What another node last said.
    pub fn beat(&self, name: &NodeName) -> Option<&Beat> {
        self.heard.get(name).map(|heard| &heard.beat)
    }

    /// Whether a node is there.
    pub fn state(&self, name: &NodeName, tick: Instant) -> NodeState {
        if *name == self.nodes.own {
            return NodeState::Serving;
        }
        let Some(heard) = self.heard.get(name) else { return NodeState::Unknown };
        let now = self.cut_off_since.unwrap_or(tick);
        if heard.beat.leaving {
            NodeState::Stopped
        } else if heard.was_silent || now.saturating_duration_since(heard.changed) > self.nodes.silent_after {
            NodeState::Silent
        } else {
            NodeState::Serving
        }
    }

    /// How many nodes are there, with this one.
    pub fn serving(&self, tick: Instant) -> usize {
        self.nodes.names.iter().filter(|name| self.state(name, tick) == NodeState::Serving).count()
    }

    /// The node that does what only one does: the first in the list that is there.
    pub fn leader(&self, tick: Instant) -> &NodeName {
        let first = self.nodes.names.iter().find(|name| self.state(name, tick) == NodeState::Serving);
        first.unwrap_or(&self.nodes.own)
    }

    /// Whether people may be using a node of which nothing is heard: it, or this one, is cut off, and goes on for `most`.
    pub fn is_unheard(&self, most: Duration, tick: Instant) -> bool {
        if self.cut_off_since.is_some() || self.mute_since.is_some() {
            return true;
        }
        let is_recent = |since: Instant| tick.saturating_duration_since(since) <= most;
        self.nodes.peers().any(|name| match self.state(name, tick) {
            NodeState::Serving | NodeState::Stopped => false,
            NodeState::Silent | NodeState::Unknown => {
                is_recent(self.heard.get(name).map_or(self.begun, |heard| heard.changed))
            }
        })
    }

    /// What is wrong, but for the logs.
    pub fn alarms(&self, own: Own<'_>, tick: Instant) -> BTreeSet<(NodeName, NodeAlarm)> {
        let mut alarms = BTreeSet::new();
        let is_long = |since: &Instant| tick.saturating_duration_since(*since) >= CUT_OFF_AFTER;
        let is_cut_off = [self.cut_off_since, self.mute_since].iter().flatten().any(is_long);
        if is_cut_off {
            alarms.insert((self.nodes.own.clone(), NodeAlarm::CutOff));
        }
        let is_late = tick.saturating_duration_since(self.begun) > self.nodes.silent_after;
        let missing = self.nodes.peers().filter(|name| is_late && !is_cut_off && !self.heard.contains_key(*name));
        alarms.extend(missing.map(|name| (name.clone(), NodeAlarm::Silent)));
        for (name, heard) in &self.heard {
            let mut raise = |alarm, is_raised: bool| {
                if is_raised {
                    alarms.insert((name.clone(), alarm));
                }
            };
            let state = self.state(name, tick);
            raise(NodeAlarm::Silent, state == NodeState::Silent);
            raise(NodeAlarm::Unreadable, heard.is_unreadable);
            let is_there = state == NodeState::Serving && !heard.is_unreadable;
            raise(NodeAlarm::ClockApart, is_there && heard.clock_is_apart);
            let has_other =
                |(what, digest): (&String, &String)| heard.beat.shared.get(what).is_some_and(|its| its != digest);
            raise(NodeAlarm::OtherSecrets, is_there && own.shared.iter().any(has_other));
            let differs = heard.differs_since;
            let is_long = differs.is_some_and(|since| tick.saturating_duration_since(since) >= CONFIGS_DIFFER_MAX);
            raise(NodeAlarm::OtherConfig, is_there && is_long);
        }
        alarms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn name(text: &str) -> NodeName {
        NodeName::parse(text).unwrap()
    }

    fn nodes(own: &str) -> Nodes {
        let names = ["gw01", "gw02"].map(name).to_vec();
        Nodes { own: name(own), names, silent_after: SECOND * 15, channel: None }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_micros((1_795_000_000 + second) * 1_000_000)
    }

    #[test]
    fn people_may_be_at_work_at_a_node_that_is_not_heard_for_as_long_as_it_goes_on() {
        let mut trial = Trial::new("gw01");
        let is_unheard = |trial: &Trial, second| trial.sight.is_unheard(SECOND * 100, trial.tick(second));
        assert!(is_unheard(&trial, 0) && !is_unheard(&trial, 101), "never heard");
        trial.hear("gw02", beat(1, 1), 1);
        assert!(!is_unheard(&trial, 10), "it is there");
        assert!(is_unheard(&trial, 60) && !is_unheard(&trial, 102), "it is silent");
        trial.sight.cut_off(trial.tick(103));
        assert!(is_unheard(&trial, 103), "this one hears nobody");
        trial.hear("gw02", Beat { leaving: true, ..beat(2, 105) }, 105);
        assert!(!is_unheard(&trial, 200), "it said that it stops");
    }

    fn beat(count: u64, second: i64) -> Beat {
        Beat { v: 1, count, at: at(second).unix_micros(), revision: "r1".to_owned(), ..Beat::default() }
    }

    struct Trial {
        sight: Sight,
        start: Instant,
        shared: BTreeMap<String, String>,
    }

    impl Trial {
        fn new(own: &str) -> Self {
            let shared = [("assertions".to_owned(), "a".to_owned())].into();
            let start = Instant::now();
            Self { sight: Sight::new(nodes(own), start), start, shared }
        }

        fn tick(&self, second: u32) -> Instant {
            self.start + SECOND * second
        }

        fn hear(&mut self, who: &str, beat: Beat, second: u32) {
            let own = Own { revision: "r1", shared: &self.shared };
            let tick = self.start + SECOND * second;
            self.sight.hear(&name(who), Some(Ok(beat)), own, at(i64::from(second)), tick);
        }

        fn alarms(&self, second: u32) -> Vec<String> {
            let own = Own { revision: "r1", shared: &self.shared };
            let alarms = self.sight.alarms(own, self.tick(second));
            alarms.iter().map(|(node, alarm)| format!("{node} {}", alarm.code())).collect()
        }

        fn leader(&self, second: u32) -> &str {
            self.sight.leader(self.tick(second)).as_str()
        }
    }

    #[test]
    fn the_first_that_is_there_leads_and_the_next_takes_over() {
        let mut trial = Trial::new("gw02");
        assert_eq!(trial.leader(0), "gw02", "nobody else was ever heard");
        assert_eq!((trial.alarms(15), trial.alarms(16)), (vec![], vec!["gw01 silent".to_owned()]));
        trial.hear("gw01", beat(1, 0), 0);
        assert_eq!((trial.leader(0), trial.sight.serving(trial.tick(0))), ("gw01", 2));
        trial.hear("gw01", beat(1, 0), 15);
        assert_eq!(trial.leader(15), "gw01");
        trial.hear("gw01", beat(1, 0), 16);
        assert_eq!((trial.leader(16), trial.alarms(16)), ("gw02", vec!["gw01 silent".to_owned()]));
        trial.hear("gw01", beat(2, 17), 17);
        assert_eq!((trial.leader(17), trial.alarms(17)), ("gw01", vec![]));
    }

    #[test]
    fn who_stops_in_order_hands_over_at_once_and_without_an_alarm() {
        let mut trial = Trial::new("gw02");
        trial.hear("gw01", beat(1, 0), 0);
        trial.hear("gw01", Beat { leaving: true, ..beat(2, 1) }, 1);
        assert_eq!((trial.leader(1), trial.alarms(600)), ("gw02", vec![]));
        assert_eq!(trial.sight.state(&name("gw01"), trial.tick(600)), NodeState::Stopped);
    }

    #[test]
    fn what_a_node_said_long_ago_does_not_make_it_be_there() {
        let mut trial = Trial::new("gw02");
        trial.hear("gw01", beat(1, -3_600), 0);
        assert_eq!((trial.leader(0), trial.alarms(0)), ("gw02", vec!["gw01 silent".to_owned()]));
        trial.hear("gw01", beat(2, 1), 1);
        assert_eq!((trial.leader(1), trial.alarms(1)), ("gw01", vec![]));
    }

    #[test]
    fn a_clock_that_is_off_is_told_and_decides_nothing() {
        let mut trial = Trial::new("gw02");
        trial.hear("gw01", beat(1, 0), 0);
        trial.hear("gw01", beat(2, 101), 1);
        assert_eq!((trial.leader(1), trial.alarms(1)), ("gw01", vec!["gw01 clock-apart".to_owned()]));
        trial.hear("gw01", beat(3, 3), 2);
        assert_eq!(trial.alarms(2), Vec::<String>::new());
    }

    #[test]
    fn who_cannot_ask_the_store_calls_nobody_silent() {
        let mut trial = Trial::new("gw02");
        trial.hear("gw01", beat(1, 0), 0);
        trial.sight.cut_off(trial.tick(2));
        assert_eq!(trial.alarms(4), Vec::<String>::new());
        assert_eq!(trial.alarms(100), ["gw02 cut-off"]);
        assert_eq!(trial.leader(100), "gw01");
        trial.hear("gw01", beat(1, 0), 101);
        assert_eq!(trial.alarms(101), Vec::<String>::new(), "it may have been cut off as well");
        trial.hear("gw01", beat(1, 0), 120);
        assert_eq!(trial.alarms(120), ["gw01 silent"]);
    }

    #[test]
    fn who_is_heard_for_the_first_time_when_the_store_is_back_was_not_silent_meanwhile() {
        let mut trial = Trial::new("gw02");
        trial.sight.cut_off(trial.tick(2));
        trial.hear("gw01", beat(1, 1), 100);
        assert_eq!(trial.alarms(100), Vec::<String>::new(), "it may have been cut off as well");
        assert_eq!(trial.alarms(116), ["gw01 silent"]);
        // Nor who had said nothing before, and does not at once.
        let mut trial = Trial::new("gw02");
        trial.sight.cut_off(trial.tick(2));
        let own = Own { revision: "r1", shared: &trial.shared };
        trial.sight.hear(&name("gw01"), None, own, at(100), trial.start + SECOND * 100);
        assert_eq!((trial.alarms(101), trial.alarms(114)), (vec![], vec!["gw01 silent".to_owned()]));
        // Whoever was silent before that is.
        let mut trial = Trial::new("gw02");
        trial.sight.cut_off(trial.tick(90));
        trial.hear("gw01", beat(1, 1), 100);
        assert_eq!(trial.alarms(100), ["gw01 silent"]);
    }

    #[test]
    fn who_is_heard_by_nobody_is_cut_off_as_well() {
        let mut trial = Trial::new("gw02");
        trial.hear("gw01", beat(1, 0), 0);
        trial.sight.mute(trial.tick(1));
        trial.hear("gw01", beat(2, 4), 4);
        trial.sight.mute(trial.tick(4));
        assert_eq!(trial.alarms(4), ["gw02 cut-off"]);
        trial.sight.said();
        assert_eq!(trial.alarms(5), Vec::<String>::new());
    }

    #[test]
    fn another_configuration_is_told_once_it_lasts_and_other_keys_at_once() {
        let mut trial = Trial::new("gw02");
        let other = |count, second| Beat { revision: "r2".to_owned(), ..beat(count, second) };
        trial.hear("gw01", other(1, 0), 0);
        trial.hear("gw01", other(2, 50), 50);
        assert_eq!(trial.alarms(50), Vec::<String>::new());
        trial.hear("gw01", other(3, 60), 60);
        assert_eq!(trial.alarms(60), ["gw01 other-config"]);
        let shared = [("assertions".to_owned(), "b".to_owned())].into();
        trial.hear("gw01", Beat { shared, ..beat(4, 61) }, 61);
        assert_eq!(trial.alarms(61), ["gw01 other-secrets"]);
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let mut trial = Trial::new("gw02");
        let own = Own { revision: "r1", shared: &BTreeMap::new() };
        let tick = trial.tick(0);
        trial.sight.hear(&name("gw01"), Some(Err("is no beat".to_owned())), own, at(0), tick);
        assert_eq!(trial.alarms(1), ["gw01 unreadable"]);
        trial.hear("gw01", beat(1, 2), 2);
        assert_eq!(trial.alarms(2), Vec::<String>::new());
    }
}
