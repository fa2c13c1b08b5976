//! The logs of the other nodes: who is asked, and who did not answer. Deliberately not here: what travels (`wire`), how
//! answers are put together (`together`), and the way there, which the gateway has.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use policy::Unit;
use tracing::warn;

use super::wire::{Answered, Asked, Said, What};

/// How long a page waits for the other nodes, whatever number of questions it has: who has not answered then is not asked
/// again for it. What the page does meanwhile with its own node's log is no waiting.
const OTHERS_TIMEOUT: Duration = Duration::from_secs(6);

/// The way to the other nodes.
pub trait LogPeers: fmt::Debug + Send + Sync {
    /// Begins to ask a node; its answer comes to the receiver, within a bound or not at all.
    fn ask(&self, node: &str, question: Vec<u8>) -> Receiver<Vec<u8>>;
}

/// The nodes that serve together, each with a log of its own.
#[derive(Debug)]
pub(super) struct Others {
    /// All of them, in the order that every node knows.
    names: Vec<Arc<str>>,
    /// Which of them this is.
    own: (usize, Arc<str>),
    /// Nothing where nodes do not ask each other.
    way: Option<Arc<dyn LogPeers>>,
}

impl Others {
    /// All nodes, with the one that this is among them; nothing where it is not.
    pub(super) fn new(names: Vec<Arc<str>>, own: &str, way: Option<Arc<dyn LogPeers>>) -> Option<Self> {
        let own = names.iter().cloned().enumerate().find(|(_, name)| **name == *own)?;
        Some(Self { names, own, way })
    }

    /// This node's place among all, and its name.
    pub(super) fn own(&self) -> (usize, &Arc<str>) {
        (self.own.0, &self.own.1)
    }

    /// The place of a node among all.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|one| **one == *name)
    }

    pub(super) fn name(&self, place: usize) -> Option<&Arc<str>> {
        self.names.get(place)
    }

    /// How many there are, this one too.
    pub(super) fn count(&self) -> usize {
        self.names.len()
    }

    /// Begins to ask every other node for which there is a question, but those that this page lacks already.
    pub(super) fn ask(
        &self,
        within: Option<&[Unit]>,
        heard: &Heard,
        what: impl Fn(usize) -> Option<What>,
    ) -> Answers<'_> {
        heard.lock().is_together = true;
        let others = self.names.iter().enumerate().filter(|(place, _)| *place != self.own.0);
        self.ask_each(others.map(|(place, name)| (place, name, what(place))), within, heard)
    }

    /// Begins to ask one other node.
    pub(super) fn ask_one(&self, within: Option<&[Unit]>, heard: &Heard, place: usize, what: What) -> Answers<'_> {
        self.ask_each(self.name(place).map(|name| (place, name, Some(what))).into_iter(), within, heard)
    }

    fn ask_each<'a>(
        &'a self,
        asked: impl Iterator<Item = (usize, &'a Arc<str>, Option<What>)>,
        within: Option<&[Unit]>,
        heard: &Heard,
    ) -> Answers<'a> {
        let has_patience = heard.lock().waited < OTHERS_TIMEOUT;
        let mut waiting = Vec::new();
        for (place, name, what) in asked {
            if heard.lock().missing.contains(&**name) {
                continue;
            }
            match (what, &self.way) {
                (Some(what), Some(way)) if has_patience => {
                    waiting.push((place, way.ask(name, Asked::new(within, what).write())));
                }
                (None, _) | (Some(_), None | Some(_)) => {
                    heard.lock().missing.insert(name.to_string());
                }
            }
        }
        Answers { others: self, heard: heard.clone(), waiting }
    }
}

/// Answers that are under way.
pub(super) struct Answers<'a> {
    others: &'a Others,
    heard: Heard,
    waiting: Vec<(usize, Receiver<Vec<u8>>)>,
}

impl Answers<'_> {
    /// What came, by the place of the node; who did not answer, or otherwise than was asked, is remembered. Blocks.
    pub(super) fn gather<T>(self, read: impl Fn(usize, Said) -> Option<T>) -> Vec<(usize, T)> {
        let mut gathered = Vec::new();
        let (begun, waited) = (Instant::now(), self.heard.lock().waited);
        for (place, answer) in self.waiting {
            let left = OTHERS_TIMEOUT.saturating_sub(waited).saturating_sub(begun.elapsed());
            let said = answer.recv_timeout(left).map_err(|_| "did not answer");
            let said = said.and_then(|bytes| Answered::read(&bytes).ok_or("answers what cannot be read"));
            let read = said.and_then(|said| read(place, said).ok_or("did not answer what was asked"));
            match read {
                Ok(read) => gathered.push((place, read)),
                Err(why) => {
                    let name = self.others.name(place).map_or_else(String::new, |name| name.to_string());
                    warn!(node = name, why, "another node's log is missing on a page");
                    self.heard.lock().missing.insert(name);
                }
            }
        }
        self.heard.lock().waited += begun.elapsed();
        gathered
    }
}

/// Which logs the answers for one page are of. Shared by all that is asked for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Whether other nodes' logs were asked for.
    is_together: bool,
    /// Whether it is about records that say themselves whose log they are of.
    is_of_one: bool,
    /// Those that are missing.
    missing: BTreeSet<String>,
    /// How long they were waited for.
    waited: Duration,
}

impl Heard {
    /// Whether other nodes' logs were asked for.
    pub(crate) fn is_together(&self) -> bool {
        self.lock().is_together
    }

    /// Whether it is about records that say themselves whose log they are of.
    pub(crate) fn is_of_one(&self) -> bool {
        self.lock().is_of_one
    }

    pub(super) fn note_of_one(&self) {
        self.lock().is_of_one = true;
    }

    /// The nodes whose logs are missing.
    pub(crate) fn missing(&self) -> BTreeSet<String> {
        self.lock().missing.clone()
    }

    /// A set is whole after whatever happened to who held it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
