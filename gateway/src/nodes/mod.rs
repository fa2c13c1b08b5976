//! Several machines that serve as one. Each says of itself, once a second, what the others must know (`beat`), in the
//! store that all of them read; out of that each sees who is there and who leads (`sight`), checks and cosigns the others'
//! logs (`vouch`), and takes in what people did elsewhere. What is found wrong is told in the log, to the operator and in
//! the console. Deliberately not here: sessions, people, exceptions: those are in the store, and any node serves any request.

mod beat;
mod channel;
mod sight;
mod vouch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use audit::{Event, LogKey, Note, PeerSeen};
use aws_lc_rs::digest::{SHA256, digest};
use config::{Config, NodeName};
use policy::Timestamp;
use store::{Difference, Store, StoreProblem};
use web::{NodeAlarm, NodeBoard, NodeSaid, NodeStanding, NodeState};

pub use beat::{Beat, Counted};
pub use channel::{Channel, answer};
use sight::{Own, Sight};
use vouch::Vouching;

use crate::gate::Gate;
use crate::revisions;

/// How often a node says something.
const BEAT_INTERVAL: Duration = Duration::from_secs(1);
/// So many times in a row, for a moment may be a handing over to another process.
const SAME_NAME_TURNS: u32 = 3;
/// How long after all are heard again it takes until each has written down whom it saw.
const SETTLED_AFTER: Duration = Duration::from_secs(60);
/// How often another node's configuration is looked for that was not found.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// How many versions of the configuration are looked through for another node's.
const LOOKED_THROUGH: usize = 50;

/// What the rest of the gateway asks of the nodes.
#[derive(Debug)]
pub struct Nodes {
    /// How they stand, for the console.
    pub board: Arc<NodeBoard>,
    leads: AtomicBool,
}

impl Nodes {
    /// Before anything is known; the board is the one that the console shows. Where there is only one node, it leads; else it may once it has looked who is there.
    #[must_use]
    pub fn new(config: &Config, board: Arc<NodeBoard>) -> Self {
        Self { board, leads: AtomicBool::new(config.nodes.is_none()) }
    }

    /// Whether this node does what only one may do, such as sending a mail. Of two nodes that cannot hear each other both
    /// may for a while: so whatever rests on it can be done twice without harm.
    pub fn leads(&self) -> bool {
        self.leads.load(Ordering::Relaxed)
    }
}

/// Under which name the store keeps what each node keeps for itself.
pub fn own_note(config: &Config, name: &str) -> String {
    match &config.nodes {
        Some(nodes) => format!("{name}:{}", nodes.own),
        None => name.to_owned(),
    }
}

/// Says how this node is and hears how the others are, until dropped.
pub async fn follow(gate: Arc<Gate>, store: Arc<dyn Store>, shared: Shared) {
    let config = Arc::clone(&gate.snapshot.load().config);
    let Some(nodes) = config.nodes.clone() else { return std::future::pending().await };
    let vouching = match Vouching::open(&config, &nodes.own) {
        Ok(vouching) => Some(Box::new(vouching)),
        Err(problem) => {
            tracing::error!(%problem, "this node can neither check the others' logs nor have its own checked");
            None
        }
    };
    let mut round = Round {
        own: nodes.own.clone(),
        sight: Sight::new(nodes, Instant::now()),
        vouching,
        shared: shared.0,
        started_at: gate.clock.now(),
        count: 0,
        said: None,
        same_name: 0,
        alarms: BTreeSet::new(),
        differences: BTreeMap::new(),
        compared_at: None,
        unheard_at: Instant::now(),
        heeded: BTreeMap::new(),
    };
    loop {
        let begin = Instant::now();
        round.turn(&gate, &*store).await;
        tokio::time::sleep(BEAT_INTERVAL.saturating_sub(begin.elapsed())).await;
    }
}

/// Says that this node stops, so that the next takes over at once.
///
/// # Errors
/// [`StoreProblem`]; the others find out by its silence.
pub async fn leave(config: &Config, store: &dyn Store) -> Result<(), StoreProblem> {
    let Some(nodes) = &config.nodes else { return Ok(()) };
    let key = beat::key(&nodes.own);
    let Some(last) = store.note(&key).await?.and_then(|text| Beat::read(&text).ok()) else { return Ok(()) };
    let count = last.count.saturating_add(1);
    store.set_note(&key, Beat { leaving: true, count, ..last }.write()).await
}

/// What a node last said, as the store has it.
///
/// # Errors
/// [`StoreProblem`] where the store does not answer; in words where what it has cannot be read.
pub async fn last_said(store: &dyn Store, name: &NodeName) -> Result<Option<Result<Beat, String>>, StoreProblem> {
    Ok(store.note(&beat::key(name)).await?.map(|text| Beat::read(&text)))
}

/// Digests of the keys that all nodes must share, by what they are for.
#[derive(Clone, Debug, Default)]
pub struct Shared(BTreeMap<String, String>);

impl Shared {
    /// Of the keys with which apps check assertions, and of the certificate of the device CA.
    #[must_use]
    pub fn of(assertions: &identity::Assertions, device_ca: &certs::DeviceCa) -> Self {
        let keys = [("assertions", assertions.jwks()), ("device-ca", device_ca.certificate_pem())];
        Self(keys.map(|(what, text)| (what.to_owned(), digest_of(text))).into())
    }
}

fn digest_of(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// What is kept from one beat to the next.
struct Round {
    own: NodeName,
    sight: Sight,
    /// Nothing where the key of the log could not be read.
    vouching: Option<Box<Vouching>>,
    shared: BTreeMap<String, String>,
    started_at: Timestamp,
    count: u64,
    /// What was said last, as the store should have it.
    said: Option<String>,
    /// How many times in a row somebody else had written what this node says.
    same_name: u32,
    alarms: BTreeSet<(NodeName, NodeAlarm)>,
    /// What is different in another node's configuration: its revision, and this node's.
    differences: BTreeMap<(String, String), Vec<Difference>>,
    /// When one was last looked for.
    compared_at: Option<Instant>,
    /// When some node was last not heard, or this one not able to hear; the start counts as that.
    unheard_at: Instant,
    /// Of each other node the beat whose numbers were last taken in: its start, and its count.
    heeded: BTreeMap<NodeName, (i64, u64)>,
}

impl Round {
    async fn turn(&mut self, gate: &Gate, store: &dyn Store) {
        let (at, tick) = (gate.clock.now(), Instant::now());
        let snapshot = gate.snapshot.load_full();
        let config = &snapshot.config;
        let due = match self.hear(config, store, at, tick).await {
            Ok(due) => due,
            Err(problem) => {
                tracing::warn!(%problem, "the other nodes cannot be heard");
                self.sight.cut_off(tick);
                Vec::new()
            }
        };
        self.vouch(gate, due, tick).await;
        self.tell(gate, config, tick).await;
        gate.nodes.leads.store(*self.sight.leader(tick) == self.own, Ordering::Relaxed);
        let serving = self.sight.serving(tick);
        gate.limiter.share(serving);
        gate.metrics.nodes_serving.set(i64::try_from(serving).unwrap_or(i64::MAX));
        gate.metrics.node_alarms.set(i64::try_from(self.alarms.len()).unwrap_or(i64::MAX));
        for name in self.sight.nodes().peers() {
            // What was said long ago, or is only read once more, is not what was done within the hour.
            if let Some(beat) = self.sight.beat(name)
                && self.sight.state(name, tick) != NodeState::Silent
                && self.heeded.insert(name.clone(), (beat.started_at, beat.count))
                    != Some((beat.started_at, beat.count))
            {
                gate.counts.heed(name.as_str(), &beat.counts, at);
            }
        }
        match self.say(gate, config, store, at).await {
            Ok(()) => self.sight.said(),
            Err(problem) => {
                tracing::warn!(%problem, "the other nodes cannot be told that this one is well");
                self.sight.mute(tick);
            }
        }
        if self.sight.is_unheard(config.store.away_max, tick) {
            self.unheard_at = tick;
        }
        gate.sessions.note_others_unheard(tick.saturating_duration_since(self.unheard_at) < SETTLED_AFTER);
        self.compare(config, store, tick).await;
        gate.nodes.board.show(self.standings(config, tick));
    }

    /// Takes in what the others say, and checks their logs; gives what this node vouches for now.
    async fn hear(
        &mut self,
        config: &Config,
        store: &dyn Store,
        at: Timestamp,
        tick: Instant,
    ) -> Result<Vec<(NodeName, PeerSeen)>, StoreProblem> {
        let own = store.note(&beat::key(&self.own)).await?;
        // Whoever else writes there takes this node's name.
        let is_others = self.said.is_some() && own != self.said;
        self.same_name = if is_others { self.same_name.saturating_add(1) } else { 0 };
        let peers: Vec<NodeName> = self.sight.nodes().peers().cloned().collect();
        let mut said = Vec::with_capacity(peers.len());
        for name in peers {
            said.push((last_said(store, &name).await?, name));
        }
        let own = Own { revision: config.revision.as_str(), shared: &self.shared };
        for (beat, name) in said {
            if let Some(Err(problem)) = &beat {
                tracing::debug!(node = %name, problem, "what a node says cannot be read");
            }
            self.sight.hear(&name, beat, own, at, tick);
        }
        let beats: Vec<(NodeName, Beat)> = {
            let beat = |name: &NodeName| Some((name.clone(), self.sight.beat(name)?.clone()));
            self.sight.nodes().peers().filter_map(beat).collect()
        };
        let look = move |vouching: &mut Vouching| {
            let due = |(name, beat): &(NodeName, Beat)| Some((name.clone(), vouching.look(name, beat, tick)?));
            beats.iter().filter_map(due).collect()
        };
        Ok(self.blocking(look).await.unwrap_or_default())
    }

    /// Writes other nodes' checkpoints into the log, and vouches for them once they stand there.
    async fn vouch(&mut self, gate: &Gate, due: Vec<(NodeName, PeerSeen)>, tick: Instant) {
        let recorder = gate.log.recorder();
        let mut recorded = Vec::with_capacity(due.len());
        for (name, seen) in due {
            let at = gate.clock.now();
            let note = Note {
                source: Some(name.to_string()),
                count: Some(seen.signed.size),
                checkpoint: Some(seen.note.clone()),
                ..Note::new(Event::PeerCheckpoint, at)
            };
            match recorder.note(note).await {
                Ok(()) => recorded.push((name, seen, at)),
                Err(problem) => tracing::error!(node = %name, %problem, "another node's log cannot be vouched for"),
            }
        }
        if recorded.is_empty() {
            return;
        }
        let keep = move |vouching: &mut Vouching| {
            recorded.into_iter().for_each(|(name, seen, at)| vouching.vouched(&name, seen, at, tick));
        };
        self.blocking(keep).await;
    }

    /// Does something with files where it holds nobody up; nothing where this node cannot vouch.
    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Vouching) -> T + Send + 'static,
    ) -> Option<T> {
        let mut vouching = self.vouching.take()?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&mut vouching);
            (vouching, done)
        });
        match done.await {
            Ok((vouching, done)) => {
                self.vouching = Some(vouching);
                Some(done)
            }
            Err(error) => {
                tracing::error!(%error, "logs of other nodes are not checked any more; restart the gateway");
                None
            }
        }
    }

    /// Tells what became wrong, and what is well again.
    async fn tell(&mut self, gate: &Gate, config: &Config, tick: Instant) {
        let own = Own { revision: config.revision.as_str(), shared: &self.shared };
        let mut alarms = self.sight.alarms(own, tick);
        alarms.extend(self.vouching.iter().flat_map(|vouching| vouching.alarms()));
        if self.vouching.is_none() {
            // Nobody checks this log, nor does this node check others'.
            alarms.insert((self.own.clone(), NodeAlarm::Unproved));
        }
        if self.same_name >= SAME_NAME_TURNS {
            alarms.insert((self.own.clone(), NodeAlarm::SameName));
        }
        let recorder = gate.log.recorder();
        let note = |event, (name, alarm): &(NodeName, NodeAlarm)| {
            let note = Note { source: Some(name.to_string()), ..Note::new(event, gate.clock.now()) };
            note.code(alarm.code())
        };
        for (begun, event) in [(true, Event::NodeAlarm), (false, Event::NodeAlarmOver)] {
            let (now, before) = if begun { (&alarms, &self.alarms) } else { (&self.alarms, &alarms) };
            for one in now.difference(before) {
                if begun {
                    tracing::error!(node = %one.0, alarm = one.1.code(), "something is wrong with the nodes");
                } else {
                    tracing::info!(node = %one.0, alarm = one.1.code(), "an alarm of the nodes is over");
                }
                if let Err(problem) = recorder.note(note(event, one)).await {
                    tracing::error!(%problem, "an alarm of the nodes could not be recorded");
                }
            }
        }
        self.alarms = alarms;
    }

    /// Says how this node is.
    async fn say(
        &mut self,
        gate: &Gate,
        config: &Config,
        store: &dyn Store,
        at: Timestamp,
    ) -> Result<(), StoreProblem> {
        self.count += 1;
        let beat = Beat {
            count: self.count,
            at: at.unix_micros(),
            started_at: self.started_at.unix_micros(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: config.revision.to_string(),
            leaving: gate.is_stopping(),
            shared: self.shared.clone(),
            counts: gate.counts.tell(self.sight.nodes().names.len(), at),
            ..Beat::default()
        };
        let seen_of_own = |name: &NodeName| {
            let vouched = self.sight.beat(name)?.vouched.get(self.own.as_str())?;
            Some((name.clone(), *vouched))
        };
        let heard: BTreeMap<NodeName, u64> = self.sight.nodes().peers().filter_map(seen_of_own).collect();
        let plain = beat.clone();
        let fill = move |vouching: &mut Vouching| {
            let mut beat = beat;
            vouching.fill(&mut beat, &heard);
            beat
        };
        let text = self.blocking(fill).await.unwrap_or(plain).write();
        // What became of a write that is not answered is not known.
        self.said = None;
        store.set_note(&beat::key(&self.own), text.clone()).await?;
        self.said = Some(text);
        Ok(())
    }

    /// Finds out what is different in the configurations of others, once for each. One that is not kept yet is looked for
    /// again.
    async fn compare(&mut self, config: &Arc<Config>, store: &dyn Store, tick: Instant) {
        let own = config.revision.to_string();
        let others: BTreeSet<(String, String)> = self
            .sight
            .nodes()
            .peers()
            .filter_map(|name| self.sight.beat(name))
            .filter(|beat| beat.revision != own && !beat.revision.is_empty())
            .map(|beat| (beat.revision.clone(), own.clone()))
            .collect();
        self.differences.retain(|pair, _| others.contains(pair));
        let wanted: Vec<_> = others.into_iter().filter(|pair| !self.differences.contains_key(pair)).collect();
        let is_early = |at: Instant| tick.saturating_duration_since(at) < LOOK_AGAIN_AFTER;
        if wanted.is_empty() || self.compared_at.is_some_and(is_early) {
            return;
        }
        self.compared_at = Some(tick);
        // The store has the text of every version that came into force anywhere.
        let Ok(kept) = store.revisions(LOOKED_THROUGH).await else { return };
        let config = Arc::clone(config);
        let compared = tokio::task::spawn_blocking(move || -> Vec<_> {
            let found = |pair: (String, String)| {
                let other = kept.iter().find(|one| one.proposal.revision.as_str() == pair.0)?;
                let other = revisions::read_kept(other).ok()?;
                Some((pair, revisions::difference(&config, &other)))
            };
            wanted.into_iter().filter_map(found).collect()
        });
        match compared.await {
            Ok(compared) => self.differences.extend(compared),
            Err(error) => tracing::error!(%error, "configurations cannot be compared"),
        }
    }

    /// How the nodes stand, for the console.
    fn standings(&self, config: &Config, tick: Instant) -> Vec<NodeStanding> {
        let leader = self.sight.leader(tick);
        let standing = |name: &NodeName| {
            let is_own = *name == self.own;
            let own = is_own.then(|| self.said.as_deref().and_then(|text| Beat::read(text).ok())).flatten();
            let beat = own.as_ref().or_else(|| self.sight.beat(name));
            let vouched = self
                .vouching
                .as_ref()
                .and_then(|vouching| if is_own { vouching.vouched_by_others() } else { vouching.vouched_for(name) });
            let revision = beat.map(|beat| beat.revision.clone()).unwrap_or_default();
            let pair = (revision, config.revision.to_string());
            NodeStanding {
                name: name.to_string(),
                is_own,
                state: self.sight.state(name, tick),
                leads: name == leader,
                said: beat.map(|beat| said(beat, vouched)),
                alarms: self.alarms.iter().filter(|(of, _)| of == name).map(|(_, alarm)| *alarm).collect(),
                difference: self.differences.get(&pair).cloned().unwrap_or_default(),
            }
        };
        self.sight.nodes().names.iter().map(standing).collect()
    }
}

/// What a node says, for people.
pub fn said(beat: &Beat, vouched: Option<u64>) -> NodeSaid {
    let lines = LogKey::parse(&beat.key).zip(beat.checkpoint.as_deref());
    let lines = lines.and_then(|(key, note)| key.checkpoint(note)).map_or(0, |signed| signed.size);
    NodeSaid {
        at: Timestamp::from_unix_micros(beat.at),
        started_at: Timestamp::from_unix_micros(beat.started_at),
        version: beat.version.clone(),
        revision: beat.revision.clone(),
        lines,
        vouched,
        key: beat.key.clone(),
    }
}

/// Whether a node counts as there by what it last said, for whoever looks only once.
pub fn state_at(beat: &Beat, silent_after: Duration, at: Timestamp) -> NodeState {
    let said_at = Timestamp::from_unix_micros(beat.at);
    if beat.leaving {
        NodeState::Stopped
    } else if at.since(said_at) > silent_after {
        NodeState::Silent
    } else {
        NodeState::Serving
    }
}
