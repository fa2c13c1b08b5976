//! What a judge remembers, all of it bounded: a full memory is emptied, since everything in it can be found again.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};

use crate::answer::Answer;
use crate::facts::{Fact, Reads, signed_in};
use crate::grant::Held;
use crate::{
    Aaguid, Access, Action, AppId, Assurance, Device, DeviceClass, DeviceId, GrantId, GrantKind, Host, InfoClass,
    Method, Methods, Path, PostureFact, RoleId, Timestamp, UserId, ZoneId,
};

/// How many answers a judge remembers at most.
pub(crate) const ANSWERS_MAX: usize = 4_096;
/// How many people it remembers at most: a large hospital's, all of them.
pub(crate) const PEOPLE_MAX: usize = 8_192;
/// How many sets of candidates it remembers at most.
pub(crate) const SLICES_MAX: usize = 4_096;
/// How many sets of policies for Cedar it remembers at most.
pub(crate) const SETS_MAX: usize = 4_096;
/// How many contexts for Cedar it remembers at most.
pub(crate) const CONTEXTS_MAX: usize = 4_096;
/// Longer paths are judged each time, so that strangers cannot fill the memory.
pub(crate) const PATH_REMEMBERED_BYTES_MAX: usize = 1_024;

/// Answers by everything that the candidates of a question read.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    hasher: foldhash::quality::RandomState,
    /// Under the mark of the question; a question that meets another of the same mark takes its place.
    entries: HashMap<u64, (Question, Answer)>,
}

/// Where a question is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(u64);

impl Answers {
    /// Where this question is looked for.
    pub(crate) fn mark(&self, asked: &Asked<'_>) -> Mark {
        Mark(self.hasher.hash_one(asked))
    }

    /// The answer to the same question, if it still holds.
    pub(crate) fn find(&self, mark: Mark, asked: &Asked<'_>, at: Timestamp) -> Option<&Answer> {
        let (question, answer) = self.entries.get(&mark.0)?;
        (question.as_asked() == *asked && answer.holds(at)).then_some(answer)
    }

    /// Remembers an answer, if it lasts and its question is not too long.
    pub(crate) fn keep(&mut self, mark: Mark, asked: &Asked<'_>, answer: &Answer) {
        let short = asked.path.is_none_or(|path| path.as_str().len() <= PATH_REMEMBERED_BYTES_MAX);
        if !answer.lasts || !short {
            return;
        }
        if self.entries.len() >= ANSWERS_MAX {
            self.entries.clear();
        }
        self.entries.insert(mark.0, (Question::of(asked), answer.clone()));
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// The inputs of an answer, borrowed. Invariant: whatever can change the answer, time aside, is in here; what no
/// candidate reads is `None`, so that it does not tell two questions apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Asked<'a> {
    app: &'a AppId,
    action: Action,
    user: Option<&'a UserId>,
    roles: Option<&'a Arc<[RoleId]>>,
    on_its_device: bool,
    in_outage: bool,
    assurance: Option<Assurance>,
    authenticated_at: Option<Timestamp>,
    methods: Option<Methods>,
    key_model: Option<Aaguid>,
    device: Option<(&'a DeviceId, DeviceClass)>,
    posture: Option<&'a Arc<[PostureFact]>>,
    zone: Option<&'a ZoneId>,
    address: Option<IpAddr>,
    method: Option<&'a Method>,
    host: Option<&'a Host>,
    path: Option<&'a Path>,
    class: Option<&'a InfoClass>,
    grant: Held<&'a GrantId>,
    glass: Option<&'a GrantId>,
}

/// By what differs from one question to the next; a person's roles and device hardly do. All of it is compared.
impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.app, self.user, self.action, self.zone, self.method, self.path, self.class).hash(state);
    }
}

impl<'a> Asked<'a> {
    /// The question of an access, where these facts are read.
    pub(crate) fn of(access: &'a Access, reads: Reads) -> Self {
        let who = signed_in(access);
        Self {
            app: &access.app,
            action: access.action,
            user: who.map(|who| &who.user),
            roles: who.map(|who| &who.roles),
            on_its_device: who.is_none() || access.session_is_on_its_device(),
            in_outage: who.is_some_and(|who| who.in_outage),
            assurance: who.map(|who| who.assurance).filter(|_| reads.has(Fact::Assurance)),
            authenticated_at: who.map(|who| who.authenticated_at).filter(|_| reads.has(Fact::AuthAge)),
            methods: who.map(|who| who.methods).filter(|_| reads.has(Fact::Methods)),
            key_model: who.and_then(|who| who.key_model).filter(|_| reads.has(Fact::KeyModel)),
            // Posture too: without a device there is none, which is not the same as a device without any.
            device: access.device.as_deref().map(identify).filter(|_| reads.device()),
            posture: access.device.as_deref().map(|device| &device.posture).filter(|_| reads.has(Fact::Posture)),
            zone: reads.has(Fact::Zone).then_some(&access.from.zone),
            address: reads.has(Fact::Address).then_some(access.from.address),
            method: reads.has(Fact::Method).then_some(&access.method),
            host: reads.has(Fact::Host).then_some(&access.host),
            path: reads.has(Fact::Path).then_some(&access.path),
            class: access.class.as_ref().filter(|_| reads.has(Fact::InfoClass)),
            grant: if reads.has(Fact::Grant) { Held::of(access, GrantKind::Maintenance) } else { Held::Nothing },
            glass: Held::of(access, GrantKind::Glass).in_force().filter(|_| reads.has(Fact::BreakGlass)),
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
    roles: Option<Arc<[RoleId]>>,
    on_its_device: bool,
    in_outage: bool,
    assurance: Option<Assurance>,
    authenticated_at: Option<Timestamp>,
    methods: Option<Methods>,
    key_model: Option<Aaguid>,
    device: Option<(DeviceId, DeviceClass)>,
    posture: Option<Arc<[PostureFact]>>,
    zone: Option<ZoneId>,
    address: Option<IpAddr>,
    method: Option<Method>,
    host: Option<Host>,
    path: Option<Path>,
    class: Option<InfoClass>,
    grant: Held<GrantId>,
    glass: Option<GrantId>,
}

impl Question {
    fn of(asked: &Asked<'_>) -> Self {
        Self {
            app: asked.app.clone(),
            action: asked.action,
            user: asked.user.cloned(),
            roles: asked.roles.cloned(),
            on_its_device: asked.on_its_device,
            in_outage: asked.in_outage,
            assurance: asked.assurance,
            authenticated_at: asked.authenticated_at,
            methods: asked.methods,
            key_model: asked.key_model,
            device: asked.device.map(|(id, class)| (id.clone(), class)),
            posture: asked.posture.cloned(),
            zone: asked.zone.cloned(),
            address: asked.address,
            method: asked.method.cloned(),
            host: asked.host.cloned(),
            path: asked.path.cloned(),
            class: asked.class.cloned(),
            grant: asked.grant.cloned(),
            glass: asked.glass.cloned(),
        }
    }

    fn as_asked(&self) -> Asked<'_> {
        Asked {
            app: &self.app,
            action: self.action,
            user: self.user.as_ref(),
            roles: self.roles.as_ref(),
            on_its_device: self.on_its_device,
            in_outage: self.in_outage,
            assurance: self.assurance,
            authenticated_at: self.authenticated_at,
            methods: self.methods,
            key_model: self.key_model,
            device: self.device.as_ref().map(|(id, class)| (id, *class)),
            posture: self.posture.as_ref(),
            zone: self.zone.as_ref(),
            address: self.address,
            method: self.method.as_ref(),
            host: self.host.as_ref(),
            path: self.path.as_ref(),
            class: self.class.as_ref(),
            grant: self.grant.as_ref(),
            glass: self.glass.as_ref(),
        }
    }
}

/// Parts of answers, made when first asked for.
#[derive(Debug)]
pub(crate) struct Parts<K, V> {
    made: HashMap<K, V>,
    parts_max: usize,
}

impl<K: Hash + Eq, V> Parts<K, V> {
    pub(crate) fn at_most(parts_max: usize) -> Self {
        Self { made: HashMap::new(), parts_max }
    }

    pub(crate) fn find_or_make(&mut self, key: K, make: impl FnOnce() -> V) -> &V {
        if self.made.len() >= self.parts_max && !self.made.contains_key(&key) {
            self.made.clear();
        }
        self.made.entry(key).or_insert_with(make)
    }

    /// The same by a key that is made only when the part is.
    pub(crate) fn find_or_make_by<Q>(&mut self, key: &Q, make: impl FnOnce() -> V) -> &V
    where
        Q: Hash + Eq + ?Sized,
        K: Borrow<Q> + for<'q> From<&'q Q>,
    {
        if self.made.contains_key(key) {
            return self.made.get(key).expect("it was there on the line before");
        }
        self.find_or_make(K::from(key), make)
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
