//! The nodes that serve together, as the console shows them. The gateway writes down how they stand, once a second.

use std::sync::{Arc, Mutex, PoisonError};

use policy::Timestamp;
use store::Difference;

/// How all nodes stand, as this one sees it.
#[derive(Debug, Default)]
pub struct NodeBoard {
    standings: Mutex<Arc<Vec<NodeStanding>>>,
}

/// How one node stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeStanding {
    /// Its name.
    pub name: String,
    /// Whether it is the one that answers.
    pub is_own: bool,
    /// Whether it is there.
    pub state: NodeState,
    /// Whether it does what only one node does.
    pub leads: bool,
    /// What it last said of itself.
    pub said: Option<NodeSaid>,
    /// What is wrong with it.
    pub alarms: Vec<NodeAlarm>,
    /// What its configuration says otherwise than this node's.
    pub difference: Vec<Difference>,
}

/// Whether a node is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeState {
    /// It serves.
    Serving,
    /// It was stopped in order.
    Stopped,
    /// It has not been heard for too long.
    Silent,
    /// It was never heard.
    Unknown,
}

/// What a node says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeSaid {
    /// When.
    pub at: Timestamp,
    /// When it was started.
    pub started_at: Timestamp,
    /// The version of the program.
    pub version: String,
    /// The revision of its configuration.
    pub revision: String,
    /// How many lines of its log its newest checkpoint covers.
    pub lines: u64,
    /// How many of them this node vouches for; of its own log, how many the other node does that vouches for most.
    pub vouched: Option<u64>,
    /// The key that signs its log.
    pub key: String,
}

/// What is wrong with a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NodeAlarm {
    /// It has not been heard for too long.
    Silent,
    /// What it says cannot be read.
    Unreadable,
    /// The store does not answer this node.
    CutOff,
    /// Another machine says that it is this node.
    SameName,
    /// Another key signs its log than before.
    OtherKey,
    /// Its checkpoint is not signed by its key.
    NotSigned,
    /// Its log has fewer lines than it had.
    SetBack,
    /// Its log is not the one that was seen.
    Rewritten,
    /// It gives no proof that its log goes on from what was seen.
    Unproved,
    /// Its configuration is another.
    OtherConfig,
    /// It has other keys for what all nodes sign alike.
    OtherSecrets,
    /// Its clock is far from this node's.
    ClockApart,
}

impl NodeAlarm {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Silent,
        Self::Unreadable,
        Self::CutOff,
        Self::SameName,
        Self::OtherKey,
        Self::NotSigned,
        Self::SetBack,
        Self::Rewritten,
        Self::Unproved,
        Self::OtherConfig,
        Self::OtherSecrets,
        Self::ClockApart,
    ];

    /// Its code in log and command line.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Unreadable => "unreadable",
            Self::CutOff => "cut-off",
            Self::SameName => "same-name",
            Self::OtherKey => "other-key",
            Self::NotSigned => "not-signed",
            Self::SetBack => "set-back",
            Self::Rewritten => "rewritten",
            Self::Unproved => "unproved",
            Self::OtherConfig => "other-config",
            Self::OtherSecrets => "other-secrets",
            Self::ClockApart => "clock-apart",
        }
    }
}

impl NodeBoard {
    /// Writes down how the nodes stand; none where there is only one.
    pub fn show(&self, standings: Vec<NodeStanding>) {
        *self.standings.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(standings);
    }

    /// How they stand.
    #[must_use]
    pub fn standings(&self) -> Arc<Vec<NodeStanding>> {
        Arc::clone(&self.standings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
