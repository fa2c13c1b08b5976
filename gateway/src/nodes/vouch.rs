//! What this node does with the others' logs, and they with its own: each gives its newest checkpoint with the proof that
//! it goes on from what a peer saw; the peer checks that, writes the checkpoint into its own log, and cosigns it. So no
//! log can be cut off, rewritten or lost without another one saying so.
//!
//! Reads and writes files; called where that may take its time. Deliberately not here: how it all travels (`beat`), and
//! the alarms of the rest (`sight`).

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use audit::{
    LogKey, LogProblem, LogSigner, PeerFault, PeerSeen, PeerStep, Prover, Reader, follow_peer, keep_cosigned,
    keep_peer, peer_seen,
};
use config::{Config, NodeName};
use policy::Timestamp;
use web::NodeAlarm;

use super::beat::{Beat, Proof};

/// How often another node's checkpoint is written into this node's log, at most: what it writes in this time may be lost
/// with it and nobody says so.
const VOUCH_INTERVAL: Duration = Duration::from_secs(10);
/// How long another node may give no proof.
const UNPROVED_MAX: Duration = Duration::from_secs(30);
/// How many checkpoints of its own a node remembers, for cosignatures that come a while after.
const PUBLISHED_MAX: usize = 64;

/// This node's part in checking logs.
#[derive(Debug)]
pub struct Vouching {
    own: NodeName,
    directory: PathBuf,
    reader: Reader,
    signer: LogSigner,
    peers: BTreeMap<NodeName, PeerLog>,
    /// Own checkpoints, newest last.
    published: VecDeque<(u64, String)>,
    is_set_back: bool,
}

/// What is known of another node's log.
#[derive(Debug, Default)]
struct PeerLog {
    seen: Option<PeerSeen>,
    /// What is kept of it was not read yet.
    is_known: bool,
    vouched_at: Option<Instant>,
    unproved_since: Option<Instant>,
    fault: Option<NodeAlarm>,
    /// This node's cosignature of what was seen.
    cosignature: Option<String>,
    /// The proof that was last made for it: from and to which size.
    proof: Option<(u64, u64, Proof)>,
    /// How many lines of this node's log it cosigned.
    vouches: Option<u64>,
}

impl PeerLog {
    /// It gave no proof. A fault that was found stays until a proof is given.
    fn note_unproved(&mut self, tick: Instant) {
        let since = *self.unproved_since.get_or_insert(tick);
        let is_late = tick.saturating_duration_since(since) > UNPROVED_MAX;
        if is_late && self.fault.is_none() {
            self.fault = Some(NodeAlarm::Unproved);
        }
    }
}

impl Vouching {
    /// Begins, once the log is open.
    ///
    /// # Errors
    /// [`LogProblem`] where the key of the log cannot be read.
    pub fn open(config: &Config, own: &NodeName) -> Result<Self, LogProblem> {
        Ok(Self {
            own: own.clone(),
            directory: config.audit.directory.clone(),
            reader: (&config.audit).into(),
            signer: LogSigner::open(&config.state_dir, &config.audit.origin)?,
            peers: BTreeMap::new(),
            published: VecDeque::new(),
            is_set_back: false,
        })
    }

    /// The key that signs this node's log.
    pub fn key(&self) -> String {
        self.signer.key().to_string()
    }

    /// Looks at what another node says of its log and of this one's. A checkpoint to be written into the log, where it is
    /// time to.
    pub fn look(&mut self, name: &NodeName, beat: &Beat, tick: Instant) -> Option<PeerSeen> {
        self.heed(name, beat);
        self.note_own(name, beat);
        let peer = self.peers.entry(name.clone()).or_default();
        if !peer.is_known {
            match peer_seen(&self.directory, name.as_str()) {
                Ok(seen) => {
                    peer.seen = seen;
                    peer.is_known = true;
                }
                Err(problem) => {
                    tracing::error!(node = %name, %problem, "what was seen of another node's log cannot be read");
                    peer.fault = Some(NodeAlarm::Unproved);
                    return None;
                }
            }
        }
        let Some(note) = beat.checkpoint.as_deref() else {
            // One that stops, or was never understood, gives none.
            if beat.count > 0 && !beat.leaving {
                peer.note_unproved(tick);
            }
            return None;
        };
        let Some(key) = LogKey::parse(&beat.key) else {
            peer.fault = Some(NodeAlarm::NotSigned);
            return None;
        };
        let from = peer.seen.as_ref().map(|seen| seen.signed.size);
        let proof = beat.proofs.get(self.own.as_str()).filter(|proof| Some(proof.from) == from);
        let proof = proof.and_then(Proof::hashes);
        match follow_peer(peer.seen.as_ref(), &key, note, proof.as_deref()) {
            Ok(PeerStep::Same) => {
                peer.fault = None;
                peer.unproved_since = None;
                None
            }
            Ok(PeerStep::Unproved) => {
                peer.note_unproved(tick);
                None
            }
            Ok(PeerStep::On(seen)) => {
                peer.fault = None;
                peer.unproved_since = None;
                let is_due = peer.vouched_at.is_none_or(|at| tick.saturating_duration_since(at) >= VOUCH_INTERVAL);
                is_due.then_some(seen)
            }
            Err(fault) => {
                peer.fault = Some(match fault {
                    PeerFault::OtherKey => NodeAlarm::OtherKey,
                    PeerFault::NotSigned => NodeAlarm::NotSigned,
                    PeerFault::SetBack => NodeAlarm::SetBack,
                    PeerFault::Rewritten => NodeAlarm::Rewritten,
                });
                None
            }
        }
    }

    /// The log has another node's checkpoint: keeps it, and cosigns it from now on.
    pub fn vouched(&mut self, name: &NodeName, seen: PeerSeen, at: Timestamp, tick: Instant) {
        if let Err(problem) = keep_peer(&self.directory, name.as_str(), &seen) {
            // It is seen again, and written once more.
            tracing::error!(node = %name, %problem, "what was seen of another node's log cannot be kept");
            return;
        }
        let peer = self.peers.entry(name.clone()).or_default();
        peer.cosignature = self.signer.cosign(&seen.note, at);
        peer.vouched_at = Some(tick);
        peer.seen = Some(seen);
    }

    /// Keeps the cosignature of this node's log that another node gave.
    fn heed(&mut self, name: &NodeName, beat: &Beat) {
        let own = self.own.as_str();
        let (Some(size), Some(line)) = (beat.vouched.get(own), beat.cosigned.get(own)) else { return };
        let peer = self.peers.entry(name.clone()).or_default();
        if peer.vouches.is_some_and(|vouches| vouches >= *size) {
            return;
        }
        let note = self.published.iter().find(|(published, _)| published == size).map(|(_, note)| note);
        let (Some(note), Some(key)) = (note, LogKey::parse(&beat.key)) else { return };
        let is_its = peer.seen.as_ref().is_none_or(|seen| seen.key == key);
        if !is_its || key.cosigned(note, line).is_none() {
            return;
        }
        match keep_cosigned(&self.directory, name.as_str(), note, line) {
            Ok(()) => peer.vouches = Some(*size),
            Err(problem) => tracing::warn!(node = %name, %problem, "a cosignature cannot be kept"),
        }
    }

    /// Whether this node's own log has fewer lines than another node saw.
    fn note_own(&mut self, name: &NodeName, beat: &Beat) {
        let (Some(vouched), Some((size, _))) = (beat.vouched.get(self.own.as_str()), self.published.back()) else {
            return;
        };
        if vouched > size && !self.is_set_back {
            tracing::error!(node = %name, vouched, size, "this node's log has fewer lines than another node saw");
            self.is_set_back = true;
        }
    }

    /// Says how far this node's log is signed, with the proofs that the others need, and what it vouches for of theirs.
    pub fn fill(&mut self, beat: &mut Beat, heard: &BTreeMap<NodeName, u64>) {
        beat.key = self.key();
        if let Some((size, note)) = self.newest() {
            for (name, from) in heard {
                if let Some(proof) = self.proof(name, *from, size) {
                    beat.proofs.insert(name.to_string(), proof);
                }
            }
            beat.checkpoint = Some(note);
        }
        for (name, peer) in &self.peers {
            let Some(seen) = &peer.seen else { continue };
            beat.vouched.insert(name.to_string(), seen.signed.size);
            if let Some(line) = &peer.cosignature {
                beat.cosigned.insert(name.to_string(), line.clone());
            }
        }
    }

    /// The newest checkpoint of this node's log.
    fn newest(&mut self) -> Option<(u64, String)> {
        let note = match audit::newest_checkpoint(&self.directory) {
            Ok(note) => note?,
            Err(problem) => {
                tracing::warn!(%problem, "the newest checkpoint cannot be read");
                return None;
            }
        };
        let size = self.signer.key().checkpoint(&note)?.size;
        if self.published.back().is_none_or(|(published, _)| *published != size) {
            if self.published.len() >= PUBLISHED_MAX {
                self.published.pop_front();
            }
            self.published.push_back((size, note.clone()));
        }
        Some((size, note))
    }

    /// The proof that this node's log goes on from an earlier size.
    fn proof(&mut self, name: &NodeName, from: u64, size: u64) -> Option<Proof> {
        let peer = self.peers.entry(name.clone()).or_default();
        if let Some((known_from, to, proof)) = &peer.proof
            && (*known_from, *to) == (from, size)
        {
            return Some(proof.clone());
        }
        if from >= size {
            return None;
        }
        let reader = &self.reader;
        match Prover::new(&self.directory, |seq| reader.line(seq)).consistency(from, size) {
            Ok(path) => {
                let proof = Proof::new(from, &path);
                peer.proof = Some((from, size, proof.clone()));
                Some(proof)
            }
            Err(problem) => {
                tracing::warn!(node = %name, %problem, "the proof that another node needs cannot be made");
                None
            }
        }
    }

    /// What is wrong with logs.
    pub fn alarms(&self) -> impl Iterator<Item = (NodeName, NodeAlarm)> {
        let own = self.is_set_back.then(|| (self.own.clone(), NodeAlarm::SetBack));
        let others = self.peers.iter().filter_map(|(name, peer)| Some((name.clone(), peer.fault?)));
        own.into_iter().chain(others)
    }

    /// How many lines of another node's log this node vouches for.
    pub fn vouched_for(&self, name: &NodeName) -> Option<u64> {
        self.peers.get(name)?.seen.as_ref().map(|seen| seen.signed.size)
    }

    /// How many lines of this node's log some other node vouches for.
    pub fn vouched_by_others(&self) -> Option<u64> {
        self.peers.values().filter_map(|peer| peer.vouches).max()
    }
}
