//! What a judge remembers, all of it bounded: a full memory is emptied, since everything in it can be found again.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::Arc;

use crate::answer::Answer;
use crate::facts::{Fact, Reads, signed_in};
use crate::{
    Access, Action, AppId, Assurance, Device, DeviceClass, DeviceId, Host, Method, Path, RoleId, Timestamp, UserId,
    ZoneId,
};

/// How many answers a judge remembers at most.
pub(crate) const ANSWERS_MAX: usize = 4_096;
/// How many people it remembers at most.
pub(crate) const PEOPLE_MAX: usize = 4_096;
/// How many sets of candidates it remembers at most.
pub(crate) const SLICES_MAX: usize = 1_024;
/// Longer paths are judged each time, so that strangers cannot fill the memory.
pub(crate) const PATH_REMEMBERED_BYTES_MAX: usize = 1_024;

/// Answers by everything that the candidates of a question read.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    hasher: RandomState,
    /// Under the hash of the question; a question that meets another of the same hash takes its place.
    entries: HashMap<u64, (Question, Answer)>,
}

impl Answers {
    /// The answer to the same question, if it still holds.
    pub(crate) fn find(&self, asked: &Asked<'_>, at: Timestamp) -> Option<&Answer> {
        let (question, answer) = self.entries.get(&self.hasher.hash_one(asked))?;
        (question.as_asked() == *asked && answer.holds(at)).then_some(answer)
    }

    /// Remembers an answer, if it lasts and its question is not too long.
    pub(crate) fn keep(&mut self, asked: &Asked<'_>, answer: &Answer) {
        let short = asked.path.is_none_or(|path| path.as_str().len() <= PATH_REMEMBERED_BYTES_MAX);
        if !answer.lasts || !short {
            return;
        }
        if self.entries.len() >= ANSWERS_MAX {
            self.entries.clear();
        }
        self.entries.insert(self.hasher.hash_one(asked), (Question::of(asked), answer.clone()));
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// The inputs of an answer, borrowed. Invariant: whatever can change the answer, time aside, is in here; what no
/// candidate reads is `None`, so that it does not tell two questions apart.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Asked<'a> {
    app: &'a AppId,
    action: Action,
    user: Option<&'a UserId>,
    roles: &'a [RoleId],
    on_its_device: bool,
    assurance: Option<Assurance>,
    authenticated_at: Option<Timestamp>,
    device: Option<(&'a DeviceId, DeviceClass)>,
    zone: Option<&'a ZoneId>,
    address: Option<IpAddr>,
    method: Option<&'a Method>,
    host: Option<&'a Host>,
    path: Option<&'a Path>,
}

impl<'a> Asked<'a> {
    /// The question of an access, where these facts are read.
    pub(crate) fn of(access: &'a Access, reads: Reads) -> Self {
        let who = signed_in(access);
        Self {
            app: &access.app,
            action: access.action,
            user: who.map(|who| &who.user),
            roles: who.map_or(&[], |who| &who.roles),
            on_its_device: who.is_none() || access.session_is_on_its_device(),
            assurance: who.map(|who| who.assurance).filter(|_| reads.has(Fact::Assurance)),
            authenticated_at: who.map(|who| who.authenticated_at).filter(|_| reads.has(Fact::AuthAge)),
            device: access.device.as_deref().map(identify).filter(|_| reads.has(Fact::Device)),
            zone: reads.has(Fact::Zone).then_some(&access.from.zone),
            address: reads.has(Fact::Address).then_some(access.from.address),
            method: reads.has(Fact::Method).then_some(&access.method),
            host: reads.has(Fact::Host).then_some(&access.host),
            path: reads.has(Fact::Path).then_some(&access.path),
        }
    }
}

fn identify(device: &Device) -> (&DeviceId, DeviceClass) {
    (&device.id, device.class)
}

/// The same, owned.
#[derive(Debug)]
struct Question {
    app: AppId,
    action: Action,
    user: Option<UserId>,
    roles: Arc<[RoleId]>,
    on_its_device: bool,
    assurance: Option<Assurance>,
    authenticated_at: Option<Timestamp>,
    device: Option<(DeviceId, DeviceClass)>,
    zone: Option<ZoneId>,
    address: Option<IpAddr>,
    method: Option<Method>,
    host: Option<Host>,
    path: Option<Path>,
}

impl Question {
    fn of(asked: &Asked<'_>) -> Self {
        Self {
            app: asked.app.clone(),
            action: asked.action,
            user: asked.user.cloned(),
            roles: Arc::from(asked.roles),
            on_its_device: asked.on_its_device,
            assurance: asked.assurance,
            authenticated_at: asked.authenticated_at,
            device: asked.device.map(|(id, class)| (id.clone(), class)),
            zone: asked.zone.cloned(),
            address: asked.address,
            method: asked.method.cloned(),
            host: asked.host.cloned(),
            path: asked.path.cloned(),
        }
    }

    fn as_asked(&self) -> Asked<'_> {
        Asked {
            app: &self.app,
            action: self.action,
            user: self.user.as_ref(),
            roles: &self.roles,
            on_its_device: self.on_its_device,
            assurance: self.assurance,
            authenticated_at: self.authenticated_at,
            device: self.device.as_ref().map(|(id, class)| (id, *class)),
            zone: self.zone.as_ref(),
            address: self.address,
            method: self.method.as_ref(),
            host: self.host.as_ref(),
            path: self.path.as_ref(),
        }
    }
}

/// Shared parts of answers, made when first asked for.
#[derive(Debug)]
pub(crate) struct Parts<K, V> {
    made: HashMap<K, Arc<V>>,
    parts_max: usize,
}

impl<K: Hash + Eq, V> Parts<K, V> {
    pub(crate) fn at_most(parts_max: usize) -> Self {
        Self { made: HashMap::new(), parts_max }
    }

    pub(crate) fn find_or_make(&mut self, key: K, make: impl FnOnce() -> V) -> Arc<V> {
        if self.made.len() >= self.parts_max && !self.made.contains_key(&key) {
            self.made.clear();
        }
        Arc::clone(self.made.entry(key).or_insert_with(|| Arc::new(make())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_made_once_and_never_more_than_fit() {
        let mut parts = Parts::at_most(3);
        let mut made = 0;
        for key in (0..3).chain(0..3) {
            parts.find_or_make(key, || made += 1);
        }
        assert_eq!(made, 3);
        parts.find_or_make(3, || ());
        assert_eq!(parts.made.len(), 1);
    }
}
