//! Sessions in memory: by token for requests, by id for their end.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use foldhash::HashSet;
use policy::{DeviceClass, Host, SessionId, Timestamp, UserId};
use store::{FoundSession, TokenHash};

use crate::Session;

const SHARDS: usize = 64;
/// Tokens kept in a shard at most, 65,536 in all. A shard that is full is emptied and read again by and by.
const SHARD_TOKENS_MAX: usize = 1024;

/// Sessions that some token or stream still holds are found by id; this many dead entries may lie between them.
const DEAD_IDS_MAX: usize = 1024;

/// Counts sessions that ended, so that an answer of the store from before an end is not kept after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Generation(u64);

pub(crate) struct Cache {
    shards: Vec<RwLock<Shard>>,
    ids: RwLock<Ids>,
}

type Shard = HashMap<TokenHash, Entry, BuildHasherDefault<Prefix>>;

struct Entry {
    session: Arc<Session>,
    host: Host,
}

struct Ids {
    generation: u64,
    sessions: HashMap<SessionId, Weak<Session>>,
    sweep_at: usize,
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::new(Shard::default())).collect(),
            ids: RwLock::new(Ids { generation: 0, sessions: HashMap::new(), sweep_at: DEAD_IDS_MAX }),
        }
    }

    /// The session of a cached token: `None` if it is not cached or out of date, `Some(None)` if it is good for another
    /// host only.
    pub(crate) fn find(&self, token: &TokenHash, host: &Host) -> Option<Option<Arc<Session>>> {
        let shard = self.shard(token)?.read().unwrap_or_else(PoisonError::into_inner);
        shard
            .get(token)
            .filter(|entry| !entry.session.is_stale())
            .map(|entry| (entry.host == *host).then(|| entry.session.clone()))
    }

    pub(crate) fn by_id(&self, id: SessionId) -> Option<Arc<Session>> {
        self.read_ids().sessions.get(&id).and_then(Weak::upgrade)
    }

    pub(crate) fn generation(&self) -> Generation {
        Generation(self.read_ids().generation)
    }

    /// Keeps what the store answered, unless a session ended since `before`: then the answer may be out of date.
    /// All tokens of a session share one [`Session`], so that its end reaches every one of them.
    pub(crate) fn insert(
        &self,
        before: Generation,
        token: TokenHash,
        found: FoundSession,
        class: Option<DeviceClass>,
    ) -> Option<Arc<Session>> {
        let mut ids = self.write_ids();
        if ids.generation != before.0 {
            return None;
        }
        let (id, host) = (found.session.id, found.host.clone());
        let known = ids.sessions.get(&id).and_then(Weak::upgrade);
        let session = match known {
            Some(known) if !known.is_ended() && known.is_as(&found) => known,
            Some(earlier) => {
                earlier.mark_stale();
                let session = Session::new(found, class);
                session.note_seen(earlier.seen_at());
                Arc::new(session)
            }
            None => Arc::new(Session::new(found, class)),
        };
        ids.sessions.insert(id, Arc::downgrade(&session));
        ids.sweep();
        // Invariant: the entry is in place before an end of this session can be noted, because `ids` is still held.
        if let Some(shard) = self.shard(&token) {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            if shard.len() >= SHARD_TOKENS_MAX {
                shard.clear();
            }
            shard.insert(token, Entry { session: session.clone(), host });
        }
        Some(session)
    }

    /// Notes the end of a session. Its tokens stay, pointing at a session that is over, until the next [`Self::retain`].
    pub(crate) fn end(&self, id: SessionId) {
        self.write_ids().end(id);
    }

    /// Notes the end of a session as it was before `at`. Whoever proved since then who they are has come back to it.
    pub(crate) fn end_earlier(&self, id: SessionId, at: Timestamp) {
        let mut ids = self.write_ids();
        let session = ids.sessions.get(&id).and_then(Weak::upgrade);
        if session.is_some_and(|session| session.who.authenticated_at >= at) {
            return;
        }
        ids.end(id);
    }

    /// Notes that what is known of a session is out of date: its tokens are looked up again.
    pub(crate) fn outdate(&self, id: SessionId) {
        let mut ids = self.write_ids();
        ids.generation = ids.generation.wrapping_add(1);
        if let Some(session) = ids.sessions.get(&id).and_then(Weak::upgrade) {
            session.mark_stale();
        }
    }

    /// The same for every session of these people that somebody holds. Gives their ids.
    pub(crate) fn outdate_those_of(&self, people: &HashSet<UserId>) -> Vec<SessionId> {
        let mut ids = self.write_ids();
        ids.generation = ids.generation.wrapping_add(1);
        let held = ids.sessions.values().filter_map(Weak::upgrade);
        let theirs: Vec<_> = held.filter(|session| people.contains(&session.who.user)).collect();
        theirs.iter().for_each(|session| session.mark_stale());
        theirs.iter().map(|session| session.id()).collect()
    }

    /// The same for every session that somebody holds.
    pub(crate) fn outdate_all(&self) -> Vec<SessionId> {
        let mut ids = self.write_ids();
        ids.generation = ids.generation.wrapping_add(1);
        let held: Vec<_> = ids.sessions.values().filter_map(Weak::upgrade).collect();
        held.iter().for_each(|session| session.mark_stale());
        held.iter().map(|session| session.id()).collect()
    }

    /// Whether a session is cached whose newest facts are still to be read.
    pub(crate) fn is_outdated(&self, id: SessionId) -> bool {
        self.by_id(id).is_some_and(|session| session.is_stale())
    }

    /// Lets go of a session whose newest facts could not be read: whoever holds it finds it over, whoever asks with a
    /// token of it has it looked up.
    pub(crate) fn let_go_if_outdated(&self, id: SessionId) {
        let mut ids = self.write_ids();
        if ids.sessions.get(&id).and_then(Weak::upgrade).is_some_and(|session| session.is_stale()) {
            ids.sessions.remove(&id);
        }
    }

    /// A token of each cached session that passes.
    pub(crate) fn some_token_of(&self, passes: impl Fn(&Session) -> bool) -> Vec<(TokenHash, Arc<Session>)> {
        let mut found: HashMap<SessionId, (TokenHash, Arc<Session>)> = HashMap::new();
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            for (token, Entry { session, host: _ }) in shard.iter().filter(|(_, entry)| passes(&entry.session)) {
                found.insert(session.id(), (*token, session.clone()));
            }
        }
        found.into_values().collect()
    }

    /// Sessions whose last use the store does not know yet.
    pub(crate) fn unwritten(&self) -> Vec<(Arc<Session>, Timestamp)> {
        let ids = self.read_ids();
        let sessions = ids.sessions.values().filter_map(Weak::upgrade);
        sessions.filter_map(|session| session.unwritten().map(|seen_at| (session, seen_at))).collect()
    }

    /// Lets go of tokens whose session does not pass.
    pub(crate) fn retain(&self, passes: impl Fn(&Session) -> bool) {
        for shard in &self.shards {
            shard.write().unwrap_or_else(PoisonError::into_inner).retain(|_, entry| passes(&entry.session));
        }
    }

    fn shard(&self, token: &TokenHash) -> Option<&RwLock<Shard>> {
        // The last byte chooses the shard, the first ones the place in it.
        let [.., last] = token.0;
        self.shards.get(usize::from(last) % SHARDS)
    }

    fn read_ids(&self) -> RwLockReadGuard<'_, Ids> {
        self.ids.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_ids(&self) -> RwLockWriteGuard<'_, Ids> {
        self.ids.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ids {
    fn end(&mut self, id: SessionId) {
        self.generation = self.generation.wrapping_add(1);
        if let Some(session) = self.sessions.remove(&id).and_then(|session| session.upgrade()) {
            session.mark_ended();
        }
    }

    /// Removes ids that nobody holds any more, each time their number has doubled.
    fn sweep(&mut self) {
        if self.sessions.len() > self.sweep_at {
            self.sessions.retain(|_, session| session.strong_count() > 0);
            self.sweep_at = self.sessions.len().saturating_mul(2).max(DEAD_IDS_MAX);
        }
    }
}

/// A token's digest is its own hash. Only tokens that the store knows are ever kept, so nobody can choose them.
#[derive(Default)]
struct Prefix(u64);

impl Hasher for Prefix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    // The length of the digest tells nothing.
    fn write_usize(&mut self, _: usize) {}
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("sessions", &self.read_ids().sessions.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use policy::{Assurance, Methods};
    use store::SessionRecord;

    use super::*;
    use crate::secret::hash;
    use crate::testing::{START, host, minutes, nurse};

    const TOKENS_CACHED_MAX: usize = SHARDS * SHARD_TOKENS_MAX;

    fn found(number: u64) -> FoundSession {
        let session = SessionRecord {
            id: SessionId::new(number),
            user: nurse().id,
            roles: nurse().roles,
            roles_confirmed_at: START,
            assurance: Assurance::Aal1,
            methods: Methods::NONE,
            credential: None,
            key_model: None,
            authenticated_at: START,
            device: None,
            opened_at: START,
            seen_at: START,
            ends_at: START.after(minutes(60)),
            parked_at: None,
            in_outage: false,
            provider_session: None,
            id_token: None,
            refresh_token: None,
            checked_at: START,
        };
        FoundSession { session, person: nurse(), host: host("emr.example.jp") }
    }

    fn token(number: u64) -> TokenHash {
        hash(&number.to_string())
    }

    #[test]
    fn memory_is_bounded() {
        let cache = Cache::new();
        for number in 0..3 * TOKENS_CACHED_MAX as u64 / 2 {
            cache.insert(cache.generation(), token(number), found(number), None).unwrap();
        }
        let tokens: usize = cache.shards.iter().map(|shard| shard.read().unwrap().len()).sum();
        assert!((1..=TOKENS_CACHED_MAX).contains(&tokens), "{tokens}");
        let ids = cache.read_ids().sessions.len();
        assert!(ids <= 2 * TOKENS_CACHED_MAX + DEAD_IDS_MAX, "{ids}");
    }

    #[test]
    fn an_answer_from_before_an_end_is_not_kept_after_it() {
        let cache = Cache::new();
        let before = cache.generation();
        cache.end(SessionId::new(1));
        assert!(cache.insert(before, token(1), found(1), None).is_none());
        assert!(cache.find(&token(1), &host("emr.example.jp")).is_none());
    }

    #[test]
    fn an_end_reaches_every_token_and_whoever_holds_the_session() {
        let cache = Cache::new();
        let held = cache.insert(cache.generation(), token(1), found(7), None).unwrap();
        cache.insert(cache.generation(), token(2), found(7), None).unwrap();
        cache.end(SessionId::new(7));
        assert!(held.is_ended());
        for number in [1, 2] {
            assert!(cache.find(&token(number), &host("emr.example.jp")).unwrap().unwrap().is_ended());
        }
    }
}
